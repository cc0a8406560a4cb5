//! Which stream carries which lane.
//!
//! Public, because the simulator lays its lanes over `quinn-proto` by the same table.

use khlong_crdt::class::Class;

use crate::wire::frame::Lane;

/// One unidirectional stream per class and direction.
pub(crate) const CLASS_STREAMS: u32 = 4;

/// The lanes that are streams: control, then the four classes.
pub const STREAM_LANES: usize = 5;

/// Which queue of a link a lane has; `None` for datagrams.
#[must_use]
pub const fn index(lane: Lane) -> Option<usize> {
    match lane {
        Lane::Control => Some(0),
        Lane::Class(Class::Control) => Some(1),
        Lane::Class(Class::Text) => Some(2),
        Lane::Class(Class::Bulk) => Some(3),
        Lane::Class(Class::Media) => Some(4),
        Lane::Ephemeral => None,
    }
}

/// quinn sends the stream of the highest priority first.
#[must_use]
pub const fn priority(class: Class) -> i32 {
    match class {
        Class::Control => 3,
        Class::Text => 2,
        Class::Bulk => 1,
        Class::Media => 0,
    }
}

/// Above every class: an ack never waits behind a picture.
pub const CONTROL_PRIORITY: i32 = 4;
