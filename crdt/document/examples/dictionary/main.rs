//! Makes a dictionary of packings 2 and 3 again: `dictionary thai < thai.txt > FILE`, and the
//! same for `english`. `dictionaries/README.md` says what it is for.

mod coding;
mod parsing;
mod training;

use std::error::Error;
use std::io::{Read, Write, stdin, stdout};

fn main() -> Result<(), Box<dyn Error>> {
    let id = match std::env::args().nth(1).as_deref() {
        Some("thai") => training::THAI_2026,
        Some("english") => training::ENGLISH_2026,
        _ => return Err("name thai or english, and give its lines on the input".into()),
    };
    let mut lines = String::new();
    stdin().read_to_string(&mut lines)?;
    let lines: Vec<&str> = lines.lines().collect();
    stdout().write_all(&training::dictionary(id, &lines))?;
    Ok(())
}
