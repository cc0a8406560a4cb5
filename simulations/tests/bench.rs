//! The bench prints what it says; how large its figures are is for no test.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

use std::process::Command;

use khlong_simulations::bench::{Bench, Goal, Row, Sample, spread, table};
use serde_json::Value;

#[test]
fn each_sample_is_of_a_process_of_its_own_and_printed_as_a_line() {
    let done = Command::new(env!("CARGO_BIN_EXE_khlong-sim"))
        .args(["--json", "bench", "--only", "null-events", "--samples", "2"])
        .output()
        .unwrap();
    assert!(done.status.success());
    let lines = String::from_utf8(done.stdout).unwrap();
    assert_eq!(lines.lines().count(), 1);
    let line: Value = serde_json::from_str(&lines).unwrap();
    assert_eq!(line["bench"], "null-events");
    assert_eq!(line["unit"], "events/s");
    let figure = |name: &str| line[name].as_f64().unwrap();
    assert!(0.0 < figure("min") && figure("min") <= figure("median"));
    assert!(figure("median") <= figure("max"));
    let samples = line["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    for sample in samples {
        assert!(sample["cpu_s"].as_f64() > Some(0.0));
        assert!(sample["peak_mib"].as_f64() > Some(0.0));
    }
}

#[test]
fn the_table_compares_the_median_with_the_goal() {
    let sample = |figure| Sample {
        figure,
        cpu_s: 1.0,
        wall_s: 2.0,
        peak_mib: 3.0,
    };
    let row = |bench, figures: [f64; 3]| Row {
        bench,
        samples: figures.map(sample).to_vec(),
    };
    let text = table(&[
        row(Bench::NullEvents, [9e6, 30e6, 10e6]),
        row(Bench::MemoryKhlong, [5_000.0, 4_096.0, 1.0]),
    ]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].contains("10,000,000") && lines[1].contains(" yes "));
    assert!(lines[2].contains("4,096") && lines[2].contains(" no "));
    assert_eq!(Goal::None.is_met(1.0), None);
}

#[test]
fn the_middle_of_an_even_number_of_samples_is_between_two() {
    assert_eq!(spread([4.0, 1.0, 3.0, 2.0].into_iter()), [1.0, 2.5, 4.0]);
    assert_eq!(spread([7.0].into_iter()), [7.0; 3]);
    assert_eq!(spread(std::iter::empty()), [0.0; 3]);
}
