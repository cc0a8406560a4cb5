//! One timeline at several relays.

mod admission;
mod failover;
mod people;
mod world;
