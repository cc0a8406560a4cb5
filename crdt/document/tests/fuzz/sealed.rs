//! What lies under a cipher, made by somebody who has the key.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use khlong_crdt::admission::AuthBody;
use khlong_crdt::envelope::{Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::EnvelopeId;
use khlong_document::keys::author::AuthorSecret;
use khlong_document::keys::epoch::EpochKey;
use khlong_document::keys::inbox::InboxSecret;
use khlong_document::keys::sealed_box;
use khlong_document::seal::{
    CONTENT_OVERHEAD_BYTES, OpenError, PLAINTEXT_BYTES_MAX, open, open_auth_op, open_notice,
    padded_length, seal,
};
use khlong_document::text;
use khlong_document::timeline::limits::{
    AUTH_HEADS_MAX, CHANGE_BYTES_MAX, CHANGES_PER_SECTION_MAX, PAGE_NUMBER_MAX,
    RECEIPT_HEIGHTS_MAX, SECTIONS_MAX,
};
use khlong_document::timeline::plaintext::{ChangePlaintext, ReceiptPlaintext};

use crate::fuzzing::{Seeds, fuzz};
use crate::timeline_room::raw;
use crate::{
    AUTHOR_SEED, INBOX_SEED, KEY, TIMELINE, frozen_bodies, member, prefix_of, request, rng,
};

const NONCE: [u8; 24] = [7; 24];

/// Content as it lies under the cipher: packed, and padded with zeros.
fn content(packing: u8, plaintext_len: usize, packed: &[u8]) -> Vec<u8> {
    let length = |length: usize| u32::try_from(length).unwrap().to_be_bytes();
    let mut bytes = vec![packing];
    bytes.extend(length(plaintext_len));
    bytes.extend(length(packed.len()));
    bytes.extend(packed);
    bytes.resize(padded_length(bytes.len()), 0);
    bytes
}

fn contents() -> Seeds {
    let long = b"khlong ".repeat(400);
    let packed = zstd::bulk::compress(&long, 3).unwrap();
    let genuine = vec![
        content(0, 0, b""),
        content(0, 5, b"hello"),
        content(1, long.len(), &packed),
        // The same text, without its length in the frame's own header.
        content(1, long.len(), &without_length(&long)),
        zeros(PLAINTEXT_BYTES_MAX),
        in_parts(2, b"", THAI),
        in_parts(2, &[0xfe; 40], THAI),
        in_parts(3, &[0xfe; 40], ENGLISH),
        // Codes that read as something are rare: whatever is, begins with one of the writer's.
        written("เจอกันที่ท่าเรือตอนหกโมงเย็นนะคะ"),
        written("See you at the pier at half past six, ok?"),
    ];
    let others = vec![
        zeros(PLAINTEXT_BYTES_MAX + 1),
        vec![4, 0, 9, 0x5a, 0x11, 0xc4, 0x80, 0x27, 0x19, 0xe2],
        vec![5, 2, 0x80, 0x80, 4, 0xfe, 0xfe, 0],
    ];
    Seeds::and(genuine, others)
}

/// What a writer packs of a text.
fn written(said: &str) -> Vec<u8> {
    let key = EpochKey::from_seed(KEY);
    let author = AuthorSecret::from_seed(AUTHOR_SEED);
    let text = [text::encode(said), vec![text::END]].concat();
    let request = request(Kind::Change, true);
    let envelope = seal(request, &key, &text, &author, [1; 32]).unwrap();
    let payload = Payload {
        msg: envelope.body().unwrap(),
        aad: &envelope.prefix().encode(),
    };
    let nonce = envelope.header().nonce;
    body_cipher(envelope.prefix())
        .decrypt((&nonce).into(), payload)
        .unwrap()
}

const THAI: &[u8] = include_bytes!("../../dictionaries/thai-2026.zstd-dict");
const ENGLISH: &[u8] = include_bytes!("../../dictionaries/english-2026.zstd-dict");

/// A head, and a text in the blocks of one frame with a dictionary.
fn in_parts(packing: u8, head: &[u8], dictionary: &[u8]) -> Vec<u8> {
    let text = b"See you at the pier at half past six!";
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, dictionary).unwrap();
    for parameter in [
        zstd::zstd_safe::CParameter::ContentSizeFlag(false),
        zstd::zstd_safe::CParameter::DictIdFlag(false),
    ] {
        compressor.set_parameter(parameter).unwrap();
    }
    // Magic, descriptor, window: what the packing leaves out.
    let blocks = compressor.compress(text).unwrap().split_off(6);
    let lengths = [head.len(), text.len(), blocks.len()];
    let mut bytes = vec![packing];
    bytes.extend(lengths.map(|length| u8::try_from(length).unwrap()));
    bytes.extend([head, &blocks].concat());
    bytes.resize(padded_length(bytes.len()), 0);
    bytes
}

/// So many of them are a few bytes when they are packed.
fn zeros(count: usize) -> Vec<u8> {
    let packed = zstd::bulk::compress(&vec![0; count], 3).unwrap();
    content(1, count, &packed)
}

fn without_length(text: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    std::io::Write::write_all(&mut encoder, text).unwrap();
    encoder.finish().unwrap()
}

/// An envelope of kind change around any content (`DOCUMENT.md`, section 2).
fn around(content: &[u8]) -> VerifiedEnvelope {
    let (author, key) = (
        AuthorSecret::from_seed(AUTHOR_SEED),
        EpochKey::from_seed(KEY),
    );
    let empty = seal(request(Kind::Change, true), &key, b"", &author, [1; 32]).unwrap();
    let prefix = empty.prefix().clone();
    let payload = Payload {
        msg: content,
        aad: &prefix.encode(),
    };
    let body = body_cipher(&prefix)
        .encrypt(&NONCE.into(), payload)
        .unwrap();
    VerifiedEnvelope::sign(prefix, NONCE, &body, author.signing_key()).unwrap()
}

fn body_cipher(prefix: &Prefix) -> XChaCha20Poly1305 {
    let mut hasher = blake3::Hasher::new_derive_key("khlong.network 2026-11 body key v1");
    hasher
        .update(&KEY)
        .update(prefix.timeline.as_bytes())
        .update(prefix.author.as_bytes());
    XChaCha20Poly1305::new(hasher.finalize().as_bytes().into())
}

fuzz!(fuzz_content, 1_000, contents(), unpacking);

fn unpacking(bytes: &[u8]) -> bool {
    let mut is_taken = false;
    let key = EpochKey::from_seed(KEY);
    // As it is, and with the padding that its length asks for: without it little gets further.
    let mut padded = bytes.to_vec();
    if let Some(length) = bytes.get(5..9) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        padded.truncate(CONTENT_OVERHEAD_BYTES.saturating_add(length));
        padded.resize(padded_length(padded.len()), 0);
    }
    // The same where the lengths are shorter: what is no padding ends in a block.
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
    let mut in_parts = bytes[..bytes.len().min(end + 1)].to_vec();
    in_parts.resize(padded_length(in_parts.len()), 0);
    for content in [bytes, &padded, &in_parts] {
        match open(&around(content), &key) {
            Ok(plaintext) => {
                is_taken |= content == bytes;
                assert!(plaintext.len() <= PLAINTEXT_BYTES_MAX);
                assert_eq!(content.len(), padded_length(content.len()));
                if content[0] < 2 {
                    let declared = u32::from_be_bytes(content[1..5].try_into().unwrap()) as usize;
                    assert_eq!(plaintext.len(), declared);
                }
                if content[0] == 0 {
                    assert!(content[CONTENT_OVERHEAD_BYTES..].starts_with(&plaintext));
                }
            }
            Err(error) => assert!(
                matches!(
                    error,
                    OpenError::Packing(_)
                        | OpenError::PlaintextTooLong { .. }
                        | OpenError::Length
                        | OpenError::Padding
                        | OpenError::Decompression
                ),
                "{error:?}"
            ),
        }
    }
    is_taken
}

fuzz!(
    fuzz_change_plaintext,
    4_000,
    change_plaintexts(),
    change_plaintext
);

/// Changes as they are (codec 0). What programs seal is in the compact form, which has no reader of
/// its own in public: `fuzz_member` and `fuzz_chunk` are for that.
fn change_plaintexts() -> Seeds {
    let author = crate::timeline_room::author(0);
    let change = raw::bytes(raw::change(author, raw::message(author, "hello")));
    let plain = ChangePlaintext {
        clock: crate::timeline_room::NOW,
        auth_heads: vec![EnvelopeId::from_bytes([3; 32]); 2],
        sections: vec![raw::section(vec![change.clone(), change])],
    };
    // Nothing that is one more than a limit is read, whatever the rest says.
    let one_more: [fn(&mut ChangePlaintext); 5] = [
        |plain| plain.auth_heads = vec![EnvelopeId::ZERO; AUTH_HEADS_MAX + 1],
        |plain| plain.sections = vec![raw::section(Vec::new()); SECTIONS_MAX + 1],
        |plain| plain.sections[0].n = PAGE_NUMBER_MAX + 1,
        |plain| plain.sections[0].changes = vec![Vec::new(); CHANGES_PER_SECTION_MAX + 1],
        |plain| plain.sections[0].changes[0] = vec![0; CHANGE_BYTES_MAX + 1],
    ];
    let one_more = one_more.map(|add| {
        let mut plain = plain.clone();
        add(&mut plain);
        plain.encode()
    });
    Seeds::and(vec![plain.encode()], one_more.to_vec()).and_others(member::plaintexts(Kind::Change))
}

fn change_plaintext(bytes: &[u8]) -> bool {
    let Ok(read) = ChangePlaintext::decode(bytes) else {
        return false;
    };
    assert!(read.auth_heads.len() <= AUTH_HEADS_MAX);
    assert!(read.sections.len() <= SECTIONS_MAX);
    for section in &read.sections {
        assert!(section.n <= PAGE_NUMBER_MAX);
        assert!(section.changes.len() <= CHANGES_PER_SECTION_MAX);
        let is_short = |change: &Vec<u8>| change.len() <= CHANGE_BYTES_MAX;
        assert!(section.changes.iter().all(is_short));
    }
    // Codec 0 writes a change as it is: there is one form. Others are read only.
    if bytes[1] == 0 {
        assert_eq!(read.encode(), bytes, "one form");
    }
    true
}

fuzz!(
    fuzz_receipt_plaintext,
    4_000,
    receipt_plaintexts(),
    receipt_plaintext
);

fn receipt_plaintexts() -> Seeds {
    let author = crate::timeline_room::author(0);
    let of = |delivered, read| ReceiptPlaintext {
        delivered: vec![(author, u64::MAX); delivered],
        read: vec![(author, 1); read],
    };
    let mut seeds = member::plaintexts(Kind::Receipt);
    seeds.push(of(1, 0).encode());
    let one_more = RECEIPT_HEIGHTS_MAX + 1;
    let others = [of(one_more, 0), of(0, one_more)].map(|plain| plain.encode());
    Seeds::and(seeds, others.to_vec())
}

fn receipt_plaintext(bytes: &[u8]) -> bool {
    let Ok(read) = ReceiptPlaintext::decode(bytes) else {
        return false;
    };
    assert!(read.delivered.len().max(read.read.len()) <= RECEIPT_HEIGHTS_MAX);
    assert_eq!(read.encode(), bytes, "one form");
    true
}

fuzz!(fuzz_auth_op, 1_000, auth_ops(), auth_op_body);

/// Without a sealed part, and the frozen ones, whose nonce is another one.
fn auth_ops() -> Seeds {
    let clear = member::everything()
        .into_iter()
        .filter(|envelope| envelope.kind() == Kind::AuthOp)
        .filter_map(|envelope| envelope.body().map(<[u8]>::to_vec))
        .filter(|body| AuthBody::decode(body).unwrap().sealed.is_empty())
        .collect();
    Seeds::and(clear, frozen_bodies(Kind::AuthOp))
}

fn auth_op_body(body: &[u8]) -> bool {
    let author = AuthorSecret::from_seed(AUTHOR_SEED);
    let prefix = prefix_of(request(Kind::AuthOp, true), &author);
    let Ok(envelope) = VerifiedEnvelope::sign(prefix, [0; 24], body, author.signing_key()) else {
        return false;
    };
    match open_auth_op(&envelope, &EpochKey::from_seed(KEY).control()) {
        Ok(None) => {
            let parts = AuthBody::decode(body).unwrap();
            assert!(parts.sealed.is_empty());
            true
        }
        // The nonce is another than the frozen one's.
        Ok(Some(_)) => panic!("opened what nobody sealed"),
        Err(error) => {
            assert!(matches!(
                error,
                OpenError::Ops(_) | OpenError::Authentication
            ));
            false
        }
    }
}

fuzz!(fuzz_notice, 300, notices(), notice);

/// Contents, and frozen bodies, which are of another envelope.
fn notices() -> Seeds {
    contents().and_others(frozen_bodies(Kind::Notice))
}

/// The body of a notice, and the content of one that opens.
fn notice(bytes: &[u8]) -> bool {
    let mut is_taken = false;
    let author = AuthorSecret::from_seed(AUTHOR_SEED);
    let inbox = InboxSecret::from_seed(INBOX_SEED);
    let prefix = prefix_of(request(Kind::Notice, false), &author);
    let info = [
        b"khlong notice v1\0".as_slice(),
        TIMELINE.as_bytes(),
        inbox.public().as_bytes(),
    ]
    .concat();
    let aad = prefix.encode();
    let boxed = sealed_box::seal(inbox.public().as_bytes(), &info, &aad, bytes, &mut rng(1));
    let (encapsulated, ciphertext) = boxed.unwrap();
    let opens = [encapsulated.as_slice(), &ciphertext].concat();
    for (body, is_ours) in [(bytes, false), (&opens, true)] {
        let signed =
            VerifiedEnvelope::sign(prefix.clone(), [0; 24], body, author.signing_key()).ok();
        let Some(envelope) = signed else {
            continue;
        };
        match open_notice(&envelope, &inbox) {
            Ok(plaintext) => {
                assert!(plaintext.len() <= PLAINTEXT_BYTES_MAX);
                is_taken = true;
            }
            Err(OpenError::Authentication) => assert!(!is_ours, "its box is right"),
            Err(_) => {}
        }
    }
    is_taken
}
