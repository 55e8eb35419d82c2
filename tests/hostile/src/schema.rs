//! Schemas: as bytes in the log and as files that people write.

use std::cell::LazyCell;
use std::fs;

use mytism_core::schema::{Schema, SchemaDef};
use mytism_format::schema;
use mytism_store::sqlite::ddl::create_tables;
use mytism_store::sqlite::names::Names;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::measure::{Bound, within};
use crate::{Told, told};

/// A part of a definition takes up to some twenty times as much in memory as in bytes, while lists grow twice that.
const READ: Bound = Bound { base: 16 << 10, per_byte: 64 };
/// Entities hold what they inherit, within limits of their own; the system's own entities are always there.
const CHECKED: Bound = Bound { base: 4 << 20, per_byte: 512 };

/// Schemas with more entities than the system's own and so many others are not made into tables.
const ENTITIES_MADE_MAX: usize = 100;

thread_local! {
    static FOLDER: LazyCell<TempDir> = LazyCell::new(crate::folder);
}

/// A schema as the log has it.
///
/// # Panics
/// When a law is broken, as everything here.
pub fn binary(input: &[u8]) -> Told {
    let def = match within(READ, input.len(), || schema::read(input)) {
        Ok(def) => def,
        Err(error) => return told(error),
    };
    check_written(&def);
    match within(CHECKED, input.len(), || Schema::new(def.clone())) {
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= 100);
            told(&problems[0])
        }
        Ok(schema) => {
            assert_eq!(schema.def(), &def);
            check_checked(&schema);
            "sound".to_owned()
        }
    }
}

fn check_written(def: &SchemaDef) {
    let bytes = schema::write(def).expect("what was read can be written");
    assert_eq!(schema::read(&bytes).as_ref(), Ok(def));
}

/// What holds of every checked schema; the engine takes the tables that are made for it.
fn check_checked(schema: &Schema) {
    for entity in schema.entities() {
        assert_eq!(schema.entity(&entity.name).map(|found| found.id), Some(entity.id));
        assert!(entity.is_a(entity.id));
        for member in &entity.members {
            assert!(schema.member_by_id(member.id).is_some(), "{}", member.name);
            assert!(member.kind.target().is_none_or(|target| schema.entity_by_id(target).is_some()));
        }
    }
    // The engine reads its list of tables anew for each further one.
    if schema.entities().count() > ENTITIES_MADE_MAX {
        return;
    }
    let connection = Connection::open_in_memory().expect("the engine works");
    for statement in create_tables(schema, &Names::new(schema)) {
        connection.execute_batch(&statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
}

/// Files of a schema, divided by U+0000: the first includes the others as `1.xml`, `2.xml` and so on, if it likes.
pub fn xml(input: &[u8]) -> Told {
    FOLDER.with(|folder| {
        let mut root = None;
        for (number, part) in input.split(|byte| *byte == 0).take(9).enumerate() {
            let path = folder.path().join(format!("{number}.xml"));
            fs::write(&path, part).expect("a file can be written");
            root.get_or_insert(path);
        }
        let root = root.expect("splitting gives one part at least");
        let result = within(CHECKED, input.len(), || mytism_schema::project(Some(&root)));
        match result {
            Err(problems) => {
                assert!(!problems.is_empty() && problems.len() <= 200);
                for problem in &problems {
                    assert!(problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty(), "{problem}");
                    assert!(problem.message.len() < 4096, "a message of {} bytes", problem.message.len());
                }
                told(&problems[0].message)
            }
            Ok(schema) => {
                check_written(schema.def());
                let again = Schema::new(schema.def().clone()).expect("what was checked is sound");
                assert_eq!(again.def(), schema.def());
                check_checked(&schema);
                "sound".to_owned()
            }
        }
    })
}

/// Sound schemas as bytes.
#[must_use]
pub fn binaries() -> Vec<Vec<u8>> {
    let write = |def: &SchemaDef| schema::write(def).expect("it is sound");
    vec![
        include_bytes!("../../compat/v1/schema.bin").to_vec(),
        write(&mytism_schema::system()),
        write(crate::query::trade().def()),
    ]
}

/// Sound files.
#[must_use]
pub fn files() -> Vec<Vec<u8>> {
    let includes = "<Schema name='a'><Include file='1.xml'/><Include file='core.xml'/></Schema>\0\
                    <Schema><Include file='0.xml'/><Include file='1.xml'/><Include file='2.xml'/></Schema>\0\
                    <Schema><Enum name='State' values='1;open;2;paid'/></Schema>";
    let all = "<?xml version='1.0'?>\n<!-- c -->\n<Schema name='all' version='2'>\
        <Enum name='State' values='1;open;2;paid'/>\
        <Entity name='Base' abstract='1' key='Code' display='Name' label='Ä &amp; b'>\
        <Attribute name='Code' type='string' max='12' unique='1' notNull='1'/>\
        <Attribute name='Name' type='text' default='x'/><Unique on='Code'/></Entity>\
        <Entity name='One' extends='Base' id='10500'><Attribute name='N' type='integer' default='5'/>\
        <Attribute name='D' type='decimal' precision='28' scale='6' indexed='1'/>\
        <Attribute name='B' type='bool'/><Attribute name='T' type='date'/><Attribute name='M' type='datetime'/>\
        <Attribute name='S' type='enum' enum='State'/><Attribute name='W' type='enum' values='1;a;2;b'/>\
        <Relation name='To' type='to-one' target='One' onDelete='cascade'/>\
        <Relation name='Froms' type='to-many' target='One' by='To'/>\
        <Relation name='Set' type='many-to-many' target='Base' inverse='Owners'/><Index on='N'/></Entity></Schema>";
    vec![mytism_schema::demo::schema_xml().into(), includes.into(), all.into()]
}

/// Words of schema files.
pub const WORDS: &[&str] = &[
    "<Schema name='a' version='1'>",
    "</Schema>",
    "<Include file='core.xml'/>",
    "<Include file='0.xml'/>",
    "<Entity name='A'>",
    "</Entity>",
    " extends='A'",
    " abstract='1'",
    " key='Code'",
    " display='Code'",
    " label='x'",
    " id='10001'",
    "<Attribute name='Code' type='string' max='9'/>",
    "<Attribute name='B' type='decimal' precision='28' scale='28'/>",
    " type='enum' values='1;a;2;b'",
    " default='x'",
    " unique='1'",
    " notNull='1'",
    " indexed='1'",
    "<Relation name='R' type='to-one' target='A'/>",
    "<Relation name='S' type='to-many' target='A' by='R'/>",
    "<Relation name='M' type='many-to-many' target='A' inverse='I'/>",
    "<Index on='Code'/>",
    "<Unique on='Code'/>",
    "<Enum name='E' values='1;a'/>",
    " enum='E'",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "&b;",
    "&#0;",
    "&#x10ffff;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml version='1.0' encoding='UTF-16'?>",
    " xmlns:a='b'",
    " xmlns='c'",
    "\0",
    "4294967295",
    "'",
    "\"",
];
