//! One connection that was looked at before it is used, and the requests over it.

use std::io;
use std::time::Duration;

use khlong_store::journal::{ENTRIES_MAX, Head, JournalId, JournalSeq, READ_BYTES_MAX, Stored};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use super::bounded::{Allowance, Bounded};
use super::error::{Failure, PostgresError};
use super::options::{Place, PostgresOptions};
use super::statements::{
    ANSWER_BYTES_MAX, CREATE_SCHEMA, GREETING_BYTES_MAX, HAS_SCHEMA, HEAD, INSERT, READ, SETTINGS,
    TABLES_VERSION, create_tables, settle_in,
};

/// What carries a connection.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Carrier for S {}

/// A row of the table.
pub(super) struct FoundRow {
    pub(super) seq: i64,
    pub(super) hash: Vec<u8>,
    pub(super) header: Vec<u8>,
    pub(super) command: Vec<u8>,
    pub(super) outcome: Vec<u8>,
}

/// Where the journal stands.
pub(super) struct Found {
    pub(super) head: Head,
    /// The hash of the entry that was asked about.
    pub(super) asked: Option<Vec<u8>>,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    All,
    /// The entry before, the journal's id or a setting is another one.
    Nothing,
    /// A seq has an entry.
    Taken,
}

/// Entries as the statement takes them: an array a column.
pub(super) struct Columns<'e> {
    seqs: Vec<i64>,
    hashes: Vec<&'e [u8]>,
    headers: Vec<&'e [u8]>,
    commands: Vec<&'e [u8]>,
    outcomes: Vec<&'e [u8]>,
}

impl<'e> Columns<'e> {
    /// `None` where a seq is beyond those of the table.
    pub(super) fn of(entries: &'e [Stored]) -> Option<Self> {
        let seqs = entries.iter().map(|it| i64::try_from(it.seq.0).ok());
        Some(Self {
            seqs: seqs.collect::<Option<_>>()?,
            hashes: entries.iter().map(|it| it.hash.as_slice()).collect(),
            headers: entries
                .iter()
                .map(|it| it.entry.header.as_slice())
                .collect(),
            commands: entries
                .iter()
                .map(|it| it.entry.command.as_slice())
                .collect(),
            outcomes: entries
                .iter()
                .map(|it| it.entry.outcome.as_slice())
                .collect(),
        })
    }
}

/// A connection to a server whose acknowledgements hold. Dropped, it is closed.
pub(super) struct Session {
    client: Client,
    allowance: Allowance,
    carrying: JoinHandle<()>,
    head: OnceCell<Statement>,
    insert: OnceCell<Statement>,
    read: OnceCell<Statement>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl Session {
    /// Connects, and checks the server's settings.
    pub(super) async fn open(options: &PostgresOptions) -> Result<Self, Failure> {
        let allowance = Allowance::new(GREETING_BYTES_MAX);
        let carrier = connect(&options.place).await.map_err(Failure::of_io)?;
        let stream = Bounded::new(carrier, allowance.clone());
        let server = &options.server;
        let (client, carrying) = match (&options.tls, &options.place) {
            (Some(tls), Place::Tcp(host, _)) => {
                let (client, connection) = server.connect_raw(stream, tls.to(host)).await?;
                (client, tokio::spawn(carry(connection)))
            }
            (Some(_) | None, _) => {
                let (client, connection) = server.connect_raw(stream, NoTls).await?;
                (client, tokio::spawn(carry(connection)))
            }
        };
        let session = Self {
            client,
            allowance,
            carrying,
            head: OnceCell::new(),
            insert: OnceCell::new(),
            read: OnceCell::new(),
        };
        session.settle_in(options.within).await?;
        Ok(session)
    }

    async fn settle_in(&self, within: Duration) -> Result<(), Failure> {
        self.client
            .batch_execute(&settle_in(within.as_millis()))
            .await?;
        let row = self.client.query_one(SETTINGS, &[]).await?;
        let is_standby: bool = row.try_get(0)?;
        let [read_only, commit, standbys, fsync] = [1, 2, 3, 4].map(|at| row.try_get(at));
        let (read_only, commit): (String, String) = (read_only?, commit?);
        let (standbys, fsync): (String, String) = (standbys?, fsync?);
        if is_standby || read_only != "off" {
            // It may become the primary, or its name move to that one.
            return Err(Failure::of_io(io::Error::other(
                "the server takes no writes: it is a standby, or set read-only",
            )));
        }
        check("fsync", fsync, &["off"], "set it to on")?;
        let (forget, remedy): (&[&str], _) = if standbys.is_empty() {
            (&["off"], "set it to on")
        } else {
            (
                &["off", "local"],
                "there are synchronous standbys: set it to on",
            )
        };
        check("synchronous_commit", commit, forget, remedy)?;
        Ok(())
    }

    /// The journal's head, and the hash of the entry `asked`; `None` where there is no journal.
    pub(super) async fn find(&self, asked: JournalSeq) -> Result<Option<Found>, Failure> {
        self.allowance.renew(ANSWER_BYTES_MAX);
        let found = async {
            let head = self.prepared(&self.head, HEAD).await?;
            // Beyond the table's numbers there is none.
            let asked = i64::try_from(asked.0).unwrap_or(0);
            self.client.query_opt(head, &[&asked]).await
        };
        match found.await {
            Ok(row) => row.map(|row| decode(&row)).transpose(),
            Err(error) if is_without_tables(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Appends all of them if the head is still `expected`.
    pub(super) async fn insert(
        &self,
        expected: &Head,
        entries: &Columns<'_>,
    ) -> Result<Inserted, Failure> {
        self.allowance.renew(ANSWER_BYTES_MAX);
        let insert = self.prepared(&self.insert, INSERT).await?;
        let before = i64::try_from(expected.seq.0).unwrap_or(i64::MAX);
        let (hash, id) = (expected.hash.as_slice(), expected.id.as_bytes().as_slice());
        let columns: [&(dyn ToSql + Sync); 8] = [
            &entries.seqs,
            &entries.hashes,
            &entries.headers,
            &entries.commands,
            &entries.outcomes,
            &before,
            &hash,
            &id,
        ];
        match self.client.execute(insert, &columns).await {
            Ok(0) => Ok(Inserted::Nothing),
            Ok(_) => Ok(Inserted::All),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(Inserted::Taken),
            Err(error) => Err(error.into()),
        }
    }

    /// Rows from `from` on, as many as [`khlong_store::journal::Journal::read`] gives at once.
    pub(super) async fn read(&self, from: JournalSeq) -> Result<Vec<FoundRow>, Failure> {
        self.allowance.renew(super::READ_ANSWER_BYTES_MAX);
        let Ok(from) = i64::try_from(from.0) else {
            return Ok(Vec::new());
        };
        let read = self.prepared(&self.read, READ).await?;
        let (rows, bytes) = (
            i64::try_from(ENTRIES_MAX).unwrap_or(i64::MAX),
            i64::try_from(READ_BYTES_MAX).unwrap_or(i64::MAX),
        );
        let rows = self.client.query(read, &[&from, &rows, &bytes]).await?;
        let found = rows.iter().map(|row| {
            Ok(FoundRow {
                seq: row.try_get(0)?,
                hash: row.try_get(1)?,
                header: row.try_get(2)?,
                command: row.try_get(3)?,
                outcome: row.try_get(4)?,
            })
        });
        found.collect()
    }

    /// Makes the tables and names the journal; false if there are such tables.
    pub(super) async fn create(&self, id: JournalId) -> Result<bool, Failure> {
        self.allowance.renew(ANSWER_BYTES_MAX);
        let has_schema: bool = self.client.query_one(HAS_SCHEMA, &[]).await?.try_get(0)?;
        let mut statements = String::new();
        if !has_schema {
            statements.push_str(CREATE_SCHEMA);
        }
        let id = data_encoding::HEXLOWER.encode(id.as_bytes());
        statements.push_str(&create_tables(&id));
        match self.client.batch_execute(&statements).await {
            Ok(()) => Ok(true),
            Err(error) if is_made_already(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Prepared at its first use: before a journal is begun there are no tables.
    async fn prepared<'s>(
        &self,
        known: &'s OnceCell<Statement>,
        words: &str,
    ) -> Result<&'s Statement, tokio_postgres::Error> {
        known.get_or_try_init(|| self.client.prepare(words)).await
    }
}

async fn connect(place: &Place) -> io::Result<Box<dyn Carrier>> {
    Ok(match place {
        Place::Socket(path) => Box::new(UnixStream::connect(path).await?),
        Place::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Box::new(stream)
        }
    })
}

/// Moves bytes for a session. Whoever waits for an answer hears how it ended.
async fn carry(connection: impl Future<Output = Result<(), tokio_postgres::Error>>) {
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the journal's database broke");
    }
}

fn check(
    setting: &'static str,
    found: String,
    forget: &[&str],
    remedy: &'static str,
) -> Result<(), PostgresError> {
    if forget.contains(&found.as_str()) {
        return Err(PostgresError::Unsafe {
            setting,
            found,
            remedy,
        });
    }
    Ok(())
}

fn decode(row: &Row) -> Result<Found, Failure> {
    let version: i32 = row.try_get(0)?;
    if version != TABLES_VERSION {
        return Err(Failure::Final(PostgresError::Version {
            found: version,
            known: TABLES_VERSION,
        }));
    }
    let (id, seq, hash): (Vec<u8>, Option<i64>, Option<Vec<u8>>) =
        (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    let id = JournalId::from_bytes(exact(&id, "the id of the journal has not 16 bytes")?);
    let head = match (seq, hash) {
        (Some(seq), Some(hash)) => Head {
            id,
            seq: u64::try_from(seq)
                .ok()
                .filter(|seq| *seq > 0)
                .map(JournalSeq)
                .ok_or_else(|| tables("an entry has a number below 1"))?,
            hash: exact(&hash, "the hash of an entry has not 32 bytes")?,
        },
        (None, _) | (_, None) => Head::start(id),
    };
    Ok(Found {
        head,
        asked: row.try_get(4)?,
    })
}

fn exact<const N: usize>(bytes: &[u8], reason: &'static str) -> Result<[u8; N], Failure> {
    bytes.try_into().map_err(|_| tables(reason))
}

fn tables(reason: &'static str) -> Failure {
    Failure::Final(PostgresError::Tables { reason })
}

fn is_without_tables(error: &tokio_postgres::Error) -> bool {
    let codes = [&SqlState::UNDEFINED_TABLE, &SqlState::INVALID_SCHEMA_NAME];
    error.code().is_some_and(|code| codes.contains(&code))
}

fn is_made_already(error: &tokio_postgres::Error) -> bool {
    let codes = [
        &SqlState::DUPLICATE_TABLE,
        &SqlState::DUPLICATE_SCHEMA,
        &SqlState::UNIQUE_VIOLATION,
    ];
    error.code().is_some_and(|code| codes.contains(&code))
}
