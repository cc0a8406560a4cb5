//! A journal across the change from which on a close leaves a notice, and what became of it: it
//! was written once, and replays to the same state in every later release. `testdata/journal-3.txt`
//! has an entry on each line, as `journal-1.txt` has.

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::books::BooksCommand;
use khlong_gateway::kernel::{
    Epoch, Holder, Housekeeping, KERNEL_DOMAIN, Logic, Notice, epochs, leader, replay, state_hash,
    waiting_outbox,
};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalSeq;

use crate::fixture::{command, decide, pay};
use crate::golden_file::{appended, assert_makes, hex};
use crate::office::{Office, TODAY, kernel, start_under};

const GOLDEN: &str = include_str!("../../testdata/journal-3.txt");
const HEAD: &str = "2f3d80352e25b27251fb9af4d256d9e814ef8e8962419ac31312e35e60dd1d50";
const STATE: &str = "b34385a191046f8ad8e52ea41a3b68df04e363b060d5c16eb5928b0c4a7feb77";

#[test]
fn the_golden_journal_replays_to_a_fixed_state() {
    let (golden, head) = appended(GOLDEN);
    let again = MemoryDisk::new();
    let mut again = kernel(&again);
    assert_eq!(replay(&golden, &mut again).unwrap(), head);
    // Of three closes the first was decided by rules without notices, and one notice was settled.
    let left = waiting_outbox(again.store(), 10).unwrap();
    assert_eq!(left.len(), 1, "{left:?}");
    let notice = Notice::decode(&left[0].message).unwrap();
    assert_eq!(notice.topic, "books.day_closed");
    assert!(notice.data.starts_with(r#"{"day":"2026-11-29","seq":"#));
    assert_eq!(
        leader(again.store()).unwrap().unwrap().0,
        Holder::from_bytes([5; 20])
    );
    let epoch = Epoch {
        seq: JournalSeq(head.seq.0 - 1),
        number: 1_795_800_000,
    };
    assert_eq!(epochs(again.store()).unwrap(), [epoch]);
    let state = hex(&state_hash(again.store()).unwrap());
    assert_eq!((hex(&head.hash).as_str(), state.as_str()), (HEAD, STATE));
}

fn keep_house(office: &mut Office, key: &str, what: &Housekeeping) -> Vec<u8> {
    let command = command(key, office.bank.now, KERNEL_DOMAIN, what.encode());
    let decided = decide(&mut office.bank.kernel, &command);
    decided.outcome[1..].to_vec()
}

fn act() -> Office {
    let mut office = Office::under(Logic::V2);
    office.pay(&[pay(1, 1, 2, 50)]);
    office.at(TODAY.next(), 1);
    office.ask(&BooksCommand::CloseNext);
    start_under(&mut office.bank, Logic::V3);
    office.pay(&[pay(2, 2, 1, 7)]);
    office.at(TODAY.next().next(), 1);
    office.ask(&BooksCommand::CloseNext);
    let (holder, lease_ms) = (Holder::from_bytes([5; 20]), 60_000);
    let until = UnixMillis(office.bank.now + 60_000).0.to_be_bytes();
    let granted = keep_house(&mut office, "a", &Housekeeping::Lead { holder, lease_ms });
    assert_eq!(granted, [&[1][..], &until].concat());
    let other = Housekeeping::Lead {
        holder: Holder::from_bytes([6; 20]),
        lease_ms,
    };
    assert_eq!(
        keep_house(&mut office, "b", &other),
        [&[0][..], &until].concat()
    );
    let left = waiting_outbox(office.store(), 10).unwrap().remove(0);
    let report = Housekeeping::Report {
        seq: left.seq,
        n: left.n,
        delivered: 1,
        failed: 0,
    };
    assert_eq!(keep_house(&mut office, "c", &report), [1]);
    office.bank.kernel.begin_epoch(1_795_800_000).unwrap();
    office.at(TODAY.next().next().next(), 1);
    office.ask(&BooksCommand::CloseNext);
    office
}

/// The same commands make the same journal: what is written today is what was written then.
#[test]
fn the_golden_journal_is_what_its_commands_make() {
    let office = act();
    assert_makes(office.store(), GOLDEN, "journal-3.txt");
}
