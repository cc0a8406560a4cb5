//! `calibrate`: both fidelities of links on the same plans.

use std::fs;
use std::path::Path;

use super::args::CalibrateArgs;
use super::output::{self, Output};
use super::pool;
use super::progress::Progress;
use crate::calibrate::plan::{CLASSES, Class};
use crate::calibrate::{self, Row, page, print};
use crate::error::SimError;

pub(super) fn run(asked: &CalibrateArgs, output: Output) -> Result<(), SimError> {
    if let Some(folder) = asked.out.as_deref().filter(|folder| folder.exists()) {
        return Err(SimError::Exists(folder.to_owned()));
    }
    let classes: Vec<&Class> = if asked.only.is_empty() {
        CLASSES.iter().collect()
    } else {
        asked.only.clone()
    };
    let progress = Progress::new("classes of link", classes.len());
    let mut rows: Vec<Row> = Vec::new();
    pool::in_order(
        classes.len(),
        asked.jobs,
        |place| {
            let class = classes.get(place).ok_or_else(|| failed("no such class"))?;
            calibrate::class(class, asked.seed).map_err(|error| failed(&error.to_string()))
        },
        |_, row| {
            rows.push(row);
            progress.one_more();
            Ok(())
        },
    )?;
    drop(progress);
    rows.push(calibrate::overall(&rows));
    if output.json {
        for row in &rows {
            output.object(row)?;
        }
    } else {
        output.text(&print::table(&rows))?;
    }
    if let Some(folder) = &asked.out {
        write(folder, &rows, asked.seed)?;
    }
    let missed = rows.iter().filter(|row| !row.passed).count();
    if missed == 0 {
        Ok(())
    } else {
        Err(SimError::Missed(format!(
            "{missed} of {} rows miss their limits: links as frames do not tell what QUIC does there",
            rows.len()
        )))
    }
}

fn failed(problem: &str) -> SimError {
    SimError::Run {
        protocol: "calibrate".to_owned(),
        problem: problem.to_owned(),
    }
}

/// The report beside its numbers.
fn write(folder: &Path, rows: &[Row], seed: u64) -> Result<(), SimError> {
    let refused = |path: &Path| {
        let path = path.to_owned();
        move |source| SimError::Write { path, source }
    };
    fs::create_dir(folder).map_err(refused(folder))?;
    let mut lines = String::new();
    for row in rows {
        let line = serde_json::to_string(row).map_err(|error| output::failed(error.into()))?;
        lines.push_str(&line);
        lines.push('\n');
    }
    for (name, text) in [
        ("report.html", page::html(rows, seed)),
        ("curves.csv", page::curves_csv(rows)),
        ("rows.jsonl", lines),
        ("summary.txt", print::table(rows)),
    ] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(refused(&path))?;
    }
    Ok(())
}
