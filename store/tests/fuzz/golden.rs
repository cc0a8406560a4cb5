//! A store with a row in nearly every table, copied for each input.

use std::path::Path;
use std::sync::OnceLock;

use khlong_crdt::admission::{AuthBody, ClearOp, History, TimelineKind};
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::context::SIGN_AUTHOR;
use khlong_crdt::envelope::{Expiry, Kind, VerifiedEnvelope};
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, LogId, PrincipalKey, RelayKey, TimelineId};
use khlong_crdt::receipt::StoredReceipt;
use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::identity::Role;
use khlong_store::journal::{self, Entry, JournalId};
use khlong_store::store::Store;
use khlong_store::table::Table;
use khlong_store::tables::blocked::Blocked;
use khlong_store::tables::named::Named;
use khlong_store::tables::quotas::{Scope, Use};
use khlong_store::tables::retention::{ExpiringReceipt, Noted, TimelineRetention};
use khlong_store::tables::{
    admission, blocked, cursors, named, outbox, quotas, receipts, retention, snapshots, timelines,
};

use crate::fixture::{Author, options};

pub(crate) const NOW: UnixMillis = UnixMillis(1_795_000_000_000);
const CHECKPOINT: &str = "golden";

pub(crate) fn timeline() -> TimelineId {
    Author::number(1).timeline()
}

/// Who writes in the timeline.
pub(crate) fn author() -> Author {
    Author::number(2)
}

pub(crate) fn relay() -> RelayKey {
    RelayKey::from_bytes([0x22; 32])
}

pub(crate) fn principal() -> PrincipalKey {
    PrincipalKey::from_bytes(*Author::number(4).id().as_bytes())
}

pub(crate) struct Golden {
    disk: MemoryDisk,
    pub(crate) rows: Vec<(Table, Vec<u8>, Vec<u8>)>,
    pub(crate) envelopes: Vec<VerifiedEnvelope>,
}

impl Golden {
    /// A disk of its own with all rows.
    pub(crate) fn copy(&self) -> MemoryDisk {
        self.disk.from_checkpoint(Path::new(CHECKPOINT)).unwrap()
    }
}

pub(crate) fn golden() -> &'static Golden {
    static GOLDEN: OnceLock<Golden> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let disk = MemoryDisk::new();
        let mut store = Store::in_memory(&disk, &options(Role::Node)).unwrap();
        let mut batch = store.batch();
        let envelopes = put_envelopes(&mut batch);
        put_rows(&mut batch, &envelopes);
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced).unwrap();
        store.checkpoint(Path::new(CHECKPOINT)).unwrap();
        let mut rows = Vec::new();
        store
            .for_each_row(&mut |table, key, payload| {
                rows.push((table, key.to_vec(), payload.to_vec()));
                Ok(())
            })
            .unwrap();
        drop(store);
        Golden {
            disk,
            rows,
            envelopes,
        }
    })
}

/// A timeline with an author, whose chain has a fork, a hole and a pruned body.
fn put_envelopes(batch: &mut Batch<'_>) -> Vec<VerifiedEnvelope> {
    let (owner, admin, author) = (Author::number(1), Author::number(4), author());
    let genesis = ClearOp::Genesis {
        kind: TimelineKind::Group,
        history: History::Full,
        admin: principal(),
        public_key: None,
        nonce: [5; 16],
    };
    let certified = [
        SIGN_AUTHOR,
        timeline().as_bytes(),
        principal().as_bytes(),
        author.id().as_bytes(),
    ]
    .concat();
    let intro = ClearOp::Author {
        principal: principal(),
        author: author.id(),
        signature: admin.sign(&certified),
    };
    let auth_op = |writer: &Author, op: ClearOp| {
        let body = AuthBody::encode(&[op], &[]).unwrap();
        writer.write(timeline(), Kind::AuthOp, 1, EnvelopeId::ZERO, &body)
    };
    let mut envelopes = vec![auth_op(&owner, genesis), auth_op(&author, intro)];
    for (place, envelope) in (1..).zip(&envelopes) {
        timelines::append(batch, envelope, NOW).unwrap();
        admission::record(batch, &timeline(), ArrivalSeq(place), &envelope.id()).unwrap();
    }
    let prev = envelopes[1].id();
    for (seq, body) in [(2, "two"), (3, "three"), (3, "fork"), (5, "five")] {
        let (kind, body) = (Kind::Change, body.as_bytes());
        let envelope = author.write_for(Expiry::Week, timeline(), kind, seq, prev, body);
        timelines::append(batch, &envelope, NOW).unwrap();
        envelopes.push(envelope);
    }
    let stored = timelines::get(batch, &envelopes[2].id()).unwrap().unwrap();
    timelines::prune(batch, &stored).unwrap();
    envelopes
}

/// What a node, a relay and a gateway keep beside the envelopes.
fn put_rows(batch: &mut Batch<'_>, envelopes: &[VerifiedEnvelope]) {
    let (timeline, id) = (timeline(), envelopes[3].id());
    outbox::push(batch, &timeline, &id, NOW).unwrap();
    let cursor = Cursor {
        log: LogId::from_bytes([3; 16]),
        log_epoch: 1,
        seq: ArrivalSeq(9),
        hash: [4; 8],
    };
    cursors::put(batch, &relay(), Class::Text, &cursor).unwrap();
    cursors::put_backfill(batch, &relay(), &timeline, Class::Text, ArrivalSeq(3)).unwrap();
    let ids: Vec<EnvelopeId> = envelopes.iter().map(VerifiedEnvelope::id).collect();
    for seed in [9, 10] {
        let key = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        let receipt = StoredReceipt::sign(&key, cursor.log, 1, NOW, &ids);
        for (id, proof) in ids.iter().zip(receipt.prove(&ids).unwrap()) {
            receipts::put(batch, id, &proof).unwrap();
        }
    }
    named::put(batch, Named::Secret, b"device", vec![1; 40]).unwrap();
    named::put(batch, Named::NodeState, b"relay/1", vec![2; 40]).unwrap();
    let more = Use {
        bytes: 40,
        count: 2,
    };
    quotas::add(batch, Scope::Author, author().id().as_bytes(), more).unwrap();
    quotas::store_in(batch, &timeline, more).unwrap();
    let mut row = TimelineRetention::default();
    row.raise(Expiry::Week, NOW);
    retention::put(batch, &timeline, &row).unwrap();
    let expiring = ExpiringReceipt {
        expiry: Expiry::Month,
        received_at: NOW,
        arrival: ArrivalSeq(2),
    };
    retention::note_receipt(batch, &expiring, &id).unwrap();
    retention::put_noted(batch, Noted::default()).unwrap();
    let blocked = Blocked {
        timeline,
        principal: principal(),
        at: NOW,
    };
    blocked::put(batch, &blocked).unwrap();
    let head = snapshots::head_key(&timeline);
    snapshots::put(batch, &head, &[3; 40], 0).unwrap();
    let page = snapshots::page_key(&timeline, &[4; 37]);
    snapshots::put(batch, &page, &[5; 40], 0).unwrap();
    put_journal(batch);
}

fn put_journal(batch: &mut Batch<'_>) {
    let head = journal::create(batch, JournalId::from_bytes([9; 16])).unwrap();
    let entries = ["one", "two", "three"].map(|command| Entry {
        header: b"header".to_vec(),
        command: command.as_bytes().to_vec(),
        outcome: b"outcome".to_vec(),
    });
    journal::append(batch, head.seq, &entries).unwrap();
}
