//! Amounts, as they are read and written.

use khlong_gateway::domains::l10n::{AmountError, Satang};
use proptest::prelude::*;

#[test]
fn every_form_that_can_mean_only_one_amount_is_read() {
    for (text, satang) in [
        ("30", 3_000),
        ("30.", 3_000),
        ("30.0", 3_000),
        ("30.00", 3_000),
        ("030", 3_000),
        ("0.01", 1),
        ("4.2", 420),
        ("0000000000.50", 50),
        ("9999999999.99", 999_999_999_999),
    ] {
        assert_eq!(text.parse(), Ok(Satang(satang)), "{text}");
    }
}

#[test]
fn what_could_mean_something_else_is_refused_with_its_reason() {
    let character = |offset| AmountError::Character { offset };
    for (text, error) in [
        ("", AmountError::NoBaht),
        (".", AmountError::NoBaht),
        (".50", AmountError::NoBaht),
        ("30.000", AmountError::Decimals),
        ("1,000.00", character(1)),
        ("1.0.0", character(3)),
        ("-1", character(0)),
        ("+1", character(0)),
        (" 1", character(0)),
        ("1e3", character(1)),
        ("๓๐", character(0)),
        ("0", AmountError::Zero),
        ("0.00", AmountError::Zero),
        ("10000000000", AmountError::TooLarge),
        ("9999999999999", AmountError::TooLarge),
        ("10000000000.00", AmountError::TooLong { length: 14 }),
    ] {
        assert_eq!(text.parse::<Satang>(), Err(error), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(satang in 1..=Satang::MAX.0) {
        let text = Satang(satang).to_string();
        prop_assert!(text.len() <= 13);
        prop_assert_eq!(text.parse::<Satang>().unwrap(), Satang(satang));
    }

    #[test]
    fn no_text_is_a_reason_to_panic(text in ".{0,20}") {
        let _ = text.parse::<Satang>();
    }
}
