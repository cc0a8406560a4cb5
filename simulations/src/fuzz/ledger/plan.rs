//! An explicit plan of clients that move money, and of what goes wrong meanwhile.

use serde::{Deserialize, Serialize};

use super::meaning::check_step;
use crate::fuzz::plan::DiskFault;
use crate::kernel::SECOND;
use crate::units::Span;

/// Raised when a field changes its meaning; older files are refused.
pub const SCHEMA_VERSION: u32 = 1;
/// Gateways of one plan at most.
pub const GATEWAYS_MAX: u8 = 2;
/// Clients of one plan at most.
pub const CLIENTS_MAX: u8 = 16;
/// Steps of one plan at most.
pub const STEPS_MAX: usize = 10_000;
/// Transfers of one command at most.
pub const TRANSFERS_MAX: usize = 64;
/// How long a hold may wait, in seconds.
pub const TIMEOUT_S_MAX: u32 = 3_600;

/// Tells a plan of this kind from one of nodes and relays.
pub const WORKLOAD: &str = "ledger";

/// What is the same during a whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swarm {
    /// Share of messages lost between clients and gateways.
    pub loss: f64,
    /// Share of messages that come twice.
    pub duplication: f64,
    /// One way, the least.
    pub propagation: Span,
    /// Uniform from 0: messages overtake each other.
    pub jitter: Span,
    /// What a synced commit takes.
    pub commit: Span,
    /// Concurrent events in an order drawn from the seed.
    pub shuffled: bool,
}

/// A run, written out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerPlan {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// [`WORKLOAD`].
    pub workload: String,
    /// Of delays and everything else that is drawn during the run.
    pub seed: u64,
    /// What went wrong when it was written.
    #[serde(default)]
    pub violations: Vec<String>,
    /// One, or two that both believe to lead.
    pub gateways: u8,
    /// The journal lies elsewhere; two gateways share one.
    pub remote: bool,
    /// How many there are.
    pub clients: u8,
    /// What is the same during the whole run.
    pub swarm: Swarm,
    /// In the order of time.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// After the begin of the run.
    pub at: Span,
    /// What.
    #[serde(flatten)]
    pub what: Doing,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Doing {
    /// A client asks for the assets of [`super::meaning::ASSETS`].
    Assets {
        /// Who.
        client: u8,
    },
    /// A client opens accounts.
    Accounts {
        /// Who.
        client: u8,
        /// Which.
        accounts: Vec<Opened>,
    },
    /// A client moves money.
    Transfers {
        /// Who.
        client: u8,
        /// How, in this order.
        transfers: Vec<Moved>,
    },
    /// A client sends what is no command.
    Garbage {
        /// Who.
        client: u8,
        /// How many bytes.
        bytes: u16,
    },
    /// A client sends an earlier command once more, under the same key: the `nth` of its own,
    /// counted round.
    Again {
        /// Who.
        client: u8,
        /// Which.
        nth: u16,
    },
    /// A client uses the key of an earlier command that was answered for another one.
    Reuse {
        /// Who.
        client: u8,
        /// Which, counted round.
        nth: u16,
    },
    /// A client reads a balance.
    Read {
        /// Who.
        client: u8,
        /// Whose.
        account: u16,
    },
    /// Power goes.
    Crash {
        /// Whose.
        gateway: u8,
        /// Of the bytes not synced so many are on the disk.
        kept_bytes: u32,
        /// Not now, but between the next commit and its answers.
        after_commit: bool,
    },
    /// A disk fails once.
    Disk {
        /// Whose.
        gateway: u8,
        /// How.
        fault: DiskFault,
        /// Operations that succeed before.
        after: u8,
    },
    /// A disk is full, or has room again.
    Full {
        /// Whose.
        gateway: u8,
        /// Full, or not.
        full: bool,
    },
    /// A synced commit takes longer from now on, or as long as before.
    Slow {
        /// Whose.
        gateway: u8,
        /// How much longer.
        by: Span,
    },
    /// A wall clock jumps.
    Clock {
        /// Whose.
        gateway: u8,
        /// Forth or back.
        by_ms: i64,
    },
    /// The network between clients and a gateway goes, or comes back.
    Cut {
        /// Which gateway.
        gateway: u8,
        /// Goes, or comes back.
        cut: bool,
    },
    /// The journal elsewhere fails once.
    Remote {
        /// How.
        fault: RemoteFault,
        /// Calls of its kind that succeed before.
        after: u8,
    },
}

/// A fault of the journal elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteFault {
    /// Entries are appended, and nobody is told.
    AnswerLost,
    /// An append does not get there, and nobody is told.
    Lost,
    /// An append is still on its way when its gateway has given it up, and gets there later.
    Late,
    /// It asks for patience; nothing is appended.
    Busy,
    /// It does not say where it stands, or what it holds.
    Unread,
}

/// An account that is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Its id.
    pub id: u16,
    /// Its asset.
    pub ledger: u32,
    /// Its flags, as in the ledger.
    pub flags: u16,
}

/// A transfer that is asked for. What is 0 is left open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// Its id.
    pub id: u16,
    /// Who pays.
    #[serde(default)]
    pub debit: u16,
    /// Who is paid.
    #[serde(default)]
    pub credit: u16,
    /// How much; absent: 2¹²⁸ − 1, which is as much as there is.
    #[serde(default)]
    pub amount: Option<u32>,
    /// Which hold it settles.
    #[serde(default)]
    pub pending_id: u16,
    /// Seconds that it holds.
    #[serde(default)]
    pub timeout_s: u32,
    /// Its asset.
    #[serde(default)]
    pub ledger: u32,
    /// Its flags, as in the ledger.
    #[serde(default)]
    pub flags: u16,
}

impl LedgerPlan {
    /// How long the part with faults lasts.
    #[must_use]
    pub fn span(&self) -> Span {
        Span(self.steps.last().map_or(0, |step| step.at.0) + SECOND)
    }

    /// Whether it can be run at all.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.schema_version != SCHEMA_VERSION || self.workload != WORKLOAD {
            return Err(format!(
                "the plan is `{}` with schema {}, this program reads `{WORKLOAD}` with {SCHEMA_VERSION}",
                self.workload, self.schema_version
            ));
        }
        let most = if self.remote { GATEWAYS_MAX } else { 1 };
        if self.gateways == 0 || self.gateways > most {
            return Err(format!(
                "a plan has 1 gateway, or with a journal elsewhere up to {GATEWAYS_MAX}"
            ));
        }
        if self.clients == 0 || self.clients > CLIENTS_MAX {
            return Err(format!("a plan has 1 to {CLIENTS_MAX} clients"));
        }
        if self.steps.len() > STEPS_MAX {
            return Err(format!("a plan has at most {STEPS_MAX} steps"));
        }
        let shares = [self.swarm.loss, self.swarm.duplication];
        if !shares.iter().all(|share| (0.0..1.0).contains(share)) {
            return Err(
                "`loss` and `duplication` are shares from 0 up to, not including, 1".to_owned(),
            );
        }
        for step in &self.steps {
            check_step(&step.what)?;
        }
        Ok(())
    }
}
