//! Answers as JSON, as the command line promises it to programs. Pure: no node, no file, no terminal.
//!
//! Decimals are strings; whole numbers are numbers as far as every program reads them exactly (up to 2^53) and strings
//! beyond; moments are RFC 3339 with `Z`; nothing is `null`; sets are lists; an object is `{"ref":id,"text":"…"}`.

use mytism_core::blob::Blob;
use mytism_core::id::{OBJECT_ID_MAX, ObjectId, TransactionId};
use mytism_core::number::Number;
use mytism_core::operation::{
    ChangeLine, ConflictLine, FollowerLine, HistoryLine, Moved, NodeLine, NumberRangeLine, ObjectView, ObstacleObject,
    Output, PeerStatus, QuarantineLine, Saved, SchemaLine, Settled, StampView, Status, UndoLine, Undone,
    VoidNumberLine,
};
use mytism_core::value::Value;
use serde_json::{Map, Value as Json, json};

/// A value.
pub(crate) fn output(output: &Output) -> Json {
    match output {
        Output::Value(value) => plain(value),
        Output::Word(word) => Json::from(word.as_str()),
        Output::Reference { id, text } => json!({"ref": id.get(), "text": text}),
        Output::Away(blob) => {
            let mut json = self::blob(blob);
            json.insert("here".to_owned(), Json::from(false));
            Json::Object(json)
        }
        Output::List(items) => Json::Array(items.iter().map(self::output).collect()),
    }
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Integer(number) => integer(*number),
        Value::Decimal(number) => Json::from(number.to_string()),
        Value::Text(text) => Json::from(text.as_str()),
        Value::Date(date) => Json::from(date.to_string()),
        Value::Float(number) => Json::from(number.get()),
        Value::Time(time) => Json::from(time.to_string()),
        Value::Uuid(uuid) => Json::from(uuid.to_string()),
        Value::Json(text) => Json::from(text.as_str()),
        Value::Datetime(time) => Json::from(time.to_string()),
        // Only a value whose attribute the schema does not know comes without its word.
        Value::Enum(word) => Json::from(word.0),
        Value::Reference(object) => json!({"ref": object.get(), "text": object.to_string()}),
        Value::Blob(blob) => Json::Object(self::blob(blob)),
    }
}

/// The content of a file.
pub(crate) fn blob(blob: &Blob) -> Map<String, Json> {
    let fields = [
        ("hash", Json::from(blob.hash().to_string())),
        ("bytes", Json::from(blob.bytes())),
        ("name", Json::from(blob.name())),
        ("type", Json::from(blob.media_type())),
    ];
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn integer(number: i64) -> Json {
    if number.unsigned_abs() <= OBJECT_ID_MAX.unsigned_abs() {
        Json::from(number)
    } else {
        Json::from(number.to_string())
    }
}

fn named(values: &[(String, Output)]) -> Json {
    Json::Object(values.iter().map(|(name, value)| (name.clone(), output(value))).collect())
}

fn transaction(id: Option<TransactionId>) -> Json {
    id.map_or(Json::Null, |id| Json::from(id.to_string()))
}

fn stamp(stamp: &StampView) -> Json {
    json!({"time": stamp.time.to_string(), "user": stamp.user, "node": stamp.node})
}

/// An object; with its bookkeeping where that was asked for.
pub(crate) fn object(view: &ObjectView) -> Json {
    let mut document = Map::new();
    document.insert("id".to_owned(), Json::from(view.id.get()));
    document.insert("entity".to_owned(), Json::from(view.entity.as_str()));
    document.insert("values".to_owned(), named(&view.values));
    if view.pending {
        document.insert("pending".to_owned(), Json::from(true));
    }
    if let Some(detail) = &view.detail {
        document.insert("created".to_owned(), stamp(&detail.created));
        document.insert("changed".to_owned(), stamp(&detail.changed));
        document.insert("version".to_owned(), Json::from(detail.version));
        document.insert("deleted".to_owned(), Json::from(detail.deleted));
    }
    Json::Object(document)
}

/// A computed row.
pub(crate) fn row(values: &[(String, Output)]) -> Json {
    named(values)
}

/// A change of an object.
pub(crate) fn history(line: &HistoryLine) -> Json {
    json!({
        "position": line.position,
        "transaction": line.transaction.to_string(),
        "time": line.stamp.time.to_string(),
        "user": line.stamp.user,
        "node": line.stamp.node,
        "description": line.description,
        "attribute": line.attribute,
        "old": output(&line.old),
        "new": output(&line.new),
    })
}

/// A change that became visible, or that nothing did.
pub(crate) fn change(line: &ChangeLine) -> Json {
    let optional = |text: &str| line.object.map_or(Json::Null, |_| Json::from(text));
    json!({
        "sequence": line.sequence,
        "change": line.number,
        "changes": line.count,
        "time": line.time.to_string(),
        "cause": line.cause,
        "transaction": line.transaction.to_string(),
        "position": line.position,
        "object": line.object.map(ObjectId::get),
        "entity": optional(&line.entity),
        "attribute": optional(&line.attribute),
        "old": output(&line.old),
        "new": output(&line.new),
    })
}

/// A follower of what becomes visible.
pub(crate) fn follower(line: &FollowerLine) -> Json {
    json!({"name": line.name, "cursor": line.cursor, "behind": line.behind, "moved": line.moved.to_string()})
}

/// A save that is durable.
pub(crate) fn saved(saved: &Saved) -> Json {
    let ids: Map<String, Json> = saved.ids.iter().map(|(label, id)| (label.clone(), Json::from(id.get()))).collect();
    json!({
        "transaction": transaction(saved.transaction),
        "position": saved.position,
        "state": if saved.pending { "pending" } else { "accepted" },
        "ids": ids,
    })
}

/// What an undo would set back, or leaves.
pub(crate) fn undo_line(line: &UndoLine) -> Json {
    let obstacle = line.obstacle.as_ref();
    let by = obstacle.and_then(|obstacle| obstacle.by.as_ref());
    json!({
        "object": line.object.get(),
        "entity": line.entity,
        "text": line.text,
        "attribute": line.attribute,
        "before": output(&line.before),
        "then": output(&line.then),
        "now": output(&line.now),
        "conflict": obstacle.map(|obstacle| &obstacle.code),
        "message": obstacle.map(|obstacle| &obstacle.message),
        "time": by.map(|by| by.time.to_string()),
        "user": by.map(|by| &by.user),
        "node": by.map(|by| &by.node),
        "transaction": transaction(obstacle.and_then(|obstacle| obstacle.transaction)),
    })
}

/// How an undo ended: as a save, with what it did.
pub(crate) fn undone(undone: &Undone) -> Json {
    json!({
        "transaction": transaction(undone.transaction),
        "position": undone.position,
        "state": if undone.pending { "pending" } else { "accepted" },
        "ids": {},
        "objects": undone.objects,
        "left": undone.left,
    })
}

/// How a node is.
pub(crate) fn status(status: &Status) -> Json {
    json!({
        "node": status.node,
        "role": status.role,
        "version": status.version,
        "schema": status.schema,
        "log_position": status.log_position,
        "epoch": status.epoch,
        "log_hash": status.log_hash,
        "pending": status.pending,
        "objects": status.objects,
        "blobs": status.blobs.unwrap_or_default(),
        "blob_bytes": status.blob_bytes,
        "blobs_wanted": status.blobs_wanted,
        "sync": status.sync.iter().map(peer).collect::<Vec<_>>(),
        "conflicts": status.conflicts,
        "quarantine": status.quarantine,
        "alarms": 0,
        "last_backup": null,
        "last_verified_backup": null,
        "last_check": null,
        "database_bytes": status.database_bytes,
        "store": status.store,
        "since": status.since.map(|time| time.to_string()),
        "state": status.state,
        "waits_for": status.waits_for.as_deref().unwrap_or_default(),
        "lines_rest": status.lines_rest.unwrap_or_default(),
        "history_begin": status.history_begin,
    })
}

/// How the line to another node is.
pub(crate) fn peer(peer: &PeerStatus) -> Json {
    let moved = |moved: Option<Moved>| {
        moved.map(|moved| json!({"transaction": moved.transaction.to_string(), "time": moved.time.to_string()}))
    };
    json!({
        "name": peer.name,
        "state": peer.state,
        "sent": peer.sent,
        "received": peer.received,
        "pending": peer.pending,
        "lag_ms": peer.lag_ms,
        "last_error": peer.last_error,
        "offer_lag_ms": peer.offer_lag_ms,
        "behind": peer.behind,
        "rest_ms": peer.rest_ms,
        "seen": peer.seen.map(|time| time.to_string()),
        "last_sent": moved(peer.last_sent),
        "last_received": moved(peer.last_received),
        "transport": peer.transport,
    })
}

/// A node of the cluster.
pub(crate) fn node(node: &NodeLine) -> Json {
    json!({"name": node.name, "number": node.number, "role": node.role, "joined": node.joined})
}

/// A conflict.
pub(crate) fn conflict(line: &ConflictLine) -> Json {
    let number = |id: ObjectId| id.get();
    json!({
        "id": number(line.id),
        "object": number(line.object),
        "attribute": line.attribute,
        "kept": line.kept,
        "other": line.other,
        "kept_by": line.kept_by,
        "other_by": line.other_by,
        "rule": line.rule,
    })
}

/// A refused transaction.
pub(crate) fn quarantined(line: &QuarantineLine) -> Json {
    json!({
        "transaction": line.transaction.to_string(),
        "position": line.position,
        "code": line.code,
        "reason": line.reason,
        "description": line.description,
        "time": line.stamp.time.to_string(),
        "user": line.stamp.user,
        "node": line.stamp.node,
        "builds_on": transaction(line.builds_on),
        "settled": line.settled.as_ref().map(settled),
    })
}

/// What became of a refusal.
fn settled(settled: &Settled) -> Json {
    let StampView { time, user, node } = &settled.stamp;
    json!({"action": settled.action, "time": time.to_string(), "user": user, "node": node})
}

/// A refused transaction with each change that did not happen.
pub(crate) fn refusal(line: &QuarantineLine, changes: &[UndoLine]) -> Json {
    let mut document = quarantined(line);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("changes".to_owned(), changes.iter().map(refused_change).collect());
    }
    document
}

fn refused_change(line: &UndoLine) -> Json {
    json!({
        "object": line.object.get(),
        "entity": line.entity,
        "text": line.text,
        "attribute": line.attribute,
        "old": output(&line.before),
        "wanted": output(&line.then),
        "now": output(&line.now),
    })
}

/// A number range.
pub(crate) fn number_range(line: &NumberRangeLine) -> Json {
    let number = |number: Option<Number>| number.map_or(Json::Null, |number| integer(number.0));
    json!({
        "id": line.id.get(),
        "name": line.name,
        "node": line.node,
        "next": number(line.next),
        "left": line.left,
        "min": integer(line.min.0),
        "max": integer(line.max.0),
        "increment": integer(line.increment.0),
        "leased": number(line.leased),
        "state": line.state,
    })
}

/// A step from one schema to another.
pub(crate) fn schema_line(line: &SchemaLine) -> Json {
    let object = |one: &ObstacleObject| json!({"id": one.object.get(), "text": one.text, "value": one.value});
    json!({
        "action": line.action,
        "name": line.name,
        "from": line.from,
        "to": line.to,
        "impossible": line.impossible,
        "in_the_way": line.in_the_way,
        "objects": line.objects.iter().map(object).collect::<Vec<_>>(),
    })
}

/// Numbers that may be missing.
pub(crate) fn void_number(line: &VoidNumberLine) -> Json {
    json!({
        "range": line.range,
        "node": line.node,
        "from": integer(line.from.0),
        "to": integer(line.to.0),
        "cause": line.cause,
        "transaction": transaction(line.transaction),
        "time": line.time.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::float::Float;
    use mytism_core::id::{EnumId, NodeId};
    use mytism_core::operation::ObjectDetail;
    use mytism_core::time::{Date, TimeOfDay, Timestamp};

    fn id(number: i64) -> ObjectId {
        ObjectId::new(number).unwrap()
    }

    fn text(words: &str) -> Output {
        Output::Value(Value::from(words))
    }

    fn made() -> StampView {
        let time = Timestamp::from_micros(1_795_405_980_000_000).unwrap();
        StampView { time, user: "Admin".into(), node: "hamburg".into() }
    }

    const TRANSACTION: TransactionId = TransactionId { node: NodeId(2), incarnation: 1, counter: 7 };

    #[test]
    fn a_visible_change_says_where_it_stands() {
        let line = ChangeLine {
            sequence: 9,
            number: 2,
            count: 2,
            time: made().time,
            cause: "saved".into(),
            transaction: TRANSACTION,
            position: None,
            object: Some(id(1_048_576)),
            entity: "Customer".into(),
            attribute: "City".into(),
            old: Output::Value(Value::Null),
            new: text("Bonn"),
        };
        let expected = concat!(
            r#"{"sequence":9,"change":2,"changes":2,"time":"2026-11-23T03:53:00Z","cause":"saved","#,
            r#""transaction":"2-1-7","position":null,"object":1048576,"entity":"Customer","attribute":"City","#,
            r#""old":null,"new":"Bonn"}"#
        );
        assert_eq!(change(&line).to_string(), expected);
        let nothing = ChangeLine { number: 0, count: 0, object: None, new: Output::Value(Value::Null), ..line };
        let told = change(&nothing);
        assert_eq!((&told["entity"], &told["attribute"], &told["object"]), (&Json::Null, &Json::Null, &Json::Null));
    }

    #[test]
    fn values() {
        let check = |given: Output, expected: &str| assert_eq!(output(&given).to_string(), expected);
        let value = |given: Value| Output::Value(given);
        check(value(Value::Null), "null");
        check(value(Value::Bool(true)), "true");
        check(value(Value::Integer(-5)), "-5");
        check(value(Value::Integer(OBJECT_ID_MAX)), "9007199254740991");
        check(value(Value::Integer(-OBJECT_ID_MAX)), "-9007199254740991");
        check(value(Value::Integer(OBJECT_ID_MAX + 1)), "\"9007199254740992\"");
        check(value(Value::Integer(i64::MIN)), "\"-9223372036854775808\"");
        check(text("a\"b"), r#""a\"b""#);
        check(value(Value::Date(Date::new(2026, 11, 23).unwrap())), "\"2026-11-23\"");
        check(value(Value::Float(Float::new(0.1).unwrap())), "0.1");
        check(value(Value::Float(Float::new(1e300).unwrap())), "1e+300");
        check(value(Value::Time(TimeOfDay::parse("07:05").unwrap())), "\"07:05:00\"");
        check(value(Value::Json("{\"a\": 1.10}".to_owned())), "\"{\\\"a\\\": 1.10}\"");
        check(value(Value::Datetime(made().time)), "\"2026-11-23T03:53:00Z\"");
        check(value(Value::Enum(EnumId(3))), "3");
        check(value(Value::Reference(id(7))), r#"{"ref":7,"text":"7"}"#);
        check(Output::Word("shipped".into()), "\"shipped\"");
        check(Output::Reference { id: id(1_048_576), text: "ALFKI".into() }, r#"{"ref":1048576,"text":"ALFKI"}"#);
        check(Output::List(vec![Output::Word("a".into())]), "[\"a\"]");
        check(Output::List(Vec::new()), "[]");
    }

    #[test]
    fn decimals_keep_their_scale() {
        let given = mytism_core::input::from_text(
            &mytism_core::schema::Kind::Decimal { precision: 10, scale: 2 },
            "19.9",
            &jiff::tz::TimeZone::UTC,
        );
        assert_eq!(output(&Output::Value(given.unwrap())).to_string(), "\"19.90\"");
    }

    #[test]
    fn objects() {
        let mut view = ObjectView {
            id: id(1_000_123),
            entity: "Customer".into(),
            values: vec![("Name".into(), text("A")), ("City".into(), text("Bonn"))],
            pending: false,
            detail: None,
        };
        let plain = r#"{"id":1000123,"entity":"Customer","values":{"Name":"A","City":"Bonn"}"#;
        assert_eq!(object(&view).to_string(), format!("{plain}}}"));
        view.pending = true;
        view.detail = Some(ObjectDetail { created: made(), changed: made(), version: None, deleted: false });
        let stamp = r#"{"time":"2026-11-23T03:53:00Z","user":"Admin","node":"hamburg"}"#;
        let rest = format!(r#","pending":true,"created":{stamp},"changed":{stamp},"version":null,"deleted":false}}"#);
        assert_eq!(object(&view).to_string(), plain.to_owned() + &rest);
        assert_eq!(row(&view.values).to_string(), r#"{"Name":"A","City":"Bonn"}"#);
    }

    #[test]
    fn saves_and_history() {
        let accepted = Saved {
            transaction: Some(TRANSACTION),
            position: Some(9),
            pending: false,
            ids: vec![("c1".into(), id(8))],
        };
        let check = |given: &Saved, expected: &str| assert_eq!(saved(given).to_string(), expected);
        check(&accepted, r#"{"transaction":"2-1-7","position":9,"state":"accepted","ids":{"c1":8}}"#);
        let pending = Saved { position: None, pending: true, ids: Vec::new(), ..accepted };
        check(&pending, r#"{"transaction":"2-1-7","position":null,"state":"pending","ids":{}}"#);
        let nothing = Saved { transaction: None, position: None, pending: false, ids: Vec::new() };
        check(&nothing, r#"{"transaction":null,"position":null,"state":"accepted","ids":{}}"#);
        let line = HistoryLine {
            position: Some(17),
            transaction: TRANSACTION,
            stamp: made(),
            description: "moved".into(),
            attribute: "City".into(),
            old: text("Berlin"),
            new: Output::Value(Value::Null),
        };
        let expected = r#"{"position":17,"transaction":"2-1-7","time":"2026-11-23T03:53:00Z","user":"Admin","node":"hamburg","description":"moved","attribute":"City","old":"Berlin","new":null}"#;
        assert_eq!(history(&line).to_string(), expected);
    }

    #[test]
    fn status_has_all_promised_fields() {
        let peer =
            PeerStatus { name: "bonn".into(), state: "connected".into(), lag_ms: Some(0.9), ..PeerStatus::default() };
        let given = Status { node: "hamburg".into(), sync: vec![peer], since: Some(made().time), ..Status::default() };
        let document = status(&given);
        let names: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
        let promised = [
            "node",
            "role",
            "version",
            "schema",
            "log_position",
            "epoch",
            "log_hash",
            "pending",
            "objects",
            "blobs",
            "blob_bytes",
            "blobs_wanted",
            "sync",
            "conflicts",
            "quarantine",
            "alarms",
            "last_backup",
            "last_verified_backup",
            "last_check",
            "database_bytes",
            "store",
            "since",
            "state",
            "waits_for",
            "lines_rest",
            "history_begin",
        ];
        assert_eq!(names, promised);
        let expected =
            r#"[{"name":"bonn","state":"connected","sent":0,"received":0,"pending":0,"lag_ms":0.9,"last_error":null,"#;
        assert!(document["sync"].to_string().starts_with(expected), "{}", document["sync"]);
        assert_eq!(document["since"], "2026-11-23T03:53:00Z");
        assert_eq!(status(&Status::default())["since"], Json::Null);
    }

    #[test]
    fn conflicts_quarantine_and_nodes() {
        let line = ConflictLine {
            id: id(5),
            object: id(6),
            attribute: "City".into(),
            kept: "Bonn".into(),
            other: "Berlin".into(),
            kept_by: "Admin at hamburg".into(),
            other_by: "Admin at bonn".into(),
            rule: "head-office".into(),
        };
        let expected = r#"{"id":5,"object":6,"attribute":"City","kept":"Bonn","other":"Berlin","kept_by":"Admin at hamburg","other_by":"Admin at bonn","rule":"head-office"}"#;
        assert_eq!(conflict(&line).to_string(), expected);
        let refused = QuarantineLine {
            transaction: TRANSACTION,
            position: 4,
            code: "not-unique".into(),
            reason: "r".into(),
            description: "d".into(),
            stamp: made(),
            builds_on: None,
            settled: Some(Settled { action: "discarded".into(), stamp: made() }),
        };
        let expected = r#"{"transaction":"2-1-7","position":4,"code":"not-unique","reason":"r","description":"d","time":"2026-11-23T03:53:00Z","user":"Admin","node":"hamburg","builds_on":null,"settled":{"action":"discarded","time":"2026-11-23T03:53:00Z","user":"Admin","node":"hamburg"}}"#;
        assert_eq!(quarantined(&refused).to_string(), expected);
        let line = NodeLine { name: "bonn".into(), number: 2, role: "branch".into(), joined: false };
        assert_eq!(node(&line).to_string(), r#"{"name":"bonn","number":2,"role":"branch","joined":false}"#);
    }
}
