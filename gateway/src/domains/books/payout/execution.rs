//! On which day a bank may be asked to pay.

use super::PayoutError;
use crate::domains::books::day::Day;

/// How far ahead that day may lie: a year, of 366 days at most.
pub const EXECUTION_DAYS_AHEAD_MAX: u32 = 366;

/// Whether a batch that is yet to be recorded may name this day, where it is `today` in Bangkok. Asked at the edges,
/// before the command: what was recorded once stays, whatever day it names, and a retry of it comes when it likes.
///
/// # Errors
/// [`PayoutError::Execution`].
pub fn check_execution(day: Day, today: Day) -> Result<(), PayoutError> {
    let why = if !day.is_of_common_era() {
        "its year is none of the Common Era (take 543 from one of the Buddhist Era)"
    } else if day < today {
        "it is over in Bangkok"
    } else if day.0 - today.0 > EXECUTION_DAYS_AHEAD_MAX {
        "it is more than 366 days ahead"
    } else {
        return Ok(());
    };
    Err(PayoutError::Execution { day, why })
}
