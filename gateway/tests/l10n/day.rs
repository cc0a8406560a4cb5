//! Where a day of the ledger begins.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::l10n::business_day;
use proptest::prelude::*;

fn day_of(text: &str) -> Date {
    let at: Timestamp = text.parse().unwrap();
    business_day(UnixMillis(at.as_millisecond()))
}

#[test]
fn a_day_begins_at_midnight_in_bangkok() {
    assert_eq!(day_of("2024-02-28T16:59:59.999Z"), date(2024, 2, 28));
    assert_eq!(day_of("2024-02-28T17:00:00Z"), date(2024, 2, 29));
    assert_eq!(day_of("2024-02-29T16:59:59.999Z"), date(2024, 2, 29));
    assert_eq!(day_of("2024-02-29T17:00:00Z"), date(2024, 3, 1));
    assert_eq!(day_of("2026-12-31T17:00:00Z"), date(2027, 1, 1));
    assert_eq!(day_of("1969-12-31T16:59:59.999Z"), date(1969, 12, 31));
}

#[test]
fn times_that_no_calendar_has_are_no_reason_to_panic() {
    assert_eq!(business_day(UnixMillis(i64::MAX)), Date::MAX);
    assert_eq!(business_day(UnixMillis(i64::MIN)), date(-9999, 1, 2));
}

proptest! {
    /// Every moment is in exactly one day, and days follow each other.
    #[test]
    fn a_later_time_is_in_no_earlier_day(at in 0..4_102_444_800_000_i64, later in 0..200_000_000_i64) {
        let (first, second) = (business_day(UnixMillis(at)), business_day(UnixMillis(at + later)));
        prop_assert!(first <= second);
        let whole_days = i32::try_from((at + 25_200_000).div_euclid(86_400_000)).unwrap();
        prop_assert_eq!(first.since(date(1970, 1, 1)).unwrap().get_days(), whole_days);
    }
}
