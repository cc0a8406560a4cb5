//! The peer PostgreSQL with books of its own: double entry in one statement a transfer, by
//! `pgbench`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::disk;
use crate::figures::{Figures, quantile};
use crate::ledger::{self, Accounts};
use crate::processes::{Failure, run};
use crate::server::Server;

/// Clients of `pgbench`, each on a connection of its own.
const CLIENTS: [u32; 2] = [1, 16];
const SCHEMA: &str = include_str!("schema.sql");

fn name(clients: u32, accounts: Accounts) -> String {
    format!("PostgreSQL, {clients} clients, {}", accounts.name())
}

pub(crate) fn measure(
    accounts: Accounts,
    programs: &Path,
    binaries: &Path,
    length: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    for clients in CLIENTS {
        let server = Server::start(programs, binaries)?;
        let syncs = disk::syncs_per_second(server.folder.path())?;
        server.sql(SCHEMA)?;
        let measured = pgbench(&server, clients, accounts, length)?;
        check(&server)?;
        let name = name(clients, accounts);
        figures.add(format!("{name}: transfers"), "/s", measured.rate);
        figures.add(format!("{name}: p50"), "ms", quantile(&measured.waits, 0.5));
        figures.add(
            format!("{name}: p99"),
            "ms",
            quantile(&measured.waits, 0.99),
        );
        figures.add("disk: fdatasync of 4 KiB".to_owned(), "/s", syncs);
    }
    Ok(())
}

/// How many times what PostgreSQL does with 16 clients the ledger does, run by run.
pub(crate) fn ratios(figures: &mut Figures) {
    for accounts in Accounts::ALL {
        for batch in ledger::BATCHES {
            let ours = ledger::name(batch, accounts);
            let samples = |name: &str| {
                figures
                    .samples(&format!("{name}: transfers"))
                    .map(<[f64]>::to_vec)
            };
            let (Some(one), Some(peer)) = (samples(&ours), samples(&name(16, accounts))) else {
                continue;
            };
            for (one, peer) in one.iter().zip(&peer) {
                let figure = format!("{ours} / PostgreSQL, 16 clients");
                figures.add(figure, "times", one / peer);
            }
        }
    }
}

struct Measured {
    /// Transfers a second.
    rate: f64,
    /// In milliseconds, ascending.
    waits: Vec<f64>,
}

fn pgbench(
    server: &Server,
    clients: u32,
    accounts: Accounts,
    length: Duration,
) -> Result<Measured, Failure> {
    fs::write(server.path("transfer.sql"), statement(accounts))?;
    let (clients, seconds) = (clients.to_string(), length.as_secs().to_string());
    run(server
        .client("pgbench")?
        .args(["-n", "-M", "prepared", "-f", "transfer.sql", "-c", &clients])
        .args([
            "-j",
            "2",
            "-T",
            &seconds,
            "-l",
            "--log-prefix=waits",
            "postgres",
        ]))
    .and_then(|said| {
        let rate = said
            .lines()
            .find_map(|line| line.strip_prefix("tps = "))
            .and_then(|line| line.split(' ').next());
        let rate = rate.ok_or("pgbench tells no rate")?.parse()?;
        let waits = waits(server)?;
        Ok(Measured { rate, waits })
    })
}

/// From the logs of `pgbench`: `client number microseconds …`, a transfer a line.
fn waits(server: &Server) -> Result<Vec<f64>, Failure> {
    let mut waits = Vec::new();
    for entry in fs::read_dir(server.folder.path())? {
        let path = entry?.path();
        let is_log = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("waits."));
        if is_log {
            for line in fs::read_to_string(&path)?.lines() {
                let micros: f64 = line.split(' ').nth(2).ok_or("an odd log")?.parse()?;
                waits.push(micros / 1_000.0);
            }
        }
    }
    waits.sort_by(f64::total_cmp);
    Ok(waits)
}

/// It fsyncs, and its books balance as ours do.
fn check(server: &Server) -> Result<(), Failure> {
    server.check_durable()?;
    let sums = server.sql(
        "select (select sum(balance) from account) = 0 and (select sum(amount) from entry) = 0",
    )?;
    if sums.trim() == "t" {
        return Ok(());
    }
    Err(format!("the peer's sums: {sums}").into())
}

/// Double entry in one statement: both balances, the transfer and its two entries.
fn statement(accounts: Accounts) -> String {
    let payer = match accounts {
        Accounts::Hot => "\\set a 1\n",
        Accounts::Spread => "\\set a random(1,5000)\n",
    };
    format!(
        "{payer}\\set b random(5001,10000)\n\\set m random(1,1000)\n\
         with t as (insert into transfer default values returning id), \
         d as (update account set balance = balance - (:m)::bigint, version = version + 1 where id = :a returning id, balance), \
         c as (update account set balance = balance + (:m)::bigint, version = version + 1 where id = :b returning id, balance) \
         insert into entry(transfer_id, account_id, amount, balance_after) \
         select t.id, d.id, -((:m)::bigint), d.balance from t, d \
         union all select t.id, c.id, (:m)::bigint, c.balance from t, c;\n"
    )
}
