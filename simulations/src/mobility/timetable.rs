//! Class timetables: students of one session are all in contact while it lasts.
//!
//! The format is that of the NUS student contact traces (V. Srinivasan, M. Motani,
//! W. T. Ooi, "Analysis and implications of student contact patterns derived from
//! campus schedules", MobiCom 2006):
//!
//! ```text
//! <students> <sessions>
//! <start hour> <session id> <students in it> <hours>      for each session,
//! <student id> <student id> …                             then its students
//! ```
//!
//! Hours count from the start of the trace. Numbers may be spread over lines as
//! one likes. The generator writes the same format, hours counted from Monday
//! midnight, sessions from Monday to Friday.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::BufRead;

use khlong_crdt::time::Monotonic;
use rand::RngExt as _;

use super::error::{Problem, ReadError, Wrong};
use super::trace::{Lines, Meeting, assign, joined};
use super::{CONTACTS_MAX, Group};
use crate::kernel::HOUR;
use crate::kernel::seeds::Seeds;
use crate::plan::Contact;

/// Sessions of one timetable: NUS has 4,885.
pub const SESSIONS_MAX: u32 = 100_000;
/// Students in one session: the largest hall of NUS holds 500.
pub const STUDENTS_A_SESSION_MAX: u32 = 10_000;
/// Last hour at which a session may begin or be over: ten years.
pub const HOUR_MAX: u32 = 87_840;
/// Sessions a student can take: no week has more hours of class.
const SESSIONS_A_STUDENT_MAX: u32 = 120;
/// Draws for one session before a student's week counts as full.
const DRAWS_MAX: u32 = 200;
const CLASS_DAYS: u32 = 5;

/// A class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Hours since the trace's start.
    pub start_hour: u32,
    /// Its number in the file.
    pub id: u32,
    /// Whole hours.
    pub hours: u32,
    /// Ids of students, in the file's order.
    pub students: Vec<u32>,
}

/// All sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timetable {
    /// As the first line says; ids need not be below it.
    pub students: u32,
    /// In the file's order.
    pub sessions: Vec<Session>,
}

/// Reads a timetable.
///
/// # Errors
/// [`ReadError`] with the line.
pub fn read(source: impl BufRead) -> Result<Timetable, ReadError> {
    let mut numbers = Numbers {
        lines: Lines::new(source),
        waiting: Vec::new(),
    };
    let students = numbers.next("students")?;
    let count = numbers.limited("sessions", SESSIONS_MAX)?;
    let mut sessions = Vec::new();
    for _ in 0..count {
        let start_hour = numbers.limited("start hour", HOUR_MAX)?;
        let id = numbers.next("session id")?;
        let size = numbers.limited("students in a session", STUDENTS_A_SESSION_MAX)?;
        let hours = numbers.limited("hours", HOUR_MAX)?;
        let mut seen = BTreeSet::new();
        let mut members = Vec::new();
        for _ in 0..size {
            let student = numbers.next("student id")?;
            if !seen.insert(student) {
                return Err(ReadError::at(numbers.lines.number(), Problem::Twice));
            }
            members.push(student);
        }
        sessions.push(Session {
            start_hour,
            id,
            hours,
            students: members,
        });
    }
    numbers.finish()?;
    Ok(Timetable { students, sessions })
}

/// Writes it: a line for each session and one for its students.
#[must_use]
pub fn write(timetable: &Timetable) -> String {
    let mut text = format!("{} {}\n", timetable.students, timetable.sessions.len());
    for session in &timetable.sessions {
        let _ = writeln!(
            text,
            "{} {} {} {}",
            session.start_hour,
            session.id,
            session.students.len(),
            session.hours
        );
        let students: Vec<String> = session.students.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "{}", students.join(" "));
    }
    text
}

/// Draws a week. Sessions begin at a uniform hour of `hours` on a uniform weekday and last one or
/// two hours, drawn from the group's stream. Each student (id = place in the group, from 1) then
/// takes sessions at random that do not overlap, from the stream of the student's name; whose week
/// is full takes fewer.
///
/// # Errors
/// [`Wrong::Timetable`].
pub fn generate(
    group: &Group,
    seeds: Seeds,
    sessions: u32,
    sessions_a_student: u32,
    hours: [u32; 2],
) -> Result<Timetable, Wrong> {
    let fits = (1..=SESSIONS_MAX).contains(&sessions)
        && (1..=SESSIONS_A_STUDENT_MAX.min(sessions)).contains(&sessions_a_student)
        && hours[0] <= hours[1]
        && hours[1] <= 21;
    if !fits {
        return Err(Wrong::Timetable);
    }
    let mut stream = seeds.stream("timetable", &group.name);
    let mut drawn: Vec<Session> = (0..sessions)
        .map(|id| Session {
            start_hour: 24 * stream.random_range(0..CLASS_DAYS)
                + stream.random_range(hours[0]..=hours[1]),
            id,
            hours: stream.random_range(1..=2),
            students: Vec::new(),
        })
        .collect();
    for (student, member) in (1_u32..).zip(&group.members) {
        let mut stream = seeds.stream("classes", &member.name);
        let mut busy = BTreeSet::new();
        for _ in 0..sessions_a_student {
            let free = (0..DRAWS_MAX)
                .map(|_| stream.random_range(0..drawn.len()))
                .find(|index| {
                    drawn
                        .get(*index)
                        .is_some_and(|session| hours_of(session).all(|hour| !busy.contains(&hour)))
                });
            let Some(session) = free.and_then(|index| drawn.get_mut(index)) else {
                break;
            };
            if session.students.len() < STUDENTS_A_SESSION_MAX as usize {
                busy.extend(hours_of(session));
                session.students.push(student);
            }
        }
    }
    Ok(Timetable {
        students: group.members.len() as u32,
        sessions: drawn,
    })
}

/// Adds the contacts of a timetable: students in ascending order are members in turn.
///
/// # Errors
/// [`Wrong::TooManyMeetings`].
pub fn meetings(
    timetable: &Timetable,
    group: &Group,
    end: Monotonic,
    contacts: &mut Vec<Contact>,
) -> Result<(), Wrong> {
    let ids: BTreeSet<u32> = timetable
        .sessions
        .iter()
        .flat_map(|session| &session.students)
        .copied()
        .collect();
    let with_machine: BTreeSet<u32> = ids.into_iter().take(group.members.len()).collect();
    let mut meetings = Vec::new();
    for session in &timetable.sessions {
        let up = u64::from(session.start_hour) * HOUR;
        let down = up + u64::from(session.hours) * HOUR;
        if up >= end.0 || session.hours == 0 {
            continue;
        }
        let here: Vec<u32> = session
            .students
            .iter()
            .copied()
            .filter(|id| with_machine.contains(id))
            .collect();
        if meetings.len() + contacts.len() + here.len() * here.len() / 2 > CONTACTS_MAX {
            return Err(Wrong::TooManyMeetings);
        }
        for (place, one) in here.iter().enumerate() {
            meetings.extend(
                here.iter()
                    .skip(place + 1)
                    .map(|other| Meeting::new(*one, *other, up, down)),
            );
        }
    }
    assign(&joined(meetings), &with_machine, group, end, contacts);
    Ok(())
}

fn hours_of(session: &Session) -> std::ops::Range<u32> {
    session.start_hour..session.start_hour + session.hours
}

/// Whole numbers, wherever lines break.
struct Numbers<R> {
    lines: Lines<R>,
    /// Of the present line, last first.
    waiting: Vec<Result<u32, ()>>,
}

impl<R: BufRead> Numbers<R> {
    fn next(&mut self, column: &'static str) -> Result<u32, ReadError> {
        while self.waiting.is_empty() {
            match self.lines.next_content()? {
                Some((_, line)) => {
                    self.waiting = line
                        .split_whitespace()
                        .rev()
                        .map(|word| word.parse().map_err(|_| ()))
                        .collect();
                }
                None => {
                    return Err(ReadError::at(
                        self.lines.number(),
                        Problem::Ends { expected: column },
                    ));
                }
            }
        }
        let number = self.waiting.pop().unwrap_or(Err(()));
        number.map_err(|()| ReadError::at(self.lines.number(), Problem::Number { column }))
    }

    fn limited(&mut self, column: &'static str, max: u32) -> Result<u32, ReadError> {
        match self.next(column)? {
            number if number <= max => Ok(number),
            _ => Err(ReadError::at(
                self.lines.number(),
                Problem::TooMany { what: column, max },
            )),
        }
    }

    fn finish(&mut self) -> Result<(), ReadError> {
        if self.waiting.is_empty() && self.lines.next_content()?.is_none() {
            return Ok(());
        }
        Err(ReadError::at(self.lines.number(), Problem::Surplus))
    }
}
