//! What people write: lines of a folder of real messages, or some of our own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::processes::Failure;

/// About a hundred characters of chat each.
const OWN: [&str; 4] = [
    "เรือออกจากท่าพรุ่งนี้หกโมงเช้านะ ใครจะไปตลาดน้ำมาเจอกันที่ศาลาริมคลองก่อนเวลาสักสิบห้านาที",
    "The boat leaves at six tomorrow; whoever comes to the floating market, be at the pier a quarter early.",
    "ร้านก๋วยเตี๋ยวหน้าวัดเปิดแล้ววันนี้ ป้าบอกว่ามีเส้นใหญ่เหลือไม่กี่ชาม รีบมาก่อนเที่ยงนะทุกคน",
    "Could somebody bring the spare battery and the long rope? We left both of them at the school yesterday.",
];
/// Longer lines are no chat.
const LINE_BYTES_MAX: usize = 4_096;
/// One line of so many is never trained on.
const HELD_OUT: usize = 10;

/// Messages, repeated as often as is needed.
#[derive(Clone)]
pub(crate) struct Texts {
    texts: Vec<String>,
    are_given: bool,
}

impl Texts {
    /// The lines of all files of `folder`, in the order of their names; a time and a name in
    /// front, as IRC logs have them, are left out, and so is what nobody said.
    pub(crate) fn read(folder: Option<&Path>) -> Result<Self, Failure> {
        let Some(folder) = folder else {
            return Ok(Self::own());
        };
        let mut texts = Vec::new();
        for file in files_of(folder)? {
            let bytes = fs::read(file)?;
            let said = String::from_utf8_lossy(&bytes);
            texts.extend(said.lines().filter_map(said_in).map(str::to_owned));
        }
        if texts.is_empty() {
            return Err(format!("{} has no messages", folder.display()).into());
        }
        Ok(Self {
            texts,
            are_given: true,
        })
    }

    pub(crate) fn own() -> Self {
        Self {
            texts: OWN.map(str::to_owned).to_vec(),
            are_given: false,
        }
    }

    /// Messages of one language, each of exactly `characters` characters: what is said in
    /// `folder` joined and cut, or our own. Of Thai every tenth line of a file is taken, so
    /// that the others are free to train a compression on.
    pub(crate) fn cut(
        folder: Option<&Path>,
        language: Language,
        characters: usize,
    ) -> Result<Self, Failure> {
        let mut said = Vec::new();
        if let Some(folder) = folder {
            for file in files_of(folder)? {
                let bytes = fs::read(file)?;
                let text = String::from_utf8_lossy(&bytes);
                let lines = text.lines().enumerate();
                let lines = lines.filter(|(index, line)| language.takes(*index, line));
                said.extend(
                    lines
                        .filter_map(|(_, line)| said_in(line))
                        .map(str::to_owned),
                );
            }
        } else {
            let own = OWN.iter().filter(|text| language.takes(HELD_OUT - 1, text));
            said.extend(own.map(|text| (*text).to_owned()));
        }
        // Our own are few: so often that there is one message at least.
        let enough = said.iter().cycle().take(said.len().max(characters));
        let joined: Vec<char> = enough.flat_map(|text| text.chars().chain([' '])).collect();
        let pieces = joined
            .chunks_exact(characters)
            .map(|piece| piece.iter().collect());
        let texts: Vec<String> = pieces.collect();
        if texts.is_empty() {
            return Err(format!("the folder of texts has nothing in {language:?}").into());
        }
        Ok(Self {
            texts,
            are_given: folder.is_some(),
        })
    }

    /// All of them, if they are not our own.
    pub(crate) fn given(&self) -> Option<&[String]> {
        self.are_given.then_some(&self.texts)
    }

    /// From one of them on.
    pub(crate) fn from(&self, number: usize) -> impl Iterator<Item = &str> {
        self.iter().skip(number % self.texts.len().max(1))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str).cycle()
    }
}

/// In which a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Thai,
    English,
}

impl Language {
    /// Is the line with this index, counted from 0, one to take?
    fn takes(self, index: usize, line: &str) -> bool {
        let is_thai = line
            .chars()
            .any(|letter| ('\u{e00}'..='\u{e7f}').contains(&letter));
        match self {
            Self::Thai => is_thai && index % HELD_OUT == HELD_OUT - 1,
            Self::English => line.is_ascii(),
        }
    }
}

/// The files of a folder and of the folders in it, in the order of their names.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in entries_of(folder)? {
        if path.is_dir() {
            let inside = entries_of(&path)?;
            files.extend(inside.into_iter().filter(|path| path.is_file()));
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn entries_of(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut entries: Vec<_> = entries.collect::<Result<_, std::io::Error>>()?;
    entries.sort();
    Ok(entries)
}

fn said_in(line: &str) -> Option<&str> {
    if line.starts_with("===") || line.trim().is_empty() || line.len() > LINE_BYTES_MAX {
        return None;
    }
    let Some(timed) = line.strip_prefix('[') else {
        return Some(line);
    };
    // `[HH:MM] <nick> text`; `* nick does something` is kept whole.
    let (_, rest) = timed.split_once("] ")?;
    let said = match rest.strip_prefix('<') {
        Some(named) => named.split_once("> ").map(|(_, text)| text),
        None => Some(rest),
    };
    said.filter(|text| !text.trim().is_empty())
}
