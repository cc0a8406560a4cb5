//! Everything that is kept: typed tables on RocksDB, and the same on memory with
//! injected faults.
//!
//! The store keeps promises, so that cores can make them: what a synced commit
//! wrote is there after loss of power ([`store::Store::commit`]); a start-up
//! that finds less than was promised refuses ([`side_file`]); damaged bytes are a
//! typed error that names the row ([`record`]); nothing is written when the disk
//! is nearly full, and everything goes on when it no longer is.
//!
//! Read in this order: [`engine`] (the border), [`batch`] (what a core writes to),
//! [`catalog`] (every table), [`tables`] (what rows mean), [`store`] (start-up and
//! commit). `KEYSPACE.md` is the specification of the bytes.

pub mod backup;
pub mod batch;
mod cache;
pub mod catalog;
pub mod engine;
pub mod error;
pub mod folder;
pub mod identity;
pub mod journal;
pub mod key;
pub mod limits;
pub mod migrate;
pub mod peek;
pub mod record;
mod replica;
pub mod rows;
pub mod secret_file;
pub mod side_file;
pub mod store;
pub mod table;
pub mod tables;
pub mod write_set;
