//! A hub among hostile clients. Whatever one of them sends costs it its connection or
//! nothing; the relay goes on, and a client that keeps the rules is served.

use std::collections::BTreeMap;

use khlong_crdt::class::Class;
use khlong_crdt::envelope::{Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::time::Monotonic;
use khlong_relay::hub::{ConnectionId, HubInput, HubOutput, Policy};
use khlong_store::tables::timelines;
use khlong_sync::wire;
use khlong_sync::wire::frame::{Append, AppendOutcome, Frame};

use crate::fuzzing::{Seeds, fuzz, hex_strings};
use crate::support::virtual_world::World;
use crate::support::{Author, open};

/// A timeline with an admin and a member, each on a connection that is proven.
struct Scene {
    world: World,
    admin: (ConnectionId, Author),
    member: (ConnectionId, Author),
}

fn scene() -> Scene {
    let mut world = World::new(Policy::default());
    let (timeline, mut admin, intro) = open(1);
    let (mut member, grant) = admin.admit(2);
    let by_admin = world.connect(None);
    world.prove(by_admin, &admin);
    let kept = world.append(by_admin, vec![timeline.genesis, intro, grant]);
    assert!(kept.iter().all(AppendOutcome::is_kept), "{kept:?}");
    let by_member = world.connect(None);
    world.prove(by_member, &member);
    let first = member.introduce();
    assert!(world.append(by_member, vec![first])[0].is_kept());
    Scene {
        world,
        admin: (by_admin, admin),
        member: (by_member, member),
    }
}

impl Scene {
    /// What the hub says to one input. The member's own session did not ask for it, so it
    /// does not get the answers.
    fn give(&mut self, input: HubInput) -> Vec<HubOutput> {
        let now = self.world.now();
        self.world.hub.handle(now, input).unwrap();
        self.world.hub.commit(now).unwrap();
        std::iter::from_fn(|| self.world.hub.poll_output()).collect()
    }

    /// The admin writes, and gets it back from the store.
    fn goes_on(&mut self) {
        let (connection, admin) = &mut self.admin;
        let envelope = admin.write(b"after that");
        let outcome = self.world.append(*connection, vec![envelope.clone()]);
        assert!(outcome[0].is_kept(), "{outcome:?}");
        let stored = timelines::get(self.world.hub.store(), &envelope.id());
        assert_eq!(stored.unwrap().unwrap().envelope, envelope);
        self.world
            .hub
            .store()
            .for_each_row(&mut |_, _, _| Ok(()))
            .unwrap();
    }
}

fuzz!(fuzz_append, 120, envelopes(), append);

/// The frozen envelopes, as a member of another timeline wrote them: of every kind. What they say
/// of permissions is of their own timeline.
fn envelopes() -> Seeds {
    let vectors = hex_strings(include_str!("../../../crdt/testdata/envelopes.json"));
    let (mut genuine, mut auth_ops) = (Vec::new(), Vec::new());
    for bytes in vectors {
        match VerifiedEnvelope::verify(bytes.clone()) {
            Ok(envelope) if envelope.kind() == Kind::AuthOp => auth_ops.push(bytes),
            Ok(_) => genuine.push(bytes),
            Err(_) => {}
        }
    }
    Seeds::and(genuine, auth_ops)
}

/// Signed by the member as its own next envelope, but for what the bytes say.
/// Whether the hub keeps one of them.
fn append(bytes: &[u8]) -> bool {
    let Ok((prefix, length)) = Prefix::decode(bytes) else {
        return false;
    };
    let mut scene = scene();
    let (connection, member) = &mut scene.member;
    let key = member.key.clone();
    let own = member.write(b"model");
    let known = Prefix {
        author: own.author(),
        timeline: member.timeline,
        ..prefix.clone()
    };
    let next = Prefix {
        seq: own.seq(),
        prev: own.prefix().prev,
        ..known.clone()
    };
    let elsewhere = Prefix {
        author: own.author(),
        ..prefix
    };
    let sign = |prefix| VerifiedEnvelope::sign(prefix, [3; 24], &bytes[length..], &key).ok();
    let hostile: Vec<_> = [next, known, elsewhere]
        .into_iter()
        .filter_map(sign)
        .collect();
    if hostile.is_empty() {
        return false;
    }
    let append = Append {
        request: 1_000,
        envelopes: hostile.clone(),
    };
    let input = HubInput::Frame {
        connection: *connection,
        frame: Frame::Append(append),
    };
    let outcomes = scene
        .give(input)
        .into_iter()
        .find_map(|output| match output {
            HubOutput::Send {
                frame: Frame::Ack(ack),
                ..
            } => Some(ack.first.outcomes),
            HubOutput::Send { .. } | HubOutput::Close { .. } => None,
        })
        .unwrap();
    assert_eq!(outcomes.len(), hostile.len(), "an answer each");
    for (envelope, outcome) in hostile.iter().zip(&outcomes) {
        let stored = timelines::get(scene.world.hub.store(), &envelope.id()).unwrap();
        assert_eq!(stored.is_some(), outcome.is_kept(), "what was said is so");
        if let Some(stored) = stored {
            assert_eq!(stored.envelope, *envelope);
            assert_eq!(envelope.timeline(), scene.member.1.timeline);
        }
    }
    scene.goes_on();
    outcomes.iter().any(AppendOutcome::is_kept)
}

/// Whose connection stays.
const ANY_TIME: [&str; 7] = [
    "append",
    "ephemeral",
    "ping",
    "pong",
    "pull",
    "subscribe",
    "unsubscribe",
];

fuzz!(fuzz_hub_frames, 120, frames(), any_frame);

/// The frozen frames: what a client may say at any time, and all else, which costs it the connection.
fn frames() -> Seeds {
    let frozen = include_str!("../../../sync/testdata/frames.json");
    let frozen: BTreeMap<String, String> = serde_json::from_str(frozen).unwrap();
    let (mut frames, mut others) = (Vec::new(), Vec::new());
    for (name, hex) in frozen {
        let frame = hex_strings(&format!("\"{hex}\""));
        if ANY_TIME.contains(&name.as_str()) {
            frames.extend(frame);
        } else {
            others.extend(frame);
        }
    }
    let (_, mut admin, intro) = open(1);
    let envelopes = vec![intro, admin.write(b"one"), admin.write(b"two")];
    let request = 1_000;
    frames.push(wire::encode(&Frame::Append(Append { request, envelopes })));
    Seeds::and(frames, others)
}

/// On a connection that is proven: as a frame, or as what the reader says of it.
fn any_frame(bytes: &[u8]) -> bool {
    let mut scene = scene();
    let (connection, _) = scene.member;
    let input = match wire::decode(bytes) {
        Ok(frame) => HubInput::Frame { connection, frame },
        Err(error) => HubInput::Undecodable { connection, error },
    };
    let is_frame = matches!(input, HubInput::Frame { .. });
    let outputs = scene.give(input);
    let is_closed = |output: &HubOutput| matches!(output, HubOutput::Close { .. });
    let is_taken = is_frame && !outputs.iter().any(is_closed);
    let heads = Class::ALL.map(|class| timelines::head(scene.world.hub.store(), class).unwrap());
    assert!(heads.iter().all(|head| head.arrival.0 < 16));
    scene.goes_on();
    // Silent from now on: the connection ends by itself.
    let Monotonic(now) = scene.world.now().monotonic;
    scene.world.run_hub_to(now + 3_600_000_000);
    assert_eq!(scene.world.hub.stats().connections, 0);
    is_taken
}
