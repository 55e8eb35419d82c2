//! Takes connections of other nodes.
//!
//! Anybody may knock, so the work and memory for who has not proved a key is bounded: so many handshakes at once, each
//! for so long, and from half of that on only for who answers from the address that it claims. Which keys are welcome
//! is the caller's matter.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, TokioRuntime, VarInt};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::PeerConnection;
use crate::identity::NodeKey;
use crate::tls;

/// How long a handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Handshakes at once, with connections that nobody has accepted yet.
const HANDSHAKES_MAX: usize = 64;
/// While fewer than so many more are possible, addresses are proved first.
const HANDSHAKES_FREE_MIN: usize = HANDSHAKES_MAX / 2;
/// Connection attempts that quinn keeps until the task here comes to them, and bytes for each and all of them.
const WAITING_MAX: usize = 256;
const WAITING_BYTES_EACH: u64 = 64 * 1024;
const WAITING_BYTES_ALL: u64 = 4 * 1024 * 1024;
/// How long to wait until the peers have been told of the end.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(1);

/// Why a listener could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be had.
    #[error("cannot listen on {address} (UDP): {cause}; is another node running there, or the port below 1024?")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// The key does not serve.
    #[error("cannot use the node key for connections: {0}")]
    Key(rustls::Error),
}

/// Listens for other nodes. Dropping it closes its connections without a word; see [`Self::shut_down`].
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    ready: mpsc::Receiver<PeerConnection>,
    /// The task that takes connections; ends with this set.
    _tasks: JoinSet<()>,
}

impl Listener {
    /// Listens on an address; port 0 chooses one. `[::]` listens for IPv4 too, where the system is set up so. Must be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub fn bind(address: SocketAddr, key: &NodeKey) -> Result<Self, BindError> {
        let mut config = tls::server_config(key).map_err(BindError::Key)?;
        config
            .max_incoming(WAITING_MAX)
            .incoming_buffer_size(WAITING_BYTES_EACH)
            .incoming_buffer_size_total(WAITING_BYTES_ALL);
        let socket = UdpSocket::bind(address).map_err(|cause| BindError::Socket { address, cause })?;
        let endpoint = Endpoint::new(endpoint_config(key), Some(config), socket, Arc::new(TokioRuntime))
            .map_err(|cause| BindError::Socket { address, cause })?;
        let (done, ready) = mpsc::channel(HANDSHAKES_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(take(endpoint.clone(), done));
        Ok(Self { endpoint, ready, _tasks: tasks })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next peer that has proved its key; `None` once the listener has ended. May be dropped at any time.
    pub async fn accept(&mut self) -> Option<PeerConnection> {
        self.ready.recv().await
    }

    /// Ends the listener and all its connections, and waits until the peers have been told, at most one second.
    pub async fn shut_down(self, code: u32, reason: &str) {
        self.endpoint.close(VarInt::from_u32(code), reason.as_bytes());
        let _told = timeout(GOODBYE_DEADLINE, self.endpoint.wait_idle()).await;
    }
}

/// Lets a node that was killed and started anew tell its peers at once that their lines are gone, instead of leaving
/// them to wait until they notice: the secret behind such a word comes from the node's key, so it is the same at every
/// start, and any connection id may be one of an earlier start.
fn endpoint_config(key: &NodeKey) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(key.derived("stateless reset")));
    config.cid_generator(|| Box::new(RandomIds(SystemRandom::new())));
    config
}

/// Connection ids without a mark of the process that gave them.
struct RandomIds(SystemRandom);

impl RandomIds {
    const BYTES: usize = 8;
}

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; Self::BYTES];
        // Without randomness there are no handshakes either; an id that stands twice is found out by the engine.
        let _no_randomness = self.0.fill(&mut bytes);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        Self::BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

async fn take(endpoint: Endpoint, done: mpsc::Sender<PeerConnection>) {
    let permits = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut handshakes = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while handshakes.try_join_next().is_some() {}
        let proved = incoming.remote_address_validated() || !incoming.may_retry();
        if !proved && permits.available_permits() < HANDSHAKES_FREE_MIN {
            // Cannot fail: it was asked whether it may be done.
            let _sent = incoming.retry();
            continue;
        }
        match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => {
                handshakes.spawn(shake_hands(incoming, done.clone(), permit));
            }
            Err(_) => incoming.refuse(),
        }
    }
}

/// The permit goes along until the connection is in the caller's hands.
async fn shake_hands(incoming: Incoming, done: mpsc::Sender<PeerConnection>, _permit: OwnedSemaphorePermit) {
    let from = incoming.remote_address();
    let connection = match timeout(HANDSHAKE_DEADLINE, incoming).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%from, %error, "handshake failed"),
        Err(_) => return tracing::debug!(%from, "handshake took too long"),
    };
    match PeerConnection::new(connection, None) {
        // Nobody listens any longer where this fails, and the connection ends with it.
        Some(connection) => drop(done.send(connection).await),
        None => tracing::debug!(%from, "a peer without a key"),
    }
}
