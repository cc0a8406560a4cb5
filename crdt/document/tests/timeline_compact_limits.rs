//! Where the counts and sizes of a compact plaintext end: each at its limit, and one beyond.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod compact_form;

use compact_form::place::*;
use compact_form::*;
use khlong_document::seal::PLAINTEXT_BYTES_MAX;
use khlong_document::timeline::entry::ChangeRefusal;
use khlong_document::timeline::limits::{
    CHANGE_BYTES_MAX, CHANGE_DEPS_MAX, COMPACT_MESSAGES_MAX, PAGE_NUMBER_MAX, VALUE_BYTES_MAX,
};
use khlong_document::timeline::plaintext::PlaintextError;

#[test]
fn counts_end_where_their_limits_are() {
    let place = Place::new();
    let limit = Outcome::Plaintext(PlaintextError::Limit);
    let genesis = [place.genesis];
    let filled = |count: usize| {
        let said = vec![("", NOW.0, None); count];
        let raw = hand_made(&place.author, 1, FIRST_OP, &genesis, None, &said);
        let change = change(1, FIRST_OP, &genesis, HEAD, &vec![message(0, None); count]);
        plaintext(
            &[section(0, 0, &[change])],
            &texts(&vec![""; count]),
            &[raw],
        )
    };
    // What may lie in a change may still be more than one author may put into a page.
    let budget = Outcome::Change(ChangeRefusal::Budget);
    assert_eq!(place.outcome(&filled(1_000)), Outcome::Shown(1_000));
    assert_eq!(place.outcome(&filled(COMPACT_MESSAGES_MAX)), budget);
    assert_eq!(place.outcome(&filled(COMPACT_MESSAGES_MAX + 1)), limit);
    // Also when several changes share them.
    let half = vec![message(0, None); COMPACT_MESSAGES_MAX / 2 + 1];
    let one = change(1, FIRST_OP, &genesis, HEAD, &half);
    let sections = [section(0, 0, &[one, further(HEAD, &half)])];
    assert_eq!(place.broken(&sections, b""), limit);
    for count in [1_u64 << 32, u64::MAX] {
        let mut endless = change(1, FIRST_OP, &genesis, HEAD, &[]);
        endless.pop();
        endless.extend(varint(count));
        assert_eq!(place.broken(&[section(0, 0, &[endless])], b""), limit);
        let changes = [varint(0), varint(0), varint(count)].concat();
        assert_eq!(place.broken(&[changes], b""), limit);
        let raw = [vec![0], varint(count)].concat();
        assert_eq!(place.broken(&[section(0, 0, &[raw])], b""), limit);
        let dependencies = varint(count);
        assert_eq!(place.broken(&[section(0, 0, &[dependencies])], b""), limit);
        assert_eq!(place.broken(&[section(0, count, &[])], b""), limit);
        let document = [varint(count), vec![0, 0]].concat();
        assert_eq!(place.broken(&[document], b""), limit);
    }
    assert_eq!(place.broken(&vec![section(0, 0, &[]); 65], b""), limit);
    assert_eq!(
        place.broken(&vec![section(0, 0, &[]); 64], b""),
        Outcome::Shown(0)
    );
    let far = section(0, u64::from(PAGE_NUMBER_MAX) + 1, &[]);
    assert_eq!(place.broken(&[far], b""), limit);
    let mut heads = plaintext(&[], b"", &[]);
    let at = heads.len() - 8 - 2;
    heads.splice(at..=at, [vec![33], vec![0xaa; 33 * 8]].concat());
    assert_eq!(place.outcome(&heads), limit);
}

#[test]
fn many_dependencies_are_read_up_to_their_limit() {
    let place = Place::new();
    let hashes = |count: u32| -> Vec<[u8; 32]> {
        let numbers = (0..count).map(|n| [n.to_be_bytes(), [7; 4]].concat().repeat(4));
        numbers.map(|bytes| bytes.try_into().unwrap()).collect()
    };
    let most = place.one(1, FIRST_OP, &hashes(CHANGE_DEPS_MAX as u32));
    assert_eq!(place.outcome(&most), Outcome::Shown(0), "it waits for them");
    let beyond = change(
        1,
        FIRST_OP,
        &hashes(CHANGE_DEPS_MAX as u32 + 1),
        HEAD,
        &[message(0, None)],
    );
    assert_eq!(
        place.broken(&[section(0, 0, &[beyond])], &texts(&["x"])),
        Outcome::Plaintext(PlaintextError::Limit)
    );
    for wrong in [[[2; 32], [1; 32]], [[1; 32], [1; 32]]] {
        let wrong = change(1, FIRST_OP, &wrong, HEAD, &[message(0, None)]);
        assert_eq!(
            place.broken(&[section(0, 0, &[wrong])], &texts(&["x"])),
            Outcome::Plaintext(PlaintextError::Malformed)
        );
    }
}

#[test]
fn what_is_rebuilt_is_judged_by_its_own_size() {
    let place = Place::new();
    let genesis = [place.genesis];
    let limit = Outcome::Plaintext(PlaintextError::Limit);
    let bodies = |count: usize, body: &str| {
        let change = change(1, FIRST_OP, &genesis, HEAD, &vec![message(0, None); count]);
        let tail = texts(&vec![body; count]);
        (change, tail)
    };
    // One byte each here, three each when they are rebuilt.
    let longest = "ก".repeat(VALUE_BYTES_MAX / 3);
    let raw = hand_made(
        &place.author,
        1,
        FIRST_OP,
        &genesis,
        None,
        &[(&longest, NOW.0, None)],
    );
    let (one, tail) = bodies(1, &longest);
    let good = plaintext(&[section(0, 0, std::slice::from_ref(&one))], &tail, &[raw]);
    assert_eq!(place.outcome(&good), Outcome::Shown(1));
    let long = texts(&[&format!("{longest}กก")]);
    assert_eq!(place.broken(&[section(0, 0, &[one])], &long), limit);
    let (many, tail) = bodies(1 + CHANGE_BYTES_MAX / VALUE_BYTES_MAX, &longest);
    assert_eq!(place.broken(&[section(0, 0, &[many])], &tail), limit);
    // Changes that are each short enough, and together more than a plaintext may hold.
    let full = CHANGE_BYTES_MAX / VALUE_BYTES_MAX - 1;
    let (first, tail) = bodies(full, &longest);
    let count = PLAINTEXT_BYTES_MAX / (full * longest.len()) + 1;
    let more = further(HEAD, &vec![message(0, None); full]);
    let changes = [vec![first], vec![more; count - 1]].concat();
    let tail = tail.repeat(count);
    assert!(tail.len() < PLAINTEXT_BYTES_MAX / 2);
    assert_eq!(place.broken(&[section(0, 0, &changes)], &tail), limit);
}
