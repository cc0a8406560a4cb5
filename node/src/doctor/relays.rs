//! What the conversations with relays say.

use super::Finding;
use super::network::{Met, Outcome};
use crate::error::ExitCode;

/// `relays`, `udp` and `key`.
pub(super) fn check(is_known: bool, met: &[Met]) -> [Finding; 3] {
    if !is_known {
        let unread = "the node's relays cannot be read";
        return ["relays", "udp", "key"].map(|check| Finding::skipped(check, unread));
    }
    [reachable(met), udp(met), key(met)]
}

fn reachable(met: &[Met]) -> Finding {
    const CHECK: &str = "relays";
    if met.is_empty() {
        let remedy = "ask an operator for an address, then `khlong relay add ADDRESS`";
        return Finding::problem(CHECK, ExitCode::Config, "no relay is known", remedy);
    }
    let operator = "ask its operator; what was written waits in the outbox";
    let problems = met.iter().filter_map(|Met { address, outcome }| {
        let (code, says, remedy) = match outcome {
            Outcome::Spoke { .. } | Outcome::WrongKey(_) | Outcome::Silent(_) => return None,
            Outcome::NobodyListens(at) => {
                let says = format!(
                    "{address}: the machine at {at} is there and refuses: no relay runs on that port, or a firewall says so"
                );
                (ExitCode::Failure, says, operator)
            }
            Outcome::OtherVersion => {
                let says =
                    format!("{address} speaks no version of the protocol that this one does");
                let remedy = "bring it and this node to one version";
                (ExitCode::Incompatible, says, remedy)
            }
            Outcome::Failed(reason) => {
                let says = format!("{address}: {reason}");
                let remedy = "check the address and this machine's network, then ask its operator";
                (ExitCode::Failure, says, remedy)
            }
        };
        Some(Finding::problem(CHECK, code, says, remedy))
    });
    let well = || Finding::ok(CHECK, format!("{} known", met.len()));
    Finding::together(problems).unwrap_or_else(well)
}

fn udp(met: &[Met]) -> Finding {
    const CHECK: &str = "udp";
    let problems = met.iter().filter_map(|Met { address, outcome }| {
        let Outcome::Silent(at) = outcome else {
            return None;
        };
        let says = format!(
            "{address}: no answer of any kind from {at}; a firewall on the way drops UDP, or that machine is off or hangs: from here these look alike"
        );
        let remedy = format!(
            "try another network; if it is silent there too, ask its operator whether the relay runs and UDP port {} is open",
            at.port()
        );
        Some(Finding::problem(CHECK, ExitCode::Failure, says, remedy))
    });
    if let Some(problem) = Finding::together(problems) {
        return problem;
    }
    let answered = |met: &Met| match met.outcome {
        Outcome::Spoke { .. }
        | Outcome::WrongKey(_)
        | Outcome::NobodyListens(_)
        | Outcome::OtherVersion => true,
        Outcome::Silent(_) | Outcome::Failed(_) => false,
    };
    if met.iter().any(answered) {
        Finding::ok(CHECK, "packets come back")
    } else {
        Finding::skipped(CHECK, "no relay was called")
    }
}

fn key(met: &[Met]) -> Finding {
    const CHECK: &str = "key";
    let problems = met.iter().filter_map(|Met { address, outcome }| {
        let Outcome::WrongKey(found) = outcome else {
            return None;
        };
        let says = format!(
            "{address} has the key {found}: the address changed hands, or somebody is in between"
        );
        let remedy = "ask its operator, by another way, for the address that `khlong-relay check` prints, and `khlong relay add` it";
        Some(Finding::problem(CHECK, ExitCode::Untrusted, says, remedy))
    });
    if let Some(problem) = Finding::together(problems) {
        return problem;
    }
    if met
        .iter()
        .any(|met| matches!(met.outcome, Outcome::Spoke { .. }))
    {
        Finding::ok(CHECK, "every relay that answers has the key of its address")
    } else {
        Finding::skipped(CHECK, "no relay answered")
    }
}

/// Whether relays hold what this node has read.
pub(super) fn log(met: &[Met]) -> Finding {
    const CHECK: &str = "log";
    let problems = met.iter().filter_map(|Met { address, outcome }| {
        let Outcome::Spoke {
            is_behind: true, ..
        } = outcome
        else {
            return None;
        };
        let says = format!(
            "{address} does not hold all that it held: it was restored from a backup, or has lost something"
        );
        let remedy = "run `khlong sync`: this node offers again what it has; so should everybody who used that relay";
        Some(Finding::problem(CHECK, ExitCode::Failure, says, remedy))
    });
    if let Some(problem) = Finding::together(problems) {
        return problem;
    }
    let spoke = met.iter().filter_map(|met| match met.outcome {
        Outcome::Spoke { was_read, .. } => Some(was_read),
        Outcome::WrongKey(_)
        | Outcome::NobodyListens(_)
        | Outcome::Silent(_)
        | Outcome::OtherVersion
        | Outcome::Failed(_) => None,
    });
    match spoke.reduce(|any, was_read| any || was_read) {
        None => Finding::skipped(CHECK, "no relay answered"),
        Some(false) => Finding::ok(CHECK, "nothing was read from a relay yet"),
        Some(true) => Finding::ok(CHECK, "relays hold all that was read from them"),
    }
}
