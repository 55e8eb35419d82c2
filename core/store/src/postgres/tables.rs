//! The tables that every database has beside those of its entities, by the names that they have in the embedded engine,
//! and one that only a server needs: who writes.

/// Format of the database; counts up with each change of a table here.
pub(super) const FORMAT: u32 = 1;

/// Made once, when the database is.
pub(super) const CREATE: &str = "
CREATE TABLE mytism_meta(key text COLLATE \"C\" PRIMARY KEY, value bytea NOT NULL);

-- Who writes, and how often it was written: one row, changed in each commit.
CREATE TABLE mytism_writer(token bigint NOT NULL, commits bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO mytism_writer(token, commits) VALUES (0, 0);

-- The authoritative log, word for word.
CREATE TABLE mytism_log(
    number bigint PRIMARY KEY, epoch bigint NOT NULL, hash bytea NOT NULL, committed_at bigint NOT NULL,
    node bigint NOT NULL, incarnation bigint NOT NULL, counter bigint NOT NULL,
    entry bytea NOT NULL, bytes bytea NOT NULL);
CREATE INDEX mytism_log_transaction ON mytism_log(node, incarnation, counter);

-- What the authoritative log says where a pending transaction lies on top; element 0 = none.
CREATE TABLE mytism_underlay(
    object bigint NOT NULL, attribute bigint NOT NULL, element bigint NOT NULL, value bytea NOT NULL,
    PRIMARY KEY(object, attribute, element));

-- Which entity an object is of.
CREATE TABLE mytism_object(id bigint PRIMARY KEY, entity bigint NOT NULL);

-- Which entries changed an object.
CREATE TABLE mytism_history(object bigint NOT NULL, number bigint NOT NULL, PRIMARY KEY(object, number));

-- Refused transactions.
CREATE TABLE mytism_quarantine(
    number bigint PRIMARY KEY, code text COLLATE \"C\" NOT NULL, reason text COLLATE \"C\" NOT NULL);

-- What became visible here. Without changes a row stands for those of its transaction.
CREATE TABLE mytism_journal(
    sequence bigint PRIMARY KEY, at bigint NOT NULL, cause bigint NOT NULL,
    node bigint NOT NULL, incarnation bigint NOT NULL, counter bigint NOT NULL,
    position bigint, changes bytea);

-- The stack of transactions that the head office has not decided on: the lowest place first.
CREATE TABLE mytism_pending(
    place bigint PRIMARY KEY, node bigint NOT NULL, incarnation bigint NOT NULL, counter bigint NOT NULL,
    bytes bytea NOT NULL);
CREATE UNIQUE INDEX mytism_pending_transaction ON mytism_pending(node, incarnation, counter);
CREATE TABLE mytism_pending_object(object bigint NOT NULL, place bigint NOT NULL, PRIMARY KEY(object, place));
CREATE INDEX mytism_pending_object_place ON mytism_pending_object(place);
";

/// The names of those tables.
pub(super) const NAMES: [&str; 10] = [
    "mytism_meta",
    "mytism_writer",
    "mytism_log",
    "mytism_underlay",
    "mytism_object",
    "mytism_history",
    "mytism_quarantine",
    "mytism_journal",
    "mytism_pending",
    "mytism_pending_object",
];
