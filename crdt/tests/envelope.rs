//! An envelope is what its author signed, or it is refused.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use ed25519_dalek::{Signer, SigningKey};
use khlong_crdt::{
    class::Class,
    context::SIGN_ENVELOPE,
    envelope::{EnvelopeError, Header, Kind, Prefix, VerifiedEnvelope},
    id::{EnvelopeId, EpochId, MediaRootId, Seq},
    limits::{BODY_BYTES_MAX, ENVELOPE_BYTES_MAX, FRAGMENT_BODY_BYTES_MAX, REFS_MAX},
    signature::SignatureError,
};
use proptest::prelude::*;
use support::{bytes, key, prefix};

const SIGNATURE_AT: usize = 200;

fn change() -> VerifiedEnvelope {
    let signer = key("author");
    VerifiedEnvelope::sign(prefix(Kind::Change, &signer), [3; 24], &[0x42; 90], &signer).unwrap()
}

#[test]
fn a_signed_envelope_verifies_and_gives_its_parts_back() {
    let envelope = change();
    let verified = VerifiedEnvelope::verify(envelope.bytes().to_vec()).unwrap();
    assert_eq!(verified, envelope);
    assert_eq!(verified.id(), verified.header().id());
    assert_eq!(verified.header().encode(), verified.header_bytes());
    assert_eq!(verified.body(), Some(&[0x42; 90][..]));
    assert_eq!(verified.class(), Class::Text);
    assert_eq!(verified.bytes().len(), 200 + 64 + 90);
}

#[test]
fn a_pruned_envelope_verifies_without_its_body() {
    let pruned = change().pruned();
    let verified = VerifiedEnvelope::verify(pruned.arc_bytes()).unwrap();
    assert_eq!(verified.id(), change().id());
    assert_eq!(verified.body(), None);
    assert_eq!(verified.header().body_len, 90);
    assert_ne!(verified, change(), "the body is gone");
}

#[test]
fn every_flipped_bit_is_refused() {
    let whole = change().bytes().to_vec();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            assert!(
                VerifiedEnvelope::verify(flipped).is_err(),
                "byte {at}, bit {bit}"
            );
        }
    }
}

#[test]
fn every_truncation_but_the_pruned_form_is_refused() {
    let whole = change().bytes().to_vec();
    for length in 0..whole.len() {
        let verified = VerifiedEnvelope::verify(whole[..length].to_vec());
        assert_eq!(verified.is_ok(), length == 264, "{length} bytes");
    }
}

#[test]
fn a_field_signed_anew_with_a_forbidden_value_is_refused() {
    let signer = key("author");
    let forged = |spoil: &dyn Fn(&mut Prefix)| {
        let mut bad = prefix(Kind::Change, &signer);
        spoil(&mut bad);
        assert!(VerifiedEnvelope::sign(bad.clone(), [0; 24], b"body", &signer).is_err());
        let header = Header {
            prefix: bad,
            ..change().header().clone()
        };
        VerifiedEnvelope::verify(signed(&header.encode(), &signer)).unwrap_err()
    };
    assert_eq!(forged(&|bad| bad.seq = Seq::ZERO), EnvelopeError::Chain);
    assert_eq!(forged(&|bad| bad.seq = Seq(2)), EnvelopeError::Chain);
    let id = EnvelopeId::from_bytes([1; 32]);
    assert_eq!(forged(&|bad| bad.prev = id), EnvelopeError::Chain);
    assert_eq!(
        forged(&|bad| bad.epoch = EpochId::ZERO),
        EnvelopeError::Epoch
    );
    let many = vec![MediaRootId::ZERO; REFS_MAX + 1];
    assert_eq!(
        forged(&|bad| bad.refs.clone_from(&many)),
        EnvelopeError::TooManyRefs(9)
    );
}

/// A pruned envelope of these header bytes, properly signed.
fn signed(header: &[u8], signer: &SigningKey) -> Vec<u8> {
    let signature = signer.sign(&[SIGN_ENVELOPE, header].concat());
    [header, &signature.to_bytes()].concat()
}

#[test]
fn body_limits_hold_for_each_kind_also_when_signed() {
    let signer = key("author");
    for kind in Kind::ALL {
        let limit = match kind {
            Kind::Fragment => FRAGMENT_BODY_BYTES_MAX,
            Kind::Change | Kind::Receipt | Kind::AuthOp | Kind::KeyOp | Kind::Notice => {
                BODY_BYTES_MAX
            }
        };
        let sign = |length: usize| {
            VerifiedEnvelope::sign(prefix(kind, &signer), [0; 24], &vec![1; length], &signer)
        };
        let largest = sign(limit).unwrap();
        assert!(largest.bytes().len() <= ENVELOPE_BYTES_MAX);
        assert!(VerifiedEnvelope::verify(largest.arc_bytes()).is_ok());
        for length in [0, limit + 1] {
            let refused = EnvelopeError::BodyLength { length, limit };
            assert_eq!(sign(length).unwrap_err(), refused);
            let header = Header {
                body_len: u32::try_from(length).unwrap(),
                ..largest.header().clone()
            };
            let pruned = signed(&header.encode(), &signer);
            assert_eq!(VerifiedEnvelope::verify(pruned).unwrap_err(), refused);
        }
    }
}

#[test]
fn a_valid_header_with_another_body_is_refused() {
    let mut other = change().bytes().to_vec();
    *other.last_mut().unwrap() ^= 1;
    assert_eq!(
        VerifiedEnvelope::verify(other).unwrap_err(),
        EnvelopeError::BodyHash
    );
}

#[test]
fn nobody_signs_for_another_author() {
    let mallory = key("mallory");
    let prefix = prefix(Kind::Change, &key("author"));
    let refused = VerifiedEnvelope::sign(prefix, [0; 24], b"body", &mallory).unwrap_err();
    assert_eq!(refused, EnvelopeError::ForeignKey);
}

/// All encodings of points of order 1, 2, 4 and 8, canonical or not. With such a
/// key, anybody finds signatures that the lenient equation accepts.
const SMALL_ORDER: [&str; 14] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

#[test]
fn weak_author_keys_are_refused_whatever_the_signature() {
    for encoding in SMALL_ORDER {
        let weak = data_encoding::HEXLOWER.decode(encoding.as_bytes()).unwrap();
        for signature in [[0; 64], identity_signature()] {
            let mut forged = change().bytes().to_vec();
            forged[34..66].copy_from_slice(&weak);
            forged[SIGNATURE_AT..SIGNATURE_AT + 64].copy_from_slice(&signature);
            assert_eq!(
                VerifiedEnvelope::verify(forged).unwrap_err(),
                EnvelopeError::Signature(SignatureError::BadKey),
                "{encoding}"
            );
        }
    }
}

/// R = the neutral point, S = 0: verifies under every small-order key that is
/// multiplied away by the cofactor.
fn identity_signature() -> [u8; 64] {
    let mut signature = [0; 64];
    signature[0] = 1;
    signature
}

#[test]
fn a_point_with_a_second_spelling_is_refused() {
    // y = p + 3: the same point as y = 3, of large order.
    let mut spelling = [0xff; 32];
    (spelling[0], spelling[31]) = (0xf0, 0x7f);
    let mut first = [0; 32];
    first[0] = 3;
    assert!(khlong_crdt::signature::check_key(&first).is_ok());
    assert_eq!(
        khlong_crdt::signature::check_key(&spelling),
        Err(SignatureError::BadKey)
    );
}

#[test]
fn assume_verified_checks_the_structure_only() {
    let mut spoilt = change().bytes().to_vec();
    spoilt[SIGNATURE_AT] ^= 1;
    assert!(VerifiedEnvelope::assume_verified(spoilt.clone()).is_ok());
    spoilt.pop();
    assert_eq!(
        VerifiedEnvelope::assume_verified(spoilt).unwrap_err(),
        EnvelopeError::Length
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_envelope_goes_round(
        kind in 0..Kind::ALL.len(), seq in 1_u64.., refs in 0..=REFS_MAX,
        body in proptest::collection::vec(any::<u8>(), 1..300), nonce in any::<[u8; 24]>(),
    ) {
        let signer = key("author");
        let prefix = Prefix {
            seq: Seq(seq),
            prev: if seq == 1 { EnvelopeId::ZERO } else { EnvelopeId::from_bytes(bytes("previous")) },
            refs: vec![MediaRootId::from_bytes([9; 32]); refs],
            ..prefix(Kind::ALL[kind], &signer)
        };
        let envelope = VerifiedEnvelope::sign(prefix.clone(), nonce, &body, &signer).unwrap();
        let verified = VerifiedEnvelope::verify(envelope.arc_bytes()).unwrap();
        prop_assert_eq!(verified.prefix(), &prefix);
        prop_assert_eq!(verified.header().nonce, nonce);
        prop_assert_eq!(verified.body(), Some(&body[..]));
    }

    #[test]
    fn garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(VerifiedEnvelope::verify(garbage).is_err());
    }

    #[test]
    fn garbage_behind_a_valid_start_never_panics(
        keep in 0_usize..354, garbage in proptest::collection::vec(any::<u8>(), 1..400),
    ) {
        let mut bytes = change().bytes()[..keep].to_vec();
        bytes.extend(garbage);
        let same = bytes == change().bytes();
        prop_assert_eq!(VerifiedEnvelope::verify(bytes).is_ok(), same);
    }
}
