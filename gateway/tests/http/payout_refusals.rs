//! A batch that is refused is so under its key, for as long as that is kept.

use serde_json::json;

use crate::office::{ask, on_the_next_day, refused};
use crate::payouts::{PAYOUTS, answers, held, note, payouts, report, sent};
use crate::server::Server;

/// What a key was refused with stays so, whatever becomes of the holds; and everybody hears the same words.
#[test]
fn a_refusal_is_the_same_bytes_at_every_retry() {
    let (disk, server) = held();
    let batch = sent(&server, &[41]);
    let both = payouts(&[42, 41], "1");
    let first = ask(&server, PAYOUTS, "both", &both);
    refused(&first, 422, "payout-refused");
    let words = "transfer 41 cannot be paid out: it is in another batch already";
    assert_eq!(first.json()["detail"], words);
    let head = server.get("/v1/journal/head").body;
    let same = |server: &Server| {
        let again = ask(server, PAYOUTS, "both", &both);
        assert_eq!((again.status, &again.body), (422, &first.body));
    };
    same(&server);
    assert_eq!(server.get("/v1/journal/head").body, head);
    // It is decided and posted, another one comes back, and the gateway starts again.
    let told = json!({ "report": report(&batch, &[(41, "ACSC")]) });
    note(&server, told["report"].as_str().unwrap(), "bank");
    same(&server);
    let told = ask(&server, &answers(&batch), "bank", &told).json();
    assert_eq!(told["posted"], json!(["41"]));
    let void = json!({ "id": "62", "pending_id": "42", "flags": ["void_pending_transfer"] });
    assert_eq!(server.send("void", json!([void])).results(), ["ok"]);
    same(&server);
    server.stop().unwrap();
    let server = on_the_next_day(&disk);
    same(&server);
    // So does the one that names what came back.
    let back = payouts(&[42], "1");
    let first = ask(&server, PAYOUTS, "back", &back);
    refused(&first, 422, "payout-refused");
    let detail = first.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.starts_with("transfer 42 cannot be paid out: it is settled already"),
        "{detail}"
    );
    assert_eq!(ask(&server, PAYOUTS, "back", &back).body, first.body);
    server.stop().unwrap();
}
