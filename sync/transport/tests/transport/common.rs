//! Two nodes on this machine, connected.

use std::net::SocketAddr;
use std::time::Duration;

use mytism_format::envelope;
use mytism_transport::{Limits, Listener, NodeKey, PeerConnection, connect};

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

pub(crate) async fn pair() -> Pair {
    pair_at(loopback()).await
}

pub(crate) async fn pair_at(address: SocketAddr) -> Pair {
    let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let mut listener = Listener::bind(address, &head_key, Limits::default(), 10).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (branch, head) = tokio::join!(connect(&address, &branch_key, head_key.public(), PATIENCE), listener.accept());
    Pair { head_key, branch_key, listener, head: head.unwrap(), branch: branch.unwrap() }
}

pub(crate) fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    envelope::write(&mut out, kind, 1, 0, body).unwrap();
    out
}
