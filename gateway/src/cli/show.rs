//! `promptpay decode` and `promptpay slip decode`: what a code says, for people and for machines.

use std::collections::BTreeMap;
use std::io::{self, Read as _};

use serde_json::{Map, Value, json};

use super::CliError;
use super::args::Decode;
use super::output::Output;
use crate::domains::l10n::Satang;
use crate::domains::promptpay::{Bill, PAYLOAD_BYTES_MAX, Payload, Recipient, Slip};

/// Fields of a JSON object.
pub(super) type Object = Map<String, Value>;

/// Room for a line end, and one more to notice what is too long.
const INPUT_BYTES_MAX: u64 = PAYLOAD_BYTES_MAX as u64 + 3;

pub(super) fn payment(output: Output, decode: &Decode) -> Result<(), CliError> {
    let text = text_of(decode)?;
    let payload = Payload::decode(&text).map_err(CliError::Decode)?;
    show(output, payment_fields(&text, &payload))
}

pub(super) fn slip(output: Output, decode: &Decode) -> Result<(), CliError> {
    let text = text_of(decode)?;
    let slip = Slip::decode(&text).map_err(CliError::Decode)?;
    show(output, slip_fields(&text, &slip))
}

/// The argument, or standard input up to the most that a code may hold.
fn text_of(decode: &Decode) -> Result<String, CliError> {
    let mut text = String::new();
    if decode.text == "-" {
        io::stdin()
            .lock()
            .take(INPUT_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(CliError::Input)?;
    } else {
        text.clone_from(&decode.text);
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

fn show(output: Output, fields: Object) -> Result<(), CliError> {
    if output.json {
        return output.object(fields);
    }
    let mut lines = String::new();
    for (name, value) in &fields {
        // A person has the text before them, and knows that it is a code.
        if !matches!(name.as_str(), "kind" | "payload") {
            line(&mut lines, name, value);
        }
    }
    output.text(&lines)
}

/// `recipient.mobile: 0812345678`. Values are printable, as the decoder refuses all else.
fn line(lines: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (inner, value) in fields {
                line(lines, &format!("{name}.{inner}"), value);
            }
        }
        Value::String(text) => lines.push_str(&format!("{name}: {text}\n")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
            lines.push_str(&format!("{name}: {value}\n"));
        }
    }
}

/// What a payment's code says.
pub(super) fn payment_fields(text: &str, payload: &Payload) -> Object {
    let mut fields = Object::new();
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    };
    add("kind", Some("promptpay".into()));
    add("payload", Some(text.into()));
    add("initiation", Some(payload.initiation.name().into()));
    add("recipient", Some(recipient(payload)));
    add("amount", payload.amount.map(amount));
    add("name", payload.name.as_deref().map(Value::from));
    add("city", payload.city.as_deref().map(Value::from));
    add(
        "postal_code",
        payload.postal_code.as_deref().map(Value::from),
    );
    add("category", payload.category.as_deref().map(Value::from));
    add("additional", tags(&payload.additional));
    add(
        "local",
        payload.local.as_ref().map(|local| {
            let mut names = Object::new();
            names.insert("language".to_owned(), local.language.as_str().into());
            names.insert("name".to_owned(), local.name.as_str().into());
            if let Some(city) = &local.city {
                names.insert("city".to_owned(), city.as_str().into());
            }
            if let Some(other) = tags(&local.other) {
                names.insert("other".to_owned(), other);
            }
            Value::Object(names)
        }),
    );
    add("other", tags(&payload.other));
    fields
}

/// What a slip's code says.
pub(super) fn slip_fields(text: &str, slip: &Slip) -> Object {
    let mut fields = Object::new();
    fields.insert("kind".to_owned(), "promptpay_slip".into());
    fields.insert("payload".to_owned(), text.into());
    fields.insert("bank".to_owned(), slip.bank.as_str().into());
    fields.insert("reference".to_owned(), slip.reference.as_str().into());
    if let Some(other) = tags(&slip.other) {
        fields.insert("other".to_owned(), other);
    }
    fields
}

fn amount(amount: Satang) -> Value {
    json!({ "satang": amount, "baht": amount.to_string() })
}

fn recipient(payload: &Payload) -> Value {
    let (kind, mut fields) = match &payload.recipient {
        Recipient::Mobile(mobile) => ("mobile", json!({ "mobile": mobile.to_string() })),
        Recipient::PersonalId(id) => (
            "id",
            json!({ "id": id.to_string(), "check_digit_right": id.is_check_digit_right() }),
        ),
        Recipient::Wallet(wallet) => ("wallet", json!({ "wallet": wallet.to_string() })),
        Recipient::BankAccount(account) => (
            "account",
            json!({ "bank": account.bank(), "account": account.number() }),
        ),
        Recipient::OneTime(once) => ("one_time", json!({ "one_time": once.to_string() })),
        Recipient::Bill(bill) => ("bill", self::bill(bill)),
    };
    if let Value::Object(fields) = &mut fields {
        fields.insert("kind".to_owned(), kind.into());
        if let Some(other) = tags(&payload.recipient_other) {
            fields.insert("other".to_owned(), other);
        }
    }
    fields
}

fn bill(bill: &Bill) -> Value {
    let mut fields = json!({
        "biller": bill.biller.to_string(),
        "check_digit_right": bill.biller.is_check_digit_right(),
        "cross_border": bill.is_cross_border,
    });
    if let Value::Object(fields) = &mut fields {
        for (name, reference) in [
            ("reference1", &bill.reference1),
            ("reference2", &bill.reference2),
        ] {
            if let Some(reference) = reference {
                fields.insert(name.to_owned(), reference.to_string().into());
            }
        }
    }
    fields
}

/// By tag, in two digits; nothing where there are none.
fn tags(tags: &BTreeMap<u8, String>) -> Option<Value> {
    let named = |(tag, value): (&u8, &String)| (format!("{tag:02}"), Value::from(value.as_str()));
    (!tags.is_empty()).then(|| Value::Object(tags.iter().map(named).collect()))
}
