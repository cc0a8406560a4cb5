//! What leaves the gateway: which notice is due when, in virtual time; and sent for real, to
//! servers on ports of this machine.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../books/office.rs"]
#[allow(dead_code, reason = "the books' own tests use the rest")]
mod office;
#[path = "../support/until.rs"]
mod until;

mod killed;
mod leader;
mod message;
mod receiver;
mod schedule;
mod send;
mod sender;
mod tls;
