//! One timeline at several relays.

mod admission;
mod failover;
mod leaving;
mod moving;
mod people;
mod world;
