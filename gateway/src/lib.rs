//! The gateway: the one part of Khlong that holds what needs an authority.
//!
//! [`kernel`] is the one writer, [`domains`] hold what it decides about; [`cli`] is what a person types.

pub mod cli;
pub mod domains;
pub mod kernel;
