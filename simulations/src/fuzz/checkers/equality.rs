//! Replicas with equal authorised sets are equal: one state hash, one canonical document,
//! each message once, and nothing of what a person was told is written missing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Written};
use crate::plan::Entity;

const EQUAL: &str = "replicas";
const ONCE: &str = "messages";

/// What one device shows of one timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Whose.
    pub who: Entity,
    /// Over the hashes of all changes.
    pub state_hash: String,
    /// Of the canonical documents.
    pub canonical_hash: String,
    /// Messages, in the order in which they are shown.
    pub messages: Vec<String>,
    /// How far each of its own messages has come, as the device says.
    pub mine: Vec<(String, khlong_node::api::Delivery)>,
    /// Envelopes that wait for a key or another envelope.
    pub parked: usize,
}

/// Compares what the members of a timeline show. `written` are its messages whose writers
/// keep their place (no copied device wrote them).
pub fn check<'w>(
    shown: &[Shown],
    written: impl Iterator<Item = &'w Written> + Clone,
    findings: &mut Findings,
) {
    let mut sides: BTreeMap<_, Vec<u32>> = BTreeMap::new();
    for one in shown {
        let state = (&one.state_hash, &one.canonical_hash, &one.messages);
        sides.entry(state).or_default().push(one.who.0);
    }
    if sides.len() > 1 {
        let sides: Vec<_> = sides
            .iter()
            .map(|((_, _, messages), members)| format!("{members:?} show {}", messages.len()))
            .collect();
        findings.violated(
            EQUAL,
            format_args!("of one timeline they differ: {}", sides.join("; ")),
        );
    }
    for one in shown {
        check_messages(one, written.clone(), findings);
    }
}

fn check_messages<'w>(
    shown: &Shown,
    written: impl Iterator<Item = &'w Written>,
    findings: &mut Findings,
) {
    let mut seen = BTreeSet::new();
    for message in &shown.messages {
        if !seen.insert(message) {
            findings.violated(
                ONCE,
                format_args!("machine {} shows {message} twice", shown.who.0),
            );
        }
    }
    for message in written.filter(|message| !seen.contains(&message.id)) {
        findings.violated(
            ONCE,
            format_args!(
                "machine {} was told that {} is written, machine {} does not show it",
                message.who.0, message.id, shown.who.0
            ),
        );
    }
}
