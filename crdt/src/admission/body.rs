//! The body of an auth-op: a counted list of clear ops, then the sealed part.

use std::ops::Range;

use super::{AdmissionError, ClearOp};
use crate::limits::OPS_PER_ENVELOPE_MAX;
use crate::reader::Reader;

const VERSION: u8 = 1;

/// The body of an auth-op: `clear length u32 ‖ clear ops ‖ sealed part`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthBody {
    /// In the order of the bytes.
    pub ops: Vec<ClearOp>,
    /// Where the clear part lies, its length included: authenticated with the sealed part.
    pub clear: Range<usize>,
    /// Where the sealed part lies; empty when there is none.
    pub sealed: Range<usize>,
}

impl AuthBody {
    /// The clear part, its length included: what is authenticated with the sealed part.
    ///
    /// # Errors
    /// [`AdmissionError::TooManyOps`], [`AdmissionError::TooManyCuts`].
    pub fn encode_clear(ops: &[ClearOp]) -> Result<Vec<u8>, AdmissionError> {
        let count = u8::try_from(ops.len())
            .ok()
            .filter(|_| (1..=OPS_PER_ENVELOPE_MAX).contains(&ops.len()))
            .ok_or(AdmissionError::TooManyOps(ops.len()))?;
        let mut clear = vec![VERSION, count];
        for op in ops {
            let (tag, payload) = op.payload()?;
            let length = u16::try_from(payload.len()).map_err(|_| AdmissionError::Malformed)?;
            clear.push(tag);
            clear.extend_from_slice(&length.to_be_bytes());
            clear.extend_from_slice(&payload);
        }
        let length = u32::try_from(clear.len()).map_err(|_| AdmissionError::Malformed)?;
        Ok([&length.to_be_bytes()[..], &clear].concat())
    }

    /// Clear and sealed part together.
    ///
    /// # Errors
    /// As [`Self::encode_clear`].
    pub fn encode(ops: &[ClearOp], sealed: &[u8]) -> Result<Vec<u8>, AdmissionError> {
        let mut body = Self::encode_clear(ops)?;
        body.extend_from_slice(sealed);
        Ok(body)
    }

    /// Reads the clear part; the sealed part may be any bytes.
    ///
    /// # Errors
    /// [`AdmissionError`] names what is wrong with the clear part.
    pub fn decode(body: &[u8]) -> Result<Self, AdmissionError> {
        let mut reader = Reader::new(body);
        let length = reader.u32()? as usize;
        let mut clear = Reader::new(reader.take(length)?);
        if clear.u8()? != VERSION {
            return Err(AdmissionError::UnknownValue);
        }
        let count = usize::from(clear.u8()?);
        if !(1..=OPS_PER_ENVELOPE_MAX).contains(&count) {
            return Err(AdmissionError::TooManyOps(count));
        }
        let mut ops = Vec::with_capacity(count);
        for _ in 0..count {
            let tag = clear.u8()?;
            let length = usize::from(clear.u16()?);
            ops.push(ClearOp::read(tag, clear.take(length)?)?);
        }
        if clear.remaining() != 0 {
            return Err(AdmissionError::Malformed);
        }
        let end = 4 + length;
        Ok(Self {
            ops,
            clear: 0..end,
            sealed: end..body.len(),
        })
    }
}
