//! Timelines: arrivals, chains, cursors, and what a session reads of them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod fixture;

use fixture::{Author, options};
use khlong_crdt::admission::{AuthBody, ClearOp, History, Rights, TimelineKind};
use khlong_crdt::class::Class;
use khlong_crdt::context::SIGN_AUTHOR;
use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, PrincipalKey, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::error::StoreError;
use khlong_store::identity::Role;
use khlong_store::limits::BATCH_BYTES_MAX;
use khlong_store::rows::Rows as _;
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::tables::timelines::{self, Appended};
use khlong_store::tables::{admission, quotas};
use khlong_sync::replica::{Replica, Verdict};

const ALL: ArrivalSeq = ArrivalSeq(u64::MAX);
const NONE: ArrivalSeq = ArrivalSeq(0);

fn store() -> Store {
    Store::in_memory(&MemoryDisk::new(), &options(Role::Relay)).unwrap()
}

fn append(batch: &mut Batch<'_>, envelope: &VerifiedEnvelope) -> Appended {
    timelines::append(batch, envelope, UnixMillis(1_000)).unwrap()
}

fn commit(store: &mut Store, envelopes: &[&VerifiedEnvelope]) {
    let mut batch = store.batch();
    for envelope in envelopes {
        append(&mut batch, envelope);
    }
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
}

fn bodies(
    replica: &dyn Replica,
    timeline: TimelineId,
    after: ArrivalSeq,
    entries: usize,
    bytes: usize,
) -> Vec<Vec<u8>> {
    let entries = replica
        .entries(timeline, Class::Text, after, ALL, entries, bytes)
        .unwrap();
    entries
        .iter()
        .map(|entry| entry.envelope.body().unwrap().to_vec())
        .collect()
}

#[test]
fn two_timelines_share_one_log_and_read_apart() {
    let mut store = store();
    let (one, two) = (Author::number(2).timeline(), Author::number(3).timeline());
    let author = Author::number(1);
    let (a, b) = (
        author.chain(one, &[b"a1", b"a2", b"a3"]),
        author.chain(two, &[b"b1", b"b2"]),
    );
    commit(&mut store, &[&a[0], &b[0], &a[1]]);
    commit(&mut store, &[&b[1], &a[2]]);

    assert_eq!(
        bodies(&store, one, NONE, 9, usize::MAX),
        [b"a1", b"a2", b"a3"]
    );
    assert_eq!(bodies(&store, two, NONE, 9, usize::MAX), [b"b1", b"b2"]);
    assert_eq!(
        bodies(&store, one, ArrivalSeq(1), 9, usize::MAX),
        [b"a2", b"a3"]
    );
    assert_eq!(bodies(&store, one, NONE, 2, usize::MAX), [b"a1", b"a2"]);
    assert_eq!(
        bodies(&store, one, NONE, 9, 1),
        [b"a1"],
        "the first always comes"
    );
    assert_eq!(
        bodies(&store, one, NONE, 9, a[0].bytes().len() * 2),
        [b"a1", b"a2"]
    );
    assert!(bodies(&store, one, NONE, 0, usize::MAX).is_empty());
    let up_to = store
        .entries(one, Class::Text, NONE, ArrivalSeq(3), 9, usize::MAX)
        .unwrap();
    assert_eq!(
        up_to
            .iter()
            .map(|entry| entry.arrival.0)
            .collect::<Vec<_>>(),
        [1, 3]
    );

    assert_eq!(
        store.timeline_head(one, Class::Text).unwrap(),
        ArrivalSeq(5)
    );
    assert_eq!(store.timeline_head(one, Class::Bulk).unwrap(), NONE);
    assert_eq!(
        store.next_arrival(one, Class::Text, ArrivalSeq(1)).unwrap(),
        Some(ArrivalSeq(3))
    );
    assert_eq!(
        store.next_arrival(one, Class::Text, ArrivalSeq(5)).unwrap(),
        None
    );
    let totals = store.totals(one, Class::Text, ArrivalSeq(2)).unwrap();
    assert_eq!(
        (totals.envelopes, totals.bytes),
        (2, (a[1].bytes().len() + a[2].bytes().len()) as u64)
    );
    assert_eq!(store.totals(one, Class::Text, NONE).unwrap().envelopes, 3);
    assert_eq!(
        store
            .totals(one, Class::Text, ArrivalSeq(5))
            .unwrap()
            .envelopes,
        0
    );
    assert_eq!(timelines::timelines(&store).unwrap().len(), 2);
    let log = timelines::arrivals(&store, Class::Text, ArrivalSeq(1), 2).unwrap();
    let log: Vec<_> = log
        .into_iter()
        .map(|(arrival, place)| (arrival, place.unwrap()))
        .collect();
    assert_eq!(
        log,
        [
            (ArrivalSeq(2), (two, b[0].id())),
            (ArrivalSeq(3), (one, a[1].id()))
        ]
    );
}

#[test]
fn a_class_has_its_own_log() {
    let mut store = store();
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let change = author.write(timeline, Kind::Change, 1, EnvelopeId::ZERO, b"text");
    let fragment = author.write(timeline, Kind::Fragment, 2, change.id(), b"bulk");
    commit(&mut store, &[&change, &fragment]);
    assert_eq!(store.head(Class::Text).unwrap().seq, ArrivalSeq(1));
    assert_eq!(store.head(Class::Bulk).unwrap().seq, ArrivalSeq(1));
    assert_eq!(store.head(Class::Control).unwrap().seq, NONE);
}

/// A cursor proves in which log it is: another history gives another hash.
#[test]
fn cursors_carry_the_running_hash() {
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let (mut ours, mut theirs) = (store(), store());
    let chain = author.chain(timeline, &[b"1", b"2", b"3"]);
    let other = author.chain(timeline, &[b"1", b"other", b"3"]);
    commit(&mut ours, &chain.iter().collect::<Vec<_>>());
    commit(&mut theirs, &other.iter().collect::<Vec<_>>());
    let cursor = |store: &Store, seq| store.cursor_at(Class::Text, ArrivalSeq(seq)).unwrap();
    assert_eq!(cursor(&ours, 0).unwrap().hash, [0; 8]);
    assert_eq!(cursor(&ours, 1), cursor(&theirs, 1));
    assert_ne!(cursor(&ours, 2), cursor(&theirs, 2));
    assert_ne!(cursor(&ours, 3), cursor(&theirs, 3), "the difference stays");
    assert_eq!(cursor(&ours, 3).unwrap(), ours.head(Class::Text).unwrap());
    assert_eq!(cursor(&ours, 4), None, "the log never got there");
    assert_eq!(
        (
            cursor(&ours, 1).unwrap().log,
            cursor(&ours, 1).unwrap().log_epoch
        ),
        ours.log()
    );
}

/// A batch answers as the store will after its commit; the store, as before it.
#[test]
fn a_batch_reads_what_it_wrote_and_the_store_does_not() {
    let mut store = store();
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let chain = author.chain(timeline, &[b"1", b"2", b"3", b"4"]);
    commit(&mut store, &[&chain[0]]);
    assert_eq!(
        store.head(Class::Text).unwrap().seq,
        ArrivalSeq(1),
        "fills the caches"
    );
    assert_eq!(
        store.timeline_head(timeline, Class::Text).unwrap(),
        ArrivalSeq(1)
    );

    let mut batch = store.batch();
    append(&mut batch, &chain[1]);
    append(&mut batch, &chain[2]);
    assert_eq!(
        batch.timeline_head(timeline, Class::Text).unwrap(),
        ArrivalSeq(3)
    );
    assert_eq!(
        bodies(&batch, timeline, NONE, 9, usize::MAX),
        [b"1", b"2", b"3"]
    );
    assert_eq!(
        batch
            .totals(timeline, Class::Text, ArrivalSeq(1))
            .unwrap()
            .envelopes,
        2
    );
    assert_eq!(
        store.timeline_head(timeline, Class::Text).unwrap(),
        ArrivalSeq(1)
    );
    assert_eq!(bodies(&store, timeline, NONE, 9, usize::MAX), [b"1"]);

    let overlay = batch.into_overlay();
    let mut batch = store.batch_on(overlay);
    append(&mut batch, &chain[3]);
    let head = batch.head(Class::Text).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    assert_eq!(
        store.head(Class::Text).unwrap(),
        head,
        "the caches forget what a commit wrote"
    );
    assert_eq!(
        store.timeline_head(timeline, Class::Text).unwrap(),
        ArrivalSeq(4)
    );
    assert_eq!(store.heights(timeline).unwrap()[0].seq, Seq(4));
}

#[test]
fn chains_accept_gaps_and_heights_wait_for_them() {
    let mut store = store();
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let chain = author.chain(timeline, &[b"1", b"2", b"3", b"4"]);
    let height = |store: &Store| timelines::heights(store, &timeline).unwrap()[0];
    commit(&mut store, &[&chain[3]]);
    assert_eq!(
        (height(&store).contiguous, height(&store).highest),
        (Seq(0), Seq(4))
    );
    assert_eq!(height(&store).id, EnvelopeId::ZERO);
    commit(&mut store, &[&chain[0], &chain[2]]);
    assert_eq!(
        (height(&store).contiguous, height(&store).id),
        (Seq(1), chain[0].id())
    );
    commit(&mut store, &[&chain[1]]);
    assert_eq!(
        (height(&store).contiguous, height(&store).id),
        (Seq(4), chain[3].id())
    );
    assert_eq!(store.heights(timeline).unwrap()[0].author, author.id());
}

#[test]
fn a_fork_is_kept_as_evidence_and_a_third_is_refused() {
    let mut store = store();
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let at_one = |body: &[u8]| author.write(timeline, Kind::Change, 1, EnvelopeId::ZERO, body);
    let (first, second, third) = (at_one(b"first"), at_one(b"second"), at_one(b"third"));
    let mut batch = store.batch();
    assert_eq!(
        append(&mut batch, &first),
        Appended::Stored {
            arrival: ArrivalSeq(1),
            forked: false
        }
    );
    assert_eq!(
        append(&mut batch, &second),
        Appended::Stored {
            arrival: ArrivalSeq(2),
            forked: true
        }
    );
    assert_eq!(append(&mut batch, &third), Appended::ThirdFork);
    assert_eq!(
        append(&mut batch, &second),
        Appended::Duplicate {
            arrival: ArrivalSeq(2)
        }
    );
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    let ids = timelines::author_ids(&store, &timeline, &author.id(), Seq(1)).unwrap();
    assert_eq!(ids, Some((first.id(), Some(second.id()))));
    assert!(timelines::get(&store, &third.id()).unwrap().is_none());
    assert_eq!(store.head(Class::Text).unwrap().seq, ArrivalSeq(2));
    assert_eq!(
        timelines::heights(&store, &timeline).unwrap()[0].id,
        first.id(),
        "the first one counts"
    );
}

#[test]
fn admission_is_replayed_from_the_accepted_ops() {
    let mut store = store();
    let (owner, admin, author) = (Author::number(2), Author::number(4), Author::number(1));
    let timeline = owner.timeline();
    let principal = PrincipalKey::from_bytes(*admin.id().as_bytes());
    let genesis = ClearOp::Genesis {
        kind: TimelineKind::Group,
        history: History::Full,
        admin: principal,
        public_key: None,
        nonce: [1; 16],
    };
    let genesis = owner.write(
        timeline,
        Kind::AuthOp,
        1,
        EnvelopeId::ZERO,
        &AuthBody::encode(&[genesis], &[]).unwrap(),
    );
    let certified = [
        SIGN_AUTHOR,
        timeline.as_bytes().as_slice(),
        principal.as_bytes(),
        author.id().as_bytes(),
    ]
    .concat();
    let intro = ClearOp::Author {
        principal,
        author: author.id(),
        signature: admin.sign(&certified),
    };
    let intro = author.write(
        timeline,
        Kind::AuthOp,
        1,
        EnvelopeId::ZERO,
        &AuthBody::encode(&[intro], &[]).unwrap(),
    );
    let verdict = |replica: &dyn Replica| {
        replica
            .judge(timeline, &author.id(), Rights::APPEND, UnixMillis(1))
            .unwrap()
    };
    assert_eq!(verdict(&store), Verdict::UnknownTimeline);

    let mut batch = store.batch();
    for envelope in [&genesis, &intro] {
        let Appended::Stored { arrival, .. } = append(&mut batch, envelope) else {
            panic!("it is new")
        };
        admission::record(&mut batch, &timeline, arrival, &envelope.id()).unwrap();
        let expected = if envelope.id() == intro.id() {
            Some(principal)
        } else {
            None
        };
        assert_eq!(
            batch
                .admission(&timeline)
                .unwrap()
                .unwrap()
                .admission()
                .principal_of(&author.id()),
            expected
        );
    }
    assert_eq!(verdict(&batch), Verdict::Permitted(principal));
    assert_eq!(
        verdict(&store),
        Verdict::UnknownTimeline,
        "not before the commit"
    );
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    assert_eq!(verdict(&store), Verdict::Permitted(principal));
    assert_eq!(verdict(&store.batch()), Verdict::Permitted(principal));
    let stranger = store
        .judge(
            timeline,
            &Author::number(9).id(),
            Rights::READ,
            UnixMillis(1),
        )
        .unwrap();
    assert!(matches!(stranger, Verdict::Refused(_)), "{stranger:?}");
}

#[test]
fn an_admission_log_that_does_not_replay_is_an_integrity_error() {
    let mut store = store();
    let (author, timeline) = (Author::number(1), Author::number(2).timeline());
    let change = author.write(timeline, Kind::Change, 1, EnvelopeId::ZERO, b"no genesis");
    let mut batch = store.batch();
    append(&mut batch, &change);
    admission::record(&mut batch, &timeline, ArrivalSeq(1), &change.id()).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    let error = store.admission(&timeline).unwrap_err();
    assert!(matches!(error, StoreError::AdmissionLog { .. }), "{error}");
    assert_eq!(error.exit_code(), 9);
}

#[test]
fn a_batch_is_bounded() {
    let store = store();
    let mut batch = store.batch();
    let row = 1024 * 1024;
    let mut rows = 0_u8;
    while batch.has_room_for(row + 100) {
        batch
            .put(Table::NodeState, vec![rows], vec![0; row])
            .unwrap();
        rows += 1;
    }
    assert_eq!(usize::from(rows), BATCH_BYTES_MAX / row - 1);
    let full = batch
        .put(Table::NodeState, vec![rows], vec![0; row])
        .unwrap_err();
    assert!(
        matches!(
            full,
            StoreError::BatchFull {
                max: BATCH_BYTES_MAX,
                ..
            }
        ),
        "{full}"
    );
    assert!(
        batch.get(Table::NodeState, &[rows]).unwrap().is_none(),
        "nothing was written"
    );
    batch.put(Table::NodeState, vec![0], vec![0; row]).unwrap();
    batch.delete(Table::NodeState, vec![0]).unwrap();
    batch
        .put(Table::NodeState, vec![rows], vec![0; row])
        .unwrap();
    let error = store
        .batch()
        .put(Table::NodeState, vec![1], vec![0; 3 * row])
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::RowTooLarge {
                table: "node_state",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn quotas_count_up_and_down() {
    let mut store = store();
    let id = [5; 32];
    let of = |bytes, count| quotas::Use { bytes, count };
    let mut batch = store.batch();
    assert_eq!(
        quotas::add(&mut batch, quotas::Scope::Timeline, &id, of(10, 1)).unwrap(),
        of(10, 1)
    );
    assert_eq!(
        quotas::add(&mut batch, quotas::Scope::Timeline, &id, of(5, 1)).unwrap(),
        of(15, 2)
    );
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    assert_eq!(
        quotas::get(&store, quotas::Scope::Timeline, &id).unwrap(),
        of(15, 2)
    );
    assert_eq!(
        quotas::get(&store, quotas::Scope::Author, &id).unwrap(),
        of(0, 0),
        "scopes are apart"
    );
    let mut batch = store.batch();
    assert_eq!(
        quotas::subtract(&mut batch, quotas::Scope::Timeline, &id, of(10, 1)).unwrap(),
        of(5, 1)
    );
}
