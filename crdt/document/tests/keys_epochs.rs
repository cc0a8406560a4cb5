//! Epochs: what a minter cannot do to the members, and what a newcomer can read.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use khlong_crdt::admission::History;
use khlong_crdt::id::{EnvelopeId, EpochId, InboxKey, PrincipalKey, TimelineId};
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::inbox::InboxSecret;
use khlong_document::keys::wrap::{Wrap, WrapError};
use khlong_document::membership::key_op::{KeyOp, KeyOpError};
use khlong_document::membership::manifest::{Manifest, ManifestError, ParentKey};
use khlong_document::membership::merkle::{self, Proof, ProofError, Tree, WrapLeaf};
use khlong_document::membership::mint::{MintError, MintRequest, Minted, mint};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fn timeline() -> TimelineId {
    TimelineId::from_bytes([1; 32])
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

fn inboxes(count: u8) -> Vec<InboxSecret> {
    (1..=count)
        .map(|n| InboxSecret::from_seed([n; 32]))
        .collect()
}

fn publics(inboxes: &[InboxSecret]) -> Vec<InboxKey> {
    inboxes.iter().map(InboxSecret::public).collect()
}

fn request<'a>(
    history: History,
    parents: &'a [(EpochId, ParentKey)],
    recipients: &'a [InboxKey],
) -> MintRequest<'a> {
    MintRequest {
        timeline: timeline(),
        history,
        parents,
        auth_heads: &[],
        minter: PrincipalKey::from_bytes([2; 32]),
        recipients,
        public_key: None,
    }
}

fn minted(parents: &[(EpochId, ParentKey)], recipients: &[InboxKey], history: History) -> Minted {
    mint(&request(history, parents, recipients), &mut rng()).unwrap()
}

fn manifest(op: &KeyOp) -> Manifest {
    match op {
        KeyOp::Mint { manifest, .. } => manifest.clone(),
        KeyOp::Grant { .. } => panic!("a mint"),
    }
}

#[test]
fn every_recipient_gets_the_same_key_and_nobody_else() {
    let members = inboxes(5);
    let minted = minted(&[], &publics(&members), History::Full);
    let received = KeyOp::decode(&minted.op.encode()).unwrap();
    assert_eq!(received, minted.op);
    for member in &members {
        let (id, key) = received.unwrap(timeline(), member).unwrap().unwrap();
        assert_eq!((id, key), (minted.epoch_id, minted.key.clone()));
    }
    let stranger = InboxSecret::from_seed([99; 32]);
    assert_eq!(received.unwrap(timeline(), &stranger), Ok(None));
    let elsewhere = TimelineId::from_bytes([9; 32]);
    assert_eq!(
        received.unwrap(elsewhere, &stranger),
        Err(WrapError::Timeline)
    );
    let mut recipients = publics(&members);
    recipients.sort_unstable();
    let leaves = recipients.iter().map(|inbox| &inbox.as_bytes()[..]);
    let manifest = manifest(&received);
    assert_eq!(
        manifest.recipients_root,
        merkle::root(Tree::Recipients, leaves)
    );
    assert_eq!(manifest.recipients_count, 5);
}

#[test]
fn a_minter_that_hands_out_different_keys_is_found_out() {
    let members = inboxes(2);
    let honest = minted(&[], &publics(&members), History::Full);
    let mut wraps = honest.op.wraps().to_vec();
    let other = EpochKey::from_seed([66; 32]);
    let victim = wraps.first().unwrap().inbox;
    *wraps.first_mut().unwrap() =
        Wrap::seal(timeline(), honest.epoch_id, victim, &other, &mut rng()).unwrap();
    let leaves: Vec<_> = wraps.iter().map(Wrap::encode).collect();
    let forged = KeyOp::Mint {
        manifest: manifest(&honest.op),
        wraps_root: merkle::root(Tree::Wraps, leaves.iter().map(<[u8; 112]>::as_slice)),
        wraps,
    };
    // All roots fit: only the commitment tells.
    let received = KeyOp::decode(&forged.encode()).unwrap();
    for member in &members {
        let result = received.unwrap(timeline(), member);
        if member.public() == victim {
            assert_eq!(result, Err(WrapError::KeyCommitment));
        } else {
            assert_eq!(result.unwrap().unwrap().1, honest.key);
        }
    }
    // A grant carries no manifest; the holder of the manifest checks it.
    let grant = KeyOp::grant(timeline(), honest.epoch_id, &other, &[victim], &mut rng()).unwrap();
    let granted = members
        .iter()
        .find(|member| member.public() == victim)
        .unwrap();
    let (_, key) = grant.unwrap(timeline(), granted).unwrap().unwrap();
    assert_eq!(
        manifest(&honest.op).check_key(&key),
        Err(ManifestError::KeyCommitment)
    );
    assert_eq!(manifest(&honest.op).check_key(&honest.key), Ok(()));
}

type Forgery = dyn Fn(&mut Manifest, &mut [u8; 32], &mut Vec<Wrap>);

#[test]
fn wraps_that_do_not_fit_the_manifest_are_refused_whole() {
    let members = inboxes(3);
    let honest = minted(&[], &publics(&members), History::Full);
    let KeyOp::Mint {
        manifest,
        wraps_root,
        wraps,
    } = honest.op
    else {
        panic!("a mint")
    };
    let forged = |change: &Forgery| {
        let (mut manifest, mut root, mut wraps) = (manifest.clone(), wraps_root, wraps.clone());
        change(&mut manifest, &mut root, &mut wraps);
        KeyOp::decode(
            &KeyOp::Mint {
                manifest,
                wraps_root: root,
                wraps,
            }
            .encode(),
        )
        .unwrap_err()
    };
    assert_eq!(forged(&|_, _, wraps| wraps.truncate(2)), KeyOpError::Roots);
    assert_eq!(forged(&|_, root, _| *root = [0; 32]), KeyOpError::Roots);
    assert_eq!(
        forged(&|manifest, _, _| manifest.recipients_count = 4),
        KeyOpError::Roots
    );
    assert_eq!(
        forged(&|manifest, _, _| manifest.recipients_root = [0; 32]),
        KeyOpError::Roots
    );
    assert_eq!(forged(&|_, _, wraps| wraps.reverse()), KeyOpError::Order);
    assert_eq!(
        forged(&|_, _, wraps| wraps.push(wraps.last().unwrap().clone())),
        KeyOpError::Order
    );
}

#[test]
fn a_wrap_belongs_to_its_epoch_and_timeline() {
    let member = InboxSecret::from_seed([1; 32]);
    let (epoch, key) = (EpochId::from_bytes([3; 32]), EpochKey::from_seed([4; 32]));
    let wrap = Wrap::seal(timeline(), epoch, member.public(), &key, &mut rng()).unwrap();
    assert_eq!(wrap.open(timeline(), epoch, &member).unwrap(), key);
    assert!(
        wrap.open(timeline(), EpochId::from_bytes([5; 32]), &member)
            .is_err()
    );
    assert!(
        wrap.open(TimelineId::from_bytes([5; 32]), epoch, &member)
            .is_err()
    );
    assert!(
        wrap.open(timeline(), epoch, &InboxSecret::from_seed([2; 32]))
            .is_err()
    );
    let mut renamed = wrap.clone();
    renamed.inbox = InboxSecret::from_seed([2; 32]).public();
    assert!(renamed.open(timeline(), epoch, &member).is_err());
}

#[test]
fn history_decides_what_a_child_tells_of_its_parents() {
    let members = publics(&inboxes(1));
    let parent = minted(&[], &members, History::Full);
    let second = minted(&[], &publics(&inboxes(2)), History::Full);
    let parents = [
        (parent.epoch_id, ParentKey::Epoch(parent.key.clone())),
        (second.epoch_id, ParentKey::Epoch(second.key.clone())),
    ];
    for history in [History::Full, History::SinceJoin, History::Ephemeral] {
        let child = minted(&parents, &members, history);
        let manifest = manifest(&KeyOp::decode(&child.op.encode()).unwrap());
        let mut opened = manifest.open_parents(&child.key).unwrap();
        let mut expected = parents.to_vec();
        if history != History::Full {
            for (_, key) in &mut expected {
                *key = ParentKey::Control(key.control());
            }
        }
        opened.sort_by_key(|(id, _)| *id);
        expected.sort_by_key(|(id, _)| *id);
        assert_eq!(opened, expected, "{history:?}");
        assert_eq!(
            manifest.open_parents(&parent.key),
            Err(ManifestError::KeyCommitment)
        );
        // K_C alone is enough to check a parent, in every kind of timeline.
        let first = self::manifest(&parent.op);
        assert_eq!(first.check_control_key(&parent.key.control()), Ok(()));
        assert!(first.check_control_key(&child.key.control()).is_err());
    }
    let mut damaged = manifest(&minted(&parents, &members, History::Full).op);
    *damaged.sealed_parents.last_mut().unwrap() ^= 1;
    let child = minted(&parents, &members, History::Full);
    assert_eq!(
        damaged.open_parents(&child.key),
        Err(ManifestError::Parents)
    );
}

#[test]
fn a_manifest_has_one_encoding_and_its_id_covers_every_byte() {
    let heads: Vec<_> = (0..3).map(|n| EnvelopeId::from_bytes([n; 32])).collect();
    let members = publics(&inboxes(2));
    let parent = [(
        EpochId::from_bytes([1; 32]),
        ParentKey::Epoch(EpochKey::from_seed([1; 32])),
    )];
    let mut request = request(History::Full, &parent, &members);
    request.auth_heads = &heads;
    let manifest = manifest(&mint(&request, &mut rng()).unwrap().op);
    let bytes = manifest.encode();
    assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        *flipped.get_mut(at).unwrap() ^= 1;
        if let Ok(other) = Manifest::decode(&flipped) {
            assert_ne!(other.epoch_id(), manifest.epoch_id(), "byte {at}");
        }
        assert!(
            Manifest::decode(bytes.get(..at).unwrap()).is_err(),
            "cut at {at}"
        );
    }
    assert_eq!(
        Manifest::decode(&[bytes.as_slice(), &[0]].concat()),
        Err(ManifestError::Layout)
    );
    let mut unsorted = manifest.clone();
    unsorted.auth_heads.reverse();
    assert_eq!(
        Manifest::decode(&unsorted.encode()),
        Err(ManifestError::Order)
    );
    unsorted.auth_heads = vec![EnvelopeId::ZERO; 2];
    assert_eq!(
        Manifest::decode(&unsorted.encode()),
        Err(ManifestError::Order)
    );
}

#[test]
fn a_repeating_generator_repeats_no_key() {
    let (two, three) = (publics(&inboxes(2)), publics(&inboxes(3)));
    let first = minted(&[], &two, History::Full);
    let clone = minted(&[], &three, History::Full);
    assert_ne!(first.key, clone.key);
    assert_eq!(minted(&[], &two, History::Full).op, first.op);
}

#[test]
fn limits_are_told() {
    let parent = ParentKey::Epoch(EpochKey::from_seed([1; 32]));
    let parents: Vec<_> = (0..9)
        .map(|n| (EpochId::from_bytes([n; 32]), parent.clone()))
        .collect();
    let refused = mint(&request(History::Full, &parents, &[]), &mut rng());
    assert_eq!(refused.unwrap_err(), MintError::TooManyParents(9));
    let crowd: Vec<_> = (0..2_049_u64)
        .map(|n| InboxKey::from_bytes(*blake3::hash(&n.to_be_bytes()).as_bytes()))
        .collect();
    let refused = mint(&request(History::Full, &[], &crowd), &mut rng());
    assert_eq!(refused.unwrap_err(), MintError::TooManyRecipients(2_049));
    let weak = [InboxKey::ZERO];
    let refused = mint(&request(History::Full, &[], &weak), &mut rng());
    assert!(matches!(refused, Err(MintError::Wrap(_))));
    let heads: Vec<_> = (0..33).map(|n| EnvelopeId::from_bytes([n; 32])).collect();
    let mut crowded = request(History::Full, &[], &[]);
    crowded.auth_heads = &heads;
    assert_eq!(
        mint(&crowded, &mut rng()).unwrap_err(),
        MintError::TooManyAuthHeads(33)
    );
}

#[test]
fn a_joiner_can_fetch_its_one_leaf() {
    for count in 1..=17 {
        let members = inboxes(count);
        let minted = minted(&[], &publics(&members), History::Full);
        let KeyOp::Mint { wraps_root, .. } = &minted.op else {
            panic!("a mint")
        };
        for member in &members {
            let leaf = minted.op.leaf(member.public()).unwrap();
            let bytes = leaf.encode();
            let fetched = WrapLeaf::decode(&bytes, wraps_root).unwrap();
            let key = fetched
                .wrap
                .open(timeline(), minted.epoch_id, member)
                .unwrap();
            assert_eq!(key, minted.key);
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                *flipped.get_mut(at).unwrap() ^= 1;
                assert!(
                    WrapLeaf::decode(&flipped, wraps_root).is_err(),
                    "byte {at} of {count}"
                );
            }
        }
        assert_eq!(minted.op.leaf(InboxKey::ZERO), None);
    }
}

#[test]
fn a_proof_holds_for_its_tree_place_and_count_only() {
    let leaves: Vec<[u8; 32]> = (0..11).map(|n| [n; 32]).collect();
    let slices = || leaves.iter().map(<[u8; 32]>::as_slice);
    let root = merkle::root(Tree::Recipients, slices());
    for (index, leaf) in leaves.iter().enumerate() {
        let proof = Proof::of(Tree::Recipients, slices(), index).unwrap();
        assert_eq!(proof.verify(Tree::Recipients, leaf, &root), Ok(()));
        assert_eq!(
            proof.verify(Tree::Wraps, leaf, &root),
            Err(ProofError::Root)
        );
        assert_eq!(
            proof.verify(Tree::Recipients, &[99; 32], &root),
            Err(ProofError::Root)
        );
        for count in 0..40 {
            let other = Proof {
                count,
                ..proof.clone()
            };
            assert_eq!(
                other.verify(Tree::Recipients, leaf, &root).is_ok(),
                count == 11
            );
        }
        for place in 0..11 {
            let other = Proof {
                index: place,
                ..proof.clone()
            };
            let same = usize::try_from(place).unwrap() == index;
            assert_eq!(other.verify(Tree::Recipients, leaf, &root).is_ok(), same);
        }
    }
    assert_eq!(Proof::of(Tree::Recipients, slices(), 11), None);
    let huge = Proof {
        index: 0,
        count: u32::MAX,
        siblings: vec![[0; 32]; 32],
    };
    assert_eq!(
        huge.verify(Tree::Recipients, &[0; 32], &root),
        Err(ProofError::Layout)
    );
}
