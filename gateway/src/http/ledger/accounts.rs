//! `/v1/ledger/accounts`.

use axum::extract::{RawQuery, Request};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lines::{LinesPage, LinesQuery};
use super::number::{Decimal, Decimal64, Decimal128, Id, bounded, objects, parse};
use super::{Batch, BatchAnswer, IdPath, answer, id};
use crate::domains::ledger::limits::BATCH_ITEMS_MAX;
use crate::domains::ledger::{
    Account, AccountFlags, AccountResult, AccountState, Balances, LedgerCommand, account, accounts,
};
use crate::http::keys::{Role, Scheme};
use crate::http::limits::{LINES_DEFAULT, LINES_MAX};
use crate::http::listing::Listing;
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::service::Shared;

/// Accounts to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateAccounts {
    /// 1 to 8,190.
    #[serde(deserialize_with = "objects::<_, _, 1, BATCH_ITEMS_MAX>")]
    accounts: Vec<NewAccount>,
}

/// An account to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    /// Of your own making; neither 0 nor 2^128 − 1.
    #[schema(value_type = String)]
    id: Id,
    /// Which asset.
    #[schema(example = 764)]
    ledger: u32,
    /// What kind of account, in your own numbering; not 0.
    #[schema(example = 1)]
    code: u16,
    /// Its rules.
    #[serde(default, deserialize_with = "bounded::<_, _, 0, 8>")]
    flags: Vec<AccountFlag>,
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

/// A rule of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum AccountFlag {
    /// Created with the next one of the batch, or neither.
    Linked,
    /// Its debits never exceed its credits: it cannot be overdrawn.
    DebitsMustNotExceedCredits,
    /// The reverse.
    CreditsMustNotExceedDebits,
    /// Kept for every account.
    History,
    /// Takes no transfer.
    Closed,
}

impl AccountFlag {
    const ALL: [Self; 5] = [
        Self::Linked,
        Self::DebitsMustNotExceedCredits,
        Self::CreditsMustNotExceedDebits,
        Self::History,
        Self::Closed,
    ];

    const fn bit(self) -> AccountFlags {
        match self {
            Self::Linked => AccountFlags::LINKED,
            Self::DebitsMustNotExceedCredits => AccountFlags::DEBITS_MUST_NOT_EXCEED_CREDITS,
            Self::CreditsMustNotExceedDebits => AccountFlags::CREDITS_MUST_NOT_EXCEED_DEBITS,
            Self::History => AccountFlags::HISTORY,
            Self::Closed => AccountFlags::CLOSED,
        }
    }
}

impl Batch for CreateAccounts {
    const SCOPE: &'static str = "POST /v1/ledger/accounts";
    const ROLE: Role = Role::Writer;

    fn command(&self) -> (LedgerCommand, usize) {
        let accounts: Vec<Account> = self
            .accounts
            .iter()
            .map(|account| Account {
                id: account.id.0,
                user_data_128: account.user_data_128.0,
                user_data_64: account.user_data_64.0,
                user_data_32: account.user_data_32,
                ledger: account.ledger,
                code: account.code,
                flags: account
                    .flags
                    .iter()
                    .fold(AccountFlags::default(), |all, flag| all.with(flag.bit())),
            })
            .collect();
        let items = accounts.len();
        (LedgerCommand::CreateAccounts(accounts), items)
    }

    fn result(code: u8) -> Option<&'static str> {
        AccountResult::from_code(code).map(AccountResult::name)
    }
}

/// Some accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AccountsPage {
    /// By id.
    accounts: Vec<AccountAnswer>,
    /// Pass it as `after` for what follows; null when nothing does.
    #[schema(value_type = Option<String>)]
    next: Option<Decimal128>,
}

/// An account as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AccountAnswer {
    #[schema(value_type = String)]
    id: Decimal128,
    ledger: u32,
    code: u16,
    flags: Vec<AccountFlag>,
    #[schema(value_type = String)]
    user_data_128: Decimal128,
    #[schema(value_type = String)]
    user_data_64: Decimal64,
    user_data_32: u32,
    /// Whether it is closed now.
    closed: bool,
    balances: BalancesAnswer,
}

/// Sums in the asset's smallest unit.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct BalancesAnswer {
    /// Held, to be debited.
    #[schema(value_type = String)]
    debits_pending: Decimal128,
    /// Debited.
    #[schema(value_type = String)]
    debits_posted: Decimal128,
    /// Held, to be credited.
    #[schema(value_type = String)]
    credits_pending: Decimal128,
    /// Credited.
    #[schema(value_type = String)]
    credits_posted: Decimal128,
}

impl From<Balances> for BalancesAnswer {
    fn from(balances: Balances) -> Self {
        Self {
            debits_pending: Decimal(balances.debits_pending),
            debits_posted: Decimal(balances.debits_posted),
            credits_pending: Decimal(balances.credits_pending),
            credits_posted: Decimal(balances.credits_posted),
        }
    }
}

impl From<AccountState> for AccountAnswer {
    fn from(state: AccountState) -> Self {
        let account = state.account;
        let is_set = |flag: &AccountFlag| account.flags.has(flag.bit());
        Self {
            id: Decimal(account.id),
            ledger: account.ledger,
            code: account.code,
            flags: AccountFlag::ALL.into_iter().filter(is_set).collect(),
            user_data_128: Decimal(account.user_data_128),
            user_data_64: Decimal(account.user_data_64),
            user_data_32: account.user_data_32,
            closed: state.closed,
            balances: state.balances.into(),
        }
    }
}

/// Creates accounts.
#[utoipa::path(post, path = "/v1/ledger/accounts", tag = "ledger", operation_id = "create_accounts",
    request_body = CreateAccounts,
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters, in quotes")),
    responses((status = 200, description = "What came of each", body = BatchAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("writer"))))]
pub(in crate::http) async fn create(
    service: Shared,
    request: Request,
) -> Result<Response, Problem> {
    super::create::<CreateAccounts>(&service, request).await
}

/// All accounts and their balances, by id.
#[utoipa::path(get, path = "/v1/ledger/accounts", tag = "ledger", operation_id = "list_accounts",
    params(("after" = Option<String>, Query, description = "`next` of the page before, or any id"),
        ("limit" = Option<usize>, Query, description = "Accounts of the page: 1 to 1,000, 100 if not said")),
    responses((status = 200, description = "The accounts", body = AccountsPage),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn list(
    service: Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listing = Listing {
        cursor: parse,
        rule: "the id of an account, in decimal",
        default: LINES_DEFAULT,
        max: LINES_MAX,
    };
    let query = query.as_deref();
    let page = listing.page(&service, &headers, query, accounts, |state| {
        Decimal(state.account.id)
    });
    let (found, next) = page.await?;
    Ok(answer(&AccountsPage {
        accounts: found.into_iter().map(AccountAnswer::from).collect(),
        next,
    }))
}

/// An account and its balances.
#[utoipa::path(get, path = "/v1/ledger/accounts/{id}", tag = "ledger", operation_id = "get_account",
    params(("id" = String, Path, description = "The account")),
    responses((status = 200, description = "The account", body = AccountAnswer),
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
        .read(move |committed| account(committed.store, id))
        .await?
        .ok_or_else(not_found)?;
    Ok(answer(&AccountAnswer::from(found)))
}

/// What moved an account, in all times or in some, the oldest or the newest first.
#[utoipa::path(get, path = "/v1/ledger/accounts/{id}/lines", tag = "ledger", operation_id = "get_account_lines",
    params(("id" = String, Path, description = "The account"),
        ("from" = Option<String>, Query, description = "The first moment, RFC 3339 or milliseconds since 1970"),
        ("to" = Option<String>, Query, description = "Until this moment, itself excluded; likewise"),
        ("order" = Option<String>, Query, description = "`oldest` or `newest`, whichever is first; `oldest` if not said"),
        ("after" = Option<String>, Query, description = "`next` of the page before, in the same order"),
        ("limit" = Option<usize>, Query, description = "Lines of the page: 1 to 1,000, 100 if not said")),
    responses((status = 200, description = "The lines", body = LinesPage),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn lines(
    service: Shared,
    path: IdPath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let id = id(path)?;
    let query = LinesQuery::parse(query.as_deref())?;
    let page = service
        .read(move |committed| match account(committed.store, id)? {
            Some(_) => query.read(committed.store, id).map(Some),
            None => Ok(None),
        })
        .await?
        .ok_or_else(not_found)?;
    Ok(answer(&LinesPage::from(page)))
}

fn not_found() -> Problem {
    Problem::new(ProblemKind::NotFound, "there is no account with this id")
}
