//! What one member can make the others keep, and what it costs them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod timeline_room;

use automerge::ChangeHash;
use khlong_crdt::id::AuthorKey;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::entry::ChangeRefusal;
use khlong_document::timeline::limits::{CHANGE_OPS_MAX, Limits, VALUE_BYTES_MAX};
use khlong_document::timeline::pages::PagesEvent;
use khlong_document::timeline::pages::writing::ComposeError;
use khlong_document::timeline::plaintext::DocumentChanges;
use timeline_room::raw::*;
use timeline_room::*;

fn refusals(events: &[PagesEvent]) -> Vec<(AuthorKey, ChangeRefusal)> {
    let refused = events.iter().filter_map(|event| match event {
        PagesEvent::Refused { author, refusal } => Some((*author, *refusal)),
        PagesEvent::MessageAdded(_)
        | PagesEvent::MessageChanged(_)
        | PagesEvent::StateChanged
        | PagesEvent::Rebuilt { .. } => None,
    });
    refused.collect()
}

/// A chain of `count` changes of `author` with `each` messages.
fn chain(author: AuthorKey, count: u64, each: u64) -> Vec<Vec<u8>> {
    let mut changes = vec![bytes(change(author, messages(author, 6, each)))];
    for seq in 2..=count {
        let raw = next(author, seq, changes.last().unwrap(), |start| {
            messages(author, start, each)
        });
        changes.push(raw);
    }
    changes
}

/// Run lengths make a change of operations that cost nothing to send: bytes alone are no budget.
#[test]
fn operations_are_budgeted_alike_in_any_order() {
    let (me, each) = (author(0), 100);
    let limits = Limits {
        page_author_bytes: 1 << 18,
        page_author_messages: 100_000,
        ..SMALL
    };
    let changes = chain(me, 8, each);
    let (mut forwards, mut backwards) = (Replica::with(1, limits), Replica::with(2, limits));
    let mut refused = Vec::new();
    for raw in &changes {
        let events = forwards.pages.merge(&me, &[section(vec![raw.clone()])]);
        refused.extend(refusals(&events));
    }
    for raw in changes.iter().rev() {
        backwards.pages.merge(&me, &[section(vec![raw.clone()])]);
    }
    assert_eq!(refused, [(me, ChangeRefusal::Budget)]);
    let fitting = limits.page_author_ops / (2 * each as usize);
    assert_eq!(forwards.pages.message_count(), fitting * each as usize);
    assert_equal(&forwards, &backwards);
}

/// A writer turns the page in time, so that its own changes never meet the hard budget.
#[test]
fn an_honest_writer_never_meets_the_operation_budget() {
    let limits = Limits {
        page_messages: 100_000,
        page_bytes: 1 << 30,
        page_author_bytes: 1 << 18,
        page_author_messages: 100_000,
        page_author_turn_bytes: 1 << 18,
        page_author_ops: 4_096,
        ..Limits::PRODUCTION
    };
    let mut mali = Replica::with(0, limits);
    for _ in 0..10 {
        mali.write(&vec![text("x"); 100]);
    }
    assert_eq!(mali.pages.message_count(), 1_000);
    assert!(mali.pages.page_count() > 1);
    // Reactions stay with their message, until the budget is spent.
    let target = mali.all()[0].id;
    let react = Draft::React {
        target,
        emoji: "🙏".into(),
    };
    let spent = (0..100).find_map(|_| {
        let drafts = vec![react.clone(); 100];
        let author = mali.author;
        let composed = mali
            .pages
            .compose(&author, khlong_crdt::id::EpochId::ZERO, &drafts, NOW);
        match composed {
            Ok(sections) => {
                assert_eq!(refusals(&mali.pages.merge(&author, &sections)), []);
                None
            }
            Err(error) => Some(error),
        }
    });
    assert_eq!(spent, Some(ComposeError::PageBudget));
}

/// Forks of one place, the highest hash first.
fn forks(me: AuthorKey, count: usize) -> Vec<Vec<u8>> {
    let mut forks: Vec<_> = (0..count)
        .map(|n| bytes(change(me, message(me, &format!("truth {n}")))))
        .collect();
    forks.sort_by_key(|raw| std::cmp::Reverse(hash(raw)));
    forks
}

#[test]
fn many_forks_in_one_envelope_build_the_page_anew_once() {
    let me = author(0);
    let forks = forks(me, 50);
    let mut reader = Replica::new(1);
    reader.pages.merge(&me, &[section(vec![forks[0].clone()])]);
    let events = reader.pages.merge(&me, &[section(forks.clone())]);
    let rebuilt = events
        .iter()
        .filter(|event| matches!(event, PagesEvent::Rebuilt { .. }));
    assert_eq!(rebuilt.count(), 1, "{events:?}");
    // The lowest counts, as for whoever got it alone.
    let mut other = Replica::new(2);
    let lowest = forks.last().unwrap().clone();
    other.pages.merge(&me, &[section(vec![lowest])]);
    other.pages.merge(&me, &[section(forks)]);
    assert_equal(&reader, &other);
    assert_eq!(reader.pages.message_count(), 1);
}

/// Mali answered what lost its place: her answer waits for ever, and her next message
/// must not compete with it for its place.
#[test]
fn a_fork_by_another_does_not_make_me_fork_myself() {
    let liar = author(0);
    let forks = forks(liar, 2);
    let (mut mali, mut somchai) = (Replica::new(1), Replica::new(2));
    mali.pages.merge(&liar, &[section(vec![forks[0].clone()])]);
    let answer = mali.write(&[text("answer")]);
    mali.pages.merge(&liar, &[section(vec![forks[1].clone()])]);
    assert_eq!(mali.pages.message_count(), 1, "the answer waits");
    let letters: Vec<_> = (0..6)
        .map(|n| mali.write(&[text(&format!("after {n}"))]))
        .collect();
    assert!(letters[0].1[0].n > 0, "the next page is free");
    assert_eq!(mali.pages.message_count(), 7, "{:?}", mali.bodies());
    let lie = mali.all()[0].id;
    let author = mali.author;
    let edit = [Draft::React {
        target: lie,
        emoji: "🙏".into(),
    }];
    let composed = mali
        .pages
        .compose(&author, khlong_crdt::id::EpochId::ZERO, &edit, NOW);
    assert_eq!(composed, Err(ComposeError::PageBudget));

    somchai.pages.merge(&liar, &[section(forks)]);
    somchai.read(&answer);
    for letter in &letters {
        assert_eq!(refusals(&somchai.read(letter)), []);
    }
    assert_equal(&mali, &somchai);
}

/// The page in which Mali waits for ever shows nothing at all: she goes on behind it.
#[test]
fn whoever_waits_in_a_page_that_shows_nothing_writes_in_the_next() {
    let liar = author(0);
    // The lower one cannot be applied; so that it is the lower one, there are many.
    let honest = forks(liar, 1).remove(0);
    let unlawful = (0..1_000).find_map(|n| {
        let behind = insert(2, Some(id(4, author(7))));
        let raw = bytes(change(
            liar,
            vec![behind, put(own(6, liar), "b", format!("lie {n}"))],
        ));
        (hash(&raw) < hash(&honest)).then_some(raw)
    });
    let unlawful = unlawful.unwrap();
    let (mut mali, mut somchai) = (Replica::new(1), Replica::new(2));
    mali.pages.merge(&liar, &[section(vec![honest.clone()])]);
    let answer = mali.write(&[text("answer")]);
    mali.pages.merge(&liar, &[section(vec![unlawful.clone()])]);
    assert_eq!(mali.pages.message_count(), 0);
    let after = mali.write(&[text("after")]);
    assert_eq!(mali.bodies(), ["after"]);
    somchai.read(&after);
    somchai.read(&answer);
    somchai
        .pages
        .merge(&liar, &[section(vec![unlawful, honest])]);
    assert_equal(&mali, &somchai);
}

/// 160 KiB of `author` on top of a change that nobody has.
fn junk(author: AuthorKey, seq: u64) -> Vec<u8> {
    let mut operations = Vec::new();
    for counter in (6..26).step_by(2) {
        operations.push(insert(2, None));
        operations.push(put(own(counter, author), "b", "x".repeat(VALUE_BYTES_MAX)));
    }
    let mut late = change(author, operations);
    (late.seq, late.deps) = (seq, vec![ChangeHash([9; 32])]);
    bytes(late)
}

/// Every author key of one member sends what can never be applied.
fn flood(reader: &mut Replica, n: u32) -> usize {
    let mut full = 0;
    for device in 100..116 {
        let flood = author(device);
        for seq in 1..=20 {
            let junk = DocumentChanges {
                n,
                ..section(vec![junk(flood, seq)])
            };
            let refused = refusals(&reader.pages.merge(&flood, &[junk]));
            assert!(
                refused
                    .iter()
                    .all(|(_, refusal)| *refusal == ChangeRefusal::Full)
            );
            full += refused.len();
        }
    }
    full
}

#[test]
fn nobody_fills_the_waiting_room_of_a_page_alone() {
    let mut reader = Replica::with(9, Limits::PRODUCTION);
    assert!(flood(&mut reader, 0) > 100, "50 MiB do not wait");
    let changes = chain(author(0), 200, 1);
    for raw in changes.iter().rev() {
        let events = reader
            .pages
            .merge(&author(0), &[section(vec![raw.clone()])]);
        assert!(
            refusals(&events).iter().all(|(who, _)| *who != author(0)),
            "{events:?}"
        );
    }
    assert_eq!(reader.pages.message_count(), 200);
}

#[test]
fn nobody_fills_the_room_for_pages_ahead_alone() {
    let mut reader = Replica::new(9);
    assert!(flood(&mut reader, 900) > 100, "50 MiB do not wait");
    let mut mali = Replica::new(0);
    let letters: Vec<_> = (0..40)
        .map(|n| mali.write(&[text(&format!("{n}"))]))
        .collect();
    for letter in letters.iter().rev() {
        let refused = refusals(&reader.read(letter));
        assert!(refused.iter().all(|(who, _)| *who != author(0)));
    }
    assert_equal(&mali, &reader);
}

/// What found no room is asked for again, as soon as room has been made by what came since.
#[test]
fn what_found_no_room_comes_in_when_all_is_read_again() {
    let limits = Limits {
        page_author_bytes: 1 << 30,
        page_author_ops: 1 << 30,
        page_author_messages: 1 << 30,
        ..Limits::PRODUCTION
    };
    let me = author(0);
    let changes = chain(me, 10, (CHANGE_OPS_MAX / 2) as u64);
    let mut reader = Replica::with(9, limits);
    let mut rounds = 0;
    loop {
        reader.pages.forget_dropped();
        for raw in changes.iter().rev() {
            reader.pages.merge(&me, &[section(vec![raw.clone()])]);
        }
        rounds += 1;
        if !reader.pages.must_reread() {
            break;
        }
    }
    assert!((2..=10).contains(&rounds), "{rounds} rounds");
    assert_eq!(reader.pages.message_count(), 10 * CHANGE_OPS_MAX / 2);
}

/// A change with thousands of old anchors walks its past once.
#[test]
fn entries_behind_old_ones_are_judged_by_the_past_of_their_change() {
    let limits = Limits {
        page_author_bytes: 1 << 20,
        page_author_messages: 10_000,
        ..Limits::PRODUCTION
    };
    let (me, other) = (author(0), author(1));
    let past = chain(me, 300, 1);
    let mut reader = Replica::with(9, limits);
    reader.pages.merge(&me, &[section(past.clone())]);
    let anchored = |anchor: AuthorKey| {
        next(other, 1, past.last().unwrap(), |start| {
            (0..2_000)
                .map(|index| start + 2 * index)
                .flat_map(|at| {
                    let behind = insert(2, Some(id(6, anchor)));
                    [behind, put(own(at, other), "b", "x")]
                })
                .collect()
        })
    };
    // A concurrent entry lies not in its past.
    let stranger = author(2);
    let concurrent = bytes(change(stranger, messages(stranger, 6, 1)));
    reader.pages.merge(&stranger, &[section(vec![concurrent])]);
    let blind = section(vec![anchored(stranger)]);
    let events = reader.pages.merge(&other, &[blind]);
    assert_eq!(refusals(&events), [(other, ChangeRefusal::Counter)]);

    let mut reader = Replica::with(9, limits);
    let sighted = section(vec![anchored(me)]);
    reader.pages.merge(&me, &[section(past)]);
    assert_eq!(refusals(&reader.pages.merge(&other, &[sighted])), []);
    assert_eq!(reader.pages.message_count(), 2_300);
}

/// Refused changes are kept, or a higher hash could take their place; they need no room.
#[test]
fn refused_changes_take_no_room_from_those_that_wait() {
    let limits = Limits {
        page_author_bytes: 8 * VALUE_BYTES_MAX,
        ..Limits::PRODUCTION
    };
    let mut reader = Replica::with(9, limits);
    for device in 0..120 {
        let greedy = author(device);
        // The first is fine; the second exceeds the byte budget together with it.
        let first = bytes(change(greedy, message(greedy, "x")));
        let second = next(greedy, 2, &first, |start| {
            let mut operations = Vec::new();
            for counter in (start..start + 16).step_by(2) {
                operations.push(insert(2, None));
                let value = "x".repeat(VALUE_BYTES_MAX);
                operations.push(put(own(counter, greedy), "b", value));
            }
            operations
        });
        let events = reader.pages.merge(&greedy, &[section(vec![first, second])]);
        assert_eq!(refusals(&events), [(greedy, ChangeRefusal::Budget)]);
    }
    assert_eq!(reader.pages.message_count(), 120);
    let late = junk(author(200), 2);
    let events = reader.pages.merge(&author(200), &[section(vec![late])]);
    assert_eq!(events, [], "it waits");
}
