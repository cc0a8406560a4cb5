//! Any bytes, at every decoder of this crate: a value that encodes to the same bytes, or a
//! typed error. How long, and with which engine: `crdt/tests/fuzzing`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod books;
#[path = "../http/client.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod client;
mod commands;
mod config;
#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../../../crdt/tests/fuzzing/mod.rs"]
mod fuzzing;
mod http;
mod journal;
mod ledger;
#[path = "../books/office.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod office;
mod promptpay;
#[path = "../../../crdt/tests/fuzzing/request.rs"]
mod request;
#[path = "../http/server.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod server;
mod shelves;
mod typed;
#[path = "../support/until.rs"]
mod until;
#[path = "../promptpay/vectors.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod vectors;

use fuzzing::{Seeds, fuzz};
use khlong_gateway::domains::l10n::{Digits, Formats, Language, Satang};

fuzz!(fuzz_l10n, 2_000, written(), l10n);

/// Amounts and days, and no amount.
fn written() -> Seeds {
    let texts = [
        "1.5",
        "100.00",
        "9999999999.99",
        "29 Feb 2024",
        "29 February 2024",
        "29 ก.พ. 2567",
        "29 กุมภาพันธ์ 2567",
        "๒๙ ก.พ. ๒๕๖๗",
    ];
    let genuine = texts.map(|text| text.as_bytes().to_vec());
    Seeds::and(genuine.to_vec(), vec![b"0".to_vec()])
}

/// Amounts and days as people write them.
fn l10n(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut is_taken = false;
    if let Ok(amount) = text.parse::<Satang>() {
        assert_eq!(amount.to_string().parse::<Satang>().unwrap(), amount);
        is_taken = true;
    }
    thread_local! {
        // Loading the names of months costs a thousand times what reading a day does.
        static FORMATS: [Formats; 2] = [Language::Thai, Language::English]
            .map(|language| Formats::new(language, Digits::Western).unwrap());
    }
    FORMATS.with(|formats| {
        for formats in formats {
            if let Ok(day) = formats.parse_day(text) {
                assert_eq!(formats.parse_day(&formats.day(day)).unwrap(), day);
                assert_eq!(formats.parse_day(&formats.short_day(day)).unwrap(), day);
                is_taken = true;
            }
        }
    });
    is_taken
}
