//! Reading: the history, one message of it, and hashes of the whole.

use crate::api::{LOG_MESSAGES_DEFAULT, MessageView, Response};
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::names::Names;

const LOG_MESSAGES_MAX: usize = 10_000;

impl Peer {
    pub(super) fn log(
        &mut self,
        timeline: &str,
        from: Option<usize>,
        limit: Option<usize>,
    ) -> Result<Response, NodeError> {
        let (id, open) = self.find_timeline(timeline)?;
        let count = open.message_count();
        let limit = limit.unwrap_or(LOG_MESSAGES_DEFAULT).min(LOG_MESSAGES_MAX);
        let from = from
            .unwrap_or_else(|| count.saturating_sub(limit))
            .min(count);
        let to = from.saturating_add(limit).min(count);
        // Whoever looks comes again, and the next message goes to the newest page.
        if let Some(open) = self.timelines.get_mut(&id) {
            open.unpack(from..to);
        }
        let (_, open) = self.find_timeline(timeline)?;
        let messages = open.messages(from..to);
        let names = Names::of(open);
        let messages: Vec<MessageView> = messages
            .iter()
            .map(|message| self.message_view(open, &names, message))
            .collect();
        Ok(Response::Messages {
            timeline: self.timeline_view(id),
            from,
            messages,
        })
    }

    pub(super) fn message(&self, timeline: &str, message: &str) -> Result<Response, NodeError> {
        let (id, open) = self.find_timeline(timeline)?;
        let target = self.resolve_message(id, message)?;
        let messages = open
            .message(&target)
            .map(|found| self.message_view(open, &Names::of(open), &found))
            .into_iter()
            .collect();
        Ok(Response::Messages {
            timeline: self.timeline_view(id),
            from: 0,
            messages,
        })
    }

    pub(super) fn digest(&self, timeline: &str) -> Result<Response, NodeError> {
        let (id, open) = self.find_timeline(timeline)?;
        let mut hasher = blake3::Hasher::new();
        let saves = open.canonical_saves().map_err(|error| {
            NodeError::Usage(format!(
                "a page of this timeline cannot be rebuilt: {error}"
            ))
        })?;
        for (page, save) in saves {
            hasher.update(&[page.kind as u8]);
            hasher.update(page.lineage.as_bytes());
            hasher.update(&page.n.to_be_bytes());
            hasher.update(&(save.len() as u64).to_be_bytes());
            hasher.update(&save);
        }
        Ok(Response::Digest {
            timeline: id.to_string(),
            state_hash: data_encoding::HEXLOWER.encode(&open.state_hash()),
            canonical_hash: hasher.finalize().to_hex().to_string(),
            messages: open.message_count(),
        })
    }
}
