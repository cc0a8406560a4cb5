//! `/v1/books/payouts`.

use std::convert::Infallible;

use axum::extract::Request;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{DayText, Moment, batch_text, hex};
use super::{decoded, impossible, not_paid_out};
use crate::domains::books::payout::{
    AccountNumber, Agent, Creditor, Debtor, ExportAnswer, ExportRecord, PAYOUTS_MAX, PayoutBatch,
    PayoutError, PayoutFormat, Text140, check_execution, exported, first_settled,
};
use crate::domains::books::{BOOKS_DOMAIN, BooksCommand, Day};
use crate::http::keys::Role;
use crate::http::ledger::number::{Decimal, Decimal128, Id, objects};
use crate::http::ledger::{answer, moment};
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::service::{Service, Shared};
use crate::objects::object;

const SCOPE: &str = "POST /v1/books/payouts";

/// Holds to pay out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewPayouts {
    /// The account towards which all is held.
    #[schema(value_type = String)]
    clearing_account_id: Id,
    /// When you made this batch, RFC 3339. It stands in the file, so a retry says the same.
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    /// The day on which the bank shall pay, of Bangkok: today, or at most 366 days ahead.
    #[schema(value_type = String, example = "2026-11-28")]
    execution: DayText,
    /// Which file.
    format: FormatName,
    #[serde(deserialize_with = "object")]
    debtor: Party,
    /// 1 to 8,000, as many as fit into a body.
    #[serde(deserialize_with = "objects::<_, _, 1, PAYOUTS_MAX>")]
    creditors: Vec<Payment>,
}

/// A file's format.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum FormatName {
    /// ISO 20022, pain.001.001.09.
    Pain001,
    /// CSV.
    Csv,
}

impl From<FormatName> for PayoutFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Pain001 => Self::Pain001,
            FormatName::Csv => Self::Csv,
        }
    }
}

impl From<PayoutFormat> for FormatName {
    fn from(format: PayoutFormat) -> Self {
        match format {
            PayoutFormat::Pain001 => Self::Pain001,
            PayoutFormat::Csv => Self::Csv,
        }
    }
}

/// Who pays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Party {
    /// The holder of the account.
    name: String,
    /// 1 to 34 letters and digits.
    account: String,
    /// A BIC, or three digits of the Bank of Thailand.
    #[schema(example = "004")]
    bank: String,
}

/// Who is paid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Payment {
    /// The pending transfer whose amount is paid.
    #[schema(value_type = String)]
    transfer_id: Id,
    /// The holder of the account.
    name: String,
    /// 1 to 34 letters and digits.
    account: String,
    /// A BIC, or three digits of the Bank of Thailand.
    #[schema(example = "004")]
    bank: String,
    /// What for.
    #[serde(default)]
    remittance: Option<String>,
}

/// A batch that is recorded, and its file.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct PayoutsAnswer {
    /// The journal's entry that recorded it.
    entry: u64,
    /// When, RFC 3339.
    time: String,
    /// The batch, as in its file: 32 hexadecimal digits.
    batch: String,
    /// How many payments.
    payments: usize,
    /// What they come to, in satang.
    #[schema(value_type = String)]
    sum: Decimal128,
    /// BLAKE3 of the file, in hexadecimal.
    file_digest: String,
    /// The file: send it to the bank once. It is not given out again once an answer says what became of a payment of it.
    file: String,
}

impl NewPayouts {
    fn debtor(&self) -> Result<Debtor, PayoutError> {
        Ok(Debtor {
            name: Text140::new(&self.debtor.name)?,
            account: AccountNumber::new(&self.debtor.account)?,
            agent: Agent::new(&self.debtor.bank)?,
        })
    }

    fn creditors(&self) -> Result<Vec<(u128, Creditor)>, PayoutError> {
        let creditor = |payment: &Payment| {
            let remittance = payment.remittance.as_deref();
            let creditor = Creditor {
                name: Text140::new(&payment.name)?,
                account: AccountNumber::new(&payment.account)?,
                agent: Agent::new(&payment.bank)?,
                remittance: remittance.map(Text140::new).transpose()?,
            };
            Ok((payment.transfer_id.0, creditor))
        };
        self.creditors.iter().map(creditor).collect()
    }
}

/// Records a batch of payouts, then gives its file. A batch is given out under one idempotency key;
/// a retry under it gets the same file again, until an answer says what became of one of its payments.
#[utoipa::path(post, path = "/v1/books/payouts", tag = "books", operation_id = "create_payouts",
    request_body = NewPayouts,
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters, in quotes")),
    responses((status = 200, description = "The batch and its file", body = PayoutsAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("operator"))))]
pub(in crate::http) async fn create(
    service: Shared,
    request: Request,
) -> Result<Response, Problem> {
    let write = service
        .admit_write::<NewPayouts>(request, Role::Operator)
        .await?;
    let refused = |error| not_paid_out(&error);
    let (debtor, creditors) = (
        write.body.debtor().map_err(refused)?,
        write.body.creditors().map_err(refused)?,
    );
    let (clearing, created_at) = (write.body.clearing_account_id.0, write.body.created_at.0);
    let execution = write.body.execution.0;
    let format: PayoutFormat = write.body.format.into();
    let batch = service
        .read(move |committed| {
            let rows = committed.store;
            let asked =
                PayoutBatch::asked(rows, debtor, clearing, created_at, execution, creditors)
                    .and_then(|batch| {
                        // A retry may come when the day is over.
                        if exported(rows, batch.id())?.is_none() {
                            check_execution(execution, Day::of(committed.now))?;
                        }
                        Ok(batch)
                    });
            Ok::<_, Infallible>(asked)
        })
        .await?
        .map_err(refused)?;
    let record = batch.record(format).map_err(refused)?;
    let file = batch.file(format).map_err(refused)?;
    let export = BooksCommand::ExportPayouts(record.clone());
    let command = write.command(SCOPE, BOOKS_DOMAIN, export.encode());
    drop(write);
    let decided = service.write(command).await?;
    let told = decoded(&decided, ExportAnswer::decode)?;
    match told {
        ExportAnswer::Recorded(seq, at) if seq == decided.seq => {
            refuse_settled(&service, seq.0, &record).await?;
            Ok(answer(&PayoutsAnswer {
                entry: seq.0,
                time: moment(at),
                batch: batch_text(record.batch),
                payments: record.transfers.len(),
                sum: Decimal(record.sum),
                file_digest: hex(&record.file_digest),
                // It was made of texts.
                file: String::from_utf8_lossy(&file).into_owned(),
            }))
        }
        // Under another key: nobody knows whether it has left.
        ExportAnswer::Recorded(seq, _) => Err(left_before(record.batch, seq.0)),
        ExportAnswer::OtherFile(_)
        | ExportAnswer::Unfit(_)
        | ExportAnswer::InBatch(..)
        | ExportAnswer::Differs => {
            let refusal = told.refusal(record.batch);
            let impossible = || impossible(&decided);
            Err(refusal.map_or_else(impossible, |error| not_paid_out(&error)))
        }
    }
}

/// The key may be old: what was given back since must not be paid as well.
async fn refuse_settled(
    service: &Service,
    entry: u64,
    record: &ExportRecord,
) -> Result<(), Problem> {
    let transfers = record.transfers.clone();
    let settled = service
        .read(move |committed| first_settled(committed.store, &transfers))
        .await?;
    let Some(transfer) = settled else {
        return Ok(());
    };
    Err(Problem::new(
        ProblemKind::PayoutSettled,
        format!(
            "transfer {transfer} is settled, or an answer says how it shall be, so the file of the batch that entry {entry} recorded leaves no more; ask the bank whether it has it, and if not, say so of the payments that wait (`returned`, at …/answers) and hold them anew. The batch is {batch}, as in its file",
            batch = batch_text(record.batch),
        ),
    ))
}

fn left_before(batch: u128, entry: u64) -> Problem {
    Problem::new(
        ProblemKind::PayoutRecorded,
        format!(
            "entry {entry} recorded batch {batch:032x} under another key, and its file may have left; ask the bank, then `khlong-gateway payout again` writes it once more"
        ),
    )
}
