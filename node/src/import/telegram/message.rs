//! One entry of `messages`: who, when, in answer to what, and the text.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

use super::super::SkipReason;
use super::ignoring::{Object, Scalar};
use super::text::Text;

/// Service messages of people who come and go.
const JOIN_OR_PART: [&str; 4] = [
    "invite_members",
    "remove_members",
    "join_group_by_link",
    "join_group_by_request",
];

/// The fields that count, under Telegram's names.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    id: Scalar,
    #[serde(rename = "type")]
    kind: Scalar,
    action: Scalar,
    date: Scalar,
    date_unixtime: Scalar,
    from: Scalar,
    from_id: Scalar,
    text: Text,
    text_entities: Text,
    reply_to_message_id: Scalar,
    /// The answered message is in another chat.
    reply_to_peer_id: Scalar,
    forwarded_from: Told,
    pub(super) media_type: Scalar,
    pub(super) file: Option<IgnoredAny>,
    pub(super) file_name: Scalar,
    pub(super) photo: Option<IgnoredAny>,
    pub(super) sticker_emoji: Scalar,
    pub(super) title: Scalar,
    pub(super) poll: Object<Poll>,
    pub(super) location_information: Option<IgnoredAny>,
    pub(super) place_name: Scalar,
    pub(super) contact_information: Option<IgnoredAny>,
    pub(super) game_title: Scalar,
    pub(super) invoice_information: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Poll {
    pub(super) question: Text,
}

/// A field that says something by being there, also as `null`.
#[derive(Debug, Default)]
struct Told(Option<Scalar>);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        Scalar::deserialize(json).map(|scalar| Self(Some(scalar)))
    }
}

impl Message {
    /// By a person.
    pub(super) fn is_written(&self) -> bool {
        self.kind.text() == Some("message")
    }

    /// Why it is no message, if it is none by its type.
    pub(super) fn skipped(&self) -> Option<SkipReason> {
        match self.kind.text() {
            Some("message") => None,
            Some("service") => {
                let action = self.action.text().unwrap_or_default();
                Some(if JOIN_OR_PART.contains(&action) {
                    SkipReason::JoinOrPart
                } else {
                    SkipReason::SystemLine
                })
            }
            Some(_) | None => Some(SkipReason::Unrecognized),
        }
    }

    /// Which entry it is, for the list of skipped ones.
    pub(super) fn outline(&self) -> String {
        let number = self.id.text().unwrap_or("?");
        let kind = self.action.text().or(self.kind.text());
        format!("message {number}: {}", kind.unwrap_or("no type"))
    }

    pub(super) fn number(&self) -> Option<i64> {
        self.id.text()?.parse().ok()
    }

    /// The message of this chat that it answers.
    pub(super) fn answers(&self) -> Option<i64> {
        if self.reply_to_peer_id.text().is_some() {
            return None;
        }
        self.reply_to_message_id.text()?.parse().ok()
    }

    /// Deleted accounts have no name left, only their number.
    pub(super) fn sender(&self) -> &str {
        self.from.text().or(self.from_id.text()).unwrap_or_default()
    }

    /// The same for everybody who exports the chat.
    pub(super) fn known_as(&self) -> &str {
        self.from_id.text().or(self.from.text()).unwrap_or_default()
    }

    /// `zone` is for exports that tell only the local time.
    pub(super) fn sent_at_ms(&self, zone: Offset) -> Result<i64, SkipReason> {
        let since_1970 = self.date_unixtime.text().and_then(|text| {
            let seconds = text.parse().ok()?;
            Timestamp::from_second(seconds).ok()
        });
        let timestamp = match (since_1970, self.date.text(), self.date_unixtime.text()) {
            (Some(timestamp), _, _) => Some(timestamp),
            (None, Some(date), _) => {
                let local = date.parse::<DateTime>().ok();
                local.and_then(|local| zone.to_timestamp(local).ok())
            }
            (None, None, Some(_)) => None,
            (None, None, None) => return Err(SkipReason::NoDate),
        };
        timestamp
            .map(Timestamp::as_millisecond)
            .ok_or(SkipReason::BadTimestamp)
    }

    /// Whose words it is, what cannot be shown, and the text.
    pub(super) fn body(&self) -> String {
        let forwarded = self
            .forwarded_from
            .0
            .as_ref()
            .map(|from| match from.text() {
                Some(name) => format!("[forwarded from {name}]"),
                None => "[forwarded]".to_owned(),
            });
        let text = if self.text.0.is_empty() {
            &self.text_entities.0
        } else {
            &self.text.0
        };
        let media = self.media();
        // A forwarded nothing is nothing.
        if media.is_none() && text.trim().is_empty() {
            return String::new();
        }
        let parts = [forwarded.as_deref(), media.as_deref(), Some(text.as_str())];
        let said: Vec<&str> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        said.join(" ")
    }
}
