//! Scenarios: a TOML file that says who is there, how they move and meet, and
//! who writes to whom.
//!
//! A scenario and a seed give a [`Plan`](crate::plan::Plan), the same in every
//! process. A file is refused for a key that nobody reads: a typing error must
//! not pass for a result. `SCENARIOS.md` documents every key.

pub mod build;
mod connect;
mod draw;
pub mod error;
pub mod overrides;
pub mod protocol;
pub mod spec;
pub mod traffic;

use std::path::{Path, PathBuf};

use self::error::{ScenarioError, suggestion};
use self::overrides::Override;
use self::spec::Scenario;
use crate::mobility::spec::MobilitySpec;

/// A scenario file is at most this long, in bytes.
pub const SCENARIO_BYTES_MAX: u64 = 1024 * 1024;

/// The reference scenarios: name and text.
pub const REFERENCES: &[(&str, &str)] = &[
    ("bus-mule", include_str!("../../scenarios/bus-mule.toml")),
    (
        "campus-day",
        include_str!("../../scenarios/campus-day.toml"),
    ),
    ("dorm-lan", include_str!("../../scenarios/dorm-lan.toml")),
    ("festival", include_str!("../../scenarios/festival.toml")),
    (
        "flash-crowd",
        include_str!("../../scenarios/flash-crowd.toml"),
    ),
    ("flood", include_str!("../../scenarios/flood.toml")),
    (
        "inter-province",
        include_str!("../../scenarios/inter-province.toml"),
    ),
    ("ladder-3g", include_str!("../../scenarios/ladder-3g.toml")),
];

/// A scenario's text and the folder against which its file names are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// TOML.
    pub text: String,
    /// Folder of the file; empty for the built-in ones.
    pub folder: PathBuf,
}

impl Source {
    /// A file, or one of [`REFERENCES`] by name.
    ///
    /// # Errors
    /// [`ScenarioError::NoSuchScenario`], [`ScenarioError::Read`].
    pub fn open(name: &str) -> Result<Self, ScenarioError> {
        let reference = REFERENCES.iter().find(|(known, _)| *known == name);
        if let Some((_, text)) = reference {
            return Ok(Self {
                text: (*text).to_owned(),
                folder: PathBuf::new(),
            });
        }
        let path = Path::new(name);
        if !path.exists() && !name.ends_with(".toml") {
            let names = || REFERENCES.iter().map(|(known, _)| *known);
            return Err(ScenarioError::NoSuchScenario {
                name: name.to_owned(),
                hint: suggestion(name, names()),
                known: names().collect::<Vec<_>>().join(", "),
            });
        }
        Ok(Self {
            text: read(path).map_err(|source| ScenarioError::Read {
                path: path.to_owned(),
                source,
            })?,
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        })
    }

    /// Reads the scenario, changed by `overrides` in their order. It is not checked yet;
    /// building the plan does that.
    ///
    /// # Errors
    /// [`ScenarioError::Format`] with the line, or [`ScenarioError::Override`].
    pub fn scenario(&self, overrides: &[Override]) -> Result<Scenario, ScenarioError> {
        // The file itself first: its errors name a line, those of a changed table cannot.
        let mut scenario: Scenario =
            toml::from_str(&self.text).map_err(|error| ScenarioError::format(&error))?;
        if !overrides.is_empty() {
            let mut table: toml::Table =
                toml::from_str(&self.text).map_err(|error| ScenarioError::format(&error))?;
            for change in overrides {
                change.apply(&mut table)?;
            }
            scenario = table
                .try_into()
                .map_err(|error| ScenarioError::format(&error))?;
        }
        for file in scenario.files_mut() {
            if file.is_relative() {
                *file = self.folder.join(&*file);
            }
        }
        Ok(scenario)
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > SCENARIO_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "it is longer than {SCENARIO_BYTES_MAX} bytes, no scenario"
        )));
    }
    std::fs::read_to_string(path)
}

impl Scenario {
    /// Files that the scenario reads: traces and timetables, in order of their groups.
    pub fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        self.group
            .values_mut()
            .filter_map(|group| match &mut group.mobility {
                MobilitySpec::Trace { file, .. } => Some(file),
                MobilitySpec::Timetable { file, .. } => file.as_mut(),
                MobilitySpec::Nowhere
                | MobilitySpec::Fixed { .. }
                | MobilitySpec::RandomWaypoint { .. }
                | MobilitySpec::Clusters { .. }
                | MobilitySpec::Route { .. }
                | MobilitySpec::Exponential { .. } => None,
            })
    }
}
