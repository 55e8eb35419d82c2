//! Nodes for tests, and a compact way to ask them things.

use std::path::Path;
use std::sync::Arc;

use mytism_app::snapshot::Loader;
use mytism_app::surroundings::Machine;
use mytism_app::{App, ArrivingEntry, Context, Identity};
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, ObjectId};
use mytism_core::operation::{
    ChangeRequest, ChangeTarget, Input, Output, QueryRequest, ReferenceInput, Reply, Request, SaveRequest, Saved,
};
use mytism_core::value::Value;
use mytism_store::Store;
use mytism_store::sqlite::SqliteStore;

/// A node with its database in a directory of its own.
pub(crate) struct Node {
    pub(crate) app: App,
    pub(crate) directory: tempfile::TempDir,
}

pub(crate) fn head_office() -> Node {
    head_office_with(mytism_schema::demo::schema_xml())
}

/// With a schema of its own.
pub(crate) fn head_office_with(xml: &str) -> Node {
    let directory = tempfile::tempdir().unwrap();
    let schema = Arc::new(project(directory.path(), xml));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap());
    let app = App::create_head_office(store, schema, Arc::new(Machine::default()), "hamburg").unwrap();
    Node { app, directory }
}

fn project(directory: &Path, xml: &str) -> mytism_core::schema::Schema {
    let file = directory.join("project.xml");
    std::fs::write(&file, xml).unwrap();
    mytism_schema::project(Some(&file)).unwrap()
}

impl Node {
    pub(crate) fn of(app: App, directory: tempfile::TempDir) -> Self {
        Self { app, directory }
    }

    /// A branch of this head office, brought to life by a snapshot.
    pub(crate) fn branch(&self, name: &str) -> Node {
        self.app.add_node(&Context::local(), name, 14, &"0".repeat(64)).unwrap();
        let known = self.app.known_node(name).unwrap().unwrap();
        let enrolled = self.app.enrol(known.node, &format!("{:064}", known.node.0)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::create(directory.path(), Arc::clone(self.app.schema())).unwrap());
        let mut loader = Loader::new(Arc::clone(&store));
        let mut snapshot = self.app.snapshot().unwrap();
        while let Some(part) = snapshot.next_objects().unwrap() {
            loader.objects(&part.bytes).unwrap();
        }
        while let Some(part) = snapshot.next_entries().unwrap() {
            loader.entries(&part.bytes).unwrap();
        }
        let identity = Identity {
            name: name.to_owned(),
            node: enrolled.node,
            incarnation: enrolled.incarnation,
            authoritative: false,
        };
        let blocks: Vec<BlockId> = enrolled.blocks;
        loader.finish(&identity, &blocks, snapshot.head.position, snapshot.head.hash).unwrap();
        let app = App::open(store, Arc::clone(self.app.schema()), Arc::new(Machine::default())).unwrap();
        Node { app, directory }
    }

    /// A node on a copy of this one's database as it is now: what a restored backup is.
    pub(crate) fn older_copy(&self) -> Node {
        let directory = tempfile::tempdir().unwrap();
        for name in ["objects.db", "objects.db-wal"] {
            let from = self.directory.path().join(name);
            if from.exists() {
                std::fs::copy(from, directory.path().join(name)).unwrap();
            }
        }
        let store = SqliteStore::open(directory.path()).unwrap();
        let schema = store.schema();
        let app = App::open(Arc::new(store), schema, Arc::new(Machine::default())).unwrap();
        Node { app, directory }
    }

    pub(crate) fn call(&self, request: Request) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::new();
        self.app.call(&Context::local(), request, &mut |reply| {
            replies.push(reply);
            Ok(())
        })?;
        Ok(replies)
    }

    pub(crate) fn save(&self, changes: Vec<ChangeRequest>) -> Result<Saved, Failure> {
        let replies = self.call(Request::Save(SaveRequest { description: "test".into(), changes }))?;
        match replies.into_iter().next() {
            Some(Reply::Saved(saved)) => Ok(saved),
            other => panic!("{other:?}"),
        }
    }

    /// Makes one object and returns its id.
    pub(crate) fn make(&self, entity: &str, values: &[(&str, Input)]) -> Result<ObjectId, Failure> {
        Ok(self.save(vec![new("n", entity, values)])?.ids[0].1)
    }

    /// Rows of a query, values with `|` between them.
    pub(crate) fn rows(&self, text: &str) -> Vec<String> {
        let request = QueryRequest { text: text.into(), ..QueryRequest::default() };
        let replies = self.call(Request::Query(request)).unwrap();
        replies.into_iter().map(|reply| line(&reply)).collect()
    }

    /// Every object and the whole history, as text.
    pub(crate) fn everything(&self) -> Vec<String> {
        let view = self.app.view().unwrap();
        let mut lines: Vec<String> = Vec::new();
        for mut object in view.objects_after(0, 100_000).unwrap() {
            object.slots.sort_by_key(|(slot, _)| *slot);
            lines.push(format!("{object:?}"));
        }
        for row in view.log_after(0, 100_000, usize::MAX).unwrap() {
            lines.push(format!("{} {}", row.position, row.hash));
        }
        lines.push(format!("{:?}", view.quarantine().unwrap()));
        lines
    }

    /// Hands what the branch saved up to here, and what this decided down to it.
    pub(crate) fn exchange(&self, branch: &Node) {
        let pending = branch.app.view().unwrap().pending_after(i64::MIN, 10_000, usize::MAX).unwrap();
        if !pending.is_empty() {
            let offered = pending.into_iter().map(|row| row.bytes).collect();
            self.app.admit(branch.app.identity().node, offered).unwrap();
        }
        self.hand_down(branch);
    }

    /// The same with the content of every transaction, also of those that the branch seems to have.
    pub(crate) fn hand_down_whole(&self, branch: &Node) {
        self.try_hand_down_whole(branch).unwrap();
    }

    pub(crate) fn try_hand_down_whole(&self, branch: &Node) -> Result<(), mytism_app::AppError> {
        let known = branch.app.view().unwrap().head().unwrap().unwrap().position.number;
        let arriving = self.app.view().unwrap().log_after(known, 10_000, usize::MAX).unwrap();
        let arriving = arriving.into_iter();
        let arriving = arriving.map(|row| ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) });
        branch.app.apply(arriving.collect()).map(drop)
    }

    /// Hands all down to the branch that was decided since it last knew.
    pub(crate) fn hand_down(&self, branch: &Node) {
        let known = branch.app.view().unwrap().head().unwrap().unwrap().position.number;
        let arriving = self.app.view().unwrap().log_after(known, 10_000, usize::MAX).unwrap();
        let own = branch.app.identity().node;
        let arriving = arriving.into_iter().map(|row| ArrivingEntry {
            entry: row.entry,
            transaction: (row.transaction.node != own).then_some(row.bytes),
        });
        branch.app.apply(arriving.collect()).unwrap();
    }
}

pub(crate) fn new(label: &str, entity: &str, values: &[(&str, Input)]) -> ChangeRequest {
    let target = ChangeTarget::New { label: label.into(), entity: entity.into() };
    ChangeRequest { target, values: owned(values), expect: Vec::new(), delete: None }
}

pub(crate) fn change(id: ObjectId, values: &[(&str, Input)]) -> ChangeRequest {
    ChangeRequest { target: ChangeTarget::Object(id), values: owned(values), expect: Vec::new(), delete: None }
}

pub(crate) fn delete(id: ObjectId) -> ChangeRequest {
    ChangeRequest { delete: Some(true), ..change(id, &[]) }
}

fn owned(values: &[(&str, Input)]) -> Vec<(String, Input)> {
    values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

pub(crate) fn text(value: &str) -> Input {
    Input::Text(value.into())
}

pub(crate) fn to(id: ObjectId) -> Input {
    Input::Reference(ReferenceInput::Id(id))
}

fn line(reply: &Reply) -> String {
    let values: Vec<_> = match reply {
        Reply::Row(values) => values.iter().map(|(_, value)| word(value)).collect(),
        Reply::Object(object) => object.values.iter().map(|(_, value)| word(value)).collect(),
        other => vec![format!("{other:?}")],
    };
    values.join("|")
}

pub(crate) fn word(output: &Output) -> String {
    match output {
        Output::Value(Value::Null) => String::new(),
        Output::Value(value) => value.to_string(),
        Output::Word(word) => word.clone(),
        Output::Reference { text, .. } => text.clone(),
        Output::Away(blob) => blob.to_string(),
        Output::List(list) => format!("[{}]", list.iter().map(word).collect::<Vec<_>>().join(",")),
    }
}
