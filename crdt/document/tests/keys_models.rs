//! Packings with a model of text: what they save, that a text has one code, and whoever can
//! write bytes. `crdt/testdata/model.py` reads the frozen ones with the specification alone.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod keys_content;

use std::path::Path;

use keys_content::{content_of, open_content, padded, varint};
use khlong_document::seal::{OpenError, PLAINTEXT_BYTES_MAX};
use khlong_document::text;
use proptest::prelude::*;

#[path = "../examples/model/choosing.rs"]
mod choosing;
#[path = "../examples/model/counting.rs"]
mod counting;
#[path = "../examples/model/training.rs"]
mod training;
#[path = "../examples/model/writing.rs"]
mod writing;

const THAI: &[u8] = include_bytes!("../dictionaries/thai-2026.model");
const ENGLISH: &[u8] = include_bytes!("../dictionaries/english-2026.model");
const TEXT_BYTES_MAX: usize = 65_536;
/// Neither language was trained on them.
const SAID: [&str; 4] = [
    "เรือออกจากท่าพรุ่งนี้หกโมงเช้านะ ใครจะไปตลาดน้ำมาเจอกันที่ศาลาริมคลองก่อนเวลาสักสิบห้านาที",
    "ร้านก๋วยเตี๋ยวหน้าวัดเปิดแล้ววันนี้ ป้าบอกว่ามีเส้นใหญ่เหลือไม่กี่ชาม รีบมาก่อนเที่ยงนะทุกคน",
    "The boat leaves at six tomorrow; whoever comes to the floating market, be at the pier early.",
    "Could somebody bring the spare battery and the long rope? We left both of them at the school.",
];

fn content(packing: u8, head: &[u8], text_len: u64, code: &[u8]) -> Vec<u8> {
    let lengths = [varint(head.len() as u64), varint(text_len)].concat();
    padded([&[packing], lengths.as_slice(), head, code].concat())
}

/// Texts as they lie in a plaintext.
fn ended<T: AsRef<str>>(texts: &[T]) -> Vec<u8> {
    let coded = texts.iter().map(|text| text::encode(text.as_ref()));
    coded
        .flat_map(|text| [text, vec![text::END]].concat())
        .collect()
}

/// The packing and the code of a text that is shorter than 128 bytes.
fn code_of(text: &str) -> (u8, Vec<u8>) {
    let mut content = content_of(&ended(&[text]));
    while content.last() == Some(&0) {
        content.pop();
    }
    let coded = text::encode(text).len();
    assert_eq!(content.get(1..3).unwrap(), [0, coded as u8]);
    (*content.first().unwrap(), content.split_off(3))
}

#[test]
fn models_are_frozen() {
    let spec = include_str!("../DOCUMENT.md");
    for (name, model) in [("thai-2026", THAI), ("english-2026", ENGLISH)] {
        let (bytes, hash) = (model.len(), blake3::hash(model).to_hex());
        let thousands = format!("{},{:03}", bytes / 1_000, bytes % 1_000);
        let row = format!("| `{name}` | {thousands} | `{hash}` |");
        assert!(spec.contains(&row), "{row}");
        assert!(bytes <= 200 * 1024);
    }
}

#[test]
fn anybody_makes_the_english_model_again() {
    assert!(training::english() == ENGLISH);
}

/// What it was trained on is not part of the repository, so a checkout elsewhere says so and
/// goes on.
#[test]
fn the_thai_model_comes_from_what_it_is_said_to_come_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/thai");
    if !folder.is_dir() {
        eprintln!("no {}: not made again", folder.display());
        return;
    }
    assert!(training::thai(&folder).unwrap() == THAI);
}

#[test]
fn no_other_text_is_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    assert!(training::thai(folder.path()).is_err());
    for name in ["neu-part.txt", "pos.txt", "q.txt"] {
        std::fs::write(folder.path().join(name), "สวัสดี\n").unwrap();
    }
    let error = training::thai(folder.path()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
}

#[test]
fn what_nobody_trained_on_takes_less_than_half() {
    for text in SAID {
        let (packing, code) = code_of(text);
        let (expected, dictionary): (_, &[u8]) = if text.is_ascii() {
            (5, include_bytes!("../dictionaries/english-2026.zstd-dict"))
        } else {
            (4, include_bytes!("../dictionaries/thai-2026.zstd-dict"))
        };
        assert_eq!(packing, expected);
        let letters = text.chars().count();
        assert!(
            code.len() * 100 <= letters * 42,
            "{} of {letters}",
            code.len()
        );
        let zstd = zstd::bulk::Compressor::with_dictionary(19, dictionary);
        let packed = zstd.unwrap().compress(&text::encode(text)).unwrap();
        assert!(code.len() + 15 < packed.len(), "{}", packed.len());
    }
}

#[test]
fn a_writer_takes_a_model_for_text_and_nothing_else() {
    let chinese = "我们明天早上六点在码头见面";
    let pasted = "the same line over and over again\n".repeat(40);
    let long = SAID.concat().repeat(220);
    for (packing, plaintext) in [
        (4, ended(&[SAID[0]])),
        (5, ended(&[SAID[2]])),
        (4, ended(&SAID[..2])),
        // Nothing is said: of equally short ones the lowest packing.
        (4, ended(&[""])),
        (3, ended(&[pasted])),
        (1, ended(&[long])),
    ] {
        let content = content_of(&plaintext);
        assert_eq!(content.first(), Some(&packing));
        assert_eq!(content_of(&plaintext), content);
    }
    // What a model would make longer is left to the dictionaries, whose block stores it.
    let plaintext = ended(&[chinese]);
    let content = content_of(&plaintext);
    assert_eq!(content.first(), Some(&2));
    assert!(
        content
            .windows(plaintext.len())
            .any(|part| part == plaintext)
    );
    // Without the end of a text it is none.
    let content = content_of(SAID[2].as_bytes());
    assert_eq!(content.first(), Some(&3));
}

/// What a shop or an import writes: a model codes each as if it were the first.
#[test]
fn alike_messages_of_one_envelope_are_packed_with_a_dictionary() {
    let english = |number: u32| {
        format!(
            "Your order {number} has left our shop and arrives on Tuesday; the driver rings twice."
        )
    };
    let thai = |number: u32| {
        format!("คำสั่งซื้อ {number} ของคุณออกจากร้านแล้ว จะถึงวันอังคาร คนขับจะโทรหาก่อนถึงบ้านนะคะ")
    };
    for (packing, text) in [
        (3, &english as &dyn Fn(u32) -> String),
        (2, &thai as &dyn Fn(u32) -> String),
    ] {
        let texts: Vec<String> = (0..10).map(|place| text(48_213 + 7 * place)).collect();
        let content = content_of(&ended(&texts));
        assert_eq!(content.first(), Some(&packing));
        let (_, code) = code_of(&texts[0]);
        assert!(content.len() < 5 * code.len(), "{}", content.len());
    }
}

/// Also one that the model lists nowhere.
#[test]
fn every_byte_has_a_code() {
    for byte in 0..=u8::MAX {
        let text = [
            SAID[2].as_bytes(),
            &[byte],
            SAID[3].as_bytes(),
            &[text::END],
        ]
        .concat();
        let content = content_of(&text);
        assert_eq!(content.first(), Some(&5), "{byte}");
    }
}

#[test]
fn the_layout_is_the_one_of_the_specification() {
    let head = [0xfe, 0, 0xff, 0x80, 0, 0];
    for text in SAID {
        let (packing, code) = code_of(text);
        let text_len = text::encode(text).len() as u64;
        let whole = [&head, ended(&[text]).as_slice()].concat();
        let content = content(packing, &head, text_len, &code);
        assert_eq!(open_content(&content).unwrap(), whole);
    }
    // No text is no code: only the end of it is there. Zeros of a head are no padding.
    assert_eq!(open_content(&content(4, b"", 0, b"")).unwrap(), [text::END]);
    let whole = [&head, [text::END].as_slice()].concat();
    assert_eq!(open_content(&content(5, &head, 0, b"")).unwrap(), whole);
}

/// A neighbour of the one code is no code, be it in the share of its text or not.
#[test]
fn every_other_code_of_a_text_is_refused() {
    for text in SAID {
        let (packing, code) = code_of(text);
        let text_len = text::encode(text).len() as u64;
        let open = |code: &[u8]| open_content(&content(packing, b"", text_len, code));
        assert_eq!(open(&code).unwrap(), ended(&[text]));
        let mut others: Vec<Vec<u8>> = (1..=255)
            .map(|byte| [&code[..], &[byte]].concat())
            .collect();
        others.extend((1..=8).map(|more| [&code[..], &vec![0; more], &[1]].concat()));
        others.extend([1, 2, 3].map(|less| code[..code.len() - less].to_vec()));
        let last = code.len() - 1;
        for byte in (1..=255).filter(|byte| *byte != code[last]) {
            others.push([&code[..last], &[byte]].concat());
        }
        for other in others {
            match open(&other) {
                Ok(read) => {
                    assert_ne!(read, ended(&[text]), "{other:?}");
                    let again = content_of(&read);
                    let is_same = again.first() != Some(&packing)
                        || again == content(packing, b"", text_len, &other);
                    assert!(is_same, "a text of two codes: {other:?} {again:?}");
                }
                Err(error) => assert!(is_of_the_code(&error), "{error:?}"),
            }
        }
    }
}

/// A code that ends with zeros gives another padding.
fn is_of_the_code(error: &OpenError) -> bool {
    matches!(error, OpenError::Decompression | OpenError::Padding)
}

#[test]
fn lengths_are_judged_before_anything_is_read() {
    for packing in [4, 5] {
        for declared in [PLAINTEXT_BYTES_MAX as u64, u64::MAX] {
            // The end of the text is one more.
            let bytes = declared.saturating_add(1);
            let refused = open_content(&content(packing, b"", declared, b"bomb"));
            assert_eq!(refused, Err(OpenError::PlaintextTooLong { bytes }));
            let lengths = [varint(declared - 7), varint(7)].concat();
            let refused = open_content(&padded([&[packing], lengths.as_slice()].concat()));
            assert_eq!(refused, Err(OpenError::PlaintextTooLong { bytes }));
        }
        let beyond = TEXT_BYTES_MAX as u64 + 1;
        let refused = open_content(&content(packing, b"", beyond, b"bomb"));
        assert_eq!(refused, Err(OpenError::Length));
        let longest = open_content(&content(packing, b"", beyond - 1, b""));
        assert_eq!(longest.unwrap().len(), TEXT_BYTES_MAX + 1);
        for lengths in [
            &[0x80, 0, 1][..],
            &[0, 0x81, 0],
            &[9, 1],
            &[0xff; 10],
            &[0],
            &[],
        ] {
            let refused = open_content(&[&[packing], lengths].concat());
            assert_eq!(refused, Err(OpenError::Length), "{lengths:?}");
        }
    }
}

#[test]
fn nothing_lies_behind_a_code() {
    for text in SAID {
        let good = content_of(&ended(&[text]));
        assert_eq!(open_content(&good).unwrap(), ended(&[text]));
        let longer = [good.as_slice(), &[0]].concat();
        assert_eq!(open_content(&longer), Err(OpenError::Padding));
        for cut in 0..good.len() {
            // The beginning of a code may be that of another text.
            let read = open_content(&good[..cut]);
            assert_ne!(read.as_deref(), Ok(ended(&[text]).as_slice()), "{cut}");
        }
        for bit in 0..good.len() * 8 {
            let mut changed = good.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            // Another text or an error; the signature is what keeps strangers out.
            if let Ok(read) = open_content(&changed) {
                assert_ne!(read, ended(&[text]), "bit {bit}");
            }
        }
    }
}

proptest! {
    #[test]
    fn texts_come_back(
        texts in prop::collection::vec(
            "\\PC{0,60}|[ก-๛ ]{0,80}|[a-z ,.]{0,80}|[😀-😿ก-๛ a-zA-Z0-9é]{0,60}|(?s).{0,40}",
            0..12,
        )
    ) {
        let plaintext = ended(&texts);
        let content = content_of(&plaintext);
        prop_assert_eq!(open_content(&content).unwrap(), plaintext);
    }

    /// What is read has no other code.
    #[test]
    fn a_code_that_opens_is_the_one_of_its_text(
        packing in 4_u8..=5,
        text_len in 0_u64..40,
        code in prop::collection::vec(any::<u8>(), 0..24),
    ) {
        let made = content(packing, b"", text_len, &code);
        match open_content(&made) {
            Ok(plaintext) => {
                let written = content_of(&plaintext);
                if written.first() == Some(&packing) {
                    prop_assert_eq!(written, made);
                }
            }
            Err(error) => prop_assert!(is_of_the_code(&error), "{error:?}"),
        }
    }
}
