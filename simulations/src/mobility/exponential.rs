//! Meetings without space: the assumption under which theory gives exact delays.

#![expect(
    clippy::float_arithmetic,
    reason = "times between meetings are drawn from a density"
)]

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;

use super::error::Wrong;
use super::{CONTACTS_MAX, Group, contact};
use crate::kernel::seeds::Seeds;
use crate::plan::Contact;
use crate::units::Span;

/// Each pair of the group meets at the times of a Poisson process of its own, for one microsecond.
///
/// # Errors
/// [`Wrong::MeanBetween`] below 1 ms, [`Wrong::TooManyMeetings`].
pub fn meetings(
    group: &Group,
    seeds: Seeds,
    end: Monotonic,
    mean_between: Span,
    contacts: &mut Vec<Contact>,
) -> Result<(), Wrong> {
    if mean_between.0 < 1_000 {
        return Err(Wrong::MeanBetween);
    }
    for (index, one) in group.members.iter().enumerate() {
        for other in group.members.iter().skip(index + 1) {
            let (low, high) = (
                one.name.as_str().min(&other.name),
                one.name.as_str().max(&other.name),
            );
            let mut stream = seeds.stream("meetings", &format!("{low}\0{high}"));
            let mut time = 0_u64;
            loop {
                let wait = -(1.0 - stream.random::<f64>()).ln() * mean_between.0 as f64;
                // Two microseconds at least, so that two meetings are not one contact.
                time = time.saturating_add((wait.ceil() as u64).max(2));
                if time >= end.0 {
                    break;
                }
                if contacts.len() >= CONTACTS_MAX {
                    return Err(Wrong::TooManyMeetings);
                }
                contacts.push(contact(
                    time,
                    time + 1,
                    one.entity,
                    other.entity,
                    group.link,
                ));
            }
        }
    }
    Ok(())
}
