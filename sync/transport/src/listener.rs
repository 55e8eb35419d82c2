//! Takes connections of other nodes.
//!
//! Anybody may knock, so the work and memory for who has not proved a key is bounded: so many handshakes at once, each
//! for so long, and from half of that on only for who answers from the address that it claims. Which keys are welcome
//! is the caller's matter; until the caller says that a peer is, the peer is a stranger, and of these there are only so
//! many from each address, each for so long.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, TokioRuntime, VarInt};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::connection::PeerConnection;
use crate::gate::{Gate, Limits, Stranger, Verdict};
use crate::identity::NodeKey;
use crate::tls;

/// How long a handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Handshakes at once, with connections that nobody has accepted yet; those that wait for their delay not counted.
const HANDSHAKES_MAX: usize = 64;
/// While fewer than so many more are possible, addresses are proved first.
const HANDSHAKES_FREE_MIN: usize = HANDSHAKES_MAX / 2;
/// Connection attempts that quinn keeps until the task here comes to them, and bytes for each and all of them.
const WAITING_MAX: usize = 1_024;
const WAITING_BYTES_EACH: u64 = 64 * 1024;
const WAITING_BYTES_ALL: u64 = 4 * 1024 * 1024;
/// With which a stranger is cut off.
const CODE_STRANGER: u32 = 2;
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
    gate: Arc<Gate>,
    ready: mpsc::Receiver<PeerConnection>,
    /// The task that takes connections; ends with this set.
    _tasks: JoinSet<()>,
}

impl Listener {
    /// Listens on an address; port 0 chooses one. `[::]` listens for IPv4 too, where the system is set up so. So many
    /// finished connections as `backlog` says (at least 1) may wait to be accepted. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub fn bind(address: SocketAddr, key: &NodeKey, limits: Limits, backlog: u16) -> Result<Self, BindError> {
        let mut config = tls::server_config(key).map_err(BindError::Key)?;
        config
            .max_incoming(WAITING_MAX)
            .incoming_buffer_size(WAITING_BYTES_EACH)
            .incoming_buffer_size_total(WAITING_BYTES_ALL);
        let socket = UdpSocket::bind(address).map_err(|cause| BindError::Socket { address, cause })?;
        let endpoint = Endpoint::new(endpoint_config(key), Some(config), socket, Arc::new(TokioRuntime))
            .map_err(|cause| BindError::Socket { address, cause })?;
        let (done, ready) = mpsc::channel(usize::from(backlog.max(1)));
        let gate = Gate::new(limits);
        let mut tasks = JoinSet::new();
        tasks.spawn(take(endpoint.clone(), Arc::clone(&gate), done));
        Ok(Self { endpoint, gate, ready, _tasks: tasks })
    }

    /// Sets what strangers may do from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.gate.set(limits);
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Where the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// The next peer that has proved its key; `None` once the listener has ended. It counts as a stranger until
    /// [`PeerConnection::welcome`], and is cut off if that takes too long. May be dropped at any time.
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

async fn take(endpoint: Endpoint, gate: Arc<Gate>, done: mpsc::Sender<PeerConnection>) {
    let permits = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let mut strangers = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while strangers.try_join_next().is_some() {}
        let from = incoming.remote_address().ip();
        let proved = incoming.remote_address_validated() || !incoming.may_retry();
        let crowded = permits.available_permits() < HANDSHAKES_FREE_MIN;
        match gate.knock(from, proved) {
            Verdict::ProveAddress => drop(incoming.retry()),
            Verdict::Admit { .. } if crowded && !proved => drop(incoming.retry()),
            Verdict::Admit { stranger, delay, wait_max } => {
                let visit = Visit { stranger, delay, wait_max, permits: Arc::clone(&permits) };
                strangers.spawn(visit.receive(incoming, done.clone()));
            }
            Verdict::Refuse { first } => {
                if first {
                    tracing::warn!(%from, "too many connections from there that do not say who they are; further ones are refused");
                }
                incoming.refuse();
            }
        }
    }
}

/// A stranger, from the knock until he is welcome, gone or cut off.
struct Visit {
    stranger: Stranger,
    delay: Duration,
    wait_max: Duration,
    permits: Arc<Semaphore>,
}

impl Visit {
    async fn receive(self, incoming: Incoming, done: mpsc::Sender<PeerConnection>) {
        let from = incoming.remote_address();
        let end = Instant::now() + self.wait_max;
        if !self.delay.is_zero() {
            sleep(self.delay.min(self.wait_max)).await;
        }
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else { return incoming.refuse() };
        let Some(connection) = shake_hands(incoming, end).await else { return };
        let welcomed = connection.welcomed();
        let handed_on = async {
            // Nobody listens any longer where this fails, and the connection ends with it.
            let _nobody = done.send(connection.clone()).await;
            drop(permit);
            tokio::select! {
                () = welcomed.notified() => {}
                _ = connection.closed() => {}
            }
        };
        if timeout_at(end, handed_on).await.is_err() {
            tracing::debug!(%from, "a stranger did not say who he is in time");
            connection.close(CODE_STRANGER, "nobody said in time who it is (maxWaitForAuth)");
        }
        drop(self.stranger);
    }
}

async fn shake_hands(incoming: Incoming, end: Instant) -> Option<PeerConnection> {
    let from = incoming.remote_address();
    match timeout_at(end.min(Instant::now() + HANDSHAKE_DEADLINE), incoming).await {
        Ok(Ok(connection)) => {
            let connection = PeerConnection::new(connection, None);
            if connection.is_none() {
                tracing::debug!(%from, "a peer without a key");
            }
            connection
        }
        Ok(Err(error)) => {
            tracing::debug!(%from, %error, "handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%from, "handshake took too long");
            None
        }
    }
}
