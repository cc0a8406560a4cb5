//! Dates with the month in words: `Friday, November 28, 2025`,
//! `วันศุกร์ที่ 28 พฤศจิกายน 2568`, `28 พ.ย. 2568`.

use super::date::weekday;

/// Year, month and day as written: which calendar, and whether it has such a
/// day, is for the caller. None if anything else is on the line.
pub(super) fn read(text: &str) -> Option<(i16, i8, i8)> {
    let mut words = text
        .split([' ', '\u{a0}', '\t', ','])
        .filter(|word| !word.is_empty())
        .peekable();
    words.next_if(|word| is_weekday(word));
    let mut words = words.filter(|word| !matches!(*word, "ที่" | "พ.ศ." | "ค.ศ."));
    let (first, second, year) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || year.len() != 4 {
        return None;
    }
    let (month, day) = match (month(first), month(second)) {
        (Some(month), None) => (month, second),
        (None, Some(month)) => (month, first),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    Some((number(year)?, month, i8::try_from(number(day)?).ok()?))
}

/// A weekday, in Thai often with the "the" of the day that follows it.
fn is_weekday(word: &str) -> bool {
    let word = word.strip_suffix("ที่").unwrap_or(word);
    weekday(word).is_some()
}

fn number(text: &str) -> Option<i16> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn month(name: &str) -> Option<i8> {
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    MONTHS
        .iter()
        .zip(1..)
        .find(|((english, thai, short), _)| {
            let is_english = lower.len() >= 3 && english.starts_with(&lower);
            is_english || name == *thai || name == *short
        })
        .map(|(_, number)| number)
}

const MONTHS: [(&str, &str, &str); 12] = [
    ("january", "มกราคม", "ม.ค."),
    ("february", "กุมภาพันธ์", "ก.พ."),
    ("march", "มีนาคม", "มี.ค."),
    ("april", "เมษายน", "เม.ย."),
    ("may", "พฤษภาคม", "พ.ค."),
    ("june", "มิถุนายน", "มิ.ย."),
    ("july", "กรกฎาคม", "ก.ค."),
    ("august", "สิงหาคม", "ส.ค."),
    ("september", "กันยายน", "ก.ย."),
    ("october", "ตุลาคม", "ต.ค."),
    ("november", "พฤศจิกายน", "พ.ย."),
    ("december", "ธันวาคม", "ธ.ค."),
];
