//! Acknowledged writes survive.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::EnvelopeId;
use khlong_store::rows::Rows;
use khlong_store::tables::timelines;

use super::Findings;
use crate::plan::Entity;

const NAME: &str = "acknowledged writes";

/// What each relay has promised, by the acks that left it.
#[derive(Debug, Default)]
pub struct Promises {
    of: BTreeMap<Entity, BTreeSet<EnvelopeId>>,
}

impl Promises {
    /// An ack left `relay`; `rows` are what it has, if it runs.
    pub fn promised(
        &mut self,
        relay: Entity,
        envelopes: &[EnvelopeId],
        rows: Option<&dyn Rows>,
        findings: &mut Findings,
    ) {
        self.of.entry(relay).or_default().extend(envelopes);
        for id in envelopes {
            if let Some(rows) = rows {
                expect(rows, relay, *id, "when the ack left", findings);
            }
        }
    }

    /// All that `relay` has promised is there.
    pub fn check(&self, relay: Entity, rows: &dyn Rows, when: &str, findings: &mut Findings) {
        for id in self.of.get(&relay).into_iter().flatten() {
            expect(rows, relay, *id, when, findings);
        }
    }

    /// Whether some relay has promised it.
    #[must_use]
    pub fn holds(&self, id: &EnvelopeId) -> bool {
        self.of.values().any(|promised| promised.contains(id))
    }
}

fn expect(rows: &dyn Rows, relay: Entity, id: EnvelopeId, when: &str, findings: &mut Findings) {
    if let Some(None) = findings.read(timelines::get(rows, &id)) {
        let who = relay.0;
        findings.violated(
            NAME,
            format_args!("relay {who} promised {id} and does not have it {when}"),
        );
    }
}
