//! The small codes on slips of banks.

use khlong_gateway::domains::promptpay::{PayloadError, Slip};

const PUBLISHED: [(&str, &str, &str); 2] = [
    (
        "002",
        "0002123123121200011",
        "004000060000010103002021900021231231212000115102TH91049C30",
    ),
    (
        "014",
        "00111222233344ABCD12",
        "004100060000010103014022000111222233344ABCD125102TH910417DF",
    ),
];

#[test]
fn published_slips_are_written_and_read() {
    for (bank, reference, text) in PUBLISHED {
        let slip = Slip::new(bank, reference);
        assert_eq!(slip.encode().unwrap(), text);
        assert_eq!(Slip::decode(text).unwrap(), slip);
    }
}

/// One whose checksum begins with a zero.
fn with_leading_zero(zeros: &str) -> (Slip, String) {
    (0..1_000_000)
        .map(|number| Slip::new("014", format!("{number:020}")))
        .map(|slip| (slip.clone(), slip.encode().unwrap()))
        .find(|(_, text)| text.contains(&format!("9104{zeros}")) && text.len() == 59)
        .unwrap()
}

#[test]
fn leading_zeros_of_the_checksum_may_be_missing_but_nothing_else() {
    for zeros in ["0", "00"] {
        let (slip, text) = with_leading_zero(zeros);
        let (before, digits) = text.split_at(text.len() - 4);
        let short = format!("{before}{}", digits.trim_start_matches('0'));
        assert_eq!(Slip::decode(&short).unwrap(), slip);
        let cut = short.get(..short.len() - 1).unwrap();
        assert!(Slip::decode(cut).is_err(), "its last digit is missing");
    }
    let (_, text) = with_leading_zero("00");
    let (before, digits) = text.split_at(text.len() - 4);
    let half = format!("{before}{}", digits.get(1..).unwrap());
    assert!(matches!(
        Slip::decode(&half),
        Err(PayloadError::Checksum { tag: 91, .. })
    ));
}

#[test]
fn what_is_no_slip_of_a_bank_is_refused_and_says_why() {
    for (bank, reference, tag) in [
        ("14", "A1", "00.01"),
        ("O14", "A1", "00.01"),
        ("014", "A 1", "00.02"),
        ("014", "ก", "00.02"),
    ] {
        let said = Slip::new(bank, reference).encode().unwrap_err().to_string();
        assert!(said.contains(&format!("tag {tag} at offset ")), "{said}");
    }
    let payment = "00020101021129370016A000000677010111011300668012345675802TH530376463046197";
    let said = Slip::decode(payment).unwrap_err();
    assert_eq!(said, PayloadError::NoChecksum { tag: 91 });
}

#[test]
fn tags_without_a_meaning_are_kept() {
    let mut slip = Slip::new("014", "A1");
    slip.other.insert(80, "x".to_owned());
    let text = slip.encode().unwrap();
    assert_eq!(Slip::decode(&text).unwrap(), slip);
    slip.other.insert(51, "TH".to_owned());
    assert_eq!(slip.encode(), Err(PayloadError::NotOther { tag: 51 }));
}
