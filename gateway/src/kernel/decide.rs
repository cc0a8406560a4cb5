//! How one command is decided: by its domain, in a part of the batch that is kept or rolled
//! back as a whole.

use std::panic::{AssertUnwindSafe, catch_unwind};

use khlong_store::batch::Batch;
use khlong_store::journal::{self, Entry, Head};

use super::Applied;
use super::command::{Command, Decided, Logic};
use super::context::{ApplyError, Context, Domain};
use super::error::KernelError;
use super::housekeeping::{self, KERNEL_DOMAIN};
use super::outcome::{OUTCOME_BYTES_MAX, Outcome, Rejection};
use super::{idempotency, views};

/// Runs one command and writes all that comes of it, the journal's entry among it.
pub(super) fn decide(
    batch: &mut Batch<'_>,
    domains: &mut [Box<dyn Domain>],
    before: Applied,
    command: &Command,
    logic: Logic,
    recorded: Option<Outcome>,
) -> Result<(Head, Applied, Decided), KernelError> {
    let applied = Applied {
        seq: before.seq.next(),
        time: before.time.max(command.admitted_at),
    };
    let outcome = match recorded {
        // It changed nothing, and stays so: a release that knows the domain, or has mended the
        // fault, may not carry out what was refused.
        Some(rejected @ Outcome::Rejected(_)) => rejected,
        Some(Outcome::Done(_)) | None => match run(batch, domains, applied, command, logic) {
            Ok(payload) => Outcome::Done(payload),
            Err(ApplyError::Store(error)) => return Err(error.into()),
            Err(ApplyError::Rejected(rejection)) => Outcome::Rejected(rejection),
        },
    };
    let outcome = outcome.encode();
    let entry = Entry {
        header: command.header(logic),
        command: command.content(),
        outcome: outcome.clone(),
    };
    let head = journal::append(batch, before.seq, &[entry])?;
    idempotency::note(batch, applied, command)?;
    views::note(batch, applied, &head)?;
    let decided = Decided {
        seq: applied.seq,
        outcome,
    };
    Ok((head, applied, decided))
}

/// The domain's part: whole, or rolled back. A panic is a rejection as well: the same
/// command panics again at each replay, and may not stop the gateway for good.
fn run(
    batch: &mut Batch<'_>,
    domains: &mut [Box<dyn Domain>],
    applied: Applied,
    command: &Command,
    logic: Logic,
) -> Result<Vec<u8>, ApplyError> {
    let attempt = batch.atomically(|batch| {
        let mut context = Context::new(batch, applied, logic, command);
        catch_unwind(AssertUnwindSafe(|| {
            dispatch(&mut context, domains, command)
        }))
        .unwrap_or(Err(ApplyError::Rejected(Rejection::Panicked)))
    });
    if attempt.is_err() {
        for domain in domains {
            domain.roll_back();
        }
    }
    attempt
}

fn dispatch(
    context: &mut Context<'_, '_>,
    domains: &mut [Box<dyn Domain>],
    command: &Command,
) -> Result<Vec<u8>, ApplyError> {
    let payload = if command.domain == KERNEL_DOMAIN {
        housekeeping::apply(context, &command.body)?
    } else {
        let domain = domains
            .iter_mut()
            .find(|domain| domain.number() == command.domain)
            .ok_or(ApplyError::Rejected(Rejection::UnknownDomain))?;
        context.act_as(domain.as_ref());
        domain.apply(context, &command.body)?
    };
    if payload.len() > OUTCOME_BYTES_MAX {
        return Err(ApplyError::Rejected(Rejection::Invariant));
    }
    while let Some(event) = context.next_event() {
        for domain in domains.iter_mut() {
            if domain.number() != event.source {
                context.act_as(domain.as_ref());
                domain.observe(context, &event)?;
            }
        }
    }
    match context.refused() {
        Some(rejection) => Err(ApplyError::Rejected(rejection)),
        None => Ok(payload),
    }
}
