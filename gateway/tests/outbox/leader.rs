//! Of several gateways on one journal only one sends.

use std::time::Duration;

use khlong_crdt::id::LogId;
use khlong_gateway::app::AppError;
use khlong_gateway::domains;
use khlong_gateway::kernel::{
    Holder, Housekeeping, KERNEL_DOMAIN, Kernel, LEASE_MS_MAX, Logic, Outcome, Rejection, leader,
};
use khlong_gateway::outbox::schedule::Policy;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{Head, Journal as _};
use khlong_store::store::{OpenOptions, Store};

use crate::fixture::elsewhere::Elsewhere;
use crate::fixture::{JOURNAL, command, decide, kernel, options, store};
use crate::receiver::{Answer, Receiver};
use crate::sender::{Sender, closed_day, quick, targets};
use crate::until::until;

/// What is answered: granted, until.
fn claim(kernel: &mut Kernel, key: &str, at: i64, holder: u8) -> (bool, i64) {
    let body = Housekeeping::Lead {
        holder: Holder::from_bytes([holder; 20]),
        lease_ms: 1_000,
    };
    let command = command(key, at, KERNEL_DOMAIN, body.encode());
    match decide(kernel, &command).outcome().unwrap() {
        Outcome::Done(answer) => (
            answer[0] == 1,
            i64::from_be_bytes(answer[1..].try_into().unwrap()),
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_claim_holds_until_its_end_and_is_renewed_by_its_holder_alone() {
    let mut kernel = kernel(&MemoryDisk::new(), Logic::CURRENT);
    assert_eq!(claim(&mut kernel, "a", 1_000, 1), (true, 2_000));
    assert_eq!(claim(&mut kernel, "b", 1_500, 2), (false, 2_000));
    assert_eq!(claim(&mut kernel, "c", 1_600, 1), (true, 2_600));
    assert_eq!(claim(&mut kernel, "d", 2_599, 2), (false, 2_600));
    assert_eq!(claim(&mut kernel, "e", 2_600, 2), (true, 3_600));
    assert_eq!(
        leader(kernel.store()).unwrap().unwrap().0,
        Holder::from_bytes([2; 20])
    );
    let long = Housekeeping::Lead {
        holder: Holder::from_bytes([1; 20]),
        lease_ms: LEASE_MS_MAX + 1,
    };
    let command = command("f", 9_000, KERNEL_DOMAIN, long.encode());
    let outcome = decide(&mut kernel, &command).outcome();
    assert_eq!(outcome, Some(Outcome::Rejected(Rejection::Malformed)));
}

/// The journal of a day that was closed, where several gateways reach it.
fn shared(disk: &MemoryDisk) -> Elsewhere {
    let mut elsewhere = Elsewhere::new();
    elsewhere.create(JOURNAL).unwrap();
    elsewhere.append_all(&store(disk));
    elsewhere
}

fn open(journal: &Elsewhere, log: u8) -> khlong_gateway::app::Open {
    let journal = journal.clone();
    Box::new(move || {
        let options = OpenOptions {
            fresh_log_id: LogId::from_bytes([log; 16]),
            ..options()
        };
        let store = Store::in_memory(&MemoryDisk::new(), &options).unwrap();
        let journal = Box::new(journal);
        Kernel::open_with(journal, store, domains::all(), Logic::CURRENT, JOURNAL)
            .map_err(AppError::Kernel)
    })
}

fn head(journal: &Elsewhere) -> Option<Head> {
    let mut journal = journal.clone();
    journal.head(&store(&MemoryDisk::new())).unwrap()
}

#[test]
fn a_gateway_that_does_not_lead_sends_nothing() {
    let (disk, now) = closed_day();
    let journal = shared(&disk);
    let receiver = Receiver::start(&[Answer::Hangs, Answer::Hangs]);
    let patient = Policy {
        send_within: Duration::from_secs(50),
        ..quick()
    };
    let text = targets(&[receiver.url()]);
    let first = Sender::at(open(&journal, 1), now, &text, patient);
    first.append("first");
    receiver.wait_for(1);
    // The second one has the notice, appends too, sees who leads, and looks again and again.
    let second = Sender::at(open(&journal, 2), now, &text, patient);
    second.append("second");
    let before = head(&journal);
    second.looks_on();
    assert_eq!(second.waiting(), 1);
    assert_eq!(receiver.got().len(), 1, "{:?}", receiver.got());
    second.stop();
    first.stop();
    assert_eq!(head(&journal), before, "nor does it claim");
    // When the first one's claim is over, another one sends.
    let third = Sender::at(open(&journal, 3), now + 200_000, &text, patient);
    receiver.wait_for(2);
    third.stop();
    assert_eq!(receiver.got()[0], receiver.got()[1]);
}

/// Two that append at once stop one of them: the one that waits keeps still while another serves.
#[test]
fn a_gateway_that_follows_claims_only_where_nobody_has_appended_for_long() {
    let (disk, now) = closed_day();
    let journal = shared(&disk);
    let receiver = Receiver::start(&[Answer::Status(500), Answer::Hangs]);
    let text = targets(&[receiver.url()]);
    let before = head(&journal);
    // Nobody holds the outbox, and the last entry is two minutes old.
    let idle = Sender::at(open(&journal, 1), now + 120_000, &text, quick());
    until("the notice is there", || idle.waiting() == 1);
    idle.looks_on();
    assert_eq!((head(&journal), receiver.got().len()), (before, 0));
    // It serves, so it leads: it sends, again and again.
    idle.append("serves");
    receiver.wait_for(2);
    idle.stop();
    // The one that served has died. Its claim is over, and then the journal is quiet for long.
    let before = head(&journal);
    let later = Sender::at(open(&journal, 2), now + 245_000, &text, quick());
    until("the notice is there", || later.waiting() == 1);
    later.looks_on();
    assert_eq!((head(&journal), receiver.got().len()), (before, 2));
    later.stop();
    let last = Sender::at(open(&journal, 3), now + 400_000, &text, quick());
    last.settle();
    last.stop();
    assert_eq!(receiver.known().len(), 1);
}
