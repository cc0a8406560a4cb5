//! A backup of a gateway that serves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use khlong_gateway::app::Options;
use khlong_gateway::domains;
use khlong_gateway::domains::ledger::account;
use khlong_gateway::kernel::{Kernel, Logic, epochs, replay, state_hash};
use khlong_store::engine::Durability;
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::folder::DATABASE_FOLDER;
use khlong_store::journal::{self, JournalError, JournalId, JournalSeq};
use khlong_store::peek::Peek;
use khlong_store::rows::Rows;
use khlong_store::store::Store;
use serde_json::{Value, json};

use crate::client::try_call;
use crate::program;
use crate::server::{
    ADMIN, READER, Server, TRANSFERS, WRITER, often, opening, options, pay, try_post,
};
use crate::until::until;

const CLIENTS: u64 = 16;

fn create(place: &Path, server: &Server, secret: &str) -> (Option<i32>, String, String) {
    let file = place.join("secret");
    program::write_secret(&file, &format!("{secret}\n"));
    let http = server.address.to_string();
    let arguments = [
        "--json",
        "backup",
        "create",
        "data",
        "backup",
        "--secret-file",
        "secret",
        "--http",
        &http,
    ];
    let done = program::run(place, &arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

/// The state that the journal in `rows` comes to at entry `last`, decided again from its start.
fn state_at(rows: &dyn Rows, last: u64) -> [u8; 32] {
    let in_memory = || {
        let opening = opening(&options(Path::new("."), ""));
        Store::in_memory(&MemoryDisk::new(), &opening).unwrap()
    };
    let id = JournalId::from_bytes([9; 16]);
    let mut source = in_memory();
    let mut batch = source.batch();
    journal::create(&mut batch, id).unwrap();
    journal::read::<JournalError>(rows, JournalSeq(1), &mut |stored| {
        let before = JournalSeq(stored.seq.0 - 1);
        journal::append(&mut batch, before, &[stored.entry])?;
        Ok(if stored.seq.0 < last {
            std::ops::ControlFlow::Continue(())
        } else {
            std::ops::ControlFlow::Break(())
        })
    })
    .unwrap();
    let writes = batch.into_writes();
    source.commit(writes, Durability::Synced).unwrap();
    let mut kernel = Kernel::open(in_memory(), domains::all(), Logic::CURRENT, id).unwrap();
    assert_eq!(replay(&source, &mut kernel).unwrap().seq.0, last);
    state_hash(kernel.store()).unwrap()
}

#[test]
fn a_backup_while_clients_pay_is_one_point_of_the_journal() {
    let place = tempfile::tempdir().unwrap();
    // More requests may come in that time than a key has in a minute.
    let server = Server::of(often(place.path()));
    server.set_up(2);
    let (address, is_over) = (server.address, Arc::new(AtomicBool::new(false)));
    let paid = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (is_over, paid) = (Arc::clone(&is_over), Arc::clone(&paid));
            std::thread::spawn(move || {
                for n in 0.. {
                    if is_over.load(Ordering::Acquire) {
                        break;
                    }
                    let id = 1 + client * 1_000_000 + n;
                    let body = json!({ "transfers": [pay(id, 1, 2, 1)] });
                    let reply = try_post(address, TRANSFERS, WRITER, &id.to_string(), &body);
                    assert_eq!(reply.unwrap().results(), ["ok"]);
                    paid.fetch_add(1, Ordering::AcqRel);
                }
            })
        })
        .collect();
    until("clients pay", || {
        paid.load(Ordering::Acquire) >= 3 * CLIENTS
    });
    let before = paid.load(Ordering::Acquire);
    let (code, said, told) = create(place.path(), &server, ADMIN);
    assert_eq!(code, Some(0), "{told}");
    let after = paid.load(Ordering::Acquire);
    assert!(after > before, "clients go on meanwhile");
    is_over.store(true, Ordering::Release);
    for client in clients {
        client.join().unwrap();
    }
    server.stop().unwrap();
    assert!(!place.path().join("data/BACKUP").exists());

    let made: Value = serde_json::from_str(&said).unwrap();
    let verified = program::object(place.path(), &["--json", "backup", "verify", "backup"]);
    for field in ["entries", "head", "state", "journal"] {
        assert_eq!(verified[field], made[field], "{field}");
    }
    let entries = made["entries"].as_u64().unwrap();
    let peek = Peek::open(&place.path().join("data")).unwrap();
    let state = data_encoding::HEXLOWER.encode(&state_at(&peek, entries));
    assert_eq!(
        made["state"], state,
        "as the journal decides it up to there"
    );

    // A gateway goes on from it, and says so.
    let restore = ["--json", "backup", "restore", "backup", "again/data"];
    let restored = program::object(place.path(), &restore);
    assert_eq!(restored["epoch_entry"].as_u64(), Some(entries + 1));
    let again = place.path().join("again");
    let folder = Peek::open(&again.join("data")).unwrap();
    let has = account(&folder, 2)
        .unwrap()
        .unwrap()
        .balances
        .credits_posted;
    assert!(
        u128::from(before) <= has,
        "what was answered before is in it"
    );
    assert!(has <= u128::from(after) + u128::from(CLIENTS));
    assert_eq!(epochs(&folder).unwrap()[0].seq.0, entries + 1);
    drop(folder);
    let server = Server::start(&again);
    let head = server.get("/v1/journal/head").json();
    assert_eq!(head["epoch"]["entry"].as_u64(), Some(entries + 1));
    assert_eq!(head["entry"].as_u64(), Some(entries + 1));
    let transfer = pay(77_000_000, 1, 2, 1);
    assert_eq!(server.send("goes on", json!([transfer])).results(), ["ok"]);
    server.stop().unwrap();

    // Who noted the head of then, or one of before, sees what happened.
    let published = |entry: u64| {
        let hash = journal::get(&peek, JournalSeq(entry))
            .unwrap()
            .unwrap()
            .hash;
        format!("{entry}:{}", data_encoding::HEXLOWER.encode(&hash))
    };
    let verify = |noted: &str| {
        program::run(
            place.path(),
            &["verify", "again/data", "--published", noted],
        )
    };
    assert!(verify(&published(entries)).status.success());
    let lost = verify(&published(entries + 1));
    assert_eq!(lost.status.code(), Some(9));
    let told = String::from_utf8(lost.stderr).unwrap();
    let words = format!("went on at entry {} in epoch", entries + 1);
    assert!(told.contains(&words), "{told}");
    // A restore explains nothing that lies before it.
    let changed = verify(&format!("{entries}:{}", "0".repeat(64)));
    assert_eq!(changed.status.code(), Some(9));
    let told = String::from_utf8(changed.stderr).unwrap();
    assert!(told.contains("another gateway, or was changed"), "{told}");
    assert!(!told.contains("went on at entry"), "{told}");
}

/// The disk has lost the last entries, and a person accepts it: others come under their numbers.
#[test]
fn an_accepted_loss_is_told_by_the_journal_too_and_once() {
    let place = tempfile::tempdir().unwrap();
    let (folder, copy) = (place.path().join("data"), place.path().join("copy"));
    let server = Server::start(place.path());
    server.send("kept", json!([pay(1, 1, 2, 1)]));
    server.stop().unwrap();
    let opening = opening(&options(place.path(), ""));
    let store = Store::open(&folder, &opening).unwrap();
    store.checkpoint(&copy).unwrap();
    drop(store);
    let server = Server::start(place.path());
    server.send("lost", json!([pay(2, 1, 2, 1)]));
    let lost = server.get("/v1/journal/head").json();
    assert!(lost["epoch"].is_null(), "{lost}");
    server.stop().unwrap();
    let database = folder.join(DATABASE_FOLDER);
    std::fs::remove_dir_all(&database).unwrap();
    std::fs::rename(copy.join(DATABASE_FOLDER), &database).unwrap();
    let accepting = Options {
        accept_loss: true,
        ..options(place.path(), "")
    };
    let server = Server::of(accepting);
    let head = server.get("/v1/journal/head").json();
    assert_eq!(
        head["epoch"],
        json!({ "entry": lost["entry"], "number": 2 })
    );
    server.stop().unwrap();
    let server = Server::start(place.path());
    let again = server.get("/v1/journal/head").json();
    assert_eq!(again["entry"], head["entry"], "it says so once");
    server.stop().unwrap();
}

#[test]
fn only_an_administrator_gets_a_checkpoint() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(place.path());
    for secret in [READER, WRITER, "nobody-secret-0123456789abcdefghijkl"] {
        let (code, said, told) = create(place.path(), &server, secret);
        assert_eq!((code, said.as_str()), (Some(4), ""), "{told}");
    }
    let without = ["backup", "create", "data", "backup"];
    let (code, told) = program::refused(place.path(), &without);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("--secret-file"), "{told}");
    #[cfg(unix)]
    {
        program::set_mode(&place.path().join("secret"), 0o644);
        let with = [&without[..], &["--secret-file", "secret"]].concat();
        let (code, told) = program::refused(place.path(), &with);
        assert_eq!(code, 4, "{told}");
        assert!(told.contains("chmod 600 secret"), "{told}");
        program::set_mode(&place.path().join("secret"), 0o600);
    }
    let elsewhere = [
        "backup",
        "create",
        "data",
        "backup",
        "--secret-file",
        "secret",
        "--http",
        "127.0.0.1:9",
    ];
    let (code, told) = program::refused(place.path(), &elsewhere);
    assert_eq!(code, 3, "{told}");
    // Nothing is said in plain text to another machine, which need not be there: the secret is not even read.
    for address in [
        "192.0.2.1:8474",
        "[2001:db8::1]:8474",
        "[::ffff:192.0.2.1]:8474",
    ] {
        let mut far = elsewhere;
        far[5] = "no-such-secret";
        far[7] = address;
        let (code, told) = program::refused(place.path(), &far);
        assert_eq!(code, 3, "{told}");
        assert!(told.contains("in plain text"), "{told}");
        let told_that = [&far[..], &["--accept-plain-http"]].concat();
        let (code, told) = program::refused(place.path(), &told_that);
        assert_eq!(code, 3, "{told}");
        assert!(told.contains("no-such-secret cannot be read"), "{told}");
    }
    for address in ["0.0.0.0:9", "[::1]:9", "[::ffff:127.0.0.1]:9"] {
        let mut here = elsewhere;
        here[7] = address;
        let (code, told) = program::refused(place.path(), &here);
        assert_eq!(code, 3, "{told}");
        assert!(told.contains("no gateway answers"), "{told}");
    }
    for left in ["backup", "backup.partial", "data/BACKUP"] {
        assert!(!place.path().join(left).exists(), "{left}");
    }
    // A checkpoint that is asked for by hand lies at one place only, once.
    let bearer = format!("Bearer {ADMIN}");
    for _ in 0..2 {
        let headers = [("authorization", bearer.as_str())];
        let made = try_call(server.address, "POST", "/v1/checkpoint", &headers, b"").unwrap();
        assert_eq!(made.status, 200, "{made:?}");
        let copies = std::fs::read_dir(place.path().join("data/BACKUP")).unwrap();
        assert_eq!(copies.count(), 1);
    }
    server.stop().unwrap();
}
