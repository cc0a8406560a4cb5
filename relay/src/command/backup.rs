//! `khlong-relay backup create | verify | restore`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use khlong_store::error::StoreError;
use khlong_store::identity::Committed;
use serde_json::{Value, json};

use super::{
    Arguments, Backup, BackupCreate, BackupRestore, CommandError, SCHEMA_VERSION, operate, print,
    tell,
};
use crate::admin::Operator;
use crate::backup::{self, BackupError, Damage, Draft, Manifest, Origin, Restore, Staging};
use crate::config::{Config, Flags};
use crate::identity;
use crate::server::{self, ServerError};

pub(super) fn execute(arguments: &Arguments, what: &Backup) -> Result<(), CommandError> {
    match what {
        Backup::Create(flags) => create(arguments, flags),
        Backup::Verify { backup } => verify(arguments, backup),
        Backup::Restore(flags) => restore(arguments, flags),
    }
}

fn create(arguments: &Arguments, flags: &BackupCreate) -> Result<(), CommandError> {
    let config = arguments.load(&Flags::default())?;
    let key = identity::parse_configured(&config.relay).map_err(CommandError::Key)?;
    arguments.check_folder(&config)?;
    let folder = &config.store.folder;
    refuse_inside(folder, &flags.target)?;
    // First: whoever makes another backup of this store touches no draft.
    let staging = Staging::begin(folder).map_err(CommandError::Backup)?;
    let draft = Draft::begin(&flags.target).map_err(CommandError::Backup)?;
    let committed = match checkpoint_of_a_stopped_relay(&config) {
        Err(CommandError::Server(ServerError::Store(StoreError::Locked { .. }))) => {
            let address = flags.admin.unwrap_or(config.listen.admin);
            operate::checkpoint(address, &Operator::of(&key))?
        }
        made => made?,
    };
    let origin = Origin {
        relay: identity::public(&key),
        created_at: jiff::Timestamp::now().to_string(),
        reserve_bytes: config.store.reserve.0,
    };
    let manifest = draft
        .finish(folder, committed, &origin)
        .map_err(CommandError::Backup)?;
    drop(staging);
    say(arguments, &flags.target, &manifest, "backed up");
    Ok(())
}

/// A backup in the folder that it is of would go with it.
fn refuse_inside(store: &Path, target: &Path) -> Result<(), CommandError> {
    let parent = target.parent().filter(|path| *path != Path::new(""));
    let parent = parent.unwrap_or_else(|| Path::new("."));
    let (Ok(store), Ok(parent)) = (store.canonicalize(), parent.canonicalize()) else {
        // What is not there is said by what needs it.
        return Ok(());
    };
    if parent.starts_with(&store) {
        let inside = BackupError::InsideStore(target.to_path_buf());
        return Err(CommandError::Backup(inside));
    }
    Ok(())
}

fn checkpoint_of_a_stopped_relay(config: &Config) -> Result<Committed, CommandError> {
    let folder = &config.store.folder;
    let store =
        server::open_store(folder, config.rocks_options(), false).map_err(CommandError::Server)?;
    backup::take_checkpoint(&store, folder)
        .map_err(|error| CommandError::Server(ServerError::Store(error)))
}

fn verify(arguments: &Arguments, backup: &Path) -> Result<(), CommandError> {
    match backup::verify(backup) {
        Ok(manifest) => {
            say(arguments, backup, &manifest, "verified");
            Ok(())
        }
        Err(error) => {
            if let (BackupError::Damaged { damages, .. }, true) = (&error, arguments.json) {
                let damages: Vec<Value> = damages
                    .iter()
                    .map(|Damage { path, reason }| json!({ "path": path, "reason": reason }))
                    .collect();
                let data = json!({
                    "schema_version": SCHEMA_VERSION,
                    "backup": backup,
                    "damages": damages,
                });
                print(&data.to_string());
            }
            Err(CommandError::Backup(error))
        }
    }
}

fn restore(arguments: &Arguments, flags: &BackupRestore) -> Result<(), CommandError> {
    let config = arguments.load(&Flags::default())?;
    let key = identity::parse_configured(&config.relay).map_err(CommandError::Key)?;
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let what = Restore {
        backup: &flags.backup,
        folder: &config.store.folder,
        relay: identity::public(&key),
        other_key: flags.other_key,
        sizes: config.rocks_options(),
        epoch: u32::try_from(seconds).unwrap_or(u32::MAX),
    };
    let (manifest, identity) = backup::restore(&what).map_err(CommandError::Backup)?;
    if arguments.json {
        let mut data = described(&flags.backup, &manifest);
        if let Some(data) = data.as_object_mut() {
            data.insert("folder".to_owned(), json!(config.store.folder));
            data.insert("log_epoch".to_owned(), json!(identity.epoch));
        }
        print(&data.to_string());
    } else {
        print(&config.store.folder.display().to_string());
        tell(&format!(
            "restored commit {} of {}; log epoch {} begins: clients send again what they wrote since",
            manifest.seq, manifest.created_at, identity.epoch
        ));
        tell(&format!(
            "next: khlong-relay --config {} run",
            arguments.config.display()
        ));
    }
    Ok(())
}

fn described(backup: &Path, manifest: &Manifest) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "backup": backup,
        "created_at": manifest.created_at,
        "relay": manifest.relay,
        "includes_key": manifest.includes_key,
        "log": manifest.log,
        "log_epoch": manifest.log_epoch,
        "seq": manifest.seq,
        "hash": manifest.hash,
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
    })
}

fn say(arguments: &Arguments, backup: &Path, manifest: &Manifest, done: &str) {
    if arguments.json {
        print(&described(backup, manifest).to_string());
        return;
    }
    print(&backup.display().to_string());
    tell(&format!(
        "{done}: commit {} of log epoch {}, {} files, {} bytes, of {}; the relay's key is not in it",
        manifest.seq,
        manifest.log_epoch,
        manifest.files.len(),
        manifest.bytes(),
        manifest.created_at
    ));
}
