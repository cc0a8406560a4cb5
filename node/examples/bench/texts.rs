//! What people write: lines of a folder of real messages, or some of our own.

use std::fs;
use std::path::Path;

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
        let files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
        let mut files: Vec<_> = files.collect::<Result<_, std::io::Error>>()?;
        files.sort();
        let mut texts = Vec::new();
        for file in files.iter().filter(|file| file.is_file()) {
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

fn said_in(line: &str) -> Option<&str> {
    if line.starts_with("===") || line.trim().is_empty() || line.len() > LINE_BYTES_MAX {
        return None;
    }
    let Some(timed) = line.strip_prefix('[') else {
        return Some(line);
    };
    // `[HH:MM] <nick> text`; `* nick does something` is kept whole.
    let (_, rest) = timed.split_once("] ")?;
    match rest.strip_prefix('<') {
        Some(named) => named.split_once("> ").map(|(_, text)| text),
        None => Some(rest),
    }
}
