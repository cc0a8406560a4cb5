//! Why a bank rejects: codes of ISO 20022 (`ExternalStatusReason1Code`), as far as they decide something here.

/// What a bank's reasons come to. Of several, the last in this order counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Reason {
    /// None is given.
    #[default]
    None,
    /// It says that nothing of this is paid.
    Known,
    /// It says something else, or nothing (`NARR`, `MS03`).
    Other,
    /// The bank has had it before: it may be paid from there.
    Duplicate,
}

/// Account, bank, amount, currency, date, file format, limits and rules.
const KNOWN: [&str; 24] = [
    "AC01", "AC03", "AC04", "AC06", "AG01", "AG02", "AM01", "AM02", "AM03", "AM04", "AM06", "AM07",
    "AM10", "AM11", "AM12", "BE01", "BE04", "BE05", "CUST", "DT01", "FF01", "RC01", "RC04", "RR04",
];

/// Of a message, its payment information, its payments; in proprietary words too.
const DUPLICATE: [&str; 2] = ["AM05", "DU0"];

impl Reason {
    /// Takes note of one more.
    pub(super) fn add(&mut self, text: &str) {
        let text = text.to_ascii_uppercase();
        let is_duplicate = text.contains("DUP") || DUPLICATE.iter().any(|code| text.contains(code));
        let next = if is_duplicate {
            Self::Duplicate
        } else if KNOWN.contains(&text.as_str()) {
            Self::Known
        } else {
            Self::Other
        };
        *self = next.max(*self);
    }
}
