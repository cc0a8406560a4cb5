//! One timeline at several relays.

mod admission;
mod failover;
mod moving;
mod people;
mod world;
