//! A domain of a higher layer that moves money within its own command: one entry, all of it or nothing.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use fixture::{JOURNAL, command, decide, opening, pay, store};
use khlong_gateway::domains;
use khlong_gateway::domains::books::BOOKS_DOMAIN;
use khlong_gateway::domains::ledger::{
    Failures, LEDGER_DOMAIN, Ledger, LedgerCommand, Transfer, TransferResult, account, totals,
};
use khlong_gateway::kernel::{
    ApplyError, Context, Domain, KERNEL_DOMAIN, Kernel, KernelError, Logic, Outcome, Rejection,
    replay, state_hash,
};
use khlong_store::engine::faults::{Fault, FaultKind};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalSeq;
use khlong_store::key::Encoder;
use khlong_store::rows::Rows as _;
use khlong_store::table::Table;

const ORDERS: u8 = 210;
const ABOVE: u8 = 211;

/// What comes of a payment is for the higher one to judge.
const STRICT: u8 = 1;
const LENIENT: u8 = 2;
/// An error is passed over.
const CARELESS: u8 = 3;
const TWICE: u8 = 4;
/// Asks the domain whose number follows.
const OTHER: u8 = 5;
const TRESPASS: u8 = 6;
const PANIC: u8 = 7;

/// Orders, which are paid in the ledger: a row with the items that failed there.
struct Orders;

fn key(context: &Context<'_, '_>, of: u8) -> Vec<u8> {
    Encoder::new().u64(context.seq().0).u8(of).finish()
}

impl Domain for Orders {
    fn number(&self) -> u8 {
        ORDERS
    }

    fn tables(&self) -> &'static [Table] {
        &[Table::BooksPayout]
    }

    fn apply(&mut self, context: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
        let (how, body) = body.split_first().unwrap();
        let place = key(context, ORDERS);
        context.put(Table::BooksPayout, place.clone(), Vec::new())?;
        let answer = match *how {
            OTHER => context.ask(body[0], b"")?,
            CARELESS => context.ask(LEDGER_DOMAIN, body).unwrap_or_default(),
            _ => context.ask(LEDGER_DOMAIN, body)?,
        };
        let failed = Failures::decode(&answer).map_or(0, |failures| failures.0.len());
        match *how {
            STRICT if failed > 0 => return Err(ApplyError::Rejected(Rejection::Invariant)),
            TWICE => drop(context.ask(LEDGER_DOMAIN, &LedgerCommand::Sweep.encode())),
            TRESPASS => drop(context.put(Table::LedgerAsset, place.clone(), Vec::new())),
            PANIC => panic!("as it was told"),
            _ => {}
        }
        // It is itself again.
        context.put(Table::BooksPayout, place, answer.clone())?;
        context.send(b"an order is paid")?;
        Ok(answer)
    }

    fn roll_back(&mut self) {}
}

/// Of a layer above, which has orders made.
struct Above;

impl Domain for Above {
    fn number(&self) -> u8 {
        ABOVE
    }

    fn tables(&self) -> &'static [Table] {
        &[Table::BooksPayoutItem]
    }

    fn apply(&mut self, context: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
        let answer = context.ask(ORDERS, body)?;
        let place = key(context, ABOVE);
        context.put(Table::BooksPayoutItem, place, Vec::new())?;
        Ok(answer)
    }

    fn roll_back(&mut self) {}
}

fn open(disk: &MemoryDisk) -> Kernel {
    let domains: Vec<Box<dyn Domain>> = vec![
        Box::new(Ledger::without_owners()),
        Box::new(Orders),
        Box::new(Above),
    ];
    Kernel::open(store(disk), domains, Logic::CURRENT, JOURNAL).unwrap()
}

fn books(disk: &MemoryDisk) -> Kernel {
    let mut kernel = open(disk);
    for (n, body) in opening(2).iter().enumerate() {
        let command = command(&n.to_string(), 1_000, LEDGER_DOMAIN, body.encode());
        decide(&mut kernel, &command);
    }
    kernel
}

fn ask(kernel: &mut Kernel, domain: u8, how: u8, more: &[u8]) -> Outcome {
    let key = format!("ask {}", kernel.head().seq.0);
    let body = [&[how], more].concat();
    let decided = decide(kernel, &command(&key, 1_000, domain, body));
    decided.outcome().unwrap()
}

fn transfers(transfers: &[Transfer]) -> Vec<u8> {
    LedgerCommand::CreateTransfers(transfers.to_vec()).encode()
}

fn paid(kernel: &Kernel) -> u128 {
    let found = account(kernel.store(), 2).unwrap().unwrap();
    assert!(
        totals(kernel.store())
            .unwrap()
            .values()
            .all(|it| it.is_balanced())
    );
    found.balances.credits_posted
}

/// The row of the order that was the last command.
fn order(kernel: &Kernel) -> Option<Vec<u8>> {
    let key = Encoder::new().u64(kernel.head().seq.0).u8(ORDERS).finish();
    kernel.store().get(Table::BooksPayout, &key).unwrap()
}

fn failures(outcome: &Outcome) -> Vec<(u16, u8)> {
    match outcome {
        Outcome::Done(payload) => Failures::decode(payload).unwrap().0,
        Outcome::Rejected(rejection) => panic!("{rejection:?}"),
    }
}

fn assert_replays(kernel: &Kernel) {
    let mut again = open(&MemoryDisk::new());
    assert_eq!(replay(kernel.store(), &mut again).unwrap(), kernel.head());
    let states = [kernel, &again].map(|kernel| state_hash(kernel.store()).unwrap());
    assert_eq!(states[0], states[1]);
}

#[test]
fn an_order_is_paid_in_one_entry() {
    let disk = MemoryDisk::new();
    let mut kernel = books(&disk);
    let outcome = ask(&mut kernel, ORDERS, STRICT, &transfers(&[pay(1, 1, 2, 5)]));
    assert_eq!(failures(&outcome), []);
    assert_eq!((kernel.head().seq, paid(&kernel)), (JournalSeq(3), 5));
    assert!(order(&kernel).is_some());
    // Through two layers.
    let body = [&[STRICT][..], &transfers(&[pay(2, 1, 2, 7)])].concat();
    let decided = decide(&mut kernel, &command("above", 1_000, ABOVE, body));
    assert!(matches!(decided.outcome(), Some(Outcome::Done(_))));
    assert_eq!((kernel.head().seq, paid(&kernel)), (JournalSeq(4), 12));
    assert!(order(&kernel).is_some());
    // After a restart too, and as a transfer of its own.
    drop(kernel);
    let mut kernel = open(&disk);
    let again = decide(
        &mut kernel,
        &command("own", 1_000, LEDGER_DOMAIN, transfers(&[pay(1, 1, 2, 5)])),
    );
    let exists = TransferResult::Exists.code();
    assert_eq!(failures(&again.outcome().unwrap()), [(0, exists)]);
    assert_replays(&kernel);
}

#[test]
fn an_item_that_fails_is_the_answer_and_a_rejection_takes_all_with_it() {
    let mut kernel = books(&MemoryDisk::new());
    // Account 3 is not there, which burns the id.
    let unpaid = transfers(&[pay(1, 1, 3, 5), pay(2, 1, 2, 5)]);
    let outcome = ask(&mut kernel, ORDERS, STRICT, &unpaid);
    assert_eq!(outcome, Outcome::Rejected(Rejection::Invariant));
    assert_eq!((paid(&kernel), order(&kernel)), (0, None));
    // Nothing of it is left, not even that.
    let outcome = ask(&mut kernel, ORDERS, LENIENT, &unpaid);
    let failed = failures(&outcome);
    let missing = TransferResult::CreditAccountNotFound.code();
    assert_eq!(failed, [(0, missing)]);
    assert_eq!(paid(&kernel), 5);
    assert_eq!(order(&kernel), Some(Failures(failed).encode()));
    assert_replays(&kernel);
}

#[test]
fn what_is_not_to_be_asked_rejects_the_command() {
    let mut kernel = books(&MemoryDisk::new());
    let good = transfers(&[pay(1, 1, 2, 5)]);
    for (how, more, rejection) in [
        // That it passes over the error changes nothing.
        (CARELESS, &good[..good.len() - 1], Rejection::Malformed),
        (TWICE, &good, Rejection::Invariant),
        (TRESPASS, &good, Rejection::ForeignTable),
        (PANIC, &good, Rejection::Panicked),
        (OTHER, &[ORDERS], Rejection::Invariant),
        (OTHER, &[ABOVE], Rejection::Invariant),
        (OTHER, &[KERNEL_DOMAIN], Rejection::Invariant),
        (OTHER, &[99], Rejection::Invariant),
    ] {
        let outcome = ask(&mut kernel, ORDERS, how, more);
        assert_eq!(outcome, Outcome::Rejected(rejection), "{how}");
        assert_eq!((paid(&kernel), order(&kernel)), (0, None), "{how}");
    }
    // The kernel goes on, and the id is free.
    let outcome = ask(&mut kernel, ORDERS, STRICT, &good);
    assert_eq!(failures(&outcome), []);
    assert_eq!(paid(&kernel), 5);
    assert_replays(&kernel);
}

#[test]
fn a_disk_that_fails_whom_it_asks_stops_the_kernel_also_if_it_passes_over_that() {
    let body = [&[CARELESS][..], &transfers(&[pay(1, 1, 2, 5)])].concat();
    let asked = command("careless", 1_000, ORDERS, body);
    let mut failed = 0;
    // Each read in turn, those of the ledger among them.
    let ended = (0..1_000).any(|reads| {
        let disk = MemoryDisk::new();
        drop(books(&disk));
        let mut kernel = open(&disk);
        disk.inject_after(reads, Fault::ReadError);
        let applied = kernel.apply(&asked);
        if disk.fired(FaultKind::ReadError) == 0 {
            applied.unwrap();
            return true;
        }
        failed += 1;
        let error = applied.unwrap_err();
        assert!(error.is_fatal(), "read {reads}: {error}");
        let broken = kernel.commit();
        assert!(matches!(broken, Err(KernelError::Broken)), "read {reads}");
        drop(kernel);
        let kernel = open(&disk);
        assert_eq!((kernel.head().seq, paid(&kernel)), (JournalSeq(2), 0));
        false
    });
    assert!(ended && failed > 3, "{failed} reads");
}

/// The layer of each domain of the release; a new one says here too where it lies. What a command comes to
/// stands on their order, and so does each replay of it.
const LAYERS: [(u8, u8); 2] = [(LEDGER_DOMAIN, 1), (BOOKS_DOMAIN, 2)];

#[test]
fn the_domains_of_the_release_stand_in_the_order_of_their_layers() {
    let all = domains::all();
    let layers = all.iter().map(|domain| {
        let mut known = LAYERS.iter();
        let found = known.find(|(number, _)| *number == domain.number());
        found.unwrap().1
    });
    let layers: Vec<u8> = layers.collect();
    assert!(layers.is_sorted(), "{layers:?}");
    assert_eq!(layers.len(), LAYERS.len());
}
