//! A start that replays everything.

use khlong_crdt::admission::{History, TimelineKind};
use khlong_document::timeline::Timeline;
use khlong_document::timeline::event::TimelineEvent;
use khlong_document::timeline::limits::Limits;

use super::{Group, text};

/// Start-up: `KHLONG_REPLAY_MESSAGES=100000 cargo nextest run --release … --no-capture`
/// prints the rate.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "prints a rate; asserts nothing about it"
)]
fn a_start_up_replays_everything_at_once() {
    let count: usize = std::env::var("KHLONG_REPLAY_MESSAGES")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(2_500);
    let mut group = Group::open(TimelineKind::Group, History::Full, Limits::PRODUCTION);
    for n in 0..count {
        group.write(0, &[text(&format!("message {n}: ไปตลาดกันไหม"))]);
    }
    let mut again = Timeline::new(group.members[0].id(), group.members[0].secrets().clone());
    let start = std::time::Instant::now();
    let events = again.receive_all(group.sent.iter().cloned());
    let seconds = start.elapsed().as_secs_f64();
    println!("{count} messages in {seconds:.2} s");
    assert_eq!(
        events
            .iter()
            .filter(|event| matches!(event, TimelineEvent::MessageAdded(_)))
            .count(),
        count
    );
    assert_eq!(again.state_hash(), group.members[0].state_hash());
    assert_eq!(
        again.messages(count - 2..count),
        group.members[0].messages(count - 2..count)
    );
    assert!(again.page_count() >= count / 1_000);
}
