//! The lanes of one connection as QUIC streams: what `khlong_sync`'s link does, without tasks.

use std::collections::{BTreeMap, VecDeque};

use khlong_crdt::class::Class;
use khlong_crdt::time::Monotonic;
use khlong_sync::transport::quic::lane::{CONTROL_PRIORITY, STREAM_LANES, index, priority};
use khlong_sync::transport::quic::limits::LANE_FRAMES_MAX;
use khlong_sync::wire::WireError;
use khlong_sync::wire::decoder::Decoder;
use khlong_sync::wire::frame::Lane;
use quinn_proto::{Connection, Dir, StreamId};

/// Bytes that the peer may not send: the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// The bytes of a stream are no frames.
    #[error("a stream does not hold frames")]
    Frames,
    /// A stream that no lane has.
    #[error("a stream of no lane")]
    Stream,
    /// More frames wait than a lane takes.
    #[error("the peer does not read: a lane is full")]
    Full,
}

impl From<WireError> for LaneError {
    fn from(_: WireError) -> Self {
        Self::Frames
    }
}

/// One lane out.
#[derive(Debug, Default)]
struct Out {
    stream: Option<StreamId>,
    /// Framed; of the first one `written` bytes are in the stream.
    queue: VecDeque<Vec<u8>>,
    written: usize,
}

/// One stream in.
#[derive(Debug)]
struct In {
    decoder: Decoder,
    /// A class stream begins with one byte, its class: until it came, none.
    lane: Option<Lane>,
}

/// The streams of one connection.
#[derive(Debug, Default)]
pub struct Lanes {
    out: [Out; STREAM_LANES],
    streams_in: BTreeMap<StreamId, In>,
}

impl Lanes {
    /// The client opens the control stream.
    ///
    /// # Errors
    /// [`LaneError::Stream`] if the peer allows none.
    pub fn open_control(&mut self, connection: &mut Connection) -> Result<(), LaneError> {
        let id = connection
            .streams()
            .open(Dir::Bi)
            .ok_or(LaneError::Stream)?;
        self.have_control(connection, id);
        Ok(())
    }

    /// Takes streams that the peer has opened; whether the control stream is among them.
    pub fn accept(&mut self, connection: &mut Connection, dir: Dir) -> bool {
        let mut control = false;
        while let Some(id) = connection.streams().accept(dir) {
            match dir {
                Dir::Bi => {
                    self.have_control(connection, id);
                    control = true;
                }
                Dir::Uni => {
                    self.streams_in.insert(
                        id,
                        In {
                            decoder: Decoder::new(),
                            lane: None,
                        },
                    );
                }
            }
        }
        control
    }

    fn have_control(&mut self, connection: &mut Connection, id: StreamId) {
        let _ = connection.send_stream(id).set_priority(CONTROL_PRIORITY);
        if let Some(out) = self.out.first_mut() {
            out.stream = Some(id);
        }
        self.streams_in.insert(
            id,
            In {
                decoder: Decoder::new(),
                lane: Some(Lane::Control),
            },
        );
    }

    /// Queues a framed frame for a stream lane.
    ///
    /// # Errors
    /// [`LaneError::Full`].
    pub fn push(&mut self, lane: Lane, framed: Vec<u8>) -> Result<(), LaneError> {
        let out = index(lane)
            .and_then(|place| self.out.get_mut(place))
            .ok_or(LaneError::Stream)?;
        if out.queue.len() >= LANE_FRAMES_MAX {
            return Err(LaneError::Full);
        }
        out.queue.push_back(framed);
        Ok(())
    }

    /// Whether nothing waits here for room in a stream.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.out.iter().all(|out| out.queue.is_empty())
    }

    /// No lane sends any more: the peer learns where each stream ends.
    pub fn finish(&self, connection: &mut Connection) {
        for id in self.out.iter().filter_map(|out| out.stream) {
            let _ = connection.send_stream(id).finish();
        }
    }

    /// Writes what there is room for.
    pub fn write(&mut self, connection: &mut Connection) {
        for (place, out) in self.out.iter_mut().enumerate() {
            if out.queue.is_empty() {
                continue;
            }
            let Some(id) = out.stream.or_else(|| open_class(connection, place)) else {
                continue;
            };
            out.stream = Some(id);
            while let Some(frame) = out.queue.front() {
                let left = frame.get(out.written..).unwrap_or_default();
                let Ok(written) = connection.send_stream(id).write(left) else {
                    break; // no room, or the connection is gone
                };
                out.written += written;
                if out.written >= frame.len() {
                    out.queue.pop_front();
                    out.written = 0;
                }
            }
        }
    }

    /// Reads every stream that may have something; calls `take` with each whole frame and its lane.
    ///
    /// # Errors
    /// [`LaneError::Frames`], [`LaneError::Stream`].
    pub fn read(
        &mut self,
        now: Monotonic,
        connection: &mut Connection,
        mut take: impl FnMut(Lane, Vec<u8>),
    ) -> Result<(), LaneError> {
        for (id, stream) in &mut self.streams_in {
            let mut receiver = connection.recv_stream(*id);
            let Ok(mut chunks) = receiver.read(true) else {
                continue; // ended and read to its end
            };
            while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
                let mut bytes = &*chunk.bytes;
                if stream.lane.is_none()
                    && let Some((class, rest)) = bytes.split_first()
                {
                    let class = Class::try_from(*class).map_err(|_| LaneError::Stream)?;
                    stream.lane = Some(Lane::Class(class));
                    bytes = rest;
                }
                let Some(lane) = stream.lane else {
                    continue;
                };
                stream.decoder.push(now, bytes)?;
                while let Some(frame) = stream.decoder.next_frame(now)? {
                    take(lane, frame.to_vec());
                }
            }
            let _ = chunks.finalize();
        }
        Ok(())
    }
}

/// A class lane's stream is opened by its first frame and begins with its class.
fn open_class(connection: &mut Connection, place: usize) -> Option<StreamId> {
    let class = Class::ALL
        .into_iter()
        .find(|class| index(Lane::Class(*class)) == Some(place))?;
    let id = connection.streams().open(Dir::Uni)?;
    let mut stream = connection.send_stream(id);
    let _ = stream.set_priority(priority(class));
    stream.write(&[class as u8]).ok().map(|_| id)
}
