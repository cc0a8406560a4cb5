//! Search over everything that a node has.
//!
//! | part | what |
//! |---|---|
//! | [`entry`] | what the index is told and asked; `fold`, `words`: what a text is found by |
//! | [`query`], [`snippet`] | what is looked for, and where it stands in a text |
//! | `plan` | what is to be indexed next |
//! | [`index`] | the files: `fields`, `ledger`, and `sealed`, which keeps them from strangers |
//! | `catch_up` | brings the index to where the node is, page by page |
//!
//! The index is a view in a folder beside the store, never the truth. It may be deleted at any
//! time; one that is damaged, or of another version, is thrown away and built anew. Where the disk
//! is full, or it has reached its limit, it stays behind, a search says so, and messages go on. It finds
//! messages; what is shown of them the node says, and what it no longer says is not shown.
//!
//! Why not a table of the store? Every commit would pay for the words of its messages, and a
//! mistake in taking texts apart would need a migration. Why not a cursor into the log of
//! arrivals? What a timeline shows follows from all its envelopes: an edit, a deletion or a
//! message that waited for a key changes old pages. A page's hash tells each of them.

mod catch_up;
pub mod entry;
mod fields;
mod fold;
pub mod index;
mod ledger;
mod plan;
pub mod query;
mod sealed;
pub mod snippet;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use khlong_crdt::id::MessageId;
use khlong_crdt::time::UnixMillis;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard};

use self::entry::{Filter, PageName};
use self::index::{INDEX_BYTES_MAX, Index, IndexError, Matches};
use self::query::Query;
use self::snippet::Snippet;
use crate::api::MessageView;
use crate::error::NodeError;
use crate::node::Node;

pub(crate) use self::catch_up::keep_up;

/// Folder of the index, in the node's folder.
pub const SEARCH_FOLDER: &str = "search";

/// Messages of one answer.
pub const FOUND_MAX: usize = 500;

/// What a person looks for.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Wanted {
    /// See [`Query::parse`].
    pub query: String,
    /// Only in this timeline.
    pub timeline: Option<String>,
    /// Only by this member or sender, by name or key.
    pub author: Option<String>,
    /// Only from then on, milliseconds since 1970, UTC, by the author's clock.
    pub since_ms: Option<i64>,
    /// Only before then, the same.
    pub before_ms: Option<i64>,
    /// At most so many, and at most [`FOUND_MAX`].
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Found {
    /// The newest first, by the author's clock.
    pub hits: Vec<Hit>,
    /// How many there are, shown or not.
    pub total: usize,
    /// Why the index had to be built anew, if it had.
    pub rebuilt: Option<String>,
    /// Why not everything that is here was looked through: there was no room for it in the index.
    #[serde(default)]
    pub behind: Option<String>,
}

/// A message that was found.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Hit {
    /// `msg_…`.
    pub id: String,
    /// `tl_…`.
    pub timeline: String,
    /// Title of the timeline.
    pub title: String,
    /// As in [`MessageView`].
    pub author: String,
    /// As in [`MessageView`].
    pub author_id: String,
    /// As in [`MessageView`].
    pub sent_at: String,
    /// How well it fits; comparable within one answer.
    pub score: f32,
    /// The part that shows why.
    pub snippet: Snippet,
}

/// The search of one node. Clones share one index.
#[derive(Clone)]
pub(crate) struct Search {
    folder: PathBuf,
    /// Its guard goes along to the thread that works, so that [`Self::close`] waits for it
    /// even when who asked does not.
    state: Arc<Mutex<State>>,
    /// It has reached its limit: nothing more is put into it before the next start, or before it
    /// is built anew.
    is_too_large: Arc<AtomicBool>,
}

#[derive(Default)]
enum State {
    #[default]
    Shut,
    Open(Box<Index>),
    /// For good: the folder's lock goes.
    Closed,
}

impl fmt::Debug for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Search({})", self.folder.display())
    }
}

/// The index for one piece of work.
struct Session {
    folder: PathBuf,
    state: OwnedMutexGuard<State>,
}

impl Search {
    pub(crate) fn new(home: &Path) -> Self {
        Self {
            folder: home.join(SEARCH_FOLDER),
            state: Arc::default(),
            is_too_large: Arc::default(),
        }
    }

    /// Finds what is there now. An index that is of no use is built anew, once.
    pub(crate) async fn find(&self, node: &Node, wanted: &Wanted) -> Result<Found, NodeError> {
        let query = Query::parse(&wanted.query)?;
        match self.try_find(node, wanted, &query).await {
            Err(NodeError::Search(IndexError::Broken(reason))) => {
                self.discard().await?;
                let found = self.try_find(node, wanted, &query).await?;
                Ok(Found {
                    rebuilt: Some(reason),
                    ..found
                })
            }
            found => found,
        }
    }

    async fn try_find(
        &self,
        node: &Node,
        wanted: &Wanted,
        query: &Query,
    ) -> Result<Found, NodeError> {
        let session = self.session(node).await?;
        let (session, behind) = match self.caught_up(node, session).await {
            // Messages go on, and so does what was indexed.
            Err(NodeError::Search(error @ (IndexError::Full | IndexError::TooLarge { .. }))) => {
                (self.session(node).await?, Some(error.to_string()))
            }
            caught_up => (caught_up?, None),
        };
        let (filter, sender) = filter(node, wanted).await?;
        let limit = wanted.limit.clamp(1, FOUND_MAX);
        let asked = query.clone();
        let author = wanted.author.clone().unwrap_or_default();
        let (session, matches) = session
            .work(move |index| {
                if let Some(sender) = sender
                    && !index.knows_author(&sender)?
                {
                    let reason = format!("nobody is called `{author}`; see `khlong timeline ls`");
                    return Err(NodeError::NotFound(reason));
                }
                Ok(index.find(&asked, &filter, limit)?)
            })
            .await?;
        drop(session);
        let found = shown(node, query, matches).await?;
        Ok(Found { behind, ..found })
    }

    /// Brings the index to where the node is.
    pub(crate) async fn catch_up(&self, node: &Node) -> Result<(), NodeError> {
        let session = self.session(node).await?;
        self.caught_up(node, session).await.map(drop)
    }

    async fn caught_up(&self, node: &Node, session: Session) -> Result<Session, NodeError> {
        if self.is_too_large.load(Ordering::Relaxed) {
            let limit = INDEX_BYTES_MAX;
            return Err(NodeError::Search(IndexError::TooLarge { limit }));
        }
        let caught_up = catch_up::catch_up(node, session).await;
        if let Err(NodeError::Search(IndexError::TooLarge { .. })) = caught_up {
            self.is_too_large.store(true, Ordering::Relaxed);
        }
        caught_up
    }

    pub(crate) async fn discard(&self) -> Result<(), NodeError> {
        let mut state = Arc::clone(&self.state).lock_owned().await;
        self.is_too_large.store(false, Ordering::Relaxed);
        if let State::Open(_) = &*state {
            *state = State::Shut;
        }
        match std::fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(NodeError::Search(IndexError::Folder(error)))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Waits for what is being written, and lets nobody write again.
    pub(crate) async fn close(&self) {
        *Arc::clone(&self.state).lock_owned().await = State::Closed;
    }

    async fn session(&self, node: &Node) -> Result<Session, NodeError> {
        let state = Arc::clone(&self.state).lock_owned().await;
        if matches!(*state, State::Closed) {
            return Err(NodeError::DaemonGone);
        }
        let key = node.look(|peer| peer.index_key()).await?;
        let mut session = Session {
            folder: self.folder.clone(),
            state,
        };
        if matches!(*session.state, State::Shut) {
            let work = move || {
                let index = Index::open(&session.folder, &key)?;
                *session.state = State::Open(Box::new(index));
                Ok(session)
            };
            session = blocking(work).await?;
        }
        Ok(session)
    }
}

impl Session {
    /// Works on a thread that may wait for the disk. After a failure the index is opened again.
    async fn work<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut Index) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<(Self, T), NodeError> {
        blocking(move || {
            // Taken out, so that who panics leaves none behind.
            let taken = std::mem::take(&mut *self.state);
            let State::Open(mut index) = taken else {
                return Err(NodeError::DaemonGone);
            };
            let done = work(&mut index)?;
            *self.state = State::Open(index);
            Ok((self, done))
        })
        .await
    }

    fn index(&self) -> Option<&Index> {
        match &*self.state {
            State::Open(index) => Some(index),
            State::Shut | State::Closed => None,
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        let reason = "reading it failed".to_owned();
        Err(NodeError::Search(IndexError::Broken(reason)))
    })
}

/// Which messages may be found; the second is a sender who must be known, as no member is meant.
async fn filter(node: &Node, wanted: &Wanted) -> Result<(Filter, Option<String>), NodeError> {
    let (timeline, author) = (wanted.timeline.clone(), wanted.author.clone());
    let looked = node.look(move |peer| {
        let timeline = timeline
            .map(|name| peer.searched_timeline(&name))
            .transpose();
        (timeline, author.map(|name| peer.searched_authors(&name)))
    });
    let (timeline, authors) = looked.await?;
    let sender = authors
        .as_ref()
        .filter(|authors| authors.members.is_empty() && !authors.may_be_hidden)
        .map(|authors| authors.sender.clone());
    let filter = Filter {
        timeline: timeline?,
        authors: authors.map(|authors| [authors.members, vec![authors.sender]].concat()),
        since: wanted.since_ms.map(UnixMillis),
        before: wanted.before_ms.map(UnixMillis),
    };
    Ok((filter, sender))
}

/// What the node says of the messages now. One that was changed meanwhile, so that it no longer
/// says what was looked for, or whose author was blocked meanwhile, is left out.
async fn shown(node: &Node, query: &Query, matches: Matches) -> Result<Found, NodeError> {
    let mut by_page: BTreeMap<PageName, Vec<MessageId>> = BTreeMap::new();
    for found in &matches.newest {
        by_page.entry(found.page).or_default().push(found.id);
    }
    let mut views: BTreeMap<MessageId, (String, MessageView)> = BTreeMap::new();
    for (page, ids) in by_page {
        let (title, messages) = node
            .look(move |peer| peer.searched_views(&page, &ids))
            .await?;
        views.extend(
            messages
                .into_iter()
                .map(|(id, view)| (id, (title.clone(), view))),
        );
    }
    let hit = |found: &index::Match| {
        let (title, view) = views.remove(&found.id)?;
        if view.blocked {
            return None;
        }
        let places = query.places_in(&view.body, matches.reading)?;
        Some(Hit {
            timeline: found.page.timeline.to_string(),
            title,
            snippet: Snippet::of(&view.body, &places),
            score: found.score,
            id: view.id,
            author: view.author,
            author_id: view.author_id,
            sent_at: view.sent_at,
        })
    };
    let hits: Vec<Hit> = matches.newest.iter().filter_map(hit).collect();
    let left_out = matches.newest.len() - hits.len();
    Ok(Found {
        hits,
        total: matches.total.saturating_sub(left_out),
        rebuilt: None,
        behind: None,
    })
}
