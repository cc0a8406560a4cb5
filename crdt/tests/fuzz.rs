//! Any bytes, at every decoder of this crate: a value that encodes to the same bytes, or a
//! typed error. How long, and with which engine: `crdt/tests/fuzzing`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fuzzing;
mod support;

use fuzzing::{Seeds, fuzz, hex_strings, one_form, strings};
use khlong_crdt::address::{INVITE_RELAYS_MAX, InviteLink, InvitePayload, RelayAddress};
use khlong_crdt::admission::{Admission, AuthBody, ClearOp};
use khlong_crdt::class::Cursor;
use khlong_crdt::envelope::{EnvelopeError, Header, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, RelayKey, TimelineId};
use khlong_crdt::limits::OPS_PER_ENVELOPE_MAX;
use khlong_crdt::receipt::{PROOF_SIBLINGS_MAX, ReceiptError, StoredProof, StoredReceipt};
use khlong_crdt::text;
use support::group::{LATER, opened};
use support::{Chain, key, principal, timeline};

const VECTORS: &str = include_str!("../testdata/envelopes.json");

/// What a field of each entry of a section holds: the frozen ones, which are right.
fn frozen(section: &str, field: &str) -> Vec<Vec<u8>> {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let entries = vectors[section].as_array().unwrap().iter();
    entries
        .flat_map(|entry| hex_strings(&entry[field].to_string()))
        .collect()
}

fn frozen_texts() -> Vec<Vec<u8>> {
    let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    let entries = vectors["texts"].as_array().unwrap().iter();
    let text = |entry: &serde_json::Value| entry["text"].as_str().unwrap().as_bytes().to_vec();
    entries.map(text).collect()
}

/// The frozen ones, and all that is about as long.
fn vectors(section: &str, field: &str, lengths: std::ops::RangeInclusive<usize>) -> Seeds {
    let genuine = frozen(section, field);
    let mut others = hex_strings(VECTORS);
    others.retain(|vector| lengths.contains(&vector.len()) && !genuine.contains(vector));
    Seeds::and(genuine, others)
}

/// The frozen ones with the prefixes that are tried, and all else that is written there.
fn texts() -> Seeds {
    let is_tried = |text: &Vec<u8>| {
        let mut prefixes = TEXT_PREFIXES.iter();
        prefixes.any(|prefix| text.starts_with(prefix.as_bytes()))
    };
    let mut genuine = frozen_texts();
    genuine.retain(is_tried);
    Seeds::and(genuine, strings(VECTORS))
}

fuzz!(
    fuzz_envelope,
    400,
    vectors("envelopes", "bytes", 200..=4_096),
    envelope
);

fn envelope(bytes: &[u8]) -> bool {
    let verified = VerifiedEnvelope::verify(bytes);
    match &verified {
        Ok(envelope) => keeps_its_bytes(envelope, bytes),
        Err(error) => assert!(!error.is_retryable()),
    }
    // Without this nearly everything would end at the signature.
    let Ok((mut prefix, length)) = Prefix::decode(bytes) else {
        return false;
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
    verified.is_ok()
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
    let envelopes = frozen("envelopes", "bytes")
        .into_iter()
        .map(|bytes| VerifiedEnvelope::verify(bytes).unwrap());
    let auth_ops = envelopes.filter(|envelope| envelope.kind() == Kind::AuthOp);
    auth_ops
        .filter_map(|envelope| envelope.body().map(<[u8]>::to_vec))
        .collect()
}

fuzz!(fuzz_auth_body, 4_000, bodies(), auth_body);

fn auth_body(body: &[u8]) -> bool {
    let Ok(read) = AuthBody::decode(body) else {
        return false;
    };
    assert!((1..=OPS_PER_ENVELOPE_MAX).contains(&read.ops.len()));
    assert_eq!(read.clear.end, read.sealed.start);
    assert_eq!(
        AuthBody::encode(&read.ops, &body[read.sealed]).unwrap(),
        body
    );
    true
}

fuzz!(fuzz_admission, 150, admissible(), admission);

/// What the owner of any group may say. A certificate and a handover are signed for one timeline.
fn admissible() -> Seeds {
    let is_of_one = |body: &Vec<u8>| {
        let ops = AuthBody::decode(body).unwrap().ops;
        let mut ops = ops.iter();
        ops.any(|op| matches!(op, ClearOp::Author { .. } | ClearOp::Handover { .. }))
    };
    let (others, genuine) = bodies().into_iter().partition(is_of_one);
    Seeds::and(genuine, others)
}

/// What a stranger, and then the owner, signs around a hostile body.
fn admission(body: &[u8]) -> bool {
    if body.is_empty() {
        return false;
    }
    let mut is_taken = false;
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
                is_taken = true;
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
        is_taken = true;
    }
    is_taken
}

fuzz!(
    fuzz_receipt,
    2_000,
    vectors("receipts", "bytes", 160..=160),
    receipt
);

fn receipt(bytes: &[u8]) -> bool {
    let read = StoredReceipt::decode(bytes);
    match &read {
        Ok(receipt) => {
            assert_eq!(receipt.encode(), bytes);
            assert!(receipt.verify(&[]).is_err(), "a receipt is for something");
        }
        Err(error) => assert_eq!(*error, ReceiptError::Length),
    }
    read.is_ok()
}

fuzz!(
    fuzz_proof,
    1_000,
    vectors("proofs", "bytes", 160..=1_300),
    proof
);

fn proof(bytes: &[u8]) -> bool {
    let Ok(proof) = StoredProof::decode(bytes) else {
        return false;
    };
    assert!(proof.siblings.len() <= PROOF_SIBLINGS_MAX);
    assert!(proof.index < proof.receipt.count);
    assert_eq!(proof.encode(), bytes);
    assert!(proof.verify(&EnvelopeId::ZERO).is_err());
    true
}

fuzz!(
    fuzz_cursor,
    4_000,
    vectors("arrivals", "cursor", 36..=36),
    cursor
);

fn cursor(bytes: &[u8]) -> bool {
    let read = Cursor::decode(bytes);
    assert_eq!(read.is_some(), bytes.len() == Cursor::LENGTH);
    one_form(bytes, read, Cursor::encode)
}

/// Of the text forms that are tried.
const TEXT_PREFIXES: [&str; 4] = ["tl_", "env_", "rly_", "open."];

fuzz!(fuzz_text, 2_000, texts(), text_form);

fn text_form(bytes: &[u8]) -> bool {
    let payload = &bytes[..bytes.len().min(text::TEXT_PAYLOAD_BYTES_MAX)];
    if payload.len() != 17 {
        let encoded = text::encode("tl_", payload);
        assert_eq!(text::decode("tl_", &encoded).unwrap(), payload);
    }
    let Ok(letters) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut is_taken = false;
    for prefix in TEXT_PREFIXES.into_iter().chain([""]) {
        if let Ok(payload) = text::decode(prefix, letters)
            && payload.len() != 17
        {
            assert_eq!(text::encode(prefix, &payload), letters, "one spelling");
            is_taken |= letters.starts_with(prefix) && !prefix.is_empty();
        }
        if let Some((lowest, highest)) = text::payloads_from::<32>(prefix, letters) {
            assert!(lowest <= highest);
        }
    }
    if let Ok(id) = letters.parse::<TimelineId>() {
        assert_eq!(id.to_string(), letters);
    } else {
        is_taken &= !letters.starts_with(TimelineId::PREFIX);
    }
    is_taken
}

fuzz!(fuzz_address, 1_000, addresses(), address);

fn addresses() -> Vec<Vec<u8>> {
    let mut seeds = strings(VECTORS);
    seeds.retain(|text| text.starts_with(b"khlong://"));
    let parts = [
        &b"@bkk.example.net:4747"[..],
        b"@[2001:db8::1]:1",
        b"@10.0.0.1:65535",
    ];
    seeds.extend(parts.map(<[u8]>::to_vec));
    seeds
}

fn address(bytes: &[u8]) -> bool {
    let Ok(part) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut is_taken = false;
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
            is_taken = true;
        }
        if let Ok(link) = text.parse::<InviteLink>() {
            assert_eq!(link.to_string(), *text, "one spelling");
            assert!((1..=INVITE_RELAYS_MAX).contains(&link.relays.len()));
            assert!(match &link.secret {
                InvitePayload::Open(_) => true,
                InvitePayload::Sealed(sealed) => !sealed.is_empty(),
            });
            is_taken |= text == part;
        }
    }
    is_taken
}

/// A target of this file as a run begins with it.
const TARGET: fuzzing::Target = fuzzing::Target {
    name: "fuzz_cursor",
    corpus: concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/corpus"),
    findings: env!("CARGO_TARGET_TMPDIR"),
    iterations: 1,
};

#[test]
#[should_panic(expected = "fuzz_cursor: 2 of 2 genuine seeds are refused")]
fn a_decoder_that_refuses_everything_fails_its_target() {
    TARGET.run(vec![vec![1], vec![2]].into(), &|_| false);
}

#[test]
#[should_panic(expected = "fuzz_cursor has no genuine seed")]
fn a_target_without_a_genuine_seed_fails() {
    TARGET.run(Seeds::and(Vec::new(), vec![vec![1]]), &|_| true);
}
