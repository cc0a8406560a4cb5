//! Whether an ack proves what it says.

use khlong_crdt::id::{EnvelopeId, LogId, RelayKey};

use super::error::SessionError;
use crate::wire::frame::Ack;

/// An ack counts only with this relay's signature over exactly the ids that it says are kept.
pub(super) fn check(
    ack: &Ack,
    ids: &[EnvelopeId],
    relay: RelayKey,
    log: Option<(LogId, u32)>,
) -> Result<(), SessionError> {
    let forged = |what| {
        Err(SessionError::ForgedAck {
            request: ack.request,
            what,
        })
    };
    if ack.outcomes.len() != ids.len() {
        return forged("its outcomes are not as many as the envelopes");
    }
    let kept = ids
        .iter()
        .zip(&ack.outcomes)
        .filter(|(_, outcome)| outcome.is_kept());
    let kept: Vec<EnvelopeId> = kept.map(|(id, _)| *id).collect();
    match &ack.receipt {
        None if kept.is_empty() => Ok(()),
        None => forged("it has no receipt"),
        Some(_) if kept.is_empty() => forged("its receipt covers nothing"),
        Some(receipt) if receipt.relay != relay => forged("another relay signed it"),
        Some(receipt) if Some((receipt.log, receipt.log_epoch)) != log => {
            forged("its receipt is of another log")
        }
        Some(receipt) if receipt.verify(&kept).is_err() => {
            forged("its receipt does not verify over the ids that were sent")
        }
        Some(_) => Ok(()),
    }
}
