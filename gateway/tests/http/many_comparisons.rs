//! The page counts differences of so many comparisons, and says so when there are more.

use khlong_gateway::domains;
use khlong_gateway::domains::books::reconciliation::{ReconciliationRecord, RecordAnswer};
use khlong_gateway::domains::books::{BOOKS_DOMAIN, BooksCommand, close_of};
use khlong_gateway::http::limits::COMPARISONS_READ_MAX;
use khlong_gateway::kernel::{GROUP_COMMANDS_MAX, Outcome};
use khlong_store::engine::memory::MemoryDisk;

use crate::days::{TODAY, kernel};
use crate::fixture::command;
use crate::office::{banked, on_the_next_day};

/// Records so many comparisons of today, of one difference each and with numbers from `first` on as digests.
fn record(disk: &MemoryDisk, first: u64, many: usize) {
    let mut kernel = kernel(disk, domains::all());
    let close = close_of(kernel.store(), TODAY).unwrap().unwrap();
    let now = TODAY.end().0 + 9 * 3_600_000;
    let numbers: Vec<u64> = (first..).take(many).collect();
    for group in numbers.chunks(GROUP_COMMANDS_MAX) {
        for number in group {
            let mut report_digest = [0; 32];
            report_digest[..8].copy_from_slice(&number.to_be_bytes());
            let record = BooksCommand::RecordReconciliation(ReconciliationRecord {
                account: 1,
                from: TODAY,
                to: TODAY,
                close_hash: close.hash,
                file_digest: [0; 32],
                report_digest,
                matched: 0,
                differences: 1,
            });
            let key = format!("many {number}");
            let command = command(&key, now, BOOKS_DOMAIN, record.encode());
            kernel.apply(&command).unwrap();
        }
        kernel.commit().unwrap();
        for output in kernel.release() {
            let Some(Outcome::Done(payload)) = output.decided.outcome() else {
                panic!("{output:?}");
            };
            let told = RecordAnswer::decode(&payload);
            assert!(matches!(told, Some(RecordAnswer::Recorded(..))), "{told:?}");
        }
    }
}

fn page(disk: &MemoryDisk) -> String {
    let server = on_the_next_day(disk);
    let page = server.get("/ledger").body;
    server.stop().unwrap();
    page
}

#[test]
fn beyond_ten_thousand_comparisons_no_difference_is_counted() {
    assert_eq!(COMPARISONS_READ_MAX, 10_000);
    let disk = MemoryDisk::new();
    banked(&disk).stop().unwrap();
    record(&disk, 0, COMPARISONS_READ_MAX);
    // All are of one day, so the last one stands for them.
    let counted = page(&disk);
    assert!(counted.contains("<p>Open differences: 1</p>"), "{counted}");
    assert!(counted.contains("<p>Last comparison: account 1, "));
    record(&disk, 10_000, 1);
    let many = page(&disk);
    let words =
        "<p>Open differences: not counted, since more than 10000 comparisons are recorded</p>";
    assert!(many.contains(words), "{many}");
    assert!(!many.contains("Last comparison"), "{many}");
}
