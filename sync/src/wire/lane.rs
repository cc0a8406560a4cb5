//! Frames of one lane and direction, in order: the bytes of a connection.
//!
//! What a frame leaves out depends on what the lane carried before and on the
//! server's Hello. A [`LaneEncoder`] belongs to whoever writes the stream: its
//! bytes are made when nothing can come between them and the stream any more, so a
//! frame that is dropped from a queue was never encoded. A [`LaneDecoder`] belongs to
//! whoever reads the stream.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use khlong_crdt::id::LogId;

use super::convert::{Context, pb};
use super::frame::{Frame, Hello, Lane};
use super::shadow::{ShadowReader, ShadowWriter};
use super::{EnvelopeCheck, WireError, read, verify, write, write_framed};
use crate::limits::{PROTOCOL_VERSION_SHADOWS, SHADOW_SLOTS, SHADOW_SLOTS_UNPROVEN};

/// What the server's Hello settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Spoken from now on.
    pub version: u16,
    /// The server's log: a cursor that names none is of it.
    pub log: LogId,
    /// And its epoch.
    pub log_epoch: u32,
}

impl Terms {
    fn of(hello: &Hello) -> Option<Self> {
        let (log, log_epoch) = hello.log?;
        Some(Self {
            version: *hello.versions.end(),
            log,
            log_epoch,
        })
    }
}

/// Which end of the connection a lane is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Opened it; learns the terms from what it reads.
    Client,
    /// Sets the terms by what it writes.
    Server,
}

/// The [`Terms`] of one connection, shared by its lanes at one end. They are settled once,
/// by the server's Hello in the control lane; until then frames are those of version 1.
#[derive(Clone, Debug)]
pub struct Agreement {
    end: End,
    terms: Arc<OnceLock<Terms>>,
    /// The server has answered a proof.
    proven: Arc<AtomicBool>,
}

impl Agreement {
    /// Before Hello.
    #[must_use]
    pub fn new(end: End) -> Self {
        Self {
            end,
            terms: Arc::new(OnceLock::new()),
            proven: Arc::new(AtomicBool::new(false)),
        }
    }

    fn shadows(&self) -> Option<Terms> {
        let terms = self.terms.get().copied();
        terms.filter(|terms| terms.version >= PROTOCOL_VERSION_SHADOWS)
    }

    /// Slots that are used of what the client sends; all of them are of what the server sends.
    fn slots_from(&self, sender: End) -> usize {
        match sender {
            End::Client if !self.proven.load(Ordering::Acquire) => SHADOW_SLOTS_UNPROVEN,
            End::Client | End::Server => SHADOW_SLOTS,
        }
    }

    /// What the server says settles things where it is written, before it leaves, and where it
    /// is read: so whatever the client does after it finds the server ready.
    fn note(&self, at: End, frame: &Frame) {
        if self.end == at && matches!(frame, Frame::Proved(_)) {
            self.proven.store(true, Ordering::Release);
        }
        if let Frame::Hello(hello) = frame
            && self.end == at
            && let Some(terms) = Terms::of(hello)
        {
            // A second Hello ends the connection; the first one counts.
            let _ = self.terms.set(terms);
        }
    }
}

/// The writing side of one lane.
///
/// What it gives must be sent next on its lane, or the lane must end: the other
/// side's slots follow what it reads.
#[derive(Debug)]
pub struct LaneEncoder {
    agreement: Agreement,
    slots: ShadowWriter,
}

impl LaneEncoder {
    /// Of a lane on which nothing was sent. Allocates nothing.
    #[must_use]
    pub const fn new(agreement: Agreement) -> Self {
        Self {
            agreement,
            slots: ShadowWriter::new(),
        }
    }

    /// A frame without its length.
    ///
    /// # Panics
    /// If the frame is over a limit: frames are built by sessions, which keep them.
    #[must_use]
    pub fn encode(&mut self, frame: &Frame) -> Vec<u8> {
        write(&self.message(frame))
    }

    /// A frame with its length: what a stream carries.
    ///
    /// # Panics
    /// As [`Self::encode`].
    #[must_use]
    pub fn encode_framed(&mut self, frame: &Frame) -> Vec<u8> {
        write_framed(&self.message(frame))
    }

    fn message(&mut self, frame: &Frame) -> pb::Frame {
        self.agreement.note(End::Server, frame);
        match self.agreement.shadows() {
            Some(terms) => {
                self.slots
                    .allow(self.agreement.slots_from(self.agreement.end));
                pb::Frame::shadowed(frame, &terms, &mut self.slots)
            }
            None => pb::Frame::from(frame),
        }
    }
}

/// The reading side of one lane.
#[derive(Debug)]
pub struct LaneDecoder {
    agreement: Agreement,
    slots: ShadowReader,
}

impl LaneDecoder {
    /// Of a lane on which nothing came. Allocates nothing.
    #[must_use]
    pub const fn new(agreement: Agreement) -> Self {
        Self {
            agreement,
            slots: ShadowReader::new(),
        }
    }

    /// The next frame of the lane, without its length; `check` makes its envelopes.
    ///
    /// # Errors
    /// Anything that `PROTOCOL.md` does not allow; all are fatal for the connection.
    pub fn decode(&mut self, bytes: &[u8], check: &EnvelopeCheck) -> Result<Frame, WireError> {
        let sender = match self.agreement.end {
            End::Client => End::Server,
            End::Server => End::Client,
        };
        self.slots.allow(self.agreement.slots_from(sender));
        let mut context = Context {
            terms: self.agreement.shadows(),
            slots: &mut self.slots,
            check,
        };
        let frame = read(bytes, &mut context)?;
        self.agreement.note(End::Client, &frame);
        Ok(frame)
    }
}

/// Both directions of all lanes at one end, for who carries frames in memory.
#[derive(Debug)]
pub struct Lanes {
    agreement: Agreement,
    out: BTreeMap<Lane, LaneEncoder>,
    into: BTreeMap<Lane, LaneDecoder>,
}

impl Lanes {
    /// Of a new connection.
    #[must_use]
    pub fn new(end: End) -> Self {
        Self {
            agreement: Agreement::new(end),
            out: BTreeMap::new(),
            into: BTreeMap::new(),
        }
    }

    /// As [`LaneEncoder::encode`]; on the lane of the frame.
    #[must_use]
    pub fn encode(&mut self, frame: &Frame) -> Vec<u8> {
        let agreement = &self.agreement;
        let lane = self.out.entry(frame.lane());
        lane.or_insert_with(|| LaneEncoder::new(agreement.clone()))
            .encode(frame)
    }

    /// Takes note of a frame that came as a value: a Hello settles the terms for what this
    /// end encodes, a Proved allows it all slots.
    pub fn heard(&self, frame: &Frame) {
        self.agreement.note(End::Client, frame);
    }

    /// As [`LaneDecoder::decode`], every envelope verified.
    ///
    /// # Errors
    /// As there.
    pub fn decode(&mut self, lane: Lane, bytes: &[u8]) -> Result<Frame, WireError> {
        let agreement = &self.agreement;
        let lane = self.into.entry(lane);
        lane.or_insert_with(|| LaneDecoder::new(agreement.clone()))
            .decode(bytes, &verify)
    }
}
