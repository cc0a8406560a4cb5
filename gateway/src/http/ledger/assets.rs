//! `/v1/ledger/assets`.

use axum::extract::Request;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::number::bounded;
use super::{Batch, BatchAnswer};
use crate::domains::ledger::limits::BATCH_ITEMS_MAX;
use crate::domains::ledger::{Asset, AssetResult, LedgerCommand};
use crate::http::keys::Role;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::service::Shared;

/// Assets to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct CreateAssets {
    /// 1 to 8,190.
    #[serde(deserialize_with = "bounded::<_, _, 1, BATCH_ITEMS_MAX>")]
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
