//! One connection: frames from its link to the hub's queue.

use std::sync::Arc;

use khlong_sync::session::proof::CheckedProof;
use khlong_sync::transport::quic::link::{Link, LinkEvent, LinkStats};
use khlong_sync::transport::quic::seats::network_of;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::Frame;
use tokio::sync::{mpsc, oneshot};

use super::driver::{Attached, DriverInput};
use crate::admin::Metrics;
use crate::hub::{ConnectionId, HubInput};

/// Ends when the link does, or when the driver closes it.
pub(super) async fn serve(
    mut link: Link,
    id: ConnectionId,
    inputs: mpsc::Sender<DriverInput>,
    metrics: Arc<Metrics>,
) {
    let (close, mut closed) = oneshot::channel();
    let mut counted = Counted {
        metrics,
        before: LinkStats::default(),
    };
    let attached = Attached {
        sender: link.sender(),
        close,
    };
    let exporter = link.exporter();
    let connected = DriverInput::Connected {
        connection: id,
        exporter,
        network: network_of(link.remote().ip()),
        attached,
    };
    if inputs.send(connected).await.is_err() {
        return;
    }
    let code = loop {
        let event = tokio::select! {
            code = &mut closed => break code,
            event = link.recv() => event,
        };
        counted.count(link.stats());
        let (input, is_last) = match event {
            // As the signatures of envelopes: here, and not on the hub's thread.
            LinkEvent::Frame(Frame::Prove(proof)) => (
                HubInput::Proof {
                    connection: id,
                    proof: CheckedProof::new(proof, &exporter),
                },
                false,
            ),
            LinkEvent::Frame(frame) => (
                HubInput::Frame {
                    connection: id,
                    frame,
                },
                false,
            ),
            LinkEvent::Undecodable(error) => (
                HubInput::Undecodable {
                    connection: id,
                    error,
                },
                false,
            ),
            LinkEvent::Closed(_) => (HubInput::Disconnected { connection: id }, true),
        };
        // A full queue holds back this connection's reading, in its turn.
        let sent = tokio::select! {
            code = &mut closed => break code,
            sent = inputs.send(DriverInput::Hub(input)) => sent,
        };
        if is_last || sent.is_err() {
            return;
        }
    };
    // An error here: the driver let go of the connection without an answer.
    let code = code.unwrap_or(Some(ErrorCode::Internal));
    let stats = link.close(code, "").await;
    counted.count(stats);
}

/// Adds to the relay's totals what a link has cost since the last look.
struct Counted {
    metrics: Arc<Metrics>,
    before: LinkStats,
}

impl Counted {
    fn count(&mut self, now: LinkStats) {
        self.metrics.add_udp_bytes(
            now.udp_sent_bytes
                .saturating_sub(self.before.udp_sent_bytes),
            now.udp_received_bytes
                .saturating_sub(self.before.udp_received_bytes),
        );
        self.before = now;
    }
}
