//! The lines above the first date: whose chat it is and when it was saved.

const TITLE_PREFIXES: [&str; 6] = [
    "ประวัติการแชทในกลุ่ม",
    "ประวัติการแชทกับ",
    "ประวัติการสนทนากับ",
    "Chat history with",
    "Chat history in",
    "Chat with",
];

const SAVED_ON_PREFIXES: [&str; 5] = ["บันทึกเมื่อ", "บันทึกวันที่", "Saved on", "Save date", "Saved:"];

/// The group or person of a `[LINE] …` line, without the quotes around it.
pub(super) fn title(text: &str) -> Option<&str> {
    let text = text.trim().strip_prefix("[LINE]")?.trim();
    let name = TITLE_PREFIXES
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text)
        .trim();
    let unquoted = name
        .strip_prefix(['"', '“'])
        .and_then(|name| name.strip_suffix(['"', '”']));
    Some(unquoted.unwrap_or(name))
}

/// The desktop app puts the title only into the file's name: `[LINE]X.txt`.
pub(super) fn title_of_file_name(file_name: &str) -> Option<&str> {
    let name = file_name.rsplit(['/', '\\']).next()?;
    title(name.strip_suffix(".txt").unwrap_or(name))
}

pub(super) fn is_saved_on(text: &str) -> bool {
    let text = text.trim();
    SAVED_ON_PREFIXES
        .iter()
        .any(|prefix| text.starts_with(prefix))
}
