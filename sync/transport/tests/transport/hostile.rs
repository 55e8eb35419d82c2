//! What a peer or a stranger may send: all of it ends in an error, none of it disturbs the others.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{LARGE, PATIENCE, Pair, loopback, message, over_all, pair};
use mytism_transport::{ConnectError, FrameError, Limits, Listener, NodeKey, Purpose, Transport, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

over_all!(
    a_message_of_unknown_type_passes_if_it_is_small,
    a_stream_cut_within_a_message_is_an_error_and_the_connection_goes_on,
    a_connection_cut_within_a_message_is_an_error,
);

/// Sends bytes as they are and returns how the other side's reader ends.
async fn read_raw(bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
    let (mut here, there) = tokio::io::duplex(1024);
    let mut reader = mytism_transport::FrameReader::new(there);
    let write = async {
        let _cut_off = here.write_all(bytes).await;
        drop(here);
    };
    // Takes the reader along, so that the writer learns of its end.
    let read = async move {
        loop {
            match reader.next().await {
                Ok(Some(_)) => {}
                end => return end,
            }
        }
    };
    timeout(PATIENCE, async { tokio::join!(write, read).1 }).await.unwrap()
}

#[tokio::test]
async fn garbage_is_an_error() {
    let mut long = message(LARGE, b"");
    long[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(matches!(read_raw(&long).await, Err(FrameError::TooLong { length: u32::MAX, .. })));
    let mut cut = message(LARGE, b"");
    cut[4..8].copy_from_slice(&60_000_000_u32.to_be_bytes());
    assert!(matches!(read_raw(&cut).await, Err(FrameError::Cut { got: 8 })));
    assert!(matches!(read_raw(b"GET / HTTP/1.1\r\n\r\n").await, Err(FrameError::TooLong { .. })));
    assert!(matches!(read_raw(&[0xff; 4096]).await, Err(FrameError::TooLong { .. })));
    assert!(matches!(read_raw(b"").await, Ok(None)));
}

async fn a_message_of_unknown_type_passes_if_it_is_small(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let mut here = branch.open(Purpose::Control).await.unwrap();
    let small = message(0xfff0, &[0; 65_536]);
    here.writer().send(&small).await.unwrap();
    let (_, mut there) = head.accept_stream().await.unwrap();
    assert_eq!(there.reader().next().await.unwrap(), Some(small));
    let large = here.writer().send(&message(0xfff0, &[0; 65_537])).await;
    assert!(matches!(large, Err(FrameError::TooLong { .. })));
}

async fn a_stream_cut_within_a_message_is_an_error_and_the_connection_goes_on(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let (_, mut writer) = branch.open(Purpose::Bulk).await.unwrap().split();
    // More than the windows hold, so that the message cannot be sent whole before it is dropped.
    let sending = async { writer.send(&message(LARGE, &vec![0; 40_000_000])).await };
    timeout(Duration::from_millis(300), sending).await.unwrap_err();
    drop(writer);
    let (_, mut there) = head.accept_stream().await.unwrap();
    let end = timeout(PATIENCE, there.reader().next()).await.unwrap();
    let least = if over == Transport::Quic { 1_000_000 } else { 200_000 };
    assert!(matches!(end, Err(FrameError::Cut { got }) if got > least), "{:?}", end.map(|_| ()));
    let mut next = branch.open(Purpose::Feed).await.unwrap();
    next.writer().send(&message(LARGE, b"next")).await.unwrap();
    let (_, mut there) = head.accept_stream().await.unwrap();
    assert_eq!(there.reader().next().await.unwrap(), Some(message(LARGE, b"next")));
}

async fn a_connection_cut_within_a_message_is_an_error(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let (_, mut writer) = branch.open(Purpose::Bulk).await.unwrap().split();
    let sending = async { writer.send(&message(LARGE, &vec![0; 40_000_000])).await };
    timeout(Duration::from_millis(300), sending).await.unwrap_err();
    let (_, mut there) = head.accept_stream().await.unwrap();
    branch.close(0, "");
    let end = timeout(PATIENCE, there.reader().next()).await.unwrap();
    assert!(matches!(end, Err(FrameError::Broken(_) | FrameError::Cut { .. })), "{:?}", end.map(|_| ()));
}

#[tokio::test]
async fn packets_of_strangers_do_not_disturb_a_connection() {
    let Pair { head, branch, listener, .. } = pair(Transport::Quic).await;
    let address = listener.local_addr().unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut noise: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut here = branch.open(Purpose::Feed).await.unwrap();
    here.writer().send(&message(LARGE, b"first")).await.unwrap();
    let (_, mut there) = head.accept_stream().await.unwrap();
    there.reader().next().await.unwrap().unwrap();
    for round in 0..500_usize {
        let mut packet = vec![0; 1 + round * 7 % 1400];
        for byte in &mut packet {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = noise.to_be_bytes()[0];
        }
        // Half of them look like the beginning of a connection.
        if round % 2 == 0 && packet.len() > 5 {
            packet[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
        }
        stranger.send_to(&packet, address).unwrap();
        if round % 50 == 0 {
            let body = round.to_be_bytes();
            here.writer().send(&message(LARGE, &body)).await.unwrap();
            let got = timeout(PATIENCE, there.reader().next()).await.unwrap().unwrap();
            assert_eq!(got, Some(message(LARGE, &body)));
        }
    }
    assert_eq!((head.why(), branch.why()), (None, None));
}

#[tokio::test]
async fn handshakes_that_never_end_do_not_keep_others_out() {
    const BEGUN: usize = 100;
    let Pair { mut listener, head_key, branch_key, .. } = pair(Transport::Quic).await;
    let address = listener.local_addr().unwrap();
    let expected = head_key.public();
    // True beginnings of handshakes, handed on by a relay that lets no answer back.
    let relay = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let relay_address = relay.local_addr().unwrap().to_string();
    let mut begun = JoinSet::new();
    for _ in 0..BEGUN {
        let (relay_address, key) = (relay_address.clone(), NodeKey::generate().unwrap());
        begun.spawn(async move { connect(&relay_address, &key, expected, PATIENCE).await });
    }
    let onward = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..BEGUN {
        let mut packet = [0; 1500];
        let length = timeout(PATIENCE, relay.recv(&mut packet)).await.unwrap().unwrap();
        onward.send_to(&packet[..length], address).unwrap();
    }
    let started = Instant::now();
    let address = address.to_string();
    let (branch, head) =
        tokio::join!(connect(&address, &branch_key, expected, PATIENCE), timeout(PATIENCE, listener.accept()));
    assert_eq!(head.unwrap().unwrap().peer(), branch_key.public());
    branch.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "before the others were given up");
}

#[tokio::test]
async fn who_shows_no_key_or_speaks_another_protocol_is_turned_away() {
    let Pair { mut listener, .. } = pair(Transport::Quic).await;
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(stranger_config());
    let connecting = endpoint.connect(listener.local_addr().unwrap(), "stranger").unwrap();
    assert!(timeout(PATIENCE, connecting).await.unwrap().is_err());
    timeout(Duration::from_millis(100), listener.accept()).await.unwrap_err();
}

#[tokio::test]
async fn a_server_of_something_else_is_no_node() {
    let key = NodeKey::generate().unwrap();
    let server = other_server();
    let address = server.local_addr().unwrap().to_string();
    let accepting = async {
        while let Some(incoming) = server.accept().await {
            drop(incoming.await);
        }
    };
    let connecting = connect(&address, &key, key.public(), PATIENCE);
    tokio::select! {
        () = accepting => panic!("the server ended"),
        error = connecting => assert!(matches!(error, Err(ConnectError::Refused { .. })), "{error:?}"),
    }
}

/// The handshake without encryption, word for word as the protocol's document has it.
#[tokio::test]
async fn the_handshake_without_encryption_is_the_documented_one() {
    let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let mut listener = Listener::bind(loopback(), &head_key, Limits::default(), 10).unwrap();
    let to = listener.bind_plain(loopback(), &head_key, 10).unwrap();
    let mut stream = TcpStream::connect(to).await.unwrap();
    let asked = [&b"mytism-plain/1\n"[..], branch_key.public().as_bytes(), &[7; 32]].concat();
    stream.write_all(&asked).await.unwrap();
    let mut answered = [0; 79 + 64];
    timeout(PATIENCE, stream.read_exact(&mut answered)).await.unwrap().unwrap();
    let (hello, signature) = answered.split_at(79);
    assert_eq!(hello[..47], [&b"mytism-plain/1\n"[..], head_key.public().as_bytes()].concat());
    assert!(head_key.public().verify(&[b"mytism-plain/1 server\0", &asked[..], hello].concat(), signature));
    let proof = branch_key.sign(&[b"mytism-plain/1 client\0", &asked[..], &answered].concat());
    stream.write_all(&proof).await.unwrap();
    let peer = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    assert_eq!((peer.peer(), peer.transport()), (branch_key.public(), Transport::Plain));
}

#[tokio::test]
async fn strangers_without_encryption_are_read_no_further_than_they_must_and_keep_nobody_out() {
    let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let limits = Limits { wait_max: Duration::from_secs(2), ..Limits::default() };
    let mut listener = Listener::bind(loopback(), &head_key, limits, 10).unwrap();
    let to = listener.bind_plain(loopback(), &head_key, 10).unwrap();
    let hello = [&b"mytism-plain/1\n"[..], branch_key.public().as_bytes(), &[7; 32]].concat();
    let wrong_proof = [&hello[..], &[0; 64]].concat();
    let strangers = [
        &b""[..],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"mytism-plain/2\n",
        b"mytism-plain/1\n and no more",
        &[0; 4096],
        &hello,
        &wrong_proof,
    ];
    let mut waiting = JoinSet::new();
    for said in strangers {
        let said = said.to_vec();
        waiting.spawn(async move {
            let mut stream = TcpStream::connect(to).await.unwrap();
            stream.write_all(&said).await.unwrap();
            let mut heard = Vec::new();
            // Cut off, be it in the middle of what was not read.
            let _end = stream.read_to_end(&mut heard).await;
            assert!(heard.len() <= 79 + 64, "the answer to a greeting at most: {}", heard.len());
        });
    }
    // One that says on and on, where a proof should be.
    waiting.spawn(async move {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let written = async {
            for _ in 0..10_000 {
                stream.write_all(&[b'm'; 65_536]).await?;
            }
            std::io::Result::Ok(())
        };
        assert!(written.await.is_err(), "nobody reads all that");
    });
    let address = format!("plain://{to}");
    let connecting = connect(&address, &branch_key, head_key.public(), PATIENCE);
    let (branch, head) = tokio::join!(connecting, timeout(PATIENCE, listener.accept()));
    assert_eq!(head.unwrap().unwrap().peer(), branch_key.public());
    branch.unwrap();
    timeout(PATIENCE, waiting.join_all()).await.expect("all strangers are cut off");
    timeout(Duration::from_millis(100), listener.accept()).await.unwrap_err();
}

/// A client that wants certificates and shows none, as a browser would.
fn stranger_config() -> quinn::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    quinn::ClientConfig::new(Arc::new(quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap()))
}

/// A QUIC server for whom every client speaks the wrong protocol.
fn other_server() -> quinn::Endpoint {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::server::ResolvesServerCertUsingSni::new()));
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    quinn::Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap()
}
