//! A node reads a timeline again, from its folder and from what waits for the commit:
//! without a restart, and with the outcome that a restart has. And what it need not read.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod snapshots;
mod world;

use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, Seq, TimelineId};
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::seal::{self, SealRequest};
use khlong_document::timeline::limits::PARKED_BYTES_MAX;
use khlong_node::api::Event;
use rand_chacha::rand_core::Rng as _;

use self::world::World;

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
