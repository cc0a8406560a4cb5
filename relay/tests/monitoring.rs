//! Dashboard and alerts speak of metrics that exist, and leave none out unsaid.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../../gateway/tests/support/queries.rs"]
mod queries;
mod support;

use std::collections::BTreeSet;

use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::wire::frame::AppendOutcome;
use queries::{missing, names, strings, told};
use serde_json::Value;
use support::client::Client;
use support::open;
use support::served::{Relay, options};
use yaml_rust2::{Yaml, YamlLoader};

const DASHBOARD: &str = include_str!("../packaging/grafana.json");
const ALERTS: &str = include_str!("../packaging/alerts.yml");
const PREFIX: &str = "khlong_";

/// What is exposed and on no panel, each with the reason beside it.
const NOT_SHOWN: [&str; 0] = [];

fn rules() -> Vec<Yaml> {
    let documents = YamlLoader::load_from_str(ALERTS).unwrap();
    let groups = documents[0]["groups"].as_vec().unwrap();
    groups
        .iter()
        .flat_map(|group| group["rules"].as_vec().unwrap().clone())
        .collect()
}

/// What a relay tells that has stored something and refused something.
async fn scraped() -> String {
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start(options(folder.path())).await;
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let mut client = Client::connect(&dialer, &relay.address).await;
    let (timeline, mut admin, intro) = open(1);
    client.prove(&admin).await;
    let kept = client.append(vec![timeline.genesis, intro]).await;
    assert!(kept.iter().all(AppendOutcome::is_kept), "{kept:?}");
    let (mut member, _) = admin.admit(7);
    client.prove(&member).await;
    let refused = client.append(vec![member.introduce()]).await;
    assert!(!refused[0].is_kept(), "{refused:?}");
    let answer = relay.get("/metrics").await;
    relay.stop().await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

#[tokio::test]
async fn every_metric_that_is_shown_exists_and_every_one_that_exists_is_shown() {
    let scraped = scraped().await;
    let named = |text: &str| names(text, PREFIX);
    let samples = scraped.lines().filter(|line| !line.starts_with('#'));
    let exposed: BTreeSet<_> = samples.flat_map(named).collect();
    assert!(
        exposed.contains("khlong_envelopes_refused_total"),
        "{exposed:?}"
    );

    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut expressions = Vec::new();
    strings(&dashboard["panels"], "expr", &mut expressions);
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
    let unsaid: Vec<_> = exposed
        .difference(&shown)
        .filter(|name| !NOT_SHOWN.contains(&name.as_str()))
        .collect();
    assert!(unsaid.is_empty(), "on no panel: {unsaid:?}");
    for name in NOT_SHOWN {
        assert!(exposed.contains(name) && !shown.contains(name), "{name}");
    }
    // And every label by which something is selected or grouped, with that value.
    let told = told(&scraped);
    for expression in expressions.into_iter().chain(alerts) {
        let missing = missing(expression, &told, PREFIX);
        assert!(missing.is_empty(), "{expression}: nobody tells {missing:?}");
    }
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
        let expression = rule["expr"].as_str().unwrap();
        for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
            let count = |letter| expression.matches(letter).count();
            assert_eq!(count(open), count(close), "{alert}: {expression}");
        }
    }
}
