//! A journal across the change from which on a hold of a batch is settled through the books alone: it was written
//! once, and replays to the same state in every later release. `testdata/journal-4.txt` has an entry on each line, as
//! `journal-1.txt` has.

use std::fmt::Write as _;
use std::ops::ControlFlow;

use khlong_gateway::domains::books::payout::{StatusReport, batch_of};
use khlong_gateway::domains::ledger::{TransferResult as R, TransferState, transfer};
use khlong_gateway::kernel::{Logic, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{self, JournalError, JournalSeq};

use crate::fixture::{post, void};
use crate::golden_file::{appended, hex};
use crate::office::{Office, kernel, start_under};
use crate::pain002::{of_payments, original, parse, report};
use crate::shops::{noted, recorded_under};

const GOLDEN: &str = include_str!("../../testdata/journal-4.txt");
const HEAD: &str = "7773b2d1c695f925bb2336f269862243c80589055ad7ba55b5344d6c3ac51df8";
const STATE: &str = "67bbe798b543db942e82ddd225e5ccadcf1b7e0d6d6dc2bf1a8b9fe728af7653";

#[test]
fn the_golden_journal_replays_to_a_fixed_state() {
    let (golden, head) = appended(GOLDEN);
    let again = MemoryDisk::new();
    let mut again = kernel(&again);
    assert_eq!(replay(&golden, &mut again).unwrap(), head);
    // By the third rules somebody posted a part of hold 1; by the fourth nobody voided 3, and nothing else was heard of
    // what the books had decided about 2.
    let states = [1, 2, 3].map(|id| transfer(again.store(), id).unwrap().unwrap().2);
    let expected = [
        TransferState::Posted,
        TransferState::Voided,
        TransferState::Posted,
    ];
    assert_eq!(states, expected);
    assert!(batch_of(again.store(), 3).unwrap().is_some());
    let state = hex(&state_hash(again.store()).unwrap());
    assert_eq!((hex(&head.hash).as_str(), state.as_str()), (HEAD, STATE));
}

/// A batch of holds 1 to 3, with somebody who meddles before and after the change, and a bank that changes its mind.
fn act() -> Office {
    let (mut office, record, _) = recorded_under(Logic::V3);
    assert_eq!(office.bank.send_one(post(50, 1, 1)), R::Ok);
    let early = StatusReport::of_person(record.batch, &[2], &[]).unwrap();
    let early = noted(&mut office, &early).transfers;
    start_under(&mut office.bank, Logic::V4);
    office.look_at_the_clock();
    assert_eq!(office.bank.send(&early), [R::PendingTransferOwned]);
    let refused = [R::PendingTransferOwned; 2];
    assert_eq!(office.bank.send(&[void(51, 2), post(52, 3, 1)]), refused);
    let body = original(record.batch, "") + &of_payments(&[(1, "ACSC"), (2, "RJCT")]);
    let told = noted(&mut office, &parse(&report(&body)).unwrap());
    assert_eq!((&told.voided, &told.contradicted), (&vec![2], &vec![1]));
    for later in ["ACSC", "RJCT"] {
        let body = original(record.batch, "") + &of_payments(&[(2, later)]).replace("AC01", "DUPL");
        let later = noted(&mut office, &parse(&report(&body)).unwrap());
        assert_eq!((later.contradicted, later.transfers), (vec![2], vec![]));
    }
    office.pay(&told.transfers);
    let person = StatusReport::of_person(record.batch, &[3], &[]).unwrap();
    let told = noted(&mut office, &person);
    assert_eq!(office.bank.send_one(void(53, 3)), R::PendingTransferOwned);
    office.pay(&told.transfers);
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
        let beside = format!("{}/journal-4.txt", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&beside, &made).unwrap();
        let head = hex(&office.bank.kernel.head().hash);
        let state = hex(&state_hash(office.store()).unwrap());
        panic!("another journal, written to {beside}: head {head}, state {state}");
    }
}
