//! What can go wrong with a QUIC endpoint, a connection, a send.

use std::io;
use std::net::SocketAddr;

use khlong_crdt::id::RelayKey;
use quinn::VarInt;
use thiserror::Error;

use crate::wire::code::ErrorCode;

/// The application error code of a QUIC close: 0, or the number of an [`ErrorCode`].
pub(crate) fn close_number(code: Option<ErrorCode>) -> VarInt {
    VarInt::from_u32(code.map_or(0, ErrorCode::number))
}

/// The reverse of [`close_number`]; numbers of later versions survive.
pub(crate) fn close_code(number: VarInt) -> Option<ErrorCode> {
    match u32::try_from(number.into_inner()) {
        Ok(0) => None,
        Ok(number) => Some(ErrorCode::from_number(number)),
        Err(_) => Some(ErrorCode::Unknown(u32::MAX)),
    }
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The peer closed it.
    ByPeer {
        /// Why; absent: nothing is wrong.
        code: Option<ErrorCode>,
        /// For a log; at most 256 bytes are kept.
        reason: String,
    },
    /// This side closed it, with this code: the owner, or a reader that met
    /// bad bytes.
    Here {
        /// Why; absent: nothing is wrong.
        code: Option<ErrorCode>,
        /// What was met.
        reason: String,
    },
    /// The network went away.
    Lost(String),
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ByPeer { reason, .. } if reason.is_empty() => {
                f.write_str("the peer closed the connection")
            }
            Self::ByPeer { reason, .. } => write!(f, "the peer closed the connection: {reason}"),
            Self::Here { reason, .. } => write!(f, "closed here: {reason}"),
            Self::Lost(reason) => write!(f, "the connection was lost: {reason}"),
        }
    }
}

/// Why a relay cannot be reached.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The host has no address.
    #[error("the relay's host `{host}` has no address; check the name and the network")]
    Resolve {
        /// As written in the relay's address.
        host: String,
        /// The resolver's answer, if it gave one.
        #[source]
        source: Option<io::Error>,
    },
    /// Nobody answers.
    #[error("no answer from the relay at {address}; is it running and is its UDP port open?")]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What QUIC says.
        #[source]
        source: quinn::ConnectionError,
    },
    /// Somebody answers, but with another key.
    #[error(
        "the relay at {address} has the key {found}, not {expected}: either its address changed hands or somebody \
         is in between; ask its operator for the address that `khlong-relay check` prints"
    )]
    WrongKey {
        /// Where.
        address: SocketAddr,
        /// From the relay's address.
        expected: RelayKey,
        /// In the certificate.
        found: RelayKey,
    },
    /// The relay turned the connection away.
    #[error("the relay at {address} refuses connections now ({reason}); try again later")]
    Refused {
        /// Where.
        address: SocketAddr,
        /// Its words.
        reason: String,
    },
    /// The TLS or QUIC set-up of this process is wrong.
    #[error("cannot set up QUIC")]
    Setup(#[source] SetupError),
}

/// Why an endpoint cannot be made.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The UDP socket.
    #[error("cannot listen on UDP {address}; {}", if in_use(source) { "another process uses it: stop that, or choose another port" } else { "check the address and the rights" })]
    Bind {
        /// The wanted address.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The certificate.
    #[error("cannot make the relay's certificate from its key")]
    Certificate(#[source] rcgen::Error),
    /// The TLS settings.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// TLS without the cipher that QUIC's first packets need.
    #[error("this TLS provider cannot do QUIC")]
    Cipher(#[source] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The channel binding, which every proof needs.
    #[error("the connection gives no channel binding")]
    Exporter,
    /// The control stream.
    #[error("the connection ended before its control stream was open")]
    Control(#[source] quinn::ConnectionError),
}

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

impl SetupError {
    /// Whether another process has the address.
    #[must_use]
    pub fn is_address_in_use(&self) -> bool {
        match self {
            Self::Bind { source, .. } => in_use(source),
            Self::Certificate(_)
            | Self::Tls(_)
            | Self::Cipher(_)
            | Self::Exporter
            | Self::Control(_) => false,
        }
    }
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The lane's queue is full.
    #[error("the peer does not read fast enough: a lane of the link is full")]
    Full,
    /// The link is gone.
    #[error("the link is closed")]
    Closed,
}
