//! How a code is read.

use super::error::{Path, PayloadError, RecipientError};
use super::payload::{
    BILL, COUNTRY, CROSS_BORDER_BILL, CURRENCY, ENDING, FORMAT, Initiation, LocalNames, ONE_TIME,
    Payload, TRANSFER,
};
use super::recipient::{BankAccount, Bill, Biller, Mobile, PersonalId, Recipient};
use super::slip::kept;
use super::tlv::{Field, Fields, checked, fields, value_offset};
use crate::domains::l10n::Satang;

/// Characters by EMVCo, of whatever script.
const NAME_CHARACTERS_MAX: usize = 25;
const CITY_CHARACTERS_MAX: usize = 15;
const POSTAL_CODE_CHARACTERS_MAX: usize = 10;

impl Payload {
    /// Reads the text of a code, its tags in any order.
    ///
    /// # Errors
    /// [`PayloadError`] names the tag and where it is.
    pub fn decode(text: &str) -> Result<Self, PayloadError> {
        let mut root = Template {
            outer: None,
            fields: checked(text, ENDING)?,
        };
        root.constant(
            0,
            FORMAT,
            "the format",
            "only format 01 can be read; ask for a new code",
        )?;
        let initiation = root.optional(1, |value| match value {
            "11" => Ok(Initiation::Static),
            "12" => Ok(Initiation::Dynamic),
            _ => Err("a code is static (11) or dynamic (12); ask for a new one"),
        })?;
        let (recipient, recipient_other) = recipient(&mut root)?;
        let category = root.optional(52, |value| {
            let is_right = value.len() == 4 && value.bytes().all(|byte| byte.is_ascii_digit());
            is_right
                .then(|| value.to_owned())
                .ok_or("a category has four digits (ISO 18245)")
        })?;
        root.constant(
            53,
            CURRENCY,
            "the currency",
            "only Thai baht (764) can be paid; ask for a code in baht",
        )?;
        let amount = root.fields.remove(&54).map(amount).transpose()?;
        root.constant(
            58,
            COUNTRY,
            "the country",
            "only Thai codes (TH) can be read",
        )?;
        let name = root.optional(59, name)?;
        let city = root.optional(60, city)?;
        let postal_code = root.optional(61, |value| {
            of_length(value, POSTAL_CODE_CHARACTERS_MAX)
                .ok_or("a postal code has at most 10 characters")
        })?;
        let additional = match root.template(62)? {
            Some(template) => kept(template.fields),
            None => Default::default(),
        };
        let local = root.template(64)?.map(local_names).transpose()?;
        Ok(Self {
            initiation: initiation.unwrap_or_default(),
            recipient,
            recipient_other,
            category,
            amount,
            name,
            city,
            postal_code,
            additional,
            local,
            other: kept(root.fields),
        })
    }
}

/// Fields, and the tag around them.
struct Template<'a> {
    outer: Option<u8>,
    fields: Fields<'a>,
}

impl<'a> Template<'a> {
    fn path(&self, tag: u8) -> Path {
        Path {
            outer: self.outer,
            tag,
        }
    }

    fn required(&mut self, tag: u8, what: &'static str) -> Result<Field<'a>, PayloadError> {
        let path = self.path(tag);
        self.fields
            .remove(&tag)
            .ok_or(PayloadError::Missing { path, what })
    }

    /// A tag whose value can only be this one.
    fn constant(
        &mut self,
        tag: u8,
        right: &str,
        what: &'static str,
        problem: &'static str,
    ) -> Result<(), PayloadError> {
        let field = self.required(tag, what)?;
        if field.value == right {
            return Ok(());
        }
        Err(self.refused(tag, &field, problem))
    }

    fn refused(&self, tag: u8, field: &Field<'_>, problem: &'static str) -> PayloadError {
        PayloadError::Value {
            path: self.path(tag),
            offset: field.offset,
            problem,
        }
    }

    fn optional<T>(
        &mut self,
        tag: u8,
        read: impl FnOnce(&'a str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, PayloadError> {
        let Some(field) = self.fields.remove(&tag) else {
            return Ok(None);
        };
        match read(field.value) {
            Ok(value) => Ok(Some(value)),
            Err(problem) => Err(self.refused(tag, &field, problem)),
        }
    }

    /// The fields within the value of a tag.
    fn template(&mut self, tag: u8) -> Result<Option<Template<'a>>, PayloadError> {
        let Some(field) = self.fields.remove(&tag) else {
            return Ok(None);
        };
        Ok(Some(Template {
            outer: Some(tag),
            fields: fields(field.value, value_offset(&field), Some(tag))?,
        }))
    }
}

type Others = std::collections::BTreeMap<u8, String>;

fn recipient(root: &mut Template<'_>) -> Result<(Recipient, Others), PayloadError> {
    let bill_offset = root.fields.get(&30).map(|field| field.offset);
    match (root.template(29)?, root.template(30)?, bill_offset) {
        (Some(_), Some(_), Some(offset)) => Err(PayloadError::Value {
            path: Path::root(30),
            offset,
            problem: "the code names a recipient in tag 29 already, and only one can be paid; ask for a new code",
        }),
        (Some(account), _, _) => transfer(account),
        (None, Some(account), _) => bill(account),
        (None, None, _) => Err(PayloadError::Missing {
            path: Path::root(29),
            what: "the recipient, or 30 for a bill",
        }),
    }
}

/// Tag 29.
fn transfer(mut account: Template<'_>) -> Result<(Recipient, Others), PayloadError> {
    let application = account.required(0, "the application")?;
    if ![TRANSFER, ONE_TIME].contains(&application.value) {
        let problem =
            "this is no PromptPay transfer; use the application that the code is made for";
        return Err(account.refused(0, &application, problem));
    }
    let proxies: Vec<u8> = (1..=5)
        .filter(|tag| account.fields.contains_key(tag))
        .collect();
    let tag = match *proxies.as_slice() {
        [tag] => tag,
        [] => {
            return Err(PayloadError::Missing {
                path: account.path(1),
                what: "the recipient's mobile number, id, wallet, bank account or one-time account",
            });
        }
        [_, second, ..] => {
            let field = account.required(second, "a recipient")?;
            let problem =
                "the code names a recipient already, and only one can be paid; ask for a new code";
            return Err(account.refused(second, &field, problem));
        }
    };
    let field = account.required(tag, "a recipient")?;
    let is_one_time = application.value == ONE_TIME;
    if is_one_time != (tag == 5) {
        let problem = "a one-time account (05) goes with application A000000677010114, anything else with A000000677010111; ask for a new code";
        return Err(account.refused(tag, &field, problem));
    }
    let value = field.value;
    let read = match tag {
        1 => Mobile::from_payload(value).map(Recipient::Mobile),
        2 => digits(value, PersonalId::unchecked).map(Recipient::PersonalId),
        3 => digits(value, str::parse).map(Recipient::Wallet),
        4 => BankAccount::from_payload(value).map(Recipient::BankAccount),
        _ => value.parse().map(Recipient::OneTime),
    };
    let recipient = read.map_err(|error| account.refused(tag, &field, problem_of(error)))?;
    Ok((recipient, kept(account.fields)))
}

/// Tag 30.
fn bill(mut account: Template<'_>) -> Result<(Recipient, Others), PayloadError> {
    let application = account.required(0, "the application")?;
    let is_cross_border = match application.value {
        BILL => false,
        CROSS_BORDER_BILL => true,
        _ => {
            let problem =
                "this is no Thai bill payment; use the application that the code is made for";
            return Err(account.refused(0, &application, problem));
        }
    };
    let field = account.required(1, "the biller")?;
    let biller = digits(field.value, Biller::unchecked)
        .map_err(|error| account.refused(1, &field, problem_of(error)))?;
    let mut reference = |tag| account.optional(tag, |value| value.parse().map_err(problem_of));
    let (reference1, reference2) = (reference(2)?, reference(3)?);
    let bill = Bill {
        biller,
        reference1,
        reference2,
        is_cross_border,
    };
    Ok((Recipient::Bill(bill), kept(account.fields)))
}

/// In a payload are none of the separators that a person may type.
fn digits<T>(
    value: &str,
    read: impl FnOnce(&str) -> Result<T, RecipientError>,
) -> Result<T, RecipientError> {
    read(if value.contains([' ', '-']) {
        ""
    } else {
        value
    })
}

fn problem_of(error: RecipientError) -> &'static str {
    match error {
        RecipientError::Mobile => {
            "a mobile number is 0066 and nine digits; numbers of other countries cannot be paid"
        }
        RecipientError::PersonalId | RecipientError::CheckDigit => {
            "a national or tax id has 13 digits; ask for a new code"
        }
        RecipientError::Wallet => "an e-wallet id has 15 digits; ask for a new code",
        RecipientError::BankAccount => {
            "a bank account is a code of three digits and 1 to 40 letters or digits; ask for a new code"
        }
        RecipientError::OneTime => {
            "a one-time account has 10 letters or digits; ask for a new code"
        }
        RecipientError::Biller => "a biller id has 15 digits; ask for a new code",
        RecipientError::Reference => {
            "a reference has at most 20 characters of printable ASCII; shorten it"
        }
    }
}

fn amount(field: Field<'_>) -> Result<Satang, PayloadError> {
    let offset = field.offset;
    field
        .value
        .parse()
        .map_err(|source| PayloadError::Amount { offset, source })
}

fn of_length(value: &str, characters_max: usize) -> Option<String> {
    (value.chars().count() <= characters_max).then(|| value.to_owned())
}

fn name(value: &str) -> Result<String, &'static str> {
    of_length(value, NAME_CHARACTERS_MAX).ok_or("a name has at most 25 characters; shorten it")
}

fn city(value: &str) -> Result<String, &'static str> {
    of_length(value, CITY_CHARACTERS_MAX).ok_or("a city has at most 15 characters; shorten it")
}

/// Tag 64.
fn local_names(mut template: Template<'_>) -> Result<LocalNames, PayloadError> {
    let language = template.required(0, "the language")?;
    let is_right = language.value.len() == 2
        && language
            .value
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic());
    if !is_right {
        let problem = "a language has two letters (ISO 639): th";
        return Err(template.refused(0, &language, problem));
    }
    let written = template.required(1, "the name in that language")?;
    let name = name(written.value).map_err(|problem| template.refused(1, &written, problem))?;
    let city = template.optional(2, city)?;
    Ok(LocalNames {
        language: language.value.to_owned(),
        name,
        city,
        other: kept(template.fields),
    })
}
