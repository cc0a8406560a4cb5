//! Tags come in any order: that of the whole code, and those within its templates.

use std::collections::BTreeMap;

use crate::vectors::{is_ascending, sealed};
use khlong_gateway::domains::l10n::Satang;
use khlong_gateway::domains::promptpay::{
    BankAccount, Bill, Initiation, LocalNames, Payload, Recipient,
};
use proptest::prelude::*;
use proptest::sample::select;

/// Tags that are made of others.
const TEMPLATES: [u8; 4] = [29, 30, 62, 64];

fn recipients() -> impl Strategy<Value = Recipient> {
    let reference = || proptest::option::of("[A-Z0-9 ]{1,20}");
    let bill = (reference(), reference(), any::<bool>()).prop_map(
        |(reference1, reference2, is_cross_border)| {
            Recipient::Bill(Bill {
                biller: "099400016550100".parse().unwrap(),
                reference1: reference1.map(|it| it.parse().unwrap()),
                reference2: reference2.map(|it| it.parse().unwrap()),
                is_cross_border,
            })
        },
    );
    let account = Recipient::BankAccount(BankAccount::new("014", "1234567890").unwrap());
    let others = select(vec![
        Recipient::Mobile("0812345678".parse().unwrap()),
        Recipient::PersonalId("1234567890121".parse().unwrap()),
        Recipient::Wallet("140000801111111".parse().unwrap()),
        account,
        Recipient::OneTime("AB12345678".parse().unwrap()),
    ]);
    prop_oneof![bill, others]
}

/// Up to three fields with tags of a range.
fn some(tags: std::ops::Range<u8>) -> impl Strategy<Value = BTreeMap<u8, String>> {
    prop::collection::btree_map(tags, "[A-Z0-9ก-ฮ]{1,6}", 0..4)
}

/// With every tag that there is, or without.
fn payloads() -> impl Strategy<Value = Payload> {
    let name = || proptest::option::of("[A-Za-zก-ฮ]{1,9}");
    let local = (name(), some(3..100)).prop_map(|(city, other)| LocalNames {
        other,
        ..LocalNames::thai("ก๋วยเตี๋ยว", city)
    });
    let amount = proptest::option::of((1..=9_999_999_i64).prop_map(Satang));
    let category = proptest::option::of("[0-9]{4}");
    (
        (recipients(), some(6..100), amount, any::<bool>()),
        (category, name(), name(), proptest::option::of("[0-9]{5}")),
        (some(0..100), proptest::option::of(local), some(65..100)),
    )
        .prop_map(|(whom, who, more)| {
            let (recipient, recipient_other, amount, is_once) = whom;
            let (category, name, city, postal_code) = who;
            let (additional, local, other) = more;
            let initiation = if is_once {
                Initiation::Dynamic
            } else {
                Initiation::Static
            };
            Payload {
                initiation,
                recipient_other,
                category,
                amount,
                name,
                city,
                postal_code,
                additional,
                local,
                other,
                ..Payload::to(recipient)
            }
        })
        .prop_filter("as long as a code may be", |payload| {
            payload.encode().is_ok()
        })
}

/// Tags and values of a text that is made of fields.
fn fields(text: &str) -> Vec<(u8, &str)> {
    let (mut found, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (header, behind) = rest.split_at(4);
        let (tag, length) = header.split_at(2);
        let (value, behind) = behind.split_at(length.parse().unwrap());
        found.push((tag.parse().unwrap(), value));
        rest = behind;
    }
    found
}

/// The same fields in the order of the ranks of their tags, `ranks` for the whole and `inner` for each template.
fn reordered(text: &str, ranks: &[usize], inner: Option<&[usize]>) -> String {
    let mut fields = fields(text);
    fields.sort_by_key(|(tag, _)| ranks.get(usize::from(*tag)));
    let write = |(tag, value): (u8, &str)| {
        let value = match inner {
            Some(inner) if TEMPLATES.contains(&tag) => reordered(value, inner, None),
            Some(_) | None => value.to_owned(),
        };
        format!("{tag:02}{:02}{value}", value.len())
    };
    fields.into_iter().map(write).collect()
}

/// A rank for each tag.
fn ranks() -> impl Strategy<Value = Vec<usize>> {
    Just((0..100).collect::<Vec<_>>()).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tags_in_any_order_say_the_same_and_are_written_ascending(
        payload in payloads(),
        ranks in ranks(),
        inner in ranks(),
    ) {
        let written = payload.encode().unwrap();
        prop_assert!(is_ascending(&written));
        let (body, _) = written.split_at(written.len() - 8);
        let text = sealed(&reordered(body, &ranks, Some(&inner)));
        let read = Payload::decode(&text);
        prop_assert_eq!(read.as_ref(), Ok(&payload), "{}", text);
        // Whatever came in, within templates too.
        prop_assert_eq!(read.unwrap().encode().unwrap(), written);
    }
}
