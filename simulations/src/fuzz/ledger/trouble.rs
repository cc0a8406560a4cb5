//! What goes wrong in a plan.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::generate::pick;
use super::plan::{Doing, LedgerPlan, RemoteFault, Step};
use crate::fuzz::plan::DiskFault;
use crate::kernel::SECOND;
use crate::units::Span;

/// Kinds of trouble that a seed has or leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Crash,
    CrashAfterCommit,
    Disk,
    Full,
    Slow,
    Clock,
    Cut,
    Remote,
}

pub(super) const TROUBLES: [Trouble; 8] = [
    Trouble::Crash,
    Trouble::CrashAfterCommit,
    Trouble::Disk,
    Trouble::Full,
    Trouble::Slow,
    Trouble::Clock,
    Trouble::Cut,
    Trouble::Remote,
];

/// Adds some of one kind to a plan.
pub(super) fn torment(
    plan: &mut LedgerPlan,
    random: &mut ChaCha8Rng,
    until_us: u64,
    trouble: Trouble,
) {
    let times = random.random_range(1..=10);
    for _ in 0..times {
        let gateway = random.random_range(0..plan.gateways);
        let from = random.random_range(0..until_us);
        let until = from + random.random_range(1..=30 * SECOND);
        let mut then = |at, what| plan.steps.push(Step { at: Span(at), what });
        match trouble {
            Trouble::Crash | Trouble::CrashAfterCommit => {
                let torn = random.random_bool(0.5);
                let kept_bytes = if torn {
                    random.random_range(0..4_000)
                } else {
                    0
                };
                let after_commit = trouble == Trouble::CrashAfterCommit;
                let what = Doing::Crash {
                    gateway,
                    kept_bytes,
                    after_commit,
                };
                then(from, what);
            }
            Trouble::Disk => then(
                from,
                Doing::Disk {
                    gateway,
                    fault: pick(random, &DISK_FAULTS, DiskFault::Torn),
                    after: random.random_range(0..6),
                },
            ),
            Trouble::Full => {
                then(
                    from,
                    Doing::Full {
                        gateway,
                        full: true,
                    },
                );
                then(
                    until,
                    Doing::Full {
                        gateway,
                        full: false,
                    },
                );
            }
            Trouble::Slow => {
                let by = Span(random.random_range(SECOND / 10..=5 * SECOND));
                then(from, Doing::Slow { gateway, by });
                then(
                    until,
                    Doing::Slow {
                        gateway,
                        by: Span(0),
                    },
                );
            }
            Trouble::Clock => then(
                from,
                Doing::Clock {
                    gateway,
                    by_ms: jump(random),
                },
            ),
            Trouble::Cut => {
                then(from, Doing::Cut { gateway, cut: true });
                then(
                    until,
                    Doing::Cut {
                        gateway,
                        cut: false,
                    },
                );
            }
            Trouble::Remote => then(
                from,
                Doing::Remote {
                    fault: pick(random, &REMOTE_FAULTS, RemoteFault::Lost),
                    after: random.random_range(0..4),
                },
            ),
        }
    }
}

const DISK_FAULTS: [DiskFault; 6] = [
    DiskFault::SyncLost,
    DiskFault::SyncKept,
    DiskFault::Torn,
    DiskFault::NoSpace,
    DiskFault::Stall,
    DiskFault::Read,
];

const REMOTE_FAULTS: [RemoteFault; 5] = [
    RemoteFault::AnswerLost,
    RemoteFault::Lost,
    RemoteFault::Late,
    RemoteFault::Busy,
    RemoteFault::Unread,
];

/// Of a wall clock, in ms: small ones that a gateway takes, and others that it refuses.
fn jump(random: &mut ChaCha8Rng) -> i64 {
    const MINUTE_MS: i64 = 60_000;
    let most = pick(
        random,
        &[
            MINUTE_MS,
            10 * MINUTE_MS,
            60 * MINUTE_MS,
            72 * 60 * MINUTE_MS,
        ],
        MINUTE_MS,
    );
    random.random_range(-most..=most)
}
