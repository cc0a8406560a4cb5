//! What the kernel lets happen by itself, where a domain rejects it: told, tried again after so many
//! entries, and no other domain is held up.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fixture::{JOURNAL, command, decide, store};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::kernel::{
    ApplyError, Context, Domain, Kernel, Logic, OVERDUE_AGAIN_ENTRIES, Outcome, OwnRejection,
    Rejection, replay, state_hash,
};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

const DUE: &[u8] = b"due";

/// More is due than a command of it lets happen, until a command of the kernel's own does it.
#[derive(Clone)]
struct Swamped {
    number: u8,
    is_overdue: Arc<AtomicBool>,
    /// It rejects what is due.
    is_broken: Arc<AtomicBool>,
}

impl Swamped {
    fn new(number: u8, is_broken: bool) -> Self {
        Self {
            number,
            is_overdue: Arc::new(AtomicBool::new(true)),
            is_broken: Arc::new(AtomicBool::new(is_broken)),
        }
    }
}

impl Domain for Swamped {
    fn number(&self) -> u8 {
        self.number
    }

    fn tables(&self) -> &'static [Table] {
        &[]
    }

    fn apply(&mut self, _: &mut Context<'_, '_>, body: &[u8]) -> Result<Vec<u8>, ApplyError> {
        if body == DUE {
            if self.is_broken.load(Ordering::SeqCst) {
                return Err(ApplyError::Rejected(Rejection::Invariant));
            }
            self.is_overdue.store(false, Ordering::SeqCst);
        }
        Ok(body.to_vec())
    }

    fn roll_back(&mut self) {}

    fn is_overdue(&self, _: &dyn Rows, _: UnixMillis) -> Result<bool, StoreError> {
        Ok(self.is_overdue.load(Ordering::SeqCst))
    }

    fn due(&self) -> Option<Vec<u8>> {
        Some(DUE.to_vec())
    }
}

const BROKEN: u8 = 200;
const SOUND: u8 = 201;

fn open(disk: &MemoryDisk, domains: &[Swamped]) -> Kernel {
    let domains = domains.iter().cloned();
    let domains = domains.map(|domain| Box::new(domain) as Box<dyn Domain>);
    Kernel::open(store(disk), domains.collect(), Logic::CURRENT, JOURNAL).unwrap()
}

/// A command; returns its place in the journal, and what the kernel tells.
fn ask(kernel: &mut Kernel) -> (u64, Vec<OwnRejection>) {
    let key = kernel.head().seq.0.to_string();
    let decided = decide(kernel, &command(&key, 5, SOUND, b"asked".to_vec()));
    assert_eq!(decided.outcome(), Some(Outcome::Done(b"asked".to_vec())));
    (decided.seq.0, kernel.take_own_rejections())
}

fn rejected(seq: u64) -> Vec<OwnRejection> {
    vec![OwnRejection {
        domain: BROKEN,
        seq: JournalSeq(seq),
    }]
}

#[test]
fn what_is_overdue_and_rejected_is_told_and_tried_again_after_so_many_entries() {
    let domains = [Swamped::new(BROKEN, true), Swamped::new(SOUND, false)];
    let disk = MemoryDisk::new();
    let mut kernel = open(&disk, &domains);
    // Its own entry, that of the other domain, and the command.
    assert_eq!(ask(&mut kernel), (3, rejected(1)));
    assert!(kernel.take_own_rejections().is_empty(), "it is told once");
    let mut last = 1;
    for tries in 0..2 {
        // No entry but what is asked for.
        for seq in last + 2 + u64::from(tries == 0)..=last + OVERDUE_AGAIN_ENTRIES {
            assert_eq!(ask(&mut kernel), (seq, Vec::new()));
        }
        last += OVERDUE_AGAIN_ENTRIES + 1;
        assert_eq!(ask(&mut kernel), (last + 1, rejected(last)));
    }
    // A start tries at once.
    drop(kernel);
    let mut kernel = open(&disk, &domains);
    last = kernel.head().seq.0 + 1;
    assert_eq!(ask(&mut kernel), (last + 1, rejected(last)));
    // Mended, it is done when the next try is due, and there is nothing left to tell or to try.
    domains[0].is_broken.store(false, Ordering::SeqCst);
    for seq in last + 2..=last + OVERDUE_AGAIN_ENTRIES {
        assert_eq!(ask(&mut kernel), (seq, Vec::new()));
    }
    assert!(domains[0].is_overdue.load(Ordering::SeqCst));
    last += OVERDUE_AGAIN_ENTRIES;
    assert_eq!(ask(&mut kernel), (last + 2, Vec::new()));
    assert!(!domains[0].is_overdue.load(Ordering::SeqCst));
    assert_eq!(ask(&mut kernel), (last + 3, Vec::new()));

    // A replay makes none of its own, and comes to the same.
    let mut again = open(&MemoryDisk::new(), &domains);
    assert_eq!(replay(kernel.store(), &mut again).unwrap(), kernel.head());
    let states = [&kernel, &again].map(|kernel| state_hash(kernel.store()).unwrap());
    assert_eq!(states[0], states[1]);
}
