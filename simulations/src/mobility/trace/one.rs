//! `StandardEvents` of the ONE simulator: contacts and messages, a line an event.
//!
//! ```text
//! <seconds> CONN <host> <host> up|down
//! <seconds> C <message> <from> <to> <bytes> [<bytes of the answer>]
//! <seconds> S|DE|A <message> <from> <to>
//! <seconds> DR|R <message> <host>
//! ```
//!
//! Times never decrease; `#` begins a comment line. A host is a number, letters
//! may stand before it (`n12` is host 12). Of the lines about messages only `C`
//! is kept: what happened to a message is this simulator's to find out, so the
//! others are checked and left aside.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::BufRead;

use super::{Lines, Meeting, number, seconds, written_seconds};
use crate::mobility::error::{Problem, ReadError};

/// Longest name of a message.
const MESSAGE_NAME_BYTES_MAX: usize = 256;

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandardEvents {
    /// By pair, then time.
    pub meetings: Vec<Meeting>,
    /// In the file's order.
    pub messages: Vec<Message>,
    /// Lines that tell what became of a message.
    pub left_aside: u64,
}

/// A `C` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Microseconds since the file's start.
    pub at: u64,
    /// Its name in the file.
    pub name: String,
    /// Who wrote it.
    pub from: u32,
    /// For whom.
    pub to: u32,
    /// Its size.
    pub bytes: u32,
}

/// Reads a file.
///
/// # Errors
/// [`ReadError`] with the line.
pub fn read(source: impl BufRead) -> Result<StandardEvents, ReadError> {
    let mut lines = Lines::new(source);
    let mut events = Events::default();
    while let Some((line, text)) = lines.next_content()? {
        events
            .take(text)
            .map_err(|problem| ReadError::at(line, problem))?;
    }
    let still_up = events.up.into_iter().map(|((a, b), up)| Meeting {
        a,
        b,
        up,
        down: u64::MAX,
    });
    events.read.meetings.extend(still_up);
    events.read.meetings.sort_unstable();
    Ok(events.read)
}

/// Writes contacts and messages in time's order. Hosts are bare numbers; of one
/// moment `down` comes before `up`, and both before `C`.
#[must_use]
pub fn write(events: &StandardEvents) -> String {
    let mut lines = Vec::new();
    for Meeting { a, b, up, down } in &events.meetings {
        lines.push((*up, 1, format!("CONN {a} {b} up")));
        if *down != u64::MAX {
            lines.push((*down, 0, format!("CONN {a} {b} down")));
        }
    }
    for Message {
        at,
        name,
        from,
        to,
        bytes,
    } in &events.messages
    {
        lines.push((*at, 2, format!("C {name} {from} {to} {bytes}")));
    }
    lines.sort_by_key(|(at, rank, _)| (*at, *rank));
    let mut text = String::new();
    for (at, _, line) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {line}", written_seconds(at));
    }
    text
}

#[derive(Default)]
struct Events {
    read: StandardEvents,
    up: BTreeMap<(u32, u32), u64>,
    now: u64,
}

impl Events {
    fn take(&mut self, line: &str) -> Result<(), Problem> {
        let columns: Vec<&str> = line.split_whitespace().take(8).collect();
        let [time, kind, rest @ ..] = columns.as_slice() else {
            return Err(Problem::Columns {
                expected: "a time and an event",
            });
        };
        let time = seconds(time, "time")?;
        if time < self.now {
            return Err(Problem::Order);
        }
        self.now = time;
        match (*kind, rest) {
            ("CONN", [one, other, state]) => {
                self.connection(time, host(one, "host1")?, host(other, "host2")?, state)
            }
            ("CONN", _) => Err(Problem::Columns {
                expected: "<time> CONN <host> <host> up|down",
            }),
            ("C", [name, from, to, bytes] | [name, from, to, bytes, _]) => {
                let message = Message {
                    at: time,
                    name: message_name(name)?,
                    from: host(from, "from")?,
                    to: host(to, "to")?,
                    bytes: number(bytes, "size")?,
                };
                self.read.messages.push(message);
                Ok(())
            }
            ("C", _) => Err(Problem::Columns {
                expected: "<time> C <message> <from> <to> <bytes>",
            }),
            ("S" | "DE" | "A", [name, from, to]) => {
                message_name(name)?;
                host(from, "from")?;
                host(to, "to")?;
                self.read.left_aside += 1;
                Ok(())
            }
            ("S" | "DE" | "A", _) => Err(Problem::Columns {
                expected: "<time> S|DE|A <message> <from> <to>",
            }),
            ("DR" | "R", [name, at]) => {
                message_name(name)?;
                host(at, "host")?;
                self.read.left_aside += 1;
                Ok(())
            }
            ("DR" | "R", _) => Err(Problem::Columns {
                expected: "<time> DR|R <message> <host>",
            }),
            _ => Err(Problem::Event),
        }
    }

    fn connection(&mut self, time: u64, one: u32, other: u32, state: &str) -> Result<(), Problem> {
        if one == other {
            return Err(Problem::Itself);
        }
        let pair = (one.min(other), one.max(other));
        match state {
            "up" if self.up.contains_key(&pair) => Err(Problem::AlreadyUp),
            "up" => {
                self.up.insert(pair, time);
                Ok(())
            }
            "down" => {
                let up = self.up.remove(&pair).ok_or(Problem::NotUp)?;
                self.read.meetings.push(Meeting {
                    a: pair.0,
                    b: pair.1,
                    up,
                    down: time,
                });
                Ok(())
            }
            _ => Err(Problem::UpOrDown),
        }
    }
}

fn host(text: &str, column: &'static str) -> Result<u32, Problem> {
    let digits =
        text.trim_start_matches(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    digits.parse().map_err(|_| Problem::Host { column })
}

fn message_name(text: &str) -> Result<String, Problem> {
    if text.len() > MESSAGE_NAME_BYTES_MAX {
        return Err(Problem::Columns {
            expected: "a message's name of at most 256 bytes",
        });
    }
    Ok(text.to_owned())
}
