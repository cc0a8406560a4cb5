//! Contacts from movement: exact against sampling, independent of who else is there.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::float_arithmetic, reason = "places are metres")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

use khlong_crdt::time::Monotonic;
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::kernel::{HOUR, MINUTE, SECOND};
use khlong_simulations::mobility::error::{MobilityError, Wrong};
use khlong_simulations::mobility::spec::MobilitySpec;
use khlong_simulations::mobility::way::{Piece, Way, distance};
use khlong_simulations::mobility::{Group, Member, contacts, solve};
use khlong_simulations::plan::{Contact, Entity, LinkIndex};
use khlong_simulations::units::Span;
use proptest::prelude::*;

const NO_POSITIONS: Span = Span(0);

fn group(name: &str, first: u32, count: u32, range_m: f64, mobility: MobilitySpec) -> Group {
    let members = (first..first + count)
        .map(|id| Member {
            entity: Entity(id),
            name: format!("{name}{id}"),
        })
        .collect();
    Group {
        name: name.to_owned(),
        members,
        mobility,
        range_m,
        link: LinkIndex(0),
    }
}

fn waypoint(area_m: [f64; 2], steady: bool) -> MobilitySpec {
    MobilitySpec::RandomWaypoint {
        origin_m: [-20.0, 30.0],
        area_m,
        speed_m_s: [0.5, 5.0],
        pause: [Span(0), Span(20 * SECOND)],
        steady,
    }
}

fn pair_of(contact: &Contact) -> (u32, u32) {
    (contact.a.0, contact.b.0)
}

/// The same contacts without grid and windows: all pieces of all pairs.
fn all_pairs(groups: &[Group], seeds: Seeds, end: u64) -> Vec<Contact> {
    let mut movers = Vec::new();
    for group in groups {
        for (place, member) in group.members.iter().enumerate() {
            let way = Way::new(&group.mobility, place, seeds, &member.name).unwrap();
            let pieces: Vec<Piece> = way.take_while(|piece| piece.begin < end).collect();
            movers.push((member.entity, group.range_m, pieces));
        }
    }
    let mut found = Vec::new();
    for (index, (a, range_a, pieces_a)) in movers.iter().enumerate() {
        for (b, range_b, pieces_b) in &movers[index + 1..] {
            let mut times = Vec::new();
            for one in pieces_a {
                times.extend(
                    pieces_b
                        .iter()
                        .filter_map(|other| solve::within(one, other, range_a.min(*range_b))),
                );
            }
            times.sort_unstable();
            times.dedup_by(|next, last| {
                let touches = next.0 <= last.1;
                if touches {
                    last.1 = last.1.max(next.1);
                }
                touches
            });
            for (up, down) in times {
                if up < end {
                    found.push(Contact {
                        up: Monotonic(up),
                        down: Monotonic(down.min(end)),
                        a: *a.min(b),
                        b: *a.max(b),
                        link: LinkIndex(0),
                    });
                }
            }
        }
    }
    found.sort_unstable();
    found
}

fn piece() -> impl Strategy<Value = Piece> {
    let metres = -50.0..50.0_f64;
    let speed = prop_oneof![Just(0.0), -4.0..4.0_f64];
    (
        0..30_000_000_u64,
        1..60_000_000_u64,
        metres.clone(),
        metres,
        speed.clone(),
        speed,
    )
        .prop_map(|(begin, length, east, north, v_east, v_north)| Piece {
            begin,
            end: begin + length,
            from: [east, north],
            velocity: [v_east, v_north],
        })
}

proptest! {
    #[test]
    fn two_pieces_are_within_range_exactly_when_sampling_says_so(one in piece(), other in piece(), range in 0.1..40.0_f64) {
        let (begin, end) = (one.begin.max(other.begin), one.end.min(other.end));
        let found = solve::within(&one, &other, range);
        if begin < end {
            for sample in 0..2_000 {
                let moment = begin + (end - 1 - begin) * sample / 1_999;
                let apart = distance(one.at(moment), other.at(moment));
                if (apart - range).abs() > 1e-6 {
                    let inside = found.is_some_and(|(up, down)| (up..down).contains(&moment));
                    prop_assert_eq!(inside, apart <= range, "at {}, {} m apart", moment, apart);
                }
            }
        } else {
            prop_assert_eq!(found, None);
        }
        if let Some((up, down)) = found {
            prop_assert!(begin <= up && up < down && down <= end);
            // To the microsecond: at the edges the distance is the range.
            for (edge, at) in [(up, begin), (down, end)] {
                let apart = distance(one.at(edge), other.at(edge));
                prop_assert!(edge == at || (apart - range).abs() < 1e-4, "{} m at an edge", apart);
            }
        }
    }

    #[test]
    fn grid_and_windows_change_nothing(seed: u64, range in 1.0..30.0_f64, long_range in 1.0..300.0_f64, steady: bool) {
        let groups = [
            group("walker", 0, 12, range, waypoint([150.0, 90.0], steady)),
            group("far", 12, 2, long_range, waypoint([400.0, 400.0], false)),
            group("post", 14, 2, long_range, MobilitySpec::Fixed { at_m: vec![[0.0, 50.0], [60.0, 80.0]] }),
            group("bus", 16, 2, range, MobilitySpec::Route {
                stops_m: vec![[-30.0, 40.0], [100.0, 100.0], [20.0, 120.0]],
                speed_m_s: [5.0, 15.0],
                stop: [Span(0), Span(10 * SECOND)],
                headway: Span(45 * SECOND),
                and_back: true,
            }),
        ];
        let (seeds, end) = (Seeds::new(seed), 10 * MINUTE);
        let (found, _) = contacts(&groups, seeds, Monotonic(end), NO_POSITIONS).unwrap();
        prop_assert_eq!(found, all_pairs(&groups, seeds, end));
    }
}

#[test]
fn another_machine_moves_nobody_else() {
    let seeds = Seeds::new(7);
    let end = Monotonic(HOUR);
    let few = group("walker", 0, 20, 15.0, waypoint([300.0, 300.0], true));
    let mut more = few.clone();
    more.members.insert(
        0,
        Member {
            entity: Entity(99),
            name: "newcomer".to_owned(),
        },
    );
    let (before, _) = contacts(&[few], seeds, end, NO_POSITIONS).unwrap();
    let (after, _) = contacts(&[more], seeds, end, NO_POSITIONS).unwrap();
    let without: Vec<Contact> = after
        .iter()
        .copied()
        .filter(|contact| contact.b != Entity(99))
        .collect();
    assert!(after.len() > without.len(), "the newcomer meets somebody");
    assert_eq!(before, without);
    assert!(before.len() > 50);
}

#[test]
fn the_smaller_range_counts_and_its_link() {
    let at = |metres: f64| MobilitySpec::Fixed {
        at_m: vec![[metres, 0.0]],
    };
    let mut near = group("near", 0, 1, 10.0, at(0.0));
    let mut far = group("far", 1, 1, 50.0, at(30.0));
    near.link = LinkIndex(3);
    far.link = LinkIndex(2);
    let other = Group {
        link: LinkIndex(5),
        ..group("other", 2, 1, 40.0, at(10.0))
    };
    let silent = group("silent", 3, 1, 0.0, at(0.0));
    let (found, _) = contacts(
        &[near, far, other, silent],
        Seeds::new(1),
        Monotonic(SECOND),
        NO_POSITIONS,
    )
    .unwrap();
    let met: Vec<_> = found
        .iter()
        .map(|contact| (pair_of(contact), contact.link.0))
        .collect();
    assert_eq!(
        met,
        [((0, 2), 3), ((1, 2), 5)],
        "30 m are too far for a radio of 10 m; 10 m are just near enough"
    );
    assert!(
        found
            .iter()
            .all(|contact| (contact.up.0, contact.down.0) == (0, SECOND))
    );
}

#[test]
fn a_bus_passes_each_stop_in_its_time() {
    // 100 m at 10 m/s, 5 s at each stop: a stop within 20 m sees it from 2 s before it arrives.
    let stops = vec![[0.0, 0.0], [100.0, 0.0], [200.0, 0.0]];
    let bus = group(
        "bus",
        0,
        2,
        20.0,
        MobilitySpec::Route {
            stops_m: stops,
            speed_m_s: [10.0, 10.0],
            stop: [Span(5 * SECOND), Span(5 * SECOND)],
            headway: Span(7 * SECOND),
            and_back: true,
        },
    );
    let stop = group(
        "stop",
        2,
        1,
        20.0,
        MobilitySpec::Fixed {
            at_m: vec![[100.0, 0.0]],
        },
    );
    let (found, positions) = contacts(
        &[bus, stop],
        Seeds::new(1),
        Monotonic(80 * SECOND),
        Span(SECOND),
    )
    .unwrap();
    let times = |bus: u32| -> Vec<(f64, f64)> {
        let of_bus = found.iter().filter(|contact| pair_of(contact) == (bus, 2));
        of_bus
            .map(|contact| (contact.up.0 as f64 / 1e6, contact.down.0 as f64 / 1e6))
            .collect()
    };
    let near = |one: &[(f64, f64)], other: &[(f64, f64)]| {
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(a, b)| (a.0 - b.0).abs() < 1e-5 && (a.1 - b.1).abs() < 1e-5)
    };
    // Leaves at 5, is there at 15–20, at the far end at 30–35, back at 45–50, home at 60–65.
    assert!(
        near(&times(0), &[(13.0, 22.0), (43.0, 52.0), (73.0, 80.0)]),
        "{:?}",
        times(0)
    );
    assert!(
        near(&times(1), &[(20.0, 29.0), (50.0, 59.0)]),
        "{:?}",
        times(1)
    );
    assert_eq!(positions.rows.len(), 81);
    assert!(
        positions.rows[6][1][0].is_nan(),
        "the second bus is nowhere before its headway"
    );
    assert_eq!(positions.rows[7][1], [0.0, 0.0]);
    assert_eq!(positions.rows[10][0], [50.0, 0.0]);
    assert_eq!(positions.rows[80][2], [100.0, 0.0]);
}

#[test]
fn a_steady_start_is_as_after_a_long_time() {
    // The model alone, unsteady, needs hours to forget its start; steady, the share that pauses
    // and the mean distance from the centre are the same at any time.
    let spec = |steady| MobilitySpec::RandomWaypoint {
        origin_m: [0.0, 0.0],
        area_m: [1_000.0, 600.0],
        speed_m_s: [0.2, 3.0],
        pause: [Span(0), Span(10 * MINUTE)],
        steady,
    };
    let measure = |steady, moment: u64| {
        let mut still = 0.0;
        let mut from_centre = 0.0;
        for node in 0..4_000 {
            let mut way = Way::new(&spec(steady), 0, Seeds::new(5), &format!("n{node}")).unwrap();
            let piece = way.find(|piece| piece.end > moment).unwrap();
            still += f64::from(u8::from(piece.velocity == [0.0, 0.0])) / 4_000.0;
            from_centre += distance(piece.at(moment), [500.0, 300.0]) / 4_000.0;
        }
        (still, from_centre)
    };
    // The pause that one falls into is longer than others: of 0 to 10 min, uniform, 200 s are left on
    // average and not 150.
    let rests: Vec<f64> = (0..4_000)
        .filter_map(|node| {
            Way::new(&spec(true), 0, Seeds::new(5), &format!("n{node}"))
                .unwrap()
                .next()
        })
        .filter(|piece| piece.velocity == [0.0, 0.0])
        .map(|piece| piece.end as f64 / 1e6)
        .collect();
    let rest = rests.iter().sum::<f64>() / rests.len() as f64;
    assert!(
        (rest - 200.0).abs() < 15.0,
        "{rest} s, standard error 3.5 s"
    );
    let (late, first, unsteady) = (
        measure(false, 30 * HOUR),
        measure(true, 0),
        measure(false, 0),
    );
    // Standard errors: 0.008 and 3 m; of a difference 1.4 times as much.
    assert!(
        (late.0 - first.0).abs() < 0.035 && (late.1 - first.1).abs() < 13.0,
        "{late:?} {first:?}"
    );
    assert!(
        unsteady.0 - late.0 > 0.3 && unsteady.1 - late.1 > 20.0,
        "{unsteady:?} {late:?}"
    );
}

#[test]
fn clusters_stay_apart_and_pairs_meet_at_their_rate() {
    let clusters = group(
        "c",
        0,
        20,
        10.0,
        MobilitySpec::Clusters {
            centres_m: vec![[0.0, 0.0], [1_000.0, 0.0]],
            radius_m: 60.0,
            speed_m_s: [1.0, 2.0],
            pause: [Span(0), Span(0)],
        },
    );
    let (found, _) = contacts(&[clusters], Seeds::new(3), Monotonic(HOUR), NO_POSITIONS).unwrap();
    assert!(found.len() > 100);
    assert!(
        found
            .iter()
            .all(|contact| contact.a.0 % 2 == contact.b.0 % 2),
        "members take clusters in turn"
    );

    let pairs = group(
        "p",
        0,
        20,
        0.0,
        MobilitySpec::Exponential {
            mean_between: Span(HOUR),
        },
    );
    let (found, _) =
        contacts(&[pairs], Seeds::new(3), Monotonic(100 * HOUR), NO_POSITIONS).unwrap();
    // 190 pairs, 100 meetings each: 19,000 ± 138 (Poisson), four standard deviations.
    assert!(
        (found.len() as f64 - 19_000.0).abs() < 552.0,
        "{}",
        found.len()
    );
    assert!(
        found
            .iter()
            .all(|contact| contact.down.0 == contact.up.0 + 1)
    );
}

#[test]
fn numbers_that_describe_no_movement_are_refused() {
    let refused = |mobility| match contacts(
        &[group("g", 0, 2, 5.0, mobility)],
        Seeds::new(1),
        Monotonic(HOUR),
        NO_POSITIONS,
    ) {
        Err(MobilityError::Group { group, wrong }) if group == "g" => wrong,
        other => panic!("{other:?}"),
    };
    let walk = |area_m, speed_m_s, pause| MobilitySpec::RandomWaypoint {
        origin_m: [0.0, 0.0],
        area_m,
        speed_m_s,
        pause,
        steady: true,
    };
    let still = [Span(0), Span(0)];
    assert_eq!(refused(walk([0.0, 5.0], [1.0, 2.0], still)), Wrong::Area);
    assert_eq!(
        refused(walk([f64::NAN, 5.0], [1.0, 2.0], still)),
        Wrong::Area
    );
    assert_eq!(refused(walk([5.0, 5.0], [0.0, 2.0], still)), Wrong::Speed);
    assert_eq!(refused(walk([5.0, 5.0], [2.0, 1.0], still)), Wrong::Speed);
    assert_eq!(
        refused(walk([5.0, 5.0], [1.0, 2.0], [Span(2), Span(1)])),
        Wrong::Pause
    );
    assert_eq!(
        refused(MobilitySpec::Fixed { at_m: Vec::new() }),
        Wrong::NoPlace
    );
    assert_eq!(
        refused(MobilitySpec::Fixed {
            at_m: vec![[f64::INFINITY, 0.0]]
        }),
        Wrong::Place
    );
    assert_eq!(
        refused(MobilitySpec::Exponential {
            mean_between: Span(10)
        }),
        Wrong::MeanBetween
    );
    let one_stop = MobilitySpec::Route {
        stops_m: vec![[0.0, 0.0]],
        speed_m_s: [1.0, 1.0],
        stop: still,
        headway: Span(0),
        and_back: false,
    };
    assert_eq!(refused(one_stop), Wrong::NoPlace);
    let sampled = contacts(
        &[group("g", 0, 2, 5.0, walk([5.0, 5.0], [1.0, 2.0], still))],
        Seeds::new(1),
        Monotonic(100 * HOUR),
        Span(1),
    );
    assert!(
        matches!(sampled, Err(MobilityError::TooManyPositions { .. })),
        "a sample each microsecond"
    );
}
