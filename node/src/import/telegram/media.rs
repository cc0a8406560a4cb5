//! What stands for media. Part of import keys, so other words would be other messages.

use super::message::Message;

impl Message {
    /// The placeholder, if there is something that is no text.
    pub(super) fn media(&self) -> Option<String> {
        let (what, of) = match self.media_type.text() {
            Some("sticker") => ("sticker", self.sticker_emoji.text()),
            Some("voice_message") => ("voice message", None),
            Some("video_message") => ("video message", None),
            Some("video_file") => ("video", None),
            Some("animation") => ("animation", None),
            Some("audio_file") => ("audio", self.title.text().or(self.file_name.text())),
            Some(_) => ("media", None),
            None => self.untyped()?,
        };
        Some(match of {
            Some(of) => format!("[{what} {of}]"),
            None => format!("[{what}]"),
        })
    }

    /// What has no `media_type` is told by its other fields.
    fn untyped(&self) -> Option<(&'static str, Option<&str>)> {
        if self.photo.is_some() {
            Some(("photo", None))
        } else if let Some(poll) = &self.poll.0 {
            let question = Some(poll.question.0.as_str());
            Some(("poll", question.filter(|text| !text.is_empty())))
        } else if self.location_information.is_some() {
            Some(("location", self.place_name.text()))
        } else if self.contact_information.is_some() {
            Some(("contact", None))
        } else if let Some(game) = self.game_title.text() {
            Some(("game", Some(game)))
        } else if self.invoice_information.is_some() {
            Some(("invoice", None))
        } else if self.file.is_some() || self.file_name.text().is_some() {
            Some(("file", self.file_name.text()))
        } else {
            None
        }
    }
}
