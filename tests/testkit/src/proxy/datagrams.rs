//! Datagrams on a bad line.

use std::collections::{BTreeMap, HashMap};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{LOOK, Line, Way};

/// Larger than any datagram.
const DATAGRAM: usize = 65_536;

/// A datagram on its way.
struct Flying {
    arrival: Instant,
    bytes: Vec<u8>,
    from: Arc<UdpSocket>,
    to: SocketAddr,
}

pub(super) fn spawn(line: &Arc<Line>, front: UdpSocket) -> JoinHandle<()> {
    let line = Arc::clone(line);
    std::thread::spawn(move || {
        let (sky, arriving) = mpsc::channel();
        let landing = Arc::clone(&line);
        std::thread::spawn(move || land(&arriving, &landing));
        upwards(&line, front, &sky);
    })
}

/// What branches send; each gets a socket of its own towards the head office, as behind a router.
fn upwards(line: &Arc<Line>, front: UdpSocket, sky: &Sender<Flying>) {
    front.set_read_timeout(Some(LOOK)).expect("a socket can have a deadline");
    let front = Arc::new(front);
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut packet = vec![0; DATAGRAM];
    while !line.is_ended() {
        let Ok((length, branch)) = front.recv_from(&mut packet) else { continue };
        let back = backs.entry(branch).or_insert_with(|| {
            let back = Arc::new(UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free"));
            back.set_read_timeout(Some(LOOK)).expect("a socket can have a deadline");
            let (line, front, back_in, sky) = (Arc::clone(line), Arc::clone(&front), Arc::clone(&back), sky.clone());
            std::thread::spawn(move || downwards(&line, &front, &back_in, branch, &sky));
            back
        });
        fly(line, Way::Up, &packet[..length], back, line.to, sky);
    }
}

fn downwards(line: &Line, front: &Arc<UdpSocket>, back: &UdpSocket, branch: SocketAddr, sky: &Sender<Flying>) {
    let mut packet = vec![0; DATAGRAM];
    while !line.is_ended() {
        if let Ok((length, _)) = back.recv_from(&mut packet) {
            fly(line, Way::Down, &packet[..length], front, branch, sky);
        }
    }
}

fn fly(line: &Line, way: Way, bytes: &[u8], from: &Arc<UdpSocket>, to: SocketAddr, sky: &Sender<Flying>) {
    let weather = line.weather().clone();
    if !weather.udp || !weather.passes(way) || line.throw() < weather.loss {
        return;
    }
    let Some(arrival) = line.arrival(way, bytes.len(), &weather) else { return };
    // Nobody waits for it once the line has ended.
    let _ended = sky.send(Flying { arrival, bytes: bytes.to_vec(), from: Arc::clone(from), to });
}

/// Hands each on when it has arrived.
fn land(arriving: &Receiver<Flying>, line: &Line) {
    let mut flying: BTreeMap<(Instant, u64), Flying> = BTreeMap::new();
    let mut count = 0;
    while !line.is_ended() {
        let next = flying.keys().next().map_or(LOOK, |(arrival, _)| arrival.saturating_duration_since(Instant::now()));
        match arriving.recv_timeout(next.min(LOOK)) {
            Ok(one) => {
                count += 1;
                flying.insert((one.arrival, count), one);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while let Some(entry) = flying.first_entry().filter(|entry| entry.key().0 <= Instant::now()) {
            let one = entry.remove();
            // Where nobody listens, it is lost.
            let _lost = one.from.send_to(&one.bytes, one.to);
        }
    }
}
