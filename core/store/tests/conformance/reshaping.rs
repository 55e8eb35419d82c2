//! Another schema for a database that holds something: what has a place in it is there, in tables that are those of the
//! new schema, and a change that fails leaves the old ones.

use std::sync::Arc;

use mytism_core::change::{Life, Slot};
use mytism_core::id::{AttributeId, EntityId};
use mytism_core::schema::{EntityDef, KindDef, MemberDef, Schema, SchemaDef};
use mytism_core::value::Value;
use mytism_store::Write;

use crate::place::*;

crate::on_each_engine!(
    what_has_a_place_in_another_schema_is_there,
    names_can_be_exchanged,
    a_change_that_fails_leaves_the_tables,
    a_view_from_before_sees_what_was,
);

fn text(text: &str) -> Value {
    Value::from(text)
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.parse().unwrap())
}

/// The odd schema, altered.
fn altered(alter: impl FnOnce(&mut SchemaDef)) -> Arc<Schema> {
    let mut def = odd_schema().def().clone();
    alter(&mut def);
    Arc::new(Schema::new(def).unwrap())
}

fn entity(def: &mut SchemaDef, id: u32) -> &mut EntityDef {
    def.entities.iter_mut().find(|entity| entity.id == Some(id)).unwrap()
}

fn member(def: &mut SchemaDef, id: u32) -> &mut MemberDef {
    def.entities.iter_mut().flat_map(|entity| &mut entity.members).find(|member| member.id == Some(id)).unwrap()
}

fn filled(place: &Place) {
    let values = [
        (GROUP, text("a")),
        (LONG, text("ä ")),
        (NUMBER, Value::Integer(-7)),
        (PRICE, decimal("19.90")),
        (WIDE, decimal("-0.000001")),
        (YES, Value::Bool(true)),
        (NEXT, Value::Reference(id(6))),
    ];
    place.commit(vec![
        Write::Insert(Box::new(with_parts(object(ORDER, 5, &values), &[6, 7]))),
        Write::Insert(Box::new(object(SELECT, 6, &[(NUMBER, Value::Integer(i64::MAX))]))),
        Write::Insert(Box::new(object(EntityId(13), 7, &[]))),
    ]);
}

fn slot(place: &Place, number: i64, attribute: u32) -> Value {
    place.view().object(id(number)).unwrap().unwrap().get(Slot::attribute(AttributeId(attribute)))
}

fn whole(place: &Place) {
    assert_eq!(place.view().damages().unwrap(), Vec::<String>::new());
}

/// D-4
fn what_has_a_place_in_another_schema_is_there(place: &mut Place) {
    filled(place);
    let added = MemberDef {
        id: Some(150),
        name: "added".to_owned(),
        default: Some("2.5".to_owned()),
        not_null: true,
        indexed: true,
        ..member(&mut odd_schema().def().clone(), PRICE.0).clone()
    };
    let schema = altered(|def| {
        entity(def, 11).name = "Bill".to_owned();
        member(def, GROUP.0).name = "sort".to_owned();
        member(def, GROUP.0).kind = KindDef::Text;
        member(def, NUMBER.0).kind = KindDef::Decimal { precision: 22, scale: 3 };
        member(def, PRICE.0).kind = KindDef::Decimal { precision: 12, scale: 4 };
        member(def, 119).name = "pieces".to_owned();
        entity(def, 10).members.retain(|member| member.id != Some(LONG.0));
        entity(def, 10).members.insert(0, added);
        def.entities.retain(|entity| entity.id != Some(13));
        let own = MemberDef { id: Some(151), ..member(def, 121).clone() };
        let (id, name) = (Some(20), "order".to_owned());
        def.entities.push(EntityDef { id, name, members: vec![own], ..EntityDef::default() });
    });
    place.commit(vec![Write::Schema { schema: Arc::clone(&schema), number: 9 }, Write::Log(entry(1, 1, 10))]);
    for _ in 0..2 {
        whole(place);
        let view = place.view();
        assert_eq!(**view.schema(), *schema);
        assert_eq!(view.head().unwrap().unwrap().position.number, 1);
        assert_eq!(view.object_count().unwrap(), 2);
        assert_eq!(view.object(id(7)).unwrap(), None, "its entity is gone");
        assert_eq!(view.elements(AttributeId(119), id(5)).unwrap(), [id(6), id(7)]);
        drop(view);
        assert_eq!(slot(place, 5, GROUP.0), text("a"));
        assert_eq!(slot(place, 5, LONG.0), Value::Null);
        assert_eq!(slot(place, 5, NUMBER.0), decimal("-7.000"));
        assert_eq!(slot(place, 6, NUMBER.0), decimal("9223372036854775807.000"));
        assert_eq!(slot(place, 5, PRICE.0), decimal("19.9000"));
        assert_eq!(slot(place, 5, WIDE.0), decimal("-0.000001"));
        assert_eq!(slot(place, 6, 150), decimal("2.50"));
        assert_eq!(slot(place, 5, NEXT.0), Value::Reference(id(6)));
        place.reopen();
    }
    let found = place.view().find(ORDER, AttributeId(150), &decimal("2.50"), 10).unwrap();
    assert_eq!(found, [id(5)], "of the entity with its new name");
    place.commit(vec![
        Write::Update {
            object: id(5),
            entity: ORDER,
            meta: meta(Some(2), Life::Alive),
            columns: vec![(NUMBER, decimal("0.125"))],
        },
        Write::Insert(Box::new(object(EntityId(20), 9, &[(AttributeId(151), text("new"))]))),
    ]);
    assert_eq!(slot(place, 5, NUMBER.0), decimal("0.125"));
    assert_eq!(slot(place, 9, 151), text("new"));
}

/// Of two entities, two attributes and a set, and back again: a number is added to the name only where two clash.
fn names_can_be_exchanged(place: &mut Place) {
    filled(place);
    let exchanged = altered(|def| {
        entity(def, 11).name = "select".to_owned();
        entity(def, 12).name = "Order".to_owned();
        member(def, 102).name = "Group".to_owned();
        member(def, 103).name = "group".to_owned();
    });
    for (number, schema) in [(1, &exchanged), (2, &odd_schema())] {
        place.commit(vec![Write::Schema { schema: Arc::clone(schema), number }]);
        whole(place);
        assert_eq!(slot(place, 5, GROUP.0), text("a"));
        assert_eq!(place.view().object(id(5)).unwrap().unwrap().entity, ORDER);
        assert_eq!(slot(place, 6, NUMBER.0), Value::Integer(i64::MAX));
    }
}

/// D-11
fn a_change_that_fails_leaves_the_tables(place: &mut Place) {
    filled(place);
    let schema = altered(|def| {
        entity(def, 11).name = "Bill".to_owned();
        entity(def, 10).members.retain(|member| member.id != Some(LONG.0));
    });
    let gone = Write::Update { object: id(99), entity: ORDER, meta: meta(None, Life::Alive), columns: vec![] };
    let failed = place.store().commit(&vec![Write::Schema { schema: Arc::clone(&schema), number: 4 }, gone]);
    assert_eq!(failed.unwrap_err().failure().code, "database-damaged");
    for _ in 0..2 {
        whole(place);
        assert_eq!(**place.view().schema(), *odd_schema());
        assert_eq!(slot(place, 5, LONG.0), text("ä "));
        place.reopen();
    }
    place.commit(vec![Write::Schema { schema, number: 4 }]);
    whole(place);
}

/// The embedded engine shows it; the other one waits until nobody looks, and says so where that takes too long.
fn a_view_from_before_sees_what_was(place: &mut Place) {
    filled(place);
    let schema = altered(|def| entity(def, 10).members.retain(|member| member.id != Some(LONG.0)));
    let before = place.view();
    if place.address.is_some() {
        let looking = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            before.object(id(5)).unwrap().unwrap().get(Slot::attribute(LONG))
        });
        place.commit(vec![Write::Schema { schema, number: 4 }]);
        assert_eq!(looking.join().unwrap(), text("ä "), "the change has waited");
    } else {
        place.commit(vec![Write::Schema { schema, number: 4 }]);
        assert_eq!(before.object(id(5)).unwrap().unwrap().get(Slot::attribute(LONG)), text("ä "));
    }
    assert_eq!(slot(place, 5, LONG.0), Value::Null);
}
