//! Dashboard and alerts speak of metrics that exist, and leave none out unsaid.

use std::collections::BTreeSet;

use khlong_store::engine::memory::MemoryDisk;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::days::{TODAY, Time, start};
use crate::metrics::metrics;
use crate::server::set_up;

const DASHBOARD: &str = include_str!("../../packaging/grafana.json");
const ALERTS: &str = include_str!("../../packaging/alerts.yml");
const PREFIX: &str = "khlong_gateway_";

/// Every name of a metric in a text.
fn names(text: &str) -> BTreeSet<String> {
    let parts = text.split(PREFIX).skip(1);
    parts
        .map(|rest| {
            let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
            format!("{PREFIX}{}", &rest[..end.unwrap_or(rest.len())])
        })
        .collect()
}

/// All strings of a kind in a tree, such as every `expr`.
fn strings<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| strings(one, name, found)),
        Value::Object(members) => {
            for (key, inner) in members {
                match inner.as_str().filter(|_| key == name) {
                    Some(text) => found.push(text),
                    None => strings(inner, name, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn rules() -> Vec<Yaml> {
    let documents = YamlLoader::load_from_str(ALERTS).unwrap();
    let groups = documents[0]["groups"].as_vec().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().unwrap().clone())
        .collect()
}

/// The samples of a gateway that has decided something.
fn exposed() -> BTreeSet<String> {
    let server = start(&MemoryDisk::new(), &Time::at(TODAY.start().0));
    set_up(server.address, 2);
    server.get("/v1/journal/head");
    let text = metrics(&server);
    server.stop().unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.flat_map(names).collect()
}

#[test]
fn every_metric_that_is_shown_exists_and_every_one_that_exists_is_shown() {
    let exposed = exposed();
    assert!(
        exposed.contains("khlong_gateway_commands_total"),
        "{exposed:?}"
    );
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut expressions = Vec::new();
    strings(&dashboard["panels"], "expr", &mut expressions);
    let shown: BTreeSet<_> = expressions.iter().copied().flat_map(names).collect();
    let mut queries = Vec::new();
    strings(&dashboard["templating"], "query", &mut queries);
    let asked: BTreeSet<_> = queries.iter().copied().flat_map(names).collect();
    assert!(!asked.is_empty());
    let rules = rules();
    let alerted: BTreeSet<_> = rules
        .iter()
        .flat_map(|rule| names(rule["expr"].as_str().unwrap()))
        .collect();
    assert!(!alerted.is_empty());
    for (what, spoken_of) in [("panel", &shown), ("query", &asked), ("alert", &alerted)] {
        let missing: Vec<_> = spoken_of.difference(&exposed).collect();
        assert!(missing.is_empty(), "no {what} can show {missing:?}");
    }
    let unsaid: Vec<_> = exposed.difference(&shown).collect();
    assert!(unsaid.is_empty(), "on no panel: {unsaid:?}");
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
