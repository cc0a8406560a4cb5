//! What a scenario file may say: refused keys, overrides, and the document beside it.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]
#![expect(clippy::indexing_slicing, reason = "a test that fails may panic")]

use std::collections::{BTreeMap, BTreeSet};

use khlong_simulations::error::{ExitCode, SimError};
use khlong_simulations::kernel::seeds::Seeds;
use khlong_simulations::plan::{Plan, Role};
use khlong_simulations::scenario::error::ScenarioError;
use khlong_simulations::scenario::overrides::Override;
use khlong_simulations::scenario::spec::Scenario;
use khlong_simulations::scenario::{REFERENCES, Source};
use khlong_simulations::units::Span;

const HEAD: &str = "name = 'x'\nabout = 'y'\nduration = '1h'\n";

const SMALL: &str = r#"
name = "small"
about = "Two groups and a relay."
duration = "1h"

[group.people]
role = "node"
count = 10

[group.relay]
role = "relay"
count = 1

[link.wire]
forth = { rate = "1Mbit/s", propagation = "10ms" }
back = { rate = "4Mbit/s", propagation = "10ms" }

[[connect]]
name = "wire"
from = "people"
to = "relay"
link = "wire"

[[traffic]]
name = "chat"
pairs = { from = ["people"], to = ["people"] }
interval = { fixed = "60s" }
size = { fixed = "100B" }
"#;

fn source(text: &str) -> Source {
    Source {
        text: text.to_owned(),
        folder: std::path::PathBuf::new(),
    }
}

fn scenario(text: &str, overrides: &[&str]) -> Result<Scenario, ScenarioError> {
    let overrides: Vec<Override> = overrides
        .iter()
        .map(|text| Override::parse(text).unwrap())
        .collect();
    source(text).scenario(&overrides)
}

fn plan(text: &str, overrides: &[&str]) -> Result<Plan, SimError> {
    scenario(text, overrides)?.plan(Seeds::new(1), Span(0))
}

fn refusal(text: &str, overrides: &[&str]) -> String {
    match plan(text, overrides) {
        Ok(_) => panic!("accepted: {text} {overrides:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_was_meant() {
    let message = refusal(&SMALL.replace("duration", "durtaion"), &[]);
    assert!(message.contains("line 4"), "{message}");
    assert!(message.contains("did you mean `duration`?"), "{message}");
    let message = refusal(SMALL, &["connect.wire.shares=0.5"]);
    assert!(message.contains("did you mean `share`?"), "{message}");
}

#[test]
fn a_name_that_nothing_has_is_refused() {
    let message = refusal(&SMALL.replace("to = \"relay\"", "to = \"relais\""), &[]);
    assert_eq!(
        message,
        "connect.wire.to: there is no group `relais` (did you mean `relay`?)"
    );
    let message = refusal(&SMALL.replace("link = \"wire\"", "link = \"fibre\""), &[]);
    assert!(message.contains("there is no link `fibre`"), "{message}");
    let message = refusal(SMALL, &["routing.protocols=['epidemik']"]);
    assert!(message.contains("did you mean `epidemic`?"), "{message}");
}

#[test]
fn values_out_of_bounds_are_refused() {
    for (change, part) in [
        ("scale=0", "scale"),
        ("duration=0s", "duration"),
        ("duration=5", "invalid type"),
        ("warm_up=2h", "warm_up"),
        ("replications=0", "replications"),
        ("connect.wire.share=1.5", "share"),
        ("connect.wire.cuts=[{from='2min',until='1min'}]", "cuts"),
        ("link.wire.forth.loss=1", "loss"),
        ("link.wire.forth.rate='0bit/s'", "rate"),
        ("traffic.chat.interval={fixed='0s'}", "interval"),
        ("traffic.chat.hours=[9,30]", "hours"),
        (
            "traffic.chat.timelines={of=['people'],count=1,members=3}",
            "either",
        ),
        ("group.people.count=1", "nobody else"),
        ("group.people.count=200000", "100000 machines"),
        (
            "outage=[{group='relay',member=2,from='1min',until='2min'}]",
            "members 1 to 1",
        ),
        ("routing.prophet.gamma=1.5", "prophet"),
    ] {
        let message = refusal(SMALL, &[change]);
        assert!(message.contains(part), "{change}: {message}");
    }
}

#[test]
fn overrides_reach_tables_lists_and_new_keys() {
    let changed = scenario(
        SMALL,
        &[
            "group.people.count=20",
            "duration=2h",
            "traffic.0.name=talk",
            "traffic.talk.size.fixed='1kB'",
            "routing.ttl=30min",
            "routing.prophet.beta=0.5",
            "connect.wire.cuts=[{ from = '5min', until = '6min', direction = 'forth' }]",
        ],
    )
    .unwrap();
    assert_eq!(changed.group["people"].count, 20);
    assert_eq!(changed.duration, "2h".parse().unwrap());
    assert_eq!(changed.traffic[0].name, "talk");
    assert_eq!(changed.routing.ttl, Some("30min".parse().unwrap()));
    assert_eq!(changed.connect[0].cuts.len(), 1);
    for (wrong, part) in [
        ("group.peopel.count=1", "did you mean `people`?"),
        ("traffic.talk.size=1", "none is named `talk`"),
        ("duration.hours=1", "`duration` has no parts"),
        ("group.=1", "ends in a dot"),
    ] {
        let error = scenario(SMALL, &[wrong]).unwrap_err();
        assert!(error.to_string().contains(part), "{wrong}: {error}");
        assert_eq!(SimError::from(error).exit_code(), ExitCode::Usage);
    }
    assert!(Override::parse("=1").is_err());
    assert!(Override::parse("scale").is_err());
}

#[test]
fn the_plan_says_who_meets_whom_and_what_is_written() {
    let whole = plan(SMALL, &[]).unwrap();
    assert_eq!(whole.entities.len(), 11);
    assert_eq!(whole.entities[10].name, "relay-1");
    assert_eq!(whole.entities[10].role, Role::Relay);
    assert_eq!(whole.contacts.len(), 10);
    assert!(
        whole
            .contacts
            .iter()
            .all(|contact| contact.down == whole.end)
    );
    assert_eq!(
        whole.messages.len(),
        59,
        "one a minute, none at the very end"
    );
    for message in &whole.messages {
        let members = &whole.timelines[message.timeline as usize];
        assert!(members.len() == 2 && members.contains(&message.from));
    }
    // People come before the relay, so `forth` is the way to it.
    let link = whole.links[usize::from(whole.contacts[0].link.0)];
    assert_eq!(link.direction(true).rate, "1Mbit/s".parse().unwrap());
    let renamed = SMALL
        .replace("group.relay]", "group.a-relay]")
        .replace("to = \"relay\"", "to = \"a-relay\"");
    let turned = plan(&renamed, &[]).unwrap();
    let link = turned.links[usize::from(turned.contacts[0].link.0)];
    assert_eq!(link.direction(true).rate, "4Mbit/s".parse().unwrap());
}

#[test]
fn a_cut_ends_contacts_and_a_one_way_cut_closes_a_direction() {
    let cuts = "connect.wire.cuts=[{from='10min',until='20min'},{from='15min',until='30min'},{from='40min',until='50min',direction='back'}]";
    let plan = plan(SMALL, &[cuts]).unwrap();
    let minutes = |contacts: &[khlong_simulations::plan::Contact]| -> Vec<(u64, u64)> {
        contacts
            .iter()
            .filter(|contact| contact.a.0 == 0)
            .map(|contact| (contact.up.0 / 60_000_000, contact.down.0 / 60_000_000))
            .collect()
    };
    assert_eq!(minutes(&plan.contacts), [(0, 10), (30, 60)]);
    assert_eq!(
        minutes(&plan.two_way_contacts()),
        [(0, 10), (30, 40), (50, 60)]
    );
    assert_eq!(plan.one_way.len(), 10);
    assert!(plan.one_way.iter().all(|way| way.sender.0 == 10));
}

#[test]
fn one_more_machine_moves_no_other_ones_randomness() {
    let availability =
        "connect.wire.availability={up={exponential='5min'},down={uniform=['1min','2min']}}";
    let of_first = |plan: &Plan, relay: u32| -> Vec<(u64, u64)> {
        plan.contacts
            .iter()
            .filter(|contact| contact.a.0 == 0 && contact.b.0 == relay)
            .map(|contact| (contact.up.0, contact.down.0))
            .collect()
    };
    let ten = plan(SMALL, &[availability]).unwrap();
    let eleven = plan(SMALL, &[availability, "group.people.count=11"]).unwrap();
    assert_eq!(of_first(&ten, 10), of_first(&eleven, 11));
    assert!(of_first(&ten, 10).len() > 3);
    let other = scenario(SMALL, &[availability])
        .unwrap()
        .plan(Seeds::new(2), Span(0))
        .unwrap();
    assert_ne!(of_first(&ten, 10), of_first(&other, 10));
    let up: u64 = ten
        .contacts
        .iter()
        .map(|contact| contact.down.0 - contact.up.0)
        .sum();
    let share = up as f64 / (10.0 * ten.end.0 as f64);
    assert!((0.65..0.9).contains(&share), "5 of 6.5 minutes: {share}");
}

#[test]
fn a_pair_joined_twice_is_refused() {
    let twice = format!(
        "{SMALL}\n[[connect]]\nname = 'again'\nfrom = 'relay'\nto = 'people'\nlink = 'wire'\n"
    );
    assert!(refusal(&twice, &[]).contains("in contact twice"));
}

#[test]
fn timelines_share_and_scale() {
    let changes = [
        "traffic.chat.timelines={of=['people'],count=40,members=4,writers=1}",
        "connect.wire.share=0.5",
        "group.people.count=400",
    ];
    let text = SMALL.replace("pairs = { from = [\"people\"], to = [\"people\"] }\n", "");
    let text = text.replace(
        "interval = { fixed",
        "timelines = { of = ['people'], count = 1, members = 2 }\ninterval = { fixed",
    );
    let whole = plan(&text, &changes).unwrap();
    assert_eq!(whole.timelines.len(), 40);
    assert!(
        whole
            .timelines
            .iter()
            .all(|members| members.len() == 4 && members.windows(2).all(|pair| pair[0] < pair[1]))
    );
    let mut writers: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    for message in &whole.messages {
        writers
            .entry(message.timeline)
            .or_default()
            .insert(message.from.0);
    }
    assert!(writers.values().all(|of_one| of_one.len() == 1));
    assert!((150..250).contains(&whole.contacts.len()), "half of 400");
    let mut small = changes.to_vec();
    small.push("scale=0.1");
    let small = plan(&text, &small).unwrap();
    assert_eq!(
        small.entities.len(),
        41,
        "40 people, and the relay as it was"
    );
    assert_eq!(small.timelines.len(), 4);
    assert_eq!(small.messages.len(), 5, "one in ten minutes");
}

#[test]
fn every_reference_scenario_gives_a_plan_at_a_small_scale() {
    assert_eq!(REFERENCES.len(), 8);
    for (name, text) in REFERENCES {
        let parsed = source(text).scenario(&[]).unwrap();
        assert_eq!(parsed.name, *name);
        assert!(!parsed.assumes.is_empty(), "{name}");
        let scenario = scenario(text, &["scale=0.02"]).unwrap();
        let plan = scenario.plan(Seeds::new(1), Span(60_000_000)).unwrap();
        assert!(!plan.contacts.is_empty(), "{name}: nobody meets");
        assert!(!plan.messages.is_empty(), "{name}: nobody writes");
        assert!(
            plan.messages
                .iter()
                .any(|message| message.at > plan.warm_up)
        );
        let again = scenario.plan(Seeds::new(1), Span(60_000_000)).unwrap();
        assert_eq!(format!("{plan:?}"), format!("{again:?}"), "{name}");
    }
}

#[test]
fn the_reference_scenarios_have_the_numbers_that_were_asked_for() {
    let of = |name: &str| {
        let text = REFERENCES
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1;
        source(text).scenario(&[]).unwrap()
    };
    assert_eq!(of("campus-day").group["students"].count, 2000);
    assert_eq!(of("campus-day").connect[0].share, 0.3);
    assert_eq!(of("flood").group["villagers"].count, 500);
    assert_eq!(of("flood").group["boats"].count, 2);
    assert_eq!(of("flood").routing.ttl, Some("24h".parse().unwrap()));
    let cut = of("flood").connect[0].cuts[0];
    assert_eq!(cut.until.0 - cut.from.0, "18h".parse::<Span>().unwrap().0);
    assert_eq!(of("festival").group["guests"].count, 5000);
    assert_eq!(of("dorm-lan").duration, "7d".parse().unwrap());
    let dorm: u32 = of("dorm-lan").group.values().map(|group| group.count).sum();
    assert_eq!(dorm, 200);
    assert_eq!(of("bus-mule").group["stops"].count, 10);
    assert_eq!(of("bus-mule").group["buses"].count, 3);
    assert_eq!(
        of("ladder-3g").link["gprs"].forth.rate,
        "35kbit/s".parse().unwrap()
    );
    assert_eq!(
        of("ladder-3g").link["hspa-plus"].forth.rate,
        "9Mbit/s".parse().unwrap()
    );
    let crowd = of("flash-crowd").plan(Seeds::new(1), Span(0)).unwrap();
    let burst = crowd
        .messages
        .iter()
        .filter(|message| (60_000_000..120_000_000).contains(&message.at.0))
        .count();
    assert!(
        (298_000..304_000).contains(&burst),
        "5,000 a second: {burst}"
    );
}

/// Where an unknown key goes to make the parser list what it knows, by heading of SCENARIOS.md.
fn probes() -> Vec<(&'static str, String)> {
    let group = |inside: &str| format!("{HEAD}[group.g]\nrole = 'node'\ncount = 1\n{inside}\n");
    let model = |name: &str, rest: &str| {
        group(&format!(
            "mobility = {{ model = '{name}', {rest}{}zzz = 1 }}",
            if rest.is_empty() { "" } else { ", " }
        ))
    };
    let entry = |kind: &str, inside: &str| format!("{HEAD}[group]\n[[{kind}]]\n{inside}\n");
    let connect = "name = 'c'\nfrom = 'g'\nto = 'g'\nlink = 'l'\n";
    vec![
        ("Top level", format!("{HEAD}zzz = 1\n")),
        ("`[group.NAME]`", group("zzz = 1")),
        ("`radio`", group("radio = { zzz = 1 }")),
        ("`mobility` model `fixed`", model("fixed", "")),
        (
            "`mobility` model `random-waypoint`",
            model("random-waypoint", ""),
        ),
        ("`mobility` model `clusters`", model("clusters", "")),
        ("`mobility` model `route`", model("route", "")),
        ("`mobility` model `timetable`", model("timetable", "")),
        ("`mobility` model `trace`", model("trace", "")),
        ("`mobility` model `exponential`", model("exponential", "")),
        ("`[link.NAME]`", format!("{HEAD}[link.l]\nzzz = 1\n")),
        (
            "`forth` and `back`",
            format!("{HEAD}[link.l]\nforth = {{ zzz = 1 }}\n"),
        ),
        ("`[[connect]]`", entry("connect", "zzz = 1")),
        (
            "`cuts`",
            entry("connect", &format!("{connect}cuts = [{{ zzz = 1 }}]")),
        ),
        (
            "`availability`",
            entry("connect", &format!("{connect}availability = {{ zzz = 1 }}")),
        ),
        ("`[[traffic]]`", entry("traffic", "zzz = 1")),
        ("`pairs`", entry("traffic", "pairs = { zzz = 1 }")),
        ("`timelines`", entry("traffic", "timelines = { zzz = 1 }")),
        (
            "Distribution of times",
            entry("traffic", "interval = { zzz = 1 }"),
        ),
        (
            "Distribution of sizes",
            entry("traffic", "size = { zzz = 1 }"),
        ),
        (
            "`log-normal`",
            entry("traffic", "size = { log-normal = { zzz = 1 } }"),
        ),
        ("`[[outage]]`", entry("outage", "zzz = 1")),
        (
            "`[routing]`",
            format!("{HEAD}[group]\n[routing]\nzzz = 1\n"),
        ),
        (
            "`[routing.prophet]`",
            format!("{HEAD}[group]\n[routing.prophet]\nzzz = 1\n"),
        ),
    ]
}

/// Keys in the tables of SCENARIOS.md, by the heading above.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut sections = BTreeMap::new();
    let mut heading = String::new();
    for line in include_str!("../SCENARIOS.md").lines() {
        if let Some(text) = line.strip_prefix("### ").or(line.strip_prefix("## ")) {
            heading = text.to_owned();
        } else if line.starts_with("| key |") {
            sections.insert(heading.clone(), BTreeSet::new());
        } else if let (Some(key), Some(keys)) = (
            line.strip_prefix("| `")
                .and_then(|rest| rest.split('`').next()),
            sections.get_mut(&heading),
        ) {
            keys.insert(key.to_owned());
        }
    }
    sections
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let mut documented = documented();
    // A model without keys cannot list them.
    assert_eq!(
        documented.remove("`mobility` model `nowhere`"),
        Some(BTreeSet::new())
    );
    for (heading, text) in probes() {
        let error = scenario(&text, &[]).unwrap_err().to_string();
        let listed = error
            .split_once("`zzz`, expected ")
            .unwrap_or_else(|| panic!("{heading}: {error}"))
            .1;
        let known: BTreeSet<String> = listed
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        let keys = documented.remove(heading);
        assert_eq!(keys, Some(known), "SCENARIOS.md, {heading}");
    }
    assert_eq!(
        documented,
        BTreeMap::new(),
        "documented, but nothing of the format"
    );
}
