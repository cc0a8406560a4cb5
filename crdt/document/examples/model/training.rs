//! What the frozen models were made from, and how.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::{fs, io};

use super::choosing::{Choice, ONE};
use super::counting::{Source, runs};
use super::writing::file;

/// One line of so many of a file of what others said is left for measuring.
const HELD_OUT: usize = 10;

/// Seen in three lines at least: lines of others, of which nothing may be read back.
const THAI: Choice = Choice {
    lines_min: 3,
    bits_min: 18,
    discounts: [154, 205, 230],
};
/// All of it is ours.
const ENGLISH: Choice = Choice {
    lines_min: 1,
    bits_min: 4,
    discounts: [154, 205, 230],
};

const THAI_LINES: &str = include_str!("../../dictionaries/thai.txt");
const ENGLISH_LINES: [&str; 2] = [
    include_str!("../../dictionaries/english.txt"),
    include_str!("../../dictionaries/english-chat.txt"),
];
const ENGLISH_PROSE: &str = include_str!("../../dictionaries/english-prose.txt");

/// `thai-2026`, of the files of a folder of what others said and of lines of ours.
pub(crate) fn thai(folder: &Path) -> io::Result<Vec<u8>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<_> = paths.collect::<io::Result<_>>()?;
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(fs::read).collect::<io::Result<_>>()?;
    let files = files.iter().map(|bytes| String::from_utf8_lossy(bytes));
    let files: Vec<_> = files.collect();
    let mut lines = train_on(&files);
    lines.extend(THAI_LINES.lines());
    let weight = ONE;
    Ok(model(THAI, &[Source { lines, weight }]))
}

/// `english-2026`, of chat, and of prose that counts less.
pub(crate) fn english() -> Vec<u8> {
    let chat = Source {
        lines: ENGLISH_LINES.iter().flat_map(|text| text.lines()).collect(),
        weight: ONE,
    };
    let prose = Source {
        lines: ENGLISH_PROSE.lines().collect(),
        weight: ONE / 4,
    };
    model(ENGLISH, &[chat, prose])
}

/// Each line once, and none that is held out anywhere.
fn train_on<'a>(files: &'a [Cow<'a, str>]) -> Vec<&'a str> {
    let held_out = |place: usize| place % HELD_OUT == HELD_OUT - 1;
    let all = || files.iter().flat_map(|file| file.lines().enumerate());
    let mut passed_over: BTreeSet<&str> = all()
        .filter_map(|(place, line)| held_out(place).then_some(line))
        .collect();
    all()
        .map(|(_, line)| line)
        .filter(|line| passed_over.insert(line))
        .collect()
}

fn model(choice: Choice, sources: &[Source<'_>]) -> Vec<u8> {
    let runs = runs(sources);
    file(choice, &runs, &choice.choose(&runs))
}
