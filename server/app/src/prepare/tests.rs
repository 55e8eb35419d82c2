//! Saves that are prepared side by side come out as if they had been made one after another.
//!
//! A seed decides on a few saves, when each is prepared, and which of them are committed in one group. The node under
//! test does that; another one, on the same database, gets the same saves one by one in the order in which they were
//! decided on: committed, or refused. Both must give the same answers and end in the same state.

use std::path::Path;
use std::sync::{Arc, Mutex};

use mytism_core::change::{Change, Slot};
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{ChangeRequest, ChangeTarget, Input, QueryRequest, ReferenceInput, Reply, Request};
use mytism_core::operation::{SaveRequest, Saved};
use mytism_core::value::Value;
use mytism_store::QueryRow;
use mytism_store::sqlite::{Durability, SqliteStore};
use proptest::prelude::*;

use super::*;
use crate::context::Context;
use crate::draft::Draft;
use crate::surroundings::Machine;
use crate::{App, Behaviour};

/// The most that the open orders of one customer may come to, where somebody looks.
const LIMIT: i64 = 100;

#[derive(Clone, Debug)]
enum Save {
    /// An order with a number (which is unique), of a customer.
    Order {
        number: i64,
        customer: usize,
        freight: i64,
    },
    /// Another freight, if it is still the expected one where one is expected.
    Freight {
        order: usize,
        freight: i64,
        expected: Option<i64>,
    },
    /// Another customer.
    Move {
        order: usize,
        customer: usize,
    },
    /// A line, which goes when its order is deleted.
    Line {
        order: usize,
        quantity: i64,
    },
    DeleteOrder {
        order: usize,
    },
    /// Refused as long as orders refer to it.
    DeleteCustomer {
        customer: usize,
    },
    /// Another number (which is unique).
    Rename {
        customer: usize,
        number: usize,
    },
    /// The members of a group, as a whole or one more or one less.
    Members {
        users: Vec<usize>,
        how: u8,
    },
}

/// What happens with a save.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It is prepared.
    Prepare(usize),
    /// It waits for the lane, with others.
    Enqueue(usize),
    /// All that wait are committed as one group.
    Commit,
}

/// What the saves are about.
struct World {
    customers: Vec<ObjectId>,
    orders: Vec<ObjectId>,
    users: Vec<ObjectId>,
    product: ObjectId,
    group: ObjectId,
}

/// A limit on the sum of a customer's orders, as a hook would check it.
struct CreditLimit;

impl Behaviour for CreditLimit {
    fn before_save(&self, saving: &mut Saving<'_, '_>) -> Result<(), Failure> {
        let order = saving.schema().entity("Order").unwrap();
        let attribute = |name: &str| order.member(name).unwrap().id;
        let (freight, customer) = (attribute("Freight"), attribute("Customer"));
        let changed: std::collections::BTreeSet<ObjectId> = saving
            .changes()
            .iter()
            .filter(|change: &&Change| change.entity == order.id)
            .map(|change| change.object)
            .collect();
        for id in &changed {
            let Some(state) = saving.object(*id)? else { continue };
            let Value::Reference(of) = state.get(Slot::attribute(customer)) else { continue };
            let text = "select o as id, o.Freight as f from Order o where o.Customer = $c";
            let params = [("c".to_owned(), Input::Reference(ReferenceInput::Id(of)))];
            let mut sum = 0;
            for row in saving.query(text, &params)? {
                let QueryRow::Values(values) = row else { panic!("{row:?}") };
                // What this save changes counts as it will be.
                if !changed.contains(&values[0].reference().unwrap()) {
                    sum += whole(&values[1]);
                }
            }
            for other in &changed {
                let Some(state) = saving.object(*other)? else { continue };
                let alive = state.meta.life == mytism_core::change::Life::Alive;
                if alive && state.get(Slot::attribute(customer)) == Value::Reference(of) {
                    sum += whole(&state.get(Slot::attribute(freight)));
                }
            }
            if sum > LIMIT {
                return Err(Failure::refused("credit-limit", format!("{sum} is more than {LIMIT}")));
            }
        }
        Ok(())
    }
}

fn whole(value: &Value) -> i64 {
    match value {
        Value::Decimal(number) => i64::try_from(number.mantissa() / 100).unwrap(),
        Value::Null => 0,
        other => panic!("{other:?}"),
    }
}

fn node(directory: &Path, fresh: bool, limited: bool) -> App {
    let store = if fresh {
        let file = directory.join("trade.xml");
        std::fs::write(&file, mytism_schema::demo::schema_xml()).unwrap();
        SqliteStore::create(directory, Arc::new(mytism_schema::project(Some(&file)).unwrap())).unwrap()
    } else {
        SqliteStore::open(directory).unwrap()
    };
    store.set_durability(Durability::None).unwrap();
    let schema = store.schema();
    let machine = Arc::new(Machine::default());
    let app = if fresh {
        App::create_head_office(Arc::new(store), schema, machine, "hamburg").unwrap()
    } else {
        App::open(Arc::new(store), schema, machine).unwrap()
    };
    if limited {
        app.add_behaviour(Arc::new(CreditLimit));
    }
    app
}

impl World {
    /// Two customers with an order each, two users, an empty group.
    fn fill(app: &App) -> Self {
        let number = |number: i64| Input::Number(number.to_string());
        let mut changes = Vec::new();
        for index in 0..2 {
            let key = format!("C{index}");
            changes.push(new(&key, "Customer", vec![("CustomerID", Input::Text(key.clone()))]));
            let customer = Input::Reference(ReferenceInput::Label(key));
            let values = vec![("OrderID", number(index)), ("Customer", customer), ("Freight", number(40))];
            changes.push(new(&format!("O{index}"), "Order", values));
            changes.push(new(&format!("U{index}"), "User", vec![("Name", Input::Text(format!("user{index}")))]));
        }
        let name = |name: &str| Input::Text(name.to_owned());
        let product = vec![("ProductID", number(1)), ("ProductName", name("tea"))];
        changes.push(new("P", "Product", product));
        changes.push(new("G", "Group", vec![("Name", name("sales"))]));
        let saved = save(app, changes).unwrap();
        let of = |label: &str| saved.ids.iter().find(|(found, _)| found == label).unwrap().1;
        let each = |letter: &str| (0..2).map(|index| of(&format!("{letter}{index}"))).collect();
        let (customers, orders, users) = (each("C"), each("O"), each("U"));
        Self { product: of("P"), group: of("G"), customers, orders, users }
    }

    fn request(&self, wanted: &Save) -> SaveRequest {
        let number = |number: i64| Input::Number(number.to_string());
        let to = |id: ObjectId| Input::Reference(ReferenceInput::Id(id));
        let changes = match wanted {
            Save::Order { number: n, customer, freight } => {
                let customer = to(self.customers[*customer]);
                let values = vec![("OrderID", number(*n)), ("Customer", customer), ("Freight", number(*freight))];
                vec![new("o", "Order", values)]
            }
            Save::Freight { order, freight, expected } => {
                let expect = expected.iter().map(|freight| ("Freight".to_owned(), number(*freight))).collect();
                vec![ChangeRequest { expect, ..change(self.orders[*order], vec![("Freight", number(*freight))]) }]
            }
            Save::Move { order, customer } => {
                vec![change(self.orders[*order], vec![("Customer", to(self.customers[*customer]))])]
            }
            Save::Line { order, quantity } => {
                let values = vec![
                    ("Order", to(self.orders[*order])),
                    ("Product", to(self.product)),
                    ("Quantity", number(*quantity)),
                ];
                vec![new("l", "OrderLine", values)]
            }
            Save::DeleteOrder { order } => vec![delete(self.orders[*order])],
            Save::DeleteCustomer { customer } => vec![delete(self.customers[*customer])],
            Save::Rename { customer, number } => {
                let key = Input::Text(format!("C{number}"));
                vec![change(self.customers[*customer], vec![("CustomerID", key)])]
            }
            Save::Members { users, how } => {
                let list = users.iter().map(|user| ReferenceInput::Id(self.users[*user])).collect();
                let members = match how {
                    0 => Input::List(list),
                    1 => Input::Difference { add: list, remove: Vec::new() },
                    _ => Input::Difference { add: Vec::new(), remove: list },
                };
                vec![change(self.group, vec![("Members", members)])]
            }
        };
        SaveRequest { description: String::new(), changes }
    }
}

/// All that the saves can change, without ids of what they made.
fn state(app: &App) -> Vec<String> {
    let texts = [
        "select c.CustomerID from Customer c order by c.CustomerID",
        "select o.OrderID, o.Customer.CustomerID, o.Freight from Order o order by o.OrderID",
        "select l.Order.OrderID as o, l.Quantity as q from OrderLine l order by o, q",
        "from Group g where g.Name = \"sales\"",
    ];
    let replies = texts.iter().flat_map(|text| {
        let request = QueryRequest { text: (*text).to_owned(), ..QueryRequest::default() };
        call(app, Request::Query(request)).unwrap()
    });
    replies
        .map(|reply| match reply {
            Reply::Object(object) => format!("{:?}", object.values),
            other => format!("{other:?}"),
        })
        .collect()
}

fn new(label: &str, entity: &str, values: Vec<(&str, Input)>) -> ChangeRequest {
    let target = ChangeTarget::New { label: label.to_owned(), entity: entity.to_owned() };
    ChangeRequest { target, values: owned(values), expect: Vec::new(), delete: None }
}

fn change(id: ObjectId, values: Vec<(&str, Input)>) -> ChangeRequest {
    ChangeRequest { target: ChangeTarget::Object(id), values: owned(values), expect: Vec::new(), delete: None }
}

fn delete(id: ObjectId) -> ChangeRequest {
    ChangeRequest { delete: Some(true), ..change(id, Vec::new()) }
}

fn owned(values: Vec<(&str, Input)>) -> Vec<(String, Input)> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn call(app: &App, request: Request) -> Result<Vec<Reply>, Failure> {
    let mut replies = Vec::new();
    app.call(&Context::local(), request, &mut |reply| {
        replies.push(reply);
        Ok(())
    })?;
    Ok(replies)
}

fn save(app: &App, changes: Vec<ChangeRequest>) -> Result<Saved, Failure> {
    match call(app, Request::Save(SaveRequest { description: String::new(), changes }))?.pop() {
        Some(Reply::Saved(saved)) => Ok(saved),
        other => panic!("{other:?}"),
    }
}

/// An answer without what depends on the moment.
fn outcome<T>(result: &Result<T, AppError>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => error.failure().code,
    }
}

fn drafting(request: SaveRequest) -> impl Drafting<()> {
    move |work: &mut Work<'_>| {
        let mut draft = Draft::new(work, &Context::local());
        draft.take(&request)?;
        let (changes, stamp) = draft.finish()?;
        Ok(Drafted { about: About::default(), stamp, changes, answer: () })
    }
}

/// The node under test at work: which saves stand where, and in which order they were decided on.
struct Run<'w> {
    app: &'w App,
    world: &'w World,
    saves: &'w [Save],
    prepared: Vec<Option<Box<Prepared<()>>>>,
    tries: Vec<usize>,
    waiting: Vec<usize>,
    decided: Vec<(usize, String)>,
}

impl Run<'_> {
    fn draft(&self, save: usize) -> impl Drafting<()> {
        drafting(self.world.request(&self.saves[save]))
    }

    fn is_decided(&self, save: usize) -> bool {
        self.decided.iter().any(|(decided, _)| *decided == save)
    }

    fn decide(&mut self, save: usize, outcome: String) {
        self.prepared[save] = None;
        self.decided.push((save, outcome));
    }

    fn prepare(&mut self, save: usize) {
        if self.is_decided(save) || self.prepared[save].is_some() || self.waiting.contains(&save) {
            return;
        }
        let Some(look) = LOOKS.get(self.tries[save]) else {
            let draft = self.draft(save);
            let result = self.app.lane.execute_alone(move |work| in_lane(work, &draft));
            return self.decide(save, outcome(&result));
        };
        self.tries[save] += 1;
        match beside(&self.app.foundation, *look, &self.draft(save)) {
            Err(AppError::Moved) => self.prepare(save),
            Ok(Beside::Unchanged(())) => self.decide(save, "done".to_owned()),
            Ok(Beside::Prepared(prepared)) => self.prepared[save] = Some(prepared),
            Err(error) => self.decide(save, outcome::<()>(&Err(error))),
        }
    }

    /// All that wait, in one group.
    fn commit(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let lane = &self.app.lane;
        let results = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let held = lane.hold();
            for (place, save) in waiting.iter().enumerate() {
                let mut prepared = self.prepared[*save].take();
                let results = &results;
                scope.spawn(move || {
                    let result = lane.execute(move |work| prepared.take().ok_or(AppError::Moved)?.commit(work));
                    results.lock().unwrap().push((place, *save, result));
                });
                while lane.waiting() <= place {
                    std::thread::yield_now();
                }
            }
            drop(held);
        });
        let mut results = results.into_inner().unwrap();
        results.sort_by_key(|(place, ..)| *place);
        for (_, save, result) in results {
            match result {
                Err(AppError::Moved) => {}
                result => self.decide(save, outcome(&result)),
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Prepare(save) | Step::Enqueue(save) if save >= self.saves.len() => {}
            Step::Prepare(save) => self.prepare(save),
            Step::Enqueue(save) if self.prepared[save].is_some() && !self.waiting.contains(&save) => {
                self.waiting.push(save);
            }
            Step::Enqueue(_) => {}
            Step::Commit => self.commit(),
        }
    }
}

fn check(saves: &[Save], steps: &[Step], limited: bool) {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let app = node(one.path(), true, limited);
    let world = World::fill(&app);
    for name in ["objects.db", "objects.db-wal"] {
        std::fs::copy(one.path().join(name), other.path().join(name)).unwrap();
    }
    let mut run = Run {
        app: &app,
        world: &world,
        saves,
        prepared: saves.iter().map(|_| None).collect(),
        tries: vec![0; saves.len()],
        waiting: Vec::new(),
        decided: Vec::new(),
    };
    steps.iter().for_each(|step| run.step(*step));
    // Whatever is left goes its way.
    while run.decided.len() < saves.len() {
        for save in 0..saves.len() {
            run.step(Step::Prepare(save));
            run.step(Step::Enqueue(save));
        }
        run.step(Step::Commit);
    }
    let decided = run.decided;
    let serial = node(other.path(), false, limited);
    for (save, expected) in &decided {
        let draft = drafting(world.request(&saves[*save]));
        let result = serial.lane.execute_alone(move |work| in_lane(work, &draft));
        assert_eq!(&outcome(&result), expected, "{:?}, one after another: {decided:?}", saves[*save]);
    }
    assert_eq!(state(&app), state(&serial), "{decided:?}");
}

fn saves() -> impl Strategy<Value = Vec<Save>> {
    let two = || 0..2usize;
    let freight = || prop_oneof![Just(10), Just(40), Just(60), Just(70)];
    let expected = proptest::option::of(prop_oneof![Just(40), Just(60)]);
    let save = prop_oneof![
        3 => (1i64..4, two(), freight()).prop_map(|(number, customer, freight)| Save::Order { number, customer, freight }),
        3 => (two(), freight(), expected)
            .prop_map(|(order, freight, expected)| Save::Freight { order, freight, expected }),
        2 => (two(), two()).prop_map(|(order, customer)| Save::Move { order, customer }),
        1 => (two(), 1i64..3).prop_map(|(order, quantity)| Save::Line { order, quantity }),
        1 => two().prop_map(|order| Save::DeleteOrder { order }),
        2 => two().prop_map(|customer| Save::DeleteCustomer { customer }),
        2 => (two(), 0..4usize).prop_map(|(customer, number)| Save::Rename { customer, number }),
        2 => (proptest::collection::vec(two(), 0..3), 0..3u8).prop_map(|(users, how)| Save::Members { users, how }),
    ];
    proptest::collection::vec(save, 2..=5)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..5usize).prop_map(Step::Prepare),
        3 => (0..5usize).prop_map(Step::Enqueue),
        1 => Just(Step::Commit),
    ];
    proptest::collection::vec(step, 4..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("MYTISM_LONG").is_some() { 20_000 } else { 150 }, ..ProptestConfig::default() })]

    #[test]
    fn parallel_saves_come_out_as_if_one_after_another(saves in saves(), steps in steps(), limited in any::<bool>()) {
        check(&saves, &steps, limited);
    }
}

#[test]
fn a_limit_on_a_sum_is_not_passed_twice() {
    let order = |number| Save::Order { number, customer: 0, freight: 60 };
    let steps = [Step::Prepare(0), Step::Prepare(1), Step::Enqueue(0), Step::Enqueue(1), Step::Commit];
    // The numbers 0 and 1 are taken, and a refusal for that would hide the limit.
    check(&[order(2), order(3)], &steps, true);
}

#[test]
fn many_threads_lose_no_change_of_one_object() {
    let directory = tempfile::tempdir().unwrap();
    let app = node(directory.path(), true, false);
    let world = World::fill(&app);
    let order = world.orders[0];
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    loop {
                        let read = freight(&app);
                        let number = |number: i64| Input::Number(number.to_string());
                        let expect = vec![("Freight".to_owned(), number(read))];
                        let wanted = ChangeRequest { expect, ..change(order, vec![("Freight", number(read + 1))]) };
                        match save(&app, vec![wanted]) {
                            Ok(_) => break,
                            Err(failure) => assert_eq!(failure.code, "conflict"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(freight(&app), 40 + 8 * 25);
}

fn freight(app: &App) -> i64 {
    let text = "select o.Freight from Order o where o.OrderID = 0".to_owned();
    match &call(app, Request::Query(QueryRequest { text, ..QueryRequest::default() })).unwrap()[..] {
        [Reply::Row(values)] => match &values[0].1 {
            mytism_core::operation::Output::Value(value) => whole(value),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
