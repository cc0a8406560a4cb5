//! What all accounts come to, for the page: read a part at a time, with the balances of one entry of the journal.

use std::time::{Duration, Instant};

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::journal::Head;
use tokio::sync::oneshot;

use super::closes::Closes;
use crate::app::limits::BALANCES_AT_ONCE;
use crate::app::{Committed, Handle};
use crate::domains::ledger::{Asset, Count, Totals, asset};
use crate::http::limits::{PAGE_AGE_MAX, PAGE_PAUSE, PAGE_REST, PAGE_TRIES};
use crate::http::problem::Problem;
use crate::http::service::unreadable;

/// The books at one entry of the journal.
pub(super) struct Books {
    pub(super) head: Head,
    pub(super) time: UnixMillis,
    pub(super) assets: Vec<(u32, Option<Asset>, Totals)>,
    pub(super) closes: Closes,
    read_at: Instant,
    /// How long the driver did nothing else.
    cost: Duration,
}

impl Books {
    pub(super) fn is_fresh(&self) -> bool {
        let age_max = PAGE_AGE_MAX.max(self.cost.saturating_mul(PAGE_REST));
        self.read_at.elapsed() < age_max
    }
}

/// The books of which some accounts are added up: as of the entry at which that was begun.
pub(super) struct Draft {
    head: Head,
    time: UnixMillis,
    closes: Closes,
    count: Count,
    cost: Duration,
}

/// What one look at the accounts leaves.
pub(super) enum Made {
    /// More accounts are to come. How long the driver did nothing else for these.
    Part(Draft, Duration),
    Whole(Books),
}

impl Draft {
    pub(super) fn begin(committed: &Committed<'_>) -> Result<Made, StoreError> {
        let began = Instant::now();
        let draft = Self {
            head: committed.head,
            time: committed.time,
            closes: Closes::read(committed)?,
            count: Count::after(committed.head.seq),
            cost: Duration::ZERO,
        };
        draft.go_on(committed, began)
    }

    fn go_on(mut self, committed: &Committed<'_>, began: Instant) -> Result<Made, StoreError> {
        let is_whole = self.count.step(committed.store, BALANCES_AT_ONCE)?;
        let took = began.elapsed();
        self.cost += took;
        if !is_whole {
            return Ok(Made::Part(self, took));
        }
        let mut assets = Vec::new();
        for (ledger, totals) in self.count.totals() {
            assets.push((*ledger, asset(committed.store, *ledger)?, *totals));
        }
        Ok(Made::Whole(Books {
            head: self.head,
            time: self.time,
            assets,
            closes: self.closes,
            read_at: Instant::now(),
            cost: self.cost,
        }))
    }
}

pub(super) type Reading = oneshot::Receiver<Result<Made, StoreError>>;

/// Some accounts at a time. Between two times the driver is left to others for as long as the first took. A queue
/// that is full now and then does not make all that was read be read anew.
pub(super) async fn make(handle: &Handle, mut reading: Reading) -> Result<Books, Problem> {
    loop {
        let made = reading.await.map_err(|_| handle.unread())?;
        let (draft, took) = match made.map_err(|error| unreadable(&error))? {
            Made::Whole(books) => return Ok(books),
            Made::Part(draft, took) => (draft, took),
        };
        tokio::time::sleep(took).await;
        reading = handle
            .go_on_reading(
                move |committed| draft.go_on(committed, Instant::now()),
                PAGE_TRIES,
                PAGE_PAUSE,
            )
            .await?;
    }
}
