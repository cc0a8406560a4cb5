//! Envelopes as a device makes them, sealed before the clock starts.

use khlong_crdt::admission::{History, TimelineKind};
use khlong_crdt::envelope::VerifiedEnvelope;
use khlong_crdt::time::UnixMillis;
use khlong_document::membership::opening::open_timeline;
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::timeline::Timeline;
use khlong_document::timeline::draft::Draft;
use rand_core::CryptoRng;

use crate::processes::Failure;

/// About a hundred characters of chat.
const TEXTS: [&str; 4] = [
    "เรือออกจากท่าพรุ่งนี้หกโมงเช้านะ ใครจะไปตลาดน้ำมาเจอกันที่ศาลาริมคลองก่อนเวลาสักสิบห้านาที",
    "The boat leaves at six tomorrow; whoever comes to the floating market, be at the pier a quarter early.",
    "ร้านก๋วยเตี๋ยวหน้าวัดเปิดแล้ววันนี้ ป้าบอกว่ามีเส้นใหญ่เหลือไม่กี่ชาม รีบมาก่อนเที่ยงนะทุกคน",
    "Could somebody bring the spare battery and the long rope? We left both of them at the school yesterday.",
];
const BEGAN_MS: i64 = 1_795_000_000_000;

/// One writer's timeline, and what it will append.
pub(crate) struct Writer {
    pub(crate) secrets: TimelineSecrets,
    /// Genesis, introduction, first epoch.
    pub(crate) opening: Vec<VerifiedEnvelope>,
    pub(crate) envelopes: Vec<VerifiedEnvelope>,
}

/// A new timeline with `count` envelopes of `messages` messages each.
pub(crate) fn writer(
    count: usize,
    messages: usize,
    random: &mut dyn CryptoRng,
) -> Result<Writer, Failure> {
    let opened = open_timeline(TimelineKind::Group, History::Full, random);
    let mut timeline = Timeline::new(opened.timeline, opened.secrets.clone());
    timeline.receive_all(opened.envelopes.iter().cloned());
    let mut envelopes = Vec::with_capacity(count);
    for number in 0..count {
        let now = UnixMillis(BEGAN_MS + 1_000 * number as i64);
        let texts = TEXTS.iter().cycle().skip(number).take(messages);
        let drafts: Vec<Draft> = texts
            .map(|body| Draft::Message {
                body: (*body).to_owned(),
                reply_to: None,
                attachments: Vec::new(),
                origin: None,
                import_key: None,
                sent_at: now,
            })
            .collect();
        envelopes.push(timeline.write(&drafts, now, random)?);
    }
    Ok(Writer {
        secrets: opened.secrets,
        opening: opened.envelopes,
        envelopes,
    })
}
