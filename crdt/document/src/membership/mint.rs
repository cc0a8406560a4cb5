//! Minting: a fresh epoch key, its manifest, and a wrap for everyone who may read.

use khlong_crdt::admission::History;
use khlong_crdt::id::{EnvelopeId, EpochId, InboxKey, PrincipalKey, TimelineId};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::key_op::{KeyOp, RECIPIENTS_MAX, wrap_to, wraps_root};
use super::manifest::{AUTH_HEADS_MAX, Manifest, PARENTS_MAX, ParentKey, recipients_root};
use crate::context;
use crate::keys::epoch::EpochKey;
use crate::keys::wrap::WrapError;

/// What a new epoch is made of.
#[derive(Debug)]
pub struct MintRequest<'a> {
    /// Where it belongs.
    pub timeline: TimelineId,
    /// Whether newcomers get the parents' K_E or only their K_C.
    pub history: History,
    /// All maximal epochs that the minter knows.
    pub parents: &'a [(EpochId, ParentKey)],
    /// The newest auth-ops that the minter knows.
    pub auth_heads: &'a [EnvelopeId],
    /// Who mints.
    pub minter: PrincipalKey,
    /// The inbox keys of all who may read.
    pub recipients: &'a [InboxKey],
    /// The key of a public timeline, which its genesis names; none draws a fresh one.
    pub public_key: Option<&'a EpochKey>,
}

/// A new epoch.
#[derive(Debug)]
pub struct Minted {
    /// Its id.
    pub epoch_id: EpochId,
    /// Its key.
    pub key: EpochKey,
    /// What to publish.
    pub op: KeyOp,
}

/// Why there is no new epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// More than [`PARENTS_MAX`].
    #[error("{0} parent epochs; {PARENTS_MAX} is the limit: merge some first")]
    TooManyParents(usize),
    /// More than [`AUTH_HEADS_MAX`].
    #[error("{0} auth heads; {AUTH_HEADS_MAX} is the limit: write an auth-op that joins them")]
    TooManyAuthHeads(usize),
    /// More than [`RECIPIENTS_MAX`].
    #[error("{0} recipients; {RECIPIENTS_MAX} is the limit of one timeline")]
    TooManyRecipients(usize),
    /// A recipient's key is weak.
    #[error("a recipient's inbox key cannot be used; remove that member")]
    Wrap(#[source] WrapError),
}

/// Mints an epoch.
///
/// # Errors
/// [`MintError`].
pub fn mint(request: &MintRequest<'_>, rng: &mut dyn CryptoRng) -> Result<Minted, MintError> {
    let parents = sorted_parents(request)?;
    let mut auth_heads = request.auth_heads.to_vec();
    auth_heads.sort_unstable();
    auth_heads.dedup();
    if auth_heads.len() > AUTH_HEADS_MAX {
        return Err(MintError::TooManyAuthHeads(auth_heads.len()));
    }
    let mut recipients = request.recipients.to_vec();
    recipients.sort_unstable();
    recipients.dedup();
    let count = u32::try_from(recipients.len()).unwrap_or(u32::MAX);
    if recipients.len() > RECIPIENTS_MAX {
        return Err(MintError::TooManyRecipients(recipients.len()));
    }
    let mut manifest = Manifest {
        timeline: request.timeline,
        minter: request.minter,
        key_commit: [0; 32],
        recipients_root: recipients_root(&recipients),
        recipients_count: count,
        parents: parents.iter().map(|(id, _)| *id).collect(),
        auth_heads,
        sealed_parents: Vec::new(),
    };
    let key = match request.public_key {
        Some(key) => key.clone(),
        None => fresh_key(&manifest, rng),
    };
    manifest.key_commit = key.commitment();
    let parent_keys: Vec<ParentKey> = parents.into_iter().map(|(_, key)| key).collect();
    manifest.seal_parents(&key, &parent_keys);
    let epoch_id = manifest.epoch_id();
    let wraps =
        wrap_to(request.timeline, epoch_id, &key, &recipients, rng).map_err(MintError::Wrap)?;
    let op = KeyOp::Mint {
        wraps_root: wraps_root(&wraps),
        manifest,
        wraps,
    };
    Ok(Minted { epoch_id, key, op })
}

/// Hedged like a nonce: a cloned machine whose generator repeats still draws another
/// key for another manifest, so one key never seals two different lists of parents.
fn fresh_key(manifest: &Manifest, rng: &mut dyn CryptoRng) -> EpochKey {
    let mut random = Zeroizing::new([0; 32]);
    rng.fill_bytes(random.as_mut_slice());
    let parts: [&[u8]; 2] = [random.as_slice(), &manifest.encode_clear()];
    EpochKey::from_seed(context::derive(context::EPOCH_KEY, &parts))
}

fn sorted_parents(request: &MintRequest<'_>) -> Result<Vec<(EpochId, ParentKey)>, MintError> {
    let mut parents: Vec<(EpochId, ParentKey)> = request
        .parents
        .iter()
        .map(|(id, key)| (*id, visible_to_newcomers(request.history, key)))
        .collect();
    parents.sort_by_key(|(id, _)| *id);
    parents.dedup_by_key(|(id, _)| *id);
    if parents.len() > PARENTS_MAX {
        return Err(MintError::TooManyParents(parents.len()));
    }
    Ok(parents)
}

fn visible_to_newcomers(history: History, key: &ParentKey) -> ParentKey {
    match history {
        History::Full => key.clone(),
        History::SinceJoin | History::Ephemeral => ParentKey::Control(key.control()),
    }
}
