//! Text forms: one spelling, and a wrong letter is found.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use khlong_crdt::{
    address::{AddressError, InviteLink, InvitePayload, RelayAddress},
    class::{Class, Cursor, RunningHash},
    id::{ArrivalSeq, EnvelopeId, LogId, MessageId, PrincipalKey, RelayKey, TimelineId},
    receipt::{ReceiptError, StoredReceipt, merkle_root},
    text::{self, TextError},
    time::UnixMillis,
};
use proptest::prelude::*;
use support::{bytes, key, timeline};

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz234567";

fn relay(name: &str) -> RelayKey {
    RelayKey::from_bytes(key(name).verifying_key().to_bytes())
}

fn with_letter(text: &str, at: usize, letter: char) -> String {
    text.chars()
        .enumerate()
        .map(|(index, old)| if index == at { letter } else { old })
        .collect()
}

#[test]
fn every_wrong_letter_of_an_id_is_found() {
    let long = EnvelopeId::from_bytes(bytes("id")).to_string();
    let short = MessageId::from_bytes([5; 16]).to_string();
    assert_eq!((long.len(), short.len()), (4 + 56, 4 + 32));
    for text in [long, short] {
        for (at, old) in text.char_indices().skip(4) {
            for letter in ALPHABET.chars().filter(|letter| *letter != old) {
                let wrong = with_letter(&text, at, letter);
                assert!(wrong.parse::<EnvelopeId>().is_err(), "{wrong}");
                assert!(wrong.parse::<MessageId>().is_err(), "{wrong}");
            }
        }
    }
}

#[test]
fn an_id_of_another_type_or_spelling_is_refused() {
    let text = timeline().to_string();
    assert_eq!(text.parse::<TimelineId>(), Ok(timeline()));
    assert_eq!(
        text.parse::<PrincipalKey>(),
        Err(TextError::Prefix { expected: "prn_" })
    );
    // Also with the prefix exchanged: the checksum covers it.
    let other = text.replace("tl_", "prn_");
    assert_eq!(
        other.parse::<PrincipalKey>(),
        Err(TextError::Checksum { prefix: "prn_" })
    );
    for wrong in [
        text.to_uppercase(),
        format!("{text} "),
        format!(" {text}"),
        format!("{text}="),
        text.split_at(text.len() - 1).0.to_owned(),
        format!("{text}a"),
        "tl_".to_owned(),
        String::new(),
    ] {
        assert!(wrong.parse::<TimelineId>().is_err(), "{wrong:?}");
    }
}

#[test]
fn addresses_go_round_and_their_parts_are_checked() {
    for host in [
        "bkk.example.net",
        "localhost",
        "10.0.0.1",
        "::1",
        "2001:db8::42",
    ] {
        let address = RelayAddress::new(relay("bkk"), host, 4747).unwrap();
        assert_eq!(address.to_string().parse(), Ok(address));
    }
    for (written, canonical) in [
        ("BKK.Example.NET", "bkk.example.net"),
        ("2001:DB8:0::042", "2001:db8::42"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ] {
        let address = RelayAddress::new(relay("bkk"), written, 4747).unwrap();
        assert_eq!(address.host, canonical);
    }
    for host in [
        "",
        "a b",
        "a..b",
        "ก",
        "a/b",
        "a@b",
        "a#b",
        ":::",
        &"a".repeat(64),
    ] {
        assert_eq!(
            RelayAddress::new(relay("bkk"), host, 1),
            Err(AddressError::Host),
            "{host}"
        );
    }
    let good = RelayAddress::new(relay("bkk"), "h", 80)
        .unwrap()
        .to_string();
    for (from, to) in [
        (":80", ""),
        (":80", ":0"),
        (":80", ":080"),
        (":80", ":+80"),
        (":80", ":65536"),
        ("khlong:", "https:"),
        ("@h", "@[h]"),
        ("@h", ""),
        ("@h", "@::1"),
    ] {
        let wrong = good.replacen(from, to, 1);
        assert_ne!(wrong, good);
        assert!(wrong.parse::<RelayAddress>().is_err(), "{wrong}");
    }
    for (at, old) in good.char_indices().skip(9).take(56) {
        let letter = if old == 'a' { 'b' } else { 'a' };
        assert!(
            with_letter(&good, at, letter)
                .parse::<RelayAddress>()
                .is_err()
        );
    }
}

/// ENVELOPE §1: a reader refuses what the file does not allow, also where it could guess.
#[test]
fn a_host_in_another_spelling_is_refused_in_addresses_and_links() {
    let invite = |relays| {
        let secret = InvitePayload::Open([1; 32]);
        InviteLink {
            relays,
            timeline: timeline(),
            secret,
        }
    };
    let address = |name: &str, host: &str| RelayAddress::new(relay(name), host, 4747).unwrap();
    for (canonical, written) in [
        ("@bkk.example.net:", "@BKK.example.net:"),
        ("@bkk.example.net:", "@bkk.example.neT:"),
        ("@[2001:db8::42]:", "@[2001:DB8::42]:"),
        ("@[2001:db8::42]:", "@[2001:db8:0::42]:"),
        ("@[2001:db8::42]:", "@[2001:db8::0042]:"),
        ("@[2001:db8::42]:", "@[2001:db8:0:0:0:0:0:42]:"),
        ("@[2001:db8::42]:", "@[2001:db8::0.0.0.66]:"),
    ] {
        let host = canonical.trim_matches(['@', ':', '[', ']']);
        let good = address("bkk", host).to_string();
        let wrong = good.replacen(canonical, written, 1);
        assert_ne!(wrong, good);
        assert!(good.parse::<RelayAddress>().is_ok());
        assert_eq!(
            wrong.parse::<RelayAddress>(),
            Err(AddressError::Host),
            "{wrong}"
        );
        for relays in [
            vec![address("bkk", host)],
            vec![address("cnx", "h"), address("bkk", host)],
        ] {
            let good = invite(relays).to_string();
            let wrong = good.replacen(canonical, written, 1);
            assert_ne!(wrong, good);
            assert!(good.parse::<InviteLink>().is_ok());
            assert_eq!(
                wrong.parse::<InviteLink>(),
                Err(AddressError::Host),
                "{wrong}"
            );
        }
    }
}

fn link(relays: usize, secret: InvitePayload) -> InviteLink {
    InviteLink {
        relays: (0..relays)
            .map(|index| {
                RelayAddress::new(relay(&format!("{index}")), "relay.example", 4747).unwrap()
            })
            .collect(),
        timeline: timeline(),
        secret,
    }
}

#[test]
fn invite_links_go_round_and_hide_their_secret_from_debug() {
    for relays in 1..=4 {
        for secret in [
            InvitePayload::Open([94; 32]),
            InvitePayload::Sealed(vec![94; 80]),
        ] {
            let link = link(relays, secret);
            assert_eq!(link.to_string().parse(), Ok(link.clone()));
            let text = link.to_string();
            let (before, behind) = text.split_once('#').unwrap();
            assert!(behind.starts_with("open.") || behind.starts_with("sealed."));
            assert!(!before.contains("open.") && !before.contains("sealed."));
            let debug = format!("{link:?}");
            assert!(!debug.contains("94") && !debug.contains(behind), "{debug}");
        }
    }
    let five = link(5, InvitePayload::Open([1; 32])).to_string();
    assert_eq!(five.parse::<InviteLink>(), Err(AddressError::Relays));
    let mut twice = link(1, InvitePayload::Open([1; 32]));
    twice.relays.extend(twice.relays.clone());
    assert_eq!(
        twice.to_string().parse::<InviteLink>(),
        Err(AddressError::Relays)
    );
}

#[test]
fn every_wrong_letter_of_an_invite_link_is_found_or_names_another_host() {
    let link = link(2, InvitePayload::Open(bytes("secret")));
    let text = link.to_string();
    for at in 0..text.len() {
        let wrong = with_letter(
            &text,
            at,
            if text[at..].starts_with('x') {
                'y'
            } else {
                'x'
            },
        );
        // Hosts have no checksum; everything else has.
        if let Ok(parsed) = wrong.parse::<InviteLink>() {
            assert_eq!(parsed.timeline, link.timeline, "{wrong}");
            assert_eq!(parsed.secret, link.secret, "{wrong}");
            let keys = |link: &InviteLink| {
                link.relays
                    .iter()
                    .map(|relay| relay.key)
                    .collect::<Vec<_>>()
            };
            assert_eq!(keys(&parsed), keys(&link), "{wrong}");
        }
    }
}

#[test]
fn cursors_go_round_and_bind_the_log() {
    let log = LogId::from_bytes([1; 16]);
    let ids = ["a", "b"].map(|name| EnvelopeId::from_bytes(bytes(name)));
    let chain = |ids: [EnvelopeId; 2]| {
        let first = RunningHash::default().extend(Class::Text, ArrivalSeq(1), &ids[0]);
        first.extend(Class::Text, ArrivalSeq(2), &ids[1])
    };
    let cursor = Cursor::at(log, 7, ArrivalSeq(2), &chain(ids));
    assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    for length in 0..Cursor::LENGTH {
        assert_eq!(Cursor::decode(&cursor.encode()[..length]), None);
    }
    assert_eq!(Cursor::decode(&[cursor.encode(), vec![0]].concat()), None);
    assert_ne!(
        chain([ids[1], ids[0]]).short(),
        cursor.hash,
        "order is bound"
    );
    let other_class = RunningHash::default().extend(Class::Bulk, ArrivalSeq(1), &ids[0]);
    assert_ne!(
        other_class,
        RunningHash::default().extend(Class::Text, ArrivalSeq(1), &ids[0])
    );
}

#[test]
fn a_stored_receipt_covers_exactly_its_envelopes() {
    let ids: Vec<_> = (0..13)
        .map(|index| EnvelopeId::from_bytes(bytes(&format!("{index}"))))
        .collect();
    let log = LogId::from_bytes([1; 16]);
    let receipt = StoredReceipt::sign(&key("relay"), log, 2, UnixMillis(1_795_000_000_000), &ids);
    assert_eq!(receipt.verify(&ids), Ok(()));
    assert_eq!(
        StoredReceipt::decode(&receipt.encode()),
        Ok(receipt.clone())
    );
    let mut swapped = ids.clone();
    swapped.swap(3, 4);
    for others in [&ids[..12], &ids[1..], &swapped, &[]] {
        assert_eq!(receipt.verify(others), Err(ReceiptError::OtherEnvelopes));
    }
    // Every byte is signed: root and count are compared, the rest changes the signature.
    for at in 0..StoredReceipt::LENGTH {
        let mut flipped = receipt.encode();
        flipped[at] ^= 1;
        assert!(
            StoredReceipt::decode(&flipped)
                .unwrap()
                .verify(&ids)
                .is_err(),
            "byte {at}"
        );
        assert_eq!(
            StoredReceipt::decode(&flipped[..at]),
            Err(ReceiptError::Length)
        );
    }
    assert_ne!(merkle_root(&ids[..2]), merkle_root(&ids[..3]));
    assert_ne!(
        merkle_root(&ids[..1]),
        *ids[0].as_bytes(),
        "a leaf is not its id"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_payload_goes_round(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assume!(payload.len() != 17);
        let text = text::encode("card_", &payload);
        prop_assert_eq!(text::decode("card_", &text), Ok(payload));
    }

    #[test]
    fn any_text_is_read_without_panic(text in "(khlong://)?[a-z2-7]{0,60}@?[ -~ก-๙]{0,40}") {
        prop_assert!(text.parse::<TimelineId>().is_err());
        prop_assert!(text.parse::<InviteLink>().is_err());
        let _either = text.parse::<RelayAddress>();
    }
}

proptest! {
    /// What starts so lies in the range, and the range holds nothing else as far as letters
    /// are of the payload alone.
    #[test]
    fn ids_that_start_alike_are_a_range(id: [u8; 16], other: [u8; 16], letters in 0_usize..=32) {
        let (id, other) = (MessageId::from_bytes(id), MessageId::from_bytes(other));
        let text = id.to_string();
        let start = &text[..4 + letters];
        let range = MessageId::range_from(start).unwrap();
        prop_assert!(range.contains(&id));
        if letters <= 25 {
            let starts_so = |id: &MessageId| id.to_string().starts_with(start);
            prop_assert!(starts_so(range.start()) && starts_so(range.end()));
            prop_assert_eq!(range.contains(&other), starts_so(&other));
        }
    }
}

#[test]
fn no_id_starts_with_another_prefix_or_a_strange_letter() {
    for start in ["", "msg", "tl_aa", "msg_A", "msg_a1", "msg_aé"] {
        assert_eq!(MessageId::range_from(start), None, "{start}");
    }
}
