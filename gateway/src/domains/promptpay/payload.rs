//! What a code says, and how it is written.

use std::collections::BTreeMap;

use super::error::PayloadError;
use super::recipient::{Bill, Recipient};
use super::tlv::Ending;
use super::write::Writer;
use crate::domains::l10n::Satang;

pub(super) const ENDING: Ending = Ending {
    tag: 63,
    may_be_short: false,
};

/// Tag 00.
pub(super) const FORMAT: &str = "01";
/// Tag 53: baht, by ISO 4217.
pub(super) const CURRENCY: &str = "764";
/// Tag 58.
pub(super) const COUNTRY: &str = "TH";

/// Applications of the Thai standard, by which tags 29 and 30 begin.
pub(super) const TRANSFER: &str = "A000000677010111";
pub(super) const ONE_TIME: &str = "A000000677010114";
pub(super) const BILL: &str = "A000000677010112";
pub(super) const CROSS_BORDER_BILL: &str = "A000000677012006";

/// Whether a code is for many payments or for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initiation {
    /// For as many as come: a code on the wall, with an amount or without.
    #[default]
    Static,
    /// For one payment.
    Dynamic,
}

impl Initiation {
    /// As in tag 01.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Static => "11",
            Self::Dynamic => "12",
        }
    }

    /// For machines to read.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Dynamic => "dynamic",
        }
    }
}

/// Tag 64: name and town in the language of the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNames {
    /// ISO 639: `th`.
    pub language: String,
    /// At most 25 characters.
    pub name: String,
    /// At most 15 characters.
    pub city: Option<String>,
    /// Tags of the template without a meaning here, as they are.
    pub other: BTreeMap<u8, String>,
}

impl LocalNames {
    /// In Thai.
    #[must_use]
    pub fn thai(name: impl Into<String>, city: Option<String>) -> Self {
        Self {
            language: "th".to_owned(),
            name: name.into(),
            city,
            other: BTreeMap::new(),
        }
    }
}

/// What a code says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Tag 01.
    pub initiation: Initiation,
    /// Tag 29 or 30.
    pub recipient: Recipient,
    /// Further tags within 29 or 30, as they are.
    pub recipient_other: BTreeMap<u8, String>,
    /// Tag 52: four digits of ISO 18245.
    pub category: Option<String>,
    /// Tag 54; without it the payer says how much.
    pub amount: Option<Satang>,
    /// Tag 59: at most 25 characters.
    pub name: Option<String>,
    /// Tag 60: at most 15 characters.
    pub city: Option<String>,
    /// Tag 61: at most 10 characters.
    pub postal_code: Option<String>,
    /// Tag 62, by the tags within it: 01 bill, 05 reference, 07 terminal (or a third reference) ….
    pub additional: BTreeMap<u8, String>,
    /// Tag 64.
    pub local: Option<LocalNames>,
    /// Tags without a meaning here, as they are.
    pub other: BTreeMap<u8, String>,
}

impl Payload {
    /// To a recipient, for many payments, the payer says how much.
    #[must_use]
    pub fn to(recipient: Recipient) -> Self {
        Self {
            initiation: Initiation::Static,
            recipient,
            recipient_other: BTreeMap::new(),
            category: None,
            amount: None,
            name: None,
            city: None,
            postal_code: None,
            additional: BTreeMap::new(),
            local: None,
            other: BTreeMap::new(),
        }
    }

    /// The text of its code, tags ascending, the checksum last.
    ///
    /// # Errors
    /// [`PayloadError`] when a part of it is not what a code may have; offsets are those of the text
    /// that it would have been.
    pub fn encode(&self) -> Result<String, PayloadError> {
        let mut writer = Writer::root();
        writer.field(0, FORMAT)?;
        writer.field(1, self.initiation.code())?;
        let (tag, account) = self.account()?;
        writer.field(tag, &account.text())?;
        writer.optional(52, self.category.as_deref())?;
        writer.field(53, CURRENCY)?;
        let amount = self.amount.map(|amount| amount.to_string());
        writer.optional(54, amount.as_deref())?;
        writer.field(58, COUNTRY)?;
        writer.optional(59, self.name.as_deref())?;
        writer.optional(60, self.city.as_deref())?;
        writer.optional(61, self.postal_code.as_deref())?;
        if !self.additional.is_empty() {
            let mut template = Writer::within(62);
            template.others(&self.additional)?;
            writer.field(62, &template.text())?;
        }
        if let Some(local) = &self.local {
            writer.field(64, &local.template()?.text())?;
        }
        writer.others(&self.other)?;
        let text = writer.finish(ENDING);
        // The decoder is the one place that knows what is allowed.
        let back = Self::decode(&text)?;
        match self.misplaced(&back) {
            Some(tag) => Err(PayloadError::NotOther { tag }),
            None => Ok(text),
        }
    }

    /// Tag 29 or 30.
    fn account(&self) -> Result<(u8, Writer), PayloadError> {
        let tag = match &self.recipient {
            Recipient::Bill(_) => 30,
            Recipient::Mobile(_)
            | Recipient::PersonalId(_)
            | Recipient::Wallet(_)
            | Recipient::BankAccount(_)
            | Recipient::OneTime(_) => 29,
        };
        let mut account = Writer::within(tag);
        match &self.recipient {
            Recipient::Mobile(mobile) => transfer(&mut account, TRANSFER, 1, &mobile.to_payload())?,
            Recipient::PersonalId(id) => transfer(&mut account, TRANSFER, 2, &id.to_string())?,
            Recipient::Wallet(wallet) => transfer(&mut account, TRANSFER, 3, &wallet.to_string())?,
            Recipient::BankAccount(bank) => {
                transfer(&mut account, TRANSFER, 4, &bank.to_payload())?;
            }
            Recipient::OneTime(once) => transfer(&mut account, ONE_TIME, 5, &once.to_string())?,
            Recipient::Bill(bill) => bill.write(&mut account)?,
        }
        account.others(&self.recipient_other)?;
        Ok((tag, account))
    }

    /// A tag among the others that is read as something else.
    fn misplaced(&self, back: &Self) -> Option<u8> {
        let lost = |given: &BTreeMap<u8, String>, read: &BTreeMap<u8, String>| {
            given.keys().find(|tag| !read.contains_key(tag)).copied()
        };
        lost(&self.other, &back.other)
            .or_else(|| lost(&self.recipient_other, &back.recipient_other))
            .or_else(|| match (&self.local, &back.local) {
                (Some(given), Some(read)) => lost(&given.other, &read.other),
                (Some(_) | None, Some(_) | None) => None,
            })
    }
}

fn transfer(
    account: &mut Writer,
    application: &str,
    tag: u8,
    proxy: &str,
) -> Result<(), PayloadError> {
    account.field(0, application)?;
    account.field(tag, proxy)
}

impl Bill {
    fn write(&self, account: &mut Writer) -> Result<(), PayloadError> {
        let application = if self.is_cross_border {
            CROSS_BORDER_BILL
        } else {
            BILL
        };
        account.field(0, application)?;
        account.field(1, &self.biller.to_string())?;
        for (tag, reference) in [(2, &self.reference1), (3, &self.reference2)] {
            let reference = reference.as_ref().map(ToString::to_string);
            account.optional(tag, reference.as_deref())?;
        }
        Ok(())
    }
}

impl LocalNames {
    fn template(&self) -> Result<Writer, PayloadError> {
        let mut template = Writer::within(64);
        template.field(0, &self.language)?;
        template.field(1, &self.name)?;
        template.optional(2, self.city.as_deref())?;
        template.others(&self.other)?;
        Ok(template)
    }
}
