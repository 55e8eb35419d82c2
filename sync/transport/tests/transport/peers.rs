//! Two nodes over real sockets: they know each other, and what is sent arrives.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::common::{LARGE, PATIENCE, Pair, loopback, message, over_all, pair, pair_at, tcp_relay};
use mytism_transport::connector::QUIC_PATIENCE;
use mytism_transport::{
    ConnectError, ConnectionLost, Connector, FrameError, Limits, Listener, NodeKey, Purpose, Transport, connect,
};
use tokio::time::timeout;

over_all!(
    what_was_finished_comes_before_the_end,
    a_connection_ends_with_its_last_handle,
    exported_bytes_are_equal_and_belong_to_one_connection_and_label,
    another_key_is_refused_and_named,
    messages_pass_both_ways_on_streams_of_their_own,
    a_stream_may_be_opened_from_the_listening_side,
    sixty_four_mebibytes_arrive_word_for_word,
    a_long_transfer_that_nobody_reads_does_not_delay_a_message,
    an_end_is_told_with_its_reason,
    shutting_down_tells_the_other_side,
    a_writer_that_has_finished_knows_that_all_has_come,
    a_reader_that_leaves_is_noticed,
);

#[tokio::test]
async fn both_sides_know_whom_they_talk_to() {
    for address in [loopback(), "[::1]:0".parse::<SocketAddr>().unwrap()] {
        let pair = pair_at(address, Transport::Tls).await;
        assert_eq!(pair.head.peer(), pair.branch_key.public());
        assert_eq!(pair.branch.peer(), pair.head_key.public());
        assert_eq!(pair.head.remote_address().ip(), address.ip());
        let pair = pair_at(address, Transport::Quic).await;
        assert_eq!(pair.head.peer(), pair.branch_key.public());
        assert_eq!(pair.branch.peer(), pair.head_key.public());
        assert_eq!(pair.branch.remote_address(), pair.listener.local_addr().unwrap());
        assert_eq!(pair.head.remote_address().ip(), address.ip());
    }
}

async fn exported_bytes_are_equal_and_belong_to_one_connection_and_label(over: Transport) {
    let (one, other) = (pair(over).await, pair(over).await);
    assert_eq!(one.head.exporter("join").unwrap(), one.branch.exporter("join").unwrap());
    assert_ne!(one.head.exporter("join").unwrap(), one.head.exporter("other").unwrap());
    assert_ne!(one.head.exporter("join").unwrap(), other.head.exporter("join").unwrap());
}

async fn another_key_is_refused_and_named(over: Transport) {
    let mut pair = pair(over).await;
    let address = pair.listener.local_addr().unwrap().to_string();
    let wanted = NodeKey::generate().unwrap().public();
    let error = connect(&address, &pair.branch_key, wanted, PATIENCE).await.unwrap_err();
    match &error {
        ConnectError::WrongKey { expected, found, .. } => {
            assert_eq!((*expected, *found), (wanted, pair.head_key.public()));
        }
        other => panic!("{other:?}"),
    }
    assert!(error.to_string().contains(&address), "{error}");
    // The listening side never has a connection of that.
    timeout(Duration::from_millis(100), pair.listener.accept()).await.unwrap_err();
}

#[tokio::test]
async fn a_name_with_several_addresses_is_tried_through() {
    let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    // "localhost" may mean ::1 first, where nobody listens.
    let mut listener = Listener::bind(loopback(), &head_key, Limits::default(), 10).unwrap();
    let address = format!("localhost:{}", listener.local_addr().unwrap().port());
    let (branch, head) = tokio::join!(connect(&address, &branch_key, head_key.public(), PATIENCE), listener.accept());
    assert_eq!(branch.unwrap().peer(), head_key.public());
    assert_eq!(head.unwrap().peer(), branch_key.public());
}

#[tokio::test]
async fn a_port_is_had_once() {
    let pair = pair(Transport::Quic).await;
    let address = pair.listener.local_addr().unwrap();
    let error = Listener::bind(address, &pair.head_key, Limits::default(), 10).unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

async fn messages_pass_both_ways_on_streams_of_their_own(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let mut streams = Vec::new();
    for purpose in [Purpose::Control, Purpose::Feed, Purpose::Bulk, Purpose::Blob] {
        let mut here = branch.open(purpose).await.unwrap();
        here.writer().send(&message(LARGE, format!("{purpose:?}").as_bytes())).await.unwrap();
        let (told, mut there) = head.accept_stream().await.unwrap();
        assert_eq!(told, purpose);
        assert_eq!(there.reader().next().await.unwrap(), Some(message(LARGE, format!("{purpose:?}").as_bytes())));
        there.writer().send(&message(LARGE, b"back")).await.unwrap();
        assert_eq!(here.reader().next().await.unwrap(), Some(message(LARGE, b"back")));
        streams.push((here, there));
    }
    let (here, there) = streams.remove(0);
    drop(streams);
    // One direction ends and the other streams are gone; the rest goes on.
    let (mut reader, writer) = here.split();
    let (mut other_reader, mut other_writer) = there.split();
    let (finished, end) = tokio::join!(writer.finish(), timeout(PATIENCE, other_reader.next()));
    finished.unwrap();
    assert!(matches!(end.unwrap(), Ok(None)));
    other_writer.send(&message(LARGE, b"still")).await.unwrap();
    assert_eq!(reader.next().await.unwrap(), Some(message(LARGE, b"still")));
}

async fn a_stream_may_be_opened_from_the_listening_side(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let mut here = head.open(Purpose::Feed).await.unwrap();
    here.writer().send(&message(LARGE, b"entry")).await.unwrap();
    let (_, mut there) = branch.accept_stream().await.unwrap();
    assert_eq!(there.reader().next().await.unwrap(), Some(message(LARGE, b"entry")));
}

async fn sixty_four_mebibytes_arrive_word_for_word(over: Transport) {
    const BODY: usize = 256 * 1024;
    const COUNT: usize = 256;
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let body =
        |number: usize| -> Vec<u8> { (0..BODY).map(|place| (place * 31 + number * 7).to_le_bytes()[0]).collect() };
    let sending = tokio::spawn(async move {
        let (_, mut writer) = head.open(Purpose::Bulk).await.unwrap().split();
        for number in 0..COUNT {
            writer.feed(&message(LARGE, &body(number))).await.unwrap();
        }
        writer.finish().await.unwrap();
    });
    let (_, stream) = branch.accept_stream().await.unwrap();
    let (mut reader, _writer) = stream.split();
    let mut number = 0;
    while let Some(frame) = reader.next().await.unwrap() {
        assert!(frame == message(LARGE, &body(number)), "{number}");
        number += 1;
    }
    assert_eq!(number, COUNT);
    sending.await.unwrap();
}

async fn a_long_transfer_that_nobody_reads_does_not_delay_a_message(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let (_, mut bulk) = branch.open(Purpose::Blob).await.unwrap().split();
    let (_, _unread) = head.accept_stream().await.unwrap();
    let filling = async {
        loop {
            bulk.send(&message(LARGE, &vec![0; 1024 * 1024])).await.unwrap();
        }
    };
    timeout(Duration::from_millis(500), filling).await.unwrap_err();
    let save = async {
        let mut here = branch.open(Purpose::Feed).await.unwrap();
        here.writer().send(&message(LARGE, b"save")).await.unwrap();
        let (_, mut there) = head.accept_stream().await.unwrap();
        there.reader().next().await.unwrap().unwrap()
    };
    assert_eq!(timeout(Duration::from_secs(5), save).await.unwrap(), message(LARGE, b"save"));
}

async fn an_end_is_told_with_its_reason(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let mut stream = branch.open(Purpose::Control).await.unwrap();
    assert_eq!(branch.why(), None);
    branch.close(7, "good\nbye");
    assert_eq!(branch.closed().await, ConnectionLost::ClosedHere);
    let expected = ConnectionLost::ClosedByPeer { code: 7, reason: "goodbye".to_owned() };
    assert_eq!(timeout(PATIENCE, head.closed()).await.unwrap(), expected);
    assert_eq!(head.why(), Some(expected.clone()));
    assert_eq!(head.open(Purpose::Control).await.unwrap_err(), expected);
    // A stream that came before the end may still be taken.
    let taken = async { while head.accept_stream().await.is_ok() {} };
    timeout(PATIENCE, taken).await.unwrap();
    assert!(matches!(stream.reader().next().await, Err(FrameError::Broken(_))));
    assert!(stream.writer().send(&message(LARGE, b"late")).await.is_err());
}

async fn shutting_down_tells_the_other_side(over: Transport) {
    let first = pair(over).await;
    first.branch.shut_down(1, "branch stops").await;
    let expected = ConnectionLost::ClosedByPeer { code: 1, reason: "branch stops".to_owned() };
    assert_eq!(timeout(PATIENCE, first.head.closed()).await.unwrap(), expected);

    let second = pair(over).await;
    second.listener.shut_down(2, "head office stops").await;
    let expected = ConnectionLost::ClosedByPeer { code: 2, reason: "head office stops".to_owned() };
    assert_eq!(timeout(PATIENCE, second.branch.closed()).await.unwrap(), expected);
}

async fn a_writer_that_has_finished_knows_that_all_has_come(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let (_, mut writer) = branch.open(Purpose::Bulk).await.unwrap().split();
    writer.send(&message(LARGE, &[1; 100_000])).await.unwrap();
    let receive = async {
        let (_, stream) = head.accept_stream().await.unwrap();
        let (mut reader, _writer) = stream.split();
        while reader.next().await.unwrap().is_some() {}
    };
    let (finished, ()) = tokio::join!(writer.finish(), receive);
    finished.unwrap();
}

async fn a_reader_that_leaves_is_noticed(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let (_, mut writer) = branch.open(Purpose::Bulk).await.unwrap().split();
    drop(head.accept_stream().await.unwrap());
    let write = async {
        loop {
            if let Err(error) = writer.send(&message(LARGE, &[0; 1000])).await {
                return error;
            }
        }
    };
    let error = timeout(PATIENCE, write).await.unwrap();
    match over {
        Transport::Quic => assert!(matches!(error, FrameError::Stopped { .. }), "{error:?}"),
        Transport::Tls | Transport::Plain => assert!(matches!(error, FrameError::Broken(_)), "{error:?}"),
    }
}

#[tokio::test]
async fn tls_is_chosen_within_two_seconds_where_udp_does_not_pass_and_quic_where_it_does_again() {
    let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let mut listener = Listener::bind(loopback(), &head_key, Limits::default(), 10).unwrap();
    let behind = listener.local_addr().unwrap();
    let (only_tcp, _relay) = tcp_relay(&behind.to_string(), None).await;
    let connector = Connector::default();
    for round in 0..2 {
        let begun = Instant::now();
        let connecting = connector.connect(&only_tcp, &branch_key, head_key.public(), PATIENCE);
        let (branch, head) = tokio::join!(connecting, listener.accept());
        assert_eq!(branch.unwrap().transport(), Transport::Tls);
        drop(head.unwrap());
        let limit = if round == 0 { Duration::from_secs(2) } else { QUIC_PATIENCE };
        assert!(begun.elapsed() < limit, "round {round}: {:?}; what was learned is remembered", begun.elapsed());
    }
    // UDP passes from now on, with an answer a moment later than over TCP at the most.
    let front = std::net::UdpSocket::bind(&only_tcp).unwrap();
    front.set_nonblocking(true).unwrap();
    let front = tokio::net::UdpSocket::from_std(front).unwrap();
    let _udp = crate::gate::relay(front, [127, 0, 0, 1], &behind.to_string()).await;
    let over = loop {
        let connecting = connector.connect(&only_tcp, &branch_key, head_key.public(), PATIENCE);
        let (branch, head) = tokio::join!(connecting, listener.accept());
        drop(head.unwrap());
        let branch = branch.unwrap();
        if branch.transport() == Transport::Quic {
            break branch.transport();
        }
    };
    assert_eq!(over, Transport::Quic);
}

#[tokio::test]
async fn without_encryption_a_peer_with_another_key_is_refused_too() {
    let (head_key, branch_key) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
    let mut listener = Listener::bind(loopback(), &head_key, Limits::default(), 10).unwrap();
    let plain = format!("plain://{}", listener.bind_plain(loopback(), &head_key, 10).unwrap());
    let wrong = connect(&plain, &branch_key, branch_key.public(), PATIENCE).await.unwrap_err();
    assert!(matches!(wrong, ConnectError::WrongKey { found, .. } if found == head_key.public()), "{wrong}");
    // Who speaks another protocol is told so, on either side.
    let tls = listener.local_addr().unwrap();
    let other = connect(&format!("plain://{tls}"), &branch_key, head_key.public(), PATIENCE).await.unwrap_err();
    assert!(matches!(other, ConnectError::Refused { .. }), "{other}");
    let connecting = connect(&plain, &branch_key, head_key.public(), PATIENCE);
    let (branch, head) = tokio::join!(connecting, listener.accept());
    let (branch, head) = (branch.unwrap(), head.unwrap());
    assert_eq!((branch.peer(), head.peer()), (head_key.public(), branch_key.public()));
    assert_eq!(branch.exporter("a").unwrap(), head.exporter("a").unwrap());
    let again = connect(&plain, &branch_key, head_key.public(), PATIENCE).await.unwrap();
    assert_ne!(again.exporter("a").unwrap(), branch.exporter("a").unwrap(), "each connection has its own");
}

#[tokio::test]
async fn all_over_tls_is_closed_with_the_listener() {
    let pair = pair(Transport::Tls).await;
    let stream = pair.branch.open(Purpose::Control).await.unwrap();
    pair.listener.shut_down(2, "head office stops").await;
    let expected = ConnectionLost::ClosedByPeer { code: 2, reason: "head office stops".to_owned() };
    assert_eq!(timeout(PATIENCE, pair.branch.closed()).await.unwrap(), expected);
    assert_eq!(pair.head.why(), Some(ConnectionLost::ClosedHere));
    drop(stream);
}

async fn what_was_finished_comes_before_the_end(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let mut there = branch.open(Purpose::Control).await.unwrap();
    there.writer().send(&message(LARGE, b"hello")).await.unwrap();
    let (_, mut here) = head.accept_stream().await.unwrap();
    here.reader().next().await.unwrap();
    here.writer().send(&message(LARGE, &[7; 50_000])).await.unwrap();
    here.split().1.finish().await.unwrap();
    head.close(3, "that was all");
    let got = timeout(PATIENCE, there.reader().next()).await.unwrap();
    // Over QUIC an end may overtake what the reader has not fetched yet; then it is an error and never half of it.
    match (over, got) {
        (_, Ok(Some(whole))) => assert_eq!(whole, message(LARGE, &[7; 50_000])),
        (Transport::Quic, Err(FrameError::Broken(_))) => {}
        (_, other) => panic!("{other:?}"),
    }
}

/// The last handle goes, and the other side is told.
async fn a_connection_ends_with_its_last_handle(over: Transport) {
    let Pair { head, branch, listener: _listener, .. } = pair(over).await;
    let stream = branch.open(Purpose::Control).await.unwrap();
    drop(branch);
    timeout(Duration::from_millis(100), head.closed()).await.unwrap_err();
    drop(stream);
    let end = timeout(PATIENCE, head.closed()).await.unwrap();
    assert!(matches!(end, ConnectionLost::ClosedByPeer { code: 0, .. }), "{end:?}");
}
