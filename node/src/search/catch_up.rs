//! Brings the index to where the node is: before a search, and in a daemon after what was written.
//!
//! The driver's thread is asked for one page at a time, so that nobody waits long for it, and the words
//! are taken apart elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use super::index::IndexError;
use super::{Session, plan};
use crate::api::Event;
use crate::error::{NodeError, described};
use crate::node::{Heard, Node};

/// Messages after which what was done is kept, should the process be killed.
const COMMIT_MESSAGES: usize = 10_000;

/// Between two rounds of a daemon: each writes files.
const PAUSE: Duration = Duration::from_secs(2);

/// The same where there is no room for the index; a search tries at once.
const PAUSE_WITHOUT_ROOM: Duration = Duration::from_secs(300);

/// Until the index holds what the node showed when this began.
pub(super) async fn catch_up(node: &Node, mut session: Session) -> Result<Session, NodeError> {
    let mut shown = BTreeMap::new();
    for timeline in node.look(|peer| peer.searched_timelines()).await? {
        shown.extend(node.look(move |peer| peer.searched_pages(timeline)).await?);
    }
    let known = session.index().ok_or(NodeError::DaemonGone)?.known();
    let due = plan::due(known, &shown);
    if due == plan::Due::default() {
        return Ok(session);
    }
    let forget = due.forget;
    (session, _) = session
        .work(move |index| Ok(forget.iter().try_for_each(|page| index.forget(page))?))
        .await?;
    let mut unkept = 0;
    for (page, mark) in due.read {
        // What is newer than the mark is compared again next time.
        let entries = node.look(move |peer| peer.searched_entries(&page)).await?;
        let written;
        (session, written) = session
            .work(move |index| {
                let written = unkept + index.put(page, mark, &entries)?;
                if written < COMMIT_MESSAGES {
                    return Ok(written);
                }
                index.commit()?;
                Ok(0)
            })
            .await?;
        unkept = written;
    }
    let (session, ()) = session
        .work(|index| {
            index.commit()?;
            Ok(index.rest()?)
        })
        .await?;
    Ok(session)
}

/// Catches up whenever something may have changed, until the node stops.
pub(crate) async fn keep_up(node: Node) {
    let mut was_discarded = false;
    loop {
        // What happens from here on belongs to the next round.
        let mut events = node.subscribe();
        match node.catch_up_search().await {
            Ok(()) => was_discarded = false,
            Err(NodeError::DaemonGone) => return,
            Err(NodeError::Search(IndexError::Broken(reason))) if !was_discarded => {
                was_discarded = true;
                tracing::warn!(%reason, "the search index is of no use and is built anew");
                if let Err(error) = node.discard_search().await {
                    tracing::warn!(error = %described(&error), "it cannot be removed");
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(error = %described(&error), "the search index is behind");
                // It does not get smaller by itself.
                if let NodeError::Search(IndexError::TooLarge { .. }) = error {
                    return;
                }
                // Each attempt writes until there is no room again.
                if let NodeError::Search(IndexError::Full) = error {
                    tokio::time::sleep(PAUSE_WITHOUT_ROOM).await;
                }
            }
        }
        loop {
            match events.next().await {
                None => return,
                Some(Heard::Event(
                    Event::Relay { .. } | Event::Delivery { .. } | Event::Fork { .. },
                )) => {}
                Some(Heard::Event(_) | Heard::Missed(_)) => break,
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
