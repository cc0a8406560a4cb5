//! `khlong-relay backup create | verify | restore`.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use khlong_store::backup::{
    BackupError as FolderError, Damage, Draft, Origin, Staging, refuse_inside, take_checkpoint,
};
use khlong_store::error::StoreError;
use khlong_store::identity::Committed;
use serde_json::{Value, json};

use super::{
    Arguments, Backup, BackupCreate, BackupRestore, CommandError, SCHEMA_VERSION, operate, print,
    tell,
};
use crate::admin::Operator;
use crate::backup::{self, BackupError, Manifest, Owner, Restore};
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
    let failed = |error: FolderError| CommandError::Backup(error.into());
    refuse_inside(folder, &flags.target).map_err(failed)?;
    // First: whoever makes another backup of this store touches no draft.
    let staging = Staging::begin(folder).map_err(failed)?;
    let draft = Draft::begin(&flags.target).map_err(failed)?;
    let committed = match checkpoint_of_a_stopped_relay(&config) {
        Err(CommandError::Server(ServerError::Store(StoreError::Locked { .. }))) => {
            let address = flags.admin.unwrap_or(config.listen.admin);
            operate::checkpoint(address, &Operator::of(&key))?
        }
        made => made?,
    };
    let origin = Origin {
        program: concat!("khlong-relay ", env!("CARGO_PKG_VERSION")),
        created_at: jiff::Timestamp::now().to_string(),
        reserve_bytes: config.store.reserve.0,
    };
    let manifest = draft
        .finish(folder, committed, &origin, |_| {
            Ok(Owner {
                relay: identity::public(&key).to_string(),
                includes_key: false,
            })
        })
        .map_err(failed)?;
    drop(staging);
    say(arguments, &flags.target, &manifest, "backed up");
    Ok(())
}

fn checkpoint_of_a_stopped_relay(config: &Config) -> Result<Committed, CommandError> {
    let folder = &config.store.folder;
    let store = server::open_store(folder, config.store.rocks_options(), false)
        .map_err(CommandError::Server)?;
    take_checkpoint(&store, folder).map_err(|error| CommandError::Server(ServerError::Store(error)))
}

fn verify(arguments: &Arguments, backup: &Path) -> Result<(), CommandError> {
    match backup::verify(backup) {
        Ok(manifest) => {
            say(arguments, backup, &manifest, "verified");
            Ok(())
        }
        Err(error) => {
            if let (BackupError::Folder(FolderError::Damaged { damages, .. }), true) =
                (&error, arguments.json)
            {
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
        sizes: config.store.rocks_options(),
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
        "relay": manifest.owner.relay,
        "includes_key": manifest.owner.includes_key,
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
