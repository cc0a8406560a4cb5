//! Frozen vectors: what was sealed once opens for ever.
//!
//! `KHLONG_WRITE_VECTORS=1` adds the cases that are not there yet, after a deliberate change
//! of the format. Those that are there stay, also where a writer would now do otherwise.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod compact_form;

use std::path::Path;

use compact_form::{Group, NOW, say};

use data_encoding::HEXLOWER;
use khlong_crdt::admission::History;
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{EnvelopeId, EpochId, MediaRootId, PrincipalKey, Seq, TimelineId};
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::inbox::InboxSecret;
use khlong_document::membership::mint::{MintRequest, mint};
use khlong_document::seal::{
    SealRequest, open, open_auth_op, open_key_op, open_notice, seal, seal_key_op,
};
use khlong_document::text;
use khlong_document::timeline::limits::Limits;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

const AUTHOR_SEED: [u8; 32] = [0x11; 32];
const KEY: [u8; 32] = [0x22; 32];
const INBOX_SEED: [u8; 32] = [0x33; 32];
const RANDOM: [u8; 32] = [0x44; 32];
const SHORT: &str = "ประชุมที่คลอง 9 โมง";

fn path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/sealed.json")
}

fn request(kind: Kind, refs: usize, sealed: bool) -> SealRequest {
    SealRequest {
        kind,
        timeline: TimelineId::from_bytes([0x55; 32]),
        seq: Seq(7),
        prev: EnvelopeId::from_bytes([0x66; 32]),
        epoch_id: if sealed {
            EpochId::from_bytes([0x77; 32])
        } else {
            EpochId::ZERO
        },
        expiry: Expiry::Month,
        refs: vec![MediaRootId::from_bytes([0x88; 32]); refs],
    }
}

fn sealed_content(name: &str, kind: Kind, refs: usize, packing: u8, plaintext: &[u8]) -> Value {
    let author = AuthorSecret::from_seed(AUTHOR_SEED);
    let key = EpochKey::from_seed(KEY);
    let envelope = seal(request(kind, refs, true), &key, plaintext, &author, RANDOM).unwrap();
    case(name, Some(packing), plaintext, &envelope)
}

/// As texts lie in a plaintext.
fn said(text: &[u8]) -> Vec<u8> {
    [text, &[text::END]].concat()
}

fn case(name: &str, packing: Option<u8>, plaintext: &[u8], envelope: &VerifiedEnvelope) -> Value {
    json!({
        "name": name,
        "kind": envelope.prefix().kind as u8,
        "packing": packing,
        "plaintext": HEXLOWER.encode(plaintext),
        "id": envelope.id().to_string(),
        "envelope": HEXLOWER.encode(envelope.bytes()),
    })
}

/// What a writer makes today.
fn generate() -> Vec<Value> {
    let author = AuthorSecret::from_seed(AUTHOR_SEED);
    let inbox = InboxSecret::from_seed(INBOX_SEED);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let minted = mint(
        &MintRequest {
            timeline: TimelineId::from_bytes([0x55; 32]),
            history: History::Full,
            parents: &[],
            auth_heads: &[EnvelopeId::from_bytes([0x66; 32])],
            minter: PrincipalKey::from_bytes([0x99; 32]),
            recipients: &[inbox.public()],
            public_key: None,
        },
        &mut rng,
    )
    .unwrap();
    let key_op = seal_key_op(request(Kind::KeyOp, 0, false), &minted.op, &author).unwrap();
    let thai = text::encode(&SHORT.repeat(3));
    let emoji = text::encode("😀 ok ñ 中文");
    let english = b"Sorry, I am running late. See you at the shop at half past six!";
    // Some that are improbable, some of other languages, several texts.
    let long = [
        &said(english)[..],
        b"~\x7f\0 qqq ",
        &said(&thai),
        &said(&emoji),
    ]
    .concat();
    vec![
        // The plaintext of a key-op is the key that its wrap gives.
        case("key-op, mint", None, minted.key.seed(), &key_op),
        sealed_content("change, empty, one block", Kind::Change, 0, 2, b""),
        sealed_content(
            "receipt, one block",
            Kind::Receipt,
            1,
            2,
            &[0, 1, 2, 254, 255],
        ),
        sealed_content("change, thai-2026", Kind::Change, 0, 2, &thai),
        sealed_content("change, english-2026", Kind::Change, 2, 3, english),
        sealed_content("change, thai-2026, model", Kind::Change, 0, 4, &said(&thai)),
        sealed_content("receipt, no text, model", Kind::Receipt, 1, 4, &said(b"")),
        sealed_content("change, english-2026, model", Kind::Change, 2, 5, &long),
        compact("change, codec 1", History::Full, false),
        compact("change, codec 1, further forms", History::SinceJoin, true),
    ]
}

/// A change in the compact form, in a group with a public key.
fn compact(name: &str, history: History, further: bool) -> Value {
    let mut group = Group::new(Limits::PRODUCTION, history);
    group.write(1, &[say("มากี่โมงคะ")]);
    let question = group.said[0].clone();
    group.members[0].receive(&question);
    let mut envelope = group.write(0, &[say("สองทุ่ม ok 😀")]);
    let mut changes = compact_form::raw_changes(&group.members[0]).split_off(1);
    if further {
        let question = &group.members[0].messages(0..1)[0];
        let (plaintext, raw) = compact_form::all_forms(&changes[0], envelope.author(), question);
        changes = raw;
        envelope = group.seal(0, &envelope, &plaintext);
    }
    let key = group.key();
    let plaintext = open(&envelope, &key).unwrap();
    let mut case = case(name, Some(2), &plaintext, &envelope);
    case["epoch_key"] = json!(HEXLOWER.encode(key.seed()));
    let changes: Vec<_> = changes.iter().map(|raw| HEXLOWER.encode(raw)).collect();
    case["changes"] = json!(changes);
    case["clock"] = json!(NOW.0);
    case
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn frozen_envelopes_open() {
    if std::env::var_os("KHLONG_WRITE_VECTORS").is_some() {
        let mut vectors: Value =
            serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
        let cases = vectors["cases"].as_array_mut().unwrap();
        for case in generate() {
            if cases.iter().all(|known| known["name"] != case["name"]) {
                cases.push(case);
            }
        }
        let vectors = serde_json::to_string_pretty(&vectors).unwrap() + "\n";
        std::fs::write(path(), vectors).unwrap();
    }
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let key = EpochKey::from_seed(bytes(&vectors["epoch_key"]).try_into().unwrap());
    let inbox = InboxSecret::from_seed(bytes(&vectors["inbox_seed"]).try_into().unwrap());
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 17);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let key = match case.get("epoch_key") {
            Some(own) => EpochKey::from_seed(bytes(own).try_into().unwrap()),
            None => key.clone(),
        };
        let envelope = VerifiedEnvelope::verify(bytes(&case["envelope"])).unwrap();
        assert_eq!(
            envelope.id().to_string(),
            case["id"].as_str().unwrap(),
            "{name}"
        );
        let plaintext = match envelope.prefix().kind {
            Kind::Change | Kind::Fragment | Kind::Receipt => open(&envelope, &key).unwrap(),
            Kind::AuthOp => open_auth_op(&envelope, &key.control()).unwrap().unwrap(),
            Kind::KeyOp => {
                let op = open_key_op(&envelope).unwrap();
                let timeline = envelope.prefix().timeline;
                op.unwrap(timeline, &inbox)
                    .unwrap()
                    .unwrap()
                    .1
                    .seed()
                    .to_vec()
            }
            Kind::Notice => open_notice(&envelope, &inbox).unwrap(),
        };
        assert_eq!(plaintext, bytes(&case["plaintext"]), "{name}");
    }
}

#[test]
fn sealing_again_gives_the_frozen_bytes() {
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let frozen = vectors["cases"].as_array().unwrap();
    let mut compared = 0;
    for again in generate() {
        let name = again["name"].as_str().unwrap();
        let frozen = frozen.iter().find(|case| case["name"] == name).unwrap();
        assert_eq!(frozen["plaintext"], again["plaintext"], "{name}");
        assert_eq!(frozen["changes"], again["changes"], "{name}");
        // What zstd makes of text may change from version to version, and only that.
        if name.ends_with("one block") || name.ends_with("model") || frozen["packing"].is_null() {
            assert_eq!(frozen["envelope"], again["envelope"], "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, 6);
}

/// The reader's half: what was sealed once is rebuilt for ever.
#[test]
fn frozen_changes_are_rebuilt() {
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    for (name, history, changes) in [
        ("change, codec 1", History::Full, 1),
        ("change, codec 1, further forms", History::SinceJoin, 2),
    ] {
        let case = cases.iter().find(|case| case["name"] == name).unwrap();
        let envelope = VerifiedEnvelope::verify(bytes(&case["envelope"])).unwrap();
        let mut group = Group::new(Limits::PRODUCTION, history);
        let question = group.write(1, &[say("มากี่โมงคะ")]);
        let mut reader = group.copy_of(2);
        reader.receive_all([question, envelope]);
        let rebuilt = compact_form::raw_changes(&reader);
        let frozen = case["changes"].as_array().unwrap();
        for (rebuilt, frozen) in rebuilt[1..].iter().zip(frozen) {
            assert_eq!(*rebuilt, bytes(frozen), "{name}");
        }
        assert_eq!(rebuilt.len(), 1 + changes, "{name}");
    }
}
