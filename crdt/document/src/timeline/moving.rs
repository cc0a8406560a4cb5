//! What an admin writes before a timeline goes to another relay.

use khlong_crdt::admission::{Admission, ClearOp, Rights};
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_crdt::limits::OPS_PER_ENVELOPE_MAX;
use khlong_crdt::time::UnixMillis;
use rand_core::CryptoRng;

use super::Timeline;
use super::write::{WriteError, bytes};
use crate::seal;

impl Timeline {
    /// Whether this member may say which relays the timeline has.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn check_mover(&self, now: UnixMillis) -> Result<(), WriteError> {
        self.check_ready()?;
        let admission = self.admission.as_ref().ok_or(WriteError::NotReady)?;
        let judged = admission.judge(&self.author, Rights::ADMIN, now);
        judged.map(|_| ()).map_err(WriteError::NotMover)
    }

    /// Grants every used invite once more, without an expiry: a relay judges a handover by the
    /// date on which it gets it, so one that is new would let nobody in who came by a link
    /// that has expired since. The envelopes are to be stored and sent, in this order; none
    /// where nothing expires.
    ///
    /// # Errors
    /// [`WriteError`]; what was made before it was received here.
    pub fn renew_invites(
        &mut self,
        now: UnixMillis,
        random: &mut dyn CryptoRng,
    ) -> Result<Vec<VerifiedEnvelope>, WriteError> {
        self.check_mover(now)?;
        let expiring = self.admission.iter().flat_map(Admission::expiring_invites);
        let grants: Vec<ClearOp> = expiring
            .map(|(principal, rights, quota_class)| ClearOp::Grant {
                principal,
                rights,
                expiry: UnixMillis(0),
                quota_class,
                one_use: true,
            })
            .collect();
        let mut envelopes = Vec::new();
        for ops in grants.chunks(OPS_PER_ENVELOPE_MAX) {
            let request = self.request(Kind::AuthOp);
            let author = &self.secrets.author;
            let renewal = seal::seal_auth_op(request, ops, None, author, bytes(random))
                .map_err(WriteError::Seal)?;
            self.receive(&renewal);
            envelopes.push(renewal);
        }
        Ok(envelopes)
    }
}
