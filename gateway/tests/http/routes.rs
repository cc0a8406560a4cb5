//! Every route that `/openapi.json` tells of, so that none can be forgotten: an anonymous
//! caller, a role that may not, and the role that may.

use khlong_gateway::http::ProblemKind;
use serde_json::{Value, json};

use crate::client::{Reply, try_call};
use crate::server::{ADMIN, OPERATOR, READER, Server, WRITER};

/// What anybody may ask for.
const PUBLIC: [&str; 4] = ["/livez", "/openapi.json", "/readyz", "/startupz"];

struct Route {
    method: String,
    path: String,
    /// `None`: anybody.
    role: Option<String>,
}

fn routes(document: &Value) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_open = operation["security"]
                .as_array()
                .is_none_or(|security| security.is_empty());
            let role = operation["x-khlong-role"].as_str().map(str::to_owned);
            assert_eq!(is_open, role.is_none(), "{method} {path}");
            routes.push(Route {
                method: method.to_uppercase(),
                path: path.replace("{id}", "1").replace("{day}", "2026-11-27"),
                role,
            });
        }
    }
    routes
}

fn call(server: &Server, route: &Route, secret: Option<&str>) -> Reply {
    let bearer = secret.map(|secret| format!("Bearer {secret}"));
    let headers: Vec<(&str, &str)> = bearer
        .iter()
        .map(|bearer| ("authorization", bearer.as_str()))
        .collect();
    try_call(server.address, &route.method, &route.path, &headers, b"").unwrap()
}

#[test]
fn no_route_lets_in_who_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let routes = routes(&server.get("/openapi.json").json());
    let mut open = Vec::new();
    let (mut refused, mut guarded) = (0, 0);
    for route in &routes {
        let Some(role) = &route.role else {
            assert_eq!(call(&server, route, None).status, 200, "{}", route.path);
            open.push(route.path.as_str());
            continue;
        };
        guarded += 1;
        for secret in [None, Some("nobody-secret-0123456789abcdefghijkl"), Some("")] {
            let reply = call(&server, route, secret);
            assert_eq!(reply.status, 401, "{} {}", route.method, route.path);
            assert_eq!(reply.problem(), "unauthenticated");
            assert!(reply.headers.contains_key("www-authenticate"));
        }
        let (less, enough): (&[&str], &[&str]) = match role.as_str() {
            "reader" => (&[], &[READER, WRITER, OPERATOR, ADMIN]),
            "writer" => (&[READER], &[WRITER, OPERATOR, ADMIN]),
            "operator" => (&[READER, WRITER], &[OPERATOR, ADMIN]),
            "admin" => (&[READER, WRITER, OPERATOR], &[ADMIN]),
            other => panic!("{other}"),
        };
        for secret in less {
            let reply = call(&server, route, Some(secret));
            assert_eq!(reply.status, 403, "{} {}", route.method, route.path);
            assert_eq!(reply.problem(), "forbidden");
            refused += 1;
        }
        for secret in enough {
            let status = call(&server, route, Some(secret)).status;
            assert!(
                ![401, 403].contains(&status),
                "{} {}",
                route.method,
                route.path
            );
        }
    }
    assert_eq!(open, PUBLIC);
    assert!(guarded >= 21 && refused >= 11, "{guarded} {refused}");
    server.stop().unwrap();
}

#[test]
fn basic_credentials_open_the_page_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    // `anybody:` and the reader's secret.
    let basic = data_encoding::BASE64.encode(format!("anybody:{READER}").as_bytes());
    let header = format!("Basic {basic}");
    let with = |path| {
        let headers = [("authorization", header.as_str())];
        try_call(server.address, "GET", path, &headers, b"").unwrap()
    };
    assert_eq!(with("/ledger").status, 200);
    assert_eq!(with("/v1/journal/head").status, 401);
    let asked = try_call(server.address, "GET", "/ledger", &[], b"").unwrap();
    assert!(asked.headers["www-authenticate"].starts_with("Basic "));
    server.stop().unwrap();
}

#[test]
fn the_description_is_the_one_that_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let reply = server.get("/openapi.json");
    let published = include_str!("../../testdata/openapi.json");
    if reply.body.trim() != published.trim() {
        let path = std::env::temp_dir().join("khlong-openapi.json");
        std::fs::write(&path, format!("{}\n", reply.body)).unwrap();
        panic!(
            "the description has changed: look at {} and, if it is meant, copy it to gateway/testdata/openapi.json",
            path.display()
        );
    }
    assert_eq!(reply.json()["openapi"], json!("3.1.0"));
    server.stop().unwrap();
}

#[test]
fn every_problem_is_written_down_with_its_status() {
    let written = include_str!("../../DOMAINS.md");
    for kind in ProblemKind::ALL {
        let (name, status) = (format!("`{}`", kind.name()), kind.status().as_u16());
        let status = status.to_string();
        let row = written
            .lines()
            .find(|line| line.starts_with("| ") && line.contains(&name));
        let statuses = row.and_then(|row| row.split('|').nth(1));
        assert!(
            statuses.is_some_and(|statuses| statuses.contains(&status)),
            "{name} {status}"
        );
    }
}

#[test]
fn what_is_not_there_is_a_problem_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let nothing = server.get("/v2");
    assert_eq!(
        (nothing.status, nothing.problem().as_str()),
        (404, "not-found")
    );
    let method = try_call(server.address, "DELETE", "/livez", &[], b"").unwrap();
    assert_eq!(
        (method.status, method.problem().as_str()),
        (405, "method-not-allowed")
    );
    for path in [
        "/v1/ledger/accounts/1",
        "/v1/ledger/accounts/1/lines",
        "/v1/ledger/transfers/1",
    ] {
        let reply = server.get(path);
        assert_eq!((reply.status, reply.problem().as_str()), (404, "not-found"));
    }
    server.stop().unwrap();
}
