//! An account's lines by time, and the newest first.

use khlong_store::engine::memory::MemoryDisk;
use serde_json::{Value, json};

use crate::days::{TODAY, Time, start};
use crate::server::{Server, pay, set_up};

/// Transfers 1 to 15, three in each of five commands, a second apart from noon on.
fn paid() -> (Server, Time, i64) {
    let noon = TODAY.start().0 + 12 * 3_600_000;
    let time = Time::at(noon);
    let server = start(&MemoryDisk::new(), &time);
    set_up(server.address, 2);
    for n in 0..5 {
        send(&server, &[3 * n + 1, 3 * n + 2, 3 * n + 3]);
        time.pass(1_000);
    }
    (server, time, noon)
}

fn send(server: &Server, ids: &[u64]) {
    let all: Vec<Value> = ids.iter().map(|id| pay(*id, 1, 2, 1)).collect();
    let told = server.send(&ids[0].to_string(), json!(all)).results();
    assert!(told.iter().all(|it| it == "ok"), "{told:?}");
}

fn page(server: &Server, query: &str) -> Value {
    let reply = server.get(&format!("/v1/ledger/accounts/2/lines?{query}"));
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    reply.json()
}

fn ids(page: &Value) -> Vec<u64> {
    let lines = page["lines"].as_array().unwrap().iter();
    lines
        .map(|line| line["transfer"]["id"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// All pages of that size.
fn all(server: &Server, query: &str, limit: usize) -> Vec<u64> {
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = page(server, &format!("{query}&limit={limit}{after}"));
        found.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

#[test]
fn lines_are_asked_for_by_time_and_in_both_orders() {
    let (server, _, noon) = paid();
    let (second, fourth) = (noon + 1_000, noon + 3_000);
    let whole: Vec<u64> = (1..=15).collect();
    let middle: Vec<u64> = (4..=9).collect();
    let reversed = |ids: &[u64]| ids.iter().rev().copied().collect::<Vec<_>>();
    let day = TODAY.to_string();
    for limit in [1, 2, 4, 100] {
        assert_eq!(all(&server, "order=oldest", limit), whole);
        assert_eq!(all(&server, "order=newest", limit), reversed(&whole));
        for period in [
            format!("from={second}&to={fourth}"),
            format!("from={day}T12:00:01%2B07:00&to={day}T12%3A00%3A03.000%2b07%3A00"),
            format!("from={day}T12:00:01+07:00&to={day}T05:00:03Z"),
        ] {
            assert_eq!(all(&server, &period, limit), middle, "{period}");
            let newest = format!("{period}&order=newest");
            assert_eq!(all(&server, &newest, limit), reversed(&middle), "{newest}");
        }
        let open = [format!("from={fourth}"), format!("to={second}")];
        assert_eq!(all(&server, &open[0], limit), [10, 11, 12, 13, 14, 15]);
        assert_eq!(all(&server, &open[1], limit), [1, 2, 3]);
    }
    for nothing in [
        format!("from={second}&to={second}"),
        format!("from={}", i64::MAX),
        "to=0".to_owned(),
    ] {
        let told = page(&server, &nothing);
        assert_eq!(told, json!({ "lines": [], "next": null }), "{nothing}");
    }
    server.stop().unwrap();
}

/// What comes meanwhile is in front of the newest, so no line is told twice and none is left out.
#[test]
fn a_cursor_holds_its_place_while_payments_come() {
    let (server, time, _) = paid();
    let first = page(&server, "order=newest&limit=4");
    assert_eq!(ids(&first), [15, 14, 13, 12]);
    send(&server, &[16, 17]);
    time.pass(1_000);
    let next = first["next"].as_str().unwrap();
    let second = page(&server, &format!("order=newest&limit=4&after={next}"));
    assert_eq!(ids(&second), [11, 10, 9, 8]);
    // From the same place the other way.
    let back = page(&server, &format!("order=oldest&after={next}"));
    assert_eq!(ids(&back), [13, 14, 15, 16, 17]);
    // A cursor outside of the period is before it or behind it.
    let period = format!("from={}", time.pass(0) - 1_000);
    let told = page(&server, &format!("{period}&after={next}"));
    assert_eq!(ids(&told), [16, 17]);
    let told = page(&server, &format!("{period}&order=newest&after={next}"));
    assert_eq!(ids(&told), Vec::<u64>::new());
    server.stop().unwrap();
}
