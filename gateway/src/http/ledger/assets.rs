//! `/v1/ledger/assets`.

use axum::extract::{Path, RawQuery, Request};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::number::{objects, parse};
use super::{Batch, BatchAnswer, IdPath, answer};
use crate::domains::ledger::limits::BATCH_ITEMS_MAX;
use crate::domains::ledger::{Asset, AssetResult, LedgerCommand, asset, assets};
use crate::http::keys::{Role, Scheme};
use crate::http::limits::{LINES_DEFAULT, LINES_MAX};
use crate::http::listing::Listing;
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::service::Shared;

/// Assets to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateAssets {
    /// 1 to 8,190.
    #[serde(deserialize_with = "objects::<_, _, 1, BATCH_ITEMS_MAX>")]
    assets: Vec<NewAsset>,
}

/// An asset to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAsset {
    /// Its number, not 0.
    #[schema(example = 764)]
    ledger: u32,
    /// Decimal places: an amount of 1 is 10^−scale.
    #[schema(example = 2)]
    scale: u8,
    /// Its name.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9]{1,8}$", example = "THB")]
    symbol: Symbol,
}

/// 1 to 8 ASCII letters and digits, filled with zeros.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Symbol([u8; 8]);

impl TryFrom<String> for Symbol {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut symbol = [0; 8];
        let fits = (1..=symbol.len()).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err("a symbol has 1 to 8 letters and digits of ASCII");
        }
        for (to, from) in symbol.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Ok(Self(symbol))
    }
}

impl Batch for CreateAssets {
    const SCOPE: &'static str = "POST /v1/ledger/assets";
    const ROLE: Role = Role::Admin;

    fn command(&self) -> (LedgerCommand, usize) {
        let assets: Vec<Asset> = self
            .assets
            .iter()
            .map(|asset| Asset {
                ledger: asset.ledger,
                scale: asset.scale,
                symbol: asset.symbol.0,
            })
            .collect();
        let items = assets.len();
        (LedgerCommand::CreateAssets(assets), items)
    }

    fn result(code: u8) -> Option<&'static str> {
        AssetResult::from_code(code).map(AssetResult::name)
    }
}

/// Some assets.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AssetsPage {
    /// By number.
    assets: Vec<AssetAnswer>,
    /// Pass it as `after` for what follows; null when nothing does.
    next: Option<u32>,
}

/// An asset.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct AssetAnswer {
    /// Its number.
    #[schema(example = 764)]
    ledger: u32,
    /// Decimal places: an amount of 1 is 10^−scale.
    #[schema(example = 2)]
    scale: u8,
    /// Its name.
    #[schema(example = "THB")]
    symbol: String,
}

impl From<Asset> for AssetAnswer {
    fn from(asset: Asset) -> Self {
        let symbol = String::from_utf8_lossy(&asset.symbol);
        Self {
            ledger: asset.ledger,
            scale: asset.scale,
            symbol: symbol.trim_end_matches('\0').to_owned(),
        }
    }
}

/// Creates assets.
#[utoipa::path(post, path = "/v1/ledger/assets", tag = "ledger", operation_id = "create_assets",
    request_body = CreateAssets,
    params(("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters, in quotes")),
    responses((status = 200, description = "What came of each", body = BatchAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("admin"))))]
pub(in crate::http) async fn create(
    service: Shared,
    request: Request,
) -> Result<Response, Problem> {
    super::create::<CreateAssets>(&service, request).await
}

/// All assets, by number.
#[utoipa::path(get, path = "/v1/ledger/assets", tag = "ledger", operation_id = "list_assets",
    params(("after" = Option<u32>, Query, description = "`next` of the page before, or any number"),
        ("limit" = Option<usize>, Query, description = "Assets of the page: 1 to 1,000, 100 if not said")),
    responses((status = 200, description = "The assets", body = AssetsPage),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn list(
    service: Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let listing = Listing {
        cursor: parse,
        rule: "the number of an asset",
        default: LINES_DEFAULT,
        max: LINES_MAX,
    };
    let query = query.as_deref();
    let page = listing.page(&service, &headers, query, assets, |asset| asset.ledger);
    let (found, next) = page.await?;
    Ok(answer(&AssetsPage {
        assets: found.into_iter().map(AssetAnswer::from).collect(),
        next,
    }))
}

/// An asset: above all, how many decimal places its amounts have.
#[utoipa::path(get, path = "/v1/ledger/assets/{id}", tag = "ledger", operation_id = "get_asset",
    params(("id" = u32, Path, description = "The asset's number")),
    responses((status = 200, description = "The asset", body = AssetAnswer),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(in crate::http) async fn get(
    service: Shared,
    path: IdPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::Bearer)?;
    let ledger: u32 = path
        .ok()
        .and_then(|Path(text)| parse(&text))
        .ok_or_else(|| Problem::malformed("an asset is a whole number in decimal, below 2^32"))?;
    let found = service
        .read(move |committed| asset(committed.store, ledger))
        .await?
        .ok_or_else(|| Problem::new(ProblemKind::NotFound, "there is no asset with this number"))?;
    Ok(answer(&AssetAnswer::from(found)))
}
