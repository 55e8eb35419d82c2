//! What is laid over a view is seen as if it had been committed, and by that view alone.

use std::sync::Arc;

use jiff::tz::TimeZone;
use mytism_core::change::{Life, ObjectMeta, Stamp};
use mytism_core::id::{NodeId, system};
use mytism_core::query::parse;
use mytism_core::schema::{EntityDef, KindDef, MemberDef, OnDelete, Schema, SchemaDef};
use mytism_core::time::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::sqlite::SqliteStore;
use crate::{QueryOptions, QueryRow, Store, View, Write};

const ITEMS: AttributeId = AttributeId(203);

fn member(id: u32, name: &str, kind: KindDef, indexed: bool) -> MemberDef {
    let name = name.to_owned();
    MemberDef {
        id: Some(id),
        name,
        label: None,
        kind,
        not_null: false,
        unique: false,
        indexed,
        default: None,
        number: None,
        bounds: mytism_core::schema::BoundsDef::default(),
        conflict: None,
    }
}

/// Thing (abstract) → Part, select; both refer to a Thing and have a set of Things.
fn schema() -> Arc<Schema> {
    let members = vec![
        member(201, "City", KindDef::String { max: 80 }, true),
        member(202, "Place", KindDef::ToOne { target: "Thing".to_owned(), on_delete: OnDelete::Refuse }, false),
        member(
            203,
            "Items",
            KindDef::ManyToMany { target: "Thing".to_owned(), inverse: None, inverse_id: None },
            false,
        ),
    ];
    let entity = |id, name: &str, extends: Option<&str>, members| {
        let (name, extends) = (name.to_owned(), extends.map(str::to_owned));
        EntityDef { id: Some(id), name, extends, members, ..EntityDef::default() }
    };
    let mut thing = entity(20, "Thing", None, members);
    thing.is_abstract = true;
    let number = vec![member(211, "Number", KindDef::Decimal { precision: 28, scale: 3 }, false)];
    let entities = vec![thing, entity(21, "Part", Some("Thing"), number), entity(22, "select", Some("Thing"), vec![])];
    Arc::new(
        Schema::new(SchemaDef { name: "things".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() })
            .unwrap(),
    )
}

fn id(number: i64) -> ObjectId {
    ObjectId::new(number).unwrap()
}

/// Odd ones are Parts.
fn entity_of(object: ObjectId) -> EntityId {
    EntityId(if object.get() % 2 == 1 { 21 } else { 22 })
}

/// What an object is, but for its sets: city, reference, whether it is deleted.
type Look = (u8, Option<i64>, bool);

fn state(object: ObjectId, (city, to, deleted): Look) -> ObjectState {
    let stamp = |node| Stamp {
        time: Timestamp::from_micros(i64::from(city)).unwrap(),
        user: system::USER_ADMIN,
        node: NodeId(node),
    };
    let life = if deleted { Life::Deleted } else { Life::Alive };
    let meta = ObjectMeta { created: stamp(1), changed: stamp(2), version: Some(u64::from(city) + 1), life };
    let mut slots = Vec::new();
    if city > 0 {
        slots.push((Slot::attribute(AttributeId(201)), Value::Text(format!("c{city}"))));
    }
    slots.extend(to.map(|to| (Slot::attribute(AttributeId(202)), Value::Reference(id(to)))));
    ObjectState { id: object, entity: entity_of(object), meta, slots }
}

/// What shall be of one object: absent or a look, and a set of ids.
type Wish = (i64, Option<(Look, Vec<i64>)>);

fn wish() -> impl Strategy<Value = Wish> {
    let look = (0u8..4, proptest::option::of(1i64..9), any::<bool>());
    (1i64..9, proptest::option::weighted(0.8, (look, proptest::collection::vec(1i64..9, 0..4))))
}

fn commit(store: &SqliteStore, (number, wish): &Wish) {
    let object = id(*number);
    let view = store.view().unwrap();
    let mut batch = Vec::new();
    if view.object(object).unwrap().is_some() {
        batch.push(Write::Remove { object, entity: entity_of(object) });
    }
    if let Some((look, elements)) = wish {
        batch.push(Write::Insert(Box::new(state(object, *look))));
        batch.extend(elements.iter().map(|element| Write::Element {
            relation: ITEMS,
            owner: object,
            element: id(*element),
            present: true,
        }));
    }
    drop(view);
    store.commit(&batch).unwrap();
}

fn lay(view: &mut dyn View, (number, wish): &Wish) {
    let object = id(*number);
    let mut elements: Vec<_> = view.elements(ITEMS, object).unwrap().into_iter().map(|e| (ITEMS, e, false)).collect();
    if wish.is_none() {
        elements.clear();
    }
    elements.extend(wish.iter().flat_map(|(_, set)| set).map(|element| (ITEMS, id(*element), true)));
    let state = wish.as_ref().map(|(look, _)| state(object, *look));
    view.overlay(&[OtherObject { id: object, entity: entity_of(object), state, elements }]).unwrap();
}

const QUERIES: [&str; 7] = [
    "from Thing order by City desc",
    "from Part where City = 'c2'",
    "from select where Place is null",
    "from Thing where Place.City >= 'c1' order by Place.Place.City",
    "select City, count(*) as n, min(Place.City) as m from Thing group by City order by n desc",
    "select id, Place, Place.Place.City from Thing where City in ('c1', 'c3') limit 4",
    "select count(*) as n from Part where not Place.City = 'c1'",
];

/// All that a view says of objects.
fn everything(view: &dyn View, schema: &Schema) -> Vec<String> {
    let mut lines = vec![format!("{}", view.object_count().unwrap())];
    for mut object in view.objects_after(0, 100).unwrap() {
        object.slots.sort_by_key(|(slot, _)| *slot);
        lines.push(format!("{object:?}"));
    }
    for number in 1..9 {
        lines.push(format!("{:?} {:?}", view.object(id(number)).unwrap(), view.elements(ITEMS, id(number)).unwrap()));
        lines.push(format!("{}", view.is_element(ITEMS, id(number), id(3)).unwrap()));
    }
    let city = Value::from("c2");
    lines.push(format!("{:?}", view.find(EntityId(20), AttributeId(201), &city, 100).unwrap()));
    for (text, deleted) in QUERIES.iter().flat_map(|text| [(text, false), (text, true)]) {
        let query = parse(text, schema, &[], &TimeZone::UTC).unwrap();
        view.query(&query, QueryOptions { deleted, limit: None }, &mut |row: QueryRow| {
            lines.push(format!("{row:?}"));
            true
        })
        .unwrap();
    }
    lines
}

fn store(directory: &tempfile::TempDir) -> SqliteStore {
    let store = SqliteStore::create(directory.path(), schema()).unwrap();
    store.set_durability(crate::sqlite::Durability::None).unwrap();
    store
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn laid_over_is_as_if_committed(
        before in proptest::collection::vec(wish(), 0..10),
        other in proptest::collection::vec(wish(), 0..10),
    ) {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (under, committed) = (store(&one), store(&two));
        before.iter().for_each(|wish| [&under, &committed].into_iter().for_each(|store| commit(store, wish)));
        let mut view = under.view().unwrap();
        let was = everything(&*view, &schema());
        other.iter().for_each(|wish| lay(&mut *view, wish));
        other.iter().for_each(|wish| commit(&committed, wish));
        prop_assert_eq!(everything(&*view, &schema()), everything(&*committed.view().unwrap(), &schema()));
        prop_assert_eq!(&everything(&*under.view().unwrap(), &schema()), &was);
        drop(view);
        prop_assert_eq!(&everything(&*under.view().unwrap(), &schema()), &was);
    }
}

#[test]
fn conditions_reach_the_indexes_below() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let mut view = crate::sqlite::view::SqliteView::open(&store.shared()).unwrap();
    lay(&mut view, &(3, Some(((1, None, false), Vec::new()))));
    lay(&mut view, &(4, None));
    let check = |text: &str, expected: &[&str]| {
        let query = parse(text, &store.shared().schema, &[], &TimeZone::UTC).unwrap();
        let plan = view.explain(&query, QueryOptions::default()).unwrap().plan.join("; ");
        for part in expected {
            assert!(plan.contains(part), "{text}: {plan}");
        }
    };
    check("from Part where City = 'c1'", &["SEARCH main.Part USING INDEX mytism_index_21_201 (City=?)"]);
    check("from Part where id = 3", &["SEARCH main.Part USING INTEGER PRIMARY KEY (rowid=?)"]);
    check(
        "from Thing where City = 'c1'",
        &["SEARCH main.Part USING INDEX mytism_index_21_201 (City=?)", "SEARCH main.select USING INDEX"],
    );
}

#[test]
fn what_the_schema_does_not_know_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(&directory);
    let object = |entity, relation| OtherObject {
        id: id(1),
        entity: EntityId(entity),
        state: None,
        elements: vec![(AttributeId(relation), id(2), true)],
    };
    assert!(store.view().unwrap().overlay(&[object(99, 203)]).is_err());
    assert!(store.view().unwrap().overlay(&[object(21, 99)]).is_err());
    assert!(store.view().unwrap().overlay(&[object(21, 203)]).is_ok());
}
