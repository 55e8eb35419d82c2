//! Nodes with number ranges, whose database and ledger can be put back separately.

use std::path::Path;
use std::sync::{Arc, Mutex};

use mytism_app::numbers::{LeasePolicy, MemoryLedger};
use mytism_app::snapshot::Loader;
use mytism_app::surroundings::Machine;
use mytism_app::{App, ArrivingEntry, Context, Identity};
use mytism_core::failure::Failure;
use mytism_core::id::{NodeId, ObjectId};
use mytism_core::number::Number;
use mytism_core::operation::{ChangeRequest, ImportBatch, ImportMode, Imported, VoidNumberLine};
use mytism_core::operation::{Input, NumberRangeLine, Output, QueryRequest, Reply, Request, SaveRequest, Saved};
use mytism_store::Store;
use mytism_store::sqlite::{Durability, SqliteStore};

use crate::world::{change, new, text, to, word};

/// A node.
pub(super) struct Site {
    app: Option<App>,
    directory: tempfile::TempDir,
    pub(super) ledger: Arc<MemoryLedger>,
    pub(super) warnings: Arc<Mutex<Vec<String>>>,
    policy: LeasePolicy,
}

/// The bytes of a database.
pub(super) struct Copy(Vec<(String, Vec<u8>)>);

const FILES: [&str; 2] = ["objects.db", "objects.db-wal"];

impl Site {
    pub(super) fn head_office(policy: LeasePolicy) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("numbers.xml");
        std::fs::write(&file, include_str!("schema.xml")).unwrap();
        let schema = Arc::new(mytism_schema::project(Some(&file)).unwrap());
        let store = fast(SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap());
        let ledger = Arc::<MemoryLedger>::default();
        let machine = Arc::new(Machine::with_ledger(Arc::clone(&ledger)));
        let app = App::create_head_office(store, schema, machine, "hamburg").unwrap();
        Self { app: None, directory, ledger, warnings: Arc::default(), policy }.with(app)
    }

    pub(super) fn branch(&self, name: &str) -> Self {
        let head = self.app();
        head.add_node(&Context::local(), name, 14, &"0".repeat(64)).unwrap();
        let known = head.known_node(name).unwrap().unwrap();
        let enrolled = head.enrol(known.node, &format!("{:064}", known.node.0)).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let store = fast(SqliteStore::create(directory.path(), Arc::clone(head.schema())).unwrap());
        let mut loader = Loader::new(Arc::clone(&store));
        let mut snapshot = head.snapshot().unwrap();
        while let Some(part) = snapshot.next_objects().unwrap() {
            loader.objects(&part.bytes).unwrap();
        }
        while let Some(part) = snapshot.next_entries().unwrap() {
            loader.entries(&part.bytes).unwrap();
        }
        let (node, incarnation) = (enrolled.node, enrolled.incarnation);
        let identity = Identity { name: name.to_owned(), node, incarnation, authoritative: false };
        loader.finish(&identity, &enrolled.blocks, snapshot.head.position, snapshot.head.hash).unwrap();
        drop(store);
        let site = Self { app: None, directory, ledger: Arc::default(), warnings: Arc::default(), policy: self.policy };
        site.opened()
    }

    fn opened(self) -> Self {
        let store = SqliteStore::open(self.directory.path()).unwrap();
        let schema = store.schema();
        let machine = Arc::new(Machine::with_ledger(Arc::clone(&self.ledger)));
        let app = App::open(fast(store), schema, machine).unwrap();
        self.with(app)
    }

    fn with(mut self, app: App) -> Self {
        app.lease_by(self.policy);
        let warnings = Arc::clone(&self.warnings);
        app.on_warning(Box::new(move |text| warnings.lock().unwrap().push(text.to_owned())));
        self.app = Some(app);
        self
    }

    /// The process ends and begins again.
    pub(super) fn restart(mut self) -> Self {
        self.app = None;
        self.opened()
    }

    /// The database as it is now.
    pub(super) fn copy(&self) -> Copy {
        let read = |name: &&str| Some(((*name).to_owned(), std::fs::read(self.directory.path().join(name)).ok()?));
        Copy(FILES.iter().filter_map(read).collect())
    }

    /// An older copy of the database is put back; the ledger stays.
    pub(super) fn put_back(mut self, copy: &Copy) -> Self {
        self.app = None;
        for name in ["objects.db", "objects.db-wal", "objects.db-shm"] {
            let _may_be_missing = std::fs::remove_file(self.directory.path().join(name));
        }
        for (name, bytes) in &copy.0 {
            std::fs::write(self.directory.path().join(name), bytes).unwrap();
        }
        self.opened()
    }

    /// The whole machine is put back, or its database and no ledger at all.
    pub(super) fn put_back_with(mut self, copy: &Copy, ledger: Option<&[u8]>) -> Self {
        self.app = None;
        self.ledger = Arc::default();
        if let Some(text) = ledger {
            mytism_app::numbers::Ledger::replace(&self.ledger, text).unwrap();
        }
        self.put_back(copy)
    }

    /// The ledger is lost, or says something else.
    pub(super) fn with_ledger(mut self, text: Option<&[u8]>) -> Self {
        self.app = None;
        self.ledger = Arc::default();
        if let Some(text) = text {
            mytism_app::numbers::Ledger::replace(&self.ledger, text).unwrap();
        }
        self.opened()
    }

    pub(super) fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    pub(super) fn node(&self) -> NodeId {
        self.app().identity().node
    }

    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn call(&self, request: Request) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::new();
        self.app().call(&Context::local(), request, &mut |reply| {
            replies.push(reply);
            Ok(())
        })?;
        Ok(replies)
    }

    pub(super) fn save(&self, changes: Vec<ChangeRequest>) -> Result<Saved, Failure> {
        let replies = self.call(Request::Save(SaveRequest { description: "test".into(), changes }))?;
        match replies.into_iter().next() {
            Some(Reply::Saved(saved)) => Ok(saved),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn make(&self, entity: &str, values: &[(&str, Input)]) -> Result<ObjectId, Failure> {
        Ok(self.save(vec![new("n", entity, values)])?.ids[0].1)
    }

    /// A range of a node.
    pub(super) fn range(&self, name: &str, node: &str, more: &[(&str, i64)]) -> Result<ObjectId, Failure> {
        let node = self.row(&format!("select n as id from Node n where n.Name = '{node}'"));
        let mut values = vec![("Name", text(name)), ("Node", to(node.parse().unwrap()))];
        values.extend(more.iter().map(|(name, value)| (*name, Input::Number(value.to_string()))));
        self.make("NumberRange", &values)
    }

    pub(super) fn edit(&self, id: ObjectId, values: &[(&str, Input)]) -> Result<Saved, Failure> {
        self.save(vec![change(id, values)])
    }

    /// Makes a bill and returns its number.
    pub(super) fn bill(&self) -> Option<i64> {
        let id = self.make("Bill", &[]).unwrap();
        self.row(&format!("select b.Number from Bill b where b = {id}")).parse().ok()
    }

    /// The one row of a query.
    pub(super) fn row(&self, query: &str) -> String {
        self.rows(query).remove(0)
    }

    pub(super) fn rows(&self, query: &str) -> Vec<String> {
        let request = QueryRequest { text: query.into(), ..QueryRequest::default() };
        let row = |reply| match reply {
            Reply::Row(values) => values.iter().map(|(_, value)| plain(value)).collect::<Vec<_>>().join("|"),
            other => panic!("{other:?}"),
        };
        self.call(Request::Query(request)).unwrap().into_iter().map(row).collect()
    }

    pub(super) fn import(
        &self,
        rows: &[&[Option<&str>]],
        skip_bad_rows: bool,
        dry_run: bool,
    ) -> Result<Imported, Failure> {
        let batch = ImportBatch {
            run: None,
            description: "import".into(),
            entity: "Bill".into(),
            key: None,
            columns: vec!["Code".into(), "Number".into()],
            rows: rows.iter().map(|row| row.iter().map(|cell| cell.map(str::to_owned)).collect()).collect(),
            mode: ImportMode::Insert,
            skip_bad_rows,
            dry_run,
            notation: None,
            whole: None,
            preview: None,
        };
        match self.call(Request::Import(batch))?.remove(0) {
            Reply::Imported(imported) => Ok(imported),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn ranges(&self) -> Vec<NumberRangeLine> {
        let replies = self.call(Request::NumberRanges).unwrap().into_iter();
        let line = |reply| match reply {
            Reply::NumberRange(line) => line,
            other => panic!("{other:?}"),
        };
        replies.map(line).collect()
    }

    /// The one range of that name here, as `next/left/leased/state`.
    pub(super) fn shown(&self, name: &str, node: &str) -> String {
        let line = self.ranges().into_iter().find(|line| line.name == name && line.node == node).unwrap();
        let or_dash = |number: Option<Number>| number.map_or("-".to_owned(), |number| number.to_string());
        format!("{}/{}/{}/{}", or_dash(line.next), line.left, or_dash(line.leased), line.state)
    }

    pub(super) fn void_lines(&self, range: Option<&str>) -> Vec<VoidNumberLine> {
        let replies = self.call(Request::VoidNumbers { range: range.map(str::to_owned) }).unwrap().into_iter();
        let line = |reply| match reply {
            Reply::VoidNumber(line) => line,
            other => panic!("{other:?}"),
        };
        replies.map(line).collect()
    }

    /// Numbers that may be missing, as `from-to cause`.
    pub(super) fn void(&self) -> Vec<String> {
        self.void_lines(None).iter().map(|line| format!("{}-{} {}", line.from, line.to, line.cause)).collect()
    }

    pub(super) fn set_next(&self, range: &str, next: i64) -> Result<Saved, Failure> {
        let request = Request::SetNextNumber { range: range.into(), next: Number(next) };
        match self.call(request)?.remove(0) {
            Reply::Saved(saved) => Ok(saved),
            other => panic!("{other:?}"),
        }
    }

    /// Whether one of the warnings since the last look says so.
    pub(super) fn has_told(&self, words: &str) -> bool {
        self.told().iter().any(|text| text.contains(words))
    }

    /// All warnings since the last look.
    pub(super) fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.warnings.lock().unwrap())
    }

    /// Hands what a branch saved up to here, and what this decided down to it; leases as at the begin of a line.
    pub(super) fn exchange(&self, branch: &Self) {
        self.exchange_entries(branch);
        self.lease(branch);
    }

    pub(super) fn lease(&self, branch: &Self) {
        let wishes = branch.app().lease_wishes().unwrap();
        let leases = self.app().grant_leases(branch.node(), wishes).unwrap();
        branch.app().take_leases(leases).unwrap();
    }

    pub(super) fn exchange_entries(&self, branch: &Self) {
        let pending = branch.app().view().unwrap().pending_after(i64::MIN, 10_000, usize::MAX).unwrap();
        if !pending.is_empty() {
            let offered = pending.into_iter().map(|row| row.bytes).collect();
            self.app().admit(branch.node(), offered).unwrap();
        }
        let known = branch.app().view().unwrap().head().unwrap().unwrap().position.number;
        let arriving = self.app().view().unwrap().log_after(known, 10_000, usize::MAX).unwrap();
        let arriving = arriving.into_iter().map(|row| ArrivingEntry { entry: row.entry, transaction: Some(row.bytes) });
        branch.app().apply(arriving.collect()).unwrap();
    }
}

fn plain(output: &Output) -> String {
    match output {
        Output::Reference { id, .. } => id.to_string(),
        other => word(other),
    }
}

fn fast(store: SqliteStore) -> Arc<dyn Store> {
    store.set_durability(Durability::None).unwrap();
    Arc::new(store)
}
