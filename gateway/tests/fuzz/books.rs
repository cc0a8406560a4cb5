//! Files that a bank sends, and the commands and answers of the books.

use std::fmt::Write as _;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::payout::{
    ExportAnswer, Fate, FatesAnswer, PAIN002_BYTES_MAX, StatusReport,
};
use khlong_gateway::domains::books::reconciliation::{
    BANK_LINES_MAX, BankFile, PROBLEMS_MAX, REFERENCE_BYTES_MAX, RecordAnswer,
};
use khlong_gateway::domains::books::{BooksCommand, CloseAnswer, Day, cursor, parse_cursor};
use khlong_store::journal::JournalSeq;

use crate::fuzzing::fuzz;

fuzz!(fuzz_bank_file, 3_000, bank_files(), bank_file);

fn bank_files() -> Vec<Vec<u8>> {
    let header = "date,time,amount,reference,direction\n";
    let files = [
        format!("{header}2026-11-01,09:30,349.75,ORDER-1,in\n"),
        format!("{header}2026-11-01,23:59:59,0.01,\"a \"\"quoted\"\" one, with commas\",out\r\n"),
        format!("\u{feff}{header}2024-02-29,00:00:00,9999999999.99,ค่าส่ง,in"),
        "reference,direction,amount,time,date\n,in,1.00,12:00,2026-11-02\n".to_owned(),
        // A year of the Buddhist calendar, a second header, too few fields, no money.
        format!(
            "{header}2567-02-29,09:30,1.00,x,in\n{header}2026-01-01,1,2\n2026-01-01,09:30,0.00,x,in\n"
        ),
    ];
    let mut files = files.map(String::into_bytes).to_vec();
    files.push(b"\xff\xfed\0a\0".to_vec());
    files.push(b"\xef\xbb\xbf".to_vec());
    files
}

/// What was understood says the same when it is written plainly, and nothing is left out.
fn bank_file(bytes: &[u8]) {
    match BankFile::parse(bytes) {
        Ok(file) => {
            assert!(file.lines.len() <= BANK_LINES_MAX);
            let mut plain = "date,time,amount,reference,direction\n".to_owned();
            for line in &file.lines {
                assert!(line.amount.0 > 0 && line.reference.len() <= REFERENCE_BYTES_MAX);
                let (minute, second) = (line.second / 60, line.second % 60);
                let reference = line.reference.replace('"', "\"\"");
                writeln!(
                    plain,
                    "{},{:02}:{:02}:{second:02},{},\"{reference}\",{}",
                    line.day,
                    minute / 60,
                    minute % 60,
                    line.amount,
                    line.flow.name(),
                )
                .unwrap();
            }
            assert_eq!(BankFile::parse(plain.as_bytes()).unwrap().lines, file.lines);
        }
        Err(refused) => {
            assert!((1..=PROBLEMS_MAX).contains(&refused.problems.len()));
            assert!(!refused.to_string().is_empty());
        }
    }
}

fuzz!(fuzz_pain002, 3_000, status_reports(), status_report);

fn status_reports() -> Vec<Vec<u8>> {
    let report = |body: &str| {
        let name = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10";
        format!("<Document xmlns=\"{name}\"><CstmrPmtStsRpt>{body}</CstmrPmtStsRpt></Document>")
    };
    let group = |status: &str| {
        let id = format!("<OrgnlMsgId>{:032x}</OrgnlMsgId>", 5);
        format!("<OrgnlGrpInfAndSts>{id}{status}</OrgnlGrpInfAndSts>")
    };
    let reason = "<StsRsnInf><Rsn><Cd>AM05</Cd></Rsn><AddtlInf>a &amp; b</AddtlInf></StsRsnInf>";
    let payments: String = [(1, "ACSC"), (2, "RJCT"), (3, "PDNG")]
        .map(|(id, status)| {
            let id = format!("<OrgnlEndToEndId>{id:032X}</OrgnlEndToEndId>");
            format!("<TxInfAndSts>{id}<TxSts>{status}</TxSts>{reason}</TxInfAndSts>")
        })
        .concat();
    let payments = format!("<OrgnlPmtInfAndSts>{payments}</OrgnlPmtInfAndSts>");
    [
        report(&group("")),
        report(&(group("") + &payments)),
        report(&group(&format!("<GrpSts>RJCT</GrpSts>{reason}"))),
        "<!DOCTYPE a [<!ENTITY b \"&b;&b;\">]><Document>&b;</Document>".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn status_report(bytes: &[u8]) {
    match StatusReport::parse(bytes) {
        Ok(report) => {
            assert!(bytes.len() <= PAIN002_BYTES_MAX);
            for hold in [0, 1, 2, 3, u128::MAX] {
                assert_eq!(report.status_of(hold), report.status_of(hold));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fuzz!(fuzz_books_command, 3_000, commands(), command);

fn commands() -> Vec<Vec<u8>> {
    let closes = [Day(0), Day(20_000), Day(u32::MAX)].map(BooksCommand::CloseDay);
    let mut commands: Vec<Vec<u8>> = closes.iter().map(BooksCommand::encode).collect();
    commands.push(BooksCommand::CloseNext.encode());
    // A record of each of the other kinds, as long as its fields.
    commands.extend([3, 4, 5].map(|kind| [vec![1, kind], vec![0; 120]].concat()));
    commands.extend(
        [
            CloseAnswer::NothingYet,
            CloseAnswer::OutOfOrder { expected: Day(1) },
            CloseAnswer::Unfinished {
                day: Day(1),
                records: u64::MAX,
            },
        ]
        .map(|answer| answer.encode()),
    );
    let recorded = (JournalSeq(7), UnixMillis(1_795_500_000_000));
    commands.extend([
        ExportAnswer::Recorded(recorded.0, recorded.1).encode(),
        ExportAnswer::OtherFile([7; 32]).encode(),
        ExportAnswer::InBatch(1, 2).encode(),
        RecordAnswer::Recorded(recorded.0, recorded.1).encode(),
        FatesAnswer::Fates(vec![Fate::Posts(1), Fate::Voids(2), Fate::Waits]).encode(),
        FatesAnswer::UnknownBatch.encode(),
        b"17-3".to_vec(),
    ]);
    commands
}

fn command(bytes: &[u8]) {
    if let Some(command) = BooksCommand::decode(bytes) {
        assert_eq!(command.encode(), bytes, "one form");
    }
    if let Some(answer) = CloseAnswer::decode(bytes) {
        assert_eq!(answer.encode(), bytes, "one form");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(place) = parse_cursor(text)
    {
        assert_eq!(parse_cursor(&cursor(place)), Some(place));
    }
    if let Some(answer) = ExportAnswer::decode(bytes) {
        assert_eq!(answer.encode(), bytes, "one form");
    }
    if let Some(answer) = RecordAnswer::decode(bytes) {
        assert_eq!(answer.encode(), bytes, "one form");
    }
    if let Some(answer) = FatesAnswer::decode(bytes) {
        assert_eq!(answer.encode(), bytes, "one form");
    }
}
