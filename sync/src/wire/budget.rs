//! One pass over the keys of a frame before anything of it is decoded.
//!
//! Why: 2 MiB of empty list entries would decode to a list of a million
//! structs. The pass allocates nothing, and bounds what decoding may allocate:
//! only bodies, and the further answers of an ack, have repeated fields, so it is
//! enough to count the keys of these.

use super::WireError;
use crate::limits::{FRAME_FIELDS_MAX, FRAME_OUTER_FIELDS_MAX, TRACE_CONTEXT_BYTES_MAX};

/// Number of the trace context in a frame.
const TRACE_CONTEXT: u32 = 64;
/// The one field with a list inside: `Ack.further`, as body and field number.
const ACK_FURTHER: (u32, u32) = (15, 4);

/// What the pass found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outline {
    /// Field number of the body.
    pub(super) body: u32,
}

/// Checks that `frame` has one body with a bounded number of fields.
pub(super) fn outline(frame: &[u8]) -> Result<Outline, WireError> {
    let mut rest = frame;
    let mut body = None;
    for _ in 0..FRAME_OUTER_FIELDS_MAX {
        let Some(field) = next_field(&mut rest)? else {
            return body.map(|body| Outline { body }).ok_or(WireError::NoBody);
        };
        match (field.number, field.content) {
            (TRACE_CONTEXT, Some(content)) if content.len() <= TRACE_CONTEXT_BYTES_MAX => {}
            (TRACE_CONTEXT, Some(_)) => {
                return Err(WireError::TooLong {
                    field: "trace_context",
                });
            }
            (number, Some(content)) => {
                if body.replace(number).is_some() {
                    return Err(WireError::Invalid { field: "body" });
                }
                count(content, number)?;
            }
            (_, None) => {}
        }
    }
    Err(WireError::TooMany { field: "frame" })
}

fn count(body: &[u8], number: u32) -> Result<(), WireError> {
    // Frames of a later version are skipped unread.
    if number > super::convert::BODY_NUMBER_MAX {
        return Ok(());
    }
    let (mut rest, mut left) = (body, FRAME_FIELDS_MAX);
    while let Some(field) = next_field(&mut rest)? {
        spend(&mut left)?;
        if (number, field.number) == ACK_FURTHER {
            let mut inside = field.content.unwrap_or_default();
            while next_field(&mut inside)?.is_some() {
                spend(&mut left)?;
            }
        }
    }
    Ok(())
}

fn spend(left: &mut usize) -> Result<(), WireError> {
    *left = left
        .checked_sub(1)
        .ok_or(WireError::TooMany { field: "body" })?;
    Ok(())
}

struct Field<'f> {
    number: u32,
    content: Option<&'f [u8]>,
}

fn next_field<'f>(rest: &mut &'f [u8]) -> Result<Option<Field<'f>>, WireError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let key = varint(rest)?;
    let number = u32::try_from(key >> 3).map_err(|_| WireError::Undecodable)?;
    let content = match key & 7 {
        0 => {
            varint(rest)?;
            None
        }
        1 => {
            take(rest, 8)?;
            None
        }
        2 => {
            let bytes = usize::try_from(varint(rest)?).map_err(|_| WireError::Undecodable)?;
            Some(take(rest, bytes)?)
        }
        5 => {
            take(rest, 4)?;
            None
        }
        _ => return Err(WireError::Undecodable),
    };
    if number == 0 {
        return Err(WireError::Undecodable);
    }
    Ok(Some(Field { number, content }))
}

fn take<'f>(rest: &mut &'f [u8], bytes: usize) -> Result<&'f [u8], WireError> {
    let (taken, after) = rest.split_at_checked(bytes).ok_or(WireError::Undecodable)?;
    *rest = after;
    Ok(taken)
}

/// At most 10 bytes, as protobuf has it.
fn varint(rest: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(WireError::Undecodable)?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(WireError::Undecodable);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(WireError::Undecodable)
}
