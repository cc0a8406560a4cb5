//! How long contacts take: `mobility_scale [NODES] [HOURS] [RANGE_M]`, random waypoint in 5 km × 5 km.

use std::time::Instant;

use khlong_crdt::time::Monotonic;
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::kernel::{HOUR, SECOND};
use khlong_simulations::mobility::spec::MobilitySpec;
use khlong_simulations::mobility::{Group, Member, contacts};
use khlong_simulations::plan::{Entity, LinkIndex};
use khlong_simulations::units::Span;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .map_while(|word| word.parse::<u32>().ok());
    let nodes = numbers.next().unwrap_or(2_000);
    let hours = numbers.next().unwrap_or(24);
    let range_m = f64::from(numbers.next().unwrap_or(10));
    let group = Group {
        name: "n".to_owned(),
        members: (0..nodes)
            .map(|id| Member {
                entity: Entity(id),
                name: format!("n{id}"),
            })
            .collect(),
        mobility: MobilitySpec::RandomWaypoint {
            origin_m: [0.0, 0.0],
            area_m: [5_000.0, 5_000.0],
            speed_m_s: [0.5, 1.5],
            pause: [Span(0), Span(120 * SECOND)],
            steady: true,
        },
        range_m,
        link: LinkIndex(0),
    };
    let began = Instant::now();
    match contacts(
        &[group],
        Seeds::new(1),
        Monotonic(u64::from(hours) * HOUR),
        Span(0),
    ) {
        Ok((found, _)) => {
            let seconds = began.elapsed().as_secs_f64();
            println!(
                "{nodes} nodes, {hours} h, {range_m} m: {} contacts in {seconds:.2} s",
                found.len()
            );
        }
        Err(error) => eprintln!("{error}"),
    }
}
