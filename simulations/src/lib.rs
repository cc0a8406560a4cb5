//! The real node, relay and gateway under a virtual clock.
//!
//! | part | what |
//! |---|---|
//! | [`kernel`] | event queue, randomness by name, trace hash |
//! | [`plan`], [`results`] | what goes into a run and what comes out, the same for every protocol |
//! | [`actors`] | the real node and relay on imaginary disks and wires |
//! | [`mod@bench`] | how fast it is, how much memory it takes |
//! | [`calibrate`] | both fidelities of links on the same plans |
//! | [`fuzz`] | the search for bugs: many seeds under faults |
//! | [`links`] | rate, delay, loss |
//! | [`mobility`] | who meets whom |
//! | [`runs`], [`protocols`] | replications of a scenario, and who executes which protocol |
//! | [`quic`] | links as real QUIC, to calibrate links as frames |
//! | [`output`], [`report`] | a run folder that explains itself, and a page to look at |
//! | [`routing`] | protocols of the literature, to compare with |
//! | [`scenario`] | a TOML file and a seed give a plan |
//! | [`statistics`] | means with intervals, censored delays |
//! | [`validate`] | numbers known beforehand, and whether they come out |
//!
//! Nobody imports this crate. It drives the sans-IO cores of node, relay and gateway (the
//! same types that the binaries run) and never a model of them.

pub mod actors;
pub mod bench;
pub mod calibrate;
pub mod cli;
pub mod error;
pub mod fuzz;
pub mod kernel;
pub mod links;
pub mod mobility;
pub mod output;
pub mod plan;
pub mod protocols;
pub mod quic;
pub mod report;
pub mod results;
pub mod routing;
pub mod runs;
pub mod scenario;
pub mod statistics;
pub mod units;
pub mod validate;
