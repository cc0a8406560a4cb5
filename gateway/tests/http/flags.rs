//! What the flags of an account do, and what they do not.

use khlong_store::engine::memory::MemoryDisk;
use serde_json::{Value, json};

use crate::days::{TODAY, Time, start};
use crate::server::{Server, WRITER, pay, set_up};

/// The result of opening an account with these flags.
fn open(server: &Server, id: u32, flags: &[&str]) -> Vec<String> {
    let account = json!({ "id": id.to_string(), "ledger": 764, "code": 1, "flags": flags });
    let body = json!({ "accounts": [account] });
    let key = format!("{id} {flags:?}").replace('"', "'");
    let reply = server.post("/v1/ledger/accounts", WRITER, &key, &body);
    reply.results()
}

fn account(server: &Server, id: u32) -> Value {
    server.get(&format!("/v1/ledger/accounts/{id}")).json()
}

/// The balances over time that an account tells of, with what moved them and when.
fn history(server: &Server, id: u32) -> Vec<Value> {
    let page = server.get(&format!("/v1/ledger/accounts/{id}/lines"));
    let page = page.json();
    assert!(page["next"].is_null());
    let told = |line: &Value| {
        json!([
            line["time"],
            line["expiry"],
            line["transfer"]["amount"],
            line["balances"]
        ])
    };
    page["lines"].as_array().unwrap().iter().map(told).collect()
}

/// It is there for clients that set it: balances after each transfer are kept for every account.
#[test]
fn balances_over_time_are_the_same_with_and_without_the_flag_for_them() {
    let time = Time::at(TODAY.start().0);
    let server = start(&MemoryDisk::new(), &time);
    set_up(server.address, 2);
    assert_eq!(open(&server, 11, &[]), ["ok"]);
    assert_eq!(open(&server, 12, &["history"]), ["ok"]);
    assert_eq!(account(&server, 11)["flags"], json!([]));
    assert_eq!(account(&server, 12)["flags"], json!(["history"]));
    // Paid in, paid out, held, and given back by time: the same to both, a second apart.
    for (step, is_in, timeout) in [(1, true, 0), (2, false, 0), (3, false, 2), (4, true, 0)] {
        let sent = [(11, 100), (12, 200)].map(|(id, ids)| {
            let (from, to) = if is_in { (1, id) } else { (id, 1) };
            let mut sent = pay(ids + step, from, to, 10 * step);
            if timeout > 0 {
                sent["flags"] = json!(["pending"]);
                sent["timeout"] = json!(timeout);
            }
            sent
        });
        let told = server.send(&step.to_string(), json!(sent)).results();
        assert_eq!(told, ["ok", "ok"]);
        time.pass(1_000);
    }
    time.pass(1_000);
    assert_eq!(server.send("5", json!([pay(1, 1, 2, 1)])).results(), ["ok"]);
    let (without, with) = (history(&server, 11), history(&server, 12));
    assert_eq!(without, with);
    // debits pending and posted, credits posted; the fourth is paid in before the third ends.
    let sums: Vec<[&str; 3]> = without
        .iter()
        .map(|line| {
            ["debits_pending", "debits_posted", "credits_posted"]
                .map(|sum| line[3][sum].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        sums,
        [
            ["0", "0", "10"],
            ["0", "20", "10"],
            ["30", "20", "10"],
            ["30", "20", "50"],
            ["0", "20", "50"],
        ]
    );
    server.stop().unwrap();
}

#[test]
fn an_account_that_is_opened_closed_is_told_so_and_takes_no_transfer() {
    let server = start(&MemoryDisk::new(), &Time::at(TODAY.start().0));
    set_up(server.address, 2);
    assert_eq!(open(&server, 11, &["closed"]), ["ok"]);
    assert_eq!(open(&server, 11, &[]), ["exists_with_different_flags"]);
    let closed = account(&server, 11);
    assert_eq!(
        (&closed["flags"], &closed["closed"]),
        (&json!(["closed"]), &json!(true))
    );
    assert_eq!(account(&server, 2)["closed"], json!(false));
    let results = server.send("pay", json!([pay(1, 1, 11, 5), pay(2, 11, 1, 5)]));
    assert_eq!(
        results.results(),
        [
            "credit_account_already_closed",
            "debit_account_already_closed"
        ]
    );
    assert_eq!(account(&server, 11)["balances"], closed["balances"]);
    assert_eq!(history(&server, 11), Vec::<Value>::new());
    server.stop().unwrap();
}
