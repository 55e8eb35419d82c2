//! A connection between two nodes: who is at the other end, and streams by purpose, so that a large transfer does not
//! delay a save.
//!
//! It ends with the first thing that goes wrong; making a new one is the caller's matter.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use crate::identity::PublicKey;
use crate::stream::FrameStream;
use crate::tls;

/// Bytes of [`PeerConnection::exporter`].
pub const EXPORTER_BYTES: usize = 32;
/// Characters of a peer's reason that are kept.
const REASON_CHARACTERS_MAX: usize = 256;
/// How long a stream may say nothing of its purpose.
const PURPOSE_DEADLINE: Duration = Duration::from_secs(10);
/// How long to wait until the peer has been told of the end.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(1);
/// Code with which a stream of unknown purpose is turned away.
const UNKNOWN_PURPOSE: VarInt = VarInt::from_u32(1);

/// What a stream is for. Its number goes ahead of the first envelope; streams of a lower number go first where the
/// line is full.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Purpose {
    /// Greeting, joining, ids, clock.
    Control,
    /// Transactions and log entries.
    Feed,
    /// Snapshots and other long transfers.
    Bulk,
    /// Contents of files.
    Blob,
}

impl Purpose {
    const fn number(self) -> u8 {
        match self {
            Self::Control => 1,
            Self::Feed => 2,
            Self::Bulk => 3,
            Self::Blob => 4,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Control),
            2 => Some(Self::Feed),
            3 => Some(Self::Bulk),
            4 => Some(Self::Blob),
            _ => None,
        }
    }
}

/// How a connection ended.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConnectionLost {
    /// The peer closed it.
    #[error("the peer closed the connection (code {code}): {reason}")]
    ClosedByPeer {
        /// As the peer gave it.
        code: u64,
        /// As the peer gave it, at most 256 characters without control characters.
        reason: String,
    },
    /// This side closed it.
    #[error("the connection was closed by this node")]
    ClosedHere,
    /// Nothing was heard for the idle timeout.
    #[error("nothing was heard of the peer for 20 s")]
    TimedOut,
    /// The peer does not know the connection any longer, mostly since it started anew.
    #[error("the peer does not know the connection any longer (it has started anew)")]
    Reset,
    /// Anything else that the transport reports.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl From<ConnectionError> for ConnectionLost {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::ApplicationClosed(close) => {
                Self::ClosedByPeer { code: close.error_code.into_inner(), reason: printable(&close.reason) }
            }
            ConnectionError::LocallyClosed => Self::ClosedHere,
            ConnectionError::TimedOut => Self::TimedOut,
            ConnectionError::Reset => Self::Reset,
            other => Self::Broken(printable(other.to_string().as_bytes())),
        }
    }
}

/// What a peer says ends up in logs and on terminals.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|character| !character.is_control()).take(REASON_CHARACTERS_MAX).collect()
}

/// A connection to a peer that has proved its key. Clones are the same connection. It ends when it is closed or when
/// the last clone and stream of it are dropped.
#[derive(Clone)]
pub struct PeerConnection {
    connection: Connection,
    peer: PublicKey,
    /// Of an outgoing connection, which has a socket of its own.
    endpoint: Option<Endpoint>,
    /// A stream whose purpose has not come yet, kept here so that a dropped wait does not lose it.
    arriving: Arc<Mutex<Option<(SendStream, RecvStream)>>>,
    /// Told once the peer is a stranger no longer.
    welcomed: Arc<Notify>,
}

impl PeerConnection {
    /// Over a connection whose handshake is done; `None` where the peer showed no key.
    pub(crate) fn new(connection: Connection, endpoint: Option<Endpoint>) -> Option<Self> {
        let shown = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let peer = tls::shown_key(&shown)?;
        Some(Self { connection, peer, endpoint, arriving: Arc::default(), welcomed: Arc::default() })
    }

    /// The key that the peer has proved to hold. Whoever accepted the connection has yet to decide whether it is
    /// welcome.
    #[must_use]
    pub const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Says that the peer of an accepted connection is welcome: it is no stranger any longer, and not cut off as one.
    pub fn welcome(&self) {
        self.welcomed.notify_one();
    }

    /// Is told by [`Self::welcome`], before or after it is waited for.
    pub(crate) fn welcomed(&self) -> Arc<Notify> {
        Arc::clone(&self.welcomed)
    }

    /// Where the peer is now; may change while the connection lives.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        let address = self.connection.remote_address();
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// Opens a stream in both directions. Waits while 16 are open.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub async fn open(&self, purpose: Purpose) -> Result<FrameStream, ConnectionLost> {
        let (mut send, receive) = self.connection.open_bi().await?;
        // A peer learns of a stream by its first byte.
        let told = send.write_all(&[purpose.number()]).await;
        if told.is_err() || send.set_priority(-i32::from(purpose.number())).is_err() {
            return Err(self.why().unwrap_or_else(|| ConnectionLost::Broken("the peer refused a stream".to_owned())));
        }
        Ok(FrameStream::over_quic(send, receive))
    }

    /// The next stream that the peer opens. May be dropped at any time. Streams of a purpose that is not known here
    /// are turned away and passed over.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub async fn accept_stream(&self) -> Result<(Purpose, FrameStream), ConnectionLost> {
        // Held while waiting on purpose: streams are taken one after another, and the slot outlasts a dropped wait.
        let mut arriving = self.arriving.lock().await;
        loop {
            if arriving.is_none() {
                *arriving = Some(self.connection.accept_bi().await?);
            }
            let mut number = [0];
            let told = match arriving.as_mut() {
                Some((_, receive)) => timeout(PURPOSE_DEADLINE, receive.read_exact(&mut number)).await,
                None => continue,
            };
            let Some((mut send, mut receive)) = arriving.take() else { continue };
            match (told, Purpose::from_number(number[0])) {
                (Ok(Ok(())), Some(purpose)) if send.set_priority(-i32::from(purpose.number())).is_ok() => {
                    return Ok((purpose, FrameStream::over_quic(send, receive)));
                }
                // Gone already, or about to be: either is what is wanted.
                _ => {
                    let _gone = (send.reset(UNKNOWN_PURPOSE), receive.stop(UNKNOWN_PURPOSE));
                    tracing::debug!(peer = %self.peer, number = number[0], "stream of unknown purpose turned away");
                }
            }
        }
    }

    /// Bytes that both ends of this connection, and nobody else, can compute; another label gives others. A proof over
    /// them cannot be used on another connection.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub fn exporter(&self, label: &str) -> Result<[u8; EXPORTER_BYTES], ConnectionLost> {
        let mut bytes = [0; EXPORTER_BYTES];
        match self.connection.export_keying_material(&mut bytes, label.as_bytes(), &[]) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(self.why().unwrap_or_else(|| ConnectionLost::Broken("no keys to export".to_owned()))),
        }
    }

    /// Closes it at once, in both directions; what was not finished is lost. The peer gets code and reason (at most
    /// some hundred bytes of it); the runtime must go on for a moment for that, see [`Self::shut_down`].
    pub fn close(&self, code: u32, reason: &str) {
        self.connection.close(VarInt::from_u32(code), reason.as_bytes());
    }

    /// Closes it and, where this side connected, waits until the peer has been told, at most one second. Where this
    /// side accepted, `Listener::shut_down` waits for all.
    pub async fn shut_down(self, code: u32, reason: &str) {
        self.close(code, reason);
        if let Some(endpoint) = &self.endpoint {
            let _told = timeout(GOODBYE_DEADLINE, endpoint.wait_idle()).await;
        }
    }

    /// Waits for the end. May be dropped at any time.
    pub async fn closed(&self) -> ConnectionLost {
        self.connection.closed().await.into()
    }

    /// How it ended; `None` while it lives.
    #[must_use]
    pub fn why(&self) -> Option<ConnectionLost> {
        self.connection.close_reason().map(ConnectionLost::from)
    }
}

impl fmt::Debug for PeerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerConnection({} at {})", self.peer, self.remote_address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::connect;
    use crate::gate::Limits;
    use crate::identity::NodeKey;
    use crate::listener::Listener;

    #[test]
    fn purposes_have_numbers_of_their_own() {
        for purpose in [Purpose::Control, Purpose::Feed, Purpose::Bulk, Purpose::Blob] {
            assert_eq!(Purpose::from_number(purpose.number()), Some(purpose));
        }
        assert_eq!(Purpose::from_number(0), None);
        assert_eq!(Purpose::from_number(5), None);
    }

    #[tokio::test]
    async fn a_dropped_wait_for_a_stream_loses_none() {
        let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), &head_key, Limits::default(), 10).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let deadline = Duration::from_secs(10);
        let (branch, head) =
            tokio::join!(connect(&address, &branch_key, head_key.public(), deadline), listener.accept());
        let (branch, head) = (branch.unwrap(), head.unwrap());
        // The second makes the first known to the other side, before that has said what it is for.
        let mut late = branch.connection.open_bi().await.unwrap();
        let mut unknown = branch.connection.open_bi().await.unwrap();
        unknown.0.write_all(&[99]).await.unwrap();
        let _feed = branch.open(Purpose::Feed).await.unwrap();
        for _ in 0..5 {
            timeout(Duration::from_millis(20), head.accept_stream()).await.unwrap_err();
        }
        late.0.write_all(&[Purpose::Blob.number()]).await.unwrap();
        assert_eq!(head.accept_stream().await.unwrap().0, Purpose::Blob);
        assert_eq!(head.accept_stream().await.unwrap().0, Purpose::Feed, "the unknown one is passed over");
    }

    #[test]
    fn reasons_are_fit_for_a_terminal() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(printable(bytes), expected);
        check(b"good bye", "good bye");
        check(b"\x1b[2Jx\ny", "[2Jxy");
        check(b"\xff", "\u{fffd}");
        assert_eq!(printable(&[b'a'; 1000]).len(), REASON_CHARACTERS_MAX);
    }
}
