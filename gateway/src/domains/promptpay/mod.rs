//! Thai QR ("PromptPay"): codes that say whom to pay and how much, and the small codes on slips.
//!
//! By EMVCo's Merchant-Presented Mode and the Thai standard on top of it. Tags are read in any order
//! and written ascending.
//!
//! One character in place of another is refused. Where both take as many bytes, that is certain: a
//! checksum of 16 bits notices each change within 16 bits in a row, and a change of the checksum
//! itself shows as well. A Thai letter in place of a Latin one moves all that follows, so that tags and
//! lengths no longer fit; were a payload made for it to fit again, the checksum would miss one in 65,536.
//! So it does with two or more characters that are wrong.
//!
//! # Limits
//!
//! * At most [`PAYLOAD_BYTES_MAX`] bytes, 99 of them in a value; names in Latin and Thai letters only.
//! * Thai baht only, mobile numbers of Thailand only, one recipient a code.
//! * Tips (tags 55 to 57) and templates of wallets (80 to 99) are kept and shown, not understood.
//! * Slips of banks; those of e-wallets have another shape.

mod checksum;
mod decode;
mod error;
mod payload;
mod picture;
mod recipient;
mod slip;
mod tlv;
mod write;

pub use self::error::{Path, PayloadError, RecipientError};
pub use self::payload::{Initiation, LocalNames, Payload};
pub use self::picture::{Picture, PictureError};
pub use self::recipient::{
    BankAccount, Bill, Biller, Mobile, OneTime, PersonalId, Recipient, Reference, Wallet,
};
pub use self::slip::Slip;
pub use self::tlv::PAYLOAD_BYTES_MAX;
