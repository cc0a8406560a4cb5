//! Makes a model of packings 4 and 5 again: `model thai FOLDER > FILE`, `model english > FILE`.
//! `dictionaries/README.md` says what they are for, and what the folder has to hold.

mod choosing;
mod counting;
mod training;
mod writing;

use std::error::Error;
use std::io::{Write, stdout};
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let file = match arguments.as_slice() {
        ["thai", folder] => training::thai(Path::new(folder))?,
        ["english"] => training::english(),
        _ => return Err("name thai and the folder of what others said, or english".into()),
    };
    stdout().write_all(&file)?;
    Ok(())
}
