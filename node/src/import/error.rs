//! What ends an import before its first message.

use std::io;

use super::{IMPORT_FILE_BYTES_MAX, IMPORT_FILES_MAX, IMPORT_LINES_MAX, Place, TelegramLimit};

/// An export that cannot be read at all. A single bad line is no error: it is
/// listed in [`super::Parsed::skipped`].
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An IRC log tells its day only by its name.
    #[error("`{file}` has no date in its name; rename the log to YYYY-MM-DD.txt")]
    NameIsNoDate {
        /// The name as given.
        file: String,
    },
    /// Neither a `[LINE]` header nor a date line.
    #[error(
        "`{file}` is not a LINE chat export; in LINE open the chat, Settings, Export chat history, and give the .txt file"
    )]
    NotLine {
        /// The name as given.
        file: String,
    },
    /// JSON without a chat.
    #[error(
        "`{file}` holds no chat of Telegram; in Telegram Desktop choose Export chat history, format JSON, and give its result.json"
    )]
    NotTelegram {
        /// The name as given.
        file: String,
    },
    /// A Telegram export that is no JSON, or not whole.
    #[error(
        "`{file}` is no JSON from line {}, byte {} on: {reason}; give the whole result.json of Telegram Desktop (Export chat history, format JSON)",
        place.line, place.byte
    )]
    BadJson {
        /// The name as given.
        file: String,
        /// Where reading ended.
        place: Place,
        /// What the JSON parser said.
        reason: String,
    },
    /// A Telegram export above one of its limits.
    #[error(
        "`{file}` has {limit}, at line {}, byte {}; export fewer chats or a shorter time, and import the parts",
        place.line, place.byte
    )]
    BeyondLimit {
        /// The name as given.
        file: String,
        /// Where reading ended.
        place: Place,
        /// Which limit.
        limit: TelegramLimit,
    },
    /// Neither UTF-8, nor UTF-16 with its mark, nor Thai in Windows-874.
    #[error(
        "`{file}` is in an encoding that is not known here: line {}, byte {} of it is neither UTF-8 nor Thai in Windows-874; save it as UTF-8 and import it again",
        place.line, place.byte
    )]
    Undecodable {
        /// The name as given.
        file: String,
        /// The first byte that fits no encoding.
        place: Place,
    },
    /// Above [`IMPORT_FILE_BYTES_MAX`].
    #[error(
        "`{file}` is larger than {IMPORT_FILE_BYTES_MAX} bytes; split it at a date line and import the parts"
    )]
    FileTooLarge {
        /// The name as given.
        file: String,
    },
    /// Above [`IMPORT_LINES_MAX`].
    #[error(
        "`{file}` has more than {IMPORT_LINES_MAX} lines; split it at a date line and import the parts"
    )]
    TooManyLines {
        /// The name as given.
        file: String,
    },
    /// A folder without a single `YYYY-MM-DD.txt`.
    #[error("`{folder}` holds no file named YYYY-MM-DD.txt; name a folder of IRC day files")]
    NoDayFiles {
        /// The folder as given.
        folder: String,
    },
    /// Above [`IMPORT_FILES_MAX`].
    #[error("`{folder}` holds more than {IMPORT_FILES_MAX} day files; import them in parts")]
    TooManyFiles {
        /// The folder as given.
        folder: String,
    },
    /// The disk said no.
    #[error("cannot read `{path}`; check that it exists and that you may read it")]
    Unreadable {
        /// The path as given.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl ImportError {
    /// Whether the same call may succeed later without a change by the user.
    /// Only the disk changes by itself.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreadable { source, .. } => source.kind() == io::ErrorKind::Interrupted,
            Self::NameIsNoDate { .. }
            | Self::NotLine { .. }
            | Self::NotTelegram { .. }
            | Self::BadJson { .. }
            | Self::BeyondLimit { .. }
            | Self::Undecodable { .. }
            | Self::FileTooLarge { .. }
            | Self::TooManyLines { .. }
            | Self::NoDayFiles { .. }
            | Self::TooManyFiles { .. } => false,
        }
    }
}
