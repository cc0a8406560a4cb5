//! One plan: torment, heal, require.

use khlong_crdt::time::{Monotonic, UnixMillis};
use khlong_gateway::kernel::Kernel;
use khlong_store::error::StoreError;
use rand_chacha::ChaCha8Rng;

use super::auditor::Auditor;
use super::clients::Calls;
use super::finish;
use super::gateway::{Gateway, JOURNAL, Reply, Request};
use super::plan::{Doing, LedgerPlan};
use super::remote::Remote;
use crate::fuzz::checkers::Findings;
use crate::fuzz::run::fault_of;
use crate::fuzz::workload::{DISK_FAULTS, Outcome, caught};
use crate::kernel::queue::{EventClass, EventQueue};
use crate::kernel::seeds::Seeds;
use crate::kernel::trace::Trace;
use crate::kernel::{MINUTE, SECOND};

/// The wall clock at the begin of a run: a day of 2026.
const BEGIN_MS: i64 = 1_795_000_000_000;
/// Within which all is answered once everything works.
const DRAIN: u64 = 20 * MINUTE;
/// Reads in a row that a disk may be told to fail, while the auditor looks.
const LOOKS_MAX: u32 = 64;

/// Carries out a plan. Anything that goes wrong, a panic of a core included, is in the outcome.
#[must_use]
pub fn replay(plan: &LedgerPlan) -> Outcome {
    if let Err(reason) = plan.check() {
        return Outcome::failed(format!("the plan cannot be run: {reason}"));
    }
    caught(|| match Run::begin(plan) {
        Ok(run) => run.carry_out(),
        Err(error) => Outcome::failed(format!("setup: {error}")),
    })
}

/// What is due.
pub(super) enum Event {
    Step(usize),
    Request(usize, Request),
    Reply(Reply),
    /// A client has waited long enough.
    Retry(usize),
    /// What a turn decided is written; of which life, and how often that was tried.
    Commit(usize, u32, u32),
    /// A gateway that has nothing to do looks at its clock: of which life, after which turn.
    Wake(usize, u32, u32),
    Start(usize),
    /// An append gets there that was on its way for long.
    Land,
}

pub(super) struct Run<'p> {
    pub(super) plan: &'p LedgerPlan,
    pub(super) queue: EventQueue<Event>,
    pub(super) trace: Trace,
    pub(super) random: ChaCha8Rng,
    pub(super) auditor: Auditor,
    pub(super) gateways: Vec<Gateway>,
    pub(super) remote: Option<Remote>,
    pub(super) calls: Calls,
    /// When the last message to or from each gateway arrives.
    pub(super) last_arrival: Vec<[Monotonic; 2]>,
    pub(super) is_landing: bool,
}

impl<'p> Run<'p> {
    pub(super) fn begin(plan: &'p LedgerPlan) -> Result<Self, StoreError> {
        let seeds = Seeds::new(plan.seed);
        let queue = if plan.swarm.shuffled {
            EventQueue::shuffled(seeds.stream("ledger order", ""))
        } else {
            EventQueue::in_order()
        };
        let remote = if plan.remote {
            Some(Remote::new()?)
        } else {
            None
        };
        let gateways = usize::from(plan.gateways);
        let mut run = Self {
            plan,
            queue,
            trace: Trace::default(),
            random: seeds.stream("ledger network", ""),
            auditor: Auditor::new(JOURNAL),
            gateways: (0..gateways)
                .map(|_| Gateway::new(remote.clone()))
                .collect(),
            remote,
            calls: Calls::new(gateways),
            last_arrival: vec![[Monotonic(0); 2]; gateways],
            is_landing: false,
        };
        for place in 0..gateways {
            run.after(0, EventClass::World, Event::Start(place));
        }
        for (number, step) in plan.steps.iter().enumerate() {
            run.after(step.at.0, EventClass::Workload, Event::Step(number));
        }
        Ok(run)
    }

    fn carry_out(mut self) -> Outcome {
        self.drive();
        finish::finish(&mut self);
        let counts = self.remote.as_ref().map(Remote::counts);
        for (what, times) in counts.into_iter().flatten() {
            for _ in 0..times {
                self.findings().happened(what);
            }
        }
        let (events, simulated_us) = (self.queue.taken(), self.queue.now().0);
        let (violations, sometimes) = self.auditor.findings.into_parts();
        Outcome {
            violations,
            sometimes,
            trace_hash: self.trace.hash(),
            events,
            simulated_us,
        }
    }

    /// Torments, heals, and waits until everybody is answered.
    pub(super) fn drive(&mut self) {
        self.advance(Monotonic(self.plan.span().0));
        self.heal();
        let end = self.queue.now().after_micros(DRAIN);
        while self.queue.now() < end && (self.is_landing || !self.calls.are_done()) {
            let pause = self.queue.now().after_micros(SECOND);
            self.advance(pause);
        }
        if let Some(waiting) = self.calls.waiting() {
            let findings = &mut self.auditor.findings;
            findings.violated(
                "liveness",
                format_args!("{waiting} asked and has no answer"),
            );
        }
    }

    fn advance(&mut self, until: Monotonic) {
        while let Some((_, event)) = self.queue.pop_until(until) {
            self.handle(event);
        }
    }

    pub(super) fn after(&mut self, us: u64, class: EventClass, event: Event) {
        let at = self.queue.now().after_micros(us);
        self.queue.schedule(at, class, event);
    }

    /// Milliseconds since 1970, by a clock that is right.
    pub(super) fn truly(&self) -> i64 {
        BEGIN_MS + i64::try_from(self.queue.now().0 / 1_000).unwrap_or(0)
    }

    pub(super) fn findings(&mut self) -> &mut Findings {
        &mut self.auditor.findings
    }

    pub(super) fn note(&mut self, kind: &'static str, parts: &[u64]) {
        self.trace.note(self.queue.now(), kind, parts);
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Step(number) => {
                self.note("step", &[number as u64]);
                let plan = self.plan;
                if let Some(step) = plan.steps.get(number) {
                    self.perform(&step.what);
                }
            }
            Event::Request(place, request) => self.arrive(place, request),
            Event::Reply(reply) => {
                let told = self.calls.told(&reply, &mut self.auditor);
                self.note("told", &[reply.call as u64, u64::from(told)]);
            }
            Event::Retry(call) => self.retry(call),
            Event::Commit(place, life, tries) => self.commit(place, life, tries),
            Event::Wake(place, life, turns) => {
                let sleeper = self.gateways.get(place);
                if sleeper.is_some_and(|it| (it.life, it.turns) == (life, turns)) {
                    self.turn(place);
                }
            }
            Event::Start(place) => self.start(place),
            Event::Land => {
                self.is_landing = false;
                if let Some(remote) = self.remote.clone() {
                    remote.land();
                    self.absorb_remote(&remote);
                    self.expect_landings(&remote);
                }
            }
        }
    }

    fn perform(&mut self, what: &Doing) {
        let gateways = self.plan.gateways;
        let gateway = |number: u8| usize::from(number % gateways);
        match what {
            Doing::Assets { client }
            | Doing::Accounts { client, .. }
            | Doing::Transfers { client, .. } => {
                let call = self
                    .calls
                    .command(*client, what.command(), &mut self.auditor);
                self.send(call);
            }
            Doing::Garbage { client, bytes } => {
                let call = self.calls.garbage(*client, *bytes, &mut self.auditor);
                self.send(call);
            }
            Doing::Again { client, nth } => {
                if let Some(call) = self.calls.nth(*client, *nth) {
                    self.send(call);
                }
            }
            Doing::Reuse { client, nth } => {
                if let Some(call) = self.calls.reuse(*client, *nth) {
                    self.send(call);
                }
            }
            Doing::Read { client, account } => {
                let call = self.calls.read(*client, *account, &self.auditor);
                self.send(call);
            }
            Doing::Crash {
                gateway: number,
                kept_bytes,
                after_commit,
            } => {
                let kept = usize::try_from(*kept_bytes).unwrap_or(0);
                self.crash_by_plan(gateway(*number), kept, *after_commit);
            }
            Doing::Disk {
                gateway: number,
                fault,
                after,
            } => self.with(gateway(*number), |it| {
                it.disk.inject_after(u64::from(*after), fault_of(*fault));
            }),
            Doing::Full {
                gateway: number,
                full,
            } => self.with(gateway(*number), |it| {
                it.disk.set_free_bytes(full.then_some(0));
            }),
            Doing::Slow {
                gateway: number,
                by,
            } => self.with(gateway(*number), |it| it.slower_us = by.0),
            Doing::Clock {
                gateway: number,
                by_ms,
            } => {
                self.findings().happened("clock jumps");
                self.with(gateway(*number), |it| {
                    it.clock_ms = it.clock_ms.saturating_add(*by_ms);
                });
            }
            Doing::Cut {
                gateway: number,
                cut,
            } => {
                if *cut {
                    self.findings().happened("networks cut");
                }
                self.with(gateway(*number), |it| it.is_cut = *cut);
            }
            Doing::Remote { fault, after } => {
                if let Some(remote) = &self.remote {
                    remote.inject(*after, *fault);
                }
            }
        }
    }

    pub(super) fn with(&mut self, place: usize, change: impl FnOnce(&mut Gateway)) {
        if let Some(gateway) = self.gateways.get_mut(place) {
            change(gateway);
        }
    }

    /// Shows the auditor the journal, and a gateway's tables.
    pub(super) fn look(&mut self, place: usize) {
        if let Some(remote) = self.remote.clone() {
            self.absorb_remote(&remote);
        }
        let is_local = self.remote.is_none();
        let Some((kernel, swept_at)) = self
            .gateways
            .get(place)
            .and_then(|it| Some((it.kernel()?, it.swept_at)))
        else {
            return;
        };
        let auditor = &mut self.auditor;
        for _ in 0..LOOKS_MAX {
            if look_at(auditor, kernel, is_local, swept_at).is_ok() {
                break;
            }
            // A fault that was meant for the gateway.
            auditor.findings.happened("reads failed in checks");
        }
        let (at, hash) = (self.queue.now(), kernel.head().hash);
        self.trace.note_bytes(at, "head", &hash);
    }

    pub(super) fn absorb_remote(&mut self, remote: &Remote) {
        let auditor = &mut self.auditor;
        if let Err(error) = remote.with(|store| auditor.absorb(store)) {
            let findings = &mut self.auditor.findings;
            findings.violated(
                "journal",
                format_args!("elsewhere, it cannot be read: {error}"),
            );
        }
    }

    /// Everything works again; clocks stay as they are, and the network loses what it lost.
    fn heal(&mut self) {
        self.count_faults();
        if let Some(remote) = &self.remote {
            remote.forget_faults();
        }
        for gateway in &mut self.gateways {
            gateway.disk.forget_faults();
            gateway.disk.set_free_bytes(None);
            gateway.slower_us = 0;
            gateway.is_cut = false;
            gateway.doomed = None;
        }
    }

    fn count_faults(&mut self) {
        for gateway in &self.gateways {
            for (kind, what) in DISK_FAULTS {
                for _ in 0..gateway.disk.fired(kind) {
                    self.auditor.findings.happened(what);
                }
            }
        }
    }
}

/// The journal, if it lies with the gateway, and its tables, if they go as far.
fn look_at(
    auditor: &mut Auditor,
    kernel: &Kernel,
    is_local: bool,
    swept_at: Option<UnixMillis>,
) -> Result<(), StoreError> {
    if is_local {
        auditor.absorb(kernel.store())?;
    }
    if kernel.head() != auditor.head() {
        return Ok(());
    }
    match swept_at {
        Some(now) => auditor.check_holds(kernel.store(), now),
        None => auditor.compare(kernel.store()),
    }
}
