//! Files of banks: what is read, and how everything else is refused.

use khlong_gateway::domains::books::reconciliation::{
    BANK_FILE_BYTES_MAX, BankError, BankFile, PROBLEMS_MAX, Refused,
};
use khlong_gateway::domains::l10n::AmountError;
use proptest::collection::vec;
use proptest::prelude::*;

const HEADER: &str = "date,time,amount,reference,direction";

fn parsed(lines: &[&str]) -> BankFile {
    let text = format!("{HEADER}\n{}\n", lines.join("\n"));
    BankFile::parse(text.as_bytes()).unwrap()
}

fn refused(text: &[u8]) -> Vec<(u32, BankError)> {
    let Err(Refused { problems, more: 0 }) = BankFile::parse(text) else {
        panic!("{:?}", BankFile::parse(text));
    };
    problems.into_iter().map(|it| (it.line, it.error)).collect()
}

/// A file whose second line is this one.
fn line(line: &str) -> BankError {
    let text = format!("{HEADER}\n{line}\n2026-11-27,10:00,1.00,A,in\n");
    let problems = refused(text.as_bytes());
    assert_eq!((problems.len(), problems[0].0), (1, 2), "{line}");
    problems[0].1.clone()
}

#[test]
fn a_file_of_any_bank_that_keeps_the_layout_is_read() {
    let plain = parsed(&[
        "2026-11-27,10:00,1234.50,\u{e2a}\u{e33} 1,in",
        "2026-11-27,23:59:59,0.01,,out",
    ]);
    assert_eq!(plain.lines.len(), 2);
    assert_eq!(plain.lines[0].amount.0, 123_450);
    assert_eq!((plain.lines[1].line, plain.lines[1].second), (3, 86_399));
    let text = format!(
        "{HEADER}\n2026-11-27,10:00,1234.50,\u{e2a}\u{e33} 1,in\n2026-11-27,23:59:59,0.01,,out"
    );
    let crlf = text.replace('\n', "\r\n");
    for same in [
        format!("\u{feff}{text}\n"),
        text.clone(),
        crlf.clone(),
        format!("\u{feff}{crlf}\r\n"),
    ] {
        let read = BankFile::parse(same.as_bytes()).unwrap();
        assert_eq!(read.lines, plain.lines);
    }
    let other =
        "\"direction\",amount,\"reference\",time,date\nin,1.00,\"a,\"\"b\"\"\",10:00,2026-11-27\n";
    let read = BankFile::parse(other.as_bytes()).unwrap();
    assert_eq!(read.lines[0].reference, "a,\"b\"");
    assert_eq!(BankFile::parse(HEADER.as_bytes()).unwrap().lines, vec![]);
}

#[test]
fn every_fault_of_a_file_has_a_line_and_a_reason() {
    use BankError as E;
    assert_eq!(refused(b""), [(1, E::Empty)]);
    assert_eq!(refused(b"\n"), [(1, E::Empty)]);
    assert_eq!(refused(&[0xff, 0xfe, b'd', 0]), [(1, E::Utf16)]);
    assert_eq!(refused(&[0xfe, 0xff, 0, b'd']), [(1, E::Utf16)]);
    assert_eq!(
        refused(&vec![b'x'; BANK_FILE_BYTES_MAX + 1]),
        [(1, E::TooLarge)]
    );
    assert_eq!(
        refused(b"date,time,amount,reference"),
        [(1, E::MissingColumn("direction"))]
    );
    assert_eq!(
        refused(b"date,time,amount,reference,direction,date"),
        [(1, E::DuplicateColumn("date"))]
    );
    assert_eq!(
        refused(b"date,time,amount,reference,direction,fee"),
        [(1, E::UnknownColumn("fee".into()))]
    );
    assert_eq!(
        refused(b"2026-11-27,10:00,1.00,A,in"),
        [(1, E::UnknownColumn("2026-11-27".into()))]
    );
    // In TIS-620.
    let tis = [HEADER.as_bytes(), b"\n2026-11-27,10:00,1.00,\xca\xd3,in\n"].concat();
    assert_eq!(refused(&tis), [(2, E::NotUtf8)]);
    let good = "2026-11-27,10:00,1.00,A,in";
    assert_eq!(line(HEADER), E::DuplicateHeader);
    assert_eq!(line(""), E::Fields { found: 1 });
    assert_eq!(line("2026-11-27,10:00,1.00,A"), E::Fields { found: 4 });
    assert_eq!(line(&format!("{good},")), E::Fields { found: 6 });
    assert_eq!(line(&",".repeat(1_000_000)), E::Fields { found: 33 });
}

#[test]
fn every_fault_of_a_field_has_a_line_and_a_reason() {
    use BankError as E;
    for date in [
        "2569-11-27",
        "2026-02-29",
        "27/11/2026",
        "2026-1-1",
        "1969-12-31",
        "+026-11-27",
        "",
    ] {
        assert_eq!(line(&format!("{date},10:00,1.00,A,in")), E::Date, "{date}");
    }
    for time in [
        "24:00",
        "10:60",
        "10",
        "10:00:60",
        "1:00",
        "10:00:00:00",
        "",
        "10.00",
    ] {
        assert_eq!(
            line(&format!("2026-11-27,{time},1.00,A,in")),
            E::Time,
            "{time}"
        );
    }
    for amount in ["1", "1.", "1.5", "1.2.3"] {
        let error = line(&format!("2026-11-27,10:00,{amount},A,in"));
        assert!(
            matches!(error, E::Decimals | E::Amount(_)),
            "{amount}: {error:?}"
        );
    }
    let amount = |text: &str| line(&format!("2026-11-27,10:00,{text},A,in"));
    assert_eq!(amount("1.234"), E::Amount(AmountError::Decimals));
    assert_eq!(
        amount("-1.00"),
        E::Amount(AmountError::Character { offset: 0 })
    );
    assert_eq!(
        amount("\"1,234.00\""),
        E::Amount(AmountError::Character { offset: 1 })
    );
    assert_eq!(
        amount("1e5.00"),
        E::Amount(AmountError::Character { offset: 1 })
    );
    assert_eq!(amount("0.00"), E::Amount(AmountError::Zero));
    assert_eq!(
        amount(&"9".repeat(400)),
        E::Amount(AmountError::TooLong { length: 400 })
    );
    assert_eq!(
        amount("99999999999.00"),
        E::Amount(AmountError::TooLong { length: 14 })
    );
    assert_eq!(line("2026-11-27,10:00,1.00,A,IN"), E::Direction);
    assert_eq!(
        line(&format!("2026-11-27,10:00,1.00,{},in", "A".repeat(141))),
        E::Reference
    );
    for text in [
        "2026-11-27,10:00,1.00,\"A,in",
        "2026-11-27,10:00,1.00,A\"B,in",
        "2026-11-27,10:00,1.00,\"A\"B,in",
    ] {
        assert_eq!(line(text), E::Quote, "{text}");
    }
    for (at, it) in [
        (2, '\u{85}'),
        (2, '\t'),
        (2, '\0'),
        (1, '\u{61c}'),
        (2, '\u{200e}'),
        (2, '\u{2028}'),
        (2, '\u{2029}'),
        (1, '\u{202e}'),
        (2, '\u{2066}'),
    ] {
        let reference = if at == 1 {
            format!("{it}A")
        } else {
            format!("A{it}B")
        };
        let control = E::Control {
            at: "2026-11-27,10:00,1.00,".len() + at,
            code: it.into(),
        };
        let text = format!("2026-11-27,10:00,1.00,{reference},in");
        assert_eq!(line(&text), control, "{it:?}");
    }
    let inside = line("2026-11-27\r,10:00,1.00,A,in");
    assert_eq!(inside, E::Control { at: 11, code: 13 });
    assert_eq!(
        inside.to_string(),
        "character 11 of the line is U+000D, a control or a mark of direction"
    );
}

/// Anybody may write such a memo: Thai is broken at U+200B, families are joined at U+200D.
#[test]
fn what_words_are_made_of_refuses_no_file() {
    for memo in [
        "ค่า\u{200b}ก๋วยเตี๋ยว",
        "👨\u{200d}👩\u{200d}👧",
        "soft\u{ad}hyphen",
        "\u{2060}\u{feff}\u{e0041}",
    ] {
        let file = parsed(&[&format!("2026-11-27,10:00,1.00,{memo},in")]);
        assert_eq!(file.lines[0].reference, memo);
    }
}

#[test]
fn all_bad_lines_are_counted_and_the_first_are_told() {
    let bad = "x\n".repeat(PROBLEMS_MAX + 7);
    let refused = BankFile::parse(format!("{HEADER}\n{bad}").as_bytes()).unwrap_err();
    assert_eq!((refused.problems.len(), refused.more), (PROBLEMS_MAX, 7));
    assert!(refused.to_string().ends_with("and 7 more"));
    let many = "2026-11-27,10:00,1.00,A,in\n".repeat(100_001);
    let refused = BankFile::parse(format!("{HEADER}\n{many}").as_bytes()).unwrap_err();
    assert_eq!(refused.problems[0].error, BankError::TooManyLines);
    assert_eq!(refused.problems[0].line, 100_002);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a file holds, it is read or refused.
    #[test]
    fn no_file_makes_it_panic(bytes in vec(any::<u8>(), 0..300), text in "[0-9a-z,\"\r\n.:-]{0,200}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = BankFile::parse(bytes);
            let behind = [HEADER.as_bytes(), b"\n", bytes].concat();
            let _ = BankFile::parse(&behind);
        }
    }
}
