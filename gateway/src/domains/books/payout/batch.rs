//! A batch: which holds are paid out, to whom, and the file that says so.

use std::collections::BTreeMap;

use khlong_crdt::time::UnixMillis;
use khlong_store::error::StoreError;
use khlong_store::rows::Rows;

use super::export::{ExportRecord, Exported, exported};
use super::item::item;
use super::text::{AccountNumber, Agent, Text140};
use super::{PayoutError, pain001, payment_csv};
use crate::domains::books::day::Day;
use crate::domains::ledger::limits::BATCH_ITEMS_MAX;
use crate::domains::ledger::{self, Transfer, TransferFlags, TransferState};

/// Payouts of a batch. Their ids are one command, and each has a row.
pub const PAYOUTS_MAX: usize = 8_000;

const _: () = assert!(
    PAYOUTS_MAX <= BATCH_ITEMS_MAX,
    "one command of the ledger settles a batch"
);

/// Who is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creditor {
    /// The holder of the account.
    pub name: Text140,
    /// The account.
    pub account: AccountNumber,
    /// Its bank.
    pub agent: Agent,
    /// What for.
    pub remittance: Option<Text140>,
}

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Debtor {
    /// The holder of the account.
    pub name: Text140,
    /// The account.
    pub account: AccountNumber,
    /// Its bank.
    pub agent: Agent,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// The hold; its id is the payment's end-to-end identification.
    pub transfer: u128,
    /// How many satang.
    pub satang: u128,
    /// Who is paid.
    pub creditor: Creditor,
}

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutFormat {
    /// 1: ISO 20022, pain.001.001.09.
    Pain001,
    /// 2: CSV.
    Csv,
}

impl PayoutFormat {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Pain001 => 1,
            Self::Csv => 2,
        }
    }

    pub(super) const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Pain001),
            2 => Some(Self::Csv),
            _ => None,
        }
    }
}

/// A batch of payouts from one clearing account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutBatch {
    /// Who pays.
    pub debtor: Debtor,
    /// The account towards which all is held.
    pub clearing: u128,
    /// When the batch was made.
    pub created_at: UnixMillis,
    /// The day on which the bank shall pay.
    pub execution: Day,
    /// By transfer.
    pub payouts: Vec<Payout>,
}

impl PayoutBatch {
    /// A batch of holds that wait. Each goes to the clearing account, in baht, and never expires.
    ///
    /// # Errors
    /// [`PayoutError`].
    pub fn new(
        rows: &dyn Rows,
        debtor: Debtor,
        clearing: u128,
        created_at: UnixMillis,
        execution: Day,
        creditors: Vec<(u128, Creditor)>,
    ) -> Result<Self, PayoutError> {
        let payouts = gather(rows, clearing, creditors, Holds::Waiting)?;
        Ok(Self {
            debtor,
            clearing,
            created_at,
            execution,
            payouts,
        })
    }

    /// The same for whoever has it recorded by a command, and may ask again under its idempotency key. Only what
    /// never changes is looked at, so that the key finds its answer, also a refusal, whatever became of the holds
    /// meanwhile: whether they wait, and in which batch, is for the command to say, see
    /// [`ExportAnswer::refusal`](super::ExportAnswer::refusal). The file of one that was recorded before may leave only
    /// if [`first_settled`] finds none.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn asked(
        rows: &dyn Rows,
        debtor: Debtor,
        clearing: u128,
        created_at: UnixMillis,
        execution: Day,
        creditors: Vec<(u128, Creditor)>,
    ) -> Result<Self, PayoutError> {
        let mut transfers: Vec<u128> = creditors.iter().map(|(transfer, _)| *transfer).collect();
        transfers.sort_unstable();
        let holds = match exported(rows, id_of(clearing, transfers.into_iter()))? {
            Some(_) => Holds::Recorded,
            None => Holds::Asked,
        };
        let payouts = gather(rows, clearing, creditors, holds)?;
        Ok(Self {
            debtor,
            clearing,
            created_at,
            execution,
            payouts,
        })
    }

    /// A batch that was recorded, again, to write its file once more.
    ///
    /// # Errors
    /// [`PayoutError::Unfit`] if one of its holds is settled, or the books decided that it shall be: its money went
    /// somewhere already.
    /// [`PayoutError::OtherFile`] unless it comes to the very file that was recorded.
    pub fn again(
        rows: &dyn Rows,
        debtor: Debtor,
        exported: &Exported,
        creditors: Vec<(u128, Creditor)>,
    ) -> Result<Self, PayoutError> {
        let record = &exported.record;
        let batch = Self {
            debtor,
            clearing: record.clearing,
            created_at: record.created_at,
            execution: record.execution,
            payouts: gather(rows, record.clearing, creditors, Holds::Waiting)?,
        };
        if batch.record(record.format)? == *record {
            Ok(batch)
        } else {
            let batch = record.batch;
            Err(PayoutError::OtherFile { batch })
        }
    }

    /// Names the batch: the same holds are the same batch, whoever puts them together.
    #[must_use]
    pub fn id(&self) -> u128 {
        id_of(self.clearing, self.payouts.iter().map(|it| it.transfer))
    }

    /// What all of it comes to, in satang: the file's control sum.
    #[must_use]
    pub fn sum(&self) -> u128 {
        self.payouts
            .iter()
            .fold(0, |sum: u128, payout| sum.saturating_add(payout.satang))
    }

    /// The file. The same batch makes the same bytes.
    ///
    /// # Errors
    /// [`PayoutError::Write`].
    pub fn file(&self, format: PayoutFormat) -> Result<Vec<u8>, PayoutError> {
        match format {
            PayoutFormat::Pain001 => pain001::write(self).map_err(PayoutError::Write),
            PayoutFormat::Csv => Ok(payment_csv::write(self)),
        }
    }

    /// What is recorded before the file leaves.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn record(&self, format: PayoutFormat) -> Result<ExportRecord, PayoutError> {
        Ok(ExportRecord {
            batch: self.id(),
            clearing: self.clearing,
            created_at: self.created_at,
            execution: self.execution,
            format,
            sum: self.sum(),
            file_digest: *blake3::hash(&self.file(format)?).as_bytes(),
            transfers: self.payouts.iter().map(|it| it.transfer).collect(),
        })
    }
}

/// The first of these holds that does not wait any more, or of which the books decided that it shall not. What comes
/// back, or was paid, must not be paid by a file that leaves now.
///
/// # Errors
/// From the disk, or a damaged row.
pub fn first_settled(rows: &dyn Rows, transfers: &[u128]) -> Result<Option<u128>, StoreError> {
    for transfer in transfers {
        let found = ledger::transfer(rows, *transfer)?;
        let is_waiting = found.is_some_and(|(_, _, state)| state == TransferState::Pending);
        if !is_waiting || is_decided(rows, *transfer)? {
            return Ok(Some(*transfer));
        }
    }
    Ok(None)
}

/// The id of the batch of these holds, which are in order.
pub(super) fn id_of(clearing: u128, transfers: impl Iterator<Item = u128>) -> u128 {
    let mut hasher =
        blake3::Hasher::new_derive_key("khlong.network 2026-11 gateway payout batch v1");
    hasher.update(&clearing.to_be_bytes());
    for transfer in transfers {
        hasher.update(&transfer.to_be_bytes());
    }
    first_16(hasher.finalize().as_bytes())
}

/// The first half of a hash as a number.
pub(super) fn first_16(hash: &[u8; 32]) -> u128 {
    let (half, _) = hash.split_at(16);
    half.iter()
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Whether the books decided what becomes of a hold, whether or not the ledger has been asked.
fn is_decided(rows: &dyn Rows, transfer: u128) -> Result<bool, StoreError> {
    Ok(item(rows, transfer)?.is_some_and(|item| item.decided.is_some()))
}

/// Which holds a batch is put together of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// Those of a batch that is recorded: they may be settled by now, and close an account.
    Recorded,
    /// Those that somebody names for a command.
    Asked,
    /// Those of which nothing became yet: a file may leave now.
    Waiting,
}

fn gather(
    rows: &dyn Rows,
    clearing: u128,
    creditors: Vec<(u128, Creditor)>,
    holds: Holds,
) -> Result<Vec<Payout>, PayoutError> {
    let found = creditors.len();
    if found == 0 || found > PAYOUTS_MAX {
        return Err(PayoutError::Count { found });
    }
    let mut payouts = BTreeMap::new();
    for (transfer, creditor) in creditors {
        let unfit = |why| PayoutError::Unfit { transfer, why };
        let (hold, _, state) =
            ledger::transfer(rows, transfer)?.ok_or_else(|| unfit("there is no such transfer"))?;
        if let Some(why) = unfit_reason(&hold, clearing) {
            return Err(unfit(why));
        }
        if holds == Holds::Waiting {
            if state != TransferState::Pending {
                return Err(unfit("it is settled already"));
            }
            if is_decided(rows, transfer)? {
                return Err(unfit(
                    "an answer says what became of it; hand that in again, and it is settled",
                ));
            }
        }
        if holds != Holds::Recorded && closes(&hold) {
            return Err(unfit("it closes an account, so it can only be given back"));
        }
        if !is_baht(rows, hold.ledger)? {
            return Err(unfit("it is not in hundredths of baht"));
        }
        let payout = Payout {
            transfer,
            satang: hold.amount,
            creditor,
        };
        if payouts.insert(transfer, payout).is_some() {
            return Err(PayoutError::Twice { transfer });
        }
    }
    Ok(payouts.into_values().collect())
}

/// Whether the asset is counted in hundredths of baht.
pub(super) fn is_baht(rows: &dyn Rows, ledger: u32) -> Result<bool, StoreError> {
    let asset = ledger::asset(rows, ledger)?;
    Ok(asset.is_some_and(|asset| asset.scale == 2 && asset.symbol.starts_with(b"THB\0")))
}

/// Twelve digits of baht.
const PAYOUT_SATANG_MAX: u128 = 99_999_999_999_999;

const _: () = assert!(
    PAYOUTS_MAX as u128 * PAYOUT_SATANG_MAX < 1_000_000_000_000_000_000,
    "the control sum has at most the 18 digits of `DecimalNumber`"
);

/// Whether its account takes nothing, its own post included, until it is given back.
pub(super) fn closes(hold: &Transfer) -> bool {
    hold.flags.has(TransferFlags::CLOSING_DEBIT) || hold.flags.has(TransferFlags::CLOSING_CREDIT)
}

/// Why a transfer is no payout; nothing of it changes with time.
pub(super) fn unfit_reason(hold: &Transfer, clearing: u128) -> Option<&'static str> {
    if !hold.flags.has(TransferFlags::PENDING) {
        Some("it is not a hold")
    } else if hold.credit_account_id != clearing {
        Some("it is held towards another account")
    } else if hold.timeout != 0 {
        Some("it may expire while the bank pays")
    } else if hold.amount == 0 || hold.amount > PAYOUT_SATANG_MAX {
        Some("its amount is 0, or has more than 12 digits of baht")
    } else {
        None
    }
}
