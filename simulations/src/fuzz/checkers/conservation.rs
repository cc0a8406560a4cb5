//! Nothing vanishes: for each envelope and each member that should get it,
//! created = delivered + live + expired + dropped(reason).

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::EnvelopeId;

use super::Findings;

const NAME: &str = "conservation";

/// Where the envelopes of one timeline are.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// What each member holds, with its body.
    pub members: Vec<BTreeSet<EnvelopeId>>,
    /// Of which some member or relay has dropped the body.
    pub pruned: BTreeSet<EnvelopeId>,
    /// What relays hold with its body: on its way to whoever lacks it.
    pub relays: BTreeSet<EnvelopeId>,
    /// What waits in an outbox and is offered.
    pub waiting: BTreeSet<EnvelopeId>,
    /// What waits for a person, by the reason that the relays gave.
    pub refused: BTreeMap<EnvelopeId, String>,
}

/// The sum over all envelopes and members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Envelopes, once for each member.
    pub created: u64,
    /// Held by the member.
    pub delivered: u64,
    /// At a relay or in an outbox.
    pub live: u64,
    /// Expired on the way.
    pub expired: u64,
    /// Given up, with the reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Account {
    /// Counts. What is in no column is what [`check`] finds.
    #[must_use]
    pub fn of(places: &Places) -> Self {
        let created: BTreeSet<EnvelopeId> = places
            .members
            .iter()
            .flatten()
            .chain(&places.pruned)
            .chain(&places.relays)
            .chain(&places.waiting)
            .chain(places.refused.keys())
            .copied()
            .collect();
        let mut account = Self::default();
        for member in &places.members {
            for id in &created {
                account.created += 1;
                if member.contains(id) {
                    account.delivered += 1;
                } else if places.pruned.contains(id) {
                    account.expired += 1;
                } else if places.relays.contains(id) || places.waiting.contains(id) {
                    account.live += 1;
                } else if let Some(reason) = places.refused.get(id) {
                    *account.dropped.entry(reason.clone()).or_default() += 1;
                }
            }
        }
        account
    }

    /// What is in a column.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.delivered + self.live + self.expired + self.dropped.values().sum::<u64>()
    }
}

/// The account balances; and when everything is `drained`, nothing is live any more.
pub fn check(timeline: &str, places: &Places, drained: bool, findings: &mut Findings) {
    let account = Account::of(places);
    let vanished = account.created.saturating_sub(account.accounted());
    if vanished > 0 {
        findings.violated(
            NAME,
            format_args!(
                "{vanished} of {} deliveries in {timeline} are nowhere: no member, no relay, no outbox",
                account.created
            ),
        );
    }
    if drained && account.live > 0 {
        findings.violated(
            NAME,
            format_args!(
                "{} deliveries in {timeline} are still on their way when all is quiet",
                account.live
            ),
        );
    }
}
