//! The sealed part of auth-ops: who is what. A relay sees rights, not roles.
//!
//! The principal that the genesis names is the owner without any op; a successor
//! (handover) has the role of the invite's principal.

use khlong_crdt::id::PrincipalKey;

use khlong_crdt::reader::{Reader, Truncated};

/// Ops of one sealed part.
pub const SEALED_OPS_MAX: usize = 32;
const SEALED_OPS_VERSION: u8 = 1;
const TAG_ROLE: u8 = 1;

/// What a member is to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Role {
    /// May do everything, and cannot be removed by an admin.
    Owner = 1,
    /// Invites and removes.
    Admin = 2,
    /// Reads and writes.
    Member = 3,
    /// Reads.
    Reader = 4,
}

impl Role {
    /// Every role, highest first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Reader];
}

/// One op of the sealed part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedOp {
    /// A principal's role.
    Role {
        /// Who.
        principal: PrincipalKey,
        /// What.
        role: Role,
    },
    /// An op of a newer program; kept as it is.
    Unknown {
        /// Its tag.
        tag: u8,
        /// Its payload.
        payload: Vec<u8>,
    },
}

/// Bytes that are no list of sealed ops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedOpsError {
    /// Cut short, trailing bytes, no op, or too many.
    #[error("the sealed part of an auth-op is damaged")]
    Layout,
    /// Made by a newer program.
    #[error("the sealed part of an auth-op has version {0}; upgrade this program")]
    Version(u8),
    /// No role of this version.
    #[error("role {0} is not known; upgrade this program")]
    Role(u8),
}

/// version 1 ‖ count u8 ‖ (tag u8 ‖ length u16 ‖ payload) each.
///
/// # Errors
/// [`SealedOpsError::Layout`] for no op, more than [`SEALED_OPS_MAX`], or a payload
/// over 65,535 bytes.
pub fn encode_sealed_ops(ops: &[SealedOp]) -> Result<Vec<u8>, SealedOpsError> {
    let count = u8::try_from(ops.len()).map_err(|_| SealedOpsError::Layout)?;
    if ops.is_empty() || ops.len() > SEALED_OPS_MAX {
        return Err(SealedOpsError::Layout);
    }
    let mut bytes = vec![SEALED_OPS_VERSION, count];
    for op in ops {
        let (tag, payload) = match op {
            SealedOp::Role { principal, role } => (
                TAG_ROLE,
                [principal.as_bytes().as_slice(), &[*role as u8]].concat(),
            ),
            SealedOp::Unknown { tag, payload } => (*tag, payload.clone()),
        };
        let length = u16::try_from(payload.len()).map_err(|_| SealedOpsError::Layout)?;
        bytes.push(tag);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&payload);
    }
    Ok(bytes)
}

/// The inverse of [`encode_sealed_ops`].
///
/// # Errors
/// [`SealedOpsError`].
pub fn decode_sealed_ops(bytes: &[u8]) -> Result<Vec<SealedOp>, SealedOpsError> {
    let cut = |_: Truncated| SealedOpsError::Layout;
    let mut reader = Reader::new(bytes);
    let version = reader.u8().map_err(cut)?;
    if version != SEALED_OPS_VERSION {
        return Err(SealedOpsError::Version(version));
    }
    let count = usize::from(reader.u8().map_err(cut)?);
    if count == 0 || count > SEALED_OPS_MAX {
        return Err(SealedOpsError::Layout);
    }
    let ops = (0..count)
        .map(|_| {
            let tag = reader.u8().map_err(cut)?;
            let length = usize::from(reader.u16().map_err(cut)?);
            read_op(tag, reader.take(length).map_err(cut)?)
        })
        .collect::<Result<_, _>>()?;
    if !reader.is_empty() {
        return Err(SealedOpsError::Layout);
    }
    Ok(ops)
}

fn read_op(tag: u8, payload: &[u8]) -> Result<SealedOp, SealedOpsError> {
    if tag != TAG_ROLE {
        return Ok(SealedOp::Unknown {
            tag,
            payload: payload.to_vec(),
        });
    }
    let cut = |_: Truncated| SealedOpsError::Layout;
    let mut reader = Reader::new(payload);
    let principal = PrincipalKey::from_bytes(reader.array().map_err(cut)?);
    let number = reader.u8().map_err(cut)?;
    if !reader.is_empty() {
        return Err(SealedOpsError::Layout);
    }
    let role = Role::ALL
        .into_iter()
        .find(|role| *role as u8 == number)
        .ok_or(SealedOpsError::Role(number))?;
    Ok(SealedOp::Role { principal, role })
}
