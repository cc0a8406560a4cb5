//! What a relay does not take: said by the exit code, kept over a restart, sent when it may.

use serde_json::Value;

use crate::node::{Node, comes, text};
use crate::relay::Relay;

const QUOTA: &str = "KHLONG_POLICY__TIMELINE_QUOTA";
const TOKEN: &str = "let-me-in";

/// A timeline that the relay has.
fn opened(node: &Node, title: &str) -> String {
    text(&node.json(&["timeline", "new", title, "--wait", "stored"])["timeline"]["id"])
}

/// Exit code and last words of writing a message and waiting until a relay has it.
fn stored(node: &Node, timeline: &str, body: &str) -> (i32, String) {
    let said = node.run(&["send", timeline, body, "--wait", "stored"]);
    (said.code, said.stderr)
}

/// The outbox as the next process reads it from the disk.
fn outbox(node: &Node) -> Vec<Value> {
    node.json(&["outbox", "ls"])["entries"]
        .as_array()
        .unwrap()
        .clone()
}

/// Letters that do not become fewer by compression.
fn noise(letters: usize) -> String {
    let mut state = 1_u64;
    (0..letters)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + (state >> 33) as u8 % 90)
        })
        .collect()
}

#[test]
fn a_full_timeline_is_exit_7_until_the_operator_makes_room() {
    let mut relay = Relay::start_with(&[(QUOTA, "4KiB")]);
    let mali = relay.node("mali");
    let timeline = opened(&mali, "เต็มแล้ว");
    let long = noise(8_000);
    let (code, why) = stored(&mali, &timeline, &long);
    assert_eq!(code, 7, "{why}");
    assert!(why.contains("QuotaExceeded"), "{why}");

    let entry = &outbox(&mali)[0];
    assert_eq!(
        (&entry["put_off"], &entry["code"], &entry["refused"]),
        (&"QuotaExceeded".into(), &13.into(), &Value::Null)
    );
    assert_eq!(entry["attempts"], 1);
    assert!(
        entry["next_attempt"].as_str() > entry["queued_at"].as_str(),
        "{entry}"
    );
    let shown = mali.run(&["outbox", "ls"]).stdout;
    assert!(shown.contains("put off: QuotaExceeded"), "{shown}");
    assert!(shown.contains("(1 attempt)"), "{shown}");
    assert_eq!(mali.run(&["sync"]).code, 7, "nothing else is in the way");
    assert_eq!(outbox(&mali)[0]["attempts"], 2, "it is tried again");
    assert_eq!(
        mali.run(&["outbox", "retry", "--wait", "stored"]).code,
        7,
        "there is no room yet"
    );

    relay.restart_with(QUOTA, "1MiB");
    let said = mali.run(&["outbox", "retry", "--wait", "stored"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(outbox(&mali).is_empty());
    assert_eq!(
        mali.json_lines(&["log", &timeline])[0]["delivery"],
        "stored"
    );
}

#[test]
fn a_full_timeline_does_not_hold_up_the_others() {
    let relay = Relay::start_with(&[(QUOTA, "4KiB")]);
    let mali = relay.node("mali");
    let (full, free) = (opened(&mali, "full"), opened(&mali, "free"));
    let _daemon = mali.daemon();
    let (code, why) = stored(&mali, &full, &noise(8_000));
    assert_eq!(code, 7, "{why}");
    let (code, why) = stored(&mali, &full, "behind it");
    assert_eq!(code, 7, "what comes after it waits too: {why}");
    let (code, why) = stored(&mali, &free, "beside it");
    assert_eq!(code, 0, "{why}");
    assert_eq!(outbox(&mali).len(), 2);
}

#[test]
fn who_may_not_open_timelines_is_told_so_by_exit_4_and_keeps_what_was_written() {
    let relay = Relay::start_with(&[
        ("KHLONG_POLICY__OPENING", "token"),
        ("KHLONG_POLICY__TOKEN", TOKEN),
    ]);
    let mali = relay.node("mali");
    let said = mali.run(&["timeline", "new", "shop", "--wait", "stored"]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(said.stderr.contains("--token-file"), "{}", said.stderr);
    let (code, why) = stored(&mali, "shop", "hello");
    assert_eq!(code, 4, "{why}");
    assert!(why.contains("OpeningRefused"), "the cause: {why}");

    let before = outbox(&mali);
    assert_eq!(
        (&before[0]["refused"], &before[0]["code"]),
        (&"OpeningRefused".into(), &12.into())
    );
    assert!(
        before[1..]
            .iter()
            .all(|entry| entry["refused"] == "UnknownTimeline" && entry["next_attempt"].is_null()),
        "{before:?}"
    );
    assert_eq!(mali.json_lines(&["log", "shop"])[0]["delivery"], "refused");
    assert_eq!(mali.run(&["sync"]).code, 4);
    assert_eq!(outbox(&mali), before, "it is not offered again by itself");

    mali.run(&["timeline", "new", "never mind", "--wait", "none"]);
    mali.json(&["outbox", "drop", "never mind"]);
    assert_eq!(outbox(&mali), before, "of that timeline only");

    let token = mali.beside("token");
    std::fs::write(&token, TOKEN).unwrap();
    let token = token.to_str().unwrap();
    mali.json(&["relay", "add", &relay.address, "--token-file", token]);
    assert_eq!(outbox(&mali), before, "only its user sends it again");
    let said = mali.run(&["outbox", "retry", "--wait", "stored"]);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(mali.json_lines(&["log", "shop"])[0]["delivery"], "stored");
    assert_eq!(mali.run(&["sync"]).code, 0);
}

#[test]
fn what_is_refused_can_be_dropped_and_stays_in_the_history() {
    let relay = Relay::start_with(&[
        ("KHLONG_POLICY__OPENING", "token"),
        ("KHLONG_POLICY__TOKEN", TOKEN),
    ]);
    let mali = relay.node("mali");
    mali.run(&["timeline", "new", "shop", "--wait", "none"]);
    assert_eq!(stored(&mali, "shop", "hello").0, 4);
    assert!(!outbox(&mali).is_empty());
    mali.json(&["outbox", "drop", "shop"]);
    assert!(outbox(&mali).is_empty());
    assert_eq!(mali.bodies("shop"), ["hello"]);
}

#[test]
fn a_sender_that_is_too_fast_gets_exit_6_when_the_wait_ends() {
    let relay = Relay::start_with(&[("KHLONG_POLICY__ENVELOPES_PER_MINUTE", "1")]);
    let mali = relay.node("mali");
    let _daemon = mali.daemon();
    mali.open_timeline("fast");
    // A minute's worth is gone with the first append, whatever it held.
    comes("the relay has stored something", || {
        mali.json(&["status"])["relays"][0]["last_stored_at"].is_string()
    });
    let said = mali.run_patiently(&["send", "fast", "hello", "--wait", "stored"]);
    assert_eq!(said.code, 6, "{}", said.stderr);
    assert!(said.stderr.contains("RateLimited"), "{}", said.stderr);
}

/// A refusal is one relay's word: another that carries the timeline is still asked.
#[test]
fn what_one_relay_refuses_another_takes() {
    let strict = Relay::start_with(&[
        ("KHLONG_POLICY__OPENING", "token"),
        ("KHLONG_POLICY__TOKEN", TOKEN),
    ]);
    let mut open = Relay::start();
    let mali = strict.node("mali");
    mali.json(&["relay", "add", &open.address]);
    open.kill();
    let said = mali.run_patiently(&["timeline", "new", "two", "--wait", "stored"]);
    assert_eq!(said.code, 4, "{}", said.stderr);
    let entry = &outbox(&mali)[0];
    assert_eq!(
        (&entry["refused"], &entry["put_off"]),
        (&Value::Null, &"OpeningRefused".into()),
        "one relay is left"
    );
    open.restart();
    mali.json(&["outbox", "retry", "--wait", "stored"]);
    assert!(outbox(&mali).is_empty());
}
