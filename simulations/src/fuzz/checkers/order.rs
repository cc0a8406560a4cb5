//! Clocks change no order and no verdict: whatever they say, an answer stands behind what
//! its writer saw, one person's messages stand as they were written, and no relay refuses a
//! member's envelope for good.

use std::collections::BTreeMap;

use khlong_crdt::id::EnvelopeId;
use khlong_sync::wire::code::ErrorCode;

use super::equality::Shown;
use super::{Findings, Written};
use crate::plan::Entity;

const ORDER: &str = "order";
const ACCEPTANCE: &str = "acceptance";

/// Each message of a timeline stands behind what its writer was shown when it wrote.
pub fn check<'w>(
    shown: &Shown,
    written: impl Iterator<Item = &'w Written>,
    findings: &mut Findings,
) {
    let places: BTreeMap<&str, usize> = shown
        .messages
        .iter()
        .enumerate()
        .map(|(place, id)| (id.as_str(), place))
        .collect();
    for message in written {
        let before = message.saw.as_deref();
        let pair =
            before.and_then(|saw| Some((places.get(saw)?, places.get(message.id.as_str())?)));
        let Some((saw, place)) = pair else { continue };
        findings.happened("pairs in order");
        if saw > place {
            findings.violated(
                ORDER,
                format_args!(
                    "machine {} shows {} before {}, which its writer had seen",
                    shown.who.0,
                    message.id,
                    before.unwrap_or_default()
                ),
            );
        }
    }
}

/// A relay refused an envelope of a member. `copied`: its device has a copy, so that a third
/// envelope at a place is no evidence any more.
pub fn refused(
    (relay, node): (Entity, Entity),
    envelope: EnvelopeId,
    code: ErrorCode,
    copied: bool,
    findings: &mut Findings,
) {
    let may_be = code.is_retryable() || (copied && code == ErrorCode::ForkEvidenceFull);
    if !may_be {
        findings.violated(
            ACCEPTANCE,
            format_args!(
                "relay {} refused {envelope} of machine {}, a member, for good ({code})",
                relay.0, node.0
            ),
        );
    }
}
