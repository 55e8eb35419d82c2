//! Queries that stay: who carries out what he is told holds, at each place in the journal that he is told, what a fresh
//! query answers there.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use mytism_app::Context;
use mytism_core::id::{EntityId, ObjectId};
use mytism_core::operation::{Closed, QueryRequest, Reply, Request, Splice};
use mytism_disk_under_test::Dice;

use crate::world::{Node, change, delete, head_office, new, text, to};

const QUERIES: [&str; 6] = [
    "from Customer c where c.City = 'Bonn'",
    "select c.CustomerID, c.City from Customer c where c.City != 'Ulm' order by c.City desc, c.CustomerID limit 7 offset 1",
    "select c.City, count(*) from Customer c group by c.City order by count(*) desc, c.City",
    "select o.ShipCity, o.Customer from Order o order by o.ShipCity",
    "select o.Customer.City, o.ShipCity from Order o where o.Customer.City = 'Bonn' or o.ShipCity like 'B%'",
    "from Region r",
];

fn request(text: &str) -> QueryRequest {
    QueryRequest { text: text.to_owned(), ..QueryRequest::default() }
}

fn fresh(node: &Node, text: &str) -> Vec<Reply> {
    let mut rows = Vec::new();
    let told = node.app.call(&Context::local(), Request::Query(request(text)), &mut |reply| {
        rows.push(reply);
        Ok(())
    });
    told.unwrap();
    rows
}

fn end(node: &Node) -> u64 {
    node.app.view().unwrap().journal_bounds().unwrap().1
}

/// What a follower was told: a place in the journal, and the rows there.
type Told = (u64, Vec<Reply>);

/// Follows a query until nobody listens or the node lets all go.
fn follow(node: &Node, text: &str, sender: &Sender<Told>) {
    let (mut rows, mut open, mut splice) = (Vec::new(), Vec::new(), None);
    let ended = node.app.call(&Context::local(), Request::Live(request(text)), &mut |reply| {
        match reply {
            Reply::Splice(next) => {
                assert!(splice.is_none(), "the rows of the one before have come");
                splice = Some(next);
            }
            Reply::Reached(reached) => {
                assert!(splice.is_none(), "the rows of the last one have come");
                return sender.send((reached.cursor, rows.clone())).map_err(|_| Closed);
            }
            row => open.push(row),
        }
        if let Some(whole) = splice.take_if(|splice: &mut Splice| splice.inserted == open.len() as u64) {
            let at = usize::try_from(whole.at).unwrap();
            rows.splice(at..at + usize::try_from(whole.removed).unwrap(), open.drain(..));
        }
        Ok(())
    });
    ended.unwrap();
}

/// Saves something at random; refusals are part of it.
fn save(node: &Node, dice: &mut Dice) {
    let view = node.app.view().unwrap();
    let entity = |name: &str| node.app.schema().entity(name).unwrap().id;
    let known: Vec<(ObjectId, EntityId)> =
        view.objects_after(0, 100_000).unwrap().into_iter().map(|object| (object.id, object.entity)).collect();
    drop(view);
    let of = |name: &str| known.iter().filter(|(_, of)| *of == entity(name)).map(|(id, _)| *id).collect::<Vec<_>>();
    let (customers, orders) = (of("Customer"), of("Order"));
    let city = ["Bonn", "Ulm", "Kiel", "Berlin"][dice.below(4)];
    let changes = match (dice.below(8), dice.pick(&customers), dice.pick(&orders)) {
        (0 | 1, Some(id), _) => vec![change(*id, &[("City", text(city))])],
        (2, Some(id), _) => vec![change(*id, &[("CompanyName", text(city))])],
        (3, Some(id), _) => vec![new("o", "Order", &[("Customer", to(*id)), ("ShipCity", text(city))])],
        (4, _, Some(id)) => vec![change(*id, &[("ShipCity", text(city))])],
        (5, _, Some(id)) => vec![delete(*id)],
        (6, Some(id), _) if dice.percent(30) => vec![delete(*id)],
        // Two nodes may give the same number, and one of them is refused.
        _ => vec![new("c", "Customer", &[("CustomerID", text(&format!("{}", dice.below(400)))), ("City", text(city))])],
    };
    let _refused = node.save(changes);
}

#[test]
fn who_carries_out_what_he_is_told_holds_what_a_fresh_query_answers() {
    let steps = if std::env::var_os("MYTISM_LONG").is_some() { 10_000 } else { 600 };
    let head = head_office();
    let branch = head.branch("rostock");
    let nodes = [&head, &branch];
    let mut dice = Dice::new(7);
    let mut expected: BTreeMap<(usize, usize, u64), Vec<Reply>> = BTreeMap::new();
    let mut told: BTreeMap<(usize, usize), Vec<Told>> = BTreeMap::new();
    std::thread::scope(|scope| {
        let mut followers = Vec::new();
        for (at, node) in nodes.into_iter().enumerate() {
            for (number, query) in QUERIES.into_iter().enumerate() {
                let (sender, receiver) = channel();
                scope.spawn(move || follow(node, query, &sender));
                followers.push(((at, number), receiver));
            }
        }
        for _ in 0..steps {
            match dice.below(10) {
                0 | 1 => head.exchange(&branch),
                2 if dice.percent(20) => {
                    let end = branch.app.view().unwrap().head().unwrap().unwrap().position.number;
                    let row = branch.app.view().unwrap().log_row(end.saturating_sub(9).max(3)).unwrap().unwrap();
                    branch.app.roll_back(row.position, row.hash).unwrap();
                    head.hand_down_whole(&branch);
                }
                at => save(nodes[at % 2], &mut dice),
            }
            for (at, node) in nodes.into_iter().enumerate() {
                for (number, query) in QUERIES.into_iter().enumerate() {
                    expected.entry((at, number, end(node))).or_insert_with(|| fresh(node, query));
                }
            }
        }
        for ((at, number), receiver) in followers {
            let list = told.entry((at, number)).or_default();
            while list.last().is_none_or(|(cursor, _)| *cursor < end(nodes[at])) {
                list.push(receiver.recv_timeout(Duration::from_secs(60)).expect("the last place is told"));
            }
        }
        nodes.into_iter().for_each(|node| node.app.release_followers());
    });
    let mut compared = 0;
    for ((at, number), list) in told {
        assert!(list.is_sorted_by_key(|(cursor, _)| *cursor), "{}", QUERIES[number]);
        for (cursor, rows) in list {
            if let Some(expected) = expected.get(&(at, number, cursor)) {
                assert_eq!(rows, *expected, "{} at {cursor} of {at}", QUERIES[number]);
                compared += 1;
            }
        }
    }
    assert!(compared > steps, "{compared} answers were compared");
}

#[test]
fn what_changes_elsewhere_is_not_told() {
    let head = head_office();
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| follow(&head, "from Region r", &sender));
        let next = || receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(next().1, []);
        head.make("Customer", &[("CustomerID", text("A"))]).unwrap();
        let id = head.make("Region", &[("RegionDescription", text("Nord"))]).unwrap();
        let (cursor, rows) = next();
        assert_eq!((cursor, rows.len()), (end(&head), 1));
        head.save(vec![delete(id)]).unwrap();
        assert_eq!(next(), (end(&head), Vec::new()));
        head.app.release_followers();
    });
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let head = head_office();
    let refused = |request: QueryRequest| {
        let failure = head.app.call(&Context::local(), Request::Live(request), &mut |_| Ok(())).unwrap_err();
        failure.code
    };
    assert_eq!(refused(QueryRequest { as_of: Some("1".into()), ..request("from Region r") }), "wrong-value");
    assert_eq!(refused(request("from Reggion r")), "unknown-entity");
}
