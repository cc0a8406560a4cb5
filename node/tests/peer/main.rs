//! The sans-IO peer in virtual time: on imaginary disks, no file, no clock, no socket.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod border;
mod disk;
