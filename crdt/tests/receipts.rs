//! Proofs that one envelope is under a stored receipt: each place of each tree, and nothing else.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::{
    id::{EnvelopeId, LogId},
    receipt::{ReceiptError, StoredProof, StoredReceipt},
    time::UnixMillis,
};
use proptest::prelude::*;
use support::{bytes, key};

fn ids(count: usize) -> Vec<EnvelopeId> {
    (0..count)
        .map(|n| EnvelopeId::from_bytes(bytes(&n.to_string())))
        .collect()
}

fn sign(ids: &[EnvelopeId]) -> StoredReceipt {
    let (log, at) = (LogId::from_bytes([1; 16]), UnixMillis(1_795_000_000_000));
    StoredReceipt::sign(&key("relay"), log, 2, at, ids)
}

fn proofs(ids: &[EnvelopeId]) -> Vec<StoredProof> {
    sign(ids).prove(ids).unwrap()
}

#[test]
fn every_place_of_every_tree_has_its_proof_and_proves_nothing_else() {
    for count in 1..=17 {
        let ids = ids(count);
        let proofs = proofs(&ids);
        assert_eq!(proofs.len(), count);
        for (at, proof) in proofs.iter().enumerate() {
            for (other, id) in ids.iter().enumerate() {
                let expected = if other == at {
                    Ok(())
                } else {
                    Err(ReceiptError::OtherEnvelopes)
                };
                assert_eq!(proof.verify(id), expected, "{at}, {other} of {count}");
            }
            let encoded = proof.encode();
            assert_eq!(encoded.len(), 164 + 32 * proof.siblings.len());
            assert_eq!(StoredProof::decode(&encoded), Ok(proof.clone()));
        }
    }
    assert!(proofs(&ids(1))[0].siblings.is_empty());
    assert_eq!(proofs(&ids(17))[16].siblings.len(), 1, "odd up to the root");
    assert_eq!(proofs(&ids(16))[5].siblings.len(), 4);
}

#[test]
fn a_receipt_proves_only_what_it_covers() {
    let (ids, receipt) = (ids(9), sign(&ids(9)));
    let mut swapped = ids.clone();
    swapped.swap(3, 4);
    for others in [&ids[..8], &ids[1..], &swapped, &[]] {
        assert_eq!(receipt.prove(others), Err(ReceiptError::OtherEnvelopes));
    }
}

#[test]
fn a_proof_with_another_shape_than_its_place_is_damaged() {
    let ids = ids(5);
    for (at, proof) in proofs(&ids).into_iter().enumerate() {
        let mut longer = proof.clone();
        longer.siblings.push([0; 32]);
        let mut shorter = proof.clone();
        shorter.siblings.pop();
        let mut outside = proof.clone();
        outside.index = 5;
        for damaged in [longer, shorter, outside] {
            assert_eq!(damaged.verify(&ids[at]), Err(ReceiptError::ProofLayout));
            assert_eq!(
                StoredProof::decode(&damaged.encode()),
                Err(ReceiptError::ProofLayout)
            );
        }
    }
    // No count makes a decoder loop or reserve: at most 32 siblings are ever asked for.
    let mut huge = proofs(&ids).remove(0);
    (huge.receipt.count, huge.index) = (u32::MAX, u32::MAX - 1);
    assert_eq!(
        StoredProof::decode(&huge.encode()),
        Err(ReceiptError::ProofLayout)
    );
    huge.siblings = vec![[0; 32]; 31];
    assert!(huge.encode().len() <= StoredProof::LENGTH_MAX);
    assert_eq!(StoredProof::decode(&huge.encode()), Ok(huge.clone()));
    assert_eq!(huge.verify(&ids[0]), Err(ReceiptError::OtherEnvelopes));
}

#[test]
fn a_proof_of_another_relay_or_date_is_not_signed() {
    let ids = ids(3);
    let mut later = proofs(&ids).remove(1);
    later.receipt.received_at.0 += 1;
    assert!(matches!(
        later.verify(&ids[1]),
        Err(ReceiptError::Signature(_))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_flipped_bit_or_a_cut_never_verifies(
        count in 1..=17_usize, at in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(),
    ) {
        let ids = ids(count);
        let at = at.index(count);
        let whole = proofs(&ids)[at].encode();
        let mut flipped = whole.clone();
        let bit = bit.index(flipped.len() * 8);
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verified = StoredProof::decode(&flipped).and_then(|proof| proof.verify(&ids[at]));
        prop_assert!(verified.is_err(), "bit {}", bit);
        prop_assert!(StoredProof::decode(&whole[..cut.index(whole.len())]).is_err());
        prop_assert!(StoredProof::decode(&[whole.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn a_flipped_sibling_never_verifies(
        count in 2..=17_usize, at in any::<prop::sample::Index>(),
        which in any::<prop::sample::Index>(), bit in 0..256_usize,
    ) {
        let ids = ids(count);
        let at = at.index(count);
        let mut proof = proofs(&ids).remove(at);
        let which = which.index(proof.siblings.len());
        proof.siblings[which][bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(proof.verify(&ids[at]), Err(ReceiptError::OtherEnvelopes));
    }

    #[test]
    fn any_bytes_are_a_proof_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(proof) = StoredProof::decode(&bytes) {
            prop_assert_eq!(proof.encode(), bytes);
        }
    }
}
