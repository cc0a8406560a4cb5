//! Routing protocols of the literature, on the same plans as the real node and relay.
//!
//! The unit is a bundle: a message that one machine hands to another as a whole.
//! One executor moves bundles over contacts; what a protocol decides is only
//! whether a machine that holds a bundle hands it to a machine that does not.
//! Which of both holds what (summary vectors) is known free of charge, as in the
//! ONE simulator, so control traffic is not in the figures of these protocols.
//!
//! | part | what |
//! |---|---|
//! | [`Router`] | the protocols and their one decision |
//! | [`prophet`] | PRoPHET's delivery predictabilities |
//! | [`executor`] | the event loop over `state`; `contacts` beside it: what begins and is cut off; `bundles`: transfers, buffers, deliveries |
//! | [`check`] | whether a plan can be executed |
//! | [`summary`] | the terms of the ONE's `MessageStatsReport` |
//!
//! A message to a timeline is delivered to each of its members but the writer.
//! With one receiver, delivery consumes the bundle, as in the ONE: the receiver
//! keeps no copy. With several, a receiver also carries it on for the others, if
//! the protocol would have given it a copy anyway.

mod bits;
mod buffer;
mod bundles;
pub mod check;
mod contacts;
pub mod executor;
pub mod prophet;
mod state;
pub mod summary;

use crate::units::{Size, Span};

pub use executor::run;
use prophet::Parameters;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Router {
    /// The writer itself hands the bundle to the receiver.
    Direct,
    /// Everybody copies to everybody who has no copy (A. Vahdat, D. Becker, 2000). No recovery:
    /// a delivered bundle goes on spreading until it expires, as in the ONE.
    Epidemic,
    /// The writer copies to everybody, the others hand it to the receiver only
    /// (M. Grossglauser, D. Tse, 2002).
    TwoHop,
    /// The writer gives one of `copies` copies to each of the first that it meets and keeps one;
    /// then all wait for the receiver (T. Spyropoulos, K. Psounis, C. Raghavendra, 2005).
    SourceSpray {
        /// Machines that hold a copy in the end, the writer included.
        copies: u32,
    },
    /// The same, but whoever has more than one copy hands over half of them, rounded down.
    BinarySpray {
        /// Machines that hold a copy in the end, the writer included.
        copies: u32,
    },
    /// Copies to whoever is likelier to deliver (RFC 6693, forwarding strategy GRTR). Two machines
    /// compare when their contact begins and after each transfer, not while it stands idle.
    Prophet(Parameters),
}

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
struct Given {
    /// The holder wrote the bundle.
    writer: bool,
    /// Copies that the holder may still give away, its own included.
    copies: u32,
}

impl Router {
    /// For tables and file names: `direct`, `epidemic`, `two-hop`, `source-spray-8`, `binary-spray-8`, `prophet`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Direct => "direct".to_owned(),
            Self::Epidemic => "epidemic".to_owned(),
            Self::TwoHop => "two-hop".to_owned(),
            Self::SourceSpray { copies } => format!("source-spray-{copies}"),
            Self::BinarySpray { copies } => format!("binary-spray-{copies}"),
            Self::Prophet(_) => "prophet".to_owned(),
        }
    }

    /// Copies that a writer begins with.
    const fn copies(&self) -> u32 {
        match self {
            Self::SourceSpray { copies } | Self::BinarySpray { copies } => *copies,
            Self::Direct | Self::Epidemic | Self::TwoHop | Self::Prophet(_) => 1,
        }
    }

    /// Copies that go to a machine that is no receiver; `None` = it gets none. `likelier` is
    /// asked by PRoPHET only: whether the other one is likelier to deliver.
    fn gives(&self, given: Given, likelier: impl FnOnce() -> bool) -> Option<u32> {
        match self {
            Self::Direct => None,
            Self::Epidemic => Some(0),
            Self::TwoHop => given.writer.then_some(0),
            Self::SourceSpray { .. } => (given.writer && given.copies > 1).then_some(1),
            Self::BinarySpray { .. } => (given.copies > 1).then_some(given.copies / 2),
            Self::Prophet(_) => likelier().then_some(0),
        }
    }
}

/// How long a bundle takes over a contact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transfer {
    /// As the plan's links say: set-up, rate, propagation, jitter, loss, packets' headers.
    #[default]
    Links,
    /// Size over the link's rate and nothing else: the ONE.
    Bare,
    /// No time: theory.
    Instant,
}

/// Which of several bundles goes first; those for the other machine itself come before all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The one that the holder has had longest.
    #[default]
    Fifo,
    /// Drawn from the holder's stream: the ONE's default.
    Random,
}

/// The world that bundles move in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How long a bundle takes over a contact.
    pub transfer: Transfer,
    /// A machine takes part in one transfer at a time, sending or receiving, over all its
    /// contacts: the ONE. Otherwise in one for each direction of each contact.
    pub one_transfer_a_machine: bool,
    /// Which bundle goes first.
    pub order: Order,
    /// What a machine can hold, its own messages included; absent = everything. When it is full,
    /// the bundle that it received longest ago goes first, but for those being sent. It may be
    /// offered and taken again later, as in the ONE; with [`Transfer::Instant`] it is not.
    pub buffer: Option<Size>,
    /// From writing to dropping everywhere; absent = for ever.
    pub ttl: Option<Span>,
    /// Between two samples of occupancy; zero = none.
    pub sample_every: Span,
    /// Whether to list what happened.
    pub happenings: bool,
}
