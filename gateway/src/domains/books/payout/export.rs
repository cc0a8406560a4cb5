//! What is kept of a batch: that its file may leave, and which file it is.

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::journal::JournalSeq;
use khlong_store::key::{Decoder, Encoder};
use khlong_store::limits::BATCH_ROW_BYTES;
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::PayoutError;
use super::batch::{PAYOUTS_MAX, PayoutFormat, closes, id_of, is_baht, unfit_reason};
use super::item::{Item, batch_of};
use crate::domains::books::day::Day;
use crate::domains::ledger::{self, TransferState};
use crate::kernel::{
    ApplyError, BODY_BYTES_MAX, Context, Logic, WRITES_BYTES_MAX, WRITES_ROWS_MAX,
};

/// Fields before the transfers.
const HEAD_BYTES: usize = 16 + 16 + 8 + 4 + 1 + 16 + 32 + 2;

const _: () = assert!(
    2 + HEAD_BYTES + 16 * PAYOUTS_MAX <= BODY_BYTES_MAX,
    "the largest batch is one command"
);
const _: () = assert!(
    32 + HEAD_BYTES + 16 * PAYOUTS_MAX + BATCH_ROW_BYTES + PAYOUTS_MAX * (BATCH_ROW_BYTES + 32)
        <= WRITES_BYTES_MAX
        && PAYOUTS_MAX < WRITES_ROWS_MAX,
    "its rows are what one command may write"
);

/// A batch, as a command records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRecord {
    /// Its id.
    pub batch: u128,
    /// The account towards which all is held.
    pub clearing: u128,
    /// When it was made.
    pub created_at: UnixMillis,
    /// The day on which the bank shall pay.
    pub execution: Day,
    /// Which file.
    pub format: PayoutFormat,
    /// What it comes to, in satang.
    pub sum: u128,
    /// BLAKE3 of the file.
    pub file_digest: [u8; 32],
    /// The holds, in order.
    pub transfers: Vec<u128>,
}

/// A batch whose file may leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The command that recorded it.
    pub seq: JournalSeq,
    /// The time of it.
    pub at: UnixMillis,
    /// What it said.
    pub record: ExportRecord,
}

/// What comes of recording a batch. The file may leave at [`Self::Recorded`] alone, and once: the command
/// that has the seq of the answer sends it. Whoever gets the answer again does not know whether it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportAnswer {
    /// 0: it is recorded; by which command first, and when.
    Recorded(JournalSeq, UnixMillis),
    /// 1: it was recorded with another file, of this digest.
    OtherFile([u8; 32]),
    /// 2: a transfer of it is no hold of baht that waits for the clearing account, never expires, and closes
    /// no account.
    Unfit(u128),
    /// 3: a transfer of it is in another batch.
    InBatch(u128, u128),
    /// 4: its id or its sum is not that of its transfers.
    Differs,
}

impl ExportAnswer {
    /// What everybody is told of `batch` where this refuses it, at once or at a retry; `None` where it is recorded, or
    /// where it is no answer to a batch that was put together from the ledger.
    #[must_use]
    pub fn refusal(&self, batch: u128) -> Option<PayoutError> {
        let unfit = |transfer: &u128, why| {
            let transfer = *transfer;
            Some(PayoutError::Unfit { transfer, why })
        };
        match self {
            Self::Recorded(..) | Self::Differs => None,
            Self::OtherFile(_) => Some(PayoutError::OtherFile { batch }),
            // All else that [`export`] looks at `gather` looked at before, and it does not change. A condition of
            // one belongs in both.
            Self::Unfit(transfer) => unfit(transfer, "it is settled already"),
            Self::InBatch(transfer, _) => unfit(transfer, "it is in another batch already"),
        }
    }

    /// `code 1 ‖ fields`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let start = Encoder::new();
        match self {
            Self::Recorded(seq, at) => start.u8(0).u64(seq.0).i64(at.0).finish(),
            Self::OtherFile(digest) => start.u8(1).fixed(digest).finish(),
            Self::Unfit(transfer) => start.u8(2).fixed(&transfer.to_be_bytes()).finish(),
            Self::InBatch(transfer, batch) => start
                .u8(3)
                .fixed(&transfer.to_be_bytes())
                .fixed(&batch.to_be_bytes())
                .finish(),
            Self::Differs => start.u8(4).finish(),
        }
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Decoder::new(bytes);
        let code = fields.u8()?;
        let mut id = || fields.fixed().map(u128::from_be_bytes);
        let answer = match code {
            0 => Self::Recorded(JournalSeq(fields.u64()?), UnixMillis(fields.i64()?)),
            1 => Self::OtherFile(fields.fixed()?),
            2 => Self::Unfit(id()?),
            3 => Self::InBatch(id()?, id()?),
            4 => Self::Differs,
            _ => return None,
        };
        fields.end()?;
        Some(answer)
    }
}

impl ExportRecord {
    /// `batch 16 ‖ clearing 16 ‖ created_at 8 ‖ execution 4 ‖ format 1 ‖ sum 16 ‖ file digest 32 ‖ count 2 ‖ (transfer 16)*`.
    pub(in crate::domains::books) fn put(&self, start: Encoder) -> Encoder {
        let count = u16::try_from(self.transfers.len()).unwrap_or(u16::MAX);
        let head = start
            .fixed(&self.batch.to_be_bytes())
            .fixed(&self.clearing.to_be_bytes())
            .i64(self.created_at.0)
            .u32(self.execution.0)
            .u8(self.format.number())
            .fixed(&self.sum.to_be_bytes())
            .fixed(&self.file_digest)
            .fixed(&count.to_be_bytes());
        self.transfers
            .iter()
            .fold(head, |bytes, id| bytes.fixed(&id.to_be_bytes()))
    }

    /// The transfers are in order, none twice.
    pub(in crate::domains::books) fn take(fields: &mut Decoder<'_>) -> Option<Self> {
        let batch = u128::from_be_bytes(fields.fixed()?);
        let clearing = u128::from_be_bytes(fields.fixed()?);
        let created_at = UnixMillis(fields.i64()?);
        let execution = Day(fields.u32()?);
        let format = PayoutFormat::from_number(fields.u8()?)?;
        let sum = u128::from_be_bytes(fields.fixed()?);
        let file_digest = fields.fixed()?;
        let count = usize::from(u16::from_be_bytes(fields.fixed()?));
        let (ids, []) = fields.tail().as_chunks::<16>() else {
            return None;
        };
        if ids.len() != count || count == 0 || count > PAYOUTS_MAX {
            return None;
        }
        let transfers: Vec<u128> = ids.iter().map(|id| u128::from_be_bytes(*id)).collect();
        let is_in_order = transfers
            .iter()
            .zip(transfers.iter().skip(1))
            .all(|(one, next)| one < next);
        is_in_order.then_some(Self {
            batch,
            clearing,
            created_at,
            execution,
            format,
            sum,
            file_digest,
            transfers,
        })
    }
}

/// Records a batch; from then on its file may leave.
pub(in crate::domains::books) fn export(
    context: &mut Context<'_, '_>,
    record: &ExportRecord,
) -> Result<ExportAnswer, ApplyError> {
    if let Some(known) = exported(context.rows(), record.batch)? {
        return Ok(if known.record == *record {
            ExportAnswer::Recorded(known.seq, known.at)
        } else {
            ExportAnswer::OtherFile(known.record.file_digest)
        });
    }
    let mut sum = 0_u128;
    for id in &record.transfers {
        if let Some(batch) = batch_of(context.rows(), *id)? {
            return Ok(ExportAnswer::InBatch(*id, batch));
        }
        match ledger::transfer(context.rows(), *id)? {
            Some((hold, _, TransferState::Pending))
                if unfit_reason(&hold, record.clearing).is_none()
                    && (context.logic() < Logic::V4 || !closes(&hold))
                    && is_baht(context.rows(), hold.ledger)? =>
            {
                sum = sum.saturating_add(hold.amount);
            }
            Some(_) | None => return Ok(ExportAnswer::Unfit(*id)),
        }
    }
    let id = id_of(record.clearing, record.transfers.iter().copied());
    if (id, sum) != (record.batch, record.sum) {
        return Ok(ExportAnswer::Differs);
    }
    let (seq, at) = (context.seq(), context.now());
    let key = record.batch.to_be_bytes();
    let row = record.put(Encoder::new().u64(seq.0).i64(at.0)).finish();
    context.put(Table::BooksPayout, key.to_vec(), row)?;
    let item = Item {
        batch: record.batch,
        decided: None,
    };
    for id in &record.transfers {
        let id = id.to_be_bytes().to_vec();
        context.put(Table::BooksPayoutItem, id, item.encode())?;
    }
    Ok(ExportAnswer::Recorded(seq, at))
}

/// The batch with that id.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn exported(rows: &dyn Rows, batch: u128) -> Result<Option<Exported>, StoreError> {
    let key = batch.to_be_bytes();
    match rows.get(Table::BooksPayout, &key)? {
        Some(row) => decode(&key, &row).map(Some),
        None => Ok(None),
    }
}

/// The batch of a row.
pub(super) fn decode(key: &[u8], row: &[u8]) -> Result<Exported, StoreError> {
    let mut fields = Decoder::new(row);
    let found = (|| {
        Some(Exported {
            seq: JournalSeq(fields.u64()?),
            at: UnixMillis(fields.i64()?),
            record: ExportRecord::take(&mut fields)?,
        })
    })();
    found.ok_or_else(|| StoreError::corrupt(Table::BooksPayout, key, LAYOUT))
}

const LAYOUT: &str = "the row does not have the layout of its table";
