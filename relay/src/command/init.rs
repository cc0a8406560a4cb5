//! `khlong-relay init`: a configuration with comments, a key, an empty folder.

use std::path::Path;

use khlong_crdt::address::{PORT_DEFAULT, RelayAddress};
use khlong_crdt::id::RelayKey;
use khlong_store::error::StoreError;
use khlong_store::folder::refuse_foreign_place;
use serde_json::json;

use super::{Arguments, CommandError, Init, SCHEMA_VERSION, print, tell};
use crate::config::{Config, Environment, Flags};
use crate::identity;
use crate::server::{self, ServerError};

const KEY_FILE: &str = "relay.key";

pub(super) fn execute(arguments: &Arguments, init: &Init) -> Result<(), CommandError> {
    let path = &arguments.config;
    if path.exists() {
        return folder_again(arguments);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let failed = |action, path: &Path| {
        let path = path.to_path_buf();
        move |source| CommandError::File {
            action,
            path,
            source,
        }
    };
    checked_host(init)?;
    // What root makes here its owner cannot use: not the key, which comes first, either.
    refuse_foreign_place(folder).map_err(of_store)?;
    std::fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let key_path = folder.join(KEY_FILE);
    if !key_path.exists() {
        identity::create(&key_path).map_err(CommandError::Key)?;
    }
    let text = template(init);
    // Through the same door as `run`, so that what is written is what works.
    let config = Config::parse(&text, folder, Environment::default(), &Flags::default())
        .map_err(CommandError::Config)?;
    let address = make_folder(&config)?;
    std::fs::write(path, text).map_err(failed("write", path))?;
    told(arguments, &config, &address);
    if !arguments.json {
        tell(&format!(
            "wrote {} and {}; keep a copy of the key: it is the relay's name",
            path.display(),
            key_path.display()
        ));
        tell(&format!(
            "next: khlong-relay --config {} run",
            path.display()
        ));
    }
    Ok(())
}

/// The configuration is there and its folder is not: a new disk, or a relay that
/// was set up by hand. Configuration and key stay as they are.
fn folder_again(arguments: &Arguments) -> Result<(), CommandError> {
    let config = arguments.load(&Flags::default())?;
    if arguments.check_folder(&config).is_ok() {
        return Err(CommandError::Exists {
            path: arguments.config.clone(),
        });
    }
    let address = make_folder(&config)?;
    told(arguments, &config, &address);
    tell(&format!(
        "made {}; {} and the key are as they were, and flags of this command change nothing in them",
        config.store.folder.display(),
        arguments.config.display()
    ));
    Ok(())
}

fn make_folder(config: &Config) -> Result<RelayAddress, CommandError> {
    let key = identity::parse_configured(&config.relay).map_err(CommandError::Key)?;
    refuse_foreign_place(&config.store.folder).map_err(of_store)?;
    let store = server::open_store(&config.store.folder, config.store.rocks_options(), false)
        .map_err(CommandError::Server)?;
    drop(store);
    Ok(RelayAddress {
        key: identity::public(&key),
        host: config.relay.host.clone(),
        port: config.public_port(),
    })
}

fn of_store(error: StoreError) -> CommandError {
    CommandError::Server(ServerError::Store(error))
}

fn told(arguments: &Arguments, config: &Config, address: &RelayAddress) {
    if arguments.json {
        let data = json!({
            "schema_version": SCHEMA_VERSION,
            "address": address.to_string(),
            "config": arguments.config,
            "folder": config.store.folder,
        });
        print(&data.to_string());
    } else {
        print(&address.to_string());
    }
}

/// A host that could not stand in the address would be found out by clients only.
fn checked_host(init: &Init) -> Result<(), CommandError> {
    let anybody = RelayKey::from_bytes([0; 32]);
    match RelayAddress::new(anybody, &init.host, PORT_DEFAULT) {
        Ok(_) => Ok(()),
        Err(source) => Err(CommandError::Host {
            host: init.host.clone(),
            source,
        }),
    }
}

fn template(init: &Init) -> String {
    let Init { host, quic, admin } = init;
    format!(
        r#"# Configuration of a Khlong relay. Every line that is commented out shows the default.
# Environment variables win over this file: KHLONG_SECTION__KEY, such as
# KHLONG_LISTEN__QUIC; flags win over both. Paths are relative to this file.

[listen]
# UDP, for clients.
quic = "{quic}"
# HTTP, for /metrics, /livez, /readyz, /startupz. Keep it private.
admin = "{admin}"

[relay]
# How clients reach this relay; it stands in the address that they get.
host = "{host}"
# Where the UDP port outside is another one than in listen.quic.
# port = {PORT_DEFAULT}
# The relay's secret key. Whoever has it can pose as this relay, so nothing runs while
# group or others may read the file.
key_file = "{KEY_FILE}"

[store]
# folder = "data"
# Below this much free space writes are refused; reads go on.
# reserve = "256MiB"
# block_cache = "64MiB"
# write_buffer = "16MiB"

[policy]
# Who may open timelines: "open" (everybody) or "token" (whoever shows the token).
# opening = "open"
# token_file = "opening.token"     # closed to group and others, as the key
# What one timeline may store.
# timeline_quota = "1GiB"
# While opening is "open": what all timelines together may store. Nobody else keeps the
# disk from being filled by strangers.
# open_quota = "64GiB"
# Timelines that one connection, and one address (IPv6: one /64) in a day, may open.
# openings_per_connection = 1024
# openings_per_network_a_day = 4096
# Envelopes that one connection may append in a minute. What it does not use is saved
# for at most a minute, so as many may come at once: in the first minute of a
# connection, or after a silent one, up to twice this number.
# envelopes_per_minute = 60000

[retention]
# Bodies go when they expire; headers and all keys and permissions stay. An
# envelope says how long it is kept; this is for those that say "keep": a number
# of days, such as "365d", or "keep".
# default = "keep"
# No body is kept for longer than this, whatever its envelope says.
# maximum = "keep"

[limits]
# connections = 10000
# connections_per_address = 256

[log]
# error, warn, info, debug, or a filter such as "info,khlong_relay=debug". A level alone is
# one of Khlong's own parts; what libraries log in detail may name addresses of clients.
# level = "info"
# "text" for people, "json" for programs: one object a line.
# format = "text"
"#
    )
}
