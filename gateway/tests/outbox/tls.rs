//! A target behind TLS: believed by the certificates that its section names, and by no other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use khlong_gateway::outbox::schedule::Policy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::sender::{Sender, closed_day, open, quick, targets};

/// Takes whatever comes, and counts requests.
fn serve(folder: &Path) -> (Runtime, String, PathBuf, Arc<AtomicUsize>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = folder.join("ca.pem");
    let pem = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        data_encoding::BASE64.encode(made.cert.der())
    );
    std::fs::write(&file, pem).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!(
        "https://localhost:{}/hook",
        listener.local_addr().unwrap().port()
    );
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    runtime.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 16];
            if stream.read_exact(&mut head).await.is_ok() && head.starts_with(b"POST /hook ") {
                counted.fetch_add(1, Ordering::AcqRel);
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = stream.flush().await;
                // Until the other side has read it and goes.
                while stream.read(&mut head).await.is_ok_and(|read| read > 0) {}
            }
        }
    });
    (runtime, url, file, requests)
}

#[test]
fn a_target_behind_tls_is_believed_by_its_own_certificates_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (_runtime, url, file, requests) = serve(folder.path());
    let (disk, now) = closed_day();
    let impatient = Policy {
        give_up_after: Duration::from_millis(60),
        ..quick()
    };
    // Another one's certificate, by the same name.
    let other = tempfile::tempdir().unwrap();
    let (_other, _, others, _) = serve(other.path());
    let section = targets(std::slice::from_ref(&url));
    let text = format!("{section}ca_file = {others:?}\n");
    let sender = Sender::on(open(&disk), now, &text, impatient);
    sender.settle();
    sender.stop();
    assert_eq!(requests.load(Ordering::Acquire), 0);
    let (disk, now) = closed_day();
    let text = format!("{}ca_file = {file:?}\n", targets(&[url]));
    let sender = Sender::on(open(&disk), now, &text, quick());
    sender.settle();
    sender.stop();
    assert_eq!(requests.load(Ordering::Acquire), 1);
}
