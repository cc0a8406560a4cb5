//! What the pictures of a report show of the first replication: some machines,
//! where they are, and the way that messages take.
//!
//! A page with 5,000 machines and a million hand-overs would show nothing. So
//! machines and messages are thinned evenly, whole messages at a time, and the
//! page says how many were left out. Numbers are never made from a story.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::digest::times;
use crate::plan::{Entity, Plan, Role};
use crate::results::RunResults;

/// Machines shown.
pub const MACHINES_MAX: usize = 300;
/// Hand-overs shown of each protocol.
pub const MOVES_MAX: usize = 4_000;
/// Contacts shown.
pub const CONTACTS_MAX: usize = 8_000;
/// Groups up to this size are shown whole.
const SMALL_GROUP: usize = 20;

/// A machine in the pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Place in [`Story::groups`].
    pub group: u16,
    /// Whether it is a relay.
    pub relay: bool,
}

/// What one protocol did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journeys {
    /// Its name.
    pub protocol: String,
    /// Microseconds, from, to (places in [`Story::machines`]), message, 1 if that was a delivery.
    pub moves: Vec<[u64; 5]>,
    /// Hand-overs of whole messages, or to machines, that are not shown.
    pub left_out: u64,
}

/// The whole story.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// Names of groups.
    pub groups: Vec<String>,
    /// In the plan's order.
    pub machines: Vec<Machine>,
    /// Of the plan.
    pub machines_left_out: usize,
    /// Moments of [`Story::positions`], microseconds.
    pub times: Vec<u64>,
    /// `[moment][machine]` = metres east and north; `None` = not in space. Empty if nobody is.
    pub positions: Vec<Vec<Option<[f32; 2]>>>,
    /// Begin, end, and both machines.
    pub contacts: Vec<[u64; 4]>,
    /// Contacts that are not shown.
    pub contacts_left_out: usize,
    /// By protocol.
    pub journeys: Vec<Journeys>,
}

impl Story {
    /// Before any protocol ran. `groups` are the scenario's names in order.
    #[must_use]
    pub fn begin(plan: &Plan, groups: Vec<String>) -> Self {
        let shown = choose(plan);
        let places: BTreeMap<Entity, u64> = shown.iter().copied().zip(0..).collect();
        let machines: Vec<Machine> = shown
            .iter()
            .filter_map(|entity| plan.entities.get(entity.0 as usize))
            .map(|entity| Machine {
                name: entity.name.clone(),
                group: entity.group,
                relay: entity.role == Role::Relay,
            })
            .collect();
        let both = |contact: &&crate::plan::Contact| {
            places.contains_key(&contact.a) && places.contains_key(&contact.b)
        };
        let of_shown = plan.contacts.iter().filter(both).count();
        let stride = of_shown.div_ceil(CONTACTS_MAX).max(1);
        let contacts: Vec<[u64; 4]> = plan
            .contacts
            .iter()
            .filter(both)
            .step_by(stride)
            .filter_map(|contact| {
                let (a, b) = (places.get(&contact.a)?, places.get(&contact.b)?);
                Some([contact.up.0, contact.down.0, *a, *b])
            })
            .collect();
        let (times, positions) = positions(plan, &shown);
        Self {
            groups,
            machines_left_out: plan.entities.len() - machines.len(),
            machines,
            times,
            positions,
            contacts_left_out: plan.contacts.len() - contacts.len(),
            contacts,
            journeys: Vec::new(),
        }
    }

    /// Adds what a protocol did on the same plan; needs its happenings.
    pub fn add(&mut self, plan: &Plan, results: &RunResults) {
        let names: BTreeMap<&str, u64> = self
            .machines
            .iter()
            .map(|machine| machine.name.as_str())
            .zip(0..)
            .collect();
        let place = |entity: Entity| {
            let entity = plan.entities.get(entity.0 as usize)?;
            names.get(entity.name.as_str()).copied()
        };
        let arrivals: BTreeSet<(u64, Entity, u32)> = results
            .happenings
            .iter()
            .filter(|happening| happening.kind == "delivered")
            .filter_map(|happening| Some((happening.at.0, happening.to?, happening.message?)))
            .collect();
        let mut by_message: BTreeMap<u32, Vec<[u64; 5]>> = BTreeMap::new();
        let mut all: u64 = 0;
        for happening in &results.happenings {
            let (Some(to), Some(message)) = (happening.to, happening.message) else {
                continue;
            };
            // A delivery is told as such, and only by some executors also as a hand-over.
            let arrives = arrivals.contains(&(happening.at.0, to, message));
            let told = match happening.kind {
                "delivered" => true,
                "relayed" => !arrives,
                _ => false,
            };
            if !told {
                continue;
            }
            all += 1;
            if let (Some(from), Some(to)) = (place(happening.from), place(to)) {
                by_message.entry(message).or_default().push([
                    happening.at.0,
                    from,
                    to,
                    u64::from(message),
                    u64::from(arrives),
                ]);
            }
        }
        let shown: usize = by_message.values().map(Vec::len).sum();
        let stride = shown.div_ceil(MOVES_MAX).max(1);
        let mut moves: Vec<[u64; 5]> = by_message
            .into_values()
            .step_by(stride)
            .flatten()
            .take(2 * MOVES_MAX)
            .collect();
        moves.sort_unstable();
        self.journeys.push(Journeys {
            protocol: results.protocol.clone(),
            left_out: all - moves.len() as u64,
            moves,
        });
    }
}

/// Small groups whole, of the others every so many.
fn choose(plan: &Plan) -> Vec<Entity> {
    let mut sizes: BTreeMap<u16, usize> = BTreeMap::new();
    for entity in &plan.entities {
        *sizes.entry(entity.group).or_default() += 1;
    }
    let small: usize = sizes.values().filter(|size| **size <= SMALL_GROUP).sum();
    let large = plan.entities.len() - small;
    let room = MACHINES_MAX.saturating_sub(small).max(1);
    let stride = large.div_ceil(room).max(1);
    let mut seen = 0;
    let mut shown = Vec::new();
    for (place, entity) in (0..).zip(&plan.entities) {
        let is_small = sizes
            .get(&entity.group)
            .is_some_and(|size| *size <= SMALL_GROUP);
        if !is_small {
            seen += 1;
        }
        if is_small || seen % stride == 0 {
            shown.push(Entity(place));
        }
    }
    shown.truncate(2 * MACHINES_MAX);
    shown
}

type Positions = (Vec<u64>, Vec<Vec<Option<[f32; 2]>>>);

fn positions(plan: &Plan, shown: &[Entity]) -> Positions {
    let rows: Vec<Vec<Option<[f32; 2]>>> = plan
        .positions
        .rows
        .iter()
        .map(|row| {
            shown
                .iter()
                .map(|entity| {
                    row.get(entity.0 as usize)
                        .copied()
                        .filter(|place| place.iter().all(|metres| metres.is_finite()))
                        .map(|place| place.map(decimetres))
                })
                .collect()
        })
        .collect();
    if rows.iter().flatten().all(Option::is_none) {
        return (times(plan.end), Vec::new());
    }
    let times = (0..rows.len() as u64)
        .map(|sample| sample * plan.positions.every_us)
        .collect();
    (times, rows)
}

/// Rounded, so that the page is smaller.
#[expect(clippy::float_arithmetic, reason = "places are metres")]
fn decimetres(metres: f32) -> f32 {
    (metres * 10.0).round() / 10.0
}
