//! One task per lane: takes frames from its queue, encodes, writes.

use std::sync::Arc;

use khlong_crdt::class::Class;
use quinn::SendStream;
use tokio::sync::mpsc;

use super::lane::{CONTROL_PRIORITY, priority};
use super::link::{Queued, Shared};
use crate::wire::lane::LaneEncoder;

/// The control lane, whose stream is open already.
pub(crate) async fn control(
    shared: Arc<Shared>,
    stream: SendStream,
    queued: mpsc::Receiver<Queued>,
) {
    let _ = stream.set_priority(CONTROL_PRIORITY);
    write(&shared, stream, queued, None).await;
}

/// A class lane. Its stream is opened by its first frame: an idle link has
/// one stream.
pub(crate) async fn class(shared: Arc<Shared>, class: Class, mut queued: mpsc::Receiver<Queued>) {
    let Some(first) = queued.recv().await else {
        return;
    };
    let Ok(mut stream) = shared.connection.open_uni().await else {
        return;
    };
    let _ = stream.set_priority(priority(class));
    if stream.write_all(&[class as u8]).await.is_ok() {
        write(&shared, stream, queued, Some(first)).await;
    }
}

/// Ends when the queue's senders are gone (then the stream is finished and
/// the peer has everything) or when the connection is.
async fn write(
    shared: &Shared,
    mut stream: SendStream,
    mut queued: mpsc::Receiver<Queued>,
    first: Option<Queued>,
) {
    // Here, behind the queue: what is encoded is written next, or the lane ends. So a frame
    // that was dropped from a queue has not moved the slots.
    let mut encoder = LaneEncoder::new(shared.agreement.clone());
    let mut next = first;
    // Charged until it is written: what waits for flow control waits here.
    while let Some(queued_frame) = match next.take() {
        Some(first) => Some(first),
        None => queued.recv().await,
    } {
        if stream
            .write_chunk(encoder.encode_framed(&queued_frame.frame).into())
            .await
            .is_err()
        {
            return;
        }
    }
    if stream.finish().is_ok() {
        tokio::select! {
            _ = stream.stopped() => {}
            _ = shared.connection.closed() => {}
        }
    }
}
