//! The time at the beginning of a message line: `08:55`, `10:05 AM`,
//! `10:05PM`, `8:55 น.`.

use jiff::civil::Time;

/// What phones put between the digits and AM or PM; iOS writes U+202F.
const THIN: [char; 3] = [' ', '\u{a0}', '\u{202f}'];

/// Splits `text` behind its time; what follows begins with a TAB or a space.
/// None if the line does not begin with a time; the time is None if no clock
/// shows it (`25:61`).
pub(super) fn split(text: &str) -> Option<(Option<Time>, &str)> {
    let (hour, rest) = text.split_once(':')?;
    if !(1..=2).contains(&hour.len()) || !is_digits(hour) {
        return None;
    }
    let (minute, rest) = rest.split_at_checked(2)?;
    if !is_digits(minute) {
        return None;
    }
    let (half, rest) = split_half(rest);
    if !rest.starts_with(['\t', ' ']) {
        return None;
    }
    let time = hour_of_day(hour.parse().ok()?, half)
        .and_then(|hour| Time::new(hour, minute.parse().ok()?, 0, 0).ok());
    Some((time, rest))
}

#[derive(Clone, Copy)]
enum Half {
    Am,
    Pm,
    /// A 24-hour clock.
    Whole,
}

fn split_half(text: &str) -> (Half, &str) {
    let marked = text.trim_start_matches(THIN);
    for (mark, half) in [
        ("a.m.", Half::Am),
        ("p.m.", Half::Pm),
        ("am", Half::Am),
        ("pm", Half::Pm),
        ("น.", Half::Whole),
    ] {
        let Some((found, rest)) = marked.split_at_checked(mark.len()) else {
            continue;
        };
        if found.eq_ignore_ascii_case(mark) && rest.starts_with(['\t', ' ']) {
            return (half, rest);
        }
    }
    (Half::Whole, text)
}

fn hour_of_day(hour: i8, half: Half) -> Option<i8> {
    match half {
        Half::Whole => Some(hour),
        Half::Am if (1..=12).contains(&hour) => Some(hour % 12),
        Half::Pm if (1..=12).contains(&hour) => Some(hour % 12 + 12),
        Half::Am | Half::Pm => None,
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
