//! IRC day logs: `[HH:MM] <nick> text`, one file a UTC day, named by the day.
//!
//! Only `<nick>` lines are messages. `===` lines (joins, parts, and in some
//! years actions), ` * nick does` and `-nick-` notices are listed as skipped:
//! nothing in such a line says safely where a name ends.

use jiff::civil::{Date, Time};
use jiff::tz::Offset;

use super::collect::Collector;
use super::encoding::{Strays, decode};
use super::lines::Lines;
use super::{ImportError, Network, Parsed, SkipReason};

/// What an IRC log puts before a nick to show rights in the channel; none of
/// them may begin a nick (RFC 2812 §2.3.1).
const NICK_PREFIXES: [char; 5] = ['@', '+', '%', '&', '~'];

/// Words in `===` lines that tell of people coming and going.
const JOIN_OR_PART: [&str; 6] = [
    " has joined ",
    " has left ",
    " has quit ",
    " is now known as ",
    "netsplit",
    "netjoined",
];

/// Reads one day. `file_name` is a path or name whose last part is
/// `YYYY-MM-DD.txt`; times are UTC.
///
/// # Errors
/// [`ImportError::NameIsNoDate`], [`ImportError::FileTooLarge`],
/// [`ImportError::TooManyLines`], [`ImportError::Undecodable`] for broken UTF-16.
pub fn parse_irc(file_name: &str, bytes: &[u8]) -> Result<Parsed, ImportError> {
    let day = day_of_file_name(file_name).ok_or_else(|| ImportError::NameIsNoDate {
        file: file_name.into(),
    })?;
    let (bytes, encoding) = decode(file_name, bytes, Strays::Shown)?;
    let lines = Lines::split(file_name, &bytes)?;
    let mut collector = Collector::new(Network::Irc, file_name);
    for line in &lines.lines {
        if line.text.trim().is_empty() {
            continue;
        }
        match read(day, &line.text) {
            Ok(Said {
                sender,
                sent_at_ms,
                body,
            }) => collector.message(line.number, sender, sent_at_ms, &without_colours(body)),
            Err(reason) => collector.skip(line.number, reason, &line.text),
        }
    }
    let channel = channel_of_folder(file_name).or_else(|| channel_in(&lines));
    Ok(lines.told_in(collector.finish(channel, encoding)))
}

/// The channel, if the log's folder is named after it: `#bangkok/2026-11-20.txt`.
fn channel_of_folder(file_name: &str) -> Option<&str> {
    let folder = file_name.rsplit(['/', '\\']).nth(1)?;
    is_channel(folder).then_some(folder)
}

/// The channel that people join in `===` lines. People write the same words,
/// but not in such a line.
fn channel_in<'a>(lines: &'a Lines<'_>) -> Option<&'a str> {
    lines.lines.iter().find_map(|line| {
        let (_, after) = line.text.strip_prefix("===")?.split_once(" has joined ")?;
        after
            .split_whitespace()
            .next()
            .filter(|name| is_channel(name))
    })
}

/// RFC 2812 §1.3, of it the two kinds that logs are kept of.
fn is_channel(name: &str) -> bool {
    name.len() > 1 && name.starts_with(['#', '&'])
}

/// The day in `YYYY-MM-DD.txt`, whatever folder is before it.
pub(super) fn day_of_file_name(file_name: &str) -> Option<Date> {
    let name = file_name.rsplit(['/', '\\']).next()?;
    let mut parts = name.strip_suffix(".txt")?.split('-');
    let year = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2)?;
    let day = digits(parts.next()?, 2)?;
    if parts.next().is_some() {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

struct Said<'a> {
    sender: &'a str,
    sent_at_ms: i64,
    body: &'a str,
}

fn read(day: Date, text: &str) -> Result<Said<'_>, SkipReason> {
    if text.starts_with("===") {
        return Err(if JOIN_OR_PART.iter().any(|words| text.contains(words)) {
            SkipReason::JoinOrPart
        } else {
            SkipReason::SystemLine
        });
    }
    let (clock, rest) = text
        .strip_prefix('[')
        .and_then(|text| text.split_once(']'))
        .ok_or(SkipReason::Unrecognized)?;
    let sent_at_ms = sent_at_ms(day, clock)?;
    let rest = rest.trim_start_matches(' ');
    if rest.starts_with("* ") {
        return Err(SkipReason::Action);
    }
    if rest.starts_with('-') {
        return Err(SkipReason::Notice);
    }
    let (nick, body) = rest
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
        .ok_or(SkipReason::Unrecognized)?;
    Ok(Said {
        sender: nick.trim().trim_start_matches(NICK_PREFIXES),
        sent_at_ms,
        body: body.strip_prefix(' ').unwrap_or(body),
    })
}

/// `HH:MM` or `HH:MM:SS`. What has not this shape is no time at all.
fn sent_at_ms(day: Date, clock: &str) -> Result<i64, SkipReason> {
    let mut parts = clock.split(':');
    let mut next = || {
        let part = parts.next()?;
        i8::try_from(digits(part, 2)?).ok()
    };
    let hour = next().ok_or(SkipReason::Unrecognized)?;
    let minute = next().ok_or(SkipReason::Unrecognized)?;
    let second = if clock.len() > "HH:MM".len() {
        next().ok_or(SkipReason::Unrecognized)?
    } else {
        0
    };
    if parts.next().is_some() {
        return Err(SkipReason::Unrecognized);
    }
    Time::new(hour, minute, second, 0)
        .and_then(|time| Offset::UTC.to_timestamp(day.to_datetime(time)))
        .map(|timestamp| timestamp.as_millisecond())
        .map_err(|_| SkipReason::BadTimestamp)
}

fn digits(text: &str, width: usize) -> Option<i16> {
    if text.len() != width || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Drops mIRC colour codes, U+0003 with up to `NN,NN` after it: without the
/// control character its digits would stay behind as text.
fn without_colours(body: &str) -> String {
    let mut kept = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('\u{3}') {
        kept.push_str(before);
        let (foreground, after) = split_digits(after);
        rest = after;
        if foreground == 0 {
            continue;
        }
        if let Some(after_comma) = after.strip_prefix(',') {
            let (background, after) = split_digits(after_comma);
            if background > 0 {
                rest = after;
            }
        }
    }
    kept.push_str(rest);
    kept
}

/// Up to two leading digits: how many, and what follows.
fn split_digits(text: &str) -> (usize, &str) {
    let count = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    (count, text.get(count..).unwrap_or_default())
}
