//! `khlong-gateway init`, `verify`, `replay` and `export` on real folders: what they print, refuse, and leave alone.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;
mod program;

use std::path::{Path, PathBuf};
use std::process::Output;

use fixture::{JOURNAL, THB, command, decide, domains, opening, options, pay};
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Kernel, Logic, state_hash};
use khlong_store::engine::rocks::RocksEngine;
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::identity::Role;
use khlong_store::journal::{Chain, Head, JournalId, JournalSeq};
use khlong_store::peek::Peek;
use khlong_store::record;
use khlong_store::rows::Rows as _;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;
use program::files;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Entries of [`books`].
const ENTRIES: u64 = 400;

fn run(arguments: &[&str]) -> Output {
    program::run(Path::new("."), arguments)
}

fn said(arguments: &[&str]) -> String {
    program::said(Path::new("."), arguments)
}

fn object(arguments: &[&str]) -> Value {
    program::object(Path::new("."), arguments)
}

/// Ends with that exit code and these words, and nothing on standard output.
fn assert_refused(arguments: &[&str], code: i32, words: &str) {
    let done = run(arguments);
    let told = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{arguments:?}: {told}");
    assert!(told.contains(words), "{arguments:?}: {told}");
    assert_eq!(done.stdout, b"", "{arguments:?}");
}

fn open(path: &Path) -> Kernel {
    let store = Store::open(path, &options()).unwrap();
    Kernel::open(store, domains(), Logic::CURRENT, JOURNAL).unwrap()
}

/// A place for folders, and in it the folder of a gateway with baht, two accounts and transfers.
fn books() -> (TempDir, String, Head, [u8; 32]) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("books");
    let mut kernel = open(&path);
    let mut bodies = opening(2).to_vec();
    bodies.extend(
        (3..=ENTRIES).map(|n| LedgerCommand::CreateTransfers(vec![pay(n.into(), 1, 2, n.into())])),
    );
    for (n, body) in bodies.iter().enumerate() {
        let command = command(&n.to_string(), 1_000_000, LEDGER_DOMAIN, body.encode());
        kernel.apply(&command).unwrap();
    }
    kernel.commit().unwrap();
    let (head, state) = (kernel.head(), state_hash(kernel.store()).unwrap());
    assert_eq!(head.seq, JournalSeq(ENTRIES));
    drop(kernel);
    (place, text(path), head, state)
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

fn beside(place: &TempDir, name: &str) -> String {
    text(place.path().join(name))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Changes one payload behind the store's back, with the right checksum around it.
fn change(folder: &str, table: Table, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Peek::open(Path::new(folder))
        .unwrap()
        .get(table, key)
        .unwrap()
        .unwrap();
    change(&mut payload);
    put(folder, table, key, record::seal(table, key, payload));
}

fn put(folder: &str, table: Table, key: &[u8], row: Vec<u8>) {
    let database = Path::new(folder).join("db");
    let mut engine = RocksEngine::open(&database, options().sizes).unwrap();
    let mut writes = WriteSet::new();
    writes.put(table, key.to_vec(), row);
    engine.commit(&writes, Durability::Synced).unwrap();
}

#[test]
fn init_makes_a_folder_that_opens_and_names_its_journal_anew_each_time() {
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (beside(&place, "first"), beside(&place, "second"));
    std::fs::create_dir(&second).unwrap();
    let id = said(&["init", &first]);
    let other = object(&["init", &second, "--json"]);
    assert_eq!(other["schema_version"], json!(1));
    assert_eq!(other["kind"], json!("journal"));
    assert_ne!(other["id"], json!(id.trim_end()));
    let kernel = open(Path::new(&first));
    assert_eq!(hex(kernel.head().id.as_bytes()), id.trim_end());
    assert_eq!(kernel.head().seq, JournalSeq(0));
    drop(kernel);
    let verified = object(&["--json", "verify", &first]);
    assert_eq!(verified["entries"], json!(0));
    assert_eq!(verified["assets"], json!([]));

    let before = files(Path::new(&first));
    assert_refused(&["init", &first], 3, "empty folder");
    assert_eq!(files(Path::new(&first)), before);
}

#[cfg(unix)]
#[test]
fn what_is_made_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (place, folder, ..) = books();
    let (made, replayed) = (beside(&place, "made"), beside(&place, "replayed"));
    said(&["init", &made]);
    said(&["replay", &folder, "--into", &replayed]);
    for path in [made, replayed] {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}

#[test]
fn verify_tells_head_state_and_imbalance_and_changes_nothing() {
    let (_place, folder, head, state) = books();
    let before = files(Path::new(&folder));
    let expected = json!({
        "schema_version": 1, "kind": "verified_journal", "journal": hex(JOURNAL.as_bytes()),
        "entries": ENTRIES, "head": hex(&head.hash), "state": hex(&state), "epochs": [],
        "assets": [{"ledger": THB, "symbol": "THB", "accounts": 2, "imbalance": "0"}],
    });
    assert_eq!(object(&["verify", &folder, "--json"]), expected);
    let plain = said(&["verify", &folder]);
    for line in [
        format!("entries: {ENTRIES}"),
        format!("head: {}", hex(&head.hash)),
        format!("state: {}", hex(&state)),
        "asset THB: 2 accounts, imbalance 0".to_owned(),
    ] {
        assert!(plain.lines().any(|it| it == line), "{line} in {plain}");
    }
    assert_eq!(files(Path::new(&folder)), before);
}

#[test]
fn export_prints_every_entry_and_the_hashes_follow_from_it() {
    let (_place, folder, head, _) = books();
    let before = files(Path::new(&folder));
    let printed = said(&["export", &folder]);
    let lines: Vec<Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), usize::try_from(ENTRIES).unwrap());
    let id: [u8; 16] = bytes(&lines[0]["journal"]).try_into().unwrap();
    let chain = Chain::of(JournalId::from_bytes(id));
    let mut reached = Head::start(JournalId::from_bytes(id));
    for (line, seq) in lines.iter().zip(1_u64..) {
        assert_eq!(line["schema_version"], json!(1));
        assert_eq!(line["kind"], json!("journal_entry"));
        assert_eq!(line["seq"], json!(seq));
        let [header, command, outcome] =
            ["header", "command", "outcome"].map(|name| bytes(&line[name]));
        reached = chain.extend(reached, &header, &command, &outcome);
        assert_eq!(line["hash"], json!(hex(&reached.hash)));
    }
    assert_eq!(reached, head);
    assert_eq!(files(Path::new(&folder)), before);
}

#[test]
fn replay_rebuilds_the_same_state_in_a_folder_that_goes_on() {
    let (place, folder, head, state) = books();
    let before = files(Path::new(&folder));
    let into = beside(&place, "rebuilt");
    let told = object(&["replay", &folder, "--into", &into, "--json"]);
    let expected = json!({
        "schema_version": 1, "kind": "replayed_journal", "journal": hex(JOURNAL.as_bytes()),
        "entries": ENTRIES, "head": hex(&head.hash),
        "state": hex(&state), "replayed_state": hex(&state),
    });
    assert_eq!(told, expected);
    assert_eq!(files(Path::new(&folder)), before);
    let mut kernel = open(Path::new(&into));
    assert_eq!(kernel.head(), head);
    assert_eq!(state_hash(kernel.store()).unwrap(), state);
    let next = LedgerCommand::CreateTransfers(vec![pay(900, 1, 2, 5)]).encode();
    let decided = decide(
        &mut kernel,
        &command("next", 1_000_000, LEDGER_DOMAIN, next),
    );
    assert_eq!(decided.seq, JournalSeq(ENTRIES + 1));
    drop(kernel);
    assert_refused(&["replay", &folder, "--into", &into], 3, "empty folder");
    let inside = text(Path::new(&folder).join("rebuilt"));
    assert_refused(&["replay", &folder, "--into", &inside], 3, "elsewhere");
    assert_eq!(files(Path::new(&folder)), before);
}

/// One byte of an entry, under the right checksum of its row: only the chain tells.
#[test]
fn a_changed_entry_is_named_by_all_that_read_it() {
    let (place, folder, ..) = books();
    change(&folder, Table::Journal, &7_u64.to_be_bytes(), |row| {
        *row.last_mut().unwrap() ^= 1;
    });
    let into = beside(&place, "rebuilt");
    for arguments in [
        &["verify", &folder][..],
        &["replay", &folder, "--into", &into],
    ] {
        assert_refused(arguments, 9, "entry 7 of the journal is damaged");
    }
    // What is right before it is printed.
    let done = run(&["export", &folder]);
    assert_eq!(done.status.code(), Some(9));
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(words.contains("entry 7 of the journal"), "{words}");
    assert_eq!(String::from_utf8(done.stdout).unwrap().lines().count(), 6);
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is left of a replay that failed");
}

/// Without the checksum the row tells.
#[test]
fn a_row_that_fails_its_checksum_is_named() {
    let (_place, folder, ..) = books();
    let key = 7_u64.to_be_bytes();
    let payload = Peek::open(Path::new(&folder))
        .unwrap()
        .get(Table::Journal, &key);
    let mut row = record::seal(Table::Journal, &key, payload.unwrap().unwrap());
    row[60] ^= 1;
    put(&folder, Table::Journal, &key, row);
    assert_refused(&["verify", &folder], 9, "entry 7 of the journal is damaged");
}

/// The number behind these words on standard error.
fn number_after(words: &str, told: &str) -> u64 {
    let rest = told.split(words).nth(1);
    let rest = rest.unwrap_or_else(|| panic!("{words:?} is not in {told:?}"));
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap()
}

/// A byte of a file of the engine, as a disk loses it: what lies before it is read, and the first
/// entry that is not is named.
#[test]
fn a_byte_flipped_in_a_file_of_the_journal_names_the_first_entry_that_is_gone() {
    let (place, folder, ..) = books();
    // A checkpoint has in table files what was in the log.
    let copy = beside(&place, "copy");
    let kernel = open(Path::new(&folder));
    kernel.store().checkpoint(Path::new(&copy)).unwrap();
    drop(kernel);
    said(&["verify", &copy]);
    // A table file names its column family among its properties.
    let mut of_journal = files(Path::new(&copy))
        .into_iter()
        .filter(|(path, content)| {
            let name = b"namejournal";
            path.extension().is_some_and(|end| end == "sst")
                && content.windows(name.len()).any(|part| part == name)
        });
    let (path, whole) = of_journal.next().unwrap();
    assert!(of_journal.next().is_none(), "all of it is in one file");
    let mut named = Vec::new();
    for quarter in 1..4 {
        let mut content = whole.clone();
        content[whole.len() / 4 * quarter] ^= 0x40;
        std::fs::write(&path, content).unwrap();
        let done = run(&["verify", &copy]);
        let told = String::from_utf8_lossy(&done.stderr);
        assert_eq!((done.status.code(), done.stdout.len()), (Some(9), 0));
        assert!(told.contains("damaged bytes found by"), "{told}");
        let entry = number_after("cannot be read from entry ", &told);
        // Not by the same way: each row by its key.
        let peek = Peek::open(Path::new(&copy)).unwrap();
        let reads = |seq: u64| peek.get(Table::Journal, &seq.to_be_bytes()).is_ok();
        assert!((1..entry).all(reads), "one before entry {entry}");
        assert!(!reads(entry), "entry {entry}");
        let exported = run(&["export", &copy]);
        assert_eq!(exported.status.code(), Some(9));
        let lines = String::from_utf8(exported.stdout).unwrap().lines().count();
        assert_eq!(lines as u64, entry - 1);
        named.push(entry);
    }
    assert!(
        named[0] > 1 && named.is_sorted() && named[0] < named[2],
        "{named:?}"
    );
    std::fs::write(&path, whole).unwrap();
    said(&["verify", &copy]);
}

/// The log ends there for the engine, which says nothing; that more was acknowledged does.
#[test]
fn a_byte_flipped_in_the_log_names_the_first_entry_that_is_gone() {
    let place = tempfile::tempdir().unwrap();
    let folder = beside(&place, "books");
    let mut kernel = open(Path::new(&folder));
    let sweep = LedgerCommand::Sweep.encode();
    // A commit each, in the log alone.
    for n in 1..=50 {
        let key = format!("the key of {n:04}");
        let command = command(&key, 1_000_000, LEDGER_DOMAIN, sweep.clone());
        assert_eq!(decide(&mut kernel, &command).seq, JournalSeq(n));
    }
    drop(kernel);
    said(&["verify", &folder]);
    for entry in [30, 1] {
        let wanted = format!("the key of {entry:04}");
        let find = |content: &[u8]| {
            let mut parts = content.windows(wanted.len());
            parts.position(|part| part == wanted.as_bytes())
        };
        let mut logs = files(Path::new(&folder)).into_iter().filter_map(|it| {
            let is_log = it.0.extension().is_some_and(|end| end == "log");
            find(&it.1).filter(|_| is_log).map(|at| (it, at))
        });
        let ((path, mut content), at) = logs.next().unwrap();
        content[at + 14] ^= 1;
        std::fs::write(path, content).unwrap();
        let words =
            format!("what was acknowledged is missing from entry {entry} of the journal on");
        for arguments in [
            &["verify", &folder][..],
            &["export", &folder],
            &["replay", &folder, "--into", &beside(&place, "rebuilt")],
        ] {
            assert_refused(arguments, 9, &words);
        }
    }
}

/// Here the disk takes no file of more than a few bytes.
#[cfg(unix)]
#[test]
fn an_init_that_fails_leaves_nothing_in_the_way_of_the_next() {
    let place = tempfile::tempdir().unwrap();
    let (new, empty) = (beside(&place, "new"), beside(&place, "empty"));
    std::fs::create_dir(&empty).unwrap();
    for folder in [&new, &empty] {
        let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" init \"$1\"";
        let program = env!("CARGO_BIN_EXE_khlong-gateway");
        let failed = std::process::Command::new("sh")
            .args(["-c", script, program, folder])
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{told}");
        assert!(told.contains("is refused"), "{told}");
    }
    assert!(!Path::new(&new).exists());
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    for folder in [&new, &empty] {
        said(&["init", folder]);
        said(&["verify", folder]);
    }
}

/// Money from nowhere: one balance raised, in a row with the right checksum.
#[test]
fn a_changed_view_is_out_of_balance_and_a_replay_mends_it() {
    let (place, folder, _, state) = books();
    // Of account 2, credits_posted is the last 16 bytes before `closed` and one index.
    let key = [&2_u128.to_be_bytes()[..], &ENTRIES.to_be_bytes()].concat();
    change(&folder, Table::LedgerBalance, &key, |row| row[71] ^= 0x10);
    let done = run(&["verify", "--json", &folder]);
    assert_eq!(done.status.code(), Some(9));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["assets"][0]["imbalance"], json!("16"));
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(words.contains("out by 16"), "{words}");

    let into = beside(&place, "rebuilt");
    let done = run(&["replay", "--json", &folder, "--into", &into]);
    assert_eq!(done.status.code(), Some(9));
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["replayed_state"], json!(hex(&state)));
    assert_ne!(told["state"], told["replayed_state"]);
    let mended = object(&["verify", "--json", &into]);
    assert_eq!(mended["state"], json!(hex(&state)));
    assert_eq!(mended["assets"][0]["imbalance"], json!("0"));
}

#[test]
fn what_is_no_gateways_folder_is_refused_and_nothing_is_made() {
    let place = tempfile::tempdir().unwrap();
    let [missing, empty, relay] = ["missing", "empty", "relay"].map(|it| beside(&place, it));
    std::fs::create_dir(&empty).unwrap();
    let of_relay = OpenOptions {
        role: Role::Relay,
        ..options()
    };
    drop(Store::open(Path::new(&relay), &of_relay).unwrap());
    let into = beside(&place, "rebuilt");
    for (folder, words) in [
        (&missing, "khlong-gateway init"),
        (&empty, "khlong-gateway init"),
        (&relay, "belongs to a relay"),
    ] {
        for arguments in [
            &["verify", folder][..],
            &["export", folder],
            &["replay", folder, "--into", &into],
        ] {
            assert_refused(arguments, 3, words);
        }
    }
    assert!(!Path::new(&missing).exists() && !Path::new(&into).exists());
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    assert_refused(&["init", &relay], 3, "empty folder");
}

#[test]
fn a_folder_that_a_gateway_has_is_left_to_it() {
    let (place, folder, ..) = books();
    let kernel = open(Path::new(&folder));
    let into = beside(&place, "rebuilt");
    for arguments in [
        &["verify", &folder][..],
        &["export", &folder],
        &["replay", &folder, "--into", &into],
    ] {
        let process = format!("in use by process {}", std::process::id());
        assert_refused(arguments, 3, &process);
    }
    drop(kernel);
    said(&["verify", &folder]);
}
