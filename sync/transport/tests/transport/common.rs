//! Two nodes on this machine, connected.

use std::net::SocketAddr;
use std::time::Duration;

use mytism_format::envelope;
use mytism_transport::{Limits, Listener, NodeKey, PeerConnection, Transport, connect};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

/// Longer than any test should take, so that a hang shows as a failure with a name.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A type of message that may be large.
pub(crate) const LARGE: u16 = 0x0211;

/// A node that listens, and one that has connected to it.
pub(crate) struct Pair {
    pub(crate) head_key: NodeKey,
    pub(crate) branch_key: NodeKey,
    pub(crate) listener: Listener,
    /// The connection as the listening side has it.
    pub(crate) head: PeerConnection,
    /// The connection as the connecting side has it.
    pub(crate) branch: PeerConnection,
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) async fn pair(over: Transport) -> Pair {
    pair_at(loopback(), over).await
}

/// The head has welcomed the branch.
pub(crate) async fn pair_at(address: SocketAddr, over: Transport) -> Pair {
    let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let mut listener = Listener::bind(address, &head_key, Limits::default(), 10).unwrap();
    let mut address = listener.local_addr().unwrap().to_string();
    if over == Transport::Plain {
        let plain = SocketAddr::new(listener.local_addr().unwrap().ip(), 0);
        address = format!("plain://{}", listener.bind_plain(plain, &head_key, 10).unwrap());
    }
    if over == Transport::Tls {
        let (only_tcp, mut relay) = tcp_relay(&address, None).await;
        address = only_tcp;
        relay.detach_all();
    }
    let (branch, head) = tokio::join!(connect(&address, &branch_key, head_key.public(), PATIENCE), listener.accept());
    let (head, branch) = (head.unwrap(), branch.unwrap());
    assert_eq!((head.transport(), branch.transport()), (over, over));
    head.welcome();
    Pair { head_key, branch_key, listener, head, branch }
}

/// Hands TCP on to `to`, and has nobody who listens for UDP, as behind a firewall that lets none pass. What it hands on
/// comes from the address `from`, where one is given.
pub(crate) async fn tcp_relay(to: &str, from: Option<[u8; 4]>) -> (String, JoinSet<()>) {
    let to: SocketAddr = to.parse().unwrap();
    let front = TcpListener::bind(SocketAddr::new(to.ip(), 0)).await.unwrap();
    let address = front.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut lines = JoinSet::new();
        while let Ok((mut outside, _)) = front.accept().await {
            let socket = if to.is_ipv4() { TcpSocket::new_v4().unwrap() } else { TcpSocket::new_v6().unwrap() };
            if let Some(from) = from {
                socket.bind(SocketAddr::from((from, 0))).unwrap();
            }
            lines.spawn(async move {
                let mut inside = socket.connect(to).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    (address, tasks)
}

/// Makes a test of a connection into three: over QUIC, over TLS and over TCP alone.
macro_rules! over_all {
    ($($name:ident),* $(,)?) => {
        mod over_quic {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(mytism_transport::Transport::Quic).await;
            })*
        }
        mod over_tls {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(mytism_transport::Transport::Tls).await;
            })*
        }
        mod over_plain {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(mytism_transport::Transport::Plain).await;
            })*
        }
    };
}
pub(crate) use over_all;

pub(crate) fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    envelope::write(&mut out, kind, 1, 0, body).unwrap();
    out
}
