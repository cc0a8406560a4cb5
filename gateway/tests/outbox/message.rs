//! Bodies, keys and signatures.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::kernel::Notice;
use khlong_gateway::outbox::{Secret, delivery_id, payload, signature};
use khlong_store::journal::{JournalId, JournalSeq};

/// The example of the specification's own libraries (standardwebhooks.com).
#[test]
fn a_signature_is_that_of_the_specification() {
    let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signed = signature(
        &secret,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_secret_has_its_prefix_and_its_length() {
    for text in [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_not base64 at all, but long enough!",
    ] {
        assert!(Secret::parse(text).is_none(), "{text}");
    }
    let shown = format!(
        "{:?}",
        Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    );
    assert!(!shown.contains("MfKQ"), "{shown}");
}

#[test]
fn a_notice_has_one_layout_and_one_body() {
    let notice = Notice {
        topic: "books.day_closed".to_owned(),
        data: r#"{"day":"2026-11-27"}"#.to_owned(),
    };
    let bytes = notice.encode();
    assert_eq!(bytes[..2], [1, 16]);
    assert_eq!(Notice::decode(&bytes).unwrap(), notice);
    assert_eq!(
        payload(&notice, UnixMillis(1_795_755_600_001)),
        br#"{"type":"books.day_closed","timestamp":"2026-11-27T05:00:00.001Z","data":{"day":"2026-11-27"}}"#
    );
    for cut in 0..18 {
        assert_eq!(Notice::decode(&bytes[..cut]), None, "{cut}");
    }
    for bad in [
        &b"\x02\x01a{}"[..],
        b"\x01\x01A{}",
        b"\x01\x00{}",
        b"\x01\x01\"1",
    ] {
        assert_eq!(Notice::decode(bad), None, "{bad:?}");
    }
}

/// A journal that was restored and goes on otherwise has other keys under the same numbers.
#[test]
fn a_key_is_of_one_journal_and_one_history() {
    let id = |journal, hash, seq, n| {
        let journal = JournalId::from_bytes([journal; 16]);
        delivery_id(journal, &[hash; 32], (JournalSeq(seq), n))
    };
    let one = id(1, 1, 1, 0);
    assert_eq!(one, id(1, 1, 1, 0));
    assert_eq!(one.len(), 36);
    for other in [
        id(2, 1, 1, 0),
        id(1, 2, 1, 0),
        id(1, 1, 2, 0),
        id(1, 1, 1, 1),
    ] {
        assert_ne!(one, other);
    }
}
