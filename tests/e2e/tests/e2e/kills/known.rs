//! What the savers know of the database: which groups of objects must stand there, and how.
//!
//! A group is made, changed and deleted as one transaction each time, and all its objects carry its version in a text. So
//! a group that is there in part, or in two versions, was saved by half.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::operation::{ObjectView, Operations, Output, QueryRequest, Reply, Request};
use mytism_core::value::Value;
use mytism_testkit::Project;
use rusqlite::{Connection, OpenFlags};

use super::savers;

/// How a group is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A customer with two orders that refer to it, saved.
    Saved,
    /// Five customers, imported.
    Imported,
}

impl Kind {
    pub(crate) const fn size(self) -> usize {
        match self {
            Self::Saved => 3,
            Self::Imported => 5,
        }
    }
}

/// The version of a group; `None` where it is not there: not yet, or deleted.
pub(crate) type Version = Option<u64>;

/// A group of objects as it must stand in the database.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) kind: Kind,
    /// Of its objects; empty where its making was never acknowledged, though it may be there.
    pub(crate) ids: Vec<ObjectId>,
    /// The last one that was acknowledged.
    pub(crate) version: Version,
    /// Versions that were asked for and not answered: one of them may hold in place of the acknowledged one.
    pub(crate) asked: Vec<Version>,
}

/// An acknowledgement, as a saver wrote it down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) transaction: TransactionId,
    pub(crate) group: u64,
    pub(crate) version: Version,
    pub(crate) made: Vec<ObjectId>,
}

impl Acknowledged {
    /// As a line of a file.
    pub(crate) fn line(&self) -> String {
        let version = self.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
        let made: Vec<String> = self.made.iter().map(ToString::to_string).collect();
        format!("{} {} {version} {}\n", self.transaction, self.group, made.join(","))
    }

    fn read(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("a torn line: {line:?}"));
        Self {
            transaction: word().parse().expect("the name of a transaction"),
            group: word().parse().expect("the number of a group"),
            version: word().parse().ok(),
            made: word().split(',').filter_map(|id| id.parse().ok()).collect(),
        }
    }
}

/// All groups of all rounds.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) groups: BTreeMap<u64, Group>,
    /// The files that acknowledgements were written to.
    files: Vec<PathBuf>,
    transactions: Vec<TransactionId>,
    ids: HashSet<ObjectId>,
}

impl Known {
    /// Takes what a saver has asked for, and the file with what it was told.
    #[track_caller]
    pub(crate) fn add(&mut self, asked: Vec<(u64, Group)>, file: PathBuf) {
        self.groups.extend(asked);
        let text = std::fs::read_to_string(&file).expect("a saver wrote down what it was told");
        for acknowledged in text.lines().map(Acknowledged::read) {
            let group = self.groups.get_mut(&acknowledged.group).expect("only what was asked for is acknowledged");
            group.version = acknowledged.version;
            group.asked.retain(|version| *version != acknowledged.version);
            for id in &acknowledged.made {
                assert!(self.ids.insert(*id), "the id {id} was given twice, again by {}", acknowledged.transaction);
            }
            if group.ids.is_empty() {
                group.ids.clone_from(&acknowledged.made);
            }
            self.transactions.push(acknowledged.transaction);
        }
        self.files.push(file);
    }

    /// Fails unless all that was acknowledged is there and nothing is there by half; the node must run. Takes from the
    /// database what became of the saves that were not answered.
    #[track_caller]
    pub(crate) fn check(&mut self, project: &Project) {
        self.check_transactions(project);
        let there = self.read(project);
        let strange: Vec<_> = there.keys().filter(|group| !self.groups.contains_key(group)).collect();
        assert!(strange.is_empty(), "{} holds the groups {strange:?}, which nobody made", project.name());
        for (number, group) in &mut self.groups {
            let found = there.get(number).map(Vec::as_slice).unwrap_or_default();
            let whole = found.is_empty() || found.len() == group.kind.size();
            assert!(whole, "group {number} is there by half: {found:?}, {group:?}");
            let version = found.first().map(|(_, version)| *version);
            let one = found.iter().all(|(_, other)| Some(*other) == version);
            assert!(one, "group {number} is there in several versions: {found:?}, {group:?}");
            let right = version == group.version || group.asked.contains(&version);
            assert!(right, "{}: group {number} has version {version:?}: {group:?}", project.name());
            group.version = version;
            group.asked.clear();
            if group.ids.is_empty() {
                // It was made without an answer.
                group.ids = found.iter().map(|(id, _)| *id).collect();
                group.ids.sort_unstable();
                let new = group.ids.iter().all(|id| self.ids.insert(*id));
                assert!(new, "group {number} has ids that were given before: {group:?}");
            }
        }
    }

    /// All transactions that were acknowledged are in the log, or wait for the head office.
    #[track_caller]
    fn check_transactions(&self, project: &Project) {
        let database = Connection::open_with_flags(project.database(), OpenFlags::SQLITE_OPEN_READ_ONLY);
        let database = database.expect("the database can be read");
        let text = "SELECT node, incarnation, counter FROM mytism_log
                    UNION ALL SELECT node, incarnation, counter FROM mytism_pending";
        let mut statement = database.prepare(text).expect("the database has a log");
        let name = |row: &rusqlite::Row<'_>| {
            Ok(format!("{}-{}-{}", row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        };
        let rows = statement.query_map([], name).expect("the log can be read");
        let rows: Vec<String> = rows.map(|row| row.expect("a row of the log")).collect();
        let there: HashSet<&String> = rows.iter().collect();
        assert_eq!(there.len(), rows.len(), "{} holds a transaction twice", project.name());
        let names = self.transactions.iter().map(ToString::to_string);
        let lost: Vec<String> = names.filter(|name| !there.contains(name)).collect();
        assert!(lost.is_empty(), "{} lost the acknowledged transactions {lost:?}", project.name());
    }

    /// The objects of all groups with their versions.
    #[track_caller]
    fn read(&self, project: &Project) -> HashMap<u64, Vec<(ObjectId, u64)>> {
        let client = savers::client(project).expect("the node runs");
        let mut there = HashMap::<u64, Vec<(ObjectId, u64)>>::new();
        for (entity, key, version) in [("Customer", "Fax", "City"), ("Order", "ShipName", "ShipCity")] {
            // The group of an object stands in its fax or addressee, so that its key need not be taken apart.
            let text = format!("from {entity} o where o.{key} like 'group %'");
            let request = Request::Query(QueryRequest { text, ..QueryRequest::default() });
            let found = client.call(request, &mut |reply| {
                if let Reply::Object(view) = reply {
                    let number = number(&view, key);
                    there.entry(number).or_default().push((view.id, self::number(&view, version)));
                }
                Ok(())
            });
            found.expect("the query is right");
        }
        there
    }

    /// Fails where the savers did next to nothing: then nothing was proven.
    #[track_caller]
    pub(crate) fn assert_much_was_done(&self) {
        let imported = self.groups.values().filter(|group| group.kind == Kind::Imported).count();
        let deleted = self.groups.values().filter(|group| group.version.is_none() && !group.ids.is_empty()).count();
        let counts = (self.transactions.len(), imported, deleted, self.files.len());
        assert!(counts.0 > 100 && imported > 5 && deleted > 5, "saves, imports, deletions, files: {counts:?}");
    }
}

/// The number behind the word in a text of an object.
#[track_caller]
fn number(view: &ObjectView, attribute: &str) -> u64 {
    let found = view.values.iter().find(|(name, _)| name == attribute);
    let text = match found {
        Some((_, Output::Value(Value::Text(text)))) => text.rsplit(' ').next(),
        _ => None,
    };
    text.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{attribute} of {view:?}"))
}
