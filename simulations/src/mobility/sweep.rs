//! Contacts of all pairs in space, in time windows, so that memory stays small.
//!
//! In each window a machine is a centre and a reach: no point of its way in the
//! window is further from the centre. Centres are sorted into square cells that
//! are as wide as range and reach together, so only neighbouring cells are
//! compared. How long a window is changes the work and never the result: begin
//! and end of a contact are solved from whole pieces, and what crosses a window's
//! edge is joined again.

#![expect(clippy::float_arithmetic, reason = "places are metres")]
#![expect(
    clippy::indexing_slicing,
    reason = "indices into `movers` and rows come from their own enumeration"
)]

use std::collections::VecDeque;

use khlong_crdt::time::Monotonic;

use super::error::MobilityError;
use super::way::{Piece, Place, Way, distance};
use super::{CONTACTS_MAX, POSITIONS_MAX, contact, solve};
use crate::kernel::SECOND;
use crate::plan::{Contact, Entity, LinkIndex, Positions};
use crate::units::Span;

/// The most windows of a run: a radio of millimetres needs no more than this.
const WINDOWS_MAX: u64 = 20_000_000;
/// Cost of comparing two centres, in costs of following one machine through a window (measured).
const PAIR_COST: f64 = 0.02;

/// A machine in space.
#[derive(Clone, Debug)]
pub struct Mover {
    /// Who.
    pub entity: Entity,
    /// How far its radio reaches, in metres.
    pub range_m: f64,
    /// The link of its group.
    pub link: LinkIndex,
    /// Where it goes.
    pub way: Way,
}

/// Empty rows (NaN) for every sample from 0 to `end`.
///
/// # Errors
/// [`MobilityError::TooManyPositions`].
pub fn samples(entities: u64, end: Monotonic, every: Span) -> Result<Positions, MobilityError> {
    if every.0 == 0 {
        return Ok(Positions::default());
    }
    let rows = end.0 / every.0 + 1;
    if rows.saturating_mul(entities.max(1)) > POSITIONS_MAX {
        return Err(MobilityError::TooManyPositions {
            entities,
            every_us: every.0,
            max: POSITIONS_MAX,
        });
    }
    Ok(Positions {
        every_us: every.0,
        rows: vec![vec![[f32::NAN; 2]; entities as usize]; rows as usize],
    })
}

/// Adds the contacts of all pairs of `movers` until `end`, and where they are to the rows of `positions`.
///
/// # Errors
/// [`MobilityError::TooManyContacts`].
pub fn sweep(
    movers: Vec<Mover>,
    end: Monotonic,
    contacts: &mut Vec<Contact>,
    positions: &mut Positions,
) -> Result<(), MobilityError> {
    if movers.is_empty() {
        return Ok(());
    }
    let range = second_range(&movers);
    let step = window_length(&movers, range, end.0);
    let mut trails: Vec<Trail> = movers.into_iter().map(Trail::new).collect();
    let mut open: Vec<Together> = Vec::new();
    let mut begin = 0;
    while begin < end.0 {
        let until = begin.saturating_add(step).min(end.0);
        let centres: Vec<Centre> = trails
            .iter_mut()
            .enumerate()
            .filter_map(|(index, trail)| trail.follow(index, begin, until))
            .collect();
        sample(&trails, begin, until, end.0, positions);
        let mut met = Vec::new();
        for_neighbours(centres, range, |one, other| {
            meet(&trails, one, other, begin, until, &mut met)
        });
        met.sort_unstable();
        open = join(open, met, until, |together| {
            finish(&trails, together, contacts)
        })?;
        begin = until;
    }
    for together in open {
        finish(&trails, together, contacts)?;
    }
    Ok(())
}

/// A machine, and its pieces that touch the present window.
struct Trail {
    mover: Mover,
    pieces: VecDeque<Piece>,
    over: bool,
}

#[derive(Clone, Copy)]
struct Centre {
    at: Place,
    reach: f64,
    index: u32,
}

/// Two machines (places in `trails`) within range of each other; ordered by pair, then time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Together {
    pair: (u32, u32),
    up: u64,
    down: u64,
}

impl Trail {
    fn new(mover: Mover) -> Self {
        Self {
            mover,
            pieces: VecDeque::new(),
            over: false,
        }
    }

    /// Takes the pieces up to the window's end; `None` if the machine is nowhere in it.
    fn follow(&mut self, index: usize, begin: u64, until: u64) -> Option<Centre> {
        while self.pieces.front().is_some_and(|piece| piece.end <= begin) {
            self.pieces.pop_front();
        }
        while !self.over && self.pieces.back().is_none_or(|piece| piece.end < until) {
            match self.mover.way.next() {
                Some(piece) if piece.end <= begin => {}
                Some(piece) => self.pieces.push_back(piece),
                None => self.over = true,
            }
        }
        let mut corners = [[f64::MAX; 2], [f64::MIN; 2]];
        for place in self.ends(begin, until) {
            corners[0] = [corners[0][0].min(place[0]), corners[0][1].min(place[1])];
            corners[1] = [corners[1][0].max(place[0]), corners[1][1].max(place[1])];
        }
        if corners[0][0] > corners[1][0] {
            return None;
        }
        let at = [
            corners[0][0].midpoint(corners[1][0]),
            corners[0][1].midpoint(corners[1][1]),
        ];
        let reach = self
            .ends(begin, until)
            .map(|place| distance(at, place))
            .fold(0.0, f64::max);
        Some(Centre {
            at,
            reach,
            index: index as u32,
        })
    }

    /// Both ends of each piece, cut to the window: nothing between them is further away.
    fn ends(&self, begin: u64, until: u64) -> impl Iterator<Item = Place> + '_ {
        self.pieces
            .iter()
            .filter(move |piece| piece.begin < until)
            .flat_map(move |piece| {
                [
                    piece.at(piece.begin.max(begin)),
                    piece.at(piece.end.min(until)),
                ]
            })
    }

    fn at(&self, moment: u64) -> Option<Place> {
        let piece = self
            .pieces
            .iter()
            .find(|piece| (piece.begin..piece.end).contains(&moment))?;
        Some(piece.at(moment))
    }
}

/// The second greatest range: no pair reaches further.
fn second_range(movers: &[Mover]) -> f64 {
    let ranges = movers.iter().map(|mover| mover.range_m);
    let greatest_two = ranges.fold([0.0_f64; 2], |[first, second], range| {
        if range > first {
            [range, first]
        } else {
            [first, second.max(range)]
        }
    });
    greatest_two[1]
}

/// Long windows have few steps and wide cells, short ones the reverse: the cheapest by estimate.
fn window_length(movers: &[Mover], range: f64, end: u64) -> u64 {
    let speed = movers
        .iter()
        .map(|mover| mover.way.speed_max_m_s())
        .fold(0.0, f64::max);
    if speed == 0.0 {
        return end;
    }
    let corners = movers.iter().map(|mover| mover.way.bounds()).fold(
        [[f64::MAX; 2], [f64::MIN; 2]],
        |all, one| {
            [
                [all[0][0].min(one[0][0]), all[0][1].min(one[0][1])],
                [all[1][0].max(one[1][0]), all[1][1].max(one[1][1])],
            ]
        },
    );
    let range = range.max(0.01);
    let area =
        (corners[1][0] - corners[0][0]).max(range) * (corners[1][1] - corners[0][1]).max(range);
    let density = movers.len() as f64 / area;
    let cost =
        |moved: f64| (1.0 + PAIR_COST * density * 4.5 * (range + moved) * (range + moved)) / moved;
    let moved = (-3..=10)
        .map(|power| range * 2.0_f64.powi(power))
        .min_by(|one, other| cost(*one).total_cmp(&cost(*other)))
        .unwrap_or(range);
    let step = (moved / speed * SECOND as f64) as u64;
    step.clamp(1, end.max(1)).max(end / WINDOWS_MAX)
}

/// Calls `pair` for every two centres that may be closer than `range` in the window, lower index first.
fn for_neighbours(centres: Vec<Centre>, range: f64, mut pair: impl FnMut(Centre, Centre)) {
    let reach = centres
        .iter()
        .map(|centre| centre.reach)
        .fold(0.0, f64::max);
    // At least a millimetre, so that cells of motionless machines without radio can be counted.
    let width = (range + 2.0 * reach).max(1e-3);
    let cell = |at: Place| {
        (
            (at[1] / width).floor() as i64,
            (at[0] / width).floor() as i64,
        )
    };
    let mut cells: Vec<_> = centres
        .into_iter()
        .map(|centre| (cell(centre.at), centre))
        .collect();
    cells.sort_unstable_by_key(|(cell, centre)| (*cell, centre.index));
    let mut ordered = |one: Centre, other: Centre| {
        if one.index < other.index {
            pair(one, other);
        } else {
            pair(other, one);
        }
    };
    let mut above = 0;
    for (place, ((row, column), one)) in cells.iter().enumerate() {
        // Of one row: the rest of this cell and the next one.
        for (_, other) in cells[place + 1..]
            .iter()
            .take_while(|(cell, _)| *cell <= (*row, column + 1))
        {
            ordered(*one, *other);
        }
        while cells
            .get(above)
            .is_some_and(|(cell, _)| *cell < (row + 1, column - 1))
        {
            above += 1;
        }
        for (_, other) in cells[above..]
            .iter()
            .take_while(|(cell, _)| *cell <= (row + 1, column + 1))
        {
            ordered(*one, *other);
        }
    }
}

/// Adds the times at which the two are within range in the window.
fn meet(
    trails: &[Trail],
    one: Centre,
    other: Centre,
    begin: u64,
    until: u64,
    met: &mut Vec<Together>,
) {
    let (a, b) = (&trails[one.index as usize], &trails[other.index as usize]);
    let range = a.mover.range_m.min(b.mover.range_m);
    // A little more, for rounding: what is too much is found by the solver.
    let near = (range + one.reach + other.reach) * (1.0 + 1e-9) + 1e-6;
    let (east, north) = (other.at[0] - one.at[0], other.at[1] - one.at[1]);
    if range == 0.0 || east * east + north * north > near * near {
        return;
    }
    for p in &a.pieces {
        for q in &b.pieces {
            if p.begin >= until || q.begin >= until {
                break;
            }
            if let Some((up, down)) = solve::within(p, q, range) {
                let (up, down) = (up.max(begin), down.min(until));
                if up < down {
                    met.push(Together {
                        pair: (one.index, other.index),
                        up,
                        down,
                    });
                }
            }
        }
    }
}

/// Joins what touches, finishes what ended before `until`, and gives what goes on.
fn join(
    open: Vec<Together>,
    met: Vec<Together>,
    until: u64,
    mut finish: impl FnMut(Together) -> Result<(), MobilityError>,
) -> Result<Vec<Together>, MobilityError> {
    let mut still_open = Vec::new();
    let mut last: Option<Together> = None;
    let mut settle = |together: Together| {
        if together.down == until {
            still_open.push(together);
            Ok(())
        } else {
            finish(together)
        }
    };
    let (mut open, mut met) = (open.into_iter().peekable(), met.into_iter().peekable());
    loop {
        let next = match (open.peek(), met.peek()) {
            (Some(one), Some(other)) if one <= other => open.next(),
            (Some(_), None) => open.next(),
            (_, Some(_)) => met.next(),
            (None, None) => None,
        };
        let Some(next) = next else { break };
        match &mut last {
            Some(last) if last.pair == next.pair && next.up <= last.down => {
                last.down = last.down.max(next.down)
            }
            _ => {
                if let Some(done) = last.replace(next) {
                    settle(done)?;
                }
            }
        }
    }
    if let Some(done) = last {
        settle(done)?;
    }
    Ok(still_open)
}

fn finish(
    trails: &[Trail],
    together: Together,
    contacts: &mut Vec<Contact>,
) -> Result<(), MobilityError> {
    if contacts.len() >= CONTACTS_MAX {
        return Err(MobilityError::TooManyContacts { max: CONTACTS_MAX });
    }
    let (a, b) = (
        &trails[together.pair.0 as usize].mover,
        &trails[together.pair.1 as usize].mover,
    );
    let link = match a.range_m.total_cmp(&b.range_m) {
        std::cmp::Ordering::Less => a.link,
        std::cmp::Ordering::Greater => b.link,
        std::cmp::Ordering::Equal => a.link.min(b.link),
    };
    contacts.push(contact(
        together.up,
        together.down,
        a.entity,
        b.entity,
        link,
    ));
    Ok(())
}

/// Fills the rows of the window's samples; the run's last moment is of its last window.
fn sample(trails: &[Trail], begin: u64, until: u64, end: u64, positions: &mut Positions) {
    if positions.every_us == 0 {
        return;
    }
    let mut row = begin.div_ceil(positions.every_us);
    while row * positions.every_us < until || (until == end && row * positions.every_us == end) {
        let moment = row * positions.every_us;
        for trail in trails {
            let piece_end = trail
                .pieces
                .back()
                .filter(|piece| piece.end == moment && moment == end);
            if let Some(at) = trail
                .at(moment)
                .or_else(|| piece_end.map(|piece| piece.at(moment)))
            {
                positions.rows[row as usize][trail.mover.entity.0 as usize] =
                    [at[0] as f32, at[1] as f32];
            }
        }
        row += 1;
    }
}
