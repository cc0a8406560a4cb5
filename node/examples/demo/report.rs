//! What the demo says on standard output.

use std::time::Duration;

/// A step, as it begins.
pub(crate) fn step(text: &str) {
    println!("\n▸ {text}");
}

/// Something that was checked and holds.
pub(crate) fn good(text: &str) {
    println!("  ✓ {text}");
}

/// A table: the first row is the head; every column as wide as its widest cell.
pub(crate) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| width_of(cell))
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    println!();
    for (number, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - width_of(cell))));
        println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
        if number == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            println!("  {}", rules.join("  "));
        }
    }
}

/// Columns on a terminal: Thai vowels and tone marks above and below take none.
fn width_of(text: &str) -> usize {
    let marks = |c: &char| !matches!(c, '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}');
    text.chars().filter(marks).count()
}

/// Middle, 99th percentile and largest.
pub(crate) fn spread(times: &[Duration]) -> [String; 3] {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = |percent: usize| {
        let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
        sorted
            .get(place)
            .copied()
            .map_or_else(|| "–".to_owned(), milliseconds)
    };
    [at(50), at(99), at(100)]
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!(
        "{}.{} ms",
        time.as_millis(),
        time.subsec_micros() % 1_000 / 100
    )
}

pub(crate) fn bytes(count: u64) -> String {
    if count < 10 * 1024 {
        format!("{count} B")
    } else {
        format!("{} KiB", count / 1024)
    }
}
