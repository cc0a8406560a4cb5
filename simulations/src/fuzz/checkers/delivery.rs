//! Stored is told apart from accepted: a device says *stored* of what a relay has promised,
//! and *delivered* only of what another member really has.

use std::collections::BTreeSet;

use khlong_crdt::id::EnvelopeId;
use khlong_node::api::Delivery;

use super::Findings;
use super::equality::Shown;
use super::promises::Promises;

const NAME: &str = "stored and delivered";

/// Compares what a device says of its own messages with what is so. `envelope` names the
/// envelope of a message, if it is known; `others` are the envelopes that the other
/// members hold. `drained` says that nothing may be on its way any more.
pub fn check(
    shown: &Shown,
    envelope: impl Fn(&str) -> Option<EnvelopeId>,
    promises: &Promises,
    others: &BTreeSet<EnvelopeId>,
    drained: bool,
    findings: &mut Findings,
) {
    for (message, said) in &shown.mine {
        let Some(id) = envelope(message) else {
            continue;
        };
        let is_so = match said {
            Delivery::Queued => !drained,
            Delivery::Stored => promises.holds(&id),
            Delivery::Delivered | Delivery::Read => others.contains(&id),
            Delivery::Dropped | Delivery::Refused | Delivery::Received => false,
        };
        if is_so {
            let is_delivered = *said >= Delivery::Delivered;
            findings.happened(if is_delivered {
                "delivered"
            } else {
                "stored and not delivered"
            });
        } else {
            findings.violated(
                NAME,
                format_args!(
                    "machine {} says of its own {message} that it is {said:?}, and it is not",
                    shown.who.0
                ),
            );
        }
    }
}
