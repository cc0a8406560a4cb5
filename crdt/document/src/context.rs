//! Domain separation of this crate: one string for each hash, key and signature.
//! `DOCUMENT.md` section 1 lists them.

/// Key of an author's hedged nonces, from the author's seed.
pub(crate) const NONCE_KEY: &str = "khlong.network 2026-11 nonce key v1";
/// K_C from K_E.
pub(crate) const CONTROL_KEY: &str = "khlong.network 2026-11 control key v1";
/// What a manifest promises about its key.
pub(crate) const KEY_COMMITMENT: &str = "khlong.network 2026-11 key commitment v1";
/// K_E from fresh randomness and the mint's own context.
pub(crate) const EPOCH_KEY: &str = "khlong.network 2026-11 epoch key v1";
/// Key of the parents' keys inside a manifest.
pub(crate) const PARENTS_KEY: &str = "khlong.network 2026-11 parents key v1";
/// Key of one author's bodies under one epoch.
pub(crate) const BODY_KEY: &str = "khlong.network 2026-11 body key v1";
/// Check over the changes that a compact plaintext stands for.
pub(crate) const CHANGES_CHECK: &str = "khlong.network 2026-11 changes check v1";
/// Key of one author's sealed auth-op parts under one epoch.
pub(crate) const CONTROL_BODY_KEY: &str = "khlong.network 2026-11 control body key v1";
/// Id of an epoch.
pub(crate) const EPOCH_ID: &str = "khlong.network 2026-11 epoch id v1";
/// Id of a user.
pub(crate) const USER_ID: &str = "khlong.network 2026-11 user id v1";
/// The one-use principal behind an invite.
pub(crate) const INVITE_PRINCIPAL: &str = "khlong.network 2026-11 invite principal v1";
/// The inbox key behind an invite.
pub(crate) const INVITE_INBOX: &str = "khlong.network 2026-11 invite inbox v1";
/// Merkle tree of a manifest's recipients.
pub(crate) const RECIPIENT_LEAF: &str = "khlong.network 2026-11 recipient leaf v1";
/// See [`RECIPIENT_LEAF`].
pub(crate) const RECIPIENT_NODE: &str = "khlong.network 2026-11 recipient node v1";
/// See [`RECIPIENT_LEAF`].
pub(crate) const RECIPIENT_ROOT: &str = "khlong.network 2026-11 recipient root v1";
/// Merkle tree of a key-op's wraps.
pub(crate) const WRAP_LEAF: &str = "khlong.network 2026-11 wrap leaf v1";
/// See [`WRAP_LEAF`].
pub(crate) const WRAP_NODE: &str = "khlong.network 2026-11 wrap node v1";
/// See [`WRAP_LEAF`].
pub(crate) const WRAP_ROOT: &str = "khlong.network 2026-11 wrap root v1";
/// Key of a secret file, from the Argon2id output.
pub(crate) const SECRET_FILE_KEY: &str = "khlong.network 2026-11 secret file key v1";
/// What a secret file promises about its key.
pub(crate) const SECRET_FILE_COMMITMENT: &str = "khlong.network 2026-11 secret file commitment v1";
/// Checksum of a secret file that is not sealed.
pub(crate) const SECRET_FILE_CHECKSUM: &str = "khlong.network 2026-11 secret file checksum v1";

/// HPKE `info` of an epoch key's wrap.
pub(crate) const INFO_WRAP: &[u8] = b"khlong wrap v1\0";
/// HPKE `info` of a notice.
pub(crate) const INFO_NOTICE: &[u8] = b"khlong notice v1\0";
/// HPKE `info` of a targeted invite.
pub(crate) const INFO_INVITE: &[u8] = b"khlong invite v1\0";
/// Signature of a device under a user's genesis record.
pub(crate) const SIGN_USER: &[u8] = b"khlong user v1\0";

/// A 32-byte hash or key of one context over the concatenation of `parts`, each of
/// which has a fixed length or is the last.
pub(crate) fn derive(context: &'static str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}
