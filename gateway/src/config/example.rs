//! The configuration that `khlong-gateway init --write-config` writes.

use std::path::Path;

/// With comments; every line that is commented out shows the default or an example.
#[must_use]
pub fn example(folder: &Path) -> String {
    // What JSON and TOML write differently in strings is this one character.
    let folder = serde_json::Value::from(folder.display().to_string());
    let folder = folder.to_string().replace('\u{7f}', "\\u007f");
    format!(
        r#"# Configuration of a Khlong gateway. Every line that is commented out shows the default, or an
# example where its section says so. Environment variables win over this file: KHLONG_SECTION__KEY,
# such as KHLONG_LISTEN__HTTP; flags win over both. Paths are relative to this file.
# `khlong-gateway config check` says what is wrong with it, `config show` what is in effect.

[store]
# The folder of the journal and the books.
folder = {folder}
# Below this much free space writes are refused; reads go on.
# reserve = "256MiB"
# block_cache = "64MiB"
# write_buffer = "16MiB"

[listen]
# There is no TLS: beyond this machine, put a proxy with TLS in front.
# http = "127.0.0.1:8474"
# Metrics and health checks; keep it private.
# admin = "127.0.0.1:9465"

[limits]
# connections = 256
# Requests that may wait to be decided.
# queue = 256
# Of each key; a minute's worth may come at once.
# requests_per_minute = 6000

[idempotency]
# How long the same request under the same key gets the same answer.
# keep = "30d"

[log]
# error, warn, info, debug, or a filter such as "info,khlong_gateway=debug".
# level = "info"
# "text" for people, "json" for programs: one object a line.
# format = "text"

# Who may ask, by name: an example. Without a key nobody may. Roles: "reader", "writer" (accounts
# and transfers), "operator" (the bank and payouts), "admin" (assets and checkpoints). Exactly one of secret_file, secret and hash (what
# `b3sum` prints); a secret has 32 to 256 printable characters, and only its owner may read its file
# (chmod 600), or a group that root lends it to.
# [keys.boss]
# role = "admin"
# secret_file = "boss.secret"

# Who is told what happens, at most 16: an example. Each notice is POSTed until it is taken, for
# three days, signed as in standardwebhooks.com; the secret is whsec_ and 24 to 64 bytes in Base64.
# `ca_file` names certificates (PEM) where the system's are not the ones to trust.
# [[outbox.target]]
# name = "auditor"
# url = "https://auditor.example/khlong"
# topics = ["books.day_closed"]
# secret_file = "auditor.secret"

# The journal in a PostgreSQL database: an example. Begin it by `khlong-gateway init FOLDER --config FILE`
# with this section, not afterwards. Without the section the journal is in the folder.
# [journal]
# postgres = "host=/run/postgresql user=khlong dbname=khlong"
# password_file = "pg.password"
"#
    )
}
