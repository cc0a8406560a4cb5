//! On which days a bank may be asked to pay.

use serde_json::json;

use crate::days::TODAY;
use crate::office::{ask, refused, when_closed};
use crate::payouts::{PAYOUTS, held, payouts};

/// Written by habit, or a slip: it would stand in the journal for good.
#[test]
fn a_day_on_which_no_bank_pays_is_refused_and_not_journaled() {
    let (disk, server) = held();
    let head = server.get("/v1/journal/head").body;
    let on = |day: &str, transfers: &[u64]| {
        let mut body = payouts(transfers, "1");
        body["execution"] = json!(day);
        body
    };
    for (day, why) in [
        ("2569-11-28", "Common Era"),
        ("9999-12-31", "Common Era"),
        ("2026-11-27", "over in Bangkok"),
        ("2027-11-30", "366 days ahead"),
    ] {
        let reply = ask(&server, PAYOUTS, day, &on(day, &[41]));
        refused(&reply, 422, "payout-refused");
        let told = reply.json();
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains(day) && detail.contains(why), "{detail}");
    }
    assert_eq!(server.get("/v1/journal/head").body, head);
    let last = ask(&server, PAYOUTS, "last", &on("2027-11-29", &[42]));
    assert_eq!(last.status, 200, "{last:?}");
    // Today is a day; and a retry gets its answer also when that is over.
    let first = ask(&server, PAYOUTS, "28 Nov", &on("2026-11-28", &[41]));
    assert_eq!(first.status, 200, "{first:?}");
    server.stop().unwrap();
    let server = when_closed(&disk, TODAY.next());
    let again = ask(&server, PAYOUTS, "28 Nov", &on("2026-11-28", &[41]));
    assert_eq!((again.status, &again.body), (200, &first.body));
    let late = ask(&server, PAYOUTS, "late", &on("2026-11-28", &[43]));
    refused(&late, 422, "payout-refused");
    server.stop().unwrap();
}
