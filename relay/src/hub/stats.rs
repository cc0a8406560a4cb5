//! What a hub counts. No timeline, author or address is in it.

use std::collections::BTreeMap;

use khlong_sync::wire::code::ErrorCode;

/// Counters since the hub was built; the first two are gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubStats {
    /// Connections now.
    pub connections: u64,
    /// Timelines that somebody watches now.
    pub timelines_watched: u64,
    /// Connections ever.
    pub connections_opened: u64,
    /// Frames that were decoded.
    pub frames_received: u64,
    /// Frames that were not.
    pub frames_undecodable: u64,
    /// Sessions that ended with an error, the peer's or ours.
    pub sessions_failed: u64,
    /// Commits that wrote something.
    pub commits: u64,
    /// Envelopes stored.
    pub envelopes_stored: u64,
    /// Their bytes.
    pub envelope_bytes_stored: u64,
    /// Envelopes that were here already.
    pub envelopes_duplicate: u64,
    /// Envelopes refused, by code.
    pub envelopes_refused: BTreeMap<ErrorCode, u64>,
    /// Authors caught writing one number twice.
    pub forks_seen: u64,
    /// Timelines opened.
    pub timelines_opened: u64,
    /// Acks made: one for each commit and connection, after the commit that holds what it promises.
    pub acks: u64,
    /// Entries handed to sessions that watch their timeline: each new envelope once for
    /// each subscriber.
    pub arrivals_fanned_out: u64,
    /// Ephemeral messages passed on.
    pub ephemerals_relayed: u64,
    /// Bodies dropped because they had expired.
    pub bodies_pruned: u64,
    /// Their bytes.
    pub body_bytes_pruned: u64,
    /// Rounds of retention that went through everything.
    pub retention_rounds: u64,
    /// Damaged rows that retention passed over.
    pub retention_rows_damaged: u64,
    /// The last commit was refused because the disk is full.
    pub disk_full: bool,
}

impl HubStats {
    pub(super) fn refuse(&mut self, code: ErrorCode) {
        *self.envelopes_refused.entry(code).or_default() += 1;
    }
}
