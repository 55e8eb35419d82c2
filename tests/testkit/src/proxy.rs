//! A bad line between two nodes: a port of this machine that hands UDP and TCP on to another one, with loss, delay,
//! jitter, little bandwidth, or not at all, as the test says at any moment.
//!
//! It knows nothing of what it hands on. What is lost on TCP comes late instead, as it would after a retransmission;
//! a direction that is cut loses datagrams and holds back what TCP carries.

mod datagrams;
mod streams;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often threads look whether the line has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long a retransmission takes.
const AGAIN: Duration = Duration::from_millis(200);
/// Bytes that wait before a bottleneck; datagrams above that are lost.
const QUEUE_BYTES: u64 = 256 * 1024;

/// How a line is. [`Weather::default`] is a line at which nothing is wrong.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Whether UDP passes.
    pub udp: bool,
    /// Whether TCP passes.
    pub tcp: bool,
    /// Whether anything passes from the branch to the head office.
    pub up: bool,
    /// Whether anything passes from the head office to the branch.
    pub down: bool,
    /// Which part of the packets is lost, 0 to 1.
    pub loss: f64,
    /// How long each packet takes at least, one way.
    pub delay: Duration,
    /// How much longer it takes at most; datagrams overtake each other by that.
    pub jitter: Duration,
    /// Bytes per second in each direction; nothing is no limit.
    pub bandwidth: Option<u32>,
}

impl Default for Weather {
    fn default() -> Self {
        let (udp, tcp, up, down) = (true, true, true, true);
        Self { udp, tcp, up, down, loss: 0.0, delay: Duration::ZERO, jitter: Duration::ZERO, bandwidth: None }
    }
}

/// See the module. Dropping it ends the line.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    line: Arc<Line>,
    threads: Vec<JoinHandle<()>>,
}

/// Which way something goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Up,
    Down,
}

/// What the threads share.
#[derive(Debug)]
struct Line {
    to: SocketAddr,
    weather: Mutex<Weather>,
    dice: Mutex<u64>,
    /// When each direction has let through what was given to it.
    free: Mutex<[Instant; 2]>,
    ended: AtomicBool,
}

impl Proxy {
    /// A line to a port of this machine, with the numbers that decide what is lost.
    #[must_use]
    #[track_caller]
    pub fn to(port: u16, seed: u64) -> Self {
        let now = Instant::now();
        let line = Arc::new(Line {
            to: SocketAddr::from(([127, 0, 0, 1], port)),
            weather: Mutex::default(),
            dice: Mutex::new(seed | 1),
            free: Mutex::new([now, now]),
            ended: AtomicBool::new(false),
        });
        let (udp, tcp) = sockets();
        let port = udp.local_addr().expect("a socket has an address").port();
        let threads = vec![datagrams::spawn(&line, udp), streams::spawn(&line, tcp)];
        Self { port, line, threads }
    }

    /// Its port on this machine.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Changes how the line is, from now on.
    pub fn set(&self, weather: Weather) {
        *self.line.weather() = weather;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that failed has ended too.
            let _ended = thread.join();
        }
    }
}

impl Line {
    fn weather(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Between 0 and 1.
    fn throw(&self) -> f64 {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        f64::from(u32::try_from(*dice >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// When the bytes are through the bottleneck and the line; nothing where they find the queue full.
    fn arrival(&self, way: Way, bytes: usize, weather: &Weather) -> Option<Instant> {
        let now = Instant::now();
        let mut through = now;
        if let Some(bandwidth) = weather.bandwidth.map(f64::from) {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let place = &mut free[usize::from(way == Way::Down)];
            let begin = (*place).max(now);
            if (begin - now).as_secs_f64() * bandwidth > QUEUE_BYTES as f64 {
                return None;
            }
            through = begin + Duration::from_secs_f64(bytes as f64 / bandwidth);
            *place = through;
        }
        Some(through + weather.delay + weather.jitter.mul_f64(self.throw()))
    }
}

impl Weather {
    const fn passes(&self, way: Way) -> bool {
        match way {
            Way::Up => self.up,
            Way::Down => self.down,
        }
    }

    const fn lets_streams_pass(&self, way: Way) -> bool {
        self.tcp && self.passes(way)
    }
}

/// One port for both.
#[track_caller]
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..16 {
        let udp = UdpSocket::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = udp.local_addr().expect("a socket has an address");
        if let Ok(tcp) = TcpListener::bind(address) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    /// A server that says everything back, over both.
    fn echo() -> u16 {
        let (udp, tcp) = sockets();
        let port = udp.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut packet = [0; 2000];
            while let Ok((length, from)) = udp.recv_from(&mut packet) {
                let _sent = udp.send_to(&packet[..length], from);
            }
        });
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                std::thread::spawn(move || {
                    let mut bytes = [0; 2000];
                    while let Ok(length @ 1..) = stream.read(&mut bytes) {
                        let _sent = stream.write_all(&bytes[..length]);
                    }
                });
            }
        });
        port
    }

    /// How many of a hundred datagrams come back.
    fn returned(proxy: &Proxy) -> usize {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.connect(("127.0.0.1", proxy.port())).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        for number in 0..100 {
            socket.send(&[number; 500]).unwrap();
        }
        let mut count = 0;
        while socket.recv(&mut [0; 2000]).is_ok() {
            count += 1;
        }
        count
    }

    #[test]
    fn datagrams_pass_get_lost_and_are_cut_off() {
        let proxy = Proxy::to(echo(), 7);
        assert_eq!(returned(&proxy), 100);
        proxy.set(Weather { loss: 0.3, ..Weather::default() });
        let some = returned(&proxy);
        assert!((25..75).contains(&some), "{some} of 100, each lost twice as likely as 0.3");
        for cut in [
            Weather { up: false, ..Weather::default() },
            Weather { down: false, ..Weather::default() },
            Weather { udp: false, ..Weather::default() },
        ] {
            proxy.set(cut);
            assert_eq!(returned(&proxy), 0);
        }
        proxy.set(Weather { bandwidth: Some(20_000), ..Weather::default() });
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let begun = Instant::now();
        socket.connect(("127.0.0.1", proxy.port())).unwrap();
        for _ in 0..10 {
            socket.send(&[0; 1000]).unwrap();
        }
        for _ in 0..10 {
            socket.recv(&mut [0; 2000]).unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(500), "10,000 bytes at 20,000 a second");
    }

    #[test]
    fn a_stream_arrives_whole_late_and_after_a_cut() {
        let proxy = Proxy::to(echo(), 7);
        proxy.set(Weather { loss: 0.05, delay: Duration::from_millis(5), ..Weather::default() });
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let sent: Vec<u8> = (0..20_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        stream.write_all(&sent[..10_000]).unwrap();
        let mut got = vec![0; 20_000];
        stream.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        stream.read_exact(&mut got[..10_000]).unwrap();
        proxy.set(Weather { down: false, ..Weather::default() });
        stream.write_all(&sent[10_000..]).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        stream.read(&mut got[10_000..]).unwrap_err();
        proxy.set(Weather::default());
        stream.set_read_timeout(Some(crate::PATIENCE)).unwrap();
        stream.read_exact(&mut got[10_000..]).unwrap();
        assert!(got == sent);
    }
}
