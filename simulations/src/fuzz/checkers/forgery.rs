//! Nothing forged is anywhere: what strangers made is stored by nobody, and every envelope
//! on every disk bears its author's signature.

use std::collections::BTreeSet;

use ed25519_dalek::{Signature, VerifyingKey};
use khlong_crdt::context::SIGN_ENVELOPE;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::EnvelopeId;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;
use khlong_store::tables::timelines;

use super::{Findings, each_envelope};
use crate::plan::Entity;

const NAME: &str = "forgeries";

/// Envelopes that may be nowhere.
#[derive(Debug, Default)]
pub struct Forgery {
    made: BTreeSet<EnvelopeId>,
}

impl Forgery {
    /// A stranger made these.
    pub fn made(&mut self, forged: Vec<EnvelopeId>) {
        self.made.extend(forged);
    }

    /// A machine holds none of them, and nothing without its author's signature.
    pub fn check(&self, who: Entity, rows: &dyn Rows, findings: &mut Findings) {
        let mut bad = Vec::new();
        let looked = self.look(rows, &mut bad);
        findings.read(looked);
        for what in bad {
            findings.violated(NAME, format_args!("machine {} stored {what}", who.0));
        }
    }

    fn look(&self, rows: &dyn Rows, bad: &mut Vec<String>) -> Result<(), StoreError> {
        for id in &self.made {
            if timelines::get(rows, id)?.is_some() {
                bad.push(format!("{id}, which a stranger made"));
            }
        }
        each_envelope(rows, &mut |stored| {
            if !is_signed(&stored.envelope) {
                bad.push(format!(
                    "{} without its author's signature",
                    stored.envelope.id()
                ));
            }
        })
    }
}

/// Checked here and not by `crdt`, whose own check is among what is searched for bugs.
fn is_signed(envelope: &VerifiedEnvelope) -> bool {
    let signed = [SIGN_ENVELOPE, envelope.header_bytes()].concat();
    VerifyingKey::from_bytes(envelope.author().as_bytes()).is_ok_and(|key| {
        key.verify_strict(&signed, &Signature::from_bytes(envelope.signature()))
            .is_ok()
    })
}
