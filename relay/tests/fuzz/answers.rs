//! What stands at the address where `backup create` asks a relay that runs, and is none.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Parser as _;
use khlong_relay::command::{Arguments, CommandError};
use khlong_relay::server;
use khlong_store::store::Store;

use crate::fuzzing::{Seeds, fuzz};
use crate::operator::small;
use crate::support::operator::Home;

fuzz!(fuzz_answer_of_relay, 60, answers(), answer());

fn answers() -> Seeds {
    let hash = "5".repeat(64);
    let made = format!("{{\"schema_version\":1,\"seq\":7,\"hash\":\"{hash}\"}}");
    let told = |status: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
        [head.as_bytes(), body.as_bytes()].concat()
    };
    let others = [
        told("401 Unauthorized", ""),
        told("404 Not Found", ""),
        told("507 Insufficient Storage", "the disk is full\n"),
        told("200 OK", "{}"),
        told("200 OK", &made.replace('5', "x")),
        b"HTTP/1.1 2".to_vec(),
        b"HTTP/1.1 200 OK\r\n\r\n\xff\xfe".to_vec(),
        vec![b'a'; 32 * 1024],
    ];
    Seeds::and(vec![told("200 OK", &made)], others.to_vec())
}

/// Whoever listens says what it is given, to one after the other.
fn listen() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let given = Arc::clone(&said);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The question is shorter than this, and comes in one piece or in several.
            let mut question = Vec::new();
            while !question.ends_with(b"\r\n\r\n") {
                let mut piece = [0; 1_024];
                let count = stream.read(&mut piece).unwrap();
                assert!(count > 0, "the question ends before its end");
                question.extend(&piece[..count]);
            }
            let answer = given.lock().unwrap().clone();
            // Whoever asked may have had enough of it.
            let _ = stream.write_all(&answer);
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    (address, said)
}

/// A folder whose store is in use, as by a relay that runs.
fn in_use(home: &Home) -> Store {
    let folder = home.path("data");
    server::open_store(&folder, small(), false).unwrap()
}

/// Either a checkpoint was made, and it is not there; or what answered is named.
fn answer() -> impl Fn(&[u8]) -> bool {
    let home = Home::init();
    let store = in_use(&home);
    let (address, said) = listen();
    let target: PathBuf = home.path("backup");
    move |bytes| {
        let _store = &store;
        *said.lock().unwrap() = bytes.to_vec();
        let config = home.path("relay.toml").into_os_string();
        let typed = [
            "khlong-relay".into(),
            "--config".into(),
            config,
            "backup".into(),
            "create".into(),
            "--admin".into(),
            address.to_string().into(),
            target.clone().into_os_string(),
        ];
        let error = Arguments::try_parse_from(typed)
            .unwrap()
            .execute()
            .unwrap_err();
        assert!(!error.to_string().is_empty());
        assert!(!target.exists(), "there is no backup");
        let is_of_answer = matches!(
            error,
            CommandError::Unreachable { .. }
                | CommandError::OtherRelay { .. }
                | CommandError::NoCheckpoint { .. }
        );
        let is_of_folder = matches!(error, CommandError::Backup(_));
        assert!(is_of_answer || is_of_folder, "{error:?}");
        is_of_folder
    }
}
