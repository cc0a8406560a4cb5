//! One timeline at several relays.

mod admission;
mod failover;
mod full;
mod leaving;
mod moving;
mod people;
mod remembered;
mod served;
mod together;
mod world;
