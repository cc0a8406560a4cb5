//! The desktop app divides time, name and text by single spaces, and names have
//! spaces, too. This finds the names.
//!
//! A name is on every message of its owner, while texts differ. So, from the
//! first word on, a name goes on as long as each next word that was seen after
//! it was seen in at least [`NAME_LINES_MIN`] lines: `พี่ ต้น …` and
//! `พี่ มะลิ …` become two names, `มะลิ ครับ` stays one word. The person in the
//! file's name is known from the start. A wrong guess moves a word between
//! sender and body; it loses nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{clock, system};

/// Lines that must share a word before it counts as part of a name.
const NAME_LINES_MIN: usize = 5;

/// Most words in a name.
const NAME_WORDS_MAX: usize = 6;

pub(super) struct Names(BTreeSet<String>);

impl Names {
    pub(super) fn learn<'a>(lines: impl Iterator<Item = &'a str>, person: Option<&str>) -> Self {
        let said: Vec<Vec<&str>> = lines
            .filter_map(|text| Some(clock::split(text)?.1.trim_start()))
            .filter(|rest| !system::may_be_system(rest))
            .map(|rest| rest.splitn(NAME_WORDS_MAX + 1, ' ').collect())
            .collect();
        let mut names: BTreeSet<String> = person.map(str::to_owned).into_iter().collect();
        for (first, lines) in by_word(&said.iter().map(Vec::as_slice).collect::<Vec<_>>(), 0) {
            // A single line may be text that only looks like a message.
            if lines.len() > 1 {
                extend(&mut names, first.to_owned(), &lines, 1);
            }
        }
        Self(names)
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Sender and body: the longest known name, else the first word.
    pub(super) fn split<'a>(&self, rest: &'a str) -> (&'a str, &'a str) {
        rest.match_indices(' ')
            .map(|(at, _)| at)
            .chain([rest.len()])
            .take(NAME_WORDS_MAX)
            .filter_map(|at| rest.split_at_checked(at))
            .filter(|(name, _)| self.knows(name))
            .last()
            .map(|(name, body)| (name, body.strip_prefix(' ').unwrap_or(body)))
            .or_else(|| rest.split_once(' '))
            .unwrap_or((rest, ""))
    }
}

/// Adds `name`, or the longer names that all of its lines agree on.
fn extend(names: &mut BTreeSet<String>, name: String, lines: &[&[&str]], words: usize) {
    let next = by_word(lines, words);
    // A word is left for the text, so the last one of a line is never a name's.
    let all_have_more = words < NAME_WORDS_MAX && lines.iter().all(|line| line.len() > words + 1);
    if !all_have_more || next.values().any(|lines| lines.len() < NAME_LINES_MIN) {
        names.insert(name);
        return;
    }
    for (word, lines) in next {
        extend(names, format!("{name} {word}"), &lines, words + 1);
    }
}

fn by_word<'a, 'b>(lines: &[&'b [&'a str]], at: usize) -> BTreeMap<&'a str, Vec<&'b [&'a str]>> {
    let mut groups: BTreeMap<&'a str, Vec<&'b [&'a str]>> = BTreeMap::new();
    for line in lines {
        if let Some(word) = line.get(at) {
            groups.entry(word).or_default().push(line);
        }
    }
    groups
}
