//! The replica through the eyes of one connection.

use khlong_crdt::admission::Rights;
use khlong_crdt::id::TimelineId;
use khlong_crdt::time::UnixMillis;

use super::proof::Proofs;
use crate::replica::{Replica, ReplicaError, Verdict};
use crate::wire::code::ErrorCode;

/// What a stream reads: the replica, through the eyes of one connection.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) replica: &'v dyn Replica,
    pub(super) proofs: &'v Proofs,
    pub(super) at: UnixMillis,
}

impl View<'_> {
    /// Why the connection may not do this, or `None` if one of its proven authors may.
    /// A timeline that is not here is asked for once: no store remembers what it lacks,
    /// so each question is a scan.
    pub(super) fn refuses(
        &self,
        timeline: TimelineId,
        right: Rights,
    ) -> Result<Option<ErrorCode>, ReplicaError> {
        let mut code = ErrorCode::Unproven;
        for author in self.proofs.authors(&timeline) {
            match self.replica.judge(timeline, author, right, self.at)? {
                Verdict::Permitted(_) => return Ok(None),
                Verdict::Refused(_) => code = ErrorCode::NotAdmitted,
                Verdict::UnknownTimeline => return Ok(Some(ErrorCode::UnknownTimeline)),
            }
        }
        Ok(Some(code))
    }
}
