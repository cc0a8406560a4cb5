//! One task per lane: takes frames from its queue, encodes, writes.

use std::sync::Arc;

use khlong_crdt::class::Class;
use quinn::SendStream;
use tokio::sync::mpsc;

use super::lane::{CONTROL_PRIORITY, priority};
use super::link::Shared;
use crate::wire::frame::Frame;

/// The control lane, whose stream is open already.
pub(crate) async fn control(
    shared: Arc<Shared>,
    stream: SendStream,
    queued: mpsc::Receiver<Box<Frame>>,
) {
    let _ = stream.set_priority(CONTROL_PRIORITY);
    write(&shared, stream, queued, None).await;
}

/// A class lane. Its stream is opened by its first frame: an idle link has
/// one stream.
pub(crate) async fn class(
    shared: Arc<Shared>,
    class: Class,
    mut queued: mpsc::Receiver<Box<Frame>>,
) {
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
    mut queued: mpsc::Receiver<Box<Frame>>,
    first: Option<Box<Frame>>,
) {
    let mut next = first;
    while let Some(frame) = match next.take() {
        Some(frame) => Some(frame),
        None => queued.recv().await,
    } {
        if stream
            .write_chunk(crate::wire::encode_framed(&frame).into())
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
