//! A room of replicas without keys or network: what they wrote lies on a table,
//! and each picks up what it likes, in any order.

#![allow(dead_code, reason = "every test file uses another part of the room")]

pub(crate) mod raw;

use khlong_crdt::id::{AuthorKey, EpochId, MessageId, PrincipalKey, TimelineId};
use khlong_crdt::time::UnixMillis;
use khlong_document::timeline::draft::Draft;
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::message::Message;
use khlong_document::timeline::pages::{Pages, PagesEvent};
use khlong_document::timeline::plaintext::DocumentChanges;

pub(crate) const TIMELINE: TimelineId = TimelineId::from_bytes([7; 32]);
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_500_000_000);

/// Pages turn after four messages.
pub(crate) const SMALL: Limits = Limits {
    page_messages: 4,
    page_bytes: 64 * 1024,
    page_author_bytes: 16 * 1024,
    page_author_messages: 64,
    page_author_ops: 1_024,
    page_author_turn_bytes: 8 * 1024,
    ..Limits::PRODUCTION
};

pub(crate) fn author(n: u8) -> AuthorKey {
    AuthorKey::from_bytes([n + 1; 32])
}

/// Every author is a member of its own.
pub(crate) fn principal_of(author: &AuthorKey) -> Option<PrincipalKey> {
    Some(PrincipalKey::from_bytes(*author.as_bytes()))
}

pub(crate) fn principal(n: u8) -> PrincipalKey {
    PrincipalKey::from_bytes([n + 1; 32])
}

pub(crate) fn text(body: &str) -> Draft {
    Draft::Message {
        body: body.to_owned(),
        reply_to: None,
        attachments: Vec::new(),
        origin: None,
        import_key: None,
        sent_at: NOW,
    }
}

pub(crate) type Letter = (AuthorKey, Vec<DocumentChanges>);

pub(crate) struct Replica {
    pub(crate) author: AuthorKey,
    pub(crate) pages: Pages,
}

impl Replica {
    pub(crate) fn new(n: u8) -> Self {
        Self::with(n, SMALL)
    }

    pub(crate) fn with(n: u8, limits: Limits) -> Self {
        Self {
            author: author(n),
            pages: Pages::new(TIMELINE, limits),
        }
    }

    pub(crate) fn write(&mut self, drafts: &[Draft]) -> Letter {
        let sections = self
            .pages
            .compose(&self.author, EpochId::ZERO, drafts, NOW)
            .unwrap();
        let events = self.pages.merge(&self.author, &sections);
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, PagesEvent::Refused { .. })),
            "{events:?}"
        );
        (self.author, sections)
    }

    pub(crate) fn read(&mut self, letter: &Letter) -> Vec<PagesEvent> {
        self.pages.merge(&letter.0, &letter.1)
    }

    pub(crate) fn all(&self) -> Vec<Message> {
        self.pages.messages(0..usize::MAX, &principal_of)
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.all().into_iter().map(|message| message.body).collect()
    }

    pub(crate) fn newest(&self) -> MessageId {
        self.all().last().unwrap().id
    }

    pub(crate) fn message(&self, id: &MessageId) -> Message {
        self.pages.message(id, &principal_of).unwrap()
    }
}

/// Two replicas are equal in every way that a user or a test could see.
pub(crate) fn assert_equal(left: &Replica, right: &Replica) {
    assert_eq!(left.pages.state_hash(), right.pages.state_hash());
    assert_eq!(left.all(), right.all());
    assert_eq!(
        left.pages.state(&principal_of),
        right.pages.state(&principal_of)
    );
    assert_eq!(
        left.pages.canonical_saves().unwrap(),
        right.pages.canonical_saves().unwrap()
    );
}
