//! Every route, once: what is served is what `/openapi.json` describes.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::books::{answers, batches, closes, comparisons, payouts, reconciliations, statements};
use super::ledger::{accounts, assets, transfers};
use super::problem::{Problem, ProblemKind};
use super::service::Service;
use super::{checkpoint, health, journal, page};
use crate::metrics::Metrics;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "khlong-gateway",
        description = "Accounts and transfers with double entry. Amounts are whole numbers of an asset's smallest unit, as text. \
            Every write needs the header `Idempotency-Key`; the same request under the same key gets the same answer again.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "ledger", description = "Assets, accounts and transfers"),
        (name = "books", description = "Days that are closed, statements, comparisons with the bank, payouts"),
        (name = "journal", description = "The chain of all that was decided"),
        (name = "health", description = "For whoever watches the process")
    )
)]
struct Document;

/// The routes on `service`.
pub(super) fn router(service: Arc<Service>) -> Router {
    let (router, mut document) = OpenApiRouter::<Arc<Service>>::with_openapi(Document::openapi())
        .routes(routes!(assets::create, assets::list))
        .routes(routes!(assets::get))
        .routes(routes!(accounts::create, accounts::list))
        .routes(routes!(accounts::get))
        .routes(routes!(accounts::lines))
        .routes(routes!(transfers::create))
        .routes(routes!(transfers::get))
        .routes(routes!(closes::list))
        .routes(routes!(closes::get))
        .routes(routes!(statements::get))
        .routes(routes!(reconciliations::create, comparisons::list))
        .routes(routes!(comparisons::get))
        .routes(routes!(payouts::create, batches::list))
        .routes(routes!(batches::get))
        .routes(routes!(answers::create))
        .routes(routes!(journal::head))
        .routes(routes!(checkpoint::checkpoint))
        .routes(routes!(page::page))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::startupz))
        .routes(routes!(openapi))
        .split_for_parts();
    document
        .components
        .get_or_insert_default()
        .add_security_scheme(
            "key",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
    // A document of our own types is always JSON.
    let text: Arc<str> = serde_json::to_string_pretty(&document)
        .unwrap_or_default()
        .into();
    let metrics = Arc::clone(service.handle.metrics());
    router
        .fallback(async || {
            Problem::new(
                ProblemKind::NotFound,
                "GET /openapi.json lists the addresses",
            )
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                ProblemKind::MethodNotAllowed,
                "GET /openapi.json lists the methods",
            )
        })
        .with_state(service)
        .layer(axum::Extension(Description(text)))
        .layer(from_fn(guard))
        .layer(from_fn_with_state(metrics, count))
}

/// The document as it is sent.
#[derive(Clone)]
struct Description(Arc<str>);

/// This description, OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
async fn openapi(axum::Extension(Description(text)): axum::Extension<Description>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, text.to_string()).into_response()
}

/// Nothing here is for a cache, or to be taken for something else than it says.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// By the route as it stands above, not as the client wrote it.
async fn count(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str);
    metrics.observe_request(route, response.status().as_u16(), began.elapsed());
    response
}
