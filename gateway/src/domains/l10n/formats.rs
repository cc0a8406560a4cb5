//! Numbers, amounts and days as ICU4X writes them.

use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::YMD;
use icu_datetime::options::YearStyle;
use icu_decimal::DecimalFormatter;
use icu_decimal::input::Decimal;
use icu_locale_core::{Locale, locale};
use jiff::civil::Date;
use thiserror::Error;

use super::Satang;

/// Bytes of a day that a person may write: the longest month name takes 30.
const DAY_BYTES_MAX: usize = 100;

/// Whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Years of the Buddhist Era: 2567 is 2024.
    Thai,
    /// Years of the Common Era.
    English,
}

/// Whose digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// 0123456789
    Western,
    /// ๐๑๒๓๔๕๖๗๘๙
    Thai,
}

/// Why there are no formats, or no day.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FormatError {
    /// The data that is built in lacks the language.
    #[error("the language data of this build is incomplete; build it again with `compiled_data`")]
    Data,
    /// No such day, or none that is written like that.
    #[error("this is no day; write it as 29 กุมภาพันธ์ 2567, 29 ก.พ. 2567 or 29 February 2024")]
    Day,
}

/// Writes for one reader. To make one takes longer than to use it: keep it.
#[derive(Debug)]
pub struct Formats {
    language: Language,
    decimal: DecimalFormatter,
    long: DateTimeFormatter<YMD>,
    medium: DateTimeFormatter<YMD>,
}

impl Formats {
    /// In a language, with digits.
    ///
    /// # Errors
    /// [`FormatError::Data`].
    pub fn new(language: Language, digits: Digits) -> Result<Self, FormatError> {
        let locale: Locale = match (language, digits) {
            (Language::Thai, Digits::Western) => locale!("th-u-nu-latn"),
            (Language::Thai, Digits::Thai) => locale!("th-u-nu-thai"),
            (Language::English, Digits::Western) => locale!("en-GB-u-nu-latn"),
            (Language::English, Digits::Thai) => locale!("en-GB-u-nu-thai"),
        };
        let day = |fields: YMD| {
            DateTimeFormatter::try_new((&locale).into(), fields.with_year_style(YearStyle::Full))
                .map_err(|_| FormatError::Data)
        };
        Ok(Self {
            language,
            decimal: DecimalFormatter::try_new((&locale).into(), Default::default())
                .map_err(|_| FormatError::Data)?,
            long: day(YMD::long())?,
            medium: day(YMD::medium())?,
        })
    }

    /// `1,234,567`
    #[must_use]
    pub fn number(&self, number: i64) -> String {
        self.decimal.format(&Decimal::from(number)).to_string()
    }

    /// `1,234.50`, always with two decimals.
    #[must_use]
    pub fn amount(&self, amount: Satang) -> String {
        let mut decimal = Decimal::from(amount.0);
        decimal.multiply_pow10(-2);
        self.decimal.format(&decimal).to_string()
    }

    /// `1,234.50 บาท`, `THB 1,234.50`.
    #[must_use]
    pub fn money(&self, amount: Satang) -> String {
        let amount = self.amount(amount);
        match self.language {
            Language::Thai => format!("{amount} บาท"),
            Language::English => format!("THB {amount}"),
        }
    }

    /// `29 กุมภาพันธ์ 2567`, `29 February 2024`.
    #[must_use]
    pub fn day(&self, day: Date) -> String {
        written(&self.long, day)
    }

    /// `29 ก.พ. 2567`, `29 Feb 2024`.
    #[must_use]
    pub fn short_day(&self, day: Date) -> String {
        written(&self.medium, day)
    }

    /// What [`Formats::day`] and [`Formats::short_day`] write, with digits of either kind.
    ///
    /// # Errors
    /// [`FormatError::Day`].
    pub fn parse_day(&self, text: &str) -> Result<Date, FormatError> {
        if text.len() > DAY_BYTES_MAX {
            return Err(FormatError::Day);
        }
        let given = western(text.trim());
        let mut words = given.split_whitespace();
        let (Some(day), Some(year)) = (words.next(), words.next_back()) else {
            return Err(FormatError::Day);
        };
        let day: i8 = day.parse().map_err(|_| FormatError::Day)?;
        let year: i16 = year.parse().map_err(|_| FormatError::Day)?;
        let before = match self.language {
            Language::Thai => BUDDHIST_ERA_YEARS,
            Language::English => 0,
        };
        let year = year.checked_sub(before).ok_or(FormatError::Day)?;
        // The months' names are those of the formatter itself, so both ways agree.
        (1..=12)
            .filter_map(|month| Date::new(year, month, day).ok())
            .find(|it| {
                [&self.long, &self.medium]
                    .map(|by| western(&written(by, *it)))
                    .contains(&given)
            })
            .ok_or(FormatError::Day)
    }
}

/// The Buddhist Era is that many years ahead.
const BUDDHIST_ERA_YEARS: i16 = 543;

fn written(formatter: &DateTimeFormatter<YMD>, day: Date) -> String {
    let [month, of_month] = [day.month(), day.day()].map(i8::unsigned_abs);
    icu_calendar::Date::try_new_iso(day.year().into(), month, of_month)
        .map(|day| formatter.format(&day).to_string())
        // Both libraries know the same days of the years -9999 to 9999.
        .unwrap_or_default()
}

/// With Western digits for Thai ones.
fn western(text: &str) -> String {
    let digit = |it: char| match it {
        '๐'..='๙' => char::from_digit(u32::from(it) - u32::from('๐'), 10).unwrap_or(it),
        other => other,
    };
    text.chars().map(digit).collect()
}
