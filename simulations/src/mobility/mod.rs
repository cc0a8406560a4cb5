//! Who is where, and so who meets whom.
//!
//! A model gives each machine a way: pieces of straight movement. Two machines
//! are in contact while they are within range of each other; begin and end are
//! solved exactly from the pieces, not sampled. Recorded traces and timetables
//! give contacts directly.

pub mod spec;
