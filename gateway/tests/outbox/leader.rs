//! Of several gateways on one journal only one sends.

use khlong_crdt::id::LogId;
use khlong_gateway::app::AppError;
use khlong_gateway::kernel::{
    Holder, Housekeeping, KERNEL_DOMAIN, Kernel, LEASE_MS_MAX, Logic, Outcome, Rejection, leader,
};
use khlong_gateway::outbox::schedule::Policy;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::Journal as _;
use khlong_store::store::{OpenOptions, Store};

use crate::fixture::elsewhere::Elsewhere;
use crate::fixture::{JOURNAL, command, decide, kernel, options, store};
use crate::office::domains;
use crate::receiver::{Answer, Receiver};
use crate::sender::{Sender, closed_day, quick, targets};

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
        Kernel::open_with(journal, store, domains(), Logic::CURRENT, JOURNAL)
            .map_err(AppError::Kernel)
    })
}

#[test]
fn a_gateway_that_does_not_lead_sends_nothing() {
    let (disk, now) = closed_day();
    let journal = shared(&disk);
    let receiver = Receiver::start(&[Answer::Hangs, Answer::Hangs]);
    let patient = Policy {
        send_within: std::time::Duration::from_secs(60),
        ..quick()
    };
    let text = targets(&[receiver.url()]);
    let first = Sender::on(open(&journal, 1), now, &text, patient);
    receiver.wait_for(1);
    // The second one has the notice, sees who leads, and looks again and again.
    let second = Sender::on(open(&journal, 2), now, &text, patient);
    while second.waiting() != 1 {
        std::thread::yield_now();
    }
    for _ in 0..2_000 {
        assert_eq!(second.waiting(), 1);
    }
    let entries = |journal: &mut Elsewhere| journal.head(&store(&MemoryDisk::new())).unwrap();
    let mut journal = journal;
    let before = entries(&mut journal);
    assert_eq!(receiver.got().len(), 1, "{:?}", receiver.got());
    second.stop();
    first.stop();
    assert_eq!(entries(&mut journal), before, "nor does it claim");
    // When the first one's claim is over, another one sends.
    let third = Sender::on(open(&journal, 3), now + 130_000, &text, patient);
    receiver.wait_for(2);
    third.stop();
    assert_eq!(receiver.got()[0], receiver.got()[1]);
}
