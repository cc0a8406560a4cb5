//! `khlong-gateway payout settle`: what the bank paid is posted, what it rejected comes back, once.

use std::fs;
use std::path::Path;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::app::postgres::mark_copy;
use khlong_gateway::domains::books::payout::{StatusReport, answered, settling_id};
use khlong_gateway::domains::books::{BOOKS_DOMAIN, BooksCommand};
use khlong_gateway::domains::ledger::{
    LEDGER_DOMAIN, LedgerCommand, Transfer, TransferFlags, account,
};
use khlong_store::engine::Durability;
use khlong_store::peek::Peek;
use khlong_store::store::Store;
use khlong_store::table::Table;
use serde_json::{Value, json};

use crate::fixture::{command, damage_journal, decide, hold, options, pay};
use crate::folder::{TODAY, ask, begun, export, id, noon, open, pain002, send};
use crate::program::{object, refused, run, said};

/// A gateway's folder with a batch of holds 8, 9 and 10, of 5, 6 and 7 baht for account 2. Returns the batch.
fn folder(place: &Path, settled_with: Option<u128>) -> String {
    let mut kernel = begun(place);
    let holds: Vec<Transfer> = (8..=10)
        .map(|id| hold(id, 1, 2, id * 100 - 300, 0))
        .collect();
    send(&mut kernel, noon(), &holds);
    let record = export(&mut kernel, noon(), TODAY, 8..=10);
    if let Some(hold) = settled_with {
        let taken = pay(settling_id(&record, hold, true, 0), 1, 2, 1);
        send(&mut kernel, noon(), &[taken]);
    }
    id(record.batch)
}

fn report(batch: &str, payments: &[(u128, &str)]) -> String {
    let payment = |(hold, status): &(u128, &str)| {
        format!(
            "<TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>{status}</TxSts></TxInfAndSts>",
            id(*hold)
        )
    };
    let payments: String = payments.iter().map(payment).collect();
    let payments = format!("<OrgnlPmtInfAndSts>{payments}</OrgnlPmtInfAndSts>");
    pain002(batch, "", &payments)
}

/// Debits held and posted of account 1.
fn debits(place: &Path) -> (u128, u128) {
    let peek = Peek::open(&place.join("gateway")).unwrap();
    let balances = account(&peek, 1).unwrap().unwrap().balances;
    (balances.debits_pending, balances.debits_posted)
}

/// What is printed although it ends with `code`; the last words say why.
fn told_with(place: &Path, code: i32, words: &str) -> Value {
    let done = run(place, &[&SETTLE[..], &["--json"]].concat());
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(code), "{told}");
    assert!(told.contains(words), "{told}");
    serde_json::from_slice(&done.stdout).unwrap()
}

const SETTLE: [&str; 5] = ["payout", "settle", "gateway", "answer.xml", "--accept-time"];

#[test]
fn what_the_bank_says_is_done_once_and_told_hold_by_hold() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let batch = folder(at, None);
    assert_eq!(debits(at), (1_800, 0));
    let said_by_bank = report(
        &batch,
        &[
            (8, "ACSC"),
            (9, "RJCT"),
            (10, "ACSP"),
            (77, "ACSC"),
            (78, "RJCT"),
        ],
    );
    fs::write(at.join("answer.xml"), &said_by_bank).unwrap();
    let told = told_with(at, 9, "0 doubtful, 0 contradicted, 2 foreign");
    let expected = [
        ("kind", json!("payout_settlement")),
        ("batch", json!(batch)),
        ("entry", json!(5)),
        ("settled_by", json!(6)),
        ("posted", json!([id(8)])),
        ("voided", json!([id(9)])),
        ("failed", json!([])),
        ("waiting", json!([id(10)])),
        ("doubtful", json!([])),
        ("settled", json!([])),
        ("contradicted", json!([])),
        ("foreign", json!([id(77), id(78)])),
    ];
    for (name, value) in expected {
        assert_eq!(told[name], value, "{name}");
    }
    assert_eq!(debits(at), (700, 500), "what was rejected came back");
    // It comes again: noted, and nothing moves.
    let again = run(at, &SETTLE);
    assert_eq!(again.status.code(), Some(9));
    let again = String::from_utf8(again.stdout).unwrap();
    let (eight, nine, ten) = (id(8), id(9), id(10));
    let expected = format!(
        "batch: {batch}\nentry: 7\nwaiting: {ten}\nsettled: {eight}\nsettled: {nine}\nforeign: {}\nforeign: {}\n",
        id(77),
        id(78)
    );
    assert_eq!(again, expected);
    assert_eq!(debits(at), (700, 500));
    // The opposite contradicts, a code that waits waits.
    fs::write(
        at.join("answer.xml"),
        report(&batch, &[(8, "RJCT"), (9, "PDNG"), (10, "PDNG")]),
    )
    .unwrap();
    let told = told_with(at, 9, "0 doubtful, 1 contradicted, 0 foreign");
    assert_eq!(told["contradicted"], json!([id(8)]));
    assert_eq!(told["waiting"], json!([id(9), id(10)]));
    assert_eq!(
        (&told["settled_by"], debits(at)),
        (&Value::Null, (700, 500))
    );
    // The last is lost, as the bank said by telephone.
    let person = [
        "payout",
        "settle",
        "gateway",
        "--batch",
        &batch,
        "--returned",
        &ten,
        "--accept-time",
    ];
    assert!(said(at, &person).contains(&format!("voided: {ten}\n")));
    assert_eq!(debits(at), (0, 500));
    let replayed = object(at, &["replay", "gateway", "--into", "rebuilt", "--json"]);
    assert_eq!(replayed["state"], replayed["replayed_state"]);
}

#[test]
fn an_answer_to_something_else_is_refused_and_leaves_no_trace() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let batch = folder(at, None);
    let head = || object(at, &["verify", "gateway", "--json"])["head"].clone();
    let before = head();
    let other = report(&batch, &[(8, "ACSC")]).replace(
        "</OrgnlMsgId>",
        "</OrgnlMsgId><OrgnlMsgNmId>pain.008\u{1b}[2J</OrgnlMsgNmId>",
    );
    for (text, expected, why) in [
        (
            report(&id(5), &[(8, "ACSC")]),
            9,
            format!("no batch {} was exported", id(5)),
        ),
        (
            other,
            9,
            "the report answers `pain.008\\u{1b}[2J`".to_owned(),
        ),
        ("<a/>".to_owned(), 9, "no pain.002.001".to_owned()),
    ] {
        fs::write(at.join("answer.xml"), text).unwrap();
        let (code, words) = refused(at, &SETTLE);
        assert_eq!(code, expected, "{words}");
        assert!(words.contains(&why), "{words}");
    }
    let eight = id(8);
    let batch_flags = ["payout", "settle", "gateway", "--batch", batch.as_str()];
    for odd in [
        &["payout", "settle", "gateway"][..],
        &batch_flags,
        &[&SETTLE[..], &["--batch", &batch, "--paid", &eight]].concat(),
        &[&SETTLE[..], &["--paid", &eight]].concat(),
        &[&batch_flags[..], &["--paid", &eight, "--returned", &eight]].concat(),
        &[&batch_flags[..], &["--paid", "8"]].concat(),
    ] {
        assert_eq!(refused(at, odd).0, 2, "{odd:?}");
    }
    // Typed by a person it names nothing, as an account may.
    let five = id(5);
    let typed = [
        &batch_flags[..4],
        &[five.as_str(), "--paid", &eight, "--accept-time"],
    ]
    .concat();
    let (code, words) = refused(at, &typed);
    assert_eq!(code, 1, "{words}");
    let (code, words) = refused(at, &["payout", "settle", "nowhere", "answer.xml"]);
    assert_eq!(
        (code, words.contains("is no pain.002.001")),
        (9, true),
        "{words}"
    );
    fs::write(at.join("answer.xml"), report(&batch, &[(8, "ACSC")])).unwrap();
    assert_eq!(
        refused(at, &["payout", "settle", "nowhere", "answer.xml"]).0,
        3
    );
    // While another process has the folder nothing is done.
    let store = Store::open(&at.join("gateway"), &options()).unwrap();
    let (code, words) = refused(at, &SETTLE);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("is in use by process"), "{words}");
    drop(store);
    assert_eq!((head(), debits(at)), (before, (1_800, 0)));
}

/// Each cause has the code that it has everywhere (`DOMAINS.md`), so that a script knows whom to call.
#[test]
fn each_way_in_which_it_ends_has_its_code() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let batch = folder(at, None);
    let answer = |payments: &[(u128, &str)]| {
        fs::write(at.join("answer.xml"), report(&batch, payments)).unwrap();
    };
    // All is done, or waits.
    answer(&[(8, "ACSP"), (9, "ACSP"), (10, "ACSP")]);
    said(at, &SETTLE);
    // A person must look.
    let doubtful = report(&batch, &[(10, "RJCT")]).replace(
        "</TxSts>",
        "</TxSts><StsRsnInf><Rsn><Cd>DUPL</Cd></Rsn></StsRsnInf>",
    );
    fs::write(at.join("answer.xml"), doubtful).unwrap();
    told_with(at, 9, "1 doubtful, 0 contradicted, 0 foreign");
    // The ledger does not take it: account 1 is closed. Some of it is somebody else's too.
    {
        let mut kernel = open(at);
        let close = Transfer {
            flags: TransferFlags::PENDING.with(TransferFlags::CLOSING_DEBIT),
            ..hold(70, 1, 2, 0, 0)
        };
        kernel.accept_time(kernel.applied().time).unwrap();
        let close = LedgerCommand::CreateTransfers(vec![close]).encode();
        let at = kernel.applied().time.0;
        decide(&mut kernel, &command("close", at, LEDGER_DOMAIN, close));
    }
    answer(&[(8, "ACSC"), (77, "ACSC")]);
    let told = told_with(at, 1, "1 holds were not settled, see `failed`");
    let failed = format!("{} debit_account_already_closed", id(8));
    assert_eq!(told["failed"], json!([failed]));
    assert_eq!(debits(at), (1_800, 0));
    // Words that are none.
    let none = ["payout", "settle", "gateway", "--batch", &batch, "--paid"];
    assert_eq!(refused(at, &none).0, 2);
    assert_eq!(refused(at, &["payout", "settle", "gateway", "no.xml"]).0, 1);
    // The clock stands years before the journal.
    {
        let mut kernel = open(at);
        let late = TODAY.start().0 + 10 * 365 * 86_400_000;
        kernel.accept_time(UnixMillis(late)).unwrap();
        let sweep = LedgerCommand::Sweep.encode();
        decide(&mut kernel, &command("late", late, LEDGER_DOMAIN, sweep));
    }
    let (code, words) = refused(at, &SETTLE[..4]);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("--accept-time"), "{words}");
    told_with(at, 1, "see `failed`");
    // Its journal lies elsewhere; and it is of a newer release.
    let mut store = Store::open(&at.join("gateway"), &options()).unwrap();
    mark_copy(&mut store).unwrap();
    drop(store);
    let (code, words) = refused(at, &SETTLE);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("with --config"), "{words}");
    let mut store = Store::open(&at.join("gateway"), &options()).unwrap();
    let mut batch = store.batch();
    let newer = 99_u32.to_be_bytes().to_vec();
    batch.put(Table::Meta, b"schema".to_vec(), newer).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    drop(store);
    assert_eq!(refused(at, &SETTLE).0, 8);
}

#[test]
fn a_damaged_folder_ends_it_with_9_and_nothing_is_done() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let batch = folder(at, None);
    fs::write(at.join("answer.xml"), report(&batch, &[(8, "ACSC")])).unwrap();
    damage_journal(&at.join("gateway"));
    let (code, words) = refused(at, &SETTLE);
    assert_eq!(code, 9, "{words}");
    assert!(words.contains("entry 2 of the journal"), "{words}");
    assert_eq!(debits(at), (1_800, 0));
}

/// Somebody took the id under which hold 8 is posted; and an earlier answer fell between its two commands.
#[test]
fn an_answer_that_fell_in_between_is_carried_out_by_the_next_one() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let batch = folder(at, Some(8));
    let paid = report(&batch, &[(8, "ACSC"), (9, "ACSC"), (10, "RJCT")]);
    fs::write(at.join("answer.xml"), &paid).unwrap();
    {
        let mut kernel = open(at);
        let bank = StatusReport::parse(paid.as_bytes()).unwrap();
        let (_, noted) = answered(kernel.store(), &bank).unwrap();
        let noted = BooksCommand::AnswerPayouts(noted).encode();
        ask(&mut kernel, noon(), BOOKS_DOMAIN, noted);
    }
    assert_eq!(debits(at), (1_800, 1));
    let done = run(at, &SETTLE);
    assert!(done.status.success(), "{done:?}");
    let words = String::from_utf8(done.stdout).unwrap();
    for line in [
        format!("posted: {}\n", id(8)),
        format!("posted: {}\n", id(9)),
        format!("voided: {}\n", id(10)),
    ] {
        assert!(words.contains(&line), "{words}");
    }
    assert_eq!(debits(at), (0, 1 + 500 + 600));
}
