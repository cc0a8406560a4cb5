//! Frames as bytes. The only place that knows protobuf.
//!
//! [`decode`] checks every limit and verifies every envelope strictly: it costs
//! time and needs no state, so a driver calls it on the task that reads the
//! socket, never in a core.

mod budget;
pub mod code;
mod convert;
pub mod decoder;
pub mod frame;
pub mod lane;
pub mod shadow;

use khlong_crdt::envelope::{EnvelopeError, VerifiedEnvelope};
use prost::Message;
use prost::bytes::Bytes;

use self::code::ErrorCode;
use self::convert::Context;
use self::frame::Frame;
use self::shadow::{ShadowError, ShadowReader};
use crate::limits::{FRAME_BYTES_MAX, FRAME_LENGTH_BYTES};

/// Bytes that are no frame of this protocol.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The length before a frame is over the limit. Nothing was allocated for it.
    #[error("a frame of {bytes} bytes was announced; at most {FRAME_BYTES_MAX} are allowed")]
    Oversize {
        /// As announced.
        bytes: u64,
    },
    /// Not protobuf.
    #[error("the frame is not valid protobuf; the peer is broken or speaks another protocol")]
    Undecodable,
    /// A frame without a body.
    #[error("the frame has no body")]
    NoBody,
    /// A field is missing.
    #[error("field `{field}` is missing")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// A field has a value that it cannot have.
    #[error("field `{field}` has a value that it cannot have")]
    Invalid {
        /// Which.
        field: &'static str,
    },
    /// A field is too long.
    #[error("field `{field}` is longer than the protocol allows")]
    TooLong {
        /// Which.
        field: &'static str,
    },
    /// A list is too long.
    #[error("`{field}` holds more entries than the protocol allows")]
    TooMany {
        /// Which.
        field: &'static str,
    },
    /// An envelope does not verify.
    #[error("envelope {index} of the frame does not verify")]
    Envelope {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: EnvelopeError,
    },
    /// Bytes that are no packed envelope.
    #[error("envelope {index} of the frame cannot be unpacked")]
    Shadow {
        /// Which, from 0.
        index: usize,
        /// Why.
        source: ShadowError,
    },
    /// A frame came too slowly.
    #[error("a frame did not arrive in time; {received} bytes of it came")]
    Slow {
        /// So far.
        received: usize,
    },
    /// A stream ended inside a frame.
    #[error("the stream ended inside a frame, after {received} bytes of it")]
    Truncated {
        /// So far.
        received: usize,
    },
}

impl WireError {
    /// What the peer is told before the connection closes.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Oversize { .. } | Self::TooLong { .. } | Self::TooMany { .. } => {
                ErrorCode::LimitExceeded
            }
            Self::Undecodable
            | Self::NoBody
            | Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::Shadow { .. }
            | Self::Truncated { .. } => ErrorCode::Malformed,
            Self::Envelope { .. } => ErrorCode::InvalidEnvelope,
            Self::Slow { .. } => ErrorCode::SlowFrame,
        }
    }
}

/// Makes an envelope of received bytes, or says what is wrong with them.
///
/// [`decode`] takes [`VerifiedEnvelope::verify`]. Whoever already holds some envelopes
/// verified may compare the bytes with those instead, which costs less than a signature.
pub type EnvelopeCheck = dyn Fn(&[u8]) -> Result<VerifiedEnvelope, EnvelopeError> + Send + Sync;

/// A frame of version 1 without its length; of a connection see [`lane::LaneDecoder`].
///
/// # Errors
/// Anything that `PROTOCOL.md` does not allow; all are fatal for the connection.
pub fn decode(bytes: &[u8]) -> Result<Frame, WireError> {
    decode_with(bytes, &verify)
}

/// [`VerifiedEnvelope::verify`], as an [`EnvelopeCheck`].
///
/// # Errors
/// [`EnvelopeError`].
pub fn verify(bytes: &[u8]) -> Result<VerifiedEnvelope, EnvelopeError> {
    VerifiedEnvelope::verify(bytes)
}

/// As [`decode`], with another check of the envelopes.
///
/// # Errors
/// As [`decode`].
pub fn decode_with(bytes: &[u8], check: &EnvelopeCheck) -> Result<Frame, WireError> {
    let mut slots = ShadowReader::new();
    read(
        bytes,
        &mut Context {
            terms: None,
            slots: &mut slots,
            check,
        },
    )
}

fn read(bytes: &[u8], context: &mut Context<'_>) -> Result<Frame, WireError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(WireError::Oversize {
            bytes: bytes.len() as u64,
        });
    }
    let outline = budget::outline(bytes)?;
    if outline.body > convert::BODY_NUMBER_MAX {
        return Ok(Frame::Unknown(outline.body));
    }
    let frame = convert::pb::Frame::decode(Bytes::copy_from_slice(bytes))
        .map_err(|_| WireError::Undecodable)?;
    Frame::from_wire(frame, context)
}

/// A frame of version 1 without its length: what [`decode`] reads.
///
/// # Panics
/// If the frame is over a limit: frames are built by sessions, which keep them.
#[must_use]
pub fn encode(frame: &Frame) -> Vec<u8> {
    write(&convert::pb::Frame::from(frame))
}

fn write(message: &convert::pb::Frame) -> Vec<u8> {
    let bytes = message.encode_to_vec();
    assert!(
        bytes.len() <= FRAME_BYTES_MAX,
        "a session built a frame of {} bytes",
        bytes.len()
    );
    bytes
}

/// A frame of version 1 with its length: what a stream carries.
///
/// # Panics
/// As [`encode`].
#[must_use]
pub fn encode_framed(frame: &Frame) -> Vec<u8> {
    write_framed(&convert::pb::Frame::from(frame))
}

fn write_framed(message: &convert::pb::Frame) -> Vec<u8> {
    let bytes = message.encoded_len();
    assert!(
        bytes <= FRAME_BYTES_MAX,
        "a session built a frame of {bytes} bytes"
    );
    let mut framed = Vec::with_capacity(FRAME_LENGTH_BYTES + bytes);
    let length = u32::try_from(bytes).expect("asserted: FRAME_BYTES_MAX fits in 32 bits");
    framed.extend_from_slice(&length.to_be_bytes());
    message.encode(&mut framed).expect("a vector grows");
    framed
}
