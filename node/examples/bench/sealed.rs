//! Envelopes as a device makes them, sealed before the clock starts.

use khlong_crdt::admission::{History, TimelineKind};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::time::UnixMillis;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use rand_core::CryptoRng;

use crate::processes::Failure;
use crate::texts::Texts;

const BEGAN_MS: i64 = 1_795_000_000_000;

/// One writer's timeline, and what it will append.
pub(crate) struct Writer {
    pub(crate) secrets: TimelineSecrets,
    /// Genesis, introduction, first epoch.
    pub(crate) opening: Vec<VerifiedEnvelope>,
    pub(crate) envelopes: Vec<VerifiedEnvelope>,
    timeline: Timeline,
    texts: Texts,
    sealed: usize,
}

impl Writer {
    /// A new timeline in which nothing is written yet.
    pub(crate) fn open(kind: TimelineKind, random: &mut dyn CryptoRng) -> Self {
        let opened = open_timeline(kind, History::Full, random);
        let mut timeline = Timeline::new(opened.timeline, opened.secrets.clone());
        timeline.receive_all(opened.envelopes.iter().cloned());
        Self {
            secrets: opened.secrets,
            opening: opened.envelopes,
            envelopes: Vec::new(),
            timeline,
            texts: Texts::own(),
            sealed: 0,
        }
    }

    /// The same, and it will write these.
    pub(crate) fn with(mut self, texts: Texts) -> Self {
        self.texts = texts;
        self
    }

    /// Seals `count` further envelopes of `messages` messages each, in place of the former ones.
    /// Gives the bytes of their texts.
    pub(crate) fn seal(
        &mut self,
        count: usize,
        messages: usize,
        random: &mut dyn CryptoRng,
    ) -> Result<usize, Failure> {
        self.envelopes.clear();
        self.seal_more(count, messages, random)
    }

    /// The same, behind the former ones.
    pub(crate) fn seal_more(
        &mut self,
        count: usize,
        messages: usize,
        random: &mut dyn CryptoRng,
    ) -> Result<usize, Failure> {
        let mut text_bytes = 0;
        for number in self.sealed..self.sealed + count {
            let now = UnixMillis(BEGAN_MS + 1_000 * number as i64);
            let texts = self.texts.from(number * messages);
            let texts: Vec<&str> = texts.take(messages).collect();
            text_bytes += texts.iter().map(|text| text.len()).sum::<usize>();
            let drafts: Vec<Draft> = texts.into_iter().map(|body| draft(body, now)).collect();
            let envelope = self.timeline.write(&drafts, now, random)?;
            self.envelopes.push(envelope);
        }
        self.sealed += count;
        Ok(text_bytes)
    }
}

fn draft(body: &str, sent_at: UnixMillis) -> Draft {
    Draft::Message {
        body: body.to_owned(),
        reply_to: None,
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at,
    }
}
