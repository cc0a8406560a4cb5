//! The days of the books.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use khlong_crdt::time::UnixMillis;

use crate::domains::l10n::business_day;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Bangkok is seven hours ahead of UTC, all year; see `l10n`.
const BANGKOK_MS: i64 = 7 * 60 * 60 * 1_000;

/// Years of the Buddhist Era are 543 ahead, so from here on it is one of them that is written.
const COMMON_ERA_YEAR_MAX: i16 = 2_400;

/// A calendar day of Bangkok, counted from 1 January 1970. It begins at 00:00 there.
///
/// What was before the first day belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Day(pub u32);

impl Day {
    /// The day in which that moment lies.
    #[must_use]
    pub fn of(at: UnixMillis) -> Self {
        let days = at.0.saturating_add(BANGKOK_MS).div_euclid(DAY_MS).max(0);
        Self(u32::try_from(days).unwrap_or(u32::MAX))
    }

    /// The day with that date; `None` before 1970.
    #[must_use]
    pub fn from_date(date: Date) -> Option<Self> {
        let hours = date.duration_since(Date::constant(1970, 1, 1)).as_hours();
        u32::try_from(hours.div_euclid(24)).ok().map(Self)
    }

    /// Its date; 31 December 9999 for all that are later.
    #[must_use]
    pub fn date(self) -> Date {
        // 00:00 UTC is 07:00 of the same day in Bangkok.
        business_day(UnixMillis(i64::from(self.0) * DAY_MS))
    }

    /// Whether its year can be meant as one of the Common Era. A year of the Buddhist Era that was written by habit
    /// cannot: nothing in these books is of the 25th century.
    #[must_use]
    pub fn is_of_common_era(self) -> bool {
        self.date().year() < COMMON_ERA_YEAR_MAX
    }

    /// The first moment of it.
    #[must_use]
    pub fn start(self) -> UnixMillis {
        match self.0 {
            0 => UnixMillis(i64::MIN),
            days => UnixMillis(i64::from(days) * DAY_MS - BANGKOK_MS),
        }
    }

    /// The first moment after it.
    #[must_use]
    pub fn end(self) -> UnixMillis {
        match self.0 {
            u32::MAX => UnixMillis(i64::MAX),
            days => Self(days + 1).start(),
        }
    }

    /// The day after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// `2026-11-27`.
impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(formatter)
    }
}

/// What is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a day of the Common Era from 1970 on as 2026-11-27")]
pub struct NoDay;

/// `2026-11-27`.
impl FromStr for Day {
    type Err = NoDay;

    fn from_str(text: &str) -> Result<Self, NoDay> {
        let date: Option<Date> = text.parse().ok();
        date.filter(|_| text.len() == 10)
            .and_then(Self::from_date)
            .ok_or(NoDay)
    }
}
