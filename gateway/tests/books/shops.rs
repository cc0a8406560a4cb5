//! Shops that wait for what is held for them, and the bank that pays it out.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::BooksCommand;
use khlong_gateway::domains::books::payout::{
    AccountNumber, Agent, Creditor, Debtor, ExportAnswer, ExportRecord, FatesAnswer, PayoutBatch,
    PayoutError, PayoutFormat, Settlement, StatusReport, Text140, answered as said,
};
use khlong_gateway::domains::ledger::TransferResult;
use khlong_gateway::kernel::Logic;

use crate::fixture::{hold, pay};
use crate::office::{Office, TODAY};
use crate::pain002::parse;

/// What is held towards it waits for the bank.
pub(crate) const CLEARING: u128 = 5;

pub(crate) fn creditor(name: &str) -> Creditor {
    Creditor {
        name: Text140::new(name).unwrap(),
        account: AccountNumber::new("1234567890").unwrap(),
        agent: Agent::new("004").unwrap(),
        remittance: Some(Text140::new("Sales, 27 Nov").unwrap()),
    }
}

pub(crate) fn debtor() -> Debtor {
    Debtor {
        name: Text140::new("Khlong Co., Ltd.").unwrap(),
        account: AccountNumber::new("9876543210").unwrap(),
        agent: Agent::new("KASITHBK").unwrap(),
    }
}

/// Holds 1 to 3 of shops, and who they are.
pub(crate) fn shops() -> (Office, Vec<(u128, Creditor)>) {
    shops_under(Logic::CURRENT)
}

fn shops_under(logic: Logic) -> (Office, Vec<(u128, Creditor)>) {
    let mut office = Office::under(logic);
    office.pay(&[pay(100, 1, 3, 1_000_000)]);
    office.pay(&[
        hold(3, 3, CLEARING, 5, 0),
        hold(1, 3, CLEARING, 123_456, 0),
        hold(2, 4, CLEARING, 100, 0),
    ]);
    let names = ["ร้านก๋วยเตี๋ยวเรือ", "Somchai (Bangkok)", "C"];
    let creditors = (1..).zip(names.map(creditor)).collect();
    (office, creditors)
}

pub(crate) fn batch(
    office: &Office,
    creditors: &[(u128, Creditor)],
) -> Result<PayoutBatch, PayoutError> {
    let at = UnixMillis(office.bank.now);
    PayoutBatch::new(
        office.store(),
        debtor(),
        CLEARING,
        at,
        TODAY,
        creditors.to_vec(),
    )
}

pub(crate) fn export(office: &mut Office, record: &ExportRecord) -> ExportAnswer {
    let answer = office.ask(&BooksCommand::ExportPayouts(record.clone()));
    ExportAnswer::decode(&answer).unwrap()
}

/// The books note what the bank says, and decide; the ledger is not asked.
pub(crate) fn noted(office: &mut Office, report: &StatusReport) -> Settlement {
    let (record, said) = said(office.store(), report).unwrap();
    let fates = FatesAnswer::decode(&office.ask(&BooksCommand::AnswerPayouts(said)));
    let Some(FatesAnswer::Fates(fates)) = fates else {
        panic!("{fates:?}");
    };
    Settlement::of(&record, &fates, report)
}

/// What the bank says, and what the ledger makes of it.
pub(crate) fn answered(office: &mut Office, text: &str) -> Settlement {
    let told = noted(office, &parse(text).unwrap());
    if !told.transfers.is_empty() {
        let results = office.bank.send(&told.transfers);
        assert!(
            results.iter().all(|it| *it == TransferResult::Ok),
            "{results:?}"
        );
    }
    told
}

/// A batch of the shops, recorded.
pub(crate) fn recorded() -> (Office, ExportRecord, Vec<(u128, Creditor)>) {
    recorded_under(Logic::CURRENT)
}

/// The same by a release of these rules.
pub(crate) fn recorded_under(logic: Logic) -> (Office, ExportRecord, Vec<(u128, Creditor)>) {
    let (mut office, creditors) = shops_under(logic);
    let batch = batch(&office, &creditors).unwrap();
    let record = batch.record(PayoutFormat::Pain001).unwrap();
    export(&mut office, &record);
    (office, record, creditors)
}
