//! Every limit of the driver, with its arithmetic.

use std::time::Duration;

use khlong_store::limits::BATCH_BYTES_MAX;

use crate::domains::ledger::limits::ACCOUNTS_AT_ONCE_MAX;
use crate::kernel::{BODY_BYTES_MAX, GROUP_COMMANDS_MAX, JUMP_MS_MAX};

/// Commands and reads that wait for the driver. Default 256.
pub const QUEUE_DEFAULT: usize = 256;

/// The most that may be configured: what waits holds at most 1 GiB.
pub const QUEUE_MAX: usize = 1_024;

/// Inputs that share one commit.
pub const BATCH_INPUTS_MAX: usize = 256;

/// How often the driver reads its clock although nobody asks for anything: 1 minute.
pub const TICK_EVERY: Duration = Duration::from_secs(60);

/// After so long without a look at the journal's head the driver looks before it decides: 1 second.
/// Where one gateway works and another one waits, the second then stands on what the first did.
pub const FOLLOW_EVERY: Duration = Duration::from_secs(1);

/// How much longer than the gateway that appended last another one waits before it does what is
/// due, and how long nothing must have been appended then: 10 seconds. Both at once would cost one
/// of them its kernel.
pub const FOLLOWER_WAITS: Duration = Duration::from_secs(10);

/// And so much more, drawn by each gateway, so that two that wait do not act at once: 5 seconds.
pub const FOLLOWER_DRAW: Duration = Duration::from_secs(5);

/// Less than `most`, drawn from the seed of this run: the same for the same `what`.
#[must_use]
pub fn drawn(seed: &[u8; 32], what: &str, most: Duration) -> Duration {
    let mut drawn = [0; 8];
    blake3::Hasher::new_keyed(seed)
        .update(what.as_bytes())
        .finalize_xof()
        .fill(&mut drawn);
    let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(u64::from_be_bytes(drawn) % millis)
}

/// How often old idempotency keys are looked for: 1 hour.
pub const EVICT_EVERY: Duration = Duration::from_secs(3_600);

/// How long the driver asks nothing of a domain that rejected a command of its own: 1 minute, and
/// twice as long after each further one. Each try is an entry of the journal.
pub const OWN_PAUSE_MIN: Duration = Duration::from_secs(60);
/// The longest such pause: 1 hour.
pub const OWN_PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// How long a commit that wrote nothing is tried again before the gateway ends: 1 minute, so
/// that the stall of a disk ends nothing. Whoever waits goes on waiting.
pub const COMMIT_WITHIN: Duration = Duration::from_secs(60);

/// The pause between two tries of [`COMMIT_WITHIN`].
pub const COMMIT_PAUSE: Duration = Duration::from_millis(200);

/// How long one commit of whoever fills a folder, or catches up before it serves, waits for a busy
/// store: 5 minutes. Nobody is waiting for an answer.
pub const STALL_WITHIN: Duration = Duration::from_secs(300);

/// The first pause between two tries of [`STALL_WITHIN`]; each is twice as long as the one before.
pub const STALL_PAUSE_MIN: Duration = Duration::from_millis(5);

/// The longest of them.
pub const STALL_PAUSE_MAX: Duration = COMMIT_PAUSE;

/// How often free space is looked at.
pub const DISK_LOOK_EVERY: Duration = Duration::from_secs(2);

/// Commands are refused so far above the reserve, below which the store refuses commits: what
/// is written between two looks fits into it.
pub const DISK_HEADROOM_BYTES: u64 = 64 * 1024 * 1024;

/// How often the tables are looked at for `/metrics`, at most: 2 seconds. An idle gateway has a turn
/// each second, when its outbox is looked at.
pub const TABLES_EVERY: Duration = Duration::from_secs(2);

/// Notices in the outbox that are counted for `/metrics`.
pub const OUTBOX_COUNTED_MAX: u64 = 1_000;

/// How long after all balances were added up for `/metrics` that is begun again: 5 minutes.
pub const BALANCES_EVERY: Duration = Duration::from_secs(300);

/// Accounts that are added up at once, since the driver does nothing else meanwhile: a few milliseconds.
pub const BALANCES_AT_ONCE: usize = ACCOUNTS_AT_ONCE_MAX;

/// And how long after the begin of that turn the next ones are due, also where nobody asks for anything: 100
/// milliseconds, so a million accounts take two minutes. A turn that takes longer is followed by the next ones.
pub const BALANCES_PAUSE: Duration = Duration::from_millis(100);

/// How often whoever waits for the end of a start, or for a place in the queue to see whether the
/// driver turns, looks again: 50 milliseconds.
pub const PULSE_LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long a start waits for an address that another process still has, or that is not there yet: 10
/// seconds. It ends in an exit code that a supervisor leaves to a person.
pub const LISTEN_WITHIN: Duration = Duration::from_secs(10);

/// The pause between two tries of [`LISTEN_WITHIN`].
pub const LISTEN_PAUSE: Duration = Duration::from_millis(200);

/// Connections at once to the operators' address.
pub const ADMIN_CONNECTIONS_MAX: usize = 16;

/// How long a server that stops waits for answers that are under way: 10 seconds.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

const _: () = assert!(
    QUEUE_MAX * BODY_BYTES_MAX <= 1024 * 1024 * 1024,
    "what waits has a bound in memory"
);
const _: () = assert!(
    DISK_HEADROOM_BYTES >= 2 * BATCH_BYTES_MAX as u64,
    "a look that is a little old costs no commit"
);
const _: () = assert!(
    BATCH_INPUTS_MAX < GROUP_COMMANDS_MAX,
    "a turn of the driver is one group, with room for what is due"
);
const _: () = assert!(
    (TICK_EVERY.as_millis() as i64) < JUMP_MS_MAX / 10,
    "an idle gateway takes its own clock"
);
