//! A bank's answer as a command: what it says of each hold stands in the journal, and what is to become of
//! them is decided once. So whoever carries it out after a crash carries out the same.

use khlong_store::key::{Decoder, Encoder};
use khlong_store::limits::BATCH_ROW_BYTES;
use khlong_store::table::Table;

use super::batch::PAYOUTS_MAX;
use super::export::exported;
use super::fate::{Fate, fate};
use super::item::{ITEM_BYTES_MAX, Item};
use super::pain002::PaymentStatus;
use crate::kernel::{
    ApplyError, Context, Logic, OUTCOME_BYTES_MAX, WRITES_BYTES_MAX, WRITES_ROWS_MAX,
};

const _: () = assert!(
    3 + 2 * PAYOUTS_MAX < OUTCOME_BYTES_MAX,
    "the fates of the largest batch are one outcome"
);
const _: () = assert!(
    PAYOUTS_MAX * (BATCH_ROW_BYTES + 16 + ITEM_BYTES_MAX) <= WRITES_BYTES_MAX
        && PAYOUTS_MAX <= WRITES_ROWS_MAX,
    "and its decisions are what one command may write"
);

/// What a report says of a batch, as a command records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerRecord {
    /// The batch.
    pub batch: u128,
    /// BLAKE3 of the report; zeros if a person said it.
    pub report_digest: [u8; 32],
    /// Of each hold of the batch, in its order.
    pub statuses: Vec<PaymentStatus>,
}

/// What comes of it. Nothing is moved by that: the ledger is asked with [`Fate::transfer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FatesAnswer {
    /// 0: what is to become of each hold, in the batch's order.
    Fates(Vec<Fate>),
    /// 1: no such batch was exported.
    UnknownBatch,
    /// 2: the batch has another number of holds.
    Differs,
}

impl FatesAnswer {
    /// `code 1 ‖ count 2 ‖ (fate 1 ‖ try 1)*`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Fates(fates) => {
                let count = u16::try_from(fates.len()).unwrap_or(u16::MAX);
                let head = Encoder::new().u8(0).fixed(&count.to_be_bytes());
                let all = fates
                    .iter()
                    .fold(head, |bytes, fate| bytes.fixed(&fate.bytes()));
                all.finish()
            }
            Self::UnknownBatch => vec![1],
            Self::Differs => vec![2],
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(bytes);
        match fields.u8()? {
            0 => {
                let count = usize::from(u16::from_be_bytes(fields.fixed()?));
                let (pairs, []) = fields.tail().as_chunks::<2>() else {
                    return None;
                };
                let fates: Option<Vec<Fate>> =
                    pairs.iter().map(|pair| Fate::from_bytes(*pair)).collect();
                fates.filter(|it| it.len() == count).map(Self::Fates)
            }
            1 => fields.end().map(|()| Self::UnknownBatch),
            2 => fields.end().map(|()| Self::Differs),
            _ => None,
        }
    }
}

impl AnswerRecord {
    /// `batch 16 ‖ report digest 32 ‖ count 2 ‖ (status 1)*`.
    pub(in crate::domains::books) fn put(&self, start: Encoder) -> Encoder {
        let count = u16::try_from(self.statuses.len()).unwrap_or(u16::MAX);
        let head = start
            .fixed(&self.batch.to_be_bytes())
            .fixed(&self.report_digest)
            .fixed(&count.to_be_bytes());
        self.statuses
            .iter()
            .fold(head, |bytes, status| bytes.u8(status.number()))
    }

    pub(in crate::domains::books) fn take(fields: &mut Decoder<'_>) -> Option<Self> {
        let batch = u128::from_be_bytes(fields.fixed()?);
        let report_digest = fields.fixed()?;
        let count = usize::from(u16::from_be_bytes(fields.fixed()?));
        let numbers = fields.tail();
        if numbers.len() != count || count == 0 || count > PAYOUTS_MAX {
            return None;
        }
        let statuses: Option<Vec<PaymentStatus>> = numbers
            .iter()
            .map(|number| PaymentStatus::from_number(*number))
            .collect();
        Some(Self {
            batch,
            report_digest,
            statuses: statuses?,
        })
    }
}

/// Decides what is to become of each hold, as the ledger stands. From then on the ledger settles it so, and takes
/// no other post or void of it; a later answer changes at most the id, where that one was burned or taken.
pub(in crate::domains::books) fn answer(
    context: &mut Context<'_, '_>,
    answer: &AnswerRecord,
) -> Result<FatesAnswer, ApplyError> {
    let Some(known) = exported(context.rows(), answer.batch)? else {
        return Ok(FatesAnswer::UnknownBatch);
    };
    if known.record.transfers.len() != answer.statuses.len() {
        return Ok(FatesAnswer::Differs);
    }
    let logic = context.logic();
    let mut fates = Vec::new();
    for (hold, status) in known.record.transfers.iter().zip(&answer.statuses) {
        fates.push(fate(context.rows(), logic, &known.record, *hold, *status)?);
    }
    if logic >= Logic::V4 {
        for (hold, fate) in known.record.transfers.iter().zip(&fates) {
            if let Some(transfer) = fate.transfer(&known.record, *hold) {
                let key = hold.to_be_bytes().to_vec();
                let item = Item::decided(answer.batch, &transfer);
                context.put(Table::BooksPayoutItem, key, item.encode())?;
            }
        }
    }
    Ok(FatesAnswer::Fates(fates))
}
