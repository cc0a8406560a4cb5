//! The page for people adds all accounts up, a part at a time, while others pay.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use khlong_gateway::app::limits::BALANCES_AT_ONCE;
use khlong_store::engine::memory::MemoryDisk;
use serde_json::json;

use crate::days::{TODAY, Time, start};
use crate::server::{Server, pay, set_up};

/// More than four parts.
const ACCOUNTS: u32 = 4_500;

/// Entries before the first payment.
const BEFORE: u64 = 2;

fn head(server: &Server) -> u64 {
    let head = server.get("/v1/journal/head").json();
    head["entry"].as_u64().unwrap()
}

/// What stands behind `before` on the page, up to the next blank or tag.
fn told<'p>(page: &'p str, before: &str) -> &'p str {
    let (_, rest) = page.split_once(before).unwrap();
    rest.split([' ', '<']).next().unwrap()
}

/// Sets it at its end, also at that of a test that fails: who pays ends then.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Each payment is one satang and one entry, so the entry says what the sums are. Whatever is paid between two parts
/// goes from accounts that were read to some that were not, and back.
#[test]
fn its_sums_are_those_of_one_entry_while_others_pay() {
    assert!(ACCOUNTS as usize > 4 * BALANCES_AT_ONCE);
    let (disk, time) = (
        MemoryDisk::new(),
        Time::at(TODAY.start().0 + 12 * 3_600_000),
    );
    let server = start(&disk, &time);
    set_up(server.address, ACCOUNTS);
    server.stop().unwrap();
    let paid = AtomicU64::new(0);
    let mut was_paid = false;
    // Each start makes the page anew.
    for _ in 0..20 {
        let server = start(&disk, &time);
        let is_made = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_made.load(Ordering::SeqCst) {
                    let id = paid.fetch_add(1, Ordering::SeqCst) + 1;
                    let to = u32::try_from(id * 1_009 % u64::from(ACCOUNTS - 1)).unwrap() + 2;
                    let reply = server.send(&id.to_string(), json!([pay(id, 1, to, 1)]));
                    assert_eq!(reply.results(), ["ok"]);
                }
            });
            let ends = Ends(&is_made);
            let page = server.get("/ledger");
            let after = head(&server);
            drop(ends);
            assert_eq!(page.status, 200, "{page:?}");
            let entry: u64 = told(&page.body, "<p>As of entry ").parse().unwrap();
            let satang = entry - BEFORE;
            let sum = format!("{}.{:02}", satang / 100, satang % 100);
            let row = format!(
                "<tr><td>THB (764)</td><td>{ACCOUNTS}</td><td>{sum}</td><td>{sum}</td><td>0.00</td><td>0.00</td></tr>"
            );
            assert!(page.body.contains(&row), "{row}: {}", page.body);
            was_paid |= after > entry + 1;
        });
        server.stop().unwrap();
        if was_paid {
            break;
        }
    }
    assert!(was_paid, "nobody was served meanwhile");
}
