//! Figures for people (a table) and for programs (a JSON object a line).

use std::fmt::Write as _;

use serde::Serialize;

use super::{Goal, Row, Sample, spread};
use crate::output::SCHEMA_VERSION;

#[derive(Serialize)]
struct Line<'a> {
    schema_version: u64,
    bench: &'a str,
    what: &'a str,
    unit: &'a str,
    goal: Goal,
    goal_met: Option<bool>,
    min: f64,
    median: f64,
    max: f64,
    samples: &'a [Sample],
}

/// One JSON object a line.
///
/// # Errors
/// From the encoder.
pub fn json_lines(rows: &[Row]) -> serde_json::Result<String> {
    let mut text = String::new();
    for row in rows {
        let [min, median, max] = row.spread();
        let line = Line {
            schema_version: SCHEMA_VERSION,
            bench: row.bench.name(),
            what: row.bench.what(),
            unit: row.bench.unit(),
            goal: row.bench.goal(),
            goal_met: row.bench.goal().is_met(median),
            min,
            median,
            max,
            samples: &row.samples,
        };
        text.push_str(&serde_json::to_string(&line)?);
        text.push('\n');
    }
    Ok(text)
}

/// A table, and below it what each figure counts.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<18} {:>14} {:>14} {:>14} {:<15} {:>3} {:>16} {:>4} {:>8} {:>8} {:>9}\n",
        "bench", "min", "median", "max", "unit", "n", "goal", "met", "cpu s", "wall s", "peak MiB"
    );
    for row in rows {
        let [min, median, max] = row.spread().map(grouped);
        let goal = match row.bench.goal() {
            Goal::AtLeast(least) => format!("≥ {}", grouped(least)),
            Goal::Below(most) => format!("< {}", grouped(most)),
            Goal::None => "–".to_owned(),
        };
        let met = match row.bench.goal().is_met(row.spread()[1]) {
            Some(true) => "yes",
            Some(false) => "no",
            None => "–",
        };
        let middle = |of: fn(&Sample) -> f64| spread(row.samples.iter().map(of))[1];
        let _ = writeln!(
            text,
            "{:<18} {min:>14} {median:>14} {max:>14} {:<15} {:>3} {goal:>16} {met:>4} {:>8.2} {:>8.2} {:>9.0}",
            row.bench.name(),
            row.bench.unit(),
            row.samples.len(),
            middle(|sample| sample.cpu_s),
            middle(|sample| sample.wall_s),
            middle(|sample| sample.peak_mib),
        );
    }
    text.push_str("\nRates are by processor time of one core.\n");
    for row in rows {
        let _ = writeln!(text, "{}: {}.", row.bench.name(), row.bench.what());
    }
    text
}

impl Row {
    /// Least, middle and greatest of its figures.
    #[must_use]
    pub fn spread(&self) -> [f64; 3] {
        spread(self.samples.iter().map(|sample| sample.figure))
    }
}

/// Whole, with a comma before each three digits.
fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
