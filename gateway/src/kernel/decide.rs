//! How one command is decided: by its domain, in a part of the batch that is kept or rolled
//! back as a whole.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use khlong_store::batch::Batch;
use khlong_store::journal::{self, Entry, Head};

use super::Applied;
use super::command::{Command, Decided, Logic};
use super::context::{ApplyError, Context, Domain, Lower};
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
    let layers = Layers::of(domains);
    let attempt = batch.atomically(|batch| {
        let mut context = Context::new(batch, applied, logic, command, &layers);
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            dispatch(&mut context, &layers, command)
        }))
        .unwrap_or(Err(ApplyError::Rejected(Rejection::Panicked)));
        // Whatever was made of it: a replay on a disk that is well would come to something else.
        match context.take_failed() {
            Some(error) => Err(ApplyError::Store(error)),
            None => attempt,
        }
    });
    if attempt.is_err() {
        for layer in &layers.0 {
            layer.domain.borrow_mut().roll_back();
        }
    }
    attempt
}

fn dispatch(
    context: &mut Context<'_, '_>,
    layers: &Layers<'_>,
    command: &Command,
) -> Result<Vec<u8>, ApplyError> {
    let payload = if command.domain == KERNEL_DOMAIN {
        let payload = housekeeping::apply(context, &command.body)?;
        within_outcome(payload)?
    } else {
        let place = layers
            .place(command.domain)
            .ok_or(ApplyError::Rejected(Rejection::UnknownDomain))?;
        layers.decide(context, place, &command.body)?
    };
    while let Some(event) = context.next_event() {
        for layer in &layers.0 {
            if layer.number != event.source {
                let mut domain = layer.domain.borrow_mut();
                context.act_as(&***domain);
                domain.observe(context, &event)?;
            }
        }
    }
    match context.refused() {
        Some(rejection) => Err(ApplyError::Rejected(rejection)),
        None => Ok(payload),
    }
}

fn within_outcome(payload: Vec<u8>) -> Result<Vec<u8>, ApplyError> {
    if payload.len() > OUTCOME_BYTES_MAX {
        return Err(ApplyError::Rejected(Rejection::Invariant));
    }
    Ok(payload)
}

/// The domains during one command, the lower layers first.
struct Layers<'d>(Vec<Layer<'d>>);

struct Layer<'d> {
    number: u8,
    domain: RefCell<&'d mut Box<dyn Domain>>,
    /// Once in a command: what a domain writes under the command's place it writes once.
    has_decided: Cell<bool>,
}

impl<'d> Layers<'d> {
    fn of(domains: &'d mut [Box<dyn Domain>]) -> Self {
        let layers = domains.iter_mut().map(|domain| Layer {
            number: domain.number(),
            domain: RefCell::new(domain),
            has_decided: Cell::new(false),
        });
        Self(layers.collect())
    }

    fn place(&self, number: u8) -> Option<usize> {
        self.0.iter().position(|layer| layer.number == number)
    }

    fn decide(
        &self,
        context: &mut Context<'_, '_>,
        place: usize,
        body: &[u8],
    ) -> Result<Vec<u8>, ApplyError> {
        let layer = self.0.get(place);
        let layer = layer.filter(|layer| !layer.has_decided.replace(true));
        // One that is being asked already has decided as well.
        let layer = layer.ok_or(ApplyError::Rejected(Rejection::Invariant))?;
        let mut domain = layer.domain.borrow_mut();
        context.act_as(&***domain);
        within_outcome(domain.apply(context, body)?)
    }
}

impl Lower for Layers<'_> {
    fn ask(
        &self,
        context: &mut Context<'_, '_>,
        asking: u8,
        asked: u8,
        body: &[u8],
    ) -> Result<Vec<u8>, ApplyError> {
        let below = self.place(asking).unwrap_or(0);
        let place = self.place(asked).filter(|place| *place < below);
        let place = place.ok_or(ApplyError::Rejected(Rejection::Invariant))?;
        self.decide(context, place, body)
    }
}
