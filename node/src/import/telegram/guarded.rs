//! Bytes on their way to the JSON parser: where they are is known, what would make the
//! parser deep or large ends them, and escapes that only Telegram writes become JSON's.
//!
//! The parser asks for one byte at a time, so that the place of an error is that of the
//! last byte given, in the bytes of the file.

use std::cell::Cell;
use std::io::{self, BufReader, Bytes, Read};

use super::super::Place;
use super::{
    TELEGRAM_DEPTH_MAX, TELEGRAM_FILE_BYTES_MAX, TELEGRAM_STRING_BYTES_MAX, TelegramLimit,
};

/// What editors put before the text.
const MARK: [u8; 3] = *b"\xEF\xBB\xBF";

/// Longest number or word outside of a string.
const WORD_BYTES_MAX: usize = 64;

pub(super) struct Guarded<'a, R> {
    bytes: Bytes<BufReader<R>>,
    /// Of the last byte given.
    place: &'a Cell<Place>,
    read: u64,
    state: State,
    depth: u32,
    /// Bytes of the string or word that is being read.
    value_bytes: usize,
    /// Read already, or made of what was read.
    ahead: Ahead,
    /// How many escapes became others.
    pub(super) escapes: u64,
    /// What ended the bytes before their end.
    pub(super) beyond: Option<TelegramLimit>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    InString,
    /// Behind the backslash of an escape that is JSON's, or not for us to judge.
    Escaped,
}

/// Bytes to be given, and whether each is a byte of the file.
#[derive(Default)]
struct Ahead {
    bytes: [(u8, bool); 6],
    at: usize,
    end: usize,
}

impl Ahead {
    fn take(&mut self) -> Option<(u8, bool)> {
        let next = self.bytes.get(self.at..self.end)?.first().copied();
        self.at += usize::from(next.is_some());
        next
    }

    fn put(&mut self, bytes: &[(u8, bool)]) {
        (self.at, self.end) = (0, bytes.len());
        for (place, byte) in self.bytes.iter_mut().zip(bytes) {
            *place = *byte;
        }
    }
}

impl<'a, R: Read> Guarded<'a, R> {
    pub(super) fn new(bytes: R, place: &'a Cell<Place>) -> Self {
        Self {
            bytes: BufReader::new(bytes).bytes(),
            place,
            read: 0,
            state: State::Outside,
            depth: 0,
            value_bytes: 0,
            ahead: Ahead::default(),
            escapes: 0,
            beyond: None,
        }
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        if let Some(limit) = self.beyond {
            // Asked again after the end, it stays where it is.
            return Err(io::Error::other(limit.to_string()));
        }
        let (byte, is_of_file) = match self.ahead.take() {
            Some(next) => next,
            None => match self.next_of_file()? {
                Some(byte) => (byte, true),
                None => return Ok(None),
            },
        };
        if is_of_file {
            let Place { line, byte: before } = self.place.get();
            self.place.set(if byte == b'\n' {
                Place {
                    line: line.saturating_add(1),
                    byte: 0,
                }
            } else {
                Place {
                    line,
                    byte: before + 1,
                }
            });
        }
        self.watch(byte)?;
        Ok(Some(byte))
    }

    /// The next byte, or the first of what stands for an escape of Telegram's.
    fn next_of_file(&mut self) -> io::Result<Option<u8>> {
        let Some(byte) = self.raw()? else {
            return Ok(None);
        };
        if self.read == 1 && byte == MARK[0] {
            return self.without_mark();
        }
        if self.state != State::InString || byte != b'\\' {
            return Ok(Some(byte));
        }
        let Some(kind) = self.raw()? else {
            return Ok(Some(byte));
        };
        if kind != b'x' {
            self.ahead.put(&[(kind, true)]);
            return Ok(Some(byte));
        }
        let (high, low) = (self.raw()?, self.raw()?);
        match (high, low) {
            (Some(high), Some(low)) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                self.escapes += 1;
                let zero = (b'0', false);
                self.ahead
                    .put(&[(b'u', true), zero, zero, (high, true), (low, true)]);
            }
            // The parser refuses it, where it stands.
            (high, low) => {
                let mut rest = [(kind, true); 3];
                let mut count = 1;
                for (place, byte) in rest
                    .iter_mut()
                    .skip(1)
                    .zip([high, low].into_iter().flatten())
                {
                    *place = (byte, true);
                    count += 1;
                }
                self.ahead.put(rest.get(..count).unwrap_or_default());
            }
        }
        Ok(Some(byte))
    }

    fn without_mark(&mut self) -> io::Result<Option<u8>> {
        let (second, third) = (self.raw()?, self.raw()?);
        if (second, third) == (Some(MARK[1]), Some(MARK[2])) {
            return self.raw();
        }
        // No JSON at all, in any case.
        Ok(Some(MARK[0]))
    }

    fn raw(&mut self) -> io::Result<Option<u8>> {
        let Some(byte) = self.bytes.next().transpose()? else {
            return Ok(None);
        };
        self.read += 1;
        if self.read > TELEGRAM_FILE_BYTES_MAX {
            return Err(self.ends(TelegramLimit::File));
        }
        Ok(Some(byte))
    }

    /// Follows the bytes that are given as far as lengths and depth need it.
    fn watch(&mut self, byte: u8) -> io::Result<()> {
        let max = match (self.state, byte) {
            (State::Outside, b'"') => {
                self.state = State::InString;
                self.value_bytes = 0;
                return Ok(());
            }
            (State::Outside, b'[' | b'{') => {
                self.depth += 1;
                self.value_bytes = 0;
                if self.depth > TELEGRAM_DEPTH_MAX {
                    return Err(self.ends(TelegramLimit::Depth));
                }
                return Ok(());
            }
            (State::Outside, b']' | b'}') => {
                self.depth = self.depth.saturating_sub(1);
                self.value_bytes = 0;
                return Ok(());
            }
            (State::Outside, b',' | b':' | b' ' | b'\t' | b'\r' | b'\n') => {
                self.value_bytes = 0;
                return Ok(());
            }
            (State::InString, b'"') => {
                self.state = State::Outside;
                self.value_bytes = 0;
                return Ok(());
            }
            (State::InString, b'\\') => {
                self.state = State::Escaped;
                TELEGRAM_STRING_BYTES_MAX
            }
            (State::Escaped, _) => {
                self.state = State::InString;
                TELEGRAM_STRING_BYTES_MAX
            }
            (State::InString, _) => TELEGRAM_STRING_BYTES_MAX,
            (State::Outside, _) => WORD_BYTES_MAX,
        };
        self.value_bytes += 1;
        if self.value_bytes > max {
            return Err(self.ends(TelegramLimit::Value));
        }
        Ok(())
    }

    fn ends(&mut self, limit: TelegramLimit) -> io::Error {
        self.beyond = Some(limit);
        io::Error::other(limit.to_string())
    }
}

impl<R: Read> Read for Guarded<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(first) = out.first_mut() else {
            return Ok(0);
        };
        Ok(match self.next()? {
            Some(byte) => {
                *first = byte;
                1
            }
            None => 0,
        })
    }
}
