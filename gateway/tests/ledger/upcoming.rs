//! Which hold expires next, with more of them than memory keeps, and without asking the table each time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::ledger::limits::{BATCH_ITEMS_MAX, UPCOMING_KEPT_MAX};
use khlong_gateway::domains::ledger::{Ledger, LedgerCommand, TransferResult as R};
use khlong_gateway::kernel::{
    ApplyError, Context, Domain, Event, Kernel, Logic, replay, state_hash,
};
use khlong_store::engine::Direction;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::error::StoreError;
use khlong_store::key::KeyRange;
use khlong_store::rows::{EachRowVisitor, Rows};
use khlong_store::table::Table;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::fixture::{Bank, JOURNAL, hold, kernel, pay, post, store};

/// Holds of all lengths, posted or left alone, with more waiting than memory keeps: after each command
/// the deadline is the earliest of those that wait, and at the end the money says the same.
#[test]
fn the_deadline_is_that_of_the_first_that_waits_however_many_there_are() {
    let mut random = ChaCha20Rng::seed_from_u64(7);
    let mut bank = Bank::new(2);
    let mut waiting: BTreeSet<(i64, u128)> = BTreeSet::new();
    let (mut last, mut most) = (0, 0);
    for round in 0..10 {
        let timeouts: Vec<u32> = (0..6_000).map(|_| 1 + random.next_u32() % 3_000).collect();
        let holds: Vec<_> = (last + 1..)
            .zip(&timeouts)
            .map(|(id, timeout)| hold(id, 1, 2, 1, *timeout))
            .collect();
        last += holds.len() as u128;
        assert!(bank.send(&holds).iter().all(|result| *result == R::Ok));
        for hold in &holds {
            waiting.insert((bank.now + i64::from(hold.timeout) * 1_000, hold.id));
        }
        most = most.max(waiting.len());
        // The first ones, and some of all.
        let posted: Vec<(i64, u128)> = waiting
            .iter()
            .enumerate()
            .filter(|(n, _)| *n < 500 || random.next_u32().is_multiple_of(8))
            .map(|(_, hold)| *hold)
            .take(BATCH_ITEMS_MAX)
            .collect();
        let posts: Vec<_> = posted
            .iter()
            .map(|(_, id)| post((1 << 64) + id, *id, 1))
            .collect();
        assert!(bank.send(&posts).iter().all(|result| *result == R::Ok));
        for hold in &posted {
            waiting.remove(hold);
        }
        bank.now += i64::from(random.next_u32() % 200_000);
        bank.ask(&LedgerCommand::Sweep);
        waiting.retain(|(at, _)| *at > bank.now);
        let first = waiting.first().map(|(at, _)| UnixMillis(*at));
        assert_eq!(bank.kernel.next_deadline().unwrap(), first);
        assert_eq!(bank.balances(1)[0], waiting.len() as u128);
        if round == 6 {
            bank = bank.restart();
            assert_eq!(bank.kernel.next_deadline().unwrap(), first);
        }
    }
    assert!(most > UPCOMING_KEPT_MAX, "{most}");
    // In steps that a clock may take.
    for _ in 0..5 {
        bank.now += 800_000;
        bank.ask(&LedgerCommand::Sweep);
    }
    assert_eq!(bank.send_one(pay(last + 1, 1, 2, 1)), R::Ok);
    assert_eq!(bank.kernel.next_deadline().unwrap(), None);
    assert_eq!(bank.balances(1)[0], 0);
    let mut again = kernel(&MemoryDisk::new(), Logic::CURRENT);
    assert_eq!(
        replay(bank.kernel.store(), &mut again).unwrap(),
        bank.kernel.head()
    );
    assert_eq!(
        state_hash(again.store()).unwrap(),
        state_hash(bank.kernel.store()).unwrap()
    );
}

/// A ledger whose questions to its rows are counted, but for those of its commands.
struct Watched(Ledger, Arc<AtomicU64>);

struct Counted<'r>(&'r dyn Rows, &'r AtomicU64);

impl Rows for Counted<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.get(table, key)
    }

    fn scan_each(
        &self,
        table: Table,
        range: &KeyRange,
        direction: Direction,
        visit: &mut EachRowVisitor<'_>,
    ) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.scan_each(table, range, direction, visit)
    }
}

impl Domain for Watched {
    fn number(&self) -> u8 {
        self.0.number()
    }

    fn tables(&self) -> &'static [Table] {
        self.0.tables()
    }

    fn apply(&mut self, context: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
        self.0.apply(context, body)
    }

    fn observe(&mut self, context: &mut Context<'_, '_>, event: &Event) -> Result<(), ApplyError> {
        self.0.observe(context, event)
    }

    fn roll_back(&mut self) {
        self.0.roll_back();
    }

    fn next_deadline(&self, rows: &dyn Rows) -> Result<Option<UnixMillis>, StoreError> {
        self.0.next_deadline(&Counted(rows, &self.1))
    }

    fn is_overdue(&self, rows: &dyn Rows, now: UnixMillis) -> Result<bool, StoreError> {
        self.0.is_overdue(&Counted(rows, &self.1), now)
    }

    fn due(&self) -> Option<Vec<u8>> {
        self.0.due()
    }
}

/// The driver asks before each turn and before each command. A scan would step over every hold that was
/// settled since its table was compacted.
#[test]
fn what_is_due_is_known_without_reading_rows() {
    let mut bank = Bank::new(2);
    let asked = Arc::new(AtomicU64::new(0));
    let open = |disk: &MemoryDisk, asked: &Arc<AtomicU64>| {
        let watched = Watched(Ledger::without_owners(), Arc::clone(asked));
        Kernel::open(
            store(disk),
            vec![Box::new(watched)],
            Logic::CURRENT,
            JOURNAL,
        )
        .unwrap()
    };
    bank.kernel = kernel(&MemoryDisk::new(), Logic::CURRENT);
    bank.kernel = open(&bank.disk, &asked);
    bank.send_one(pay(1, 1, 2, 1));
    let before = asked.load(Ordering::SeqCst);
    assert!(before > 0, "a start has to read");
    for n in 0..40_u128 {
        bank.now += 100;
        assert_eq!(bank.send_one(hold(100 + n, 1, 2, 1, 3_600)), R::Ok);
        assert!(bank.kernel.next_deadline().unwrap().is_some());
        assert_eq!(bank.send_one(post(1_000 + n, 100 + n, 1)), R::Ok);
        assert_eq!(bank.kernel.next_deadline().unwrap(), None);
        assert!(bank.kernel.due(UnixMillis(bank.now)).unwrap().is_empty());
    }
    assert_eq!(asked.load(Ordering::SeqCst), before);
}
