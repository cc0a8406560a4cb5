//! The client: everything of a node but the decisions of the layers below.
//!
//! [`peer`] decides and does no I/O; [`folder`] keeps one with its keys on a disk;
//! [`node`] drives it on a thread of its own and moves frames; [`daemon`] offers a
//! node through a socket; [`doctor`] says what is wrong with a set-up; [`search`] finds
//! messages in a view beside the store; [`cli`] is the program `khlong`, [`tui`] what its
//! full-screen client shows. All of them speak [`api`]. A simulator drives [`peer`] itself,
//! on a store in memory.

pub mod api;
pub mod backup;
pub mod cli;
pub mod daemon;
pub mod doctor;
pub mod error;
pub mod folder;
pub mod import;
mod link;
pub mod node;
pub mod peer;
pub mod search;
mod shown;
pub mod tui;
