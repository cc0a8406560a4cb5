//! Sent for real.

use std::io::Read as _;
use std::time::Duration;

use khlong_crdt::time::UnixMillis;
use khlong_gateway::kernel::{Command, Housekeeping, KERNEL_DOMAIN, replay, state_hash};
use khlong_gateway::outbox::schedule::Policy;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::{self, JournalSeq};
use khlong_store::store::Store;

use crate::fixture::store;
use crate::office::kernel;
use crate::receiver::{Answer, Receiver};
use crate::sender::{Sender, closed_day, quick};
use crate::until::until;

/// The outcome of the one notice: delivered, failed.
fn outcome(store: &Store) -> (u16, u16) {
    let head = journal::head(store).unwrap().unwrap().seq.0;
    for seq in (1..=head).rev() {
        let stored = journal::get(store, JournalSeq(seq)).unwrap().unwrap();
        let (domain, body) = stored.entry.command.split_first().unwrap();
        if *domain == KERNEL_DOMAIN
            && let Some(Housekeeping::Report {
                delivered, failed, ..
            }) = Housekeeping::decode(body)
        {
            assert_eq!(stored.entry.outcome, [0, 1], "it was waiting");
            return (delivered, failed);
        }
    }
    panic!("no outcome stands in the journal");
}

#[test]
fn the_head_of_a_closed_day_reaches_whoever_wants_it_and_is_not_sent_again() {
    let (disk, now) = closed_day();
    let receiver = Receiver::start(&[]);
    let sender = Sender::start(&disk, now, &[receiver.url()], quick());
    sender.settle();
    let counted = sender.handle.metrics().render().unwrap();
    for (result, count) in [("sent", 1), ("failed", 0), ("given_up", 0)] {
        let line =
            format!("khlong_gateway_outbox_deliveries_total{{result=\"{result}\"}} {count}\n");
        assert!(counted.contains(&line), "{line} in {counted}");
    }
    sender.stop();
    let got = receiver.got();
    assert_eq!(got.len(), 1, "{got:?}");
    let body: serde_json::Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(body["type"], "books.day_closed");
    assert_eq!(body["timestamp"], "2026-11-27T17:01:00Z");
    assert_eq!(body["data"]["day"], "2026-11-27");
    assert_eq!(body["data"]["hash"].as_str().unwrap().len(), 64);
    assert_eq!(outcome(&store(&disk)), (1, 0));
    // A start after it, and a replay elsewhere, know that it is done.
    let again = Sender::start(&disk, now + 1_000, &[receiver.url()], quick());
    again.settle();
    again.stop();
    let journal = store(&disk);
    let elsewhere = MemoryDisk::new();
    let mut kernel = kernel(&elsewhere);
    replay(&journal, &mut kernel).unwrap();
    assert_eq!(
        state_hash(kernel.store()).unwrap(),
        state_hash(&journal).unwrap()
    );
    drop(kernel);
    let replayed = Sender::start(&elsewhere, now + 2_000, &[receiver.url()], quick());
    replayed.settle();
    replayed.stop();
    assert_eq!(receiver.got(), got, "nothing was sent again");
}

#[test]
fn a_target_that_fails_gets_it_until_it_takes_it_and_others_do_not_wait() {
    let (disk, now) = closed_day();
    let well = Receiver::start(&[]);
    let badly = Receiver::start(&[
        Answer::Status(500),
        Answer::Status(429),
        Answer::Status(400),
        Answer::Redirects,
        Answer::Hangs,
        Answer::Endless,
    ]);
    // Of the one that hangs nothing is heard for so long.
    let policy = Policy {
        send_within: Duration::from_secs(2),
        ..quick()
    };
    let sender = Sender::start(&disk, now, &[badly.url(), well.url()], policy);
    sender.settle();
    sender.stop();
    assert_eq!(well.known().len(), 1);
    let got = badly.got();
    // On a busy machine the last answer may be late too, and the request comes once more.
    assert!(got.len() >= 7, "{got:?}");
    assert!(got.iter().all(|it| *it == got[0]), "one key, one body");
    assert_eq!(outcome(&store(&disk)), (2, 0));
}

#[test]
fn a_target_that_is_never_there_is_given_up_and_the_outcome_says_so() {
    let (disk, now) = closed_day();
    let policy = Policy {
        give_up_after: Duration::from_millis(60),
        ..quick()
    };
    let nowhere = "http://127.0.0.1:9/hook".to_owned();
    let sender = Sender::start(&disk, now, &[nowhere], policy);
    sender.settle();
    until("it is counted", || deliveries(&sender, "given_up") == 1);
    sender.stop();
    assert_eq!(outcome(&store(&disk)), (0, 1));
}

fn deliveries(sender: &Sender, result: &str) -> u64 {
    let text = sender.handle.metrics().render().unwrap();
    let name = format!("khlong_gateway_outbox_deliveries_total{{result=\"{result}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.unwrap().parse().unwrap()
}

/// Two gateways lead one after the other, and the first one's attempt ends when the second has said
/// what became of the notice.
#[test]
fn an_outcome_that_stands_in_the_journal_already_is_counted_where_it_came_from() {
    let (disk, now) = closed_day();
    // It has the request, and hangs up when it is told to.
    let target = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", target.local_addr().unwrap());
    let policy = Policy {
        give_up_after: Duration::ZERO,
        ..quick()
    };
    let sender = Sender::start(&disk, now, &[url], policy);
    let (mut asked, _) = target.accept().unwrap();
    assert!(asked.read(&mut [0; 16]).unwrap() > 0);
    let notice = sender.first_waiting();
    let name = [&notice.0.0.to_be_bytes()[..], &notice.1.to_be_bytes()].concat();
    sender.write(Command {
        caller: b"\0outbox".to_vec(),
        scope: b"outcome".to_vec(),
        key: name,
        admitted_at: UnixMillis(0),
        domain: KERNEL_DOMAIN,
        body: Housekeeping::Report {
            seq: notice.0,
            n: notice.1,
            delivered: 1,
            failed: 0,
        }
        .encode(),
    });
    drop((asked, target));
    until("the attempt has failed", || {
        deliveries(&sender, "failed") == 1
    });
    sender.looks_on();
    assert_eq!(deliveries(&sender, "given_up"), 0);
    sender.stop();
    assert_eq!(outcome(&store(&disk)), (1, 0));
}

#[test]
fn without_a_target_the_outcome_is_that_nobody_wanted_it() {
    let (disk, now) = closed_day();
    let sender = Sender::start(&disk, now, &[], quick());
    sender.settle();
    sender.stop();
    assert_eq!(outcome(&store(&disk)), (0, 0));
}

/// The process ends when the target has it and the journal does not know: it comes again under
/// its key, and whoever received it drops it.
#[test]
fn between_sending_and_the_outcome_a_crash_loses_nothing() {
    let (disk, now) = closed_day();
    let receiver = Receiver::start(&[Answer::Hangs]);
    let patient = Policy {
        send_within: Duration::from_secs(60),
        ..quick()
    };
    let sender = Sender::start(&disk, now, &[receiver.url()], patient);
    let first = receiver.wait_for(1);
    assert_eq!(sender.waiting(), 1);
    sender.stop();
    let sender = Sender::start(&disk, now + 1_000, &[receiver.url()], quick());
    sender.settle();
    sender.stop();
    let got = receiver.got();
    assert_eq!(got, [first[0].clone(), first[0].clone()]);
    assert_eq!(receiver.known().len(), 1);
    assert_eq!(outcome(&store(&disk)), (1, 0));
}
