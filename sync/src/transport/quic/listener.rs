//! The relay's side: one UDP socket, a bounded number of links.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quinn::{Endpoint, Incoming};
use tokio::task::JoinSet;
use tracing::debug;

use super::config;
use super::error::{SetupError, close_number};
use super::identity::Identity;
use super::limits::QuicLimits;
use super::link::Link;
use super::seats::{Seat, Seats};
use crate::wire::code::ErrorCode;
use crate::wire::lane::End;
use crate::wire::verify;

/// Accepts links. Handshakes run in tasks that end with it.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    limits: QuicLimits,
    handshakes: JoinSet<Option<Link>>,
    seats: Seats,
    turned_away: Arc<AtomicU64>,
}

impl Listener {
    /// Binds `address` and shows `identity` to whoever connects. Call it
    /// inside a tokio runtime.
    ///
    /// # Errors
    /// [`SetupError::Bind`] when the address is taken or not ours.
    pub fn bind(
        address: SocketAddr,
        identity: &Identity,
        limits: QuicLimits,
    ) -> Result<Self, SetupError> {
        let bind = |source| SetupError::Bind { address, source };
        let socket = std::net::UdpSocket::bind(address).map_err(bind)?;
        let runtime = quinn::default_runtime()
            .ok_or_else(|| bind(std::io::Error::other("no async runtime")))?;
        let server = config::server(limits, identity)?;
        let endpoint = Endpoint::new(
            identity.reset_key.endpoint_config(),
            Some(server),
            socket,
            runtime,
        )
        .map_err(bind)?;
        Ok(Self {
            endpoint,
            limits,
            handshakes: JoinSet::new(),
            seats: Seats::default(),
            turned_away: Arc::default(),
        })
    }

    /// Where it listens: the real port when 0 was asked for.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Connections that a limit turned away since the start.
    #[must_use]
    pub fn turned_away(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.turned_away)
    }

    /// The next client that finished its handshake and opened its control
    /// stream; `None` once the listener is closed. Cancel-safe.
    pub async fn accept(&mut self) -> Option<Link> {
        loop {
            tokio::select! {
                incoming = self.endpoint.accept() => self.begin(incoming?),
                Some(finished) = self.handshakes.join_next(), if !self.handshakes.is_empty() => {
                    if let Ok(Some(link)) = finished {
                        return Some(link);
                    }
                }
            }
        }
    }

    /// Stops accepting, closes what is left and waits until the peers know.
    pub async fn close(mut self, code: Option<ErrorCode>) {
        self.handshakes.shutdown().await;
        self.endpoint.close(close_number(code), b"");
        let _ = tokio::time::timeout(self.limits.flush(), self.endpoint.wait_idle()).await;
    }

    fn begin(&mut self, incoming: Incoming) {
        let under_way = self.handshakes.len();
        if under_way >= self.limits.handshakes_max
            || self.endpoint.open_connections() >= self.limits.connections_max
        {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            incoming.refuse();
            return;
        }
        let address = incoming.remote_address().ip();
        // The sender of a first packet may have written any address on it. What one
        // network may have is not filled by others in its name: they get a part of it.
        let crowded = under_way >= self.limits.handshakes_max / 2
            || self.seats.taken(address) >= self.limits.connections_per_address_max / 4;
        if crowded && incoming.may_retry() && !incoming.remote_address_validated() {
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
            return;
        }
        let Some(seat) = self
            .seats
            .take(address, self.limits.connections_per_address_max)
        else {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            incoming.refuse();
            return;
        };
        let limits = self.limits;
        self.handshakes.spawn(async move {
            match tokio::time::timeout(limits.handshake(), handshake(incoming, limits, seat)).await
            {
                Ok(Ok(link)) => Some(link),
                Ok(Err(error)) => {
                    debug!(%error, "a handshake failed");
                    None
                }
                Err(_elapsed) => None,
            }
        });
    }
}

async fn handshake(incoming: Incoming, limits: QuicLimits, seat: Seat) -> Result<Link, SetupError> {
    let connection = incoming
        .accept()
        .map_err(SetupError::Control)?
        .await
        .map_err(SetupError::Control)?;
    let (control_out, control_in) = connection.accept_bi().await.map_err(SetupError::Control)?;
    Link::start(
        connection,
        control_out,
        control_in,
        limits,
        Arc::new(verify),
        End::Server,
        Some(seat),
    )
}
