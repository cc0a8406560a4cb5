//! Letters as they are compared: without case, without the accents of Latin letters, Thai in
//! one way of writing. Each knows where it stands in the text, for highlights.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Marks that one letter may carry; more begin a letter of their own, so that a pile of them stays cheap.
const MARKS_MAX: usize = 16;

const SARA_AM: char = '\u{e33}';
const SARA_AA: char = '\u{e32}';
const NIKHAHIT: char = '\u{e4d}';

/// One folded letter and the bytes of the text that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) letter: char,
    pub(super) from: usize,
    pub(super) to: usize,
}

/// The letters of a text, folded.
pub(super) fn fold(text: &str) -> Vec<Letter> {
    let mut letters = Vec::with_capacity(text.len() / 2);
    let mut rest = text.char_indices().peekable();
    while let Some((from, first)) = rest.next() {
        let mut to = from + first.len_utf8();
        for _ in 0..MARKS_MAX {
            let Some((at, mark)) = rest.next_if(|(_, next)| is_combining_mark(*next)) else {
                break;
            };
            to = at + mark.len_utf8();
        }
        let letter = text.get(from..to).unwrap_or_default();
        if is_thai(first) {
            push_thai(&mut letters, letter, from);
        } else {
            let folded = letter.nfkd().filter(|c| !is_accent(*c)).nfc();
            letters.extend(
                folded
                    .flat_map(char::to_lowercase)
                    .filter(|c| !is_unseen(*c))
                    .map(|letter| Letter { letter, from, to }),
            );
        }
    }
    letters
}

/// Keyboards and old software write the same syllable in several ways: sara am in two letters or before
/// the tone mark, a mark twice, sara ae as two sara e.
fn push_thai(letters: &mut Vec<Letter>, text: &str, from: usize) {
    for (at, letter) in text.char_indices() {
        let from = from + at;
        let to = from + letter.len_utf8();
        let (before, last) = match letters.as_slice() {
            [.., before, last] => (Some(before.letter), Some(last.letter)),
            [last] => (None, Some(last.letter)),
            [] => (None, None),
        };
        let mut push = |letter| letters.push(Letter { letter, from, to });
        match letter {
            '๐'..='๙' => push(char::from(b'0' + (letter as u32 - '๐' as u32) as u8)),
            SARA_AA if last == Some(NIKHAHIT) => {
                letters.pop();
                push_after(letters, SARA_AM, from, to);
            }
            SARA_AA if before == Some(NIKHAHIT) && last.is_some_and(is_tone) => {
                let tone = letters.pop();
                letters.pop();
                letters.extend(tone);
                push_after(letters, SARA_AM, from, to);
            }
            'เ' if last == Some('เ') => {
                // What is not seen may stand between the two.
                let began = letters.pop().map_or(from, |first| first.from);
                push_after(letters, 'แ', began, to);
            }
            tone if is_tone(tone) && last == Some(SARA_AM) => {
                let am = letters.pop();
                push_after(letters, tone, from, to);
                letters.extend(am);
            }
            mark if is_combining_mark(mark) && last == Some(mark) => {}
            other => push(other),
        }
    }
}

fn push_after(letters: &mut Vec<Letter>, letter: char, from: usize, to: usize) {
    letters.push(Letter { letter, from, to });
}

const fn is_thai(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{e7f}')
}

const fn is_tone(c: char) -> bool {
    matches!(c, '\u{e48}'..='\u{e4b}')
}

/// What Latin, Greek and Cyrillic letters carry; the vowel signs of other scripts are letters.
const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Takes no room in the text: soft hyphens, joiners, marks of direction, the looks and skin of an emoji.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::fold;

    fn folded(text: &str) -> String {
        fold(text).iter().map(|letter| letter.letter).collect()
    }

    #[test]
    fn one_way_of_writing_is_left() {
        assert_eq!(folded("CAFÉ Straße ＡＢ１"), "cafe straße ab1");
        assert_eq!(folded("๑๒๓"), "123");
        let water = "น้ำ";
        for written in [
            "น\u{e49}\u{e4d}\u{e32}",
            "น\u{e4d}\u{e49}\u{e32}",
            "น\u{e33}\u{e49}",
            "น้้ำ",
        ] {
            assert_eq!(folded(written), water, "{}", written.escape_unicode());
        }
        assert_eq!(folded("เเม่"), "แม่");
        assert_eq!(folded("👍🏽"), folded("👍"));
    }

    #[test]
    fn letters_know_their_place() {
        let text = "aÉ๑เ\u{ad}เ";
        let places: Vec<&str> = fold(text).iter().map(|l| &text[l.from..l.to]).collect();
        assert_eq!(places, ["a", "É", "๑", "เ\u{ad}เ"]);
    }
}
