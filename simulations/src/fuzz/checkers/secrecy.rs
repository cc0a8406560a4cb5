//! No text and no key where a relay sees it: on its disk, on its wires, in its log.
//!
//! A relay's memory is filled from its disk and its wires, and from nothing else, so what
//! is in neither of them is not in its memory.
//!
//! Three searches, since text can hide: the canary that stands in every message, as it is;
//! every key of every device, as bytes and as people print bytes; and whether a sealed body
//! can be compressed, which no ciphertext can, however the text under it was packed.

use khlong_crdt::envelope::{Kind, VerifiedEnvelope};
use khlong_document::membership::secrets::TimelineSecrets;
use khlong_document::seal::open_key_op;
use khlong_store::error::StoreError;
use khlong_store::store::Store;

use super::{Findings, each_envelope};
use crate::plan::Entity;

const NAME: &str = "secrets";

/// In every message's text: nobody but members may ever see it.
pub const CANARY: &str = "CANARY-นกขมิ้น-7f3a";
/// In the bytes of [`TimelineSecrets`]: behind the version and the timeline.
const KEYS_AT: usize = 1 + 32;
/// Behind three keys and the flag.
const INVITE_AT: usize = KEYS_AT + 3 * 32 + 1;
/// Of a level that finds text in a hundred bytes, and is fast.
const ZSTD_LEVEL: i32 = 3;

/// What may be nowhere, found in one pass over the bytes.
#[derive(Debug)]
pub struct Secrets {
    needles: Vec<(String, Vec<u8>)>,
    /// Which two bytes begin a needle.
    beginnings: Vec<bool>,
}

impl Default for Secrets {
    fn default() -> Self {
        let mut secrets = Self {
            needles: Vec::new(),
            beginnings: vec![false; 1 << 16],
        };
        secrets.add("the canary", CANARY.as_bytes());
        secrets
    }
}

impl Secrets {
    /// A key of 32 bytes, in the forms in which it could leak.
    pub fn add_key(&mut self, what: &str, key: &[u8; 32]) {
        if self.needles.iter().any(|(_, needle)| needle == key) {
            return;
        }
        self.add(what, key);
        self.add(what, data_encoding::HEXLOWER.encode(key).as_bytes());
        self.add(what, data_encoding::HEXUPPER.encode(key).as_bytes());
        let printed = format!("{key:?}");
        self.add(what, printed.trim_matches(['[', ']']).as_bytes());
    }

    /// The keys of a member in a timeline, and those that its key-ops give it.
    pub fn add_member(
        &mut self,
        secrets: &TimelineSecrets,
        store: &Store,
    ) -> Result<(), StoreError> {
        // version ‖ timeline ‖ principal ‖ inbox ‖ author ‖ flag (‖ invite).
        let bytes = secrets.to_bytes();
        let names = ["a principal's", "an inbox's", "an author's"];
        let keys = bytes.get(KEYS_AT..).unwrap_or_default();
        for (what, key) in names.iter().zip(keys.as_chunks::<32>().0) {
            self.add_key(&format!("{what} key"), key);
        }
        if let Some(invite) = bytes.get(INVITE_AT..).and_then(<[u8]>::first_chunk) {
            self.add_key("an invite's key", invite);
        }
        let mut epochs = Vec::new();
        each_envelope(store, &mut |stored| {
            epochs.extend(epoch_key(secrets, &stored.envelope));
        })?;
        for epoch in epochs {
            self.add_key("an epoch's key", &epoch);
        }
        Ok(())
    }

    /// Which secret is in `bytes`.
    #[must_use]
    pub fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        bytes.windows(2).enumerate().find_map(|(place, window)| {
            let beginning = beginning(window)?;
            if !self.beginnings.get(beginning).is_some_and(|begins| *begins) {
                return None;
            }
            let rest = bytes.get(place..)?;
            let found = self
                .needles
                .iter()
                .find(|(_, needle)| rest.starts_with(needle));
            found.map(|(what, _)| what.as_str())
        })
    }

    fn add(&mut self, what: &str, needle: &[u8]) {
        if let Some(begins) = beginning(needle).and_then(|at| self.beginnings.get_mut(at)) {
            *begins = true;
        }
        self.needles.push((what.to_owned(), needle.to_vec()));
    }

    /// Nothing of it is in any row of a relay, and its sealed bodies look sealed.
    pub fn check_disk(&self, relay: Entity, store: &Store, findings: &mut Findings) {
        let mut bad = Vec::new();
        let searched = store.for_each_row(&mut |table, key, payload| {
            if let Some(what) = self.found_in(key).or_else(|| self.found_in(payload)) {
                bad.push(format!("{what} lies in table {table:?}"));
            }
            Ok(())
        });
        findings.read(searched);
        let looked = each_envelope(store, &mut |stored| {
            if !looks_sealed(&stored.envelope) {
                bad.push(format!("the body of {} can be read", stored.envelope.id()));
            }
        });
        findings.read(looked);
        for what in bad {
            findings.violated(NAME, format_args!("on relay {}, {what}", relay.0));
        }
    }

    /// Nothing of it is in a frame.
    pub fn check_frame(&self, from: Entity, to: Entity, bytes: &[u8], findings: &mut Findings) {
        findings.happened("frames searched");
        if let Some(what) = self.found_in(bytes) {
            findings.violated(
                NAME,
                format_args!("a frame from machine {} to {} holds {what}", from.0, to.0),
            );
        }
    }

    /// Nothing of it is in what the programs log.
    pub fn check_log(&self, bytes: &[u8], findings: &mut Findings) {
        if bytes.is_empty() {
            return;
        }
        findings.happened("log outputs searched");
        if let Some(what) = self.found_in(bytes) {
            findings.violated(NAME, format_args!("the log holds {what}"));
        }
    }
}

fn beginning(bytes: &[u8]) -> Option<usize> {
    bytes
        .first_chunk::<2>()
        .map(|first| usize::from(u16::from_be_bytes(*first)))
}

fn epoch_key(secrets: &TimelineSecrets, envelope: &VerifiedEnvelope) -> Option<[u8; 32]> {
    if envelope.kind() != Kind::KeyOp || envelope.timeline() != secrets.timeline {
        return None;
    }
    let op = open_key_op(envelope).ok()?;
    let (_, key) = secrets.unwrap(&op).ok()??;
    Some(*key.seed())
}

/// Random bytes do not become shorter; text does, also when it was packed and padded.
fn looks_sealed(envelope: &VerifiedEnvelope) -> bool {
    let sealed = match envelope.kind() {
        Kind::Change | Kind::Fragment | Kind::Receipt | Kind::Notice => envelope.body(),
        // Clear by design, wholly or in part.
        Kind::AuthOp | Kind::KeyOp => None,
    };
    sealed.is_none_or(|body| {
        zstd::bulk::compress(body, ZSTD_LEVEL).is_ok_and(|packed| packed.len() >= body.len())
    })
}
