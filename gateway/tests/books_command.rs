//! `khlong-gateway statement`, `reconcile`, `payout` and `audit` on a real folder: what they print, what they refuse and
//! with which exit code, that they change nothing, and what they record when they are asked to.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use fixture::{JOURNAL, command, decide, hold, opening, options, pay};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::all;
use khlong_gateway::domains::books::payout::{
    AccountNumber, Agent, Creditor, Debtor, PayoutBatch, PayoutFormat, Text140, batch_of, exported,
};
use khlong_gateway::domains::books::reconciliation::recorded;
use khlong_gateway::domains::books::{BOOKS_DOMAIN, BooksCommand, Day};
use khlong_gateway::domains::ledger::{LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::identity::Role;
use khlong_store::peek::Peek;
use khlong_store::store::{OpenOptions, Store};
use program::{object, refused, said};

const TODAY: Day = Day(20_784);
const ID_1: &str = "00000000000000000000000000000001";
const ID_7: &str = "00000000000000000000000000000007";
const ID_2: &str = "00000000000000000000000000000002";

/// A gateway's folder in which 12.34 baht went from account 1 to 2, yesterday, and the day is closed.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("gateway"), &options()).unwrap();
    let mut kernel = Kernel::open(store, all(), Logic::CURRENT, JOURNAL).unwrap();
    let noon = TODAY.start().0 + 12 * 3_600_000;
    let paid = LedgerCommand::CreateTransfers(vec![pay(7, 1, 2, 1_234)]);
    let [assets, accounts] = opening(2);
    for (n, ledger) in [assets, accounts, paid].iter().enumerate() {
        let asked = command(&n.to_string(), noon, LEDGER_DOMAIN, ledger.encode());
        ask(&mut kernel, &asked);
    }
    let close = BooksCommand::CloseDay(TODAY).encode();
    ask(
        &mut kernel,
        &command("close", TODAY.end().0, BOOKS_DOMAIN, close),
    );
    // The day after, 5 baht are held for account 2, and a file that pays them out is recorded.
    let held = LedgerCommand::CreateTransfers(vec![hold(8, 1, 2, 500, 0)]).encode();
    ask(
        &mut kernel,
        &command("hold", TODAY.end().0, LEDGER_DOMAIN, held),
    );
    let export = BooksCommand::ExportPayouts(batch(&kernel).record(PayoutFormat::Pain001).unwrap());
    ask(
        &mut kernel,
        &command("export", TODAY.end().0, BOOKS_DOMAIN, export.encode()),
    );
    folder
}

/// By the clock of this machine, as the program sees it.
fn today() -> Day {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Day::of(UnixMillis(i64::try_from(now.as_millis()).unwrap()))
}

/// Somebody has looked at the clock: hours pass between two commands.
fn ask(kernel: &mut Kernel, asked: &khlong_gateway::kernel::Command) {
    kernel.accept_time(asked.admitted_at).unwrap();
    decide(kernel, asked);
}

fn batch(kernel: &Kernel) -> PayoutBatch {
    let name = |name| Text140::new(name).unwrap();
    let account = |number| AccountNumber::new(number).unwrap();
    let debtor = Debtor {
        name: name("Khlong"),
        account: account("1"),
        agent: Agent::new("KASITHBK").unwrap(),
    };
    let creditor = Creditor {
        name: name("ร้าน"),
        account: account("2"),
        agent: Agent::new("004").unwrap(),
        remittance: None,
    };
    let at = UnixMillis(TODAY.end().0);
    PayoutBatch::new(
        kernel.store(),
        debtor,
        2,
        at,
        TODAY.next(),
        vec![(8, creditor)],
    )
    .unwrap()
}

/// Every file and its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
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
        (&nobody, "2026-11-27", 1, &nobody),
    ];
    for (account, from, expected, why) in cases {
        let asked = ["statement", "gateway", "--account", account, "--from", from];
        let (code, said) = refused(at, &[&asked[..], &["--to", "2026-11-27"]].concat());
        assert_eq!(code, expected, "{said}");
        assert!(said.contains(why), "{said}");
    }
    let odd = [&["statement", "--after", "x"], &ASK[..7]].concat();
    assert_eq!(refused(at, &odd).0, 2);
    let (code, _) = refused(at, &["audit", "nowhere"]);
    assert_ne!(code, 0);
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
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is no folder of a gateway"), "{said}");
}

#[test]
fn a_payout_file_is_written_again_and_a_bank_is_understood() {
    let folder = folder();
    let at = folder.path();
    let before = files(&at.join("gateway"));
    let peek = Peek::open(&at.join("gateway")).unwrap();
    let id = batch_of(&peek, 8).unwrap().unwrap();
    let known = exported(&peek, id).unwrap().unwrap();
    let id = format!("{id:032x}");
    let list = |account: &str| {
        format!(
            r#"{{"debtor": {{"name": "Khlong", "account": "1", "bank": "KASITHBK"}},
                "creditors": [{{"transfer": "{}8", "name": "ร้าน", "account": "{account}", "bank": "004"}}]}}"#,
            "0".repeat(31)
        )
    };
    fs::write(at.join("list.json"), list("2")).unwrap();
    let again = [
        "payout",
        "again",
        "gateway",
        "--batch",
        &id,
        "--list",
        "list.json",
    ];
    let file = said(at, &again);
    assert_eq!(blake3::hash(file.as_bytes()), known.record.file_digest);
    assert!(file.contains("<CtrlSum>5.00</CtrlSum>"), "{file}");
    assert_eq!(
        object(at, &[&again[..], &["--json"]].concat())["file"],
        file
    );
    // Somebody else's account is another file.
    fs::write(at.join("list.json"), list("3")).unwrap();
    assert_eq!(refused(at, &again).0, 9);
    for (list, code) in [
        (list("-"), 2),
        ("[]".to_owned(), 2),
        (list("2").replace("8\"", "7\""), 1),
    ] {
        fs::write(at.join("list.json"), &list).unwrap();
        assert_eq!(refused(at, &again).0, code, "{list}");
    }
    let other = [
        "payout",
        "again",
        "gateway",
        "--batch",
        ID_1,
        "--list",
        "list.json",
    ];
    fs::write(at.join("list.json"), list("2")).unwrap();
    assert_eq!(refused(at, &other).0, 1);

    let report = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{id}</OrgnlMsgId><GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf></OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>"
    );
    fs::write(at.join("answer.xml"), &report).unwrap();
    let answer = ["payout", "answer", "gateway", "answer.xml"];
    let eight = "0".repeat(31) + "8";
    assert_eq!(said(at, &answer), format!("batch: {id}\nvoids: {eight}\n"));
    assert_eq!(
        object(at, &[&answer[..], &["--json"]].concat())["voids"][0],
        eight.as_str()
    );
    let twice = report.replace("FF01", "DU01");
    fs::write(at.join("answer.xml"), twice).unwrap();
    assert_eq!(
        said(at, &answer),
        format!("batch: {id}\ndoubtful: {eight}\n")
    );
    let other = report.replace(
        "</OrgnlMsgId>",
        "</OrgnlMsgId><OrgnlMsgNmId>pain.008</OrgnlMsgNmId>",
    );
    fs::write(at.join("answer.xml"), other).unwrap();
    assert_eq!(refused(at, &answer).0, 9);
    fs::write(at.join("answer.xml"), "<a/>").unwrap();
    assert_eq!(refused(at, &answer).0, 9);
    assert_eq!(files(&at.join("gateway")), before);
}

/// Holds 7 baht more for account 2.
fn hold_more(at: &Path) {
    let store = Store::open(&at.join("gateway"), &options()).unwrap();
    let mut kernel = Kernel::open(store, all(), Logic::CURRENT, JOURNAL).unwrap();
    let held = LedgerCommand::CreateTransfers(vec![hold(9, 1, 2, 700, 0)]).encode();
    ask(
        &mut kernel,
        &command("more", TODAY.end().0, LEDGER_DOMAIN, held),
    );
}

/// The folder is of a day that may lie ahead of the clock: `--accept-time` says that this was seen.
#[test]
fn what_is_asked_for_is_recorded_and_checks_out() {
    let folder = folder();
    let at = folder.path();
    hold_more(at);
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

    let list = |hold: &str| {
        format!(
            r#"{{"debtor": {{"name": "Khlong", "account": "1", "bank": "KASITHBK"}},
                "creditors": [{{"transfer": "{}{hold}", "name": "ร้าน", "account": "2", "bank": "004"}}]}}"#,
            "0".repeat(31)
        )
    };
    let on = |day: &'static str| {
        [
            "payout",
            "export",
            "gateway",
            "--clearing",
            ID_2,
            "--execution",
            day,
            "--list",
            "list.json",
            "--accept-time",
        ]
    };
    fs::write(at.join("list.json"), list("9")).unwrap();
    let entries = object(at, &["audit", "gateway", "--json"])["journal"]["seq"].clone();
    let today = today();
    for (day, why) in [
        ("2569-11-28".to_owned(), "Common Era"),
        (Day(today.0 - 2).to_string(), "over in Bangkok"),
        (Day(today.0 + 368).to_string(), "366 days ahead"),
    ] {
        let day: &'static str = day.leak();
        let (code, words) = refused(at, &on(day));
        assert_eq!(code, 2, "{words}");
        assert!(words.contains(why), "{words}");
    }
    let after = object(at, &["audit", "gateway", "--json"])["journal"]["seq"].clone();
    assert_eq!(after, entries, "nothing is recorded");
    let tomorrow: &'static str = today.next().to_string().leak();
    let export = on(tomorrow);
    let file = said(at, &export);
    assert!(file.contains("<CtrlSum>7.00</CtrlSum>"), "{file}");
    let peek = Peek::open(&at.join("gateway")).unwrap();
    let id = batch_of(&peek, 9).unwrap().unwrap();
    let kept = exported(&peek, id).unwrap().unwrap();
    drop(peek);
    assert_eq!(blake3::hash(file.as_bytes()), kept.record.file_digest);
    // It leaves once; `again` writes it for who knows what he does.
    let (code, words) = refused(at, &export);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("was recorded before"), "{words}");
    let id = format!("{id:032x}");
    let again = [
        "payout",
        "again",
        "gateway",
        "--batch",
        &id,
        "--list",
        "list.json",
    ];
    assert_eq!(said(at, &again), file);
    fs::write(at.join("list.json"), list("7")).unwrap();
    assert_eq!(refused(at, &export).0, 1);
    // All of it is in the journal, and follows from it.
    let replayed = object(at, &["replay", "gateway", "--into", "rebuilt", "--json"]);
    assert_eq!(replayed["state"], replayed["replayed_state"]);
    assert_eq!(
        object(at, &["audit", "gateway", "--json"])["close"]["records"],
        1
    );
}
