//! Commands and answers of the books, as they stand in the journal.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::payout::{
    AnswerRecord, ExportAnswer, ExportRecord, Fate, FatesAnswer, PaymentStatus, PayoutFormat,
};
use khlong_gateway::domains::books::reconciliation::{ReconciliationRecord, RecordAnswer};
use khlong_gateway::domains::books::{BooksCommand, Close, CloseAnswer, Day, cursor, parse_cursor};
use khlong_gateway::domains::ledger::Place;
use khlong_store::journal::JournalSeq;

use crate::fuzzing::{Seeds, fuzz, one_form};

const AT: UnixMillis = UnixMillis(1_795_500_000_000);

fuzz!(fuzz_books_command, 3_000, commands(), command);

/// Each kind, and records of batches without a payout, which are refused.
fn commands() -> Seeds {
    let mut commands = [Day(0), Day(20_000), Day(u32::MAX)]
        .map(BooksCommand::CloseDay)
        .to_vec();
    let recorded = ReconciliationRecord {
        account: 6,
        from: Day(20_784),
        to: Day(20_785),
        close_hash: [1; 32],
        file_digest: [2; 32],
        report_digest: [3; 32],
        matched: 7,
        differences: u32::MAX,
    };
    commands.extend([
        BooksCommand::CloseNext,
        BooksCommand::RecordReconciliation(recorded),
        export(PayoutFormat::Pain001, vec![1, 2, u128::MAX]),
        export(PayoutFormat::Csv, vec![41]),
        answer(vec![
            PaymentStatus::Waiting,
            PaymentStatus::Paid,
            PaymentStatus::Rejected,
            PaymentStatus::Doubtful,
        ]),
    ]);
    let empty = [export(PayoutFormat::Csv, Vec::new()), answer(Vec::new())];
    let encoded = |commands: &[BooksCommand]| commands.iter().map(BooksCommand::encode).collect();
    Seeds::and(encoded(&commands), encoded(&empty))
}

fn export(format: PayoutFormat, transfers: Vec<u128>) -> BooksCommand {
    BooksCommand::ExportPayouts(ExportRecord {
        batch: 5,
        clearing: 2,
        created_at: AT,
        execution: Day(20_785),
        format,
        sum: 123_456,
        file_digest: [4; 32],
        transfers,
    })
}

fn answer(statuses: Vec<PaymentStatus>) -> BooksCommand {
    BooksCommand::AnswerPayouts(AnswerRecord {
        batch: 5,
        report_digest: [6; 32],
        statuses,
    })
}

fn command(bytes: &[u8]) -> bool {
    one_form(bytes, BooksCommand::decode(bytes), BooksCommand::encode)
}

fuzz!(fuzz_close_answer, 2_000, close_answers(), close_answer);

fn close_answers() -> Vec<Vec<u8>> {
    let closed = Close {
        day: Day(20_784),
        after: JournalSeq(3),
        last: JournalSeq(9),
        records: 6,
        journal_hash: [1; 32],
        former_hash: [0; 32],
        hash: [2; 32],
    };
    let answers = [
        CloseAnswer::Closed(closed),
        CloseAnswer::Unfinished {
            day: Day(1),
            records: u64::MAX,
        },
        CloseAnswer::TooEarly {
            day: Day(20_785),
            until: AT,
        },
        CloseAnswer::OutOfOrder { expected: Day(1) },
        CloseAnswer::NothingYet,
    ];
    answers.map(|answer| answer.encode()).to_vec()
}

fn close_answer(bytes: &[u8]) -> bool {
    one_form(bytes, CloseAnswer::decode(bytes), CloseAnswer::encode)
}

fuzz!(fuzz_export_answer, 2_000, export_answers(), export_answer);

fn export_answers() -> Vec<Vec<u8>> {
    let answers = [
        ExportAnswer::Recorded(JournalSeq(7), AT),
        ExportAnswer::OtherFile([7; 32]),
        ExportAnswer::Unfit(3),
        ExportAnswer::InBatch(1, 2),
        ExportAnswer::Differs,
    ];
    answers.map(|answer| answer.encode()).to_vec()
}

fn export_answer(bytes: &[u8]) -> bool {
    one_form(bytes, ExportAnswer::decode(bytes), ExportAnswer::encode)
}

fuzz!(fuzz_record_answer, 2_000, record_answers(), record_answer);

fn record_answers() -> Vec<Vec<u8>> {
    let answers = [
        RecordAnswer::Recorded(JournalSeq(7), AT),
        RecordAnswer::OtherClose,
        RecordAnswer::UnknownAccount,
        RecordAnswer::Differs,
    ];
    answers.map(|answer| answer.encode()).to_vec()
}

fn record_answer(bytes: &[u8]) -> bool {
    one_form(bytes, RecordAnswer::decode(bytes), RecordAnswer::encode)
}

fuzz!(fuzz_fates_answer, 2_000, fates_answers(), fates_answer);

fn fates_answers() -> Vec<Vec<u8>> {
    let fates = vec![Fate::Posts(1), Fate::Voids(2), Fate::Waits];
    let answers = [
        FatesAnswer::Fates(fates),
        FatesAnswer::UnknownBatch,
        FatesAnswer::Differs,
    ];
    answers.map(|answer| answer.encode()).to_vec()
}

fn fates_answer(bytes: &[u8]) -> bool {
    one_form(bytes, FatesAnswer::decode(bytes), FatesAnswer::encode)
}

fuzz!(fuzz_books_cursor, 2_000, cursors(), place);

/// Where a list goes on: plainly, and as only a person would write it.
fn cursors() -> Seeds {
    let places = [(1, 0), (17, 3), (u64::MAX, u16::MAX)].map(|(seq, index)| Place {
        seq: JournalSeq(seq),
        index,
    });
    let others = [&b"+1-3"[..], b"007-03", b"1--3", b"18446744073709551616-0"];
    Seeds::and(
        places.map(|place| cursor(place).into_bytes()).to_vec(),
        others.map(<[u8]>::to_vec).to_vec(),
    )
}

fn place(bytes: &[u8]) -> bool {
    let place = std::str::from_utf8(bytes).ok().and_then(parse_cursor);
    if let Some(place) = place {
        assert_eq!(parse_cursor(&cursor(place)), Some(place));
    }
    place.is_some()
}
