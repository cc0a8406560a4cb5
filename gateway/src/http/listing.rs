//! Lists that are read behind a key, a page at a time.

use axum::http::HeaderMap;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;

use super::keys::Scheme;
use super::problem::Problem;
use super::query::{Query, cut};
use super::service::Shared;

/// Gives at most so many items behind a key.
type Read<K, T> = fn(&dyn Rows, Option<K>, usize) -> Result<Vec<T>, StoreError>;

/// A list: what a cursor of it is, and how many items a page has.
pub(super) struct Listing<K> {
    pub(super) cursor: fn(&str) -> Option<K>,
    /// What `after` is, for whoever wrote something else.
    pub(super) rule: &'static str,
    pub(super) default: usize,
    pub(super) max: usize,
}

impl<K: Send + 'static> Listing<K> {
    /// For whoever may read: the items of the page that `query` asks for, and the cursor of the last one if there are
    /// more.
    pub(super) async fn page<T: Send + 'static, C>(
        self,
        service: &Shared,
        headers: &HeaderMap,
        query: Option<&str>,
        read: Read<K, T>,
        cursor: impl FnOnce(&T) -> C,
    ) -> Result<(Vec<T>, Option<C>), Problem> {
        service.admit(headers, Scheme::Bearer)?;
        let query = Query::parse(query, &["after", "limit"])?;
        let after = query.get("after", self.cursor, self.rule)?;
        let limit = query.limit(self.default, self.max)?;
        let found = service
            .read(move |committed| read(committed.store, after, limit + 1))
            .await?;
        Ok(cut(found, limit, cursor))
    }
}
