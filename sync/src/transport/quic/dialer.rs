//! The client's side: one UDP socket, many relays.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use khlong_crdt::address::RelayAddress;
use quinn::{ConnectionError, Endpoint};

use super::config;
use super::error::{ConnectError, SetupError, close_number};
use super::limits::QuicLimits;
use super::link::Link;
use crate::wire::code::ErrorCode;
use crate::wire::lane::End;
use crate::wire::{self, EnvelopeCheck};

/// Opens links to relays. Dropping it ends the links that it made; a clone
/// shares the socket.
#[derive(Clone)]
pub struct Dialer {
    endpoint: Endpoint,
    limits: QuicLimits,
    check: Arc<EnvelopeCheck>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Dialer {
    /// Binds a UDP socket on a free port; for both address families where the
    /// system can do that. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`SetupError::Bind`] when there is no socket to be had.
    pub fn bind(limits: QuicLimits) -> Result<Self, SetupError> {
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let endpoint = Endpoint::client(both).or_else(|_| {
            let v4 = SocketAddr::from(([0, 0, 0, 0], 0));
            Endpoint::client(v4).map_err(|source| SetupError::Bind {
                address: v4,
                source,
            })
        })?;
        Ok(Self {
            endpoint,
            limits,
            check: Arc::new(wire::verify),
        })
    }

    /// For the links that it makes from now on: how received envelopes are checked.
    #[must_use]
    pub fn checking(mut self, check: Arc<EnvelopeCheck>) -> Self {
        self.check = check;
        self
    }

    /// Connects to a relay and opens the control stream; tries the addresses
    /// of the host in the resolver's order.
    ///
    /// # Errors
    /// The error of the last address tried; [`ConnectError::WrongKey`] at once.
    pub async fn connect(&self, relay: &RelayAddress) -> Result<Link, ConnectError> {
        let resolve = |source| ConnectError::Resolve {
            host: relay.host.clone(),
            source,
        };
        let found = tokio::net::lookup_host((relay.host.as_str(), relay.port)).await;
        let mut last = resolve(None);
        for address in found.map_err(|source| resolve(Some(source)))? {
            match self.connect_to(address, relay).await {
                Ok(link) => return Ok(link),
                Err(error @ ConnectError::WrongKey { .. }) => return Err(error),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(
        &self,
        address: SocketAddr,
        relay: &RelayAddress,
    ) -> Result<Link, ConnectError> {
        let (config, pin) = config::pinning(self.limits, relay.key).map_err(ConnectError::Setup)?;
        let address = self.mapped(address);
        let unreachable = |source| ConnectError::Unreachable { address, source };
        let connecting = self
            .endpoint
            .connect_with(config, address, super::SERVER_NAME)
            .map_err(|_| unreachable(ConnectionError::LocallyClosed))?;
        let connected = match tokio::time::timeout(self.limits.handshake(), connecting).await {
            Ok(connected) => connected,
            Err(_elapsed) => return Err(unreachable(ConnectionError::TimedOut)),
        };
        let connection = connected.map_err(|source| match (pin.refused(), source) {
            (Some(found), _) => ConnectError::WrongKey {
                address,
                expected: relay.key,
                found,
            },
            (None, ConnectionError::ConnectionClosed(close)) => ConnectError::Refused {
                address,
                reason: close.to_string(),
            },
            (None, source) => unreachable(source),
        })?;
        let (control_out, control_in) = connection.open_bi().await.map_err(unreachable)?;
        let check = Arc::clone(&self.check);
        Link::start(
            connection,
            control_out,
            control_in,
            self.limits,
            check,
            End::Client,
            None,
        )
        .map_err(ConnectError::Setup)
    }

    /// A socket of both families takes IPv4 addresses in their mapped form.
    fn mapped(&self, address: SocketAddr) -> SocketAddr {
        match (address, self.endpoint.local_addr()) {
            (SocketAddr::V4(v4), Ok(SocketAddr::V6(_))) => {
                (v4.ip().to_ipv6_mapped(), v4.port()).into()
            }
            (address, _) => address,
        }
    }

    /// Ends all links of this dialer and waits until their peers were told.
    pub async fn close(self, code: Option<ErrorCode>) {
        self.endpoint.close(close_number(code), b"");
        let _ = tokio::time::timeout(self.limits.flush(), self.endpoint.wait_idle()).await;
    }
}
