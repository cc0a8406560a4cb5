//! The connection to each relay: when to try, what is in flight, how far it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, EnvelopeId, LogId, TimelineId};
use khlong_crdt::time::Monotonic;
use khlong_sync::limits::{PARTIAL_FRAME_BYTES_PER_SECOND_MIN, RETRY_AFTER_MS_DEFAULT};
use khlong_sync::session::Session;

use super::outbox::Place;
use super::pauses::{PAUSE_MAX_MS, Pauses};
use super::relays::Portion;
use super::served::Served;
use super::views::rfc3339;
use crate::api::RelayView;

/// First pause after a failed attempt; doubled at each further one.
pub(crate) const RETRY_FIRST_MS: u64 = 250;
/// Longest pause: a relay that is back is found within ten seconds.
pub(crate) const RETRY_MAX_MS: u64 = 10_000;
const _: () = assert!(RETRY_FIRST_MS < RETRY_MAX_MS);
/// A connection that stood so long was none that fails at once.
pub(crate) const STANDS_MS: u64 = RETRY_MAX_MS;

/// Longest wait for the answer to an append that is on its way at once.
pub(crate) const ANSWER_MAX_MS: u64 = 60_000;
/// So slow may the way there be: the slowest frame that a relay waits for.
const APPEND_BYTES_PER_SECOND_MIN: u64 = PARTIAL_FRAME_BYTES_PER_SECOND_MIN;
const _: () = assert!(RETRY_MAX_MS < ANSWER_MAX_MS);

/// Where a connection stands.
pub(crate) enum LinkState {
    /// Nothing is tried: the node was told to stay offline.
    Off,
    /// The next attempt is at this moment.
    Waiting(Monotonic),
    /// The driver was asked to connect.
    Connecting,
    /// Frames flow.
    Up(Box<Live>),
}

/// What an append holds.
#[derive(Clone, Debug)]
pub(crate) enum Offered {
    /// Entries of the outbox.
    Queued(Vec<Place>),
    /// History for a relay that lost its log.
    Again(Portion),
}

/// A live connection.
pub(crate) struct Live {
    pub(crate) session: Session,
    pub(crate) exporter: [u8; 32],
    pub(crate) ready: bool,
    /// Since when it is.
    pub(super) ready_at: Option<Monotonic>,
    /// The one append that waits for its answer. One at a time keeps the order
    /// of a chain across priority classes; each takes what has gathered meanwhile.
    pub(crate) in_flight: Option<(u64, Offered)>,
    /// Counts only while something is in flight.
    answer_until: Option<Monotonic>,
    /// After a refusal that concerns the relay as a whole: nothing is offered before.
    pub(crate) offer_after: Option<Monotonic>,
    /// After refusals that concern one timeline.
    pub(crate) pauses: Pauses,
    /// Timelines for which the author key in use was proven here.
    pub(crate) proven: BTreeSet<TimelineId>,
    /// Timelines that were asked for here.
    pub(crate) subscribed: BTreeSet<TimelineId>,
    /// Those of them that the relay does not show.
    pub(crate) not_shown: BTreeSet<TimelineId>,
    /// Those that were asked for here after the relay had signed that the timeline leaves it, or
    /// had refused that for want of room.
    pub(crate) asked_last: BTreeSet<TimelineId>,
    /// The log that the relay named.
    pub(crate) log: Option<(LogId, u32)>,
    /// It is another than before, and what it had is offered again since this connection.
    pub(crate) offers_again: bool,
    /// The timeline of the last portion of that.
    pub(super) offered_again: Option<TimelineId>,
    /// The outbox has its turn before keys and permissions that are offered again.
    pub(super) outbox_first: bool,
    /// There was too much to look through at once.
    pub(super) look_again: Option<Monotonic>,
    /// A class stream takes its cursor once a connection, whatever is left later.
    pub(crate) has_subscribed: bool,
    /// A followed timeline still has to be asked for.
    pub(crate) lacks_subscription: bool,
    pub(crate) next_request: u64,
    /// Histories that are not here whole yet.
    pub(crate) backfilling: BTreeSet<(TimelineId, Class)>,
    /// Classes whose log is here up to the relay's head.
    pub(crate) caught_up: [bool; 4],
    /// Envelopes that the relay said it would send since it was connected to.
    pub(crate) announced: u64,
    /// How many have come, announced or written meanwhile.
    pub(crate) arrived: u64,
}

impl Live {
    pub(crate) fn new(session: Session, exporter: [u8; 32]) -> Self {
        Self {
            session,
            exporter,
            ready: false,
            ready_at: None,
            in_flight: None,
            answer_until: None,
            offer_after: None,
            pauses: Pauses::default(),
            proven: BTreeSet::new(),
            subscribed: BTreeSet::new(),
            not_shown: BTreeSet::new(),
            asked_last: BTreeSet::new(),
            log: None,
            offers_again: false,
            offered_again: None,
            outbox_first: false,
            look_again: None,
            has_subscribed: false,
            lacks_subscription: false,
            next_request: 1,
            backfilling: BTreeSet::new(),
            // Of a relay that carries nothing there is nothing to wait for.
            caught_up: [true; 4],
            announced: 0,
            arrived: 0,
        }
    }

    /// Whether everything that the relay has is here.
    pub(crate) fn is_caught_up(&self) -> bool {
        !self.lacks_subscription
            && self.backfilling.is_empty()
            && self.caught_up.iter().all(|done| *done)
    }

    /// Whether everything that the relay has of a timeline is here; of one that was not asked
    /// for, or that it does not show, nothing is known.
    pub(super) fn is_read(&self, timeline: TimelineId) -> bool {
        let mut backfilling = self.backfilling.iter();
        self.ready
            && self.subscribed.contains(&timeline)
            && !self.not_shown.contains(&timeline)
            && !backfilling.any(|(of, _)| *of == timeline)
            && self.caught_up.iter().all(|done| *done)
    }

    /// The relay has taken something of a timeline that it did not show: it may by now.
    pub(super) fn ask_again(&mut self, timeline: TimelineId) {
        if self.not_shown.remove(&timeline) {
            self.subscribed.remove(&timeline);
        }
    }

    /// Offers nothing for a while; returns how long, in milliseconds.
    pub(crate) fn pause(&mut self, now: Monotonic, asked_ms: Option<u32>) -> u64 {
        let pause_ms = u64::from(asked_ms.unwrap_or(RETRY_AFTER_MS_DEFAULT)).min(PAUSE_MAX_MS);
        self.offer_after = Some(now.after_ms(pause_ms));
        pause_ms
    }

    /// From now on the answer to an append of `bytes` bytes is waited for.
    pub(crate) fn expect_answer(&mut self, now: Monotonic, bytes: usize) {
        let way_ms = (bytes as u64).saturating_mul(1_000) / APPEND_BYTES_PER_SECOND_MIN;
        self.answer_until = Some(now.after_ms(ANSWER_MAX_MS.saturating_add(way_ms)));
    }

    /// When a relay that still answers pings, and never the append, is given up.
    pub(crate) fn answer_until(&self) -> Option<Monotonic> {
        self.answer_until.filter(|_| self.in_flight.is_some())
    }

    pub(crate) fn request(&mut self) -> u64 {
        let request = self.next_request;
        self.next_request = request.saturating_add(1);
        request
    }
}

/// Other addresses of a relay that are remembered.
const ELSEWHERE_MAX: usize = 4;

/// One relay.
pub(crate) struct Link {
    pub(crate) address: RelayAddress,
    /// Where else it may be: either it moved after it was added here, or after a link was made.
    pub(crate) elsewhere: VecDeque<RelayAddress>,
    pub(crate) token: Option<Vec<u8>>,
    pub(crate) state: LinkState,
    /// In a row, of attempts and of connections that led nowhere; see [`Link::note_useful`].
    pub(crate) failures: u32,
    pub(crate) last_error: Option<String>,
    /// Whether somebody with another key answered the last attempt.
    pub(crate) wrong_key: bool,
    /// When it last stored something and sent something, since the node started.
    pub(super) served: Served,
    /// Up to where keys and permissions were offered because it lacked a grant, by timeline
    /// that it carries; since the node started.
    pub(super) brought: BTreeMap<TimelineId, ArrivalSeq>,
    /// Keys and permissions of others that another relay has and this one has not shown.
    pub(super) unseen: Unseen,
}

/// See [`Link::unseen`]; since the node started.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    /// Where they arrived here.
    pub(super) arrivals: BTreeMap<(TimelineId, EnvelopeId), ArrivalSeq>,
    /// When they are offered, if it has not shown them by then.
    pub(super) until: Option<Monotonic>,
}

impl Link {
    pub(crate) fn new(address: RelayAddress, token: Option<Vec<u8>>, state: LinkState) -> Self {
        Self {
            address,
            elsewhere: VecDeque::new(),
            token,
            state,
            failures: 0,
            last_error: None,
            wrong_key: false,
            served: Served::default(),
            brought: BTreeMap::new(),
            unseen: Unseen::default(),
        }
    }

    /// Notes another address of the same relay, to be tried when the present one fails.
    pub(crate) fn may_be_at(&mut self, address: RelayAddress) {
        if self.address != address && !self.elsewhere.contains(&address) {
            if self.elsewhere.len() >= ELSEWHERE_MAX {
                self.elsewhere.pop_front();
            }
            self.elsewhere.push_back(address);
        }
    }

    /// After a failed attempt the next address is tried.
    pub(crate) fn turn_elsewhere(&mut self) {
        if let Some(next) = self.elsewhere.pop_front() {
            let failed = std::mem::replace(&mut self.address, next);
            self.elsewhere.push_back(failed);
        }
    }

    /// The connection has brought something new to either side: what went wrong before it is
    /// over. That it stands says nothing: a fault may follow every greeting.
    pub(super) fn note_useful(&mut self) {
        self.failures = 0;
    }

    /// Connects again at once.
    pub(super) fn begin_anew(&mut self) {
        self.state = LinkState::Waiting(Monotonic(0));
    }

    /// After a failed attempt or a lost connection.
    ///
    /// `jitter` (any number) spreads nodes that lost the same relay at the same moment.
    pub(crate) fn back_off(&mut self, now: Monotonic, reason: String, jitter: u64) {
        let ready_at = self.live().and_then(|live| live.ready_at);
        if ready_at.is_some_and(|at| at.after_ms(STANDS_MS) <= now) {
            self.failures = 0;
        }
        let pause = RETRY_FIRST_MS
            .saturating_mul(1 << self.failures.min(16))
            .min(RETRY_MAX_MS);
        self.failures = self.failures.saturating_add(1);
        self.last_error = Some(reason);
        self.state = LinkState::Waiting(now.after_ms(pause / 2 + jitter % (pause / 2 + 1)));
    }

    pub(crate) fn live(&mut self) -> Option<&mut Live> {
        match &mut self.state {
            LinkState::Up(live) => Some(live),
            LinkState::Off | LinkState::Waiting(_) | LinkState::Connecting => None,
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        match &self.state {
            LinkState::Waiting(at) => Some(*at),
            LinkState::Up(live) => live
                .session
                .next_deadline()
                .into_iter()
                .chain(live.offer_after)
                .chain(live.look_again)
                .chain(live.answer_until())
                .chain(live.pauses.next_deadline())
                .chain(self.unseen.until)
                .min(),
            LinkState::Off | LinkState::Connecting => None,
        }
    }

    pub(crate) fn view(&self) -> RelayView {
        let (state, caught_up) = match &self.state {
            LinkState::Off => ("off", false),
            LinkState::Waiting(_) => ("waiting", false),
            LinkState::Connecting => ("connecting", false),
            LinkState::Up(live) => ("connected", live.ready && live.is_caught_up()),
        };
        let probing = matches!(&self.state, LinkState::Up(live) if live.session.is_probing());
        let (announced, arrived) = match &self.state {
            LinkState::Up(live) => (live.announced, live.arrived),
            LinkState::Off | LinkState::Waiting(_) | LinkState::Connecting => (0, 0),
        };
        RelayView {
            address: self.address.to_string(),
            state: state.to_owned(),
            last_error: self.last_error.clone(),
            wrong_key: self.wrong_key,
            caught_up,
            probing,
            announced,
            arrived,
            reoffering: 0,
            reoffer_refused: None,
            lacking: 0,
            refused: 0,
            last_stored_at: self.served.any.stored.map(|at| rfc3339(at.0)),
            last_pushed_at: self.served.any.pushed.map(|at| rfc3339(at.0)),
        }
    }
}
