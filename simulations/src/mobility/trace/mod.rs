//! Recorded contacts: reading files that others wrote, without trusting them.
//!
//! Lines and their number have limits, and whatever is wrong is said with its line.

pub mod haggle;
pub mod one;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;

use khlong_crdt::time::Monotonic;

use super::error::{MobilityError, Problem, ReadError};
use super::{Group, contact};
use crate::kernel::SECOND;
use crate::plan::{Contact, Entity};

/// Longest line: a session of 10,000 students with numbers of six digits.
pub const LINE_BYTES_MAX: usize = 128 * 1024;
/// Most lines of a file.
pub const LINES_MAX: u64 = 20_000_000;

/// Two hosts of a file are in contact during [up, down), microseconds since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Meeting {
    /// The lower number.
    pub a: u32,
    /// The higher number.
    pub b: u32,
    /// From here on.
    pub up: u64,
    /// Until here; `u64::MAX` = the file does not say.
    pub down: u64,
}

impl Meeting {
    /// The lower host first.
    #[must_use]
    pub fn new(one: u32, other: u32, up: u64, down: u64) -> Self {
        Self {
            a: one.min(other),
            b: one.max(other),
            up,
            down,
        }
    }
}

/// Opens a file and reads it with one of the readers.
///
/// # Errors
/// [`MobilityError::Read`], [`MobilityError::Format`].
pub fn read_file<T>(
    path: &Path,
    read: impl FnOnce(BufReader<File>) -> Result<T, ReadError>,
) -> Result<T, MobilityError> {
    File::open(path)
        .map_err(ReadError::Io)
        .and_then(|file| read(BufReader::new(file)))
        .map_err(|problem| problem.of(path.to_owned()))
}

/// The hosts of meetings.
#[must_use]
pub fn hosts(meetings: &[Meeting]) -> BTreeSet<u32> {
    meetings
        .iter()
        .flat_map(|meeting| [meeting.a, meeting.b])
        .collect()
}

/// Adds the meetings of hosts as contacts of the group's members: hosts in
/// ascending order are members in turn; hosts beyond the last member have no
/// machine, members beyond the last host no contact.
pub fn assign(
    meetings: &[Meeting],
    hosts: &BTreeSet<u32>,
    group: &Group,
    end: Monotonic,
    contacts: &mut Vec<Contact>,
) {
    let machines: BTreeMap<u32, Entity> = hosts
        .iter()
        .copied()
        .zip(group.members.iter().map(|member| member.entity))
        .collect();
    for meeting in meetings {
        let down = meeting.down.min(end.0);
        if let (Some(a), Some(b)) = (machines.get(&meeting.a), machines.get(&meeting.b))
            && meeting.up < down
        {
            contacts.push(contact(meeting.up, down, *a, *b, group.link));
        }
    }
}

/// Sorts meetings and joins those of one pair that overlap or touch.
#[must_use]
pub fn joined(mut meetings: Vec<Meeting>) -> Vec<Meeting> {
    meetings.sort_unstable();
    meetings.dedup_by(|next, last| {
        let touches = (next.a, next.b) == (last.a, last.b) && next.up <= last.down;
        if touches {
            last.down = last.down.max(next.down);
        }
        touches
    });
    meetings
}

/// Lines with a bounded length and count, numbered from 1.
pub(super) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(source: R) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            number: 0,
        }
    }

    /// Of the line that was given last.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end; `None` after the last one.
    pub(super) fn next_line(&mut self) -> Result<Option<&str>, ReadError> {
        self.buffer.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let taken = self
            .source
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.buffer)
            .map_err(ReadError::Io)?;
        if taken == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.number > LINES_MAX {
            return Err(ReadError::at(
                self.number,
                Problem::Lines { max: LINES_MAX },
            ));
        }
        if self.buffer.len() > LINE_BYTES_MAX && self.buffer.last() != Some(&b'\n') {
            return Err(ReadError::at(
                self.number,
                Problem::LineLength {
                    max: LINE_BYTES_MAX,
                },
            ));
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(ReadError::at(self.number, Problem::Text)),
        }
    }

    /// The next line that is neither empty nor a `#` comment.
    pub(super) fn next_content(&mut self) -> Result<Option<(u64, &str)>, ReadError> {
        loop {
            match self.next_line()? {
                None => return Ok(None),
                Some(line) if line.is_empty() || line.starts_with('#') => {}
                Some(_) => break,
            }
        }
        // Not returned from within the loop: the borrow would last through it.
        let text = std::str::from_utf8(&self.buffer).unwrap_or_default();
        Ok(Some((self.number, text.trim())))
    }
}

/// Seconds as microseconds, exactly; what is finer than a microsecond is cut off.
pub(super) fn seconds(text: &str, column: &'static str) -> Result<u64, Problem> {
    let wrong = Problem::Time { column };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return Err(wrong);
    }
    let micros = decimals.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let whole = whole
        .parse::<u64>()
        .ok()
        .and_then(|whole| whole.checked_mul(SECOND));
    whole
        .and_then(|whole| whole.checked_add(micros))
        .filter(|time| *time < u64::MAX)
        .ok_or(wrong)
}

/// Microseconds as seconds, with as many decimals as they need.
pub(super) fn written_seconds(micros: u64) -> String {
    let (whole, rest) = (micros / SECOND, micros % SECOND);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:06}")
        .trim_end_matches('0')
        .to_owned()
}

pub(super) fn number(text: &str, column: &'static str) -> Result<u32, Problem> {
    text.parse().map_err(|_| Problem::Number { column })
}
