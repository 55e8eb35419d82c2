//! The files that come with the system: its own entities, the demo, and the example of the documentation.

use std::collections::{HashMap, HashSet};

use jiff::tz::TimeZone;
use mytism_core::id::SYSTEM_SCHEMA_IDS;
use mytism_core::input::from_text;
use mytism_core::schema::{Kind, Schema};
use mytism_core::value::Value;
use mytism_schema::{demo, project, system};

#[test]
fn the_systems_own_entities_hold() {
    let schema = project(None).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(*schema.def(), {
        let mut def = system();
        mytism_schema::number(&mut def, None);
        def
    });
    let unfixed = schema.entities().filter(|entity| entity.id.0 >= SYSTEM_SCHEMA_IDS);
    assert_eq!(unfixed.map(|entity| &entity.name).collect::<Vec<_>>(), Vec::<&String>::new());
    let unfixed =
        schema.entities().flat_map(|entity| &entity.members).filter(|member| member.id.0 >= SYSTEM_SCHEMA_IDS);
    assert_eq!(unfixed.map(|member| &member.name).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// What programs rely on, from the description of the command line; names and ids never change.
#[test]
fn what_programs_may_write_is_there() {
    let schema = project(None).unwrap();
    let check = |entity: &str, id: u32, key: Option<&str>, members: &str| {
        let found = schema.entity(entity).unwrap();
        assert_eq!(found.id.0, id, "{entity}");
        assert_eq!(found.key.and_then(|key| found.member_by_id(key)).map(|key| key.name.as_str()), key, "{entity}");
        let got: Vec<String> = found.members.iter().map(|member| format!("{}={}", member.name, member.id)).collect();
        assert_eq!(got.join(" "), members, "{entity}");
    };
    check("User", 1, Some("Name"), "Name=100 FullName=101 Email=102 LoginDenied=103 Groups=104");
    check("Group", 2, Some("Name"), "Name=200 Members=201");
    check(
        "Node",
        3,
        Some("Name"),
        "Name=300 Number=301 Authoritative=302 PublicKey=303 Joined=304 \
        EnrolmentUntil=306 Address=307 NumberRanges=308",
    );
    check("NumberRange", 4, None, "Name=400 Next=401 Min=402 Max=403 Increment=404 Valid=405 Node=406 Description=407");
    check("Setting", 5, Some("Name"), "Name=500 Value=501");
    check(
        "SyncConflict",
        6,
        None,
        "Object=600 Entity=601 Attribute=602 Kept=603 Other=604 KeptBy=605 OtherBy=606 \
        KeptNode=607 OtherNode=608 KeptTime=609 OtherTime=610 Rule=611 State=612 Transaction=613",
    );
    check("Settlement", 7, None, "Refusal=700 Action=701");
}

fn loaded(name: &str, xml: &str) -> Schema {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, xml).unwrap();
    project(Some(&path)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn the_demo_schema_holds() {
    let schema = loaded("trade.xml", demo::schema_xml());
    assert_eq!(schema.def().name, "trade");
    let check = |entity: &str, key: &str, kind: Kind| {
        let found = schema.entity(entity).unwrap();
        let member = found.member(key).unwrap();
        assert_eq!(
            (found.key, member.unique, member.not_null, &member.kind),
            (Some(member.id), true, false, &kind),
            "{entity}"
        );
    };
    check("Customer", "CustomerID", Kind::String { max: 40 });
    check("Territory", "TerritoryID", Kind::String { max: 20 });
    for (entity, key) in [
        ("Order", "OrderID"),
        ("Product", "ProductID"),
        ("Supplier", "SupplierID"),
        ("Category", "CategoryID"),
        ("Employee", "EmployeeID"),
        ("Shipper", "ShipperID"),
        ("Region", "RegionID"),
    ] {
        check(entity, key, Kind::Integer);
    }
}

/// Each cell fits its attribute, each reference finds its target, and the data holds what imports stumble over.
#[test]
fn the_demo_data_fits_the_demo_schema() {
    let schema = loaded("trade.xml", demo::schema_xml());
    let mut keys: HashMap<&str, HashSet<String>> = HashMap::new();
    let mut cells = Vec::new();
    for table in demo::tables() {
        let entity = schema.entity(table.entity).unwrap();
        let key = entity.key.and_then(|key| entity.member_by_id(key));
        let mut reader = csv::Reader::from_reader(table.csv.as_bytes());
        let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        for row in reader.records() {
            for (column, cell) in columns.iter().zip(row.unwrap().iter()) {
                let name = table.renamed.iter().find(|(from, _)| from == column).map_or(column.as_str(), |(_, to)| to);
                let member = entity.member(name).unwrap_or_else(|| panic!("{}: {column}", table.file));
                if key == Some(member) {
                    assert!(keys.entry(table.entity).or_default().insert(cell.to_owned()), "{} {cell}", table.file);
                }
                cells.push((table, member, cell.to_owned()));
            }
        }
    }
    for (table, member, cell) in &cells {
        let told = format!("{} {}: {cell}", table.file, member.name);
        if cell.is_empty() {
            assert!(!member.not_null, "{told}");
        } else if let Some(target) = member.kind.target() {
            let target = schema.entity_by_id(target).unwrap();
            assert!(keys.get(target.name.as_str()).is_some_and(|keys| keys.contains(cell)), "{told}");
        } else {
            let value =
                from_text(&member.kind, cell, &TimeZone::UTC).unwrap_or_else(|misfit| panic!("{told}: {misfit}"));
            assert_ne!(value, Value::Null, "{told}");
        }
    }
    let count = |file: &str| demo::csv(file).map(|text| csv::Reader::from_reader(text.as_bytes()).records().count());
    assert_eq!((count("Customers"), count("Products"), count("Orders")), (Some(100), Some(80), Some(800)));
    assert_eq!((count("Employees"), demo::csv("Nothing")), (Some(12), None));
    for sign in [",", "\n", "\"", "ü", "ß"] {
        assert!(cells.iter().any(|(table, _, cell)| table.entity == "Customer" && cell.contains(sign)), "{sign:?}");
    }
    let forward = cells.iter().filter(|(_, member, cell)| member.name == "ReportsTo" && !cell.is_empty());
    assert_eq!(forward.count(), 11);
}

/// The examples of the documentation are files that load; the second one is included by the first.
#[test]
fn the_documented_example_loads() {
    let text = include_str!("../../../docs/schema.md");
    let mut examples = text.split("```xml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(xml, _)| xml);
    let (library, people) = (examples.next().unwrap(), examples.next().unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("people.xml"), people).unwrap();
    std::fs::write(folder.path().join("library.xml"), library).unwrap();
    let schema = project(Some(&folder.path().join("library.xml"))).unwrap_or_else(|problems| panic!("{problems:#?}"));
    for entity in ["Book", "Loan", "Person", "Reader", "Author"] {
        assert!(schema.entity(entity).is_some(), "{entity}");
    }
}
