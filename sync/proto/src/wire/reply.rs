//! Mirrors of what clients are answered.

use mytism_core::blob::Blob;
use mytism_core::failure::{Failure, FailureKind, Place};
use mytism_core::id::{Hash, ObjectId, TransactionId};
use mytism_core::number::Number;
use mytism_core::operation::{
    BackedUp, BackingUp, ChangeLine, Checked, ConflictLine, ContentPart, Event, FollowerLine, HistoryLine, Imported,
    Moved, NodeLine, NumberRangeLine, ObjectDetail, ObjectView, Obstacle, ObstacleObject, OpenReference, Output,
    PeerStatus, PreviewRow, QuarantineLine, Reached, Reply, RowOutcome, Saved, SchemaLine, Settled, Splice, StampView,
    Status, UndoLine, Undone, VoidNumberLine,
};
use mytism_core::time::Timestamp;

use crate::error::Problem;
use crate::wire::mirror::need;
use crate::wire::tables::{form, messages, mirror, named, tagged, tags};
use crate::wire::{Flaw, Mirror};

#[cfg(test)]
pub(crate) use bodies::listed;
pub(crate) use bodies::{read, write};

messages! {
    Reply;
    whole {
        REPLY_STATUS Status(Box<Status>);
        REPLY_SAVED Saved(Saved);
        REPLY_OBJECT Object(ObjectView);
        REPLY_HISTORY History(HistoryLine);
        REPLY_IMPORTED Imported(Imported);
        REPLY_NODE Node(NodeLine);
        REPLY_CONFLICT Conflict(ConflictLine);
        REPLY_QUARANTINED Quarantined(QuarantineLine);
        REPLY_EVENT Event(Event);
        REPLY_UNDO_LINE UndoLine(Box<UndoLine>);
        REPLY_UNDONE Undone(Undone);
        REPLY_CHANGE Change(ChangeLine);
        REPLY_REACHED Reached(Reached);
        REPLY_SPLICE Splice(Splice);
        REPLY_FOLLOWER Follower(FollowerLine);
        REPLY_NUMBER_RANGE NumberRange(NumberRangeLine);
        REPLY_VOID_NUMBER VoidNumber(VoidNumberLine);
        REPLY_BACKING_UP BackingUp(BackingUp);
        REPLY_BACKED_UP BackedUp(BackedUp);
        REPLY_CONTENT_PART ContentPart(ContentPart);
        REPLY_CHECKED Checked(Checked);
        REPLY_SCHEMA_STEP SchemaStep(Box<SchemaLine>);
    }
    sole {
        REPLY_ROW Row("v" values: Vec<(String, Output)>);
    }
    fields {
        REPLY_ACCOUNT Account { "f" file: String };
        REPLY_RECOVERY Recovery { "w" waits: bool, "m" missing: Vec<String>, "e" epoch: u32 };
        REPLY_CONTENT_PUT ContentPut { "u" upload: u64, "b" bytes: u64 } optional { "h" hash: Hash };
        REPLY_SCHEMA Schema { "s" schema: Vec<u8> };
        REPLY_STOPPING Stopping {};
    }
}

mirror! {
    Status as StatusForm {
        "node" node: String, "role" role: String, "program" version: String, "schema" schema: String,
        "epoch" epoch: u32, "position" log_position: u64, "hash" log_hash: String, "pending" pending: u64,
        "objects" objects: u64, "bytes" database_bytes: u64, "conflicts" conflicts: u64, "quarantine" quarantine: u64,
        "sync" sync: Vec<PeerStatus>,
    } optional { "since" since: Timestamp, "state" state: String, "waits" waits_for: Vec<String>, "rest" lines_rest: bool, "begin" history_begin: u64, "blobs" blobs: u64, "blob_bytes" blob_bytes: u64, "blobs_wanted" blobs_wanted: u64, "store" store: String }
}
mirror! {
    PeerStatus as PeerStatusForm {
        "name" name: String, "state" state: String, "sent" sent: u64, "received" received: u64, "pending" pending: u64,
    } optional {
        "lag" lag_ms: f64, "error" last_error: String, "back" offer_lag_ms: f64, "behind" behind: u64,
        "rest" rest_ms: f64, "seen" seen: Timestamp, "out" last_sent: Moved, "in" last_received: Moved,
        "via" transport: String,
    }
}
mirror! {
    Checked as CheckedForm { "n" compared: u64, "m" missing: u64, "x" different: u64, "r" repaired: u64 }
    optional { "a" peer: String }
}
mirror! {
    SchemaLine as SchemaLineForm {
        "a" action: String, "n" name: String, "b" from: String, "v" to: String, "w" in_the_way: u64,
        "l" objects: Vec<ObstacleObject>,
    } optional { "x" impossible: String }
}
mirror! {
    ObstacleObject as ObstacleObjectForm { "o" object: ObjectId, "t" text: String, "v" value: String }
}
mirror! {
    Moved as MovedForm { "x" transaction: TransactionId, "t" time: Timestamp }
}
mirror! {
    Saved as SavedForm { "w" pending: bool, "i" ids: Vec<(String, ObjectId)> }
    optional { "t" transaction: TransactionId, "p" position: u64 }
}
mirror! {
    ObjectView as ObjectForm {
        "o" id: ObjectId, "e" entity: String, "v" values: Vec<(String, Output)>, "w" pending: bool,
    } optional { "d" detail: ObjectDetail }
}
mirror! {
    ObjectDetail as DetailForm { "c" created: StampView, "s" changed: StampView, "x" deleted: bool }
    optional { "p" version: u64 }
}
mirror! {
    HistoryLine as HistoryForm {
        "t" transaction: TransactionId, "s" stamp: StampView, "d" description: String, "a" attribute: String,
        "b" old: Output, "v" new: Output,
    } optional { "p" position: u64 }
}
mirror! {
    UndoLine as UndoLineForm {
        "o" object: ObjectId, "e" entity: String, "s" text: String, "a" attribute: String, "b" before: Output,
        "v" then: Output, "w" now: Output,
    } optional { "x" obstacle: Obstacle }
}
mirror! {
    Obstacle as ObstacleForm { "c" code: String, "m" message: String }
    optional { "s" by: StampView, "t" transaction: TransactionId }
}
mirror! {
    Undone as UndoneForm {
        "w" pending: bool, "o" objects: u64, "l" left: u64, "d" done: u64, "n" total: u64,
    } optional { "t" transaction: TransactionId, "p" position: u64 }
}
mirror! {
    Imported as ImportedForm { "w" rows: Vec<RowOutcome>, "l" open: Vec<OpenReference> }
    optional { "r" run: TransactionId, "k" keys: Vec<Option<String>>, "p" preview: Vec<PreviewRow> }
}
mirror! {
    PreviewRow as PreviewForm { "w" row: u64, "v" values: Vec<(String, Output)> }
}
mirror! {
    NodeLine as NodeForm { "a" name: String, "n" number: u32, "r" role: String, "j" joined: bool }
}
mirror! {
    ConflictLine as ConflictForm {
        "i" id: ObjectId, "o" object: ObjectId, "a" attribute: String, "k" kept: String, "x" other: String,
        "kb" kept_by: String, "xb" other_by: String, "r" rule: String,
    }
}
mirror! {
    QuarantineLine as QuarantineForm {
        "t" transaction: TransactionId, "p" position: u64, "c" code: String, "r" reason: String,
        "d" description: String, "s" stamp: StampView,
    } optional { "b" builds_on: TransactionId, "z" settled: Settled }
}
mirror! {
    Settled as SettledForm { "a" action: String, "s" stamp: StampView }
}
mirror! {
    ChangeLine as ChangeForm {
        "s" sequence: u64, "i" number: u64, "k" count: u64, "t" time: Timestamp, "c" cause: String,
        "x" transaction: TransactionId, "e" entity: String, "a" attribute: String, "b" old: Output, "v" new: Output,
    } optional { "p" position: u64, "o" object: ObjectId }
}
mirror! {
    Reached as ReachedForm { "c" cursor: u64, "e" end: u64 }
}
mirror! {
    Splice as SpliceForm { "a" at: u64, "r" removed: u64, "i" inserted: u64 }
}
mirror! {
    FollowerLine as FollowerForm { "a" name: String, "c" cursor: u64, "b" behind: u64, "t" moved: Timestamp }
}
mirror! {
    NumberRangeLine as NumberRangeForm {
        "i" id: ObjectId, "a" name: String, "n" node: String, "l" left: u64, "min" min: Number, "max" max: Number,
        "s" increment: Number, "z" state: String,
    } optional { "x" next: Number, "e" leased: Number }
}
mirror! {
    VoidNumberLine as VoidNumberForm {
        "a" range: String, "n" node: String, "f" from: Number, "u" to: Number, "c" cause: String, "t" time: Timestamp,
    } optional { "x" transaction: TransactionId }
}
mirror! {
    BackingUp as BackingUpForm { "d" done: u64, "n" total: u64 }
}
mirror! {
    BackedUp as BackedUpForm { "a" name: String, "p" position: u64, "o" objects: u64, "l" blobs: u64, "b" bytes: u64 }
}
mirror! {
    Event as EventForm { "t" time: Timestamp, "k" kind: String, "n" peer: String, "m" text: String }
    optional { "x" transaction: TransactionId, "p" position: u64 }
}
mirror! {
    Failure as FailureForm { "k" kind: FailureKind, "c" code: String, "m" message: String, "h" hint: String }
    optional { "at" at: Place }
}
mirror! {
    ContentPart as ContentPartForm {
        "b" blob: Blob, "f" from: u64, "d" data: Vec<u8>, "h" here: bool, "a" arrived: u64,
    }
}
mirror! {
    Place as PlaceForm { "l" line: u32, "c" column: u32 }
}
named! {
    ObjectId as NamedObjectForm
}
tags! {
    FailureKind { 1 Failed, 2 Usage, 3 Refused, 4 Unreachable }
}

// The body of the message that ends the answers: nothing yet.
form! {
    End; ;
}

impl End<'_> {
    /// The only one.
    pub(crate) const fn new() -> Self {
        Self { borrowed: std::marker::PhantomData }
    }
}

const INSERTED: u64 = 1;
const UPDATED: u64 = 2;
const UNCHANGED: u64 = 3;
const FAILED: u64 = 4;

tagged! {
    OutcomeForm { "o" object: i64, "c" code: &'a str, "m" message: &'a str }
}

impl Mirror for RowOutcome {
    type Wire<'a> = OutcomeForm<'a>;

    fn to_wire(&self) -> Result<OutcomeForm<'_>, Flaw> {
        let of = |tag, object: &ObjectId| OutcomeForm { object: Some(object.get()), ..OutcomeForm::of(tag) };
        Ok(match self {
            Self::Inserted(object) => of(INSERTED, object),
            Self::Updated(object) => of(UPDATED, object),
            Self::Unchanged(object) => of(UNCHANGED, object),
            Self::Failed { code, message } => {
                OutcomeForm { code: Some(code), message: Some(message), ..OutcomeForm::of(FAILED) }
            }
        })
    }

    fn from_wire(wire: OutcomeForm<'_>) -> Result<Self, Flaw> {
        match wire.tag {
            INSERTED => need("object", wire.object).map(Self::Inserted),
            UPDATED => need("object", wire.object).map(Self::Updated),
            UNCHANGED => need("object", wire.object).map(Self::Unchanged),
            FAILED => Ok(Self::Failed { code: need("code", wire.code)?, message: need("message", wire.message)? }),
            unknown => Err(Problem::UnknownTag(unknown).into()),
        }
    }
}
