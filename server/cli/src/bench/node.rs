//! Nodes in this process, with a store that notes which saves became durable together, and the orders that they save.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mytism_app::cluster::Enrolled;
use mytism_app::snapshot::Loader;
use mytism_app::surroundings::Machine;
use mytism_app::{App, AppError, Context, Identity};
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{
    ChangeRequest, ChangeTarget, ImportBatch, ImportMode, Input, ReferenceInput, Reply, Request, SaveRequest, Sink,
};
use mytism_core::schema::Schema;
use mytism_store::bench::{Group, Run};
use mytism_store::sqlite::{Durability, SqliteStore};
use mytism_store::{Batch, Store, StoreError, View};

/// Customers that orders refer to.
const CUSTOMERS: u64 = 100;
/// Employees that take orders.
const EMPLOYEES: u64 = 10;
/// Blocks of 65,536 ids that the head office takes beforehand: more orders than a measurement makes.
const BLOCKS: usize = 16;

/// A store that notes what each commit held.
struct Recorder {
    store: SqliteStore,
    groups: Arc<Mutex<Vec<Group>>>,
}

impl Store for Recorder {
    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.store.view()
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.store.commit(batch)?;
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).push(Group::of(batch));
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.store.bytes()
    }
}

/// A node with its database in a directory.
pub(super) struct Node {
    pub(super) app: App,
    pub(super) directory: PathBuf,
    groups: Arc<Mutex<Vec<Group>>>,
}

/// The schema of the demo. `directory` is for its file.
pub(super) fn schema(directory: &Path) -> Result<Arc<Schema>, Failure> {
    let file = directory.join("trade.xml");
    std::fs::write(&file, mytism_schema::demo::schema_xml())
        .map_err(|error| Failure::failed("file-error", format!("cannot write {}: {error}", file.display())))?;
    let schema = mytism_schema::project(Some(&file)).map_err(|problems| {
        let first = problems.first().map_or_else(String::new, ToString::to_string);
        Failure::failed("schema-error", format!("the schema of the demo does not hold: {first}"))
    })?;
    Ok(Arc::new(schema))
}

impl Node {
    /// A head office with customers and ids for many orders.
    pub(super) fn head_office(directory: PathBuf, schema: &Arc<Schema>, sure: Durability) -> Result<Self, Failure> {
        let (store, groups) = recorder(&directory, schema, sure)?;
        let machine = Arc::new(Machine::default());
        let app = App::create_head_office(store, Arc::clone(schema), machine, "bench").map_err(failure)?;
        let own = app.identity().node;
        let blocks = (0..BLOCKS).map(|_| app.give_block(own)).collect::<Result<_, _>>().map_err(failure)?;
        app.take_blocks(blocks).map_err(failure)?;
        Ok(Self { app, directory, groups })
    }

    /// One whose commits are not noted.
    pub(super) fn of(app: App, directory: PathBuf) -> Self {
        Self { app, directory, groups: Arc::default() }
    }

    /// Lets branches join, one in each directory. They are filled when all are known, so that nothing that any of them
    /// lacks afterwards is about a branch.
    pub(super) fn branches(&self, directories: Vec<PathBuf>) -> Result<Vec<Self>, Failure> {
        let enrol = |(number, directory)| {
            let name = format!("branch{number}");
            let account = self.app.add_node(&Context::local(), &name, 1, &"0".repeat(64))?;
            let enrolled = self.app.enrol(account.node, &format!("{:064}", account.node.0))?;
            Ok((name, enrolled, directory))
        };
        let enrolled =
            (0..).zip(directories).map(enrol).collect::<Result<Vec<(String, _, _)>, _>>().map_err(failure)?;
        let branch = |(name, enrolled, directory): (String, Enrolled, PathBuf)| {
            let (store, groups) = recorder(&directory, self.app.schema(), Durability::Full)?;
            let app = self.filled(store, name, &enrolled).map_err(failure)?;
            Ok(Self { app, directory, groups })
        };
        enrolled.into_iter().map(branch).collect()
    }

    /// A branch with all that this head office holds.
    fn filled(&self, store: Arc<dyn Store>, name: String, enrolled: &Enrolled) -> Result<App, AppError> {
        let mut snapshot = self.app.snapshot()?;
        let mut loader = Loader::new(Arc::clone(&store));
        while let Some(part) = snapshot.next_objects()? {
            loader.objects(&part.bytes)?;
        }
        while let Some(part) = snapshot.next_entries()? {
            loader.entries(&part.bytes)?;
        }
        let (node, incarnation) = (enrolled.node, enrolled.incarnation);
        let identity = Identity { name, node, incarnation, authoritative: false };
        loader.finish(&identity, &enrolled.blocks, snapshot.head.position, snapshot.head.hash)?;
        App::open(store, Arc::clone(self.app.schema()), Arc::new(Machine::default()))
    }

    /// Number of the last entry of its log.
    pub(super) fn position(&self) -> Result<u64, Failure> {
        let head = self.app.view().map_err(failure)?.head().map_err(|error| error.failure())?;
        Ok(head.map_or(0, |head| head.position.number))
    }

    /// Begins a run: what was noted so far is forgotten. Returns where the log ends.
    pub(super) fn begin(&self) -> Result<u64, Failure> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.position()
    }

    /// Ends a run that began at a position, and the node with it.
    pub(super) fn end(self, after: u64) -> Run {
        // Before it stops, since a node that stops keeps what it has left, which is no save.
        let groups = std::mem::take(&mut *self.groups.lock().unwrap_or_else(PoisonError::into_inner));
        self.app.stop();
        Run { after, groups }
    }

    /// Makes the customers that orders refer to.
    pub(super) fn customers(&self) -> Result<Vec<ObjectId>, Failure> {
        make_customers(&mut |request, sink| self.call(request, sink))
    }

    /// Saves one order of ten values; `number` is its number.
    pub(super) fn order(&self, number: u64, customers: &[ObjectId]) -> Result<ObjectId, Failure> {
        make_order(&mut |request, sink| self.call(request, sink), number, customers)
    }

    /// Makes orders of these numbers, at most as many as one import takes.
    pub(super) fn import_orders(&self, numbers: Range<u64>) -> Result<(), Failure> {
        let columns = ["OrderID", "Customer", "ShipCity", "Freight"];
        let row = |number: u64| {
            let customer = format!("C{:05}", number.wrapping_mul(7919) % CUSTOMERS);
            let freight = format!("{}.{:02}", number % 500, number % 100);
            vec![number.to_string(), customer, format!("Ort {}", number % 1000), freight]
        };
        self.import("Order", &columns, numbers.map(row), ImportMode::Insert)
    }

    /// Lets orders of these numbers go elsewhere, in one transaction.
    pub(super) fn move_orders(&self, numbers: Range<u64>) -> Result<(), Failure> {
        let row = |number: u64| vec![number.to_string(), "Hamburg".to_owned()];
        self.import("Order", &["OrderID", "ShipCity"], numbers.map(row), ImportMode::Update)
    }

    fn import(
        &self,
        entity: &str,
        columns: &[&str],
        rows: impl Iterator<Item = Vec<String>>,
        mode: ImportMode,
    ) -> Result<(), Failure> {
        let batch = ImportBatch {
            run: None,
            description: "orders".to_owned(),
            entity: entity.to_owned(),
            key: None,
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            rows: rows.map(|row| row.into_iter().map(Some).collect()).collect(),
            mode,
            skip_bad_rows: false,
            dry_run: false,
            notation: None,
            whole: None,
            preview: None,
        };
        self.call(Request::Import(batch), &mut |_| Ok(()))
    }

    /// Asks the node something.
    pub(super) fn call(&self, request: Request, sink: &mut Sink<'_>) -> Result<(), Failure> {
        self.app.call(&Context::local(), request, sink)
    }

    /// Takes ids for so many objects.
    pub(super) fn take_blocks(&self, objects: u64) -> Result<(), Failure> {
        let own = self.app.identity().node;
        let blocks = (0..objects / 65_536 + 2).map(|_| self.app.give_block(own));
        let blocks = blocks.collect::<Result<_, _>>().map_err(failure)?;
        self.app.take_blocks(blocks).map_err(failure)
    }

    /// Makes employees, three of whom the others report to.
    pub(super) fn employees(&self) -> Result<(), Failure> {
        let named = |number: u64| vec![number.to_string(), format!("Name {number}")];
        self.import("Employee", &["EmployeeID", "LastName"], (1..=3).map(named), ImportMode::Insert)?;
        let reporting = |number: u64| vec![number.to_string(), format!("Name {number}"), (number % 3 + 1).to_string()];
        self.import(
            "Employee",
            &["EmployeeID", "LastName", "ReportsTo"],
            (4..=EMPLOYEES).map(reporting),
            ImportMode::Insert,
        )
    }

    /// The same as [`Self::import_orders`], with the employees who took them.
    pub(super) fn import_taken(&self, numbers: Range<u64>) -> Result<(), Failure> {
        let columns = ["OrderID", "Customer", "ShipCity", "Freight", "Employee"];
        let row = |number: u64| {
            let customer = format!("C{:05}", number.wrapping_mul(7919) % CUSTOMERS);
            let freight = format!("{}.{:02}", number % 500, number % 100);
            let employee = (number % EMPLOYEES + 1).to_string();
            vec![number.to_string(), customer, format!("Ort {}", number % 1000), freight, employee]
        };
        self.import("Order", &columns, numbers.map(row), ImportMode::Insert)
    }

    /// Gives an order ten other values; `number` is one that it did not have before.
    pub(super) fn change(&self, order: ObjectId, number: u64) -> Result<(), Failure> {
        let day = |month: &str| format!("2026-{month}-{:02}T00:00:{:02}Z", number % 28 + 1, number % 60);
        let values = vec![
            text("OrderDate", &day("09")),
            text("RequiredDate", &day("10")),
            text("ShippedDate", &day("11")),
            ("Freight".to_owned(), Input::Number(format!("{}.{:02}", number % 5000, number % 100))),
            text("ShipName", &format!("Lager {number}")),
            text("ShipAddress", &format!("Speicherstraße {number}")),
            text("ShipCity", &format!("Hafen {number}")),
            text("ShipRegion", &format!("Nord {number}")),
            text("ShipPostalCode", &number.to_string()),
            text("ShipCountry", &format!("Land {number}")),
        ];
        let target = ChangeTarget::Object(order);
        let change = ChangeRequest { target, values, expect: Vec::new(), delete: None };
        self.save("change", vec![change]).map(drop)
    }

    fn save(&self, description: &str, changes: Vec<ChangeRequest>) -> Result<Vec<ObjectId>, Failure> {
        save(&mut |request, sink| self.call(request, sink), description, changes)
    }
}

/// How a node is asked, wherever it runs.
pub(super) type Ask<'a> = dyn FnMut(Request, &mut Sink<'_>) -> Result<(), Failure> + 'a;

/// Makes the customers that orders refer to.
pub(super) fn make_customers(ask: &mut Ask<'_>) -> Result<Vec<ObjectId>, Failure> {
    let change = |number: u64| {
        let name = format!("Customer {number}");
        let values = vec![text("CustomerID", &format!("C{number:05}")), text("CompanyName", &name)];
        new("Customer", format!("c{number}"), values)
    };
    save(ask, "customers", (0..CUSTOMERS).map(change).collect())
}

/// Saves one order of ten values; `number` is its number.
pub(super) fn make_order(ask: &mut Ask<'_>, number: u64, customers: &[ObjectId]) -> Result<ObjectId, Failure> {
    // Customers order in no order.
    let index = usize::try_from(number.wrapping_mul(7919) % CUSTOMERS).unwrap_or(0);
    let customer = customers.get(index).ok_or_else(|| Failure::failed("internal", "there are no customers"))?;
    let (days, seconds) = (number / 86_400 % 28 + 1, number % 86_400);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let values = vec![
        ("OrderID".to_owned(), Input::Number(number.to_string())),
        ("Customer".to_owned(), Input::Reference(ReferenceInput::Id(*customer))),
        text("OrderDate", &format!("2026-10-{days:02}T{hour:02}:{minute:02}:{second:02}Z")),
        text("RequiredDate", &format!("2026-11-{days:02}T00:00:00Z")),
        ("Freight".to_owned(), Input::Number(format!("{}.{:02}", number % 500, number % 100))),
        text("ShipName", &format!("Lager {}", number % 1000)),
        text("ShipAddress", &format!("Speicherstraße {}", number % 300)),
        text("ShipCity", "Hamburg"),
        text("ShipPostalCode", &format!("{:05}", 20_000 + number % 1000)),
        text("ShipCountry", "Deutschland"),
    ];
    let made = save(ask, "order", vec![new("Order", "o".to_owned(), values)])?;
    made.first().copied().ok_or_else(|| Failure::failed("internal", "an order was saved without an id"))
}

fn save(ask: &mut Ask<'_>, description: &str, changes: Vec<ChangeRequest>) -> Result<Vec<ObjectId>, Failure> {
    let mut ids = Vec::new();
    let request = Request::Save(SaveRequest { description: description.to_owned(), changes });
    ask(request, &mut |reply| {
        if let Reply::Saved(saved) = reply {
            ids = saved.ids.into_iter().map(|(_, id)| id).collect();
        }
        Ok(())
    })?;
    Ok(ids)
}

fn recorder(directory: &Path, schema: &Arc<Schema>, sure: Durability) -> Result<Noted, Failure> {
    let make = || {
        let store = SqliteStore::create(directory, Arc::clone(schema))?;
        store.set_durability(sure)?;
        Ok(store)
    };
    let store = make().map_err(|error: StoreError| error.failure())?;
    let groups = Arc::default();
    Ok((Arc::new(Recorder { store, groups: Arc::clone(&groups) }), groups))
}

type Noted = (Arc<dyn Store>, Arc<Mutex<Vec<Group>>>);

fn new(entity: &str, label: String, values: Vec<(String, Input)>) -> ChangeRequest {
    let target = ChangeTarget::New { label, entity: entity.to_owned() };
    ChangeRequest { target, values, expect: Vec::new(), delete: None }
}

fn text(name: &str, value: &str) -> (String, Input) {
    (name.to_owned(), Input::Text(value.to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn failure(error: AppError) -> Failure {
    error.failure()
}
