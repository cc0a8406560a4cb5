//! The QUIC transport on loopback: an honest pair, and a raw peer that is not.
#![cfg(feature = "quic")]
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use khlong_crdt::address::RelayAddress;
use khlong_crdt::id::{LogId, RelayKey, TimelineId};
use khlong_sync::limits::KEEP_ALIVE_MS_DEFAULT;
use khlong_sync::transport::quic::ALPN;
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::error::{Closed, ConnectError};
use khlong_sync::transport::quic::identity::Identity;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::transport::quic::link::{Link, LinkEvent};
use khlong_sync::transport::quic::listener::Listener;
use khlong_sync::wire::WireError;
use khlong_sync::wire::code::ErrorCode;
use khlong_sync::wire::encode_framed;
use khlong_sync::wire::frame::{Append, Ephemeral, Frame, Hello, Lane, Ping};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(60);

fn listen(limits: QuicLimits) -> (Listener, RelayAddress) {
    let seed = [3; 32];
    let listener = Listener::bind(LOOPBACK, &Identity::from_seed(&seed).unwrap(), limits).unwrap();
    let key = RelayKey::from_bytes(SigningKey::from_bytes(&seed).verifying_key().to_bytes());
    let port = listener.local_addr().unwrap().port();
    (
        listener,
        RelayAddress {
            key,
            host: "127.0.0.1".to_owned(),
            port,
        },
    )
}

async fn pair(limits: QuicLimits) -> (Listener, Dialer, Link, Link) {
    let (listener, address) = listen(limits);
    let dialer = Dialer::bind(limits).unwrap();
    let accepting = tokio::spawn(accept(listener));
    let client = dialer.connect(&address).await.unwrap();
    // A stream exists for the other side once something was written to it.
    client.sender().send(Lane::Control, ping(0)).await.unwrap();
    let (listener, mut server) = accepting.await.unwrap();
    assert_eq!(frame(&mut server).await, ping(0));
    (listener, dialer, client, server)
}

/// Handshakes go on while somebody accepts, so this runs beside the client.
async fn accept(mut listener: Listener) -> (Listener, Link) {
    let link = tokio::time::timeout(PATIENCE, listener.accept())
        .await
        .expect("nobody came")
        .unwrap();
    (listener, link)
}

async fn event(link: &mut Link) -> LinkEvent {
    tokio::time::timeout(PATIENCE, link.recv())
        .await
        .expect("nothing came")
}

async fn frame(link: &mut Link) -> Frame {
    match event(link).await {
        LinkEvent::Frame(frame) => frame,
        other @ (LinkEvent::Undecodable(_) | LinkEvent::Closed(_)) => {
            panic!("instead of a frame: {other:?}")
        }
    }
}

fn ping(nonce: u64) -> Frame {
    Frame::Ping(Ping { nonce })
}

fn ephemeral(payload: Vec<u8>) -> Frame {
    Frame::Ephemeral(Ephemeral {
        timeline: TimelineId::from_bytes([8; 32]),
        payload,
    })
}

#[tokio::test]
async fn frames_travel_in_order_both_ways_and_both_ends_have_one_channel_binding() {
    let (_listener, _dialer, mut client, mut server) = pair(QuicLimits::default()).await;
    assert_eq!(client.exporter(), server.exporter());
    assert_ne!(client.exporter(), [0; 32]);
    for nonce in 1..=200 {
        client
            .sender()
            .send(Lane::Control, ping(nonce))
            .await
            .unwrap();
        server
            .sender()
            .try_send(Lane::Control, ping(1_000 + nonce))
            .unwrap();
    }
    for nonce in 1..=200 {
        assert_eq!(frame(&mut server).await, ping(nonce));
        assert_eq!(frame(&mut client).await, ping(1_000 + nonce));
    }
    let (client, server) = (client.stats(), server.stats());
    assert!(client.udp_sent_bytes > 0 && server.udp_received_bytes > 0);
    for (bytes, datagrams) in [
        (client.udp_sent_bytes, client.udp_sent_datagrams),
        (server.udp_received_bytes, server.udp_received_datagrams),
    ] {
        assert!(
            datagrams > 0 && datagrams < bytes,
            "{datagrams} of {bytes} bytes"
        );
    }
}

#[tokio::test]
async fn the_largest_ephemeral_fits_a_datagram() {
    let (_listener, _dialer, client, mut server) = pair(QuicLimits::default()).await;
    let largest = ephemeral(vec![7; khlong_sync::limits::EPHEMERAL_BYTES_MAX]);
    client
        .sender()
        .send(Lane::Ephemeral, largest.clone())
        .await
        .unwrap();
    assert_eq!(frame(&mut server).await, largest);
    assert_eq!(client.stats().datagrams_dropped, 0);
}

#[tokio::test]
async fn a_graceful_close_brings_everything_that_was_queued_and_its_code() {
    let (_listener, _dialer, client, mut server) = pair(QuicLimits::default()).await;
    for nonce in 1..=50 {
        client
            .sender()
            .send(Lane::Control, ping(nonce))
            .await
            .unwrap();
    }
    let reading = tokio::spawn(async move {
        for nonce in 1..=50 {
            assert_eq!(frame(&mut server).await, ping(nonce));
        }
        event(&mut server).await
    });
    client
        .close(Some(ErrorCode::ShuttingDown), "good night")
        .await;
    let LinkEvent::Closed(closed) = reading.await.unwrap() else {
        panic!("no end")
    };
    let reason = "good night".to_owned();
    assert_eq!(
        closed,
        Closed::ByPeer {
            code: Some(ErrorCode::ShuttingDown),
            reason
        }
    );
}

#[tokio::test]
async fn dropping_a_link_ends_the_connection() {
    let (_listener, _dialer, client, mut server) = pair(QuicLimits::default()).await;
    drop(client);
    assert!(matches!(
        event(&mut server).await,
        LinkEvent::Closed(Closed::ByPeer { code: None, .. })
    ));
    assert!(
        matches!(event(&mut server).await, LinkEvent::Closed(_)),
        "and stays so"
    );
}

#[tokio::test]
async fn nobody_answers_is_said_in_the_end() {
    let limits = QuicLimits {
        handshake_ms: 200,
        ..QuicLimits::default()
    };
    let silent = tokio::net::UdpSocket::bind(LOOPBACK).await.unwrap();
    let (_, address) = listen(QuicLimits::default());
    let address = RelayAddress {
        port: silent.local_addr().unwrap().port(),
        ..address
    };
    let error = Dialer::bind(limits)
        .unwrap()
        .connect(&address)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
}

/// A peer without our code: quinn alone, and it trusts anybody.
struct Raw {
    connection: quinn::Connection,
    control: quinn::SendStream,
    /// Dropping it would tell the listener of the stream.
    _answers: quinn::RecvStream,
    _endpoint: quinn::Endpoint,
}

impl Raw {
    async fn connect(address: &RelayAddress, alpn: &[u8]) -> Result<Self, quinn::ConnectionError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let endpoint = quinn::Endpoint::client(LOOPBACK).unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], address.port));
        let connection = endpoint
            .connect_with(config, to, "x.invalid")
            .unwrap()
            .await?;
        let (control, _answers) = connection.open_bi().await?;
        Ok(Self {
            connection,
            control,
            _answers,
            _endpoint: endpoint,
        })
    }
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// What the listener's side makes of bytes on the control stream.
async fn fed(bytes: &[u8], limits: QuicLimits) -> LinkEvent {
    let (listener, address) = listen(limits);
    let accepting = tokio::spawn(accept(listener));
    let mut raw = Raw::connect(&address, ALPN).await.unwrap();
    raw.control.write_all(bytes).await.unwrap();
    let (_listener, mut link) = accepting.await.unwrap();
    event(&mut link).await
}

#[tokio::test]
async fn garbage_an_oversize_length_and_a_frame_that_never_ends_are_typed_errors() {
    let garbage = fed(&[0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff], QuicLimits::default()).await;
    assert!(matches!(garbage, LinkEvent::Undecodable(_)), "{garbage:?}");
    let oversize = fed(&[0xff, 0xff, 0xff, 0xff], QuicLimits::default()).await;
    assert!(
        matches!(oversize, LinkEvent::Undecodable(WireError::Oversize { .. })),
        "{oversize:?}"
    );
    // The peer stays and sends nothing more.
    let limits = QuicLimits {
        partial_frame_ms: 200,
        ..QuicLimits::default()
    };
    let slow = fed(&[0, 0, 1, 0, 1, 2, 3], limits).await;
    assert!(
        matches!(slow, LinkEvent::Undecodable(WireError::Slow { .. })),
        "{slow:?}"
    );
}

#[tokio::test]
async fn a_frame_on_the_wrong_stream_a_stream_of_no_class_and_a_second_one_end_the_connection() {
    let mut text_stream = vec![1_u8];
    text_stream.extend(encode_framed(&ping(1)));
    for streams in [vec![text_stream], vec![vec![200]], vec![vec![1], vec![1]]] {
        let (listener, address) = listen(QuicLimits::default());
        let accepting = tokio::spawn(accept(listener));
        let mut raw = Raw::connect(&address, ALPN).await.unwrap();
        raw.control
            .write_all(&encode_framed(&ping(1)))
            .await
            .unwrap();
        let (_listener, mut link) = accepting.await.unwrap();
        assert_eq!(frame(&mut link).await, ping(1));
        let mut opened = Vec::new();
        for bytes in streams {
            let mut stream = raw.connection.open_uni().await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            opened.push(stream);
        }
        let ended = event(&mut link).await;
        let here = matches!(
            ended,
            LinkEvent::Closed(Closed::Here {
                code: Some(ErrorCode::Protocol),
                ..
            })
        );
        assert!(here, "{ended:?}");
    }
}

#[tokio::test]
async fn another_protocol_gets_no_connection_and_a_handshake_that_stops_is_forgotten() {
    let limits = QuicLimits {
        handshake_ms: 200,
        handshakes_max: 1,
        ..QuicLimits::default()
    };
    let (listener, address) = listen(limits);
    let accepting = tokio::spawn(accept(listener));
    assert!(Raw::connect(&address, b"h3").await.is_err());
    // Takes the only place for a handshake and never writes to its control stream.
    let silent = connect_in_time(&address).await;
    let ended = tokio::time::timeout(PATIENCE, silent.connection.closed()).await;
    assert!(ended.is_ok(), "the listener waits for ever");
    let honest = tokio::spawn(async move {
        loop {
            let mut honest = connect_in_time(&address).await;
            let _ = honest.control.write_all(&encode_framed(&ping(5))).await;
            // One that came too late is let go, and comes again.
            honest.connection.closed().await;
        }
    });
    let (_listener, mut link) = accepting.await.unwrap();
    assert_eq!(frame(&mut link).await, ping(5));
    honest.abort();
}

/// Where handshakes have so little time, one may take too long on a busy machine: another try.
async fn connect_in_time(address: &RelayAddress) -> Raw {
    let connected = async {
        loop {
            if let Ok(raw) = Raw::connect(address, ALPN).await {
                return raw;
            }
        }
    };
    let connected = tokio::time::timeout(PATIENCE, connected).await;
    connected.expect("the listener takes nobody")
}

/// Lanes, slots and terms over a real connection, in both versions.
#[tokio::test]
async fn envelopes_arrive_as_they_were_in_the_version_that_hello_settled() {
    let [mut first, mut second] = [u64::MAX; 2];
    // A busy machine sends some packets twice; the fewest of several times are counted.
    for _ in 0..3 {
        first = first.min(sent_bytes(1).await);
        second = second.min(sent_bytes(2).await);
    }
    assert!(second + 50 * 100 < first, "{second} of {first} bytes");
}

/// What 50 appends cost on a connection of this version.
async fn sent_bytes(version: u16) -> u64 {
    let (_listener, _dialer, mut client, mut server) = pair(QuicLimits::default()).await;
    let hello = Frame::Hello(Hello {
        versions: version..=version,
        agent: "test".to_owned(),
        keep_alive_ms: KEEP_ALIVE_MS_DEFAULT,
        log: Some((LogId::from_bytes([4; 16]), 1)),
        token: None,
        relay_time: None,
    });
    server
        .sender()
        .send(Lane::Control, hello.clone())
        .await
        .unwrap();
    assert_eq!(frame(&mut client).await, hello);
    let before = client.stats().udp_sent_bytes;
    for seq in 1..=50 {
        let append = Frame::Append(Append {
            request: seq,
            envelopes: vec![support::change(1, 1, seq)],
        });
        client
            .sender()
            .send(append.lane(), append.clone())
            .await
            .unwrap();
        assert_eq!(frame(&mut server).await, append);
    }
    client.stats().udp_sent_bytes - before
}
