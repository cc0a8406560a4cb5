//! Any bytes, at every decoder of this crate: a value that encodes to the same bytes, or a
//! typed error. How long, and with which engine: `crdt/tests/fuzzing`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fuzzing;
mod support;

use fuzzing::{fuzz, hex_strings, strings};
use khlong_crdt::address::{INVITE_RELAYS_MAX, InviteLink, InvitePayload, RelayAddress};
use khlong_crdt::admission::{Admission, AuthBody};
use khlong_crdt::class::Cursor;
use khlong_crdt::envelope::{EnvelopeError, Header, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, RelayKey, TimelineId};
use khlong_crdt::limits::OPS_PER_ENVELOPE_MAX;
use khlong_crdt::receipt::{PROOF_SIBLINGS_MAX, ReceiptError, StoredProof, StoredReceipt};
use khlong_crdt::text;
use support::group::{LATER, opened};
use support::{Chain, key, principal, timeline};

const VECTORS: &str = include_str!("../testdata/envelopes.json");

fn vectors() -> Vec<Vec<u8>> {
    hex_strings(VECTORS)
}

fn vectors_of(lengths: std::ops::RangeInclusive<usize>) -> Vec<Vec<u8>> {
    let mut vectors = vectors();
    vectors.retain(|vector| lengths.contains(&vector.len()));
    vectors
}

fn texts() -> Vec<Vec<u8>> {
    strings(VECTORS)
}

fuzz!(fuzz_envelope, 400, vectors_of(200..=4_096), envelope);

fn envelope(bytes: &[u8]) {
    match VerifiedEnvelope::verify(bytes) {
        Ok(envelope) => keeps_its_bytes(&envelope, bytes),
        Err(error) => assert!(!error.is_retryable()),
    }
    // Without this nearly everything would end at the signature.
    let Ok((mut prefix, length)) = Prefix::decode(bytes) else {
        return;
    };
    assert_eq!(prefix.encode(), bytes[..length], "one form");
    let signer = key("fuzz");
    prefix.author = AuthorKey::from_bytes(signer.verifying_key().to_bytes());
    let body = &bytes[length..];
    match VerifiedEnvelope::sign(prefix, [3; 24], body, &signer) {
        Ok(envelope) => {
            let again = VerifiedEnvelope::verify(envelope.bytes()).unwrap();
            keeps_its_bytes(&again, envelope.bytes());
            assert_eq!(again.body(), Some(body));
        }
        Err(error) => assert!(matches!(error, EnvelopeError::BodyLength { .. })),
    }
}

fn keeps_its_bytes(envelope: &VerifiedEnvelope, bytes: &[u8]) {
    assert_eq!(envelope.bytes(), bytes);
    assert_eq!(envelope.header().encode(), envelope.header_bytes());
    assert_eq!(envelope.header().id(), envelope.id());
    let (header, length) = Header::decode(bytes).unwrap();
    assert_eq!(
        (&header, length),
        (envelope.header(), envelope.header_bytes().len())
    );
    let pruned = envelope.pruned();
    assert_eq!(VerifiedEnvelope::verify(pruned.bytes()).unwrap(), pruned);
    assert_eq!(pruned.id(), envelope.id());
}

/// The bodies of the auth-ops among the vectors.
fn bodies() -> Vec<Vec<u8>> {
    let envelopes = vectors()
        .into_iter()
        .filter_map(|bytes| VerifiedEnvelope::verify(bytes).ok());
    let auth_ops = envelopes.filter(|envelope| envelope.kind() == Kind::AuthOp);
    auth_ops
        .filter_map(|envelope| envelope.body().map(<[u8]>::to_vec))
        .collect()
}

fuzz!(fuzz_auth_body, 4_000, bodies(), auth_body);

fn auth_body(body: &[u8]) {
    let Ok(read) = AuthBody::decode(body) else {
        return;
    };
    assert!((1..=OPS_PER_ENVELOPE_MAX).contains(&read.ops.len()));
    assert_eq!(read.clear.end, read.sealed.start);
    assert_eq!(
        AuthBody::encode(&read.ops, &body[read.sealed]).unwrap(),
        body
    );
}

fuzz!(fuzz_admission, 150, bodies(), admission);

/// What a stranger, and then the owner, signs around a hostile body.
fn admission(body: &[u8]) {
    if body.is_empty() {
        return;
    }
    let (mut admission, mut owner) = opened();
    let by_stranger = Chain::new("stranger").write(Kind::AuthOp, body);
    let by_owner = owner.write(Kind::AuthOp, body);
    for envelope in [by_stranger, by_owner] {
        let before = admission.clone();
        match admission.apply(&envelope, LATER) {
            Ok(()) => {
                let after = admission.clone();
                admission.apply(&envelope, LATER).unwrap();
                assert_eq!(admission, after, "twice is as good as once");
            }
            Err(_) => assert_eq!(admission, before, "all or nothing"),
        }
        let mut member = before;
        let _ = member.merge(&envelope);
    }
    assert!(
        admission
            .principals()
            .any(|(known, _)| known == principal("owner"))
    );
    // The same body as a genesis.
    let signer = key("timeline");
    let genesis = VerifiedEnvelope::sign(
        support::prefix(Kind::AuthOp, &signer),
        [0; 24],
        body,
        &signer,
    );
    if let Ok(opened) = Admission::open(&genesis.unwrap()) {
        assert_eq!(opened.authors().count(), 0);
    }
}

fuzz!(fuzz_receipt, 2_000, vectors_of(160..=160), receipt);

fn receipt(bytes: &[u8]) {
    match StoredReceipt::decode(bytes) {
        Ok(receipt) => {
            assert_eq!(receipt.encode(), bytes);
            assert!(receipt.verify(&[]).is_err(), "a receipt is for something");
        }
        Err(error) => assert_eq!(error, ReceiptError::Length),
    }
}

fuzz!(fuzz_proof, 1_000, vectors_of(160..=1_300), proof);

fn proof(bytes: &[u8]) {
    let Ok(proof) = StoredProof::decode(bytes) else {
        return;
    };
    assert!(proof.siblings.len() <= PROOF_SIBLINGS_MAX);
    assert!(proof.index < proof.receipt.count);
    assert_eq!(proof.encode(), bytes);
    assert!(proof.verify(&EnvelopeId::ZERO).is_err());
}

fuzz!(fuzz_cursor, 4_000, vectors_of(36..=36), cursor);

fn cursor(bytes: &[u8]) {
    let read = Cursor::decode(bytes);
    assert_eq!(read.is_some(), bytes.len() == Cursor::LENGTH);
    if let Some(cursor) = read {
        assert_eq!(cursor.encode(), bytes);
    }
}

fuzz!(fuzz_text, 2_000, texts(), text_form);

fn text_form(bytes: &[u8]) {
    let payload = &bytes[..bytes.len().min(text::TEXT_PAYLOAD_BYTES_MAX)];
    if payload.len() != 17 {
        let encoded = text::encode("tl_", payload);
        assert_eq!(text::decode("tl_", &encoded).unwrap(), payload);
    }
    let Ok(letters) = std::str::from_utf8(bytes) else {
        return;
    };
    for prefix in ["tl_", "env_", "rly_", "open.", ""] {
        if let Ok(payload) = text::decode(prefix, letters)
            && payload.len() != 17
        {
            assert_eq!(text::encode(prefix, &payload), letters, "one spelling");
        }
        if let Some((lowest, highest)) = text::payloads_from::<32>(prefix, letters) {
            assert!(lowest <= highest);
        }
    }
    if let Ok(id) = letters.parse::<TimelineId>() {
        assert_eq!(id.to_string(), letters);
    }
}

fuzz!(fuzz_address, 1_000, addresses(), address);

fn addresses() -> Vec<Vec<u8>> {
    let mut seeds = texts();
    seeds.retain(|text| text.starts_with(b"khlong://"));
    let parts = [
        &b"@bkk.example.net:4747"[..],
        b"@[2001:db8::1]:1",
        b"@10.0.0.1:65535",
    ];
    seeds.extend(parts.map(<[u8]>::to_vec));
    seeds
}

fn address(bytes: &[u8]) {
    let Ok(part) = std::str::from_utf8(bytes) else {
        return;
    };
    // The key and the id with their checksums, so that the rest is looked at, too.
    let key = RelayKey::from_bytes(key("relay").verifying_key().to_bytes()).to_string();
    let key = key.strip_prefix(RelayKey::PREFIX).unwrap();
    let secret = "#".to_owned() + &text::encode("open.", &[9; 32]);
    let with_key = format!("khlong://{key}{part}");
    let second = format!(
        "{with_key}/join/{}?also={key}@b.example:2{secret}",
        timeline()
    );
    let query = format!(
        "khlong://{key}@a.example:1/join/{}{part}{secret}",
        timeline()
    );
    let sealed = format!(
        "khlong://{key}@a.example:1/join/{}#{}",
        timeline(),
        text::encode("sealed.", &bytes[..bytes.len().min(16)])
    );
    for text in [part, &with_key, &second, &query, &sealed] {
        if let Ok(address) = text.parse::<RelayAddress>() {
            assert_eq!(address.to_string(), *text, "one spelling");
        }
        if let Ok(link) = text.parse::<InviteLink>() {
            assert_eq!(link.to_string(), *text, "one spelling");
            assert!((1..=INVITE_RELAYS_MAX).contains(&link.relays.len()));
            assert!(match &link.secret {
                InvitePayload::Open(_) => true,
                InvitePayload::Sealed(sealed) => !sealed.is_empty(),
            });
        }
    }
}
