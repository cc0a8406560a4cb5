//! Who is where, and so who meets whom.
//!
//! A model gives each machine a way: pieces of straight movement. Two machines
//! are in contact while they are within range of each other; begin and end are
//! solved exactly from the pieces, not sampled. Recorded traces and timetables
//! give contacts directly.
//!
//! Units: metres, metres a second, microseconds since the run's start. A way is
//! drawn from the machine's own stream, named after it, so that another machine
//! more or less moves nobody else.
//!
//! | part | what |
//! |---|---|
//! | [`way`], [`waypoint`], [`route`] | pieces of movement, by model |
//! | [`solve`] | when two pieces are within range of each other |
//! | [`sweep`] | the same for all pairs, in time windows, with a grid |
//! | [`exponential`], [`timetable`], [`trace`] | contacts without space |

pub mod error;
pub mod exponential;
pub mod route;
pub mod solve;
pub mod spec;
pub mod sweep;
pub mod timetable;
pub mod trace;
pub mod way;
pub mod waypoint;

use khlong_crdt::time::Monotonic;

use self::error::{MobilityError, Wrong};
use self::spec::{MobilitySpec, TraceFormat};
use self::sweep::Mover;
use self::way::Way;
use crate::kernel::seeds::Seeds;
use crate::plan::{Contact, Entity, LinkIndex, Positions};
use crate::units::Span;

/// Contacts of one run: 32 bytes each, so 1.6 GB.
pub const CONTACTS_MAX: usize = 50_000_000;
/// Samples times machines of [`Positions`]: 8 bytes each, so 512 MiB.
pub const POSITIONS_MAX: u64 = 64 * 1024 * 1024;
/// The longest run: beyond it a microsecond is lost in the arithmetic of ways.
pub const END_MAX: Monotonic = Monotonic(10 * 366 * crate::kernel::DAY);
/// The longest distance from the origin, in metres: beyond it a millimetre is.
pub const PLACE_MAX_M: f64 = 1e8;

/// A machine of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub entity: Entity,
    /// Names its randomness.
    pub name: String,
}

/// Machines that move by one rule and have one kind of radio.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Names what the group draws together, such as its timetable.
    pub name: String,
    /// In the scenario's order: places, clusters and ids of a trace are taken in turn.
    pub members: Vec<Member>,
    /// How they move. Paths of files are read as they stand.
    pub mobility: MobilitySpec,
    /// How far the radio reaches, in metres; 0 = no contacts by distance.
    pub range_m: f64,
    /// What a contact is like. Between two groups the link of the shorter radio
    /// counts; of equal ranges the lower index.
    pub link: LinkIndex,
}

/// Contacts and positions of a run until `end`.
///
/// Two machines in space are in contact while their distance is at most the
/// smaller of both ranges. Machines of a model without space meet only those
/// of their own group. Contacts are in [`Contact`]'s order, each pair's are
/// apart from each other, and none is longer than the run. Positions are sampled
/// every `positions_every` from 0 on; zero = none.
///
/// # Errors
/// [`MobilityError`]: a model whose numbers describe no movement, a file that
/// cannot be read or understood (with its line), more than the limits above.
pub fn contacts(
    groups: &[Group],
    seeds: Seeds,
    end: Monotonic,
    positions_every: Span,
) -> Result<(Vec<Contact>, Positions), MobilityError> {
    if end > END_MAX {
        return Err(MobilityError::TooLong {
            days: END_MAX.0 / crate::kernel::DAY,
        });
    }
    let mut contacts = Vec::new();
    let mut movers = Vec::new();
    for group in groups {
        let wrong = |wrong| MobilityError::Group {
            group: group.name.clone(),
            wrong,
        };
        match &group.mobility {
            MobilitySpec::Nowhere => {}
            MobilitySpec::Exponential { mean_between } => {
                exponential::meetings(group, seeds, end, *mean_between, &mut contacts)
                    .map_err(wrong)?;
            }
            MobilitySpec::Timetable {
                file,
                sessions,
                sessions_a_student,
                hours,
            } => {
                let timetable = match file {
                    Some(path) => trace::read_file(path, timetable::read)?,
                    None => {
                        timetable::generate(group, seeds, *sessions, *sessions_a_student, *hours)
                            .map_err(wrong)?
                    }
                };
                timetable::meetings(&timetable, group, end, &mut contacts).map_err(wrong)?;
            }
            MobilitySpec::Trace { file, format } => {
                let meetings = match format {
                    TraceFormat::One => trace::read_file(file, trace::one::read)?.meetings,
                    TraceFormat::Haggle => trace::read_file(file, trace::haggle::read)?,
                };
                trace::assign(
                    &meetings,
                    &trace::hosts(&meetings),
                    group,
                    end,
                    &mut contacts,
                );
            }
            MobilitySpec::Fixed { .. }
            | MobilitySpec::RandomWaypoint { .. }
            | MobilitySpec::Clusters { .. }
            | MobilitySpec::Route { .. } => {
                if !(0.0..=PLACE_MAX_M).contains(&group.range_m) {
                    return Err(wrong(Wrong::Range));
                }
                for (place, member) in group.members.iter().enumerate() {
                    movers.push(Mover {
                        entity: member.entity,
                        range_m: group.range_m,
                        link: group.link,
                        way: Way::new(&group.mobility, place, seeds, &member.name)
                            .map_err(wrong)?,
                    });
                }
            }
        }
    }
    let entities = groups
        .iter()
        .flat_map(|group| &group.members)
        .map(|member| u64::from(member.entity.0) + 1)
        .max()
        .unwrap_or(0);
    let mut positions = sweep::samples(entities, end, positions_every)?;
    sweep::sweep(movers, end, &mut contacts, &mut positions)?;
    if contacts.len() > CONTACTS_MAX {
        return Err(MobilityError::TooManyContacts { max: CONTACTS_MAX });
    }
    contacts.sort_unstable();
    Ok((contacts, positions))
}

/// A contact of the two, the lower one first.
fn contact(up: u64, down: u64, one: Entity, other: Entity, link: LinkIndex) -> Contact {
    Contact {
        up: Monotonic(up),
        down: Monotonic(down),
        a: one.min(other),
        b: one.max(other),
        link,
    }
}
