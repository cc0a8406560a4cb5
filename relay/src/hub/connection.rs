//! What the hub keeps of one connection.

use std::collections::BTreeSet;
use std::net::IpAddr;

use khlong_crdt::id::TimelineId;
use khlong_crdt::time::{Monotonic, Now};
use khlong_sync::session::Session;
use khlong_sync::session::config::{Role, SessionConfig};

use super::policy::{Allowance, Policy};

pub(super) struct Connection {
    pub(super) session: Session,
    /// As entered in the hub's table of deadlines.
    pub(super) deadline: Option<Monotonic>,
    pub(super) watched: BTreeSet<TimelineId>,
    /// Whether it showed what the policy asks of those who open timelines.
    pub(super) may_open: bool,
    /// Timelines that it has opened.
    pub(super) opened: u32,
    /// Where it comes from, if that is known.
    pub(super) network: Option<IpAddr>,
    pub(super) allowance: Allowance,
}

impl Connection {
    pub(super) fn new(now: Now, policy: &Policy) -> Self {
        let config = SessionConfig {
            agent: concat!("khlong-relay/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..SessionConfig::default()
        };
        Self {
            session: Session::new(Role::Server, config, now.monotonic),
            deadline: None,
            watched: BTreeSet::new(),
            may_open: policy.opening.permits(None),
            opened: 0,
            network: None,
            allowance: policy.write_rate.full(now.monotonic),
        }
    }
}
