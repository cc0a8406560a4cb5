//! The text of a code that somebody holds before a camera.

use khlong_gateway::domains::promptpay::{PAYLOAD_BYTES_MAX, Payload, PayloadError, Picture, Slip};

use crate::fuzzing::{Seeds, fuzz};
use crate::vectors::{PUBLISHED, WRONG_CHECKSUM, sealed};

fuzz!(fuzz_payload, 3_000, payloads(), payload);

fn payloads() -> Seeds {
    let published = PUBLISHED.iter().map(|vector| vector.text);
    let rich = "00020101021129370016A00000067701011101130066801234567520458125303764540520.00\
                5802TH5910NAME OF IT6007BANGKOK610510200620801041234642200\
                02TH0112ชื่อ";
    // As long as a code may be, and one byte longer.
    let filled = |last: usize| {
        let fields = (80..84).map(|tag| format!("{tag}99{}", "x".repeat(99)));
        let body = PUBLISHED[0].text.strip_suffix("63046197").unwrap();
        let body = [body.to_owned(), fields.collect()].concat();
        sealed(&format!("{body}84{last:02}{}", "y".repeat(last)))
    };
    let last = PAYLOAD_BYTES_MAX - filled(0).len();
    let bytes = |text: &str| text.as_bytes().to_vec();
    let mut genuine: Vec<Vec<u8>> = published.map(bytes).collect();
    genuine.extend([sealed(rich), filled(last)].map(String::into_bytes));
    let mut others = WRONG_CHECKSUM.map(bytes).to_vec();
    others.extend([bytes(rich), filled(last + 1).into_bytes()]);
    Seeds::and(genuine, others)
}

/// As it is, and with a right checksum behind it, so that its fields are looked at.
fn texts(bytes: &[u8], checksum: impl Fn(&str) -> String) -> Vec<String> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Vec::new();
    };
    let mut texts = vec![text.to_owned(), checksum(text)];
    // In place of the one that was there.
    let body = text.len().checked_sub(8).and_then(|end| text.get(..end));
    texts.extend(body.map(checksum));
    texts
}

fn payload(bytes: &[u8]) -> bool {
    for text in texts(bytes, sealed) {
        match Payload::decode(&text) {
            Ok(payload) => {
                assert!(text.len() <= PAYLOAD_BYTES_MAX);
                match payload.encode() {
                    // Its tags are in order now; what they say is the same.
                    Ok(written) => {
                        assert_eq!(Payload::decode(&written).unwrap(), payload, "{text}");
                        Picture::of(&written).unwrap();
                    }
                    // Written in the longest way it may not fit any more.
                    Err(error) => assert!(
                        matches!(error, PayloadError::TooLong { .. }),
                        "{text}: {error}"
                    ),
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    std::str::from_utf8(bytes).is_ok_and(|text| Payload::decode(text).is_ok())
}

fuzz!(fuzz_slip, 3_000, slips(), slip);

fn slips() -> Vec<Vec<u8>> {
    let mut other = Slip::new("014", "202411270123456789");
    other.other.insert(60, "BANGKOK".to_owned());
    [Slip::new("004", "000000000000001"), other]
        .map(|slip| slip.encode().unwrap().into_bytes())
        .to_vec()
}

fn slip(bytes: &[u8]) -> bool {
    for text in texts(bytes, sealed_slip) {
        if let Ok(slip) = Slip::decode(&text) {
            let written = slip.encode().unwrap();
            assert_eq!(Slip::decode(&written).unwrap(), slip, "{text}");
        }
    }
    std::str::from_utf8(bytes).is_ok_and(|text| Slip::decode(text).is_ok())
}

/// The same sum under the tag of a slip, for the covered bytes differ by it.
fn sealed_slip(body: &str) -> String {
    let covered = format!("{body}9104");
    let mut register = 0xFFFF_u16;
    for bit in covered
        .bytes()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1))
    {
        let is_out = register >> 15 == u16::from(bit);
        register = (register << 1) ^ if is_out { 0 } else { 0x1021 };
    }
    format!("{covered}{register:04X}")
}
