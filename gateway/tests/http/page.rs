//! The page for people adds all accounts up, a part at a time, while others pay.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

use khlong_gateway::app::limits::BALANCES_AT_ONCE;
use khlong_store::engine::memory::MemoryDisk;
use serde_json::json;

use crate::days::{TODAY, Time, start};
use crate::log::Log;
use crate::metrics::metrics;
use crate::server::{Server, change_balances, get, often, pay, set_up};
use crate::until::until;

/// More than four parts.
const ACCOUNTS: u32 = 4_500;

/// Instead of a sum that does not fit.
const MORE: &str = "more than 2^128";

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

/// The accounts that were read are not read anew because there is no place for the next ones just then.
#[test]
fn a_queue_that_is_full_for_a_moment_does_not_keep_the_page_from_being_made() {
    let log = Log::begin();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with(folder.path(), "[limits]\nqueue = 2");
    // Two parts.
    set_up(server.address, 1_500);
    let held = server.hold_driver();
    let address = server.address;
    let reader = std::thread::spawn(move || get(address, "/ledger"));
    until("the first part is in the queue", || {
        metrics(&server).contains("khlong_gateway_queue_inputs 1\n")
    });
    // The driver is held behind it as well, and meanwhile the queue is full.
    let (begun, has_begun) = sync_channel::<()>(1);
    let (go_on, goes_on) = sync_channel::<()>(1);
    let second = server.handle.begin_read(move |_| {
        begun.send(()).unwrap();
        // An error: the test failed.
        let _ = goes_on.recv();
    });
    held.let_go();
    has_begun.recv().unwrap();
    let mut waiting = Vec::new();
    while let Ok(answer) = server.handle.begin_read(|_| ()) {
        waiting.push(answer);
    }
    assert!(!waiting.is_empty());
    until("the page waits with its second part", || {
        log.says("a read waits for a place in the queue")
    });
    go_on.send(()).unwrap();
    second.unwrap().blocking_recv().unwrap();
    let page = reader.join().unwrap();
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.body.contains("<td>1500</td>"), "{}", page.body);
    server.stop().unwrap();
}

#[test]
fn who_waits_too_long_is_told_so_and_the_sums_are_there_for_the_next_one() {
    let noon = Time::at(TODAY.start().0 + 12 * 3_600_000);
    let server = start(&MemoryDisk::new(), &noon);
    set_up(server.address, 2);
    let held = server.hold_driver();
    let late = server.get("/ledger");
    assert_eq!((late.status, late.problem().as_str()), (503, "busy"));
    assert!(late.body.contains("still being added up"), "{}", late.body);
    held.let_go();
    let reply = server.send("1", json!([pay(1, 1, 2, 1)]));
    assert_eq!(reply.results(), ["ok"]);
    assert_eq!(head(&server), BEFORE + 1);
    // It was begun before the payment, and is kept for a few seconds.
    let page = server.get("/ledger");
    assert_eq!(told(&page.body, "<p>As of entry "), BEFORE.to_string());
    server.stop().unwrap();
}

/// Rows as a fault of the gateway, or of its disk, would leave them: each change on top of those before.
#[test]
fn books_that_are_out_of_balance_are_shown_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = often(folder.path());
    let server = Server::of(options.clone());
    server.set_up(2);
    assert_eq!(server.send("1", json!([pay(1, 1, 2, 5)])).results(), ["ok"]);
    server.stop().unwrap();
    type Change<'c> = (&'c [(u128, usize, u8)], [&'c str; 4]);
    let changes: [Change<'_>; 5] = [
        (&[], ["0.05", "0.05", "0.00", "0.00"]),
        // Credited, and debited by nobody.
        (&[(2, 71, 0x10)], ["0.05", "0.21", "0.00", "0.16"]),
        // The reverse, and more of it.
        (&[(1, 39, 0x40)], ["0.69", "0.21", "0.00", "0.48"]),
        // Held, to be debited, and to be credited to nobody: that is out too, by itself.
        (&[(1, 23, 0x02)], ["0.69", "0.21", "0.02", "0.50"]),
        // So much that the sums of one side alone do not fit into 128 bits.
        (
            &[(1, 56, 0xff), (2, 56, 0xff)],
            ["0.69", MORE, "0.02", MORE],
        ),
    ];
    for (changes, sums) in changes {
        for (account, place, bits) in changes {
            change_balances(&options, *account, |row| row[*place] ^= bits);
        }
        let server = Server::of(options.clone());
        let page = server.get("/ledger").body;
        let row = format!(
            "<tr><td>THB (764)</td><td>2</td><td>{}</td></tr>",
            sums.join("</td><td>")
        );
        assert!(page.contains(&row), "{row}: {page}");
        server.stop().unwrap();
    }
}
