//! Contacts as the Haggle project published them (CRAWDAD `cambridge/haggle`), and RollerNet.
//!
//! Six columns a line: `a b start end k ict`. Hosts are numbers; start and end
//! are seconds; `k` counts the pair's contacts and `ict` is the time since its
//! last one, both checked as numbers and not used. The earliest start of the
//! file is time zero, since some files count from 1970.
//!
//! A device notes in which scans it saw another, so start = end means seen once:
//! such a contact lasts a second, the resolution of the clock. Both devices of a
//! pair may have noted a contact: what overlaps is joined.

use std::fmt::Write as _;
use std::io::BufRead;

use super::{Lines, Meeting, joined, number, seconds, written_seconds};
use crate::kernel::SECOND;
use crate::mobility::error::{Problem, ReadError};

/// Reads a file; the meetings are by pair, then time.
///
/// # Errors
/// [`ReadError`] with the line.
pub fn read(source: impl BufRead) -> Result<Vec<Meeting>, ReadError> {
    let mut lines = Lines::new(source);
    let mut meetings = Vec::new();
    while let Some((line, text)) = lines.next_content()? {
        meetings.push(meeting(text).map_err(|problem| ReadError::at(line, problem))?);
    }
    let first = meetings.iter().map(|meeting| meeting.up).min().unwrap_or(0);
    for meeting in &mut meetings {
        meeting.up -= first;
        meeting.down -= first;
    }
    Ok(joined(meetings))
}

/// Writes meetings, in time's order, with the two last columns as the format has them.
#[must_use]
pub fn write(meetings: &[Meeting]) -> String {
    let mut ordered = meetings.to_vec();
    ordered.sort_unstable_by_key(|meeting| (meeting.up, *meeting));
    let mut last = std::collections::BTreeMap::new();
    let mut text = String::new();
    for Meeting { a, b, up, down } in ordered {
        let (count, ended) = last.get(&(a, b)).copied().unwrap_or((0_u32, up));
        let _ = writeln!(
            text,
            "{a} {b} {} {} {} {}",
            written_seconds(up),
            written_seconds(down),
            count + 1,
            written_seconds(up.saturating_sub(ended))
        );
        last.insert((a, b), (count + 1, down));
    }
    text
}

fn meeting(line: &str) -> Result<Meeting, Problem> {
    let columns: Vec<&str> = line.split_whitespace().take(7).collect();
    let [a, b, start, end, count, since] = columns.as_slice() else {
        return Err(Problem::Columns {
            expected: "six columns: a b start end k ict",
        });
    };
    let (a, b) = (number(a, "a")?, number(b, "b")?);
    let (up, down) = (seconds(start, "start")?, seconds(end, "end")?);
    number(count, "k")?;
    seconds(since, "ict")?;
    if a == b {
        return Err(Problem::Itself);
    }
    if down < up {
        return Err(Problem::EndBeforeStart);
    }
    let down = if down == up {
        up.saturating_add(SECOND)
    } else {
        down
    };
    Ok(Meeting::new(a, b, up, down))
}
