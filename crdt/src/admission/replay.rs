//! Building the state from a log of auth-ops that were accepted before.
//!
//! Every [`Admission::apply`] settles all grants and revocations, so a start-up that
//! applied a log of n auth-ops one by one would take n² steps. What was accepted once is
//! in the set for good, and the state is a function of the set: so here everything is
//! recorded first and settled once.

use super::{Admission, AdmissionError};
use crate::{envelope::VerifiedEnvelope, time::UnixMillis};

/// A state in the making. [`Admission::replay`] begins one.
#[derive(Debug)]
pub struct Replay(Admission);

impl Admission {
    /// Begins to read a relay's log of accepted auth-ops, from its genesis.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn replay(genesis: &VerifiedEnvelope) -> Result<Replay, AdmissionError> {
        Self::open(genesis).map(Replay)
    }
}

impl Replay {
    /// Takes the next auth-op that [`Admission::apply`] accepted, with the same date, in the
    /// order of acceptance. Twice is as good as once.
    ///
    /// It is not judged again: what is given here must come from a log that only holds what
    /// was accepted. Form and certificates are checked nevertheless.
    ///
    /// # Errors
    /// [`AdmissionError`], never for a want of rights. The log is damaged then; there is
    /// nothing to go on with.
    pub fn accepted(
        &mut self,
        envelope: &VerifiedEnvelope,
        received_at: UnixMillis,
    ) -> Result<(), AdmissionError> {
        self.0.record_accepted(envelope, received_at)
    }

    /// Who may do what by all that was taken: the state that applying each would have given.
    ///
    /// # Errors
    /// [`AdmissionError::Full`] for a log that exceeds a limit of the timeline.
    pub fn finish(self) -> Result<Admission, AdmissionError> {
        let Self(mut admission) = self;
        admission.standing = admission.ledger.settle(admission.founder).standing;
        admission.check_tables(&admission.standing)?;
        Ok(admission)
    }
}
