//! Sealing against whoever can write bytes: a member with all the keys, too. Hostile
//! content is made here from DOCUMENT.md alone, not with the code under test.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use khlong_crdt::admission::{ClearOp, Rights};
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, MediaRootId, PrincipalKey, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::inbox::InboxSecret;
use khlong_document::seal::{
    OpenError, PACKED_BYTES_MAX, PLAINTEXT_BYTES_MAX, SealError, SealRequest, open, open_auth_op,
    open_notice, padded_length, seal, seal_auth_op, seal_notice,
};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const NONCE: [u8; 24] = [7; 24];

fn author() -> AuthorSecret {
    AuthorSecret::from_seed([1; 32])
}

fn key() -> EpochKey {
    EpochKey::from_seed([2; 32])
}

fn request(kind: Kind) -> SealRequest {
    SealRequest {
        kind,
        timeline: TimelineId::from_bytes([3; 32]),
        seq: Seq(5),
        prev: EnvelopeId::from_bytes([4; 32]),
        epoch_id: EpochId::from_bytes([5; 32]),
        expiry: Expiry::Keep,
        refs: vec![MediaRootId::from_bytes([6; 32])],
    }
}

fn sealed(plaintext: &[u8]) -> VerifiedEnvelope {
    seal(request(Kind::Change), &key(), plaintext, &author(), [9; 32]).unwrap()
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// An envelope around any content, as DOCUMENT.md section 2 says.
fn with_content(content: &[u8]) -> VerifiedEnvelope {
    let prefix = sealed(b"").prefix().clone();
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 body key v1");
    hasher
        .update(&[2; 32])
        .update(prefix.timeline.as_bytes())
        .update(prefix.author.as_bytes());
    let aad = prefix.encode();
    let body = XChaCha20Poly1305::new(hasher.finalize().as_bytes().into())
        .encrypt(
            &NONCE.into(),
            Payload {
                msg: content,
                aad: &aad,
            },
        )
        .unwrap();
    VerifiedEnvelope::sign(prefix, NONCE, &body, author().signing_key()).unwrap()
}

fn content(packing: u8, plaintext_len: u32, packed_len: u32, packed: &[u8]) -> Vec<u8> {
    let mut bytes = vec![packing];
    bytes.extend_from_slice(&plaintext_len.to_be_bytes());
    bytes.extend_from_slice(&packed_len.to_be_bytes());
    bytes.extend_from_slice(packed);
    bytes.resize(padded_length(bytes.len()), 0);
    bytes
}

fn open_content(bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
    open(&with_content(bytes), &key())
}

#[test]
fn what_is_sealed_opens_and_verifies() {
    for plaintext in [
        &b""[..],
        b"x",
        "สวัสดี".as_bytes(),
        &[0; 100_000],
        &noise(1_000),
    ] {
        let envelope = sealed(plaintext);
        let received = VerifiedEnvelope::verify(envelope.bytes().to_vec()).unwrap();
        assert_eq!(open(&received, &key()).unwrap(), plaintext);
    }
}

#[test]
fn the_layout_is_the_one_of_the_specification() {
    assert_eq!(open_content(&content(0, 2, 2, b"hi")).unwrap(), b"hi");
    let packed = zstd::bulk::compress(&[b'a'; 5_000], 19).unwrap();
    let length = u32::try_from(packed.len()).unwrap();
    assert_eq!(
        open_content(&content(1, 5_000, length, &packed)).unwrap(),
        [b'a'; 5_000]
    );
}

#[test]
fn another_key_or_a_flipped_bit_does_not_open() {
    let envelope = sealed(b"secret");
    let other = EpochKey::from_seed([3; 32]);
    assert_eq!(open(&envelope, &other), Err(OpenError::Authentication));

    let body = envelope.body().unwrap();
    for at in 0..body.len() {
        let mut changed = body.to_vec();
        *changed.get_mut(at).unwrap() ^= 1;
        let prefix = envelope.prefix().clone();
        let nonce = envelope.header().nonce;
        let forged =
            VerifiedEnvelope::sign(prefix, nonce, &changed, author().signing_key()).unwrap();
        assert_eq!(
            open(&forged, &key()),
            Err(OpenError::Authentication),
            "byte {at}"
        );
    }
}

type Change = fn(&mut Prefix);

#[test]
fn a_body_moved_under_any_other_prefix_does_not_open() {
    let envelope = sealed(b"secret");
    let other_author = AuthorSecret::from_seed([8; 32]);
    let changes: [(&str, Change); 7] = [
        ("kind", |prefix| prefix.kind = Kind::Receipt),
        ("timeline", |prefix| {
            prefix.timeline = TimelineId::from_bytes([9; 32])
        }),
        ("seq", |prefix| prefix.seq = Seq(6)),
        ("prev", |prefix| {
            prefix.prev = EnvelopeId::from_bytes([9; 32])
        }),
        ("epoch", |prefix| {
            prefix.epoch = EpochId::from_bytes([9; 32])
        }),
        ("expiry", |prefix| prefix.expiry = Expiry::Day),
        ("refs", |prefix| prefix.refs.clear()),
    ];
    let moved = |prefix: Prefix, author: &AuthorSecret| {
        let body = envelope.body().unwrap();
        VerifiedEnvelope::sign(prefix, envelope.header().nonce, body, author.signing_key()).unwrap()
    };
    for (field, change) in changes {
        let mut prefix = envelope.prefix().clone();
        change(&mut prefix);
        let forged = moved(prefix, &author());
        assert_eq!(
            open(&forged, &key()),
            Err(OpenError::Authentication),
            "{field}"
        );
    }
    let mut prefix = envelope.prefix().clone();
    prefix.author = other_author.public();
    assert_eq!(
        open(&moved(prefix, &other_author), &key()),
        Err(OpenError::Authentication)
    );
    // The control: the same way back opens.
    assert_eq!(
        open(&moved(envelope.prefix().clone(), &author()), &key()).unwrap(),
        b"secret"
    );
}

#[test]
fn a_repeating_generator_repeats_no_nonce() {
    let nonce = |envelope: &VerifiedEnvelope| envelope.header().nonce;
    let first = sealed(b"from the original");
    let clone = sealed(b"from the clone!!!");
    assert_ne!(nonce(&first), nonce(&clone));
    let mut elsewhere = request(Kind::Change);
    elsewhere.seq = Seq(6);
    let elsewhere = seal(elsewhere, &key(), b"from the original", &author(), [9; 32]).unwrap();
    assert_ne!(nonce(&first), nonce(&elsewhere));
    // Everything equal gives the same envelope, which tells nobody anything.
    assert_eq!(sealed(b"from the original").bytes(), first.bytes());
    let fresh = seal(
        request(Kind::Change),
        &key(),
        b"from the original",
        &author(),
        [10; 32],
    );
    assert_ne!(nonce(&first), nonce(&fresh.unwrap()));
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let beyond = u32::try_from(PLAINTEXT_BYTES_MAX).unwrap() + 1;
    for declared in [beyond, u32::MAX] {
        let bytes = u64::from(declared);
        assert_eq!(
            open_content(&content(1, declared, 4, b"bomb")),
            Err(OpenError::PlaintextTooLong { bytes })
        );
    }
    // 64 MiB of zeros in a few kilobytes, declared as something harmless.
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
    assert!(bomb.len() < 16_384);
    let length = u32::try_from(bomb.len()).unwrap();
    for declared in [0, 1, 100, beyond - 1] {
        let result = open_content(&content(1, declared, length, &bomb));
        assert_eq!(result, Err(OpenError::Decompression), "declared {declared}");
    }
    // Two frames in a row are one content; together they may not exceed it either.
    let half = zstd::bulk::compress(&[1; 600], 3).unwrap();
    let twice = [half.as_slice(), &half].concat();
    let length = u32::try_from(twice.len()).unwrap();
    assert_eq!(
        open_content(&content(1, 600, length, &twice)),
        Err(OpenError::Decompression)
    );
    assert_eq!(
        open_content(&content(1, 1_200, length, &twice)).unwrap(),
        [1; 1_200]
    );
}

#[test]
fn lengths_that_lie_are_refused() {
    let packed = zstd::bulk::compress(&[b'a'; 500], 3).unwrap();
    let length = u32::try_from(packed.len()).unwrap();
    assert_eq!(
        open_content(&content(1, 499, length, &packed)),
        Err(OpenError::Decompression)
    );
    assert_eq!(
        open_content(&content(1, 501, length, &packed)),
        Err(OpenError::Decompression)
    );
    assert_eq!(
        open_content(&content(1, 6, 6, b"no zst")),
        Err(OpenError::Decompression)
    );
    assert_eq!(
        open_content(&content(0, 3, 2, b"hi")),
        Err(OpenError::Length)
    );
    assert_eq!(
        open_content(&content(0, 2, 100, b"hi")),
        Err(OpenError::Length)
    );
    assert_eq!(
        open_content(&content(0, 2, u32::MAX, b"hi")),
        Err(OpenError::Length)
    );
    for length in 0..9 {
        assert_eq!(
            open_content(&vec![0; length]),
            Err(OpenError::Length),
            "{length} bytes"
        );
    }
    for packing in 6..=255 {
        assert_eq!(
            open_content(&content(packing, 2, 2, b"hi")),
            Err(OpenError::Packing(packing))
        );
    }
}

#[test]
fn padding_has_one_form() {
    let good = content(0, 11, 11, b"hello world");
    assert_eq!(good.len(), 20);
    let plain = content(0, 14, 14, b"hello world, .");
    assert_eq!(plain.len(), 24, "23 bytes and one of padding");
    let mut marked = plain.clone();
    *marked.last_mut().unwrap() = 1;
    assert_eq!(open_content(&marked), Err(OpenError::Padding));
    let mut longer = plain.clone();
    longer.push(0);
    assert_eq!(open_content(&longer), Err(OpenError::Padding));
    let shorter = plain.get(..23).unwrap();
    assert_eq!(open_content(shorter), Err(OpenError::Padding));
    assert_eq!(open_content(&plain).unwrap(), b"hello world, .");
}

#[test]
fn lengths_on_the_wire_are_padmé() {
    let table = [
        (9, 10),
        (17, 18),
        (40, 40),
        (100, 104),
        (200, 208),
        (500, 512),
        (1_000, 1_024),
        (5_000, 5_120),
        (10_000, 10_240),
        (100_000, 100_352),
        (250_000, 253_952),
        (1_048_585, 1_081_344),
    ];
    for (length, padded) in table {
        assert_eq!(padded_length(length), padded, "{length}");
    }
    // What does not compress lies in one block as it is: packing, three lengths, three bytes.
    for (length, before) in [(0, 7), (31, 7), (32, 7), (33, 7), (500, 9), (4_000, 9)] {
        let body = sealed(&noise(length)).body().unwrap().len();
        assert_eq!(body, padded_length(before + length) + 16);
    }
    let same =
        |a: usize, b: usize| sealed(&noise(a)).bytes().len() == sealed(&noise(b)).bytes().len();
    assert!(same(92, 95) && !same(92, 200));
}

#[test]
fn what_fits_is_told_before_it_is_sealed() {
    assert!(open(&sealed(&noise(PACKED_BYTES_MAX)), &key()).is_ok());
    let too_long = seal(
        request(Kind::Change),
        &key(),
        &noise(262_144),
        &author(),
        [0; 32],
    );
    assert!(matches!(too_long, Err(SealError::Envelope(_))));
    let bytes = PLAINTEXT_BYTES_MAX + 1;
    let too_long = seal(
        request(Kind::Change),
        &key(),
        &vec![0; bytes],
        &author(),
        [0; 32],
    );
    assert_eq!(too_long.unwrap_err(), SealError::PlaintextTooLong { bytes });
    // A fragment takes a page that does not compress, almost to the limit.
    let fragment = seal(
        request(Kind::Fragment),
        &key(),
        &noise(1_000_000),
        &author(),
        [0; 32],
    );
    assert_eq!(open(&fragment.unwrap(), &key()).unwrap(), noise(1_000_000));
}

#[test]
fn each_kind_has_its_own_function_and_epoch() {
    for kind in [Kind::AuthOp, Kind::KeyOp, Kind::Notice] {
        let refused = seal(request(kind), &key(), b"", &author(), [0; 32]);
        assert_eq!(refused.unwrap_err(), SealError::Kind { kind });
    }
    let mut without_epoch = request(Kind::Change);
    without_epoch.epoch_id = EpochId::ZERO;
    let refused = seal(without_epoch, &key(), b"", &author(), [0; 32]);
    assert_eq!(refused.unwrap_err(), SealError::Epoch { sealed: true });
    let mut crowded = request(Kind::Change);
    crowded.refs = vec![MediaRootId::ZERO; 9];
    let refused = seal(crowded, &key(), b"", &author(), [0; 32]);
    assert!(matches!(refused, Err(SealError::Envelope(_))));
    let change = sealed(b"x");
    let inbox = InboxSecret::from_seed([1; 32]);
    assert_eq!(
        open_notice(&change, &inbox),
        Err(OpenError::Kind { kind: Kind::Change })
    );
    assert_eq!(open(&change.pruned(), &key()), Err(OpenError::Pruned));
}

fn grant(principal: u8) -> ClearOp {
    ClearOp::Grant {
        principal: PrincipalKey::from_bytes([principal; 32]),
        rights: Rights::READ,
        expiry: UnixMillis(0),
        quota_class: 0,
        one_use: true,
    }
}

#[test]
fn the_clear_part_of_an_auth_op_is_bound_to_its_sealed_part() {
    let control = key().control();
    let envelope = seal_auth_op(
        request(Kind::AuthOp),
        &[grant(1)],
        Some((&control, b"role: member")),
        &author(),
        [0; 32],
    )
    .unwrap();
    assert_eq!(
        open_auth_op(&envelope, &control).unwrap().unwrap(),
        b"role: member"
    );
    let other = EpochKey::from_seed([3; 32]).control();
    assert_eq!(
        open_auth_op(&envelope, &other),
        Err(OpenError::Authentication)
    );

    // The same sealed part behind another grant, by the same author.
    let body = envelope.body().unwrap();
    let at = body
        .windows(32)
        .position(|window| window == [1; 32])
        .unwrap();
    let mut changed = body.to_vec();
    changed.get_mut(at..at + 32).unwrap().fill(2);
    let forged = VerifiedEnvelope::sign(
        envelope.prefix().clone(),
        envelope.header().nonce,
        &changed,
        author().signing_key(),
    )
    .unwrap();
    assert_eq!(
        open_auth_op(&forged, &control),
        Err(OpenError::Authentication)
    );

    let mut clear = request(Kind::AuthOp);
    clear.epoch_id = EpochId::ZERO;
    let envelope = seal_auth_op(clear, &[grant(1)], None, &author(), [0; 32]).unwrap();
    assert_eq!(open_auth_op(&envelope, &control), Ok(None));
    let refused = seal_auth_op(request(Kind::AuthOp), &[grant(1)], None, &author(), [0; 32]);
    assert_eq!(refused.unwrap_err(), SealError::Epoch { sealed: false });
    let ops: Vec<_> = (0..33).map(grant).collect();
    let refused = seal_auth_op(
        request(Kind::AuthOp),
        &ops,
        Some((&control, b"")),
        &author(),
        [0; 32],
    );
    assert!(matches!(refused, Err(SealError::Ops(_))));
}

#[test]
fn a_notice_opens_for_its_recipient_only() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let (recipient, other) = (
        InboxSecret::from_seed([1; 32]),
        InboxSecret::from_seed([2; 32]),
    );
    let mut request = request(Kind::Notice);
    request.epoch_id = EpochId::ZERO;
    let envelope = seal_notice(
        request.clone(),
        recipient.public(),
        b"removed",
        &author(),
        &mut rng,
    )
    .unwrap();
    assert_eq!(open_notice(&envelope, &recipient).unwrap(), b"removed");
    assert_eq!(
        open_notice(&envelope, &other),
        Err(OpenError::Authentication)
    );
    let mut moved = envelope.prefix().clone();
    moved.seq = Seq(99);
    let body = envelope.body().unwrap();
    let moved = VerifiedEnvelope::sign(moved, [0; 24], body, author().signing_key()).unwrap();
    assert_eq!(
        open_notice(&moved, &recipient),
        Err(OpenError::Authentication)
    );
    let weak = khlong_crdt::id::InboxKey::from_bytes([0; 32]);
    let refused = seal_notice(request, weak, b"removed", &author(), &mut rng);
    assert!(matches!(refused, Err(SealError::Box(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_is_opened_or_refused_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = open_content(&bytes);
    }

    #[test]
    fn any_plaintext_survives(bytes in prop::collection::vec(any::<u8>(), 0..3_000), random in any::<[u8; 32]>()) {
        let envelope = seal(request(Kind::Receipt), &key(), &bytes, &author(), random).unwrap();
        prop_assert_eq!(open(&envelope, &key()).unwrap(), bytes);
    }
}
