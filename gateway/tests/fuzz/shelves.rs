//! What the books keep of a day: its close, a comparison with a bank, a batch of payouts that the
//! bank has answered in part.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::payout::{
    AccountNumber, Agent, Creditor, Debtor, ExportAnswer, ExportRecord, FatesAnswer, PayoutBatch,
    PayoutFormat, StatusReport, Text140, answered, batch_of, exported, exports, first_settled,
    holds, may_settle,
};
use khlong_gateway::domains::books::reconciliation::{
    BankFile, ReconciliationRecord, RecordAnswer, reconcile, reconciliations, recorded, standing,
};
use khlong_gateway::domains::books::{
    BooksCommand, Close, CloseAnswer, Day, close_classes, close_of, close_totals, closes, due_day,
    due_days, last_close, verify_closes,
};
use khlong_store::journal::JournalSeq;
use khlong_store::key::Encoder;
use khlong_store::store::Store;
use khlong_store::table::Table;

use crate::fixture::{hold, post};
use crate::ledger::Readers;
use crate::office::{HOUR, Office, TODAY};

/// Tables that only the books have rows in.
pub(crate) const TABLES: [Table; 5] = [
    Table::BooksClose,
    Table::BooksCloseTotal,
    Table::BooksReconciliation,
    Table::BooksPayout,
    Table::BooksPayoutItem,
];

/// Towards which the holds of the batch are held.
const CLEARING: u128 = 5;
/// Ours at the bank.
const BANK: u128 = 6;
/// The holds: paid, and not answered yet.
const PAID: u128 = 110;
const WAITING: u128 = 111;

/// What was recorded.
pub(crate) struct Shelves {
    close: Close,
    export: ExportRecord,
    comparison: ReconciliationRecord,
}

/// Today is closed after this, and it is the next day.
pub(crate) fn fill(office: &mut Office) -> Shelves {
    office.pay(&[
        hold(PAID, 3, CLEARING, 123, 0),
        hold(WAITING, 4, CLEARING, 100, 0),
    ]);
    let export = record_batch(office);
    let said = answer(office.store(), &export);
    let answer = office.ask(&said);
    let fates = FatesAnswer::decode(&answer).unwrap();
    let FatesAnswer::Fates(fates) = fates else {
        panic!("{fates:?}");
    };
    let transfers = fates.iter().zip(&export.transfers);
    let transfers = transfers.filter_map(|(fate, hold)| fate.transfer(&export, *hold));
    office.pay(&transfers.collect::<Vec<_>>());
    office.at(TODAY.next(), HOUR);
    let closed = office.close(TODAY);
    let CloseAnswer::Closed(close) = closed else {
        panic!("{closed:?}");
    };
    let comparison = compare(office);
    Shelves {
        close,
        export,
        comparison,
    }
}

fn record_batch(office: &mut Office) -> ExportRecord {
    let account = |number: &str| AccountNumber::new(number).unwrap();
    let creditor = || Creditor {
        name: Text140::new("ร้านก๋วยเตี๋ยวเรือ").unwrap(),
        account: account("1234567890"),
        agent: Agent::new("004").unwrap(),
        remittance: None,
    };
    let debtor = Debtor {
        name: Text140::new("Khlong").unwrap(),
        account: account("9876543210"),
        agent: Agent::new("KASITHBK").unwrap(),
    };
    let creditors = [PAID, WAITING].map(|hold| (hold, creditor())).to_vec();
    let now = UnixMillis(office.bank.now);
    let batch = PayoutBatch::new(office.store(), debtor, CLEARING, now, TODAY, creditors);
    let export = batch.unwrap().record(PayoutFormat::Pain001).unwrap();
    let answer = office.ask(&BooksCommand::ExportPayouts(export.clone()));
    let answer = ExportAnswer::decode(&answer).unwrap();
    assert!(matches!(answer, ExportAnswer::Recorded(..)), "{answer:?}");
    export
}

/// A person says that one of the two is paid.
fn answer(store: &Store, export: &ExportRecord) -> BooksCommand {
    let report = StatusReport::of_person(export.batch, &[PAID], &[]).unwrap();
    BooksCommand::AnswerPayouts(answered(store, &report).unwrap().1)
}

fn compare(office: &mut Office) -> ReconciliationRecord {
    let file = format!("date,time,amount,reference,direction\n{TODAY},09:30,1.00,INV-1,in\n");
    let file = BankFile::parse(file.as_bytes()).unwrap();
    let told = reconcile(office.store(), BANK, TODAY, TODAY, &file).unwrap();
    let comparison = told.record();
    let answer = office.ask(&BooksCommand::RecordReconciliation(comparison));
    let answer = RecordAnswer::decode(&answer).unwrap();
    assert!(matches!(answer, RecordAnswer::Recorded(..)), "{answer:?}");
    comparison
}

impl Shelves {
    /// A row that only a close of many records leaves behind for a while: of the next day, whose
    /// only record is that of command `last`, nothing is added up yet.
    /// `0 ‖ after 8 ‖ last 8 ‖ records 8 ‖ next: seq 8 ‖ index 2`.
    pub(crate) fn open_day(&self, last: JournalSeq) -> (Table, Vec<u8>, Vec<u8>) {
        let key = Encoder::new().u32(self.close.day.next().0).finish();
        let row = Encoder::new().u8(0).u64(self.close.last.0).u64(last.0);
        let row = row.u64(0).u64(last.0).fixed(&[0; 2]);
        (Table::BooksClose, key, row.finish())
    }

    /// Every query of the books.
    pub(crate) fn read(&self, store: &Store, readers: &mut Readers) {
        let now = UnixMillis(TODAY.next().end().0 + HOUR);
        readers.note(last_close(store));
        readers.note(closes(store, Day(0), 10));
        readers.note(due_day(store));
        readers.note(due_days(store, now));
        readers.note(verify_closes(store));
        for day in [TODAY, TODAY.next()] {
            readers.note(close_of(store, day));
            readers.note(close_totals(store, day));
            let first = readers.note(close_classes(store, day, None, 1)).flatten();
            if let Some([(class, _), ..]) = first.as_deref() {
                readers.note(close_classes(store, day, Some(*class), 10));
            }
        }
        let digest = &self.comparison.report_digest;
        readers.note(recorded(store, digest));
        readers.note(reconciliations(store, None, 10));
        readers.note(standing(store, 10));
        readers.note(exports(store, None, 10));
        readers.note(exported(store, self.export.batch));
        readers.note(holds(store, &self.export, None, 10));
        readers.note(first_settled(store, &[WAITING]));
        for hold in [PAID, WAITING] {
            readers.note(batch_of(store, hold));
            readers.note(may_settle(store, &post(300, hold, 1)));
        }
    }

    /// Each kind once more; the close is of the next day.
    pub(crate) fn commands(&self) -> Vec<(&'static str, BooksCommand)> {
        vec![
            ("close", BooksCommand::CloseNext),
            ("close again", BooksCommand::CloseDay(TODAY)),
            (
                "compare",
                BooksCommand::RecordReconciliation(self.comparison),
            ),
            ("export", BooksCommand::ExportPayouts(self.export.clone())),
        ]
    }
}
