//! What a service manager is told, by systemd's protocol: ready, alive, stopping. Without
//! `NOTIFY_SOCKET` nobody is told anything.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

use crate::server::Pulse;

/// Clients and operators are served from here on.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// On the way out.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says so for as long as the hub's thread turns, twice as often as the manager asks to be
/// told; a thread that hangs is silence, and the manager starts the relay anew.
pub(super) async fn alive(pulse: Pulse) -> Infallible {
    let asked = sd_notify::watchdog_enabled().filter(|within| !within.is_zero());
    if let Some(within) = asked {
        let mut ticks = tokio::time::interval((within / 2).max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !pulse.beat().await {
                break;
            }
            tell(NotifyState::Watchdog);
        }
    }
    std::future::pending().await
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager is not to be reached at NOTIFY_SOCKET");
    }
}
