//! The real binary as an unprivileged user runs it; only root can start it so.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// A user's number; nobody needs to have it.
pub const USER: u32 = 12_345;

/// The program, opened: the user may not reach the folder in which it was built.
pub struct Program(File);

impl Program {
    pub fn open() -> Self {
        Self(File::open(env!("CARGO_BIN_EXE_khlong-relay")).unwrap())
    }

    /// What `command` would do, done by [`USER`].
    pub fn by_user(&self, command: &Command) -> Command {
        let mut by_user = Command::new(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        by_user
            .args(command.get_args())
            .env_clear()
            .current_dir("/")
            .uid(USER)
            .gid(USER);
        by_user
    }
}

/// Gives a folder and all that is in it to [`USER`]; `false`: this is not root.
pub fn give(folder: &Path) -> bool {
    let mut chown = Command::new("chown");
    chown.arg("-R").arg(format!("{USER}:{USER}")).arg(folder);
    let given = chown.output().unwrap();
    given.status.success()
}
