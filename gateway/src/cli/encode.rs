//! `promptpay encode` and `promptpay slip encode`.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use serde_json::json;

use super::args::{Draw, Encode, SlipEncode};
use super::output::Output;
use super::{CliError, show};
use crate::domains::promptpay::{
    BankAccount, Bill, Biller, Initiation, LocalNames, Payload, PersonalId, Picture, Recipient,
    RecipientError, Slip,
};

pub(super) fn payment(output: Output, encode: &Encode) -> Result<(), CliError> {
    let payload = payload(encode)?;
    let text = payload.encode().map_err(CliError::Encode)?;
    draw(output, &encode.draw, &text, || {
        show::payment_fields(&text, &payload)
    })
}

pub(super) fn slip(output: Output, encode: &SlipEncode) -> Result<(), CliError> {
    let slip = Slip::new(&encode.bank, &encode.reference);
    let text = slip.encode().map_err(CliError::Encode)?;
    draw(output, &encode.draw, &text, || {
        show::slip_fields(&text, &slip)
    })
}

fn payload(encode: &Encode) -> Result<Payload, CliError> {
    let mut payload = Payload::to(recipient(encode).map_err(CliError::Recipient)?);
    // With an amount the codes of banks say 12, and some apps ask for the amount again otherwise.
    if encode.dynamic || (encode.amount.is_some() && !encode.reusable) {
        payload.initiation = Initiation::Dynamic;
    }
    payload.amount = encode.amount;
    payload.category.clone_from(&encode.category);
    payload.name.clone_from(&encode.name);
    payload.city.clone_from(&encode.city);
    payload.postal_code.clone_from(&encode.postal_code);
    if let Some(reference) = &encode.reference3 {
        payload.additional.insert(7, reference.clone());
    }
    payload.local = encode
        .thai_name
        .as_ref()
        .map(|name| LocalNames::thai(name, encode.thai_city.clone()));
    Ok(payload)
}

fn recipient(encode: &Encode) -> Result<Recipient, RecipientError> {
    let to = &encode.to;
    if let Some(mobile) = &to.mobile {
        return Ok(Recipient::Mobile(mobile.clone()));
    }
    if let Some(wallet) = &to.wallet {
        return Ok(Recipient::Wallet(wallet.clone()));
    }
    if let Some(once) = &to.one_time {
        return Ok(Recipient::OneTime(once.clone()));
    }
    if let Some(number) = &to.account {
        let bank = encode.bank.as_deref().unwrap_or_default();
        return BankAccount::new(bank, number).map(Recipient::BankAccount);
    }
    if let Some(digits) = &to.biller {
        let biller = if encode.unchecked {
            Biller::unchecked(digits)?
        } else {
            digits.parse()?
        };
        return Ok(Recipient::Bill(Bill {
            biller,
            reference1: encode.reference1.clone(),
            reference2: encode.reference2.clone(),
            is_cross_border: encode.cross_border,
        }));
    }
    // The command line takes exactly one, so that this is it.
    let digits = to.id.as_deref().unwrap_or_default();
    let id = if encode.unchecked {
        PersonalId::unchecked(digits)?
    } else {
        digits.parse()?
    };
    Ok(Recipient::PersonalId(id))
}

/// Files first: who reads the text may rely on them.
fn draw(
    output: Output,
    draw: &Draw,
    text: &str,
    fields: impl FnOnce() -> show::Object,
) -> Result<(), CliError> {
    let picture = Picture::of(text).map_err(CliError::Picture)?;
    if let Some(path) = &draw.png {
        write_new(path, &picture.png().map_err(CliError::Picture)?)?;
    }
    if let Some(path) = &draw.svg {
        write_new(path, picture.svg().as_bytes()).inspect_err(|_| {
            // This call made it: left behind it would stop the next try.
            if let Some(png) = &draw.png {
                let _ = fs::remove_file(png);
            }
        })?;
    }
    if output.json {
        let mut fields = fields();
        if draw.terminal {
            fields.insert("terminal".to_owned(), json!(picture.terminal()));
        }
        return output.object(fields);
    }
    if draw.terminal || io::stdout().is_terminal() {
        output.text(&picture.terminal())?;
    }
    output.text(&format!("{text}\n"))
}

/// A file that was not there. What could not be written whole does not stay.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let failed = |source| CliError::File {
        path: path.to_owned(),
        source,
    };
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(CliError::Exists {
                path: path.to_owned(),
            });
        }
        opened => opened.map_err(failed)?,
    };
    file.write_all(bytes).map_err(|source| {
        let _ = fs::remove_file(path);
        failed(source)
    })
}
