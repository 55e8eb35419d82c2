//! Peers that mean no good, or know no better, at the port of a head office: they cost it bounded memory, and the lines
//! of others go on.
//!
//! A thousand connections; `MYTISM_LONG=1`: ten thousand.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use mytism_testkit::{Proxy, RunningNode, Weather, wait_until, wait_until_in_step};
use mytism_transport::{NodeKey, PeerConnection, PublicKey, Purpose, Transport, connect};
use tokio::net::{TcpSocket, TcpStream};

use crate::trade::{assert_equal, branch, head_office, order};

/// By so much the memory of a node may grow with all that strangers do.
const GROWTH_KIB_MAX: u64 = 96 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

/// Memory of a node that no file stands for, in KiB.
fn memory(node: &RunningNode) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn port(node: &RunningNode) -> u16 {
    node.project().setting("tlsPort").parse().unwrap()
}

fn is_connected(branch: &RunningNode) -> bool {
    branch.project().status()["sync"][0]["state"] == "connected"
}

/// What is saved on either side arrives, over the line that was there before.
#[track_caller]
fn goes_on(head: &RunningNode, branch: &RunningNode, number: u64) {
    head.project().save(&order(number));
    branch.project().save(&order(number + 1));
    wait_until_in_step(head.project(), &[branch.project()]);
    assert!(is_connected(branch));
}

/// A connection over TCP from one of the addresses of this machine.
async fn from(address: [u8; 4], port: u16) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((address, 0))).unwrap();
    let connecting = socket.connect(SocketAddr::from(([127, 0, 0, 1], port)));
    tokio::time::timeout(Duration::from_secs(5), connecting).await.ok()?.ok()
}

/// Whether the other side has not closed it.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// The key that the head office shows.
fn key_of(branch: &RunningNode) -> PublicKey {
    branch.project().setting("headOfficeKey").parse().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn garbage_in_the_place_of_a_handshake_is_turned_away() {
    let head = head_office();
    let branch = branch(&head, "berlin");
    goes_on(&head, &branch, 100);
    let before = memory(&head);
    let mut noise: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut garbage = |length: usize| -> Vec<u8> {
        let mut byte = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.to_be_bytes()[0]
        };
        (0..length).map(|_| byte()).collect()
    };
    let udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    for round in 0..200_usize {
        let mut packet = garbage(1 + round * 7);
        udp.send_to(&packet, ("127.0.0.1", port(&head))).unwrap();
        if round % 10 == 0 {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port(&head))).unwrap();
            // Every second one looks like the beginning of TLS that claims all that may be.
            if round % 20 == 0 && packet.len() > 5 {
                packet[..5].copy_from_slice(&[22, 3, 1, 0x40, 0]);
            }
            let _closed = stream.write_all(&packet).and_then(|()| stream.write_all(&garbage(100_000)));
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut rest = Vec::new();
            let _reset = stream.read_to_end(&mut rest);
            assert!(rest.len() < 100, "an alert at most");
        }
    }
    goes_on(&head, &branch, 200);
    assert!(memory(&head) < before + GROWTH_KIB_MAX, "{} KiB, {before} before", memory(&head));
    assert_equal(head.project(), branch.project());
}

#[test]
fn many_silent_connections_are_bounded_and_disturb_nobody() {
    let many = if std::env::var_os("MYTISM_LONG").is_some() { 10_000 } else { 1_000 };
    let head = head_office();
    let branch = branch(&head, "berlin");
    goes_on(&head, &branch, 100);
    let before = memory(&head);
    let runtime = runtime();
    let (mut held, mut refused) = (Vec::new(), 0);
    runtime.block_on(async {
        for number in 0..many {
            // More from each address than it may have.
            let last = u8::try_from(2 + (number / 200) % 100).unwrap();
            held.extend(from([127, 0, 0, last], port(&head)).await);
            if number % 50 == 49 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let before = held.len();
                held.retain(is_open);
                refused += before - held.len();
            }
        }
    });
    goes_on(&head, &branch, 200);
    let after = memory(&head);
    assert!(after < before + GROWTH_KIB_MAX, "{after} KiB with {} connections, {before} before", held.len());
    assert!(refused >= many / 5, "{refused} of {many} were refused, each address has 150 strangers at most");
    drop(held);
    goes_on(&head, &branch, 300);
    assert_equal(head.project(), branch.project());
}

/// Connects with a key that nobody knows, over the transport that the test wants.
async fn stranger(to: u16, key: PublicKey) -> PeerConnection {
    let address = format!("127.0.0.1:{to}");
    connect(&address, &NodeKey::generate().unwrap(), key, PATIENCE).await.unwrap()
}

/// Something that looks like a message, of a type that is not known, which may be passed over.
fn message(length: usize) -> Vec<u8> {
    let head = [&[0x02, 0xfe, 1, 1][..], &u32::try_from(length).unwrap().to_be_bytes()].concat();
    [head, vec![0; length]].concat()
}

#[test]
fn strangers_that_talk_without_end_or_not_at_all_are_bounded() {
    let head = head_office();
    let branch = branch(&head, "berlin");
    goes_on(&head, &branch, 100);
    let only_tcp = Proxy::to(port(&head), 1);
    only_tcp.set(Weather { udp: false, ..Weather::default() });
    let (key, before) = (key_of(&branch), memory(&head));
    let runtime = runtime();
    let kept = runtime.block_on(async {
        let mut kept = Vec::new();
        for port in [port(&head), only_tcp.port()] {
            for number in 0..20 {
                let connection = stranger(port, key).await;
                if port == only_tcp.port() {
                    assert_eq!(connection.transport(), Transport::Tls);
                }
                if number % 2 == 0 {
                    // Says nothing at all.
                    kept.push((connection, None));
                    continue;
                }
                // Says as much as it can, on as many streams as it can, and reads nothing.
                let talking = connection.clone();
                let task = tokio::spawn(async move {
                    let mut streams = Vec::new();
                    for _ in 0..16 {
                        let Ok(Ok(stream)) =
                            tokio::time::timeout(Duration::from_secs(1), talking.open(Purpose::Control)).await
                        else {
                            return streams;
                        };
                        let (reader, mut writer) = stream.split();
                        let sending = async { while writer.send(&message(60_000)).await.is_ok() {} };
                        let _full = tokio::time::timeout(Duration::from_millis(200), sending).await;
                        streams.push((reader, writer));
                    }
                    streams
                });
                kept.push((connection, Some(task)));
            }
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        kept
    });
    goes_on(&head, &branch, 200);
    let after = memory(&head);
    assert!(after < before + GROWTH_KIB_MAX, "{after} KiB with {} strangers, {before} before", kept.len());
    drop(kept);
    drop(runtime);
    goes_on(&head, &branch, 300);
    assert_equal(head.project(), branch.project());
}

#[test]
fn a_known_branch_that_reads_nothing_costs_no_more_than_the_window() {
    let head = head_office();
    let good = branch(&head, "berlin");
    let mut deaf = branch(&head, "lisboa");
    let line = Proxy::to(port(&head), 3);
    deaf.stop();
    crate::bad_lines::behind(&line, deaf.project());
    line.set(Weather { udp: false, ..Weather::default() });
    deaf.restart();
    wait_until("the line is up", PATIENCE, || is_connected(&deaf));
    let before = memory(&head);
    // What the head office says no longer arrives, and what the branch says still does.
    line.set(Weather { udp: false, down: false, ..Weather::default() });
    let text = "x".repeat(60_000);
    for number in 0..400 {
        let values = serde_json::json!({"CategoryID": number, "CategoryName": number.to_string(), "Description": text});
        head.project().save(&crate::trade::new("Category", &values));
    }
    goes_on(&head, &good, 10_000);
    let after = memory(&head);
    assert!(after < before + GROWTH_KIB_MAX, "{after} KiB, {before} before");
    line.set(Weather::default());
    wait_until_in_step(head.project(), &[deaf.project(), good.project()]);
    assert_equal(head.project(), deaf.project());
}
