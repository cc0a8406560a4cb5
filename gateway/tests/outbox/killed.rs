//! The program itself is killed between the sending of a notice and its outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Housekeeping, KERNEL_DOMAIN, Kernel, Logic, waiting_outbox};
use khlong_store::journal::{self, JournalError, JournalSeq};
use khlong_store::peek::Peek;
use khlong_store::store::Store;

use crate::fixture::{JOURNAL, command, opening, options, pay};
use crate::receiver::{Answer, Got, Receiver};
use crate::sender::targets;
use crate::until::{found_every, until};

/// Each leaves a notice.
const DAYS: usize = 3;

/// A gateway that was switched off days ago: it closes them when it starts.
fn make(place: &Path, url: String) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let today = Day::of(UnixMillis(i64::try_from(now.as_millis()).unwrap()));
    let first = Day(today.0 - u32::try_from(DAYS).unwrap());
    let store = Store::open(&place.join("data"), &options()).unwrap();
    let mut kernel = Kernel::open(store, domains::all(), Logic::CURRENT, JOURNAL).unwrap();
    let paid = LedgerCommand::CreateTransfers(vec![pay(1, 1, 2, 50)]);
    let [assets, accounts] = opening(2);
    for (n, ledger) in [assets, accounts, paid].iter().enumerate() {
        let noon = first.start().0 + 12 * 3_600_000;
        let asked = command(&n.to_string(), noon, LEDGER_DOMAIN, ledger.encode());
        kernel.apply(&asked).unwrap();
    }
    kernel.commit().unwrap();
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[store]\nfolder = \"data\"\nreserve = \"1MiB\"\n\
         [log]\nlevel = \"error\"\n{}",
        targets(&[url])
    );
    std::fs::write(place.join("gateway.toml"), text).unwrap();
}

/// It serves, and sends what waits.
fn start(place: &Path) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_khlong-gateway"))
        .current_dir(place)
        .args(["--json", "run", "--config", "gateway.toml"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    assert!(line.contains("http"), "it does not start: {line}");
    child
}

/// Of each notice whose outcome is known: delivered, failed.
fn outcomes(folder: &Peek) -> Vec<(u16, u16)> {
    let mut found = Vec::new();
    journal::read::<JournalError>(folder, JournalSeq(1), &mut |stored| {
        let (domain, body) = stored.entry.command.split_first().unwrap();
        if *domain == KERNEL_DOMAIN
            && let Some(Housekeeping::Report {
                delivered, failed, ..
            }) = Housekeeping::decode(body)
        {
            found.push((delivered, failed));
        }
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    found
}

/// How often each notice came, with its only body.
fn counted(got: &[Got]) -> BTreeMap<String, usize> {
    let mut bodies: BTreeMap<&str, &str> = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for Got { id, body } in got {
        assert_eq!(*bodies.entry(id).or_insert(body), body, "one id, one body");
        *counts.entry(id.clone()).or_default() += 1;
    }
    counts
}

#[test]
fn a_notice_whose_outcome_was_not_journaled_comes_again_under_its_id() {
    let place = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(&[]);
    make(place.path(), receiver.url());
    // It has the notice and its answer does not come; then it takes the notice, and its answer is lost.
    let mut cut_off = Vec::new();
    for answer in [Answer::Hangs, Answer::TakesAndHangs, Answer::TakesAndHangs] {
        let before = receiver.got().len();
        receiver.answers_with(answer);
        let mut child = start(place.path());
        receiver.wait_for(before + 1);
        // By its id: the child that this test started.
        child.kill().unwrap();
        child.wait().unwrap();
        let got = receiver.got();
        let ids: BTreeSet<_> = got[before..].iter().map(|got| got.id.clone()).collect();
        cut_off.push(ids);
        let folder = Peek::open(&place.path().join("data")).unwrap();
        assert_eq!(outcomes(&folder), [], "nothing is known of any");
        assert!(!waiting_outbox(&folder, 100).unwrap().is_empty());
    }
    let taken = receiver.known();
    assert!(!taken.is_empty());
    receiver.answers_with(Answer::Status(204));
    let mut child = start(place.path());
    until("every notice is delivered", || {
        receiver.known().len() >= DAYS
    });
    let data = place.path().join("data");
    found_every(Duration::from_millis(50), "every outcome is known", || {
        // A process writes there: a look that comes between two files is no look.
        let folder = Peek::open(&data).ok()?;
        let waits = waiting_outbox(&folder, 100).ok()?;
        waits.is_empty().then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let counts = counted(&receiver.got());
    for id in cut_off.iter().flatten() {
        assert!(counts[id] >= 2, "{id} came again: {counts:?}");
    }
    let known: BTreeSet<String> = receiver.known().into_keys().collect();
    let came: BTreeSet<String> = counts.into_keys().collect();
    assert_eq!(known, came, "no other id, none lost");
    let folder = Peek::open(&data).unwrap();
    assert_eq!(outcomes(&folder), vec![(1, 0); known.len()]);
}
