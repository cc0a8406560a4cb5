//! A place in a chain in which a test seals what it likes, and what readers make of that.

use khlong_crdt::admission::History;
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::id::AuthorKey;
use khlong_document::timeline::entry::ChangeRefusal;
use khlong_document::timeline::event::{Refused, TimelineEvent};
use khlong_document::timeline::limits::Limits;
use khlong_document::timeline::plaintext::PlaintextError;

use super::*;

/// A group, and an honest envelope of Mali in whose place something else is sealed.
pub(crate) struct Place {
    pub(crate) group: Group,
    pub(crate) honest: VerifiedEnvelope,
    pub(crate) author: AuthorKey,
    /// On what the honest change rests: the genesis of its page.
    pub(crate) genesis: [u8; 32],
}

/// What became of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Refused as a whole.
    Plaintext(PlaintextError),
    /// Its change is refused.
    Change(ChangeRefusal),
    Shown(usize),
}

pub(crate) const HEAD: &[u8] = &[0];
pub(crate) const FIRST_OP: u64 = 6;

impl Place {
    pub(crate) fn new() -> Self {
        let mut group = Group::new(Limits::PRODUCTION, History::Full);
        let honest = group.write(0, &[say("ok")]);
        let change = raw_changes(&group.members[0]).remove(0);
        let genesis = automerge::Change::try_from(&change[..]).unwrap().deps()[0].0;
        Self {
            author: honest.author(),
            group,
            honest,
            genesis,
        }
    }

    /// What two readers make of it, who then take what other members and the same say.
    pub(crate) fn outcome(&self, plaintext: &[u8]) -> Outcome {
        let sealed = self.group.seal(0, &self.honest, plaintext);
        let mut readers = [self.group.copy_of(1), self.group.copy_of(2)];
        let [events, again] = readers.each_mut().map(|reader| reader.receive(&sealed));
        assert_eq!(events, again);
        assert_eq!(readers[0].state_hash(), readers[1].state_hash());
        assert_eq!(readers[0].parked_count(), 0);
        let shown = readers[0].message_count();
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "what else happened is not asked for"
        )]
        let refused = |event: &TimelineEvent| match event {
            TimelineEvent::Refused {
                reason: Refused::Plaintext(error),
                ..
            } => Some(Outcome::Plaintext(*error)),
            TimelineEvent::ChangeRefused { refusal, .. } => Some(Outcome::Change(*refusal)),
            _ => None,
        };
        let refused = events.iter().find_map(refused);
        if let Some(refused) = &refused {
            assert_eq!(shown, 0);
            let written = readers[1].write(&[say("ต่อไป")], NOW, &mut self.group.rng.clone());
            readers[0].receive_all([written.unwrap(), self.honest.clone()]);
            // Others go on, and the author too unless a change of its own took the place.
            let least = if matches!(refused, Outcome::Change(_)) {
                1
            } else {
                2
            };
            assert!(readers[0].message_count() >= least);
        }
        refused.unwrap_or(Outcome::Shown(shown))
    }

    /// One change of one message, its parts as given, and the change that it stands for.
    pub(crate) fn one(&self, seq: u64, start_op: u64, dependencies: &[[u8; 32]]) -> Vec<u8> {
        let said = [("x", NOW.0, None)];
        let raw = hand_made(&self.author, seq, start_op, dependencies, None, &said);
        let change = change(seq, start_op, dependencies, HEAD, &[message(0, None)]);
        plaintext(&[section(0, 0, &[change])], &texts(&["x"]), &[raw])
    }

    /// The honest one with other bytes for its section, and a tail; nothing is rebuilt.
    pub(crate) fn broken(&self, sections: &[Vec<u8>], tail: &[u8]) -> Outcome {
        self.outcome(&plaintext(sections, tail, &[]))
    }
}
