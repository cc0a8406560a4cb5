//! What the index keeps of a message, and how a query asks for it.

use khlong_crdt::id::{MessageId, TimelineId};
use tantivy::query::{
    BooleanQuery, BoostQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{PreTokenizedString, Token};
use tantivy::{DocId, SegmentReader, TantivyDocument, Term};

use super::entry::Entry;
use super::plan::Fingerprint;
use super::query::{Clause, Reading};
use super::words::{Word, words_of};

/// Words that the start of one may stand for.
const PREFIX_WORDS_MAX: u32 = 1_000;

/// A whole word counts so much more than a part or a start of one.
const WORD_BOOST: f32 = 2.0;

/// The fields of a message in the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    words: Field,
    pairs: Field,
    /// Page and message: by it a message is removed.
    pub(super) key: Field,
    pub(super) page: Field,
    id_high: Field,
    id_low: Field,
    fingerprint: Field,
    pub(super) sent_at: Field,
    pub(super) author: Field,
    pub(super) timeline: Field,
}

/// What is read back of a message.
pub(super) struct Row {
    pub(super) page: u64,
    pub(super) id: MessageId,
    pub(super) fingerprint: Fingerprint,
}

impl Fields {
    pub(super) fn schema() -> (Schema, Self) {
        let placed = |with_lengths| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_fieldnorms(with_lengths)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions);
            TextOptions::default().set_indexing_options(indexing)
        };
        let mut schema = Schema::builder();
        let fields = Self {
            words: schema.add_text_field("words", placed(true)),
            pairs: schema.add_text_field("pairs", placed(false)),
            key: schema.add_bytes_field("key", INDEXED),
            page: schema.add_u64_field("page", INDEXED | FAST),
            id_high: schema.add_u64_field("id_high", FAST),
            id_low: schema.add_u64_field("id_low", FAST),
            fingerprint: schema.add_u64_field("fingerprint", FAST),
            sent_at: schema.add_i64_field("sent_at", FAST),
            author: schema.add_text_field("author", STRING),
            timeline: schema.add_bytes_field("timeline", INDEXED),
        };
        (schema.build(), fields)
    }

    pub(super) fn document(
        self,
        timeline: &TimelineId,
        page: u64,
        entry: &Entry,
        fingerprint: Fingerprint,
    ) -> TantivyDocument {
        let found_by = words_of(&entry.body);
        let id = u128::from_be_bytes(*entry.id.as_bytes());
        let mut document = TantivyDocument::new();
        document.add_pre_tokenized_text(self.words, tokens(found_by.words));
        document.add_pre_tokenized_text(self.pairs, tokens(found_by.pairs));
        document.add_bytes(self.key, &key_of(page, &entry.id));
        document.add_u64(self.page, page);
        document.add_u64(self.id_high, (id >> 64) as u64);
        document.add_u64(self.id_low, id as u64);
        document.add_u64(self.fingerprint, fingerprint);
        document.add_i64(self.sent_at, entry.sent_at.0);
        document.add_text(self.author, &entry.author);
        document.add_bytes(self.timeline, timeline.as_bytes());
        document
    }

    pub(super) fn row(segment: &SegmentReader, doc: DocId) -> tantivy::Result<Row> {
        let number = |name| -> tantivy::Result<u64> {
            let column = segment.fast_fields().u64(name)?;
            Ok(column.first(doc).unwrap_or_default())
        };
        let id = (u128::from(number("id_high")?) << 64) | u128::from(number("id_low")?);
        Ok(Row {
            page: number("page")?,
            id: MessageId::from_bytes(id.to_be_bytes()),
            fingerprint: number("fingerprint")?,
        })
    }

    /// The words one after the other, or, inside longer words, the pairs.
    pub(super) fn clause(self, clause: &Clause, reading: Reading) -> Box<dyn Query> {
        let words = terms(self.words, &clause.words);
        let pairs = clause.pairs(reading).map(|pairs| terms(self.pairs, pairs));
        let mut either: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        if let Some(whole) = in_a_row(words.clone()) {
            either.push((Occur::Should, Box::new(BoostQuery::new(whole, WORD_BOOST))));
        }
        if clause.is_prefix {
            either.push((Occur::Should, begun(words)));
            either.extend(pairs.map(|pairs| (Occur::Should, begun(pairs))));
        } else {
            let part = pairs.and_then(in_a_row);
            either.extend(part.map(|part| (Occur::Should, part)));
        }
        Box::new(BooleanQuery::new(either))
    }
}

fn terms(field: Field, texts: &[String]) -> Vec<Term> {
    let term = |text: &String| Term::from_field_text(field, text);
    texts.iter().map(term).collect()
}

/// The same, and the last may go on.
fn begun(terms: Vec<Term>) -> Box<dyn Query> {
    let mut begun = PhrasePrefixQuery::new(terms);
    begun.set_max_expansions(PREFIX_WORDS_MAX);
    Box::new(begun)
}

fn in_a_row(mut terms: Vec<Term>) -> Option<Box<dyn Query>> {
    if terms.len() > 1 {
        return Some(Box::new(PhraseQuery::new(terms)));
    }
    let term = terms.pop()?;
    Some(Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)))
}

fn tokens(words: Vec<Word>) -> PreTokenizedString {
    let token = |word: Word| Token {
        offset_from: word.from,
        offset_to: word.to,
        position: word.place,
        text: word.text,
        position_length: 1,
    };
    PreTokenizedString {
        text: String::new(),
        tokens: words.into_iter().map(token).collect(),
    }
}

pub(super) fn key_of(page: u64, id: &MessageId) -> [u8; 24] {
    let mut key = [0; 24];
    let (number, message) = key.split_at_mut(8);
    number.copy_from_slice(&page.to_be_bytes());
    message.copy_from_slice(id.as_bytes());
    key
}
