//! LINE: what is a date, and which day it names.

use jiff::Timestamp;
use khlong_node::import::SkipReason;

use crate::{all_told, line_file, line_text, skips};

#[test]
fn english_dates_are_read_in_the_order_that_their_weekdays_fit() {
    let parsed = line_file("line-en-day-first.txt");
    assert_eq!(parsed.title.as_deref(), Some("Boat Crew"));
    assert_eq!(
        all_told(&parsed),
        [
            "2025-12-05T02:00:00Z Ton: the fifth of December",
            "2025-12-06T02:00:00Z Ton: and the sixth",
        ]
    );
    assert_eq!(
        skips(&parsed),
        [(8, SkipReason::BadTimestamp), (9, SkipReason::NoDate)]
    );
}

#[test]
fn every_date_shape_names_the_same_day() {
    for date in [
        "ศ. 28/11/2568",
        "วันศุกร์ 28/11/2568",
        "2025.11.28 วันศุกร์",
        "2568.11.28 วันศุกร์",
        "2025/11/28(Fri)",
        "2025/11/28（金）",
        "2025/11/28 ศุกร์",
        "2025-11-28",
        "Fri, 11/28/2025",
        "Fri, 28/11/2025",
        "Fri, 28/11/2568",
        "Friday, 28.11.2025",
        "Friday, November 28, 2025",
        "Fri, Nov 28, 2025",
        "Friday, 28 November 2025",
        "November 28, 2025",
        "วันศุกร์ที่ 28 พฤศจิกายน 2568",
        "วันศุกร์ที่ 28 พฤศจิกายน พ.ศ. 2568",
        "ศ. 28 พ.ย. 2568",
        "28 พ.ย. 2568",
        "28 พฤศจิกายน 2025",
    ] {
        let parsed = line_text(&format!("{date}\n08:55\tมะลิ\tสวัสดี\n"));
        assert_eq!(
            all_told(&parsed),
            ["2025-11-28T01:55:00Z มะลิ: สวัสดี"],
            "{date}"
        );
    }
    // 2400 is the first Buddhist year; 2399 is left as it stands.
    assert_eq!(
        line_text("2399.01.01\n07:00\ta\tb").messages[0].sent_at_ms,
        "2399-01-01T00:00:00Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_millisecond()
    );
    assert_eq!(
        skips(&line_text("2400.01.01\n07:00\ta\tb")),
        [(1, SkipReason::BadTimestamp), (2, SkipReason::NoDate)],
        "1857 is before every chat"
    );
}

#[test]
fn a_day_that_no_calendar_has_is_skipped_with_its_messages() {
    for date in [
        "31 พ.ย. 2568",
        "วันอาทิตย์ที่ 29 กุมภาพันธ์ 2568",
        "Friday, November 31, 2025",
        "ศ. 31/11/2568",
        "2025/02/29",
    ] {
        let parsed = line_text(&format!("{date}\n08:55\tมะลิ\tสวัสดี\n"));
        assert!(parsed.messages.is_empty(), "{date}");
        assert_eq!(
            skips(&parsed),
            [(1, SkipReason::BadTimestamp), (2, SkipReason::NoDate)],
            "{date}"
        );
    }
}

#[test]
fn words_around_a_date_make_it_text() {
    for text in [
        "28 พ.ย. 2568 นะ",
        "see you November 28, 2025",
        "28 may be 2025",
        "may march 2025",
        "28 พ.ย. 68",
    ] {
        let parsed = line_text(&format!("2025/11/27\n08:55\tมะลิ\tนัด\n{text}\n"));
        assert_eq!(
            all_told(&parsed),
            [format!("2025-11-27T01:55:00Z มะลิ: นัด\n{text}")]
        );
    }
}

#[test]
fn dates_inside_a_message_are_text() {
    let parsed = line_text(
        "ศ. 28/11/2568\n08:55\tมะลิ\t\"นัด\nศ. 05/12/2568\nนะ\"\n08:56\tต้น\tโอเค\n2025/12/05 ส่งของ\n",
    );
    assert_eq!(
        all_told(&parsed),
        [
            "2025-11-28T01:55:00Z มะลิ: นัด\nศ. 05/12/2568\nนะ",
            "2025-11-28T01:56:00Z ต้น: โอเค\n2025/12/05 ส่งของ",
        ]
    );
}
