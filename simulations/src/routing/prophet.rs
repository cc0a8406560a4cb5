//! PRoPHET's delivery predictabilities (RFC 6693 §2.1.2): how likely a machine
//! is to meet another, from how often it did.

#![expect(
    clippy::float_arithmetic,
    reason = "predictabilities are probabilities"
)]

use std::collections::BTreeMap;

use khlong_crdt::time::Monotonic;

use crate::kernel::{MINUTE, SECOND};
use crate::plan::Entity;
use crate::units::Span;

/// RFC 6693 §3.3; the defaults are those of its Figure 3. The two times depend on
/// the deployment and have no default there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// `P_encounter_max`: what a meeting after a typical interval counts. Default 0.7.
    pub encounter_max: f64,
    /// `P_encounter_first`: the predictability after the first meeting. Default 0.5.
    pub encounter_first: f64,
    /// `P_first_threshold`: below it a machine counts as never met. Default 0.1.
    pub first_threshold: f64,
    /// β: what a way over another machine counts. Default 0.9.
    pub beta: f64,
    /// γ: what is left after one `time_unit`. Default 0.999.
    pub gamma: f64,
    /// δ: keeps predictabilities below 1. Default 0.01.
    pub delta: f64,
    /// `I_typ`: two meetings closer than this count less. Here 30 min.
    pub typical_interval: Span,
    /// Of ageing. Here 30 s, as the ONE's example settings.
    pub time_unit: Span,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            encounter_max: 0.7,
            encounter_first: 0.5,
            first_threshold: 0.1,
            beta: 0.9,
            gamma: 0.999,
            delta: 0.01,
            typical_interval: Span(30 * MINUTE),
            time_unit: Span(30 * SECOND),
        }
    }
}

/// What one machine believes.
#[derive(Clone, Debug, Default)]
pub struct Predictabilities {
    /// By machine: two machines that meet walk through each other's.
    of: Vec<(Entity, f64)>,
    last_met: BTreeMap<Entity, Monotonic>,
    aged: Monotonic,
}

impl Predictabilities {
    /// How likely the machine is to deliver to `other`, as of the last meeting; 0 if it knows nothing.
    #[must_use]
    pub fn of(&self, other: Entity) -> f64 {
        let place = self.place(other).ok();
        place
            .and_then(|place| self.of.get(place))
            .map_or(0.0, |(_, predictability)| *predictability)
    }

    /// Equation 2: what was not renewed fades, by whole time units.
    pub fn age(&mut self, now: Monotonic, parameters: &Parameters) {
        let unit = parameters.time_unit.0.max(1);
        let units = now.since_micros(self.aged) / unit;
        if units == 0 {
            return;
        }
        self.aged = self.aged.after_micros(units * unit);
        let left = parameters
            .gamma
            .powi(i32::try_from(units).unwrap_or(i32::MAX));
        self.of.retain_mut(|(_, predictability)| {
            *predictability *= left;
            *predictability >= parameters.first_threshold
        });
    }

    /// Equation 1: the machine meets `other`.
    pub fn meet(&mut self, other: Entity, now: Monotonic, parameters: &Parameters) {
        let since = self
            .last_met
            .insert(other, now)
            .map(|last| now.since_micros(last));
        let weight = match since {
            Some(since) if since < parameters.typical_interval.0 => {
                parameters.encounter_max * since as f64 / parameters.typical_interval.0 as f64
            }
            Some(_) | None => parameters.encounter_max,
        };
        match self.place(other) {
            Ok(place) => {
                if let Some((_, old)) = self.of.get_mut(place) {
                    *old += (1.0 - parameters.delta - *old) * weight;
                }
            }
            Err(place) => self.of.insert(place, (other, parameters.encounter_first)),
        }
    }

    /// Equation 3: `myself` can reach over `other` whom that one can reach.
    pub fn learn(&mut self, myself: Entity, other: Entity, theirs: &Self, parameters: &Parameters) {
        let to_other = self.of(other);
        let mut mine = std::mem::take(&mut self.of).into_iter().peekable();
        for (destination, predictability) in &theirs.of {
            if *destination == myself || *destination == other {
                continue;
            }
            while let Some(known) = mine.next_if(|(known, _)| known < destination) {
                self.of.push(known);
            }
            let known = mine.next_if(|(known, _)| known == destination);
            let over_other = to_other * predictability * parameters.beta;
            let best = known.map_or(over_other, |(_, known)| known.max(over_other));
            self.of.push((*destination, best));
        }
        self.of.extend(mine);
    }

    fn place(&self, other: Entity) -> Result<usize, usize> {
        self.of.binary_search_by_key(&other, |(known, _)| *known)
    }
}
