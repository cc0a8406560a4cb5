//! Rows for people: a table.

#![expect(clippy::float_arithmetic, reason = "percentages")]

use std::fmt::Write as _;

use super::{BYTES_MAX, DISTANCE_MAX, Row};

const HEADS: [&str; 8] = [
    "link",
    "deliveries",
    "median, frames",
    "quic",
    "KS distance",
    "bytes, frames",
    "quic",
    "difference",
];

/// A table with aligned columns and a verdict a row.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut lines: Vec<Vec<String>> = vec![HEADS.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| cells(row).to_vec()));
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let verdicts = std::iter::once("verdict").chain(rows.iter().map(|row| verdict(row.passed)));
    let mut text = String::new();
    for (line, verdict) in lines.iter().zip(verdicts) {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = if column == 0 {
                write!(text, "{cell:<width$}  ")
            } else {
                write!(text, "{cell:>width$}  ")
            };
        }
        let _ = writeln!(text, "{verdict}");
    }
    let failed = rows.iter().filter(|row| !row.passed).count();
    let _ = writeln!(
        text,
        "{} pass, {failed} fail (KS distance at most {DISTANCE_MAX}, bytes within {:.0}%)",
        rows.len() - failed,
        BYTES_MAX * 100.0
    );
    text
}

/// One word.
#[must_use]
pub const fn verdict(passed: bool) -> &'static str {
    if passed { "pass" } else { "FAIL" }
}

/// The cells of a row, as the table and the page show them.
#[must_use]
pub fn cells(row: &Row) -> [String; 8] {
    let milliseconds = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
    let [median_frames, median_quic] = row.median_s;
    let [frames, quic] = row.bytes;
    let [of_frames, of_quic] = row.deliveries;
    let deliveries = if of_frames == of_quic {
        of_quic.to_string()
    } else {
        format!("{of_frames}, {of_quic}")
    };
    [
        row.class.clone(),
        deliveries,
        milliseconds(median_frames),
        milliseconds(median_quic),
        format!("{:.4}", row.distance),
        frames.to_string(),
        quic.to_string(),
        format!("{:+.2}%", row.bytes_difference * 100.0),
    ]
}

/// The heads above [`cells`].
#[must_use]
pub const fn heads() -> [&'static str; 8] {
    HEADS
}
