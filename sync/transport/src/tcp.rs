//! TLS over TCP: the handshake on both sides, and what comes of it.
//!
//! For lines on which UDP does not pass. Whom to trust and when to give up is told by the caller.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ConnectionCommon};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::connection::{PeerConnection, Transport};
use crate::identity::PublicKey;
use crate::mux::Mux;
use crate::tap::{STRANGER_BYTES_MAX, Tap};
use crate::tls;

/// Label of the secret that only the two ends know, from which all further ones come.
const SECRET_LABEL: &[u8] = b"EXPORTER-mytism-mux";
const SECRET_BYTES: usize = 32;

/// The handshake of the side that listens.
pub(crate) async fn accept(
    config: Arc<rustls::ServerConfig>,
    stream: TcpStream,
    from: SocketAddr,
) -> io::Result<PeerConnection> {
    stream.set_nodelay(true)?;
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let (peer, secret) = agreed(stream.get_ref().1)?;
    let mux = Mux::new(Tap::new(stream, Some(STRANGER_BYTES_MAX)), false, &secret);
    Ok(PeerConnection::over_mux(mux, Transport::Tls, peer, from))
}

/// The handshake of the side that connects.
pub(crate) async fn connect(
    config: rustls::ClientConfig,
    name: &'static str,
    to: SocketAddr,
) -> io::Result<PeerConnection> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let (peer, secret) = agreed(stream.get_ref().1)?;
    Ok(PeerConnection::over_mux(Mux::new(Tap::new(stream, None), true, &secret), Transport::Tls, peer, to))
}

/// The key of the other side, and the secret.
fn agreed<Data>(common: &ConnectionCommon<Data>) -> io::Result<(PublicKey, [u8; SECRET_BYTES])> {
    if common.alpn_protocol() != Some(tls::PROTOCOL) {
        return Err(io::Error::other(rustls::Error::NoApplicationProtocol));
    }
    let shown = common.peer_certificates().unwrap_or_default();
    let peer = tls::shown_key(shown).ok_or_else(|| io::Error::other("it shows no key of a node"))?;
    let secret = common.export_keying_material([0; SECRET_BYTES], SECRET_LABEL, None).map_err(io::Error::other)?;
    Ok((peer, secret))
}

/// In words, why a handshake failed that had begun; nothing where nobody answered.
pub(crate) fn reason(error: &io::Error) -> Option<String> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, error.kind()) {
        (
            Some(
                rustls::Error::NoApplicationProtocol
                | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol),
            ),
            _,
        ) => Some("it speaks another protocol, or an incompatible version of this one".to_owned()),
        (Some(error), _) => Some(error.to_string()),
        (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            Some("it closed the connection at once; it may have too many to answer now".to_owned())
        }
        (None, io::ErrorKind::Other) => Some(error.to_string()),
        (None, _) => None,
    }
}
