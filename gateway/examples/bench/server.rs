//! A server of PostgreSQL on the disk that is measured, with its own defaults, which fsync each
//! commit: for its own books, and for the gateway's journal.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::processes::{Failure, run};
use crate::scratch;

/// The server and its tools do not run as root.
const USER: &str = "postgres";

/// An empty server, reached by a socket in its folder. It ends when it is dropped.
pub(crate) struct Server {
    programs: PathBuf,
    pub(crate) folder: TempDir,
}

impl Server {
    pub(crate) fn start(programs: &Path, binaries: &Path) -> Result<Self, Failure> {
        // Its programs run in a folder of their own: a path relative to this one would lead elsewhere.
        let missing = |error: &dyn std::fmt::Display| {
            format!(
                "the peer PostgreSQL is missing in {}: {error}",
                programs.display()
            )
        };
        let programs = programs.canonicalize().map_err(|error| missing(&error))?;
        let server = Self {
            programs,
            folder: scratch(binaries)?,
        };
        if is_root()? {
            run(Command::new("chown").arg(USER).arg(server.folder.path()))?;
        }
        let data = server.path("data");
        run(server
            .program("initdb")?
            .args(["--no-sync", "--auth=trust", "--username=postgres", "-D"])
            .arg(&data))
        .map_err(|error| missing(&error))?;
        let socket = server.folder.path().display().to_string();
        let options = format!("-c listen_addresses='' -c unix_socket_directories='{socket}'");
        run(server
            .program("pg_ctl")?
            .arg("-D")
            .arg(&data)
            .arg("-l")
            .arg(server.path("log"))
            .args(["-o", &options, "-w", "start"]))?;
        Ok(server)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
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

    pub(crate) fn client(&self, name: &str) -> Result<Command, Failure> {
        let mut command = self.program(name)?;
        command
            .arg("-h")
            .arg(self.folder.path())
            .args(["-U", "postgres"]);
        Ok(command)
    }

    pub(crate) fn sql(&self, text: &str) -> Result<String, Failure> {
        let mut psql = self.client("psql")?;
        run(psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", text]))
    }

    /// Whether what it acknowledges is on the disk.
    pub(crate) fn check_durable(&self) -> Result<(), Failure> {
        let durable =
            self.sql("select current_setting('fsync') || current_setting('synchronous_commit')")?;
        if durable.trim() == "onon" {
            return Ok(());
        }
        Err(format!("the peer does not fsync: {durable}").into())
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

fn is_root() -> Result<bool, Failure> {
    Ok(run(Command::new("id").arg("-u"))?.trim() == "0")
}
