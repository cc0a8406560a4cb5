//! Writes the samples from which a dictionary is trained, one file a line of text, in the
//! coding in which messages are sealed. `dictionaries/README.md` has the commands.
//!
//! `dictionary_samples FOLDER < LINES`. Every tenth line of the input is held out: sizes are
//! told of lines that no dictionary has seen. Lines that may name somebody are left out.

use std::error::Error;
use std::io::{BufRead, stdin};
use std::path::PathBuf;

use khlong_document::text;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("name a folder")?;
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder)?;
    let (mut kept, mut left_out) = (0, 0);
    for (place, line) in stdin().lock().split(b'\n').enumerate() {
        let Ok(line) = String::from_utf8(line?) else {
            left_out += 1;
            continue;
        };
        if line.is_empty() || is_held_out(place) {
            continue;
        }
        if may_name_somebody(&line) || !is_mostly_one_script(&line) {
            left_out += 1;
            continue;
        }
        let mut sample = text::encode(&line);
        sample.push(text::END);
        std::fs::write(folder.join(format!("{place:06}")), sample)?;
        kept += 1;
    }
    eprintln!("{kept} lines kept, {left_out} left out");
    Ok(())
}

const fn is_held_out(place: usize) -> bool {
    place % 10 == 9
}

/// User names, links, tags; numbers that could be a telephone's, also with gaps.
fn may_name_somebody(line: &str) -> bool {
    let mut digits = 0;
    for character in line.chars() {
        match character {
            '0'..='9' | '๐'..='๙' => digits += 1,
            '-' | '.' | ' ' | ',' | '/' => {}
            _ => digits = 0,
        }
        if digits >= 5 {
            return true;
        }
    }
    ["@", "#", "http", "www", ".com", "ไลน์", "line"]
        .iter()
        .any(|mark| line.to_lowercase().contains(mark))
}

/// Not a list of names of goods, of which social media are full.
fn is_mostly_one_script(line: &str) -> bool {
    let thai = line.chars().filter(|letter| ('ก'..='๛').contains(letter));
    let latin = line.chars().filter(char::is_ascii_alphabetic);
    let (thai, latin) = (thai.count(), latin.count());
    thai == 0 || 8 * latin <= thai
}
