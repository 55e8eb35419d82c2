//! A client against a node that is played by a thread.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use mytism_client::Client;
use mytism_core::failure::{Failure, FailureKind};
use mytism_core::operation::{Closed, Operations, QueryRequest, Reply, Request};
use mytism_format::envelope::{FLAG_MAY_SKIP, HEADER_BYTES, Header, write};
use mytism_proto::{Answer, decode_request, encode_answer};
use tempfile::TempDir;

/// What the node does with one connection.
type Play = Box<dyn FnOnce(Visitor) + Send>;

/// A node that plays one part for each connection, one after another.
struct Node {
    directory: TempDir,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    fn start(parts: Vec<Play>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        let thread = std::thread::spawn(move || {
            for part in parts {
                part(Visitor(listener.accept().unwrap().0));
            }
        });
        Self { directory, thread: Some(thread) }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    fn client(&self) -> Client {
        Client::connect(&self.socket()).unwrap()
    }

    fn join(mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The other end of a connection.
struct Visitor(UnixStream);

impl Visitor {
    fn request(&mut self) -> Request {
        let mut message = vec![0; HEADER_BYTES];
        self.0.read_exact(&mut message).unwrap();
        let header = Header::from_bytes(*message.first_chunk().unwrap());
        message.resize(HEADER_BYTES + header.length as usize, 0);
        self.0.read_exact(&mut message[HEADER_BYTES..]).unwrap();
        decode_request(&message).unwrap()
    }

    fn answer(&mut self, answer: &Answer) {
        self.0.write_all(&encode_answer(answer).unwrap()).unwrap();
    }

    fn row(&mut self, name: &str) {
        self.answer(&Answer::Reply(row(name)));
    }
}

fn row(name: &str) -> Reply {
    Reply::Row(vec![(name.to_owned(), mytism_core::operation::Output::Word("value".to_owned()))])
}

fn ask(client: &Client, request: Request) -> (Result<(), Failure>, Vec<Reply>) {
    let mut replies = Vec::new();
    let outcome = client.call(request, &mut |reply| {
        replies.push(reply);
        Ok(())
    });
    (outcome, replies)
}

#[test]
fn answers_come_in_order_over_one_connection() {
    let query = Request::Query(QueryRequest { text: "Customer".to_owned(), limit: Some(3), ..Default::default() });
    let expected = query.clone();
    let node = Node::start(vec![Box::new(move |mut visitor| {
        assert_eq!(visitor.request(), expected);
        visitor.row("a");
        visitor.row("b");
        visitor.answer(&Answer::End);
        assert_eq!(visitor.request(), Request::Nodes);
        visitor.answer(&Answer::End);
    })]);
    let client = node.client();
    assert_eq!(ask(&client, query), (Ok(()), vec![row("a"), row("b")]));
    assert_eq!(ask(&client, Request::Nodes), (Ok(()), vec![]));
    node.join();
}

#[test]
fn a_failure_arrives_as_it_was_and_the_connection_goes_on() {
    let failure = Failure::refused("unique", "there is one already").hint("take another").at(2, 7);
    let sent = failure.clone();
    let node = Node::start(vec![Box::new(move |mut visitor| {
        visitor.request();
        visitor.row("before");
        visitor.answer(&Answer::Failure(sent));
        visitor.request();
        visitor.answer(&Answer::End);
    })]);
    let client = node.client();
    assert_eq!(ask(&client, Request::Status), (Err(failure), vec![row("before")]));
    assert_eq!(ask(&client, Request::Status), (Ok(()), vec![]));
    node.join();
}

#[test]
fn a_sink_that_closes_ends_the_request_and_the_next_one_gets_another_connection() {
    let (gone, wait) = mpsc::channel();
    let node = Node::start(vec![
        Box::new(move |mut visitor| {
            assert_eq!(visitor.request(), Request::Watch);
            let event = encode_answer(&Answer::Reply(row("event"))).unwrap();
            // Goes on until nobody listens.
            while visitor.0.write_all(&event).is_ok() {}
            gone.send(()).unwrap();
        }),
        Box::new(|mut visitor| {
            assert_eq!(visitor.request(), Request::Status);
            visitor.answer(&Answer::End);
        }),
    ]);
    let client = node.client();
    let mut seen = 0;
    let outcome = client.call(Request::Watch, &mut |_| {
        seen += 1;
        if seen < 3 { Ok(()) } else { Err(Closed) }
    });
    assert_eq!((outcome, seen), (Ok(()), 3));
    wait.recv().unwrap();
    assert_eq!(ask(&client, Request::Status), (Ok(()), vec![]));
    node.join();
}

#[test]
fn a_sink_may_ask_again() {
    let (asked, wait) = mpsc::channel();
    let node = Node::start(vec![
        Box::new(move |mut visitor| {
            visitor.request();
            visitor.row("outer");
            asked.send(visitor).unwrap();
        }),
        Box::new(move |mut visitor| {
            visitor.request();
            visitor.row("inner");
            visitor.answer(&Answer::End);
            wait.recv().unwrap().answer(&Answer::End);
        }),
    ]);
    let client = node.client();
    let mut inner = Vec::new();
    let outcome = client.call(Request::Status, &mut |_| {
        inner.push(ask(&client, Request::Nodes));
        Ok(())
    });
    assert_eq!((outcome, inner), (Ok(()), vec![(Ok(()), vec![row("inner")])]));
    node.join();
}

#[test]
fn a_node_that_was_started_anew_is_found_again() {
    let node = Node::start(vec![
        Box::new(|mut visitor| {
            visitor.request();
            visitor.answer(&Answer::End);
        }),
        Box::new(|mut visitor| {
            visitor.request();
            visitor.answer(&Answer::End);
        }),
    ]);
    let client = node.client();
    assert_eq!(ask(&client, Request::Status).0, Ok(()));
    // The first part ends with its connection; wait until that is so, as a new start of a node takes its time.
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(ask(&client, Request::Status).0, Ok(()));
    node.join();
}

#[test]
fn a_node_that_is_not_there_is_unreachable() {
    let directory = tempfile::tempdir().unwrap();
    let failure = Client::connect(&directory.path().join("socket")).unwrap_err();
    assert_eq!((failure.kind, failure.code.as_str()), (FailureKind::Unreachable, "node-unreachable"));
    assert!(failure.hint.contains("mytism start"), "{failure:?}");

    let node = Node::start(vec![Box::new(drop)]);
    let client = node.client();
    node.join();
    let (outcome, replies) = ask(&client, Request::Status);
    assert_eq!(outcome.unwrap_err().code, "node-unreachable");
    assert_eq!(replies, []);
}

#[test]
fn what_the_node_leaves_open_is_said_to_be_open() {
    let check = |part: Play, code: &str| {
        let node = Node::start(vec![part]);
        let client = node.client();
        let failure = ask(&client, Request::Status).0.unwrap_err();
        assert_eq!((failure.kind, failure.code.as_str()), (FailureKind::Unreachable, code), "{failure:?}");
        node.join();
    };
    check(Box::new(|mut visitor| drop(visitor.request())), "answer-lost");
    // A request of which the node takes a part, or nothing, cannot have been carried out.
    check(Box::new(|mut visitor| visitor.0.read_exact(&mut [0; 3]).unwrap()), "node-unreachable");
    let half_an_answer: Play = Box::new(|mut visitor| {
        visitor.request();
        visitor.row("whole");
        let bytes = encode_answer(&Answer::Reply(row("half"))).unwrap();
        visitor.0.write_all(&bytes[..bytes.len() - 1]).unwrap();
    });
    check(half_an_answer, "answer-lost");
    let garbage: Play = Box::new(|mut visitor| {
        visitor.request();
        visitor.0.write_all(&[0xff; 100]).unwrap();
    });
    check(garbage, "answer-unclear");
    let of_tomorrow: Play = Box::new(|mut visitor| {
        visitor.request();
        let mut message = Vec::new();
        write(&mut message, 0x03ee, 1, 0, b"\x80").unwrap();
        visitor.0.write_all(&message).unwrap();
    });
    check(of_tomorrow, "answer-unclear");
}

#[test]
fn unknown_answers_that_may_be_passed_over_are() {
    let node = Node::start(vec![Box::new(|mut visitor| {
        visitor.request();
        let mut message = Vec::new();
        write(&mut message, 0x03ee, 1, FLAG_MAY_SKIP, b"\x80").unwrap();
        visitor.0.write_all(&message).unwrap();
        visitor.row("known");
        visitor.answer(&Answer::End);
    })]);
    assert_eq!(ask(&node.client(), Request::Status), (Ok(()), vec![row("known")]));
    node.join();
}

#[test]
fn a_node_that_stops_need_not_say_more() {
    let node = Node::start(vec![Box::new(|mut visitor| {
        assert_eq!(visitor.request(), Request::Stop);
        visitor.answer(&Answer::Reply(Reply::Stopping));
    })]);
    assert_eq!(ask(&node.client(), Request::Stop), (Ok(()), vec![Reply::Stopping]));
    node.join();
}
