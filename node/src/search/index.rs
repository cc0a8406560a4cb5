//! The index itself: sealed files that tantivy reads and writes.
//!
//! It keeps no text, only where words stand; what is shown of a message comes from the node.
//! With every commit it writes down, in the same file, which pages of which timelines it holds
//! and their marks. So after a kill it stands where the last commit left it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::Path;

use khlong_crdt::id::MessageId;
use khlong_crdt::time::UnixMillis;
use tantivy::collector::sort_key::{SortBySimilarityScore, SortByStaticFastValue};
use tantivy::collector::{Count, DocSetCollector, TopDocs};
use tantivy::query::{
    BooleanQuery, ConstScoreQuery, Occur, Query as Searched, RangeQuery, TermQuery,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{IndexReader, IndexWriter, Order, ReloadPolicy, TantivyError, Term};

use super::entry::{Entry, Filter, Mark, PageName};
use super::fields::{Fields, key_of};
use super::ledger::Ledger;
use super::plan::{self, Fingerprint, Known};
use super::query::{Query, Reading};
use super::sealed::SealedFolder;
use crate::peer::IndexKey;

/// What the writer gathers before it writes a segment.
const WRITER_BYTES: usize = 32 * 1024 * 1024;

/// Bytes that the files of an index may have together, but for lists and deletions: at some 200 bytes a
/// message enough for millions. They lie in memory while it is open.
///
/// A merge writes its segment beside those that it merges, so it needs as much again as these take, here
/// and in memory. One that does not find it fails, as the next will after each commit, and loses nothing:
/// its segments stay, are found as before, and keep the room of what was deleted in them. Small ones go on
/// being merged. So from half of this on an index may have more segments than another one, and only that;
/// messages are added up to the limit itself.
pub const INDEX_BYTES_MAX: u64 = 512 * 1024 * 1024;
const _: () = assert!(WRITER_BYTES as u64 * 4 <= INDEX_BYTES_MAX);

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is damaged, or of another version or node: to be thrown away and built anew.
    #[error("{0}")]
    Broken(String),
    /// The disk is full.
    #[error("the disk has no room for the search index; make room, then search again")]
    Full,
    /// It has as many bytes as it may.
    #[error(
        "the search index has reached its limit of {limit} bytes; `khlong export` writes everything"
    )]
    TooLarge {
        /// [`INDEX_BYTES_MAX`].
        limit: u64,
    },
    /// Its folder cannot be used.
    #[error("the folder of the search index cannot be used")]
    Folder(#[source] io::Error),
}

/// A message that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Where it stands.
    pub page: PageName,
    /// Which one.
    pub id: MessageId,
    /// How well it fits, by BM25.
    pub score: f32,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Matches {
    /// The newest first.
    pub newest: Vec<Match>,
    /// How many there are in all.
    pub total: usize,
    /// What the query was taken for.
    pub reading: Reading,
}

/// An open index. Its folder belongs to who holds the lock of the node's.
pub struct Index {
    folder: SealedFolder,
    index: tantivy::Index,
    reader: IndexReader,
    writer: Option<IndexWriter>,
    fields: Fields,
    ledger: Ledger,
}

impl Index {
    /// Opens the index in `folder`, or begins one.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn open(folder: &Path, key: &IndexKey) -> Result<Self, IndexError> {
        Self::open_within(folder, key, INDEX_BYTES_MAX)
    }

    /// The same with another limit than [`INDEX_BYTES_MAX`]: for tests, which reach it soon.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn open_within(folder: &Path, key: &IndexKey, bytes_max: u64) -> Result<Self, IndexError> {
        let folder = SealedFolder::open(folder, key, bytes_max).map_err(IndexError::Folder)?;
        let opened = Self::open_in(&folder);
        opened.map_err(|error| Self::error(&folder, &error))
    }

    fn open_in(folder: &SealedFolder) -> tantivy::Result<Self> {
        let (schema, fields) = Fields::schema();
        let index = tantivy::Index::builder()
            .schema(schema)
            .open_or_create(folder.clone())?;
        let payload = index.load_metas()?.payload;
        let ledger = payload.map_or(Ok(Ledger::default()), |text| Ledger::read(&text))?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        Ok(Self {
            folder: folder.clone(),
            index,
            reader,
            writer: None,
            fields,
            ledger,
        })
    }

    fn error(folder: &SealedFolder, error: &TantivyError) -> IndexError {
        if folder.was_full() {
            return IndexError::Full;
        }
        if folder.was_over() {
            return IndexError::TooLarge {
                limit: folder.bytes_max(),
            };
        }
        IndexError::Broken(error.to_string())
    }

    fn checked<T>(&self, result: tantivy::Result<T>) -> Result<T, IndexError> {
        result.map_err(|error| Self::error(&self.folder, &error))
    }

    /// The pages that it holds.
    pub(super) fn known(&self) -> &BTreeMap<PageName, Known> {
        self.ledger.pages()
    }

    /// Holds `entries` of a page from now on, and nothing else of it; how many were written.
    /// Counts with [`Self::commit`].
    ///
    /// # Errors
    /// [`IndexError`]; the index is to be opened again.
    pub fn put(
        &mut self,
        page: PageName,
        mark: Mark,
        entries: &[Entry],
    ) -> Result<usize, IndexError> {
        let put = self.try_put(page, mark, entries);
        self.checked(put)
    }

    fn try_put(&mut self, page: PageName, mark: Mark, entries: &[Entry]) -> tantivy::Result<usize> {
        let known = self.ledger.pages().get(&page).copied();
        let indexed = known.map_or(Ok(BTreeMap::new()), |known| self.indexed(known.number))?;
        let shown = entries.iter().map(|entry| (entry.id, fingerprint(entry)));
        let changes = plan::changes(&indexed, &shown.collect());
        let number = self.ledger.note(page, mark);
        let fields = self.fields;
        let writer = self.writer()?;
        for id in &changes.remove {
            writer.delete_term(Term::from_field_bytes(fields.key, &key_of(number, id)));
        }
        let added = entries
            .iter()
            .filter(|entry| changes.add.binary_search(&entry.id).is_ok());
        for entry in added {
            writer.add_document(fields.document(
                &page.timeline,
                number,
                entry,
                fingerprint(entry),
            ))?;
        }
        Ok(changes.add.len() + changes.remove.len())
    }

    /// Holds nothing of a page any more. Counts with [`Self::commit`].
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn forget(&mut self, page: &PageName) -> Result<(), IndexError> {
        if let Some(known) = self.ledger.forget(page) {
            let term = Term::from_field_u64(self.fields.page, known.number);
            let deleted = self.writer().map(|writer| writer.delete_term(term));
            self.checked(deleted)?;
        }
        Ok(())
    }

    /// From now on all that was put is found, also after a kill.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn commit(&mut self) -> Result<(), IndexError> {
        let committed = self.try_commit();
        self.checked(committed)
    }

    fn try_commit(&mut self) -> tantivy::Result<()> {
        let payload = self.ledger.written()?;
        let mut prepared = self.writer()?.prepare_commit()?;
        prepared.set_payload(&payload);
        prepared.commit()?;
        self.reader.reload()
    }

    /// Waits for the segments that are being merged, and gives the writer's memory back.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn rest(&mut self) -> Result<(), IndexError> {
        let rested = self
            .writer
            .take()
            .map_or(Ok(()), IndexWriter::wait_merging_threads);
        let reloaded = rested.and_then(|()| self.reader.reload());
        self.checked(reloaded)
    }

    fn writer(&mut self) -> tantivy::Result<&mut IndexWriter> {
        if self.writer.is_none() {
            self.writer = Some(self.index.writer_with_num_threads(1, WRITER_BYTES)?);
        }
        let missing = || TantivyError::SystemError("no writer".to_owned());
        self.writer.as_mut().ok_or_else(missing)
    }

    /// What the last commit holds of a page.
    fn indexed(&self, number: u64) -> tantivy::Result<BTreeMap<MessageId, Fingerprint>> {
        let term = Term::from_field_u64(self.fields.page, number);
        let query = TermQuery::new(term, IndexRecordOption::Basic);
        let searcher = self.reader.searcher();
        let mut indexed = BTreeMap::new();
        for address in searcher.search(&query, &DocSetCollector)? {
            let segment = searcher.segment_reader(address.segment_ord);
            let row = Fields::row(segment, address.doc_id)?;
            indexed.insert(row.id, row.fingerprint);
        }
        Ok(indexed)
    }

    /// Whether something of a sender or principal is here.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn knows_author(&self, author: &str) -> Result<bool, IndexError> {
        let term = Term::from_field_text(self.fields.author, author);
        let count = self.reader.searcher().doc_freq(&term);
        Ok(self.checked(count)? > 0)
    }

    /// The newest messages that fit.
    ///
    /// # Errors
    /// As [`Self::put`].
    pub fn find(
        &self,
        query: &Query,
        filter: &Filter,
        limit: usize,
    ) -> Result<Matches, IndexError> {
        let mut found = self.checked(self.read(query, Reading::Words, filter, limit))?;
        if found.total == 0 && query.has_short_parts() {
            found = self.checked(self.read(query, Reading::Parts, filter, limit))?;
        }
        Ok(found)
    }

    fn read(
        &self,
        query: &Query,
        reading: Reading,
        filter: &Filter,
        limit: usize,
    ) -> tantivy::Result<Matches> {
        let clauses = query
            .clauses
            .iter()
            .map(|clause| (Occur::Must, self.fields.clause(clause, reading)));
        let filters = self.filters(filter).into_iter();
        let all = clauses.chain(filters.map(|filter| (Occur::Must, filter)));
        let searched = BooleanQuery::new(all.collect());
        let newest = SortByStaticFastValue::<i64>::for_field("sent_at");
        let order = ((newest, Order::Desc), (SortBySimilarityScore, Order::Desc));
        let top = TopDocs::with_limit(limit.max(1)).order_by(order);
        let searcher = self.reader.searcher();
        let (total, found) = searcher.search(&searched, &(Count, top))?;
        let mut matches = Vec::new();
        for ((_, score), address) in found {
            let segment = searcher.segment_reader(address.segment_ord);
            let row = Fields::row(segment, address.doc_id)?;
            // A page that is not in the ledger is not in the index.
            if let Some(page) = self.ledger.page(row.page) {
                matches.push(Match {
                    page,
                    id: row.id,
                    score,
                });
            }
        }
        Ok(Matches {
            newest: matches,
            total,
            reading,
        })
    }

    /// They choose, and say nothing about how well a message fits.
    fn filters(&self, filter: &Filter) -> Vec<Box<dyn Searched>> {
        let fields = self.fields;
        let mut filters: Vec<Box<dyn Searched>> = Vec::new();
        let exact = |term| -> Box<dyn Searched> {
            Box::new(TermQuery::new(term, IndexRecordOption::Basic))
        };
        if let Some(timeline) = &filter.timeline {
            filters.push(exact(Term::from_field_bytes(
                fields.timeline,
                timeline.as_bytes(),
            )));
        }
        if let Some(authors) = &filter.authors {
            let one_of = authors.iter().map(|author| {
                (
                    Occur::Should,
                    exact(Term::from_field_text(fields.author, author)),
                )
            });
            filters.push(Box::new(BooleanQuery::new(one_of.collect())));
        }
        if filter.since.is_some() || filter.before.is_some() {
            let term = |at: UnixMillis| Term::from_field_i64(fields.sent_at, at.0);
            let lower = filter
                .since
                .map_or(Bound::Unbounded, |at| Bound::Included(term(at)));
            let upper = filter
                .before
                .map_or(Bound::Unbounded, |at| Bound::Excluded(term(at)));
            filters.push(Box::new(RangeQuery::new(lower, upper)));
        }
        filters
            .into_iter()
            .map(|filter| -> Box<dyn Searched> { Box::new(ConstScoreQuery::new(filter, 0.0)) })
            .collect()
    }
}

/// Another one as soon as a message is to be found by something else.
fn fingerprint(entry: &Entry) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&entry.sent_at.0.to_be_bytes());
    hasher.update(&(entry.author.len() as u64).to_be_bytes());
    hasher.update(entry.author.as_bytes());
    hasher.update(entry.body.as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    Fingerprint::from_be_bytes(bytes)
}
