//! How much of bodies is held at once: a budget for all, and of it a share for each key, so that
//! one writer with many slow bodies keeps no other from being read. What is beyond is turned
//! away, and nobody waits for a place.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What the bodies of one key may hold, within the budget of all.
#[derive(Debug, Clone)]
pub struct Share {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

impl Share {
    /// Shares of `own_bytes` each, in one budget of `all_bytes`.
    pub fn divide(all_bytes: usize, own_bytes: usize) -> impl Iterator<Item = Self> {
        let all = Arc::new(Semaphore::new(all_bytes));
        std::iter::repeat_with(move || Self {
            own: Arc::new(Semaphore::new(own_bytes)),
            all: Arc::clone(&all),
        })
    }

    /// A body of which nothing is there yet.
    #[must_use]
    pub fn begin(&self) -> Held<'_> {
        Held {
            share: self,
            taken: None,
        }
    }
}

/// What one body holds; it is given back with it.
#[derive(Debug)]
pub struct Held<'s> {
    share: &'s Share,
    /// Of the share, and of the budget.
    taken: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Held<'_> {
    /// Takes so many bytes more, if share and budget have them.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else {
            return false;
        };
        let take = |from: &Arc<Semaphore>| Arc::clone(from).try_acquire_many_owned(bytes).ok();
        let Some((own, all)) = take(&self.share.own).zip(take(&self.share.all)) else {
            return false;
        };
        match &mut self.taken {
            Some((of_own, of_all)) => {
                of_own.merge(own);
                of_all.merge(all);
            }
            None => self.taken = Some((own, all)),
        }
        true
    }
}
