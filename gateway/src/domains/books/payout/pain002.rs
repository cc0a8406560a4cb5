//! What a bank says of a batch: ISO 20022 CustomerPaymentStatusReport (pain.002.001).
//!
//! Read for three things: which batch, and what became of the whole of it, of its payment information,
//! and of single payments, and why. The closest to a payment counts. Of the rest nothing is kept.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::reason::Reason;

/// Bytes of a report: a batch of the largest size, of 2,000 bytes a payment.
pub const PAIN002_BYTES_MAX: usize = 16 * 1024 * 1024;

const _: () = assert!(super::PAYOUTS_MAX * 2_000 <= PAIN002_BYTES_MAX);

/// Elements within each other; the schema has fewer than twenty.
const DEPTH_MAX: usize = 40;

/// The deepest element that is read: a payment's reason.
const READ_DEPTH_MAX: usize = 7;

/// The name of an element; the longest of the schema has fewer than 30.
const NAME_BYTES_MAX: usize = 64;

/// Payments that one report names.
const PAYMENTS_MAX: usize = 4 * super::PAYOUTS_MAX;

/// `Max35Text`.
const ID_BYTES_MAX: usize = 35;

/// Versions of the message: the elements that are read are the same in all of them.
const NAMESPACE_START: &str = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.";

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// The money has left (`ACSC`) or has arrived (`ACCC`).
    Paid,
    /// It has not, and will not (`RJCT`, `CANC`): both are final, and of a single payment they need no reason, which
    /// is optional in every version of the message.
    Rejected,
    /// All else: the bank has it (`RCVD`, `PDNG`), has checked it (`ACTC`, `ACCP`, `ACWC`), or is about it
    /// (`ACSP`, `PART`). From each of these it may still be rejected.
    Waiting,
    /// Rejected because the bank has had it before, or as a whole without a reason that is known. The
    /// payment may be made all the same, from another file of the batch.
    Doubtful,
}

impl PaymentStatus {
    /// As it stands in the journal.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Waiting => 0,
            Self::Paid => 1,
            Self::Rejected => 2,
            Self::Doubtful => 3,
        }
    }

    pub(super) const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Waiting),
            1 => Some(Self::Paid),
            2 => Some(Self::Rejected),
            3 => Some(Self::Doubtful),
            _ => None,
        }
    }
}

/// A report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// Of which batch.
    pub batch: u128,
    /// BLAKE3 of its bytes; zeros of what a person says.
    pub digest: [u8; 32],
    whole: Option<PaymentStatus>,
    payments: BTreeMap<String, PaymentStatus>,
    information_id: Option<String>,
    message_name: Option<String>,
}

/// Why a report is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// Too long.
    #[error("the report has more than {PAIN002_BYTES_MAX} bytes")]
    TooLarge,
    /// Another encoding.
    #[error("the report is not in UTF-8")]
    NotUtf8,
    /// No XML, or cut off.
    #[error("byte {at} of the report is no XML")]
    Xml {
        /// How far it was read.
        at: u64,
    },
    /// A document type: entities of its own are a known way to attack readers.
    #[error("the report defines a document type; no bank's does")]
    DocumentType,
    /// Too deep, or too long.
    #[error("the report has more elements than a batch of ours can have")]
    TooMany,
    /// An element with a name that is in no message.
    #[error("the report has a name of more than {NAME_BYTES_MAX} bytes")]
    LongName,
    /// Something else than pain.002.001.
    #[error("the report is no pain.002.001 of ISO 20022")]
    NotPain002,
    /// None of our batches.
    #[error("the report names no batch of ours as its original message")]
    NoBatch,
    /// An element that may be there once.
    #[error("the report has `{0}` twice")]
    Twice(String),
    /// A payment without a name, or a text that is too long.
    #[error("a payment of the report has no end-to-end identification or status")]
    Unnamed,
}

/// What is read of one payment.
#[derive(Default)]
struct Payment {
    id: Option<String>,
    status: Option<PaymentStatus>,
    reason: Reason,
}

/// What is read so far.
#[derive(Default)]
struct Reading {
    path: Vec<String>,
    text: String,
    elements: usize,
    batch: Option<String>,
    group: Option<PaymentStatus>,
    group_reason: Reason,
    information: Option<PaymentStatus>,
    information_reason: Reason,
    information_id: Option<String>,
    message_name: Option<String>,
    payment: Payment,
    payments: BTreeMap<String, PaymentStatus>,
}

const GROUP: &str = "Document/CstmrPmtStsRpt/OrgnlGrpInfAndSts";
const INFORMATION: &str = "Document/CstmrPmtStsRpt/OrgnlPmtInfAndSts";

impl StatusReport {
    /// Reads a report.
    ///
    /// # Errors
    /// [`StatusError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, StatusError> {
        if bytes.len() > PAIN002_BYTES_MAX {
            return Err(StatusError::TooLarge);
        }
        let text = str::from_utf8(bytes).map_err(|_| StatusError::NotUtf8)?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut reading = Reading::default();
        loop {
            let event = reader.read_event().map_err(|_| StatusError::Xml {
                at: reader.error_position(),
            })?;
            let at = reader.buffer_position();
            match event {
                Event::Start(start) => reading.open(&start)?,
                Event::Empty(start) => {
                    reading.open(&start)?;
                    reading.close()?;
                }
                Event::End(_) => reading.close()?,
                Event::Text(text) => reading.text(&text.xml10_content()),
                Event::CData(text) => reading.text(&text.xml10_content()),
                // None is in a text that we read; the mark keeps such a text from being one of ours.
                Event::GeneralRef(_) => reading.text("&"),
                Event::DocType(_) => return Err(StatusError::DocumentType),
                Event::Eof if reading.path.is_empty() => break,
                Event::Eof => return Err(StatusError::Xml { at }),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
        let batch = reading.batch.as_deref().and_then(id_of_ours);
        let (whole, payments) = reading.statuses();
        Ok(Self {
            batch: batch.ok_or(if reading.elements == 0 {
                StatusError::NotPain002
            } else {
                StatusError::NoBatch
            })?,
            digest: *blake3::hash(bytes).as_bytes(),
            whole,
            payments,
            information_id: reading.information_id,
            message_name: reading.message_name,
        })
    }

    /// What no bank wrote: these payments of the batch alone, under a digest of zeros.
    pub(super) const fn unwritten(batch: u128, payments: BTreeMap<String, PaymentStatus>) -> Self {
        Self {
            batch,
            digest: [0; 32],
            whole: None,
            payments,
            information_id: None,
            message_name: None,
        }
    }

    /// What became of the payout of a hold.
    #[must_use]
    pub fn status_of(&self, hold: u128) -> PaymentStatus {
        let own = self.payments.get(&format!("{hold:032x}")).copied();
        own.or(self.whole).unwrap_or(PaymentStatus::Waiting)
    }

    /// What the report names as its original, if that is no pain.001 or has another payment information.
    pub(super) fn other_message(&self) -> Option<String> {
        let name = self.message_name.as_ref();
        let id = self.information_id.as_ref();
        name.filter(|name| !name.starts_with("pain.001"))
            .or(id.filter(|id| id_of_ours(id) != Some(self.batch)))
            // It is shown, and may hold anything.
            .map(|found| found.escape_debug().to_string())
    }

    /// The payments that are none of `holds`, which are in order.
    pub(super) fn foreign(&self, holds: &[u128]) -> Vec<String> {
        let is_ours = |id: &str| id_of_ours(id).is_some_and(|id| holds.binary_search(&id).is_ok());
        let names = self.payments.keys();
        names.filter(|id| !is_ours(id)).cloned().collect()
    }
}

impl Reading {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), StatusError> {
        self.elements += 1;
        if self.path.len() >= DEPTH_MAX {
            return Err(StatusError::TooMany);
        }
        if self.path.is_empty() && !(self.elements == 1 && is_pain002(start)) {
            return Err(StatusError::NotPain002);
        }
        let name = start.local_name();
        if name.as_ref().len() > NAME_BYTES_MAX {
            return Err(StatusError::LongName);
        }
        self.path.push(name.as_ref().to_owned());
        self.text.clear();
        Ok(())
    }

    /// Text of the innermost element; what is longer than any text of ours is cut, and is none of ours.
    fn text(&mut self, text: &str) {
        let room = (ID_BYTES_MAX + 1).saturating_sub(self.text.len());
        self.text.extend(text.trim().chars().take(room));
    }

    fn close(&mut self) -> Result<(), StatusError> {
        let text = std::mem::take(&mut self.text);
        if self.path.len() > READ_DEPTH_MAX {
            self.path.pop();
            return Ok(());
        }
        let path = self.path.join("/");
        if let Some(name) = path.strip_prefix(GROUP) {
            match name {
                "/OrgnlMsgId" => once(&mut self.batch, text, name)?,
                "/OrgnlMsgNmId" => once(&mut self.message_name, text, name)?,
                "/GrpSts" => once(&mut self.group, status(&text), name)?,
                "/StsRsnInf/Rsn/Cd" | "/StsRsnInf/Rsn/Prtry" => self.group_reason.add(&text),
                _ => {}
            }
        } else if let Some(name) = path.strip_prefix(INFORMATION) {
            match name {
                "/OrgnlPmtInfId" => once(&mut self.information_id, text, name)?,
                "/StsRsnInf/Rsn/Cd" | "/StsRsnInf/Rsn/Prtry" => self.information_reason.add(&text),
                "/TxInfAndSts/StsRsnInf/Rsn/Cd" | "/TxInfAndSts/StsRsnInf/Rsn/Prtry" => {
                    self.payment.reason.add(&text);
                }
                "/PmtInfSts" => once(&mut self.information, status(&text), name)?,
                "/TxInfAndSts/OrgnlEndToEndId" => once(&mut self.payment.id, text, name)?,
                "/TxInfAndSts/TxSts" => once(&mut self.payment.status, status(&text), name)?,
                "/TxInfAndSts" => self.close_payment()?,
                _ => {}
            }
        }
        self.path.pop();
        Ok(())
    }

    fn close_payment(&mut self) -> Result<(), StatusError> {
        let Payment { id, status, reason } = std::mem::take(&mut self.payment);
        let is_id = |id: &String| {
            (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let id = id.filter(is_id).ok_or(StatusError::Unnamed)?;
        let mut status = status.ok_or(StatusError::Unnamed)?;
        if reason == Reason::Duplicate {
            status = doubted(status);
        }
        if self.payments.len() >= PAYMENTS_MAX {
            return Err(StatusError::TooMany);
        }
        let id = id.to_ascii_lowercase();
        if self.payments.contains_key(&id) {
            return Err(StatusError::Twice(id));
        }
        self.payments.insert(id, status);
        Ok(())
    }

    /// What the report says of the whole, and of single payments. A whole comes back for a known reason
    /// alone; what was refused as a duplicate takes its payments along.
    fn statuses(&mut self) -> (Option<PaymentStatus>, BTreeMap<String, PaymentStatus>) {
        let reason = self.group_reason.max(self.information_reason);
        let mut payments = std::mem::take(&mut self.payments);
        if reason == Reason::Duplicate {
            for status in payments.values_mut() {
                *status = doubted(*status);
            }
        }
        let whole = self.information.or(self.group);
        let whole = match reason {
            Reason::Known => whole,
            Reason::None | Reason::Other | Reason::Duplicate => whole.map(doubted),
        };
        (whole, payments)
    }
}

/// A rejection that is not to be believed.
fn doubted(status: PaymentStatus) -> PaymentStatus {
    if status == PaymentStatus::Rejected {
        PaymentStatus::Doubtful
    } else {
        status
    }
}

/// What is said twice could be said in two ways.
fn once<T>(place: &mut Option<T>, value: T, name: &str) -> Result<(), StatusError> {
    if place.is_some() {
        return Err(StatusError::Twice(name.trim_start_matches('/').to_owned()));
    }
    *place = Some(value);
    Ok(())
}

fn status(code: &str) -> PaymentStatus {
    match code {
        "ACSC" | "ACCC" => PaymentStatus::Paid,
        "RJCT" | "CANC" => PaymentStatus::Rejected,
        _ => PaymentStatus::Waiting,
    }
}

fn is_pain002(start: &BytesStart<'_>) -> bool {
    start.local_name().as_ref() == "Document"
        && start
            .attributes()
            // Looking for one that is there twice takes time by their square.
            .with_checks(false)
            .flatten()
            .filter(|it| it.key.as_ref() == "xmlns" || it.key.as_ref().starts_with("xmlns:"))
            .any(|it| it.value.starts_with(NAMESPACE_START))
}

/// Ids of ours are 32 hexadecimal digits.
fn id_of_ours(text: &str) -> Option<u128> {
    let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}
