//! What a text is found by: its words and, of scripts without blanks between words, pairs of
//! neighbouring syllable signs.
//!
//! Words of Thai, Lao, Khmer, Burmese, Chinese and Japanese come from the dictionaries of ICU.
//! A dictionary sees other words in a longer compound than in a query, and knows no names; the
//! pairs find any part of a run all the same.
//!
//! Why not `kham-core`, which knows Thai better? It takes 170 ms and megabytes of tables to start,
//! in every command that searches, is three times slower, keeps compounds (ตลาดน้ำ) whole, which a search
//! wants in parts, and knows nothing of the neighbours' scripts. ICU's tables lie in the program as they
//! are used; their licence, Unicode-3.0, asks as much as MIT does.

use std::sync::LazyLock;

use icu_segmenter::options::WordBreakInvariantOptions;
use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed};
use unicode_normalization::char::is_combining_mark;

use super::fold::{Letter, fold};

/// Letters of a word that count; what is longer is found by its start.
const WORD_LETTERS_MAX: usize = 64;

static DICTIONARY: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// A folded word, or a pair, and the bytes of the text that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Neighbours have neighbouring places.
    pub(super) place: usize,
}

/// What a text is found by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) words: Vec<Word>,
    pub(super) pairs: Vec<Word>,
    /// Syllable signs of the runs without blanks.
    pub(super) signs: usize,
    /// Whether there is nothing but one such run.
    pub(super) is_one_run: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Letters and digits of scripts with blanks.
    Spaced,
    /// Letters of scripts without.
    Unspaced,
    /// Found by itself: an emoji, a sign of currency.
    Symbol,
    Gap,
}

/// Takes a text apart.
pub(super) fn words_of(text: &str) -> Words {
    let letters = fold(text);
    let mut found = Words::default();
    let mut rest = letters.as_slice();
    let mut runs = 0;
    let mut others = 0;
    while let Some(first) = rest.first() {
        let kind = kind_of(first.letter);
        let (run, after) = match kind {
            Kind::Spaced => split_spaced(rest),
            Kind::Unspaced => {
                let end = rest.iter().take_while(|l| continues(l.letter));
                rest.split_at(end.count().max(1))
            }
            Kind::Symbol | Kind::Gap => rest.split_at(1),
        };
        match kind {
            Kind::Spaced => found.push_spaced(run),
            Kind::Unspaced => found.push_unspaced(run),
            Kind::Symbol => found.push(run),
            Kind::Gap => {}
        }
        runs += usize::from(kind == Kind::Unspaced);
        others += usize::from(matches!(kind, Kind::Spaced | Kind::Symbol));
        rest = after;
    }
    found.is_one_run = runs == 1 && others == 0;
    found
}

impl Words {
    fn push(&mut self, run: &[Letter]) {
        let place = self.words.len();
        self.words.extend(word(run.iter(), place));
    }

    /// `1,250` is 1250, `don't` is dont.
    fn push_spaced(&mut self, run: &[Letter]) {
        let place = self.words.len();
        let kept = run.iter().filter(|l| !matches!(l.letter, ',' | '\'' | '’'));
        self.words.extend(word(kept, place));
    }

    fn push_unspaced(&mut self, run: &[Letter]) {
        let text: String = run.iter().map(|letter| letter.letter).collect();
        let mut letters = run.iter();
        let mut before = 0;
        for end in DICTIONARY.segment_str(&text) {
            let count = text.get(before..end).unwrap_or_default().chars().count();
            let taken: Vec<&Letter> = letters.by_ref().take(count).collect();
            let place = self.words.len();
            self.words.extend(word(taken.into_iter(), place));
            before = end;
        }
        let signs = signs(run);
        for (place, pair) in (self.signs..).zip(signs.windows(2)) {
            let both = pair.iter().flat_map(|sign| sign.iter());
            self.pairs.extend(word(both, place));
        }
        // One place stays free, so that no phrase goes on in the next run.
        self.signs += signs.len();
    }
}

fn word<'l>(letters: impl Iterator<Item = &'l Letter>, place: usize) -> Option<Word> {
    let mut word: Option<Word> = None;
    for (number, Letter { letter, from, to }) in letters.enumerate() {
        let word = word.get_or_insert_with(|| Word {
            text: String::new(),
            from: *from,
            to: *to,
            place,
        });
        word.to = *to;
        if number < WORD_LETTERS_MAX {
            word.text.push(*letter);
        }
    }
    word
}

/// A base with the marks above and below it: as no sign depends on what follows, a part of a
/// run has the same signs as the run.
fn signs(run: &[Letter]) -> Vec<&[Letter]> {
    run.chunk_by(|_, next| is_combining_mark(next.letter))
        .collect()
}

/// Letters and digits; between digits also `,` and `.`, between letters also an apostrophe.
fn split_spaced(rest: &[Letter]) -> (&[Letter], &[Letter]) {
    let at = |index: usize| rest.get(index).map(|letter| letter.letter);
    let mut end = 1;
    while let Some(letter) = at(end) {
        let around = at(end - 1).zip(at(end + 1));
        let joins = around.is_some_and(|(left, right)| match letter {
            ',' | '.' => left.is_ascii_digit() && right.is_ascii_digit(),
            '\'' | '’' => left.is_alphabetic() && right.is_alphabetic(),
            _ => false,
        });
        if !joins && kind_of(letter) != Kind::Spaced && !is_combining_mark(letter) {
            break;
        }
        end += 1;
    }
    rest.split_at(end)
}

fn continues(letter: char) -> bool {
    kind_of(letter) == Kind::Unspaced
}

const fn is_unspaced(c: char) -> bool {
    matches!(c,
        // Thai without the sign of currency, abbreviation, repetition and the digits.
        '\u{e01}'..='\u{e2e}' | '\u{e30}'..='\u{e3a}' | '\u{e40}'..='\u{e45}' | '\u{e47}'..='\u{e4e}'
        // Lao, Burmese, Khmer.
        | '\u{e80}'..='\u{ec5}' | '\u{ec7}'..='\u{ecd}' | '\u{1000}'..='\u{103f}' | '\u{1050}'..='\u{108f}' | '\u{1780}'..='\u{17d3}'
        // Japanese and Chinese.
        | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fc}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn kind_of(c: char) -> Kind {
    match c {
        c if is_unspaced(c) => Kind::Unspaced,
        // Signs of repetition and abbreviation of Thai, Lao and Khmer count as letters in Unicode.
        'ฯ' | 'ๆ' | '\u{ec6}' | '\u{17d7}' => Kind::Gap,
        c if c.is_alphanumeric() => Kind::Spaced,
        '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '฿' | '€' | '$' => Kind::Symbol,
        _ => Kind::Gap,
    }
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::indexing_slicing,
        reason = "a test stops at the first surprise"
    )]

    use super::words_of;

    fn words(text: &str) -> Vec<String> {
        words_of(text)
            .words
            .into_iter()
            .map(|word| word.text)
            .collect()
    }

    #[test]
    fn thai_and_english_stand_side_by_side() {
        assert_eq!(
            words("เจอกันที่ตลาดน้ำ at 9 AM"),
            ["เจอ", "กัน", "ที่", "ตลาด", "น้ำ", "at", "9", "am"]
        );
        assert_eq!(words("ราคา1,250บาท"), ["ราคา", "1250", "บาท"]);
        assert_eq!(words("don't (STOP)"), ["dont", "stop"]);
        assert_eq!(words("มากๆ 👍🏽👍 ฿20"), ["มาก", "👍", "👍", "฿", "20"]);
        assert_eq!(
            words("https://khlong.example/a?b=1.5"),
            ["https", "khlong", "example", "a", "b", "1.5"]
        );
    }

    #[test]
    fn neighbours_scripts_are_taken_apart_too() {
        assert!(words("ສະບາຍດີຕອນເຊົ້າ").len() > 1, "Lao");
        assert!(words("សួស្តីពេលព្រឹក").len() > 1, "Khmer");
        assert!(words("မင်္ဂလာပါခင်ဗျာ").len() > 1, "Burmese");
    }

    #[test]
    fn a_part_of_a_run_has_pairs_of_the_run() {
        let pairs = |text| -> Vec<String> {
            words_of(text)
                .pairs
                .into_iter()
                .map(|pair| pair.text)
                .collect()
        };
        let run = pairs("ซื้อพร้อมเพย์แล้ว");
        let part = pairs("เพย์");
        assert!(!part.is_empty() && run.windows(part.len()).any(|window| window == part));
        assert!(
            words_of("ก ข").pairs.is_empty(),
            "a pair does not reach over a blank"
        );
    }

    #[test]
    fn endless_runs_are_bounded() {
        let run = words_of(&"มาก".repeat(1_800));
        assert_eq!(
            (run.words.len(), run.is_one_run),
            (1_800, true),
            "a message is one run at most"
        );
        assert_eq!(words(&"a".repeat(16_000))[0].len(), 64);
        assert_eq!(words_of(&"\u{301}".repeat(8_000)).words.len(), 0);
    }
}
