//! What a person does not want to see or hear: muted timelines, blocked members. All of it
//! stays on this node.

use khlong_crdt::id::{PrincipalKey, TimelineId};
use khlong_crdt::time::Now;
use khlong_document::timeline::Timeline;
use khlong_store::tables::blocked::{self, Blocked};

use crate::api::{BlockedView, Response};
use crate::error::NodeError;
use crate::peer::Peer;
use crate::peer::blocks::BLOCKED_MAX;
use crate::peer::find::ID_LETTERS_MIN;
use crate::peer::names::Names;
use crate::peer::views::rfc3339;

/// Members that are told of when a name is not enough.
const CALLED_MAX: usize = 8;

/// A member of one timeline, as a person may name it.
struct Called {
    timeline: TimelineId,
    principal: PrincipalKey,
    is_me: bool,
}

impl Peer {
    pub(super) fn timeline_mute(
        &mut self,
        timeline: &str,
        muted: bool,
    ) -> Result<Response, NodeError> {
        let id = self.resolve(timeline)?;
        if let Some(entry) = self.book.timelines.get_mut(&id.to_string())
            && entry.muted != muted
        {
            entry.muted = muted;
            self.save_book()?;
        }
        Ok(Response::Timeline {
            timeline: self.timeline_view(id),
        })
    }

    pub(super) fn block(
        &mut self,
        now: Now,
        author: &str,
        timeline: Option<&str>,
    ) -> Result<Response, NodeError> {
        let called = self.called(author, timeline)?;
        let others: Vec<Called> = called.into_iter().filter(|member| !member.is_me).collect();
        if others.is_empty() {
            return Err(NodeError::Usage(
                "that is you; nobody blocks themselves".to_owned(),
            ));
        }
        let member = self.only_one(author, others)?;
        if self.blocks.contains(member.timeline, member.principal) {
            return Ok(self.blocked_list());
        }
        if self.blocks.is_full() {
            return Err(NodeError::Usage(format!(
                "at most {BLOCKED_MAX} members can be blocked; `khlong unblock` one first"
            )));
        }
        let row = Blocked {
            timeline: member.timeline,
            principal: member.principal,
            at: now.wall,
        };
        self.with_batch(|batch| blocked::put(batch, &row))?;
        self.blocks.insert(&row);
        Ok(self.blocked_list())
    }

    pub(super) fn unblock(
        &mut self,
        author: &str,
        timeline: Option<&str>,
    ) -> Result<Response, NodeError> {
        let called = self.called(author, timeline)?;
        let is_blocked = |member: &Called| self.blocks.contains(member.timeline, member.principal);
        let called: Vec<Called> = called.into_iter().filter(is_blocked).collect();
        if called.is_empty() {
            return Err(NodeError::NotFound(format!(
                "nobody called `{author}` is blocked; see `khlong blocked`"
            )));
        }
        let member = self.only_one(author, called)?;
        let (timeline, principal) = (member.timeline, member.principal);
        self.with_batch(|batch| blocked::remove(batch, &timeline, &principal))?;
        self.blocks.remove(timeline, principal);
        Ok(self.blocked_list())
    }

    pub(super) fn blocked_list(&self) -> Response {
        let view = |row: Blocked| {
            let open = self.timelines.get(&row.timeline);
            BlockedView {
                author_id: row.principal.to_string(),
                author: open.map_or_else(String::new, |open| Names::of(open).get(row.principal)),
                timeline: row.timeline.to_string(),
                title: self.title(&row.timeline),
                since: rfc3339(row.at.0),
            }
        };
        Response::Blocked {
            members: self.blocks.all().map(view).collect(),
        }
    }

    fn title(&self, id: &TimelineId) -> String {
        let open = self.timelines.get(id);
        open.and_then(|open| open.state().title).unwrap_or_default()
    }

    /// Members by key, by the start of it, or by name; in one timeline or in all.
    fn called(&self, name: &str, timeline: Option<&str>) -> Result<Vec<Called>, NodeError> {
        let only = timeline
            .map(|timeline| self.resolve(timeline))
            .transpose()?;
        let open = self.timelines.iter();
        let meant = open.filter(|(id, _)| only.is_none_or(|only| **id == only));
        let called: Vec<Called> = meant
            .flat_map(|(id, open)| called_in(*id, open, name))
            .collect();
        if called.is_empty() {
            return Err(NodeError::NotFound(format!(
                "no member is called `{name}`; `khlong log --json` tells author and author_id of each message"
            )));
        }
        Ok(called)
    }

    /// Two members of one name are two people, for all that anybody can tell.
    fn only_one(&self, name: &str, called: Vec<Called>) -> Result<Called, NodeError> {
        let count = called.len();
        let each = |member: &Called| {
            let title = self.title(&member.timeline);
            format!("{} in {title}", member.principal)
        };
        let told: Vec<String> = called.iter().take(CALLED_MAX).map(each).collect();
        let one = called.into_iter().next().filter(|_| count == 1);
        one.ok_or_else(|| {
            NodeError::NotFound(format!(
                "{count} members are called `{name}`: {}; give the key of one, or --timeline",
                told.join(", ")
            ))
        })
    }
}

fn called_in(timeline: TimelineId, open: &Timeline, name: &str) -> Vec<Called> {
    let names = Names::of(open);
    let members = open.members().into_iter();
    let is_called = |principal: PrincipalKey, nickname: Option<&str>| {
        let key = principal.to_string();
        key == name
            || (name.len() >= ID_LETTERS_MIN && key.starts_with(name))
            || names.get(principal) == name
            || nickname == Some(name)
    };
    members
        .filter(|member| is_called(member.principal, member.nickname.as_deref()))
        .map(|member| Called {
            timeline,
            principal: member.principal,
            is_me: member.is_me,
        })
        .collect()
}
