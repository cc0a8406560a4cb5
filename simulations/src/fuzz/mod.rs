//! The search for bugs: many seeds, each another world and another way to torment it.
//!
//! A seed gives an explicit plan ([`plan`], [`generate`]), a run carries it out
//! under faults and then heals everything ([`run`]); [`checkers`] look at the
//! wires, at the disks and at what people see. A failure is made smaller by leaving out
//! steps ([`shrink`]) and written as a file that [`run::replay`] runs again.
//!
//! There are two kinds of plans ([`workload`]): those of nodes and relays ([`messages`]), and
//! those of gateways, whose clients move money ([`ledger`]).
//!
//! Faults prove that they fired: each run counts what took effect, and a batch
//! in which one kind never did has failed.

pub mod batch;
pub mod checkers;
pub mod generate;
pub mod ledger;
mod log;
pub mod messages;
pub mod plan;
pub mod rogue;
pub mod run;
pub mod shrink;
pub mod workload;
