//! Rows for people (a table) and for programs (a JSON object a line).

use std::fmt::Write as _;

use super::{Row, Verdict};

const HEADS: [&str; 7] = [
    "row",
    "expected",
    "measured",
    "95% interval",
    "n",
    "verdict",
    "source; note",
];

/// A table with aligned columns, and a line that counts the verdicts.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| match column {
                1..=4 => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        let _ = writeln!(text, "{}", padded.join("  ").trim_end());
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let _ = writeln!(
        text,
        "{} pass, {} chance, {} explained, {} fail ({} causes shown)",
        count(Verdict::Pass),
        count(Verdict::Chance),
        count(Verdict::Explained),
        count(Verdict::Fail),
        count(Verdict::Cause)
    );
    text
}

/// One JSON object a line. What is no number is `null`.
///
/// # Errors
/// If a row cannot be written as JSON: never, for rows of this crate.
pub fn json_lines(rows: &[Row]) -> serde_json::Result<String> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row)?);
        text.push('\n');
    }
    Ok(text)
}

/// Five significant digits for small numbers, none after the point for large ones.
fn number(value: f64) -> String {
    if value.abs() >= 10_000.0 || value == value.trunc() {
        format!("{value:.0}")
    } else if value.abs() >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}")
    }
}

fn cells(row: &Row) -> [String; 7] {
    let interval = if row.interval[0] == row.interval[1] {
        "exact".to_owned()
    } else {
        format!("{} – {}", number(row.interval[0]), number(row.interval[1]))
    };
    let verdict = match row.verdict {
        Verdict::Pass => "pass",
        Verdict::Chance => "chance",
        Verdict::Explained => "explained",
        Verdict::Cause => "cause",
        Verdict::Fail => "FAIL",
    };
    let why = if row.note.is_empty() {
        row.source.clone()
    } else {
        format!("{}; {}", row.source, row.note)
    };
    [
        row.name.clone(),
        number(row.expected),
        number(row.measured),
        interval,
        row.n.to_string(),
        verdict.to_owned(),
        why,
    ]
}
