//! The peer PostgreSQL: a server of its own on the disk that is measured, with its own defaults
//! (which fsync each commit), and double entry in one statement a transfer, by `pgbench`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::figures::{Figures, quantile};
use crate::ledger::{self, Accounts};
use crate::processes::{Failure, run};
use crate::{disk, scratch};

/// Clients of `pgbench`, each on a connection of its own.
const CLIENTS: [u32; 2] = [1, 16];
/// The server and its tools do not run as root.
const USER: &str = "postgres";
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
        let measured = server.pgbench(clients, accounts, length)?;
        server.check()?;
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

/// A server with empty books, reached by a socket in its folder. It ends when it is dropped.
struct Server {
    programs: PathBuf,
    folder: TempDir,
}

impl Server {
    fn start(programs: &Path, binaries: &Path) -> Result<Self, Failure> {
        let folder = scratch(binaries)?;
        let server = Self {
            programs: programs.to_owned(),
            folder,
        };
        if is_root()? {
            run(Command::new("chown").arg(USER).arg(server.folder.path()))?;
        }
        let data = server.path("data");
        run(server
            .program("initdb")?
            .args(["--no-sync", "--auth=trust", "--username=postgres", "-D"])
            .arg(&data))
        .map_err(|error| format!("the peer PostgreSQL is missing: {error}"))?;
        let socket = server.folder.path().display().to_string();
        let options = format!("-c listen_addresses='' -c unix_socket_directories='{socket}'");
        run(server
            .program("pg_ctl")?
            .arg("-D")
            .arg(&data)
            .arg("-l")
            .arg(server.path("log"))
            .args(["-o", &options, "-w", "start"]))?;
        server.sql(SCHEMA)?;
        Ok(server)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// One of the server's programs, as a user that may run it.
    fn program(&self, name: &str) -> Result<Command, Failure> {
        let program = self.programs.join(name);
        let mut command = if is_root()? {
            let mut command = Command::new("runuser");
            command.args(["-u", USER, "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        Ok(command)
    }

    fn client(&self, name: &str) -> Result<Command, Failure> {
        let mut command = self.program(name)?;
        command
            .arg("-h")
            .arg(self.folder.path())
            .args(["-U", "postgres"]);
        Ok(command)
    }

    fn sql(&self, text: &str) -> Result<String, Failure> {
        let mut psql = self.client("psql")?;
        run(psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text]))
    }

    fn pgbench(
        &self,
        clients: u32,
        accounts: Accounts,
        length: Duration,
    ) -> Result<Measured, Failure> {
        fs::write(self.path("transfer.sql"), statement(accounts))?;
        let (clients, seconds) = (clients.to_string(), length.as_secs().to_string());
        run(self
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
            let waits = self.waits()?;
            Ok(Measured { rate, waits })
        })
    }

    /// From the logs of `pgbench`: `client number microseconds …`, a transfer a line.
    fn waits(&self) -> Result<Vec<f64>, Failure> {
        let mut waits = Vec::new();
        for entry in fs::read_dir(self.folder.path())? {
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
    fn check(&self) -> Result<(), Failure> {
        let durable =
            self.sql("select current_setting('fsync') || current_setting('synchronous_commit')")?;
        let sums = self.sql(
            "select (select sum(balance) from account) = 0 and (select sum(amount) from entry) = 0",
        )?;
        if durable.trim() == "onon" && sums.trim() == "t" {
            return Ok(());
        }
        Err(format!("the peer's settings and sums: {durable} {sums}").into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.path("data");
        if let Ok(mut stop) = self.program("pg_ctl") {
            let _ = run(stop
                .arg("-D")
                .arg(data)
                .args(["-m", "immediate", "-w", "stop"]));
        }
    }
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

fn is_root() -> Result<bool, Failure> {
    Ok(run(Command::new("id").arg("-u"))?.trim() == "0")
}
