//! Frozen plaintexts of codec 1 that must be refused, and why. `crdt/testdata/decode.py` reads
//! the same file and refuses them too. `KHLONG_FREEZE=1` writes it anew; cases are added, never changed.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test stops at the first surprise"
)]

mod compact_form;

use std::path::PathBuf;

use compact_form::place::*;
use compact_form::*;
use data_encoding::HEXLOWER;
use khlong_document::timeline::limits::{
    AUTH_HEADS_MAX, CHANGE_BYTES_MAX, CHANGE_DEPS_MAX, CHANGES_PER_SECTION_MAX,
    COMPACT_MESSAGES_MAX, MESSAGE_BODY_BYTES_MAX, OP_COUNTER_MAX, PAGE_NUMBER_MAX, SECTIONS_MAX,
};
use khlong_document::timeline::plaintext::PlaintextError;
use serde_json::{Value, json};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../testdata/compact-refused.json")
}

/// A name, and a plaintext that nobody may read.
type Case = (&'static str, Vec<u8>);

/// Its sections break a rule; what they would stand for is not said.
fn broken(name: &'static str, sections: &[Vec<u8>], tail: &[u8]) -> Case {
    (name, plaintext(sections, tail, &[]))
}

fn one(place: &Place, after: &[u8], messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let change = change(1, FIRST_OP, &[place.genesis], after, messages);
    vec![section(0, 0, &[change])]
}

fn spelling(place: &Place) -> Vec<Case> {
    let x = texts(&["x"]);
    let said = [message(0, None)];
    let at_head = one(place, HEAD, &said);
    let own = [vec![2], place.author.as_bytes().to_vec()].concat();
    let epoch = *place.honest.prefix().epoch.as_bytes();
    let lineage = |l: u64, bytes: &[u8]| [varint(l), bytes.to_vec(), vec![0, 0]].concat();
    let beyond = varint(2 * (FIRST_OP + 1) - 1);
    let of_state = change(1, FIRST_OP, &[place.genesis], HEAD, &said);
    let twice = change(1, FIRST_OP, &[[3; 32], [3; 32]], HEAD, &said);
    let falling = change(1, FIRST_OP, &[[3; 32], [2; 32]], HEAD, &said);
    vec![
        broken("its own author written out", &one(place, &own, &said), &x),
        broken("behind what is before all", &one(place, &beyond, &said), &x),
        broken("the epoch written out", &[lineage(2, &epoch)], b""),
        broken("lineage zero written out", &[lineage(2, &[0; 32])], b""),
        broken("a lineage of no kind", &[lineage(3, b"")], b""),
        broken(
            "behind no change",
            &[section(0, 0, &[further(HEAD, &said)])],
            &x,
        ),
        broken("messages of the state", &[section(1, 0, &[of_state])], &x),
        broken("no message", &one(place, HEAD, &[]), b""),
        broken("a dependency twice", &[section(0, 0, &[twice])], &x),
        broken("dependencies that fall", &[section(0, 0, &[falling])], &x),
        broken("a text without end", &at_head, b"x"),
        broken("no text", &at_head, b""),
        broken("a text in no coding", &at_head, b"\xf0\xfc"),
        broken("half a character", &at_head, b"\xfe\xf6"),
        broken("Thai by its number", &at_head, b"\xfd\x0e\x01\xfc"),
        broken("half of a pair", &at_head, b"\xfd\xd8\x00\xfc"),
    ]
}

fn numbers(place: &Place) -> Vec<Case> {
    let (genesis, said) = ([place.genesis], [message(0, None)]);
    let x = texts(&["x"]);
    let from = |seq, start_op| {
        vec![section(
            0,
            0,
            &[change(seq, start_op, &genesis, HEAD, &said)],
        )]
    };
    let last = change(u64::MAX, FIRST_OP, &genesis, HEAD, &said);
    let behind_last = section(0, 0, &[last, further(HEAD, &said)]);
    let late = [message(i64::MAX / 2, None), message(i64::MAX / 2, None)];
    let late = one(place, HEAD, &[&late[..], &late[..1]].concat());
    let dependencies: Vec<[u8; 32]> = (0..=CHANGE_DEPS_MAX)
        .map(|n| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&(n as u64).to_be_bytes());
            hash
        })
        .collect();
    let many = change(1, FIRST_OP, &dependencies, HEAD, &said);
    let crowd = vec![message(0, None); COMPACT_MESSAGES_MAX + 1];
    let long = "x".repeat(MESSAGE_BODY_BYTES_MAX + 1);
    let large = [vec![0], varint(CHANGE_BYTES_MAX as u64 + 1)].concat();
    let empty = vec![0, 0];
    vec![
        broken("operation 0", &from(1, 0), &x),
        broken("an operation beyond all", &from(1, OP_COUNTER_MAX + 1), &x),
        broken("behind the last place", &[behind_last], &texts(&["x", "y"])),
        broken("a time beyond 64 bits", &late, &texts(&["x", "y", "z"])),
        broken("too many dependencies", &[section(0, 0, &[many])], &x),
        broken(
            "too many messages",
            &one(place, HEAD, &crowd),
            &vec![0xfc; crowd.len()],
        ),
        broken(
            "a text too long",
            &one(place, HEAD, &said),
            &texts(&[&long]),
        ),
        broken("a raw change too long", &[section(0, 0, &[large])], b""),
        broken("a document beyond a byte", &[section(256, 0, &[])], b""),
        broken(
            "a page beyond all",
            &[section(0, u64::from(PAGE_NUMBER_MAX) + 1, &[])],
            b"",
        ),
        broken(
            "too many sections",
            &vec![section(7, 0, &[]); SECTIONS_MAX + 1],
            b"",
        ),
        broken(
            "too many changes",
            &[section(7, 0, &vec![empty; CHANGES_PER_SECTION_MAX + 1])],
            b"",
        ),
    ]
}

/// A good one, with something else in it.
fn whole(place: &Place) -> Vec<Case> {
    let good = place.one(1, FIRST_OP, &[place.genesis]);
    let clock = signed(NOW.0).len();
    let check = good.len() - 8 - texts(&["x"]).len();
    let mut other_check = good.clone();
    other_check[check] ^= 1;
    let mut other_text = good.clone();
    let end = good.len();
    other_text[end - 2] = b'y';
    let mut longer = good.clone();
    longer[2 + clock] |= 0x80;
    longer.insert(3 + clock, 0);
    let mut newer = good.clone();
    newer[1] = 2;
    let mut names = good.clone();
    let many = [
        varint(AUTH_HEADS_MAX as u64 + 1),
        vec![0xaa; 16 * (AUTH_HEADS_MAX + 1)],
    ];
    names.splice(2 + clock..=2 + clock, many.concat());
    vec![
        ("another check", other_check),
        ("another text", other_text),
        ("a number longer than needed", longer),
        ("a later codec", newer),
        ("too many auth heads", names),
        ("bytes behind its end", [good.clone(), vec![0]].concat()),
        ("cut short", good[..end - 1].to_vec()),
        ("cut within its check", good[..check + 3].to_vec()),
    ]
}

fn why(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Plaintext(PlaintextError::Malformed) => "malformed",
        Outcome::Plaintext(PlaintextError::Limit) => "limit",
        Outcome::Plaintext(PlaintextError::Check) => "check",
        Outcome::Plaintext(PlaintextError::Version) => "version",
        Outcome::Change(_) | Outcome::Shown(_) => "",
    }
}

#[test]
fn what_must_be_refused_is_refused_for_its_reason() {
    let place = Place::new();
    let cases = [spelling(&place), numbers(&place), whole(&place)].concat();
    let cases: Vec<Value> = cases
        .iter()
        .map(|(name, plaintext)| {
            let why = why(&place.outcome(plaintext));
            assert!(!why.is_empty(), "{name} is read");
            json!({ "name": name, "why": why, "plaintext": HEXLOWER.encode(plaintext) })
        })
        .collect();
    let today = json!({
        "schema_version": 1,
        "author": HEXLOWER.encode(place.author.as_bytes()),
        "epoch": HEXLOWER.encode(place.honest.prefix().epoch.as_bytes()),
        "cases": cases,
    });
    let mut text = serde_json::to_string_pretty(&today).unwrap();
    text.push('\n');
    if std::env::var_os("KHLONG_FREEZE").is_some() {
        std::fs::write(path(), &text).unwrap();
    }
    let frozen = std::fs::read_to_string(path()).unwrap();
    assert_eq!(frozen, text);
}
