//! What the first version said, kept in `tests/compat`: it means for ever what it meant then, and what later versions add
//! to it does not change that.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use mytism_core::id::{Hash, NodeId, ObjectId, Position};
use mytism_core::number::{Lease, LeaseWish, Number};
use mytism_core::time::Timestamp;
use mytism_proto::{EntryFrame, PeerMessage, ProtoError, Rung};
use mytism_sync::branch_end::BranchEnd;
use mytism_sync::head_end::HeadEnd;
use mytism_sync::{Done, Effect, Job};

/// A message for each line: its bytes in hexadecimal digits.
const MESSAGES: &str = include_str!("../../tests/compat/v1/messages.txt");
/// A conversation: each line says who spoke, `branch` or `head`, and the bytes.
const SESSION: &str = include_str!("../../tests/compat/v1/session.txt");
const TRANSACTION: &[u8] = include_bytes!("../../tests/compat/v1/transaction.bin");
const ENTRY_PLAIN: &[u8] = include_bytes!("../../tests/compat/v1/entry_plain.bin");
const ENTRY_CONFLICT: &[u8] = include_bytes!("../../tests/compat/v1/entry_conflict.bin");

const CLUSTER: Hash = Hash([0x11; 32]);
const HASH: Hash = Hash([0x22; 32]);

const fn at(number: u64) -> Position {
    Position { epoch: 1, number }
}

fn time() -> Timestamp {
    Timestamp::from_micros(1_795_404_600_000_000).unwrap()
}

fn range() -> ObjectId {
    ObjectId::new(1_048_577).unwrap()
}

fn number(digits: &str) -> Number {
    digits.parse().unwrap()
}

fn hello() -> PeerMessage {
    PeerMessage::Hello {
        protocol: 1,
        cluster: CLUSTER,
        node: NodeId(2),
        incarnation: 1,
        run: 0x0123_4567_89ab_cdef,
        name: "Köln".into(),
        position: at(7),
        hash: HASH,
        ladder: Some(vec![Rung { number: 7, hash: HASH }, Rung { number: 1, hash: CLUSTER }]),
        newest: Some(3),
    }
}

fn welcome() -> PeerMessage {
    PeerMessage::Welcome {
        protocol: 1,
        cluster: CLUSTER,
        node: NodeId(1),
        incarnation: 1,
        run: 9,
        name: "hamburg".into(),
        position: at(9),
        hash: HASH,
        time: time(),
        feed: None,
    }
}

fn entries() -> PeerMessage {
    let frames = vec![
        EntryFrame { entry: ENTRY_PLAIN.to_vec(), transaction: Some(TRANSACTION.to_vec()) },
        EntryFrame { entry: ENTRY_CONFLICT.to_vec(), transaction: None },
    ];
    PeerMessage::Entries { entries: frames, checksum: HASH, head: at(9), sent: time() }
}

fn offer() -> PeerMessage {
    PeerMessage::Offer { transactions: vec![TRANSACTION.to_vec()], signature: vec![9; 64] }
}

fn lease_request() -> PeerMessage {
    let wish = LeaseWish { range: range(), wanted: 20, held: Some(number("240120")), given: Some(number("240113")) };
    PeerMessage::LeaseRequest { wishes: vec![wish] }
}

fn lease_grant() -> PeerMessage {
    let lease = Lease { range: range(), is_lost: true, passed: Some(number("240140")), end: Some(number("240160")) };
    PeerMessage::LeaseGrant { leases: vec![lease] }
}

fn messages() -> Vec<PeerMessage> {
    vec![
        hello(),
        welcome(),
        PeerMessage::Reject { code: "unknown-node".into(), message: "nobody knows you".into() },
        PeerMessage::RollBack { to: at(4), hash: HASH },
        PeerMessage::Renew { incarnation: 2, blocks: vec![17] },
        PeerMessage::RenewRequest {},
        PeerMessage::Recover { after: at(5), hash: HASH },
        PeerMessage::TailEnd { differs: true },
        offer(),
        entries(),
        PeerMessage::Ack { position: at(9), hash: HASH },
        PeerMessage::BlockRequest { free: 1000 },
        PeerMessage::BlockGrant { blocks: vec![17, 18] },
        lease_request(),
        lease_grant(),
        PeerMessage::Ping { sent: time() },
        PeerMessage::Pong { ping: time(), time: time() },
        PeerMessage::Join { name: "Köln".into(), proof: [5; 32] },
        PeerMessage::JoinAccept {
            cluster: CLUSTER,
            node: NodeId(2),
            incarnation: 1,
            head_name: "hamburg".into(),
            blocks: vec![17],
        },
        PeerMessage::Done {},
    ]
}

/// Who says what.
fn session() -> Vec<(&'static str, PeerMessage)> {
    vec![
        ("branch", hello()),
        ("head", welcome()),
        ("head", entries()),
        ("branch", PeerMessage::BlockRequest { free: 10 }),
        ("branch", lease_request()),
        ("head", PeerMessage::BlockGrant { blocks: vec![17] }),
        ("head", lease_grant()),
        ("branch", PeerMessage::Ack { position: at(9), hash: HASH }),
        ("branch", offer()),
        ("head", PeerMessage::Ping { sent: time() }),
        ("branch", PeerMessage::Pong { ping: time(), time: time() }),
    ]
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2), "{hex}");
    (0..hex.len()).step_by(2).map(|place| u8::from_str_radix(&hex[place..place + 2], 16).unwrap()).collect()
}

/// As a later version may say it: with a field more, which holds maps and lists.
fn with_a_new_field(frame: &[u8]) -> Vec<u8> {
    let (head, body) = frame.split_at(8);
    let (count, fields) = body.split_first().unwrap();
    assert!((0x80..0x8f).contains(count), "the body of a message is a map of few fields");
    let new = [&[0xa3][..], b"new", &[0x82, 0xa1, b'a', 0x92, 0xc3, 0xc0, 0xa1, b'b', 0xc4, 0x02, 7, 7]].concat();
    let body = [&[count + 1][..], fields, &new].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&head[..4], &length, &body].concat()
}

/// A message of a type that only later versions know, and that others may pass over.
const FROM_LATER: [u8; 9] = [0x02, 0xfe, 0x01, 0x01, 0, 0, 0, 1, 0x80];

#[test]
fn messages_mean_what_they_meant() {
    let recorded: Vec<_> = MESSAGES.lines().map(bytes).collect();
    assert_eq!(recorded.len(), messages().len());
    for (bytes, expected) in recorded.iter().zip(messages()) {
        assert_eq!(PeerMessage::decode(bytes).unwrap(), expected);
        assert_eq!(PeerMessage::decode(&with_a_new_field(bytes)).unwrap(), expected, "with a new field");
        // The same may be said in another way one day, and is understood by this version then.
        let today = expected.encode().unwrap();
        assert_eq!(PeerMessage::decode(&today).unwrap(), expected);
    }
    assert!(matches!(PeerMessage::decode(&FROM_LATER), Err(ProtoError::Skip { .. })));
}

/// What one side said, as the other side reads it; later versions mix in what is new.
fn said_by(side: &str, is_later: bool) -> Vec<PeerMessage> {
    let lines = SESSION.lines().filter_map(|line| line.strip_prefix(side)?.strip_prefix(' '));
    let mut frames: Vec<Vec<u8>> = lines.map(bytes).collect();
    if is_later {
        frames = frames.iter().flat_map(|frame| [FROM_LATER.to_vec(), with_a_new_field(frame)]).collect();
    }
    let read = frames.iter().filter_map(|frame| match PeerMessage::decode(frame) {
        Err(ProtoError::Skip { .. }) => None,
        read => Some(read.unwrap()),
    });
    read.collect()
}

#[test]
fn a_session_with_a_head_office_of_the_first_version_goes_on() {
    for is_later in [false, true] {
        let expected: Vec<_> =
            session().into_iter().filter(|(side, _)| *side == "head").map(|(_, said)| said).collect();
        let said = said_by("head", is_later);
        assert_eq!(said, expected);
        let (mut end, mut out) = (BranchEnd::new(), Vec::new());
        end.start(&mut out);
        let introduced = Done::Introduced { hello: Box::new(hello()), wants_life: false };
        end.on_done(introduced, time(), &mut out).unwrap();
        for message in said {
            end.on_message(message, time(), &mut out).unwrap();
        }
        assert!(end.is_talking());
        let does =
            |wanted: &dyn Fn(&Job) -> bool| out.iter().any(|effect| matches!(effect, Effect::Do(job) if wanted(job)));
        assert!(does(&|job| matches!(job, Job::Apply(frames) if frames.len() == 2 && frames[0].entry == ENTRY_PLAIN)));
        assert!(does(&|job| *job == Job::TakeBlocks(vec![17])));
        assert!(does(&|job| matches!(job, Job::TakeLeases(leases) if leases[0].end == Some(number("240160")))));
        assert!(out.contains(&Effect::Send(PeerMessage::Pong { ping: time(), time: time() })));
    }
}

#[test]
fn a_session_with_a_branch_of_the_first_version_goes_on() {
    for is_later in [false, true] {
        let expected: Vec<_> =
            session().into_iter().filter(|(side, _)| *side == "branch").map(|(_, said)| said).collect();
        let said = said_by("branch", is_later);
        assert_eq!(said, expected);
        let (mut end, mut out) = (HeadEnd::new(), Vec::new());
        let mut said = said.into_iter();
        end.on_message(said.next().unwrap(), time(), &mut out).unwrap();
        assert!(matches!(&out[..], [Effect::Do(Job::Judge(claim))] if claim.position == at(7)), "{out:?}");
        let judged = mytism_sync::greeting::Judgement::Welcome(Box::new(welcome()));
        end.on_done(Done::Judged(judged), time(), &mut out).unwrap();
        let item = |number| mytism_sync::LogItem {
            position: at(number),
            hash: HASH,
            transaction: mytism_core::id::TransactionId { node: NodeId(1), incarnation: 1, counter: number },
            entry: ENTRY_PLAIN.to_vec(),
            bytes: TRANSACTION.to_vec(),
        };
        end.on_done(Done::Log(std::sync::Arc::new(vec![item(8), item(9)])), time(), &mut out).unwrap();
        for message in said {
            end.on_message(message, time(), &mut out).unwrap();
        }
        assert_eq!(end.backlog(), Some(0), "all is confirmed");
        let does =
            |wanted: &dyn Fn(&Job) -> bool| out.iter().any(|effect| matches!(effect, Effect::Do(job) if wanted(job)));
        assert!(does(&|job| *job == Job::Admit(vec![TRANSACTION.to_vec()])));
        assert!(does(&|job| *job == Job::GiveBlock));
        assert!(does(&|job| matches!(job, Job::GrantLeases(wishes) if wishes[0].wanted == 20)));
    }
}
