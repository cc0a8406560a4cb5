//! An acknowledgement is only taken from a server that means it.

use khlong_gateway::app::postgres::{
    OptionsError, PostgresError, PostgresJournal, PostgresOptions, WITHIN_DEFAULT,
};
use khlong_gateway::kernel::{Kernel, KernelError};
use khlong_store::engine::memory::MemoryDisk;
use khlong_store::journal::JournalError;

use crate::cluster::{Cluster, PASSWORD, WITHIN, open, options};
use crate::fixture::decide;
use crate::journal::sweep;
use crate::until::until;
use std::time::Duration;

/// The setting that is refused, of a journal and of a kernel on it.
fn refused(error: &PostgresError) -> &'static str {
    let PostgresError::Unsafe { setting, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(error.exit_code(), 3);
    setting
}

fn refused_of(error: &KernelError) -> &'static str {
    let KernelError::Journal(JournalError::Elsewhere { source, .. }) = error else {
        panic!("{error}");
    };
    assert!(error.is_fatal() && error.exit_code() == 3);
    refused(source.downcast_ref().unwrap())
}

pub(crate) fn set(cluster: &Cluster, setting: &str) {
    let name = setting.split_once(' ').map_or(setting, |(name, _)| name);
    if name == setting {
        cluster.sql(&format!("ALTER SYSTEM RESET {name}"));
    } else {
        cluster.sql(&format!("ALTER SYSTEM SET {setting}"));
    }
    cluster.sql("SELECT pg_reload_conf()");
    // It is told to the processes one after another.
    let source = format!("SELECT source FROM pg_settings WHERE name = '{name}'");
    let told = if name == setting {
        "default"
    } else {
        "configuration file"
    };
    until(&format!("{name} is set"), || cluster.sql(&source) == told);
}

#[test]
fn a_server_that_forgets_what_it_acknowledged_is_refused() {
    let cluster = Cluster::start();
    let mut kernel: Kernel = cluster.open(&MemoryDisk::new()).unwrap();
    decide(&mut kernel, &sweep("safe"));
    for (setting, name) in [
        ("synchronous_commit = off", "synchronous_commit"),
        ("fsync = off", "fsync"),
    ] {
        set(&cluster, setting);
        assert_eq!(refused(&cluster.journal().tail().unwrap_err()), name);
        let error = cluster.open(&MemoryDisk::new()).err().unwrap();
        assert_eq!(refused_of(&error), name);
        // Under a gateway that runs: nothing more is acknowledged.
        let disk = MemoryDisk::new();
        set(&cluster, name);
        let mut running = cluster.open(&disk).unwrap();
        decide(&mut running, &sweep(&format!("before {name}")));
        set(&cluster, setting);
        running.apply(&sweep(&format!("after {name}"))).unwrap();
        let error = running.commit().unwrap_err();
        assert_eq!(refused_of(&error), name);
        assert!(running.release().is_empty());
        drop(running);
        set(&cluster, name);
        let running = cluster.open(&disk).unwrap();
        assert_eq!(cluster.journal().verify().unwrap(), running.head());
    }
    // Also where a role has it for itself.
    cluster.sql("ALTER ROLE khlong SET synchronous_commit = off");
    let error = cluster.journal().tail().unwrap_err();
    assert_eq!(refused(&error), "synchronous_commit");
}

/// `local` is durable here. Where there is a standby to take over, it is not there.
#[test]
fn a_local_commit_is_refused_where_a_standby_is_waited_for() {
    let cluster = Cluster::start();
    set(&cluster, "synchronous_commit = local");
    let mut running = cluster.open(&MemoryDisk::new()).unwrap();
    decide(&mut running, &sweep("here is enough"));
    set(&cluster, "synchronous_standby_names = 'other'");
    // Under a gateway that runs: nothing more is acknowledged.
    running.apply(&sweep("here is not enough")).unwrap();
    let error = running.commit().unwrap_err();
    assert_eq!(refused_of(&error), "synchronous_commit");
    assert!(running.release().is_empty());
    let error = cluster.journal().tail().unwrap_err();
    assert_eq!(refused(&error), "synchronous_commit");
    set(&cluster, "synchronous_standby_names");
    cluster.journal().tail().unwrap();
}

#[test]
fn a_server_that_takes_no_writes_is_waited_for_like_one_that_is_away() {
    let cluster = Cluster::with(&["default_transaction_read_only=on"]);
    let options = options(&cluster.text(), Duration::from_secs(2));
    let mut journal = PostgresJournal::new(options).unwrap();
    let error = journal.tail().unwrap_err();
    let PostgresError::Unreachable { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(source.to_string().contains("read-only"), "{source}");
}

#[test]
fn tables_of_a_newer_release_and_rights_that_are_missing_are_told() {
    let cluster = Cluster::start();
    cluster.open(&MemoryDisk::new()).unwrap();
    // What a gateway needs once its journal is begun.
    cluster.sql(&format!(
        "CREATE ROLE narrow LOGIN PASSWORD '{PASSWORD}'; \
         GRANT USAGE ON SCHEMA khlong TO narrow; \
         GRANT SELECT, INSERT ON khlong.journal, khlong.journal_id TO narrow"
    ));
    let narrow = || {
        let text = cluster.text().replace("user=khlong", "user=narrow");
        PostgresJournal::new(options(&text, WITHIN)).unwrap()
    };
    let disk = MemoryDisk::new();
    let mut kernel = open(narrow(), &disk).unwrap();
    decide(&mut kernel, &sweep("narrow"));
    cluster.sql("REVOKE INSERT ON khlong.journal FROM narrow");
    kernel.apply(&sweep("no more")).unwrap();
    let error = kernel.commit().unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    cluster.sql("UPDATE khlong.journal_id SET version = 2");
    let error = cluster.journal().tail().unwrap_err();
    assert!(matches!(
        error,
        PostgresError::Version { found: 2, known: 1 }
    ));
    assert_eq!(error.exit_code(), 8);
}

/// A server tells in its details what a row has in it.
#[test]
fn no_row_is_in_a_message() {
    let cluster = Cluster::start();
    let mut kernel = cluster.open(&MemoryDisk::new()).unwrap();
    cluster.sql("ALTER TABLE khlong.journal ADD CONSTRAINT small CHECK (seq < 1)");
    kernel.apply(&sweep("of nobody's business")).unwrap();
    let error = kernel.commit().unwrap_err();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(because) = cause {
        words.push_str(&because.to_string());
        cause = because.source();
    }
    assert!(words.contains("(23514)"), "{words}");
    assert!(!words.contains("row contains"), "{words}");
    assert!(!words.contains('\n'), "{words}");
}

#[test]
fn what_describes_a_database_is_checked_and_not_repeated() {
    let parse = |text: &str, password| PostgresOptions::parse(text, password, None, WITHIN_DEFAULT);
    let of = |text: &str| parse(text, None).err();
    let secret = "postgres://khlong:hunter2@localhost/books";
    assert_eq!(of(secret), Some(OptionsError::Password));
    assert_eq!(of("postgres://[hunter2"), Some(OptionsError::Form));
    assert_eq!(of("user=khlong"), Some(OptionsError::Hosts));
    assert_eq!(of("host=localhost,127.0.0.1"), Some(OptionsError::Hosts));
    assert_eq!(of("host=db.example.org"), Some(OptionsError::Open));
    assert_eq!(
        of("host=192.0.2.1 sslmode=disable"),
        Some(OptionsError::Open)
    );
    assert_eq!(
        of("host=localhost sslmode=require"),
        Some(OptionsError::Trust)
    );
    for more in ["connect_timeout=3", "target_session_attrs=read-write"] {
        let found = of(&format!("host=/run/postgresql {more}"));
        assert_eq!(found, Some(OptionsError::NoEffect));
    }
    for error in [secret, "postgres://[hunter2"].map(|text| of(text).unwrap()) {
        assert!(!error.to_string().contains("hunter2"));
    }
    for here in [
        "postgres://khlong@127.0.0.1/books",
        "host=::1",
        "host=/run/postgresql",
    ] {
        let options = parse(here, Some("hunter2")).unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
