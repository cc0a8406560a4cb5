//! The listener and its links against peers that take and give nothing back.
#![cfg(feature = "quic")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use khlong_crdt::address::RelayAddress;
use khlong_crdt::class::{Class, Cursor};
use khlong_crdt::id::{ArrivalSeq, LogId, RelayKey, TimelineId};
use khlong_sync::limits::TIMELINES_PER_SUBSCRIPTION_MAX;
use khlong_sync::transport::quic::ALPN;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::error::SendError;
use khlong_sync::transport::quic::identity::Identity;
use khlong_sync::transport::quic::limits::{CONNECTION_WINDOW_BYTES, QuicLimits};
use khlong_sync::transport::quic::link::LinkEvent;
use khlong_sync::transport::quic::listener::Listener;
use khlong_sync::transport::quic::seats::network_of;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::encode_framed;
use khlong_sync::wire::frame::{Frame, Lane, Ping, Subscribed};
use quinn::crypto::rustls::QuicClientConfig;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(60);

fn listen(limits: QuicLimits) -> (Listener, RelayAddress) {
    let seed = [3; 32];
    let listener = Listener::bind(LOOPBACK, &Identity::from_seed(&seed).unwrap(), limits).unwrap();
    let key = RelayKey::from_bytes(SigningKey::from_bytes(&seed).verifying_key().to_bytes());
    let address = RelayAddress {
        key,
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
    };
    (listener, address)
}

/// The longest answer to a subscribe.
fn refused_all() -> Frame {
    let class = Class::Text;
    Frame::Subscribed(Subscribed {
        request: 1,
        class,
        cursor: Cursor {
            log: LogId::from_bytes([5; 16]),
            log_epoch: 1,
            seq: ArrivalSeq(1),
            hash: [0; 8],
        },
        rewound: false,
        refused: vec![
            (TimelineId::from_bytes([8; 32]), ErrorCode::Unproven);
            TIMELINES_PER_SUBSCRIPTION_MAX
        ],
    })
}

#[tokio::test]
async fn what_waits_for_a_peer_that_does_not_read_is_bounded_in_bytes() {
    let limits = QuicLimits::default();
    let (mut listener, address) = listen(limits);
    let dialer = Dialer::bind(limits).unwrap();
    let accepting = tokio::spawn(async move { (listener.accept().await, listener) });
    let client = dialer.connect(&address).await.unwrap();
    let hello = Frame::Ping(Ping { nonce: 1 });
    client.sender().send(Lane::Control, hello).await.unwrap();
    let (server, _listener) = tokio::time::timeout(PATIENCE, accepting)
        .await
        .unwrap()
        .unwrap();
    let server = server.unwrap();
    let sender = server.sender();

    // `client` is not read from any more. Whatever fits in flight goes first.
    let frame = refused_all();
    let frame_bytes = encode_framed(&frame).len();
    let mut sent_bytes = 0;
    let ended = loop {
        match sender.try_send(Lane::Class(Class::Text), frame.clone()) {
            Ok(()) => sent_bytes += frame_bytes,
            Err(error) => break error,
        }
        assert!(sender.queued_bytes() <= limits.queued_bytes_max);
        assert!(sent_bytes < 64 << 20, "{sent_bytes} bytes wait");
        tokio::task::yield_now().await;
    };
    assert_eq!(ended, SendError::Full);
    assert!(sent_bytes <= limits.queued_bytes_max + 2 * CONNECTION_WINDOW_BYTES as usize);
    // It reads after all: what waited goes out, and there is room again.
    let mut client = client;
    let read = async {
        let mut frames = 0;
        while frames * frame_bytes < sent_bytes {
            assert!(matches!(client.recv().await, LinkEvent::Frame(_)));
            frames += 1;
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    let small = Frame::Ping(Ping { nonce: 2 });
    assert_eq!(sender.try_send(Lane::Control, small), Ok(()));
    assert!(sender.queued_bytes() < 1_000, "bytes are given back");
}

/// The first packet of somebody who then is silent, or never was at the address on it.
async fn first_packets(count: usize) -> Vec<Vec<u8>> {
    let wall = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let mut packets = Vec::new();
    for _ in 0..count {
        let mut endpoint = quinn::Endpoint::client(LOOPBACK).unwrap();
        endpoint.set_default_client_config(config.clone());
        let connecting = endpoint
            .connect(wall.local_addr().unwrap(), "khlong.invalid")
            .unwrap();
        let mut packet = vec![0; 2_048];
        // Those before may still say that they give up.
        let length = loop {
            let (length, from) = wall.recv_from(&mut packet).await.unwrap();
            if from == endpoint.local_addr().unwrap() {
                break length;
            }
        };
        packet.truncate(length);
        packets.push(packet);
        drop(connecting);
    }
    packets
}

#[tokio::test]
async fn first_packets_in_the_name_of_an_address_do_not_lock_it_out() {
    let limits = QuicLimits {
        connections_per_address_max: 8,
        ..QuicLimits::default()
    };
    let (mut listener, address) = listen(limits);
    let turned_away = listener.turned_away();
    let relay = SocketAddr::new(LOOPBACK.ip(), address.port);
    let accepting = tokio::spawn(async move {
        let link = listener.accept().await;
        (link, listener)
    });
    // Far more than the address may have; nobody answers what the relay sends back.
    let socket = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    for packet in first_packets(24).await {
        socket.send_to(&packet, relay).await.unwrap();
        // An answer: the packet was dealt with, one way or the other.
        let mut answer = [0; 2_048];
        tokio::time::timeout(PATIENCE, socket.recv_from(&mut answer))
            .await
            .unwrap()
            .unwrap();
    }
    let dialer = Dialer::bind(QuicLimits::default()).unwrap();
    let client = tokio::time::timeout(PATIENCE, dialer.connect(&address))
        .await
        .unwrap()
        .expect("an honest client of that address is locked out");
    let hello = Frame::Ping(Ping { nonce: 1 });
    client.sender().send(Lane::Control, hello).await.unwrap();
    let (link, _listener) = tokio::time::timeout(PATIENCE, accepting)
        .await
        .unwrap()
        .unwrap();
    assert!(link.is_some());
    assert_eq!(turned_away.load(Ordering::Relaxed), 0);
}

#[test]
fn a_network_is_an_ipv4_address_or_an_ipv6_64() {
    let network = |text: &str| network_of(text.parse().unwrap()).to_string();
    assert_eq!(network("203.0.113.9"), "203.0.113.9");
    assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(network("2001:db8:1:2:ffff::1"), "2001:db8:1:2::");
    assert_ne!(network("2001:db8:1:3::1"), "2001:db8:1:2::");
    // As a socket that takes both families names it: not one /64 for all of IPv4.
    assert_eq!(network("::ffff:203.0.113.9"), "203.0.113.9");
}
