//! A real PostgreSQL of the test's own: a cluster in a temporary folder, reached by a socket in
//! it, and killed as a machine is.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use khlong_gateway::app::postgres::{PostgresJournal, PostgresOptions};
use khlong_gateway::kernel::{Kernel, KernelError, Logic};
use khlong_store::engine::memory::MemoryDisk;
use tempfile::TempDir;

use crate::fixture::{JOURNAL, domains, store};
use crate::until::found_every;

pub(crate) const PASSWORD: &str = "not-a-word-of-any-message";
/// Of a query and of a server that is away, where it is not to be given up: generous, since the
/// machine may be busy building.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
/// Each look at a server that starts is a process of its own.
const BETWEEN: Duration = Duration::from_millis(20);

pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    /// Whoever it runs as: PostgreSQL refuses root.
    user: Option<(u32, u32)>,
    more: Vec<String>,
    postmaster: Child,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With these settings in its command line.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = unprivileged();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let secret = folder.path().join("password");
        std::fs::write(&secret, PASSWORD).unwrap();
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
            chown(&secret, Some(uid), Some(gid)).unwrap();
        }
        let programs = programs();
        let mut initdb = command(&programs.join("initdb"), user);
        initdb
            .args([
                "--username=khlong",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
            ])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(folder.path().join("data"))
            .arg("--pwfile")
            .arg(&secret);
        let made = initdb.output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let more = settings.iter().map(|it| (*it).to_owned()).collect();
        let postmaster = launch(folder.path(), &programs, user, &more);
        let cluster = Self {
            folder,
            programs,
            user,
            more,
            postmaster,
        };
        cluster.wait();
        cluster
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// For whoever has the password.
    pub(crate) fn text(&self) -> String {
        self.text_of("postgres")
    }

    pub(crate) fn text_of(&self, database: &str) -> String {
        let folder = self.folder().display();
        let mut ports = self.more.iter().filter_map(|it| it.strip_prefix("port="));
        let port = ports.next_back().unwrap_or("5432");
        format!("host={folder} port={port} user=khlong dbname={database}")
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        options(&self.text(), WITHIN)
    }

    pub(crate) fn journal(&self) -> PostgresJournal {
        PostgresJournal::new(self.options()).unwrap()
    }

    /// A kernel with its views on `disk`.
    pub(crate) fn open(&self, disk: &MemoryDisk) -> Result<Kernel, KernelError> {
        open(self.journal(), disk)
    }

    /// What `psql` says.
    pub(crate) fn sql(&self, statement: &str) -> String {
        self.try_sql(statement).unwrap()
    }

    /// The same in another one of its databases.
    pub(crate) fn sql_in(&self, database: &str, statement: &str) -> String {
        self.ask(&self.text_of(database), statement).unwrap()
    }

    pub(crate) fn try_sql(&self, statement: &str) -> Result<String, String> {
        self.ask(&self.text(), statement)
    }

    fn ask(&self, database: &str, statement: &str) -> Result<String, String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet"])
            .args(["--set=ON_ERROR_STOP=1", "--command", statement])
            .arg(database)
            .env("PGPASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    /// The processes of the server that serve gateways.
    pub(crate) fn backends(&self) -> Vec<u32> {
        let asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'khlong-gateway'";
        let pids = self.try_sql(asked).unwrap_or_default();
        pids.lines().map(|pid| pid.parse().unwrap()).collect()
    }

    /// The same, once there are so many: the last ones may still be ending.
    pub(crate) fn sessions<const N: usize>(&self) -> [u32; N] {
        found_every(BETWEEN, &format!("there are {N} sessions"), || {
            self.backends().try_into().ok()
        })
    }

    /// Kill −9 of the server.
    pub(crate) fn kill(&mut self) {
        self.postmaster.kill().unwrap();
        self.postmaster.wait().unwrap();
    }

    /// As a supervisor does: until it comes up, for its processes may still be ending.
    pub(crate) fn start_again(&mut self) {
        self.relaunch();
        self.wait_or_relaunch();
    }

    fn relaunch(&mut self) {
        self.postmaster = launch(self.folder.path(), &self.programs, self.user, &self.more);
    }

    fn wait_or_relaunch(&mut self) {
        found_every(BETWEEN, "PostgreSQL comes up", || {
            let said = self.try_sql("SELECT 1");
            if said.is_err() && self.postmaster.try_wait().unwrap().is_some() {
                self.relaunch();
            }
            said.ok()
        });
    }

    pub(crate) fn wait(&self) {
        found_every(BETWEEN, "PostgreSQL comes up", || {
            self.try_sql("SELECT 1").ok()
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Ends its children and gives back shared memory; nothing of it is wanted any more.
        if matches!(self.postmaster.try_wait(), Ok(None)) {
            signal("-QUIT", self.postmaster.id());
            let _ = self.postmaster.wait();
        }
    }
}

pub(crate) fn options(text: &str, within: Duration) -> PostgresOptions {
    PostgresOptions::parse(text, Some(PASSWORD), None, within).unwrap()
}

pub(crate) fn open(journal: PostgresJournal, disk: &MemoryDisk) -> Result<Kernel, KernelError> {
    let store = store(disk);
    Kernel::open_with(Box::new(journal), store, domains(), Logic::CURRENT, JOURNAL)
}

/// To a process that this test started.
pub(crate) fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill")
        .args([name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// The same program in a folder of the newest version that is installed.
fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|version| version.unwrap().path().join("bin"))
        .collect();
    found.sort_by_key(|bin| {
        let version = bin.parent().and_then(Path::file_name);
        version.and_then(|version| version.to_str()?.parse::<u32>().ok())
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    found.reverse();
    found.extend(std::env::split_paths(&path));
    found
        .into_iter()
        .find(|folder| folder.join("initdb").exists())
        .expect("these tests need PostgreSQL: run .tools/setup --with-postgres")
}

/// Whoever a server runs as, where this test runs as root.
pub(crate) fn unprivileged() -> Option<(u32, u32)> {
    let number = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse::<u32>().ok()
    };
    if number(&["-u"]) != Some(0) {
        return None;
    }
    let of = |flag| number(&[flag, "postgres"]).expect("the package makes the user postgres");
    Some((of("-u"), of("-g")))
}

fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn launch(folder: &Path, programs: &Path, user: Option<(u32, u32)>, more: &Vec<String>) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let sockets = format!("unix_socket_directories={}", folder.display());
    let mut postgres = command(&programs.join("postgres"), user);
    postgres.arg("-D").arg(folder.join("data"));
    let small = ["shared_buffers=16MB", "max_connections=20", "jit=off"];
    for setting in ["listen_addresses=", &sockets].iter().chain(&small) {
        postgres.args(["-c", setting]);
    }
    for setting in more {
        postgres.args(["-c", setting]);
    }
    let errors = log.try_clone().unwrap();
    postgres.stdout(log).stderr(errors).spawn().unwrap()
}
