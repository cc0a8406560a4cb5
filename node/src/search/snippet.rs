//! The part of a message that shows why it was found.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Letters shown before the first mark.
const BEFORE_LETTERS: usize = 40;

/// Letters shown of a message.
const SNIPPET_LETTERS_MAX: usize = 160;

/// A part of a text and what is marked in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// One line.
    pub text: String,
    /// Bytes of `text`, from and to, in order and apart.
    pub marks: Vec<(usize, usize)>,
}

impl Snippet {
    /// Cuts `text` around the first of `places`.
    pub(super) fn of(text: &str, places: &[Range<usize>]) -> Self {
        let first = places.first().map_or(0, |place| place.start);
        let before = text.get(..first).unwrap_or_default();
        let start = before
            .char_indices()
            .rev()
            .take(BEFORE_LETTERS)
            .last()
            .map_or(first, |(at, _)| at);
        let rest = text.get(start..).unwrap_or_default();
        let end = rest
            .char_indices()
            .nth(SNIPPET_LETTERS_MAX)
            .map_or(text.len(), |(at, _)| start + at);
        let mut snippet = Self::default();
        if start > 0 {
            snippet.text.push('…');
        }
        let shift = |at: usize| at.clamp(start, end) - start;
        let offset = snippet.text.len();
        let shown = text.get(start..end).unwrap_or_default();
        // Each blank stays as long as it was, so that the marks keep their places.
        snippet.text.extend(shown.chars().map(|c| {
            if c == '\n' || c == '\t' || c == '\r' {
                ' '
            } else {
                c
            }
        }));
        let marks = places
            .iter()
            .map(|place| (offset + shift(place.start), offset + shift(place.end)));
        snippet.marks.extend(marks.filter(|(from, to)| from < to));
        if end < text.len() {
            snippet.text.push('…');
        }
        snippet
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::indexing_slicing,
        reason = "a test stops at the first surprise"
    )]

    use super::Snippet;

    #[test]
    fn marks_stand_where_they_stood() {
        let text = format!("{}ตลาด\nน้ำ{}", "ก".repeat(100), "z".repeat(300));
        let at = 300..312;
        let snippet = Snippet::of(&text, &[at]);
        let (from, to) = snippet.marks[0];
        assert_eq!(&snippet.text[from..to], "ตลาด");
        assert!(snippet.text.starts_with('…') && snippet.text.ends_with('…'));
        assert!(!snippet.text.contains('\n') && snippet.text.chars().count() <= 162);
        assert_eq!(
            Snippet::of("short", std::slice::from_ref(&(0..5))).text,
            "short"
        );
    }
}
