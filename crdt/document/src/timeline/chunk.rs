//! Reads one Automerge change chunk, under limits, before Automerge sees it, if it is asked at all.
//!
//! Why not `automerge::Change::decode`: a few bytes of run-length can claim 2^60
//! operations or an actor that is not in the table, and then it loops or panics.
//! Here every count is checked first. Source: the Automerge binary format,
//! "Change Chunk" and "Operation columns".

use khlong_crdt::id::AuthorKey;
use sha2::{Digest as _, Sha256};

use super::limits::{
    CHANGE_ACTORS_MAX, CHANGE_BYTES_MAX, CHANGE_DEPS_MAX, CHANGE_OPS_MAX, OP_COUNTER_MAX,
    VALUE_BYTES_MAX,
};

pub(super) const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// Of the hash, behind [`MAGIC`].
const CHECKSUM_BYTES: usize = 4;
pub(super) const CHANGE_CHUNK: u8 = 1;

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Longer than [`CHANGE_BYTES_MAX`].
    #[error("the change is longer than {CHANGE_BYTES_MAX} bytes")]
    TooLong,
    /// Not an uncompressed change chunk.
    #[error("the bytes are not an uncompressed Automerge change")]
    NotAChange,
    /// Ends early, or carries something behind its end.
    #[error("the change is truncated or malformed")]
    Malformed,
    /// More operations, dependencies, actors or a longer value than allowed.
    #[error("the change exceeds a limit of the document format")]
    Limit,
    /// A column that no entry needs: predecessors, marks, compressed columns.
    #[error("the change uses a column that timelines do not use")]
    Column,
}

/// A scalar value as it stands in the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool(bool),
    Uint(u64),
    Int(i64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    /// Null, floats, counters and types of later versions: kept, not read.
    Other,
}

/// The key of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChunkKey<'a> {
    Field(&'a str),
    Head,
    Element { counter: u64, actor: usize },
}

/// One operation; actors are places in [`Chunk::actors`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChunkOp<'a> {
    /// None is the root.
    pub(crate) object: Option<(u64, usize)>,
    pub(crate) key: ChunkKey<'a>,
    pub(crate) insert: bool,
    pub(crate) action: u64,
    pub(crate) value: Scalar,
}

/// A decoded change.
#[derive(Debug)]
pub(crate) struct Chunk<'a> {
    /// What the bytes say; to be compared with the first ones of their hash.
    pub(crate) checksum: [u8; CHECKSUM_BYTES],
    pub(crate) dependencies: Vec<[u8; 32]>,
    /// The writer first, then others; None is a key of another length.
    pub(crate) actors: Vec<Option<AuthorKey>>,
    pub(crate) seq: u64,
    pub(crate) start_op: u64,
    pub(crate) ops: Vec<ChunkOp<'a>>,
    /// Neither a commit message nor trailing bytes.
    pub(crate) plain: bool,
}

impl Chunk<'_> {
    /// The counter of its last operation.
    pub(crate) fn max_op(&self) -> u64 {
        self.start_op + (self.ops.len() as u64).saturating_sub(1)
    }
}

/// The hash of a change: SHA-256 of type, length and content, which is all behind magic and
/// checksum.
pub(crate) fn hash_of(change: &[u8]) -> [u8; 32] {
    let hashed = change.get(MAGIC.len() + CHECKSUM_BYTES..);
    Sha256::digest(hashed.unwrap_or_default()).into()
}

/// Decodes `bytes`, which must be exactly one change.
pub(crate) fn decode(bytes: &[u8]) -> Result<Chunk<'_>, ChunkError> {
    if bytes.len() > CHANGE_BYTES_MAX {
        return Err(ChunkError::TooLong);
    }
    let mut input = Bytes(bytes);
    if input.take(MAGIC.len())? != MAGIC {
        return Err(ChunkError::NotAChange);
    }
    let checksum = input.array()?;
    if input.take(1)? != [CHANGE_CHUNK] {
        return Err(ChunkError::NotAChange);
    }
    let length = input.length()?;
    if length != input.0.len() {
        return Err(ChunkError::Malformed);
    }
    let dependencies = (0..input.count(CHANGE_DEPS_MAX)?)
        .map(|_| input.array())
        .collect::<Result<Vec<_>, _>>()?;
    let mut actors = vec![input.actor()?];
    let seq = input.unsigned()?;
    let start_op = input.unsigned()?;
    let _time = input.signed()?;
    let message_bytes = input.length()?;
    let message = input.take(message_bytes)?;
    for _ in 0..input.count(CHANGE_ACTORS_MAX)? {
        actors.push(input.actor()?);
    }
    let columns = Columns::read(&mut input)?;
    let ops = columns.ops(actors.len())?;
    if start_op == 0 || start_op > OP_COUNTER_MAX - CHANGE_OPS_MAX as u64 {
        return Err(ChunkError::Limit);
    }
    Ok(Chunk {
        checksum,
        dependencies,
        actors,
        seq,
        start_op,
        ops,
        plain: message.is_empty() && input.0.is_empty(),
    })
}

/// Walks over the input; every length is compared with what is left.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], ChunkError> {
        let (head, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(ChunkError::Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ChunkError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| ChunkError::Malformed)
    }

    /// ULEB128, shortest form only, so that a change has one byte form.
    fn unsigned(&mut self) -> Result<u64, ChunkError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (shift == 63 && bits > 1) || (byte == 0 && shift > 0) {
                return Err(ChunkError::Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ChunkError::Malformed)
    }

    /// SLEB128, shortest form only.
    fn signed(&mut self) -> Result<i64, ChunkError> {
        let mut value = 0_i64;
        let mut previous = 0_u8;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte != 0 && byte != 0x7f {
                return Err(ChunkError::Malformed);
            }
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let padded = shift > 0
                    && ((byte == 0 && previous & 0x40 == 0)
                        || (byte == 0x7f && previous & 0x40 != 0));
                if padded {
                    return Err(ChunkError::Malformed);
                }
                if shift + 7 < 64 && byte & 0x40 != 0 {
                    value |= -1_i64 << (shift + 7);
                }
                return Ok(value);
            }
            previous = byte;
        }
        Err(ChunkError::Malformed)
    }

    fn byte(&mut self) -> Result<u8, ChunkError> {
        let (byte, rest) = self.0.split_first().ok_or(ChunkError::Malformed)?;
        self.0 = rest;
        Ok(*byte)
    }

    fn length(&mut self) -> Result<usize, ChunkError> {
        usize::try_from(self.unsigned()?).map_err(|_| ChunkError::Malformed)
    }

    fn count(&mut self, max: usize) -> Result<usize, ChunkError> {
        match self.length()? {
            count if count <= max => Ok(count),
            _ => Err(ChunkError::Limit),
        }
    }

    fn actor(&mut self) -> Result<Option<AuthorKey>, ChunkError> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        Ok(<[u8; 32]>::try_from(bytes).ok().map(AuthorKey::from_bytes))
    }

    fn text(&mut self) -> Result<&'a str, ChunkError> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| ChunkError::Malformed)
    }
}

/// The columns that an entry needs; an absent one reads as nulls.
#[derive(Default)]
struct Columns<'a> {
    object_actor: &'a [u8],
    object_counter: &'a [u8],
    key_actor: &'a [u8],
    key_counter: &'a [u8],
    key_text: &'a [u8],
    insert: &'a [u8],
    action: &'a [u8],
    value_meta: &'a [u8],
    value: &'a [u8],
    predecessors: &'a [u8],
}

impl<'a> Columns<'a> {
    fn read(input: &mut Bytes<'a>) -> Result<Self, ChunkError> {
        let count = input.count(16)?;
        let mut index = Vec::with_capacity(count);
        for _ in 0..count {
            index.push((input.unsigned()?, input.length()?));
        }
        if !index.is_sorted_by(|left, right| left.0 < right.0) {
            return Err(ChunkError::Malformed);
        }
        let mut columns = Self::default();
        for (specification, length) in index {
            let data = input.take(length)?;
            *match specification {
                0x01 => &mut columns.object_actor,
                0x02 => &mut columns.object_counter,
                0x11 => &mut columns.key_actor,
                0x13 => &mut columns.key_counter,
                0x15 => &mut columns.key_text,
                0x34 => &mut columns.insert,
                0x42 => &mut columns.action,
                0x56 => &mut columns.value_meta,
                0x57 => &mut columns.value,
                0x70 => &mut columns.predecessors,
                _ => return Err(ChunkError::Column),
            } = data;
        }
        Ok(columns)
    }

    fn ops(&self, actors: usize) -> Result<Vec<ChunkOp<'a>>, ChunkError> {
        let mut object_actor = Runs::new(self.object_actor, Bytes::length);
        let mut object_counter = Runs::new(self.object_counter, Bytes::unsigned);
        let mut key_actor = Runs::new(self.key_actor, Bytes::length);
        let mut key_counter = Runs::new(self.key_counter, Bytes::signed);
        let mut key_text = Runs::new(self.key_text, Bytes::text);
        let mut insert = Switches {
            input: Bytes(self.insert),
            left: 0,
            value: true,
        };
        let mut action = Runs::new(self.action, Bytes::unsigned);
        let mut meta = Runs::new(self.value_meta, Bytes::unsigned);
        let mut value = Bytes(self.value);
        let mut predecessors = Runs::new(self.predecessors, Bytes::unsigned);
        let mut key_at = 0_i64;
        let mut ops = Vec::new();
        while !action.is_done() {
            if ops.len() == CHANGE_OPS_MAX {
                return Err(ChunkError::Limit);
            }
            let object = match (object_actor.next()?, object_counter.next()?) {
                (None, None) => None,
                (Some(actor), Some(counter)) if actor < actors => Some((counter, actor)),
                _ => return Err(ChunkError::Malformed),
            };
            let counter = match key_counter.next()? {
                None => None,
                Some(step) => {
                    key_at = key_at.checked_add(step).ok_or(ChunkError::Malformed)?;
                    Some(u64::try_from(key_at).map_err(|_| ChunkError::Malformed)?)
                }
            };
            let key = match (key_actor.next()?, counter, key_text.next()?) {
                (None, None, Some(field)) => ChunkKey::Field(field),
                (None, Some(0), None) => ChunkKey::Head,
                (Some(actor), Some(counter), None)
                    if actor < actors && counter <= OP_COUNTER_MAX =>
                {
                    ChunkKey::Element { counter, actor }
                }
                _ => return Err(ChunkError::Malformed),
            };
            if predecessors.next()?.unwrap_or(0) != 0 {
                return Err(ChunkError::Column);
            }
            ops.push(ChunkOp {
                object,
                key,
                insert: insert.next()?,
                action: action.next()?.ok_or(ChunkError::Malformed)?,
                value: scalar(meta.next()?.unwrap_or(0), &mut value)?,
            });
        }
        let rest = [
            object_actor.is_done(),
            object_counter.is_done(),
            key_actor.is_done(),
            key_counter.is_done(),
            key_text.is_done(),
            meta.is_done(),
            predecessors.is_done(),
            insert.is_done(),
            value.0.is_empty(),
        ];
        if rest.contains(&false) {
            return Err(ChunkError::Malformed);
        }
        Ok(ops)
    }
}

/// The value column: low four bits type, the rest a length.
fn scalar(meta: u64, column: &mut Bytes<'_>) -> Result<Scalar, ChunkError> {
    let length = usize::try_from(meta >> 4).map_err(|_| ChunkError::Limit)?;
    if length > VALUE_BYTES_MAX {
        return Err(ChunkError::Limit);
    }
    let raw = column.take(length)?;
    let mut number = Bytes(raw);
    let value = match meta & 0xf {
        0 if length == 0 => return Ok(Scalar::Other),
        1 if length == 0 => return Ok(Scalar::Bool(false)),
        2 if length == 0 => return Ok(Scalar::Bool(true)),
        0..=2 => return Err(ChunkError::Malformed),
        3 => Scalar::Uint(number.unsigned()?),
        4 => Scalar::Int(number.signed()?),
        // A float, then a counter and a timestamp: kept for later versions.
        5 if length == 8 => return Ok(Scalar::Other),
        5 => return Err(ChunkError::Malformed),
        6 => {
            return std::str::from_utf8(raw)
                .map(|text| Scalar::Text(text.into()))
                .map_err(|_| ChunkError::Malformed);
        }
        7 => return Ok(Scalar::Bytes(raw.into())),
        8 | 9 => {
            number.signed()?;
            Scalar::Other
        }
        _ => return Ok(Scalar::Other),
    };
    if number.0.is_empty() {
        Ok(value)
    } else {
        Err(ChunkError::Malformed)
    }
}

/// A run-length column: a count, then one value (count > 0), that many values
/// (count < 0) or nothing (count = 0, then how many nulls).
struct Runs<'a, T> {
    input: Bytes<'a>,
    read: fn(&mut Bytes<'a>) -> Result<T, ChunkError>,
    left: u64,
    literal: bool,
    value: Option<T>,
}

impl<'a, T: Clone> Runs<'a, T> {
    fn new(data: &'a [u8], read: fn(&mut Bytes<'a>) -> Result<T, ChunkError>) -> Self {
        Self {
            input: Bytes(data),
            read,
            left: 0,
            literal: false,
            value: None,
        }
    }

    fn is_done(&self) -> bool {
        self.left == 0 && self.input.0.is_empty()
    }

    fn next(&mut self) -> Result<Option<T>, ChunkError> {
        if self.is_done() {
            return Ok(None);
        }
        if self.left == 0 {
            let count = self.input.signed()?;
            self.literal = count < 0;
            self.left = count.unsigned_abs();
            self.value = None;
            match count {
                0 => self.left = self.input.unsigned()?,
                1.. => self.value = Some((self.read)(&mut self.input)?),
                ..0 => {}
            }
            if self.left == 0 || self.left > CHANGE_OPS_MAX as u64 {
                return Err(ChunkError::Limit);
            }
        }
        self.left -= 1;
        if self.literal {
            return (self.read)(&mut self.input).map(Some);
        }
        Ok(self.value.clone())
    }
}

/// A boolean column: lengths of runs that begin with false.
struct Switches<'a> {
    input: Bytes<'a>,
    left: u64,
    value: bool,
}

impl Switches<'_> {
    fn is_done(&self) -> bool {
        self.left == 0 && self.input.0.is_empty()
    }

    fn next(&mut self) -> Result<bool, ChunkError> {
        let mut empty_runs = 0;
        while self.left == 0 {
            empty_runs += 1;
            if empty_runs > 2 || self.input.0.is_empty() {
                return Err(ChunkError::Malformed);
            }
            self.left = self.input.unsigned()?;
            self.value = !self.value;
        }
        self.left -= 1;
        Ok(self.value)
    }
}
