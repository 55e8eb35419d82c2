//! What comes through sockets: envelopes in portions, and messages.

use mytism_core::id::{Hash, NodeId, ObjectId, Position};
use mytism_core::operation::{
    ChangeRequest, ChangeTarget, ImportBatch, ImportMode, Input, QueryRequest, ReferenceInput, Request, SaveRequest,
};
use mytism_core::time::Timestamp;
use mytism_format::envelope;
use mytism_proto::{
    EntryFrame, PeerMessage, ProtoError, decode_answer, decode_request, encode_answer, encode_request, frame,
};
use mytism_transport::frame::{Assembler, check_whole};

use crate::measure::{Bound, within};
use crate::{Told, told};

/// An item takes up to some hundred bytes in memory while it may be one byte of the message, and lists grow by doubling.
const MEMORY: Bound = Bound { base: 8 << 10, per_byte: 512 };
/// As the assembler promises, with room for what it gives out.
const FRAMES: Bound = Bound { base: 192 << 10, per_byte: 8 };

/// One message of any set.
///
/// # Panics
/// When a law is broken, as everything here.
pub fn message(input: &[u8]) -> Told {
    let peer = within(MEMORY, input.len(), || PeerMessage::decode(input));
    let request = within(MEMORY, input.len(), || decode_request(input));
    let answer = within(MEMORY, input.len(), || decode_answer(input));
    let understood = [peer.is_ok(), request.is_ok(), answer.is_ok()].iter().filter(|ok| **ok).count();
    assert!(understood <= 1, "a message belongs to one set");
    if let Ok(message) = &peer {
        let bytes = message.encode().expect("what was read can be written");
        assert_eq!(PeerMessage::decode(&bytes).as_ref().ok(), Some(message));
        check_whole(&bytes).expect("a reader takes it");
    }
    if let Ok(message) = &request {
        let bytes = encode_request(message).expect("what was read can be written");
        assert_eq!(decode_request(&bytes).as_ref().ok(), Some(message));
    }
    if let Ok(message) = &answer {
        let bytes = encode_answer(message).expect("what was read can be written");
        assert_eq!(decode_answer(&bytes).as_ref().ok(), Some(message));
    }
    let said = |error: Option<&ProtoError>| error.map_or_else(|| "fine".to_owned(), told);
    let kind = envelope::read(input).ok().and_then(|(record, _)| frame::kind_name(record.header.kind));
    format!("{kind:?} {} {} {}", said(peer.as_ref().err()), said(request.as_ref().err()), said(answer.as_ref().err()))
}

/// Bytes of a stream, in portions that the first byte chooses: the same envelopes come out whatever the portions.
pub fn frames(input: &[u8]) -> Told {
    let (first, bytes) = input.split_first().unwrap_or((&1, &[]));
    let portion = usize::from(*first).max(1);
    let ours = within(FRAMES, bytes.len(), || assembled(bytes, portion));
    let whole = assembled(bytes, usize::MAX);
    assert_eq!(ours, whole, "portions do not matter");
    let (envelopes, begun, end) = ours;
    let length: usize = envelopes.iter().map(Vec::len).sum();
    assert_eq!(bytes.get(..length), Some(envelopes.concat().as_slice()), "word for word");
    if end.is_none() {
        assert_eq!(length + begun, bytes.len(), "nothing is lost");
    }
    for envelope in &envelopes {
        check_whole(envelope).expect("what was read may be sent");
    }
    format!("{} {} {}", envelopes.len().min(4), begun.min(9), end.unwrap_or_default())
}

/// The envelopes, how much of a further one was begun, and why it ended early.
fn assembled(mut bytes: &[u8], portion: usize) -> (Vec<Vec<u8>>, usize, Option<Told>) {
    let mut assembler = Assembler::new();
    let mut envelopes = Vec::new();
    while !bytes.is_empty() {
        let space = assembler.space();
        let count = portion.min(space.len()).min(bytes.len());
        assert!(count > 0, "there is always space");
        space[..count].copy_from_slice(&bytes[..count]);
        bytes = &bytes[count..];
        match assembler.advance(count) {
            Ok(envelope) => envelopes.extend(envelope),
            Err(error) => return (envelopes, 0, Some(told(error))),
        }
    }
    (envelopes, assembler.begun(), None)
}

/// Sound messages: those whose bytes the document of the protocol shows, and others.
#[must_use]
pub fn messages() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        include_str!("../../../sync/PROTOCOL.md").split("### Bytes of ").skip(1).map(shown).collect();
    let position = Position { epoch: 1, number: 1000 };
    let time = Timestamp::saturating_from_micros(1_795_404_600_000_000);
    let hash = Hash([3; 32]);
    let peers = [
        PeerMessage::Ack { position, hash },
        PeerMessage::Reject { code: "unknown-node".into(), message: "no".into() },
        PeerMessage::RollBack { to: position, hash },
        PeerMessage::Recover { after: position, hash },
        PeerMessage::TailEnd { differs: true },
        PeerMessage::BlockRequest { free: 7 },
        PeerMessage::BlockGrant { blocks: vec![16, 17] },
        PeerMessage::Ping { sent: time },
        PeerMessage::Join { name: "bonn".into(), proof: [7; 32] },
        PeerMessage::JoinAccept {
            cluster: hash,
            node: NodeId(2),
            incarnation: 1,
            head_name: "k\u{f6}ln".into(),
            blocks: vec![16],
        },
        PeerMessage::Snapshot { manifest: vec![1, 2, 3] },
        PeerMessage::HistoryWant { node: NodeId(2), below: 44 },
        PeerMessage::History { chunk: vec![1, 2, 3], hash, count: 3 },
        PeerMessage::Entries {
            entries: vec![EntryFrame { entry: vec![1], transaction: Some(vec![2]) }; 3],
            checksum: hash,
            head: position,
            sent: time,
        },
    ];
    all.extend(peers.iter().map(|message| message.encode().expect("it is sound")));
    all.extend(requests().iter().map(|request| encode_request(request).expect("it is sound")));
    all
}

fn requests() -> Vec<Request> {
    let key = |value| ReferenceInput::Key { entity: "Customer".into(), attribute: "CustomerID".into(), value };
    let nested = key(Box::new(Input::Reference(key(Box::new(Input::Text("ALFKI".into()))))));
    let values = vec![
        ("A".to_owned(), Input::Null),
        ("B".to_owned(), Input::Bool(true)),
        ("C".to_owned(), Input::List(vec![ReferenceInput::Id(ObjectId::system(700_000)), nested.clone()])),
        ("D".to_owned(), Input::Difference { add: vec![ReferenceInput::Label("c".into())], remove: vec![nested] }),
    ];
    let change = ChangeRequest {
        target: ChangeTarget::New { label: "c".into(), entity: "Customer".into() },
        values,
        expect: Vec::new(),
        delete: Some(false),
    };
    let import = ImportBatch {
        run: None,
        description: "import".into(),
        entity: "Customer".into(),
        key: Some("CustomerID".into()),
        columns: vec!["CustomerID".into(), "City".into()],
        rows: vec![vec![Some("ALFKI".into()), None]; 3],
        mode: ImportMode::Upsert,
        skip_bad_rows: true,
        dry_run: false,
        ..ImportBatch::default()
    };
    let query = QueryRequest {
        text: "from Customer where City = $p".into(),
        params: vec![("p".into(), Input::Number("1e3".into()))],
        limit: Some(5),
        deleted: true,
        ..QueryRequest::default()
    };
    vec![
        Request::Status,
        Request::Save(SaveRequest { description: "d".into(), changes: vec![change] }),
        Request::Query(query),
        Request::Import(import),
        Request::Conflicts,
        Request::Watch,
        Request::Stop,
    ]
}

/// The bytes of a block in the document: digits, and what they mean behind a number sign.
fn shown(section: &str) -> Vec<u8> {
    let block = section.split("```").nth(1).unwrap_or_default();
    let digits: String = block.lines().skip(1).filter_map(|line| line.split('#').next()).collect();
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks_exact(2).filter_map(|pair| std::str::from_utf8(pair).ok());
    pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// Streams of sound messages.
#[must_use]
pub fn streams() -> Vec<Vec<u8>> {
    let stream = |portion: u8, messages: &[Vec<u8>]| [vec![portion], messages.concat()].concat();
    let all = messages();
    vec![stream(1, &all[..2]), stream(7, &all), stream(255, &all[all.len() - 3..])]
}
