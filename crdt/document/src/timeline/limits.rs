//! Budgets of documents, with their arithmetic (`DOCUMENT.md`, "Budgets").

/// Bytes of the text of one message.
pub const MESSAGE_BODY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of one value of an entry, whatever it means: unknown keys included.
pub const VALUE_BYTES_MAX: usize = MESSAGE_BODY_BYTES_MAX;
/// Bytes of a key of an entry.
pub const KEY_BYTES_MAX: usize = 32;
/// Keys of one entry.
pub const KEYS_PER_ENTRY_MAX: usize = 32;
/// Bytes of a reaction: one emoji with its joiners and modifiers.
pub const EMOJI_BYTES_MAX: usize = 32;
/// Bytes of a nickname.
pub const NICKNAME_BYTES_MAX: usize = 64;
/// Bytes of a title.
pub const TITLE_BYTES_MAX: usize = 256;
/// Bytes of a relay's address: scheme, key, the longest host in brackets, port, and what joins them.
pub const RELAY_BYTES_MAX: usize = 9 + 56 + 1 + khlong_crdt::address::HOST_BYTES_MAX + 2 + 6;
/// Relays of which it is remembered what was said, those that were taken away included.
pub const CARRIERS_MAX: usize = 64;
/// Bytes of the name of a foreign network or of a sender there.
pub const ORIGIN_BYTES_MAX: usize = 256;
/// Media roots that one message shows.
pub const ATTACHMENTS_MAX: usize = 8;

/// Bytes of one raw Automerge change.
pub const CHANGE_BYTES_MAX: usize = 256 * 1024;
/// Operations of one change; also bounds what a run-length can unfold to.
pub const CHANGE_OPS_MAX: usize = 16 * 1024;
/// Changes that one change depends on.
pub const CHANGE_DEPS_MAX: usize = 1_024;
/// Actors that one change names.
pub const CHANGE_ACTORS_MAX: usize = 1_024;
/// Operation counters end here, far below the u32 that Automerge can hold.
pub const OP_COUNTER_MAX: u64 = 1 << 30;

/// Sections of one plaintext: pages touched by one envelope.
pub const SECTIONS_MAX: usize = 64;
/// Changes of one section.
pub const CHANGES_PER_SECTION_MAX: usize = 1_024;
/// Messages that one plaintext holds in the compact form: at three operations each no more
/// than one change has.
pub const COMPACT_MESSAGES_MAX: usize = CHANGE_OPS_MAX / 3;
/// Auth heads cited by one plaintext.
pub const AUTH_HEADS_MAX: usize = 32;
/// Authors named by one half of a receipt.
pub const RECEIPT_HEIGHTS_MAX: usize = 1_024;

/// Drafts of one envelope.
pub const DRAFTS_PER_ENVELOPE_MAX: usize = 512;
/// Operations of one draft: an entry and at most seven keys.
pub const DRAFT_OPS_MAX: usize = 8;
/// Bytes of text in the drafts of one envelope. The rest of a body is for
/// operations, ids and padding.
pub const DRAFT_BYTES_MAX: usize = 64 * 1024;

/// Number of the last page. Nothing but a hostile writer gets here.
pub const PAGE_NUMBER_MAX: u32 = 1 << 20;
/// What a change is taken to need in memory beyond its bytes, in bytes.
pub const CHANGE_MEMORY_BYTES: usize = 256;
/// What an operation is taken to need in memory, in bytes: an entry of one key is two
/// operations, and with its place in the page takes about 250.
pub const OPERATION_MEMORY_BYTES: usize = 128;
/// Memory of the changes of one page that wait for others, in bytes. Beyond, whoever
/// holds the most loses its last ones.
pub const PAGE_WAITING_MEMORY_MAX: usize = 8 * 1024 * 1024;
/// The same of changes for pages whose predecessor is not known yet.
pub const FAR_MEMORY_MAX: usize = 16 * 1024 * 1024;
/// Memory of changes that are read but not merged, in bytes: more of them are merged in parts.
pub const PENDING_MEMORY_MAX: usize = 32 * 1024 * 1024;
/// Bytes of the changes of one page that a snapshot holds: what counts (its soft limit is 1 MiB,
/// and each author's budget hard) with what waits. A larger page is read from its envelopes.
pub const PAGE_UNPACKED_BYTES_MAX: usize = 32 * 1024 * 1024;
const _: () = assert!(
    PAGE_UNPACKED_BYTES_MAX >= 2 * PAGE_WAITING_MEMORY_MAX && PAGE_UNPACKED_BYTES_MAX <= 1 << 31,
    "what waits and as much that counts is kept, and lengths have four bytes"
);
/// Pages held unpacked; the others are compressed bytes.
pub const OPEN_PAGES_MAX: usize = 4;
/// Envelopes that wait for a key or an author.
pub const PARKED_ENVELOPES_MAX: usize = 16 * 1024;
/// Bytes of the same.
pub const PARKED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Distinct needs remembered of envelopes for which there was no room; beyond, every
/// auth-op and key-op that counts has the timeline read again.
pub const DROPPED_NEEDS_MAX: usize = 1_024;
/// Authors remembered that gave way to a lower handover or a lower key. The envelopes of others wait among the parked, for nothing.
pub const SUPERSEDED_AUTHORS_MAX: usize = 1_024;
/// Runs of one author's chain remembered beyond holes.
pub const CHAIN_RUNS_MAX: usize = 256;
/// Runs of all chains together.
pub const TIMELINE_RUNS_MAX: usize = 64 * CHAIN_RUNS_MAX;
/// Heights kept of one receipt's principal about authors that are not known here yet.
pub const UNKNOWN_HEIGHTS_MAX: usize = 64;
/// Pages of which it is known which envelope holds a message of mine, the newest ones.
pub const SOURCE_PAGES_MAX: usize = 32;
/// Epochs kept; far more than removals in the life of a timeline.
pub const EPOCHS_MAX: usize = 16 * 1024;
/// Sections opened before a merge: big batches, bounded memory.
pub const OPENED_SECTIONS_MAX: usize = 4_096;
/// Bytes of the same, packed as they came. Unpacked they take more, so they are read in
/// parts of [`PENDING_MEMORY_MAX`].
pub const OPENED_BYTES_MAX: usize = 16 * 1024 * 1024;

const _: () = assert!(
    VALUE_BYTES_MAX < CHANGE_BYTES_MAX,
    "a message fits a change"
);
const _: () = assert!(
    DRAFT_BYTES_MAX >= MESSAGE_BODY_BYTES_MAX,
    "a message fits an envelope"
);
// Text, then per draft at most seven operations with their columns and a reply's id.
const _: () =
    assert!(DRAFT_BYTES_MAX + DRAFTS_PER_ENVELOPE_MAX * 160 < crate::seal::PACKED_BYTES_MAX);
const _: () = assert!(DRAFTS_PER_ENVELOPE_MAX * DRAFT_OPS_MAX < CHANGE_OPS_MAX);
const _: () = assert!(DRAFTS_PER_ENVELOPE_MAX < COMPACT_MESSAGES_MAX);
/// The largest change there is.
const CHANGE_MEMORY_MAX: usize =
    CHANGE_MEMORY_BYTES + CHANGE_BYTES_MAX + OPERATION_MEMORY_BYTES * CHANGE_OPS_MAX;
const _: () = assert!(
    3 * CHANGE_MEMORY_MAX <= PAGE_WAITING_MEMORY_MAX
        && PAGE_WAITING_MEMORY_MAX <= FAR_MEMORY_MAX
        && FAR_MEMORY_MAX <= PENDING_MEMORY_MAX,
    "several of the largest changes wait, and what waited is read at once"
);
const _: () = assert!(EMOJI_BYTES_MAX < VALUE_BYTES_MAX && TITLE_BYTES_MAX < VALUE_BYTES_MAX);
const _: () = assert!(RECEIPT_HEIGHTS_MAX * 2 * 40 < crate::seal::PACKED_BYTES_MAX);
const _: () = assert!(CHANGE_OPS_MAX as u64 * 1_024 < OP_COUNTER_MAX);
const _: () = assert!(
    PARKED_BYTES_MAX >= 16 * khlong_crdt::limits::ENVELOPE_BYTES_MAX
        && PARKED_ENVELOPES_MAX * khlong_crdt::limits::HEADER_BYTES_MAX <= PARKED_BYTES_MAX,
    "many large envelopes can wait, and neither bound makes the other one idle"
);
const _: () = assert!(
    DROPPED_NEEDS_MAX + SUPERSEDED_AUTHORS_MAX <= PARKED_ENVELOPES_MAX,
    "what is remembered of the absent is less than what may be present"
);
/// Changes of one author that were opened, do not count yet, and are known with their places.
/// Behind one more nothing of that author is acknowledged until the timeline is read again.
pub const UNSHOWN_CHANGES_MAX: usize = 256;

const _: () = assert!(
    UNSHOWN_CHANGES_MAX <= CHAIN_RUNS_MAX,
    "what is known not to show is no more than what is known to be missing"
);
const _: () = assert!(
    CHAIN_RUNS_MAX < TIMELINE_RUNS_MAX,
    "one author cannot use up all runs"
);
const _: () = assert!(
    UNKNOWN_HEIGHTS_MAX >= 4 * khlong_crdt::limits::AUTHORS_PER_PRINCIPAL_MAX,
    "heights about my own devices fit before these are known"
);
// Two heights of 56 bytes a principal and author, all tables full: 56 MiB.
const _: () = assert!(
    khlong_crdt::limits::PRINCIPALS_MAX
        * 2
        * (UNKNOWN_HEIGHTS_MAX + khlong_crdt::limits::AUTHORS_PER_PRINCIPAL_MAX)
        * 56
        <= 64 * 1024 * 1024
);
// A message of mine: id, author, place, with what a map takes around it.
const _: () =
    assert!(SOURCE_PAGES_MAX * Limits::PRODUCTION.page_author_messages * 96 <= 4 * 1024 * 1024);
const _: () = assert!(
    OPENED_BYTES_MAX <= PARKED_BYTES_MAX && OPENED_SECTIONS_MAX <= PARKED_ENVELOPES_MAX,
    "parked envelopes are opened in parts"
);

/// When pages turn and how much one author may put into one. All members must
/// use the same numbers: the hard budgets decide which changes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// New messages go to the next page once this one holds so many. Soft.
    pub page_messages: usize,
    /// Or so many bytes of raw changes. Soft.
    pub page_bytes: usize,
    /// Hard: bytes of raw changes of one author in one page.
    pub page_author_bytes: usize,
    /// Hard: messages of one author in one page.
    pub page_author_messages: usize,
    /// Hard: operations of one author in one page. Soft at half of it: there the author
    /// turns the page, so that budget is left for edits and reactions.
    pub page_author_ops: usize,
    /// Soft: an author turns the page when its new messages reach this many
    /// bytes, so that budget is left for edits and reactions.
    pub page_author_turn_bytes: usize,
    /// [`PAGE_WAITING_MEMORY_MAX`]. Each replica's own: it decides what is read again, not
    /// what counts.
    pub page_waiting_memory: usize,
    /// [`PAGE_UNPACKED_BYTES_MAX`], or less. Each replica's own, likewise.
    pub page_unpacked_bytes: usize,
}

impl Limits {
    /// What every replica uses; tests turn pages sooner.
    pub const PRODUCTION: Self = Self {
        page_messages: 1_000,
        page_bytes: 1024 * 1024,
        page_author_bytes: 256 * 1024,
        page_author_messages: 1_000,
        page_author_ops: 16 * 1024,
        page_author_turn_bytes: 128 * 1024,
        page_waiting_memory: PAGE_WAITING_MEMORY_MAX,
        page_unpacked_bytes: PAGE_UNPACKED_BYTES_MAX,
    };
}

const _: () = assert!(
    Limits::PRODUCTION.page_author_turn_bytes + DRAFT_BYTES_MAX
        <= Limits::PRODUCTION.page_author_bytes,
    "an author that turns the page in time never meets the hard budget with one envelope"
);
const _: () = assert!(Limits::PRODUCTION.page_author_messages >= Limits::PRODUCTION.page_messages);
const _: () = assert!(Limits::PRODUCTION.page_author_bytes <= CHANGE_BYTES_MAX);
const _: () = assert!(
    Limits::PRODUCTION.page_author_ops / 2 + DRAFTS_PER_ENVELOPE_MAX * DRAFT_OPS_MAX
        <= Limits::PRODUCTION.page_author_ops,
    "nor the budget of operations"
);
const _: () = assert!(
    Limits::PRODUCTION.page_author_messages * DRAFT_OPS_MAX
        <= Limits::PRODUCTION.page_author_ops / 2,
    "a page full of the longest messages of one author is not turned for its operations"
);

impl Default for Limits {
    fn default() -> Self {
        Self::PRODUCTION
    }
}
