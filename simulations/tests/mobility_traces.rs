//! Recorded contacts and timetables: what is written is read, what is wrong is said with its line.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::path::Path;

use khlong_crdt::time::Monotonic;
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::kernel::{DAY, HOUR, SECOND};
use khlong_simulations::mobility::error::{MobilityError, Problem, ReadError, Wrong};
use khlong_simulations::mobility::spec::{MobilitySpec, TraceFormat};
use khlong_simulations::mobility::trace::one::{Message, StandardEvents};
use khlong_simulations::mobility::trace::{LINE_BYTES_MAX, Meeting, haggle, joined, one};
use khlong_simulations::mobility::{Group, Member, contacts, timetable};
use khlong_simulations::plan::{Entity, LinkIndex};
use khlong_simulations::units::Span;
use proptest::prelude::*;

fn group(count: u32, mobility: MobilitySpec) -> Group {
    let members = (0..count)
        .map(|id| Member {
            entity: Entity(id),
            name: format!("student-{id}"),
        })
        .collect();
    Group {
        name: "students".to_owned(),
        members,
        mobility,
        range_m: 0.0,
        link: LinkIndex(1),
    }
}

fn written(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn found<T: std::fmt::Debug>(read: Result<T, ReadError>) -> (u64, Problem) {
    match read {
        Err(ReadError::Format { line, problem }) => (line, problem),
        other => panic!("{other:?}"),
    }
}

fn meetings() -> impl Strategy<Value = Vec<Meeting>> {
    let meeting = (0..9_u32, 1..9_u32, 0..100_000_000_u64, 1..50_000_000_u64)
        .prop_map(|(a, step, up, length)| Meeting::new(a, (a + step) % 10, up, up + length))
        .prop_filter("a host does not meet itself", |meeting| {
            meeting.a != meeting.b
        });
    prop::collection::vec(meeting, 0..40).prop_map(joined)
}

proptest! {
    #[test]
    fn standard_events_come_back(meetings in meetings(), cut in 0..40_usize, at in prop::collection::vec(0..90_000_000_u64, 0..5)) {
        let mut meetings = meetings;
        // The file may end while two are still up; then they do not meet again.
        if let Some(Meeting { a, b, up, .. }) = meetings.get(cut).copied() {
            meetings.retain(|meeting| (meeting.a, meeting.b) != (a, b) || meeting.up < up);
            meetings.push(Meeting { a, b, up, down: u64::MAX });
            meetings.sort_unstable();
        }
        let mut at = at;
        at.sort_unstable();
        let message = |at| Message { at, name: format!("M{at}"), from: 3, to: 4, bytes: 1_000 };
        let events = StandardEvents { meetings, messages: at.into_iter().map(message).collect(), left_aside: 0 };
        let text = one::write(&events);
        prop_assert_eq!(one::read(text.as_bytes()).unwrap(), events);
    }

    #[test]
    fn six_columns_come_back(meetings in meetings()) {
        let first = meetings.iter().map(|meeting| meeting.up).min().unwrap_or(0);
        let from_zero: Vec<Meeting> =
            meetings.iter().map(|meeting| Meeting { up: meeting.up - first, down: meeting.down - first, ..*meeting }).collect();
        prop_assert_eq!(haggle::read(haggle::write(&meetings).as_bytes()).unwrap(), from_zero);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[0-9. a-zCONNupdw#\n-]{0,300}") {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = one::read(bytes);
            let _ = haggle::read(bytes);
            let _ = timetable::read(bytes);
        }
    }

    #[test]
    fn the_generator_writes_what_the_reader_reads(seed: u64, sessions in 1..60_u32, taken in 1..6_u32) {
        let students = group(25, MobilitySpec::Nowhere);
        let taken = taken.min(sessions);
        let week = timetable::generate(&students, Seeds::new(seed), sessions, taken, [8, 17]).unwrap();
        prop_assert_eq!(timetable::read(timetable::write(&week).as_bytes()).unwrap(), week.clone());
        for student in 1..=25 {
            let mut hours: Vec<u32> = week.sessions.iter().filter(|session| session.students.contains(&student))
                .flat_map(|session| session.start_hour..session.start_hour + session.hours).collect();
            prop_assert!(!hours.is_empty());
            prop_assert!(hours.iter().all(|hour| hour / 24 < 5 && (8..19).contains(&(hour % 24))));
            let all = hours.len();
            hours.sort_unstable();
            hours.dedup();
            prop_assert_eq!(hours.len(), all, "nobody sits in two classes at once");
        }
    }
}

#[test]
fn all_events_of_the_one_are_understood() {
    let text = "# a comment\n0.5 C M1 n3 p4 25000\n0.5 CONN n3 p4 up\n\n1 S M1 n3 p4\n1.25 DE M1 n3 p4\n2 A M2 3 4\n\
                2.0000019 CONN 4 3 down\n3 DR M1 3\n3 R M1 4\n4 C M3 3 4 10 20\n5 CONN 3 9 up\n";
    let events = one::read(text.as_bytes()).unwrap();
    assert_eq!(
        events.meetings,
        [
            Meeting::new(3, 4, 500_000, 2_000_001),
            Meeting::new(3, 9, 5 * SECOND, u64::MAX)
        ],
        "letters before a number are no part of it; finer than a microsecond is cut off"
    );
    let names: Vec<&str> = events
        .messages
        .iter()
        .map(|message| message.name.as_str())
        .collect();
    assert_eq!(names, ["M1", "M3"]);
    assert_eq!(events.left_aside, 5);
}

#[test]
fn wrong_lines_of_standard_events_are_named() {
    let of = |text: &str| found(one::read(text.as_bytes()));
    let columns = |problem| matches!(problem, Problem::Columns { .. });
    assert_eq!(of("1 CONN 1 2 up\n2 CONN 2 1 up"), (2, Problem::AlreadyUp));
    assert_eq!(of("1 CONN 1 2 down"), (1, Problem::NotUp));
    assert_eq!(of("# first\n\n1 CONN 1 1 up"), (3, Problem::Itself));
    assert_eq!(of("1 CONN 1 2 sideways"), (1, Problem::UpOrDown));
    assert_eq!(of("2 CONN 1 2 up\n1 CONN 1 2 down"), (2, Problem::Order));
    assert_eq!(of("1 FLY 1 2 up"), (1, Problem::Event));
    assert_eq!(of("1 CONN x 2 up"), (1, Problem::Host { column: "host1" }));
    assert_eq!(
        of("1 CONN 1 99999999999 up"),
        (1, Problem::Host { column: "host2" })
    );
    assert_eq!(of("1 C M1 1 2 -5"), (1, Problem::Number { column: "size" }));
    for time in [
        "-1",
        "1e3",
        "NaN",
        ".",
        "1.",
        "1.2.3",
        "99999999999999999999",
    ] {
        assert_eq!(
            of(&format!("{time} CONN 1 2 up")),
            (1, Problem::Time { column: "time" }),
            "{time}"
        );
    }
    for line in [
        "1",
        "1 CONN 1 2",
        "1 CONN 1 2 up 3",
        "1 C M 1 2",
        "1 S M 1",
        "1 DR M 1 2",
    ] {
        assert!(columns(of(line).1), "{line}");
    }
    let long = format!("1 CONN 1 2 up\n{}", "x".repeat(LINE_BYTES_MAX + 1));
    assert_eq!(
        of(&long),
        (
            2,
            Problem::LineLength {
                max: LINE_BYTES_MAX
            }
        )
    );
    assert_eq!(
        found(one::read(&b"1 CONN 1 2 up\n\xff\xfe\n"[..])),
        (2, Problem::Text)
    );
}

#[test]
fn six_columns_overlap_count_from_1970_and_have_wrong_lines() {
    // Both noted the first contact; the second one was seen in one scan.
    let text = "1 2 1156083900 1156084000 1 0\n2 1 1156083950 1156084010 1 0\n7 2 1156084900 1156084900 1 0\n";
    assert_eq!(
        haggle::read(text.as_bytes()).unwrap(),
        [
            Meeting::new(1, 2, 0, 110 * SECOND),
            Meeting::new(2, 7, 1_000 * SECOND, 1_001 * SECOND)
        ]
    );
    let of = |text: &str| found(haggle::read(text.as_bytes()));
    assert!(matches!(of("1 2 3 4 1\n"), (1, Problem::Columns { .. })));
    assert!(matches!(
        of("1 2 3 4 1 0\n1 2 3 4 1 0 9\n"),
        (2, Problem::Columns { .. })
    ));
    assert_eq!(of("1 2 5 4 1 0"), (1, Problem::EndBeforeStart));
    assert_eq!(of("1 1 3 4 1 0"), (1, Problem::Itself));
    assert_eq!(of("1 -2 3 4 1 0"), (1, Problem::Number { column: "b" }));
    assert_eq!(of("1 2 3 4 one 0"), (1, Problem::Number { column: "k" }));
    assert_eq!(of("1 2 3 4 1 soon"), (1, Problem::Time { column: "ict" }));
}

#[test]
fn wrong_timetables_are_named() {
    let of = |text: &str| found(timetable::read(text.as_bytes()));
    assert!(timetable::read("3 1\n9 7 2 1\n5 6\n".as_bytes()).is_ok());
    assert!(
        timetable::read("3 1 9 7 2 1 5\n6".as_bytes()).is_ok(),
        "lines may break anywhere"
    );
    assert_eq!(
        of(""),
        (
            0,
            Problem::Ends {
                expected: "students"
            }
        )
    );
    assert_eq!(
        of("3 1\n9 7 2 1\n5\n"),
        (
            3,
            Problem::Ends {
                expected: "student id"
            }
        )
    );
    assert_eq!(of("3 1\n9 7 2 1\n5 6 8\n"), (3, Problem::Surplus));
    assert_eq!(of("3 1\n9 7 2 1\n5 5\n"), (3, Problem::Twice));
    assert_eq!(
        of("3 1\n9 x 2 1\n5 6\n"),
        (
            2,
            Problem::Number {
                column: "session id"
            }
        )
    );
    assert!(matches!(
        of("3 999999999\n"),
        (
            1,
            Problem::TooMany {
                what: "sessions",
                ..
            }
        )
    ));
    assert!(matches!(
        of("3 1\n9 7 99999999 1\n"),
        (2, Problem::TooMany { .. })
    ));
    let students = group(3, MobilitySpec::Nowhere);
    for (sessions, taken, hours) in [
        (0, 1, [8, 9]),
        (5, 0, [8, 9]),
        (2, 3, [8, 9]),
        (5, 2, [9, 8]),
        (5, 2, [8, 24]),
    ] {
        let drawn = timetable::generate(&students, Seeds::new(1), sessions, taken, hours);
        assert_eq!(drawn, Err(Wrong::Timetable));
    }
}

#[test]
fn files_give_contacts_to_machines_in_the_order_of_their_ids() {
    let folder = tempfile::tempdir().unwrap();
    let classes = "9 3\n1 0 3 2\n40 20 30\n3 1 2 1\n20 30\n30 2 2 1\n20 30\n";
    let met = |mobility, machines| {
        let (contacts, _) = contacts(
            &[group(machines, mobility)],
            Seeds::new(1),
            Monotonic(DAY),
            Span(0),
        )
        .unwrap();
        contacts
            .iter()
            .map(|c| (c.a.0, c.b.0, c.up.0, c.down.0))
            .collect::<Vec<_>>()
    };
    let timetable = |text| MobilitySpec::Timetable {
        file: Some(written(folder.path(), "week.txt", text)),
        sessions: 0,
        sessions_a_student: 0,
        hours: [8, 18],
    };
    assert_eq!(
        met(timetable(classes), 3),
        [
            (0, 2, HOUR, 3 * HOUR),
            (1, 2, HOUR, 3 * HOUR),
            (0, 1, HOUR, 4 * HOUR)
        ],
        "two classes on end are one contact; what begins after the end of the run is none"
    );
    assert_eq!(
        met(timetable(classes), 2),
        [(0, 1, HOUR, 4 * HOUR)],
        "the third id has no machine"
    );

    let trace = |text, format| MobilitySpec::Trace {
        file: written(folder.path(), "trace.txt", text),
        format,
    };
    assert_eq!(
        met(trace("5 CONN n70 n8 up\n", TraceFormat::One), 4),
        [(0, 1, 5 * SECOND, DAY)],
        "up to the end of the run"
    );
    assert_eq!(
        met(trace("70 8 5 6 1 0\n", TraceFormat::Haggle), 4),
        [(0, 1, 0, SECOND)]
    );

    let failed = contacts(
        &[group(2, trace("\n1 CONN 1 2 off\n", TraceFormat::One))],
        Seeds::new(1),
        Monotonic(DAY),
        Span(0),
    );
    let said = failed.unwrap_err().to_string();
    assert!(
        said.ends_with("trace.txt, line 2: a CONN line ends in up or down"),
        "{said}"
    );
    let missing = MobilitySpec::Trace {
        file: folder.path().join("none"),
        format: TraceFormat::One,
    };
    let failed = contacts(&[group(2, missing)], Seeds::new(1), Monotonic(DAY), Span(0));
    assert!(matches!(failed, Err(MobilityError::Read { .. })));
}

#[test]
fn another_student_changes_nobody_elses_classes() {
    let classes = |students: u32| {
        let drawn = timetable::generate(
            &group(students, MobilitySpec::Nowhere),
            Seeds::new(4),
            30,
            5,
            [8, 18],
        )
        .unwrap();
        let first_ten = |session: &timetable::Session| {
            session
                .students
                .iter()
                .copied()
                .filter(|id| *id <= 10)
                .collect::<Vec<_>>()
        };
        drawn.sessions.iter().map(first_ten).collect::<Vec<_>>()
    };
    assert_eq!(classes(10), classes(40));
}
