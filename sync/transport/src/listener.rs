//! Takes connections of other nodes, over QUIC and over TLS on the TCP port of the same number, and, where it is asked
//! to, over TCP without encryption on a further one.
//!
//! Anybody may knock, so the work and memory for who has not proved a key is bounded: so many handshakes at once, each
//! for so long, and from half of that on only for who answers from the address that it claims. Which keys are welcome
//! is the caller's matter; until the caller says that a peer is, the peer is a stranger, and of these there are only so
//! many from each address, each for so long; over which of the ports they come makes no difference.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, TokioRuntime, VarInt};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::connection::{Link, PeerConnection};
use crate::gate::{Gate, Limits, Stranger, Verdict};
use crate::identity::NodeKey;
use crate::mux::{Mux, WeakMux};
use crate::quic::Quic;
use crate::{plain, tcp, tls};

/// How long a handshake may take.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Handshakes at once, with connections that nobody has accepted yet; those that wait for their delay not counted.
const HANDSHAKES_MAX: usize = 64;
/// Strangers over TCP at most, since each has a file of the process; over QUIC they have none.
const STRANGERS_TCP_MAX: usize = 512;
/// While fewer than so many more are possible, addresses are proved first.
const HANDSHAKES_FREE_MIN: usize = HANDSHAKES_MAX / 2;
/// Connection attempts that quinn keeps until the task here comes to them, and bytes for each and all of them.
const WAITING_MAX: usize = 1_024;
const WAITING_BYTES_EACH: u64 = 64 * 1024;
const WAITING_BYTES_ALL: u64 = 4 * 1024 * 1024;
/// With which a stranger is cut off.
const CODE_STRANGER: u32 = 2;
/// How often a port that the system chooses for UDP may be taken for TCP.
const CHOICES_MAX: usize = 16;
/// How long to wait where the process or system has no room for a further connection.
const ROOM_PAUSE: Duration = Duration::from_millis(100);
/// How long to wait until the peers have been told of the end.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(1);

/// Why a listener could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be had.
    #[error("cannot listen on {address} ({kind}): {cause}; is another node running there, or the port below 1024?")]
    Socket {
        /// The address.
        address: SocketAddr,
        /// `UDP` or `TCP`.
        kind: &'static str,
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
    /// Those without encryption.
    plain: Option<mpsc::Receiver<PeerConnection>>,
    lines: Arc<Lines>,
    /// For strangers over TCP.
    permits: Arc<Semaphore>,
    /// The tasks that take connections; end with this set.
    tasks: JoinSet<()>,
}

/// The connections over TCP, so that they can be ended with their listener. QUIC knows its own.
#[derive(Default)]
struct Lines(Mutex<Vec<WeakMux>>);

impl Lines {
    fn add(&self, mux: &Mux) {
        let mut lines = self.inside();
        lines.retain(|line| !line.is_gone());
        lines.push(mux.handle());
    }

    fn all(&self) -> Vec<Mux> {
        self.inside().iter().filter_map(WeakMux::upgrade).collect()
    }

    fn inside(&self) -> MutexGuard<'_, Vec<WeakMux>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({})", self.inside().len())
    }
}

impl Listener {
    /// Listens on an address; port 0 chooses one. `[::]` listens for IPv4 too, where the system is set up so. So many
    /// finished connections as `backlog` says (at least 1) may wait to be accepted. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub fn bind(address: SocketAddr, key: &NodeKey, limits: Limits, backlog: u16) -> Result<Self, BindError> {
        let mut config = tls::quic_server(key).map_err(BindError::Key)?;
        config
            .max_incoming(WAITING_MAX)
            .incoming_buffer_size(WAITING_BYTES_EACH)
            .incoming_buffer_size_total(WAITING_BYTES_ALL);
        let (udp, tcp) = sockets(address)?;
        let failed = |kind| move |cause| BindError::Socket { address, kind, cause };
        let endpoint =
            Endpoint::new(endpoint_config(key), Some(config), udp, Arc::new(TokioRuntime)).map_err(failed("UDP"))?;
        let tcp = TcpListener::from_std(tcp).map_err(failed("TCP"))?;
        let (done, ready) = mpsc::channel(usize::from(backlog.max(1)));
        let gate = Gate::new(limits);
        let lines = Arc::new(Lines::default());
        let permits = Arc::new(Semaphore::new(STRANGERS_TCP_MAX));
        let door = |permits| Door { gate: Arc::clone(&gate), permits, done: done.clone(), lines: Arc::clone(&lines) };
        let config = Arc::new(tls::server(key).map_err(BindError::Key)?);
        let mut tasks = JoinSet::new();
        tasks.spawn(door(Arc::new(Semaphore::new(HANDSHAKES_MAX))).take_quic(endpoint.clone()));
        tasks.spawn(door(Arc::clone(&permits)).take_tcp(tcp, move |stream| Knock::Tls(stream, Arc::clone(&config))));
        Ok(Self { endpoint, gate, ready, plain: None, lines, permits, tasks })
    }

    /// Listens on a further address, for TCP without encryption, with a queue of its own; port 0 chooses one. Strangers
    /// count together with all others. Tells where it listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub fn bind_plain(&mut self, address: SocketAddr, key: &NodeKey, backlog: u16) -> Result<SocketAddr, BindError> {
        let failed = |cause| BindError::Socket { address, kind: "TCP", cause };
        let key = key.again().map_err(|error| BindError::Key(rustls::Error::General(error.to_string())))?;
        let tcp = std::net::TcpListener::bind(address).map_err(failed)?;
        tcp.set_nonblocking(true).map_err(failed)?;
        let found = tcp.local_addr().map_err(failed)?;
        let tcp = TcpListener::from_std(tcp).map_err(failed)?;
        let (done, ready) = mpsc::channel(usize::from(backlog.max(1)));
        let door = Door {
            gate: Arc::clone(&self.gate),
            permits: Arc::clone(&self.permits),
            done,
            lines: Arc::clone(&self.lines),
        };
        let key = Arc::new(key);
        self.tasks.spawn(door.take_tcp(tcp, move |stream| Knock::Plain(stream, Arc::clone(&key))));
        self.plain = Some(ready);
        Ok(found)
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
        let plain = async {
            match &mut self.plain {
                Some(plain) => plain.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            connection = self.ready.recv() => connection,
            connection = plain => connection,
        }
    }

    /// Ends the listener and all its connections, and waits until the peers have been told, at most one second.
    pub async fn shut_down(self, code: u32, reason: &str) {
        self.endpoint.close(VarInt::from_u32(code), reason.as_bytes());
        let lines = self.lines.all();
        for line in &lines {
            line.close(code, reason);
        }
        let all_told = async {
            self.endpoint.wait_idle().await;
            for line in &lines {
                line.told().await;
            }
        };
        let _told = timeout(GOODBYE_DEADLINE, all_told).await;
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
        for line in self.lines.all() {
            line.close(0, "");
        }
    }
}

/// Sockets for both, with the same port.
fn sockets(address: SocketAddr) -> Result<(UdpSocket, std::net::TcpListener), BindError> {
    let failed = |kind| move |cause| BindError::Socket { address, kind, cause };
    let mut choices = 0;
    loop {
        choices += 1;
        let udp = UdpSocket::bind(address).map_err(failed("UDP"))?;
        let found = udp.local_addr().map_err(failed("UDP"))?;
        match std::net::TcpListener::bind(found) {
            Ok(tcp) => {
                tcp.set_nonblocking(true).map_err(failed("TCP"))?;
                return Ok((udp, tcp));
            }
            Err(_) if address.port() == 0 && choices < CHOICES_MAX => {}
            Err(cause) => return Err(failed("TCP")(cause)),
        }
    }
}

/// Where strangers come in.
#[derive(Clone)]
struct Door {
    gate: Arc<Gate>,
    /// For handshakes over QUIC, for strangers over TCP.
    permits: Arc<Semaphore>,
    done: mpsc::Sender<PeerConnection>,
    lines: Arc<Lines>,
}

impl Door {
    async fn take_quic(self, endpoint: Endpoint) {
        let mut strangers = JoinSet::new();
        while let Some(incoming) = endpoint.accept().await {
            while strangers.try_join_next().is_some() {}
            let from = incoming.remote_address();
            let proved = incoming.remote_address_validated() || !incoming.may_retry();
            let crowded = self.permits.available_permits() < HANDSHAKES_FREE_MIN;
            match self.gate.knock(from.ip(), proved) {
                Verdict::ProveAddress => drop(incoming.retry()),
                Verdict::Admit { .. } if crowded && !proved => drop(incoming.retry()),
                Verdict::Admit { stranger, delay, wait_max } => {
                    let visit = Visit { stranger, place: None, delay, wait_max, from, door: self.clone() };
                    strangers.spawn(visit.receive(Knock::Quic(Box::new(incoming))));
                }
                Verdict::Refuse { first } => {
                    warn_of_refusal(first, from);
                    incoming.refuse();
                }
            }
        }
    }

    /// Who has a connection over TCP is at the address that he claims.
    async fn take_tcp(self, listener: TcpListener, knock: impl Fn(TcpStream) -> Knock) {
        let mut strangers = JoinSet::new();
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "no further connection over TCP can be taken now");
                    sleep(ROOM_PAUSE).await;
                    continue;
                }
            };
            while strangers.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&self.permits).try_acquire_owned() else { continue };
            match self.gate.knock(from.ip(), true) {
                Verdict::Admit { stranger, delay, wait_max } => {
                    let visit = Visit { stranger, place: Some(place), delay, wait_max, from, door: self.clone() };
                    strangers.spawn(visit.receive(knock(stream)));
                }
                Verdict::Refuse { first } => warn_of_refusal(first, from),
                Verdict::ProveAddress => {}
            }
        }
    }
}

fn warn_of_refusal(first: bool, from: SocketAddr) {
    if first {
        let from = from.ip();
        tracing::warn!(%from, "too many connections from there that do not say who they are; further ones are refused");
    }
}

/// Somebody who knocks.
enum Knock {
    Quic(Box<Incoming>),
    Tls(TcpStream, Arc<rustls::ServerConfig>),
    Plain(TcpStream, Arc<NodeKey>),
}

/// A stranger, from the knock until he is welcome, gone or cut off.
struct Visit {
    stranger: Stranger,
    /// Among those over TCP.
    place: Option<OwnedSemaphorePermit>,
    delay: Duration,
    wait_max: Duration,
    from: SocketAddr,
    door: Door,
}

impl Visit {
    async fn receive(self, knock: Knock) {
        let Self { stranger, place, delay, wait_max, from, door } = self;
        let end = Instant::now() + wait_max;
        if !delay.is_zero() {
            sleep(delay.min(wait_max)).await;
        }
        let handshakes = Arc::clone(&door.permits);
        let permit = match &knock {
            Knock::Tls(..) | Knock::Plain(..) => None,
            Knock::Quic(_) => match handshakes.try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return knock.refuse(),
            },
        };
        let Some(connection) = shake_hands(knock, from, end).await else { return };
        if let Link::Mux(mux) = &connection.link {
            door.lines.add(mux);
        }
        let welcomed = connection.welcomed();
        let handed_on = async {
            // Nobody listens any longer where this fails, and the connection ends with it.
            let _nobody = door.done.send(connection.clone()).await;
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
        drop((stranger, place));
    }
}

impl Knock {
    fn refuse(self) {
        match self {
            Self::Quic(incoming) => incoming.refuse(),
            Self::Tls(stream, _) | Self::Plain(stream, _) => drop(stream),
        }
    }
}

async fn shake_hands(knock: Knock, from: SocketAddr, end: Instant) -> Option<PeerConnection> {
    let shaking = async {
        match knock {
            Knock::Quic(incoming) => {
                let connection = (*incoming).await.map_err(|error| error.to_string())?;
                PeerConnection::over_quic(Quic::new(connection, None)).ok_or_else(|| "a peer without a key".to_owned())
            }
            Knock::Tls(stream, config) => tcp::accept(config, stream, from).await.map_err(|error| error.to_string()),
            Knock::Plain(stream, key) => plain::accept(&key, stream, from).await.map_err(|error| error.to_string()),
        }
    };
    match timeout_at(end.min(Instant::now() + HANDSHAKE_DEADLINE), shaking).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(error)) => {
            tracing::debug!(%from, error, "handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%from, "handshake took too long");
            None
        }
    }
}
