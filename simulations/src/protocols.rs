//! Which code executes which protocol on a plan.

use crate::actors;
use crate::actors::execute::ExecuteOptions;
use crate::actors::world::{Fidelity, WorldOptions};
use crate::error::SimError;
use crate::kernel::seeds::Seeds;
use crate::plan::Plan;
use crate::results::RunResults;
use crate::routing::prophet::Parameters;
use crate::routing::{self, Router};
use crate::scenario::protocol::Protocol;
use crate::scenario::spec::Scenario;
use crate::units::{Size, Span};

/// What an executor is told beside the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Room of one machine; absent = unlimited.
    pub buffer: Option<Size>,
    /// After which a message is worthless; absent = never.
    pub ttl: Option<Span>,
    /// Of PRoPHET.
    pub prophet: Parameters,
    /// Between two samples of occupancy; zero = none.
    pub sample_every: Span,
    /// Whether to list what happened.
    pub happenings: bool,
    /// What links are to the real node and relay.
    pub fidelity: Fidelity,
}

impl Options {
    /// As a scenario says.
    #[must_use]
    pub fn of(scenario: &Scenario, sample_every: Span, happenings: bool) -> Self {
        let routing = &scenario.routing;
        Self {
            buffer: routing.buffer,
            ttl: routing.ttl,
            prophet: routing.prophet.into(),
            sample_every,
            happenings,
            fidelity: scenario.fidelity,
        }
    }
}

/// Executes the plan. The same arguments give the same results, the trace hash included.
///
/// # Errors
/// [`SimError::Run`] if the executor refuses the plan.
pub fn execute(
    protocol: Protocol,
    plan: &Plan,
    seeds: Seeds,
    options: &Options,
) -> Result<RunResults, SimError> {
    match protocol {
        Protocol::Direct => route(protocol, Router::Direct, plan, seeds, options),
        Protocol::Epidemic => route(protocol, Router::Epidemic, plan, seeds, options),
        Protocol::TwoHop => route(protocol, Router::TwoHop, plan, seeds, options),
        Protocol::SourceSpray { copies } => {
            let router = Router::SourceSpray { copies };
            route(protocol, router, plan, seeds, options)
        }
        Protocol::BinarySpray { copies } => {
            let router = Router::BinarySpray { copies };
            route(protocol, router, plan, seeds, options)
        }
        Protocol::Prophet => {
            let router = Router::Prophet(options.prophet);
            route(protocol, router, plan, seeds, options)
        }
        Protocol::Khlong => {
            let wanted = ExecuteOptions {
                happenings: options.happenings,
                world: WorldOptions {
                    fidelity: options.fidelity,
                    ..WorldOptions::default()
                },
            };
            actors::execute::execute(plan, seeds, &wanted).map_err(|error| SimError::Run {
                protocol: protocol.to_string(),
                problem: error.to_string(),
            })
        }
    }
}

fn route(
    protocol: Protocol,
    router: Router,
    plan: &Plan,
    seeds: Seeds,
    options: &Options,
) -> Result<RunResults, SimError> {
    let world = routing::Options {
        buffer: options.buffer,
        ttl: options.ttl,
        sample_every: options.sample_every,
        happenings: options.happenings,
        ..routing::Options::default()
    };
    // Summaries are exchanged before anything is sent: a contact that is open one way only is none.
    let two_way = (!plan.one_way.is_empty()).then(|| Plan {
        contacts: plan.two_way_contacts(),
        ..plan.clone()
    });
    let plan = two_way.as_ref().unwrap_or(plan);
    routing::run(plan, router, world, seeds)
        .map(|results| RunResults {
            protocol: protocol.to_string(),
            ..results
        })
        .map_err(|error| SimError::Run {
            protocol: protocol.to_string(),
            problem: error.to_string(),
        })
}
