//! The coding of text: one coding for each text, and nothing else is read.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use khlong_document::text::{END, TextError, encode, take};
use proptest::prelude::*;

const MANY: usize = 1 << 20;

/// The text of which `coding` is all.
fn decode(coding: &[u8], utf8_bytes_max: usize) -> Result<String, TextError> {
    let ended = [coding, &[END]].concat();
    let mut rest = ended.as_slice();
    let text = take(&mut rest, utf8_bytes_max)?;
    let is_all = rest.is_empty();
    is_all.then_some(text).ok_or(TextError::Coding)
}

#[test]
fn the_table_is_the_one_of_the_specification() {
    let table: [(char, &[u8]); 16] = [
        ('\0', &[0x00]),
        ('\u{7f}', &[0x7f]),
        ('\u{80}', &[0xdc, 0x80]),
        ('é', &[0xdc, 0xe9]),
        ('\u{100}', &[0xdd, 0x80]),
        ('\u{7ff}', &[0xea, 0xff]),
        ('\u{800}', &[0xfd, 0x08, 0x00]),
        ('\u{dff}', &[0xfd, 0x0d, 0xff]),
        ('ก', &[0x81]),
        ('๛', &[0xdb]),
        ('\u{e5c}', &[0xfd, 0x0e, 0x5c]),
        ('ກ', &[0xfd, 0x0e, 0x81]),
        ('\u{ffff}', &[0xfd, 0xff, 0xff]),
        ('😀', &[0xfe, 0xf6, 0x00]),
        ('\u{20000}', &[0xff, 0x02, 0x00, 0x00]),
        ('\u{10ffff}', &[0xff, 0x10, 0xff, 0xff]),
    ];
    for (character, coding) in table {
        assert_eq!(encode(&character.to_string()), coding, "{character:?}");
    }
    assert_eq!(encode("สวัสดี ok").len(), 9, "one byte a letter");
}

#[test]
fn what_is_no_coding_is_refused() {
    let cases: [&[u8]; 12] = [
        &[END],
        &[0xeb],
        &[0xdc],
        &[0xdc, 0x7f],
        &[0xfd, 0x08],
        &[0xfd, 0x07, 0xff],
        // Thai has a shorter one.
        &[0xfd, 0x0e, 0x01],
        // Half of a pair is no character.
        &[0xfd, 0xd8, 0x00],
        &[0xfe, 0xf6],
        &[0xff, 0x01, 0xf6, 0x00],
        &[0xff, 0x00, 0x00, 0x41],
        &[0xff, 0x11, 0x00, 0x00],
    ];
    for coding in cases {
        assert_eq!(decode(coding, MANY), Err(TextError::Coding), "{coding:?}");
    }
    // Where a character begins END ends, within one it is a byte like others.
    let several = [encode("ü📼\u{fcfc}"), vec![END, END], encode("ก")].concat();
    let mut rest = several.as_slice();
    assert_eq!(take(&mut rest, 9).unwrap(), "ü📼\u{fcfc}");
    assert_eq!(take(&mut rest, 0).unwrap(), "");
    assert_eq!(take(&mut rest, MANY), Err(TextError::Coding), "no end");
    let thai = encode("ก").repeat(100);
    assert_eq!(decode(&thai, 299), Err(TextError::TooLong));
    assert_eq!(decode(&thai, 300).unwrap().len(), 300);
}

proptest! {
    #[test]
    fn every_text_has_one_coding(text in "\\PC*|[ก-๛ a-z0-9😀é]{0,40}|(?s).*") {
        let coding = encode(&text);
        prop_assert!(coding.len() <= text.len());
        let row = [coding.as_slice(), &[END], &coding].concat();
        let mut rest = row.as_slice();
        prop_assert_eq!(take(&mut rest, text.len()).unwrap(), text.as_str());
        prop_assert_eq!(rest, coding.as_slice());
        prop_assert_eq!(decode(&coding, text.len()).unwrap(), text);
    }

    #[test]
    fn what_is_read_is_written_so(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(text) = decode(&bytes, MANY) {
            prop_assert_eq!(encode(&text), bytes);
        }
    }
}
