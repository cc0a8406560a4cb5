//! `khlong-relay check`: the configuration, then every row of the folder.

use std::collections::BTreeMap;

use khlong_crdt::address::RelayAddress;
use khlong_store::engine::EngineStats;
use khlong_store::error::StoreError;
use serde_json::json;

use super::{Arguments, CommandError, SCHEMA_VERSION, print, tell};
use crate::config::Flags;
use crate::{identity, server};

pub(super) fn execute(arguments: &Arguments) -> Result<(), CommandError> {
    let config = arguments.load(&Flags::default())?;
    super::log_filter(&config)?;
    let key = identity::parse_configured(&config.relay).map_err(CommandError::Key)?;
    arguments.check_folder(&config)?;
    let store = server::open_store(&config.store.folder, config.store.rocks_options(), false)
        .map_err(CommandError::Server)?;
    let mut rows: BTreeMap<&'static str, u64> = BTreeMap::new();
    store
        .for_each_row(&mut |table, _key, _value| {
            *rows.entry(table.name()).or_default() += 1;
            Ok(())
        })
        .map_err(damaged)?;
    let EngineStats {
        disk_bytes,
        free_bytes,
        ..
    } = store.stats();
    let log = store.identity();
    let address = RelayAddress {
        key: identity::public(&key),
        host: config.relay.host.clone(),
        port: config.public_port(),
    };
    if arguments.json {
        let data = json!({
            "schema_version": SCHEMA_VERSION,
            "address": address.to_string(),
            "log": log.log.to_string(),
            "log_epoch": log.epoch,
            "rows": rows,
            "retention": config.retention,
            "disk_bytes": disk_bytes,
            "free_bytes": free_bytes,
        });
        print(&data.to_string());
    } else {
        print(&address.to_string());
        tell(&format!(
            "bodies that ask to be kept: {}; any body at most: {}",
            config.retention.default, config.retention.maximum
        ));
        let total: u64 = rows.values().sum();
        tell(&format!(
            "the configuration and {total} rows are good; {disk_bytes} bytes on disk, {free_bytes} free"
        ));
    }
    Ok(())
}

/// Logs do not name what is damaged; who asks is told.
fn damaged(error: StoreError) -> CommandError {
    if let Some(place) = error.place() {
        tell(&format!("damaged: {place}"));
    }
    CommandError::Check(error)
}
