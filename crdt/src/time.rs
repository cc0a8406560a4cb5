//! Times as plain arguments. Cores read no clock: a driver or a simulator passes [`Now`].

/// Milliseconds since 1970-01-01 UTC, as some wall clock saw it. Never decides order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The number of milliseconds.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// This date plus `milliseconds`, stopping at the end of the range.
    #[must_use]
    pub const fn after_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add_unsigned(milliseconds))
    }
}

/// Microseconds since some start of this process (or of a simulation). Only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// The number of microseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This instant plus `milliseconds`, stopping at the end of the range.
    #[must_use]
    pub const fn after_ms(self, milliseconds: u64) -> Self {
        self.after_micros(milliseconds.saturating_mul(1000))
    }

    /// This instant plus `microseconds`, stopping at the end of the range.
    #[must_use]
    pub const fn after_micros(self, microseconds: u64) -> Self {
        Self(self.0.saturating_add(microseconds))
    }

    /// Microseconds from `earlier` to this instant; 0 if it is not earlier.
    #[must_use]
    pub const fn since_micros(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole milliseconds from `earlier` to this instant; 0 if it is not earlier.
    #[must_use]
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.since_micros(earlier) / 1000
    }
}

/// Both clocks at one moment: the monotonic one for timers, the wall for dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For deadlines.
    pub monotonic: Monotonic,
    /// For receipt dates and expiry.
    pub wall: UnixMillis,
}
