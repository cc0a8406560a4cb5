//! The gateway: the one part of Khlong that holds what needs an authority.
//!
//! [`kernel`] is the one writer, [`domains`] hold what it decides about.

pub mod domains;
pub mod kernel;
