//! `statement`, `reconcile`, `payout again`, `payout answer` and `audit`: the books of a gateway's folder.
//! Nothing in it is changed, and no lock is taken, so a gateway may be running: what is told is one moment
//! of its past.
//!
//! `close`, `payout export`, `payout settle` and what is asked to record write: they need a folder that no gateway has.
//! So does what reads with `--config`: it follows the database first. A copy is not read without that.

mod audit;
mod close;
mod desk;
mod error;
mod look;
mod payout;
mod reconcile;
mod settle;
mod statement;

pub use audit::Audit;
pub use close::Close;
pub use desk::Writes;
pub use error::BooksError;
pub use look::Reads;
pub use payout::{Again, Answer, Export, Format, Payout};
pub use reconcile::Reconcile;
pub use settle::Settle;
pub use statement::{Language, Statement};

pub(super) use audit::audit;
pub(super) use close::close;
pub(super) use payout::payout;
pub(super) use reconcile::reconcile;
pub(super) use statement::statement;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use self::look::{look, open};
use super::CliError;

/// The id of an account or a transfer: 32 hexadecimal digits, as statements have it. Over HTTP it is in decimal.
fn id(text: &str) -> Result<u128, String> {
    hexadecimal(text).ok_or_else(|| {
        let wanted = "write an id as 32 hexadecimal digits";
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u128>() {
            Ok(id) if is_decimal => {
                format!("{wanted}. If this one is in decimal, as over HTTP, that is {id:032x}")
            }
            Ok(_) | Err(_) => wanted.to_owned(),
        }
    })
}

/// A batch, which is written so over HTTP as well.
fn batch(text: &str) -> Result<u128, String> {
    let wanted = "write a batch as in its file: 32 hexadecimal digits";
    hexadecimal(text).ok_or_else(|| wanted.to_owned())
}

fn hexadecimal(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

/// A file, or standard input: at most one byte more than may be in it, which is enough to notice.
fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, CliError> {
    let max = bytes_max as u64 + 1;
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        let read = io::stdin().lock().take(max).read_to_end(&mut bytes);
        read.map_err(CliError::Input)?;
        return Ok(bytes);
    }
    let read = File::open(path).and_then(|file| file.take(max).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(source) => Err(CliError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

fn hex(hash: [u8; 32]) -> String {
    blake3::Hash::from_bytes(hash).to_hex().to_string()
}
