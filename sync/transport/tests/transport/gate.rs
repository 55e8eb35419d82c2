//! Strangers: peers that have proved a key and have not been welcomed yet, counted by the address that they come from.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, loopback, tcp_relay};
use mytism_transport::{ConnectError, ConnectionLost, Limits, Listener, NodeKey, PeerConnection, Transport, connect};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// A listener with limits, and the key that it shows.
struct Door {
    listener: Listener,
    key: NodeKey,
    address: String,
}

impl Door {
    fn with(limits: Limits) -> Self {
        let key = NodeKey::generate().unwrap();
        let listener = Listener::bind(loopback(), &key, limits, 10).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Self { listener, key, address }
    }

    async fn knock_at(&self, address: &str) -> Result<PeerConnection, ConnectError> {
        connect(address, &NodeKey::generate().unwrap(), self.key.public(), PATIENCE).await
    }

    /// Both ends of a new connection.
    async fn enter(&mut self) -> (PeerConnection, PeerConnection) {
        let outside = self.knock_at(&self.address.clone()).await.unwrap();
        let inside = timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap();
        (outside, inside)
    }

    async fn is_refused(&self) -> bool {
        self.is_refused_at(&self.address).await
    }

    async fn is_refused_at(&self, address: &str) -> bool {
        matches!(self.knock_at(address).await, Err(ConnectError::Refused { .. }))
    }
}

fn limits(soft_max: u32, hard_max: u32) -> Limits {
    Limits { soft_max, hard_max, ..Limits::default() }
}

/// Hands packets on in both directions, so that they come from another address of this machine.
async fn relay_at(from: [u8; 4], to: &str) -> (String, JoinSet<()>) {
    let front = UdpSocket::bind(loopback()).await.unwrap();
    (front.local_addr().unwrap().to_string(), relay(front, from, to).await)
}

pub(crate) async fn relay(front: UdpSocket, from: [u8; 4], to: &str) -> JoinSet<()> {
    let front = Arc::new(front);
    let back = Arc::new(UdpSocket::bind(SocketAddr::from((from, 0))).await.unwrap());
    back.connect(to).await.unwrap();
    let visitor = Arc::new(tokio::sync::Mutex::new(None));
    let mut tasks = JoinSet::new();
    let (front_in, back_in, seen) = (Arc::clone(&front), Arc::clone(&back), Arc::clone(&visitor));
    tasks.spawn(async move {
        let mut packet = [0; 2048];
        while let Ok((length, who)) = front_in.recv_from(&mut packet).await {
            *seen.lock().await = Some(who);
            let _lost = back_in.send(&packet[..length]).await;
        }
    });
    tasks.spawn(async move {
        let mut packet = [0; 2048];
        while let Ok(length) = back.recv(&mut packet).await {
            if let Some(who) = *visitor.lock().await {
                let _lost = front.send_to(&packet[..length], who).await;
            }
        }
    });
    tasks
}

#[tokio::test]
async fn too_many_strangers_are_refused_until_one_is_welcome_or_gone() {
    let mut door = Door::with(limits(3, 3));
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(door.enter().await);
    }
    assert!(door.is_refused().await);
    let (relay, _tasks) = relay_at([127, 0, 0, 2], &door.address).await;
    let elsewhere = door.knock_at(&relay).await.unwrap();
    let inside = timeout(PATIENCE, door.listener.accept()).await.unwrap().unwrap();
    assert_eq!(inside.remote_address().ip().to_string(), "127.0.0.2", "who is elsewhere does not suffer");

    all[0].1.welcome();
    // The count falls a moment after the word.
    while door.is_refused().await {
        tokio::task::yield_now().await;
    }
    drop(all.split_off(1));
    let later = loop {
        if let Ok(connection) = door.knock_at(&door.address).await {
            break connection;
        }
    };
    assert_eq!((all[0].0.why(), elsewhere.why(), later.why()), (None, None, None));
}

#[tokio::test]
async fn strangers_over_quic_and_tls_are_counted_together() {
    let mut door = Door::with(limits(4, 4));
    let (only_tcp, _relay) = tcp_relay(&door.address, None).await;
    let (elsewhere, _other) = tcp_relay(&door.address, Some([127, 0, 0, 2])).await;
    let mut all = vec![door.enter().await, door.enter().await];
    for _ in 0..2 {
        let outside = door.knock_at(&only_tcp).await.unwrap();
        assert_eq!(outside.transport(), Transport::Tls);
        all.push((outside, timeout(PATIENCE, door.listener.accept()).await.unwrap().unwrap()));
    }
    assert!(door.is_refused().await, "over QUIC");
    assert!(door.is_refused_at(&only_tcp).await, "over TLS");
    let other = door.knock_at(&elsewhere).await.unwrap();
    let inside = timeout(PATIENCE, door.listener.accept()).await.unwrap().unwrap();
    assert_eq!(inside.remote_address().ip().to_string(), "127.0.0.2", "who is elsewhere does not suffer");
    // One over TLS is welcome, and one over QUIC finds its place free.
    all[3].1.welcome();
    while door.is_refused().await {
        tokio::task::yield_now().await;
    }
    assert!(all.iter().all(|(outside, _)| outside.why().is_none()) && other.why().is_none());
}

#[tokio::test]
async fn a_stranger_over_tls_is_cut_off_in_time_too() {
    let door = Door::with(Limits { wait_max: Duration::from_millis(400), ..Limits::default() });
    let (only_tcp, _relay) = tcp_relay(&door.address, None).await;
    // One that proves a key and says nothing more, and one that does not even do that.
    let stranger = door.knock_at(&only_tcp).await.unwrap();
    let end = timeout(PATIENCE, stranger.closed()).await.unwrap();
    assert!(
        matches!(&end, ConnectionLost::ClosedByPeer { code: 2, reason } if reason.contains("maxWaitForAuth")),
        "{end}"
    );
    let mut silent = tokio::net::TcpStream::connect(&door.address).await.unwrap();
    let read = timeout(PATIENCE, tokio::io::AsyncReadExt::read(&mut silent, &mut [0; 10])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

#[tokio::test]
async fn strangers_above_the_soft_limit_wait() {
    const FACTOR: Duration = Duration::from_millis(150);
    let mut door = Door::with(Limits { delay_factor: FACTOR, ..limits(2, 10) });
    let mut all = Vec::new();
    for number in 1..=4_u32 {
        let begun = Instant::now();
        all.push(door.enter().await);
        assert!(begun.elapsed() >= FACTOR * number.saturating_sub(2), "number {number}");
    }
    door.listener.set_limits(Limits { delay_factor: PATIENCE * 2, ..limits(10, 10) });
    all.push(door.enter().await);
    assert!(all.iter().all(|(outside, _)| outside.why().is_none()));
}

#[tokio::test]
async fn strangers_are_cut_off_in_time_and_others_are_not() {
    let wait_max = Duration::from_millis(400);
    let mut door = Door::with(Limits { wait_max, ..Limits::default() });
    let begun = Instant::now();
    let welcome = door.enter().await;
    welcome.1.welcome();
    let stranger = door.enter().await;
    let end = timeout(PATIENCE, stranger.0.closed()).await.unwrap();
    assert!(
        matches!(&end, ConnectionLost::ClosedByPeer { code: 2, reason } if reason.contains("maxWaitForAuth")),
        "{end}"
    );
    assert!(begun.elapsed() >= wait_max);
    assert_eq!((welcome.0.why(), welcome.1.why()), (None, None));
}

#[tokio::test]
async fn nobody_waits_in_vain_behind_strangers_whom_nobody_takes_in() {
    let mut door = Door::with(Limits::default());
    let mut waiting = JoinSet::new();
    // More than the backlog; nobody accepts them yet.
    for _ in 0..15 {
        let (address, key) = (door.address.clone(), door.key.public());
        waiting.spawn(async move { connect(&address, &NodeKey::generate().unwrap(), key, PATIENCE).await });
    }
    for _ in 0..15 {
        timeout(PATIENCE, door.listener.accept()).await.unwrap().unwrap().welcome();
    }
    while let Some(connected) = waiting.join_next().await {
        connected.unwrap().unwrap();
    }
}
