//! The real cores at work, and 10,000 machines.

use khlong_crdt::time::Monotonic;

use super::Sample;
use super::meter::{Meter, peak_mib};
use crate::actors::execute::{ExecuteOptions, Prepared};
use crate::actors::world::{Carriage, WorldOptions};
use crate::error::SimError;
use crate::kernel::seeds::Seeds;
use crate::kernel::{MINUTE, SECOND};
use crate::links::{LinkSpec, PipeSpec};
use crate::plan::{Contact, Entity, EntitySpec, LinkIndex, Plan, PlannedMessage, Role};
use crate::runs::Study;
use crate::scenario::Source;
use crate::scenario::overrides::Override;
use crate::scenario::protocol::Protocol;
use crate::units::{Rate, Size, Span};

const TIMELINES: u32 = 10;
const MEMBERS: u32 = 10;
/// In all timelines together.
const MESSAGES: u32 = 10_000;
/// Between two messages, over all timelines.
const BETWEEN_US: u64 = 1_000;
const MESSAGE_BYTES: u32 = 100;

/// Messages delivered a second, from the first one written to the last one shown.
pub(super) fn messages(seed: u64, verified: bool) -> Result<Sample, SimError> {
    let carriage = if verified {
        Carriage::Bytes
    } else {
        Carriage::Values
    };
    let options = ExecuteOptions {
        world: WorldOptions {
            carriage,
            ..WorldOptions::default()
        },
        ..ExecuteOptions::default()
    };
    let plan = conversation();
    let prepared = prepare(&plan, seed, &options)?;
    let meter = Meter::begin();
    let results = prepared.carry_out();
    let (cpu_s, wall_s) = meter.read();
    let delivered = results.messages.iter().filter(|m| m.delivered.is_some());
    Ok(Sample {
        figure: delivered.count() as f64 / cpu_s,
        cpu_s,
        wall_s,
        peak_mib: peak_mib(),
    })
}

/// Ten timelines of ten members each, one relay, and fast links: what counts is the cores' work.
fn conversation() -> Plan {
    let people = TIMELINES * MEMBERS;
    let named = |name: String, role| EntitySpec {
        name,
        role,
        group: 0,
    };
    let relay = std::iter::once(named("relay".to_owned(), Role::Relay));
    let devices = (1..=people).map(|number| named(format!("device-{number}"), Role::Node));
    let member = |timeline: u32, place: u32| Entity(1 + timeline * MEMBERS + place);
    let end = Monotonic(u64::from(MESSAGES) * BETWEEN_US + MINUTE);
    let pipe = PipeSpec {
        rate: Rate(100_000_000),
        propagation: Span(5_000),
        jitter: Span(0),
        loss: 0.0,
        queue: Size(312_500),
    };
    Plan {
        entities: relay.chain(devices).collect(),
        links: vec![LinkSpec {
            forth: pipe,
            back: None,
            handshake_round_trips: 1,
            discovery: Span(0),
            channel: None,
        }],
        contacts: (1..=people)
            .map(|number| Contact {
                up: Monotonic(0),
                down: end,
                a: Entity(0),
                b: Entity(number),
                link: LinkIndex(0),
            })
            .collect(),
        timelines: (0..TIMELINES)
            .map(|timeline| (0..MEMBERS).map(|place| member(timeline, place)).collect())
            .collect(),
        messages: (0..MESSAGES)
            .map(|number| PlannedMessage {
                // Everybody is connected by then.
                at: Monotonic(10 * SECOND + u64::from(number) * BETWEEN_US),
                from: member(number % TIMELINES, number / TIMELINES % MEMBERS),
                timeline: number % TIMELINES,
                bytes: MESSAGE_BYTES,
            })
            .collect(),
        end,
        ..Plan::default()
    }
}

/// Simulated seconds times devices, a second.
pub(super) fn campus_day(seed: u64) -> Result<Sample, SimError> {
    let study = study("campus-day", &["scale=0.1"], Protocol::Khlong, seed)?;
    let plan = study.replication(0, false)?.plan;
    let prepared = prepare(&plan, seed, &ExecuteOptions::default())?;
    let meter = Meter::begin();
    let _ = prepared.carry_out();
    let (cpu_s, wall_s) = meter.read();
    let devices = plan.of_role(Role::Node).count();
    Ok(Sample {
        figure: devices as f64 * (plan.end.0 / SECOND) as f64 / cpu_s,
        cpu_s,
        wall_s,
        peak_mib: peak_mib(),
    })
}

/// The memory of a whole run, plan and results included.
pub(super) fn memory(seed: u64, protocol: Protocol) -> Result<Sample, SimError> {
    let study = study("festival", &["scale=2", "duration=10min"], protocol, seed)?;
    let meter = Meter::begin();
    let replication = study.replication(0, false)?;
    for protocol in &study.protocols {
        study.run(&replication, *protocol, false)?;
    }
    let (cpu_s, wall_s) = meter.read();
    Ok(Sample {
        figure: peak_mib(),
        cpu_s,
        wall_s,
        peak_mib: peak_mib(),
    })
}

fn prepare<'p>(
    plan: &'p Plan,
    seed: u64,
    options: &ExecuteOptions,
) -> Result<Prepared<'p>, SimError> {
    Prepared::new(plan, Seeds::new(seed), options).map_err(|error| SimError::Run {
        protocol: Protocol::Khlong.to_string(),
        problem: error.to_string(),
    })
}

fn study(name: &str, set: &[&str], protocol: Protocol, seed: u64) -> Result<Study, SimError> {
    let overrides = set
        .iter()
        .map(|text| Override::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let scenario = Source::open(name)?.scenario(&overrides)?;
    Ok(Study::new(scenario, seed, &[protocol]))
}
