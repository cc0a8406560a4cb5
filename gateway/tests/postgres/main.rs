//! The journal on PostgreSQL, against a server of the test's own: `.tools/setup --with-postgres`
//! installs it, each test makes a cluster in a folder that it removes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "../http/client.rs"]
mod client;
#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../program/mod.rs"]
mod program;
#[path = "../http/server.rs"]
#[expect(dead_code, reason = "the tests of HTTP use the rest")]
mod server;
#[path = "../support/until.rs"]
mod until;

mod books;
mod books_read;
mod cluster;
mod commands;
mod folders;
mod hostile;
mod journal;
mod killed;
mod lost;
mod moved;
mod moved_end;
mod moved_refused;
mod race;
mod served;
mod settings;
mod standbys;
mod stopping;
mod tls;
