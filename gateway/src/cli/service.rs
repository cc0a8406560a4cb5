//! What a service manager is told, by systemd's protocol: ready, alive, stopping. Without
//! `NOTIFY_SOCKET` nobody is told anything.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

use crate::app::Handle;

/// How much more often it says that it is alive than the manager asks to be told: what is asked of the
/// driver late in that time would have too little of it left to wait for a disk and a database.
const TIMES_AS_OFTEN: u32 = 10;

/// Says that it serves when the journal is read, and from then on that it is alive for as long as
/// the driver's thread turns, [`TIMES_AS_OFTEN`] times as often as the manager asks to be told; a thread
/// that hangs is silence, and the manager starts the gateway anew.
pub(super) async fn report(handle: Handle) -> Infallible {
    if handle.is_ready().await {
        tell(NotifyState::Ready);
        alive(&handle).await;
    }
    std::future::pending().await
}

/// On the way out.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

async fn alive(handle: &Handle) {
    let asked = sd_notify::watchdog_enabled().filter(|within| !within.is_zero());
    let Some(within) = asked else {
        return;
    };
    let mut ticks = tokio::time::interval((within / TIMES_AS_OFTEN).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !handle.beat().await {
            return;
        }
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager is not to be reached at NOTIFY_SOCKET");
    }
}
