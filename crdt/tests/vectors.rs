//! Frozen vectors: today's code writes and reads the bytes of `testdata/envelopes.json`.
//!
//! `KHLONG_WRITE_VECTORS=1 cargo test -p khlong-crdt --test vectors` writes the file
//! anew. Do that only to add vectors: the old ones open forever.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use khlong_crdt::{
    address::{InviteLink, InvitePayload, RelayAddress},
    admission::{AuthBody, ClearOp, Rights},
    class::{Class, Cursor, RunningHash},
    envelope::{EnvelopeError, Expiry, Kind, Prefix, VerifiedEnvelope},
    id::{
        ArrivalSeq, DeviceKey, EnvelopeId, EpochId, InboxKey, LogId, MediaRootId, MessageId,
        RelayKey, Seq, UserId,
    },
    limits::REFS_MAX,
    receipt::{StoredProof, StoredReceipt},
    text,
    time::UnixMillis,
};
use serde_json::{Value, json};
use support::{Chain, bytes, genesis, grant, invite, key, prefix, principal, revoke, timeline};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/envelopes.json")
}

fn hex(bytes: &[u8]) -> Value {
    HEXLOWER.encode(bytes).into()
}

fn frozen() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap()
}

fn unhex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

#[test]
fn the_generator_gives_the_frozen_file() {
    let text = format!("{:#}\n", generate());
    if std::env::var_os("KHLONG_WRITE_VECTORS").is_some() {
        std::fs::write(path(), &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path()).unwrap(), text);
}

#[test]
fn frozen_envelopes_verify_and_have_the_frozen_fields() {
    let frozen = frozen();
    let envelopes = frozen["envelopes"].as_array().unwrap();
    assert!(envelopes.len() >= 12, "vectors only grow");
    for vector in envelopes {
        let envelope = VerifiedEnvelope::verify(unhex(&vector["bytes"])).unwrap();
        assert_eq!(
            describe(vector["name"].as_str().unwrap(), &envelope),
            *vector
        );
    }
    for kind in Kind::ALL {
        let name = format!("{kind:?}");
        assert!(
            envelopes.iter().any(|vector| vector["kind"] == *name),
            "no vector of kind {name}"
        );
    }
}

#[test]
fn frozen_hostile_bytes_are_refused_with_the_frozen_error() {
    let frozen = frozen();
    let hostile = frozen["hostile"].as_array().unwrap();
    assert!(hostile.len() >= 12, "vectors only grow");
    for vector in hostile {
        let error = VerifiedEnvelope::verify(unhex(&vector["bytes"])).unwrap_err();
        assert_eq!(error_name(&error), vector["error"], "{}", vector["name"]);
    }
}

#[test]
fn frozen_proofs_verify() {
    let frozen = frozen();
    let proofs = frozen["proofs"].as_array().unwrap();
    assert!(proofs.len() >= 8, "vectors only grow");
    for vector in proofs {
        let bytes = unhex(&vector["bytes"]);
        let proof = StoredProof::decode(&bytes).unwrap();
        let id = unhex(&vector["id"]).try_into().unwrap();
        assert_eq!(proof.verify(&EnvelopeId::from_bytes(id)), Ok(()));
        assert_eq!(proof.encode(), bytes);
        assert_eq!(vector["index"], proof.index);
        assert_eq!(vector["count"], proof.receipt.count);
    }
}

fn generate() -> Value {
    let envelopes = envelopes();
    json!({
        "schema_version": 1,
        "envelopes": envelopes.iter().map(|(name, envelope)| describe(name, envelope)).collect::<Vec<_>>(),
        "hostile": hostile(&envelopes),
        "texts": texts(),
        "links": links(),
        "arrivals": arrivals(&envelopes),
        "receipts": receipts(&envelopes),
        "proofs": proofs(&envelopes),
    })
}

fn envelopes() -> Vec<(&'static str, VerifiedEnvelope)> {
    let (mut owner, introduction) = Chain::introduced("owner", "phone");
    let invited = owner.auth(&[invite("invite", Rights::MEMBER, 1_800_000_000_000)]);
    let key_op = owner.write(
        Kind::KeyOp,
        b"stands for a key-op; see sealed.json for real ones",
    );
    let (mut mali, joined) = Chain::joined("invite", "mali");
    let change = mali.write(Kind::Change, &[0x5a; 80]);
    let receipt = mali.write(Kind::Receipt, &[0xa5; 48]);
    let granted = owner.auth(&[
        grant("somchai", Rights::APPEND.union(Rights::READ)),
        grant("relay of another region", Rights::RELAY),
    ]);
    let revoked = owner.auth(&[revoke("mali", &[mali.cut()])]);
    let notice = owner.write(Kind::Notice, &[0x33; 120]);
    let mut refs = Chain::new("refs");
    refs.seq = Seq(41);
    refs.head = EnvelopeId::from_bytes(bytes("40 before"));
    let fragment = with_refs(&refs);
    let mut sealed_part = Chain::new("owner/phone");
    (sealed_part.seq, sealed_part.head) = (owner.seq, owner.head);
    let body = AuthBody::encode(&[grant("nok", Rights::READ)], &[0xee; 96]).unwrap();
    let auth_sealed = {
        let prefix = Prefix {
            seq: sealed_part.seq.next(),
            prev: sealed_part.head,
            epoch: EpochId::from_bytes(bytes("epoch")),
            ..prefix(Kind::AuthOp, &sealed_part.key)
        };
        VerifiedEnvelope::sign(prefix, [9; 24], &body, &sealed_part.key).unwrap()
    };
    let public = support::genesis_of(khlong_crdt::admission::TimelineKind::Public);
    vec![
        ("genesis of a group", genesis()),
        ("genesis of a public timeline", public),
        ("introduction of the owner", introduction),
        ("an invite is granted", invited),
        ("key-op", key_op),
        ("a joiner takes over the invite", joined),
        ("change", change.clone()),
        ("change, pruned", change.pruned()),
        ("receipt", receipt),
        ("two grants", granted),
        ("a revocation with a cut", revoked),
        ("notice", notice),
        ("fragment with all refs", fragment),
        ("auth-op with a sealed part", auth_sealed),
    ]
}

fn with_refs(chain: &Chain) -> VerifiedEnvelope {
    let prefix = Prefix {
        seq: chain.seq.next(),
        prev: chain.head,
        expiry: Expiry::Quarter,
        refs: (0..REFS_MAX)
            .map(|index| MediaRootId::from_bytes(bytes(&format!("media {index}"))))
            .collect(),
        ..prefix(Kind::Fragment, &chain.key)
    };
    VerifiedEnvelope::sign(prefix, [0x77; 24], &[0xc3; 300], &chain.key).unwrap()
}

fn describe(name: &str, envelope: &VerifiedEnvelope) -> Value {
    let (header, prefix) = (envelope.header(), envelope.prefix());
    let ops = match (prefix.kind, envelope.body()) {
        (Kind::AuthOp, Some(body)) => AuthBody::decode(body)
            .unwrap()
            .ops
            .iter()
            .map(describe_op)
            .collect(),
        _ => Value::Null,
    };
    json!({
        "name": name,
        "kind": format!("{:?}", prefix.kind),
        "timeline": prefix.timeline.to_string(),
        "author": prefix.author.to_string(),
        "seq": prefix.seq.get(),
        "prev": hex(prefix.prev.as_bytes()),
        "epoch": hex(prefix.epoch.as_bytes()),
        "expiry": prefix.expiry.as_u8(),
        "refs": prefix.refs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "nonce": hex(&header.nonce),
        "body_len": header.body_len,
        "body_hash": hex(&header.body_hash),
        "id": envelope.id().to_string(),
        "pruned": envelope.body().is_none(),
        "ops": ops,
        "bytes": hex(envelope.bytes()),
    })
}

fn describe_op(op: &ClearOp) -> Value {
    match op {
        ClearOp::Genesis {
            kind,
            history,
            admin,
            public_key,
            nonce,
        } => json!({
            "op": "genesis", "kind": *kind as u8, "history": *history as u8,
            "admin": admin.to_string(),
            "public_key": public_key.as_ref().map(|key| HEXLOWER.encode(key)),
            "nonce": hex(nonce),
        }),
        ClearOp::Grant {
            principal,
            rights,
            expiry,
            quota_class,
            one_use,
        } => json!({
            "op": "grant", "principal": principal.to_string(), "rights": rights.bits(),
            "expiry": expiry.get(), "quota_class": quota_class, "one_use": one_use,
        }),
        ClearOp::Revoke { principal, cuts } => json!({
            "op": "revoke", "principal": principal.to_string(),
            "cuts": cuts.iter().map(|cut| json!({
                "author": cut.author.to_string(), "seq": cut.seq.get(), "id": cut.id.to_string(),
            })).collect::<Vec<_>>(),
        }),
        ClearOp::Author {
            principal, author, ..
        } => json!({
            "op": "author", "principal": principal.to_string(), "author": author.to_string(),
        }),
        ClearOp::Inbox {
            principal, inbox, ..
        } => json!({
            "op": "inbox", "principal": principal.to_string(), "inbox": inbox.to_string(),
        }),
        ClearOp::Handover { from, to, .. } => json!({
            "op": "handover", "from": from.to_string(), "to": to.to_string(),
        }),
    }
}

/// The change, spoilt in one way each.
fn hostile(envelopes: &[(&str, VerifiedEnvelope)]) -> Vec<Value> {
    let (_, change) = envelopes
        .iter()
        .find(|(name, _)| *name == "change")
        .unwrap();
    let whole = change.bytes().to_vec();
    let spoilt = |name: &str, spoil: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        spoil(&mut bytes);
        let error = VerifiedEnvelope::verify(bytes.clone()).unwrap_err();
        json!({ "name": name, "error": error_name(&error), "bytes": hex(&bytes) })
    };
    vec![
        spoilt("another suite", &|bytes| bytes[0] = 0x12),
        spoilt("kind 0", &|bytes| bytes[1] = 0),
        spoilt("kind 7", &|bytes| bytes[1] = 7),
        spoilt("another kind", &|bytes| bytes[1] = 3),
        spoilt("another timeline", &|bytes| bytes[2] ^= 1),
        spoilt("author of small order", &|bytes| bytes[34..66].fill(0)),
        spoilt("seq 0", &|bytes| bytes[66..74].fill(0)),
        spoilt("seq 1 with a previous id", &|bytes| bytes[73] = 1),
        spoilt("seq 2 without a previous id", &|bytes| {
            bytes[74..106].fill(0)
        }),
        spoilt("a change under no epoch", &|bytes| bytes[106..138].fill(0)),
        spoilt("expiry class 6", &|bytes| bytes[138] = 6),
        spoilt("9 refs", &|bytes| bytes[139] = 9),
        spoilt("another nonce", &|bytes| bytes[140] ^= 1),
        spoilt("a body of 0 bytes", &|bytes| bytes[164..168].fill(0)),
        spoilt("a body of 4 GiB", &|bytes| bytes[164..168].fill(0xff)),
        spoilt("another body hash", &|bytes| bytes[168] ^= 1),
        spoilt("R of the signature", &|bytes| bytes[200] ^= 1),
        spoilt("S of the signature, plus the group order", &|bytes| {
            add_order(&mut bytes[232..264])
        }),
        spoilt("a flipped bit in the body", &|bytes| bytes[264] ^= 1),
        spoilt("one byte short", &|bytes| bytes.truncate(bytes.len() - 1)),
        spoilt("one byte over", &|bytes| bytes.push(0)),
    ]
}

/// S + L: the same number modulo the group order, and not canonical (RFC 8032 §5.1.7).
fn add_order(scalar: &mut [u8]) {
    const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order = HEXLOWER.decode(ORDER.as_bytes()).unwrap();
    let mut carry = 0;
    for (byte, add) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        let [high, low] = sum.to_be_bytes();
        (carry, *byte) = (u16::from(high), low);
    }
}

fn error_name(error: &EnvelopeError) -> String {
    let debug = format!("{error:?}");
    debug
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .next()
        .unwrap()
        .to_owned()
}

fn texts() -> Vec<Value> {
    let thirty_two = bytes("an id");
    let sixteen = [0xab; 16];
    let text = |text: String, bytes: &[u8]| {
        let prefix = text.split_inclusive('_').next().unwrap().to_owned();
        json!({ "prefix": prefix, "bytes": hex(bytes), "text": text })
    };
    vec![
        text(timeline().to_string(), timeline().as_bytes()),
        text(principal("mali").to_string(), principal("mali").as_bytes()),
        text(EnvelopeId::from_bytes(thirty_two).to_string(), &thirty_two),
        text(
            Chain::new("mali/phone").author().to_string(),
            Chain::new("mali/phone").author().as_bytes(),
        ),
        text(InboxKey::from_bytes(thirty_two).to_string(), &thirty_two),
        text(EpochId::from_bytes(thirty_two).to_string(), &thirty_two),
        text(UserId::from_bytes(thirty_two).to_string(), &thirty_two),
        text(DeviceKey::from_bytes(thirty_two).to_string(), &thirty_two),
        text(RelayKey::from_bytes(thirty_two).to_string(), &thirty_two),
        text(MediaRootId::from_bytes(thirty_two).to_string(), &thirty_two),
        text(MessageId::from_bytes(sixteen).to_string(), &sixteen),
        text(LogId::from_bytes(sixteen).to_string(), &sixteen),
        text(text::encode("card_", &[0x42; 145]), &[0x42; 145]),
    ]
}

fn links() -> Vec<Value> {
    let relay = |host: &str, port| {
        let key = RelayKey::from_bytes(key(host).verifying_key().to_bytes());
        RelayAddress::new(key, host, port).unwrap()
    };
    let relays = vec![
        relay("bkk.example.net", 4747),
        relay("203.0.113.7", 443),
        relay("2001:db8::7", 4747),
    ];
    let open = InviteLink {
        relays: relays.clone(),
        timeline: timeline(),
        secret: InvitePayload::Open(bytes("open secret")),
    };
    let sealed = InviteLink {
        relays: relays[..1].to_vec(),
        timeline: timeline(),
        secret: InvitePayload::Sealed(vec![0x17; 80]),
    };
    let relay_vector = |address: &RelayAddress| {
        json!({
            "text": address.to_string(), "key": hex(address.key.as_bytes()),
            "host": address.host, "port": address.port,
        })
    };
    let mut vectors: Vec<_> = relays.iter().map(relay_vector).collect();
    for link in [&open, &sealed] {
        let secret = match &link.secret {
            InvitePayload::Open(secret) => json!({ "open": hex(secret) }),
            InvitePayload::Sealed(sealed) => json!({ "sealed": hex(sealed) }),
        };
        vectors.push(json!({
            "text": link.to_string(), "timeline": hex(link.timeline.as_bytes()),
            "relays": link.relays.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "secret": secret,
        }));
    }
    vectors
}

fn arrivals(envelopes: &[(&str, VerifiedEnvelope)]) -> Vec<Value> {
    let log = LogId::from_bytes([0x10; 16]);
    let mut running = RunningHash::default();
    let mut arrival = ArrivalSeq::ZERO;
    envelopes
        .iter()
        .filter(|(_, envelope)| envelope.class() == Class::Control)
        .map(|(_, envelope)| {
            arrival = arrival.next();
            running = running.extend(Class::Control, arrival, &envelope.id());
            let cursor = Cursor::at(log, 3, arrival, &running);
            json!({
                "class": Class::Control.as_u8(), "arrival": arrival.get(),
                "id": hex(envelope.id().as_bytes()), "running": hex(&running.0),
                "log": hex(log.as_bytes()), "log_epoch": 3, "cursor": hex(&cursor.encode()),
            })
        })
        .collect()
}

fn ids(envelopes: &[(&str, VerifiedEnvelope)]) -> Vec<EnvelopeId> {
    let ids = envelopes.iter().map(|(_, envelope)| envelope.id());
    ids.collect()
}

fn receipt(ids: &[EnvelopeId]) -> StoredReceipt {
    let (log, at) = (LogId::from_bytes([0x10; 16]), UnixMillis(1_795_000_000_000));
    StoredReceipt::sign(&key("relay"), log, 3, at, ids)
}

/// Of the receipts: alone, on both sides, the odd one at one level and at several.
fn proofs(envelopes: &[(&str, VerifiedEnvelope)]) -> Vec<Value> {
    let ids = ids(envelopes);
    [
        (1, 0),
        (2, 0),
        (2, 1),
        (3, 2),
        (5, 4),
        (8, 5),
        (13, 11),
        (13, 12),
    ]
    .into_iter()
    .map(|(count, index)| {
        let ids = &ids[..count];
        let proof = &receipt(ids).prove(ids).unwrap()[index];
        json!({
            "id": hex(ids[index].as_bytes()), "index": index, "count": count,
            "bytes": hex(&proof.encode()),
        })
    })
    .collect()
}

fn receipts(envelopes: &[(&str, VerifiedEnvelope)]) -> Vec<Value> {
    let ids = ids(envelopes);
    [1, 2, 3, 5, 8, 13]
        .into_iter()
        .map(|count| {
            let ids = &ids[..count];
            let receipt = receipt(ids);
            json!({
                "ids": ids.iter().map(|id| hex(id.as_bytes())).collect::<Vec<_>>(),
                "relay": receipt.relay.to_string(), "root": hex(&receipt.root),
                "received_at": receipt.received_at.get(), "bytes": hex(&receipt.encode()),
            })
        })
        .collect()
}
