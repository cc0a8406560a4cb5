//! Statements, comparisons and audit tables, which change nothing.

use std::fs;
use std::path::Path;

use khlong_gateway::domains::books::reconciliation::recorded;
use khlong_gateway::domains::books::{BOOKS_DOMAIN, BooksCommand};
use khlong_store::identity::Role;
use khlong_store::peek::Peek;
use khlong_store::store::{OpenOptions, Store};

use crate::fixture::{hold, options, pay};
use crate::folder::{TODAY, ask, begun, export, noon, send};
use crate::program::{files, object, refused, said};

const ID_1: &str = "00000000000000000000000000000001";
const ID_7: &str = "00000000000000000000000000000007";
const ID_2: &str = "00000000000000000000000000000002";

/// A gateway's folder in which 12.34 baht went from account 1 to 2, yesterday, and the day is closed.
/// The day after, 5 baht are held for account 2, and a file that pays them out is recorded.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut kernel = begun(folder.path());
    send(&mut kernel, noon(), &[pay(7, 1, 2, 1_234)]);
    let end = TODAY.end().0;
    let close = BooksCommand::CloseDay(TODAY).encode();
    ask(&mut kernel, end, BOOKS_DOMAIN, close);
    send(&mut kernel, end, &[hold(8, 1, 2, 500, 0)]);
    export(&mut kernel, end, TODAY.next(), [8]);
    folder
}

const ASK: [&str; 8] = [
    "gateway",
    "--account",
    ID_2,
    "--from",
    "2026-11-27",
    "--to",
    "2026-11-27",
    "--json",
];

#[test]
fn the_books_are_told_and_nothing_in_the_folder_changes() {
    let folder = folder();
    let at = folder.path();
    let before = files(&at.join("gateway"));
    let told = object(at, &[&["statement"], &ASK[..]].concat());
    assert_eq!(told["closing"]["balance"], "12.34");
    assert_eq!(told["closing"]["date"], "27 พ.ย. 2569");
    assert_eq!(told["close"]["day"], "2026-11-27");
    let csv = said(
        at,
        &[&["statement", "--language", "en"], &ASK[..7]].concat(),
    );
    assert!(csv.starts_with("Date,Time,Entry,"), "{csv}");
    let line = format!("Transfer,{ID_7},{ID_1},,12.34,");
    assert!(csv.contains(&line), "{csv}");
    let none = said(
        at,
        &[
            &["statement", "--after", "3-0", "--language", "en"],
            &ASK[..7],
        ]
        .concat(),
    );
    assert_eq!(none.lines().count(), 2, "{none}");

    let bank = format!("date,time,amount,reference,direction\n2026-11-27,12:00,12.35,{ID_7},out\n");
    fs::write(at.join("bank.csv"), bank).unwrap();
    let told = object(
        at,
        &[&["reconcile"], &ASK[..1], &["bank.csv"], &ASK[1..]].concat(),
    );
    assert_eq!(told["differences"][0]["kind"], "one_satang");
    assert_eq!(told["differences"][0]["difference"], "-0.01");
    let text = said(
        at,
        &[&["reconcile"], &ASK[..1], &["bank.csv"], &ASK[1..7]].concat(),
    );
    assert!(
        text.contains("\nOne satang off, bank less ledger -0.01\n"),
        "{text}"
    );

    let told = object(at, &["audit", "gateway", "--into", "tables", "--json"]);
    assert_eq!(told["journal"]["seq"], 6);
    assert_eq!(told["close"]["records"], 1);
    let tables = files(&at.join("tables"));
    assert_eq!(tables.len(), 2);
    #[cfg(unix)]
    for path in tables.keys() {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path:?}");
    }
    let csv = &tables[&at.join("tables/journal.csv")];
    assert_eq!(csv.iter().filter(|byte| **byte == b'\n').count(), 7);
    let text = said(at, &["audit", "gateway"]);
    assert!(text.starts_with("journal: 6 entries, "), "{text}");
    assert!(text.contains("\nclosed: to 2026-11-27, "), "{text}");
    assert_eq!(files(&at.join("gateway")), before);
}

#[test]
fn what_cannot_be_told_has_an_exit_code_and_says_why() {
    let folder = folder();
    let at = folder.path();
    let nobody = "0".repeat(31) + "9";
    let cases = [
        ("1", "2026-11-27", 2, "32 hexadecimal digits"),
        ("1", "2026-11-27", 2, ID_1),
        ("+1", "2026-11-27", 2, "32 hexadecimal digits\n"),
        (ID_1, "2569-02-30", 2, "as 2026-11-27"),
        (ID_1, "27.11.2026", 2, "as 2026-11-27"),
        (ID_1, "1969-12-31", 2, "as 2026-11-27"),
        (ID_1, "2026-11-28", 2, "2026-11-28 is after 2026-11-27"),
        (ID_1, "2569-11-27", 2, "is after"),
        (&nobody, "2026-11-27", 1, &nobody),
    ];
    for (account, from, expected, why) in cases {
        let asked = ["statement", "gateway", "--account", account, "--from", from];
        let (code, said) = refused(at, &[&asked[..], &["--to", "2026-11-27"]].concat());
        assert_eq!(code, expected, "{said}");
        assert!(said.contains(why), "{said}");
    }
    // Thai years by habit: an empty statement would look like one without payments.
    let (code, said) = refused(
        at,
        &[
            "statement",
            "gateway",
            "--account",
            ID_1,
            "--from",
            "2569-11-27",
            "--to",
            "2569-11-27",
        ],
    );
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("Common Era"), "{said}");
    let odd = [&["statement", "--after", "x"], &ASK[..7]].concat();
    assert_eq!(refused(at, &odd).0, 2);
    let (code, said) = refused(at, &["audit", "nowhere"]);
    assert_eq!(code, 3, "{said}");
    // Of a bank's file every bad line is named.
    fs::write(
        at.join("bank.csv"),
        "date,time,amount,reference,direction\n\n2026-11-27,12:00,1,,in\n",
    )
    .unwrap();
    let compare = |to| [&["reconcile"], &ASK[..1], &["bank.csv"], &ASK[1..6], &[to]].concat();
    let (code, said) = refused(at, &compare("2026-11-27"));
    assert_eq!(code, 9, "{said}");
    assert!(
        said.contains("line 2: ") && said.contains("line 3: "),
        "{said}"
    );
    fs::write(
        at.join("bank.csv"),
        "date,time,amount,reference,direction\n",
    )
    .unwrap();
    let (code, said) = refused(at, &compare("2026-11-28"));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("2026-11-28 is not closed yet"), "{said}");
    let missing = [&["reconcile"], &ASK[..1], &["no.csv"], &ASK[1..7]].concat();
    assert_eq!(refused(at, &missing).0, 1);
    // Nothing is overwritten, and what a failed call made is gone.
    fs::create_dir(at.join("tables")).unwrap();
    fs::write(at.join("tables/journal.parquet"), "mine").unwrap();
    let (code, said) = refused(at, &["audit", "gateway", "--into", "tables"]);
    assert_eq!(code, 3, "{said}");
    assert_eq!(
        fs::read(at.join("tables/journal.parquet")).unwrap(),
        b"mine"
    );
    assert_eq!(files(&at.join("tables")).len(), 1);
}

#[test]
fn a_folder_of_a_relay_is_none_of_a_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let relay = OpenOptions {
        role: Role::Relay,
        ..options()
    };
    drop(Store::open(&folder.path().join("gateway"), &relay).unwrap());
    let (code, said) = refused(folder.path(), &["audit", "gateway"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("is no folder of a gateway"), "{said}");
}

/// The folder is of a day that may lie ahead of the clock: `--accept-time` says that this was seen.
#[test]
fn a_comparison_is_recorded_when_that_is_asked_for() {
    let folder = folder();
    let at = folder.path();
    let bank = format!("date,time,amount,reference,direction\n2026-11-27,12:00,12.35,{ID_7},out\n");
    fs::write(at.join("bank.csv"), bank).unwrap();
    let compare = [&["reconcile"], &ASK[..1], &["bank.csv"], &ASK[1..]].concat();
    let told = object(at, &compare);
    let record = [&compare[..], &["--record", "--accept-time"]].concat();
    assert_eq!(object(at, &record), told);
    let report = told["report"].as_str().unwrap();
    let report: [u8; 32] = blake3::Hash::from_hex(report).unwrap().into();
    let peek = Peek::open(&at.join("gateway")).unwrap();
    let kept = recorded(&peek, &report).unwrap().unwrap();
    assert_eq!((kept.record.matched, kept.record.differences), (0, 1));
    drop(peek);
    // Again: it is the first record that stays.
    object(at, &record);
    let peek = Peek::open(&at.join("gateway")).unwrap();
    assert_eq!(recorded(&peek, &report).unwrap().unwrap(), kept);
    drop(peek);
    checks_out(at);
}

/// All of it is in the journal, and follows from it.
pub(crate) fn checks_out(at: &Path) {
    let replayed = object(at, &["replay", "gateway", "--into", "rebuilt", "--json"]);
    assert_eq!(replayed["state"], replayed["replayed_state"]);
    assert_eq!(
        object(at, &["audit", "gateway", "--json"])["close"]["records"],
        1
    );
}

/// As one of another user is: whoever may not look into a folder does not know that nothing is there.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_looked_into_is_not_told_as_empty() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    fs::create_dir(at.join("gateway")).unwrap();
    // For root too, who may read everything.
    std::os::unix::fs::symlink("db", at.join("gateway/db")).unwrap();
    let commands: [&[&str]; 6] = [
        &["verify", "gateway"],
        &["export", "gateway"],
        &["close", "gateway"],
        &["audit", "gateway"],
        &["backup", "create", "gateway", "copy"],
        &["replay", "gateway", "--into", "rebuilt"],
    ];
    for command in commands {
        let (code, said) = refused(at, command);
        assert_eq!(code, 1, "{command:?}: {said}");
        assert!(said.contains("look into"), "{command:?}: {said}");
        assert!(!said.contains("init"), "{command:?}: {said}");
    }
}
