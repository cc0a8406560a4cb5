//! The gateway: the one part of Khlong that holds what needs an authority.
//!
//! [`domains`] hold what it decides about.

pub mod domains;
