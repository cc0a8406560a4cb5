//! Whether a plan can be executed: then the executor's indices are right.

use super::{Options, Transfer};
use crate::plan::{Entity, Plan};

/// Machines times messages: two bits each, so 2 GiB.
pub const HOLDINGS_MAX: u64 = 8 * 1024 * 1024 * 1024;

/// A plan that cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// A contact, message, outage or timeline names a machine that is not in the plan.
    #[error("the plan names machine {0}, which it does not have")]
    Machine(u32),
    /// A message names a timeline that is not in the plan.
    #[error("message {0} is for a timeline that the plan does not have")]
    Timeline(u32),
    /// A contact names a link that is not in the plan, while links give the time of transfers.
    #[error("a contact has link {0}, which the plan does not have")]
    Link(u16),
    /// Contacts, messages or members are not in order, or an outage ends before it begins.
    #[error(
        "contacts, messages and members of a plan must be in order, and outages begin before they end"
    )]
    Order,
    /// A machine in contact with itself.
    #[error("machine {0} is in contact with itself")]
    Itself(u32),
    /// More than memory should hold.
    #[error("{machines} machines times {messages} messages are more than {HOLDINGS_MAX}")]
    TooLarge {
        /// Of the plan.
        machines: usize,
        /// Of the plan.
        messages: usize,
    },
}

/// Every index of the plan is right, and what must be in order is.
pub(super) fn check(plan: &Plan, options: Options) -> Result<(), RoutingError> {
    let machines = plan.entities.len();
    let messages = plan.messages.len();
    let known = |who: Entity| {
        if (who.0 as usize) < machines {
            Ok(())
        } else {
            Err(RoutingError::Machine(who.0))
        }
    };
    if machines as u64 * messages as u64 > HOLDINGS_MAX || u32::try_from(messages).is_err() {
        return Err(RoutingError::TooLarge { machines, messages });
    }
    for contact in &plan.contacts {
        known(contact.a)?;
        known(contact.b)?;
        if contact.a == contact.b {
            return Err(RoutingError::Itself(contact.a.0));
        }
        if options.transfer != Transfer::Instant && contact.link.0 as usize >= plan.links.len() {
            return Err(RoutingError::Link(contact.link.0));
        }
    }
    plan.timelines
        .iter()
        .flatten()
        .try_for_each(|who| known(*who))?;
    plan.outages
        .iter()
        .try_for_each(|outage| known(outage.who))?;
    let outages_end = plan
        .outages
        .iter()
        .all(|outage| outage.from <= outage.until);
    for (message, planned) in (0..).zip(&plan.messages) {
        known(planned.from)?;
        if planned.timeline as usize >= plan.timelines.len() {
            return Err(RoutingError::Timeline(message));
        }
    }
    let in_order = outages_end
        && plan.contacts.is_sorted_by_key(|contact| contact.up)
        && plan.messages.is_sorted_by_key(|message| message.at)
        && plan
            .timelines
            .iter()
            .all(|members| members.is_sorted_by(|one, other| one < other));
    if in_order {
        Ok(())
    } else {
        Err(RoutingError::Order)
    }
}
