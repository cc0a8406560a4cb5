//! A journal with commands of the books that was written once, and replays to the same state in every
//! later release. `testdata/journal-2.txt` has an entry on each line, as `journal-1.txt` has.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::payout::{
    AccountNumber, Agent, Creditor, Debtor, ExportRecord, Fate, FatesAnswer, PayoutBatch,
    PayoutFormat, Settlement, StatusReport, Text140, answered, settle, settling_id,
};
use khlong_gateway::domains::books::reconciliation::{BankFile, reconcile, reference_key};
use khlong_gateway::domains::books::{BooksCommand, Day, verify_closes};
use khlong_gateway::domains::ledger::Transfer;
use khlong_gateway::kernel::{Logic, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;

use crate::fixture::{hold, pay, post, void};
use crate::golden_file::{appended, assert_makes, hex};
use crate::office::{HOUR, Office, TODAY, kernel};

const GOLDEN: &str = include_str!("../../testdata/journal-2.txt");
const HEAD: &str = "15d1e498d67f209e6bf1f014b5e004a949d4c343bea593c86be5d90a32171ce6";
const STATE: &str = "b0ca9ae8cca44c74f077b2e970c82ec4b7cc385f1bb1aecc404362d268d2313d";
const CLOSE: &str = "c45410a5eb718f2ac3b2a23e4bfdbdbe7422eafe5c187ba5dcc9367ae9e53d82";

#[test]
fn the_golden_journal_replays_to_a_fixed_state() {
    let (golden, head) = appended(GOLDEN);
    let again = MemoryDisk::new();
    let mut again = kernel(&again);
    assert_eq!(replay(&golden, &mut again).unwrap(), head);
    let close = verify_closes(again.store()).unwrap().unwrap();
    let state = state_hash(again.store()).unwrap();
    let hashes = [head.hash, state, close.hash].map(|hash| hex(&hash));
    assert_eq!(hashes, [HEAD, STATE, CLOSE]);
}

/// Records the file that pays these holds.
fn pay_out(office: &mut Office, holds: &[u128]) -> ExportRecord {
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
        holds.iter().map(|id| (*id, creditor.clone())).collect(),
    )
    .unwrap();
    let record = batch.record(PayoutFormat::Pain001).unwrap();
    office.ask(&BooksCommand::ExportPayouts(record.clone()));
    record
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
    let id = pay_out(&mut office, &[2, 3]).batch;
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
    report_is_noted(&mut office);
    office
}

/// One hold of each fate: 20 is paid, 21 under another id, 22 is rejected, 23 waits, 24 is doubtful, 25 was
/// paid before, 26 came back before.
fn report_is_noted(office: &mut Office) {
    let holds: Vec<u128> = (20..=26).collect();
    let all: Vec<Transfer> = holds.iter().map(|id| hold(*id, 3, 5, *id, 0)).collect();
    office.pay(&all);
    let record = pay_out(office, &holds);
    let paid_before = Fate::Posts(0).transfer(&record, 25).unwrap();
    let taken = settling_id(&record, 21, true, 0);
    office.pay(&[paid_before, void(30, 26), pay(taken, 1, 2, 1)]);
    let payment = |(id, status): (u128, &str)| {
        format!(
            "<TxInfAndSts><OrgnlEndToEndId>{id:032x}</OrgnlEndToEndId><TxSts>{status}</TxSts></TxInfAndSts>"
        )
    };
    let doubtful = payment((24, "RJCT")).replace(
        "</TxSts>",
        "</TxSts><StsRsnInf><Rsn><Cd>DUPL</Cd></Rsn></StsRsnInf>",
    );
    let payments: String = [
        (20, "ACSC"),
        (21, "ACSC"),
        (22, "RJCT"),
        (23, "PDNG"),
        (25, "ACSC"),
        (26, "ACSC"),
    ]
    .map(payment)
    .concat();
    let batch = record.batch;
    let said = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{batch:032x}</OrgnlMsgId></OrgnlGrpInfAndSts><OrgnlPmtInfAndSts>{payments}{doubtful}</OrgnlPmtInfAndSts></CstmrPmtStsRpt></Document>"
    );
    let report = StatusReport::parse(said.as_bytes()).unwrap();
    let (_, noted) = answered(office.store(), &report).unwrap();
    let fates = office.ask(&BooksCommand::AnswerPayouts(noted));
    let fates = FatesAnswer::decode(&fates).unwrap();
    let decided = [
        Fate::Posts(0),
        Fate::Posts(1),
        Fate::Voids(0),
        Fate::Waits,
        Fate::Doubtful,
        Fate::Settled,
        Fate::Contradicts,
    ];
    assert_eq!(fates, FatesAnswer::Fates(decided.to_vec()));
    let told = Settlement::of(&record, &decided, &report);
    office.pay(&told.transfers);
}

/// The same commands make the same journal: what is written today is what was written then.
#[test]
fn the_golden_journal_is_what_its_commands_make() {
    let office = act();
    assert_makes(office.store(), GOLDEN, "journal-2.txt");
}
