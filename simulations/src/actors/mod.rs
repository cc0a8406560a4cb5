//! The real node and the real relay, each on a disk of its own, in virtual time.
//!
//! ```text
//! world ── event queue ──► machine.turn(now): inputs → core.handle → core.commit → outputs
//!   ▲                                                                    │ after the commit's time
//!   └────────── wires (queue, rate, delay, loss) ◄───────────────────────┘
//! ```
//!
//! A machine does what the binaries' drivers do: it gathers inputs while the
//! disk is busy, gives at most so many to the core, commits once, and lets the
//! outputs leave when the commit has taken its time. It decides nothing. A crash
//! between commit and release loses the outputs, as on a real machine.

mod carry;
pub mod execute;
pub mod facts;
pub mod host;
pub mod node;
mod observe;
mod quic;
pub mod relay;
mod seats;
pub mod setup;
pub mod strangers;
mod transport;
pub mod wire;
pub mod world;

pub use quic::QUIC_NODES_MAX;

/// Why a run of the real cores cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A core did not start on a whole disk, or refused what it must take.
    #[error("`{name}` failed: {reason}")]
    Core {
        /// Whose.
        name: String,
        /// What it said.
        reason: String,
    },
    /// The plan cannot be carried out by the real cores.
    #[error("{0}")]
    Plan(String),
}

impl WorldError {
    pub(crate) fn core(name: &str, error: &dyn std::error::Error) -> Self {
        Self::Core {
            name: name.to_owned(),
            reason: host::described(error),
        }
    }
}
