//! Packings with a dictionary, against whoever can write bytes. Hostile content is made here
//! from DOCUMENT.md section 2, not with the code under test.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod keys_content;

use keys_content::{content_of, open_content, padded, sealed, varint};
use khlong_document::seal::{OpenError, PLAINTEXT_BYTES_MAX};
use khlong_document::text;

#[path = "../examples/dictionary/coding.rs"]
mod coding;
#[path = "../examples/dictionary/parsing.rs"]
mod parsing;
#[path = "../examples/dictionary/training.rs"]
mod training;

const THAI: &[u8] = include_bytes!("../dictionaries/thai-2026.zstd-dict");
const ENGLISH: &[u8] = include_bytes!("../dictionaries/english-2026.zstd-dict");

fn content(packing: u8, lengths: &[&[u8]], head: &[u8], packed: &[u8]) -> Vec<u8> {
    padded([&[packing], lengths.concat().as_slice(), head, packed].concat())
}

/// One packed plaintext with a head, its lengths as given.
fn in_parts(packing: u8, head: &[u8], text_len: u64, blocks: &[u8]) -> Vec<u8> {
    let lengths = [head.len() as u64, text_len, blocks.len() as u64].map(varint);
    content(
        packing,
        &lengths.each_ref().map(Vec::as_slice),
        head,
        blocks,
    )
}

fn packed(packing: u8, text_len: u64, blocks: &[u8]) -> Vec<u8> {
    in_parts(packing, b"", text_len, blocks)
}

/// The blocks of one frame by zstd itself, at another level than ours.
fn blocks(dictionary: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::with_dictionary(5, dictionary).unwrap();
    for parameter in [
        zstd::zstd_safe::CParameter::ContentSizeFlag(false),
        zstd::zstd_safe::CParameter::DictIdFlag(false),
    ] {
        compressor.set_parameter(parameter).unwrap();
    }
    let frame = compressor.compress(plaintext).unwrap();
    assert_eq!(frame.get(4).unwrap() & 0xe0, 0, "magic, descriptor, window");
    frame.get(6..).unwrap().to_vec()
}

fn thai() -> Vec<u8> {
    text::encode("พรุ่งนี้ร้านเปิดกี่โมงคะ อยากไปกินข้าวด้วยกันค่ะ")
}

const SENTENCE: &[u8] = b"Sorry, I missed your call. Can you tell me what time the shop opens?";

#[test]
fn dictionaries_are_frozen() {
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    assert_eq!(
        hash(THAI),
        "79468af40a4013c4de93fced30185b8c0526532671b2c2b1e97cb5a394a9f80f"
    );
    assert_eq!(
        hash(ENGLISH),
        "6f5372d418454e6eccfca4ba903a22cba2c91e63ae70d00326f273fe562351e7"
    );
    let spec = include_str!("../DOCUMENT.md");
    assert!(spec.contains(&hash(THAI)) && spec.contains(&hash(ENGLISH)));
}

#[test]
fn anybody_makes_the_same_dictionaries_again() {
    let again = |id, lines: &str| training::dictionary(id, &lines.lines().collect::<Vec<_>>());
    let thai = include_str!("../dictionaries/thai.txt");
    let english = include_str!("../dictionaries/english.txt");
    assert!(again(training::THAI_2026, thai) == THAI);
    assert!(again(training::ENGLISH_2026, english) == ENGLISH);
}

/// Text in which a dictionary helps although it does not hold it.
#[test]
fn a_short_text_is_shorter_with_them() {
    for (dictionary, text, most) in [
        (THAI, text::encode("พรุ่งนี้ตอนเย็นเราจะไปซื้อผลไม้ที่ตลาดน้ำกันนะคะ ใครจะฝากซื้ออะไรก็บอกได้เลย"), 58),
        (ENGLISH, b"Tomorrow evening we want to buy fruit at the floating market, tell me if you need some".to_vec(), 52),
    ] {
        let blocks = blocks(dictionary, &text);
        assert!(blocks.len() <= most, "{} of {}", blocks.len(), text.len());
        let alone = zstd::bulk::compress(&text, 19).unwrap().len();
        assert!(alone > most * 5 / 4, "{alone} of {}", text.len());
    }
}

#[test]
fn a_writer_takes_the_shortest_packing() {
    let noise = blake3::Hasher::new().finalize();
    for (packing, plaintext) in [
        (2, thai()),
        (3, SENTENCE.to_vec()),
        // No dictionary helps, and of equally long contents the lowest packing wins.
        (0, noise.as_bytes().first_chunk::<31>().unwrap().to_vec()),
        (1, vec![b'k'; 70_000]),
    ] {
        let content = content_of(&plaintext);
        assert_eq!(content.first(), Some(&packing), "{plaintext:?}");
        assert_eq!(sealed(&plaintext).bytes(), sealed(&plaintext).bytes());
    }
}

#[test]
fn the_layout_is_the_one_of_the_specification() {
    for (packing, dictionary, plaintext) in [(2, THAI, thai()), (3, ENGLISH, SENTENCE.to_vec())] {
        let blocks = blocks(dictionary, &plaintext);
        let content = packed(packing, plaintext.len() as u64, &blocks);
        assert_eq!(open_content(&content).unwrap(), plaintext);
        let head = [0xfe, 0, 0xff, 0x80];
        let content = in_parts(packing, &head, plaintext.len() as u64, &blocks);
        let whole = [head.as_slice(), &plaintext].concat();
        assert_eq!(open_content(&content).unwrap(), whole);
    }
}

#[test]
fn another_dictionary_gives_no_other_text() {
    let blocks = blocks(THAI, &thai());
    let result = open_content(&packed(3, thai().len() as u64, &blocks));
    assert_ne!(result.as_deref(), Ok(thai().as_slice()));
    // The whole frame, with its magic, is not what is asked for.
    let frame = zstd::bulk::compress(SENTENCE, 3).unwrap();
    let result = open_content(&packed(3, SENTENCE.len() as u64, &frame));
    assert_eq!(result, Err(OpenError::Decompression));
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    for packing in [2, 3] {
        for declared in [PLAINTEXT_BYTES_MAX as u64 + 1, u64::MAX] {
            assert_eq!(
                open_content(&packed(packing, declared, b"bomb")),
                Err(OpenError::PlaintextTooLong { bytes: declared })
            );
            // Whatever the head claims, nothing is made before all is judged.
            let lengths = [varint(declared - 7), varint(7), varint(0)];
            let lengths = lengths.each_ref().map(Vec::as_slice);
            assert_eq!(
                open_content(&content(packing, &lengths, b"", b"")),
                Err(OpenError::PlaintextTooLong { bytes: declared })
            );
        }
        // A mebibyte in blocks of one repeated byte each, declared as something harmless.
        let run = [
            (0x2_0000_u32 << 3 | 2).to_le_bytes().get(..3).unwrap(),
            b"k",
        ]
        .concat();
        let last = [
            (0x2_0000_u32 << 3 | 3).to_le_bytes().get(..3).unwrap(),
            b"k",
        ]
        .concat();
        let bomb = [run.repeat(7), last].concat();
        let whole = 0x2_0000 * 8;
        assert_eq!(
            open_content(&packed(packing, whole, &bomb)).unwrap().len() as u64,
            whole
        );
        for declared in [0, 1, 100, whole - 1] {
            assert_eq!(
                open_content(&packed(packing, declared, &bomb)),
                Err(OpenError::Decompression),
                "declared {declared}"
            );
        }
    }
}

/// What one build of zstd passes over and another refuses would part their members.
#[test]
fn every_frame_is_of_one_format_and_nothing_lies_behind_the_last() {
    let blocks = blocks(ENGLISH, SENTENCE);
    let length = SENTENCE.len() as u64;
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 1, 2].as_slice();
    let empty = zstd::bulk::compress(b"", 3).unwrap();
    // An empty frame of zstd 0.7.
    let old = [0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0xc0, 0, 0].as_slice();
    for more in [skippable, &empty, old, &[0]] {
        let content = packed(3, length, &[&blocks, more].concat());
        assert_eq!(
            open_content(&content),
            Err(OpenError::Decompression),
            "{more:?}"
        );
    }
    let frame = zstd::bulk::compress(SENTENCE, 3).unwrap();
    let whole = |frames: &[u8]| {
        let lengths = [SENTENCE.len(), frames.len()].map(|it| u32::try_from(it).unwrap());
        let lengths = lengths.map(u32::to_be_bytes);
        content(1, &[&lengths[0], &lengths[1]], b"", frames)
    };
    assert_eq!(open_content(&whole(&frame)).unwrap(), SENTENCE);
    let (first, second) = SENTENCE.split_at(9);
    let two = [first, second].map(|part| zstd::bulk::compress(part, 3).unwrap());
    let two = two.concat();
    assert_eq!(open_content(&whole(&two)).unwrap(), SENTENCE);
    for more in [skippable, old, &[0]] {
        for frames in [[&frame, more].concat(), [more, &frame].concat()] {
            let refused = open_content(&whole(&frames));
            assert_eq!(refused, Err(OpenError::Decompression), "{frames:?}");
        }
    }
}

#[test]
fn lengths_have_one_form_and_do_not_lie() {
    let blocks = blocks(ENGLISH, SENTENCE);
    let (length, packed_len) = (SENTENCE.len() as u64, varint(blocks.len() as u64));
    let (short, none) = (varint(length), [0].as_slice());
    let long = |short: &[u8]| [short.first().unwrap() | 0x80, 0];
    let lengths = |lengths: [&[u8]; 3]| content(3, &lengths, b"", &blocks);
    let cases = [
        (
            lengths([none, &long(&short), &packed_len]),
            OpenError::Length,
        ),
        (
            lengths([none, &short, &long(&packed_len)]),
            OpenError::Length,
        ),
        (
            lengths([&long(none), &short, &packed_len]),
            OpenError::Length,
        ),
        (lengths([none, &short, &[0xff; 10]]), OpenError::Length),
        (lengths([none, &short, &varint(4_000)]), OpenError::Length),
        // A head that takes the blocks for itself leaves none.
        (
            lengths([&packed_len, &short, none]),
            OpenError::Decompression,
        ),
        (lengths([&varint(4_000), &short, none]), OpenError::Length),
        (packed(3, length - 1, &blocks), OpenError::Decompression),
        (packed(3, length + 1, &blocks), OpenError::Decompression),
        (packed(3, length, b""), OpenError::Decompression),
        (
            packed(3, length, &[blocks.as_slice(), &blocks].concat()),
            OpenError::Decompression,
        ),
    ];
    for (content, error) in cases {
        assert_eq!(open_content(&content), Err(error), "{content:?}");
    }
    let good = packed(3, length, &blocks);
    assert_eq!(open_content(&good).unwrap(), SENTENCE);
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(open_content(&longer), Err(OpenError::Padding));
    for cut in 0..good.len() {
        assert!(open_content(good.get(..cut).unwrap()).is_err(), "{cut}");
    }
    for at in 0..good.len() {
        let mut changed = good.clone();
        *changed.get_mut(at).unwrap() ^= 0x10;
        // Another text or an error; the signature is what keeps strangers out.
        let _ = open_content(&changed);
    }
}
