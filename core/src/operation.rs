//! What can be asked of a node, and what it answers.
//!
//! One function, [`Operations::call`], serves every caller: the command line, the desktop client, web pages. A node's
//! own use cases implement it directly and the client library implements it over a connection, so that a caller need
//! not know on which side of a socket it runs. Names, not ids, stand in requests, since a caller need not hold the
//! schema.

mod backup;
mod content;
mod journal;
mod lines;
mod numbers;
mod quarantine;
mod schema;

use crate::blob::Blob;
use crate::failure::Failure;
use crate::id::{Hash, ObjectId, TransactionId};
use crate::number::Number;
use crate::time::Timestamp;
use crate::value::Value;

pub use backup::{BackedUp, BackingUp};
pub use content::ContentPart;
pub use journal::{ChangeLine, ChangesRequest, FollowerLine, Reached, Splice};
pub use lines::{Checked, Moved, PeerStatus};
pub use numbers::{NumberRangeLine, VoidNumberLine};
pub use quarantine::{QuarantineLine, SettleRequest, Settled, Settling};
pub use schema::{ObstacleObject, SchemaLine};

/// Whoever can be asked.
pub trait Operations {
    /// Carries out one request. Answers go to `sink` in order as they come; most requests give exactly one, lists give
    /// one a row, [`Request::Watch`] goes on until the sink is closed.
    ///
    /// # Errors
    /// The refusal or failure. Answers given before it stand; a save that fails has changed nothing.
    fn call(&self, request: Request, sink: &mut Sink<'_>) -> Result<(), Failure>;
}

/// Takes answers. Returning [`Closed`] ends the request early, which is no failure.
pub type Sink<'a> = dyn FnMut(Reply) -> Result<(), Closed> + 'a;

/// Nobody listens any longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

/// What can be asked.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// How the node is; answers one [`Reply::Status`].
    Status,
    /// Save a draft; answers one [`Reply::Saved`] once it is durable.
    Save(SaveRequest),
    /// Find objects or compute rows; answers [`Reply::Object`] or [`Reply::Row`], one each.
    Query(QueryRequest),
    /// Find objects or compute rows, and go on to tell what becomes of the answer until the sink is closed or the node
    /// goes down. Answers [`Reply::Splice`], each with its rows behind it as [`Reply::Object`] or [`Reply::Row`], and
    /// [`Reply::Reached`] wherever the rows are what the query answers there; that comes now and then without a change too.
    Live(QueryRequest),
    /// One object with its bookkeeping; answers one [`Reply::Object`].
    Show {
        /// Which.
        object: ObjectId,
        /// As it was then; as in [`QueryRequest::as_of`].
        as_of: Option<String>,
    },
    /// The changes of an object, oldest first; answers [`Reply::History`], one each.
    History(HistoryRequest),
    /// Set back what a transaction or a run did, in new ones; answers [`Reply::UndoLine`], one each, then one
    /// [`Reply::Undone`] after each transaction that is durable, the last one with the sums. Where something stands in
    /// the way and is not to be left, nothing is done and it fails after the lines.
    Undo(UndoRequest),
    /// Save some rows of an import as one transaction; answers one [`Reply::Imported`].
    Import(ImportBatch),
    /// Set the references that stood open when their rows were imported; answers one [`Reply::Imported`].
    ImportLinks(ImportLinks),
    /// The nodes of the cluster; answers [`Reply::Node`], one each.
    Nodes,
    /// Make a branch known; answers one [`Reply::Account`].
    AddNode {
        /// Its name.
        name: String,
        /// How long the account may be used to join.
        valid_days: u32,
    },
    /// The conflicts; answers [`Reply::Conflict`], one each.
    Conflicts,
    /// Settle a conflict; answers one [`Reply::Saved`].
    ResolveConflict {
        /// The conflict itself.
        conflict: ObjectId,
        /// Whether the value that was kept beside the other one is set.
        take_other: bool,
    },
    /// The refused transactions that nobody has settled; answers [`Reply::Quarantined`], one each.
    Quarantine,
    /// All refused transactions, also those that are settled; answers [`Reply::Quarantined`], one each.
    Refusals,
    /// One refused transaction whole; answers one [`Reply::Quarantined`], then [`Reply::UndoLine`] for each change:
    /// what was there before, what was wanted, and what is there now.
    Refusal {
        /// The place of the refusal in the log.
        number: u64,
    },
    /// Save a refused transaction anew, or mark it as settled; answers one [`Reply::Saved`] once that is durable. The
    /// labels of new objects are the ids that the refused transaction gave them.
    Settle(SettleRequest),
    /// What became visible at the node; answers [`Reply::Change`], one each, and at the end one [`Reply::Reached`].
    Changes(ChangesRequest),
    /// Move the cursor of a follower of the journal from where it is to a later row; answers one [`Reply::Reached`].
    Passed {
        /// The follower.
        follower: String,
        /// Where it is.
        from: u64,
        /// The last row that it has done with.
        to: u64,
    },
    /// The followers of the journal; answers [`Reply::Follower`], one each.
    Followers,
    /// Forget a follower with its cursor; answers one [`Reply::Follower`].
    RemoveFollower {
        /// Its name.
        follower: String,
    },
    /// The number ranges of all nodes; answers [`Reply::NumberRange`], one each.
    NumberRanges,
    /// Numbers that no object holds though they were drawn, or may have been; answers [`Reply::VoidNumber`], one each.
    VoidNumbers {
        /// Only of the ranges with the name of this one, which is named by its object's id or its name.
        range: Option<String>,
    },
    /// Set the next number of a range by hand; answers one [`Reply::Saved`].
    SetNextNumber {
        /// Id of its object, or its name; then the one that belongs to the node that is asked.
        range: String,
        /// The number that comes next.
        next: Number,
    },
    /// At a branch: compare log and objects with the head office, and mend what differs here. At the head office: check
    /// its own log. Answers one [`Reply::Checked`].
    CheckSync,
    /// Let the lines to other nodes rest until they are resumed, also over a restart; or resume them. Answers one
    /// [`Reply::Status`].
    RestLines {
        /// Whether they rest from now on.
        rest: bool,
    },
    /// Whether a head office whose database was put back waits for its branches; answers one [`Reply::Recovery`].
    Recover {
        /// Whether it begins to wait, since its database was put back and nothing has noticed that.
        begin: bool,
        /// Names of branches that it goes on without.
        without: Vec<String>,
    },
    /// Back the node up; answers [`Reply::BackingUp`] while it goes on, then one [`Reply::BackedUp`].
    Backup {
        /// Whether the node's keys are in it too.
        with_keys: bool,
    },
    /// Take in a part of the content of a file; answers one [`Reply::ContentPut`]. Once it has ended it can be named in
    /// a save.
    PutContent {
        /// Which upload it belongs to, as its first part was told; `None` in the first.
        upload: Option<u64>,
        /// The next bytes, 4 MiB at most.
        data: Vec<u8>,
        /// Whether these are the last ones.
        end: bool,
    },
    /// Some bytes of the content of a file; answers one [`Reply::ContentPart`]. What is not here is fetched, ahead of all
    /// others.
    GetContent {
        /// The object.
        object: ObjectId,
        /// Name of its attribute.
        attribute: String,
        /// From which byte on, from 0.
        from: u64,
    },
    /// The schema that holds, in its stored form; answers one [`Reply::Schema`].
    Schema,
    /// What leads from the schema that holds to another one; answers [`Reply::SchemaStep`], one each. Where it is applied,
    /// and nothing is in the way, one [`Reply::Saved`] once that is durable; without a transaction where there is nothing
    /// to do.
    ChangeSchema {
        /// The other one, in its stored form, with all ids.
        schema: Vec<u8>,
        /// The plain hash of the stored form of the one that it was made from.
        from: Hash,
        /// Whether it is applied.
        apply: bool,
    },
    /// What happens from now on; answers [`Reply::Event`], one each, until nobody listens.
    Watch,
    /// Shut the node down; answers one [`Reply::Stopping`]. The node is down when its lock is free.
    Stop,
}

/// What is answered.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Save`].
    Saved(Saved),
    /// An object.
    Object(ObjectView),
    /// A computed row: names and values in the order of the query.
    Row(Vec<(String, Output)>),
    /// A change.
    History(HistoryLine),
    /// What an undo would set back, or leaves.
    UndoLine(Box<UndoLine>),
    /// How far an undo is.
    Undone(Undone),
    /// To [`Request::Import`] and [`Request::ImportLinks`].
    Imported(Imported),
    /// A node.
    Node(NodeLine),
    /// The content of the account file of a new branch.
    Account {
        /// Text of the file.
        file: String,
    },
    /// A conflict.
    Conflict(ConflictLine),
    /// A refused transaction.
    Quarantined(QuarantineLine),
    /// A change that became visible.
    Change(ChangeLine),
    /// How far somebody is in the journal.
    Reached(Reached),
    /// What becomes of the rows of an answer.
    Splice(Splice),
    /// A follower of the journal.
    Follower(FollowerLine),
    /// A number range.
    NumberRange(NumberRangeLine),
    /// Numbers that may be missing.
    VoidNumber(VoidNumberLine),
    /// To [`Request::Recover`].
    Recovery {
        /// Whether the node saves and decides on nothing until its branches have told what they have.
        waits: bool,
        /// Names of those that have not.
        missing: Vec<String>,
        /// Epoch of the log.
        epoch: u32,
    },
    /// How far a backup is.
    BackingUp(BackingUp),
    /// To [`Request::Backup`].
    BackedUp(BackedUp),
    /// To [`Request::PutContent`].
    ContentPut {
        /// By which the next part names its upload.
        upload: u64,
        /// Bytes taken in so far.
        bytes: u64,
        /// The hash of the content, once it has ended and is durable.
        hash: Option<Hash>,
    },
    /// To [`Request::GetContent`].
    ContentPart(ContentPart),
    /// To [`Request::CheckSync`].
    Checked(Checked),
    /// To [`Request::Schema`].
    Schema {
        /// The stored form.
        schema: Vec<u8>,
    },
    /// A step from one schema to another.
    SchemaStep(Box<SchemaLine>),
    /// Something happened.
    Event(Event),
    /// The node goes down.
    Stopping,
}

/// A value as it was written by a person or a program, before the schema is asked.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// Nothing.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// Digits of a number, with sign, point and exponent as written.
    Number(String),
    /// Text; may stand for any kind that can be written as text.
    Text(String),
    /// An object.
    Reference(ReferenceInput),
    /// The content of a file, which the node has taken in.
    Blob(Box<Blob>),
    /// A set of objects, in the place of what was there.
    List(Vec<ReferenceInput>),
    /// Objects to add to a set and to take out of it.
    Difference {
        /// To add.
        add: Vec<ReferenceInput>,
        /// To take out.
        remove: Vec<ReferenceInput>,
    },
}

/// How an object is named in a request.
#[derive(Clone, PartialEq, Debug)]
pub enum ReferenceInput {
    /// By its id.
    Id(ObjectId),
    /// By the label of a new object in the same request.
    Label(String),
    /// By a unique attribute.
    Key {
        /// Name of the entity.
        entity: String,
        /// Name of the attribute.
        attribute: String,
        /// Its value.
        value: Box<Input>,
    },
}

/// A draft: any number of objects, saved whole or not at all.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SaveRequest {
    /// What the author says about it.
    pub description: String,
    /// In order; later ones may refer to new objects of any other.
    pub changes: Vec<ChangeRequest>,
}

/// What shall become of one object.
#[derive(Clone, PartialEq, Debug)]
pub struct ChangeRequest {
    /// Which object.
    pub target: ChangeTarget,
    /// Attribute names and their new values.
    pub values: Vec<(String, Input)>,
    /// Attribute names and the values that the author saw; another value is a conflict.
    pub expect: Vec<(String, Input)>,
    /// `true` marks it deleted, `false` brings it back.
    pub delete: Option<bool>,
}

/// The object of a [`ChangeRequest`].
#[derive(Clone, PartialEq, Debug)]
pub enum ChangeTarget {
    /// A new one.
    New {
        /// By which the request names it.
        label: String,
        /// Name of its entity.
        entity: String,
    },
    /// One that is there.
    Object(ObjectId),
}

/// A save that is durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saved {
    /// The transaction; `None` where the draft changed nothing.
    pub transaction: Option<TransactionId>,
    /// Its place in the log; `None` while the head office has not seen it.
    pub position: Option<u64>,
    /// Whether the head office has yet to decide.
    pub pending: bool,
    /// Labels of new objects and the ids that they got.
    pub ids: Vec<(String, ObjectId)>,
}

/// A query.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct QueryRequest {
    /// In the query language.
    pub text: String,
    /// Values of `$name`.
    pub params: Vec<(String, Input)>,
    /// At most so many rows, beside what the text says.
    pub limit: Option<u64>,
    /// Whether deleted objects are listed too.
    pub deleted: bool,
    /// As it was then: a number is a position of the log, else it is a time (RFC 3339, without zone in that of the
    /// node; a day is its first moment) and means the last position by then. `None` is now.
    pub as_of: Option<String>,
    /// Whether a reference comes with the key of its target, by which an import finds it, in the place of its display
    /// text; `None` means no.
    pub keys: Option<bool>,
    /// The entity of the short form: the text is just a condition then. `None` means the full form.
    pub entity: Option<String>,
    /// Whether to tell how the query would be answered, as rows, in the place of its answer; `None` means no.
    pub explain: Option<bool>,
}

/// Which changes of an object to tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryRequest {
    /// The object.
    pub object: ObjectId,
    /// Only of this attribute.
    pub attribute: Option<String>,
    /// Only those behind this position.
    pub after: Option<u64>,
    /// No more once it is so many; changes of one entry are never told apart, so there may be some more.
    pub limit: Option<u64>,
}

impl HistoryRequest {
    /// All changes of an object.
    #[must_use]
    pub const fn of(object: ObjectId) -> Self {
        Self { object, attribute: None, after: None, limit: None }
    }
}

/// What to set back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UndoRequest {
    /// A transaction, or an import or other run by the name that it was given.
    pub id: TransactionId,
    /// Whether what stands in the way is left as it is, and the rest set back.
    pub keep_later: bool,
    /// Whether it is told only, and nothing is done.
    pub dry_run: bool,
}

/// A value on its way out.
#[derive(Clone, PartialEq, Hash, Debug)]
pub enum Output {
    /// Anything but enumerations and references.
    Value(Value),
    /// The word of an enumeration.
    Word(String),
    /// An object, with the text that stands for it in lists.
    Reference {
        /// Its id.
        id: ObjectId,
        /// Its display text.
        text: String,
    },
    /// A set.
    List(Vec<Self>),
    /// The content of a file that is not here yet; one that is here is a value.
    Away(Box<Blob>),
}

/// An object on its way out.
#[derive(Clone, PartialEq, Hash, Debug)]
pub struct ObjectView {
    /// Its id.
    pub id: ObjectId,
    /// Name of its entity.
    pub entity: String,
    /// Attribute names and values in the order of the schema.
    pub values: Vec<(String, Output)>,
    /// Whether a change of it has yet to be decided on by the head office.
    pub pending: bool,
    /// Its bookkeeping, where asked for.
    pub detail: Option<ObjectDetail>,
}

/// The bookkeeping of an object.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ObjectDetail {
    /// Its making.
    pub created: StampView,
    /// Its last change.
    pub changed: StampView,
    /// Number of the position of the last change; `None` while that is pending.
    pub version: Option<u64>,
    /// Whether it is marked deleted.
    pub deleted: bool,
}

/// Who, when and where, in words.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct StampView {
    /// When.
    pub time: Timestamp,
    /// Name of the user.
    pub user: String,
    /// Name of the node.
    pub node: String,
}

/// One change of an object.
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryLine {
    /// Its place in the log; `None` while pending.
    pub position: Option<u64>,
    /// The transaction.
    pub transaction: TransactionId,
    /// Who, when and where.
    pub stamp: StampView,
    /// What the author said.
    pub description: String,
    /// Name of the attribute; empty where the object was made, deleted or brought back.
    pub attribute: String,
    /// Before.
    pub old: Output,
    /// After.
    pub new: Output,
}

/// One slot in an undo.
#[derive(Clone, PartialEq, Debug)]
pub struct UndoLine {
    /// The object.
    pub object: ObjectId,
    /// Name of its entity.
    pub entity: String,
    /// The text that stands for it.
    pub text: String,
    /// Name of the attribute; empty where it is about the object's being there.
    pub attribute: String,
    /// What it was before, and shall be again.
    pub before: Output,
    /// What it was made.
    pub then: Output,
    /// What it is.
    pub now: Output,
    /// What stands in the way; `None` where nothing does.
    pub obstacle: Option<Obstacle>,
}

/// Why something is not set back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Obstacle {
    /// `changed-since`, or the code of the refusal that setting it back would meet.
    pub code: String,
    /// In words.
    pub message: String,
    /// Who changed it since, and when, where that is known.
    pub by: Option<StampView>,
    /// The transaction that changed it since, where that is known.
    pub transaction: Option<TransactionId>,
}

/// How far an undo is; sums from its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Undone {
    /// The first transaction that it made, which names all of them; `None` where there was nothing to set back.
    pub transaction: Option<TransactionId>,
    /// Place of the last one in the log; `None` while the head office has not seen it.
    pub position: Option<u64>,
    /// Whether the head office has yet to decide.
    pub pending: bool,
    /// Objects set back.
    pub objects: u64,
    /// Slots left, since something stands in the way.
    pub left: u64,
    /// Transactions done with, of how many.
    pub done: u64,
    /// See `done`.
    pub total: u64,
}

/// What an import does with rows whose key is there already, or is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ImportMode {
    /// Every row is a new object; a key that is there fails the row.
    #[default]
    Insert,
    /// Every row changes an object; a key that is not there fails the row.
    Update,
    /// What is there is changed, what is not is made.
    Upsert,
}

/// How values are written in a file; what it does not say is as usual.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notation {
    /// `,` or `.`; with it groups of digits are read too.
    pub decimal: Option<String>,
    /// A pattern of days as in [`crate::notation::Style::new`].
    pub date: Option<String>,
    /// Name of the time zone of times without one; the node's own where it is `None`.
    pub zone: Option<String>,
}

/// Some rows of an import.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ImportBatch {
    /// The import, as the first batch was told; `None` in the first.
    pub run: Option<TransactionId>,
    /// What stands in the history.
    pub description: String,
    /// Name of the entity.
    pub entity: String,
    /// Name of the attribute by which rows find objects; the entity's key where it is `None`.
    pub key: Option<String>,
    /// Attribute names, one a column.
    pub columns: Vec<String>,
    /// Cells as text, one a column; `None` is an empty cell.
    pub rows: Vec<Vec<Option<String>>>,
    /// What happens to keys that are there already.
    pub mode: ImportMode,
    /// Whether bad rows are passed over; else the first one refuses the whole batch.
    pub skip_bad_rows: bool,
    /// Whether nothing is saved.
    pub dry_run: bool,
    /// How the cells are written; `None` where they are written as a save has them.
    pub notation: Option<Notation>,
    /// Whether these are all rows there are, so that references among them are closed at once and the first bad row
    /// refuses them all.
    pub whole: Option<bool>,
    /// Of how many rows the answer shall show what would be saved; for dry runs.
    pub preview: Option<u32>,
}

/// References that stood open, since their targets came later in the file.
#[derive(Clone, PartialEq, Debug)]
pub struct ImportLinks {
    /// The import.
    pub run: TransactionId,
    /// What stands in the history.
    pub description: String,
    /// The references.
    pub links: Vec<OpenReference>,
}

/// A reference whose target is not there yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenReference {
    /// Place of the row in its batch, from 0; carried along for the caller.
    pub row: u64,
    /// The object that shall refer.
    pub object: ObjectId,
    /// Name of its attribute.
    pub attribute: String,
    /// Key of the target, as written.
    pub key: String,
}

/// What became of some rows of an import.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Imported {
    /// The import; `None` where nothing was saved.
    pub run: Option<TransactionId>,
    /// One a row (or link), in order.
    pub rows: Vec<RowOutcome>,
    /// References whose targets are not there yet.
    pub open: Vec<OpenReference>,
    /// Of a dry run: the key of each row's object in its usual form, where it has one. References that stand open can
    /// be looked up among them.
    pub keys: Option<Vec<Option<String>>>,
    /// Of the first rows that are good, as many as were asked for: attribute names and values as they would be saved.
    pub preview: Option<Vec<PreviewRow>>,
}

/// A row as it would be saved.
#[derive(Clone, PartialEq, Debug)]
pub struct PreviewRow {
    /// Place of the row in its batch, from 0.
    pub row: u64,
    /// Attribute names and values, one a column.
    pub values: Vec<(String, Output)>,
}

/// What became of one row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowOutcome {
    /// A new object.
    Inserted(ObjectId),
    /// An object was changed.
    Updated(ObjectId),
    /// There was nothing to change.
    Unchanged(ObjectId),
    /// The row is bad; nothing of it was saved.
    Failed {
        /// A code as in [`Failure`].
        code: String,
        /// What is wrong.
        message: String,
    },
}

/// A node of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeLine {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: u32,
    /// `authoritative` or `branch`.
    pub role: String,
    /// Whether it has joined.
    pub joined: bool,
}

/// A conflict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConflictLine {
    /// The conflict itself.
    pub id: ObjectId,
    /// The object that it is about.
    pub object: ObjectId,
    /// Name of the attribute.
    pub attribute: String,
    /// The value that stays.
    pub kept: String,
    /// The value that is kept beside it.
    pub other: String,
    /// User and node of the value that stays.
    pub kept_by: String,
    /// User and node of the other value.
    pub other_by: String,
    /// The rule that decided.
    pub rule: String,
}

/// How a node is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Status {
    /// Its name.
    pub node: String,
    /// `authoritative` or `branch`.
    pub role: String,
    /// Of the program.
    pub version: String,
    /// Name and version of the schema.
    pub schema: String,
    /// Epoch of the log.
    pub epoch: u32,
    /// Number of the last log entry known here.
    pub log_position: u64,
    /// Hash of that entry in hexadecimal digits.
    pub log_hash: String,
    /// Own transactions that the head office has not decided on.
    pub pending: u64,
    /// Objects that are not deleted.
    pub objects: u64,
    /// Bytes of the database file.
    pub database_bytes: u64,
    /// Conflicts that nobody has settled.
    pub conflicts: u64,
    /// Refused transactions that nobody has settled.
    pub quarantine: u64,
    /// Contents of files that are here; `None` from a node that does not say, as for the next two.
    pub blobs: Option<u64>,
    /// Bytes that they take on the disk.
    pub blob_bytes: Option<u64>,
    /// Contents that are named here and have not come yet.
    pub blobs_wanted: Option<u64>,
    /// Name of the engine that keeps the data, as people write it; nothing where the node does not say.
    pub store: Option<String>,
    /// When the node started.
    pub since: Option<Timestamp>,
    /// The other nodes that this one talks to.
    pub sync: Vec<PeerStatus>,
    /// Of a head office: `ruling`, `recovering` (its database was put back, and it waits for its branches) or `deposed`
    /// (another node has taken its place). `None` at a branch, and from a node that does not say.
    pub state: Option<String>,
    /// While it recovers: names of the branches that it waits for.
    pub waits_for: Option<Vec<String>>,
    /// Whether its lines to other nodes rest until they are resumed; `None` from a node that does not say.
    pub lines_rest: Option<bool>,
    /// Number of the first entry of the log that is here, where the history before it is still on its way.
    pub history_begin: Option<u64>,
}

/// Something that happened at a node, for who watches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// A word: `saved`, `sent`, `received`, `accepted`, `merged`, `conflict`, `refused`, `connected`, `disconnected`,
    /// `warning`.
    pub kind: String,
    /// The other node, where there is one.
    pub peer: String,
    /// The transaction, where it is about one.
    pub transaction: Option<TransactionId>,
    /// Its position, where it has one.
    pub position: Option<u64>,
    /// In words: what the author said, the object and values of a conflict, the reason of a refusal.
    pub text: String,
}
