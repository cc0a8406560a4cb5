//! Files that a bank sends.

use std::fmt::Write as _;

use khlong_gateway::domains::books::payout::{PAIN002_BYTES_MAX, StatusReport};
use khlong_gateway::domains::books::reconciliation::{
    BANK_LINES_MAX, BankFile, PROBLEMS_MAX, REFERENCE_BYTES_MAX,
};

use crate::fuzzing::{Seeds, fuzz};

fuzz!(fuzz_bank_file, 3_000, bank_files(), bank_file);

fn bank_files() -> Seeds {
    let header = "date,time,amount,reference,direction\n";
    let files = [
        format!("{header}2026-11-01,09:30,349.75,ORDER-1,in\n"),
        format!("{header}2026-11-01,23:59:59,0.01,\"a \"\"quoted\"\" one, with commas\",out\r\n"),
        format!("\u{feff}{header}2024-02-29,00:00:00,9999999999.99,ค่าส่ง,in"),
        "reference,direction,amount,time,date\n,in,1.00,12:00,2026-11-02\n".to_owned(),
    ];
    // A year of the Buddhist calendar, a second header, too few fields, no money.
    let wrong = format!(
        "{header}2567-02-29,09:30,1.00,x,in\n{header}2026-01-01,1,2\n2026-01-01,09:30,0.00,x,in\n"
    );
    let others = [wrong.as_bytes(), b"\xff\xfed\0a\0", b"\xef\xbb\xbf"];
    Seeds::and(
        files.map(String::into_bytes).to_vec(),
        others.map(<[u8]>::to_vec).to_vec(),
    )
}

/// What was understood says the same when it is written plainly, and nothing is left out.
fn bank_file(bytes: &[u8]) -> bool {
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
            true
        }
        Err(refused) => {
            assert!((1..=PROBLEMS_MAX).contains(&refused.problems.len()));
            assert!(!refused.to_string().is_empty());
            false
        }
    }
}

fuzz!(fuzz_pain002, 3_000, status_reports(), status_report);

fn status_reports() -> Seeds {
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
    let genuine = [
        report(&group("")),
        report(&(group("") + &payments)),
        report(&group(&format!("<GrpSts>RJCT</GrpSts>{reason}"))),
    ];
    let bomb = b"<!DOCTYPE a [<!ENTITY b \"&b;&b;\">]><Document>&b;</Document>";
    Seeds::and(
        genuine.map(String::into_bytes).to_vec(),
        vec![bomb.to_vec()],
    )
}

fn status_report(bytes: &[u8]) -> bool {
    match StatusReport::parse(bytes) {
        Ok(report) => {
            assert!(bytes.len() <= PAIN002_BYTES_MAX);
            for hold in [0, 1, 2, 3, u128::MAX] {
                assert_eq!(report.status_of(hold), report.status_of(hold));
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
