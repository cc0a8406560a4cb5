//! A node reads a timeline again, from its folder and from what waits for the commit:
//! without a restart, and with the outcome that a restart has.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;

use ed25519_dalek::SigningKey;
use khlong_crdt::address::InviteLink;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, EpochId, LogId, RelayKey, Seq, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::seal::{self, SealRequest};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::limits::PARKED_BYTES_MAX;
use khlong_node::api::{Event, Request, Response};
use khlong_node::folder::{self, KeyProtection};
use khlong_node::peer::{Peer, PeerInput, PeerOutput};
use khlong_sync::limits::PROTOCOL_VERSION_MAX;
use khlong_sync::replica::Arrival;
use khlong_sync::wire::frame::{
    Ack, AckReceipt, AppendAnswer, AppendOutcome, BackfillDone, CaughtUp, Frame, Hello, Proved,
    Push, Subscribe, Subscribed,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

const WALL: UnixMillis = UnixMillis(1_795_500_000_000);
const NOW: Now = Now {
    monotonic: Monotonic(1_000_000),
    wall: WALL,
};
const LOG: (LogId, u32) = (LogId::from_bytes([3; 16]), 1);
const TITLE: &str = "ตลาดน้ำ";

/// A relay that takes everything and tells everything: it judges nobody.
struct Relay {
    key: SigningKey,
    heads: [u64; 4],
    kept: Vec<VerifiedEnvelope>,
}

impl Relay {
    fn id(&self) -> RelayKey {
        RelayKey::from_bytes(self.key.verifying_key().to_bytes())
    }

    fn cursor(&self, class: Class) -> Cursor {
        Cursor {
            log: LOG.0,
            log_epoch: LOG.1,
            seq: ArrivalSeq(self.heads.get(class as usize).copied().unwrap()),
            hash: [0; 8],
        }
    }

    fn answer(&mut self, frame: Frame) -> Vec<Frame> {
        match frame {
            Frame::Hello(hello) => vec![Frame::Hello(Hello {
                versions: PROTOCOL_VERSION_MAX..=PROTOCOL_VERSION_MAX,
                agent: "test".to_owned(),
                keep_alive_ms: hello.keep_alive_ms,
                log: Some(LOG),
                token: None,
                relay_time: Some(WALL),
            })],
            Frame::Prove(prove) => vec![Frame::Proved(Proved {
                timeline: prove.timeline,
                author: prove.author,
            })],
            Frame::Append(append) => {
                let ids: Vec<EnvelopeId> =
                    append.envelopes.iter().map(VerifiedEnvelope::id).collect();
                self.kept.extend(append.envelopes);
                let arrival = ArrivalSeq(1);
                vec![Frame::Ack(Ack {
                    first: AppendAnswer {
                        request: append.request,
                        outcomes: vec![AppendOutcome::Stored { arrival }; ids.len()],
                    },
                    further: Vec::new(),
                    receipt: Some(AckReceipt::Whole(StoredReceipt::sign(
                        &self.key, LOG.0, LOG.1, WALL, &ids,
                    ))),
                })]
            }
            Frame::Subscribe(subscribe) => self.subscribed(&subscribe),
            _ => Vec::new(),
        }
    }

    fn subscribed(&self, subscribe: &Subscribe) -> Vec<Frame> {
        let mut answers = Vec::new();
        for class in Class::ALL {
            let cursor = self.cursor(class);
            answers.push(Frame::Subscribed(Subscribed {
                request: subscribe.request,
                class,
                cursor,
                rewound: false,
                refused: Vec::new(),
            }));
            answers.push(Frame::CaughtUp(CaughtUp { class, cursor }));
            for entry in &subscribe.timelines {
                if entry.backfill.iter().any(|(of, _)| *of == class) {
                    let timeline = entry.timeline;
                    answers.push(Frame::BackfillDone(BackfillDone { timeline, class }));
                }
            }
        }
        answers
    }

    fn push(&mut self, envelope: &VerifiedEnvelope) -> Frame {
        let class = envelope.class();
        *self.heads.get_mut(class as usize).unwrap() += 1;
        let cursor = self.cursor(class);
        Frame::Push(Push {
            class,
            backfill: None,
            entries: vec![Arrival {
                arrival: cursor.seq,
                received_at: WALL,
                envelope: envelope.clone(),
            }],
            cursor,
        })
    }
}

/// Mali's node on such a relay, with a timeline and an invite to it.
struct World {
    home: tempfile::TempDir,
    relay: Relay,
    mali: Peer,
    events: Vec<Event>,
    timeline: TimelineId,
    invite: InviteSecret,
    rng: ChaCha20Rng,
}

fn open(home: &Path) -> Peer {
    folder::open(home, None, [2; 32], NOW).unwrap()
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        folder::init(home.path(), "มะลิ", &KeyProtection::Plain, [1; 32]).unwrap();
        let relay = Relay {
            key: SigningKey::from_bytes(&[9; 32]),
            heads: [0; 4],
            kept: Vec::new(),
        };
        let mut mali = open(home.path());
        let key = relay.id().to_string();
        let address = format!("khlong://{}@localhost:4747", key.trim_start_matches("rly_"));
        let token = None;
        mali.request(NOW, Request::RelayAdd { address, token });
        mali.request(
            NOW,
            Request::TimelineNew {
                title: TITLE.to_owned(),
                kind: "group".to_owned(),
                relays: Vec::new(),
            },
        );
        let invited = mali.request(
            NOW,
            Request::TimelineInvite {
                timeline: TITLE.to_owned(),
                to: None,
                read_only: false,
                expires_in_s: 0,
            },
        );
        let Response::Invite { link, .. } = invited else {
            panic!("{invited:?}")
        };
        let link: InviteLink = link.parse().unwrap();
        mali.go_online(NOW, true);
        let mut world = Self {
            home,
            timeline: link.timeline,
            invite: InviteSecret::from_payload(link.timeline, &link.secret, None).unwrap(),
            relay,
            mali,
            events: Vec::new(),
            rng: ChaCha20Rng::from_seed([4; 32]),
        };
        world.mali.handle(NOW, PeerInput::Timeout).unwrap();
        world.settle();
        assert!(world.mali.is_idle());
        world
    }

    /// Commits, and answers whatever leaves then, until nothing does.
    fn settle(&mut self) {
        self.mali.commit(NOW).unwrap();
        while let Some(output) = self.mali.poll_output() {
            match output {
                PeerOutput::Connect { relay, .. } => {
                    let exporter = [7; 32];
                    let connected = PeerInput::Connected { relay, exporter };
                    self.mali.handle(NOW, connected).unwrap();
                }
                PeerOutput::Send { relay, frame, .. } => {
                    for frame in self.relay.answer(frame) {
                        let input = PeerInput::Frame { relay, frame };
                        self.mali.handle(NOW, input).unwrap();
                    }
                }
                PeerOutput::Disconnect { .. } => panic!("the node left the relay"),
                PeerOutput::Event(event) => self.events.push(event),
            }
            self.mali.commit(NOW).unwrap();
        }
    }

    /// The relay tells of an envelope; nothing is committed.
    fn push(&mut self, envelope: &VerifiedEnvelope) {
        let (relay, frame) = (self.relay.id(), self.relay.push(envelope));
        let input = PeerInput::Frame { relay, frame };
        self.mali.handle(NOW, input).unwrap();
    }

    /// Whoever uses the invite, with all that the relay has; and its first envelope.
    fn joiner(&mut self) -> (Timeline, VerifiedEnvelope) {
        let joined = join(self.timeline, &self.invite, &mut self.rng);
        let [first] = <[_; 1]>::try_from(joined.envelopes).unwrap();
        let mut timeline = Timeline::new(self.timeline, joined.secrets);
        timeline.receive_all(self.relay.kept.iter().cloned());
        timeline.receive(&first);
        assert!(timeline.is_ready());
        (timeline, first)
    }

    fn says(&mut self, who: &mut Timeline, body: &str) -> VerifiedEnvelope {
        let draft = Draft::Message {
            body: body.to_owned(),
            reply_to: None,
            attachments: Vec::new(),
            origin: None,
            import_key: None,
            sent_at: WALL,
        };
        who.write(&[draft], WALL, &mut self.rng).unwrap()
    }

    fn send(&mut self, body: &str) -> String {
        let sent = self.mali.request(
            NOW,
            Request::Send {
                timeline: TITLE.to_owned(),
                body: body.to_owned(),
                reply_to: None,
            },
        );
        let Response::Written { envelope, .. } = sent else {
            panic!("{sent:?}")
        };
        envelope.unwrap()
    }

    fn bodies(&mut self) -> Vec<String> {
        bodies(&mut self.mali)
    }

    /// What a restart shows is what was shown before.
    fn assert_as_after_a_restart(mut self) {
        let timeline = TITLE.to_owned();
        let digest = Request::Digest { timeline };
        let before = (self.bodies(), self.mali.request(NOW, digest.clone()));
        drop(self.mali);
        let mut again = open(self.home.path());
        assert_eq!((bodies(&mut again), again.request(NOW, digest)), before);
    }
}

fn bodies(peer: &mut Peer) -> Vec<String> {
    let log = Request::Log {
        timeline: TITLE.to_owned(),
        from: None,
        limit: None,
    };
    let response = peer.request(NOW, log);
    let Response::Messages { messages, .. } = response else {
        panic!("{response:?}")
    };
    messages.into_iter().map(|message| message.body).collect()
}

#[test]
fn a_handover_that_gives_way_is_taken_back_before_the_next_write() {
    let mut world = World::new();
    let mut joiners = [world.joiner(), world.joiner()];
    joiners.sort_by_key(|(_, first)| first.id());
    let [(mut winner, lower), (mut loser, higher)] = joiners;
    let too_early = world.says(&mut loser, "I came first");
    let rightful = world.says(&mut winner, "no, I did");
    world.push(&higher);
    world.push(&too_early);
    world.settle();
    assert_eq!(world.bodies(), ["I came first"]);
    let first = world.send("welcome!");
    world.settle();

    // In one batch: a message that is nowhere but in it, then the lower id.
    let staged = world.send("is this you?");
    world.push(&lower);
    assert_eq!(world.bodies(), ["welcome!", "is this you?"]);
    let next = world.send("ah, two of you");
    let place = |of: &str| of.rsplit_once(':').unwrap().1.parse::<u64>().unwrap();
    assert!(place(&first) < place(&staged) && place(&staged) < place(&next));
    world.push(&rightful);
    world.settle();
    let told = world
        .events
        .iter()
        .any(|event| matches!(event, Event::State { .. }));
    assert!(told, "whoever watches looks again");
    let mut shown = world.bodies();
    shown.sort_unstable();
    assert_eq!(
        shown,
        ["ah, two of you", "is this you?", "no, I did", "welcome!"]
    );
    // The others, who get the same, see the same.
    winner.receive_all(world.relay.kept.iter().cloned());
    winner.receive_all([higher, too_early]);
    assert_eq!(winner.message_count(), 4, "four that count");
    world.assert_as_after_a_restart();
}

#[test]
fn what_found_no_room_is_shown_without_a_restart() {
    let mut world = World::new();
    let (mut nok, joining) = world.joiner();
    let early = world.says(&mut nok, "is anybody here?");
    let mut noise = vec![0; 200 * 1024];
    world.rng.fill_bytes(&mut noise);
    let stranger = AuthorSecret::generate(&mut world.rng);
    for n in 0..=PARKED_BYTES_MAX / noise.len() {
        let filler = filler(world.timeline, &stranger, n as u64, &noise);
        world.push(&filler);
        world.settle();
    }
    // The rest of the room, until not the smallest one finds some.
    for (from, bytes) in [(1_000, 4_000), (2_000, 1)] {
        for n in 0..60 {
            let noise = noise.get(..bytes).unwrap();
            let filler = filler(world.timeline, &stranger, from + n, noise);
            world.push(&filler);
        }
    }
    world.push(&early);
    world.settle();
    world.push(&joining);
    world.settle();
    assert_eq!(world.bodies(), ["is anybody here?"]);
    let said = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::Message { .. }));
    assert_eq!(said.count(), 1, "and it is told once");
    world.assert_as_after_a_restart();
}

/// By an author that nobody certified.
fn filler(timeline: TimelineId, by: &AuthorSecret, n: u64, noise: &[u8]) -> VerifiedEnvelope {
    let request = SealRequest {
        kind: Kind::Change,
        timeline,
        seq: Seq(2 + n),
        prev: EnvelopeId::from_bytes([5; 32]),
        epoch_id: EpochId::from_bytes([9; 32]),
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    seal::seal(request, &EpochKey::from_seed([8; 32]), noise, by, [1; 32]).unwrap()
}
