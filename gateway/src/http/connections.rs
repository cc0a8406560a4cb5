//! A listener that takes no more than so many connections at once, and what a client may do with
//! one: whoever is silent, or does not take its answer, gives its place back in time.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Sleep;

use super::limits::HEAD_BYTES_MAX;

/// Serves until `quitting` ends, and then answers what is under way. `silence_max`: how long a
/// client may take for the head of a request, also the next one, or take nothing of its answer.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: usize,
    silence_max: Duration,
    mut quitting: oneshot::Receiver<()>,
) {
    let mut listener = Limited::new(listener, connections, silence_max);
    let (stop, stopping) = watch::channel(());
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            // Also when the other end is gone.
            _ = &mut quitting => break,
            (seated, _) = listener.accept() => {
                open.spawn(converse(seated, router.clone(), silence_max, stopping.clone()));
            }
            Some(_) = open.join_next() => {}
        }
    }
    drop((listener, stop));
    while open.join_next().await.is_some() {}
}

/// One connection, to its end.
async fn converse(
    seated: Seated,
    router: Router,
    silence_max: Duration,
    mut stopping: watch::Receiver<()>,
) {
    let service = TowerToHyperService::new(router);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(silence_max)
        .max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(http.serve_connection(TokioIo::new(seated), service));
    // How it ends is the client's: it went away, was silent, or spoke no HTTP.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Others wait in the system's queue, which has its own bound.
struct Limited {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence_max: Duration,
}

impl Limited {
    fn new(listener: TcpListener, connections: usize, silence_max: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(connections)),
            silence_max,
        }
    }
}

/// A connection with its place, which it gives back when it ends.
struct Seated {
    stream: TcpStream,
    silence_max: Duration,
    /// Runs while the client takes nothing of what is to be written.
    silence: Option<Pin<Box<Sleep>>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Limited {
    async fn accept(&mut self) -> (Seated, SocketAddr) {
        // Never closed, so there is always a permit in the end.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let seated = Seated {
            stream,
            silence_max: self.silence_max,
            silence: None,
            _place: place,
        };
        (seated, address)
    }
}

impl AsyncRead for Seated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for Seated {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if polled.is_ready() {
            self.silence = None;
            return polled;
        }
        let silence_max = self.silence_max;
        let silence = self
            .silence
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(silence_max)));
        match silence.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
