//! The bytes of some messages, fixed here and shown in the document. A difference means that other programs no longer
//! understand this one: add fields, don't change them.

use mytism_core::failure::Failure;
use mytism_core::id::{Hash, NodeId, ObjectId, Position, TransactionId};
use mytism_core::number::{Lease, LeaseWish, Number};
use mytism_core::operation::*;
use mytism_core::time::Timestamp;
use mytism_core::value::Value;

use super::hex;
use crate::{
    Answer, EntryFrame, Part, PeerMessage, Rung, decode_answer, decode_request, encode_answer, encode_request,
};

/// One message in one of the sets.
enum Sample {
    Peer(PeerMessage),
    Request(Request),
    Answer(Answer),
}

fn object(number: i64) -> ObjectId {
    ObjectId::new(number).unwrap()
}

fn time() -> Timestamp {
    Timestamp::from_micros(1_795_404_600_000_000).unwrap()
}

fn samples() -> Vec<(&'static str, Sample)> {
    let cluster = Hash([0x11; 32]);
    let position = Position { epoch: 1, number: 1000 };
    let hello = PeerMessage::Hello {
        protocol: 1,
        cluster,
        node: NodeId(2),
        incarnation: 1,
        run: 0x0123_4567_89ab_cdef,
        name: "Köln".into(),
        position,
        hash: Hash([0x22; 32]),
        ladder: None,
        newest: None,
    };
    let again = PeerMessage::Hello {
        protocol: 1,
        cluster,
        node: NodeId(2),
        incarnation: 1,
        run: 7,
        name: "B".into(),
        position: Position { epoch: 1, number: 1 },
        hash: cluster,
        ladder: Some(vec![Rung { number: 1, hash: cluster }]),
        newest: Some(3),
    };
    let offer = PeerMessage::Offer { transactions: vec![vec![1, 2, 3], vec![4, 5]], signature: vec![9; 4] };
    let entries = PeerMessage::Entries {
        entries: vec![
            EntryFrame { entry: vec![0xe1], transaction: Some(vec![0xa1, 0xa2]) },
            EntryFrame { entry: vec![0xe2], transaction: None },
        ],
        checksum: Hash([0x33; 32]),
        head: position,
        sent: time(),
    };
    let wish =
        LeaseWish { range: object(1_048_577), held: Some(Number(240_120)), given: Some(Number(240_113)), wanted: 20 };
    let first = LeaseWish { range: object(1_048_578), held: None, given: None, wanted: 20 };
    let lease_request = PeerMessage::LeaseRequest { wishes: vec![wish, first] };
    let lease =
        Lease { range: object(1_048_577), passed: Some(Number(240_140)), is_lost: true, end: Some(Number(240_160)) };
    let used_up = Lease { range: object(1_048_578), passed: None, is_lost: false, end: None };
    let lease_grant = PeerMessage::LeaseGrant { leases: vec![lease, used_up] };
    let recipe = PeerMessage::ContentRecipe {
        content: cluster,
        bytes: 300_000,
        count: 2,
        from: 1,
        parts: vec![Part { hash: Hash([0x44; 32]), bytes: 37_856 }],
    };
    let chunk = PeerMessage::Chunk { hash: Hash([0x44; 32]), data: vec![0x68, 0x69], compressed: false };
    let save = Request::Save(SaveRequest {
        description: "price".into(),
        changes: vec![ChangeRequest {
            target: ChangeTarget::Object(object(1_048_577)),
            values: vec![
                ("UnitPrice".into(), Input::Number("19.99".into())),
                ("Supplier".into(), Input::Reference(ReferenceInput::Label("s".into()))),
            ],
            expect: vec![("UnitPrice".into(), Input::Text("18.00".into()))],
            delete: None,
        }],
    });
    let id = TransactionId { node: NodeId(2), incarnation: 1, counter: 7 };
    let undo = Request::Undo(UndoRequest { id, keep_later: false, dry_run: true });
    let saved = Reply::Saved(Saved {
        transaction: Some(id),
        position: None,
        pending: true,
        ids: vec![("s".into(), object(1_048_578))],
    });
    let row = Reply::Row(vec![
        ("Country".into(), Output::Value(Value::Text("Chile".into()))),
        ("n".into(), Output::Value(Value::Integer(12))),
    ]);
    let failure =
        Failure::usage("unknown-attribute", "Customer has no attribute Ctiy").hint("did you mean City?").at(1, 16);
    vec![
        ("Hello", Sample::Peer(hello)),
        ("Hello with a ladder", Sample::Peer(again)),
        ("Renew", Sample::Peer(PeerMessage::Renew { incarnation: 2, blocks: vec![17] })),
        ("Offer", Sample::Peer(offer)),
        ("Entries", Sample::Peer(entries)),
        ("LeaseRequest", Sample::Peer(lease_request)),
        ("LeaseGrant", Sample::Peer(lease_grant)),
        ("Done", Sample::Peer(PeerMessage::Done {})),
        ("ContentRecipe", Sample::Peer(recipe)),
        ("ChunkWant", Sample::Peer(PeerMessage::ChunkWant { hashes: vec![Hash([0x44; 32])] })),
        ("Chunk", Sample::Peer(chunk)),
        ("HistoryWant", Sample::Peer(PeerMessage::HistoryWant { node: NodeId(2), below: 1_000 })),
        ("Request.Save", Sample::Request(save)),
        ("Request.Undo", Sample::Request(undo)),
        ("Reply.Saved", Sample::Answer(Answer::Reply(saved))),
        ("Reply.Row", Sample::Answer(Answer::Reply(row))),
        ("End", Sample::Answer(Answer::End)),
        ("Failure", Sample::Answer(Answer::Failure(failure))),
    ]
}

fn encoded(sample: &Sample) -> Vec<u8> {
    match sample {
        Sample::Peer(message) => message.encode(),
        Sample::Request(request) => encode_request(request),
        Sample::Answer(answer) => encode_answer(answer),
    }
    .unwrap()
}

/// The bytes, as they are once and for all.
const GOLDEN: &[(&str, &str)] = &[
    (
        "Hello",
        "020001000000007088a17601a163c4201111111111111111111111111111111111111111111111111111111111111111\
         a16e02a16901a172cf0123456789abcdefa161a54bc3b66c6ea17082a16501a16ecd03e8a168c4202222222222222222\
         222222222222222222222222222222222222222222222222",
    ),
    (
        "Hello with a ladder",
        "02000100000000908aa17601a163c420111111111111111111111111111111111111111111111111111111111111111\
         1a16e02a16901a17207a161a142a17082a16501a16e01a168c420111111111111111111111111111111111111111111\
         1111111111111111111111a16c9182a16e01a168c42011111111111111111111111111111111111111111111111111\
         11111111111111a16b03",
    ),
    ("Renew", "020401000000000882a16902a1629111"),
    ("Offer", "021001000000001582a17492c403010203c4020405a173c40409090909"),
    (
        "Entries",
        "021101000000005084a1669282a165c401e1a174c402a1a281a165c401e2a163c4203333333333333333333333333333\
         333333333333333333333333333333333333a17082a16501a16ecd03e8a174cf000660e935693e00",
    ),
    (
        "LeaseRequest",
        "022201010000002881a1779284a172ce00100001a17714a168ce0003a9f8a167ce0003a9f182a172ce00100002a17714",
    ),
    ("LeaseGrant", "022301010000002881a16c9284a172ce00100001a178c3a170ce0003aa0ca165ce0003aa2082a172ce00100002a178c2"),
    ("Done", "025401000000000180"),
    (
        "ContentRecipe",
        "027201000000005f85a163c4201111111111111111111111111111111111111111111111111111111111111111a162ce\
         000493e0a16e02a16601a1709182a168c420444444444444444444444444444444444444444444444444444444444444\
         4444a162cd93e0",
    ),
    ("ChunkWant", "027801000000002681a16891c4204444444444444444444444444444444444444444444444444444444444444444"),
    (
        "Chunk",
        "027901000000002e83a168c4204444444444444444444444444444444444444444444444444444444444444444a164c4\
         026869a17ac2",
    ),
    ("HistoryWant", "025601000000000982a16e02a170cd03e8"),
    (
        "Request.Save",
        "030101000000007282a164a57072696365a1639183a16f82a17402a16fce00100001a1769282a16ea9556e6974507269\
         6365a17682a17403a173a531392e393982a16ea8537570706c696572a17682a17405a17282a17402a173a173a1789182\
         a16ea9556e69745072696365a17682a17404a173a531382e3030",
    ),
    ("Request.Undo", "031001000000001383a16983a16e02a16901a16307a16bc2a16ec3"),
    ("Reply.Saved", "038101000000001f83a177c3a1699182a16ea173a176ce00100002a17483a16e02a16901a16307"),
    (
        "Reply.Row",
        "038301000000002f81a1769282a16ea7436f756e747279a17682a17401a176c406a54368696c6582a16ea16ea17682a1\
         7401a176c4010c",
    ),
    ("End", "03f001000000000180"),
    (
        "Failure",
        "03f101000000005885a16b02a163b1756e6b6e6f776e2d617474726962757465a16dbe437573746f6d65722068617320\
         6e6f206174747269627574652043746979a168b264696420796f75206d65616e20436974793fa2617482a16c01a16310",
    ),
];

#[test]
fn the_bytes_stay_the_same() {
    let samples = samples();
    for ((name, sample), (golden_name, golden)) in samples.iter().zip(GOLDEN) {
        assert_eq!((*name, hex(&encoded(sample)).as_str()), (*golden_name, *golden));
    }
    assert_eq!(samples.len(), GOLDEN.len());
}

#[test]
fn the_bytes_are_understood() {
    for (name, sample) in samples() {
        let bytes = encoded(&sample);
        let same = match sample {
            Sample::Peer(message) => PeerMessage::decode(&bytes).unwrap() == message,
            Sample::Request(request) => decode_request(&bytes).unwrap() == request,
            Sample::Answer(answer) => decode_answer(&bytes).unwrap() == answer,
        };
        assert!(same, "{name}");
    }
}

#[test]
fn the_document_shows_the_same_bytes() {
    let document = super::document::DOCUMENT;
    for (name, golden) in GOLDEN {
        let title = format!("### Bytes of {name}\n");
        let section = document.split(&title).nth(1).unwrap_or_else(|| panic!("no section \"{}\"", title.trim()));
        let block = section.split("```").nth(1).unwrap();
        // Each line of a block is bytes and what they mean, with a number sign between.
        let shown: String = block.lines().skip(1).filter_map(|line| line.split('#').next()).collect();
        let shown: String = shown.chars().filter(|character| !character.is_whitespace()).collect();
        assert_eq!(&shown, golden, "{name}");
    }
    assert_eq!(document.matches("### Bytes of ").count(), GOLDEN.len());
}
