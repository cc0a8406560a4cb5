//! One node in a folder, and a relay that says what a test wants.

use std::path::Path;

use ed25519_dalek::SigningKey;
use khlong_crdt::address::InviteLink;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, LogId, RelayKey, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::{Monotonic, Now, UnixMillis};
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::join;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
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
use rand_chacha::rand_core::SeedableRng as _;

const WALL: UnixMillis = UnixMillis(1_795_500_000_000);
pub(crate) const NOW: Now = Now {
    monotonic: Monotonic(1_000_000),
    wall: WALL,
};
const LOG: (LogId, u32) = (LogId::from_bytes([3; 16]), 1);
pub(crate) const TITLE: &str = "ตลาดน้ำ";

/// A relay that takes everything and tells everything: it judges nobody.
pub(crate) struct Relay {
    key: SigningKey,
    heads: [u64; 4],
    pub(crate) kept: Vec<VerifiedEnvelope>,
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
pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    pub(crate) relay: Relay,
    pub(crate) mali: Peer,
    pub(crate) events: Vec<Event>,
    pub(crate) timeline: TimelineId,
    pub(crate) invite: InviteSecret,
    pub(crate) rng: ChaCha20Rng,
}

pub(crate) fn open(home: &Path) -> Peer {
    folder::open(home, None, [2; 32], NOW).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
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
        let mut world = Self {
            home,
            timeline: link.timeline,
            invite: InviteSecret::from_payload(link.timeline, &link.secret, None).unwrap(),
            relay,
            mali,
            events: Vec::new(),
            rng: ChaCha20Rng::from_seed([4; 32]),
        };
        world.go_online();
        assert!(world.mali.is_idle());
        world
    }

    pub(crate) fn go_online(&mut self) {
        self.mali.go_online(NOW, true);
        self.mali.handle(NOW, PeerInput::Timeout).unwrap();
        self.settle();
    }

    /// Commits, and answers whatever leaves then, until nothing does.
    pub(crate) fn settle(&mut self) {
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
    pub(crate) fn push(&mut self, envelope: &VerifiedEnvelope) {
        let (relay, frame) = (self.relay.id(), self.relay.push(envelope));
        let input = PeerInput::Frame { relay, frame };
        self.mali.handle(NOW, input).unwrap();
    }

    /// Whoever uses the invite, with all that the relay has; and its first envelope.
    pub(crate) fn joiner(&mut self) -> (Timeline, VerifiedEnvelope) {
        let joined = join(self.timeline, &self.invite, &mut self.rng);
        let [first] = <[_; 1]>::try_from(joined.envelopes).unwrap();
        let mut timeline = Timeline::new(self.timeline, joined.secrets);
        timeline.receive_all(self.relay.kept.iter().cloned());
        timeline.receive(&first);
        assert!(timeline.is_ready());
        (timeline, first)
    }

    pub(crate) fn says(&mut self, who: &mut Timeline, body: &str) -> VerifiedEnvelope {
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

    pub(crate) fn send(&mut self, body: &str) -> String {
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

    pub(crate) fn bodies(&mut self) -> Vec<String> {
        bodies(&mut self.mali)
    }

    /// What a restart shows is what was shown before.
    pub(crate) fn assert_as_after_a_restart(mut self) {
        let timeline = TITLE.to_owned();
        let digest = Request::Digest { timeline };
        let before = (self.bodies(), self.mali.request(NOW, digest.clone()));
        drop(self.mali);
        let mut again = open(self.home.path());
        assert_eq!((bodies(&mut again), again.request(NOW, digest)), before);
    }
}

pub(crate) fn bodies(peer: &mut Peer) -> Vec<String> {
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
