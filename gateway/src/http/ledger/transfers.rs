//! `/v1/ledger/transfers`.

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use khlong_crdt::time::UnixMillis;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::number::{Decimal, Decimal64, Decimal128, Id, bounded, moment, objects};
use super::{Batch, BatchAnswer, IdPath, answer, id};
use crate::domains::ledger::limits::BATCH_ITEMS_MAX;
use crate::domains::ledger::{
    LedgerCommand, Transfer, TransferFlags, TransferResult, TransferState, transfer,
};
use crate::http::keys::{Role, Scheme};
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::service::Shared;

/// Transfers to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateTransfers {
    /// 1 to 8,190.
    #[serde(deserialize_with = "objects::<_, _, 1, BATCH_ITEMS_MAX>")]
    transfers: Vec<TransferFields>,
}

/// A transfer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TransferFields {
    /// Of your own making; neither 0 nor 2^128 − 1.
    #[schema(value_type = String)]
    id: Id,
    /// Who pays. Left out in a post or void: that of the pending transfer.
    #[serde(default)]
    #[schema(value_type = String)]
    debit_account_id: Id,
    /// Who is paid. Left out in a post or void: that of the pending transfer.
    #[serde(default)]
    #[schema(value_type = String)]
    credit_account_id: Id,
    /// How much, in the asset's smallest unit. 2^128 − 1 in a post, 0 in a void: all of it.
    /// May be left out in a void alone: a post of 0 would give back all that is held.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, example = "4975")]
    amount: Option<Decimal128>,
    /// The pending transfer that this one posts or voids.
    #[serde(default)]
    #[schema(value_type = String)]
    pending_id: Id,
    /// Which asset. Left out in a post or void: that of the pending transfer.
    #[serde(default)]
    #[schema(example = 764)]
    ledger: u32,
    /// What kind of transfer, in your own numbering; not 0 but in a post or void.
    #[serde(default)]
    #[schema(example = 1)]
    code: u16,
    /// How it goes.
    #[serde(default, deserialize_with = "bounded::<_, _, 0, 8>")]
    flags: Vec<TransferFlag>,
    /// Seconds after which a pending transfer expires; 0 never.
    #[serde(default)]
    timeout: u32,
    /// For you.
    #[serde(default)]
    #[schema(value_type = String)]
    user_data_128: Decimal128,
    /// For you.
    #[serde(default)]
    #[schema(value_type = String)]
    user_data_64: Decimal64,
    /// For you.
    #[serde(default)]
    user_data_32: u32,
}

/// How a transfer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TransferFlag {
    /// Happens with the next one of the batch, or neither.
    Linked,
    /// Holds the amount until it is posted, voided or expires.
    Pending,
    /// Posts the transfer `pending_id`, or part of it.
    PostPendingTransfer,
    /// Gives back what the transfer `pending_id` holds.
    VoidPendingTransfer,
    /// At most what the debit account has.
    BalancingDebit,
    /// At most what the credit account owes.
    BalancingCredit,
    /// Closes the debit account; pending only.
    ClosingDebit,
    /// Closes the credit account; pending only.
    ClosingCredit,
}

impl TransferFlag {
    const ALL: [Self; 8] = [
        Self::Linked,
        Self::Pending,
        Self::PostPendingTransfer,
        Self::VoidPendingTransfer,
        Self::BalancingDebit,
        Self::BalancingCredit,
        Self::ClosingDebit,
        Self::ClosingCredit,
    ];

    const fn bit(self) -> TransferFlags {
        match self {
            Self::Linked => TransferFlags::LINKED,
            Self::Pending => TransferFlags::PENDING,
            Self::PostPendingTransfer => TransferFlags::POST_PENDING_TRANSFER,
            Self::VoidPendingTransfer => TransferFlags::VOID_PENDING_TRANSFER,
            Self::BalancingDebit => TransferFlags::BALANCING_DEBIT,
            Self::BalancingCredit => TransferFlags::BALANCING_CREDIT,
            Self::ClosingDebit => TransferFlags::CLOSING_DEBIT,
            Self::ClosingCredit => TransferFlags::CLOSING_CREDIT,
        }
    }
}

/// A member that is there; `null` is none.
fn given<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

impl From<&TransferFields> for Transfer {
    fn from(fields: &TransferFields) -> Self {
        Self {
            id: fields.id.0,
            debit_account_id: fields.debit_account_id.0,
            credit_account_id: fields.credit_account_id.0,
            amount: fields.amount.unwrap_or_default().0,
            pending_id: fields.pending_id.0,
            user_data_128: fields.user_data_128.0,
            user_data_64: fields.user_data_64.0,
            user_data_32: fields.user_data_32,
            timeout: fields.timeout,
            ledger: fields.ledger,
            code: fields.code,
            flags: fields
                .flags
                .iter()
                .fold(TransferFlags::default(), |all, flag| all.with(flag.bit())),
        }
    }
}

impl From<Transfer> for TransferFields {
    fn from(transfer: Transfer) -> Self {
        let is_set = |flag: &TransferFlag| transfer.flags.has(flag.bit());
        Self {
            id: Id(transfer.id),
            debit_account_id: Id(transfer.debit_account_id),
            credit_account_id: Id(transfer.credit_account_id),
            amount: Some(Decimal(transfer.amount)),
            pending_id: Id(transfer.pending_id),
            ledger: transfer.ledger,
            code: transfer.code,
            flags: TransferFlag::ALL.into_iter().filter(is_set).collect(),
            timeout: transfer.timeout,
            user_data_128: Decimal(transfer.user_data_128),
            user_data_64: Decimal(transfer.user_data_64),
            user_data_32: transfer.user_data_32,
        }
    }
}

impl Batch for CreateTransfers {
    const SCOPE: &'static str = "POST /v1/ledger/transfers";
    const ROLE: Role = Role::Writer;

    fn command(&self) -> (LedgerCommand, usize) {
        let transfers: Vec<Transfer> = self.transfers.iter().map(Transfer::from).collect();
        let items = transfers.len();
        (LedgerCommand::CreateTransfers(transfers), items)
    }

    fn check(&self) -> Result<(), Problem> {
        let is_open = |transfer: &TransferFields| {
            transfer.amount.is_none()
                && !transfer.flags.contains(&TransferFlag::VoidPendingTransfer)
        };
        match self.transfers.iter().position(is_open) {
            None => Ok(()),
            Some(index) => Err(Problem::malformed(format!(
                "transfer {index} has no `amount`; a post that is to take all that is held says \"{}\"",
                u128::MAX
            ))),
        }
    }

    fn result(code: u8) -> Option<&'static str> {
        TransferResult::from_code(code).map(TransferResult::name)
    }
}

/// A transfer that was made, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TransferAnswer {
    /// As it was made: what it left open is filled in.
    transfer: TransferFields,
    /// When, RFC 3339.
    time: String,
    /// What became of it.
    state: StateAnswer,
}

/// What became of a transfer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum StateAnswer {
    /// It happened, in one step.
    Final,
    /// It holds its amount.
    Pending,
    /// It was posted, in whole or in part.
    Posted,
    /// It was voided.
    Voided,
    /// Its time ran out.
    Expired,
}

impl From<(Transfer, UnixMillis, TransferState)> for TransferAnswer {
    fn from((transfer, time, state): (Transfer, UnixMillis, TransferState)) -> Self {
        Self {
            transfer: transfer.into(),
            time: moment(time),
            state: state.into(),
        }
    }
}

impl From<TransferState> for StateAnswer {
    fn from(state: TransferState) -> Self {
        match state {
            TransferState::Final => Self::Final,
            TransferState::Pending => Self::Pending,
            TransferState::Posted => Self::Posted,
            TransferState::Voided => Self::Voided,
            TransferState::Expired => Self::Expired,
        }
    }
}

/// Makes transfers. Each comes to its own result; linked ones happen all or none.
#[utoipa::path(post, path = "/v1/ledger/transfers", tag = "ledger", operation_id = "create_transfers",
    request_body = CreateTransfers,
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters, in quotes")),
    responses((status = 200, description = "What came of each", body = BatchAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("writer"))))]
pub(in crate::http) async fn create(
    service: Shared,
    request: Request,
) -> Result<Response, Problem> {
    super::create::<CreateTransfers>(&service, request).await
}

/// A transfer.
#[utoipa::path(get, path = "/v1/ledger/transfers/{id}", tag = "ledger", operation_id = "get_transfer",
    params(("id" = String, Path, description = "The transfer")),
    responses((status = 200, description = "The transfer", body = TransferAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn get(
    service: Shared,
    path: IdPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let id = id(path)?;
    let found = service
        .read(move |committed| transfer(committed.store, id))
        .await?
        .ok_or_else(|| Problem::new(ProblemKind::NotFound, "there is no transfer with this id"))?;
    Ok(answer(&TransferAnswer::from(found)))
}
