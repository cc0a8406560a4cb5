//! Date lines: `ศ. 28/11/2568`, `2025.05.15 วันพฤหัสบดี`, `2024/01/15(Mon)`,
//! `Fri, 11/28/2025`, and with the month in words ([`words`]).
//!
//! A line is a date line only if nothing else is on it: people write dates into
//! messages, too. Numbers without a year in front need a weekday.

use jiff::civil::{Date, Weekday};

use super::words;

/// Years from here on are Buddhist: 543 ahead.
const BUDDHIST_FROM: i16 = 2400;
const BUDDHIST_AHEAD: i16 = 543;
/// No chat is older than the clock its times are counted from.
const YEAR_MIN: i16 = 1970;

pub(super) enum DateLine {
    Day(Date),
    /// The shape of a date, but not in the calendar.
    NoSuchDay,
}

/// What an English `11/12/2025` means. The app follows the phone's region and
/// does not say which it was.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DayOrder {
    MonthFirst,
    DayFirst,
}

impl DayOrder {
    /// Asks the weekdays of the file; month first, as LINE in English writes by
    /// itself, if they do not decide.
    pub(super) fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut day_first = 0_u32;
        let mut month_first = 0_u32;
        for text in lines {
            match Shape::read(text).and_then(|shape| shape.order_by_weekday()) {
                Some(Self::DayFirst) => day_first += 1,
                Some(Self::MonthFirst) => month_first += 1,
                None => {}
            }
        }
        if day_first > month_first {
            Self::DayFirst
        } else {
            Self::MonthFirst
        }
    }
}

pub(super) fn is_date_line(text: &str) -> bool {
    Shape::read(text).is_some()
}

/// The day of a date line; None if the line is something else.
pub(super) fn read(text: &str, order: DayOrder) -> Option<DateLine> {
    let shape = Shape::read(text)?;
    Some(match shape.day(order) {
        Some(day) => DateLine::Day(day),
        None => DateLine::NoSuchDay,
    })
}

enum Shape {
    /// Nothing to guess: year first, a Thai weekday before day and month, or the month in words.
    Certain { year: i16, month: i8, day: i8 },
    /// `Fri, a/b/year`.
    English {
        weekday: Weekday,
        a: i8,
        b: i8,
        year: i16,
    },
}

impl Shape {
    fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::year_first(text)
            .or_else(|| Self::weekday_first(text))
            .or_else(|| {
                let (year, month, day) = words::read(text)?;
                Some(Self::Certain { year, month, day })
            })
    }

    /// `2025.05.15 วันพฤหัสบดี`, `2024/01/15(Mon)`, `2024/01/15`.
    fn year_first(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && !is_separator(c))
            .unwrap_or(text.len());
        let (numbers, rest) = text.split_at_checked(end)?;
        let [year, month, day] = three(numbers)?;
        if year.len() != 4 {
            return None;
        }
        let rest = rest.trim();
        let in_brackets = rest
            .strip_prefix(['(', '（'])
            .and_then(|rest| rest.strip_suffix([')', '）']))
            .is_some_and(|name| name.chars().count() <= 12);
        if !rest.is_empty() && !in_brackets && weekday(rest).is_none() {
            return None;
        }
        Some(Self::Certain {
            year: year.parse().ok()?,
            month: month.parse().ok()?,
            day: day.parse().ok()?,
        })
    }

    /// `ศ. 28/11/2568`, `Fri, 11/28/2025`.
    fn weekday_first(text: &str) -> Option<Self> {
        let (name, numbers) = text.split_once(char::is_whitespace)?;
        let (language, weekday) = weekday(name.trim_end_matches(','))?;
        let [a, b, year] = three(numbers.trim())?;
        if year.len() != 4 {
            return None;
        }
        let (a, b, year) = (a.parse().ok()?, b.parse().ok()?, year.parse().ok()?);
        Some(match language {
            Language::Thai => Self::Certain {
                year,
                month: b,
                day: a,
            },
            Language::English => Self::English {
                weekday,
                a,
                b,
                year,
            },
        })
    }

    fn day(&self, order: DayOrder) -> Option<Date> {
        match *self {
            Self::Certain { year, month, day } => civil(year, month, day),
            Self::English { a, b, year, .. } => {
                let day_first = civil(year, b, a);
                let month_first = civil(year, a, b);
                match self.order_by_weekday().unwrap_or(order) {
                    DayOrder::DayFirst => day_first.or(month_first),
                    DayOrder::MonthFirst => month_first.or(day_first),
                }
            }
        }
    }

    /// The order whose weekday is the one on the line, if only one is.
    fn order_by_weekday(&self) -> Option<DayOrder> {
        match *self {
            Self::Certain { .. } => None,
            Self::English {
                weekday,
                a,
                b,
                year,
            } => {
                let fits = |month, day| {
                    civil(year, month, day).is_some_and(|date| date.weekday() == weekday)
                };
                match (fits(b, a), fits(a, b)) {
                    (true, false) => Some(DayOrder::DayFirst),
                    (false, true) => Some(DayOrder::MonthFirst),
                    (true, true) | (false, false) => None,
                }
            }
        }
    }
}

/// The three numbers of a date: digits only, one kind of separator.
fn three(text: &str) -> Option<[&str; 3]> {
    let separator = text.chars().find(|c| is_separator(*c))?;
    let mut parts = text.split(separator);
    let numbers = [parts.next()?, parts.next()?, parts.next()?];
    let digits = |part: &str| {
        (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    (parts.next().is_none() && numbers.iter().all(|part| digits(part))).then_some(numbers)
}

fn is_separator(c: char) -> bool {
    matches!(c, '/' | '.' | '-')
}

fn civil(year: i16, month: i8, day: i8) -> Option<Date> {
    let year = if year >= BUDDHIST_FROM {
        year - BUDDHIST_AHEAD
    } else {
        year
    };
    if year < YEAR_MIN {
        return None;
    }
    Date::new(year, month, day).ok()
}

#[derive(Clone, Copy)]
pub(super) enum Language {
    Thai,
    English,
}

const THAI: [(&str, &str, Weekday); 7] = [
    ("จันทร์", "จ", Weekday::Monday),
    ("อังคาร", "อ", Weekday::Tuesday),
    ("พุธ", "พ", Weekday::Wednesday),
    ("พฤหัสบดี", "พฤ", Weekday::Thursday),
    ("ศุกร์", "ศ", Weekday::Friday),
    ("เสาร์", "ส", Weekday::Saturday),
    ("อาทิตย์", "อา", Weekday::Sunday),
];

const ENGLISH: [(&str, &str, Weekday); 7] = [
    ("monday", "mon", Weekday::Monday),
    ("tuesday", "tue", Weekday::Tuesday),
    ("wednesday", "wed", Weekday::Wednesday),
    ("thursday", "thu", Weekday::Thursday),
    ("friday", "fri", Weekday::Friday),
    ("saturday", "sat", Weekday::Saturday),
    ("sunday", "sun", Weekday::Sunday),
];

pub(super) fn weekday(name: &str) -> Option<(Language, Weekday)> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let thai = name.strip_prefix("วัน").unwrap_or(name);
    let lower = name.to_ascii_lowercase();
    let thai = THAI
        .iter()
        .find(|(full, short, _)| thai == *full || thai == *short)
        .map(|(_, _, weekday)| (Language::Thai, *weekday));
    thai.or_else(|| {
        ENGLISH
            .iter()
            .find(|(full, short, _)| lower == *full || lower == *short)
            .map(|(_, _, weekday)| (Language::English, *weekday))
    })
}
