//! Old and new programs talk: what a reader passes over, and what it names when it cannot.

use mytism_core::operation::{
    ChangeRequest, ChangeTarget, Input, Output, QueryRequest, ReferenceInput, Reply, Request, SaveRequest,
};
use mytism_core::time::Timestamp;
use mytism_format::envelope::{self, FLAG_MAY_SKIP};

use crate::{
    Answer, Misshape, PeerMessage, Problem, ProtoError, decode_answer, decode_request, encode_answer, encode_request,
    kind,
};

fn message(kind: u16, version: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    envelope::write(&mut bytes, kind, version, flags, body).unwrap();
    bytes
}

fn known(kind: &kind::Kind, body: &[u8]) -> Vec<u8> {
    message(kind.number, kind.version, 0, body)
}

/// `{"s": 5` and the given bytes behind it, in a map of so many pairs.
fn ping(pairs: u8, behind: &[u8]) -> Vec<u8> {
    [&[0x80 | pairs, 0xa1, b's', 0x05], behind].concat()
}

fn decoded(bytes: &[u8]) -> PeerMessage {
    PeerMessage::decode(bytes).unwrap()
}

/// The one field that is wrong.
#[track_caller]
fn check_field<T: std::fmt::Debug>(result: Result<T, ProtoError>, path: &str, expected: &Problem) {
    let newer = result.as_ref().is_err_and(ProtoError::is_newer);
    assert_eq!(newer, matches!(expected, Problem::UnknownTag(_)));
    match result {
        Err(ProtoError::Field { field, problem, .. }) => assert_eq!((field.as_str(), &problem), (path, expected)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn new_fields_are_passed_over() {
    let five = PeerMessage::Ping { sent: Timestamp::from_micros(5).unwrap() };
    let map = [0xa1, b'z', 0x82, 0xa1, b'x', 0x93, 0x01, 0xc0, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0xa1, b'y', 0x80];
    let extension = [0xa3, b'n', b'e', b'w', 0xc7, 0x02, 0x05, 0x00, 0x00];
    assert_eq!(decoded(&known(&kind::PING, &ping(1, &[]))), five);
    assert_eq!(decoded(&known(&kind::PING, &ping(2, &map))), five);
    assert_eq!(decoded(&known(&kind::PING, &ping(2, &extension))), five);
    assert_eq!(decoded(&known(&kind::PING, &ping(3, &[&map[..], &extension].concat()))), five);
    assert_eq!(decode_answer(&known(&kind::END, &[&[0x81][..], &map].concat())).unwrap(), Answer::End);
}

#[test]
fn a_newer_version_of_a_body_is_read_as_far_as_it_is_known() {
    let bytes = message(kind::PING.number, 9, 0, &ping(1, &[]));
    assert_eq!(decoded(&bytes), PeerMessage::Ping { sent: Timestamp::from_micros(5).unwrap() });
}

#[test]
fn unknown_types_are_named_or_passed_over() {
    let strange = |flags| message(0x02ff, 1, flags, b"whatever it is");
    assert!(matches!(PeerMessage::decode(&strange(0)), Err(ProtoError::Unknown { kind: 0x02ff })));
    assert!(matches!(PeerMessage::decode(&strange(FLAG_MAY_SKIP)), Err(ProtoError::Skip { kind: 0x02ff })));
    assert!(matches!(decode_request(&strange(0x80)), Err(ProtoError::Unknown { kind: 0x02ff })));
    assert!(matches!(decode_answer(&strange(0x81)), Err(ProtoError::Skip { kind: 0x02ff })));
    assert!(decode_answer(&strange(0)).is_err_and(|error| error.is_newer()));
    assert!(decode_answer(&[]).is_err_and(|error| !error.is_newer()));
}

#[test]
fn fields_that_are_missing_or_doubled_are_named() {
    let check = |body: &[u8], expected: &str| match PeerMessage::decode(&known(&kind::PING, body)) {
        Err(ProtoError::Fields { message: "Ping", source }) => assert_eq!(source.to_string(), expected),
        other => panic!("{other:?}"),
    };
    check(&[0x80], "missing field `s`");
    check(&ping(2, &[0xa1, b's', 0x06]), "duplicate field `s`");
    check(&[0x81, 0xa1, b's', 0xa1, b'x'], "field `s`: wrong msgpack marker FixStr(1)");
}

#[test]
fn arrays_are_no_maps() {
    // {"p": [1, 5], "h": 32 bytes}: an acknowledgement whose position is an array
    let hash = [&[0xa1, b'h', 0xc4, 32][..], &[7; 32]].concat();
    let array = known(&kind::ACK, &[&[0x82, 0xa1, b'p', 0x92, 1, 5], &hash[..]].concat());
    match PeerMessage::decode(&array) {
        Err(ProtoError::Fields { message: "Ack", source }) => {
            assert_eq!(source.to_string(), "field `p`: invalid type: sequence, expected a map");
        }
        other => panic!("{other:?}"),
    }
    let map = [0x82, 0xa1, b'p', 0x82, 0xa1, b'e', 1, 0xa1, b'n', 5];
    assert!(PeerMessage::decode(&known(&kind::ACK, &[&map, &hash[..]].concat())).is_ok());
}

#[test]
fn bodies_of_the_wrong_shape_are_named() {
    let check = |body: &[u8], expected: Misshape| match PeerMessage::decode(&known(&kind::PING, body)) {
        Err(ProtoError::Shape { message: "Ping", source }) => assert_eq!(source, expected),
        other => panic!("{other:?}"),
    };
    check(&[], Misshape::NotMap);
    check(&[0x91, 0x05], Misshape::NotMap);
    check(&[0x81, 0x00, 0x05], Misshape::Key);
    check(&ping(1, &[0x00]), Misshape::Trailing { bytes: 1 });
    let behind = [known(&kind::PING, &ping(1, &[])), vec![0; 3]].concat();
    assert!(matches!(PeerMessage::decode(&behind), Err(ProtoError::Trailing { message: "Ping", bytes: 3 })));
}

#[test]
fn values_out_of_range_are_named_by_their_path() {
    // {"o": 0}
    check_field(decode_request(&known(&kind::REQUEST_SHOW, &[0x81, 0xa1, b'o', 0])), "object", &Problem::ObjectId(0));
    // {"b": [7, -1]}
    let grant = known(&kind::BLOCK_GRANT, &[0x81, 0xa1, b'b', 0x92, 0x07, 0xff]);
    check_field(PeerMessage::decode(&grant), "blocks[1]", &Problem::Block(-1));
    check_field(PeerMessage::BlockGrant { blocks: vec![1 << 37] }.encode(), "blocks[0]", &Problem::Block(1 << 37));
    // {"a": "", "p": three bytes}
    let join = known(&kind::JOIN, &[0x82, 0xa1, b'a', 0xa0, 0xa1, b'p', 0xc4, 3, 1, 2, 3]);
    check_field(PeerMessage::decode(&join), "proof", &Problem::Length { found: 3, wanted: 32 });
}

#[test]
fn unknown_tags_are_named_by_their_path() {
    let bytes = encode_request(&Request::Query(QueryRequest {
        params: vec![("p".into(), Input::Null), ("q".into(), Input::Bool(true))],
        ..QueryRequest::default()
    }))
    .unwrap();
    // The tag of the second input, {"t": 2, …}, becomes 99.
    let place = bytes.windows(3).rposition(|window| window == [0xa1, b't', 2]).unwrap() + 2;
    let mut altered = bytes;
    altered[place] = 99;
    check_field(decode_request(&altered), "params[1].value", &Problem::UnknownTag(99));

    // {"v": [{"n": "", "v": {"t": 3, "s": ""}}]}: a reference without its object
    let row =
        [&[0x81, 0xa1, b'v', 0x91, 0x82, 0xa1, b'n', 0xa0, 0xa1, b'v'][..], &[0x82, 0xa1, b't', 3, 0xa1, b's', 0xa0]]
            .concat();
    check_field(decode_answer(&known(&kind::REPLY_ROW, &row)), "values[0].value.object", &Problem::Missing);
}

#[test]
fn what_is_nested_too_deeply_is_not_even_sent() {
    let mut input = Input::Null;
    for _ in 0..100_000 {
        input = Input::Reference(ReferenceInput::Key {
            entity: String::new(),
            attribute: String::new(),
            value: Box::new(input),
        });
    }
    let save = |input: Input| {
        let target = ChangeTarget::New { label: String::new(), entity: String::new() };
        let change = ChangeRequest { target, values: vec![("a".into(), input)], expect: vec![], delete: None };
        Request::Save(SaveRequest { description: String::new(), changes: vec![change] })
    };
    let request = save(input);
    assert!(matches!(encode_request(&request), Err(ProtoError::Field { problem: Problem::TooDeep, .. })));
    dismantle(request);

    let list = (0..9).fold(Output::Word(String::new()), |inner, _| Output::List(vec![inner]));
    let row = Answer::Reply(Reply::Row(vec![("a".into(), list)]));
    assert!(matches!(encode_answer(&row), Err(ProtoError::Shape { source: Misshape::TooDeep, .. })));
}

/// Drops a deep input level by level, since dropping it at once would recurse.
fn dismantle(request: Request) {
    let Request::Save(save) = request else { return };
    let mut next = save.changes.into_iter().flat_map(|change| change.values).map(|(_, input)| input).next();
    while let Some(Input::Reference(ReferenceInput::Key { value, .. })) = next {
        next = Some(*value);
    }
}

#[test]
fn what_is_too_large_is_not_even_sent() {
    let reject = PeerMessage::Reject { code: String::new(), message: "x".repeat(70_000) };
    assert!(matches!(reject.encode(), Err(ProtoError::TooLarge { message: "Reject", limit: 65_536, .. })));
    let offer = PeerMessage::Offer { transactions: vec![vec![0; 64 << 20]], signature: vec![] };
    assert!(matches!(offer.encode(), Err(ProtoError::TooLarge { message: "Offer", .. })));
    // The same claims on the way in.
    let large = known(&kind::REJECT, &vec![0xc0; 70_000]);
    assert!(matches!(PeerMessage::decode(&large), Err(ProtoError::TooLarge { bytes: 70_000, .. })));
}
