//! Nicknames of members as people see them: two that look alike can be told apart.

use std::collections::{BTreeMap, BTreeSet};

use khlong_crdt::id::PrincipalKey;
use khlong_document::timeline::Timeline;
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::skeleton;

/// Letters of a key shown where no nickname is known.
const KEY_LETTERS: usize = 12;

/// How the key behind a nickname begins.
const TELLING_START: &str = "(prn_";

/// Letters of a key behind a nickname that somebody else has too; prefix and 30 bits.
const TELLING_LETTERS: usize = 10;

/// Nicknames of a timeline's members, looked up once for many messages.
pub(super) struct Names(BTreeMap<PrincipalKey, String>);

impl Names {
    pub(super) fn of(timeline: &Timeline) -> Self {
        let members = timeline.members().into_iter();
        Self::new(members.map(|member| (member.principal, member.nickname)))
    }

    /// Everybody who chose a name that looks like another's gets the start of the key behind
    /// it, both of them: nobody knows which of two is the true one.
    fn new(members: impl Iterator<Item = (PrincipalKey, Option<String>)>) -> Self {
        let members: Vec<_> = members.collect();
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        for nickname in members.iter().filter_map(|(_, nickname)| nickname.as_ref()) {
            for look in looks(nickname) {
                *alike.entry(look).or_default() += 1;
            }
        }
        let name = |(principal, nickname): (PrincipalKey, Option<String>)| {
            let Some(nickname) = nickname else {
                return (principal, unnamed(principal));
            };
            let is_alike = |look: &String| alike.get(look).is_some_and(|many| *many > 1);
            // What looks like the name of somebody with a key behind it gets a key of its own.
            let is_shared =
                nickname.contains(TELLING_START) || looks(&nickname).iter().any(is_alike);
            let shown = if is_shared {
                let key: String = principal
                    .to_string()
                    .chars()
                    .take(TELLING_LETTERS)
                    .collect();
                format!("{nickname} ({key})")
            } else {
                nickname
            };
            (principal, shown)
        };
        Self(members.into_iter().map(name).collect())
    }

    pub(super) fn get(&self, principal: PrincipalKey) -> String {
        self.0
            .get(&principal)
            .cloned()
            .unwrap_or_else(|| unnamed(principal))
    }
}

fn unnamed(principal: PrincipalKey) -> String {
    short(&principal.to_string())
}

/// The start of a key.
pub(super) fn short(key: &str) -> String {
    key.chars().take(KEY_LETTERS).collect()
}

/// Equal for texts that a reader takes for one another: the skeleton of Unicode UTS #39 §4
/// of the compatibility form (NFKC), without what is not seen, blanks and the difference of case.
///
/// Two texts look alike if they share one of these: a capital I looks like a small l, and a
/// small i does not.
fn looks(nickname: &str) -> BTreeSet<String> {
    let seen: String = nickname
        .nfkc()
        .filter(|letter| !letter.is_whitespace() && !letter.is_control() && !is_ignorable(*letter))
        .collect();
    let bare = |text: &str| skeleton(text).flat_map(char::to_lowercase).collect();
    BTreeSet::from([bare(&seen), bare(&seen.to_lowercase())])
}

/// Unicode's `Default_Ignorable_Code_Point`.
pub(crate) const fn is_ignorable(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::looks;

    fn alike(one: &str, other: &str) -> bool {
        !looks(one).is_disjoint(&looks(other))
    }

    #[test]
    fn names_that_look_alike_are_equal() {
        // Case, blanks, what is not seen, full width, a superscript, Cyrillic; Thai in one letter or two.
        for other in [" Mali 2", "ma\u{200b}li2", "ｍａｌｉ２", "mali²", "mаli2"] {
            assert!(alike(other, "mali2"), "{other}");
        }
        assert!(alike("น\u{e33}", "น\u{e4d}\u{e32}"));
        assert!(alike("PauI", "Paul"), "a capital I");
    }

    #[test]
    fn other_names_are_not() {
        for other in ["mali", "mali3", "ton2", "มะลิ"] {
            assert!(!alike(other, "mali2"), "{other}");
        }
    }
}
