//! What people see of answers, alike in lines of text and on a terminal's screen.

use crate::api::Delivery;

/// Characters of an id that people see: prefix and 40 bits.
const ID_CHARACTERS: usize = 12;

/// The start of an id, enough to name it on the command line.
pub(crate) fn short(id: &str) -> &str {
    id.get(..ID_CHARACTERS.min(id.len())).unwrap_or(id)
}

/// How far a message has come, as a word.
pub(crate) fn delivery(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Queued => "queued",
        Delivery::Stored => "stored",
        Delivery::Delivered => "delivered",
        Delivery::Read => "read",
        Delivery::Dropped => "dropped",
        Delivery::Refused => "refused",
        Delivery::Received => "received",
    }
}

/// Text of strangers, so that a terminal shows it and does not obey it: what
/// [`is_obeyed`] is written as `\u{…}`.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_obeyed(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Control characters (C0, DEL, C1), the invisible ones that turn the direction of
/// writing (UAX #9), and what separates lines and paragraphs.
pub(crate) fn is_obeyed(c: char) -> bool {
    let direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}');
    c.is_control() || direction || matches!(c, '\u{2028}' | '\u{2029}')
}
