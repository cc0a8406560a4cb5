//! Run folders: whole or not there, the same in CSV and Parquet, a report that needs nothing else.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const SMALL: &str = r#"
name = "ตลาดน้ำ </script><b>&"
about = "People on a market, a relay, and a cut."
assumes = ["Nothing <i>is</i> real."]
duration = "30min"
warm_up = "2min"
replications = 3

[group."คนขาย"]
role = "node"
count = 12
mobility = { model = "random-waypoint", area_m = [120, 80], speed_m_s = [0.5, 1.5], pause = ["0s", "30s"] }
radio = { range_m = 15, link = "near" }

[group.relay]
role = "relay"
count = 1

[link.near]
forth = { rate = "1Mbit/s", propagation = "10ms" }

[[connect]]
name = "cell"
from = "คนขาย"
to = "relay"
link = "near"
share = 0.5
cuts = [{ from = "10min", until = "15min" }, { from = "15min", until = "20min", direction = "forth" }]

[[traffic]]
name = "chat"
pairs = { from = ["คนขาย"], to = ["คนขาย"] }
interval = { exponential = "10s" }
size = { fixed = "200B" }

[routing]
protocols = ["direct", "epidemic", "binary-spray:4"]
ttl = "20min"
"#;

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_khlong-sim"))
        .args(arguments)
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("market.toml"), SMALL).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A whole folder.
    fn run(&self, folder: &str) -> PathBuf {
        let done = sim(&[
            "run",
            &self.text("market.toml"),
            "--out",
            &self.text(folder),
        ]);
        assert_eq!(code(&done), 0, "{}", err(&done));
        self.path(folder)
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_run_folder_is_whole_and_explains_itself() {
    let place = Place::new();
    let folder = place.run("out");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "digests.json",
            "events.csv",
            "events.parquet",
            "manifest.json",
            "messages.csv",
            "messages.parquet",
            "occupancy.csv",
            "report.html",
            "story.json",
            "summary.txt",
        ]
    );
    assert_eq!(
        fs::read_dir(place.dir.path()).unwrap().count(),
        2,
        "no temporary folder is left"
    );

    let manifest = json(&folder.join("manifest.json"));
    assert_eq!(manifest["schema_version"], 1);
    assert_eq!(manifest["seed"], 1);
    assert_eq!(manifest["scenario"]["text"], SMALL);
    assert_eq!(
        manifest["scenario"]["blake3"],
        blake3::hash(SMALL.as_bytes()).to_hex().to_string()
    );
    assert_eq!(manifest["runs"].as_array().unwrap().len(), 9);

    let summary = fs::read_to_string(folder.join("summary.txt")).unwrap();
    for part in [
        "[epidemic]",
        "sim_time: 1800.0000",
        "created:",
        "started:",
        "relayed:",
        "aborted:",
        "dropped:",
        "delivered:",
        "delivery_prob:",
        "overhead_ratio:",
        "latency_avg:",
        "latency_med:",
        "hopcount_avg:",
        "buffertime_avg:",
        "(n=3)",
        "assumes: Nothing",
    ] {
        assert!(summary.contains(part), "{part} in {summary}");
    }
}

#[test]
fn parquet_and_csv_hold_the_same_rows() {
    let place = Place::new();
    let folder = place.run("out");
    for table in ["messages", "events"] {
        let parquet = khlong_simulations::output::table::read_parquet(
            &folder.join(format!("{table}.parquet")),
        )
        .unwrap();
        let mut csv = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_path(folder.join(format!("{table}.csv")))
            .unwrap();
        let csv: Vec<Vec<String>> = csv
            .records()
            .map(|row| row.unwrap().iter().map(str::to_owned).collect())
            .collect();
        assert!(csv.len() > 100, "{table}");
        assert_eq!(csv, parquet, "{table}");
        assert!(csv.iter().flatten().any(|field| field == "คนขาย-1"));
    }
}

#[test]
fn the_summary_follows_from_the_table_of_messages() {
    let place = Place::new();
    let folder = place.run("out");
    let mut rows = csv::Reader::from_path(folder.join("messages.csv")).unwrap();
    let header = rows.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|known| known == name).unwrap();
    let (mut created, mut delivered) = ([0_f64; 3], [0_f64; 3]);
    for row in rows.records() {
        let row = row.unwrap();
        if &row[column("protocol")] == "epidemic" && &row[column("warm_up")] == "0" {
            assert!(row[column("created_us")].parse::<u64>().unwrap() >= 120_000_000);
            let replication: usize = row[column("replication")].parse().unwrap();
            created[replication] += 1.0;
            delivered[replication] += f64::from(!row[column("delivered_us")].is_empty());
        }
    }
    let mean = (0..3).map(|run| delivered[run] / created[run]).sum::<f64>() / 3.0;
    let summary = fs::read_to_string(folder.join("summary.txt")).unwrap();
    let of_epidemic = summary.split("[epidemic]").nth(1).unwrap();
    assert!(mean > 0.3);
    assert!(
        of_epidemic.contains(&format!("delivery_prob: {mean:.4} ±")),
        "{mean} in {of_epidemic}"
    );
}

#[test]
fn nothing_is_overwritten_and_a_failed_run_leaves_nothing() {
    let place = Place::new();
    fs::create_dir(place.path("out")).unwrap();
    let refused = sim(&[
        "run",
        &place.text("market.toml"),
        "--out",
        &place.text("out"),
    ]);
    assert_eq!(code(&refused), 1);
    assert!(
        err(&refused).contains("is there already"),
        "{}",
        err(&refused)
    );
    let failed = sim(&[
        "run",
        &place.text("market.toml"),
        "--out",
        &place.text("other"),
        "--set",
        "group.relay.count=200000",
    ]);
    assert_eq!(code(&failed), 3, "{}", err(&failed));
    assert!(!place.path("other").exists());
    assert_eq!(
        fs::read_dir(place.dir.path()).unwrap().count(),
        2,
        "market.toml and out"
    );
}

#[test]
fn the_report_needs_nothing_from_outside_and_no_text_becomes_markup() {
    let place = Place::new();
    let folder = place.run("out");
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    // The name of the SVG namespace is the one address in it; nothing is fetched from there.
    let addresses = page.replace("\"http://www.w3.org/2000/svg\"", "");
    for outside in [
        "http:", "https:", "src=", "href=", "@import", "url(", "fetch(", "//cdn",
    ] {
        assert!(!addresses.contains(outside), "{outside}");
    }
    assert!(!page.contains("{{"), "a placeholder is left");
    assert!(!page.contains("</script><b>"), "the name ended the element");
    let data = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .unwrap()
        .1
        .split_once("</script>")
        .unwrap()
        .0;
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["manifest"]["scenario"]["name"], "ตลาดน้ำ </script><b>&");
    let epidemic = &data["protocols"][1];
    assert_eq!(epidemic["name"], "epidemic");
    for curve in ["delay", "delivered", "held_messages"] {
        let means = epidemic[curve]["mean"].as_array().unwrap();
        assert!(
            means.iter().any(|mean| mean.as_f64() > Some(0.1)),
            "{curve}"
        );
        assert!(
            epidemic[curve]["half"]
                .as_array()
                .unwrap()
                .iter()
                .any(|half| half.as_f64() > Some(0.0)),
            "{curve}"
        );
    }
    assert_eq!(epidemic["against_first"]["n"], 3);
    assert!(
        !data["story"]["journeys"][1]["moves"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    assert_eq!(data["story"]["positions"].as_array().unwrap().len(), 241);

    fs::remove_file(folder.join("report.html")).unwrap();
    let again = sim(&["report", folder.to_str().unwrap()]);
    assert_eq!(code(&again), 0, "{}", err(&again));
    let anew = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(anew == page, "the page made anew is another one");
    fs::write(folder.join("digests.json"), "[]").unwrap();
    let damaged = sim(&["report", folder.to_str().unwrap()]);
    assert_eq!(code(&damaged), 9, "{}", err(&damaged));
}

#[test]
fn a_folder_can_be_run_again_and_a_changed_one_is_found_out() {
    let place = Place::new();
    // A trace beside the scenario comes along into the folder.
    fs::write(
        place.path("trace.txt"),
        "1 2 10 200 1 0\n2 3 300 500 1 0\n1 3 600 601 1 0\n",
    )
    .unwrap();
    let text = SMALL.replace(
        "mobility = { model = \"random-waypoint\", area_m = [120, 80], speed_m_s = [0.5, 1.5], pause = [\"0s\", \"30s\"] }",
        "mobility = { model = \"trace\", file = \"trace.txt\", format = \"haggle\" }",
    );
    fs::write(place.path("traced.toml"), text).unwrap();
    let done = sim(&[
        "run",
        &place.text("traced.toml"),
        "--out",
        &place.text("out"),
        "--seed",
        "7",
        "--protocol",
        "epidemic",
        "--replications",
        "2",
    ]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    fs::remove_file(place.path("trace.txt")).unwrap();
    let again = sim(&["rerun", &place.text("out")]);
    assert_eq!(code(&again), 0, "{}{}", out(&again), err(&again));
    assert_eq!(out(&again).matches("same ").count(), 2);

    let file = place.path("out/manifest.json");
    let mut manifest = json(&file);
    manifest["seed"] = 8.into();
    fs::write(&file, manifest.to_string()).unwrap();
    let differs = sim(&["rerun", &place.text("out")]);
    assert_eq!(code(&differs), 9, "{}", out(&differs));
    assert!(out(&differs).contains("DIFFERS"));
    manifest["schema_version"] = 99.into();
    fs::write(&file, manifest.to_string()).unwrap();
    assert_eq!(code(&sim(&["rerun", &place.text("out")])), 8);
}

#[test]
fn verify_compares_two_processes_and_sees_a_difference() {
    let place = Place::new();
    let scenario = place.text("market.toml");
    let same = sim(&["verify", &scenario, "--set", "duration=10min"]);
    assert_eq!(code(&same), 0, "{}{}", out(&same), err(&same));
    assert_eq!(out(&same).matches("same ").count(), 3);
    let control = sim(&[
        "verify",
        &scenario,
        "--set",
        "duration=10min",
        "--control",
        "--json",
    ]);
    assert_eq!(code(&control), 9);
    let verdict: Value = serde_json::from_str(out(&control).lines().next().unwrap()).unwrap();
    assert_eq!(verdict["same"], false);
}
