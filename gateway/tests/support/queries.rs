//! What the expressions of a dashboard and of alerts ask Prometheus for: names of metrics, and the
//! labels by which they select and group; and what a program tells. The tests of the relay read
//! this file too.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeSet;

use serde_json::Value;

/// What Prometheus itself puts on each sample.
const ADDED: [&str; 2] = ["instance", "job"];

/// Every name of a metric in a text.
pub(crate) fn names(text: &str, prefix: &str) -> BTreeSet<String> {
    let parts = text.split(prefix).skip(1);
    let named = parts.map(|rest| format!("{prefix}{}", word(rest)));
    named.collect()
}

/// The name at the start of a text.
fn word(text: &str) -> &str {
    let end = text.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// All strings of a kind in a tree, such as every `expr`.
pub(crate) fn strings<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v str>) {
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

/// A metric, one of its labels, and a value of that.
pub(crate) type Labelled = (String, String, String);

/// What stands in braces behind the names of metrics: in an expression what it selects by, in what
/// a program tells all that there is.
fn braced(text: &str) -> Vec<(String, String, bool, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let metric = &before[before.trim_end_matches(is_of_name).len()..];
        rest = behind;
        while !rest.starts_with('}') {
            let label = word(rest);
            let (operator, quoted) = rest[label.len()..].split_once('"').unwrap();
            let (value, more) = quoted.split_once('"').unwrap();
            let is_pattern = operator.contains('~');
            found.push((
                metric.to_owned(),
                label.to_owned(),
                is_pattern,
                value.to_owned(),
            ));
            rest = more.trim_start_matches([',', ' ']);
        }
    }
    found
}

/// The texts that a pattern of words and of words in brackets stands for: `/(live|ready)z`.
fn expanded(pattern: &str) -> Vec<String> {
    assert!(
        !pattern.contains(['*', '+', '?', '[', '^', '$', '\\', '.']),
        "nobody here reads `{pattern}`"
    );
    let Some((before, rest)) = pattern.split_once('(') else {
        return pattern.split('|').map(str::to_owned).collect();
    };
    let (inner, behind) = rest.split_once(')').unwrap();
    let is_whole = !before.contains('|') && !behind.contains('|');
    assert!(is_whole, "nobody here reads `{pattern}`");
    let behind = expanded(behind);
    inner
        .split('|')
        .flat_map(|one| behind.iter().map(move |end| format!("{before}{one}{end}")))
        .collect()
}

/// What an expression selects by, but for what Prometheus adds.
pub(crate) fn selected(expression: &str) -> BTreeSet<Labelled> {
    braced(expression)
        .into_iter()
        .filter(|(_, label, ..)| !ADDED.contains(&label.as_str()))
        .flat_map(|(metric, label, is_pattern, value)| {
            let values = if is_pattern {
                expanded(&value)
            } else {
                vec![value]
            };
            values
                .into_iter()
                .map(move |value| (metric.clone(), label.clone(), value))
        })
        .collect()
}

/// What an expression groups by, likewise.
pub(crate) fn grouped(expression: &str) -> BTreeSet<String> {
    expression
        .split("by (")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .flat_map(|(labels, _)| labels.split(", "))
        .filter(|label| !ADDED.contains(label))
        .map(str::to_owned)
        .collect()
}

/// Every label of every sample that a program tells.
pub(crate) fn told(metrics: &str) -> BTreeSet<Labelled> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    samples
        .flat_map(braced)
        .map(|(metric, label, _, value)| (metric, label, value))
        .collect()
}

/// What an expression asks of `told` that is not there: a value of a label, or a label.
pub(crate) fn missing(expression: &str, told: &BTreeSet<Labelled>, prefix: &str) -> Vec<String> {
    let metrics = names(expression, prefix);
    let is_label = |asked: &String| {
        told.iter()
            .any(|(metric, label, _)| metrics.contains(metric) && label == asked)
    };
    let values = selected(expression);
    let values = values.iter().filter(|it| !told.contains(it));
    let labels = grouped(expression).into_iter().filter(|it| !is_label(it));
    values
        .map(|(metric, label, value)| format!("{metric}{{{label}=\"{value}\"}}"))
        .chain(labels)
        .collect()
}

/// This file itself.
#[test]
fn what_is_asked_for_and_not_told_is_missing() {
    let told = told(
        "# TYPE x_a counter\nx_a_total{kind=\"b\",of=\"/cz\"} 1\nx_b{le=\"1.0\"} 2.0\nx_c 3\n",
    );
    for well in [
        "x_c > 1 and on (instance) x_a_total{kind=\"b\"}",
        "sum by (instance, of) (rate(x_a_total{kind!=\"b\", of=~\"/(c)z\", job=\"$job\"}[1m]))",
        "histogram_quantile(0.5, sum by (le) (x_b{instance=~\"$instance\"}))",
    ] {
        assert_eq!(missing(well, &told, "x_"), Vec::<String>::new(), "{well}");
    }
    for (badly, expected) in [
        ("x_a_total{kind=\"c\"} > 0", &["x_a_total{kind=\"c\"}"][..]),
        ("x_b{kind=\"b\"}", &["x_b{kind=\"b\"}"]),
        ("x_a_total{of!~\"/(c|d)z\"}", &["x_a_total{of=\"/dz\"}"]),
        ("x_a_total{kind=~\"b|c\"}", &["x_a_total{kind=\"c\"}"]),
        ("sum by (le) (x_a_total)", &["le"]),
    ] {
        assert_eq!(missing(badly, &told, "x_"), expected, "{badly}");
    }
}
