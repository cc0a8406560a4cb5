//! What members publish about keys and roles.

use std::sync::OnceLock;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use khlong_crdt::admission::History;
use khlong_crdt::envelope::Kind;
use khlong_crdt::id::{EnvelopeId, InboxKey, PrincipalKey};
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::inbox::InboxSecret;
use khlong_document::membership::key_op::{KeyOp, RECIPIENTS_MAX};
use khlong_document::membership::manifest::{
    AUTH_HEADS_MAX, Manifest, ManifestError, PARENTS_MAX, ParentKey,
};
use khlong_document::membership::merkle::{Proof, Tree, WrapLeaf};
use khlong_document::membership::mint::{MintRequest, Minted, mint};
use khlong_document::membership::role::{
    Role, SEALED_OPS_MAX, SealedOp, decode_sealed_ops, encode_sealed_ops,
};

use crate::fuzzing::fuzz;
use crate::{INBOX_SEED, TIMELINE, frozen_bodies, rng};

fn inbox() -> InboxSecret {
    InboxSecret::from_seed(INBOX_SEED)
}

/// An epoch over two others, for three inboxes.
fn minted() -> &'static Minted {
    static MINTED: OnceLock<Minted> = OnceLock::new();
    MINTED.get_or_init(mint_merge)
}

fn mint_merge() -> Minted {
    let recipients: Vec<InboxKey> = [INBOX_SEED, [1; 32], [2; 32]]
        .map(|seed| InboxSecret::from_seed(seed).public())
        .to_vec();
    let first = |seed: u64, parents: &[_]| {
        let request = MintRequest {
            timeline: TIMELINE,
            history: History::Full,
            parents,
            auth_heads: &[EnvelopeId::from_bytes([0x66; 32])],
            minter: PrincipalKey::from_bytes([0x99; 32]),
            recipients: &recipients,
            public_key: None,
        };
        mint(&request, &mut rng(seed)).unwrap()
    };
    let parents = [1, 2].map(|seed| {
        let parent = first(seed, &[]);
        (parent.op.epoch_id(), ParentKey::Epoch(parent.key))
    });
    first(3, &parents)
}

fn manifest_of(op: &KeyOp) -> Option<&Manifest> {
    match op {
        KeyOp::Mint { manifest, .. } => Some(manifest),
        KeyOp::Grant { .. } => None,
    }
}

fuzz!(fuzz_key_op, 1_000, key_ops(), key_op);

fn key_ops() -> Vec<Vec<u8>> {
    let minted = minted();
    let recipients = [inbox().public(), InboxSecret::from_seed([1; 32]).public()];
    let key = EpochKey::from_seed([5; 32]);
    let epoch = minted.op.epoch_id();
    let grant = KeyOp::grant(TIMELINE, epoch, &key, &recipients, &mut rng(4)).unwrap();
    let mut seeds = frozen_bodies(Kind::KeyOp);
    seeds.extend([minted.op.encode(), grant.encode()]);
    seeds
}

fn key_op(bytes: &[u8]) -> bool {
    let Ok(op) = KeyOp::decode(bytes) else {
        return false;
    };
    assert_eq!(op.encode(), bytes, "one form");
    assert!(op.wraps().len() <= RECIPIENTS_MAX);
    let inboxes = op.wraps().iter().map(|wrap| wrap.inbox);
    assert!(
        inboxes.is_sorted_by(|left, right| left < right),
        "each once"
    );
    if let Ok(Some((epoch, key))) = op.unwrap(TIMELINE, &inbox()) {
        assert_eq!(epoch, op.epoch_id());
        if let Some(manifest) = manifest_of(&op) {
            manifest.check_key(&key).unwrap();
        }
    }
    for wrap in op.wraps() {
        let leaf = op.leaf(wrap.inbox).unwrap();
        if let KeyOp::Mint { wraps_root, .. } = &op {
            assert_eq!(WrapLeaf::decode(&leaf.encode(), wraps_root).unwrap(), leaf);
        }
    }
    true
}

fuzz!(fuzz_manifest, 2_000, manifests(), manifest);

fn manifests() -> Vec<Vec<u8>> {
    let bodies = key_ops();
    let ops = bodies.iter().map(|body| KeyOp::decode(body).unwrap());
    ops.filter_map(|op| manifest_of(&op).map(Manifest::encode))
        .collect()
}

fn manifest(bytes: &[u8]) -> bool {
    let Ok(read) = Manifest::decode(bytes) else {
        return false;
    };
    assert_eq!(read.encode(), bytes, "one form");
    assert!(read.parents.len() <= PARENTS_MAX);
    assert!(read.auth_heads.len() <= AUTH_HEADS_MAX);
    let minted = minted();
    let is_genuine = manifest_of(&minted.op) == Some(&read);
    match read.open_parents(&minted.key) {
        Ok(parents) => {
            assert!(is_genuine || read.parents.is_empty());
            let ids: Vec<_> = parents.into_iter().map(|(id, _)| id).collect();
            assert_eq!(ids, read.parents);
        }
        Err(_) => assert!(!is_genuine),
    }
    true
}

fuzz!(fuzz_wrap_leaf, 2_000, wrap_leaves(), wrap_leaf);

fn wrap_leaves() -> Vec<Vec<u8>> {
    let op = &minted().op;
    let inboxes = op.wraps().iter().map(|wrap| wrap.inbox);
    inboxes
        .map(|inbox| op.leaf(inbox).unwrap().encode())
        .collect()
}

/// A leaf with its proof lies under a root that was signed, or is refused.
fn wrap_leaf(bytes: &[u8]) -> bool {
    let op = &minted().op;
    let KeyOp::Mint { wraps_root, .. } = op else {
        panic!("minted");
    };
    let Ok(leaf) = WrapLeaf::decode(bytes, wraps_root) else {
        return false;
    };
    assert_eq!(leaf.encode(), bytes, "one form");
    assert!(op.wraps().contains(&leaf.wrap), "a leaf of this root");
    let Proof { index, count, .. } = leaf.proof;
    assert_eq!(op.wraps()[index as usize], leaf.wrap);
    assert_eq!(count as usize, op.wraps().len());
    let wrap = leaf.wrap.encode();
    leaf.proof.verify(Tree::Wraps, &wrap, wraps_root).unwrap();
    assert!(leaf.proof.verify(Tree::Wraps, &wrap, &[0; 32]).is_err());
    true
}

fuzz!(fuzz_sealed_ops, 4_000, sealed_ops(), sealed_op);

fn sealed_ops() -> Vec<Vec<u8>> {
    let mut ops = Role::ALL
        .map(|role| SealedOp::Role {
            principal: PrincipalKey::from_bytes([role as u8; 32]),
            role,
        })
        .to_vec();
    let one = encode_sealed_ops(&ops[..1]).unwrap();
    ops.push(SealedOp::Unknown {
        tag: 77,
        payload: b"of a newer program".to_vec(),
    });
    vec![one, encode_sealed_ops(&ops).unwrap()]
}

fn sealed_op(bytes: &[u8]) -> bool {
    let Ok(ops) = decode_sealed_ops(bytes) else {
        return false;
    };
    assert!((1..=SEALED_OPS_MAX).contains(&ops.len()));
    assert_eq!(encode_sealed_ops(&ops).unwrap(), bytes, "one form");
    true
}

fuzz!(fuzz_parents, 2_000, parents(), parent_keys);

/// The parents' keys, as `minted` seals them.
fn parents() -> Vec<Vec<u8>> {
    let [control, epoch] = [1, 2].map(|kind| [&[kind][..], &[kind; 32]].concat());
    vec![
        [control.clone(), epoch.clone()].concat(),
        [epoch, control].concat(),
    ]
}

/// A minter seals what it likes under its own epoch (`DOCUMENT.md`, "Manifest").
fn parent_keys(plaintext: &[u8]) -> bool {
    let minted = minted();
    let mut manifest = manifest_of(&minted.op).unwrap().clone();
    let encoded = manifest.encode();
    let clear = encoded.len() - 2 - manifest.sealed_parents.len();
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 parents key v1");
    hasher
        .update(minted.key.seed())
        .update(manifest.timeline.as_bytes());
    let payload = Payload {
        msg: plaintext,
        aad: &encoded[..clear],
    };
    manifest.sealed_parents = XChaCha20Poly1305::new(hasher.finalize().as_bytes().into())
        .encrypt(&[0; 24].into(), payload)
        .unwrap();
    match manifest.open_parents(&minted.key) {
        Ok(parents) => {
            let keys = parents.iter().flat_map(|(_, key)| match key {
                ParentKey::Control(key) => [&[1][..], key.seed()].concat(),
                ParentKey::Epoch(key) => [&[2][..], key.seed()].concat(),
            });
            assert_eq!(keys.collect::<Vec<u8>>(), plaintext, "one form");
            assert!(parents.iter().map(|(id, _)| id).eq(&manifest.parents));
            true
        }
        Err(error) => {
            assert_eq!(error, ManifestError::Parents);
            false
        }
    }
}
