//! Every checker sees the violation that is planted for it, and nothing where there is none.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use ed25519_dalek::SigningKey;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{
    ArrivalSeq, AuthorKey, EnvelopeId, EpochId, LogId, RelayKey, Seq, TimelineId,
};
use khlong_crdt::time::UnixMillis;
use khlong_node::api::Delivery;
use khlong_relay::hub::HubStats;
use khlong_simulations::fuzz::batch::parse_seeds;
use khlong_simulations::fuzz::checkers::chains::{self, Forks};
use khlong_simulations::fuzz::checkers::conservation::{self, Account, Places};
use khlong_simulations::fuzz::checkers::equality::{self, Shown};
use khlong_simulations::fuzz::checkers::forgery::Forgery;
use khlong_simulations::fuzz::checkers::growth::Growth;
use khlong_simulations::fuzz::checkers::pace::{ATTEMPTS_A_DEVICE_MAX, Pace};
use khlong_simulations::fuzz::checkers::promises::Promises;
use khlong_simulations::fuzz::checkers::secrecy::{CANARY, Secrets};
use khlong_simulations::fuzz::checkers::{Findings, Written, cursors, delivery, limits, order};
use khlong_simulations::plan::Entity;
use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::identity::Role;
use khlong_store::key::Encoder;
use khlong_store::store::{OpenOptions, Store};
use khlong_store::table::Table;
use khlong_store::tables::timelines::{append, head};
use khlong_store::tables::{cursors as cursor_table, quotas};
use khlong_sync::limits::FRAME_BYTES_MAX;
use khlong_sync::wire::code::ErrorCode;

const WHO: Entity = Entity(0);
const OTHER: Entity = Entity(1);
const TIMELINE: TimelineId = TimelineId::from_bytes([5; 32]);

fn author() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// Bytes that look like ciphertext.
fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new()
        .update(&[seed])
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

fn envelope(seq: u64, prev: EnvelopeId, body: &[u8]) -> VerifiedEnvelope {
    let key = author();
    let prefix = Prefix {
        kind: Kind::Change,
        timeline: TIMELINE,
        author: AuthorKey::from_bytes(key.verifying_key().to_bytes()),
        seq: Seq(seq),
        prev,
        epoch: EpochId::from_bytes([1; 32]),
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    VerifiedEnvelope::sign(prefix, [2; 24], body, &key).unwrap()
}

/// Two envelopes, the second behind the first.
fn chain() -> [VerifiedEnvelope; 2] {
    let first = envelope(1, EnvelopeId::ZERO, &noise(1, 300));
    let second = envelope(2, first.id(), &noise(2, 300));
    [first, second]
}

fn empty() -> Store {
    let options = OpenOptions {
        role: Role::Relay,
        fresh_log_id: LogId::from_bytes([3; 16]),
        accept_loss: false,
        sizes: RocksOptions::default(),
    };
    Store::in_memory(&MemoryDisk::new(), &options).unwrap()
}

/// A store that holds `envelopes`, in this order, each charged to its timeline.
fn store_of<'e>(envelopes: impl IntoIterator<Item = &'e VerifiedEnvelope>) -> Store {
    let mut store = empty();
    let mut batch = store.batch();
    for envelope in envelopes {
        append(&mut batch, envelope, UnixMillis(9)).unwrap();
        let more = quotas::Use {
            bytes: envelope.bytes().len() as u64,
            count: 1,
        };
        let scope = quotas::Scope::Timeline;
        quotas::add(&mut batch, scope, TIMELINE.as_bytes(), more).unwrap();
    }
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    store
}

/// What `check` finds.
fn found(check: impl FnOnce(&mut Findings)) -> Vec<String> {
    let mut findings = Findings::default();
    check(&mut findings);
    findings.into_parts().0
}

fn assert_clean(check: impl FnOnce(&mut Findings)) {
    assert_eq!(found(check), Vec::<String>::new());
}

/// Exactly one violation, of the checker, that says `words`.
fn assert_found(checker: &str, words: &str, check: impl FnOnce(&mut Findings)) {
    let found = found(check);
    let [violation] = found.as_slice() else {
        panic!("one violation of {checker} is expected: {found:?}");
    };
    assert!(violation.starts_with(checker), "{violation}");
    assert!(violation.contains(words), "{violation}");
}

#[test]
fn a_promise_that_is_not_kept() {
    let [first, second] = chain();
    let store = store_of([&first]);
    let promise = |id| {
        let mut promises = Promises::default();
        promises.promised(WHO, &[id], None, &mut Findings::default());
        promises
    };
    let kept = promise(first.id());
    assert_clean(|findings| kept.check(WHO, &store, "at the end", findings));
    let broken = promise(second.id());
    assert_found("acknowledged writes", "at the end", |findings| {
        broken.check(WHO, &store, "at the end", findings);
    });
    assert_found("acknowledged writes", "when the ack left", |findings| {
        Promises::default().promised(WHO, &[second.id()], Some(&store), findings);
    });
}

#[test]
fn rows_that_go_or_change() {
    let [first, second] = chain();
    let both = store_of(&[first.clone(), second.clone()]);
    let mut growth = Growth::default();
    assert_clean(|findings| growth.check(WHO, &store_of([&first]), findings));
    assert_clean(|findings| growth.check(WHO, &both, findings));
    for (other, words) in [
        (empty(), "from 1 on"),
        (store_of([&first]), "from 2 on"),
        (store_of([&second, &first]), "from 1 on"),
    ] {
        let mut growth = Growth::default();
        assert_clean(|findings| growth.look(WHO, &both, findings));
        assert_found("id rows only grow", words, |findings| {
            growth.check(WHO, &other, findings);
        });
    }
}

/// A store whose text log holds `first` once more, at arrival 2, as raw rows.
fn log_with_a_repetition(first: &VerifiedEnvelope) -> Store {
    let mut store = store_of([first]);
    let once = head(&store, Class::Text).unwrap();
    let hash = once.hash.extend(Class::Text, ArrivalSeq(2), &first.id());
    let class = Class::Text.as_u8();
    let mut batch = store.batch();
    let key = Encoder::new().u8(class).u64(2).finish();
    let row = Encoder::new()
        .fixed(TIMELINE.as_bytes())
        .fixed(first.id().as_bytes())
        .fixed(&hash.0);
    batch.put(Table::Arrival, key, row.finish()).unwrap();
    let row = Encoder::new().u64(2).fixed(&hash.0).finish();
    batch.put(Table::ClassHead, vec![class], row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    store
}

#[test]
fn an_arrival_that_comes_twice_and_a_hash_of_something_else() {
    let [first, _] = chain();
    let twice = log_with_a_repetition(&first);
    assert_found("id rows only grow", "twice, at 1 and 2", |findings| {
        Growth::default().look(WHO, &twice, findings);
    });

    let mut store = store_of(&[first]);
    let mut batch = store.batch();
    let row = Encoder::new().u64(1).fixed(&[9; 32]).finish();
    let class = Class::Text.as_u8();
    batch.put(Table::ClassHead, vec![class], row).unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    assert_found("id rows only grow", "running hash", |findings| {
        Growth::default().look(WHO, &store, findings);
    });
}

#[test]
fn chains_that_are_not_linked_and_forks_that_are_not_told() {
    let [first, second] = chain();
    let whole = store_of(&[first.clone(), second.clone()]);
    assert_clean(|findings| chains::check_links(WHO, &whole, false, findings));
    let loose = envelope(2, EnvelopeId::from_bytes([8; 32]), &noise(3, 300));
    let broken = store_of(&[first.clone(), loose]);
    assert_found("chains", "does not follow", |findings| {
        chains::check_links(WHO, &broken, false, findings);
    });

    let fork = store_of(&[
        first.clone(),
        second,
        envelope(2, first.id(), &noise(4, 300)),
    ]);
    assert_clean(|findings| chains::check_links(WHO, &fork, true, findings));
    let mut forks = Forks::default();
    assert_clean(|findings| forks.check(WHO, &whole, findings));
    assert_found("forks", "told nobody", |findings| {
        forks.check(WHO, &fork, findings);
    });
    forks.told(WHO, TIMELINE);
    assert_clean(|findings| forks.check(WHO, &fork, findings));
}

#[test]
fn a_forged_envelope_that_is_stored() {
    let [first, second] = chain();
    let mut bytes = first.bytes().to_vec();
    let signature = first.header_bytes().len();
    *bytes.get_mut(signature).unwrap() ^= 1;
    let unsigned = VerifiedEnvelope::assume_verified(bytes).unwrap();
    let mut forgery = Forgery::default();
    assert_clean(|findings| forgery.check(WHO, &store_of([&first]), findings));
    assert_found("forgeries", "without its author's signature", |findings| {
        forgery.check(WHO, &store_of(&[unsigned]), findings);
    });
    forgery.made(vec![second.id()]);
    assert_found("forgeries", "a stranger made", |findings| {
        forgery.check(WHO, &store_of(&[first, second]), findings);
    });
}

#[test]
fn text_and_keys_where_a_relay_sees_them() {
    let mut secrets = Secrets::default();
    let key = [0xab; 32];
    secrets.add_key("a test's key", &key);
    let planted = [b"row ".as_slice(), CANARY.as_bytes(), b" end"].concat();
    assert_eq!(secrets.found_in(&planted), Some("the canary"));
    assert_eq!(secrets.found_in(&noise(5, 4_096)), None);
    for form in [
        key.to_vec(),
        "ab".repeat(32).into_bytes(),
        format!("key: {key:?}").into_bytes(),
    ] {
        assert_eq!(
            secrets.found_in(&[b"x", form.as_slice()].concat()),
            Some("a test's key")
        );
    }
    assert_found("secrets", "a frame from machine 1 to 0", |findings| {
        secrets.check_frame(OTHER, WHO, &planted, findings);
    });
    assert_found("secrets", "the log holds", |findings| {
        secrets.check_log(&planted, findings);
    });

    let sealed = store_of(&chain());
    assert_clean(|findings| secrets.check_disk(WHO, &sealed, findings));
    let plain = store_of(&[envelope(1, EnvelopeId::ZERO, &planted)]);
    assert_found("secrets", "the canary lies in table Envelope", |findings| {
        secrets.check_disk(WHO, &plain, findings);
    });
    // Packed, so that no word of it is seen as it is.
    let text = "ข่าวจากคลอง ".repeat(30);
    let mut packed = zstd::bulk::compress(text.as_bytes(), 3).unwrap();
    packed.resize(packed.len() + 48, 0);
    let padded = store_of(&[envelope(1, EnvelopeId::ZERO, &packed)]);
    assert_found("secrets", "can be read", |findings| {
        secrets.check_disk(WHO, &padded, findings);
    });
}

#[test]
fn a_cursor_beyond_what_is_held() {
    let [first, second] = chain();
    let relay = store_of(&[first.clone(), second.clone()]);
    let key = RelayKey::from_bytes([4; 32]);
    let end = head(&relay, Class::Text).unwrap();
    let log = relay.identity();
    let at_the_end = Cursor::at(log.log, log.epoch, end.arrival, &end.hash);
    let device = |held: &[VerifiedEnvelope]| {
        let mut store = store_of(held);
        let mut batch = store.batch();
        cursor_table::put(&mut batch, &key, Class::Text, &at_the_end).unwrap();
        let writes = batch.into_writes();
        store.commit(writes, Durability::Synced).unwrap();
        store
    };
    let whole = device(&[first.clone(), second]);
    assert_clean(|findings| cursors::check((OTHER, &whole), (WHO, &relay, &key), findings));
    let lacking = device(&[first]);
    assert_found("cursors", "passes arrival 2", |findings| {
        cursors::check((OTHER, &lacking), (WHO, &relay, &key), findings);
    });
}

fn shown(who: Entity, messages: &[&str]) -> Shown {
    Shown {
        who,
        state_hash: "s".to_owned(),
        canonical_hash: "c".to_owned(),
        messages: messages.iter().map(|id| (*id).to_owned()).collect(),
        mine: Vec::new(),
        parked: 0,
    }
}

fn written(id: &str, saw: Option<&str>) -> Written {
    Written {
        who: WHO,
        timeline: TIMELINE.to_string(),
        id: id.to_owned(),
        envelope: None,
        saw: saw.map(str::to_owned),
    }
}

#[test]
fn replicas_that_differ_and_messages_that_are_missing_or_there_twice() {
    let wrote = [written("a", None)];
    let equal = [shown(WHO, &["a", "b"]), shown(OTHER, &["a", "b"])];
    assert_clean(|findings| equality::check(&equal, wrote.iter(), findings));
    let reordered = [shown(WHO, &["a", "b"]), shown(OTHER, &["b", "a"])];
    assert_found("replicas", "differ", |findings| {
        equality::check(&reordered, wrote.iter(), findings);
    });
    let mut other_bytes = equal.clone();
    other_bytes[1].canonical_hash = "d".to_owned();
    assert_found("replicas", "differ", |findings| {
        equality::check(&other_bytes, wrote.iter(), findings);
    });
    assert_found("messages", "shows a twice", |findings| {
        equality::check(&[shown(WHO, &["a", "a"])], wrote.iter(), findings);
    });
    assert_found("messages", "does not show it", |findings| {
        equality::check(&[shown(WHO, &["b"])], wrote.iter(), findings);
    });
}

#[test]
fn an_order_that_no_writer_saw_and_a_member_who_is_refused() {
    let wrote = [written("a", None), written("b", Some("a"))];
    assert_clean(|findings| order::check(&shown(OTHER, &["a", "b"]), wrote.iter(), findings));
    assert_found("order", "shows b before a", |findings| {
        order::check(&shown(OTHER, &["b", "a"]), wrote.iter(), findings);
    });

    let refused = |code, copied| {
        move |findings: &mut Findings| {
            order::refused((WHO, OTHER), EnvelopeId::ZERO, code, copied, findings);
        }
    };
    assert_clean(refused(ErrorCode::Busy, false));
    assert_clean(refused(ErrorCode::ForkEvidenceFull, true));
    assert_found(
        "acceptance",
        "for good",
        refused(ErrorCode::NotAdmitted, false),
    );
    assert_found(
        "acceptance",
        "for good",
        refused(ErrorCode::ForkEvidenceFull, false),
    );
}

#[test]
fn a_device_that_says_more_than_is_so() {
    let id = EnvelopeId::from_bytes([6; 32]);
    let says = |said, promised: bool, delivered: bool| {
        move |findings: &mut Findings| {
            let mut promises = Promises::default();
            if promised {
                promises.promised(OTHER, &[id], None, findings);
            }
            let others: BTreeSet<_> = delivered.then_some(id).into_iter().collect();
            let mut one = shown(WHO, &["a"]);
            one.mine = vec![("a".to_owned(), said)];
            delivery::check(&one, |_| Some(id), &promises, &others, true, findings);
        }
    };
    let name = "stored and delivered";
    assert_clean(says(Delivery::Stored, true, false));
    assert_clean(says(Delivery::Delivered, true, true));
    assert_found(name, "Stored", says(Delivery::Stored, false, true));
    assert_found(name, "Delivered", says(Delivery::Delivered, true, false));
    assert_found(name, "Queued", says(Delivery::Queued, false, false));
}

#[test]
fn an_account_that_does_not_balance() {
    let [a, b, c, d] = [1, 2, 3, 4].map(|byte| EnvelopeId::from_bytes([byte; 32]));
    let places = Places {
        members: vec![BTreeSet::from([a, b, c, d]), BTreeSet::from([a])],
        pruned: BTreeSet::from([d]),
        relays: BTreeSet::from([a, b]),
        refused: [(c, "quota exceeded".to_owned())].into(),
        ..Places::default()
    };
    let account = Account::of(&places);
    assert_eq!((account.created, account.delivered), (8, 5));
    assert_eq!((account.live, account.expired), (1, 1));
    assert_eq!(account.dropped, [("quota exceeded".to_owned(), 1)].into());
    assert_clean(|findings| conservation::check("t", &places, false, findings));
    assert_found("conservation", "still on their way", |findings| {
        conservation::check("t", &places, true, findings);
    });
    let vanished = Places {
        refused: Default::default(),
        ..places
    };
    assert_found(
        "conservation",
        "1 of 8 deliveries in t are nowhere",
        |findings| {
            conservation::check("t", &vanished, false, findings);
        },
    );
}

#[test]
fn limits_that_are_passed() {
    assert_clean(|findings| limits::check_frame(WHO, &Ok(FRAME_BYTES_MAX), findings));
    for sent in [Ok(FRAME_BYTES_MAX + 1), Err("no frame".to_owned())] {
        assert_found("limits", "nobody takes", |findings| {
            limits::check_frame(WHO, &sent, findings);
        });
    }
    let stats = HubStats {
        connections: 3,
        ..HubStats::default()
    };
    assert_clean(|findings| limits::check_hub(WHO, &stats, 3, findings));
    assert_found("limits", "3 connections, and 2 are open", |findings| {
        limits::check_hub(WHO, &stats, 2, findings);
    });

    let mut store = store_of(&chain());
    assert_clean(|findings| limits::check_tables(WHO, &store, findings));
    assert_clean(|findings| limits::check_quotas(WHO, &store, findings));
    let mut batch = store.batch();
    append(
        &mut batch,
        &envelope(3, chain()[1].id(), &noise(6, 300)),
        UnixMillis(9),
    )
    .unwrap();
    let writes = batch.into_writes();
    store.commit(writes, Durability::Synced).unwrap();
    assert_found("limits", "for 2 envelopes", |findings| {
        limits::check_quotas(WHO, &store, findings);
    });

    let mut waiting = shown(WHO, &[]);
    waiting.parked = 1;
    assert_clean(|findings| limits::check_parked(&waiting, false, findings));
    assert_found("limits", "1 envelopes wait", |findings| {
        limits::check_parked(&waiting, true, findings);
    });
}

#[test]
fn a_backlog_that_stays_and_a_storm() {
    let mut pace = Pace::default();
    for _ in 0..ATTEMPTS_A_DEVICE_MAX {
        pace.attempted(WHO);
    }
    assert_clean(|findings| pace.check(None, findings));
    pace.attempted(WHO);
    assert_found("pace", "retry storm", |findings| pace.check(None, findings));
    pace.begin();
    assert_found("pace", "2 envelopes wait", |findings| {
        pace.check(Some("2 envelopes wait"), findings);
    });
}

#[test]
fn a_list_of_seeds() {
    let list = "# seeds\n9 # a fork\n\n14#lost\n31\n";
    assert_eq!(parse_seeds(list), Ok(vec![9, 14, 31]));
    assert_eq!(parse_seeds("9\nx # y"), Err("x".to_owned()));
}
