//! One short conversation with each relay, and what a bare packet says where there is none.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::Class;
use khlong_crdt::id::{ArrivalSeq, RelayKey, TimelineId};
use khlong_sync::limits::{KEEP_ALIVE_MS_DEFAULT, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN};
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::error::ConnectError;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::transport::quic::link::{Link, LinkEvent};
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::frame::{Frame, Hello, Lane, Subscribe, TimelineSubscription};
use tokio::task::JoinSet;

use super::database::Known;
use crate::error::described;
use crate::node::entropy;

/// From the first packet to the relay's last word. A bad link takes its time, and a
/// person waits for the answer.
const CONVERSATION_MAX: Duration = Duration::from_secs(8);
const HANDSHAKE_MS: u32 = 5_000;
/// A refusal (ICMP) comes within one round trip.
const REFUSAL_WAIT: Duration = Duration::from_secs(1);
/// A lost packet looks like a dropped one.
const BARE_PACKETS: usize = 3;

/// What came of calling a relay.
#[derive(Clone, Debug)]
pub(super) struct Met {
    pub(super) address: RelayAddress,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It spoke.
    Spoke {
        /// Its clock minus ours, milliseconds, give or take a round trip; absent if it does not tell.
        ahead_ms: Option<i64>,
        /// Whether this node has read anything there.
        was_read: bool,
        /// It does not know the place up to which this node has read.
        is_behind: bool,
    },
    /// It has another key than its address says.
    WrongKey(RelayKey),
    /// The machine says that nothing listens there.
    NobodyListens(SocketAddr),
    /// No answer of any kind.
    Silent(SocketAddr),
    /// It speaks no version that we do.
    OtherVersion,
    /// Anything else, in words.
    Failed(String),
}

/// Calls all of them at once.
pub(super) async fn meet(relays: &[Known]) -> Vec<Met> {
    let mut calls = JoinSet::new();
    for (place, relay) in relays.iter().cloned().enumerate() {
        calls.spawn(async move {
            let outcome = call(&relay).await;
            let address = relay.address;
            (place, Met { address, outcome })
        });
    }
    let mut met = calls.join_all().await;
    met.sort_by_key(|(place, _)| *place);
    met.into_iter().map(|(_, met)| met).collect()
}

async fn call(relay: &Known) -> Outcome {
    let limits = QuicLimits {
        handshake_ms: HANDSHAKE_MS,
        ..QuicLimits::default()
    };
    let dialer = match Dialer::bind(limits) {
        Ok(dialer) => dialer,
        Err(error) => return Outcome::Failed(described(&error)),
    };
    let outcome = match dialer.connect(&relay.address).await {
        Ok(mut link) => {
            let spoken = tokio::time::timeout(CONVERSATION_MAX, converse(&mut link, relay)).await;
            link.close(None, "").await;
            spoken.unwrap_or_else(|_| {
                Outcome::Failed("it takes connections and says nothing".to_owned())
            })
        }
        Err(ConnectError::WrongKey { found, .. }) => Outcome::WrongKey(found),
        Err(ConnectError::Unreachable { address, source }) => {
            let said = source.to_string();
            let probed = tokio::task::spawn_blocking(move || probe(address)).await;
            probed.unwrap_or(Outcome::Failed(said))
        }
        Err(
            error @ (ConnectError::Resolve { .. }
            | ConnectError::Refused { .. }
            | ConnectError::Setup(_)),
        ) => Outcome::Failed(described(&error)),
    };
    dialer.close(None).await;
    outcome
}

async fn converse(link: &mut Link, relay: &Known) -> Outcome {
    let begun = Instant::now();
    let sender = link.sender();
    let hello = Frame::Hello(Hello {
        versions: PROTOCOL_VERSION_MIN..=PROTOCOL_VERSION_MAX,
        agent: concat!("khlong-doctor/", env!("CARGO_PKG_VERSION")).to_owned(),
        keep_alive_ms: KEEP_ALIVE_MS_DEFAULT,
        log: None,
        token: None,
        relay_time: None,
    });
    if let Err(error) = sender.send(Lane::Control, hello).await {
        return Outcome::Failed(error.to_string());
    }
    let hello = match next(link).await {
        Ok(Frame::Hello(hello)) => hello,
        Ok(_) => return Outcome::Failed("it does not begin with a greeting".to_owned()),
        Err(outcome) => return outcome,
    };
    let half_way = i64::try_from(begun.elapsed().as_millis() / 2).unwrap_or(i64::MAX);
    let then = now_ms().saturating_sub(half_way);
    let ahead_ms = hello.relay_time.map(|time| time.get().saturating_sub(then));
    let is_behind = match ask_for_rewinding(link, relay).await {
        Ok(is_behind) => is_behind,
        Err(outcome) => return outcome,
    };
    Outcome::Spoke {
        ahead_ms,
        was_read: !relay.cursors.is_empty(),
        is_behind,
    }
}

/// Subscribes to a timeline that nobody has. It is refused, and the answer says beside it
/// whether the relay's log still holds the places of our cursors.
async fn ask_for_rewinding(link: &mut Link, relay: &Known) -> Result<bool, Outcome> {
    if relay.cursors.is_empty() {
        return Ok(false);
    }
    let nobody = entropy().map_err(|error| Outcome::Failed(error.to_string()))?;
    let subscribe = Frame::Subscribe(Subscribe {
        request: 1,
        cursors: relay.cursors.clone(),
        timelines: vec![TimelineSubscription {
            timeline: TimelineId::from_bytes(nobody),
            backfill: Class::ALL.map(|class| (class, ArrivalSeq(0))).to_vec(),
        }],
        wake_up: None,
    });
    let sent = link.sender().send(Lane::Control, subscribe).await;
    sent.map_err(|error| Outcome::Failed(error.to_string()))?;
    let mut waiting: Vec<Class> = relay.cursors.iter().map(|(class, _)| *class).collect();
    let mut is_behind = false;
    while !waiting.is_empty() {
        if let Frame::Subscribed(answer) = next(link).await? {
            is_behind |= answer.rewound && waiting.contains(&answer.class);
            waiting.retain(|class| *class != answer.class);
        }
    }
    Ok(is_behind)
}

async fn next(link: &mut Link) -> Result<Frame, Outcome> {
    match link.recv().await {
        LinkEvent::Frame(Frame::Error(error)) if error.code == ErrorCode::VersionUnsupported => {
            Err(Outcome::OtherVersion)
        }
        LinkEvent::Frame(Frame::Error(error)) => {
            Err(Outcome::Failed(format!("it refuses: {}", error.code)))
        }
        LinkEvent::Frame(frame) => Ok(frame),
        LinkEvent::Undecodable(error) => Err(Outcome::Failed(error.to_string())),
        LinkEvent::Closed(closed) => Err(Outcome::Failed(closed.to_string())),
    }
}

/// Nobody spoke QUIC. A bare packet tells two cases apart: a machine that is there answers by
/// ICMP where nothing listens; from a firewall that drops, a machine that is off, and a relay
/// that hangs comes nothing.
fn probe(address: SocketAddr) -> Outcome {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    match bare_packets(address) {
        Ok(()) => Outcome::Failed("something answers there, and it is no relay".to_owned()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            Outcome::NobodyListens(address)
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Outcome::Silent(address)
        }
        Err(error) => Outcome::Failed(format!("no way leads to {address}: {error}")),
    }
}

/// The error is the system's, also for what came by ICMP.
fn bare_packets(address: SocketAddr) -> io::Result<()> {
    let any = if address.is_ipv4() {
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
    } else {
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(REFUSAL_WAIT))?;
    let mut outcome = Ok(());
    for _ in 0..BARE_PACKETS {
        socket.send(&[0])?;
        outcome = socket.recv(&mut [0; 64]).map(|_| ());
        let is_silent = outcome.as_ref().is_err_and(|error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        });
        if !is_silent {
            break;
        }
    }
    outcome
}

/// This machine's clock.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
