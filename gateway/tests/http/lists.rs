//! What there is, a page at a time: assets, accounts, batches of payouts and comparisons.

use khlong_store::engine::memory::MemoryDisk;
use serde_json::{Value, json};

use crate::client::Reply;
use crate::office::{RECONCILIATIONS, ask, bank_lines, banked, compare, hex, refused};
use crate::payouts::{PAYOUTS, answers, held, payouts, sent};
use crate::server::{ADMIN, Server, WRITER};

/// Every item of the list `name` at `path`, in pages of that size.
fn all(server: &Server, path: &str, name: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let reply = server.get(&format!("{path}?limit={limit}{after}"));
        assert_eq!(reply.status, 200, "{reply:?}");
        let page = reply.json();
        let items = page[name].as_array().unwrap();
        let next = &page["next"];
        assert!(
            items.len() == limit || next.is_null() && items.len() < limit,
            "{page}"
        );
        found.extend(items.iter().cloned());
        if next.is_null() {
            return found;
        }
        // A number is told as one, a text without its quotes.
        let next = next
            .as_str()
            .map_or_else(|| next.to_string(), str::to_owned);
        after = format!("&after={next}");
    }
}

fn missing(reply: &Reply) {
    refused(reply, 404, "not-found");
}

#[test]
fn assets_say_how_many_decimal_places_amounts_have() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let none = server.get("/v1/ledger/assets").json();
    assert_eq!(none, json!({ "assets": [], "next": null }));
    missing(&server.get("/v1/ledger/assets/764"));
    let assets = [
        (1_u32, 0_u8, "POINTS"),
        (392, 0, "JPY"),
        (764, 2, "THB"),
        (u32::MAX, 18, "LONGEST8"),
    ]
    .map(|(ledger, scale, symbol)| json!({ "ledger": ledger, "scale": scale, "symbol": symbol }));
    // In another order than by number.
    let mut mixed = assets.to_vec();
    mixed.reverse();
    let body = json!({ "assets": mixed });
    let made = server.post("/v1/ledger/assets", ADMIN, "assets", &body);
    assert_eq!(made.results(), ["ok"; 4]);
    for limit in [1, 2, 3, 100] {
        assert_eq!(all(&server, "/v1/ledger/assets", "assets", limit), assets);
    }
    for asset in &assets {
        let path = format!("/v1/ledger/assets/{}", asset["ledger"]);
        assert_eq!(server.get(&path).json(), *asset);
    }
    missing(&server.get("/v1/ledger/assets/2"));
    let behind = server.get("/v1/ledger/assets?after=4294967295").json();
    assert_eq!(behind, none);
    server.stop().unwrap();
}

#[test]
fn accounts_are_listed_as_each_of_them_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.set_up(3);
    // Numbers of which texts would sort otherwise.
    let more = [10, 200, u128::MAX - 1]
        .map(|id| json!({ "id": id.to_string(), "ledger": 764, "code": 2 }));
    let body = json!({ "accounts": more });
    let made = server.post("/v1/ledger/accounts", WRITER, "more", &body);
    assert_eq!(made.results(), ["ok"; 3]);
    server.send("paid", json!([crate::server::pay(1, 1, 2, 5)]));
    let ids = [1, 2, 3, 10, 200, u128::MAX - 1];
    let each = ids.map(|id| server.get(&format!("/v1/ledger/accounts/{id}")).json());
    assert_eq!(each[1]["balances"]["credits_posted"], "5");
    for limit in [1, 2, 4, 6, 100] {
        let told = all(&server, "/v1/ledger/accounts", "accounts", limit);
        assert_eq!(told, each, "{limit} at once");
    }
    let behind = format!("/v1/ledger/accounts?after={}", u128::MAX);
    assert_eq!(
        server.get(&behind).json(),
        json!({ "accounts": [], "next": null })
    );
    server.stop().unwrap();
}

#[test]
fn batches_tell_what_became_of_each_hold_and_not_their_files() {
    let (_, server) = held();
    assert_eq!(
        server.get(PAYOUTS).json(),
        json!({ "payouts": [], "next": null })
    );
    missing(&server.get(&format!("{PAYOUTS}/{}", hex(5))));
    let first = ask(&server, PAYOUTS, "28 Nov", &payouts(&[41, 42], "1")).json();
    let batch = first["batch"].as_str().unwrap().to_owned();
    let mut csv = payouts(&[43], "1");
    csv["format"] = json!("csv");
    let second = ask(&server, PAYOUTS, "csv", &csv).json();
    for limit in [1, 2, 20] {
        let told = all(&server, PAYOUTS, "payouts", limit);
        let ids: Vec<_> = told
            .iter()
            .map(|it| it["batch"].as_str().unwrap())
            .collect();
        let mut expected = [&first, &second].map(|it| it["batch"].as_str().unwrap());
        expected.sort_unstable();
        assert_eq!(ids, expected);
        for known in [&first, &second] {
            let it = told
                .iter()
                .find(|it| it["batch"] == known["batch"])
                .unwrap();
            for field in ["entry", "time", "payments", "sum", "file_digest"] {
                assert_eq!(it[field], known[field], "{field}");
            }
            assert!(it.get("file").is_none());
        }
    }
    let path = format!("{PAYOUTS}/{batch}");
    let told = server.get(&path).json();
    assert_eq!(
        (
            &told["payout"]["execution"],
            &told["payout"]["format"],
            &told["payout"]["created_at"],
            &told["payout"]["clearing_account_id"],
        ),
        (
            &json!("2026-11-28"),
            &json!("pain001"),
            &json!("2026-11-28T02:00:00Z"),
            &json!("5")
        )
    );
    let hold = |id: &str, amount: &str, state: &str, decided: Value| json!({ "transfer_id": id, "amount": amount, "state": state, "decided": decided });
    assert_eq!(
        told["holds"],
        json!([
            hold("41", "12345", "pending", Value::Null),
            hold("42", "100", "pending", Value::Null)
        ])
    );
    let said = json!({ "paid": ["41"], "returned": ["42"] });
    assert_eq!(ask(&server, &answers(&batch), "said", &said).status, 200);
    assert_eq!(
        server.get(&path).json()["holds"],
        json!([
            hold("41", "12345", "posted", json!("paid")),
            hold("42", "100", "voided", json!("returned"))
        ])
    );
    assert_eq!(server.get(&path).json()["next"], Value::Null);
    server.stop().unwrap();
}

#[test]
fn holds_of_a_batch_come_a_page_at_a_time() {
    let (_, server) = held();
    let path = format!("{PAYOUTS}/{}", sent(&server, &[41, 42, 43]));
    let each = server.get(&path).json()["holds"].clone();
    assert_eq!(each.as_array().unwrap().len(), 3);
    for limit in [1, 2, 3, 1_000] {
        let told = all(&server, &path, "holds", limit);
        assert_eq!(json!(told), each, "{limit} at once");
    }
    // Behind a hold of another batch, or of none.
    for (after, ids) in [("1", 0), ("40", 0), ("42", 2), ("43", 3), ("44", 3)] {
        let told = server.get(&format!("{path}?after={after}")).json();
        let holds = told["holds"].as_array().unwrap();
        assert_eq!(holds[..], each.as_array().unwrap()[ids..], "{after}");
        assert_eq!(told["payout"]["payments"], 3);
    }
    for query in ["limit=0", "limit=1001", "after=x", "after=042", "cursor=41"] {
        refused(
            &server.get(&format!("{path}?{query}")),
            400,
            "malformed-request",
        );
    }
    refused(
        &server.get(&format!("{PAYOUTS}?limit=21")),
        400,
        "malformed-request",
    );
    server.stop().unwrap();
}

#[test]
fn comparisons_that_were_recorded_are_listed_by_their_digests() {
    let disk = MemoryDisk::new();
    let server = banked(&disk);
    let none = json!({ "reconciliations": [], "next": null });
    assert_eq!(server.get(RECONCILIATIONS).json(), none);
    let made = ["first", "second"].map(|key| {
        let lines = if key == "first" {
            bank_lines()
        } else {
            String::new()
        };
        ask(&server, RECONCILIATIONS, key, &compare(&lines)).json()
    });
    let mut expected: Vec<_> = made
        .iter()
        .map(|report| {
            let mut expected = report.clone();
            let fields = expected.as_object_mut().unwrap();
            for more in ["entry", "ours", "bank"] {
                fields.remove(more);
            }
            let differences = report["differences"].as_array().unwrap().len();
            fields.insert("differences".to_owned(), json!(differences));
            expected
        })
        .collect();
    expected.sort_by_key(|it| it["digest"].as_str().unwrap().to_owned());
    for limit in [1, 2, 100] {
        let told = all(&server, RECONCILIATIONS, "reconciliations", limit);
        assert_eq!(told, expected);
    }
    for it in &expected {
        let digest = it["digest"].as_str().unwrap();
        let told = server.get(&format!("{RECONCILIATIONS}/{digest}"));
        assert_eq!(told.json(), *it);
    }
    missing(&server.get(&format!("{RECONCILIATIONS}/{}", "0".repeat(64))));
    server.stop().unwrap();
}

/// Over HTTP ids are in decimal; a payment file has them in hexadecimal.
#[test]
fn an_id_as_in_a_payment_file_is_refused_with_the_words_to_write() {
    let (_, server) = held();
    let batch = sent(&server, &[41]);
    let said = json!({ "paid": [hex(41)] });
    let reply = ask(&server, &answers(&batch), "hex", &said);
    refused(&reply, 400, "malformed-request");
    let told = reply.json();
    let detail = told["detail"].as_str().unwrap();
    assert!(
        detail.contains("in decimal here") && detail.contains("\"41\""),
        "{detail}"
    );
    // An amount that somebody padded is none of those: it is not sixteen times sixteen.
    let mut padded = crate::server::pay(61, 1, 3, 1);
    padded["amount"] = json!(format!("{:032}", 100));
    let reply = server.send("padded", json!([padded]));
    refused(&reply, 400, "malformed-request");
    assert!(!reply.body.contains("in decimal here"), "{reply:?}");
    let decimal = u128::from_str_radix(&batch, 16).unwrap().to_string();
    let reply = ask(
        &server,
        &answers(&decimal),
        "decimal",
        &json!({ "paid": ["41"] }),
    );
    refused(&reply, 400, "malformed-request");
    let told = reply.json();
    let detail = told["detail"].as_str().unwrap();
    assert!(detail.contains("32 hexadecimal digits"), "{detail}");
    // What cannot be paid out is named as it was asked for.
    for (transfers, words) in [
        (&[42, 42][..], "transfer 42 is"),
        (&[51], "transfer 51 cannot"),
    ] {
        let reply = ask(&server, PAYOUTS, words, &payouts(transfers, "1"));
        refused(&reply, 422, "payout-refused");
        assert!(
            reply.json()["detail"].as_str().unwrap().starts_with(words),
            "{reply:?}"
        );
    }
    server.stop().unwrap();
}
