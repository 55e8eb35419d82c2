//! The tables that every database has beside those of its entities. All names begin with `mytism_`.

/// Format of the database; counts up with each change of a table here.
pub(super) const FORMAT: u32 = 3;

/// Made once, when the database is.
pub(super) const CREATE: &str = "
CREATE TABLE mytism_meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

-- The authoritative log, word for word.
CREATE TABLE mytism_log(
    number INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, hash BLOB NOT NULL, committed_at INTEGER NOT NULL,
    node INTEGER NOT NULL, incarnation INTEGER NOT NULL, counter INTEGER NOT NULL,
    entry BLOB NOT NULL, bytes BLOB NOT NULL);
CREATE INDEX mytism_log_transaction ON mytism_log(node, incarnation, counter);

-- What the authoritative log says where a pending transaction lies on top; element 0 = none.
CREATE TABLE mytism_underlay(
    object INTEGER NOT NULL, attribute INTEGER NOT NULL, element INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY(object, attribute, element)) WITHOUT ROWID;

-- Which entity an object is of.
CREATE TABLE mytism_object(id INTEGER PRIMARY KEY, entity INTEGER NOT NULL);

-- Which entries changed an object.
CREATE TABLE mytism_history(
    object INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY(object, number)) WITHOUT ROWID;

-- Refused transactions.
CREATE TABLE mytism_quarantine(number INTEGER PRIMARY KEY, code TEXT NOT NULL, reason TEXT NOT NULL);
";

/// The journal of what became visible here, made with the others; databases of format 1 lack it. Without `changes` a row
/// stands for those of its transaction.
pub(super) const CREATE_JOURNAL: &str = "
CREATE TABLE mytism_journal(
    sequence INTEGER PRIMARY KEY, at INTEGER NOT NULL, cause INTEGER NOT NULL,
    node INTEGER NOT NULL, incarnation INTEGER NOT NULL, counter INTEGER NOT NULL,
    position INTEGER, changes BLOB);
";

/// The stack of transactions that the head office has not decided on, made with the others: the lowest place first.
/// Databases of formats 1 and 2 know own ones alone, each at the place of its counter.
pub(super) const CREATE_PENDING: &str = "
CREATE TABLE mytism_pending(
    place INTEGER PRIMARY KEY, node INTEGER NOT NULL, incarnation INTEGER NOT NULL, counter INTEGER NOT NULL,
    bytes BLOB NOT NULL);
CREATE UNIQUE INDEX mytism_pending_transaction ON mytism_pending(node, incarnation, counter);
CREATE TABLE mytism_pending_object(
    object INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY(object, place)) WITHOUT ROWID;
CREATE INDEX mytism_pending_object_place ON mytism_pending_object(place);
";
