//! Connects to another node whose address and key are known, once. When to try again is the caller's matter.
//!
//! QUIC goes first. Where it has no answer within [`QUIC_PATIENCE`], as behind a firewall that lets no UDP pass, TLS over
//! TCP to the same port is tried beside it, and the first good connection counts; a [`Connector`] remembers such
//! addresses for a while and tries both at once there. An answer that is no silence (another key, a refusal) is decisive
//! over either. An address that begins with [`PLAIN`] is reached over TCP without encryption, and in no other way.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{Connecting, ConnectionError, Endpoint, TransportErrorCode};
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::{ConnectionLost, PeerConnection, Transport};
use crate::identity::{NodeKey, PublicKey};
use crate::plain::{self, PlainError};
use crate::quic::Quic;
use crate::tcp;
use crate::tls::{self, Found};

/// The name in the handshake is not sent and means nothing; the key is what is checked.
const SERVER_NAME: &str = "mytism";
/// What an address begins with that is reached without encryption.
pub const PLAIN: &str = "plain://";
/// A further address of the same name is tried after so long, while the ones before go on.
const STAGGER: Duration = Duration::from_millis(250);
/// How long QUIC alone may take to answer.
pub const QUIC_PATIENCE: Duration = Duration::from_millis(700);
/// How long it is remembered that UDP did not pass to an address.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Of one name.
const ADDRESSES_MAX: usize = 8;
/// TLS alert `no_application_protocol`.
const ALERT_NO_PROTOCOL: u8 = 120;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name cannot be resolved.
    #[error("the address {address:?} does not resolve: {reason}; it is written as host:port")]
    Unresolved {
        /// As given.
        address: String,
        /// Why not.
        reason: String,
    },
    /// Nobody answered.
    #[error("no answer from {address} ({tried}) within {} s; is the node running, and does UDP or TCP to that port pass all firewalls?", after.as_secs_f32())]
    NoAnswer {
        /// As given.
        address: String,
        /// What it resolved to.
        tried: Addresses,
        /// How long was waited.
        after: Duration,
    },
    /// Another node answered.
    #[error("the node at {address} has the key {found}, not {expected}: it is another node, or was set up anew")]
    WrongKey {
        /// As given, with what it resolved to.
        address: String,
        /// The key that was to be there.
        expected: PublicKey,
        /// The key that is there.
        found: PublicKey,
    },
    /// Somebody answered and wanted no connection.
    #[error("{address} refused the connection: {reason}")]
    Refused {
        /// As given, with what it resolved to.
        address: String,
        /// In the peer's words, or those of the transport.
        reason: String,
    },
    /// There is no way to send anything.
    #[error("cannot send to {address}: {cause}")]
    Socket {
        /// As given.
        address: String,
        /// Why not.
        cause: io::Error,
    },
    /// The key does not serve.
    #[error("cannot use the node key for connections: {0}")]
    Key(rustls::Error),
}

impl ConnectError {
    /// Which error says most, where several addresses of one name failed.
    const fn weight(&self) -> u8 {
        match self {
            Self::WrongKey { .. } => 3,
            Self::Refused { .. } => 2,
            Self::Socket { .. } | Self::Key(_) | Self::Unresolved { .. } => 1,
            Self::NoAnswer { .. } => 0,
        }
    }
}

/// What a name resolved to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addresses(Vec<SocketAddr>);

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, address) in self.0.iter().enumerate() {
            write!(f, "{}{address}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Connects, and remembers to which addresses UDP did not pass.
#[derive(Debug, Default)]
pub struct Connector {
    blocked: Arc<Blocked>,
}

/// Addresses to which UDP did not pass, and when that was seen.
#[derive(Debug, Default)]
struct Blocked(Mutex<HashMap<SocketAddr, Instant>>);

impl Blocked {
    fn note(&self, address: SocketAddr, transport: Transport) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, seen| seen.elapsed() < REMEMBERED);
        match transport {
            Transport::Quic => known.remove(&address),
            Transport::Tls => known.insert(address, Instant::now()),
            Transport::Plain => None,
        };
    }

    fn has(&self, address: SocketAddr) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&address).is_some_and(|seen| seen.elapsed() < REMEMBERED)
    }
}

/// As [`Connector::connect`], by somebody who remembers nothing.
///
/// # Errors
/// As there.
pub async fn connect(
    address: &str,
    key: &NodeKey,
    expected: PublicKey,
    deadline: Duration,
) -> Result<PeerConnection, ConnectError> {
    Connector::default().connect(address, key, expected, deadline).await
}

impl Connector {
    /// Connects to the node with the key `expected` at `address` (`host:port`, `1.2.3.4:port` or `[v6]:port`, with
    /// [`PLAIN`] before it where no encryption is wanted). All addresses of a name are tried, one after another and then
    /// side by side; the first good connection counts. May be dropped at any time.
    ///
    /// # Errors
    /// One of [`ConnectError`] after `deadline` at the latest; of several, the one that says most.
    pub async fn connect(
        &self,
        address: &str,
        key: &NodeKey,
        expected: PublicKey,
        deadline: Duration,
    ) -> Result<PeerConnection, ConnectError> {
        let mut tried = Vec::new();
        let mut failures = Vec::new();
        let attempt = self.try_all(address, key, expected, &mut tried, &mut failures);
        if let Ok(Some(connection)) = timeout(deadline, Box::pin(attempt)).await {
            return Ok(connection);
        }
        if failures.is_empty() && tried.is_empty() {
            let reason = "the name server does not answer".to_owned();
            return Err(ConnectError::Unresolved { address: address.to_owned(), reason });
        }
        let silence = ConnectError::NoAnswer { address: address.to_owned(), tried: Addresses(tried), after: deadline };
        Err(failures.into_iter().max_by_key(ConnectError::weight).unwrap_or(silence))
    }

    /// The first good connection; `None` once all have failed. What is known when the deadline cuts it off is left in
    /// `tried` and `failures`.
    async fn try_all(
        &self,
        address: &str,
        key: &NodeKey,
        expected: PublicKey,
        tried: &mut Vec<SocketAddr>,
        failures: &mut Vec<ConnectError>,
    ) -> Option<PeerConnection> {
        let (host, is_plain) = match address.strip_prefix(PLAIN) {
            Some(host) => (host, true),
            None => (address, false),
        };
        match resolve(host).await {
            Ok(found) => *tried = found,
            Err(error) => failures.push(error),
        }
        let own = match key.again() {
            Ok(own) => Arc::new(own),
            Err(error) => {
                failures.push(ConnectError::Key(rustls::Error::General(error.to_string())));
                return None;
            }
        };
        let mut waiting = tried.clone().into_iter();
        let mut attempts = JoinSet::new();
        loop {
            if let Some(next) = waiting.next() {
                if is_plain {
                    attempts.spawn(over_plain(words(address, host, next), next, Arc::clone(&own), expected));
                } else {
                    match Attempt::new(words(address, host, next), next, &own, expected) {
                        Ok(attempt) => drop(attempts.spawn(attempt.run(Arc::clone(&self.blocked)))),
                        Err(error) => failures.push(error),
                    }
                }
            }
            let more = waiting.len() > 0;
            tokio::select! {
                done = attempts.join_next() => match done {
                    Some(Ok(Ok(connection))) => return Some(connection),
                    Some(Ok(Err(error))) => failures.extend(error),
                    Some(Err(_)) => {}
                    None if more => {}
                    None => return None,
                },
                () = sleep(STAGGER), if more => {}
            }
        }
    }
}

async fn resolve(address: &str) -> Result<Vec<SocketAddr>, ConnectError> {
    let unresolved = |reason: String| ConnectError::Unresolved { address: address.to_owned(), reason };
    let found = lookup_host(address).await.map_err(|error| unresolved(error.to_string()))?;
    let found: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if found.is_empty() { Err(unresolved("the name has no address".to_owned())) } else { Ok(found) }
}

/// An address as it was given, with what it resolved to where that is not the same.
fn words(given: &str, host: &str, to: SocketAddr) -> String {
    if host == to.to_string() { given.to_owned() } else { format!("{given} ({to})") }
}

/// One try without encryption. Fails without an error where nobody answers.
async fn over_plain(
    address: String,
    to: SocketAddr,
    key: Arc<NodeKey>,
    expected: PublicKey,
) -> Result<PeerConnection, Option<ConnectError>> {
    plain::connect(&key, expected, to).await.map_err(|error| match error {
        PlainError::OtherKey { found } => Some(ConnectError::WrongKey { address, expected, found }),
        error if error.is_answer() => Some(ConnectError::Refused { address, reason: error.to_string() }),
        _ => None,
    })
}

/// One try of one address, over both ways with encryption.
struct Attempt {
    quic: OverQuic,
    tls: OverTls,
    to: SocketAddr,
}

impl Attempt {
    fn new(address: String, to: SocketAddr, key: &NodeKey, expected: PublicKey) -> Result<Self, ConnectError> {
        let quic = OverQuic::new(address.clone(), to, key, expected)?;
        Ok(Self { quic, tls: OverTls::new(address, to, key, expected)?, to })
    }

    /// Fails without an error where nobody answers.
    async fn run(self, blocked: Arc<Blocked>) -> Result<PeerConnection, Option<ConnectError>> {
        let patience = if blocked.has(self.to) { Duration::ZERO } else { QUIC_PATIENCE };
        let mut quic = Box::pin(self.quic.run());
        let is_over = match timeout(patience, &mut quic).await {
            Ok(Err(None)) => true,
            Ok(done) => return done,
            Err(_) => false,
        };
        let mut tls = Box::pin(self.tls.run());
        let done = if is_over {
            tls.await
        } else {
            tokio::select! {
                done = &mut quic => match done {
                    Err(None) => tls.await,
                    done => done,
                },
                done = &mut tls => match done {
                    // Nobody answers over TCP; over QUIC somebody may yet.
                    Err(None) => quic.await,
                    done => done,
                },
            }
        };
        if let Ok(connection) = &done {
            blocked.note(self.to, connection.transport());
        }
        done
    }
}

/// One try over QUIC, with a socket of its own.
struct OverQuic {
    /// As given, with what it resolved to where that is not the same.
    address: String,
    expected: PublicKey,
    found: Found,
    endpoint: Endpoint,
    connecting: Connecting,
}

impl OverQuic {
    fn new(address: String, to: SocketAddr, key: &NodeKey, expected: PublicKey) -> Result<Self, ConnectError> {
        let (config, found) = tls::quic_client(key, expected).map_err(ConnectError::Key)?;
        let socket_error = |cause| ConnectError::Socket { address: address.clone(), cause };
        let from = match to {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let endpoint = Endpoint::client(from).map_err(socket_error)?;
        let connecting =
            endpoint.connect_with(config, to, SERVER_NAME).map_err(|error| socket_error(io::Error::other(error)))?;
        Ok(Self { address, expected, found, endpoint, connecting })
    }

    /// Fails without an error where nobody answers.
    async fn run(self) -> Result<PeerConnection, Option<ConnectError>> {
        let Self { address, expected, found, endpoint, connecting } = self;
        let refused = |address, reason: &str| Some(ConnectError::Refused { address, reason: reason.to_owned() });
        match (connecting.await, found.get().copied()) {
            (Ok(connection), _) => PeerConnection::over_quic(Quic::new(connection, Some(endpoint)))
                .ok_or_else(|| refused(address, "it shows no key of a node")),
            (Err(_), Some(found)) if found != expected => {
                Err(Some(ConnectError::WrongKey { address, expected, found }))
            }
            (Err(ConnectionError::TimedOut), _) => Err(None),
            (Err(error), _) => Err(refused(address, &reason(error))),
        }
    }
}

/// One try over TCP.
struct OverTls {
    address: String,
    to: SocketAddr,
    expected: PublicKey,
    config: rustls::ClientConfig,
    found: Found,
}

impl OverTls {
    fn new(address: String, to: SocketAddr, key: &NodeKey, expected: PublicKey) -> Result<Self, ConnectError> {
        let (config, found) = tls::client(key, expected).map_err(ConnectError::Key)?;
        Ok(Self { address, to, expected, config, found })
    }

    /// Fails without an error where nobody answers.
    async fn run(self) -> Result<PeerConnection, Option<ConnectError>> {
        let Self { address, to, expected, config, found } = self;
        let error = match tcp::connect(config, SERVER_NAME, to).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        match found.get().copied() {
            Some(found) if found != expected => Err(Some(ConnectError::WrongKey { address, expected, found })),
            _ => Err(tcp::reason(&error).map(|reason| ConnectError::Refused { address, reason })),
        }
    }
}

fn reason(error: ConnectionError) -> String {
    let code = match &error {
        ConnectionError::ConnectionClosed(close) => Some(close.error_code),
        ConnectionError::TransportError(error) => Some(error.code),
        ConnectionError::VersionMismatch
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => None,
    };
    match code {
        Some(code) if code == TransportErrorCode::crypto(ALERT_NO_PROTOCOL) => {
            "it speaks another protocol, or an incompatible version of this one".to_owned()
        }
        Some(TransportErrorCode::CONNECTION_REFUSED) => "it has too many connections to answer now".to_owned(),
        _ => ConnectionLost::from(error).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_does_not_resolve_says_so() {
        let key = NodeKey::generate().unwrap();
        for address in ["", "no-port", "127.0.0.1", "127.0.0.1:70000", "name.invalid:1"] {
            let error = connect(address, &key, key.public(), Duration::from_secs(10)).await.unwrap_err();
            assert!(matches!(error, ConnectError::Unresolved { .. }), "{address}: {error}");
        }
    }

    #[tokio::test]
    async fn silence_is_no_answer() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let key = NodeKey::generate().unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let error = connect(&address, &key, key.public(), Duration::from_millis(300)).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoAnswer { .. }), "{error}");
        assert!(error.to_string().contains(&address), "{error}");
    }
}
