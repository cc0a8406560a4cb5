//! What is looked for, and where it stands in a text. No index and no clock: the same
//! decision serves the index, the highlight, and the check that a message still says it.

use std::ops::Range;

use super::words::{Word, words_of};
use crate::error::NodeError;

/// Longest query: 1 KiB.
pub const QUERY_BYTES_MAX: usize = 1_024;

/// Words of one query, counted as the index counts them.
pub const QUERY_WORDS_MAX: usize = 32;

/// Syllable signs from which on a run without blanks is looked for inside longer words at once.
/// Shorter ones stand inside too many words: only when nobody wrote them as words.
const SIGNS_WITHIN_WORDS: usize = 3;

/// Letters from which on the last word, if nothing stands before it, may be the start of a longer one.
const PREFIX_LETTERS_MIN: usize = 2;

/// How much a query asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Words, and long parts of words.
    Words,
    /// Also short parts of words; for when the words were found nowhere.
    Parts,
}

/// A query, taken apart: all of it must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) clauses: Vec<Clause>,
}

/// What was typed without a blank or in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// One after the other.
    pub(super) words: Vec<String>,
    /// The last word, or its last syllable sign, may go on.
    pub(super) is_prefix: bool,
    /// Of one run without blanks: its pairs, one after the other.
    pairs: Vec<String>,
    signs: usize,
}

impl Query {
    /// Reads what a person typed: words, all of which must be there, `"…"` for words in this order.
    ///
    /// # Errors
    /// [`NodeError::Usage`] for a query that is too long or asks for nothing.
    pub fn parse(text: &str) -> Result<Self, NodeError> {
        let refused = |reason: String| Err(NodeError::Usage(reason));
        if text.len() > QUERY_BYTES_MAX {
            return refused(format!(
                "a query has at most {QUERY_BYTES_MAX} bytes, this one {}; search for a part of it",
                text.len()
            ));
        }
        let pieces = pieces(text);
        let last = pieces.len().saturating_sub(1);
        let clauses: Vec<Clause> = pieces
            .into_iter()
            .enumerate()
            .filter_map(|(number, (piece, is_quoted))| {
                Clause::of(piece, number == last && !is_quoted)
            })
            .collect();
        let words: usize = clauses.iter().map(|clause| clause.words.len()).sum();
        if words == 0 {
            return refused("nothing to search for: give a word, a number or an emoji".to_owned());
        }
        if words > QUERY_WORDS_MAX {
            return refused(format!(
                "a query has at most {QUERY_WORDS_MAX} words, this one {words}; search for fewer"
            ));
        }
        Ok(Self { clauses })
    }

    /// Whether [`Reading::Parts`] asks for more than [`Reading::Words`].
    pub(super) fn has_short_parts(&self) -> bool {
        let short = |clause: &Clause| {
            clause.pairs(Reading::Words).is_none() && clause.pairs(Reading::Parts).is_some()
        };
        self.clauses.iter().any(short)
    }

    /// Where in `text` everything stands that is looked for, in order and apart; `None` if
    /// something is missing.
    pub(super) fn places_in(&self, text: &str, reading: Reading) -> Option<Vec<Range<usize>>> {
        let words = words_of(text);
        let mut places = Vec::new();
        for clause in &self.clauses {
            let before = places.len();
            places.extend(runs(&words.words, &clause.words, clause.is_prefix));
            if let Some(pairs) = clause.pairs(reading) {
                places.extend(runs(&words.pairs, pairs, clause.is_prefix));
            }
            if places.len() == before {
                return None;
            }
        }
        places.sort_by_key(|place| (place.start, place.end));
        let mut apart: Vec<Range<usize>> = Vec::new();
        for place in places {
            match apart.last_mut() {
                Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
                Some(_) | None => apart.push(place),
            }
        }
        Some(apart)
    }
}

impl Clause {
    fn of(piece: &str, is_last: bool) -> Option<Self> {
        let found = words_of(piece);
        let last = found.words.last()?;
        let is_long =
            found.words.len() > 1 || last.text.chars().nth(PREFIX_LETTERS_MIN - 1).is_some();
        let of_run = |pair: Word| found.is_one_run.then_some(pair.text);
        Some(Self {
            is_prefix: is_last && is_long,
            words: found.words.into_iter().map(|word| word.text).collect(),
            pairs: found.pairs.into_iter().filter_map(of_run).collect(),
            signs: found.signs,
        })
    }

    /// What is looked for inside longer words, if so short a part may be.
    pub(super) fn pairs(&self, reading: Reading) -> Option<&[String]> {
        let is_asked = match reading {
            Reading::Words => self.signs >= SIGNS_WITHIN_WORDS,
            Reading::Parts => true,
        };
        (is_asked && !self.pairs.is_empty()).then_some(&self.pairs)
    }
}

/// Cuts at blanks; what stands in quotes stays together. The second is whether it does.
fn pieces(text: &str) -> Vec<(&str, bool)> {
    let mut pieces = Vec::new();
    for (number, part) in text.split(['"', '“', '”']).enumerate() {
        if number % 2 == 1 {
            pieces.push((part, true));
        } else {
            pieces.extend(part.split_whitespace().map(|word| (word, false)));
        }
    }
    pieces
}

/// Where `wanted` stand at neighbouring places; the last may go on if `is_prefix`.
fn runs<'w>(
    words: &'w [Word],
    wanted: &'w [String],
    is_prefix: bool,
) -> impl Iterator<Item = Range<usize>> + 'w {
    let is_run = move |window: &[Word]| {
        let start = window.first().map_or(0, |word| word.place);
        let last = wanted.len() - 1;
        window
            .iter()
            .zip(wanted)
            .enumerate()
            .all(|(number, (word, wanted))| {
                let is_same = if number == last && is_prefix {
                    word.text.starts_with(wanted)
                } else {
                    word.text == *wanted
                };
                is_same && word.place == start + number
            })
    };
    let windows = words.windows(wanted.len().max(1));
    windows
        .filter(move |window| is_run(window))
        .filter_map(|window| Some(window.first()?.from..window.last()?.to))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::{Query, Reading};

    fn marked(query: &str, text: &str, reading: Reading) -> Option<Vec<String>> {
        let places = Query::parse(query).unwrap().places_in(text, reading)?;
        Some(
            places
                .into_iter()
                .map(|place| text[place].to_owned())
                .collect(),
        )
    }

    fn found(query: &str, text: &str) -> Option<Vec<String>> {
        marked(query, text, Reading::Words)
    }

    #[test]
    fn all_words_must_be_there_in_any_order() {
        let text = "The boat leaves at 9, ที่ท่าเรือ";
        assert_eq!(found("9 boat", text).unwrap(), ["boat", "9"]);
        assert_eq!(found("BOAT", text).unwrap(), ["boat"]);
        assert_eq!(
            found("lea", text).unwrap(),
            ["leaves"],
            "the last word may go on"
        );
        assert_eq!(found("lea boat", text), None, "no other may");
        assert_eq!(found("\"lea\"", text), None, "nor one in quotes");
        assert_eq!(found("boat train", text), None);
        assert_eq!(found("\"leaves at\"", text).unwrap(), ["leaves at"]);
        assert_eq!(found("\"at leaves\"", text), None);
    }

    #[test]
    fn parts_of_thai_words_are_found() {
        let text = "ไปตลาดน้ำอัมพวา";
        assert_eq!(found("ตลาดน้ำ", text).unwrap(), ["ตลาดน้ำ"]);
        assert_eq!(found("ัมพ", "อัมพวา"), None, "half a sign is no part");
        assert_eq!(found("พวา", text).unwrap(), ["พวา"]);
        assert_eq!(
            found("ตลาดน", text).unwrap(),
            ["ตลาดน้ำ"],
            "while it is typed"
        );
        assert_eq!(
            found("\"ขา\"", "ขายของ"),
            None,
            "a short part is another word"
        );
        let part = marked("\"ขา\"", "ขายของ", Reading::Parts);
        assert_eq!(part.unwrap(), ["ขา"], "unless nobody wrote the word");
    }

    #[test]
    fn queries_are_bounded_and_ask_for_something() {
        for query in [
            "",
            "   ",
            "\"\"",
            "!?",
            "ๆ",
            &"a".repeat(1_025),
            &"a ".repeat(33),
        ] {
            assert!(Query::parse(query).is_err(), "{query}");
        }
        assert!(Query::parse(&"ab ".repeat(32)).is_ok());
        assert!(Query::parse("\"open quote").is_ok());
    }
}
