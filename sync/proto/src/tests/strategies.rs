//! Any message of each kind, for property tests.

use mytism_core::blob::Blob;
use mytism_core::failure::{Failure, FailureKind, Place};
use mytism_core::float::Float;
use mytism_core::id::{EnumId, Hash, NodeId, OBJECT_ID_MAX, ObjectId, Position, TransactionId};
use mytism_core::number::{Lease, LeaseWish, Number};
use mytism_core::operation::*;
use mytism_core::time::{Date, TimeOfDay, Timestamp};
use mytism_core::value::{Uuid, Value};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::{Answer, CheckDivision, CheckObject, CheckPart, CheckRange, EntryFrame, Part, PeerMessage, Rung};

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["", "[a-z]{1,12}", "\\PC{0,40}", "[a-z]{300}"]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..300)
}

fn hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn object() -> impl Strategy<Value = ObjectId> {
    prop_oneof![Just(1), Just(OBJECT_ID_MAX), 1..=OBJECT_ID_MAX].prop_map(|number| ObjectId::new(number).unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::saturating_from_micros)
}

fn position() -> impl Strategy<Value = Position> {
    any::<(u32, u64)>().prop_map(|(epoch, number)| Position { epoch, number })
}

fn transaction() -> impl Strategy<Value = TransactionId> {
    any::<(u32, u32, u64)>().prop_map(|(node, incarnation, counter)| TransactionId {
        node: NodeId(node),
        incarnation,
        counter,
    })
}

fn stamp() -> impl Strategy<Value = StampView> {
    (time(), text(), text()).prop_map(|(time, user, node)| StampView { time, user, node })
}

fn blob() -> impl Strategy<Value = Box<Blob>> {
    (hash(), 0..=mytism_core::blob::BLOB_BYTES_MAX, "[a-zäß. ]{1,40}", "[!-~]{1,40}")
        .prop_map(|(hash, bytes, name, media_type)| Box::new(Blob::new(hash, bytes, &name, &media_type).unwrap()))
}

fn frame() -> impl Strategy<Value = EntryFrame> {
    (bytes(), of(bytes())).prop_map(|(entry, transaction)| EntryFrame { entry, transaction })
}

fn blocks() -> impl Strategy<Value = Vec<i64>> {
    vec(0..1i64 << 37, 0..20)
}

/// What is said about the contents of files.
fn content_message() -> BoxedStrategy<PeerMessage> {
    use PeerMessage as P;
    let part = || (hash(), any::<u32>()).prop_map(|(hash, bytes)| Part { hash, bytes });
    prop_oneof![
        any::<bool>().prop_map(|head_asks| P::ContentsBegin { head_asks }),
        (hash(), any::<u64>()).prop_map(|(content, from)| P::ContentWant { content, from }),
        (hash(), any::<(u64, u64, u64)>(), vec(part(), 0..20)).prop_map(|(content, (bytes, count, from), parts)| {
            P::ContentRecipe { content, bytes, count, from, parts }
        }),
        hash().prop_map(|content| P::ContentMissing { content }),
        vec(hash(), 0..20).prop_map(|hashes| P::ChunkWant { hashes }),
        (hash(), bytes(), any::<bool>()).prop_map(|(hash, data, compressed)| P::Chunk { hash, data, compressed }),
        hash().prop_map(|hash| P::ChunkMissing { hash }),
    ]
    .boxed()
}

fn check_range() -> impl Strategy<Value = CheckRange> {
    any::<(u64, u64)>().prop_map(|(after, to)| CheckRange { after, to })
}

fn check_message() -> BoxedStrategy<PeerMessage> {
    use PeerMessage as P;
    let part = (any::<(u64, u64)>(), hash()).prop_map(|((to, count), sum)| CheckPart { to, count, sum });
    let parts = vec(part, 0..4).prop_map(|parts| CheckDivision { parts });
    let object = (bytes(), vec(any::<u64>(), 0..4)).prop_map(|(record, history)| CheckObject { record, history });
    prop_oneof![
        any::<u64>().prop_map(|floor| P::CheckBegin { floor }),
        position().prop_map(|position| P::CheckReady { position }),
        vec(any::<u64>(), 0..20).prop_map(|objects| P::CheckWithout { objects }),
        (any::<bool>(), vec(check_range(), 0..4)).prop_map(|(objects, ranges)| P::CheckRanges { objects, ranges }),
        vec(parts, 0..4).prop_map(|ranges| P::CheckParts { ranges }),
        (any::<bool>(), check_range()).prop_map(|(objects, range)| P::CheckWant { objects, range }),
        (vec(frame(), 0..4), any::<u64>()).prop_map(|(entries, to)| P::CheckEntries { entries, to }),
        (vec(object, 0..4), any::<u64>()).prop_map(|(objects, to)| P::CheckObjects { objects, to }),
    ]
    .boxed()
}

pub(super) fn peer_message() -> BoxedStrategy<PeerMessage> {
    use PeerMessage as P;
    let node = || any::<u32>().prop_map(NodeId);
    let who = || (any::<u16>(), hash(), node(), any::<u32>(), any::<u64>(), text(), position(), hash());
    prop_oneof![
        (who(), of(vec((any::<u64>(), hash()), 0..20)), of(any::<u64>())).prop_map(
            |((protocol, cluster, node, incarnation, run, name, position, hash), ladder, newest)| {
                let rung = |(number, hash)| Rung { number, hash };
                let ladder = ladder.map(|rungs| rungs.into_iter().map(rung).collect());
                P::Hello { protocol, cluster, node, incarnation, run, name, position, hash, ladder, newest }
            }
        ),
        (who(), time(), of(any::<bool>())).prop_map(
            |((protocol, cluster, node, incarnation, run, name, position, hash), time, feed)| {
                P::Welcome { protocol, cluster, node, incarnation, run, name, position, hash, time, feed }
            }
        ),
        (text(), text()).prop_map(|(code, message)| P::Reject { code, message }),
        (position(), hash()).prop_map(|(to, hash)| P::RollBack { to, hash }),
        (any::<u32>(), blocks()).prop_map(|(incarnation, blocks)| P::Renew { incarnation, blocks }),
        Just(P::RenewRequest {}),
        (position(), hash()).prop_map(|(after, hash)| P::Recover { after, hash }),
        any::<bool>().prop_map(|differs| P::TailEnd { differs }),
        (vec(bytes(), 0..20), bytes()).prop_map(|(transactions, signature)| P::Offer { transactions, signature }),
        (vec(frame(), 0..20), hash(), position(), time()).prop_map(|(entries, checksum, head, sent)| P::Entries {
            entries,
            checksum,
            head,
            sent
        }),
        (position(), hash()).prop_map(|(position, hash)| P::Ack { position, hash }),
        any::<u64>().prop_map(|free| P::BlockRequest { free }),
        blocks().prop_map(|blocks| P::BlockGrant { blocks }),
        vec((object(), of(number()), of(number()), any::<u64>()), 0..4).prop_map(|wishes| {
            let wish = |(range, held, given, wanted)| LeaseWish { range, held, given, wanted };
            P::LeaseRequest { wishes: wishes.into_iter().map(wish).collect() }
        }),
        vec((object(), of(number()), of(number()), any::<bool>()), 0..4).prop_map(|leases| {
            let lease = |(range, passed, end, is_lost)| Lease { range, passed, is_lost, end };
            P::LeaseGrant { leases: leases.into_iter().map(lease).collect() }
        }),
        time().prop_map(|sent| P::Ping { sent }),
        (time(), time()).prop_map(|(ping, time)| P::Pong { ping, time }),
        (text(), any::<[u8; 32]>()).prop_map(|(name, proof)| P::Join { name, proof }),
        (hash(), node(), any::<u32>(), text(), blocks()).prop_map(|(cluster, node, incarnation, head_name, blocks)| {
            P::JoinAccept { cluster, node, incarnation, head_name, blocks }
        }),
        bytes().prop_map(|manifest| P::Snapshot { manifest }),
        (node(), any::<u64>()).prop_map(|(node, below)| P::HistoryWant { node, below }),
        (bytes(), hash(), any::<u64>()).prop_map(|(chunk, hash, count)| P::History { chunk, hash, count }),
        content_message(),
        check_message(),
        Just(P::Done {}),
    ]
    .boxed()
}

fn number() -> impl Strategy<Value = Number> {
    any::<i64>().prop_map(Number)
}

fn input() -> BoxedStrategy<Input> {
    let leaf = prop_oneof![
        Just(Input::Null),
        any::<bool>().prop_map(Input::Bool),
        "-?[0-9]{1,20}(\\.[0-9]{1,5})?".prop_map(Input::Number),
        text().prop_map(Input::Text),
        vec(object().prop_map(ReferenceInput::Id), 0..4).prop_map(Input::List),
    ];
    // Two levels of keys within keys are within what a body can hold.
    leaf.prop_recursive(2, 16, 3, |inner| {
        let reference = || {
            prop_oneof![
                object().prop_map(ReferenceInput::Id),
                text().prop_map(ReferenceInput::Label),
                (text(), text(), inner.clone()).prop_map(|(entity, attribute, value)| ReferenceInput::Key {
                    entity,
                    attribute,
                    value: Box::new(value)
                }),
            ]
        };
        prop_oneof![
            reference().prop_map(Input::Reference),
            vec(reference(), 0..4).prop_map(Input::List),
            blob().prop_map(Input::Blob),
            (vec(reference(), 0..4), vec(reference(), 0..4))
                .prop_map(|(add, remove)| Input::Difference { add, remove }),
        ]
    })
    .boxed()
}

fn inputs() -> impl Strategy<Value = Vec<(String, Input)>> {
    vec((text(), input()), 0..4)
}

fn change() -> impl Strategy<Value = ChangeRequest> {
    let target = prop_oneof![
        (text(), text()).prop_map(|(label, entity)| ChangeTarget::New { label, entity }),
        object().prop_map(ChangeTarget::Object),
    ];
    (target, inputs(), inputs(), of(any::<bool>())).prop_map(|(target, values, expect, delete)| ChangeRequest {
        target,
        values,
        expect,
        delete,
    })
}

fn open_reference() -> impl Strategy<Value = OpenReference> {
    (any::<u64>(), object(), text(), text()).prop_map(|(row, object, attribute, key)| OpenReference {
        row,
        object,
        attribute,
        key,
    })
}

fn import() -> impl Strategy<Value = ImportBatch> {
    let mode = prop_oneof![Just(ImportMode::Insert), Just(ImportMode::Update), Just(ImportMode::Upsert)];
    let rows = vec(vec(of(text()), 0..4), 0..6);
    let names = (of(transaction()), text(), text(), of(text()), vec(text(), 0..4));
    let notation =
        (of(text()), of(text()), of(text())).prop_map(|(decimal, date, zone)| Notation { decimal, date, zone });
    let options = (any::<(bool, bool)>(), of(notation), of(any::<bool>()), of(any::<u32>()));
    (names, rows, mode, options).prop_map(
        |(
            (run, description, entity, key, columns),
            rows,
            mode,
            ((skip_bad_rows, dry_run), notation, whole, preview),
        )| ImportBatch {
            run,
            description,
            entity,
            key,
            columns,
            rows,
            mode,
            skip_bad_rows,
            dry_run,
            notation,
            whole,
            preview,
        },
    )
}

fn changes() -> impl Strategy<Value = ChangesRequest> {
    (of(text()), of(any::<u64>()), any::<(bool, u32, bool)>())
        .prop_map(|(follower, after, (from_now, rows, wait))| ChangesRequest { follower, after, from_now, rows, wait })
}

fn query() -> impl Strategy<Value = QueryRequest> {
    let asked = (text(), inputs(), of(any::<u64>()), any::<bool>(), of(text()));
    (asked, of(any::<bool>()), of(text()), of(any::<bool>())).prop_map(
        |((text, params, limit, deleted, as_of), keys, entity, explain)| QueryRequest {
            text,
            params,
            limit,
            deleted,
            as_of,
            keys,
            entity,
            explain,
        },
    )
}

pub(super) fn request() -> BoxedStrategy<Request> {
    use Request as R;
    let plain = prop_oneof![
        Just(R::Status),
        Just(R::Nodes),
        Just(R::Conflicts),
        Just(R::Quarantine),
        Just(R::Refusals),
        Just(R::Followers),
        Just(R::Watch),
        Just(R::Stop),
        Just(R::NumberRanges),
    ];
    prop_oneof![
        plain,
        (text(), vec(change(), 0..4)).prop_map(|(description, changes)| R::Save(SaveRequest { description, changes })),
        query().prop_map(R::Query),
        query().prop_map(R::Live),
        (object(), of(text())).prop_map(|(object, as_of)| R::Show { object, as_of }),
        (object(), of(text()), of(any::<u64>()), of(any::<u64>())).prop_map(|(object, attribute, after, limit)| {
            R::History(HistoryRequest { object, attribute, after, limit })
        }),
        (transaction(), any::<bool>(), any::<bool>()).prop_map(|(id, keep_later, dry_run)| R::Undo(UndoRequest {
            id,
            keep_later,
            dry_run
        })),
        import().prop_map(R::Import),
        (transaction(), text(), vec(open_reference(), 0..4))
            .prop_map(|(run, description, links)| R::ImportLinks(ImportLinks { run, description, links })),
        (text(), any::<u32>()).prop_map(|(name, valid_days)| R::AddNode { name, valid_days }),
        changes().prop_map(R::Changes),
        any::<u64>().prop_map(|number| R::Refusal { number }),
        (of(any::<u64>()), bytes(), any::<bool>()).prop_map(|(upload, data, end)| R::PutContent { upload, data, end }),
        (object(), text(), any::<u64>()).prop_map(|(object, attribute, from)| R::GetContent {
            object,
            attribute,
            from
        }),
        (any::<u64>(), any::<bool>(), inputs()).prop_map(|(number, retry, set)| {
            let action = if retry { Settling::Retry } else { Settling::Discard };
            R::Settle(SettleRequest { number, action, set })
        }),
        (text(), any::<(u64, u64)>()).prop_map(|(follower, (from, to))| R::Passed { follower, from, to }),
        text().prop_map(|follower| R::RemoveFollower { follower }),
        (any::<bool>(), vec(text(), 0..4)).prop_map(|(begin, without)| R::Recover { begin, without }),
        Just(R::CheckSync),
        Just(R::Schema),
        (bytes(), hash(), any::<bool>()).prop_map(|(schema, from, apply)| R::ChangeSchema { schema, from, apply }),
        any::<bool>().prop_map(|rest| R::RestLines { rest }),
        any::<bool>().prop_map(|with_keys| R::Backup { with_keys }),
        (object(), any::<bool>()).prop_map(|(conflict, take_other)| R::ResolveConflict { conflict, take_other }),
        of(text()).prop_map(|range| R::VoidNumbers { range }),
        (text(), number()).prop_map(|(range, next)| R::SetNextNumber { range, next }),
    ]
    .boxed()
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        (any::<i64>(), 0u32..=28).prop_map(|(digits, scale)| Value::Decimal(Decimal::new(digits, scale))),
        text().prop_map(Value::Text),
        (-700_000i32..2_900_000).prop_map(|days| Value::Date(Date::from_days(days).unwrap())),
        time().prop_map(Value::Datetime),
        any::<f64>().prop_filter_map("a number", Float::new).prop_map(Value::Float),
        (0..TimeOfDay::MICROS).prop_map(|micros| Value::Time(TimeOfDay::from_micros(micros).unwrap())),
        any::<[u8; 16]>().prop_map(|bytes| Value::Uuid(Uuid::from_bytes(bytes))),
        "[a-z ]{0,9}".prop_map(|text| Value::Json(format!("[\"{text}\"]"))),
        any::<u32>().prop_map(|word| Value::Enum(EnumId(word))),
        object().prop_map(Value::Reference),
        blob().prop_map(Value::Blob),
    ]
}

fn output() -> BoxedStrategy<Output> {
    let leaf = prop_oneof![
        value().prop_map(Output::Value),
        text().prop_map(Output::Word),
        (object(), text()).prop_map(|(id, text)| Output::Reference { id, text }),
        blob().prop_map(Output::Away),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| vec(inner, 0..4).prop_map(Output::List)).boxed()
}

fn peer_status() -> impl Strategy<Value = PeerStatus> {
    let lag = || of(any::<f64>().prop_filter("only finite numbers are sent", |lag| lag.is_finite()));
    let moved = || of((transaction(), time()).prop_map(|(transaction, time)| Moved { transaction, time }));
    let known = (text(), text(), any::<(u64, u64, u64)>(), lag(), of(text()));
    let more = (lag(), of(any::<u64>()), lag(), of(time()), moved(), moved(), of(text()));
    (known, more).prop_map(
        |(
            (name, state, (sent, received, pending), lag_ms, last_error),
            (offer_lag_ms, behind, rest_ms, seen, last_sent, last_received, transport),
        )| PeerStatus {
            name,
            state,
            sent,
            received,
            pending,
            lag_ms,
            last_error,
            offer_lag_ms,
            behind,
            rest_ms,
            seen,
            last_sent,
            last_received,
            transport,
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    let texts = (text(), text(), text(), text(), text());
    let counts = any::<(u64, u64, u64, u64, u64, u64)>();
    let blobs = any::<(Option<u64>, Option<u64>, Option<u64>)>();
    let rule = (of(text()), of(vec(text(), 0..4)), of(any::<bool>()), of(any::<u64>()), blobs, of(text()));
    (texts, any::<u32>(), counts, of(time()), vec(peer_status(), 0..4), rule).prop_map(
        |(
            (node, role, version, schema, log_hash),
            epoch,
            counts,
            since,
            sync,
            (state, waits_for, lines_rest, history_begin, (blobs, blob_bytes, blobs_wanted), store),
        )| {
            Status {
                node,
                role,
                version,
                schema,
                epoch,
                log_position: counts.0,
                log_hash,
                pending: counts.1,
                objects: counts.2,
                database_bytes: counts.3,
                conflicts: counts.4,
                quarantine: counts.5,
                since,
                sync,
                state,
                waits_for,
                lines_rest,
                history_begin,
                blobs,
                blob_bytes,
                blobs_wanted,
                store,
            }
        },
    )
}

fn object_view() -> impl Strategy<Value = ObjectView> {
    let detail = (stamp(), stamp(), of(any::<u64>()), any::<bool>())
        .prop_map(|(created, changed, version, deleted)| ObjectDetail { created, changed, version, deleted });
    (object(), text(), vec((text(), output()), 0..5), any::<bool>(), of(detail))
        .prop_map(|(id, entity, values, pending, detail)| ObjectView { id, entity, values, pending, detail })
}

fn history() -> impl Strategy<Value = HistoryLine> {
    (of(any::<u64>()), transaction(), stamp(), text(), text(), output(), output()).prop_map(
        |(position, transaction, stamp, description, attribute, old, new)| HistoryLine {
            position,
            transaction,
            stamp,
            description,
            attribute,
            old,
            new,
        },
    )
}

fn undo_line() -> impl Strategy<Value = UndoLine> {
    let obstacle = (text(), text(), of(stamp()), of(transaction()))
        .prop_map(|(code, message, by, transaction)| Obstacle { code, message, by, transaction });
    (object(), text(), text(), text(), output(), output(), output(), of(obstacle)).prop_map(
        |(object, entity, text, attribute, before, then, now, obstacle)| UndoLine {
            object,
            entity,
            text,
            attribute,
            before,
            then,
            now,
            obstacle,
        },
    )
}

fn undone() -> impl Strategy<Value = Undone> {
    (of(transaction()), of(any::<u64>()), any::<bool>(), any::<(u64, u64, u64, u64)>()).prop_map(
        |(transaction, position, pending, (objects, left, done, total))| Undone {
            transaction,
            position,
            pending,
            objects,
            left,
            done,
            total,
        },
    )
}

fn imported() -> impl Strategy<Value = Imported> {
    let outcome = prop_oneof![
        object().prop_map(RowOutcome::Inserted),
        object().prop_map(RowOutcome::Updated),
        object().prop_map(RowOutcome::Unchanged),
        (text(), text()).prop_map(|(code, message)| RowOutcome::Failed { code, message }),
    ];
    let preview = (any::<u64>(), vec((text(), output()), 0..3)).prop_map(|(row, values)| PreviewRow { row, values });
    let shown = (of(vec(of(text()), 0..3)), of(vec(preview, 0..3)));
    (of(transaction()), vec(outcome, 0..6), vec(open_reference(), 0..3), shown)
        .prop_map(|(run, rows, open, (keys, preview))| Imported { run, rows, open, keys, preview })
}

fn conflict() -> impl Strategy<Value = ConflictLine> {
    (object(), object(), text(), text(), text(), text(), text(), text()).prop_map(
        |(id, object, attribute, kept, other, kept_by, other_by, rule)| ConflictLine {
            id,
            object,
            attribute,
            kept,
            other,
            kept_by,
            other_by,
            rule,
        },
    )
}

fn quarantined() -> impl Strategy<Value = QuarantineLine> {
    let settled = (text(), stamp()).prop_map(|(action, stamp)| Settled { action, stamp });
    (transaction(), any::<u64>(), text(), text(), text(), stamp(), of(transaction()), of(settled)).prop_map(
        |(transaction, position, code, reason, description, stamp, builds_on, settled)| QuarantineLine {
            transaction,
            position,
            code,
            reason,
            description,
            stamp,
            builds_on,
            settled,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    (time(), text(), text(), of(transaction()), of(any::<u64>()), text()).prop_map(
        |(time, kind, peer, transaction, position, text)| Event { time, kind, peer, transaction, position, text },
    )
}

fn change_line() -> impl Strategy<Value = ChangeLine> {
    let row = (any::<(u64, u64, u64)>(), time(), text(), transaction(), of(any::<u64>()));
    let change = (of(object()), text(), text(), output(), output());
    (row, change).prop_map(
        |(((sequence, number, count), time, cause, transaction, position), (object, entity, attribute, old, new))| {
            ChangeLine {
                sequence,
                number,
                count,
                time,
                cause,
                transaction,
                position,
                object,
                entity,
                attribute,
                old,
                new,
            }
        },
    )
}

fn follower() -> impl Strategy<Value = FollowerLine> {
    (text(), any::<(u64, u64)>(), time()).prop_map(|(name, (cursor, behind), moved)| FollowerLine {
        name,
        cursor,
        behind,
        moved,
    })
}

fn reply() -> impl Strategy<Value = Reply> {
    let saved = (of(transaction()), of(any::<u64>()), any::<bool>(), vec((text(), object()), 0..4))
        .prop_map(|(transaction, position, pending, ids)| Saved { transaction, position, pending, ids });
    let node = (text(), any::<u32>(), text(), any::<bool>()).prop_map(|(name, number, role, joined)| NodeLine {
        name,
        number,
        role,
        joined,
    });
    prop_oneof![
        status().prop_map(|status| Reply::Status(Box::new(status))),
        saved.prop_map(Reply::Saved),
        object_view().prop_map(Reply::Object),
        vec((text(), output()), 0..6).prop_map(Reply::Row),
        history().prop_map(Reply::History),
        imported().prop_map(Reply::Imported),
        node.prop_map(Reply::Node),
        text().prop_map(|file| Reply::Account { file }),
        conflict().prop_map(Reply::Conflict),
        quarantined().prop_map(Reply::Quarantined),
        event().prop_map(Reply::Event),
        undo_line().prop_map(|line| Reply::UndoLine(Box::new(line))),
        undone().prop_map(Reply::Undone),
        change_line().prop_map(Reply::Change),
        any::<(u64, u64)>().prop_map(|(cursor, end)| Reply::Reached(Reached { cursor, end })),
        any::<(u64, u64, u64)>().prop_map(|(at, removed, inserted)| Reply::Splice(Splice { at, removed, inserted })),
        follower().prop_map(Reply::Follower),
        (of(text()), any::<(u64, u64, u64, u64)>()).prop_map(|(peer, (compared, missing, different, repaired))| {
            Reply::Checked(Checked { peer, compared, missing, different, repaired })
        }),
        (any::<bool>(), vec(text(), 0..4), any::<u32>()).prop_map(|(waits, missing, epoch)| Reply::Recovery {
            waits,
            missing,
            epoch
        }),
        any::<(u64, u64)>().prop_flat_map(|(upload, bytes)| of(hash()).prop_map(move |hash| Reply::ContentPut {
            upload,
            bytes,
            hash
        })),
        (blob(), any::<u64>(), bytes(), any::<(bool, u64)>()).prop_map(|(blob, from, data, (here, arrived))| {
            Reply::ContentPart(ContentPart { blob: *blob, from, data, here, arrived })
        }),
        number_range().prop_map(Reply::NumberRange),
        bytes().prop_map(|schema| Reply::Schema { schema }),
        schema_line().prop_map(|line| Reply::SchemaStep(Box::new(line))),
        void_number().prop_map(Reply::VoidNumber),
        any::<(u64, u64)>().prop_map(|(done, total)| Reply::BackingUp(BackingUp { done, total })),
        backed_up().prop_map(Reply::BackedUp),
        Just(Reply::Stopping),
    ]
}

fn backed_up() -> impl Strategy<Value = BackedUp> {
    (text(), any::<(u64, u64, u64, u64)>()).prop_map(|(name, (position, objects, blobs, bytes))| BackedUp {
        name,
        position,
        objects,
        blobs,
        bytes,
    })
}

fn schema_line() -> impl Strategy<Value = SchemaLine> {
    let object = (object(), text(), text()).prop_map(|(object, text, value)| ObstacleObject { object, text, value });
    let texts = (text(), text(), text(), text());
    (texts, of(text()), any::<u64>(), vec(object, 0..3)).prop_map(
        |((action, name, from, to), impossible, in_the_way, objects)| SchemaLine {
            action,
            name,
            from,
            to,
            impossible,
            in_the_way,
            objects,
        },
    )
}

fn number_range() -> impl Strategy<Value = NumberRangeLine> {
    let words = (object(), text(), text(), text(), any::<u64>());
    let numbers = (of(number()), of(number()), number(), number(), number());
    (words, numbers).prop_map(|((id, name, node, state, left), (next, leased, min, max, increment))| NumberRangeLine {
        id,
        name,
        node,
        next,
        left,
        min,
        max,
        increment,
        leased,
        state,
    })
}

fn void_number() -> impl Strategy<Value = VoidNumberLine> {
    (text(), text(), number(), number(), text(), of(transaction()), time()).prop_map(
        |(range, node, from, to, cause, transaction, time)| VoidNumberLine {
            range,
            node,
            from,
            to,
            cause,
            transaction,
            time,
        },
    )
}

fn failure() -> impl Strategy<Value = Failure> {
    let kind = prop_oneof![
        Just(FailureKind::Failed),
        Just(FailureKind::Usage),
        Just(FailureKind::Refused),
        Just(FailureKind::Unreachable),
    ];
    let place = any::<(u32, u32)>().prop_map(|(line, column)| Place { line, column });
    (kind, text(), text(), text(), of(place)).prop_map(|(kind, code, message, hint, at)| Failure {
        kind,
        code,
        message,
        hint,
        at,
    })
}

pub(super) fn answer() -> BoxedStrategy<Answer> {
    prop_oneof![
        12 => reply().prop_map(Answer::Reply),
        1 => Just(Answer::End),
        2 => failure().prop_map(Answer::Failure),
    ]
    .boxed()
}
