//! Where the parsers put what they find: limits are enforced and import keys
//! made here, once for all formats.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::encoding::Encoding;
use super::lines::{clean_body, clean_name, cut, excerpt};
use super::{
    IMPORT_BODY_BYTES_MAX, IMPORT_SENDER_BYTES_MAX, IMPORT_TITLE_BYTES_MAX, ImportedMessage,
    Network, Parsed, SkipReason, SkippedLine,
};

/// A message as a parser found it.
pub(super) struct Said<'a> {
    pub(super) sender: &'a str,
    /// By which the import key knows the sender.
    pub(super) known_as: &'a str,
    pub(super) sent_at_ms: i64,
    pub(super) body: &'a str,
    /// Import key of the message that it answers.
    pub(super) reply_to: Option<[u8; 16]>,
}

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

    /// Takes a message of a format that knows no more of it.
    pub(super) fn message(&mut self, line: u32, sender: &str, sent_at_ms: i64, body: &str) {
        let sender = clean_name(sender);
        self.said(
            line,
            Said {
                sender: &sender,
                known_as: &sender,
                sent_at_ms,
                body,
                reply_to: None,
            },
        );
    }

    /// Takes a message and gives its import key, or lists its first line if it breaks a limit.
    pub(super) fn said(&mut self, line: u32, said: Said<'_>) -> Option<[u8; 16]> {
        let (sender, body) = match within_limits(said.sender, said.body) {
            Ok(cleaned) => cleaned,
            Err((reason, text)) => {
                self.skip(line, reason, &text);
                return None;
            }
        };
        let import_key = self.import_key(said.known_as, said.sent_at_ms, &body);
        self.messages.push(ImportedMessage {
            network: self.network,
            sender,
            sent_at_ms: said.sent_at_ms,
            body,
            import_key,
            reply_to: said.reply_to,
            file: Arc::clone(&self.file),
            line,
        });
        Some(import_key)
    }

    /// Whether [`Self::said`] would take it.
    pub(super) fn takes(sender: &str, body: &str) -> bool {
        within_limits(sender, body).is_ok()
    }

    pub(super) fn skip(&mut self, line: u32, reason: SkipReason, text: &str) {
        self.skipped.push(SkippedLine {
            file: Arc::clone(&self.file),
            line,
            reason,
            excerpt: excerpt(text),
        });
    }

    pub(super) fn finish(mut self, title: Option<&str>, encoding: Encoding) -> Parsed {
        // A message is taken when its last line was read, a skipped line at
        // once: bring the list back into the order of the file.
        self.skipped.sort_by_key(|skipped| skipped.line);
        Parsed {
            title: title.and_then(title_of),
            messages: self.messages,
            skipped: self.skipped,
            lossy_lines: 0,
            first_lossy: None,
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

/// Sender and body as they are stored, or which of them is beyond its limit.
fn within_limits(sender: &str, body: &str) -> Result<(String, String), (SkipReason, String)> {
    let (sender, body) = (clean_name(sender), clean_body(body));
    if sender.is_empty() || sender.len() > IMPORT_SENDER_BYTES_MAX {
        return Err((SkipReason::BadSender, sender));
    }
    if body.len() > IMPORT_BODY_BYTES_MAX {
        return Err((SkipReason::BodyTooLong, body));
    }
    Ok((sender, body))
}

/// A title as it is suggested; none if nothing is left of it.
pub(super) fn title_of(text: &str) -> Option<String> {
    let title = clean_name(text);
    let is_one = !title.is_empty();
    is_one.then(|| cut(&title, IMPORT_TITLE_BYTES_MAX).to_owned())
}
