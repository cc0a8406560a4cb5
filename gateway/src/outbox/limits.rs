//! Every limit of the outbox worker, with its arithmetic.

use std::time::Duration;

use crate::kernel::LEASE_MS_MAX;
use crate::outbound::CONNECT_WITHIN;

/// Targets that may be configured.
pub const TARGETS_MAX: usize = 16;

/// Notices that are kept in sight; those behind them wait in their rows.
pub const NOTICES_MAX: usize = 4_096;

/// Notices that are looked up at once: at most 16 MiB.
pub const LOOK_NOTICES_MAX: usize = 256;

/// What one target is sent at once: one that hangs keeps no other waiting.
pub const SENDS_PER_TARGET_MAX: usize = 2;

/// A target's answer, from the first byte to the last: 30 seconds.
pub const SEND_WITHIN: Duration = Duration::from_secs(30);

/// The first pause after a failure: between 2.5 and 5 seconds.
pub const BACKOFF_FIRST: Duration = Duration::from_secs(5);

/// Each pause is so many times the one before.
pub const BACKOFF_FACTOR: u32 = 4;

/// The longest pause: between 2 and 4 hours.
pub const BACKOFF_MAX: Duration = Duration::from_secs(4 * 3_600);

/// A notice that could not be delivered so long after its command, or after the first attempt since
/// the start if that was later, is given up: 3 days.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 3_600);

/// How often the outbox is looked at: 1 second.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a claim to send lasts: 2 minutes.
pub const LEASE: Duration = Duration::from_secs(120);

/// A claim that ends sooner than this is renewed before anything is sent.
pub const LEASE_LEFT_MIN: Duration = Duration::from_secs(60);

/// How old the last entry of a shared journal is before a gateway claims that did not append it:
/// the one that did sends meanwhile, or has died, and its claim has ended.
pub const FOLLOWER_WAITS: Duration = Duration::from_secs(LEASE.as_secs() + 10);

/// And so much more, drawn by each gateway, so that two that wait do not append at once.
pub const FOLLOWER_DRAW: Duration = Duration::from_secs(30);

const _: () = assert!(
    CONNECT_WITHIN.as_secs() < SEND_WITHIN.as_secs()
        && SEND_WITHIN.as_secs() < LEASE_LEFT_MIN.as_secs()
        && LEASE_LEFT_MIN.as_secs() < LEASE.as_secs(),
    "whoever begins to send still holds the claim at the end"
);
const _: () = assert!(
    LEASE.as_millis() <= LEASE_MS_MAX as u128,
    "the kernel takes the claim"
);
const _: () = assert!(
    LOOK_NOTICES_MAX <= NOTICES_MAX && BACKOFF_FIRST.as_secs() < BACKOFF_MAX.as_secs(),
    "limits fit each other"
);
