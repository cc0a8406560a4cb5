//! The command line: exit codes, output, sweeps, and all reference scenarios run small.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

use std::process::{Command, Output};

use khlong_simulations::cli::{Axis, combinations};
use khlong_simulations::scenario::REFERENCES;
use serde_json::Value;

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_khlong-sim"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_eight_reference_scenarios_run_small() {
    for (name, _) in REFERENCES {
        let done = sim(&[
            "--json",
            "run",
            name,
            "--set",
            "scale=0.02",
            "--replications",
            "2",
            "--protocol",
            "direct",
            "--protocol",
            "epidemic",
        ]);
        assert_eq!(
            done.status.code(),
            Some(0),
            "{name}: {}",
            text(&done.stderr)
        );
        assert!(done.stderr.is_empty(), "{name}: {}", text(&done.stderr));
        let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(printed["schema_version"], 1);
        assert_eq!(printed["runs"].as_array().unwrap().len(), 4, "{name}");
        let created = &printed["means"]["epidemic"]["created"];
        assert!(created["mean"].as_f64() > Some(0.0), "{name}: {created}");
        assert_eq!(created["n"], 2);
        assert!(created["ci95"].is_number());
        let hashes = |protocol: &str| -> Vec<&Value> {
            printed["runs"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|run| run["protocol"] == protocol)
                .map(|run| &run["trace_hash"])
                .collect()
        };
        assert_ne!(hashes("epidemic")[0], hashes("epidemic")[1], "another seed");
    }
}

#[test]
fn the_bus_mule_is_near_its_closed_form() {
    let done = sim(&[
        "--json",
        "run",
        "bus-mule",
        "--replications",
        "3",
        "--protocol",
        "epidemic",
    ]);
    let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
    let epidemic = &printed["means"]["epidemic"];
    let latency = epidemic["latency_avg"]["mean"].as_f64().unwrap();
    // headway / 2 + travel: 200 s + 120 s for each of 5 legs on average.
    assert!((latency - 800.0).abs() < 40.0, "{latency}");
    assert!(epidemic["delivery_prob"]["mean"].as_f64() > Some(0.99));
}

#[test]
fn the_help_lists_every_command() {
    let help = text(&sim(&["--help"]).stdout);
    for command in [
        "run", "sweep", "verify", "report", "rerun", "validate", "fuzz", "replay",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}: {help}"
        );
    }
}

#[test]
fn mistakes_have_their_exit_codes() {
    for (arguments, code, part) in [
        (&["run", "flod"][..], 2, "did you mean `flood`?"),
        (&["run", "flood", "--set", "scale"], 2, "KEY=VALUE"),
        (
            &["run", "flood", "--set", "group.boat.count=1"],
            2,
            "did you mean `boats`?",
        ),
        (
            &["run", "flood", "--set", "scael=1"],
            3,
            "did you mean `scale`?",
        ),
        (&["run", "flood", "--set", "duration=99999d"], 3, "duration"),
        (
            &["run", "flood", "--protocol", "epidemik"],
            2,
            "did you mean `epidemic`?",
        ),
        (&["run", "no-such-file.toml"], 3, "no-such-file.toml"),
        (&["rerun", "no-such-folder"], 1, "manifest.json"),
        (
            &["sweep", "flood", "--set", "scale=0.1..0.2"],
            2,
            "LO..HI:STEP",
        ),
        (&["fuzz", "--time", "60m"], 2, "us, ms, s, min, h, d"),
        (&["fuzz", "--workload", "ledgers"], 2, "messages, ledger"),
    ] {
        let refused = sim(arguments);
        let message = text(&refused.stderr);
        assert_eq!(
            refused.status.code(),
            Some(code),
            "{arguments:?}: {message}"
        );
        assert!(message.contains(part), "{arguments:?}: {message}");
        assert!(refused.stdout.is_empty());
    }
    let refused = sim(&["--json", "run", "flod"]);
    let told: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(told["exit_code"], 2);
}

fn values(text: &str) -> Vec<String> {
    Axis::parse(text).unwrap().values
}

#[test]
fn lists_and_ranges_expand() {
    assert_eq!(values("a=1,2,3"), ["1", "2", "3"]);
    assert_eq!(values("a=x"), ["x"]);
    assert_eq!(values("a=[1,2],[3,4]"), ["[1,2]", "[3,4]"]);
    assert_eq!(
        values("a={ fixed = '1,5' }, \"b,c\""),
        ["{ fixed = '1,5' }", "\"b,c\""]
    );
    assert_eq!(values("a=1..4:1"), ["1", "2", "3", "4"]);
    assert_eq!(
        values("a=0.1..0.3:0.05"),
        ["0.10", "0.15", "0.20", "0.25", "0.30"]
    );
    assert_eq!(values("a=10s..35s:10s"), ["10s", "20s", "30s"]);
    assert_eq!(values("a=-1..0.5:0.5"), ["-1.0", "-0.5", "0.0", "0.5"]);
    for wrong in [
        "a=1..2",
        "a=2..1:1",
        "a=1..2:0",
        "a=1s..2min:1s",
        "a=1..x:1",
        "a=0..99999:1",
        "a",
    ] {
        assert!(Axis::parse(wrong).is_err(), "{wrong}");
    }
    let grid = combinations(&[
        Axis::parse("a=1,2").unwrap(),
        Axis::parse("b=x,y,z").unwrap(),
    ])
    .unwrap();
    let grid: Vec<String> = grid
        .iter()
        .map(|set| {
            set.iter()
                .map(|change| change.text())
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(
        grid,
        [
            "a=1 b=x", "a=1 b=y", "a=1 b=z", "a=2 b=x", "a=2 b=y", "a=2 b=z"
        ]
    );
    let wide = Axis::parse("a=1..9999:1").unwrap();
    assert!(combinations(&[wide.clone(), wide]).is_err());
}

#[test]
fn a_sweep_is_one_table_with_paired_differences() {
    let arguments = |jobs: &'static str| {
        [
            "sweep",
            "bus-mule",
            "--set",
            "routing.ttl=5min,1h",
            "--set",
            "duration=3h",
            "--set",
            "traffic.post.until=2h",
            "--protocol",
            "epidemic",
            "--protocol",
            "direct",
            "--replications",
            "3",
            "--jobs",
            jobs,
        ]
    };
    let done = sim(&arguments("2"));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(
        text(&done.stdout),
        text(&sim(&arguments("1")).stdout),
        "threads change nothing"
    );
    let mut rows = csv::Reader::from_reader(done.stdout.as_slice());
    let header: Vec<String> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(
        header[..6],
        [
            "routing.ttl",
            "duration",
            "traffic.post.until",
            "protocol",
            "measure",
            "n"
        ]
    );
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let of = |ttl: &str, protocol: &str, measure: &str| {
        rows.iter()
            .find(|row| &row[0] == ttl && &row[3] == protocol && &row[4] == measure)
            .unwrap_or_else(|| panic!("{ttl} {protocol} {measure}"))
    };
    let short = of("5min", "epidemic", "delivery_prob");
    let long = of("1h", "epidemic", "delivery_prob");
    assert_eq!(
        (&short[5], &short[8]),
        ("3", ""),
        "the first has nothing to be compared with"
    );
    let number = |field: &str| field.parse::<f64>().unwrap();
    assert!(
        number(&long[6]) > number(&short[6]) + 0.3,
        "{short:?} {long:?}"
    );
    assert!((number(&long[9]) - (number(&long[6]) - number(&short[6]))).abs() < 1e-9);
    assert!(number(&long[10]) > 0.0);
    let same = of("1h", "epidemic", "created");
    assert_eq!(
        (number(&same[9]), number(&same[10])),
        (0.0, 0.0),
        "common random numbers"
    );
}

#[test]
fn a_protocol_more_changes_no_other() {
    let hash = |protocols: &[&str]| -> Value {
        let mut arguments = vec![
            "--json",
            "run",
            "flood",
            "--set",
            "scale=0.04",
            "--replications",
            "1",
            "--set",
            "duration=6h",
        ];
        for protocol in protocols {
            arguments.extend(["--protocol", protocol]);
        }
        let printed: Value = serde_json::from_slice(&sim(&arguments).stdout).unwrap();
        let runs = printed["runs"].as_array().unwrap().clone();
        runs.iter()
            .find(|run| run["protocol"] == "epidemic")
            .unwrap()["trace_hash"]
            .clone()
    };
    assert_eq!(
        hash(&["epidemic"]),
        hash(&["direct", "prophet", "epidemic"])
    );
}
