//! Reads streams and datagrams, decodes and verifies, and hands frames on.
//!
//! A full queue stops reading, so QUIC's flow control slows the peer down.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use khlong_crdt::class::Class;
use khlong_crdt::time::Monotonic;
use quinn::RecvStream;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::link::{LinkEvent, Shared};
use crate::wire::code::ErrorCode;
use crate::wire::decoder::Decoder;
use crate::wire::frame::{Frame, Lane};
use crate::wire::lane::LaneDecoder;
use crate::wire::{WireError, decode_with};

/// Bytes taken from a stream at a time.
const READ_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Error)]
enum ReadError {
    #[error("{0}")]
    Wire(#[source] WireError),
    #[error("a frame that belongs on another stream")]
    WrongLane,
    #[error("a stream of no class, or a second one of its class")]
    WrongStream,
    #[error("the connection ended")]
    Gone,
}

/// Reads until the connection ends; the end of this task closes `frames`.
pub(crate) async fn run(shared: Arc<Shared>, control: RecvStream, frames: mpsc::Sender<LinkEvent>) {
    let mut streams = JoinSet::new();
    let mut opened = 0;
    streams.spawn(read_stream(
        Arc::clone(&shared),
        control,
        Decoder::new(),
        Lane::Control,
        frames.clone(),
    ));
    let ended = loop {
        tokio::select! {
            // A finished stream is the peer's graceful close: wait for the rest.
            Some(ended) = streams.join_next(), if !streams.is_empty() => {
                match ended {
                    Ok(Err(ReadError::Gone) | Ok(())) | Err(_) => {}
                    Ok(Err(error)) => break error,
                }
            }
            incoming = shared.connection.accept_uni() => {
                let Ok(incoming) = incoming else { break ReadError::Gone };
                opened += 1;
                if opened > Class::ALL.len() {
                    break ReadError::WrongStream;
                }
                streams.spawn(read_class(Arc::clone(&shared), incoming, frames.clone()));
            }
            datagram = shared.connection.read_datagram() => {
                let Ok(bytes) = datagram else { break ReadError::Gone };
                match decode_with(&bytes, &*shared.check) {
                    // Dropped first under load.
                    Ok(frame) if on_datagram(&frame) => drop(frames.try_send(LinkEvent::Frame(frame))),
                    Ok(_) => break ReadError::WrongLane,
                    Err(error) => break ReadError::Wire(error),
                }
            }
        }
    };
    match (ended, shared.connection.close_reason()) {
        // The owner tells the peer why, and closes.
        (ReadError::Wire(error), None) => {
            let _ = frames.send(LinkEvent::Undecodable(error)).await;
            drop(streams);
            shared.connection.closed().await;
            return;
        }
        (error @ (ReadError::WrongLane | ReadError::WrongStream), None) => {
            shared.close(Some(ErrorCode::Protocol), &error.to_string());
        }
        (
            ReadError::Gone | ReadError::Wire(_) | ReadError::WrongLane | ReadError::WrongStream,
            _,
        ) => {}
    }
    // What arrived whole before the connection ended is still handed on.
    while streams.join_next().await.is_some() {}
}

/// A stream that begins with the number of its class.
async fn read_class(
    shared: Arc<Shared>,
    mut incoming: RecvStream,
    frames: mpsc::Sender<LinkEvent>,
) -> Result<(), ReadError> {
    let chunk = incoming
        .read_chunk(1, true)
        .await
        .map_err(|_| ReadError::Gone)?
        .ok_or(ReadError::WrongStream)?;
    let [byte] = *chunk.bytes else {
        return Err(ReadError::WrongStream);
    };
    let class = Class::try_from(byte).map_err(|_| ReadError::WrongStream)?;
    let bit = 1 << class as u8;
    if shared.classes_opened.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
        return Err(ReadError::WrongStream);
    }
    read_stream(shared, incoming, Decoder::new(), Lane::Class(class), frames).await
}

async fn read_stream(
    shared: Arc<Shared>,
    mut incoming: RecvStream,
    mut decoder: Decoder,
    lane: Lane,
    frames: mpsc::Sender<LinkEvent>,
) -> Result<(), ReadError> {
    let mut frames_in = LaneDecoder::new(shared.agreement.clone());
    loop {
        let chunk = tokio::select! {
            chunk = incoming.read_chunk(READ_BYTES_MAX, true) => chunk.map_err(|_| ReadError::Gone)?,
            () = late(&shared, decoder.next_deadline()) => {
                let impatient = shared.now().after_ms(shared.limits.impatience_ms());
                decoder.check_deadline(impatient).map_err(ReadError::Wire)?;
                continue;
            }
        };
        let Some(chunk) = chunk else {
            return decoder.finish().map_err(ReadError::Wire);
        };
        decoder
            .push(shared.now(), &chunk.bytes)
            .map_err(ReadError::Wire)?;
        while let Some(bytes) = decoder.next_frame(shared.now()).map_err(ReadError::Wire)? {
            let frame = frames_in
                .decode(bytes, &*shared.check)
                .map_err(ReadError::Wire)?;
            if frame.lane() != lane && !is_unknown(&frame) {
                return Err(ReadError::WrongLane);
            }
            if frames.send(LinkEvent::Frame(frame)).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// Ends when the partial frame of a stream is late; never if there is none.
async fn late(shared: &Shared, deadline: Option<Monotonic>) {
    let Some(deadline) = deadline else {
        return std::future::pending().await;
    };
    let left_ms = deadline.since_ms(shared.now().after_ms(shared.limits.impatience_ms()));
    // Rounded up, so that the deadline has passed when the wait has.
    tokio::time::sleep(Duration::from_millis(left_ms.saturating_add(1))).await;
}

fn on_datagram(frame: &Frame) -> bool {
    frame.lane() == Lane::Ephemeral || is_unknown(frame)
}

/// A frame of a later version, which knows on which lane it belongs.
fn is_unknown(frame: &Frame) -> bool {
    matches!(frame, Frame::Unknown(_))
}
