//! Numbers and days in Thai and English.

use jiff::civil::{Date, date};
use khlong_gateway::domains::l10n::{Digits, FormatError, Formats, Language, Satang};
use proptest::prelude::*;

fn all() -> [Formats; 4] {
    [
        (Language::Thai, Digits::Western),
        (Language::Thai, Digits::Thai),
        (Language::English, Digits::Western),
        (Language::English, Digits::Thai),
    ]
    .map(|(language, digits)| Formats::new(language, digits).unwrap())
}

#[test]
fn the_leap_day_of_2567_comes_back() {
    let leap_day = date(2024, 2, 29);
    let [thai, thai_digits, english, _] = all();
    assert_eq!(thai.day(leap_day), "29 กุมภาพันธ์ 2567");
    assert_eq!(thai.short_day(leap_day), "29 ก.พ. 2567");
    assert_eq!(thai_digits.day(leap_day), "๒๙ กุมภาพันธ์ ๒๕๖๗");
    assert_eq!(english.day(leap_day), "29 February 2024");
    assert_eq!(english.short_day(leap_day), "29 Feb 2024");
    for text in [
        "29 กุมภาพันธ์ 2567",
        "29 ก.พ. 2567",
        "๒๙ กุมภาพันธ์ ๒๕๖๗",
        " 29 ก.พ. ๒๕๖๗ ",
    ] {
        assert_eq!(thai.parse_day(text), Ok(leap_day), "{text}");
        assert_eq!(thai_digits.parse_day(text), Ok(leap_day), "{text}");
    }
    assert_eq!(english.parse_day("29 February 2024"), Ok(leap_day));
}

#[test]
fn a_day_that_does_not_exist_is_none() {
    let [thai, _, english, _] = all();
    let long = "1".repeat(10_000);
    for text in [
        "29 กุมภาพันธ์ 2568",
        "31 เมษายน 2567",
        "0 มกราคม 2567",
        "29 February 2567",
        "29 กุมภา 2567",
        "2567",
        "",
        "29  กุมภาพันธ์ 99999",
        "-29 กุมภาพันธ์ 2567",
        &long,
    ] {
        assert_eq!(thai.parse_day(text), Err(FormatError::Day), "{text}");
    }
    assert_eq!(english.parse_day("29 February 2023"), Err(FormatError::Day));
}

#[test]
fn amounts_have_separators_and_two_decimals() {
    let [thai, thai_digits, english, _] = all();
    assert_eq!(thai.money(Satang(123_456_750)), "1,234,567.50 บาท");
    assert_eq!(thai_digits.money(Satang(123_400)), "๑,๒๓๔.๐๐ บาท");
    assert_eq!(english.money(Satang(1)), "THB 0.01");
    assert_eq!(english.amount(Satang(-123_400)), "-1,234.00");
    assert_eq!(
        english.amount(Satang(i64::MAX)),
        "92,233,720,368,547,758.07"
    );
    assert_eq!(thai_digits.number(1_000_007), "๑,๐๐๐,๐๐๗");
}

proptest! {
    #[test]
    fn every_day_of_our_time_comes_back(days in 0..80_000_i64) {
        let day: Date = date(1900, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
        for formats in all() {
            prop_assert_eq!(formats.parse_day(&formats.day(day)), Ok(day));
            prop_assert_eq!(formats.parse_day(&formats.short_day(day)), Ok(day));
        }
    }

    #[test]
    fn no_text_is_a_day_by_panic(text in "[0-9๐-๙]{0,4} ?[ก-๙A-Za-z.]{0,12} ?[0-9๐-๙]{0,6}") {
        for formats in all() {
            let _ = formats.parse_day(&text);
        }
    }
}
