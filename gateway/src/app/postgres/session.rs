//! One connection that was looked at before it is used, and the requests over it.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use khlong_store::journal::{ENTRIES_MAX, Head, JournalId, JournalSeq, READ_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Statement};

use super::bounded::{Allowance, Bounded, Ear};
use super::error::{Failure, PostgresError, TakesNoWrites};
use super::options::{Place, PostgresOptions};
use super::rows::{Columns, Found, FoundRow, Inserted, Standing, decode, tables};
use super::statements::{
    ANSWER_BYTES_MAX, BARRIER, CREATE_SCHEMA, GREETING_BYTES_MAX, HAS_SCHEMA, HEAD, INSERT,
    MOVE_ID, PREPARE_BYTES_MAX, READ, SETTINGS, create_tables, settle_in,
};

/// What carries a connection.
trait Carrier: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Carrier for S {}

/// A connection to a server whose acknowledgements hold. Dropped, it is closed.
pub(super) struct Session {
    client: Client,
    allowance: Allowance,
    /// The server said more than an answer: that one is not to be relied on.
    warned: Arc<AtomicBool>,
    carrying: JoinHandle<()>,
    head: OnceCell<Statement>,
    barrier: OnceCell<Statement>,
    insert: OnceCell<Statement>,
    read: OnceCell<Statement>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl Session {
    /// Connects, and checks the server's settings. `ear` hears it too if that fails, or is given up.
    pub(super) async fn open(options: &PostgresOptions, ear: &Ear) -> Result<Self, Failure> {
        let allowance = Allowance::new(GREETING_BYTES_MAX);
        let carrier = connect(&options.place).await.map_err(Failure::of_io)?;
        let stream = Bounded::new(carrier, allowance.clone(), ear.clone());
        let server = &options.server;
        let warned = Arc::new(AtomicBool::new(false));
        let (client, carrying) = match (&options.tls, &options.place) {
            (Some(tls), Place::Tcp(host, _)) => {
                let (client, connection) = server.connect_raw(stream, tls.to(host)).await?;
                (client, tokio::spawn(carry(connection, Arc::clone(&warned))))
            }
            (Some(_) | None, _) => {
                let (client, connection) = server.connect_raw(stream, NoTls).await?;
                (client, tokio::spawn(carry(connection, Arc::clone(&warned))))
            }
        };
        let session = Self {
            client,
            allowance,
            warned,
            carrying,
            head: OnceCell::new(),
            barrier: OnceCell::new(),
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
        let settings = self.prepare(SETTINGS, ANSWER_BYTES_MAX).await?;
        let row = self.client.query_one(&settings, &[]).await?;
        let is_standby: bool = row.try_get(0)?;
        let [read_only, commit, standbys, fsync] = [1, 2, 3, 4].map(|at| row.try_get(at));
        let (read_only, commit): (String, String) = (read_only?, commit?);
        let (standbys, fsync): (String, String) = (standbys?, fsync?);
        if is_standby || read_only != "off" {
            // It may become the primary, or its name move to that one.
            return Err(Failure::Lost(Box::new(TakesNoWrites)));
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
        let found = async {
            let head = self.prepared(&self.head, HEAD, ANSWER_BYTES_MAX).await?;
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

    /// Appends all of them if the head is still `expected`, and the tables stand so.
    pub(super) async fn insert(
        &self,
        expected: &Head,
        standing: Standing,
        entries: &Columns<'_>,
    ) -> Result<Inserted, Failure> {
        let before = i64::try_from(expected.seq.0).unwrap_or(i64::MAX);
        let (hash, id) = (expected.hash.as_slice(), expected.id.as_bytes().as_slice());
        let number = standing.number();
        let columns: [&(dyn ToSql + Sync); 9] = [
            &entries.seqs,
            &entries.hashes,
            &entries.headers,
            &entries.commands,
            &entries.outcomes,
            &before,
            &hash,
            &id,
            &number,
        ];
        self.warned.store(false, Ordering::Release);
        let inserted = async {
            let insert = self.prepared(&self.insert, INSERT, ANSWER_BYTES_MAX);
            self.client.execute(insert.await?, &columns).await
        };
        match inserted.await {
            Ok(0) => Ok(Inserted::Nothing),
            Ok(_) if self.warned.load(Ordering::Acquire) => Err(unsure()),
            Ok(rows) if usize::try_from(rows) == Ok(entries.seqs.len()) => Ok(Inserted::All),
            Ok(_) => Err(tables(
                "something in the database kept entries out of the table",
            )),
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => Ok(Inserted::Taken),
            // Somebody dropped them: whoever reads back finds no journal.
            Err(error) if is_without_tables(&error) => Ok(Inserted::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns when all that was visible before is where the settings want a commit to be: one
    /// whose wait for the standbys was cut off is visible without being there.
    pub(super) async fn barrier(&self) -> Result<(), Failure> {
        let barrier = self.prepared(&self.barrier, BARRIER, ANSWER_BYTES_MAX);
        let barrier = barrier.await?;
        self.warned.store(false, Ordering::Release);
        self.client.execute(barrier, &[]).await?;
        if self.warned.load(Ordering::Acquire) {
            return Err(unsure());
        }
        Ok(())
    }

    /// Rows from `from` on, as many as [`khlong_store::journal::Journal::read`] gives at once.
    pub(super) async fn read(&self, from: JournalSeq) -> Result<Vec<FoundRow>, Failure> {
        let Ok(from) = i64::try_from(from.0) else {
            return Ok(Vec::new());
        };
        let read = self.prepared(&self.read, READ, super::READ_ANSWER_BYTES_MAX);
        let read = read.await?;
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

    /// Makes the tables and names the journal, and does `more` in the same transaction; false if
    /// there are such tables.
    pub(super) async fn create(
        &self,
        id: JournalId,
        standing: Standing,
        more: &str,
    ) -> Result<bool, Failure> {
        let has_schema = self.prepare(HAS_SCHEMA, ANSWER_BYTES_MAX).await?;
        let has_schema: bool = self.client.query_one(&has_schema, &[]).await?.try_get(0)?;
        let mut statements = String::new();
        if !has_schema {
            statements.push_str(CREATE_SCHEMA);
        }
        let id = data_encoding::HEXLOWER.encode(id.as_bytes());
        statements.push_str(&create_tables(&id, standing.number()));
        statements.push_str(more);
        match self.client.batch_execute(&statements).await {
            Ok(()) => Ok(true),
            Err(error) if is_made_already(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// A statement that is as durable as the settings want when it returns.
    pub(super) async fn change(&self, statement: &str) -> Result<(), Failure> {
        self.allowance.renew(ANSWER_BYTES_MAX);
        self.client.batch_execute(statement).await?;
        self.barrier().await
    }

    /// The move that filled the tables; `None` where no move did.
    pub(super) async fn move_id(&self) -> Result<Option<Vec<u8>>, Failure> {
        let found = async {
            let asked = self.prepare(MOVE_ID, ANSWER_BYTES_MAX).await?;
            self.client.query_opt(&asked, &[]).await
        };
        match found.await {
            Ok(row) => Ok(row.map(|row| row.try_get(0)).transpose()?),
            Err(error) if is_without_tables(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Prepared at its first use: before a journal is begun there are no tables. Its answer may
    /// have `answer` bytes.
    async fn prepared<'s>(
        &self,
        known: &'s OnceCell<Statement>,
        words: &str,
        answer: u64,
    ) -> Result<&'s Statement, tokio_postgres::Error> {
        self.allowance.renew(answer);
        known.get_or_try_init(|| self.prepare(words, answer)).await
    }

    /// The client asks about each type that it does not know, and may be told of another one in
    /// each answer, one call deeper: what it is told has a small limit of its own.
    async fn prepare(&self, words: &str, answer: u64) -> Result<Statement, tokio_postgres::Error> {
        self.allowance.renew(PREPARE_BYTES_MAX);
        let statement = self.client.prepare(words).await?;
        self.allowance.renew(answer);
        Ok(statement)
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
async fn carry<S, T>(mut connection: Connection<S, T>, warned: Arc<AtomicBool>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|cx| connection.poll_message(cx)).await {
            // It comes before the answer that it is about.
            Some(Ok(AsyncMessage::Notice(_))) => warned.store(true, Ordering::Release),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection to the journal's database broke");
                return;
            }
            None => return,
        }
    }
}

/// A commit that was not waited for is told as done, with a warning.
fn unsure() -> Failure {
    Failure::of_io(io::Error::other(
        "the server answers with a warning: a commit may not be where it is to be",
    ))
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
