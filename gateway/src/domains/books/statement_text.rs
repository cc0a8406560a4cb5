//! A statement as JSON and as CSV, with headings and dates in Thai or English.

use jiff::Timestamp;
use khlong_crdt::time::UnixMillis;
use serde_json::{Map, Value, json};

use super::amount::{balance, decimal};
use super::day::Day;
use super::statement::{AccountStatement, cursor};
use crate::domains::l10n::{Digits, FormatError, Formats, Language};
use crate::domains::ledger::{Balances, Line, TransferFlags};

/// What a line is.
#[derive(Clone, Copy)]
enum Kind {
    Transfer,
    Hold,
    Post,
    Void,
    Expiry,
}

impl Kind {
    fn of(line: &Line) -> Self {
        let flags = line.record.flags;
        if flags.has(TransferFlags::EXPIRED) {
            Self::Expiry
        } else if flags.has(TransferFlags::POST_PENDING_TRANSFER) {
            Self::Post
        } else if flags.has(TransferFlags::VOID_PENDING_TRANSFER) {
            Self::Void
        } else if flags.has(TransferFlags::PENDING) {
            Self::Hold
        } else {
            Self::Transfer
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Hold => "hold",
            Self::Post => "post",
            Self::Void => "void",
            Self::Expiry => "expiry",
        }
    }

    fn words(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Transfer, Language::English) => "Transfer",
            (Self::Transfer, Language::Thai) => "โอน",
            (Self::Hold, Language::English) => "Hold",
            (Self::Hold, Language::Thai) => "กันเงินไว้",
            (Self::Post, Language::English) => "Hold posted",
            (Self::Post, Language::Thai) => "ตัดเงินที่กันไว้",
            (Self::Void, Language::English) => "Hold released",
            (Self::Void, Language::Thai) => "ยกเลิกการกันเงิน",
            (Self::Expiry, Language::English) => "Hold expired",
            (Self::Expiry, Language::Thai) => "การกันเงินหมดอายุ",
        }
    }
}

const COLUMNS: [&str; 11] = [
    "date",
    "time",
    "kind",
    "transfer",
    "other_account",
    "debit",
    "credit",
    "balance",
    "held_out",
    "held_in",
    "place",
];

fn headings(language: Language) -> [&'static str; 11] {
    match language {
        Language::English => [
            "Date",
            "Time",
            "Entry",
            "Transfer",
            "Other account",
            "Debit",
            "Credit",
            "Balance",
            "On hold, outgoing",
            "On hold, incoming",
            "Place",
        ],
        Language::Thai => [
            "วันที่",
            "เวลา",
            "รายการ",
            "เลขที่รายการ",
            "บัญชีคู่รายการ",
            "เดบิต",
            "เครดิต",
            "ยอดคงเหลือ",
            "กันไว้ขาออก",
            "กันไว้ขาเข้า",
            "ตำแหน่ง",
        ],
    }
}

fn opening_words(language: Language) -> &'static str {
    match language {
        Language::English => "Opening balance",
        Language::Thai => "ยอดยกมา",
    }
}

fn closing_words(language: Language) -> &'static str {
    match language {
        Language::English => "Closing balance",
        Language::Thai => "ยอดยกไป",
    }
}

/// The page as CSV of RFC 4180: headings, the opening balance on the first page, the lines, the closing
/// balance on the last one. Amounts are plain decimals.
///
/// # Errors
/// [`FormatError::Data`].
pub fn statement_csv(
    statement: &AccountStatement,
    language: Language,
) -> Result<String, FormatError> {
    let formats = Formats::new(language, Digits::Western)?;
    let mut text = String::new();
    row(&mut text, &headings(language));
    let edge = |day: Day, words: &str, balances: &Balances| {
        let mut fields = Fields::of(statement, balances);
        fields.date = formats.short_day(day.date());
        words.clone_into(&mut fields.kind);
        fields
    };
    if statement.query.after.is_none() {
        let fields = edge(
            statement.query.from,
            opening_words(language),
            &statement.opening,
        );
        row(&mut text, &fields.in_order());
    }
    for line in &statement.lines {
        let mut fields = Fields::of_line(statement, line);
        fields.date = formats.short_day(Day::of(line.time).date());
        Kind::of(line).words(language).clone_into(&mut fields.kind);
        row(&mut text, &fields.in_order());
    }
    if statement.next.is_none() {
        let fields = edge(
            statement.query.to,
            closing_words(language),
            &statement.closing,
        );
        row(&mut text, &fields.in_order());
    }
    Ok(text)
}

/// The page as JSON. Amounts are decimals as text: numbers of JSON are floats to most readers.
///
/// # Errors
/// [`FormatError::Data`].
pub fn statement_json(
    statement: &AccountStatement,
    language: Language,
) -> Result<Map<String, Value>, FormatError> {
    let formats = Formats::new(language, Digits::Western)?;
    let edge = |day: Day, balances: &Balances| {
        let fields = Fields::of(statement, balances);
        json!({
            "day": day.to_string(),
            "date": formats.short_day(day.date()),
            "balance": fields.balance,
            "held_out": fields.held_out,
            "held_in": fields.held_in,
        })
    };
    let lines: Vec<Value> = statement
        .lines
        .iter()
        .map(|line| {
            let fields = Fields::of_line(statement, line);
            let day = Day::of(line.time);
            json!({
                "place": fields.place,
                "day": day.to_string(),
                "date": formats.short_day(day.date()),
                "at": rfc3339(line.time),
                "kind": Kind::of(line).name(),
                "transfer": fields.transfer,
                "pending": hex_or_none(line.record.pending_id),
                "other_account": fields.other_account,
                "debit": fields.debit,
                "credit": fields.credit,
                "balance": fields.balance,
                "held_out": fields.held_out,
                "held_in": fields.held_in,
            })
        })
        .collect();
    let close = statement.close.map(|close| {
        json!({ "day": close.day.to_string(), "hash": blake3::Hash::from_bytes(close.hash).to_hex().as_str() })
    });
    let names: Map<String, Value> = COLUMNS
        .iter()
        .zip(headings(language))
        .map(|(name, heading)| ((*name).to_owned(), heading.into()))
        .collect();
    let object = json!({
        "kind": "statement",
        "account": format!("{:032x}", statement.account.id),
        "asset": symbol(statement),
        "scale": statement.asset.scale,
        "headings": names,
        "opening": edge(statement.query.from, &statement.opening),
        "lines": lines,
        "closing": edge(statement.query.to, &statement.closing),
        "next": statement.next.map(cursor),
        "close": close,
    });
    Ok(match object {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    })
}

/// The fields of a row.
#[derive(Default)]
struct Fields {
    date: String,
    time: String,
    kind: String,
    transfer: String,
    other_account: String,
    debit: String,
    credit: String,
    balance: String,
    held_out: String,
    held_in: String,
    place: String,
}

impl Fields {
    fn of(statement: &AccountStatement, balances: &Balances) -> Self {
        let scale = statement.asset.scale;
        Self {
            balance: balance(balances.credits_posted, balances.debits_posted, scale),
            held_out: decimal(balances.debits_pending, scale),
            held_in: decimal(balances.credits_pending, scale),
            ..Self::default()
        }
    }

    fn of_line(statement: &AccountStatement, line: &Line) -> Self {
        let record = &line.record;
        let posted = match Kind::of(line) {
            Kind::Transfer | Kind::Post => decimal(record.amount, statement.asset.scale),
            Kind::Hold | Kind::Void | Kind::Expiry => String::new(),
        };
        let is_debit = record.debit_account_id == statement.account.id;
        let (debit, credit, other) = if is_debit {
            (posted, String::new(), record.credit_account_id)
        } else {
            (String::new(), posted, record.debit_account_id)
        };
        Self {
            time: time_of_day(line.time),
            transfer: hex_or_none(record.id).unwrap_or_default(),
            other_account: format!("{other:032x}"),
            debit,
            credit,
            place: cursor(line.place),
            ..Self::of(statement, &line.balances)
        }
    }

    fn in_order(&self) -> [&str; 11] {
        [
            &self.date,
            &self.time,
            &self.kind,
            &self.transfer,
            &self.other_account,
            &self.debit,
            &self.credit,
            &self.balance,
            &self.held_out,
            &self.held_in,
            &self.place,
        ]
    }
}

/// Adds a row. Words and dates of ours may hold a comma, none holds a quote or a line end.
fn row(text: &mut String, fields: &[&str]) {
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        if field.contains([',', '"']) {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(field);
        }
    }
    text.push_str("\r\n");
}

fn symbol(statement: &AccountStatement) -> String {
    let bytes = statement.asset.symbol;
    let text = String::from_utf8_lossy(&bytes);
    text.trim_end_matches('\0').to_owned()
}

/// An expiry has no id of its own.
fn hex_or_none(id: u128) -> Option<String> {
    (id != 0).then(|| format!("{id:032x}"))
}

fn rfc3339(at: UnixMillis) -> String {
    Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// `23:59:59` in Bangkok.
fn time_of_day(at: UnixMillis) -> String {
    let seconds =
        at.0.saturating_add(7 * 3_600_000)
            .div_euclid(1_000)
            .rem_euclid(86_400);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}
