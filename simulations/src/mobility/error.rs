//! What may be wrong with a model or a file.

use std::io;
use std::path::PathBuf;

/// Why there are no contacts.
#[derive(Debug, thiserror::Error)]
pub enum MobilityError {
    /// The numbers of a group describe no movement.
    #[error("group `{group}`: {wrong}")]
    Group {
        /// Its name.
        group: String,
        /// What is wrong.
        wrong: Wrong,
    },
    /// A file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not in its format.
    #[error("{}, line {line}: {problem}", path.display())]
    Format {
        /// Which.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong there.
        problem: Problem,
    },
    /// More contacts than a run may have.
    #[error("more than {max} contacts: shorten the run, the ranges or the groups")]
    TooManyContacts {
        /// The limit.
        max: usize,
    },
    /// More samples of positions than a run may have.
    #[error(
        "positions of {entities} machines every {every_us} µs are more than {max} samples: sample less often"
    )]
    TooManyPositions {
        /// Machines.
        entities: u64,
        /// Microseconds between two samples.
        every_us: u64,
        /// The limit, machines times samples.
        max: u64,
    },
    /// The run ends too late.
    #[error("a run lasts at most {days} days")]
    TooLong {
        /// The limit.
        days: u64,
    },
}

/// What is wrong with the numbers of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A place that is no number or too far away.
    #[error("a place must be finite and within 100,000 km of the origin")]
    Place,
    /// No place at all.
    #[error("name at least one place (`at_m`, `centres_m`), and for a route two stops (`stops_m`)")]
    NoPlace,
    /// An area without width or height.
    #[error("`area_m` and `radius_m` must be above 0 and below 100,000 km")]
    Area,
    /// Speeds out of order, or zero: a leg would never end.
    #[error("`speed_m_s` must be [least, greatest], both above 0 and at most 1,000,000")]
    Speed,
    /// Pauses out of order.
    #[error("`pause` and `stop` must be [least, greatest], at most 10 years")]
    Pause,
    /// A radio that reaches to no number of metres.
    #[error("`range_m` must be 0 or more, below 100,000 km")]
    Range,
    /// Meetings in no time.
    #[error("`mean_between` must be at least 1 ms")]
    MeanBetween,
    /// A timetable that cannot be drawn.
    #[error(
        "a generated timetable needs 1 to 100,000 `sessions`, 1 to 120 `sessions_a_student` (not more than `sessions`), \
         and `hours` [first, last] of a day, 0 to 21"
    )]
    Timetable,
    /// More students together than contacts fit.
    #[error("the sessions have more meetings than a run may have contacts")]
    TooManyMeetings,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Too long to be one.
    #[error("the line is longer than {max} bytes")]
    LineLength {
        /// The limit.
        max: usize,
    },
    /// Too many of them.
    #[error("the file has more than {max} lines")]
    Lines {
        /// The limit.
        max: u64,
    },
    /// Not UTF-8.
    #[error("the line is not text in UTF-8")]
    Text,
    /// Too few or too many columns.
    #[error("expected {expected}")]
    Columns {
        /// The line's form.
        expected: &'static str,
    },
    /// Not a time in seconds.
    #[error("`{column}` must be seconds, 0 or more, such as 12.5")]
    Time {
        /// Which column.
        column: &'static str,
    },
    /// Not a whole number.
    #[error("`{column}` must be a whole number, 0 to 4294967295")]
    Number {
        /// Which column.
        column: &'static str,
    },
    /// Not a host.
    #[error("`{column}` must be a host: a number, letters may stand before it, such as n12")]
    Host {
        /// Which column.
        column: &'static str,
    },
    /// No such event.
    #[error("no such event: expected CONN, C, S, DE, A, DR or R")]
    Event,
    /// Neither up nor down.
    #[error("a CONN line ends in up or down")]
    UpOrDown,
    /// Who meets itself.
    #[error("a host has no contact with itself")]
    Itself,
    /// Earlier than the line before.
    #[error("the time is earlier than on the line before")]
    Order,
    /// Begins before it ended.
    #[error("these two are up already")]
    AlreadyUp,
    /// Ends without having begun.
    #[error("these two are not up")]
    NotUp,
    /// Ends before it begins.
    #[error("the end is before the start")]
    EndBeforeStart,
    /// Ends too early.
    #[error("the file ends here, expected {expected}")]
    Ends {
        /// What is missing.
        expected: &'static str,
    },
    /// Goes on after its end.
    #[error("more numbers than the first line announces")]
    Surplus,
    /// Announces more than a timetable may hold.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: u32,
    },
    /// A student twice in one session.
    #[error("the student is in this session already")]
    Twice,
}

/// A problem and its line, while the file's name is not known yet.
#[derive(Debug)]
pub enum ReadError {
    /// The reader failed.
    Io(io::Error),
    /// The content is wrong.
    Format {
        /// Counted from 1.
        line: u64,
        /// What is wrong there.
        problem: Problem,
    },
}

impl ReadError {
    /// At this line.
    #[must_use]
    pub const fn at(line: u64, problem: Problem) -> Self {
        Self::Format { line, problem }
    }

    /// With the file's name.
    #[must_use]
    pub fn of(self, path: PathBuf) -> MobilityError {
        match self {
            Self::Io(source) => MobilityError::Read { path, source },
            Self::Format { line, problem } => MobilityError::Format {
                path,
                line,
                problem,
            },
        }
    }
}
