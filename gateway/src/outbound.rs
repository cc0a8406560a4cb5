//! The one HTTP client of the gateway: a request, an answer, and a limit on both.
//!
//! It follows no redirect, so that what is configured is where something goes; it keeps no
//! connection, since what it is used for happens a few times a day.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::uri::Scheme;
use axum::http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use khlong_settings::text_file::read_text_file;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// To find the name, connect and shake hands: 10 seconds.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of an answer's body that are read.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// Not an address of HTTP.
    #[error("{0} is no address of the form http://HOST/PATH or https://HOST/PATH")]
    Address(String),
    /// Nobody takes the connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// TLS is not to be had.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// What is there does not speak HTTP as it should.
    #[error("the other side does not speak HTTP as it should")]
    Http(#[source] hyper::Error),
    /// A request that cannot be written down.
    #[error("the request cannot be written")]
    Request(#[source] axum::http::Error),
    /// It takes longer than it may.
    #[error("no whole answer within {0:?}")]
    TooSlow(Duration),
    /// More than [`ANSWER_BYTES_MAX`], or a body that breaks off.
    #[error("the answer breaks off, or has more than {ANSWER_BYTES_MAX} bytes")]
    Body,
    /// The file of certificates.
    #[error("{path} is no file of certificates in PEM", path = .0.display())]
    Certificates(std::path::PathBuf),
    /// Nobody would be believed.
    #[error(
        "the system trusts no certificates; install them (the package is often called ca-certificates), or name a file of them (ca_file)"
    )]
    NoCertificates,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Vec<u8>,
}

/// Makes requests. Clones share what is trusted.
#[derive(Clone, Debug)]
pub struct Client {
    tls: Arc<ClientConfig>,
}

impl Client {
    /// Trusts the certificates of the file, or, without one, those that the system trusts.
    ///
    /// # Errors
    /// [`OutboundError::Certificates`], [`OutboundError::NoCertificates`], [`OutboundError::Tls`].
    pub fn new(certificates: Option<&std::path::Path>) -> Result<Self, OutboundError> {
        let mut roots = RootCertStore::empty();
        match certificates {
            Some(path) => {
                let unreadable = || OutboundError::Certificates(path.to_path_buf());
                let text = read_text_file(path).map_err(|_| unreadable())?;
                for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                    let certificate = certificate.map_err(|_| unreadable())?;
                    roots.add(certificate).map_err(|_| unreadable())?;
                }
                if roots.is_empty() {
                    return Err(unreadable());
                }
            }
            None => {
                // One that this release does not read is one that is not trusted.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(OutboundError::NoCertificates);
                }
            }
        }
        Self::trusting(roots)
    }

    /// For http alone: believes no certificate, and so reads none.
    ///
    /// # Errors
    /// [`OutboundError::Tls`].
    pub fn without_tls() -> Result<Self, OutboundError> {
        Self::trusting(RootCertStore::empty())
    }

    fn trusting(roots: RootCertStore) -> Result<Self, OutboundError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(OutboundError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { tls: Arc::new(tls) })
    }

    /// Sends `body` to `url` and reads the whole answer, within `within`.
    ///
    /// # Errors
    /// [`OutboundError`]. Whether the other side has got the request is not known then.
    pub async fn post(
        &self,
        url: &Uri,
        headers: HeaderMap,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<Answer, OutboundError> {
        let whole = async {
            let place = Place::of(url)?;
            let connecting = self.connect(&place);
            let stream = tokio::time::timeout(CONNECT_WITHIN.min(within), connecting)
                .await
                .map_err(|_| OutboundError::TooSlow(CONNECT_WITHIN))??;
            exchange(stream, request(url, &place, headers, body)?).await
        };
        tokio::time::timeout(within, whole)
            .await
            .map_err(|_| OutboundError::TooSlow(within))?
    }

    async fn connect(&self, place: &Place<'_>) -> Result<Box<dyn Stream>, OutboundError> {
        let stream = TcpStream::connect((place.host, place.port))
            .await
            .map_err(OutboundError::Connect)?;
        if !place.is_https {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(place.host.to_owned())
            .map_err(|_| OutboundError::Address(place.host.to_owned()))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(OutboundError::Connect)?;
        Ok(Box::new(stream))
    }
}

/// Whether something can be sent there: http or https, a host, and no name and password, which
/// logs would show.
#[must_use]
pub fn is_address(url: &Uri) -> bool {
    let is_plain = |authority: &str| !authority.contains('@');
    Place::of(url).is_ok() && url.authority().is_some_and(|it| is_plain(it.as_str()))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl Stream for TcpStream {}
impl Stream for tokio_rustls::client::TlsStream<TcpStream> {}

/// Where a connection goes.
struct Place<'u> {
    is_https: bool,
    host: &'u str,
    port: u16,
}

impl<'u> Place<'u> {
    fn of(url: &'u Uri) -> Result<Self, OutboundError> {
        let strange = || OutboundError::Address(url.to_string());
        let scheme = url.scheme().ok_or_else(strange)?;
        let is_https = *scheme == Scheme::HTTPS;
        if !is_https && *scheme != Scheme::HTTP {
            return Err(strange());
        }
        let host = url.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(strange)?;
        let host = host.strip_prefix('[').map_or(host, |inner| {
            // An address of IPv6 stands in brackets in a URL alone.
            inner.strip_suffix(']').unwrap_or(inner)
        });
        let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self {
            is_https,
            host,
            port,
        })
    }
}

fn request(
    url: &Uri,
    place: &Place<'_>,
    headers: HeaderMap,
    body: Vec<u8>,
) -> Result<Request<Body>, OutboundError> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let authority = url.authority().map_or(place.host, |it| it.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::CONNECTION, "close")
        .header(
            header::USER_AGENT,
            concat!("khlong-gateway/", env!("CARGO_PKG_VERSION")),
        )
        .body(Body::from(body))
        .map_err(OutboundError::Request)?;
    request.headers_mut().extend(headers);
    Ok(request)
}

async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Body>,
) -> Result<Answer, OutboundError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(OutboundError::Http)?;
    let asked = async {
        let response = sender.send_request(request).await;
        read(response.map_err(OutboundError::Http)?).await
    };
    // One task moves the bytes and waits for them. That the other side closes is no failure:
    // the answer may be here by then.
    let (mut asked, mut connection) = (pin!(asked), pin!(connection));
    let mut is_open = true;
    loop {
        tokio::select! {
            biased;
            answer = &mut asked => return answer,
            _ = &mut connection, if is_open => is_open = false,
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, OutboundError> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(Body::new(body), ANSWER_BYTES_MAX)
        .await
        .map_err(|_| OutboundError::Body)?;
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.to_vec(),
    })
}
