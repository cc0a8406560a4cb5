//! A journal with commands of the books that was written once, and replays to the same state in every
//! later release. `testdata/journal-2.txt` has an entry on each line, as `journal-1.txt` has.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::payout::{
    AccountNumber, Agent, Creditor, Debtor, PayoutBatch, PayoutFormat, StatusReport, Text140,
    settle,
};
use khlong_gateway::domains::books::reconciliation::{BankFile, reconcile, reference_key};
use khlong_gateway::domains::books::{BooksCommand, Day, verify_closes};
use khlong_gateway::domains::ledger::Transfer;
use khlong_gateway::kernel::{Logic, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{self, JournalError, JournalSeq};

use crate::fixture::{hold, pay, post};
use crate::golden_file::{appended, hex};
use crate::office::{HOUR, Office, TODAY, kernel};

const GOLDEN: &str = include_str!("../../testdata/journal-2.txt");
const HEAD: &str = "8e2c02bfee3b61f45d89d8034015d61190ddcf1ea87c6456ed64b19187b507f4";
const STATE: &str = "15fceda293fa56bcc2534d0b9954c93dce69ffee0a7f971b0514e257449c1a0b";
const CLOSE: &str = "c45410a5eb718f2ac3b2a23e4bfdbdbe7422eafe5c187ba5dcc9367ae9e53d82";

#[test]
fn the_golden_journal_replays_to_a_fixed_state() {
    let (golden, head) = appended(GOLDEN);
    let again = MemoryDisk::new();
    let mut again = kernel(&again);
    assert_eq!(replay(&golden, &mut again).unwrap(), head);
    let close = verify_closes(again.store()).unwrap().unwrap();
    assert_eq!(hex(&head.hash), HEAD);
    assert_eq!(hex(&state_hash(again.store()).unwrap()), STATE);
    assert_eq!(hex(&close.hash), CLOSE);
}

/// Two days with payments, a comparison with the bank, and a batch of payouts that the bank answers.
fn act() -> Office {
    let mut office = Office::under(Logic::V2);
    let received = Transfer {
        user_data_128: reference_key("INV-1"),
        ..pay(1, 6, 3, 12_345)
    };
    office.pay(&[received, hold(2, 3, 5, 345, 0), hold(3, 3, 5, 7, 0)]);
    office.at(TODAY, 23 * HOUR).pay(&[hold(4, 1, 2, 50, 7_200)]);
    office.ask(&BooksCommand::CloseDay(TODAY));
    office.at(Day(TODAY.0 + 1), 0);
    office.ask(&BooksCommand::CloseDay(Day(TODAY.0 + 1)));
    office.ask(&BooksCommand::CloseDay(TODAY));
    office.ask(&BooksCommand::CloseDay(TODAY));
    let file = "date,time,amount,reference,direction\n2026-11-27,12:00,123.46,INV-1,in\n";
    let file = BankFile::parse(file.as_bytes()).unwrap();
    let told = reconcile(office.store(), 6, TODAY, TODAY, &file).unwrap();
    office.ask(&BooksCommand::RecordReconciliation(told.record()));
    let text = |text| Text140::new(text).unwrap();
    let account = |number| AccountNumber::new(number).unwrap();
    let bank = |code| Agent::new(code).unwrap();
    let creditor = Creditor {
        name: text("ร้านก๋วยเตี๋ยวเรือ"),
        account: account("1234567890"),
        agent: bank("004"),
        remittance: None,
    };
    let debtor = Debtor {
        name: text("Khlong"),
        account: account("9876543210"),
        agent: bank("KASITHBK"),
    };
    let batch = PayoutBatch::new(
        office.store(),
        debtor,
        5,
        UnixMillis(office.bank.now),
        Day(TODAY.0 + 1),
        vec![(2, creditor.clone()), (3, creditor)],
    )
    .unwrap();
    let record = batch.record(PayoutFormat::Pain001).unwrap();
    let id = record.batch;
    office.ask(&BooksCommand::ExportPayouts(record));
    let answer = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{id:032x}</OrgnlMsgId><GrpSts>ACSC</GrpSts></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts><TxInfAndSts><OrgnlEndToEndId>{:032x}</OrgnlEndToEndId><TxSts>RJCT</TxSts></TxInfAndSts></OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>",
        3
    );
    let answer = StatusReport::parse(answer.as_bytes()).unwrap();
    let told = settle(office.store(), &answer).unwrap();
    office.at(Day(TODAY.0 + 1), 9 * HOUR).pay(&told.transfers);
    let late = office.bank.send(&[post(9, 4, 50)]);
    assert_ne!(late, [khlong_gateway::domains::ledger::TransferResult::Ok]);
    office.at(Day(TODAY.0 + 3), 1);
    office.ask(&BooksCommand::CloseNext);
    office.ask(&BooksCommand::CloseNext);
    office.ask(&BooksCommand::CloseNext);
    office
}

/// The same commands make the same journal: what is written today is what was written then.
#[test]
fn the_golden_journal_is_what_its_commands_make() {
    let office = act();
    let mut made = String::new();
    journal::read::<JournalError>(office.store(), JournalSeq(1), &mut |stored| {
        let entry = stored.entry;
        let (header, command) = (hex(&entry.header), hex(&entry.command));
        writeln!(made, "{header} {command} {}", hex(&entry.outcome)).unwrap();
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    if made != GOLDEN {
        let beside = format!("{}/journal-2.txt", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&beside, &made).unwrap();
        panic!("another journal, written to {beside}");
    }
}
