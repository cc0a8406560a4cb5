//! `manifest.json`: what was run, so that it can be run again.

use serde::{Deserialize, Serialize};

use super::SCHEMA_VERSION;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA_VERSION`] when it was written.
    pub schema_version: u64,
    /// Who wrote it.
    pub program: Program,
    /// What was run.
    pub scenario: ScenarioText,
    /// `key=value`, in order.
    pub overrides: Vec<String>,
    /// Traces and timetables, copied to the folder `inputs`, in order of their groups.
    pub inputs: Vec<FileHash>,
    /// Of the first replication; the next ones are one greater each.
    pub seed: u64,
    /// How many.
    pub replications: u32,
    /// Protocols that ran, in order.
    pub protocols: Vec<String>,
    /// What the scenario says that it assumes.
    pub assumes: Vec<String>,
    /// Length of a run, microseconds.
    pub duration_us: u64,
    /// Messages written before this are in no statistic.
    pub warm_up_us: u64,
    /// After which an undelivered message is censored, if not at the end.
    pub ttl_us: Option<u64>,
    /// Trace hash of each run, by replication, then protocol.
    pub runs: Vec<RunHash>,
    /// All other files of the folder, but the report.
    pub files: Vec<FileHash>,
}

/// The program that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// `khlong-sim`.
    pub name: String,
    /// Of the crate.
    pub version: String,
    /// That it was built from; absent if git did not know.
    pub commit: Option<String>,
    /// Whether sources differed from that commit.
    pub modified: bool,
    /// Compiler.
    pub rustc: String,
}

impl Program {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        let commit = env!("KHLONG_SIM_COMMIT");
        Self {
            name: "khlong-sim".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: (!commit.is_empty()).then(|| commit.to_owned()),
            modified: env!("KHLONG_SIM_MODIFIED") == "true",
            rustc: env!("KHLONG_SIM_RUSTC").to_owned(),
        }
    }
}

/// A scenario as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioText {
    /// Its own name.
    pub name: String,
    /// The file, byte for byte.
    pub text: String,
    /// Of that text, hexadecimal.
    pub blake3: String,
}

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// Relative to the folder.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Hexadecimal.
    pub blake3: String,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHash {
    /// From 0.
    pub replication: u32,
    /// Its seed.
    pub seed: u64,
    /// Which protocol.
    pub protocol: String,
    /// See [`crate::kernel::trace`].
    pub trace_hash: String,
}

impl Manifest {
    /// Whether this program can read it.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.schema_version == SCHEMA_VERSION
    }
}
