//! One timeline at two relays.

mod failover;
mod people;
mod world;
