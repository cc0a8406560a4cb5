//! What the app itself writes into a chat: who came and went, and what was
//! taken back.

use super::super::SkipReason;

/// Whole texts after a name.
const EXACT: [(&str, SkipReason); 18] = [
    ("joined the group.", SkipReason::JoinOrPart),
    ("joined the group", SkipReason::JoinOrPart),
    ("joined the chat.", SkipReason::JoinOrPart),
    ("left the group.", SkipReason::JoinOrPart),
    ("left the group", SkipReason::JoinOrPart),
    ("left the chat.", SkipReason::JoinOrPart),
    ("เข้าร่วมกลุ่ม", SkipReason::JoinOrPart),
    ("เข้าร่วมกลุ่มแล้ว", SkipReason::JoinOrPart),
    ("ได้เข้าร่วมกลุ่ม", SkipReason::JoinOrPart),
    ("ออกจากกลุ่ม", SkipReason::JoinOrPart),
    ("ออกจากกลุ่มแล้ว", SkipReason::JoinOrPart),
    ("ได้ออกจากกลุ่ม", SkipReason::JoinOrPart),
    ("unsent a message.", SkipReason::Unsent),
    ("unsent a message", SkipReason::Unsent),
    ("ยกเลิกข้อความ", SkipReason::Unsent),
    ("ยกเลิกข้อความแล้ว", SkipReason::Unsent),
    ("ได้ยกเลิกข้อความ", SkipReason::Unsent),
    ("ยกเลิกการส่งข้อความ", SkipReason::Unsent),
];

/// Texts with another name inside.
const AROUND: [(&str, &str); 6] = [
    ("added ", " to the group."),
    ("invited ", " to the group."),
    ("removed ", " from the group."),
    ("เพิ่ม ", " เข้ากลุ่ม"),
    ("เชิญ ", " เข้ากลุ่ม"),
    ("ลบ ", " ออกจากกลุ่ม"),
];

/// The reason behind a line that has no sender field: the phrase it ends with.
pub(super) fn reason(text: &str) -> Option<SkipReason> {
    let exact = EXACT
        .iter()
        .find(|(phrase, _)| text.ends_with(phrase))
        .map(|(_, reason)| *reason);
    exact.or_else(|| around_anywhere(text).then_some(SkipReason::JoinOrPart))
}

/// The reason behind a text that stands after a sender: the whole text is a
/// phrase.
pub(super) fn reason_of_body(body: &str) -> Option<SkipReason> {
    EXACT
        .iter()
        .find(|(phrase, _)| body == *phrase)
        .map(|(_, reason)| *reason)
}

/// The same where spaces divide the fields, and the name may be cut wrongly.
/// What a known sender says around a phrase is a message; a phrase behind an
/// unknown name, or alone, is the app's.
pub(super) fn reason_of_spaced(rest: &str, body: &str, sender_known: bool) -> Option<SkipReason> {
    if sender_known {
        let around = AROUND
            .iter()
            .any(|(before, after)| body.starts_with(before) && body.ends_with(after));
        return reason_of_body(body).or_else(|| around.then_some(SkipReason::JoinOrPart));
    }
    reason_of_body(rest).or_else(|| {
        let ends = EXACT.iter().any(|(phrase, _)| {
            rest.strip_suffix(phrase)
                .is_some_and(|before| before.ends_with(' '))
        });
        if ends { reason(rest) } else { None }
            .or_else(|| around_anywhere(rest).then_some(SkipReason::JoinOrPart))
    })
}

/// Whether the app may have written this line; then it teaches no names.
pub(super) fn may_be_system(rest: &str) -> bool {
    reason(rest).is_some()
}

fn around_anywhere(text: &str) -> bool {
    AROUND
        .iter()
        .any(|(before, after)| text.contains(before) && text.ends_with(after))
}
