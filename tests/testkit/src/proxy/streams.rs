//! Streams of TCP on a bad line.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use super::{AGAIN, LOOK, Line, Way};

/// Bytes that go together, and how many of these wait at most.
const PIECE: usize = 1_400;
const PIECES: usize = 512;

pub(super) fn spawn(line: &Arc<Line>, listener: TcpListener) -> JoinHandle<()> {
    let line = Arc::clone(line);
    listener.set_nonblocking(true).expect("a socket can be asked without waiting");
    std::thread::spawn(move || {
        // Kept while UDP alone passes: to the branch it looks as if nobody answered.
        let mut unanswered = Vec::new();
        while !line.is_ended() {
            let Ok((outside, _)) = listener.accept() else {
                std::thread::sleep(LOOK);
                continue;
            };
            if !line.weather().tcp {
                unanswered.push(outside);
            } else if let Ok(inside) = TcpStream::connect(line.to) {
                carry(&line, &outside, &inside, Way::Up);
                carry(&line, &inside, &outside, Way::Down);
            }
        }
    })
}

fn carry(line: &Arc<Line>, from: &TcpStream, to: &TcpStream, way: Way) {
    let copy = |stream: &TcpStream| stream.try_clone().expect("a socket can be shared");
    let (from, to) = (copy(from), copy(to));
    from.set_nonblocking(false).and_then(|()| from.set_read_timeout(Some(LOOK))).expect("a socket can have a deadline");
    to.set_nodelay(true).expect("a socket can send at once");
    let (send, receive) = sync_channel(PIECES);
    let (reading, writing) = (Arc::clone(line), Arc::clone(line));
    std::thread::spawn(move || take(&reading, from, way, &send));
    std::thread::spawn(move || give(&writing, to, way, &receive));
}

fn take(line: &Line, mut from: TcpStream, way: Way, send: &SyncSender<(Instant, Vec<u8>)>) {
    let mut bytes = [0; PIECE];
    let mut last = Instant::now();
    while !line.is_ended() {
        let length = match from.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => return,
        };
        let weather = line.weather().clone();
        let mut arrival = loop {
            match line.arrival(way, length, &weather) {
                Some(arrival) => break arrival,
                // The sender waits where a datagram would be lost.
                None => std::thread::sleep(LOOK),
            }
        };
        if line.throw() < weather.loss {
            arrival += AGAIN;
        }
        last = last.max(arrival);
        if send.send((last, bytes[..length].to_vec())).is_err() {
            return;
        }
    }
}

fn give(line: &Line, mut to: TcpStream, way: Way, receive: &Receiver<(Instant, Vec<u8>)>) {
    loop {
        let (arrival, bytes) = match receive.recv_timeout(LOOK) {
            Ok(piece) => piece,
            Err(RecvTimeoutError::Timeout) if !line.is_ended() => continue,
            Err(_) => break,
        };
        std::thread::sleep(arrival.saturating_duration_since(Instant::now()));
        let is_held = || !line.is_ended() && !line.weather().lets_streams_pass(way);
        while is_held() {
            std::thread::sleep(LOOK);
        }
        if line.is_ended() || to.write_all(&bytes).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _gone = to.shutdown(Shutdown::Write);
    if line.is_ended() {
        let _gone = to.shutdown(Shutdown::Both);
    }
}
