//! The log of the real relay: its two forms, and what never stands in it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_relay::config::{Config, Environment, Flags};
use khlong_store::engine::rocks::{RocksEngine, RocksOptions};
use khlong_store::engine::{Durability, Engine as _};
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::table::Table;
use khlong_store::write_set::WriteSet;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{AppendOutcome, ErrorFrame, Frame, Lane, Prove};
use serde_json::Value;
use support::client::Client;
use support::process::{Running, init, output, relay, text};
use support::{Author, Timeline, open};

const TOKEN: &str = "tok-b3d90e";
const PLAINTEXT: &str = "พบกันที่ท่าเรือ at the pier";

fn start(folder: &Path, format: &str) -> Running {
    let mut command = relay(folder);
    command
        .args(["run", "--json", "--log", "trace", "--log-format", format])
        .env("KHLONG_POLICY__OPENING", "token")
        .env("KHLONG_POLICY__TOKEN", TOKEN);
    Running::spawn(&mut command)
}

fn code(outcome: AppendOutcome) -> Option<ErrorCode> {
    match outcome {
        AppendOutcome::Refused { code, .. } => Some(code),
        AppendOutcome::Stored { .. } | AppendOutcome::Duplicate { .. } => None,
    }
}

/// All forms in which bytes usually come into a log.
fn forms(bytes: &[u8; 32], name: String) -> [String; 3] {
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let numbers: Vec<String> = bytes.iter().take(8).map(u8::to_string).collect();
    [name, hex, numbers.join(", ")]
}

fn of_envelope(envelope: &VerifiedEnvelope) -> Vec<String> {
    let (id, timeline, author) = (envelope.id(), envelope.timeline(), envelope.author());
    let all = [
        forms(id.as_bytes(), id.to_string()),
        forms(timeline.as_bytes(), timeline.to_string()),
        forms(author.as_bytes(), author.to_string()),
    ];
    all.into_iter().flatten().collect()
}

/// A client with the token appends, one without is refused, others break the protocol.
/// Returns what was said in secret, and the author of the timeline.
async fn traffic(running: &Running) -> (Vec<String>, Timeline, Author) {
    let address = running.field("address").parse().unwrap();
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let (timeline, mut admin, intro) = open(1);
    let change = admin.write(PLAINTEXT.as_bytes());
    let mut secrets = vec![TOKEN.to_owned(), PLAINTEXT.to_owned()];
    for envelope in [&timeline.genesis, &intro, &change] {
        secrets.extend(of_envelope(envelope));
    }
    let principal = admin.principal();
    secrets.extend(forms(principal.as_bytes(), principal.to_string()));

    let mut stranger = Client::connect(&dialer, &address).await;
    stranger.prove(&admin).await;
    let refused = stranger.append(vec![timeline.genesis.clone()]).await;
    assert!(code(refused[0]).is_some(), "{refused:?}");
    let mut liar = Client::connect_with(&dialer, &address, "tok-guessed").await;
    secrets.push("tok-guessed".to_owned());
    liar.prove(&admin).await;
    let refused = liar.append(vec![timeline.genesis.clone()]).await;
    assert!(code(refused[0]).is_some(), "{refused:?}");

    let mut writer = Client::connect_with(&dialer, &address, TOKEN).await;
    writer.prove(&admin).await;
    let all = vec![timeline.genesis.clone(), intro, change.clone()];
    let kept = writer.append(all).await;
    assert!(kept.iter().all(AppendOutcome::is_kept), "{kept:?}");
    let (mut member, _) = admin.admit(7);
    let uninvited = vec![member.introduce(), member.write(PLAINTEXT.as_bytes())];
    for envelope in &uninvited {
        secrets.extend(of_envelope(envelope));
    }
    writer.prove(&member).await;
    let refused = writer.append(uninvited).await;
    assert!(refused.iter().all(|outcome| code(*outcome).is_some()));
    let mut reader = Client::connect(&dialer, &address).await;
    reader.prove(&admin).await;
    reader.subscribe(admin.timeline, Vec::new()).await;
    assert_eq!(reader.texts(1).await, [change.id()]);

    // A key that it does not hold, and words of its own as it leaves.
    let (timeline_id, author) = (admin.timeline, admin.author());
    let false_proof = Frame::Prove(Prove {
        timeline: timeline_id,
        author,
        signature: [7; 64],
    });
    let words = Frame::Error(ErrorFrame {
        code: ErrorCode::Internal,
        request: None,
        message: format!("{PLAINTEXT} {TOKEN} {timeline_id}"),
        retry_after_ms: None,
    });
    for frame in [false_proof, words] {
        let mut client = Client::connect(&dialer, &address).await;
        let sender = client.link.sender();
        sender.send(Lane::Control, frame).await.unwrap();
        client.closed().await;
    }
    (secrets, timeline, admin)
}

/// A row of the store on which the author's next envelope builds.
fn spoil(folder: &Path, author: &Author) -> Vec<u8> {
    let sizes = RocksOptions {
        write_buffer_bytes: 1 << 20,
        block_cache_bytes: 1 << 20,
        reserve_bytes: 1,
    };
    let database = folder.join("data").join(DATABASE_FOLDER);
    let mut engine = RocksEngine::open(&database, sizes).unwrap();
    let key = [*author.timeline.as_bytes(), *author.author().as_bytes()].concat();
    let mut writes = WriteSet::new();
    writes.put(Table::AuthorHead, key.clone(), b"rotten".to_vec());
    engine.commit(&writes, Durability::Synced).unwrap();
    key
}

fn assert_clean(said: &str, running: &[String], secrets: &[String]) {
    for line in said.lines() {
        // The relay's own addresses are public.
        let rest = running
            .iter()
            .fold(line.to_owned(), |line, own| line.replace(own, ""));
        assert!(!rest.contains("127.0.0.1:"), "an address of a peer: {line}");
        for secret in secrets {
            assert!(!line.contains(secret), "{secret} in: {line}");
        }
    }
}

fn own_addresses(running: &Running) -> Vec<String> {
    ["address", "quic", "admin"]
        .map(|name| running.field(name).to_owned())
        .into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_form_and_no_level_of_the_log_names_anybody() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().unwrap();
        init(folder.path());
        let running = start(folder.path(), format);
        let (mut secrets, _timeline, mut admin) = traffic(&running).await;
        let key = std::fs::read_to_string(folder.path().join("relay.key")).unwrap();
        secrets.push(key.trim().to_owned());
        let own = own_addresses(&running);
        let (status, said) = running.stop("-TERM");
        assert_eq!(status, Some(0), "{said}");
        assert_clean(&said, &own, &secrets);
        // The control: what is looked at is there.
        for words in [
            "the relay serves",
            "does not hold the key of an author",
            "the peer closed the connection",
            "stopped",
        ] {
            assert!(said.contains(words), "no `{words}` in {said}");
        }

        let row = spoil(folder.path(), &admin);
        let running = start(folder.path(), format);
        let address = running.field("address").parse().unwrap();
        let dialer = Dialer::bind(QuicLimits::default()).unwrap();
        let mut writer = Client::connect_with(&dialer, &address, TOKEN).await;
        writer.prove(&admin).await;
        let next = admin.write(PLAINTEXT.as_bytes());
        secrets.extend(of_envelope(&next));
        let refused = writer.append(vec![next]).await;
        assert_eq!(code(refused[0]), Some(ErrorCode::Internal));
        let own = own_addresses(&running);
        let (_, said) = running.stop("-TERM");
        assert!(said.contains("is damaged"), "{said}");
        assert_clean(&said, &own, &secrets);

        // Whoever asks is told which row.
        let checked = output(folder.path(), &["check"]);
        assert_eq!(checked.status.code(), Some(9));
        let row: String = row.iter().map(|byte| format!("{byte:02x}")).collect();
        let said = text(&checked.stderr);
        assert!(said.contains(&row), "{said}");
    }
}

#[test]
fn json_lines_have_a_time_in_utc_a_level_a_source_and_words() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let mut command = relay(folder.path());
    command
        .args(["run", "--json"])
        .env("KHLONG_LOG__FORMAT", "json");
    let running = Running::spawn(&mut command);

    // What ends a relay is a line as well.
    let second = relay(folder.path())
        .args(["run", "--log-format", "json"])
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(3));
    let (code, said) = running.stop("-TERM");
    assert_eq!(code, Some(0));
    let ended = text(&second.stderr);
    for line in said.lines().chain(ended.lines()) {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        let time = line["timestamp"].as_str().unwrap();
        let shape: String = time
            .chars()
            .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
            .collect();
        assert!(
            shape.starts_with("0000-00-00T00:00:00.") && shape.ends_with("0Z"),
            "{time}"
        );
        assert!(line["target"].as_str().unwrap().starts_with("khlong_"));
        assert!(
            line["level"].is_string() && line["message"].is_string(),
            "{line}"
        );
    }
    let last: Value = serde_json::from_str(ended.lines().last().unwrap()).unwrap();
    let why = last["error"].as_str().unwrap();
    assert!(why.contains("in use by process"), "{why}");
}

#[test]
fn the_format_is_a_key_a_variable_and_a_flag() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let format = |text: &str, variables: &[(&str, &str)]| {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::parse(
            text,
            folder.path(),
            Environment::from_pairs(variables),
            &Flags::default(),
        )
        .map(|config| format!("{:?}", config.log.format))
    };
    assert_eq!(format("", &[]).unwrap(), "Text");
    assert_eq!(format("[log]\nformat = \"json\"\n", &[]).unwrap(), "Json");
    let variable = [("KHLONG_LOG__FORMAT", "json")];
    assert_eq!(
        format("[log]\nformat = \"text\"\n", &variable).unwrap(),
        "Json"
    );
    let error = format("[log]\nformat = \"xml\"\n", &[]).unwrap_err();
    assert!(error.to_string().contains("log.format"), "{error}");
    let wrong = output(folder.path(), &["run", "--log-format", "xml"]);
    assert_eq!(wrong.status.code(), Some(2));
}

/// A log on a disk that is full, or whose reader has gone: the relay serves and stops as ever.
#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_logged_ends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let (reader, gone) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::File::create("/dev/full").unwrap();
    for errors in [Stdio::from(full), Stdio::from(gone)] {
        let mut child = relay(folder.path())
            .args(["run", "--json", "--log", "debug"])
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert!(ready["address"].is_string(), "{ready}");
        let pid = child.id().to_string();
        let told = std::process::Command::new("kill")
            .args(["-TERM", &pid])
            .status();
        assert!(told.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
