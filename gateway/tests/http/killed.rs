//! The program itself: kill −9 in the middle of transfers, a signal, and a folder or a
//! configuration that is not to be used.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::store::Store;
use serde_json::{Value, json};

use crate::server::{
    TRANSFERS, WRITER, balance, config, get, init, opening, options, pay, set_up, try_post, wait,
};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_khlong-gateway");

pub(crate) fn spawn(folder: &Path) -> (Child, SocketAddr) {
    let file = folder.join("gateway.toml");
    std::fs::write(
        &file,
        config("[log]\nlevel = \"error\"\n[limits]\nrequests_per_minute = 1000000"),
    )
    .unwrap();
    init(&options(folder, ""));
    let mut child = Command::new(PROGRAM)
        .args(["--json", "run", "--config"])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let address = said["http"].as_str().unwrap().parse().unwrap();
    wait(address);
    (child, address)
}

#[test]
fn a_killed_process_loses_no_acknowledged_transfer() {
    const CLIENTS: u64 = 4;
    const ROUNDS: u64 = 4;
    let folder = tempfile::tempdir().unwrap();
    let (mut asked, mut acked) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        let (mut child, address) = spawn(folder.path());
        if round == 0 {
            set_up(address, 2);
        }
        let (tell, told) = mpsc::sync_channel(64);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    for n in 0.. {
                        let id = 1 + round * 1_000_000 + client * 100_000 + n;
                        tell.send((id, false)).unwrap();
                        let body = json!({ "transfers": [pay(id, 1, 2, 1)] });
                        let key = format!("transfer {id}");
                        match try_post(address, TRANSFERS, WRITER, &key, &body) {
                            Ok(reply) => assert_eq!(reply.results(), ["ok"]),
                            // It was killed.
                            Err(_) => return,
                        }
                        tell.send((id, true)).unwrap();
                    }
                })
            })
            .collect();
        drop(tell);
        let mut heard = Vec::new();
        let mut is_killed = false;
        for (id, is_acked) in told {
            if is_acked {
                heard.push(id);
            } else {
                asked.push(id);
            }
            if heard.len() as u64 == 20 + 15 * round && !is_killed {
                // By its id: the child that this test started.
                child.kill().unwrap();
                is_killed = true;
            }
        }
        child.wait().unwrap();
        for client in clients {
            client.join().unwrap();
        }
        let (mut child, address) = spawn(folder.path());
        for id in &heard {
            let reply = get(address, &format!("/v1/ledger/transfers/{id}"));
            assert_eq!(reply.status, 200, "transfer {id} was acknowledged");
        }
        acked += heard.len();
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(acked >= 20 * 4 && acked < asked.len());
    // Every request again, under its key: each happened once, and those that were cut off do now.
    let (mut child, address) = spawn(folder.path());
    for id in &asked {
        let body = json!({ "transfers": [pay(*id, 1, 2, 1)] });
        let key = format!("transfer {id}");
        let reply = try_post(address, TRANSFERS, WRITER, &key, &body).unwrap();
        assert_eq!(reply.results(), ["ok"]);
    }
    assert_eq!(
        balance(address, 2, "credits_posted"),
        asked.len().to_string()
    );
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_signal_ends_it_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, address) = spawn(folder.path());
    set_up(address, 2);
    let status = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let (mut child, address) = spawn(folder.path());
    assert_eq!(balance(address, 2, "credits_posted"), "0");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_is_not_to_be_used_ends_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    let run = || {
        let output = Command::new(PROGRAM)
            .args(["run", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let words = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), words)
    };
    let (code, words) = run();
    assert_eq!(code, Some(3));
    assert!(words.contains("cannot read the configuration"), "{words}");
    std::fs::write(&file, config("[limits]\nqueu = 3")).unwrap();
    let (code, words) = run();
    assert_eq!(code, Some(3));
    assert!(words.contains("did you mean `limits.queue`?"), "{words}");
    std::fs::write(&file, config("")).unwrap();
    // Where no journal is, none is begun: it would be an empty one.
    let data = folder.path().join("data");
    let nothing = || {
        let (code, words) = run();
        assert_eq!(code, Some(3), "{words}");
        assert!(words.contains("khlong-gateway init"), "{words}");
    };
    nothing();
    assert!(!data.exists());
    std::fs::create_dir(&data).unwrap();
    nothing();
    assert_eq!(data.read_dir().unwrap().count(), 0);
    // A store that a killed `init` left, without its journal.
    drop(Store::open(&data, &opening(&options(folder.path(), ""))).unwrap());
    nothing();
    std::fs::remove_dir_all(data.join(DATABASE_FOLDER)).unwrap();
    std::fs::write(data.join(DATABASE_FOLDER), "a file").unwrap();
    nothing();
}
