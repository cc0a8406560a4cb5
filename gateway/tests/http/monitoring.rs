//! Dashboard and alerts speak of metrics that exist, and leave none out unsaid.

use std::collections::BTreeSet;
use std::sync::mpsc;

use khlong_gateway::domains;
use khlong_store::engine::memory::MemoryDisk;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::days::{TODAY, Time, kernel};
use crate::metrics::metrics;
use crate::queries::{missing, names, selected, strings, told};
use crate::server::{Server, get, set_up};

const DASHBOARD: &str = include_str!("../../packaging/grafana.json");
const ALERTS: &str = include_str!("../../packaging/alerts.yml");
const PREFIX: &str = "khlong_gateway_";

fn rules() -> Vec<Yaml> {
    let documents = YamlLoader::load_from_str(ALERTS).unwrap();
    let groups = documents[0]["groups"].as_vec().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().unwrap().clone())
        .collect()
}

/// What a gateway tells that was asked before it was ready, and has decided something.
fn scraped() -> String {
    let (go, may_go) = mpsc::sync_channel::<()>(1);
    let folder = tempfile::tempdir().unwrap();
    let open = Box::new(move || {
        may_go.recv().unwrap();
        Ok(kernel(&MemoryDisk::new(), domains::all()))
    });
    let server = Server::on(folder.path(), open, Time::at(TODAY.start().0).clock());
    assert_eq!(get(server.address, "/startupz").status, 503);
    go.send(()).unwrap();
    server.wait();
    set_up(server.address, 2);
    server.get("/livez");
    // A turn of the driver publishes behind its answers: the second one is told by the first.
    server.get("/v1/journal/head");
    server.get("/v1/journal/head");
    let text = metrics(&server);
    server.stop().unwrap();
    text
}

#[test]
fn every_metric_that_is_shown_exists_and_every_one_that_exists_is_shown() {
    let scraped = scraped();
    let samples = scraped.lines().filter(|line| !line.starts_with('#'));
    let exposed: BTreeSet<_> = samples.flat_map(|line| names(line, PREFIX)).collect();
    assert!(
        exposed.contains("khlong_gateway_commands_total"),
        "{exposed:?}"
    );
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut expressions = Vec::new();
    strings(&dashboard["panels"], "expr", &mut expressions);
    let named = |text: &str| names(text, PREFIX);
    let shown: BTreeSet<_> = expressions.iter().copied().flat_map(named).collect();
    let mut queries = Vec::new();
    strings(&dashboard["templating"], "query", &mut queries);
    let asked: BTreeSet<_> = queries.iter().copied().flat_map(named).collect();
    assert!(!asked.is_empty());
    let rules = rules();
    let alerts = rules.iter().map(|rule| rule["expr"].as_str().unwrap());
    let alerted: BTreeSet<_> = alerts.clone().flat_map(named).collect();
    assert!(!alerted.is_empty());
    for (what, spoken_of) in [("panel", &shown), ("query", &asked), ("alert", &alerted)] {
        let missing: Vec<_> = spoken_of.difference(&exposed).collect();
        assert!(missing.is_empty(), "no {what} can show {missing:?}");
    }
    let unsaid: Vec<_> = exposed.difference(&shown).collect();
    assert!(unsaid.is_empty(), "on no panel: {unsaid:?}");
    // And every label by which something is selected or grouped, with that value.
    let told = told(&scraped);
    let mut selects = 0;
    for expression in expressions.into_iter().chain(alerts) {
        selects += selected(expression).len();
        let missing = missing(expression, &told, PREFIX);
        assert!(missing.is_empty(), "{expression}: nobody tells {missing:?}");
    }
    assert!(selects >= 5, "{selects}");
}

#[test]
fn panels_and_alerts_are_whole() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len(), "an id stands twice");
    for panel in panels {
        let has_targets = panel["targets"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        assert_eq!(panel["type"] != "row", has_targets, "{panel}");
    }
    let mut expressions = Vec::new();
    strings(&dashboard["panels"], "expr", &mut expressions);
    let rules = rules();
    let mut alerts = BTreeSet::new();
    for rule in &rules {
        let alert = rule["alert"].as_str().unwrap();
        assert!(alerts.insert(alert), "{alert} stands twice");
        for text in ["summary", "action"] {
            let said = rule["annotations"][text].as_str().unwrap_or_default();
            assert!(said.len() > 20 && said.ends_with('.'), "{alert}: {text}");
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["page", "ticket"].contains(&severity), "{alert}");
        expressions.push(rule["expr"].as_str().unwrap());
    }
    for expression in expressions {
        for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
            let count = |letter| expression.matches(letter).count();
            assert_eq!(count(open), count(close), "{expression}");
        }
    }
}
