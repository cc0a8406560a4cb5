//! The backlog drains in bounded time, and without a retry storm.

use std::collections::BTreeMap;

use super::Findings;
use crate::kernel::{MINUTE, SECOND};
use crate::plan::Entity;

const NAME: &str = "pace";

/// After everything is healed the network must be quiet within this.
pub const DRAIN_MAX: u64 = 20 * MINUTE;
/// Connection attempts of one device while it drains: the first minute's back-off and one every five seconds.
pub const ATTEMPTS_A_DEVICE_MAX: u64 = 12 + DRAIN_MAX / (5 * SECOND);

/// How often devices have tried to connect since everything works again.
#[derive(Debug, Default)]
pub struct Pace {
    attempts: BTreeMap<Entity, u64>,
}

impl Pace {
    /// Everything works from now on.
    pub fn begin(&mut self) {
        self.attempts.clear();
    }

    /// A device tried to connect.
    pub fn attempted(&mut self, who: Entity) {
        *self.attempts.entry(who).or_default() += 1;
    }

    /// `waiting`: what is still under way after [`DRAIN_MAX`], in words; `None` if nothing is.
    pub fn check(&self, waiting: Option<&str>, findings: &mut Findings) {
        if let Some(waiting) = waiting {
            findings.violated(
                NAME,
                format_args!(
                    "the backlog does not drain in {} minutes, {waiting}",
                    DRAIN_MAX / MINUTE
                ),
            );
        }
        for (who, attempts) in &self.attempts {
            if *attempts > ATTEMPTS_A_DEVICE_MAX {
                findings.violated(
                    NAME,
                    format_args!(
                        "retry storm, machine {} tried to connect {attempts} times while it drained",
                        who.0
                    ),
                );
            }
        }
    }
}
