//! What the address asks for behind its `?`.

use std::collections::BTreeMap;

use super::fields::DayText;
use crate::http::ledger::number::parse;
use crate::http::problem::Problem;

/// The pairs of a query, each of a name that is known, and once.
pub(super) struct Query<'q>(BTreeMap<&'q str, &'q str>);

impl<'q> Query<'q> {
    pub(super) fn parse(query: Option<&'q str>, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs = BTreeMap::new();
        let parts = query.unwrap_or_default().split('&');
        for pair in parts.filter(|pair| !pair.is_empty()) {
            let pair = pair
                .split_once('=')
                .filter(|(name, _)| known.contains(name));
            let is_new = pair.is_some_and(|(name, value)| pairs.insert(name, value).is_none());
            if !is_new {
                let known = known.join("`, `");
                return Err(Problem::malformed(format!(
                    "only `{known}` are known here, each once"
                )));
            }
        }
        Ok(Self(pairs))
    }

    /// A value, if it is there.
    pub(super) fn get<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        rule: &str,
    ) -> Result<Option<T>, Problem> {
        match self.0.get(name) {
            None => Ok(None),
            Some(text) => match read(text) {
                Some(value) => Ok(Some(value)),
                None => Err(Problem::malformed(format!("`{name}` is {rule}"))),
            },
        }
    }

    pub(super) fn day(&self, name: &str) -> Result<Option<DayText>, Problem> {
        let read = |text: &str| text.parse().ok().map(DayText);
        self.get(name, read, "a day, as 2026-11-27")
    }

    /// Items of a page: as many if not said, and at most so many.
    pub(super) fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        let read = |text: &str| parse(text).filter(|limit| (1..=max).contains(limit));
        let limit = self.get("limit", read, &format!("a number from 1 to {max}"))?;
        Ok(limit.unwrap_or(default))
    }
}
