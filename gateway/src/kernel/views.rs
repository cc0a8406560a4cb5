//! Which journal the views follow from, and how far.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use khlong_crdt::time::UnixMillis;
use khlong_store::batch::Batch;
use khlong_store::engine::Direction;
use khlong_store::error::StoreError;
use khlong_store::journal::{self, Head, JournalId, JournalSeq};
use khlong_store::key::{Decoder, Encoder, KeyRange};
use khlong_store::rows::Rows;
use khlong_store::table::Table;

use super::context::Domain;
use super::error::KernelError;
use super::housekeeping::{KERNEL_DOMAIN, KERNEL_TABLES};

/// The row of `meta` that says how far the views go.
pub(super) const META_APPLIED: &[u8] = b"applied";

/// A row of the first builds, which names no journal.
const UNBOUND_BYTES: usize = 16;

/// The views, by number. A new one goes to the end.
pub(super) const VIEWS: [Table; 15] = [
    Table::Idempotency,
    Table::IdempotencyAge,
    Table::GatewayOutbox,
    Table::LedgerAccount,
    Table::LedgerTransfer,
    Table::LedgerTransferId,
    Table::LedgerBalance,
    Table::LedgerExpiry,
    Table::LedgerAsset,
    Table::BooksClose,
    Table::BooksCloseTotal,
    Table::BooksReconciliation,
    Table::BooksPayout,
    Table::BooksPayoutItem,
    Table::GatewayKernel,
];

/// How far the views go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// The last command that they hold.
    pub seq: JournalSeq,
    /// The time of it: that of a command is never before the one before it.
    pub time: UnixMillis,
}

/// `seq 8 ‖ time 8 ‖ journal id 16 ‖ hash 32`: the journal's own hash at that place. Rows of
/// the first builds end after the time.
pub(super) fn note(batch: &mut Batch<'_>, applied: Applied, head: &Head) -> Result<(), StoreError> {
    let row = Encoder::new()
        .u64(applied.seq.0)
        .i64(applied.time.0)
        .fixed(head.id.as_bytes())
        .fixed(&head.hash)
        .finish();
    batch.put(Table::Meta, META_APPLIED.to_vec(), row)
}

/// Whether the views in `rows` are those of a journal with this head (`None`: of no journal,
/// so there may be none), and how far they go. The journal itself is for
/// [`journal::verify`] to check.
///
/// # Errors
/// [`KernelError::NoJournal`], [`KernelError::OtherJournal`], [`KernelError::Behind`], or
/// those of the disk.
pub fn check(rows: &dyn Rows, head: Option<&Head>) -> Result<Applied, KernelError> {
    let Some((applied, bound)) = read(rows)? else {
        if has_views(rows)? {
            return Err(KernelError::NoJournal);
        }
        return match head {
            Some(head) if head.seq != JournalSeq(0) => Err(KernelError::Behind {
                applied: 0,
                head: head.seq.0,
            }),
            Some(_) | None => Ok(Applied::default()),
        };
    };
    let Some(head) = head else {
        return Err(KernelError::NoJournal);
    };
    if let Some((id, hash)) = bound {
        let same_place = if applied.seq == head.seq {
            Some(head.hash)
        } else {
            journal::get(rows, applied.seq)?.map(|stored| stored.hash)
        };
        if id != head.id || same_place.is_some_and(|expected| expected != hash) {
            return Err(KernelError::OtherJournal {
                applied: applied.seq.0,
            });
        }
    }
    if applied.seq != head.seq {
        return Err(KernelError::Behind {
            applied: applied.seq.0,
            head: head.seq.0,
        });
    }
    Ok(applied)
}

type Bound = Option<(JournalId, [u8; 32])>;

fn read(rows: &dyn Rows) -> Result<Option<(Applied, Bound)>, StoreError> {
    let Some(row) = rows.get(Table::Meta, META_APPLIED)? else {
        return Ok(None);
    };
    let mut fields = Decoder::new(&row);
    let decoded = (|| {
        let applied = Applied {
            seq: JournalSeq(fields.u64()?),
            time: UnixMillis(fields.i64()?),
        };
        if row.len() == UNBOUND_BYTES {
            fields.end()?;
            return Some((applied, None));
        }
        let id = JournalId::from_bytes(fields.fixed()?);
        let hash = fields.fixed()?;
        fields.end()?;
        Some((applied, Some((id, hash))))
    })();
    decoded
        .map(Some)
        .ok_or_else(|| StoreError::corrupt(Table::Meta, META_APPLIED, "not a place in the journal"))
}

fn has_views(rows: &dyn Rows) -> Result<bool, StoreError> {
    for table in VIEWS {
        let mut found = false;
        rows.scan(table, &KeyRange::all(), Direction::Forward, &mut |_, _| {
            found = true;
            Ok(ControlFlow::Break(()))
        })?;
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether each domain has its own number and its own tables.
///
/// # Errors
/// [`KernelError::Domains`].
pub(super) fn check_domains(domains: &[Box<dyn Domain>]) -> Result<(), KernelError> {
    let mut numbers = BTreeSet::from([KERNEL_DOMAIN]);
    let mut tables = BTreeSet::from(KERNEL_TABLES);
    for domain in domains {
        let number = domain.number();
        let own = domain.tables();
        let all_views = own.iter().all(|table| VIEWS.contains(table));
        if !all_views || !numbers.insert(number) || !own.iter().all(|table| tables.insert(*table)) {
            return Err(KernelError::Domains { number });
        }
    }
    Ok(())
}
