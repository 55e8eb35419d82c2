//! The schema changed while nodes run: what the plan says, what becomes of the data, of what branches saved meanwhile,
//! and of the past.

use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{
    HistoryRequest, Input, QueryRequest, ReferenceInput, Reply, Request, Saved, SchemaLine, UndoRequest,
};
use mytism_format::hash;

use crate::world::{Node, change, head_office_with, new, text, to, word};

/// A shop: its attributes of customers, and whatever else stands in it.
fn shop(customer: &str, more: &str) -> String {
    format!(
        "<Schema name='shop' version='1'><Entity name='Customer' key='Code' display='Name'>\
         <Attribute name='Code' type='string' max='10' unique='1' notNull='1'/>\
         <Attribute name='Name' type='string' max='20'/>{customer}</Entity>{more}</Schema>"
    )
}

const ORDER: &str = "<Entity name='Order'><Attribute name='Number' type='integer'/>\
    <Attribute name='Total' type='decimal(10,2)'/><Attribute name='State' type='enum' values='1;open;2;paid'/>\
    <Relation name='Customer' type='to-one' target='Customer'/>\
    <Relation name='Others' type='many-to-many' target='Customer'/></Entity>";

/// What leads to the schema of a file, and whether it was applied.
fn change_to(node: &Node, xml: &str, apply: bool) -> (Vec<SchemaLine>, Result<Option<Saved>, Failure>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("shop.xml");
    std::fs::write(&file, xml).unwrap();
    let replies = node.call(Request::Schema).unwrap();
    let [Reply::Schema { schema: held }] = replies.as_slice() else { panic!("{replies:?}") };
    let previous = mytism_core::schema::Schema::new(mytism_format::schema::read(held).unwrap()).unwrap();
    let next = mytism_schema::project_after(&previous, &file).unwrap();
    let schema = mytism_format::schema::write(next.def()).unwrap();
    let (mut lines, mut saved) = (Vec::new(), None);
    let request = Request::ChangeSchema { schema, from: hash::chunk(held), apply };
    let done = node.app.call(&mytism_app::Context::local(), request, &mut |reply| {
        match reply {
            Reply::SchemaStep(line) => lines.push(*line),
            Reply::Saved(done) => saved = Some(done),
            other => panic!("{other:?}"),
        }
        Ok(())
    });
    (lines, done.map(|()| saved))
}

fn plan(node: &Node, xml: &str) -> Vec<String> {
    let (lines, done) = change_to(node, xml, false);
    assert_eq!(done.unwrap(), None);
    lines.into_iter().map(|line| in_words(&line)).collect()
}

fn in_words(line: &SchemaLine) -> String {
    let impossible = line.impossible.as_ref().map_or("", |_| " impossible");
    let way = if line.in_the_way == 0 { String::new() } else { format!(" x{}", line.in_the_way) };
    format!("{} {} [{}] [{}]{way}{impossible}", line.action, line.name, line.from, line.to)
}

fn apply(node: &Node, xml: &str) -> Saved {
    let (lines, done) = change_to(node, xml, true);
    done.unwrap_or_else(|failure| panic!("{failure:?} {lines:?}")).unwrap()
}

fn refused(node: &Node, xml: &str) -> Vec<String> {
    let (lines, done) = change_to(node, xml, true);
    assert_eq!(done.unwrap_err().code, "schema-does-not-fit");
    let blocked = lines.iter().filter(|line| line.in_the_way > 0 || line.impossible.is_some());
    blocked.map(in_words).collect()
}

fn customer(node: &Node, code: &str, name: &str) -> ObjectId {
    node.make("Customer", &[("Code", text(code)), ("Name", text(name))]).unwrap()
}

fn equal(head: &Node, branch: &Node) {
    for (one, other) in branch.everything().iter().zip(head.everything()) {
        assert_eq!(*one, other);
    }
    assert_eq!(branch.everything().len(), head.everything().len());
    assert_eq!(branch.app.schema().def(), head.app.schema().def());
    for node in [head, branch] {
        node.app.prove(&mut |_, _| {}).unwrap();
    }
    // Who joins now has the same.
    let fresh = head.branch(&format!("fresh{}", head.app.view().unwrap().head().unwrap().unwrap().position.number));
    head.hand_down(branch);
    head.hand_down(&fresh);
    let objects = |node: &Node| node.app.view().unwrap().objects_after(0, 100_000).unwrap();
    assert_eq!(objects(&fresh), objects(head));
}

/// D-4, D-13: names change, attributes come and go, and what was saved stays.
#[test]
fn a_change_reaches_branches_in_its_place_in_the_log() {
    let head = head_office_with(&shop("", ORDER));
    let branch = head.branch("bonn");
    head.hand_down(&branch);
    let a = customer(&head, "a", "Anna");
    let order = head.make("Order", &[("Number", text("7")), ("Total", text("19.9")), ("Customer", to(a))]).unwrap();
    head.save(vec![change(order, &[("State", text("paid"))])]).unwrap();
    let before = head.app.view().unwrap().head().unwrap().unwrap().position.number;
    let next = shop(
        "<Attribute name='City' type='string' max='40' notNull='1' default='Köln' indexed='1'/>",
        "<Entity name='Bill' was='Order'><Attribute name='No' was='Number' type='decimal(22,2)'/>\
         <Attribute name='Total' type='decimal(12,4)'/>\
         <Attribute name='State' type='enum' values='1;open;2;settled;3;void'/>\
         <Relation name='Customer' type='to-one' target='Customer'/></Entity><Entity name='Item'/>",
    );
    let expected = [
        "add Customer.City [] [string(40)]",
        "narrow Customer.City [notNull: 0] [notNull: 1]",
        "rename Bill [Order] [Bill]",
        "rename Bill.No [Number] [No]",
        "widen Bill.No [integer] [decimal(22,2)]",
        "widen Bill.Total [decimal(10,2)] [decimal(12,4)]",
        "widen Bill.State [enum 1;open;2;paid] [enum 1;open;2;settled;3;void]",
        "drop Order.Others [many-to-many Customer] []",
        "add Item [] [Entity]",
    ];
    assert_eq!(plan(&head, &next), expected);
    let saved = apply(&head, &next);
    assert_eq!(saved.position, Some(before + 1));
    assert_eq!(head.rows("select b.No, b.Total, b.State, b.Customer.City from Bill b"), ["7.00|19.9000|settled|Köln"]);
    assert_eq!(plan(&head, &next), Vec::<String>::new(), "applied twice is applied once");
    assert_eq!(apply(&head, &next).transaction, None);
    head.make("Item", &[]).unwrap();
    customer(&head, "b", "Bert");
    head.hand_down(&branch);
    assert_eq!(branch.rows("select c.Code, c.City from Customer c order by c.Code"), ["a|Köln", "b|Köln"]);
    equal(&head, &branch);
    // The past is shown in the present schema.
    let at = |position: u64| {
        let text = "select b.No, b.State from Bill b".to_owned();
        let request = QueryRequest { text, as_of: Some(position.to_string()), ..QueryRequest::default() };
        let replies = branch.call(Request::Query(request)).unwrap();
        let Some(Reply::Row(row)) = replies.first() else { panic!("{replies:?}") };
        row.iter().map(|(_, value)| word(value)).collect::<Vec<_>>()
    };
    assert_eq!(at(before - 1), ["7.00", ""]);
    assert_eq!(at(before), ["7.00", "settled"]);
    let history = branch
        .call(Request::History(HistoryRequest { object: order, attribute: None, after: None, limit: None }))
        .unwrap();
    let told: Vec<String> = history
        .iter()
        .filter_map(|reply| match reply {
            Reply::History(line) => Some(format!("{}={}", line.attribute, word(&line.new))),
            _ => None,
        })
        .collect();
    assert!(told.contains(&"No=7".to_owned()) && told.contains(&"State=settled".to_owned()), "{told:?}");
}

/// D-4: what does not fit is refused with the objects that are in the way, and nothing changes.
#[test]
fn a_change_that_the_data_do_not_fit_is_refused_with_them() {
    let head = head_office_with(&shop("<Attribute name='Note' type='text'/>", ORDER));
    let (a, b) = (customer(&head, "a", "Anna"), customer(&head, "b", "Anna"));
    head.save(vec![change(a, &[("Note", text("a long note"))])]).unwrap();
    let order = [("Number", text("7")), ("Total", text("19.9")), ("State", text("paid")), ("Customer", to(b))];
    head.make("Order", &order).unwrap();
    let before = head.everything();
    let with = |customer: &str, order: &str| {
        let order = format!(
            "<Entity name='Order'>{order}<Relation name='Customer' type='to-one' target='Customer'/>\
             <Relation name='Others' type='many-to-many' target='Customer'/></Entity>"
        );
        shop(customer, &order)
    };
    let kept = "<Attribute name='Number' type='integer'/><Attribute name='Total' type='decimal(10,2)'/>\
                <Attribute name='State' type='enum' values='1;open;2;paid'/>";
    let narrow = with("<Attribute name='Note' type='string' max='5'/>", kept);
    assert_eq!(refused(&head, &narrow), ["narrow Customer.Note [text] [string(5)] x1"]);
    let (lines, _) = change_to(&head, &narrow, false);
    let named = &lines.iter().find(|line| line.in_the_way > 0).unwrap().objects;
    assert_eq!(named.len(), 1);
    assert_eq!((named[0].object, named[0].text.as_str(), named[0].value.as_str()), (a, "Anna", "a long note"));
    let order = "<Attribute name='Number' type='integer' max='5'/><Attribute name='Total' type='decimal(4,1)'/>\
                 <Attribute name='State' type='enum' values='1;open'/>";
    let expected = [
        "narrow Customer.Note [notNull: 0] [notNull: 1] x1",
        "narrow Customer.Place [notNull: 0] [notNull: 1] x2",
        "narrow Order.Number [min:  max:  pattern:] [min:  max: 5 pattern:] x1",
        "narrow Order.State [enum 1;open;2;paid] [enum 1;open] x1",
    ];
    let note = "<Attribute name='Note' type='text' notNull='1'/><Attribute name='Place' type='text' notNull='1'/>";
    assert_eq!(refused(&head, &with(note, order)), expected);
    let unique = with("", kept).replace("max='20'", "max='20' unique='1'");
    assert_eq!(refused(&head, &unique), ["narrow Customer.Name [unique: 0] [unique: 1] x1"]);
    let other = with("<Attribute name='Note' type='bool'/>", kept);
    assert_eq!(refused(&head, &other), ["narrow Customer.Note [text] [bool] impossible"]);
    assert_eq!(head.everything(), before);
    // Once nothing is in the way it goes.
    head.save(vec![change(a, &[("Note", text("short"))])]).unwrap();
    apply(&head, &narrow);
    let refused = head.save(vec![change(a, &[("Note", text("longer"))])]).unwrap_err();
    assert_eq!(refused.code, "wrong-value");
}

/// D-4: what a branch saved before it knew is taken as the new schema has it, or refused.
#[test]
fn what_a_branch_saved_before_it_knew_is_taken_or_refused() {
    let head =
        head_office_with(&shop("<Attribute name='Note' type='text'/><Attribute name='Age' type='integer'/>", ORDER));
    let branch = head.branch("bonn");
    head.hand_down(&branch);
    let a = customer(&head, "a", "Anna");
    head.hand_down(&branch);
    branch.save(vec![change(a, &[("Age", text("40"))])]).unwrap();
    branch.save(vec![change(a, &[("Note", text("a note"))])]).unwrap();
    let made = customer(&branch, "b", "Bert");
    apply(
        &head,
        &shop(
            "<Attribute name='Age' type='decimal(21,1)'/><Attribute name='City' type='text' notNull='1' default='Bonn'/>",
            ORDER,
        ),
    );
    head.hand_down(&branch);
    let rows = "select c.Code, c.Age, c.City from Customer c order by c.Code";
    assert_eq!(branch.rows(rows), ["a|40.0|Bonn", "b||Bonn"], "what is pending is seen in the new schema");
    head.exchange(&branch);
    assert_eq!(head.rows(rows), ["a|40.0|Bonn", "b||Bonn"]);
    let refused = head.app.view().unwrap().quarantine().unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].code, "unknown-attribute");
    equal(&head, &branch);
    branch.save(vec![change(made, &[("City", text("Köln"))])]).unwrap();
    head.exchange(&branch);
    equal(&head, &branch);
}

/// A branch that was down, or whose line was cut, gets entries of both schemas at once.
#[test]
fn entries_of_several_schemas_arrive_together() {
    let head = head_office_with(&shop("", ""));
    let branch = head.branch("bonn");
    head.hand_down(&branch);
    for round in 0..4 {
        customer(&head, &format!("a{round}"), "Anna");
        let more =
            (0..=round).map(|number| format!("<Attribute name='Extra{number}' type='integer' default='{number}'/>"));
        apply(&head, &shop(&more.collect::<String>(), ""));
        customer(&head, &format!("b{round}"), "Bert");
    }
    customer(&branch, "c", "Carl");
    head.hand_down(&branch);
    head.exchange(&branch);
    equal(&head, &branch);
    assert_eq!(head.rows("select count(*) as n from Customer c where c.Extra3 = 3"), ["8"]);
}

/// An id is given once: what was dropped and comes again is another attribute, and nothing of the first one is in it.
#[test]
fn what_was_dropped_does_not_come_back_by_its_name() {
    let head = head_office_with(&shop("<Attribute name='Note' type='text'/>", ""));
    let a = customer(&head, "a", "Anna");
    let saved = head.save(vec![change(a, &[("Note", text("first"))])]).unwrap();
    let id = |node: &Node| node.app.schema().entity("Customer").unwrap().member("Note").map(|member| member.id);
    let first = id(&head);
    apply(&head, &shop("", ""));
    assert_eq!(id(&head), None);
    // What the transaction changed has no place any more, so there is nothing to undo.
    let undo = UndoRequest { id: saved.transaction.unwrap(), keep_later: false, dry_run: true };
    let replies = head.call(Request::Undo(undo)).unwrap();
    assert!(!replies.iter().any(|reply| matches!(reply, Reply::UndoLine(_))), "{replies:?}");
    apply(&head, &shop("<Attribute name='Note' type='integer'/>", ""));
    assert!(id(&head) > first);
    assert_eq!(head.rows("select c.Note from Customer c"), [""]);
    let taken = shop(&format!("<Attribute name='Other' id='{}' type='text'/>", first.unwrap().0), "");
    assert!(
        refused(&head, &taken)
            .iter()
            .any(|line| line.starts_with("add Customer.Other") && line.ends_with("impossible"))
    );
}

/// D-4: what leads to objects that would go is in the way; what goes with its entity is kept aside.
#[test]
fn an_entity_goes_where_nothing_leads_to_its_objects() {
    let party = "<Entity name='Party' abstract='1'><Attribute name='Name' type='text'/></Entity>\
                 <Entity name='Firm' extends='Party'/><Entity name='Person' extends='Party'/>\
                 <Entity name='Letter'><Relation name='To' type='to-one' target='Party'/>\
                 <Relation name='Copies' type='many-to-many' target='Party'/></Entity>";
    let head = head_office_with(&shop("", party));
    let branch = head.branch("bonn");
    let firm = head.make("Firm", &[("Name", text("A"))]).unwrap();
    let person = head.make("Person", &[("Name", text("B"))]).unwrap();
    let letter =
        head.make("Letter", &[("To", to(person)), ("Copies", Input::List(vec![ReferenceInput::Id(firm)]))]).unwrap();
    let without = shop("", &party.replace("<Entity name='Firm' extends='Party'/>", ""));
    assert_eq!(refused(&head, &without), ["drop Firm [Entity] [] x1"]);
    head.save(vec![change(letter, &[("Copies", Input::List(vec![]))])]).unwrap();
    apply(&head, &without);
    head.hand_down(&branch);
    equal(&head, &branch);
    assert_eq!(branch.rows("select p.Name from Party p"), ["B"]);
    let shown = branch.call(Request::Show { object: firm, as_of: None }).unwrap_err();
    assert_eq!(shown.code, "unknown-object");
}

/// Only the head office changes the schema, and only from the one that was read.
#[test]
fn who_may_not_or_comes_late_is_refused() {
    let head = head_office_with(&shop("", ""));
    let branch = head.branch("bonn");
    let (_, done) = change_to(&branch, &shop("<Attribute name='Note' type='text'/>", ""), true);
    assert_eq!(done.unwrap_err().code, "not-authoritative");
    let schema = mytism_format::schema::write(head.app.schema().def()).unwrap();
    let late = Request::ChangeSchema { schema, from: mytism_core::id::Hash([7; 32]), apply: true };
    assert_eq!(head.call(late).unwrap_err().code, "schema-moved");
    let broken = Request::ChangeSchema { schema: vec![0xc1], from: mytism_core::id::Hash([7; 32]), apply: true };
    assert!(head.call(broken).is_err());
    assert_eq!(head.save(vec![new("n", "Customer", &[("Code", text("x"))])]).unwrap().ids.len(), 1);
}

/// A type that an attribute has, as far as it can be widened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Type {
    Integer,
    Decimal(u32),
    Text,
    Short(u32),
}

/// An attribute of the random schema.
#[derive(Clone, PartialEq, Debug)]
struct Attribute {
    name: String,
    was: Option<String>,
    kind: Type,
    default: bool,
    required: bool,
}

impl Attribute {
    fn xml(&self) -> String {
        let kind = match self.kind {
            Type::Integer => "type='integer'".to_owned(),
            Type::Decimal(scale) => format!("type='decimal({},{scale})'", 20 + scale),
            Type::Text => "type='text'".to_owned(),
            Type::Short(max) => format!("type='string' max='{max}'"),
        };
        let was = self.was.as_ref().map_or_else(String::new, |was| format!(" was='{was}'"));
        let default = if self.default { " default='5'" } else { "" };
        let required = if self.required { " notNull='1'" } else { "" };
        format!("<Attribute name='{}'{was} {kind}{default}{required}/>", self.name)
    }
}

/// What happens at random: three numbers decide what, where and how.
type Happening = (u8, u8, u8);

struct World {
    head: Node,
    branches: Vec<Node>,
    attributes: Vec<Attribute>,
    /// Whether there are orders that refer to customers.
    orders: bool,
    count: usize,
}

impl World {
    fn new() -> Self {
        let head = head_office_with(&shop("", ORDER));
        let branches = vec![head.branch("bonn"), head.branch("cork")];
        branches.iter().for_each(|branch| head.hand_down(branch));
        Self { head, branches, attributes: Vec::new(), orders: true, count: 0 }
    }

    fn xml(&self) -> String {
        let attributes: String = self.attributes.iter().map(Attribute::xml).collect();
        shop(&attributes, if self.orders { ORDER } else { "<Entity name='Other'/>" })
    }

    fn happen(&mut self, (what, place, how): Happening) {
        match what % 6 {
            0 | 1 => self.save(usize::from(place), how),
            2 => self.alter(usize::from(place), how),
            3 => {
                let branch = &self.branches[usize::from(place) % 2];
                self.head.exchange(branch);
            }
            4 => self.head.hand_down(&self.branches[usize::from(place) % 2]),
            _ => {
                // The process ends and begins again, wherever it was.
                let index = usize::from(place) % 2;
                self.branches[index] = self.branches[index].older_copy();
            }
        }
    }

    /// A save at any node, of what it has by its own schema.
    fn save(&mut self, place: usize, how: u8) {
        self.count += 1;
        let node = if place.is_multiple_of(3) { &self.head } else { &self.branches[place % 2] };
        let schema = std::sync::Arc::clone(node.app.schema());
        let customer = schema.entity("Customer").unwrap();
        let codes = node.rows("select c.id from Customer c order by c.Code");
        let mut values = Vec::new();
        for member in customer.members.iter().filter(|member| member.name.starts_with('x')) {
            if (usize::from(how) + self.count + member.id.0 as usize).is_multiple_of(2) {
                values.push((member.name.clone(), text(&(self.count % 100).to_string())));
            }
        }
        let values: Vec<(&str, Input)> = values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        if codes.is_empty() || how.is_multiple_of(3) {
            let code = format!("k{}", self.count);
            let made = [vec![("Code", text(&code))], values].concat();
            node.make("Customer", &made).unwrap();
        } else {
            let id: i64 = codes[usize::from(how) % codes.len()].parse().unwrap();
            node.save(vec![change(ObjectId::new(id).unwrap(), &values)]).unwrap();
        }
    }

    /// Another schema, where the data let it be.
    fn alter(&mut self, place: usize, how: u8) {
        let before = (self.attributes.clone(), self.orders);
        for attribute in &mut self.attributes {
            attribute.was = None;
        }
        self.count += 1;
        let name = format!("x{}", self.count);
        let count = self.attributes.len();
        match how % 7 {
            0 | 1 => {
                let kind = [Type::Integer, Type::Text, Type::Decimal(2), Type::Short(10)][place % 4];
                let default = how.is_multiple_of(2);
                let required = default && place.is_multiple_of(3);
                self.attributes.insert(place % (count + 1), Attribute { name, was: None, kind, default, required });
            }
            2 if count > 0 => {
                self.attributes.remove(place % count);
            }
            3 if count > 0 => {
                let attribute = &mut self.attributes[place % count];
                attribute.was = Some(std::mem::replace(&mut attribute.name, name));
            }
            4 | 5 if count > 0 => {
                let attribute = &mut self.attributes[place % count];
                attribute.kind = match attribute.kind {
                    Type::Integer => Type::Decimal(1),
                    Type::Decimal(scale) => Type::Decimal((scale + 1).min(6)),
                    Type::Short(max) if max < 40 => Type::Short(max + 5),
                    Type::Short(_) | Type::Text => Type::Text,
                };
            }
            _ => self.orders = !self.orders,
        }
        let (lines, done) = change_to(&self.head, &self.xml(), true);
        if let Err(failure) = done {
            assert_eq!(failure.code, "schema-does-not-fit", "{lines:?}");
            (self.attributes, self.orders) = before;
        }
    }

    /// All lines are whole again.
    fn end(&mut self) {
        for _ in 0..2 {
            self.branches.iter().for_each(|branch| self.head.exchange(branch));
        }
        for branch in &self.branches {
            assert_eq!(branch.app.view().unwrap().pending_count().unwrap(), 0);
            // Those who joined to be compared with the other branch are nodes, too.
            self.head.hand_down(branch);
            equal(&self.head, branch);
        }
        self.branches.iter().for_each(|branch| self.head.hand_down(branch));
        self.look_back();
    }

    /// Every position can be looked at, and is the same everywhere.
    fn look_back(&self) {
        let end = self.head.app.view().unwrap().head().unwrap().unwrap().position.number;
        for position in 2..=end {
            let seen = |node: &Node| {
                let text = "from Customer c order by c.id".to_owned();
                let request = QueryRequest { text, as_of: Some(position.to_string()), ..QueryRequest::default() };
                format!("{:?}", node.call(Request::Query(request)).unwrap())
            };
            let here = seen(&self.head);
            assert!(self.branches.iter().all(|branch| seen(branch) == here), "{position}");
        }
        for id in self.head.rows("select c.id from Customer c") {
            let object = ObjectId::new(id.parse().unwrap()).unwrap();
            let request = HistoryRequest { object, attribute: None, after: None, limit: None };
            assert!(!self.head.call(Request::History(request)).unwrap().is_empty());
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 24, ..Default::default() })]

    /// D-4, S-45: whatever schemas come between whatever saves, and whoever hears of it when, all nodes end with the same
    /// tables as one that joins then.
    #[test]
    fn whatever_schemas_come_between_saves_all_nodes_end_equal(
        happenings in proptest::collection::vec(proptest::prelude::any::<Happening>(), 5..60),
    ) {
        let mut world = World::new();
        for happening in happenings {
            world.happen(happening);
        }
        world.end();
    }
}

/// A branch whose head office goes on without a change of the schema cannot follow it, and says so.
#[test]
fn a_change_is_not_taken_back() {
    let head = head_office_with(&shop("", ""));
    let branch = head.branch("bonn");
    head.hand_down(&branch);
    let before = branch.app.view().unwrap().head().unwrap().unwrap();
    apply(&head, &shop("<Attribute name='Note' type='text'/>", ""));
    customer(&head, "a", "Anna");
    head.hand_down(&branch);
    let shown = branch.everything();
    let failed = branch.app.roll_back(before.position, before.hash).unwrap_err().failure();
    assert_eq!(failed.code, "schema-ahead");
    assert_eq!(branch.everything(), shown);
}
