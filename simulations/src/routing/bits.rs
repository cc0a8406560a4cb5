//! A set of messages, a bit each: comparing what two machines hold is the inner loop.

#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    pub(super) fn for_messages(count: usize) -> Self {
        Self {
            words: vec![0; count.div_ceil(64)],
        }
    }

    pub(super) fn set(&mut self, message: u32, to: bool) {
        if let Some(word) = self.words.get_mut(message as usize / 64) {
            let bit = 1 << (message % 64);
            if to { *word |= bit } else { *word &= !bit }
        }
    }

    pub(super) fn has(&self, message: u32) -> bool {
        self.words
            .get(message as usize / 64)
            .is_some_and(|word| word >> (message % 64) & 1 == 1)
    }

    /// Whether something of `self` is in neither `one` nor `other`.
    pub(super) fn exceeds(&self, one: &Self, other: &Self) -> bool {
        let words = self.words.iter().zip(&one.words).zip(&other.words);
        words
            .into_iter()
            .any(|((held, one), other)| held & !one & !other != 0)
    }
}
