//! Two relays for one timeline.

mod failover;
mod moving;
mod people;
mod world;
