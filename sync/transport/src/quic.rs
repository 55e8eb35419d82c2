//! A connection over QUIC, which has streams, an end with a reason and signs of life of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::connection::{ConnectionLost, EXPORTER_BYTES, GOODBYE_DEADLINE, PURPOSE_DEADLINE, Purpose, printable};
use crate::identity::PublicKey;
use crate::stream::FrameStream;
use crate::tls;

/// Code with which a stream of unknown purpose is turned away.
const UNKNOWN_PURPOSE: VarInt = VarInt::from_u32(1);

/// One end of a connection. Clones are the same end.
#[derive(Clone)]
pub(crate) struct Quic {
    connection: Connection,
    /// Of an outgoing connection, which has a socket of its own.
    endpoint: Option<Endpoint>,
    /// A stream whose purpose has not come yet, kept here so that a dropped wait does not lose it.
    arriving: Arc<Mutex<Option<(SendStream, RecvStream)>>>,
}

impl Quic {
    pub(crate) fn new(connection: Connection, endpoint: Option<Endpoint>) -> Self {
        Self { connection, endpoint, arriving: Arc::default() }
    }

    /// The key that the other side has proved to hold, if it showed one.
    pub(crate) fn peer(&self) -> Option<PublicKey> {
        let shown = self.connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        tls::shown_key(&shown)
    }

    pub(crate) fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    pub(crate) async fn open(&self, purpose: Purpose) -> Result<FrameStream, ConnectionLost> {
        let (mut send, receive) = self.connection.open_bi().await?;
        // A peer learns of a stream by its first byte.
        let told = send.write_all(&[purpose.number()]).await;
        if told.is_err() || send.set_priority(-i32::from(purpose.number())).is_err() {
            return Err(self.why().unwrap_or_else(|| ConnectionLost::Broken("the peer refused a stream".to_owned())));
        }
        Ok(FrameStream::over_quic(send, receive))
    }

    /// May be dropped at any time.
    pub(crate) async fn accept(&self) -> Result<(Purpose, FrameStream), ConnectionLost> {
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
                    tracing::debug!(number = number[0], "stream of unknown purpose turned away");
                }
            }
        }
    }

    pub(crate) fn exporter(&self, label: &str) -> Result<[u8; EXPORTER_BYTES], ConnectionLost> {
        let mut bytes = [0; EXPORTER_BYTES];
        match self.connection.export_keying_material(&mut bytes, label.as_bytes(), &[]) {
            Ok(()) => Ok(bytes),
            Err(_) => Err(self.why().unwrap_or_else(|| ConnectionLost::Broken("no keys to export".to_owned()))),
        }
    }

    pub(crate) fn welcome(&self) {
        self.connection.set_receive_window(tls::CONNECTION_WINDOW);
    }

    pub(crate) fn close(&self, code: u32, reason: &str) {
        self.connection.close(VarInt::from_u32(code), reason.as_bytes());
    }

    /// Waits until the other side has been told of the end, where this side connected, for a second at most.
    pub(crate) async fn told(&self) {
        if let Some(endpoint) = &self.endpoint {
            let _in_time = timeout(GOODBYE_DEADLINE, endpoint.wait_idle()).await;
        }
    }

    pub(crate) async fn closed(&self) -> ConnectionLost {
        self.connection.closed().await.into()
    }

    pub(crate) fn why(&self) -> Option<ConnectionLost> {
        self.connection.close_reason().map(ConnectionLost::from)
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::connection::{Link, Purpose};
    use crate::connector::connect;
    use crate::gate::Limits;
    use crate::identity::NodeKey;
    use crate::listener::Listener;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_dropped_wait_for_a_stream_loses_none() {
        let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let mut listener = Listener::bind(([127, 0, 0, 1], 0).into(), &head_key, Limits::default(), 10).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let deadline = Duration::from_secs(10);
        let (branch, head) =
            tokio::join!(connect(&address, &branch_key, head_key.public(), deadline), listener.accept());
        let (branch, head) = (branch.unwrap(), head.unwrap());
        let Link::Quic(link) = &branch.link else { panic!("UDP is not blocked here") };
        // The second makes the first known to the other side, before that has said what it is for.
        let mut late = link.connection.open_bi().await.unwrap();
        let mut unknown = link.connection.open_bi().await.unwrap();
        unknown.0.write_all(&[99]).await.unwrap();
        let _feed = branch.open(Purpose::Feed).await.unwrap();
        for _ in 0..5 {
            timeout(Duration::from_millis(20), head.accept_stream()).await.unwrap_err();
        }
        late.0.write_all(&[Purpose::Blob.number()]).await.unwrap();
        assert_eq!(head.accept_stream().await.unwrap().0, Purpose::Blob);
        assert_eq!(head.accept_stream().await.unwrap().0, Purpose::Feed, "the unknown one is passed over");
    }
}
