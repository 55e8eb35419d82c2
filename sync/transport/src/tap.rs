//! The bytes below a multiplexer, as they pass: when the other side was heard last, and how much a stranger has said.
//!
//! It knows no frames and no streams, and waits for nothing by itself.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, BufStream, ReadBuf};
use tokio::time::Instant;

/// What a stranger may say before it is welcome; a greeting is at most half of that.
pub(crate) const STRANGER_BYTES_MAX: u32 = 128 * 1024;
/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes that are gathered before they are written; more than one frame of a multiplexer with its header.
const WRITE_BYTES: usize = 20 * 1024;

/// Anything that bytes can pass through in both directions.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Wire for T {}

/// See the module. Clones are the same wire.
#[derive(Clone)]
pub(crate) struct Tap(Arc<Mutex<Inside>>);

struct Inside {
    wire: BufStream<Box<dyn Wire>>,
    heard: Instant,
    /// How much more may be read; `None` once the other side is welcome.
    room: Option<u64>,
}

impl Tap {
    /// Over a wire to somebody whom this side chose (`None`), or who may say only so many bytes at first.
    pub(crate) fn new(wire: impl Wire, room: Option<u32>) -> Self {
        let wire: Box<dyn Wire> = Box::new(wire);
        let wire = BufStream::with_capacity(READ_BYTES, WRITE_BYTES, wire);
        Self(Arc::new(Mutex::new(Inside { wire, heard: Instant::now(), room: room.map(u64::from) })))
    }

    /// The other side is a stranger no longer.
    pub(crate) fn welcome(&self) {
        self.inside().room = None;
    }

    /// How long nothing was heard.
    pub(crate) fn silence(&self) -> Duration {
        self.inside().heard.elapsed()
    }

    /// Reads on until the other side has ended too, and throws it away. A socket that is closed with bytes unread in it
    /// takes back what it sent.
    pub(crate) async fn drain(mut self) {
        let mut waste = [0; 4096];
        while self.read(&mut waste).await.is_ok_and(|count| count > 0) {}
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inside = self.inside();
        if inside.room == Some(0) {
            let message = "it said more than a greeting before it was welcome";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, message)));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut inside.wire).poll_read(cx, buf);
        let count = buf.filled().len().saturating_sub(before);
        if count > 0 {
            inside.heard = Instant::now();
            inside.room = inside.room.map(|room| room.saturating_sub(count as u64));
        }
        polled
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inside().wire).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inside().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inside().wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_stranger_that_says_too_much_is_not_read_on_and_a_guest_is() {
        let (here, mut there) = tokio::io::duplex(1000);
        let mut tap = Tap::new(here, Some(10));
        there.write_all(&[1; 20]).await.unwrap();
        let mut got = [0; 10];
        tap.read_exact(&mut got).await.unwrap();
        let refused = tap.read(&mut got).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        tap.welcome();
        tap.read_exact(&mut got).await.unwrap();
    }

    #[tokio::test]
    async fn silence_is_measured_from_what_was_heard_last() {
        const PAUSE: Duration = Duration::from_millis(30);
        let (here, mut there) = tokio::io::duplex(1000);
        let mut tap = Tap::new(here, None);
        tokio::time::sleep(PAUSE).await;
        tap.write_all(&[1]).await.unwrap();
        tap.flush().await.unwrap();
        let before = tap.silence();
        assert!(before >= PAUSE, "what is said here is nothing that is heard");
        there.write_all(&[1]).await.unwrap();
        tap.read_u8().await.unwrap();
        assert!(tap.silence() < before);
    }
}
