//! What an acknowledgement covers, and when it leaves.

use std::collections::BTreeSet;

use khlong_crdt::id::{ArrivalSeq, EnvelopeId};
use khlong_relay::hub::{ConnectionId, Policy};
use khlong_store::tables::timelines;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::AppendOutcome;

use super::{ids, opened, refusal};
use crate::support::open;
use crate::support::virtual_world::World;

#[test]
fn nothing_leaves_before_the_commit_and_the_receipt_covers_what_is_stored() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let envelope = admin.write("สวัสดี".as_bytes());
    let request = world.offer(conn, vec![envelope.clone()]);
    world.deliver_to_hub().unwrap();
    assert!(
        !world.deliver_to_clients(),
        "something left before the commit"
    );
    assert!(
        timelines::get(world.hub.store(), &envelope.id())
            .unwrap()
            .is_none()
    );

    world.hub.commit(world.now()).unwrap();
    world.deliver_to_clients();
    let (outcomes, proofs) = &world.client(conn).acks[&request];
    assert_eq!(
        *outcomes,
        [AppendOutcome::Stored {
            arrival: ArrivalSeq(1)
        }]
    );
    let stored = timelines::get(world.hub.store(), &envelope.id())
        .unwrap()
        .unwrap();
    let proof = proofs[0].as_ref().unwrap();
    assert_eq!(proof.receipt.relay, world.hub.relay_key());
    proof.verify(&envelope.id()).unwrap();
    assert_eq!(
        proof.receipt.received_at, stored.received_at,
        "expiry counts from the receipt's date"
    );
}

#[test]
fn many_appends_share_one_commit() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let before = world.hub.store().stats().wal_syncs;
    for n in 0..5_u8 {
        let envelope = admin.write(&[n]);
        world.offer(conn, vec![envelope]);
    }
    world.settle();
    assert_eq!(world.client(conn).acks.len(), 6);
    assert_eq!(world.hub.store().stats().wal_syncs, before + 1);
}

/// What one client has for its appends: every proof holds, and all are of one receipt.
fn assert_proven(world: &World, conn: ConnectionId, appends: &[(u64, Vec<EnvelopeId>)]) {
    let mut receipts = BTreeSet::new();
    for (request, ids) in appends {
        let (outcomes, proofs) = &world.client(conn).acks[request];
        assert_eq!(outcomes.len(), ids.len());
        for (id, proof) in ids.iter().zip(proofs) {
            let Some(proof) = proof else { continue };
            proof.verify(id).unwrap();
            let stored = timelines::get(world.hub.store(), id).unwrap().unwrap();
            assert_eq!(proof.receipt.received_at, stored.received_at);
            receipts.insert(proof.receipt.encode());
        }
    }
    assert_eq!(receipts.len(), 1, "one signature");
}

#[test]
fn one_commit_is_one_ack_with_one_signature_for_each_connection() {
    let (mut world, mali, mut market) = opened(Policy::default());
    let ton = world.connect(None);
    let (timeline, mut canal, intro) = open(2);
    world.prove(ton, &canal);
    world.append(ton, vec![timeline.genesis, intro]);
    let before = [mali, ton].map(|conn| world.client(conn).ack_frames.len());
    let acks_before = world.hub.stats().acks;

    // Several inputs, some milliseconds apart, then one commit.
    let (mut of_mali, mut of_ton) = (Vec::new(), Vec::new());
    let first = market.write(b"first");
    // Of somebody whose grant has not come.
    let refused = market.admit(9).0.introduce();
    for envelopes in [
        vec![first.clone()],
        vec![
            market.write(b"second"),
            refused,
            first,
            market.write(b"third"),
        ],
        vec![market.write(b"fourth")],
    ] {
        of_mali.push((world.offer(mali, envelopes.clone()), ids(&envelopes)));
        world.deliver_to_hub().unwrap();
        world.pass_ms(3);
        let envelopes = vec![canal.write(b"elsewhere")];
        of_ton.push((world.offer(ton, envelopes.clone()), ids(&envelopes)));
        world.deliver_to_hub().unwrap();
        world.pass_ms(3);
    }
    world.hub.commit(world.now()).unwrap();
    world.deliver_to_clients();

    let last = |conn, seen: usize| {
        let frames = &world.client(conn).ack_frames;
        assert_eq!(frames.len(), seen + 1, "one ack");
        frames.last().unwrap()
    };
    let (to_mali, to_ton) = (last(mali, before[0]), last(ton, before[1]));
    assert_eq!((to_mali.further.len(), to_ton.further.len()), (2, 2));
    let counts = [(mali, to_mali), (ton, to_ton)].map(|(conn, ack)| {
        let (_, proofs) = &world.client(conn).acks[&ack.first.request];
        proofs.iter().flatten().next().unwrap().receipt.count
    });
    assert_eq!(counts, [5, 3], "kept, once for each time it was sent");
    assert_eq!(world.hub.stats().acks, acks_before + 2);
    assert_proven(&world, mali, &of_mali);
    assert_proven(&world, ton, &of_ton);
    let (outcomes, proofs) = &world.client(mali).acks[&of_mali[1].0];
    assert_eq!(refusal(&outcomes[1]), Some(ErrorCode::NotAdmitted));
    assert!(proofs[1].is_none());
    assert!(matches!(outcomes[2], AppendOutcome::Duplicate { .. }));
}

#[test]
fn an_envelope_sent_twice_is_a_duplicate_at_the_same_place() {
    let (mut world, conn, mut admin) = opened(Policy::default());
    let envelope = admin.write(b"once");
    world.append(conn, vec![envelope.clone()]);
    let again = world.append(conn, vec![envelope.clone()]);
    assert_eq!(
        again,
        [AppendOutcome::Duplicate {
            arrival: ArrivalSeq(1)
        }]
    );
    // Twice in one batch, before its commit.
    let other = admin.write(b"twice at once");
    let both = world.append(conn, vec![other.clone(), other]);
    let arrival = ArrivalSeq(2);
    assert_eq!(
        both,
        [
            AppendOutcome::Stored { arrival },
            AppendOutcome::Duplicate { arrival }
        ]
    );
}
