//! What must not stand in a log.
//!
//! Errors travel far before somebody shows them, so what they carry hides itself: an id
//! of a timeline or an author in a relay's log tells who talked with whom.

use std::fmt;

/// A value that `Debug` and `Display` do not show.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Hides it.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Named so that each place that shows it is found by its name.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad("(redacted)")
    }
}
