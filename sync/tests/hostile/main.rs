//! One hostile peer each. What it does ends its own connection, or nothing at all.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod bytes;
mod floods;
mod moments;
mod rights;
#[path = "../support/mod.rs"]
mod support;

use khlong_crdt::class::Class;
use khlong_crdt::id::ArrivalSeq;
use khlong_sync::session::error::SessionError;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Output;
use khlong_sync::wire::frame::{Frame, Subscribe, TimelineSubscription};
use support::pair::Pair;
use support::timeline;

fn ready() -> Pair {
    let mut pair = Pair::new(&[timeline(1)]);
    pair.connect();
    pair.settle();
    pair.assert_in_sync();
    pair
}

/// What the server answers to one frame, without its events.
fn ask(pair: &mut Pair, frame: Frame) -> Result<Vec<Frame>, SessionError> {
    let now = pair.at();
    let result = pair
        .server
        .handle(now, Input::Frame(frame), &pair.relay.replica);
    let mut frames = Vec::new();
    while let Some(output) = pair.server.poll_output() {
        if let Output::Send(_, frame) = output {
            frames.push(frame);
        }
    }
    result.map(|()| frames)
}

fn subscribe(request: u64, timelines: &[u8], after: u64) -> Frame {
    let backfill = Class::ALL.map(|class| (class, ArrivalSeq(after))).to_vec();
    let timelines = timelines.iter().map(|n| TimelineSubscription {
        timeline: timeline(*n),
        backfill: backfill.clone(),
    });
    let (cursors, wake_up) = (Vec::new(), None);
    Frame::Subscribe(Subscribe {
        request,
        cursors,
        timelines: timelines.collect(),
        wake_up,
    })
}
