//! LINE: the shapes that phones and the desktop app write.

use std::fs;

use khlong_node::import::{Network, SkipReason, parse_line};
use proptest::prelude::*;

use crate::{all_told, keys, line_file, skips, testdata};

#[test]
fn thai_group_export() {
    let parsed = line_file("line-th-group.txt");
    assert_eq!(parsed.title.as_deref(), Some("ตลาดริมคลอง"));
    assert_eq!(
        all_told(&parsed),
        [
            "2025-11-28T01:55:00Z มะลิ: สวัสดีค่ะทุกคน",
            "2025-11-28T01:55:00Z ต้น: หวัดดีครับ 🙏",
            "2025-11-28T02:00:00Z ต้น: [รูป]",
            "2025-11-28T02:01:00Z มะลิ: [สติกเกอร์]",
            "2025-11-28T02:02:00Z มะลิ: รายการของวันนี้\n1. กล้วยแขก 20 ถุง\n2. ชาเย็น\n\nป้าบอกว่า \"ห้ามลืมน้ำแข็ง\"",
            "2025-11-28T02:03:00Z ต้น: \"โอเค\" ใช่ไหม",
            "2025-11-28T02:03:00Z ต้น: 555",
            "2025-11-28T02:03:00Z ต้น: 555",
            "2025-11-28T02:05:00Z มะลิ: ตาราง\tราคา\t15",
            "2025-11-28T17:05:00Z ต้น: ยังไม่นอนเหรอ",
            "2025-11-29T00:15:00Z มะลิ: \"คำพูดที่ไม่ปิด",
            "2025-11-29T00:16:00Z มะลิ: ลืมปิดเครื่องหมาย",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [
            (5, SkipReason::JoinOrPart),
            (18, SkipReason::Unsent),
            (23, SkipReason::JoinOrPart),
            (24, SkipReason::SystemLine),
        ]
    );
    assert_eq!(parsed.skipped[1].excerpt, "09:04 ต้น ยกเลิกข้อความ");
    assert_eq!(&*parsed.skipped[1].file, "line-th-group.txt");
    assert_eq!(parsed.messages[4].line, 10, "the first line of several");
    assert_eq!(parsed.messages[5].line, 15);
    assert!(parsed.messages.iter().all(|m| m.network == Network::Line));
    assert_ne!(
        parsed.messages[6].import_key, parsed.messages[7].import_key,
        "two equal messages of one minute are two messages"
    );
}

#[test]
fn thai_direct_export() {
    let parsed = line_file("line-th-direct.txt");
    assert_eq!(parsed.title.as_deref(), Some("สมชาย ใจดี"));
    assert_eq!(
        all_told(&parsed),
        [
            "2025-12-31T17:00:00Z สมชาย ใจดี: สวัสดีปีใหม่ 🎉",
            "2025-12-31T17:01:00Z มะลิ: เช่นกันค่ะ ขอให้รวย ๆ",
            "2026-01-01T01:05:00Z สมชาย ใจดี: ตื่นยัง",
            "2026-01-01T01:06:00Z มะลิ: ☎ เวลาโทร 1:05",
            "2026-01-02T13:59:00Z สมชาย ใจดี: น้ำท่วมที่กิ่งแก้ว",
        ]
    );
    assert_eq!(skips(&parsed), []);
}

#[test]
fn english_export_with_bom_crlf_and_twelve_hours() {
    let parsed = line_file("line-en.txt");
    assert_eq!(parsed.title.as_deref(), Some("Study Group"));
    assert_eq!(
        all_told(&parsed),
        [
            "2025-11-28T03:05:00Z Mali: Morning! Who has the notes?",
            "2025-11-28T03:06:00Z Somchai: [Photo]",
            "2025-11-28T05:00:00Z Ton: Lunch?",
            "2025-11-27T17:30:00Z Ton: this clock went backwards, still kept",
            "2025-11-28T16:59:00Z Mali: Two lines\nof \"notes\"",
            "2025-11-28T18:07:00Z Ton: late",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [
            (5, SkipReason::JoinOrPart),
            (12, SkipReason::Unsent),
            (16, SkipReason::BadTimestamp),
            (17, SkipReason::EmptyBody),
            (18, SkipReason::JoinOrPart),
        ]
    );
}

#[test]
fn desktop_export_without_title_and_tabs() {
    let parsed = line_file("line-dots-th.txt");
    assert_eq!(parsed.title, None);
    assert_eq!(
        all_told(&parsed),
        [
            "2025-05-15T01:35:00Z พี่ ต้น: เปิดร้านแล้วครับ",
            "2025-05-15T01:36:00Z มะลิ: ครับ รอแป๊บ",
            "2025-05-15T01:37:00Z พี่ ต้น: รูป",
            "2025-05-15T01:38:00Z พี่ นก: ขอเมนูหน่อย",
            "2025-05-15T01:39:00Z พี่ ต้น: สติกเกอร์",
            "2025-05-15T01:41:00Z พี่ นก: มีอะไรบ้าง",
            "2025-05-15T01:42:00Z มะลิ: มีข้าวเหนียว\nกับหมูปิ้ง\n\nไม้ละ 10 บาท",
            "2025-05-15T01:43:00Z พี่ นก: เอา 5 ไม้",
            "2025-05-15T01:44:00Z พี่ นก: กี่โมงดี",
            "2025-05-15T01:45:00Z พี่ ต้น: นัดกันแบบนี้\n07:30 ตั้งร้าน\n08:00 เปิดขาย",
            "2025-05-15T01:46:00Z พี่ นก: โอเค",
            "2025-05-15T01:47:00Z พี่ ต้น: ตารางราคา\t10\t20",
            "2025-05-15T01:49:00Z มะลิ: เดี๋ยวเขา ออกจากกลุ่ม",
            "2025-05-16T02:00:00Z มะลิ: เรียบร้อยค่ะ",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [(7, SkipReason::Unsent), (20, SkipReason::JoinOrPart)]
    );
}

#[test]
fn desktop_file_name_gives_the_title_and_the_name() {
    let parsed = parse_line(
        "downloads/[LINE]Somchai Jaidee.txt",
        "2017.09.03 Sunday\n16:23 Somchai Jaidee Hi\n16:24 Mali Hello there\n".as_bytes(),
    )
    .unwrap();
    assert_eq!(parsed.title.as_deref(), Some("Somchai Jaidee"));
    assert_eq!(
        all_told(&parsed),
        [
            "2017-09-03T09:23:00Z Somchai Jaidee: Hi",
            "2017-09-03T09:24:00Z Mali: Hello there",
        ]
    );
}

#[test]
fn slashes_and_a_date_that_is_none() {
    let parsed = line_file("line-slashes.txt");
    assert_eq!(
        all_told(&parsed),
        [
            "2024-01-15T03:30:00Z Somchai: Hello",
            "2024-01-15T03:30:00Z Somchai: Hello",
            "2024-01-15T03:31:00Z Mali: [Sticker]",
            "2024-01-16T02:00:00Z Mali: อรุณสวัสดิ์",
            "2024-01-16T02:01:00Z Mali: no quotes\nbut a second line",
            "2024-01-17T02:00:00Z Somchai: พุทธศักราช",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [
            (4, SkipReason::NoDate),
            (17, SkipReason::BadTimestamp),
            (18, SkipReason::NoDate),
        ]
    );
}

#[test]
fn the_demo_conversation() {
    let bytes = fs::read(testdata("demo/conversation-th-en.txt")).unwrap();
    let parsed = parse_line("conversation-th-en.txt", &bytes).unwrap();
    assert_eq!(parsed.title.as_deref(), Some("แผงริมคลอง 🛶"));
    let senders: Vec<(&str, usize)> = parsed.senders().into_iter().collect();
    assert_eq!(senders, [("Somchai", 36), ("ต้น", 42), ("มะลิ", 44)]);
    assert_eq!(
        skips(&parsed),
        [
            (5, SkipReason::SystemLine),
            (6, SkipReason::JoinOrPart),
            (7, SkipReason::JoinOrPart),
            (83, SkipReason::Unsent),
        ]
    );
    assert_eq!(parsed.lossy_lines, 0);
    assert_eq!(keys(&parsed).len(), 122);
    let multi_line = parsed.messages.iter().filter(|m| m.body.contains('\n'));
    assert_eq!(multi_line.count(), 3);
    assert!(
        parsed
            .messages
            .iter()
            .any(|m| m.body.contains("\"หยิบมือเดียว\""))
    );
    assert!(
        parsed.messages.is_sorted_by_key(|m| m.sent_at_ms),
        "two days in order"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_people_write_comes_back_whole(
        bodies in proptest::collection::vec("[a-zก-์ 🛶\"0-9]{0,20}(\n[a-zก-์🛶\"]{1,9}){1,3}", 1..12),
    ) {
        let mut export = String::from("[LINE] Chat history with X\nSaved on: 2025/11/28 21:00\n\n2025/11/28(Fri)\n");
        for body in &bodies {
            export.push_str(&format!("08:55\tMali\t\"{}\"\n", body.replace('"', "\"\"")));
        }
        let parsed = parse_line("chat.txt", export.as_bytes()).unwrap();
        let read: Vec<&String> = parsed.messages.iter().map(|m| &m.body).collect();
        prop_assert_eq!(read, bodies.iter().collect::<Vec<_>>());
        prop_assert!(parsed.skipped.is_empty());
    }
}
