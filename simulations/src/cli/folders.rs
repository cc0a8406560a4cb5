//! `report` and `rerun`: what can be done with a run folder.

use std::process::{Command, Stdio};

use serde::Serialize;

use super::args::{Open, ReportArgs, RerunArgs};
use super::output::Output;
use super::study::replications;
use crate::error::SimError;
use crate::output::SCHEMA_VERSION;
use crate::output::folder::Folder;
use crate::output::manifest::{Program, RunHash};
use crate::runs::Study;
use crate::scenario::Source;
use crate::scenario::overrides::Override;
use crate::scenario::protocol::Protocol;

#[derive(Serialize)]
struct Written<'a> {
    schema_version: u64,
    report: &'a std::path::Path,
}

pub(super) fn report(report: &ReportArgs, output: Output) -> Result<(), SimError> {
    let folder = Folder::open(&report.folder)?;
    folder.check()?;
    let page = folder.write_report()?;
    if output.json {
        output.object(&Written {
            schema_version: SCHEMA_VERSION,
            report: &page,
        })?;
    } else {
        output.text(&format!("{}\n", page.display()))?;
    }
    if report.open == Open::Yes {
        let opened = Command::new("xdg-open")
            .arg(&page)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if !opened.is_ok_and(|status| status.success()) {
            eprintln!("khlong-sim: xdg-open could not show the page; open it by hand");
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Compared<'a> {
    schema_version: u64,
    same: bool,
    runs: &'a [RunHash],
    differ: Vec<&'a RunHash>,
}

pub(super) fn rerun(rerun: &RerunArgs, output: Output) -> Result<(), SimError> {
    let folder = Folder::open(&rerun.folder)?;
    folder.check()?;
    let study = study(&folder)?;
    let (ours, theirs) = (Program::this(), &folder.manifest.program);
    if ours != *theirs {
        eprintln!(
            "khlong-sim: the folder was written by another program (commit {}, this one {}); a difference may come from that",
            theirs.commit.as_deref().unwrap_or("unknown"),
            ours.commit.as_deref().unwrap_or("unknown"),
        );
    }
    let mut now = Vec::new();
    replications(&study, rerun.jobs, false, |replication, results, _| {
        now.push(RunHash {
            replication: replication.number,
            seed: replication.seed,
            protocol: results.protocol.clone(),
            trace_hash: results.trace_hash.clone(),
        });
        Ok(())
    })?;
    let then = &folder.manifest.runs;
    let differ: Vec<&RunHash> = then.iter().filter(|run| !now.contains(run)).collect();
    let same = differ.is_empty() && now.len() == then.len();
    if output.json {
        output.object(&Compared {
            schema_version: SCHEMA_VERSION,
            same,
            runs: &now,
            differ,
        })?;
    } else {
        for run in then {
            let word = if now.contains(run) { "same" } else { "DIFFERS" };
            output.text(&format!(
                "{word} {} {} replication {}\n",
                run.trace_hash, run.protocol, run.replication
            ))?;
        }
    }
    if same {
        Ok(())
    } else {
        Err(SimError::Differs(
            "the runs of this folder do not come out again: compare the commits".to_owned(),
        ))
    }
}

fn study(folder: &Folder) -> Result<Study, SimError> {
    let manifest = &folder.manifest;
    let source = Source {
        text: manifest.scenario.text.clone(),
        folder: std::path::PathBuf::new(),
    };
    let overrides = manifest
        .overrides
        .iter()
        .map(|text| Override::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let mut scenario = source.scenario(&overrides)?;
    for (place, file) in scenario.files_mut().enumerate() {
        *file = folder.input(place);
    }
    let protocols = manifest
        .protocols
        .iter()
        .map(|name| name.parse())
        .collect::<Result<Vec<Protocol>, _>>()
        .map_err(|error| SimError::Usage(error.to_string()))?;
    Ok(Study::new(scenario, manifest.seed, &protocols))
}
