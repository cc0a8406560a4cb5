//! `backup create | verify | restore`: a gateway's folder at one point of its journal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::uri::{Authority, Scheme};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use clap::{Args, Subcommand};
use khlong_crdt::id::LogId;
use khlong_store::backup::{
    BackupError, Damage, Draft, Origin, Staging, refuse_inside, take_checkpoint,
};
use khlong_store::engine::rocks::RocksOptions;
use khlong_store::error::StoreError;
use khlong_store::folder::has_database;
use khlong_store::identity::{Committed, Role};
use khlong_store::secret_file::{SecretFileError, read_secret_file};
use khlong_store::store::{OpenOptions, Store};
use serde_json::{Value, json};

use super::journal::object;
use super::output::{Output, hexadecimal};
use super::show::Object;
use super::{CliError, folder};
use crate::app::limits::DISK_HEADROOM_BYTES;
use crate::backup::{self, Manifest, RestoreError};
use crate::config::{ByteSize, StoreSection};
use crate::http::{CHECKPOINT_PATH, Checkpoint};
use crate::outbound::{Answer, Client, OutboundError};

/// A checkpoint writes what is in memory, and links the rest: seconds on a slow disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// What a restore cannot know.
const RESTORED: &str = "Before the first export of payouts compare with the bank what was sent since created_at: those holds are in no batch again, and would be sent a second time.\n";

/// What to do with backups.
#[derive(Debug, Subcommand)]
pub enum Backup {
    /// Copy the folder at one point of its journal, also while the gateway runs.
    Create(Create),
    /// Read every file of a backup, the journal's chain and every view, and say what is damaged. Nothing is changed.
    Verify {
        /// The backup.
        backup: PathBuf,
    },
    /// Make the folder of a gateway from a backup. What was acknowledged behind the backup is not in it: the first entry of the new folder says so.
    Restore {
        /// The backup.
        backup: PathBuf,
        /// The folder; made if it is not there, and it must be empty.
        folder: PathBuf,
    },
}

/// Flags of `backup create`.
#[derive(Args, Debug)]
pub struct Create {
    /// The folder of the gateway.
    pub folder: PathBuf,
    /// The backup; it must not be there, and lie elsewhere, best on another disk.
    pub target: PathBuf,
    /// Where the gateway serves HTTP, if it runs.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8474")]
    pub http: SocketAddr,
    /// The file with the secret of a key with role admin, if it runs.
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
    /// Send the secret over HTTP without TLS to another address than one of this machine: nobody else can read that network.
    #[arg(long)]
    pub accept_plain_http: bool,
    /// What the gateway keeps free on its disk (`store.reserve`): a backup on the same disk leaves it free.
    #[arg(long, value_name = "SIZE", default_value_t = StoreSection::default().reserve)]
    pub reserve: ByteSize,
}

/// Why a backup is not made or used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The backup, or the folder.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A restore.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The gateway runs, and may be asked by an administrator alone.
    #[error(
        "process {pid} has the folder: name the file with the secret of a key with role admin with --secret-file, and its address with --http; or stop it"
    )]
    NoSecret {
        /// Which.
        pid: u32,
    },
    /// The file of the secret is not taken.
    #[error("the file of the secret is not taken")]
    SecretFile(#[source] SecretFileError),
    /// What is in it is no secret.
    #[error("{path} holds no secret of a key", path = .0.display())]
    Secret(PathBuf),
    /// The secret would leave the machine as it is.
    #[error(
        "the secret would go to {address} in plain text, and whoever carries it could take backups; name a loopback address with --http, or give --accept-plain-http if nobody else can read that network"
    )]
    PlainHttp {
        /// Where it was to be asked.
        address: SocketAddr,
    },
    /// The gateway that runs is not where it was looked for.
    #[error(
        "a process has the folder, and no gateway answers at {address}; name the address of the running gateway with --http"
    )]
    Unreachable {
        /// Where it was asked.
        address: SocketAddr,
        /// Why.
        #[source]
        source: OutboundError,
    },
    /// The gateway that runs made no checkpoint.
    #[error("the gateway at {address} made no checkpoint ({status}): {said}")]
    NoCheckpoint {
        /// Where it was asked.
        address: SocketAddr,
        /// The HTTP status.
        status: StatusCode,
        /// Its words.
        said: String,
    },
    /// No runtime.
    #[error("the system gives no threads")]
    Process(#[source] std::io::Error),
}

impl CopyError {
    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Backup(error) => error.exit_code(),
            Self::Restore(error) => error.exit_code(),
            Self::SecretFile(source) if source.is_untrusted() => 4,
            Self::NoSecret { .. }
            | Self::SecretFile(_)
            | Self::Secret(_)
            | Self::PlainHttp { .. }
            | Self::Unreachable { .. } => 3,
            Self::NoCheckpoint { status, .. } => match *status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => 4,
                _other => 1,
            },
            Self::Process(_) => 1,
        }
    }
}

pub(super) fn execute(output: Output, what: &Backup) -> Result<(), CliError> {
    match what {
        Backup::Create(flags) => create(output, flags),
        Backup::Verify { backup } => verify(output, backup),
        Backup::Restore { backup, folder } => restore(output, backup, folder),
    }
}

fn create(output: Output, flags: &Create) -> Result<(), CliError> {
    let Create { folder, target, .. } = flags;
    if !has_database(folder).map_err(|error| CliError::store(folder, error))? {
        return Err(folder::no_gateway(folder));
    }
    refuse_inside(folder, target).map_err(CopyError::Backup)?;
    // First: whoever makes another backup of this folder touches no draft.
    let staging = Staging::begin(folder).map_err(CopyError::Backup)?;
    let draft = Draft::begin(target).map_err(CopyError::Backup)?;
    let committed = match of_a_stopped_gateway(folder) {
        Err(StoreError::Locked { pid, .. }) => of_a_running_gateway(flags, pid)?,
        made => made.map_err(|error| CliError::store(folder, error))?,
    };
    let origin = Origin {
        program: concat!("khlong-gateway ", env!("CARGO_PKG_VERSION")),
        created_at: jiff::Timestamp::now().to_string(),
        // Below the sum of both the gateway takes no commands.
        reserve_bytes: flags.reserve.0.saturating_add(DISK_HEADROOM_BYTES),
    };
    let manifest = draft
        .finish(folder, committed, &origin, backup::describe)
        .map_err(CopyError::Backup)?;
    drop(staging);
    say(output, "backup_created", &manifest)
}

fn of_a_stopped_gateway(folder: &Path) -> Result<Committed, StoreError> {
    let options = OpenOptions {
        role: Role::Gateway,
        // There is a log: nothing gets this name.
        fresh_log_id: LogId::from_bytes([0; 16]),
        accept_loss: false,
        sizes: RocksOptions::default(),
    };
    let store = Store::open(folder, &options)?;
    take_checkpoint(&store, folder)
}

fn of_a_running_gateway(flags: &Create, pid: u32) -> Result<Committed, CopyError> {
    let file = flags.secret_file.as_ref();
    let file = file.ok_or(CopyError::NoSecret { pid })?;
    let address = reachable(flags.http);
    // Also an address of IPv4 that is written as one of IPv6.
    if !address.ip().to_canonical().is_loopback() && !flags.accept_plain_http {
        return Err(CopyError::PlainHttp { address });
    }
    let secret = read_secret_file(file).map_err(CopyError::SecretFile)?;
    let headers = headers(&secret).ok_or_else(|| CopyError::Secret(file.clone()))?;
    let failed = |source| CopyError::Unreachable { address, source };
    let url = url(address).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CopyError::Process)?;
    let Answer { status, body, .. } = runtime
        .block_on(async {
            let client = Client::without_tls()?;
            client.post(&url, headers, Vec::new(), ANSWER_WITHIN).await
        })
        .map_err(failed)?;
    let made: Option<Checkpoint> = serde_json::from_slice(&body).ok();
    match made.and_then(|made| made.committed()) {
        Some(committed) if status == StatusCode::OK => Ok(committed),
        Some(_) | None => Err(CopyError::NoCheckpoint {
            address,
            status,
            said: String::from_utf8_lossy(&body).trim().to_owned(),
        }),
    }
}

fn headers(secret: &str) -> Option<HeaderMap> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {secret}")).ok()?;
    bearer.set_sensitive(true);
    Some(HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]))
}

fn url(address: SocketAddr) -> Result<Uri, OutboundError> {
    let authority = Authority::try_from(address.to_string());
    Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(authority.map_err(|_| OutboundError::Address(address.to_string()))?)
        .path_and_query(CHECKPOINT_PATH)
        .build()
        .map_err(OutboundError::Request)
}

/// Where a process of this machine reaches what listens on every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}

fn verify(output: Output, folder: &Path) -> Result<(), CliError> {
    match backup::verify(folder) {
        Ok(manifest) => say(output, "backup_verified", &manifest),
        Err(error) => {
            if let (BackupError::Damaged { damages, .. }, true) = (&error, output.json) {
                let damages: Vec<Value> = damages
                    .iter()
                    .map(|Damage { path, reason }| json!({ "path": path, "reason": reason }))
                    .collect();
                let fields = json!({ "kind": "backup_damaged", "damages": damages });
                output.object(object(fields))?;
            }
            Err(CopyError::Backup(error).into())
        }
    }
}

fn restore(output: Output, from: &Path, folder: &Path) -> Result<(), CliError> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let epoch = u32::try_from(seconds).unwrap_or(u32::MAX);
    let (manifest, head) = backup::restore(from, folder, epoch).map_err(CopyError::Restore)?;
    let mut fields = fields("backup_restored", &manifest);
    fields.insert("epoch_entry".to_owned(), head.seq.0.into());
    fields.insert("epoch_head".to_owned(), hexadecimal(&head.hash).into());
    print(output, fields)?;
    if !output.json {
        output.text(RESTORED)?;
    }
    Ok(())
}

fn say(output: Output, kind: &str, manifest: &Manifest) -> Result<(), CliError> {
    print(output, fields(kind, manifest))
}

fn fields(kind: &str, manifest: &Manifest) -> Object {
    let owner = &manifest.owner;
    object(json!({
        "kind": kind,
        "created_at": manifest.created_at,
        "journal": owner.journal,
        "entries": owner.entries,
        "head": owner.head,
        "state": owner.state,
        "commit": manifest.seq,
        "files": manifest.files.len(),
        "bytes": manifest.bytes(),
    }))
}

fn print(output: Output, fields: Object) -> Result<(), CliError> {
    if output.json {
        return output.object(fields);
    }
    let mut lines = String::new();
    for (name, value) in &fields {
        match value {
            Value::String(text) if name != "kind" => lines.push_str(&format!("{name}: {text}\n")),
            Value::Number(number) => lines.push_str(&format!("{name}: {number}\n")),
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_) => {}
        }
    }
    output.text(&lines)
}
