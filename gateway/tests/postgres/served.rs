//! Two programs on one database, over HTTP: whoever is asked says what both have done, and
//! whoever decided on an old state ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use khlong_gateway::domains::ledger::LEDGER_DOMAIN;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::try_call;
use crate::cluster::Cluster;
use crate::commands::{configure, init};
use crate::server::{READER, TRANSFERS, WRITER, balance, get, pay, set_up, try_post, wait_for};
use crate::until::found_every;

const PROGRAM: &str = env!("CARGO_BIN_EXE_khlong-gateway");

pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Where its metrics are.
    pub(crate) admin: SocketAddr,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Gateway {
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(&folder.join("gateway.toml"))
    }

    pub(crate) fn start_with(config: &Path) -> Self {
        let child = Command::new(PROGRAM)
            .args(["--json", "run", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut gateway = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let mut line = String::new();
        let mut output = BufReader::new(gateway.child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            panic!("it does not start: {:?}", gateway.ended());
        };
        gateway.address = said["http"].as_str().unwrap().parse().unwrap();
        gateway.admin = said["admin"].as_str().unwrap().parse().unwrap();
        // Not `/readyz`: where another one works it says no.
        wait_for(gateway.address, "/startupz");
        gateway
    }

    fn paid(&self) -> String {
        balance(self.address, 2, "credits_posted")
    }

    /// None if it ended before it could answer.
    fn pay(&self, id: u64) -> Option<()> {
        let body = json!({ "transfers": [pay(id, 1, 2, 1)] });
        let key = format!("transfer {id}");
        let reply = try_post(self.address, TRANSFERS, WRITER, &key, &body).ok()?;
        if reply.status == 503 {
            assert_eq!(reply.problem(), "stopped");
            return None;
        }
        assert_eq!(reply.results(), ["ok"]);
        Some(())
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Until it has ended by itself.
    pub(crate) fn ended(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        let mut words = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut words).unwrap();
        (status.code().unwrap(), words)
    }

    /// Kill −9.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

/// A place of a gateway's own whose journal is in the cluster.
fn joined(cluster: &Cluster) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    configure(cluster, place.path());
    init(place.path());
    place
}

#[test]
fn no_gateway_serves_a_stale_balance() {
    let cluster = Cluster::start();
    let folders = [(); 2].map(|()| joined(&cluster));
    let first = Gateway::start(folders[0].path());
    set_up(first.address, 2);
    let second = Gateway::start(folders[1].path());
    let mut paid = 0;
    for n in 0..20 {
        let (one, other) = if n % 2 == 0 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        // Asked here, answered; the other one is asked at once. A read makes one follow, so
        // that its next command stands on the last state.
        assert_eq!(one.paid(), paid.to_string());
        one.pay(n + 1).unwrap();
        paid += 1;
        assert_eq!(other.paid(), paid.to_string());
        // What one has decided the other answers, and does not decide again.
        other.pay(n + 1).unwrap();
        assert_eq!(other.paid(), paid.to_string());
    }
    // A connection that broke is made anew.
    for pid in cluster.sessions::<2>() {
        crate::cluster::signal("-KILL", pid);
    }
    assert_eq!(first.paid(), paid.to_string());
    first.kill();
    second.pay(1_000).unwrap();
    let first = Gateway::start(folders[0].path());
    assert_eq!(first.paid(), (paid + 1).to_string());
    first.kill();
    second.kill();
}

/// Least of all an old balance.
#[test]
fn while_the_server_is_away_nothing_is_answered() {
    let mut cluster = Cluster::start();
    let folder = joined(&cluster);
    let file = folder.path().join("gateway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("retry_seconds = 60", "retry_seconds = 3");
    std::fs::write(&file, text).unwrap();
    let gateway = Gateway::start(folder.path());
    set_up(gateway.address, 2);
    gateway.pay(1).unwrap();
    assert_eq!(gateway.paid(), "1");
    let sessions = cluster.backends();
    cluster.kill();
    sessions
        .into_iter()
        .for_each(|pid| crate::cluster::signal("-KILL", pid));
    let bearer = format!("Bearer {READER}");
    let headers = [("authorization", bearer.as_str())];
    let path = "/v1/ledger/accounts/2";
    // Or the connection ends with the process.
    if let Ok(reply) = try_call(gateway.address, "GET", path, &headers, b"") {
        assert_eq!((reply.status, &reply.problem()[..]), (503, "stopped"));
    }
    let (code, words) = gateway.ended();
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("gave no answer for 3 s"), "{words}");
}

/// What is due is due for both at the same moment, and each would refuse the other.
#[test]
fn a_gateway_that_waits_leaves_what_is_due_to_the_one_that_works() {
    let cluster = Cluster::start();
    let folders = [(); 2].map(|()| joined(&cluster));
    let first = Gateway::start(folders[0].path());
    set_up(first.address, 2);
    let mut second = Gateway::start(folders[1].path());
    for round in 0..3_u64 {
        let mut held = pay(1 + round, 1, 2, 5);
        held["timeout"] = json!(1);
        held["flags"] = json!(["pending"]);
        let body = json!({ "transfers": [held] });
        let key = format!("hold {round}");
        let reply = try_post(first.address, TRANSFERS, WRITER, &key, &body).unwrap();
        assert_eq!(reply.results(), ["ok"]);
        // Both know of it, and wait for the same moment, if that has not come before both were asked.
        for gateway in [&first, &second] {
            let path = format!("/v1/ledger/transfers/{}", 1 + round);
            assert_eq!(get(gateway.address, &path).status, 200);
        }
        // Not at full speed: requests have a limit a minute.
        found_every(Duration::from_millis(50), "the hold expires", || {
            (balance(first.address, 2, "credits_pending") == "0").then_some(())
        });
        assert!(second.child.try_wait().unwrap().is_none());
    }
    assert_eq!(balance(second.address, 2, "credits_pending"), "0");
    // Assets, accounts, and of each hold its beginning and its end: nothing was done twice. A day may
    // have ended meanwhile, which is in the books.
    let moved =
        format!("SELECT count(*) FROM khlong.journal WHERE get_byte(command, 0) = {LEDGER_DOMAIN}");
    assert_eq!(cluster.sql(&moved), "8");
    first.kill();
    second.kill();
}

/// Both take payments at once. One that lost a race ends, and says why; its supervisor starts
/// it again, and its client asks again under the same key.
#[test]
fn of_two_that_pay_at_once_one_ends_and_no_payment_is_lost_or_made_twice() {
    const EACH: u64 = 150;
    /// Until they have met.
    const EACH_MAX: u64 = 1_500;
    let cluster = Cluster::start();
    let folders = [(); 2].map(|()| joined(&cluster));
    let first = Gateway::start(folders[0].path());
    set_up(first.address, 2);
    first.kill();
    let (deposed, made, meet) = (AtomicU32::new(0), AtomicU64::new(0), Barrier::new(2));
    std::thread::scope(|scope| {
        for (place, folder) in folders.iter().enumerate() {
            let (deposed, made, meet) = (&deposed, &made, &meet);
            scope.spawn(move || {
                let mut gateway = Gateway::start(folder.path());
                meet.wait();
                for n in 0..EACH_MAX {
                    if n >= EACH && deposed.load(Ordering::SeqCst) > 0 {
                        break;
                    }
                    let id = 1 + n + EACH_MAX * place as u64;
                    while gateway.pay(id).is_none() {
                        let (code, words) = gateway.ended();
                        assert_eq!(code, 1, "{words}");
                        assert!(words.contains("the journal is at"), "{words}");
                        deposed.fetch_add(1, Ordering::SeqCst);
                        gateway = Gateway::start(folder.path());
                    }
                    made.fetch_add(1, Ordering::SeqCst);
                }
                assert!(gateway.paid().parse::<u64>().unwrap() >= EACH);
                gateway.kill();
            });
        }
    });
    assert!(deposed.load(Ordering::SeqCst) > 0, "they met");
    let gateway = Gateway::start(folders[0].path());
    assert_eq!(gateway.paid(), made.load(Ordering::SeqCst).to_string());
    gateway.kill();
    cluster.journal().verify().unwrap();
}
