//! What RocksDB is told, for the whole database and for each table. The decisions about the
//! write-ahead log are explained in [`super::rocks`].

use std::path::Path;

use rocksdb::statistics::StatsLevel;
use rocksdb::{
    BlockBasedOptions, Cache, DBCompactionStyle, DBCompressionType, DBRecoveryMode, LogLevel,
    Options, SliceTransform,
};

use super::rocks::RocksOptions;
use crate::table::{Compaction, Table, TableRow};

/// Log files kept for recycling: one being flushed, one waiting, one spare.
pub(super) const RECYCLED_LOGS: usize = 3;
/// Memtables of one table: one that fills, two that wait for their flush, one spare.
const MEMTABLES_MAX: i32 = 4;
/// Threads that open the files of one table, for each table anew, in a folder of few files and of
/// many. The default is 16: at each opening of a folder that has one file a table, five hundred
/// threads begin and end.
const FILE_OPENING_THREADS: (i32, i32) = (1, 16);
/// From so many files on it is worth while: each is opened, and disks may be slow.
const MANY_FILES: usize = 256;
/// Kept on disk: RocksDB's own diary.
const DIARY_FILES: usize = 4;
const DIARY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Ten bits a key: about one false positive in a hundred.
const BLOOM_BITS_PER_KEY: f64 = 10.0;

/// For the database in folder `path`.
pub(super) fn database_options(path: &Path, sizes: RocksOptions) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_recycle_log_file_num(RECYCLED_LOGS);
    options.set_db_write_buffer_size(4 * sizes.write_buffer_bytes);
    options.set_max_total_wal_size(4 * sizes.write_buffer_bytes as u64);
    options.set_max_background_jobs(2);
    options.set_max_file_opening_threads(file_opening_threads(path));
    options.set_paranoid_checks(true);
    options.enable_statistics();
    options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
    options.set_stats_dump_period_sec(0);
    options.set_log_level(LogLevel::Info);
    options.set_keep_log_file_num(DIARY_FILES);
    options.set_max_log_file_size(DIARY_BYTES_MAX);
    options
}

fn file_opening_threads(path: &Path) -> i32 {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let is_table = |path: &Path| path.extension().is_some_and(|end| end == "sst");
    let tables = entries.filter(|entry| is_table(&entry.path()));
    let (few, many) = FILE_OPENING_THREADS;
    if tables.take(MANY_FILES).count() < MANY_FILES {
        few
    } else {
        many
    }
}

pub(super) fn table_options(row: &TableRow, sizes: RocksOptions, cache: &Cache) -> Options {
    let mut options = Options::default();
    options.set_write_buffer_size(sizes.write_buffer_bytes);
    // Two may wait for their flush before a commit is told `Busy`.
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    options.set_compaction_style(match row.compaction {
        Compaction::Leveled => DBCompactionStyle::Level,
        Compaction::Universal => DBCompactionStyle::Universal,
    });
    options.set_compression_type(match row.table {
        // Ciphertext does not compress.
        Table::Envelope | Table::Secret | Table::Snapshot => DBCompressionType::None,
        Table::Meta
        | Table::ClassHead
        | Table::Arrival
        | Table::TimelineArrival
        | Table::TimelineHead
        | Table::AuthorSeq
        | Table::AuthorHead
        | Table::Admission
        | Table::Outbox
        | Table::Cursor
        | Table::Backfill
        | Table::Receipt
        | Table::NodeState
        | Table::Quota
        | Table::Retention
        | Table::Expiring
        | Table::Blocked
        | Table::Journal
        | Table::Idempotency
        | Table::IdempotencyAge
        | Table::GatewayOutbox
        | Table::LedgerAccount
        | Table::LedgerTransfer
        | Table::LedgerTransferId
        | Table::LedgerBalance
        | Table::LedgerExpiry
        | Table::LedgerAsset
        | Table::BooksClose
        | Table::BooksCloseTotal
        | Table::BooksReconciliation
        | Table::BooksPayout
        | Table::BooksPayoutItem
        | Table::GatewayKernel => DBCompressionType::Lz4,
    });
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_bloom_filter(BLOOM_BITS_PER_KEY, false);
    options.set_block_based_table_factory(&blocks);
    if row.prefix_bytes > 0 {
        options.set_prefix_extractor(SliceTransform::create_fixed_prefix(row.prefix_bytes));
    }
    options
}
