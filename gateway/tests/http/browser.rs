//! The page as a browser draws it, where there is one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use khlong_store::engine::memory::MemoryDisk;
use serde_json::json;

use crate::days::{TODAY, Time, start};
use crate::server::{READER, pay, set_up};
use crate::until::until;

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file() && answers(program))
}

/// Some are but a script that says where to get one.
fn answers(program: &Path) -> bool {
    let asked = Command::new(program).arg("--version").output();
    asked.is_ok_and(|output| output.status.success())
}

/// What it prints. It has a profile of its own, in `folder`.
fn look(program: &Path, folder: &Path, more: &[&str]) -> String {
    let output = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--window-size=900,700", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", folder.display()))
        .args(more)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_browser_shows_the_ledger() {
    let Some(program) = browser() else {
        println!("SKIPPED  there is no browser (chromium) to look at /ledger with");
        return;
    };
    let disk = MemoryDisk::new();
    let server = start(&disk, &Time::at(TODAY.end().0 - 3_600_000));
    set_up(server.address, 2);
    let mut hold = pay(2, 1, 2, 25);
    hold["flags"] = json!(["pending"]);
    server.send("some", json!([pay(1, 1, 2, 123_450), hold]));
    server.stop().unwrap();
    let server = start(&disk, &Time::at(TODAY.end().0 + 1));
    until("the day is closed", || {
        server.get("/v1/books/closes").json()["due"].is_null()
    });
    let folder = tempfile::tempdir().unwrap();
    let page = format!("http://anybody:{READER}@{}/ledger", server.address);
    let text = look(&program, folder.path(), &["--dump-dom", &page]);
    let head = server.get("/v1/journal/head").json();
    let chain = format!(
        "Chain head: <code>{}</code>",
        head["hash"].as_str().unwrap()
    );
    for part in [
        "<h1>Ledger</h1>",
        "Last close: 2026-11-27, 2 records",
        "1234.50",
        // Sums, what is held, and the imbalance.
        "<td>THB (764)</td><td>2</td><td>1234.50</td><td>1234.50</td><td>0.25</td><td>0.00</td>",
        &chain,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ledger.png");
    let _ = fs::remove_file(&picture);
    let into = format!("--screenshot={}", picture.display());
    look(&program, folder.path(), &[&into, &page]);
    server.stop().unwrap();
    let mut reader = png::Decoder::new(BufReader::new(File::open(&picture).unwrap()))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    // Letters on paper, with their soft edges; a page that was not drawn has one colour.
    let colours: BTreeSet<&[u8]> = pixels.chunks(3).collect();
    assert!(colours.len() > 10, "{}", colours.len());
    println!("the page is drawn in {}", picture.display());
}
