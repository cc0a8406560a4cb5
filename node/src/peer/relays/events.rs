//! What a session tells: each event where it is dealt with.

use khlong_crdt::class::Class;
use khlong_crdt::id::{LogId, RelayKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_store::tables::cursors;
use khlong_sync::session::input::Input;
use khlong_sync::session::output::Event as SessionEvent;
use khlong_sync::wire::code::ErrorCode;

use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::links::Link;

impl Peer {
    /// What a session tells, and what it is to be told in turn.
    pub(super) fn session_event(
        &mut self,
        now: Now,
        relay: RelayKey,
        event: SessionEvent,
    ) -> Result<Vec<Input>, NodeError> {
        match event {
            SessionEvent::Ready { hello, .. } => {
                self.ready(now, relay, hello.log)?;
                Ok(Vec::new())
            }
            SessionEvent::Pushed {
                class,
                backfill,
                entries,
                cursor,
            } => {
                self.note_pushed(now.wall, relay, &entries);
                self.pushed(now, relay, (class, backfill), &entries, cursor)
            }
            SessionEvent::Subscribed {
                class,
                cursor,
                rewound,
                refused,
                positions,
                ..
            } => {
                self.rewound(relay, class, rewound)?;
                self.subscribed(relay, class, cursor, positions)?;
                self.not_subscribed(relay, class, rewound, refused);
                Ok(Vec::new())
            }
            SessionEvent::SubscriptionEnded {
                timeline,
                class,
                code,
                position,
            } => {
                if let Some(upto) = position {
                    self.with_batch(|batch| {
                        cursors::put_backfill(batch, &relay, &timeline, class, upto)
                    })?;
                }
                if let Some(code) = code {
                    tracing::warn!(%timeline, %code, "the relay ended a subscription");
                    self.not_shown(relay, timeline, class);
                } else {
                    self.merged(relay, timeline, class);
                }
                Ok(Vec::new())
            }
            SessionEvent::CaughtUp { class, cursor } => {
                self.with_batch(|batch| cursors::put(batch, &relay, class, &cursor))?;
                self.set_caught_up(relay, class, true);
                Ok(Vec::new())
            }
            SessionEvent::BackfillDone { timeline, class } => {
                self.with_batch(|batch| cursors::remove_backfill(batch, &relay, &timeline, class))?;
                self.merged(relay, timeline, class);
                Ok(Vec::new())
            }
            SessionEvent::Acked {
                request,
                outcomes,
                proofs,
            } => {
                self.acked(now, relay, request, &outcomes, &proofs)?;
                Ok(Vec::new())
            }
            SessionEvent::Refused {
                request,
                code,
                message,
                retry_after_ms,
            } => {
                tracing::warn!(?code, %message, "the relay refused a request");
                self.request_refused(now, relay, request, code, retry_after_ms)?;
                Ok(Vec::new())
            }
            SessionEvent::Totals {
                class,
                backfill,
                totals,
            } => {
                if let Some(live) = self.links.get_mut(&relay).and_then(Link::live) {
                    live.announced = live.announced.saturating_add(totals.envelopes);
                }
                if backfill.is_none() {
                    self.set_caught_up(relay, class, false);
                }
                Ok(Vec::new())
            }
            SessionEvent::Behind { class, .. } => {
                self.set_caught_up(relay, class, false);
                Ok(Vec::new())
            }
            SessionEvent::Proved { .. }
            | SessionEvent::Goodbye { .. }
            | SessionEvent::Ephemeral { .. }
            | SessionEvent::Watching { .. }
            | SessionEvent::Unwatched { .. }
            | SessionEvent::Append { .. } => Ok(Vec::new()),
        }
    }

    /// The handshake is over.
    fn ready(
        &mut self,
        now: Now,
        relay: RelayKey,
        log: Option<(LogId, u32)>,
    ) -> Result<(), NodeError> {
        if let Some(log) = log {
            self.meet_log(relay, log)?;
        }
        if let Some(link) = self.links.get_mut(&relay) {
            link.last_error = None;
            link.wrong_key = false;
            if let Some(live) = link.live() {
                live.ready = true;
                live.ready_at = Some(now.monotonic);
            }
            self.tell_relay(relay);
        }
        Ok(())
    }

    /// What the relay does not show. Each lane says it of its class.
    fn not_subscribed(
        &mut self,
        relay: RelayKey,
        class: Class,
        rewound: bool,
        refused: Vec<(TimelineId, ErrorCode)>,
    ) {
        for (timeline, code) in refused {
            tracing::warn!(%timeline, %code, "the relay refused a subscription");
            self.not_shown(relay, timeline, class);
            // Once the relay knows it again, it is asked for again; one lane is enough to say so.
            if rewound
                && class == Class::Control
                && let Some(live) = self.links.get_mut(&relay).and_then(Link::live)
            {
                live.subscribed.remove(&timeline);
            }
        }
    }
}
