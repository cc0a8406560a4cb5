//! Files that pay out: written, written again, and what a bank says of them.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::books::payout::{batch_of, exported};
use khlong_store::peek::Peek;

use crate::fixture::hold;
use crate::folder::{self, TODAY, list, open, pain002, send};
use crate::program::{files, object, refused, said};
use crate::told::{self, checks_out};

pub(crate) fn export_on<'w>(day: &'w str, clearing: &'w str) -> [&'w str; 10] {
    [
        "payout",
        "export",
        "gateway",
        "--clearing",
        clearing,
        "--execution",
        day,
        "--list",
        "list.json",
        "--accept-time",
    ]
}

/// By the clock of this machine, as the program sees it.
pub(crate) fn today() -> Day {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Day::of(UnixMillis(i64::try_from(now.as_millis()).unwrap()))
}

#[test]
fn a_payout_file_is_written_again_and_a_bank_is_understood() {
    let place = told::folder();
    let at = place.path();
    let before = files(&at.join("gateway"));
    let peek = Peek::open(&at.join("gateway")).unwrap();
    let id = batch_of(&peek, 8).unwrap().unwrap();
    let known = exported(&peek, id).unwrap().unwrap();
    let id = format!("{id:032x}");
    fs::write(at.join("list.json"), list(8, "2")).unwrap();
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
    fs::write(at.join("list.json"), list(8, "3")).unwrap();
    assert_eq!(refused(at, &again).0, 9);
    for (list, code) in [(list(8, "-"), 2), ("[]".to_owned(), 2), (list(7, "2"), 1)] {
        fs::write(at.join("list.json"), &list).unwrap();
        assert_eq!(refused(at, &again).0, code, "{list}");
    }
    let eight = folder::id(8);
    // Copied from HTTP, where ids are in decimal, and batches are not.
    let copied = list(8, "2").replace(&eight, "8");
    fs::write(at.join("list.json"), &copied).unwrap();
    let (code, words) = refused(at, &again);
    assert_eq!(code, 2, "{words}");
    assert!(words.contains(&format!("that is {eight}")), "{words}");
    let mut decimal = again;
    decimal[4] = "8";
    let (code, words) = refused(at, &decimal);
    assert_eq!(code, 2, "{words}");
    assert!(
        words.contains("as in its file") && !words.contains("HTTP"),
        "{words}"
    );
    let other = [
        "payout",
        "again",
        "gateway",
        "--batch",
        &folder::id(1),
        "--list",
        "list.json",
    ];
    fs::write(at.join("list.json"), list(8, "2")).unwrap();
    assert_eq!(refused(at, &other).0, 1);
    // Of a folder's own journal no clock is asked.
    let accepted = [&again[..], &["--accept-time"]].concat();
    assert_eq!(refused(at, &accepted).0, 2);

    let rejected = "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>FF01</Cd></Rsn></StsRsnInf>";
    let report = pain002(&id, rejected, "");
    fs::write(at.join("answer.xml"), &report).unwrap();
    let answer = ["payout", "answer", "gateway", "answer.xml"];
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
    let unknown = "00000000000000000000000000000001";
    fs::write(at.join("answer.xml"), report.replace(&id, unknown)).unwrap();
    let (code, said) = refused(at, &answer);
    assert_eq!(code, 9, "{said}");
    let words = format!("no batch {unknown} was exported");
    assert!(said.contains(&words), "{said}");
    fs::write(at.join("answer.xml"), "<a/>").unwrap();
    assert_eq!(refused(at, &answer).0, 9);
    assert_eq!(files(&at.join("gateway")), before);
}

/// The folder is of a day that may lie ahead of the clock: `--accept-time` says that this was seen.
#[test]
fn a_file_leaves_once_and_what_it_pays_is_recorded() {
    let place = told::folder();
    let at = place.path();
    // 7 baht more for account 2.
    send(&mut open(at), TODAY.end().0, &[hold(9, 1, 2, 700, 0)]);
    let clearing = folder::id(2);
    fs::write(at.join("list.json"), list(9, "2")).unwrap();
    let entries = object(at, &["audit", "gateway", "--json"])["journal"]["seq"].clone();
    let today = today();
    for (day, why) in [
        ("2569-11-28".to_owned(), "Common Era"),
        (Day(today.0 - 2).to_string(), "over in Bangkok"),
        (Day(today.0 + 368).to_string(), "366 days ahead"),
    ] {
        let (code, words) = refused(at, &export_on(&day, &clearing));
        assert_eq!(code, 2, "{words}");
        assert!(words.contains(why), "{words}");
    }
    let after = object(at, &["audit", "gateway", "--json"])["journal"]["seq"].clone();
    assert_eq!(after, entries, "nothing is recorded");
    let tomorrow = today.next().to_string();
    let export = export_on(&tomorrow, &clearing);
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
    fs::write(at.join("list.json"), list(7, "2")).unwrap();
    assert_eq!(refused(at, &export).0, 1);
    checks_out(at);
}
