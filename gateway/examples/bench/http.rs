//! Transfers a second over HTTP: a gateway as a process of its own, and clients on connections that stay open.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figures::{Figures, quantile};
use crate::ledger::Accounts;
use crate::processes::{Failure, PATIENCE, PAUSE, Running, run};
use crate::scratch;

/// Of this measurement alone; the folder goes with it.
const SECRET: &str = "bench-secret-0123456789abcdefghijklmn";

/// The gateway's folder, in that of a measurement.
pub(crate) const DATA: &str = "data";

/// Clients, and transfers of one request.
pub(crate) const CASES: [(u64, u64); 6] =
    [(1, 1), (16, 1), (64, 1), (1, 100), (16, 100), (1, 8_000)];

/// Accounts in one request.
const ACCOUNTS_A_REQUEST: u64 = 8_000;

pub(crate) fn name((clients, batch): (u64, u64), accounts: Accounts) -> String {
    format!(
        "HTTP, {clients} clients, {batch} a request, {}",
        accounts.name()
    )
}

pub(crate) fn measure(
    case: (u64, u64),
    binaries: &Path,
    length: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    for accounts in Accounts::ALL {
        let folder = scratch(binaries)?;
        init(binaries, folder.path())?;
        let (gateway, address) = start(binaries, folder.path())?;
        open_accounts(address)?;
        let begun = Instant::now();
        let is_over = || begun.elapsed() >= length;
        let measured = clients(address, 0, case, accounts, &is_over)?;
        gateway.stop()?;
        check(binaries, folder.path(), measured.waits.len())?;
        let name = name(case, accounts);
        figures.add(format!("{name}: transfers"), "/s", measured.rate);
        figures.add(format!("{name}: p50"), "ms", quantile(&measured.waits, 0.5));
        figures.add(
            format!("{name}: p99"),
            "ms",
            quantile(&measured.waits, 0.99),
        );
    }
    Ok(())
}

pub(crate) struct Measured {
    /// Transfers a second.
    pub(crate) rate: f64,
    /// Of requests, in milliseconds, ascending.
    pub(crate) waits: Vec<f64>,
}

/// So many clients, until `is_over` says so; the first one has number `first`, and no two with
/// one number ask one gateway.
pub(crate) fn clients(
    address: SocketAddr,
    first: u64,
    (clients, batch): (u64, u64),
    accounts: Accounts,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<Measured, Failure> {
    let begun = Instant::now();
    let mut waits = Vec::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = (first..first + clients)
            .map(|client| {
                scope.spawn(move || one_client(address, client, batch, accounts, is_over))
            })
            .collect();
        for client in running {
            waits.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok::<_, Failure>(())
    })?;
    let took = begun.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    Ok(Measured {
        rate: (waits.len() as u64 * batch) as f64 / took,
        waits,
    })
}

/// One request after another, each with fresh ids; how long each took.
fn one_client(
    address: SocketAddr,
    client: u64,
    batch: u64,
    accounts: Accounts,
    is_over: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<f64>, Failure> {
    let mut connection = Connection::open(address)?;
    let mut waits = Vec::new();
    while !is_over() {
        // 2^32 ids for each client.
        let first = (client << 32) + waits.len() as u64 * batch;
        let transfers: Vec<Value> = (first..first + batch).map(|n| body(n, accounts)).collect();
        let body = json!({ "transfers": transfers }).to_string();
        let key = format!("{client}-{}", waits.len());
        let asked = Instant::now();
        let answer = connection.post("/v1/ledger/transfers", &key, &body)?;
        waits.push(asked.elapsed().as_secs_f64() * 1_000.0);
        all_ok(&answer)?;
    }
    Ok(waits)
}

fn body(n: u64, accounts: Accounts) -> Value {
    let (debit, credit) = accounts.pair(n);
    json!({
        "id": (n + 1).to_string(),
        "debit_account_id": debit.to_string(),
        "credit_account_id": credit.to_string(),
        "amount": "1",
        "ledger": 764,
        "code": 1,
    })
}

fn all_ok(answer: &Value) -> Result<(), Failure> {
    let results = answer.get("results").and_then(Value::as_array);
    let is_ok = |item: &Value| item.get("result").is_some_and(|result| result == "ok");
    match results {
        Some(results) if results.iter().all(is_ok) => Ok(()),
        _ => Err(format!("not done: {answer}").into()),
    }
}

/// Makes the folder of a gateway.
pub(crate) fn init(binaries: &Path, folder: &Path) -> Result<(), Failure> {
    let program = binaries.join("khlong-gateway");
    run(Command::new(program).arg("init").arg(folder.join(DATA)))?;
    Ok(())
}

/// A gateway on that folder, on a port of its own choice, once it is ready.
pub(crate) fn start(binaries: &Path, folder: &Path) -> Result<(Running, SocketAddr), Failure> {
    let program = binaries.join("khlong-gateway");
    let config = folder.join("gateway.toml");
    let text = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[store]\nfolder = \"{DATA}\"\nwrite_buffer = \"64MiB\"\n\
         [limits]\nqueue = 1024\nrequests_per_minute = 100000000\n[log]\nlevel = \"error\"\n\
         [keys.bench]\nrole = \"admin\"\nsecret = \"{SECRET}\"\n"
    );
    fs::write(&config, text)?;
    let mut child = Command::new(&program)
        .args(["--json", "run", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take();
    let running = Running(child);
    let mut line = String::new();
    BufReader::new(output.ok_or("no output")?).read_line(&mut line)?;
    let said: Value = serde_json::from_str(&line)?;
    let address = said.get("http").and_then(Value::as_str);
    let address = address.ok_or("the gateway names no address")?.parse()?;
    let begun = Instant::now();
    while Connection::open(address)?.get("/readyz").is_err() {
        if begun.elapsed() > PATIENCE {
            return Err("the gateway does not become ready".into());
        }
        std::thread::sleep(PAUSE);
    }
    Ok((running, address))
}

fn open_accounts(address: SocketAddr) -> Result<(), Failure> {
    let mut connection = Connection::open(address)?;
    let assets = json!({ "assets": [{ "ledger": 764, "scale": 2, "symbol": "THB" }] });
    all_ok(&connection.post("/v1/ledger/assets", "assets", &assets.to_string())?)?;
    let all: Vec<u64> = (1..=10_001).collect();
    for part in all.chunks(usize::try_from(ACCOUNTS_A_REQUEST)?) {
        let account = |id: &u64| json!({ "id": id.to_string(), "ledger": 764, "code": 1 });
        let body = json!({ "accounts": part.iter().map(account).collect::<Vec<_>>() });
        let key = format!("accounts-{}", part.len());
        all_ok(&connection.post("/v1/ledger/accounts", &key, &body.to_string())?)?;
    }
    Ok(())
}

/// The journal holds what was acknowledged, and the books balance; the gateway has stopped.
fn check(binaries: &Path, folder: &Path, requests: usize) -> Result<(), Failure> {
    let program = binaries.join("khlong-gateway");
    let said = run(Command::new(program)
        .args(["--json", "verify"])
        .arg(folder.join(DATA)))?;
    let said: Value = serde_json::from_str(&said)?;
    // One of assets and two of accounts.
    let wanted = requests + 3;
    if said.get("entries") == Some(&wanted.into()) {
        return Ok(());
    }
    Err(format!("{requests} requests were acknowledged, the journal says {said}").into())
}

/// HTTP/1.1 on one connection that stays open. No more than this measurement needs: the
/// gateway answers with a length, and nothing in its answers is chunked.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Value, Failure> {
        self.ask(&format!("GET {path} HTTP/1.1\r\n"), "")
    }

    fn post(&mut self, path: &str, key: &str, body: &str) -> Result<Value, Failure> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nidempotency-key: \"{key}\"\r\ncontent-type: application/json\r\n"
        );
        self.ask(&head, body)
    }

    fn ask(&mut self, head: &str, body: &str) -> Result<Value, Failure> {
        let request = format!(
            "{head}host: bench\r\nauthorization: Bearer {SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut status = String::new();
        self.0.read_line(&mut status)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        if !status.contains(" 200 ") {
            return Err(format!("{}: {}", status.trim(), String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }
}
