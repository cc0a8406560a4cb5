//! Text as a terminal takes it: pieces of a known width, and lines made of them.
//!
//! A piece is a grapheme cluster (UAX #29), so that marks never leave their letter:
//! "น้ำ" is one piece of two cells. What strangers may have written in order to break
//! that is broken up here, before a terminal sees it.

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::peer::names::is_ignorable;
use crate::shown::escaped;

/// Characters of one piece: the longest emoji in use, a family with skin tones, has 11.
const PIECE_CHARS_MAX: usize = 16;

/// Marks kept on a letter of a cluster that is longer: Thai has two, Vietnamese three.
const MARKS_MAX: usize = 4;

/// Where a mark stands that follows no letter.
const DOTTED_CIRCLE: char = '\u{25cc}';

/// A tab, which has no width of its own.
const TAB: &str = "    ";

/// What a terminal draws at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'t> {
    /// Where it begins in the text, in bytes.
    pub at: usize,
    /// What is drawn.
    pub text: Cow<'t, str>,
    /// Cells that it takes, 1 to 3.
    pub width: usize,
}

/// A line of strangers' text without anything that a terminal would obey.
#[must_use]
pub fn visible(line: &str) -> String {
    escaped(&line.replace('\t', TAB))
}

/// The pieces of a text in which nothing is to be obeyed ([`visible`]). What has no
/// width and no shape is left out.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    text.grapheme_indices(true).flat_map(|(at, cluster)| {
        let whole = whole(at, cluster);
        let parts = if whole.is_none() {
            parts(at, cluster)
        } else {
            Vec::new()
        };
        whole.into_iter().chain(parts)
    })
}

/// Cells of a text.
#[must_use]
pub fn width(text: &str) -> usize {
    pieces(text).map(|piece| piece.width).sum()
}

/// A cluster that every terminal gives the same room, or behind which the place is said
/// anew: that of two cells.
fn whole(at: usize, cluster: &str) -> Option<Piece<'_>> {
    let width = cluster.width();
    let each = || cluster.chars().filter_map(char::width).sum::<usize>();
    let is_short = cluster.chars().nth(PIECE_CHARS_MAX).is_none();
    let is_sure = width == 2 || (width == 1 && each() == 1);
    (is_short && is_sure).then_some(Piece {
        at,
        text: Cow::Borrowed(cluster),
        width,
    })
}

/// A cluster letter by letter, each with a few of its marks.
fn parts(at: usize, cluster: &str) -> Vec<Piece<'_>> {
    let mut parts: Vec<Piece<'_>> = Vec::new();
    let mut begin = 0;
    while let Some(rest) = cluster.get(begin..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or_default();
        let marks = rest.char_indices().skip(1);
        let has_width = |c: char| c.width().unwrap_or(0) > 0;
        let mut end = rest.len();
        let mut kept = rest.len();
        for (count, (offset, c)) in marks.enumerate() {
            if has_width(c) {
                end = offset;
                break;
            }
            if count == MARKS_MAX {
                kept = offset;
            }
        }
        let shown = rest.get(..kept.min(end)).unwrap_or_default();
        // A joiner at the end would join with whatever stands in the next cell.
        let shown = shown.trim_end_matches('\u{200d}');
        let part = if has_width(first) {
            Some((Cow::Borrowed(shown), first.width().unwrap_or(1)))
        } else if shown.chars().all(is_ignorable) {
            None
        } else {
            Some((Cow::Owned(format!("{DOTTED_CIRCLE}{shown}")), 1))
        };
        parts.extend(part.map(|(text, width)| Piece {
            at: at + begin,
            text,
            width,
        }));
        begin += end;
    }
    parts
}

/// Lines of at most `width` cells, the first of at most `first`; together the whole text.
/// Blanks at the end of a line may stand beyond it. There are at most `lines_max`, and
/// whether that was enough is told.
#[must_use]
pub fn wrapped(
    text: &str,
    first: usize,
    width: usize,
    lines_max: usize,
) -> (Vec<Range<usize>>, bool) {
    let mut lines = Vec::new();
    let (mut start, mut used, mut limit) = (0, 0, first);
    // Where the line may end, and the cells before.
    let mut end: Option<(usize, usize)> = None;
    let mut before: Option<char> = None;
    for piece in pieces(text) {
        let letter = piece.text.chars().next().unwrap_or_default();
        if piece.at > start && before.is_some_and(|before| may_part(before, letter)) {
            end = Some((piece.at, used));
        }
        while used + piece.width > limit && letter != ' ' && piece.at > start {
            let (cut, cells) = end
                .take()
                .filter(|(cut, _)| *cut > start)
                .unwrap_or((piece.at, used));
            if lines.len() + 1 >= lines_max {
                lines.push(start..cut);
                return (lines, false);
            }
            lines.push(start..cut);
            start = cut;
            used = used.saturating_sub(cells);
            limit = width;
        }
        used += piece.width;
        before = Some(letter);
    }
    lines.push(start..text.len());
    (lines, true)
}

/// Whether a line may end between two letters: behind a blank, and, as Thai, Lao, Chinese
/// and Japanese put none between words, between two of theirs, if neither belongs to the other.
fn may_part(before: char, after: char) -> bool {
    if after == ' ' {
        return false;
    }
    if matches!(before, ' ' | '-' | '/') {
        return true;
    }
    let opens =
        matches!(before, '\u{e40}'..='\u{e44}' | '\u{ec0}'..='\u{ec4}' | '「' | '『' | '（' | '《');
    let closes = matches!(
        after,
        '\u{e2f}'
            | '\u{e30}'
            | '\u{e32}'
            | '\u{e33}'
            | '\u{e45}'
            | '\u{e46}'
            | '\u{eaf}'
            | '\u{eb0}'
            | '\u{eb2}'
            | '\u{eb3}'
            | '\u{ec6}'
            | '、'
            | '。'
            | '，'
            | '．'
            | '！'
            | '？'
            | '）'
            | '」'
            | '』'
            | '》'
    );
    let bare = |c: char| matches!(c, '\u{e00}'..='\u{eff}') || c.width() == Some(2);
    let word = |c: char| bare(c) || c.is_alphanumeric();
    !opens && !closes && (bare(before) || bare(after)) && word(before) && word(after)
}

/// The start of a text, with "…" if it has more than `room` cells.
#[must_use]
pub fn cut(text: &str, room: usize) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for piece in pieces(text) {
        used += piece.width;
        if used > room {
            break;
        }
        shown.push_str(&piece.text);
    }
    if room > 0 {
        shown.push('…');
    }
    shown
}
