//! A token bucket in integers.

use khlong_crdt::time::Monotonic;

/// `burst` at once, `per_second` in the long run.
#[derive(Debug)]
pub(super) struct Bucket {
    burst: u32,
    per_second: u32,
    /// Thousandths of a token.
    millitokens: u64,
    filled_at: Monotonic,
}

impl Bucket {
    pub(super) fn full(burst: u32, per_second: u32, now: Monotonic) -> Self {
        Self {
            burst,
            per_second,
            millitokens: u64::from(burst) * 1_000,
            filled_at: now,
        }
    }

    /// One token, if there is one.
    pub(super) fn take(&mut self, now: Monotonic) -> bool {
        self.take_many(now, 1)
    }

    /// So many tokens, or none.
    pub(super) fn take_many(&mut self, now: Monotonic, tokens: usize) -> bool {
        let passed_ms = now.since_ms(self.filled_at);
        if passed_ms > 0 {
            // What is less than a millisecond stays for the next time.
            self.filled_at = self.filled_at.after_ms(passed_ms);
            let earned = passed_ms.saturating_mul(u64::from(self.per_second));
            self.millitokens = self
                .millitokens
                .saturating_add(earned)
                .min(u64::from(self.burst) * 1_000);
        }
        let cost = (tokens as u64).saturating_mul(1_000);
        match self.millitokens.checked_sub(cost) {
            Some(rest) => {
                self.millitokens = rest;
                true
            }
            None => false,
        }
    }
}
