//! A connection between two nodes: who is at the other end, and streams by purpose, so that a large transfer does not
//! delay a save.
//!
//! It ends with the first thing that goes wrong; making a new one is the caller's matter.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::identity::PublicKey;
use crate::mux::Mux;
use crate::quic::Quic;
use crate::stream::FrameStream;

/// Bytes of [`PeerConnection::exporter`].
pub const EXPORTER_BYTES: usize = 32;
/// Characters of a peer's reason that are kept.
const REASON_CHARACTERS_MAX: usize = 256;
/// How long a stream may say nothing of its purpose.
pub(crate) const PURPOSE_DEADLINE: Duration = Duration::from_secs(10);
/// How long to wait until the peer has been told of the end.
pub(crate) const GOODBYE_DEADLINE: Duration = Duration::from_secs(1);

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
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Control => 1,
            Self::Feed => 2,
            Self::Bulk => 3,
            Self::Blob => 4,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
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

/// What a peer says ends up in logs and on terminals.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().filter(|character| !character.is_control()).take(REASON_CHARACTERS_MAX).collect()
}

/// Over what a connection runs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    /// QUIC over UDP.
    Quic,
    /// TLS over TCP.
    Tls,
    /// TCP without encryption.
    Plain,
}

impl fmt::Display for Transport {
    /// One word, as it stands in `status`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quic => "quic",
            Self::Tls => "tls",
            Self::Plain => "plain",
        })
    }
}

/// What carries the streams.
#[derive(Clone)]
pub(crate) enum Link {
    Quic(Quic),
    Mux(Mux),
}

/// A connection to a peer that has proved its key. Clones are the same connection. It ends when it is closed or when
/// the last clone and stream of it are dropped.
#[derive(Clone)]
pub struct PeerConnection {
    pub(crate) link: Link,
    transport: Transport,
    peer: PublicKey,
    /// Where the peer was at the beginning.
    address: SocketAddr,
    /// Told once the peer is a stranger no longer.
    welcomed: Arc<Notify>,
}

impl PeerConnection {
    /// Over QUIC, with the handshake done; `None` where the peer showed no key.
    pub(crate) fn over_quic(quic: Quic) -> Option<Self> {
        let (peer, address) = (quic.peer()?, quic.remote_address());
        Some(Self { link: Link::Quic(quic), transport: Transport::Quic, peer, address, welcomed: Arc::default() })
    }

    /// Over one stream of bytes to a peer that has proved its key.
    pub(crate) fn over_mux(mux: Mux, transport: Transport, peer: PublicKey, address: SocketAddr) -> Self {
        Self { link: Link::Mux(mux), transport, peer, address, welcomed: Arc::default() }
    }

    /// The key that the peer has proved to hold. Whoever accepted the connection has yet to decide whether it is
    /// welcome.
    #[must_use]
    pub const fn peer(&self) -> PublicKey {
        self.peer
    }

    /// Over what it runs.
    #[must_use]
    pub const fn transport(&self) -> Transport {
        self.transport
    }

    /// Says that the peer of an accepted connection is welcome: it is no stranger any longer, may send much, and is not
    /// cut off.
    pub fn welcome(&self) {
        match &self.link {
            Link::Quic(quic) => quic.welcome(),
            Link::Mux(mux) => mux.welcome(),
        }
        self.welcomed.notify_one();
    }

    /// Is told by [`Self::welcome`], before or after it is waited for.
    pub(crate) fn welcomed(&self) -> Arc<Notify> {
        Arc::clone(&self.welcomed)
    }

    /// Where the peer is now; may change while the connection lives.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        let address = match &self.link {
            Link::Quic(quic) => quic.remote_address(),
            Link::Mux(_) => self.address,
        };
        SocketAddr::new(address.ip().to_canonical(), address.port())
    }

    /// Opens a stream in both directions. Waits while 16 are open.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub async fn open(&self, purpose: Purpose) -> Result<FrameStream, ConnectionLost> {
        match &self.link {
            Link::Quic(quic) => quic.open(purpose).await,
            Link::Mux(mux) => mux.open(purpose).await,
        }
    }

    /// The next stream that the peer opens. May be dropped at any time. Streams of a purpose that is not known here
    /// are turned away and passed over.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub async fn accept_stream(&self) -> Result<(Purpose, FrameStream), ConnectionLost> {
        match &self.link {
            Link::Quic(quic) => quic.accept().await,
            Link::Mux(mux) => mux.accept().await,
        }
    }

    /// Bytes that both ends of this connection, and nobody else, can compute; another label gives others. A proof over
    /// them cannot be used on another connection.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub fn exporter(&self, label: &str) -> Result<[u8; EXPORTER_BYTES], ConnectionLost> {
        match &self.link {
            Link::Quic(quic) => quic.exporter(label),
            Link::Mux(mux) => Ok(mux.exporter(label)),
        }
    }

    /// Closes it at once, in both directions; what was not finished is lost. The peer gets code and reason (at most
    /// some hundred bytes of it); the runtime must go on for a moment for that, see [`Self::shut_down`].
    pub fn close(&self, code: u32, reason: &str) {
        match &self.link {
            Link::Quic(quic) => quic.close(code, reason),
            Link::Mux(mux) => mux.close(code, reason),
        }
    }

    /// Closes it and waits until the peer has been told, at most one second. Over QUIC, where this side accepted, it
    /// does not wait: `Listener::shut_down` waits for all.
    pub async fn shut_down(self, code: u32, reason: &str) {
        self.close(code, reason);
        match &self.link {
            Link::Quic(quic) => quic.told().await,
            Link::Mux(mux) => mux.told().await,
        }
    }

    /// Waits for the end. May be dropped at any time.
    pub async fn closed(&self) -> ConnectionLost {
        match &self.link {
            Link::Quic(quic) => quic.closed().await,
            Link::Mux(mux) => mux.closed().await,
        }
    }

    /// How it ended; `None` while it lives.
    #[must_use]
    pub fn why(&self) -> Option<ConnectionLost> {
        match &self.link {
            Link::Quic(quic) => quic.why(),
            Link::Mux(mux) => mux.why(),
        }
    }
}

impl fmt::Debug for PeerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerConnection({} at {} over {})", self.peer, self.remote_address(), self.transport)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_have_numbers_of_their_own() {
        for purpose in [Purpose::Control, Purpose::Feed, Purpose::Bulk, Purpose::Blob] {
            assert_eq!(Purpose::from_number(purpose.number()), Some(purpose));
        }
        assert_eq!(Purpose::from_number(0), None);
        assert_eq!(Purpose::from_number(5), None);
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
