//! What is said to the server, word for word. Layouts and reasons: `DOMAINS.md`, "The journal
//! on PostgreSQL".

/// Of the tables below; a row says which one made them.
pub(super) const TABLES_VERSION: i32 = 1;

/// In its place while a journal is copied in, and nobody may be served: half of it would look like
/// all of a shorter one. No version that appends has such a number.
pub(super) const FILLING: i32 = -2;

/// The largest answer but that of [`READ`]: a row, or the words of an error.
pub(super) const ANSWER_BYTES_MAX: u64 = 256 * 1024;

/// Greeting and parameters.
pub(super) const GREETING_BYTES_MAX: u64 = 64 * 1024;

/// What is told of a statement before it runs: its parameters and columns. All that the client
/// asks in turn about types that it does not know is in it too, and nothing here has one.
pub(super) const PREPARE_BYTES_MAX: u64 = 4 * 1024;

/// What names mean is not for other schemas to say. An append that waits for another one, or a
/// statement that does not end, is given up in time.
pub(super) fn settle_in(timeout_ms: u128) -> String {
    format!(
        "SET search_path = pg_catalog; SET statement_timeout = {timeout_ms}; SET lock_timeout = {timeout_ms}"
    )
}

/// One row: whether what this server acknowledges is durable.
pub(super) const SETTINGS: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
    pg_catalog.current_setting('transaction_read_only'), \
    pg_catalog.current_setting('synchronous_commit'), \
    pg_catalog.current_setting('synchronous_standby_names'), \
    pg_catalog.current_setting('fsync')";

pub(super) const HAS_SCHEMA: &str = "SELECT to_regnamespace('khlong') IS NOT NULL";

pub(super) const CREATE_SCHEMA: &str = "CREATE SCHEMA khlong;";

/// All or nothing: statements that are sent together are one transaction.
pub(super) fn create_tables(id: &str, version: i32) -> String {
    format!(
        "CREATE TABLE khlong.journal_id (\
            place smallint PRIMARY KEY CHECK (place = 0), \
            version integer NOT NULL, \
            id bytea NOT NULL CHECK (octet_length(id) = 16)); \
         CREATE TABLE khlong.journal (\
            seq bigint PRIMARY KEY CHECK (seq > 0), \
            hash bytea NOT NULL CHECK (octet_length(hash) = 32), \
            header bytea NOT NULL, \
            command bytea NOT NULL, \
            outcome bytea NOT NULL); \
         INSERT INTO khlong.journal_id (place, version, id) \
            VALUES (0, {version}, '\\x{id}'::bytea)"
    )
}

/// In the transaction that makes the tables: which move fills them.
pub(super) fn create_move(id: &str) -> String {
    format!(
        "; CREATE TABLE khlong.journal_move (\
            place smallint PRIMARY KEY CHECK (place = 0), \
            id bytea NOT NULL CHECK (octet_length(id) = 16)); \
         INSERT INTO khlong.journal_move (place, id) VALUES (0, '\\x{id}'::bytea)"
    )
}

/// [`TABLES_VERSION`] in the place of [`FILLING`], if that move filled them and `seq` is the last.
pub(super) fn serve(journal: &str, id: &str, seq: u64) -> String {
    format!(
        "UPDATE khlong.journal_id SET version = {TABLES_VERSION} \
         WHERE version = {FILLING} AND id = '\\x{journal}'::bytea \
           AND EXISTS (SELECT FROM khlong.journal_move WHERE id = '\\x{id}'::bytea) \
           AND {seq} = coalesce((SELECT seq FROM khlong.journal ORDER BY seq DESC LIMIT 1), 0)"
    )
}

/// The move that filled the tables.
pub(super) const MOVE_ID: &str = "SELECT id FROM khlong.journal_move WHERE place = 0";

/// Version and id, the last entry, and the hash of the entry $1; no row, no journal.
pub(super) const HEAD: &str = "SELECT i.version, i.id, j.seq, j.hash, \
        (SELECT hash FROM khlong.journal WHERE seq = $1) \
    FROM khlong.journal_id AS i \
    LEFT JOIN LATERAL (SELECT seq, hash FROM khlong.journal ORDER BY seq DESC LIMIT 1) AS j ON true";

/// All rows or none: a statement is a transaction. Nothing is written where the entry before
/// ($6, $7; 0: none) is not the one that is expected, the journal ($8) is another one or does not
/// stand as expected ($9), or an answer would not mean that it is durable. A seq that is taken is `unique_violation`.
pub(super) const INSERT: &str = "INSERT INTO khlong.journal (seq, hash, header, command, outcome) \
    SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[]) \
    WHERE ($6::bigint = 0 OR EXISTS (SELECT FROM khlong.journal WHERE seq = $6 AND hash = $7::bytea)) \
      AND EXISTS (SELECT FROM khlong.journal_id WHERE version = $9::integer AND id = $8::bytea) \
      AND current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' \
      AND (current_setting('synchronous_commit') <> 'local' OR current_setting('synchronous_standby_names') = '')";

/// A transaction that writes: commits reach the standbys in their order, so that when this one
/// is waited for, all before it are there. Without standbys nothing is written.
pub(super) const BARRIER: &str = "SELECT CASE WHEN current_setting('synchronous_standby_names') <> '' \
    THEN pg_logical_emit_message(true, 'khlong', '')::text END";

/// Entries from $1 on, at most $2, and none after $3 bytes. Lengths are known to the server
/// without its reading the values.
pub(super) const READ: &str = "SELECT seq, hash, header, command, outcome FROM (\
        SELECT *, sum(bytes) OVER (ORDER BY seq) - bytes AS earlier FROM (\
            SELECT *, (octet_length(header) + octet_length(command) + octet_length(outcome))::bigint AS bytes \
            FROM khlong.journal WHERE seq >= $1 ORDER BY seq LIMIT $2) AS part) AS counted \
    WHERE earlier < $3::bigint ORDER BY seq";
