//! What is said about schema files: the problem, and where it stands.

use mytism_core::schema::{Kind, KindDef, OnDelete, Schema};
use mytism_schema::{FileProblem, load, project};

/// Loads the first of some files as a project, all in one folder; problems name files without the folder.
fn project_of(files: &[(&str, &str)]) -> Result<Schema, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let prefix = format!("{}/", folder.path().display());
    project(Some(&folder.path().join(files[0].0))).map_err(|problems| listed(&problems).replace(&prefix, ""))
}

fn listed(problems: &[FileProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check_files(files: &[(&str, &str)], expected: &str) {
    let got = project_of(files).err().unwrap_or_default();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(got, expected.join("\n"));
}

/// `body` stands in the line after `<Schema …>`, so its first line is line 2.
#[track_caller]
fn check(body: &str, expected: &str) {
    check_files(&[("a.xml", &format!("<Schema name=\"a\" version=\"1\">\n{body}\n</Schema>"))], expected);
}

/// `attributes` stand in an entity, in line 3.
#[track_caller]
fn check_member(member: &str, expected: &str) {
    check(&format!("<Entity name=\"A\">\n{member}\n</Entity>"), expected);
}

#[test]
fn what_is_written_is_read() {
    let schema = project_of(&[(
        "a.xml",
        r#"<?xml version="1.0"?>
        <Schema name="shop" version="7" xmlns:e="urn:editor" e:hint="x">
          <Enum name="State"><Value id="1" name="open" label="Offen"/><Value id="2" name="paid"/></Enum>
          <Entity name="Party" abstract="1" label="Partner" key="No" display="Größe">
            <Attribute name="No" type="string(9)" notNull="1"/>
            <Attribute name="Größe" type=" decimal ( 10 , 2 ) " default="1.5" indexed="true"/>
            <Attribute name="Weight" type="decimal" precision="5" scale="1"/>
            <Attribute name="Note" type="string"/>
            <Unique on="No"/><Index on="Note"/>
          </Entity>
          <Entity name="Firm" extends="Party">
            <Attribute name="State" type="enum" enum="State" default="paid"/>
            <Attribute name="Kind" type="enum" values="1; Company ;2;male;"/>
            <Relation name="Owner" type="to-one" target="Party" onDelete="clear"/>
            <Relation name="Owned" type="to-many" target="Firm" by="Owner"/>
            <Relation name="Friends" type="many-to-many" target="Firm" inverse="FriendOf"/>
            <Attribute name="Born" type="date" id="20000"/>
          </Entity>
        </Schema>"#,
    )])
    .unwrap();
    assert_eq!((schema.def().name.as_str(), schema.def().version.as_str()), ("shop", "7"));
    let firm = schema.entity("Firm").unwrap();
    let shown: Vec<String> = firm.members.iter().map(|member| format!("{} {}", member.id, member.name)).collect();
    assert_eq!(
        shown,
        [
            "10000 No",
            "10001 Größe",
            "10002 Weight",
            "10003 Note",
            "10004 State",
            "10005 Kind",
            "10006 Owner",
            "10007 Owned",
            "10008 Friends",
            "20000 Born",
            "10009 FriendOf"
        ]
    );
    assert_eq!((schema.entity("Party").unwrap().id.0, firm.id.0), (10_000, 10_001));
    let member = |name: &str| firm.member(name).unwrap();
    assert!(member("No").not_null && member("No").unique && member("Note").indexed && member("Größe").indexed);
    assert_eq!(member("No").kind, Kind::String { max: 9 });
    assert_eq!(member("Note").kind, Kind::String { max: 255 });
    assert_eq!(member("Größe").kind, Kind::Decimal { precision: 10, scale: 2 });
    assert_eq!(member("Größe").default.to_string(), "1.50");
    assert_eq!(member("Weight").kind, Kind::Decimal { precision: 5, scale: 1 });
    assert_eq!(member("State").default.to_string(), "2");
    let Kind::Enum(words) = &member("State").kind else { panic!("State is an enum") };
    assert_eq!((words[0].label.as_str(), words[1].label.as_str()), ("Offen", "paid"));
    let Kind::Enum(words) = &member("Kind").kind else { panic!("Kind is an enum") };
    assert_eq!((words[0].name.as_str(), words[1].id.0), ("Company", 2));
    assert!(matches!(member("Owner").kind, Kind::ToOne { on_delete: OnDelete::Clear, .. }));
}

#[test]
fn what_the_parser_says_of_a_long_name_is_cut() {
    let long = "x".repeat(10_000);
    let told = project_of(&[("a.xml", &format!("<Schema name=\"a\"></{long}>"))]).unwrap_err();
    assert!(told.contains("not well-formed XML") && told.contains('…') && told.len() < 500, "{told}");
}

#[test]
fn the_name_of_an_included_file_is_cut_where_it_is_long() {
    let name = "x".repeat(5_000);
    let told = project_of(&[("a.xml", &format!("<Schema><Include file='{name}'/></Schema>"))]).unwrap_err();
    assert!(told.len() < 1_000 && told.contains("xxx…"), "{told}");
}

#[test]
fn elements_and_attributes_that_nobody_knows() {
    check("<Entty name='A'/>", "a.xml:2:1: <Entty> cannot stand in Schema; did you mean Entity?");
    check("<Entity name='A' extend='B'/>", "a.xml:2:18: Entity has no attribute extend; did you mean extends?");
    check(
        "<Entity name='A'><Attribut name='a'/><Attribute name='b' type='text'><x/></Attribute></Entity>",
        "a.xml:2:18: <Attribut> cannot stand in Entity; did you mean Attribute?
         a.xml:2:70: <x> cannot stand in Attribute, which holds no elements",
    );
    check_member(
        "<Attribute name='a' type='text' Label='x'/>",
        "a.xml:3:33: Attribute of type text has no attribute Label; did you mean label?",
    );
    check_member(
        "<Relation name='a' type='to-many' target='A' by='b' unique='1'/><Relation name='b' type='to-one' target='A'/>",
        "a.xml:3:53: Relation of type to-many has no attribute unique; possible are name, type, target, by, label, id, was",
    );
    check_member("hello", "a.xml:3:1: the text \"hello\" cannot stand here");
    check_files(&[("a.xml", "<schema/>")], "a.xml:1:1: <schema> cannot stand in the file; did you mean Schema?");
}

#[test]
fn words_that_do_not_fit() {
    check_member("<Attribute name='a' type='strng'/>", "a.xml:3:21: there is no type strng; did you mean string?");
    check_member(
        "<Attribute name='a' type='money'/>",
        "a.xml:3:21: there is no type money; possible are string, text, integer, decimal, float, bool, date, time, datetime, uuid, json, blob, enum",
    );
    check_member(
        "<Attribute name='a' type='to-one'/>",
        "a.xml:3:21: to-one is a relation; write <Relation type=\"to-one\" …>",
    );
    check_member("<Attribute name='a'/>", "a.xml:3:1: Attribute needs type=\"…\"");
    check_member("<Attribute type='text'/>", "a.xml:3:1: Attribute needs name=\"…\"");
    check_member("<Attribute name='' type='text'/>", "a.xml:3:12: name is empty; leave it out or give it a name");
    check_member(
        "<Attribute name='a' type='text' notNull='yes'/>",
        "a.xml:3:33: notNull=\"yes\" is neither 1 nor 0 (true and false are fine too)",
    );
    check_member("<Attribute name='ä' type='string' max='-1'/>", "a.xml:3:35: max=\"-1\" is not a whole number");
    check_member(
        "<Attribute name='a' type='decimal(10;2)'/>",
        "a.xml:3:21: type=\"decimal(10;2)\" is not understood; write it like string(40) or decimal(10,2)",
    );
    check_member("<Attribute name='a' type='decimal'/>", "a.xml:3:21: a decimal needs its digits; write decimal(10,2)");
    check_member(
        "<Attribute name='a' type='date(3)'/>",
        "a.xml:3:21: type date does not take these numbers in brackets",
    );
    check_member(
        "<Attribute name='a' type='text' id='16'/>",
        "a.xml:3:33: ids below 10000 belong to the system's own entities; leave it out or take 10000 or more",
    );
    check_member(
        "<Relation name='a' type='to-one' target='A' onDelete='claer'/>",
        "a.xml:3:45: onDelete=\"claer\" is not understood; did you mean clear?",
    );
    check_member(
        "<Relation name='a' type='toone' target='A'/>",
        "a.xml:3:20: there is no type toone of relations; did you mean to-one?",
    );
    check_member(
        "<Attribute name='a' type='text'/><Index on='b'/>",
        "a.xml:3:41: A declares no attribute b; did you mean a?",
    );
    check_member(
        "<Attribute name='a' type='text'/><Unique on='a,b'/>",
        "a.xml:3:42: Unique over several attributes is not supported; name one attribute",
    );
}

#[test]
fn lists_of_words() {
    check_member(
        "<Attribute name='a' type='enum'/>",
        "a.xml:3:21: an enum needs its words; give values=\"1;open;2;paid\" or enum=\"…\"",
    );
    check_member(
        "<Attribute name='a' type='enum' values='1;open;2'/>",
        "a.xml:3:33: the last number has no word; write numbers and words in turn, 1;open;2;paid",
    );
    check_member(
        "<Attribute name='a' type='enum' values='open;1'/>",
        "a.xml:3:33: \"open\" is not a number; write numbers and words in turn, 1;open;2;paid",
    );
    check_member("<Attribute name='a' type='enum' values='1;open;1;paid'/>", "a.xml:3:33: A.a has the number 1 twice");
    check_member(
        "<Attribute name='a' type='enum'><Value name='open'/></Attribute>",
        "a.xml:3:33: Value needs id=\"…\"",
    );
    check(
        "<Enum name='State' values='1;open'/><Entity name='A'><Attribute name='a' type='enum' enum='Stat'/></Entity>",
        "a.xml:2:86: there is no Enum Stat; did you mean State?",
    );
    check("<Enum name='S' values='1;open'/><Enum name='S' values='1;open'/>", "a.xml:2:39: there are two lists S");
    check("<Enum name='S'/>", "a.xml:2:1: Enum S has no words; give values=\"1;open;2;paid\"");
}

#[test]
fn numbers_of_ranges() {
    let schema = project_of(&[(
        "a.xml",
        "<Schema><Entity name='A'><Attribute name='No' type='string' number='Invoices' pattern='R-{yyyy}-{n:06}'/>\
         <Attribute name='Plain' type='string' number='Plain'/><Attribute name='n' type='integer' number='Orders'/>\
         </Entity></Schema>",
    )])
    .unwrap();
    let entity = schema.entity("A").unwrap();
    let shown: Vec<_> = entity
        .numbered()
        .map(|(member, number)| {
            let pattern = number.pattern.as_ref().map(|pattern| pattern.text());
            (member.name.as_str(), number.range.as_str(), pattern)
        })
        .collect();
    assert_eq!(
        shown,
        [("No", "Invoices", Some("R-{yyyy}-{n:06}")), ("Plain", "Plain", Some("{n}")), ("n", "Orders", None)]
    );
    check_member(
        "<Attribute name='a' type='string' number='N' pattern='R-{nn}'/>",
        "a.xml:3:46: A.a has a pattern that is not understood: {nn} means nothing; possible are {n}, {n:06}, {yyyy}, \
         {yy}, {mm}, {dd} (character 3 of the pattern)",
    );
    check_member(
        "<Attribute name='a' type='date' number='N'/>",
        "a.xml:3:33: A.a is a date, which holds no number of a range; an integer or a string does",
    );
    check_member(
        "<Attribute name='a' type='string' pattern='{n}'/>",
        "a.xml:3:35: A.a has a pattern that is not understood: repetition operator missing expression",
    );
    check_member(
        "<Attribute name='a' type='string' min='1'/>",
        "a.xml:3:35: A.a has min, which goes with numbers, days and times alone",
    );
    check_member(
        "<Attribute name='a' type='decimal(4,2)' min='-1.5' max='x'/>",
        "a.xml:3:52: A.a has a max that does not fit: \"x\" is given, a number with a point, like 19.99 (decimal(4,2)) is \
         expected",
    );
    check_member(
        "<Attribute name='a' type='date' min='2026-01-02' max='2026-01-01'/>",
        "a.xml:3:50: A.a has the least value 2026-01-02 and the greatest one 2026-01-01, so that nothing fits",
    );
    check_member(
        "<Attribute name='a' type='integer' min='1' default='0'/>",
        "a.xml:3:44: A.a has a default that does not fit: \"0\" is given, 1 or more is expected",
    );
    check_member(
        "<Attribute name='a' type='bool' pattern='x'/>",
        "a.xml:3:33: A.a is a bool, which no pattern goes with; a string or a text has one",
    );
    check_member(
        "<Relation name='a' type='to-one' target='User' number='N'/>",
        "a.xml:3:48: Relation of type to-one has no attribute number; possible are name, type, target, onDelete, label, \
         notNull, unique, indexed, conflict, id, was",
    );
    check_member(
        "<Attribute name='a' type='integer' conflict='summ'/>",
        "a.xml:3:36: there is no rule summ for conflicts; did you mean sum?",
    );
    check_member(
        "<Attribute name='a' type='integer' conflict='script'/>",
        "a.xml:3:36: conflict=\"script\" is not in this version; take one of the other rules",
    );
    check_member(
        "<Attribute name='a' type='date' conflict='sum'/>",
        "a.xml:3:33: A.a is a date, of which there is no sum; an integer or a decimal has one",
    );
    check_member(
        "<Attribute name='a' type='integer' number=''/>",
        "a.xml:3:36: number is empty; leave it out or give it a name",
    );
}

#[test]
fn what_the_names_mean() {
    check_member(
        "<Relation name='b' type='to-one' target='Usr'/>",
        "a.xml:3:34: A.b leads to \"Usr\", which is no entity; did you mean User?",
    );
    check(
        "<Entity name='A' key='K'>\n<Attribute name='K' type='text'/>\n</Entity>\n<Entity name='User'/>",
        "a.xml:2:18: A has the key K; only a string or an integer can be a key
         a.xml:5:9: there are two entities User",
    );
    check_member(
        "<Attribute name='a' type='text'/>\n<Unique on='a'/>",
        "a.xml:4:9: A.a is a text, which cannot be unique; a string can",
    );
    check_member(
        "<Relation name='a' type='many-to-many' target='User' inverse='Groups'/>",
        "a.xml:3:54: User has two members \"Groups\"",
    );
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    check(
        "<Entity name='A' extends='B' key='a'>
         <Attribute name='a' type='integr' default='x'/>
         <Attribute name='c' type='string' max='0'/>
         </Entity>
         <Entity nam='C'/>",
        "a.xml:2:18: A extends \"B\", which is no entity
         a.xml:2:30: A has the key a, which must be unique
         a.xml:3:30: there is no type integr; did you mean integer?
         a.xml:4:44: A.c has max 0; 1 … 16384 characters are possible, beyond that type=\"text\"
         a.xml:6:10: Entity needs name=\"…\"
         a.xml:6:18: Entity has no attribute nam; did you mean name?",
    );
}

#[test]
fn broken_files() {
    check_files(
        &[("a.xml", "<Schema>\n<Entity name='A'>\n</Schema>")],
        "a.xml:3:1: not well-formed XML: expected 'Entity' tag, not 'Schema'",
    );
    check_files(&[("a.xml", "")], "a.xml:1:1: not well-formed XML: the document does not have a root node");
    check_files(
        &[("a.xml", "<!DOCTYPE x [<!ENTITY a 'b'>]>\n<Schema/>")],
        "a.xml:1:1: not well-formed XML: XML with DTD detected",
    );
    let missing = project(Some(std::path::Path::new("no/such/file.xml"))).unwrap_err();
    assert!(listed(&missing).starts_with("no/such/file.xml:1:1: cannot be read: "), "{missing:?}");
    let folder = project(Some(std::path::Path::new("."))).unwrap_err();
    assert_eq!(listed(&folder), ".:1:1: cannot be read: not a file");
}

#[test]
fn includes() {
    let include = |file: &str, rest: &str| format!("<Schema><Include file='{file}'/>{rest}</Schema>");
    let entity = |name: &str| format!("<Entity name='{name}'/>");
    // A circle, twice the same, the system's own: each counts once.
    let a = include("b.xml", &format!("{}<Include file='./b.xml'/><Include file='core.xml'/>", entity("A")));
    let files = [("a.xml", a.as_str()), ("b.xml", &include("a.xml", &entity("B")))];
    let schema = project_of(&files).unwrap();
    let own = schema.entities().map(|entity| (entity.id.0, entity.name.as_str())).filter(|(id, _)| *id >= 10_000);
    assert_eq!(own.collect::<Vec<_>>(), [(10_000, "B"), (10_001, "A")]);
    assert_eq!((schema.def().name.as_str(), schema.def().version.as_str()), ("a", "1"));
    check_files(
        &[("a.xml", &include("core-rihts.xml", &entity("A")))],
        "a.xml:1:18: core-rihts.xml cannot be read: No such file or directory (os error 2); \
         did you mean core-rights.xml?",
    );
    // What stands in a file that cannot be read is not told as unknown.
    check_files(
        &[("a.xml", &include("b.xml", "<Entity name='A' extends='B'/>")), ("b.xml", "<Schema>")],
        "b.xml:1:9: not well-formed XML: the root node was opened but never closed",
    );
    check_files(
        &[("a.xml", &include("b.xml", "")), ("b.xml", "<Schema>\n<Entity name='B' extends='X'/></Schema>")],
        "b.xml:2:18: B extends \"X\", which is no entity",
    );
}

#[test]
fn a_file_alone_is_not_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    std::fs::write(&path, "<Schema><Include file='core.xml'/><Entity name='A' extends='Nobody'/></Schema>").unwrap();
    let def = load(&path).unwrap();
    let names: Vec<&str> = def.entities.iter().map(|entity| entity.name.as_str()).collect();
    assert_eq!(names, ["Node", "NumberRange", "Setting", "A"]);
    assert_eq!(def.entities.last().map(|entity| entity.id), Some(None));
    std::fs::write(&path, "<Schema><Entity name='A'><Attribute name='a' type='x'/></Entity></Schema>").unwrap();
    assert_eq!(load(&path).unwrap_err().len(), 1);
}

#[test]
fn names_are_brought_to_nfc() {
    let schema = project_of(&[("a.xml", "<Schema><Entity name='Cafe\u{301}'/></Schema>")]).unwrap();
    assert!(schema.entity("Café").is_some());
}

#[test]
fn ids_stay_with_their_names() {
    let text = |members: &str| format!("<Schema><Entity name='A'>{members}</Entity><Entity name='B'/></Schema>");
    let old = "<Attribute name='a' type='text'/><Attribute name='b' type='text'/>\
               <Relation name='s' type='many-to-many' target='B' inverse='As'/>";
    let previous = project_of(&[("a.xml", &text(old))]).unwrap();
    let new = "<Attribute name='c' type='text'/><Relation name='s' type='many-to-many' target='B' inverse='Owners'/>\
               <Attribute name='d' type='text' id='10001'/><Attribute name='a' type='text'/>";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("a.xml"),
        text(new).replace("<Entity name='B'/>", "<Entity name='N'/><Entity name='B'/>"),
    )
    .unwrap();
    let mut def = load(&folder.path().join("a.xml")).unwrap();
    mytism_schema::number(&mut def, Some(&previous));
    let shown: Vec<(String, Option<u32>)> =
        def.entities.iter().map(|entity| (entity.name.clone(), entity.id)).collect();
    assert_eq!(shown, [("A".into(), Some(10_000)), ("N".into(), Some(10_002)), ("B".into(), Some(10_001))]);
    let members: Vec<(&str, Option<u32>)> =
        def.entities[0].members.iter().map(|member| (member.name.as_str(), member.id)).collect();
    assert_eq!(members, [("c", Some(10_004)), ("s", Some(10_002)), ("d", Some(10_001)), ("a", Some(10_000))]);
    assert!(matches!(def.entities[0].members[1].kind, KindDef::ManyToMany { inverse_id: Some(10_003), .. }));
}

/// D-4
#[test]
fn what_has_a_new_name_says_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.xml");
    let write = |text: &str| std::fs::write(&path, format!("<Schema>{text}</Schema>")).unwrap();
    let previous = project_of(&[(
        "a.xml",
        "<Schema><Entity name='Town'><Attribute name='Name' type='text'/><Attribute name='Note' type='text'/></Entity></Schema>",
    )])
    .unwrap();
    let after = |previous: &Schema| mytism_schema::project_after(previous, &path);
    write("<Entity name='City' was='Town'><Attribute name='Title' was='Name' type='text'/></Entity>");
    let next = after(&previous).unwrap();
    let ids = |schema: &Schema, entity: &str, member: &str| {
        let entity = schema.entity(entity).unwrap();
        (entity.id, entity.member(member).unwrap().id)
    };
    assert_eq!(ids(&next, "City", "Title"), ids(&previous, "Town", "Name"));
    assert_eq!(next.def().given.member, 10_001, "of the note that went");
    // The same file again, and what comes later, which gets none of the ids that were given.
    assert_eq!(after(&next).unwrap().def(), next.def());
    write(
        "<Entity name='City'><Attribute name='Title' was='Name' type='text'/><Attribute name='Note' type='text'/></Entity>",
    );
    assert_eq!(ids(&after(&next).unwrap(), "City", "Note").1.0, 10_002);
    write("<Entity name='City' was='Twon'/>");
    let problems = after(&previous).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(
        told[0].ends_with("a.xml:1:29: the schema that holds has no Twon that could be renamed; did you mean Town?"),
        "{told:?}"
    );
    write("<Entity name='Town'><Attribute name='Title' was='Nmae' type='text'/></Entity>");
    let told = after(&previous).unwrap_err()[0].to_string();
    assert!(told.contains("no Nmae that could be renamed; did you mean Name?"), "{told}");
}
