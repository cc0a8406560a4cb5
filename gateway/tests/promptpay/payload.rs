//! Thai QR: published payloads, what is refused, and what a person may type.

use crate::vectors::{self, PUBLISHED, WRONG_CHECKSUM, sealed};
use khlong_gateway::domains::l10n::{AmountError, Satang};
use khlong_gateway::domains::promptpay::{
    BankAccount, Bill, Biller, Initiation, LocalNames, Mobile, OneTime, Path, Payload,
    PayloadError, PersonalId, Recipient, RecipientError, Wallet,
};

#[test]
fn published_payloads_say_what_they_are_for_and_are_written_ascending() {
    for (payload, text) in PUBLISHED.map(|vector| ((vector.payload)(), vector.text)) {
        assert_eq!(Payload::decode(text).unwrap(), payload, "{text}");
        let written = payload.encode().unwrap();
        assert_eq!(Payload::decode(&written).unwrap(), payload, "{written}");
        assert_eq!(written.len(), text.len(), "the same tags, in another order");
        if vectors::is_ascending(text) {
            assert_eq!(written, text);
        }
        assert!(vectors::is_ascending(&written), "{written}");
    }
}

#[test]
fn a_wrong_checksum_is_refused_and_said_where() {
    for text in WRONG_CHECKSUM {
        let at = PayloadError::Checksum {
            tag: 63,
            offset: text.len() - 8,
        };
        assert_eq!(Payload::decode(text), Err(at));
    }
    let small_letters =
        "00020101021129370016A000000677010111021311111111111115802TH530376463047b5a";
    assert!(matches!(
        Payload::decode(small_letters),
        Err(PayloadError::Checksum { .. })
    ));
}

#[test]
fn every_form_of_a_number_gives_the_same_recipient() {
    let mobile: Mobile = "0812345678".parse().unwrap();
    for text in [
        "081-234-5678",
        "081 234 5678",
        "+66812345678",
        "+66 81-234-5678",
        "0066812345678",
    ] {
        assert_eq!(text.parse(), Ok(mobile.clone()), "{text}");
    }
    assert_eq!(mobile.to_string(), "0812345678");
    for text in [
        "",
        "812345678",
        "08123456789",
        "+660812345678",
        "+65812345678",
        "๐๘๑๒๓๔๕๖๗๘",
        "081234567x",
        &"0".repeat(10_000),
    ] {
        assert_eq!(
            text.parse::<Mobile>(),
            Err(RecipientError::Mobile),
            "{text}"
        );
    }
}

#[test]
fn check_digits_of_persons_and_organisations_are_checked_where_a_person_types() {
    assert!("1-2345-67890-12-1".parse::<PersonalId>().is_ok());
    assert!("0994000165501".parse::<PersonalId>().is_ok());
    assert!("099400016550100".parse::<Biller>().is_ok());
    let wrong = Err(RecipientError::CheckDigit);
    assert_eq!("1234567890122".parse::<PersonalId>(), wrong);
    assert_eq!(
        "099400016550200".parse::<Biller>(),
        Err(RecipientError::CheckDigit)
    );
    // As the published payload has it.
    assert!(
        !PersonalId::unchecked("1111111111111")
            .unwrap()
            .is_check_digit_right()
    );
    for text in ["123456789012", "12345678901234", "123456789012a"] {
        assert_eq!(PersonalId::unchecked(text), Err(RecipientError::PersonalId));
    }
}

#[test]
fn every_kind_of_recipient_comes_back_as_it_was() {
    let bill = Bill {
        biller: "099400016550100".parse().unwrap(),
        reference1: Some("CUSTOMER001".parse().unwrap()),
        reference2: None,
        is_cross_border: true,
    };
    for recipient in [
        Recipient::Mobile("0812345678".parse().unwrap()),
        Recipient::PersonalId("0994000165501".parse().unwrap()),
        Recipient::Wallet("140000801111111".parse().unwrap()),
        Recipient::BankAccount(BankAccount::new("014", "123-4-56789-0").unwrap()),
        Recipient::OneTime("AB12345678".parse().unwrap()),
        Recipient::Bill(bill),
    ] {
        let payload = Payload::to(recipient);
        let text = payload.encode().unwrap();
        assert_eq!(Payload::decode(&text).unwrap(), payload, "{text}");
    }
    assert_eq!(
        "14000080111111".parse::<Wallet>(),
        Err(RecipientError::Wallet)
    );
    assert_eq!("AB1234567".parse::<OneTime>(), Err(RecipientError::OneTime));
    for (bank, number) in [("14", "1"), ("014", ""), ("01", "41"), ("0141", "1")] {
        let refused = BankAccount::new(bank, number);
        assert_eq!(refused, Err(RecipientError::BankAccount), "{bank} {number}");
    }
}

#[test]
fn thai_names_are_counted_in_bytes_and_bounded_in_characters() {
    let mut payload = Payload::to(Recipient::Mobile("0812345678".parse().unwrap()));
    payload.initiation = Initiation::Dynamic;
    payload.amount = Some(Satang(5_000));
    payload.name = Some("Noodle boat".to_owned());
    payload.local = Some(LocalNames::thai("ก๋วยเตี๋ยวเรือ", Some("อยุธยา".to_owned())));
    let text = payload.encode().unwrap();
    assert!(
        text.contains("64740002th0142ก๋วยเตี๋ยวเรือ0218อยุธยา6304"),
        "{text}"
    );
    assert_eq!(Payload::decode(&text).unwrap(), payload);

    payload.name = Some("ก".repeat(25));
    assert!(payload.encode().unwrap().contains("5975กก"));
    payload.name = Some("ก".repeat(26));
    let said = payload.encode().unwrap_err().to_string();
    assert!(
        said.contains("tag 59 at offset") && said.contains("25 characters"),
        "{said}"
    );
    payload.name = Some("ก".repeat(34));
    let too_long = PayloadError::ValueLength {
        path: Path::root(59),
        length: 102,
    };
    assert_eq!(payload.encode(), Err(too_long));
    payload.name = None;
    payload.local = Some(LocalNames::thai("ก".repeat(25), Some("ข".repeat(15))));
    let said = payload.encode().unwrap_err().to_string();
    assert!(said.contains("tag 64: its value has 134 bytes"), "{said}");
}

#[test]
fn unknown_tags_are_kept_on_every_level() {
    let text = sealed(
        "000201800412349901x29420016A000000677010111011300668123456784201z530376462070703SCB5802TH64180002th0103ก9001y",
    );
    let payload = Payload::decode(&text).unwrap();
    assert_eq!(payload.other.get(&80).unwrap(), "1234");
    assert_eq!(payload.other.get(&99).unwrap(), "x");
    assert_eq!(payload.recipient_other.get(&42).unwrap(), "z");
    assert_eq!(payload.additional.get(&7).unwrap(), "SCB");
    assert_eq!(payload.local.as_ref().unwrap().other.get(&90).unwrap(), "y");
    let again = Payload::decode(&payload.encode().unwrap()).unwrap();
    assert_eq!(again, payload);
}

#[test]
fn tags_with_a_place_of_their_own_are_no_other_tags() {
    let plain = || Payload::to(Recipient::Mobile("0812345678".parse().unwrap()));
    for tag in [0, 29, 53, 54, 58, 59, 63, 100] {
        let mut payload = plain();
        payload.other.insert(tag, "1".to_owned());
        let refused = payload.encode().unwrap_err();
        assert!(
            !matches!(refused, PayloadError::Checksum { .. }),
            "{refused}"
        );
    }
    let mut payload = plain();
    payload.other.insert(59, "Somebody".to_owned());
    assert_eq!(payload.encode(), Err(PayloadError::NotOther { tag: 59 }));
    let mut payload = plain();
    payload
        .recipient_other
        .insert(2, "1234567890121".to_owned());
    assert!(payload.encode().is_err(), "a second recipient");
}

/// What is wrong with a payload whose checksum is right, and what the message must say.
#[test]
fn what_is_no_thai_qr_is_refused_with_tag_offset_and_advice() {
    let mobile = "29370016A00000067701011101130066812345678";
    for (body, said) in [
        (
            format!("000202{mobile}53037645802TH"),
            "tag 00 at offset 0: only format 01",
        ),
        (
            format!("{mobile}53037645802TH"),
            "tag 00 (the format) is missing",
        ),
        (
            format!("000201010213{mobile}53037645802TH"),
            "tag 01 at offset 6: a code is static",
        ),
        ("00020153037645802TH".to_owned(), "tag 29 (the recipient"),
        (
            format!("000201{mobile}53038405802TH"),
            "tag 53 at offset 47: only Thai baht",
        ),
        (
            format!("000201{mobile}5802TH"),
            "tag 53 (the currency) is missing",
        ),
        (
            format!("000201{mobile}53037645802SG"),
            "tag 58 at offset 54: only Thai codes",
        ),
        (
            format!("000201{mobile}5303764540530,005802TH"),
            "tag 54 at offset 54 is no amount",
        ),
        (
            format!("000201{mobile}530376454040.005802TH"),
            "tag 54 at offset 54 is no amount",
        ),
        (
            format!("000201{mobile}53037645303764"),
            "tag 53 at offset 54 is there twice",
        ),
        (
            format!("000201{mobile}5203abc53037645802TH"),
            "tag 52 at offset 47: a category",
        ),
        (
            "00020129370016A0000006770101110113006581234567853037645802TH".to_owned(),
            "tag 29.01 at offset 30: a mobile number",
        ),
        (
            "00020129370016A0000006770101120113006681234567853037645802TH".to_owned(),
            "tag 29.00 at offset 10: this is no PromptPay transfer",
        ),
        (
            "00020129340016A0000006770101110510AB1234567853037645802TH".to_owned(),
            "tag 29.05 at offset 30: a one-time account",
        ),
        (
            "00020129540016A0000006770101110113006681234567802131111111111111".to_owned(),
            "tag 29.02 at offset 47: the code names a recipient already",
        ),
        (
            "00020130370016A0000006770101120113011223344556653037645802TH".to_owned(),
            "tag 30.01 at offset 30: a biller id has 15 digits",
        ),
    ] {
        let refused = Payload::decode(&sealed(&body)).unwrap_err();
        assert!(refused.to_string().contains(said), "{body}: {refused}");
    }
}

#[test]
fn broken_structure_is_refused_where_it_breaks() {
    let length = |path, offset, length| PayloadError::Length {
        path,
        offset,
        length,
    };
    let character = |character| PayloadError::Character {
        offset: 10,
        character,
    };
    for (text, error) in [
        (String::new(), PayloadError::NoChecksum { tag: 63 }),
        ("6304".to_owned(), PayloadError::NoChecksum { tag: 63 }),
        (sealed("0002015"), PayloadError::Header { offset: 6 }),
        (sealed("0002015900"), length(Path::root(59), 6, 0)),
        (sealed("00020129120016"), length(Path::root(29), 6, 12)),
        (
            sealed("0002012906009900"),
            length(Path::within(29, 0), 10, 99),
        ),
        (sealed("5901ก"), length(Path::root(59), 0, 1)),
        (sealed("0002015903猫"), character('猫')),
        (sealed("0002015901\n"), character('\n')),
        ("0".repeat(513), PayloadError::TooLong { length: 513 }),
    ] {
        assert_eq!(Payload::decode(&text), Err(error), "{text}");
    }
}

#[test]
fn an_amount_says_why_it_is_none() {
    use std::error::Error as _;
    let text = sealed("00020129370016A000000677010111011300668123456785303764540630.0005802TH");
    let refused = Payload::decode(&text).unwrap_err();
    let source = refused.source().unwrap().downcast_ref::<AmountError>();
    assert_eq!(source, Some(&AmountError::Decimals));
}
