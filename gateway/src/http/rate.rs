//! How much one key may ask: a token bucket each. The time is an argument.

use khlong_crdt::time::Monotonic;

const MINUTE_MICROS: u64 = 60_000_000;

/// A bucket that holds a minute's worth of requests and is filled evenly.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    per_minute: u32,
    /// In parts of a request: `MINUTE_MICROS` of them are one.
    parts: u64,
    filled_at: Monotonic,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn new(per_minute: u32, now: Monotonic) -> Self {
        Self {
            per_minute,
            parts: u64::from(per_minute) * MINUTE_MICROS,
            filled_at: now,
        }
    }

    /// Takes one request out.
    ///
    /// # Errors
    /// If there is none: after how many seconds there is, at least 1.
    pub fn take(&mut self, now: Monotonic) -> Result<(), u64> {
        let full = u64::from(self.per_minute) * MINUTE_MICROS;
        let passed = now.since_micros(self.filled_at).min(MINUTE_MICROS);
        self.parts = full.min(self.parts + passed * u64::from(self.per_minute));
        self.filled_at = self.filled_at.max(now);
        match self.parts.checked_sub(MINUTE_MICROS) {
            Some(left) => {
                self.parts = left;
                Ok(())
            }
            None => {
                let missing = MINUTE_MICROS - self.parts;
                let micros = missing.div_ceil(u64::from(self.per_minute.max(1)));
                Err(micros.div_ceil(1_000_000).max(1))
            }
        }
    }
}
