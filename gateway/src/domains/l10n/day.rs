//! To which day something belongs.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use khlong_crdt::time::UnixMillis;

/// Bangkok keeps one offset all year, and has since 1920. As a constant it makes replay independent of
/// the time zones that a machine has installed.
const BANGKOK: Offset = Offset::constant(7);

/// The calendar day of Bangkok: it begins at 00:00 there, 17:00 UTC of the day before.
///
/// Times beyond the years -9999 to 9999 belong to the first or the last day of those.
#[must_use]
pub fn business_day(at: UnixMillis) -> Date {
    let outermost = if at.0 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let at = Timestamp::from_millisecond(at.0).unwrap_or(outermost);
    BANGKOK.to_datetime(at).date()
}
