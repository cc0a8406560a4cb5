//! When everything is over: holds have ended, gateways agree, and the journal replays to the
//! same state.

use khlong_gateway::kernel::{Kernel, KernelError, Logic, replay, state_hash};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::Head;
use khlong_store::rows::Rows;
use khlong_store::store::Store;

use super::gateway::{Committed, Gateway, JOURNAL, Stop, options, parts};
use super::plan::TIMEOUT_S_MAX;
use super::run::Run;

/// State and journal of a gateway.
type Ends = (Head, [u8; 32]);

pub(super) fn finish(run: &mut Run<'_>) {
    if end(run) {
        compare(run);
    }
}

/// Whoever comes first ends what is held; the others follow the journal. Whether all of them can.
pub(super) fn end(run: &mut Run<'_>) -> bool {
    for place in 0..run.gateways.len() {
        if let Err(stop) = end_holds(run, place) {
            let words = match stop {
                Stop::Fault(what) => what.to_owned(),
                Stop::Clock => "the clock is refused".to_owned(),
                Stop::Wrong(words) => words,
            };
            run.findings().violated("end", words);
            return false;
        }
    }
    true
}

/// What was answered with the journal, and all who have that with each other.
pub(super) fn compare(run: &mut Run<'_>) {
    run.auditor.finish();
    let ends: Vec<_> = run
        .gateways
        .iter()
        .filter_map(Gateway::kernel)
        .map(ends_of)
        .collect();
    let Some(Ok(first)) = ends.first() else {
        run.findings().violated("end", "no gateway runs");
        return;
    };
    let first = *first;
    if first.0 != run.auditor.head() {
        run.findings()
            .violated("replay", "a gateway is not where the journal ends");
    }
    for other in ends.iter().skip(1) {
        run.findings().happened("gateways of one journal compared");
        if !other.as_ref().is_ok_and(|other| *other == first) {
            run.findings()
                .violated("replay", "two gateways of one journal differ");
        }
    }
    let replayed = match run.remote.clone() {
        Some(remote) => remote.with(|store| replayed(store)),
        None => match run.gateways.first().and_then(Gateway::kernel) {
            Some(kernel) => replayed(kernel.store()),
            None => return,
        },
    };
    run.findings().happened("journals replayed");
    match replayed {
        Ok(again) if again == first => {}
        Ok(_) => run
            .findings()
            .violated("replay", "the journal comes to another state"),
        Err(error) => run.findings().violated("replay", error),
    }
}

/// Starts a gateway anew at a time at which no hold waits any more, and lets it do what is due.
fn end_holds(run: &mut Run<'_>, place: usize) -> Result<(), Stop> {
    let truly = run.truly();
    let longest_ms = i64::from(TIMEOUT_S_MAX) * 1_000;
    let late = truly.max(run.auditor.time().0) + longest_ms + 1;
    let findings = &mut run.auditor.findings;
    let Some(gateway) = run.gateways.get_mut(place) else {
        return Ok(());
    };
    gateway.end();
    gateway.clock_ms = late - truly;
    gateway.start(truly, findings)?;
    gateway.turn(truly)?;
    match gateway.commit() {
        Committed::Done => {}
        Committed::Again => return Err(Stop::Fault("a commit that is put off")),
        Committed::Failed(stop, _) => return Err(stop),
    }
    gateway.release()?;
    run.look(place);
    Ok(())
}

fn ends_of(kernel: &Kernel) -> Result<Ends, KernelError> {
    Ok((kernel.head(), state_hash(kernel.store())?))
}

/// What the journal comes to in an empty folder.
fn replayed(journal: &dyn Rows) -> Result<Ends, KernelError> {
    let store = Store::in_memory(&MemoryDisk::new(), &options())?;
    let mut kernel = Kernel::open(store, parts(), Logic::CURRENT, JOURNAL)?;
    replay(journal, &mut kernel)?;
    ends_of(&kernel)
}
