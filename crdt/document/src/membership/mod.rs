//! Membership: how a timeline begins, who can read it, and how someone joins.
//!
//! | part | what |
//! |---|---|
//! | [`opening`] | the first three envelopes of a timeline |
//! | [`manifest`], [`mint`] | a new epoch key and what it promises |
//! | [`key_op`] | manifest and wraps, as they travel |
//! | [`merkle`] | one wrap or recipient, proved without the others |
//! | [`joining`] | from an invite to a principal of one's own |
//! | [`role`] | the sealed part of auth-ops: who is what |
//!
//! Clear rights (admission) protect a relay's disk; roles and epochs, which a relay
//! cannot see, decide what members believe and read.

pub mod joining;
pub mod key_op;
pub mod manifest;
pub mod merkle;
pub mod mint;
pub mod opening;
pub mod role;
pub mod secrets;
