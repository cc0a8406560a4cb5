//! What the address asks for behind its `?`.

use std::collections::BTreeMap;

use khlong_crdt::time::UnixMillis;

use super::ledger::number::{parse, parse_moment};
use super::problem::Problem;
use crate::domains::books::Day;

/// In March 1973: seconds come to as much in the year 5138.
const MILLIS_MIN: i64 = 100_000_000_000;

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

    pub(super) fn day(&self, name: &str) -> Result<Option<Day>, Problem> {
        self.get(name, |text| text.parse().ok(), "a day, as 2026-11-27")
    }

    /// RFC 3339, or milliseconds since 1970. A small number is a slip: seconds, or a day without hyphens.
    pub(super) fn moment(&self, name: &str) -> Result<Option<UnixMillis>, Problem> {
        let read = |text: &str| {
            let Some(millis) = parse::<i64>(text) else {
                return parse_moment(&decoded(text)?);
            };
            let is_meant = millis == 0 || millis >= MILLIS_MIN;
            is_meant.then_some(UnixMillis(millis))
        };
        let rule = "a moment since 1970, as 2026-11-27T09:00:00+07:00 or in milliseconds (0, or from 100000000000 on)";
        self.get(name, read, rule)
    }

    /// Items of a page: as many if not said, and at most so many.
    pub(super) fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        let read = |text: &str| parse(text).filter(|limit| (1..=max).contains(limit));
        let limit = self.get("limit", read, &format!("a number from 1 to {max}"))?;
        Ok(limit.unwrap_or(default))
    }
}

/// Of items of which one more than a page was looked for: those of the page, and the cursor of the last one if there
/// are more.
pub(super) fn cut<T, C>(
    mut found: Vec<T>,
    limit: usize,
    cursor: impl FnOnce(&T) -> C,
) -> (Vec<T>, Option<C>) {
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(cursor);
    (found, next)
}

/// A value as its writer meant it: many write `%3A` for a colon. A plus is a plus, this is no form.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|it| char::from(it).to_digit(16));
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}
