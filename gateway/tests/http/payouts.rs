//! An operator pays out, and the bank says what became of it.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::payout::{StatusReport, answered, exported, settling_id};
use khlong_gateway::domains::books::{BOOKS_DOMAIN, BooksCommand};
use khlong_gateway::kernel::Command;
use khlong_store::engine::memory::MemoryDisk;
use serde_json::{Value, json};

use crate::office::{ask, hex, on_the_next_day, refused};
use crate::server::{Server, pay, set_up};

pub(crate) const PAYOUTS: &str = "/v1/books/payouts";

/// Holds 41 to 43 of shops 3 and 4 wait for the clearing account, which is 5.
pub(crate) fn held() -> (MemoryDisk, Server) {
    let disk = MemoryDisk::new();
    let server = on_the_next_day(&disk);
    set_up(server.address, 5);
    let hold = |id: u64, from: u32, amount: u64| {
        let mut hold = pay(id, from, 5, amount);
        hold["flags"] = json!(["pending"]);
        hold
    };
    let all = json!([
        pay(51, 1, 3, 100_000),
        pay(52, 1, 4, 100_000),
        hold(41, 3, 12_345),
        hold(42, 4, 100),
        hold(43, 3, 5),
    ]);
    assert!(
        server
            .send("holds", all)
            .results()
            .iter()
            .all(|it| it == "ok")
    );
    (disk, server)
}

/// The batch in which these are sent.
pub(crate) fn sent(server: &Server, transfers: &[u64]) -> String {
    let told = ask(server, PAYOUTS, "28 Nov", &payouts(transfers, "1")).json();
    told["batch"].as_str().unwrap().to_owned()
}

pub(crate) fn payouts(transfers: &[u64], account: &str) -> Value {
    let creditor = |id: &u64| {
        json!({ "transfer_id": id.to_string(), "name": "ร้านก๋วยเตี๋ยวเรือ", "account": account,
            "bank": "004", "remittance": "Sales" })
    };
    json!({
        "clearing_account_id": "5",
        "created_at": "2026-11-28T09:00:00+07:00",
        "execution": "2026-11-28",
        "format": "pain001",
        "debtor": { "name": "Khlong", "account": "9876543210", "bank": "KASITHBK" },
        "creditors": transfers.iter().map(creditor).collect::<Vec<_>>(),
    })
}

pub(crate) fn report(batch: &str, payments: &[(u64, &str)]) -> String {
    let payment = |(id, status): &(u64, &str)| {
        format!(
            "<TxInfAndSts><OrgnlEndToEndId>{}</OrgnlEndToEndId><TxSts>{status}</TxSts><StsRsnInf><Rsn><Cd>AC01</Cd></Rsn></StsRsnInf></TxInfAndSts>",
            hex(*id)
        )
    };
    let payments: String = payments.iter().map(payment).collect();
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{batch}</OrgnlMsgId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>{payments}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    )
}

pub(crate) fn answers(batch: &str) -> String {
    format!("{PAYOUTS}/{batch}/answers")
}

#[test]
fn a_batch_is_recorded_then_its_file_leaves_under_one_key() {
    let (disk, server) = held();
    let first = ask(&server, PAYOUTS, "28 Nov", &payouts(&[43, 41], "1"));
    assert_eq!(first.status, 200, "{first:?}");
    let told = first.json();
    let file = told["file"].as_str().unwrap();
    assert_eq!(
        (&told["sum"], &told["payments"]),
        (&json!("12350"), &json!(2))
    );
    assert!(file.contains("<CtrlSum>123.50</CtrlSum>"), "{file}");
    let digest = blake3::hash(file.as_bytes()).to_hex().to_string();
    assert_eq!(told["file_digest"], digest);
    assert!(file.contains(told["batch"].as_str().unwrap()));
    // The answer was lost, and the gateway fell.
    server.stop().unwrap();
    let server = on_the_next_day(&disk);
    let again = ask(&server, PAYOUTS, "28 Nov", &payouts(&[43, 41], "1"));
    assert_eq!((again.status, &again.body), (200, &first.body));
    // Somebody else does not get a file that may have left.
    let twice = ask(
        &server,
        PAYOUTS,
        "28 Nov, once more",
        &payouts(&[41, 43], "1"),
    );
    refused(&twice, 409, "payout-recorded");
    let cases = [
        (payouts(&[41, 43], "2"), "payout-refused"),
        (payouts(&[41, 42], "1"), "payout-refused"),
        (payouts(&[51], "1"), "payout-refused"),
        (payouts(&[99], "1"), "payout-refused"),
        (payouts(&[42, 42], "1"), "payout-refused"),
        (payouts(&[42], "1-2"), "payout-refused"),
    ];
    for (n, (body, problem)) in cases.iter().enumerate() {
        let reply = ask(&server, PAYOUTS, &format!("odd {n}"), body);
        refused(&reply, 422, problem);
    }
    let reused = ask(&server, PAYOUTS, "28 Nov", &payouts(&[42], "1"));
    refused(&reused, 422, "idempotency-key-reused");
    for (field, value) in [
        ("created_at", "yesterday"),
        ("execution", "28 Nov"),
        ("format", "xls"),
    ] {
        let mut body = payouts(&[42], "1");
        body[field] = json!(value);
        refused(
            &ask(&server, PAYOUTS, field, &body),
            400,
            "malformed-request",
        );
    }
    let mut csv = payouts(&[42], "1");
    csv["format"] = json!("csv");
    let told = ask(&server, PAYOUTS, "csv", &csv).json();
    assert!(
        told["file"].as_str().unwrap().starts_with("batch,"),
        "{told}"
    );
    server.stop().unwrap();
}

#[test]
fn a_bank_posts_what_it_paid_and_gives_back_what_it_refused() {
    let (disk, server) = held();
    let batch = sent(&server, &[41, 42, 43]);
    let said = report(
        &batch,
        &[(41, "ACSC"), (42, "RJCT"), (43, "ACSP"), (7, "ACSC")],
    );
    let body = json!({ "report": said });
    let first = ask(&server, &answers(&batch), "bank 1", &body);
    assert_eq!(first.status, 200, "{first:?}");
    let told = first.json();
    assert_eq!(
        (&told["posted"], &told["voided"]),
        (&json!(["41"]), &json!(["42"]))
    );
    assert_eq!(
        (&told["waiting"], &told["failed"]),
        (&json!(["43"]), &json!([]))
    );
    assert_eq!(told["foreign"], json!([hex(7)]));
    assert_eq!(told["settled_by"], told["entry"].as_u64().unwrap() + 1);
    assert_eq!(server.balance(5, "credits_posted"), "12345");
    assert_eq!(server.balance(5, "credits_pending"), "5");
    assert_eq!(server.balance(4, "debits_pending"), "0");
    // Twice, and after a restart: nothing moves, the same bytes.
    let head = server.get("/v1/journal/head").body;
    assert_eq!(
        ask(&server, &answers(&batch), "bank 1", &body).body,
        first.body
    );
    server.stop().unwrap();
    let server = on_the_next_day(&disk);
    let again = ask(&server, &answers(&batch), "bank 1", &body);
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(server.get("/v1/journal/head").body, head);
    // The file is not given out again: what came back must not be paid.
    let again = ask(&server, PAYOUTS, "28 Nov", &payouts(&[41, 42, 43], "1"));
    refused(&again, 409, "payout-settled");
    // Under another key it is read again, and says what was done.
    let told = ask(&server, &answers(&batch), "bank 1, again", &body).json();
    assert_eq!(
        (&told["settled"], &told["posted"]),
        (&json!(["41", "42"]), &json!([]))
    );
    assert_eq!(told["settled_by"], Value::Null);
    assert_eq!(server.balance(5, "credits_posted"), "12345");

    let other = json!({ "report": report(&batch, &[(43, "RJCT")]) });
    refused(
        &ask(&server, &answers(&batch), "bank 1", &other),
        422,
        "idempotency-key-reused",
    );
    let elsewhere = answers(&hex(5));
    refused(
        &ask(&server, &elsewhere, "elsewhere", &body),
        422,
        "report-refused",
    );
    let unknown = json!({ "report": report(&hex(5), &[]) });
    refused(
        &ask(&server, &elsewhere, "unknown", &unknown),
        404,
        "not-found",
    );
    let nothing = json!({ "report": "<a/>" });
    refused(
        &ask(&server, &answers(&batch), "none", &nothing),
        422,
        "report-refused",
    );
    refused(
        &ask(&server, &answers("1"), "no id", &body),
        400,
        "malformed-request",
    );
    server.stop().unwrap();
}

/// What the route does first.
pub(crate) fn note(server: &Server, said: &str, key: &str) {
    let parsed = StatusReport::parse(said.as_bytes()).unwrap();
    let read = server
        .handle
        .begin_read(move |committed| answered(committed.store, &parsed));
    let (_, noted) = read.unwrap().blocking_recv().unwrap().unwrap();
    let command = Command {
        caller: b"desk".to_vec(),
        scope: b"POST /v1/books/payouts/{id}/answers".to_vec(),
        key: key.as_bytes().to_vec(),
        admitted_at: UnixMillis(0),
        domain: BOOKS_DOMAIN,
        body: BooksCommand::AnswerPayouts(noted).encode(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(server.handle.write(command)).unwrap();
}

/// The gateway falls when it has noted a report and not yet asked the ledger.
#[test]
fn a_report_that_was_noted_and_not_carried_out_is_carried_out_by_its_retry() {
    let (disk, server) = held();
    let batch = sent(&server, &[41, 42, 43]);
    let said = report(&batch, &[(41, "ACSC"), (42, "RJCT"), (43, "ACSC")]);
    note(&server, &said, "bank 1");
    server.stop().unwrap();
    let server = on_the_next_day(&disk);
    assert_eq!(server.balance(5, "credits_posted"), "0");
    // Meanwhile the same came under another key, and was carried out.
    let body = json!({ "report": said });
    let other = ask(&server, &answers(&batch), "bank 1 by phone", &body).json();
    assert_eq!(other["posted"], json!(["41", "43"]));
    let told = ask(&server, &answers(&batch), "bank 1", &body).json();
    assert_eq!(
        (&told["posted"], &told["voided"]),
        (&json!(["41", "43"]), &json!(["42"]))
    );
    assert_eq!(told["failed"], json!([]));
    assert_eq!(server.balance(5, "credits_posted"), "12350");
    assert_eq!(server.balance(5, "credits_pending"), "0");
    server.stop().unwrap();
}

/// Its answer was lost, and the bank rejected a payment before the retry: the shop has its money back.
#[test]
fn a_file_does_not_leave_once_a_hold_of_it_came_back() {
    let (_, server) = held();
    let body = payouts(&[41, 42], "1");
    let first = ask(&server, PAYOUTS, "28 Nov", &body);
    assert_eq!(first.status, 200, "{first:?}");
    let batch = first.json()["batch"].as_str().unwrap().to_owned();
    let back = json!({ "report": report(&batch, &[(42, "RJCT")]) });
    let told = ask(&server, &answers(&batch), "bank", &back).json();
    assert_eq!(told["voided"], json!(["42"]));
    let head = server.get("/v1/journal/head").body;
    for _ in 0..2 {
        let retry = ask(&server, PAYOUTS, "28 Nov", &body);
        refused(&retry, 409, "payout-settled");
        let told = retry.json();
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.starts_with("transfer 42 is settled"), "{detail}");
        // Where to say `returned` of the others.
        assert!(detail.contains(&batch), "{detail}");
        assert!(!retry.body.contains("CtrlSum"), "{retry:?}");
    }
    let other = ask(&server, PAYOUTS, "other", &body);
    refused(&other, 409, "payout-recorded");
    assert_ne!(server.get("/v1/journal/head").body, head);
    server.stop().unwrap();
}

/// Between noting a report and settling it, somebody wants a hold back, and took the id for another.
#[test]
fn what_the_ledger_refuses_is_told_and_a_fresh_key_has_other_ids() {
    let (_, server) = held();
    let batch = sent(&server, &[41, 42, 43]);
    let said = report(&batch, &[(41, "ACSC"), (42, "ACSC"), (43, "ACSC")]);
    note(&server, &said, "bank 1");
    let id = u128::from_str_radix(&batch, 16).unwrap();
    let read = server
        .handle
        .begin_read(move |committed| exported(committed.store, id));
    let record = read.unwrap().blocking_recv().unwrap().unwrap().unwrap();
    let mut taken = pay(1, 1, 3, 1);
    taken["id"] = json!(settling_id(&record.record, 43, true, 0).to_string());
    let void = json!({ "id": "61", "pending_id": "41", "flags": ["void_pending_transfer"] });
    let between = server.send("between", json!([void, taken]));
    assert_eq!(between.results(), ["pending_transfer_owned", "ok"]);

    let body = json!({ "report": said });
    let first = ask(&server, &answers(&batch), "bank 1", &body);
    let told = first.json();
    assert_eq!(told["posted"], json!(["41", "42"]), "{told}");
    assert_eq!(
        told["failed"],
        json!([{ "transfer_id": "43", "result": "exists_with_different_flags" }])
    );
    assert_eq!(server.balance(5, "credits_posted"), "12445");
    assert_eq!(server.balance(5, "credits_pending"), "5");
    let again = ask(&server, &answers(&batch), "bank 1", &body);
    assert_eq!(again.body, first.body);
    let fresh = ask(&server, &answers(&batch), "bank 1, again", &body).json();
    assert_eq!(
        (&fresh["posted"], &fresh["settled"]),
        (&json!(["43"]), &json!(["41", "42"])),
        "{fresh}"
    );
    assert_eq!(fresh["failed"], json!([]));
    assert_eq!(server.balance(5, "credits_posted"), "12450");
    server.stop().unwrap();
}

/// The bank lost one payment, made another that it had called a duplicate, and was asked by telephone.
#[test]
fn a_person_says_what_no_report_tells() {
    let (_, server) = held();
    let sent = ask(&server, PAYOUTS, "28 Nov", &payouts(&[41, 42, 43], "1"));
    let batch = sent.json()["batch"].as_str().unwrap().to_owned();
    let twice = report(&batch, &[(41, "RJCT")]).replace("AC01", "DUPL");
    let told = ask(
        &server,
        &answers(&batch),
        "bank",
        &json!({ "report": twice }),
    )
    .json();
    assert_eq!(told["doubtful"], json!(["41"]));
    for (n, odd) in [
        json!({}),
        json!({ "paid": [] }),
        json!({ "report": twice, "paid": ["41"] }),
        json!({ "paid": [41] }),
    ]
    .iter()
    .enumerate()
    {
        let reply = ask(&server, &answers(&batch), &format!("odd {n}"), odd);
        refused(&reply, 400, "malformed-request");
    }
    let both = json!({ "paid": ["41"], "returned": ["41"] });
    let reply = ask(&server, &answers(&batch), "both", &both);
    refused(&reply, 422, "payout-refused");
    let body = json!({ "paid": ["41"], "returned": ["42", "7"] });
    let first = ask(&server, &answers(&batch), "telephone", &body);
    let told = first.json();
    assert_eq!(
        (&told["posted"], &told["voided"], &told["waiting"]),
        (&json!(["41"]), &json!(["42"]), &json!(["43"])),
        "{told}"
    );
    assert_eq!(told["foreign"], json!([hex(7)]));
    let again = ask(&server, &answers(&batch), "telephone", &body);
    assert_eq!(again.body, first.body);
    assert_eq!(server.balance(5, "credits_posted"), "12345");
    assert_eq!(server.balance(5, "credits_pending"), "5");
    assert_eq!(server.balance(4, "debits_pending"), "0");
    server.stop().unwrap();
}
