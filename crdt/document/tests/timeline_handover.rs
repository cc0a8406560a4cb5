//! Two use one invite, at relays that do not hear of each other: every member honours
//! the lower envelope id, whatever came first and whoever wrote meanwhile.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::collections::BTreeSet;
use std::convert::Infallible;

use khlong_crdt::admission::{History, Rights, TimelineKind};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::{PrincipalKey, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::invite::InviteSecret;
use khlong_document::membership::joining::{JoinedTimeline, join};
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::role::Role;
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::event::{Refused, TimelineEvent};
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::write::{InviteTerms, WriteError};
use proptest::prelude::*;
use proptest::sample::Index;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

const NOW: UnixMillis = UnixMillis(1_795_500_000_000);
/// Pages turn after four messages.
const SMALL: Limits = Limits {
    page_messages: 4,
    ..Limits::PRODUCTION
};
const TERMS: InviteTerms<'static> = InviteTerms {
    rights: Rights::MEMBER,
    role: Role::Member,
    expiry: UnixMillis(0),
    quota_class: 0,
    target: None,
};

/// A member's device: its timeline, and the store from which that is read again.
struct Device {
    timeline: Timeline,
    store: Vec<VerifiedEnvelope>,
}

impl Device {
    fn new(timeline: TimelineId, secrets: TimelineSecrets) -> Self {
        Self {
            timeline: Timeline::with_limits(timeline, secrets, SMALL),
            store: Vec::new(),
        }
    }

    /// As a node does: keep, show, read again when that is due.
    fn receive(&mut self, envelopes: &[VerifiedEnvelope]) -> Vec<TimelineEvent> {
        let news: Vec<_> = envelopes
            .iter()
            .filter(|new| !self.store.iter().any(|known| known.id() == new.id()))
            .cloned()
            .collect();
        self.store.extend(news.iter().cloned());
        let mut events = self.timeline.receive_all(news);
        if self.timeline.must_reread() {
            events.extend(self.reread());
        }
        events
    }

    fn reread(&mut self) -> Vec<TimelineEvent> {
        let Self { timeline, store } = self;
        let read = timeline.reread(|open| Ok::<_, Infallible>(open.receive_all(store.clone())));
        read.unwrap()
    }

    fn bodies(&self) -> Vec<String> {
        let messages = self.timeline.messages(0..usize::MAX);
        messages.into_iter().map(|message| message.body).collect()
    }

    fn members(&self) -> BTreeSet<PrincipalKey> {
        let members = self.timeline.members();
        members.iter().map(|member| member.principal).collect()
    }
}

const ADMIN: usize = 0;
const NOK: usize = 1;
const WINNER: usize = 2;
const LOSER: usize = 3;

/// An admin, a member, and two who took the same invite; nobody has read the handovers.
struct World {
    rng: ChaCha12Rng,
    devices: Vec<Device>,
    /// Everything that was sent, in the order of sending.
    sent: Vec<VerifiedEnvelope>,
}

fn text(body: &str) -> Draft {
    Draft::Message {
        body: body.to_owned(),
        reply_to: None,
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at: NOW,
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let opened = open_timeline(TimelineKind::Group, History::Full, &mut rng);
        let timeline = opened.timeline;
        let mut admin = Device::new(timeline, opened.secrets);
        admin.receive(&opened.envelopes);
        let mut world = Self {
            rng,
            devices: vec![admin],
            sent: opened.envelopes,
        };
        let nok = world.invite();
        let nok = join(timeline, &nok, &mut world.rng);
        world.sent.extend(nok.envelopes);
        world.devices.push(Device::new(timeline, nok.secrets));
        let shared = world.invite();
        let mut joiners: Vec<JoinedTimeline> = (0..2)
            .map(|_| join(timeline, &shared, &mut world.rng))
            .collect();
        joiners.sort_by_key(|joined| joined.envelopes[0].id());
        for joined in &joiners {
            let mut device = Device::new(timeline, joined.secrets.clone());
            device.receive(&world.sent);
            device.receive(&joined.envelopes);
            assert!(device.timeline.is_ready());
            world.devices.push(device);
        }
        for who in [ADMIN, NOK] {
            world.devices[who].receive(&world.sent.clone());
        }
        for joined in joiners {
            world.sent.extend(joined.envelopes);
        }
        world
    }

    fn invite(&mut self) -> InviteSecret {
        let admin = &mut self.devices[ADMIN];
        let (envelopes, payload) = admin.timeline.invite(&TERMS, NOW, &mut self.rng).unwrap();
        admin.store.extend(envelopes.iter().cloned());
        self.sent.extend(envelopes);
        InviteSecret::from_payload(admin.timeline.id(), &payload, None).unwrap()
    }

    fn write(&mut self, who: usize, drafts: &[Draft]) -> Result<(), WriteError> {
        let device = &mut self.devices[who];
        let envelope = device.timeline.write(drafts, NOW, &mut self.rng)?;
        device.store.push(envelope.clone());
        self.sent.push(envelope);
        Ok(())
    }

    fn receipt(&mut self, who: usize) {
        let device = &mut self.devices[who];
        if let Ok(Some(envelope)) = device.timeline.write_receipt(&mut self.rng) {
            device.store.push(envelope.clone());
            self.sent.push(envelope);
        }
    }

    /// The handover of one of the two.
    fn handover(&self, who: usize) -> VerifiedEnvelope {
        let author = self.devices[who].timeline.author();
        let first = self.sent.iter().find(|sent| sent.author() == author);
        first.unwrap().clone()
    }

    fn by(&self, who: usize) -> Vec<VerifiedEnvelope> {
        let author = self.devices[who].timeline.author();
        let by = self.sent.iter().filter(|sent| sent.author() == author);
        by.cloned().collect()
    }

    fn assert_converged(&mut self) {
        for device in &mut self.devices {
            device.receive(&self.sent);
        }
        let [admin, rest @ ..] = self.devices.as_slice() else {
            panic!("nobody is here")
        };
        for device in rest {
            assert_same(device, admin);
        }
        let expected: BTreeSet<_> = [ADMIN, NOK, WINNER]
            .map(|who| self.devices[who].timeline.principal())
            .into();
        assert_eq!(self.devices[ADMIN].members(), expected);
        let loser = self.devices[LOSER].timeline.principal();
        assert!(self.devices[LOSER].timeline.is_superseded());
        let shown = self.devices[ADMIN].timeline.messages(0..usize::MAX);
        let by_loser = shown.iter().any(|message| {
            message.principal == Some(loser) || message.author == self.by(LOSER)[0].author()
        });
        assert!(!by_loser, "{shown:?}");
    }
}

fn assert_same(left: &Device, right: &Device) {
    let (left, right, members) = (
        &left.timeline,
        &right.timeline,
        (left.members(), right.members()),
    );
    assert_eq!(left.state_hash(), right.state_hash());
    assert_eq!(
        left.canonical_saves().unwrap(),
        right.canonical_saves().unwrap()
    );
    assert_eq!(left.messages(0..usize::MAX), right.messages(0..usize::MAX));
    assert_eq!(left.message_count(), left.messages(0..usize::MAX).len());
    assert_eq!(left.state(), right.state());
    assert_eq!(members.0, members.1);
    assert_eq!((left.parked_count(), right.parked_count()), (0, 0));
    assert!(!left.must_reread() && !right.must_reread());
}

#[derive(Clone, Debug)]
enum Step {
    Say,
    Title,
    React,
    Receipt,
    Read(Vec<Index>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => Just(Step::Say),
        1 => Just(Step::Title),
        1 => Just(Step::React),
        1 => Just(Step::Receipt),
        5 => prop::collection::vec(any::<Index>(), 1..10).prop_map(Step::Read),
    ]
}

/// Plays a script; what the three who count have said.
fn play(world: &mut World, script: &[(usize, Step)]) -> Vec<String> {
    let mut said = Vec::new();
    for (n, (who, step)) in script.iter().enumerate() {
        match step {
            Step::Read(places) => {
                let some = places.iter().map(|place| place.get(&world.sent).clone());
                let some: Vec<_> = some.collect();
                world.devices[*who].receive(&some);
            }
            Step::Say => {
                let body = format!("{n} by {who}");
                let written = world.write(*who, &[text(&body)]);
                match written {
                    Ok(()) if *who != LOSER => said.push(body),
                    Ok(()) => {}
                    Err(error) => assert_eq!((*who, error), (LOSER, WriteError::Superseded)),
                }
            }
            Step::Title => drop(world.write(*who, &[Draft::Title(format!("{n} by {who}"))])),
            Step::React => {
                let timeline = &world.devices[*who].timeline;
                let newest = timeline.messages(0..usize::MAX).pop();
                if let Some(target) = newest.map(|message| message.id) {
                    let emoji = "🛶".into();
                    drop(world.write(*who, &[Draft::React { target, emoji }]));
                }
            }
            Step::Receipt => world.receipt(*who),
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_converge_on_the_lower_handover_in_any_order(
        world_seed: u64,
        script in prop::collection::vec((0..4_usize, step()), 10..50),
        order in prop::collection::vec(any::<Index>(), 96),
        batch in 1..40_usize,
    ) {
        let mut world = World::new(world_seed);
        let mut said = play(&mut world, &script);
        world.assert_converged();
        let mut shown = world.devices[ADMIN].bodies();
        shown.sort_unstable();
        said.sort_unstable();
        prop_assert_eq!(shown, said, "what others wrote on top of the loser stays");

        let mut shuffled = world.sent.clone();
        for (place, index) in order.iter().enumerate().take(shuffled.len()) {
            let other = index.index(shuffled.len());
            shuffled.swap(place, other);
        }
        shuffled.extend(world.sent.iter().step_by(3).cloned());
        for (who, backwards) in [(ADMIN, false), (NOK, true), (WINNER, true), (LOSER, false)] {
            if backwards {
                shuffled.reverse();
            }
            let known = &world.devices[who];
            let secrets = known.timeline.secrets().clone();
            let mut again = Device::new(known.timeline.id(), secrets);
            for part in shuffled.chunks(batch) {
                again.receive(part);
            }
            assert_same(&again, known);
            prop_assert_eq!(again.timeline.head(), known.timeline.head());
            // Every envelope twice, without a store that would notice.
            let before = again.timeline.state_hash();
            again.timeline.receive_all(shuffled.iter().cloned());
            prop_assert_eq!(again.timeline.state_hash(), before);
            assert_same(&again, known);
        }
    }
}

#[test]
fn what_counted_of_the_loser_is_taken_back_and_the_timeline_says_so() {
    let mut world = World::new(1);
    world
        .write(LOSER, &[text("too early"), Draft::Title("mine".into())])
        .unwrap();
    let by_loser = world.by(LOSER);
    world.devices[ADMIN].receive(&by_loser);
    assert_eq!(world.devices[ADMIN].bodies(), ["too early"]);
    let before = world.devices[ADMIN].timeline.head();

    let winner = world.handover(WINNER);
    let loser = world.devices[LOSER].timeline.author();
    let admin = &mut world.devices[ADMIN];
    let events = admin.timeline.receive(&winner);
    assert!(
        events.contains(&TimelineEvent::Superseded { author: loser }),
        "{events:?}"
    );
    assert!(admin.timeline.must_reread() && !admin.timeline.is_ready());
    let refused = admin.timeline.write(&[text("now?")], NOW, &mut world.rng);
    assert_eq!(refused, Err(WriteError::Stale));

    admin.store.push(winner);
    let events = admin.reread();
    assert_eq!(events, [TimelineEvent::Rebuilt]);
    assert_eq!(admin.bodies(), [""; 0]);
    assert_eq!(admin.timeline.state().title, None);
    assert_eq!(
        admin.timeline.head(),
        before,
        "my own chain goes on where it was"
    );
    world.write(ADMIN, &[text("now")]).unwrap();
    let fresh = by_loser.last().unwrap();
    let events = world.devices[ADMIN].timeline.receive(fresh);
    assert!(
        events.is_empty(),
        "kept for what may rest on it, and not shown: {events:?}"
    );
    world.assert_converged();
    assert_eq!(world.devices[NOK].bodies(), ["now"]);
}

#[test]
fn answers_to_the_loser_stay_and_the_loser_is_not_seen() {
    let mut world = World::new(2);
    // A whole page of the loser, so that the answer begins the next one.
    for n in 0..4 {
        world.write(LOSER, &[text(&format!("{n}"))]).unwrap();
    }
    let by_loser = world.by(LOSER);
    world.devices[NOK].receive(&by_loser);
    world.write(NOK, &[text("welcome!")]).unwrap();
    // And one more of each, so that the next answer rests on a change of the loser.
    let answer = world.by(NOK);
    world.devices[LOSER].receive(&answer);
    world.write(LOSER, &[text("4")]).unwrap();
    let by_loser = world.by(LOSER);
    world.devices[NOK].receive(&by_loser);
    let target = world.devices[NOK].timeline.messages(5..6)[0].id;
    let emoji = "👋".into();
    world
        .write(NOK, &[Draft::React { target, emoji }, text("sit down")])
        .unwrap();
    let (answers, winner) = (world.devices[NOK].store.clone(), world.handover(WINNER));
    world.devices[ADMIN].receive(std::slice::from_ref(&winner));
    world.devices[ADMIN].receive(&answers);
    assert_eq!(world.devices[ADMIN].bodies(), ["welcome!", "sit down"]);
    // Who goes on after having heard of it does not lose its place in the page.
    world.devices[NOK].receive(&[winner]);
    assert_eq!(world.devices[NOK].bodies(), ["welcome!", "sit down"]);
    world.write(NOK, &[text("oh")]).unwrap();
    world.write(WINNER, &[text("it is me")]).unwrap();
    world.assert_converged();
    let mut bodies = world.devices[ADMIN].bodies();
    bodies.sort_unstable();
    assert_eq!(bodies, ["it is me", "oh", "sit down", "welcome!"]);
}

#[test]
fn nothing_of_the_loser_waits_among_the_parked() {
    let mut world = World::new(3);
    for n in 0..5 {
        world.write(LOSER, &[text(&format!("{n}"))]).unwrap();
    }
    let (handover, written) = (world.handover(LOSER), world.by(LOSER)[1..].to_vec());
    let (loser, winner) = (handover.author(), world.handover(WINNER));
    let nok = &mut world.devices[NOK].timeline;
    nok.receive(&winner);
    nok.receive_all(written[..3].iter().cloned());
    assert_eq!(nok.parked_count(), 3, "the author is not known yet");
    let events = nok.receive(&handover);
    assert!(
        events.contains(&TimelineEvent::Superseded { author: loser }),
        "{events:?}"
    );
    assert_eq!(nok.parked_count(), 0);
    assert!(!nok.must_reread(), "nothing of it had counted");
    for envelope in [&handover, &written[3], &written[4]] {
        nok.receive(envelope);
        assert_eq!(nok.parked_count(), 0);
    }
    let events = nok.receive(&handover);
    assert!(
        matches!(
            &events[..],
            [TimelineEvent::Refused {
                reason: Refused::Superseded,
                ..
            }]
        ),
        "{events:?}"
    );
    assert_eq!(nok.message_count(), 0);

    let Device { timeline, store } = &mut world.devices[LOSER];
    store.push(winner);
    let store = store.clone();
    timeline.receive_all(store.clone());
    let told = timeline.reread(|open| Ok::<_, Infallible>(open.receive_all(store.clone())));
    assert_eq!(told, Ok(vec![TimelineEvent::Rebuilt]));
    let refused = timeline.write(&[text("still here?")], NOW, &mut world.rng);
    assert_eq!(
        refused,
        Err(WriteError::Superseded),
        "the loser is told why"
    );
}
