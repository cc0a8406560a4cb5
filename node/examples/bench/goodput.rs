//! Goodput of one connection on loopback: QUIC as Khlong uses it, beside TCP with TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use ed25519_dalek::SigningKey;
use khlong_crdt::address::RelayAddress;
use khlong_crdt::envelope::{Expiry, Kind, Prefix, VerifiedEnvelope};
use khlong_crdt::id::{AuthorKey, EnvelopeId, EpochId, RelayKey, Seq, TimelineId};
use khlong_sync::transport::quic::dialer::Dialer;
use khlong_sync::transport::quic::identity::Identity;
use khlong_sync::transport::quic::limits::QuicLimits;
use khlong_sync::transport::quic::link::LinkEvent;
use khlong_sync::transport::quic::listener::Listener;
use khlong_sync::wire::frame::{Append, Frame, Ping};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::figures::Figures;
use crate::processes::Failure;

/// Frames of nearly a mebibyte, small and `--full`.
const FRAMES: usize = 64;
const FRAMES_FULL: usize = 512;
/// Bytes of an envelope's body, so that its one signature is nothing beside it.
const BODY_BYTES: usize = 1_000_000;
const NAME: &str = "bench.invalid";
const READ_BYTES: usize = 64 * 1024;

/// Both in turn, the same bytes in the same portions.
pub(crate) async fn measure(full: bool, figures: &mut Figures) -> Result<(), Failure> {
    let frames = if full { FRAMES_FULL } else { FRAMES };
    let envelope = large()?;
    let megabytes = (frames * envelope.bytes().len()) as f64 / 1e6;
    let quic = megabytes / quic(&envelope, frames).await?;
    let tcp = megabytes / tcp(&envelope, frames).await?;
    let name = "goodput of frames over QUIC, checked";
    figures.add(name.to_owned(), "MB/s", quic);
    figures.add("goodput of TCP with TLS".to_owned(), "MB/s", tcp);
    figures.add("QUIC / TCP with TLS".to_owned(), "times", quic / tcp);
    Ok(())
}

/// Seconds until the last frame was decoded and its envelope verified.
async fn quic(envelope: &VerifiedEnvelope, frames: usize) -> Result<f64, Failure> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let seed = [7; 32];
    let limits = QuicLimits::default();
    let mut listener = Listener::bind(loopback, &Identity::from_seed(&seed)?, limits)?;
    let relay = RelayAddress {
        key: RelayKey::from_bytes(SigningKey::from_bytes(&seed).verifying_key().to_bytes()),
        host: loopback.ip().to_string(),
        port: listener.local_addr()?.port(),
    };
    let dialer = Dialer::bind(limits)?;
    let envelopes = vec![envelope.clone()];
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        let link = dialer.connect(&relay).await?;
        let sender = link.sender();
        // Whoever accepts a link waits for its first word on the control stream.
        let first = Frame::Ping(Ping { nonce: 0 });
        sender.send(first.lane(), first).await?;
        for request in 1..=frames as u64 {
            let envelopes = envelopes.clone();
            let frame = Frame::Append(Append { request, envelopes });
            sender.send(frame.lane(), frame).await?;
        }
        Ok::<_, Failure>((dialer, link))
    });
    let mut link = listener.accept().await.ok_or("the listener ended")?;
    let mut received = 0;
    while received < frames {
        match link.recv().await {
            LinkEvent::Frame(Frame::Append(_)) => received += 1,
            LinkEvent::Frame(Frame::Ping(_)) => {}
            other => return Err(format!("instead of an append: {other:?}").into()),
        }
    }
    let took = begun.elapsed().as_secs_f64();
    drop(sending.await??);
    Ok(took)
}

/// Seconds until the last byte was read.
async fn tcp(envelope: &VerifiedEnvelope, frames: usize) -> Result<f64, Failure> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()])?;
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone())?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let envelope = envelope.clone();
    let bytes = frames * envelope.bytes().len();
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(Arc::new(client));
        let mut stream = connector
            .connect(ServerName::try_from(NAME)?, stream)
            .await?;
        for _ in 0..frames {
            stream.write_all(envelope.bytes()).await?;
        }
        stream.shutdown().await?;
        // Dropped with something unread in it, such as a ticket, it would reset the connection.
        Ok::<_, Failure>(stream)
    });
    let (stream, _) = listener.accept().await?;
    let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await?;
    let mut buffer = vec![0; READ_BYTES];
    let mut read = 0;
    while read < bytes {
        match stream.read(&mut buffer).await? {
            0 => return Err("the sender ended too early".into()),
            more => read += more,
        }
    }
    let took = begun.elapsed().as_secs_f64();
    // The end as well, or the sender would meet a connection that is gone.
    while stream.read(&mut buffer).await? > 0 {}
    drop(sending.await??);
    Ok(took)
}

fn large() -> Result<VerifiedEnvelope, Failure> {
    let key = SigningKey::from_bytes(&[9; 32]);
    let prefix = Prefix {
        kind: Kind::Fragment,
        timeline: TimelineId::from_bytes([1; 32]),
        author: AuthorKey::from_bytes(key.verifying_key().to_bytes()),
        seq: Seq(1),
        prev: EnvelopeId::ZERO,
        epoch: EpochId::from_bytes([2; 32]),
        expiry: Expiry::Keep,
        refs: Vec::new(),
    };
    Ok(VerifiedEnvelope::sign(
        prefix,
        [3; 24],
        &vec![4; BODY_BYTES],
        &key,
    )?)
}
