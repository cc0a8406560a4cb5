//! Where the parsers put what they find: limits are enforced and import keys
//! made here, once for all formats.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::encoding::Encoding;
use super::lines::{Lines, clean_body, clean_name, cut, excerpt};
use super::{
    IMPORT_BODY_BYTES_MAX, IMPORT_SENDER_BYTES_MAX, IMPORT_TITLE_BYTES_MAX, ImportedMessage,
    Network, Parsed, SkipReason, SkippedLine,
};

/// Frozen: another context is another key for every message ever imported.
const IMPORT_KEY_CONTEXT: &str = "khlong.network 2026-11 import key v1";

const MINUTE_MS: i64 = 60_000;

pub(super) struct Collector {
    network: Network,
    file: Arc<str>,
    /// How many messages with equal (sender, minute, body) were seen, by the
    /// hash of those.
    ordinals: BTreeMap<[u8; 32], u32>,
    messages: Vec<ImportedMessage>,
    skipped: Vec<SkippedLine>,
}

impl Collector {
    pub(super) fn new(network: Network, file: &str) -> Self {
        Self {
            network,
            file: file.into(),
            ordinals: BTreeMap::new(),
            messages: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Takes a message, or lists its first line if it breaks a limit.
    pub(super) fn message(&mut self, line: u32, sender: &str, sent_at_ms: i64, body: &str) {
        let sender = clean_name(sender);
        let body = clean_body(body);
        if sender.is_empty() || sender.len() > IMPORT_SENDER_BYTES_MAX {
            return self.skip(line, SkipReason::BadSender, &sender);
        }
        if body.len() > IMPORT_BODY_BYTES_MAX {
            return self.skip(line, SkipReason::BodyTooLong, &body);
        }
        let import_key = self.import_key(&sender, sent_at_ms, &body);
        self.messages.push(ImportedMessage {
            network: self.network,
            sender,
            sent_at_ms,
            body,
            import_key,
            file: Arc::clone(&self.file),
            line,
        });
    }

    pub(super) fn skip(&mut self, line: u32, reason: SkipReason, text: &str) {
        self.skipped.push(SkippedLine {
            file: Arc::clone(&self.file),
            line,
            reason,
            excerpt: excerpt(text),
        });
    }

    pub(super) fn finish(
        mut self,
        title: Option<&str>,
        lines: &Lines<'_>,
        encoding: Encoding,
    ) -> Parsed {
        // A message is taken when its last line was read, a skipped line at
        // once: bring the list back into the order of the file.
        self.skipped.sort_by_key(|skipped| skipped.line);
        let title = title
            .map(clean_name)
            .filter(|title| !title.is_empty())
            .map(|title| cut(&title, IMPORT_TITLE_BYTES_MAX).to_owned());
        Parsed {
            title,
            messages: self.messages,
            skipped: self.skipped,
            lossy_lines: lines.lossy,
            first_lossy: lines.first_lossy,
            encoding,
        }
    }

    fn import_key(&mut self, sender: &str, sent_at_ms: i64, body: &str) -> [u8; 16] {
        let minute = sent_at_ms.div_euclid(MINUTE_MS);
        let mut hasher = blake3::Hasher::new_derive_key(IMPORT_KEY_CONTEXT);
        for field in [
            self.network.name().as_bytes(),
            sender.as_bytes(),
            &minute.to_be_bytes(),
            body.as_bytes(),
        ] {
            let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
            hasher.update(&length.to_be_bytes());
            hasher.update(field);
        }
        let ordinal = self
            .ordinals
            .entry(*hasher.finalize().as_bytes())
            .or_insert(0);
        hasher.update(&ordinal.to_be_bytes());
        *ordinal += 1;
        let mut key = [0; 16];
        hasher.finalize_xof().fill(&mut key);
        key
    }
}
