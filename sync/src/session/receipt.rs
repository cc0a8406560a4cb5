//! Whether an ack proves what it says.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::{EnvelopeId, LogId, RelayKey};
use khlong_crdt::receipt::{StoredProof, StoredReceipt, merkle_root};

use super::error::SessionError;
use crate::wire::frame::{Ack, AckReceipt, AppendAnswer, AppendOutcome};

/// An answer that may be believed.
pub(super) struct Proven {
    pub(super) answer: AppendAnswer,
    /// One for each outcome: of what was kept.
    pub(super) proofs: Vec<Option<StoredProof>>,
}

/// An ack counts, as a whole, only if every request that it answers is in flight, and
/// with this relay's signature over exactly the ids that it says are kept.
pub(super) fn check(
    ack: Ack,
    in_flight: &BTreeMap<u64, Vec<EnvelopeId>>,
    relay: RelayKey,
    log: Option<(LogId, u32)>,
) -> Result<Vec<Proven>, SessionError> {
    let request = ack.first.request;
    let mut answers = vec![ack.first];
    answers.extend(ack.further);
    let kept = kept(&answers, in_flight)?;
    let forged = |what| Err(SessionError::ForgedAck { request, what });
    let proofs = match ack.receipt.map(|receipt| whole(receipt, &kept, relay, log)) {
        None if kept.is_empty() => Vec::new(),
        None => return forged("it has no receipt"),
        Some(_) if kept.is_empty() => return forged("its receipt covers nothing"),
        Some(receipt) if receipt.relay != relay => return forged("another relay signed it"),
        Some(receipt) if Some((receipt.log, receipt.log_epoch)) != log => {
            return forged("its receipt is of another log");
        }
        Some(receipt) => match (receipt.prove(&kept), receipt.verify_signature()) {
            (Ok(proofs), Ok(())) => proofs,
            (Err(_), _) | (_, Err(_)) => {
                return forged("its receipt does not verify over the ids that were sent");
            }
        },
    };
    let mut proofs = proofs.into_iter();
    let proven = answers.into_iter().map(|answer| {
        let beside = |kept: bool| if kept { proofs.next() } else { None };
        let outcomes = answer.outcomes.iter();
        Proven {
            proofs: outcomes.map(AppendOutcome::is_kept).map(beside).collect(),
            answer,
        }
    });
    Ok(proven.collect())
}

/// What a short receipt leaves out is what this side knows; the signature tells whether it is so.
fn whole(
    receipt: AckReceipt,
    kept: &[EnvelopeId],
    relay: RelayKey,
    log: Option<(LogId, u32)>,
) -> StoredReceipt {
    match receipt {
        AckReceipt::Whole(receipt) => receipt,
        AckReceipt::Short {
            received_at,
            signature,
        } => {
            let (log, log_epoch) = log.unwrap_or((LogId::from_bytes([0; 16]), 0));
            StoredReceipt {
                relay,
                log,
                log_epoch,
                received_at,
                root: merkle_root(kept),
                count: u32::try_from(kept.len()).unwrap_or(u32::MAX),
                signature,
            }
        }
    }
}

/// The ids that the answers say are kept, in their order.
fn kept(
    answers: &[AppendAnswer],
    in_flight: &BTreeMap<u64, Vec<EnvelopeId>>,
) -> Result<Vec<EnvelopeId>, SessionError> {
    let (mut seen, mut kept) = (BTreeSet::new(), Vec::new());
    for AppendAnswer { request, outcomes } in answers {
        let request = *request;
        let ids = in_flight.get(&request).filter(|_| seen.insert(request));
        let ids = ids.ok_or(SessionError::UnexpectedAck { request })?;
        if outcomes.len() != ids.len() {
            return Err(SessionError::ForgedAck {
                request,
                what: "its outcomes are not as many as the envelopes",
            });
        }
        let stored = ids.iter().zip(outcomes);
        kept.extend(
            stored
                .filter(|(_, outcome)| outcome.is_kept())
                .map(|(id, _)| *id),
        );
    }
    Ok(kept)
}
