//! What writes books without a gateway writes to the journal in the database, if it is told where that is.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use khlong_crdt::time::UnixMillis;
use khlong_gateway::domains::all;
use khlong_gateway::domains::books::Day;
use khlong_gateway::domains::ledger::{Account, Asset, LEDGER_DOMAIN, LedgerCommand};
use khlong_gateway::kernel::{Kernel, Logic};
use khlong_store::engine::memory::MemoryDisk;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::commands::{configure, init};
use crate::fixture::{JOURNAL, THB, command, decide, hold, pay, store};
use crate::program::{object, refused, said};

pub(crate) const CONFIG: [&str; 2] = ["--config", "gateway.toml"];

pub(crate) fn id(id: u128) -> String {
    format!("{id:032x}")
}

pub(crate) fn today() -> Day {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Day::of(UnixMillis(i64::try_from(now.as_millis()).unwrap()))
}

/// Another gateway of the journal: 12.34 baht went from account 1 to 2 on that day, and 5 are held.
pub(crate) fn bank(cluster: &Cluster, day: Day) {
    let disk = MemoryDisk::new();
    let journal = Box::new(cluster.journal());
    let mut kernel =
        Kernel::open_with(journal, store(&disk), all(), Logic::CURRENT, JOURNAL).unwrap();
    let asset = Asset {
        ledger: THB,
        scale: 2,
        symbol: *b"THB\0\0\0\0\0",
    };
    let accounts = [1, 2].map(|id| Account {
        id,
        ledger: THB,
        code: 1,
        ..Account::default()
    });
    let noon = day.start().0 + 12 * 3_600_000;
    for ledger in [
        LedgerCommand::CreateAssets(vec![asset]),
        LedgerCommand::CreateAccounts(accounts.to_vec()),
        LedgerCommand::CreateTransfers(vec![pay(7, 1, 2, 1_234), hold(8, 1, 2, 500, 0)]),
    ] {
        let key = kernel.head().seq.0.to_string();
        decide(
            &mut kernel,
            &command(&key, noon, LEDGER_DOMAIN, ledger.encode()),
        );
    }
}

pub(crate) fn with(arguments: &[&'static str]) -> Vec<&'static str> {
    [arguments, &CONFIG].concat()
}

pub(crate) fn elsewhere(place: &Path, arguments: &[&str]) {
    let (code, words) = refused(place, arguments);
    assert_eq!(code, 3, "{words}");
    assert!(
        words.contains("lies in a database; name the gateway's configuration with --config"),
        "{words}"
    );
    assert!(!words.contains("journal.postgres"), "{words}");
}

#[test]
fn the_books_are_kept_in_the_database_without_a_gateway() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    init(place);
    said(place, &with(&["init", "behind"]));
    let today = today();
    let day = Day(today.0 - 2);
    bank(&cluster, day);
    let day_text: &'static str = day.to_string().leak();

    let close = ["close", "data", "--json", "--through", day_text];
    elsewhere(place, &close);
    let closes = object(place, &with(&close));
    assert_eq!(closes["closes"][0]["records"], 2);
    assert_eq!(object(place, &with(&close))["closes"], json!([]));

    let line = format!(
        "date,time,amount,reference,direction\n{day},12:00,12.34,{},out\n",
        id(7)
    );
    fs::write(place.join("bank.csv"), line).unwrap();
    let account: &'static str = id(2).leak();
    let compare = [
        "reconcile",
        "data",
        "bank.csv",
        "--account",
        account,
        "--from",
        day_text,
        "--to",
        day_text,
    ];
    let record = [&compare[..], &["--record"]].concat();
    elsewhere(place, &record);
    assert!(said(place, &with(&record)).contains("Matched: 1\n"));

    let list = json!({
        "debtor": { "name": "Khlong", "account": "1", "bank": "KASITHBK" },
        "creditors": [{ "transfer": id(8), "name": "A", "account": "2", "bank": "004" }],
    });
    fs::write(place.join("list.json"), list.to_string()).unwrap();
    let tomorrow: &'static str = today.next().to_string().leak();
    let export = [
        "payout",
        "export",
        "data",
        "--json",
        "--clearing",
        account,
        "--execution",
        tomorrow,
        "--list",
        "list.json",
    ];
    elsewhere(place, &export);
    let batch = object(place, &with(&export))["batch"].clone();
    // Whoever has an old copy is told what the database says.
    let batch_text: &'static str = batch.as_str().unwrap().to_owned().leak();
    let again = |folder| {
        [
            "payout",
            "again",
            folder,
            "--batch",
            batch_text,
            "--list",
            "list.json",
        ]
    };
    said(place, &with(&["init", "aside"]));
    elsewhere(place, &again("data"));
    let file = said(place, &with(&again("data")));
    assert!(file.contains("<CtrlSum>5.00</CtrlSum>"), "{file}");
    assert_eq!(said(place, &with(&again("aside"))), file);
    let report = format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10\"><CstmrPmtStsRpt><OrgnlGrpInfAndSts><OrgnlMsgId>{}</OrgnlMsgId><GrpSts>ACSC</GrpSts></OrgnlGrpInfAndSts></CstmrPmtStsRpt></Document>",
        batch.as_str().unwrap()
    );
    fs::write(place.join("answer.xml"), report).unwrap();
    let settle = ["payout", "settle", "data", "answer.xml", "--json"];
    elsewhere(place, &settle);
    let told = object(place, &with(&settle));
    assert_eq!(told["posted"], json!([id(8)]));
    let (code, words) = refused(place, &with(&again("aside")));
    assert_eq!(
        (code, words.contains("settled already")),
        (1, true),
        "{words}"
    );
    let again = object(place, &with(&settle));
    assert_eq!(
        (&again["settled"], &again["settled_by"]),
        (&json!([id(8)]), &Value::Null)
    );

    let entries = again["entry"].as_u64().unwrap();
    followed(place, entries);
    published(&cluster, place, entries);
}

/// All of it is in the database: a folder that follows it comes to the same.
fn followed(place: &Path, entries: u64) {
    let verified = object(place, &with(&["verify", "data", "--json"]));
    assert_eq!(verified["entries"], verified["database_entries"]);
    assert_eq!(verified["entries"], entries);
    let third = object(place, &with(&["init", "third", "--json"]));
    assert_eq!(third["entries"], entries);
    let third = object(place, &with(&["verify", "third", "--json"]));
    assert_eq!(third["state"], verified["state"]);
}

/// The folder `behind` has none of the entries; the database has what was published.
fn published(cluster: &Cluster, place: &Path, entries: u64) {
    let hash = |seq: u64| {
        cluster.sql(&format!(
            "SELECT encode(hash, 'hex') FROM khlong.journal WHERE seq = {seq}"
        ))
    };
    let verify = |noted: &str| {
        let noted = ["verify", "behind", "--published", noted];
        crate::program::run(place, &[&noted[..], &CONFIG].concat())
    };
    for seq in [1, 4, entries] {
        let done = verify(&format!("{seq}:{}", hash(seq)));
        assert!(done.status.success(), "{done:?}");
    }
    for (noted, why) in [
        (format!("4:{}", hash(5)), "there it is"),
        (
            format!("{}:{}", entries + 1, hash(entries)),
            "it ends before",
        ),
    ] {
        let done = verify(&noted);
        let words = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(9), "{words}");
        assert!(words.contains(why), "{words}");
    }
    // Without the database the copy is all that there is.
    let noted = format!("4:{}", hash(4));
    let done = crate::program::run(place, &["verify", "behind", "--published", &noted]);
    let words = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(9), "{words}");
}

/// Its words say so, and it takes them: where the journal lies ahead of the clock, somebody has looked.
#[test]
fn a_file_is_written_again_beside_a_clock_that_was_accepted() {
    let cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    init(place);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let today = Day::of(UnixMillis(i64::try_from(now.as_millis()).unwrap()));
    bank(&cluster, Day(today.0 + 2));
    let list = json!({
        "debtor": { "name": "Khlong", "account": "1", "bank": "KASITHBK" },
        "creditors": [{ "transfer": id(8), "name": "A", "account": "2", "bank": "004" }],
    });
    fs::write(place.join("list.json"), list.to_string()).unwrap();
    let (account, day) = (id(2), today.to_string());
    let export = [
        "payout",
        "export",
        "data",
        "--json",
        "--clearing",
        &account,
        "--execution",
        &day,
        "--list",
        "list.json",
        "--accept-time",
    ];
    let exported = object(place, &[&export[..], &CONFIG].concat());
    let batch = exported["batch"].as_str().unwrap();
    let again = [
        "payout",
        "again",
        "data",
        "--batch",
        batch,
        "--list",
        "list.json",
    ];
    let again = [&again[..], &CONFIG].concat();
    let (code, words) = refused(place, &again);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("with --accept-time"), "{words}");
    let file = said(place, &[&again[..], &["--accept-time"]].concat());
    assert_eq!(exported["file"], file);
}

/// As the table of `payout settle` in `DOMAINS.md` has it.
#[test]
fn a_settlement_beside_a_database_that_refuses_or_is_away_has_its_code() {
    let mut cluster = Cluster::start();
    let place = tempfile::tempdir().unwrap();
    let place = place.path();
    configure(&cluster, place);
    init(place);
    let (batch, hold): (&'static str, &'static str) = (id(5).leak(), id(8).leak());
    let settle = ["payout", "settle", "data", "--batch", batch, "--paid", hold];
    let settle = with(&settle);
    let ends = |code, words: &str| {
        let (found, told) = refused(place, &settle);
        assert_eq!(found, code, "{told}");
        assert!(told.contains(words), "{told}");
    };
    let password = place.join("pg.password");
    let right = fs::read_to_string(&password).unwrap();
    fs::write(&password, "another-word-altogether\n").unwrap();
    ends(4, "the journal's database refuses");
    fs::write(&password, right).unwrap();
    cluster.kill();
    let config = place.join("gateway.toml");
    let text = fs::read_to_string(&config).unwrap();
    let text = text.replace("retry_seconds = 60", "retry_seconds = 1");
    fs::write(config, text).unwrap();
    ends(1, "gave no answer for 1 s");
}
