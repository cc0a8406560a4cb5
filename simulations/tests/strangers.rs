//! Strangers speak each version of the protocol, and get nowhere in any.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use khlong_crdt::time::Monotonic;
use khlong_relay::hub::HubStats;
use khlong_simulations::actors::setup::meet;
use khlong_simulations::actors::world::{World, WorldOptions};
use khlong_simulations::fuzz::plan::RogueAct;
use khlong_simulations::fuzz::rogue::{Deed, perform};
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::kernel::{HOUR, MINUTE};
use khlong_simulations::links::{LinkSpec, PipeSpec};
use khlong_simulations::plan::{Contact, Entity, EntitySpec, LinkIndex, Plan, Role};
use khlong_simulations::units::{Rate, Size, Span};
use khlong_store::tables::timelines;

const RELAY: Entity = Entity(0);
const MALI: Entity = Entity(1);
const CHAI: Entity = Entity(2);

fn plan() -> Plan {
    let entity = |name: &str, role| EntitySpec {
        name: name.to_owned(),
        role,
        group: 0,
    };
    let contact = |who| Contact {
        up: Monotonic(0),
        down: Monotonic(HOUR),
        a: RELAY,
        b: who,
        link: LinkIndex(0),
    };
    Plan {
        entities: vec![
            entity("bkk", Role::Relay),
            entity("mali", Role::Node),
            entity("chai", Role::Node),
        ],
        links: vec![LinkSpec {
            forth: PipeSpec {
                rate: Rate(1_000_000),
                propagation: Span(20_000),
                jitter: Span(0),
                loss: 0.0,
                queue: Size(64_000),
            },
            back: None,
            handshake_round_trips: 1,
            discovery: Span(0),
            channel: None,
        }],
        contacts: vec![contact(MALI), contact(CHAI)],
        timelines: vec![vec![MALI, CHAI]],
        end: Monotonic(HOUR),
        ..Plan::default()
    }
}

/// A relay, two members, and somebody who listened while they met.
struct Harbour {
    world: World,
    timeline: String,
}

impl Harbour {
    fn new() -> Self {
        let options = WorldOptions {
            capture: true,
            ..WorldOptions::default()
        };
        let plan = plan();
        let mut world = World::new(&plan, Seeds::new(3), options).unwrap();
        let met = meet(&mut world, &plan).unwrap();
        let timeline = met.timelines.first().unwrap().clone();
        // The relay gives up those who are gone.
        world.run_until(met.begin.after_micros(10 * MINUTE));
        Self { world, timeline }
    }

    fn stats(&self) -> HubStats {
        self.world.relay(RELAY).unwrap().hub().unwrap().stats()
    }

    /// What a stranger did in this version, and what the relay counted before and after.
    fn meets(&mut self, version: u16, act: RogueAct) -> (Deed, HubStats, HubStats) {
        let before = self.stats();
        let (now, timeline) = (self.world.now(), self.timeline.parse().ok());
        let deed = perform(&mut self.world, now, RELAY, version, act, timeline);
        self.world.run_until(now.after_micros(MINUTE));
        let after = self.stats();
        assert!(deed.took_effect, "{act:?} in version {version}");
        assert_eq!(after.envelopes_stored, before.envelopes_stored, "{act:?}");
        assert_eq!(after.connections, before.connections, "{act:?}");
        assert!(after.connections_opened > before.connections_opened);
        let hub = self.world.relay(RELAY).unwrap().hub().unwrap();
        for forged in &deed.forged {
            let found = timelines::get(hub.store(), forged).unwrap();
            assert!(found.is_none(), "{act:?} in version {version}");
        }
        (deed, before, after)
    }
}

fn refused(stats: &HubStats) -> u64 {
    stats.envelopes_refused.values().sum()
}

#[test]
fn strangers_get_nowhere_in_any_version() {
    let mut harbour = Harbour::new();
    for version in [1, 2] {
        harbour.meets(version, RogueAct::Garbage);
        // What an honest client sent reads well, and nothing is proven here.
        let (_, before, after) = harbour.meets(version, RogueAct::Replay);
        assert_eq!(after.frames_received - before.frames_received, 2);
        assert_eq!(after.frames_undecodable, before.frames_undecodable);
        // Well made and well proven, and nobody admitted it: the relay itself says no.
        let (_, before, after) = harbour.meets(version, RogueAct::Stranger);
        assert_eq!(after.frames_received - before.frames_received, 3);
        assert_eq!(refused(&after) - refused(&before), 1);
        for act in [RogueAct::Flood, RogueAct::StolenProof] {
            let (_, before, after) = harbour.meets(version, act);
            assert_eq!(after.sessions_failed - before.sessions_failed, 1, "{act:?}");
        }
    }
}

/// In version 2 the header of a forged envelope is not on the wire at all: it is rebuilt
/// beside the relay's own, and is no more than that.
#[test]
fn a_forged_shadow_is_refused_where_it_is_rebuilt() {
    let mut harbour = Harbour::new();
    for (version, shadows) in [(1, 0..=0), (2, 1..=2)] {
        let (deed, before, after) = harbour.meets(version, RogueAct::Forge);
        assert_eq!(deed.forged.len(), 1);
        assert!(
            shadows.contains(&deed.shadows_refused),
            "{version}: {deed:?}"
        );
        let undecodable = after.frames_undecodable - before.frames_undecodable;
        assert!((1..=2).contains(&undecodable), "{version}: {undecodable}");
    }
}
