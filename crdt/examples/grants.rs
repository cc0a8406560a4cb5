//! How long it takes to absorb grants one by one, as a relay and as a member: run it with
//! another number to see how the time grows (`cargo run -p khlong-crdt --example grants -- 2000`).
#![expect(clippy::unwrap_used, reason = "an example stops at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::time::Instant;

use ed25519_dalek::{Signer, SigningKey};
use khlong_crdt::admission::{Admission, AuthBody, ClearOp, History, Rights, TimelineKind};
use khlong_crdt::context::SIGN_AUTHOR;
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, PrincipalKey, Seq, TimelineId};
use khlong_crdt::time::UnixMillis;

fn main() {
    let count: u64 = std::env::args()
        .nth(1)
        .map_or(1_000, |count| count.parse().unwrap());
    let [timeline, owner, phone] = [1, 2, 3].map(|seed| SigningKey::from_bytes(&[seed; 32]));
    let id = TimelineId::from_bytes(timeline.verifying_key().to_bytes());
    let principal = PrincipalKey::from_bytes(owner.verifying_key().to_bytes());
    let author = AuthorKey::from_bytes(phone.verifying_key().to_bytes());
    let sign = |key: &SigningKey, (seq, prev): (Seq, EnvelopeId), op: ClearOp| {
        let prefix = Prefix {
            kind: Kind::AuthOp,
            timeline: id,
            author: AuthorKey::from_bytes(key.verifying_key().to_bytes()),
            seq,
            prev,
            epoch: EpochId::ZERO,
            expiry: Expiry::Keep,
            refs: Vec::new(),
        };
        let body = AuthBody::encode(&[op], &[]).unwrap();
        VerifiedEnvelope::sign(prefix, [0; 24], &body, key).unwrap()
    };
    let genesis = ClearOp::Genesis {
        kind: TimelineKind::Group,
        history: History::Full,
        admin: principal,
        public_key: None,
        nonce: [0; 16],
    };
    let genesis = sign(&timeline, (Seq::FIRST, EnvelopeId::ZERO), genesis);
    let statement = [
        SIGN_AUTHOR,
        id.as_bytes(),
        principal.as_bytes(),
        author.as_bytes(),
    ]
    .concat();
    let introduction = ClearOp::Author {
        principal,
        author,
        signature: owner.sign(&statement).to_bytes(),
    };
    let mut envelopes = vec![sign(&phone, (Seq::FIRST, EnvelopeId::ZERO), introduction)];
    for n in 0..count {
        let last = envelopes.last().unwrap();
        let grant = ClearOp::Grant {
            principal: PrincipalKey::from_bytes(blake3::hash(&n.to_be_bytes()).into()),
            rights: Rights::MEMBER,
            expiry: UnixMillis(0),
            quota_class: 0,
            one_use: n % 2 == 0,
        };
        let place = (last.seq().next(), last.id());
        envelopes.push(sign(&phone, place, grant));
    }
    let mut relay = Admission::open(&genesis).unwrap();
    let begin = Instant::now();
    for envelope in &envelopes {
        relay.apply(envelope, UnixMillis(1)).unwrap();
    }
    println!("relay: {count} grants one by one in {:?}", begin.elapsed());
    let mut member = Admission::open(&genesis).unwrap();
    let begin = Instant::now();
    for envelope in &envelopes {
        member.merge(envelope).unwrap();
    }
    println!("member: {count} grants one by one in {:?}", begin.elapsed());
}
