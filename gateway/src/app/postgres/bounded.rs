//! What a server may send in answer to one request: a length that it names is not believed,
//! bytes are counted as they come. That one came at all is kept.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes may still come. Shared by a connection and whoever asks over it.
#[derive(Debug, Clone)]
pub(super) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// For the next answer.
    pub(super) fn renew(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Release);
    }

    fn spend(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let spend = |left: u64| left.checked_sub(bytes);
        let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
        self.0.fetch_update(set, fetch, spend).is_ok()
    }
}

/// Whether a byte ever came from the other end, over whichever connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Ear(Arc<AtomicBool>);

impl Ear {
    pub(super) fn has_heard(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn note(&self, bytes: usize) {
        if bytes > 0 {
            self.0.store(true, Ordering::Release);
        }
    }
}

/// A connection that breaks when more comes than was asked for. One read may go over the
/// allowance, into a buffer that was there before.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    inner: S,
    allowance: Allowance,
    ear: Ear,
}

impl<S> Bounded<S> {
    pub(super) fn new(inner: S, allowance: Allowance, ear: Ear) -> Self {
        Self {
            inner,
            allowance,
            ear,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        let came = buffer.filled().len() - before;
        self.ear.note(came);
        Poll::Ready(if self.allowance.spend(came) {
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the server sends more than was asked for",
            ))
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
