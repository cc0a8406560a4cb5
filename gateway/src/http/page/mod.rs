//! `GET /ledger`: what the books come to, for a person. No scripts, and nothing from elsewhere.

mod closes;
mod sums;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use data_encoding::HEXLOWER;
use tokio::sync::Mutex;

use self::sums::{Books, Draft};
use crate::domains::ledger::{Asset, Sum, Totals};
use crate::http::keys::Scheme;
use crate::http::ledger::moment;
use crate::http::limits::PAGE_WITHIN;
use crate::http::problem::{Problem, ProblemBody, ProblemKind};
use crate::http::service::{Service, Shared};

/// The last sums. They read every account, so they are made once at a time, for all who ask.
#[derive(Default)]
pub(super) struct PageCache(Arc<Mutex<Option<Arc<Books>>>>);

async fn books(service: &Service) -> Result<Arc<Books>, Problem> {
    let mut last = Arc::clone(&service.page.0).lock_owned().await;
    if let Some(books) = last.as_ref().filter(|books| books.is_fresh()) {
        return Ok(Arc::clone(books));
    }
    let handle = service.handle.clone();
    let reading = handle.begin_read(Draft::begin)?;
    // The driver reads whether or not the client waits. A task of its own holds the lock so
    // long: clients that go away leave one read behind, not one each.
    let made = tokio::spawn(async move {
        let books = Arc::new(sums::make(&handle, reading).await?);
        *last = Some(Arc::clone(&books));
        Ok(books)
    });
    made.await
        .unwrap_or_else(|_| Err(Problem::new(ProblemKind::Fault, "the page was not made")))
}

/// The books as a page for people. A browser asks for name (any) and password (the key's secret).
#[utoipa::path(get, path = "/ledger", tag = "ledger", operation_id = "ledger_page",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json")),
    security(("key" = [])), extensions(("x-khlong-role" = json!("reader"))))]
pub(super) async fn page(service: Shared, headers: HeaderMap) -> Result<Response, Problem> {
    service.admit(&headers, Scheme::BearerOrBasic)?;
    let made = tokio::time::timeout(PAGE_WITHIN, books(&service)).await;
    // Adding up goes on, for whoever asks then.
    let unmade = |_| {
        let why = "the balances of all accounts are still being added up; ask again";
        Err(Problem::new(ProblemKind::Busy, why))
    };
    let books = made.unwrap_or_else(unmade)?;
    let mut response = Html(html(&books)).into_response();
    response.headers_mut().insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    );
    Ok(response)
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Ledger</title>
<style>
body { font-family: sans-serif; margin: 2em; }
table { border-collapse: collapse; }
caption { text-align: left; padding-bottom: .5em; }
th, td { padding: .3em .8em; border-bottom: 1px solid; text-align: right; }
th:first-child, td:first-child { text-align: left; }
code { overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>Ledger</h1>
";

fn html(books: &Books) -> String {
    let mut page = String::from(HEAD);
    page.push_str(
        "<table>\n<caption>Sums over all accounts of each asset</caption>\n<thead><tr><th scope=\"col\">Asset</th>\
        <th scope=\"col\">Accounts</th><th scope=\"col\">Debits</th><th scope=\"col\">Credits</th>\
        <th scope=\"col\">Open holds</th><th scope=\"col\">Imbalance</th></tr></thead>\n<tbody>\n",
    );
    for (ledger, asset, totals) in &books.assets {
        let scale = asset.map_or(0, |asset| asset.scale);
        // Writing to a String does not fail.
        let _ = writeln!(
            page,
            "<tr><td>{} ({ledger})</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            symbol(*asset),
            totals.accounts,
            amount(totals.debits_posted, scale),
            amount(totals.credits_posted, scale),
            amount(totals.debits_pending, scale),
            imbalance(totals, scale),
        );
    }
    if books.assets.is_empty() {
        page.push_str("<tr><td colspan=\"6\">No accounts yet</td></tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
    books.closes.html(&mut page);
    let _ = write!(
        page,
        "<h2>Journal</h2>\n<p>As of entry {} of the journal, {}.</p>\n<p>Chain head: <code>{}</code></p>\n</body>\n</html>\n",
        books.head.seq.0,
        moment(books.time),
        HEXLOWER.encode(&books.head.hash),
    );
    page
}

/// The name of an asset, without what HTML would take for its own.
fn symbol(asset: Option<Asset>) -> String {
    let bytes = asset.map(|asset| asset.symbol).unwrap_or_default();
    let shown = |byte: u8| match byte {
        b'&' | b'<' | b'>' | b'"' | b'\'' => '?',
        b'!'..=b'~' => char::from(byte),
        _ => '?',
    };
    bytes
        .into_iter()
        .take_while(|byte| *byte != 0)
        .map(shown)
        .collect()
}

/// In units of the asset, with its decimal places.
fn amount(sum: Sum, scale: u8) -> String {
    if sum.carries > 0 {
        return "more than 2^128".to_owned();
    }
    decimal(sum.low, scale)
}

fn decimal(amount: u128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = format!("{amount:0>width$}", width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    if part.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{part}")
    }
}

/// Always 0, or the books are broken.
fn imbalance(totals: &Totals, scale: u8) -> String {
    let difference = |debits: Sum, credits: Sum| {
        let low = debits.low.abs_diff(credits.low);
        (debits.carries == credits.carries).then_some(low)
    };
    let posted = difference(totals.debits_posted, totals.credits_posted);
    let pending = difference(totals.debits_pending, totals.credits_pending);
    match posted
        .zip(pending)
        .map(|(posted, held)| posted.checked_add(held))
    {
        Some(Some(sum)) => decimal(sum, scale),
        Some(None) | None => "more than 2^128".to_owned(),
    }
}
