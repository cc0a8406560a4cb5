//! The program itself is killed while it closes a long day, in portions.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_gateway::{app, domains};
use khlong_store::store::Store;
use serde_json::Value;

use crate::fixture::{self, JOURNAL, command, pay};
use crate::killed::{PROGRAM, spawn};
use crate::server::{get, init, opening, options};

/// Five commands close them.
const RECORDS: u64 = 33_000;
/// Days that are over when the test begins. At midnight of Bangkok, which may pass while it runs, one more is.
const DAYS: u32 = 3;

fn today() -> Day {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Day::of(UnixMillis(i64::try_from(now.as_millis()).unwrap()))
}

/// A gateway that was switched off days ago, with a long day behind it.
fn make(options: &app::Options, day: Day) {
    init(options);
    let store = Store::open(&options.folder, &opening(options)).unwrap();
    let mut kernel = Kernel::open(store, domains::all(), Logic::CURRENT, JOURNAL).unwrap();
    let mut commands = fixture::opening(2).to_vec();
    let ids: Vec<u64> = (1..=RECORDS).collect();
    for some in ids.chunks(8_190) {
        let transfers = some.iter().map(|id| pay(u128::from(*id), 1, 2, 1));
        commands.push(LedgerCommand::CreateTransfers(transfers.collect()));
    }
    let noon = day.start().0 + 12 * 60 * 60 * 1_000;
    for (n, ledger) in commands.iter().enumerate() {
        let asked = command(&n.to_string(), noon, LEDGER_DOMAIN, ledger.encode());
        kernel.apply(&asked).unwrap();
        kernel.commit().unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn run(arguments: &[&str], paths: &[&Path]) -> Value {
    let output = Command::new(PROGRAM)
        .arg("--json")
        .args(arguments)
        .args(paths)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {words}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The gateway is killed each time that more of the first day is added up, until all is closed. Returns the closes,
/// and how often that was.
fn kill_on_the_way(folder: &Path, first: Day) -> (Vec<Value>, u32) {
    let (mut added_up, mut kills) = (0, 0);
    loop {
        let (mut child, address) = spawn(folder);
        let page = loop {
            let page = get(address, "/v1/books/closes").json();
            let due = &page["due"];
            let is_further = due["records"].as_u64().is_some_and(|records| {
                page["closes"] == Value::Array(Vec::new()) && records > added_up
            });
            if due.is_null() || is_further {
                break page;
            }
        };
        // By its id: the child that this test started.
        child.kill().unwrap();
        child.wait().unwrap();
        if page["due"].is_null() {
            return (page["closes"].as_array().unwrap().clone(), kills);
        }
        assert_eq!(page["due"]["from"], first.to_string());
        added_up = page["due"]["records"].as_u64().unwrap();
        kills += 1;
    }
}

#[test]
fn a_close_that_is_killed_goes_on_and_comes_to_the_same_hashes() {
    let folder = tempfile::tempdir().unwrap();
    let data = options(folder.path(), "").folder;
    let first = Day(today().0 - DAYS);
    make(&options(folder.path(), ""), first);
    let undisturbed = folder.path().join("undisturbed");
    copy(&data, &undisturbed);
    let (mut closes, mut kills) = kill_on_the_way(folder.path(), first);
    // A machine that has other things to do may let the whole close go by between two looks.
    for _ in 0..20 {
        if kills > 0 {
            break;
        }
        fs::remove_dir_all(&data).unwrap();
        copy(&undisturbed, &data);
        (closes, kills) = kill_on_the_way(folder.path(), first);
    }
    assert!(kills > 0, "it was killed in the middle of the close");
    assert!(closes.len() >= DAYS as usize, "{closes:?}");
    assert_eq!(closes[0]["records"], RECORDS);
    let closes = &closes[..DAYS as usize];
    let last = Day(first.0 + DAYS - 1);
    assert_eq!(closes[2]["day"], last.to_string());
    // It checks out, and so does a day that ended since.
    run(&["audit"], &[&data]);
    let rebuilt = folder.path().join("rebuilt");
    let replayed = run(&["replay", "--into"], &[&rebuilt, &data]);
    assert_eq!(replayed["state"], replayed["replayed_state"]);
    // Nobody killed this one, and another command closed it; a day at a time, or all.
    let through = |day: Day| ["close".to_owned(), "--through".to_owned(), day.to_string()];
    let close = |day: Day| {
        let arguments = through(day);
        let told = run(&arguments.each_ref().map(String::as_str), &[&undisturbed]);
        let closes = told["closes"].as_array().unwrap();
        let hashes = closes.iter().map(|close| close["hash"].clone());
        hashes.collect::<Vec<Value>>()
    };
    let (one, rest) = (close(first), close(last));
    assert_eq!((one.len(), rest.len()), (1, 2));
    let same: Vec<Value> = closes.iter().map(|close| close["hash"].clone()).collect();
    assert_eq!([one, rest].concat(), same);
    assert_eq!(close(last).len(), 0);
    let audit = run(&["audit"], &[&undisturbed]);
    assert_eq!(audit["close"]["hash"], closes[2]["hash"]);
    // Of all that are over there is none left, or the one that ended since.
    let since = run(&["close"], &[&undisturbed]);
    let since = since["closes"].as_array().unwrap();
    let next = last.next().to_string();
    assert!(since.len() <= 1 && since.iter().all(|close| close["day"] == next));
    let early = Command::new(PROGRAM)
        .args(through(today().next().next()))
        .arg(&undisturbed)
        .output()
        .unwrap();
    assert_eq!(early.status.code(), Some(1));
    let words = String::from_utf8_lossy(&early.stderr);
    assert!(words.contains("is not over yet"), "{words}");
}
