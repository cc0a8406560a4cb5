//! Snapshots: a timeline that is restored from one, and given the rest, is the one that was
//! given everything.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod damage;
mod frozen;
mod group;
mod room;

use khlong_crdt::admission::History;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::snapshot::{NoSnapshot, SnapshotError};
use proptest::prelude::*;

use crate::group::{Group, NOW, READER, SMALL, assert_same, text};

#[derive(Clone, Debug)]
enum Doing {
    Say(usize),
    /// The same message by whoever does it: it lies on several pages.
    Import(usize, u8),
    Touch(usize, prop::sample::Index, u8),
    Exchange,
    Receipt(usize),
    /// One of what was sent reaches the reader, or all up to it.
    Deliver(prop::sample::Index, bool),
    Join,
    Keep,
}

fn doing() -> impl Strategy<Value = Doing> {
    prop_oneof![
        6 => (0..3_usize).prop_map(Doing::Say),
        1 => (0..3_usize, 0..3_u8).prop_map(|(who, key)| Doing::Import(who, key)),
        2 => (0..3_usize, any::<prop::sample::Index>(), 0..3_u8)
            .prop_map(|(who, target, what)| Doing::Touch(who, target, what)),
        2 => Just(Doing::Exchange),
        1 => (0..3_usize).prop_map(Doing::Receipt),
        4 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(place, all)| Doing::Deliver(place, all)),
        1 => Just(Doing::Join),
        2 => Just(Doing::Keep),
    ]
}

fn act(group: &mut Group, n: usize, doing: &Doing) {
    match doing {
        Doing::Say(who) => group.write(*who, text(format!("{n} สวัสดี"), None)),
        Doing::Import(who, key) => group.write(*who, text("imported".into(), Some([*key; 16]))),
        Doing::Touch(who, target, what) => {
            let messages = group.members[*who].messages(0..usize::MAX);
            if messages.is_empty() {
                return;
            }
            let message = &messages[target.index(messages.len())];
            let (target, emoji) = (message.id, "👍".to_owned());
            let is_own = message.principal == Some(group.members[*who].principal());
            let draft = match (what, is_own) {
                (0, true) => Draft::Delete { target },
                (1, true) => Draft::Edit {
                    target,
                    body: format!("edited {n}"),
                },
                (2, _) => Draft::Title(format!("title {n}")),
                (0 | 1, false) | (3.., _) => Draft::React { target, emoji },
            };
            group.write(*who, draft);
        }
        Doing::Exchange => group.exchange(),
        Doing::Receipt(who) => group.receipt(*who),
        Doing::Deliver(place, all) => {
            let place = place.index(group.sent.len());
            let from = if *all { 0 } else { place };
            for place in from..=place {
                group.deliver(place);
            }
        }
        Doing::Join => {
            if group.members.len() < 5 {
                // What joins is read by nobody but who exchanges.
                let reader = group.members.remove(READER);
                group.exchange_first_two_and_add(reader);
            }
        }
        Doing::Keep => {
            group.keep();
        }
    }
}

impl Group {
    /// Somebody joins, and writes a word; the reader hears of it when it is delivered.
    fn exchange_first_two_and_add(&mut self, reader: Timeline) {
        self.exchange();
        self.add();
        let newcomer = self.members.len() - 1;
        let hello = [text("hello".to_owned(), None)];
        let written = self.members[newcomer].write(&hello, NOW, &mut self.rng);
        self.sent.push(written.unwrap());
        self.members.insert(READER, reader);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_start_from_a_snapshot_is_a_start_from_everything(
        all in prop::collection::vec(doing(), 4..60),
        more in prop::collection::vec(doing(), 0..12),
        since_join in prop::bool::weighted(0.2),
    ) {
        let mut group = Group::new(if since_join { History::SinceJoin } else { History::Full });
        for (n, doing) in all.iter().enumerate() {
            act(&mut group, n, doing);
        }
        group.keep();
        for (n, doing) in (100..).zip(&more) {
            act(&mut group, n, doing);
        }
        let mut restored = group.restart();
        assert_same(&mut restored, &mut group.read_all());
        // Another life, from a snapshot of a restored one.
        group.members[READER] = group.restart();
        group.keep();
        let place = group.sent.len() - 1;
        group.deliver(place);
        assert_same(&mut group.restart(), &mut group.read_all());
    }
}

pub(crate) fn said() -> Group {
    let mut group = Group::new(History::Full);
    for n in 0..30 {
        group.exchange();
        group.write(n % 2, text(format!("{n}"), None));
        group.deliver(group.sent.len() - 1);
    }
    group
}

#[test]
fn only_pages_that_changed_are_kept_again() {
    let mut group = said();
    let whole = group.members[READER].snapshot().unwrap();
    assert!(whole.is_whole && whole.pages.len() > 5);
    group.members[READER].note_saved(&whole);
    group.kept.put(&whole, group.store.len());
    let none = group.members[READER].snapshot().unwrap();
    assert!(!none.is_whole && none.pages.is_empty());
    // Nor after a start.
    group.members[READER] = group.restart();
    group.write(0, text("one more".into(), None));
    group.deliver(group.sent.len() - 1);
    let more = group.members[READER].snapshot().unwrap();
    assert!(!more.is_whole);
    assert_eq!(more.pages.len(), 1, "the page of the new message");
    // One that was made and could not be kept is no loss.
    group.write(0, text("and one more".into(), None));
    group.deliver(group.sent.len() - 1);
    assert!(group.keep());
    assert_same(&mut group.restart(), &mut group.read_all());
}

#[test]
fn of_a_page_that_is_too_long_none_is_made_and_the_reason_is_told() {
    let limits = Limits {
        page_unpacked_bytes: 4 * 1024,
        ..Limits::PRODUCTION
    };
    let mut group = Group::with_limits(History::Full, limits);
    let mut told = None;
    for n in 0..60 {
        group.write(0, text(format!("{n}"), None));
        group.deliver(group.sent.len() - 1);
        match group.members[READER].snapshot() {
            Ok(_) => assert!(told.is_none(), "it has room again: {told:?}"),
            Err(NoSnapshot::PageTooLong { page, bytes, limit }) => {
                assert!((page.n, limit) == (0, 4 * 1024) && bytes > limit);
                assert!(told.replace(bytes).is_none_or(|before| before < bytes));
            }
            Err(reason @ NoSnapshot::ForNow) => panic!("{reason}"),
        }
    }
    assert!(told.is_some());
    // A start reads the envelopes.
    assert_same(&mut group.restart(), &mut group.read_all());
}

/// As one that somebody else made, or an earlier program: before anything of it is unpacked.
#[test]
fn a_page_beyond_the_limit_of_whoever_reads_is_not_restored() {
    let mut group = said();
    assert!(group.keep());
    let head = group.kept.head.clone().unwrap();
    let restored = |page_unpacked_bytes| {
        let limits = Limits {
            page_unpacked_bytes,
            ..SMALL
        };
        let reader = &group.members[READER];
        let mut blank = Timeline::with_limits(reader.id(), reader.secrets().clone(), limits);
        let restored = blank.restore(&head, &group.kept.pages);
        restored.map(|()| blank.message_count())
    };
    let is_enough = |bytes: &usize| restored(*bytes).is_ok();
    let least = (0..20).map(|power| 1_usize << power).find(is_enough);
    let least = least.unwrap();
    assert!(least > 64, "{least}");
    assert_eq!(restored(least), Ok(30));
    assert_eq!(restored(least / 2), Err(SnapshotError::Malformed));
}

#[test]
fn none_is_made_of_what_is_to_be_forgotten() {
    let mut group = Group::new(History::Ephemeral);
    group.write(0, text("for now".into(), None));
    group.deliver(group.sent.len() - 1);
    assert!(!group.keep());
}

#[test]
fn reading_leaves_pages_packed_and_counts_them() {
    let mut group = said();
    group.keep();
    let mut restored = group.restart();
    let messages = group.members[READER].messages(0..usize::MAX);
    // Wherever it is unpacked, it reads the same.
    for from in [25, 0, 12] {
        restored.unpack(from..from + 5);
        assert_eq!(restored.messages(from..from + 5), messages[from..from + 5]);
        assert_eq!(restored.messages(0..usize::MAX), messages);
    }
}
