//! Delivered and read, and what is never acknowledged.

use khlong_document::keys::epoch::EpochKey;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::event::TimelineEvent;

use super::{Group, NOW, SMALL, sealed_by, text};

#[test]
fn delivered_and_read_come_from_receipts_and_receipts_answer_nothing() {
    let mut group = Group::full();
    let (somchai, nok) = (group.add(), group.add());
    while group.receipt(0) || group.receipt(somchai) || group.receipt(nok) {
        group.sync();
    }
    group.write(0, &[text("lunch?")]);
    let id = group.members[0].messages(0..9)[0].id;
    let (my_seq, _) = group.members[0].head();
    assert_eq!(group.members[0].delivery(&id).unwrap().delivered_to, []);
    assert!(
        !group.members[somchai].pending_receipt(),
        "nothing has arrived yet"
    );
    group.sync();
    assert!(group.members[somchai].pending_receipt());
    assert!(group.receipt(somchai));
    let events = group.sync();
    let principal = group.members[somchai].principal();
    let author = group.members[0].author();
    assert!(
        events.contains(&TimelineEvent::Delivered {
            principal,
            author,
            seq: my_seq
        }),
        "{events:?}"
    );
    let delivery = group.members[0].delivery(&id).unwrap();
    assert_eq!(
        (delivery.seq, delivery.delivered_to, delivery.read_by),
        (my_seq, vec![principal], vec![])
    );
    // Nobody owes a receipt for a receipt.
    assert!(!group.members[0].pending_receipt());
    assert!(!group.receipt(0) && !group.receipt(somchai));
    assert!(group.members[nok].pending_receipt(), "nok has not told yet");
    group.members[nok].read_all();
    assert!(group.receipt(nok));
    assert!(!group.receipt(nok));
    let events = group.sync();
    let reader = group.members[nok].principal();
    assert!(
        events.contains(&TimelineEvent::Read {
            principal: reader,
            author,
            seq: my_seq
        }),
        "{events:?}"
    );
    let delivery = group.members[0].delivery(&id).unwrap();
    assert_eq!(delivery.read_by, [reader]);
    assert_eq!(delivery.delivered_to.len(), 2);
    for who in 0..3 {
        assert!(!group.receipt(who), "{who} answered a receipt");
    }
    // The same heights after a start from the store, in reverse.
    let mut again = Timeline::with_limits(
        group.members[0].id(),
        group.members[0].secrets().clone(),
        SMALL,
    );
    again.receive_all(group.sent.iter().rev().cloned());
    assert_eq!(again.delivery(&id), group.members[0].delivery(&id));
    assert_eq!(
        (again.head(), again.pending_receipt()),
        (group.members[0].head(), false)
    );
}

/// An answer that came before what it answers shows nothing, and neither does what cannot be
/// opened: whoever has them says so only once a person could see them.
#[test]
fn a_receipt_tells_only_what_shows() {
    let mut group = Group::full();
    let (somchai, nok) = (group.add(), group.add());
    group.members[0].read_all();
    while group.receipt(0) || group.receipt(somchai) || group.receipt(nok) {
        group.sync();
    }
    group.write(nok, &[text("are you there?")]);
    let question = group.sent.last().unwrap().clone();
    group.members[somchai].receive(&question);
    let asked = group.members[somchai].messages(0..9)[0].id;
    let answer = Draft::Message {
        body: "I am".to_owned(),
        reply_to: Some(asked),
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at: NOW,
    };
    group.write(somchai, &[answer]);
    let answer = group.sent.last().unwrap().clone();
    let id = group.members[somchai].messages(0..9)[1].id;

    group.members[0].receive(&answer);
    assert_eq!(
        group.members[0].message_count(),
        0,
        "it waits for the question"
    );
    group.members[0].read_all();
    // What came before may still be told, the answer not.
    let mali = group.members[0].principal();
    if group.receipt(0) {
        let told = group.sent.last().unwrap().clone();
        group.members[somchai].receive(&told);
    }
    assert!(!group.members[0].pending_receipt());
    let delivery = group.members[somchai].delivery(&id).unwrap();
    assert!(!delivery.delivered_to.contains(&mali));

    group.members[0].receive(&question);
    assert_eq!(group.members[0].message_count(), 2);
    assert!(group.receipt(0));
    group.sync();
    let delivery = group.members[somchai].delivery(&id).unwrap();
    assert!(delivery.delivered_to.contains(&mali));
    assert!(
        !delivery.read_by.contains(&mali),
        "it was not there when the person looked"
    );
    group.members[0].read_all();
    assert!(group.receipt(0));
    group.sync();
    let delivery = group.members[somchai].delivery(&id).unwrap();
    assert!(delivery.read_by.contains(&mali));
}

#[test]
fn what_cannot_be_opened_is_never_acknowledged_nor_what_its_author_wrote_behind_it() {
    let mut group = Group::full();
    let somchai = group.add();
    while group.receipt(0) || group.receipt(somchai) {
        group.sync();
    }
    group.write(somchai, &[text("before")]);
    let before = group.sent.last().unwrap().clone();
    let next = group.members[somchai].next_seq();
    let key = EpochKey::from_seed([9; 32]);
    let epoch_id = before.prefix().epoch;
    let garbage = sealed_by(&group, somchai, next, b"garbage", &key, epoch_id);
    // The author's own device counts on from it.
    group.members[somchai].receive(&garbage);
    group.write(somchai, &[text("behind")]);
    let behind = group.sent.last().unwrap().clone();
    assert_eq!(behind.prefix().seq.get(), next.get() + 1);
    for envelope in [&before, &garbage, &behind] {
        group.members[0].receive(envelope);
    }
    assert_eq!(
        group.members[0].message_count(),
        2,
        "what can be read is shown"
    );
    assert!(group.receipt(0));
    assert!(!group.receipt(0), "and told once");
    group.sync();
    let messages = group.members[somchai].messages(0..9);
    let told = |place: usize| {
        let delivery = group.members[somchai]
            .delivery(&messages[place].id)
            .unwrap();
        !delivery.delivered_to.is_empty()
    };
    assert_eq!((told(0), told(1)), (true, false));
}
