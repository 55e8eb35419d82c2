//! The line between two nodes: passes datagrams on, until it is cut. A cut loses them silently, as a broken line does.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mytism_core::failure::Failure;

/// See the module. Dropping it ends the passing on.
pub(super) struct Relay {
    port: u16,
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    ended: AtomicBool,
    /// Who spoke last from the branch's side.
    branch: Mutex<Option<SocketAddr>>,
}

const LOOK: Duration = Duration::from_millis(50);
/// Larger than any datagram.
const DATAGRAM: usize = 65_536;

impl Relay {
    /// A line to a port of this machine.
    pub(super) fn new(head_port: u16) -> Result<Self, Failure> {
        let no_line = |error: std::io::Error| Failure::failed("no-port", format!("cannot lay the line: {error}"));
        let open = || {
            let socket = UdpSocket::bind(("127.0.0.1", 0))?;
            socket.set_read_timeout(Some(LOOK))?;
            Ok(socket)
        };
        let front = open().map_err(no_line)?;
        let back = open().map_err(no_line)?;
        back.connect(("127.0.0.1", head_port)).map_err(no_line)?;
        let port = front.local_addr().map_err(no_line)?.port();
        let state = Arc::<State>::default();
        let upwards = (front.try_clone().map_err(no_line)?, back.try_clone().map_err(no_line)?, Arc::clone(&state));
        let downwards = (front, back, Arc::clone(&state));
        let threads = vec![
            std::thread::spawn(move || up(&upwards.0, &upwards.1, &upwards.2)),
            std::thread::spawn(move || down(&downwards.0, &downwards.1, &downwards.2)),
        ];
        Ok(Self { port, state, threads })
    }

    /// The branch's end.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn cut(&self) {
        self.state.cut.store(true, Ordering::Relaxed);
    }

    pub(super) fn heal(&self) {
        self.state.cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so itself.
            let _ended = thread.join();
        }
    }
}

fn up(front: &UdpSocket, back: &UdpSocket, state: &State) {
    let mut buffer = vec![0; DATAGRAM];
    while !state.ended.load(Ordering::Relaxed) {
        let Ok((length, from)) = front.recv_from(&mut buffer) else { continue };
        *state.branch.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
        if !state.cut.load(Ordering::Relaxed) {
            // A datagram that is lost is what datagrams are made for.
            let _lost = back.send(buffer.get(..length).unwrap_or_default());
        }
    }
}

fn down(front: &UdpSocket, back: &UdpSocket, state: &State) {
    let mut buffer = vec![0; DATAGRAM];
    while !state.ended.load(Ordering::Relaxed) {
        let Ok(length) = back.recv(&mut buffer) else { continue };
        let to = *state.branch.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(to), false) = (to, state.cut.load(Ordering::Relaxed)) {
            let _lost = front.send_to(buffer.get(..length).unwrap_or_default(), to);
        }
    }
}
