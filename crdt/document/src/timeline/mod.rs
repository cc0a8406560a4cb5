//! A timeline: a fold over verified envelopes, whatever their order.
//!
//! | part | what |
//! |---|---|
//! | [`pages`] | the documents: merge, views, state hash, canonical save |
//! | [`genesis`], [`entry`] | what a document begins with, and what a change may do |
//! | [`plaintext`] | what is sealed in an envelope |
//! | [`message`], [`state`] | what a person sees |
//! | [`carriers`] | at which relays the timeline is |
//! | [`draft`] | what a person writes |
//! | [`event`] | what happened; [`Timeline::reread`] what is read again, and when |
//! | [`snapshot`] | what a start need not read again |
//! | [`limits`] | budgets |
//!
//! Nothing here asks a clock or reads a disk. Reads never wait: they show what has
//! been received. `DOCUMENT.md`, from section 5 on, is the specification.

mod canonical;
pub mod carriers;
mod chain;
pub mod chunk;
mod compact;
mod compose;
mod content;
pub mod draft;
pub mod entry;
mod epochs;
pub mod event;
pub mod genesis;
pub mod limits;
pub mod message;
mod moving;
mod order;
pub mod page;
pub mod pages;
mod parked;
pub mod plaintext;
mod receipts;
mod receive;
mod reread;
mod room;
mod shelf;
pub mod snapshot;
mod sources;
pub mod state;
mod unshown;
pub mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use automerge::{Automerge, AutomergeError};
use khlong_crdt::admission::{Admission, History, Rights, TimelineKind};
use khlong_crdt::id::{AuthorKey, EnvelopeId, MessageId, PrincipalKey, Seq, TimelineId};

use self::carriers::Carrier;
use self::content::Opened;
use self::epochs::Epochs;
use self::limits::Limits;
use self::message::Message;
use self::page::PageAddress;
use self::pages::Pages;
use self::pages::reading::ShownPage;
use self::parked::Parked;
use self::receipts::Receipts;
use self::snapshot::Kept;
use self::sources::Sources;
use self::state::State;
use crate::membership::secrets::TimelineSecrets;

/// One timeline as one member's device sees it.
///
/// Feed it every envelope of the timeline, its own included, by [`Self::receive`]
/// or, at start-up, by [`Self::reread`]. What it shows is a function of the set of
/// envelopes; waiting envelopes count as soon as what they wait for is there. Whenever
/// [`Self::must_reread`] says so, it has to be given all of them again.
#[derive(Debug)]
pub struct Timeline {
    timeline: TimelineId,
    secrets: TimelineSecrets,
    author: AuthorKey,
    principal: PrincipalKey,
    admission: Option<Admission>,
    epochs: Epochs,
    pages: Pages,
    receipts: Receipts,
    /// The newest auth-op of each author, of the first [`limits::AUTH_HEADS_MAX`] authors.
    auth_heads: BTreeMap<AuthorKey, (Seq, EnvelopeId)>,
    head: (Seq, EnvelopeId),
    sources: Sources,
    parked: Parked,
    opened: Opened,
    /// Authors whose handover, or whose key among too many, gave way to a lower one; at most
    /// [`limits::SUPERSEDED_AUTHORS_MAX`].
    superseded: BTreeSet<AuthorKey>,
    /// Something of a superseded author has counted.
    is_stale: bool,
    /// Something that was dropped may count by now.
    is_incomplete: bool,
    kept: Kept,
}

/// How far a message of mine has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which chain of mine holds it.
    pub author: AuthorKey,
    /// Its place there.
    pub seq: Seq,
    /// Members that have received it, by principal.
    pub delivered_to: Vec<PrincipalKey>,
    /// Members that were shown it, by principal.
    pub read_by: Vec<PrincipalKey>,
}

/// A member, by principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Who.
    pub principal: PrincipalKey,
    /// The name that the member gave itself.
    pub nickname: Option<String>,
    /// Whether the member said that it left.
    pub left: bool,
    /// What relays let the member do.
    pub rights: Rights,
    /// Whether it is the owner of this device.
    pub is_me: bool,
}

impl Timeline {
    /// A timeline of which nothing has been received.
    #[must_use]
    pub fn new(timeline: TimelineId, secrets: TimelineSecrets) -> Self {
        Self::with_limits(timeline, secrets, Limits::PRODUCTION)
    }

    /// With other page limits; all members of a timeline must use the same.
    #[must_use]
    pub fn with_limits(timeline: TimelineId, secrets: TimelineSecrets, limits: Limits) -> Self {
        Self {
            timeline,
            author: secrets.author.public(),
            principal: secrets.principal.public(),
            secrets,
            admission: None,
            epochs: Epochs::default(),
            pages: Pages::new(timeline, limits),
            receipts: Receipts::default(),
            auth_heads: BTreeMap::new(),
            head: (Seq(0), EnvelopeId::ZERO),
            sources: Sources::default(),
            parked: Parked::default(),
            opened: Opened::default(),
            superseded: BTreeSet::new(),
            is_stale: false,
            is_incomplete: false,
            kept: Kept::default(),
        }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> TimelineId {
        self.timeline
    }

    /// The keys with which this device takes part.
    #[must_use]
    pub const fn secrets(&self) -> &TimelineSecrets {
        &self.secrets
    }

    /// This device's author key.
    #[must_use]
    pub const fn author(&self) -> AuthorKey {
        self.author
    }

    /// This member's principal.
    #[must_use]
    pub const fn principal(&self) -> PrincipalKey {
        self.principal
    }

    /// Who may do what; None until the genesis is here.
    #[must_use]
    pub const fn admission(&self) -> Option<&Admission> {
        self.admission.as_ref()
    }

    /// What the timeline is for; None until the genesis is here.
    #[must_use]
    pub fn kind(&self) -> Option<TimelineKind> {
        self.admission.as_ref().map(Admission::kind)
    }

    /// What newcomers can read; None until the genesis is here.
    #[must_use]
    pub fn history(&self) -> Option<History> {
        self.admission.as_ref().map(Admission::history)
    }

    /// Whose device an author key is.
    #[must_use]
    pub fn principal_of(&self, author: &AuthorKey) -> Option<PrincipalKey> {
        self.admission.as_ref()?.principal_of(author)
    }

    /// The place of my next envelope.
    #[must_use]
    pub const fn next_seq(&self) -> Seq {
        self.head.0.next()
    }

    /// My newest envelope: place and id; (0, zero) before the first.
    #[must_use]
    pub const fn head(&self) -> (Seq, EnvelopeId) {
        self.head
    }

    /// Whether something can be written: I am admitted and have an epoch key.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.may_append(&self.author) && self.can_seal()
    }

    /// Whether another has taken the invite by which I came, or my principal has too many
    /// author keys: nothing that I write counts.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.superseded.contains(&self.author)
    }

    /// Whether receipts can be written: who may read may say what was read.
    #[must_use]
    pub fn can_acknowledge(&self) -> bool {
        self.may(&self.author, Rights::READ) && !self.is_superseded() && self.can_seal()
    }

    fn can_seal(&self) -> bool {
        !self.is_stale && self.epochs.current().is_some() && self.head.0 > Seq(0)
    }

    /// Envelopes that wait for an author, a key or a grant.
    #[must_use]
    pub fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// Messages that count, each once; deleted ones included.
    #[must_use]
    pub const fn message_count(&self) -> usize {
        self.pages.message_count()
    }

    /// Number of the documents that hold something.
    #[must_use]
    pub fn page_count(&self) -> usize {
        self.pages.page_count()
    }

    /// Messages at places `range` of the timeline, oldest first: `0` is the first
    /// message of the first page, `message_count() - 1` the newest.
    #[must_use]
    pub fn messages(&self, range: Range<usize>) -> Vec<Message> {
        self.pages
            .messages(range, &|author| self.principal_of(author))
    }

    /// Messages at places `range` of the timeline, by the device that wrote them.
    #[must_use]
    pub fn count_by_author(&self, range: Range<usize>) -> BTreeMap<AuthorKey, usize> {
        self.pages.count_by_author(range)
    }

    /// Unpacks the pages that hold these places, as far as there is room, so that reading
    /// there, now and later, need not.
    pub fn unpack(&mut self, range: Range<usize>) {
        self.pages.unpack(range);
    }

    /// The pages that show messages, in order: what changed on one tells its hash.
    pub fn shown_pages(&self) -> impl Iterator<Item = ShownPage> + '_ {
        self.pages.shown()
    }

    /// All messages that one page shows, oldest first.
    #[must_use]
    pub fn messages_on(&self, page: &PageAddress) -> Vec<Message> {
        self.pages
            .messages_on(page, &|author| self.principal_of(author))
    }

    /// One message; None if it is not here.
    #[must_use]
    pub fn message(&self, id: &MessageId) -> Option<Message> {
        self.pages.message(id, &|author| self.principal_of(author))
    }

    /// The messages whose id starts with `start` as text, in the order of their ids. However
    /// long the history is, only what starts so is looked at.
    pub fn messages_called<'t>(&'t self, start: &'t str) -> impl Iterator<Item = MessageId> + 't {
        self.pages.ids_from(start)
    }

    /// Title, roster, pins.
    #[must_use]
    pub fn state(&self) -> State {
        self.pages.state(&|author| self.principal_of(author))
    }

    /// What admins have said of relays, in that order.
    #[must_use]
    pub fn carriers(&self) -> Vec<Carrier> {
        self.pages
            .carriers(&|author| self.may(author, Rights::ADMIN))
    }

    /// Members, by principal: invites that nobody has used are none.
    #[must_use]
    pub fn members(&self) -> Vec<MemberView> {
        let Some(admission) = &self.admission else {
            return Vec::new();
        };
        let roster: BTreeMap<_, _> = self
            .state()
            .roster
            .into_iter()
            .map(|member| (member.principal, member))
            .collect();
        let with_author: BTreeSet<_> = admission
            .authors()
            .map(|(_, principal)| principal)
            .collect();
        let members = admission.principals().filter(|(principal, _)| {
            with_author.contains(principal) && !admission.is_one_use(principal)
        });
        members
            .map(|(principal, rights)| {
                let entry = roster.get(&principal);
                MemberView {
                    principal,
                    nickname: entry.and_then(|entry| entry.nickname.clone()),
                    left: entry.is_some_and(|entry| entry.left),
                    rights,
                    is_me: principal == self.principal,
                }
            })
            .collect()
    }

    /// Equal on members that hold the same changes (`DOCUMENT.md`, "State hash").
    #[must_use]
    pub fn state_hash(&self) -> [u8; 32] {
        self.pages.state_hash()
    }

    /// The documents, built in canonical order.
    ///
    /// # Errors
    /// Automerge's, which would be a bug: only checked changes are applied.
    pub fn documents(&self) -> Result<Vec<(PageAddress, Automerge)>, AutomergeError> {
        self.pages.documents()
    }

    /// Canonical bytes of all documents, equal on members that hold the same changes.
    ///
    /// # Errors
    /// See [`Self::documents`].
    pub fn canonical_saves(&self) -> Result<Vec<(PageAddress, Vec<u8>)>, AutomergeError> {
        self.pages.canonical_saves()
    }

    /// How far a message of mine has come; None for others' messages, and for mine
    /// beyond the newest [`limits::SOURCE_PAGES_MAX`] pages that hold one.
    #[must_use]
    pub fn delivery(&self, id: &MessageId) -> Option<Delivery> {
        let (author, seq) = self.sources.of(id)?;
        let (delivered_to, read_by) = self.receipts.who_has(&author, seq.get(), &self.principal);
        Some(Delivery {
            author,
            seq,
            delivered_to,
            read_by,
        })
    }

    /// The message that an envelope of this device holds; None as for [`Self::delivery`].
    #[must_use]
    pub fn message_in(&self, seq: Seq) -> Option<MessageId> {
        self.sources.message_in((self.author(), seq))
    }

    /// Whether others wrote, or I was shown, something that my receipts have not
    /// told. Receipts count for nothing here, so receipts never answer receipts.
    #[must_use]
    pub fn pending_receipt(&self) -> bool {
        self.receipts.is_owed(
            &self.principal,
            |author| self.is_mine(author),
            |author| self.pages.first_unshown(author),
        )
    }

    /// Notes that everything that shows was shown to a person; the next receipt says so.
    pub fn read_all(&mut self) {
        let pages = &self.pages;
        self.receipts.read_all(|author| pages.first_unshown(author));
    }

    /// Whether an author key is one of mine: this device's, or another's of the same principal.
    #[must_use]
    pub fn is_mine(&self, author: &AuthorKey) -> bool {
        *author == self.author || self.principal_of(author) == Some(self.principal)
    }

    fn may_append(&self, author: &AuthorKey) -> bool {
        self.may(author, Rights::APPEND)
    }

    /// By the grants alone: expiry and revocation are for relays until there is a
    /// membership log, because they would make the fold depend on order.
    fn may(&self, author: &AuthorKey, rights: Rights) -> bool {
        self.admission
            .as_ref()
            .is_some_and(|admission| admission.is_granted(author, rights))
    }
}
