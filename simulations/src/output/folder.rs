//! Writing a run folder, and reading it again.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::digest::Digest;
use super::manifest::{FileHash, Manifest, Program, RunHash, ScenarioText};
use super::story::Story;
use super::table::{Cell, Column, Kind, Table};
use super::{SCHEMA_VERSION, summary};
use crate::error::SimError;
use crate::plan::{Entity, Plan};
use crate::report;
use crate::results::RunResults;
use crate::runs::{Replication, Study};
use crate::scenario::Source;
use crate::scenario::protocol::Protocol;

/// Files of a folder that are read again are at most this long, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Files whose hashes are in the manifest.
const FILES: &[&str] = &[
    "digests.json",
    "events.csv",
    "events.parquet",
    "messages.csv",
    "messages.parquet",
    "occupancy.csv",
    "story.json",
    "summary.txt",
];

const MESSAGES: &[Column] = &[
    ("replication", Kind::Number),
    ("seed", Kind::Number),
    ("protocol", Kind::Text),
    ("message", Kind::Number),
    ("from", Kind::Text),
    ("to", Kind::Text),
    ("timeline", Kind::Number),
    ("bytes", Kind::Number),
    ("created_us", Kind::Number),
    ("delivered_us", Kind::OptionalNumber),
    ("hops", Kind::Number),
    ("copies", Kind::Number),
    ("warm_up", Kind::Number),
];

const EVENTS: &[Column] = &[
    ("replication", Kind::Number),
    ("protocol", Kind::Text),
    ("at_us", Kind::Number),
    ("kind", Kind::Text),
    ("from", Kind::Text),
    ("to", Kind::OptionalText),
    ("message", Kind::OptionalNumber),
    ("bytes", Kind::Number),
];

/// What was asked for, as it goes into the manifest.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The scenario's text.
    pub source: Source,
    /// `key=value`, in order.
    pub overrides: Vec<String>,
}

/// A folder that is being written. Dropped before [`Writer::finish`], it leaves nothing.
pub struct Writer {
    path: PathBuf,
    temporary: Temporary,
    messages: Table,
    events: Table,
    occupancy: csv::Writer<fs::File>,
    digests: Vec<Digest>,
    story: Story,
}

/// A folder that goes with its owner, unless it got its name.
struct Temporary {
    /// Beside the folder to be, so that renaming stays within one file system.
    path: PathBuf,
    renamed: bool,
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Writer {
    /// Begins a folder that will be at `path`.
    ///
    /// # Errors
    /// [`SimError::Exists`], [`SimError::Write`].
    pub fn create(path: &Path) -> Result<Self, SimError> {
        if path.symlink_metadata().is_ok() {
            return Err(SimError::Exists(path.to_owned()));
        }
        let name = path
            .file_name()
            .ok_or_else(|| SimError::Usage("--out names no folder".to_owned()))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.tmp", std::process::id()));
        let temporary = Temporary {
            path: path.with_file_name(hidden),
            renamed: false,
        };
        fs::create_dir_all(&temporary.path).map_err(failed(&temporary.path))?;
        let mut occupancy = csv::Writer::from_path(temporary.path.join("occupancy.csv"))
            .map_err(std::io::Error::other)
            .map_err(failed(&temporary.path))?;
        occupancy
            .write_record(["replication", "protocol", "at_us", "messages", "bytes"])
            .map_err(std::io::Error::other)
            .map_err(failed(&temporary.path))?;
        Ok(Self {
            path: path.to_owned(),
            messages: Table::create(&temporary.path, "messages", MESSAGES)?,
            events: Table::create(&temporary.path, "events", EVENTS)?,
            temporary,
            occupancy,
            digests: Vec::new(),
            story: Story::default(),
        })
    }

    /// Adds one run. Runs come by replication, then protocol; those of the first replication
    /// bring their happenings.
    ///
    /// # Errors
    /// [`SimError::Write`].
    pub fn add(
        &mut self,
        study: &Study,
        replication: &Replication,
        results: &RunResults,
        digest: Digest,
    ) -> Result<(), SimError> {
        let plan = &replication.plan;
        let number = Cell::Number(u64::from(replication.number));
        let protocol = Cell::Text(&results.protocol);
        for result in &results.messages {
            let Some(planned) = plan.messages.get(result.message as usize) else {
                continue;
            };
            self.messages.push(&[
                number,
                Cell::Number(replication.seed),
                protocol,
                Cell::Number(u64::from(result.message)),
                Cell::Text(name(plan, planned.from)),
                Cell::Text(name(plan, result.to)),
                Cell::Number(u64::from(planned.timeline)),
                Cell::Number(u64::from(planned.bytes)),
                Cell::Number(result.created.0),
                result.delivered.map(|at| at.0).into(),
                Cell::Number(u64::from(result.hops)),
                Cell::Number(u64::from(result.copies)),
                Cell::Number(u64::from(result.created < plan.warm_up)),
            ])?;
        }
        for happening in &results.happenings {
            self.events.push(&[
                number,
                protocol,
                Cell::Number(happening.at.0),
                Cell::Text(happening.kind),
                Cell::Text(name(plan, happening.from)),
                happening
                    .to
                    .map_or(Cell::Absent, |to| Cell::Text(name(plan, to))),
                happening.message.map(u64::from).into(),
                Cell::Number(happening.bytes),
            ])?;
        }
        for held in &results.occupancy {
            self.occupancy
                .serialize((
                    replication.number,
                    &results.protocol,
                    held.at.0,
                    held.messages,
                    held.bytes,
                ))
                .map_err(std::io::Error::other)
                .map_err(failed(&self.temporary.path))?;
        }
        if replication.number == 0 {
            if self.story.machines.is_empty() {
                let groups = study.scenario.group.keys().cloned().collect();
                self.story = Story::begin(plan, groups);
            }
            self.story.add(plan, results);
        }
        self.digests.push(digest);
        Ok(())
    }

    /// Writes the rest and gives the folder its name.
    ///
    /// # Errors
    /// [`SimError::Write`], [`SimError::Exists`] if somebody was faster.
    pub fn finish(self, study: &Study, asked: &Asked) -> Result<Manifest, SimError> {
        let Self {
            path,
            mut temporary,
            messages,
            events,
            mut occupancy,
            digests,
            story,
        } = self;
        messages.finish()?;
        events.finish()?;
        occupancy.flush().map_err(failed(&path))?;
        let folder = temporary.path.clone();
        let text = summary::text(&study.scenario.name, &digests, &notes(study));
        write(&folder.join("summary.txt"), text.as_bytes())?;
        write_json(&folder.join("digests.json"), &digests)?;
        write_json(&folder.join("story.json"), &story)?;
        let inputs = copy_inputs(study, &folder)?;
        let mut files = Vec::new();
        for file in FILES {
            files.push(hashed(&folder, file)?);
        }
        let manifest = manifest(study, asked, &digests, inputs, files);
        write_json(&folder.join("manifest.json"), &manifest)?;
        // From the files, as `report` will make it again.
        Folder::open(&folder)?.write_report()?;
        if path.symlink_metadata().is_ok() {
            return Err(SimError::Exists(path));
        }
        fs::rename(&folder, &path).map_err(failed(&path))?;
        temporary.renamed = true;
        Ok(manifest)
    }
}

fn copy_inputs(study: &Study, folder: &Path) -> Result<Vec<FileHash>, SimError> {
    let mut scenario = study.scenario.clone();
    let mut copied = Vec::new();
    for (place, file) in scenario.files_mut().enumerate() {
        let inputs = folder.join("inputs");
        fs::create_dir_all(&inputs).map_err(failed(&inputs))?;
        let input = format!("inputs/{place}");
        fs::copy(&*file, folder.join(&input)).map_err(failed(file))?;
        copied.push(hashed(folder, &input)?);
    }
    Ok(copied)
}

fn manifest(
    study: &Study,
    asked: &Asked,
    digests: &[Digest],
    inputs: Vec<FileHash>,
    files: Vec<FileHash>,
) -> Manifest {
    let text = asked.source.text.clone();
    Manifest {
        schema_version: SCHEMA_VERSION,
        program: Program::this(),
        scenario: ScenarioText {
            name: study.scenario.name.clone(),
            blake3: blake3::hash(text.as_bytes()).to_hex().to_string(),
            text,
        },
        overrides: asked.overrides.clone(),
        inputs,
        seed: study.seed,
        replications: study.scenario.replications,
        protocols: study.protocols.iter().map(Protocol::to_string).collect(),
        assumes: study.scenario.assumes.clone(),
        duration_us: study.scenario.duration.0,
        warm_up_us: study.scenario.warm_up.0,
        ttl_us: study.scenario.routing.ttl.map(|ttl| ttl.0),
        runs: digests
            .iter()
            .map(|digest| RunHash {
                replication: digest.replication,
                seed: digest.seed,
                protocol: digest.protocol.clone(),
                trace_hash: digest.trace_hash.clone(),
            })
            .collect(),
        files,
    }
}

/// What a reader of the numbers has to know.
#[must_use]
pub fn notes(study: &Study) -> Vec<String> {
    let scenario = &study.scenario;
    let mut notes: Vec<String> = scenario
        .assumes
        .iter()
        .map(|assumption| format!("assumes: {assumption}"))
        .collect();
    notes.push(format!(
        "warm-up: {}; messages written earlier do not count; not delivered at {} = censored",
        scenario.warm_up,
        match scenario.routing.ttl {
            Some(ttl) => format!("the end ({}) or after {ttl}", scenario.duration),
            None => format!("the end ({})", scenario.duration),
        }
    ));
    notes
}

/// A folder that is there.
pub struct Folder {
    path: PathBuf,
    /// What was run.
    pub manifest: Manifest,
}

impl Folder {
    /// Opens a folder by its manifest.
    ///
    /// # Errors
    /// [`SimError::Read`], [`SimError::Table`], [`SimError::Version`].
    pub fn open(path: &Path) -> Result<Self, SimError> {
        #[derive(serde::Deserialize)]
        struct Version {
            schema_version: u64,
        }
        let file = path.join("manifest.json");
        let version: Version = read_json(&file)?;
        if version.schema_version != SCHEMA_VERSION {
            return Err(SimError::Version {
                path: file,
                found: version.schema_version,
                known: SCHEMA_VERSION,
            });
        }
        Ok(Self {
            manifest: read_json(&file)?,
            path: path.to_owned(),
        })
    }

    /// Compares every file with its hash.
    ///
    /// # Errors
    /// [`SimError::Table`] for the first that differs.
    pub fn check(&self) -> Result<(), SimError> {
        for known in self.manifest.files.iter().chain(&self.manifest.inputs) {
            if hashed(&self.path, &known.file)? != *known {
                return Err(SimError::Table {
                    path: self.path.join(&known.file),
                    problem: "its bytes are not those that the manifest names".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Numbers of all runs.
    ///
    /// # Errors
    /// [`SimError::Read`], [`SimError::Table`].
    pub fn digests(&self) -> Result<Vec<Digest>, SimError> {
        read_json(&self.path.join("digests.json"))
    }

    /// Pictures of the first replication.
    ///
    /// # Errors
    /// [`SimError::Read`], [`SimError::Table`].
    pub fn story(&self) -> Result<Story, SimError> {
        read_json(&self.path.join("story.json"))
    }

    /// Where the copy of an input is.
    #[must_use]
    pub fn input(&self, place: usize) -> PathBuf {
        self.path.join(format!("inputs/{place}"))
    }

    /// Writes the report anew. The page is made from the other files, so it may be replaced.
    ///
    /// # Errors
    /// As reading and writing.
    pub fn write_report(&self) -> Result<PathBuf, SimError> {
        let page = report::html(&self.manifest, &self.digests()?, &self.story()?)?;
        let path = self.path.join("report.html");
        let temporary = self.path.join(".report.html.tmp");
        write(&temporary, page.as_bytes())?;
        fs::rename(&temporary, &path).map_err(failed(&path))?;
        Ok(path)
    }
}

fn name(plan: &Plan, entity: Entity) -> &str {
    plan.entities
        .get(entity.0 as usize)
        .map_or("", |entity| entity.name.as_str())
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> SimError + use<> {
    let path = path.to_owned();
    move |source| SimError::Write {
        path: path.clone(),
        source,
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SimError> {
    fs::write(path, bytes).map_err(failed(path))
}

fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), SimError> {
    let mut text = serde_json::to_vec(value)
        .map_err(std::io::Error::other)
        .map_err(failed(path))?;
    text.push(b'\n');
    write(path, &text)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, SimError> {
    let unreadable = |source| SimError::Read {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    fs::File::open(path)
        .map_err(unreadable)?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    serde_json::from_slice(&bytes).map_err(|error| SimError::Table {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

fn hashed(folder: &Path, file: &str) -> Result<FileHash, SimError> {
    let path = folder.join(file);
    let unreadable = |source| SimError::Read {
        path: path.clone(),
        source,
    };
    let mut hasher = blake3::Hasher::new();
    let bytes = hasher
        .update_reader(fs::File::open(&path).map_err(unreadable)?)
        .map_err(unreadable)?
        .count();
    Ok(FileHash {
        file: file.to_owned(),
        bytes,
        blake3: hasher.finalize().to_hex().to_string(),
    })
}
