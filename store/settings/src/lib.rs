//! What an operator says to a program: the layers of its configuration, what is in effect and who
//! said so, and its log.
//!
//! Defaults < file (TOML) < `KHLONG_SECTION__KEY` < flags. A key that nobody knows is an error with a
//! suggestion, a size or a number of days is written with its unit, and every secret can come from a
//! file of its own (`…_file`). Paths in the file are relative to the file's folder. Which keys there
//! are is the program's: a type that serde reads and schemars describes.

mod days;
pub mod effective;
mod environment;
mod error;
mod layers;
pub mod log;
mod number;
pub mod schema;
mod secret;
mod section;
mod size;
pub mod text_file;

pub use self::days::Days;
pub use self::environment::Environment;
pub use self::error::ConfigError;
pub use self::layers::{Layers, Origin};
pub use self::number::Count;
pub use self::secret::SecretText;
pub use self::section::{Log, LogFormat, StoreSection};
pub use self::size::{ByteSize, NoSize};
