//! What reads books tells them as the database has them, or nothing: a folder that is behind does not know it.

use std::fs;

use khlong_gateway::domains::books::Day;
use serde_json::json;

use crate::books::{CONFIG, bank, elsewhere, id, today, with};
use crate::cluster::Cluster;
use crate::commands::{configure, init};
use crate::program::{object, refused, said};
use crate::served::Gateway;

/// What is asked of a folder, in turn; each has a folder of its own that is behind.
const BEHIND: [&str; 4] = ["one", "two", "three", "four"];

#[test]
fn a_folder_that_is_behind_tells_what_the_database_says_or_nothing() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    init(place);
    for folder in BEHIND {
        said(place, &with(&["init", folder]));
    }
    let day = Day(today().0 - 2);
    bank(&cluster, day);
    let day: &'static str = day.to_string().leak();
    said(place, &with(&["close", "data", "--through", day]));
    let account: &'static str = id(2).leak();
    let batch = paid_out(place, account);
    let report = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{batch}</OrgnlMsgId><GrpSts>ACSC</GrpSts></OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>"
    );
    fs::write(place.join("answer.xml"), report).unwrap();
    let line = format!(
        "date,time,amount,reference,direction\n{day},12:00,12.34,{},out\n",
        id(7)
    );
    fs::write(place.join("bank.csv"), line).unwrap();

    let of = ["--account", account, "--from", day, "--to", day];
    let asked = |folder: &'static str, what: usize| -> Vec<&'static str> {
        match what {
            0 => vec!["audit", folder, "--json"],
            1 => [&["statement", folder, "--json"][..], &of].concat(),
            2 => [&["reconcile", folder, "bank.csv", "--json"][..], &of].concat(),
            _ => vec!["payout", "answer", folder, "answer.xml", "--json"],
        }
    };
    let head = object(place, &with(&["verify", "data", "--json"]));
    let mut told = Vec::new();
    for (what, folder) in BEHIND.into_iter().enumerate() {
        let asked = asked(folder, what);
        elsewhere(place, &asked);
        let before = object(place, &["verify", folder, "--json"]);
        assert_eq!(before["entries"], 0, "{folder} is behind");
        told.push(object(place, &with(&asked)));
        let after = object(place, &["verify", folder, "--json"]);
        assert_eq!(after["head"], head["head"], "{folder} has followed");
        // Also one that has all of it does not know that it has.
        elsewhere(place, &asked);
    }
    assert_eq!(told[0]["journal"]["seq"], head["entries"]);
    assert_eq!(told[0]["close"]["day"], day);
    assert_eq!(told[1]["closing"]["balance"], "12.34");
    assert_eq!(told[2]["matched"], 1);
    assert_eq!(told[3]["posts"], json!([id(8)]));
    // Whole tables, not the shorter ones that the folder had.
    said(place, &with(&["init", "last"]));
    let settle = ["payout", "settle", "data", "answer.xml", "--json"];
    object(place, &with(&settle));
    let into = ["audit", "last", "--into", "tables", "--json"];
    elsewhere(place, &into);
    assert!(!place.join("tables").exists());
    let written = object(place, &with(&into));
    let entries = head["entries"].as_u64().unwrap() + 2;
    assert_eq!(written["journal"]["seq"], entries);
    let csv = fs::read_to_string(place.join("tables/journal.csv")).unwrap();
    assert_eq!(u64::try_from(csv.lines().count()).unwrap(), entries + 1);
}

/// Pays out hold 8, and returns the batch.
fn paid_out(place: &std::path::Path, clearing: &'static str) -> String {
    let list = json!({
        "debtor": { "name": "Khlong", "account": "1", "bank": "KASITHBK" },
        "creditors": [{ "transfer": id(8), "name": "A", "account": "2", "bank": "004" }],
    });
    fs::write(place.join("list.json"), list.to_string()).unwrap();
    let execution: &'static str = today().next().to_string().leak();
    let export = [
        "payout",
        "export",
        "data",
        "--json",
        "--clearing",
        clearing,
        "--execution",
        execution,
        "--list",
        "list.json",
    ];
    let told = object(place, &with(&export));
    told["batch"].as_str().unwrap().to_owned()
}

/// It is not read beside a gateway that has it, nor by a configuration of nothing.
#[test]
fn a_copy_that_cannot_follow_is_refused() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    init(place);
    let text = fs::read_to_string(place.join("gateway.toml")).unwrap();
    let text = text.replace("[store]", "[store]\nfolder = \"data\"");
    fs::write(place.join("served.toml"), text).unwrap();
    let gateway = Gateway::start_with(&place.join("served.toml"));
    let audit = ["audit", "data"];
    elsewhere(place, &audit);
    let (code, words) = refused(place, &with(&audit));
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("is in use by process"), "{words}");
    // Another folder follows beside it.
    said(place, &with(&["init", "aside"]));
    assert!(said(place, &with(&["audit", "aside"])).starts_with("journal: "));
    gateway.kill();
    fs::write(
        place.join(CONFIG[1]),
        crate::server::config("[log]\nlevel = \"error\"\n"),
    )
    .unwrap();
    let (code, words) = refused(place, &with(&audit));
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("names no database"), "{words}");
    // Nor does it take the place of a database that is gone.
    drop(cluster);
    elsewhere(place, &audit);
}
