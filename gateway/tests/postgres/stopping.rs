//! A signal while the database is away: the gateway ends at once, and not when it has been waited
//! for long enough. What was under way is read back by the next start.

use std::os::unix::net::UnixListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::try_call;
use crate::cluster::{Cluster, signal};
use crate::commands::{configure, init};
use crate::gate;
use crate::served::Gateway;
use crate::server::{TRANSFERS, WRITER, balance, pay, set_up, try_post};
use crate::until::found_every;

/// Of a signal, on a machine that has other things to do; `retry_seconds` is 60.
const AT_ONCE: Duration = Duration::from_secs(30);

fn ready(gateway: &Gateway) -> (u16, String) {
    let reply = try_call(gateway.address, "GET", "/readyz", &[], b"").unwrap();
    (reply.status, reply.body)
}

/// Until the gateway knows that it gets no answer.
fn wait_until_away(gateway: &Gateway) {
    let away = (503, "the journal's database does not answer\n".to_owned());
    let pause = Duration::from_millis(20);
    found_every(pause, "the database is missed", || {
        (ready(gateway) == away).then_some(())
    });
}

/// Sends the signal; how it ended, and what it said.
fn terminate(gateway: Gateway) -> (i32, String) {
    let began = Instant::now();
    signal("-TERM", gateway.id());
    let ended = gateway.ended();
    let took = began.elapsed();
    assert!(took < AT_ONCE, "{took:?}: {}", ended.1);
    ended
}

#[test]
fn a_signal_ends_it_while_nobody_listens_where_the_database_was() {
    let mut cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    configure(&cluster, folder.path());
    init(folder.path());
    let gateway = Gateway::start(folder.path());
    set_up(gateway.address, 2);
    // While it is there, a signal ends it in order.
    assert_eq!(ready(&gateway).0, 200);
    let (code, words) = terminate(gateway);
    assert_eq!(code, 0, "{words}");

    let gateway = Gateway::start(folder.path());
    let sessions = cluster.backends();
    cluster.kill();
    sessions.into_iter().for_each(|pid| signal("-KILL", pid));
    wait_until_away(&gateway);
    let (code, words) = terminate(gateway);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("was told to end"), "{words}");
}

/// The worse case: it takes connections, and says nothing.
#[test]
fn a_signal_ends_it_while_the_database_is_silent_and_a_payment_under_way_is_told_by_a_retry() {
    let mut cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    configure(&cluster, folder.path());
    init(folder.path());
    let gateway = Gateway::start(folder.path());
    set_up(gateway.address, 2);
    let sessions = cluster.backends();
    cluster.kill();
    let socket = cluster.folder().join(".s.PGSQL.5432");
    let _ = std::fs::remove_file(&socket);
    let silent = UnixListener::bind(&socket).unwrap();
    sessions.into_iter().for_each(|pid| signal("-KILL", pid));
    wait_until_away(&gateway);
    let address = gateway.address;
    let body = json!({ "transfers": [pay(1, 1, 2, 5)] });
    let (told, replies) = mpsc::sync_channel(2);
    for _ in 0..2 {
        let (told, body) = (told.clone(), body.clone());
        std::thread::spawn(move || told.send(try_post(address, TRANSFERS, WRITER, "one", &body)));
    }
    // One of the two waits, behind what is asked of the database; the other one is told so.
    let told_so = replies.recv_timeout(AT_ONCE).unwrap().unwrap();
    assert_eq!(told_so.problem(), "idempotency-key-under-way");
    let (code, words) = terminate(gateway);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("was told to end"), "{words}");
    // Or the connection ended with the process.
    if let Ok(reply) = replies.recv_timeout(AT_ONCE).unwrap() {
        assert_eq!((reply.status, reply.problem().as_str()), (503, "stopped"));
    }
    drop(silent);
    std::fs::remove_file(&socket).unwrap();
    cluster.start_again();
    let gateway = Gateway::start(folder.path());
    let reply = try_post(gateway.address, TRANSFERS, WRITER, "one", &body).unwrap();
    assert_eq!(reply.results(), ["ok"]);
    assert_eq!(balance(gateway.address, 2, "credits_posted"), "5");
    gateway.kill();
}

/// A database that is there but slow is waited for as any answer is.
#[test]
fn a_signal_waits_for_a_payment_that_a_slow_database_has() {
    let cluster = Cluster::start();
    let folder = tempfile::tempdir().unwrap();
    configure(&cluster, folder.path());
    init(folder.path());
    let gateway = Gateway::start(folder.path());
    set_up(gateway.address, 2);
    // After the signal still longer than one that was away before would get.
    gate::make(&cluster, "postgres");
    let waits = gate::waits_while("SELECT 1");
    cluster.sql(&format!(
        "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN {waits}; PERFORM pg_sleep(1.5); RETURN NEW; END';
         CREATE TRIGGER slow BEFORE INSERT ON khlong.journal
           FOR EACH ROW EXECUTE FUNCTION public.slow()"
    ));
    let address = gateway.address;
    let body = json!({ "transfers": [pay(1, 1, 2, 5)] });
    let paying = std::thread::spawn(move || try_post(address, TRANSFERS, WRITER, "one", &body));
    gate::wait_for_one(&cluster);
    signal("-TERM", gateway.id());
    gate::open(&cluster, 1);
    assert_eq!(paying.join().unwrap().unwrap().results(), ["ok"]);
    let (code, words) = gateway.ended();
    assert_eq!(code, 0, "{words}");
}
