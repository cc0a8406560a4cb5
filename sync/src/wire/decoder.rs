//! Frames out of the bytes of one stream.

use khlong_crdt::time::Monotonic;

use super::WireError;
use crate::limits::{
    FRAME_BYTES_MAX, FRAME_LENGTH_BYTES, PARTIAL_FRAME_BYTES_PER_SECOND_MIN,
    PARTIAL_FRAME_TIMEOUT_MS,
};

/// Cuts a stream into frames; one for each stream.
///
/// Give it bytes as they come ([`Decoder::push`]) and take frames out until there
/// is none ([`Decoder::next_frame`]). It keeps at most one frame and what one push
/// brought beyond it, and it allocates for bytes that came, never for a length
/// that was only announced. After an error the stream is dead.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes of `buffer` that were already given out.
    taken: usize,
    /// When the frame that is incomplete now began.
    began: Option<Monotonic>,
}

impl Decoder {
    /// For a new stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the stream gave.
    ///
    /// # Errors
    /// [`WireError::Oversize`] as soon as the length is known.
    pub fn push(&mut self, now: Monotonic, bytes: &[u8]) -> Result<(), WireError> {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.buffer.is_empty() {
            self.began = Some(now);
        }
        self.buffer.extend_from_slice(bytes);
        self.announced().map(|_| ())
    }

    /// The next whole frame, without its length.
    ///
    /// # Errors
    /// [`WireError::Oversize`].
    pub fn next_frame(&mut self, now: Monotonic) -> Result<Option<&[u8]>, WireError> {
        let Some(length) = self.announced()? else {
            return Ok(None);
        };
        let begin = self.taken + FRAME_LENGTH_BYTES;
        let end = begin + length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        self.taken = end;
        // The next frame begins now, if it has begun.
        self.began = (self.buffer.len() > end).then_some(now);
        Ok(self.buffer.get(begin..end))
    }

    /// When the frame that is incomplete now is late: 30 s, and longer for a frame whose
    /// bytes keep coming at 1 KiB/s or more. A drip of bytes does not move it noticeably.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let began = self.began?;
        let pending = self.pending() as u64;
        let earned_ms = pending.saturating_mul(1_000) / PARTIAL_FRAME_BYTES_PER_SECOND_MIN;
        Some(began.after_ms(PARTIAL_FRAME_TIMEOUT_MS).after_ms(earned_ms))
    }

    /// To call when the deadline may have passed.
    ///
    /// # Errors
    /// [`WireError::Slow`]: close the connection with its code.
    pub fn check_deadline(&self, now: Monotonic) -> Result<(), WireError> {
        match self.next_deadline() {
            Some(deadline) if deadline <= now => Err(WireError::Slow {
                received: self.pending(),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// To call when the stream has ended.
    ///
    /// # Errors
    /// [`WireError::Truncated`] inside a frame.
    pub fn finish(&self) -> Result<(), WireError> {
        match self.pending() {
            0 => Ok(()),
            received => Err(WireError::Truncated { received }),
        }
    }

    /// Bytes of an incomplete frame, its length included.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.taken
    }

    fn announced(&self) -> Result<Option<usize>, WireError> {
        let pending = self.buffer.get(self.taken..).unwrap_or_default();
        let Some(length) = pending.first_chunk::<FRAME_LENGTH_BYTES>() else {
            return Ok(None);
        };
        let bytes = u32::from_be_bytes(*length);
        match usize::try_from(bytes) {
            Ok(length) if length <= FRAME_BYTES_MAX => Ok(Some(length)),
            Ok(_) | Err(_) => Err(WireError::Oversize {
                bytes: u64::from(bytes),
            }),
        }
    }
}
