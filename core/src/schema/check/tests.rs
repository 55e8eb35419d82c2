//! Definitions in a compact form: one entity a line,
//! `[abstract] Name[:Parent] [key=K] [display=D] [#id] | Member type [option …] | …`.
//! Ids that are not given count from 100 (entities), 1000 (members) and 5000 (far sides); `#none` leaves one out.

use super::super::{
    ConflictRule, EntityDef, EnumWordDef, Kind, KindDef, MemberDef, NumberDef, OnDelete, Schema, SchemaDef,
};
use crate::value::Value;

fn def(text: &str) -> SchemaDef {
    let mut next = (100, 1_000, 5_000);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let entities = lines.map(|line| entity(line, &mut next)).collect();
    SchemaDef { name: "test".into(), version: "1".into(), entities, ..SchemaDef::default() }
}

fn entity(line: &str, next: &mut (u32, u32, u32)) -> EntityDef {
    let mut parts = line.split('|').map(str::trim);
    let head = parts.next().unwrap();
    let (is_abstract, head) = head.strip_prefix("abstract ").map_or((false, head), |rest| (true, rest));
    let mut words = head.split(' ');
    let name = words.next().unwrap();
    let (name, extends) = name.split_once(':').map_or((name, None), |(name, parent)| (name, Some(parent.to_owned())));
    let mut entity = EntityDef { name: name.to_owned(), extends, is_abstract, ..EntityDef::default() };
    entity.id = Some(next.0);
    next.0 += 1;
    for word in words {
        if let Some(key) = word.strip_prefix("key=") {
            entity.key = Some(key.to_owned());
        } else if let Some(display) = word.strip_prefix("display=") {
            entity.display = Some(display.to_owned());
        } else if let Some(word) = word.strip_prefix("conflict=") {
            entity.conflict = rule(word);
        } else {
            entity.id = word.strip_prefix('#').unwrap().parse().ok();
        }
    }
    entity.members = parts.map(|part| member(part, next)).collect();
    entity
}

fn member(text: &str, next: &mut (u32, u32, u32)) -> MemberDef {
    let mut words = text.split(' ');
    let (name, kind) = (words.next().unwrap(), words.next().unwrap());
    let mut member = MemberDef {
        id: Some(next.1),
        name: name.to_owned(),
        label: None,
        kind: kind_of(kind, next),
        not_null: false,
        unique: false,
        indexed: false,
        default: None,
        number: None,
        bounds: crate::schema::BoundsDef::default(),
        conflict: None,
    };
    next.1 += 1;
    for word in words {
        match word {
            "notNull" => member.not_null = true,
            "unique" => member.unique = true,
            "indexed" => member.indexed = true,
            "clear" | "cascade" => {
                let KindDef::ToOne { on_delete, .. } = &mut member.kind else { panic!("{text}") };
                *on_delete = if word == "clear" { OnDelete::Clear } else { OnDelete::Cascade };
            }
            _ if word.starts_with("number=") => {
                let (range, pattern) = word["number=".len()..].split_once('/').map_or_else(
                    || (&word["number=".len()..], None),
                    |(range, pattern)| (range, Some(pattern.to_owned())),
                );
                member.number = Some(NumberDef { range: range.to_owned(), pattern });
            }
            _ if word.starts_with("conflict=") => member.conflict = rule(&word["conflict=".len()..]),
            _ if word.starts_with("default=") => member.default = word.strip_prefix("default=").map(str::to_owned),
            _ => member.id = word.strip_prefix('#').unwrap().parse().ok(),
        }
    }
    member
}

fn rule(word: &str) -> Option<ConflictRule> {
    ConflictRule::ALL.into_iter().find(|(name, _)| *name == word).map(|(_, rule)| rule)
}

fn kind_of(text: &str, next: &mut (u32, u32, u32)) -> KindDef {
    let inside = || text.split_once('(').unwrap().1.trim_end_matches(')').split(',');
    let number = |at: usize| inside().nth(at).unwrap().parse().unwrap();
    match text.split('(').next().unwrap() {
        "string" => KindDef::String { max: number(0) },
        "text" => KindDef::Text,
        "integer" => KindDef::Integer,
        "decimal" => KindDef::Decimal { precision: number(0), scale: number(1) },
        "bool" => KindDef::Bool,
        "date" => KindDef::Date,
        "float" => KindDef::Float,
        "time" => KindDef::Time,
        "datetime" => KindDef::Datetime,
        "uuid" => KindDef::Uuid,
        "json" => KindDef::Json,
        "blob" => KindDef::Blob,
        "enum" => KindDef::Enum(
            inside()
                .filter_map(|word| word.split_once('='))
                .map(|(id, name)| EnumWordDef { id: id.parse().unwrap(), name: name.to_owned(), label: None })
                .collect(),
        ),
        relation => {
            let (sign, rest) = relation.split_at(2);
            let (target, far) =
                rest.split_once('.').map_or((rest, None), |(target, far)| (target, Some(far.to_owned())));
            let target = target.to_owned();
            match sign {
                "->" => KindDef::ToOne { target, on_delete: OnDelete::Refuse },
                "<-" => KindDef::ToMany { target, by: far.unwrap() },
                "<>" => {
                    let inverse_id = far.is_some().then_some(next.2);
                    next.2 += u32::from(far.is_some());
                    KindDef::ManyToMany { target, inverse: far, inverse_id }
                }
                _ => panic!("{text}"),
            }
        }
    }
}

/// `expected`: the problems, a line each, as `entity.member@field: message`; empty where the definition holds.
#[track_caller]
fn check(text: &str, expected: &str) {
    let def = def(text);
    let problems = Schema::new(def.clone()).err().unwrap_or_default();
    let got: Vec<String> = problems
        .iter()
        .map(|problem| {
            let entity = problem.path.entity.and_then(|index| def.entities.get(index));
            let member = problem.path.member.and_then(|index| entity?.members.get(index));
            let names = [entity.map(|found| found.name.as_str()), member.map(|found| found.name.as_str())];
            let names: Vec<&str> = names.into_iter().flatten().collect();
            format!("{}@{}: {}", names.join("."), problem.path.field.unwrap_or("-"), problem.message)
        })
        .collect();
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(got, expected, "{text}");
}

#[test]
fn a_schema_that_holds() {
    check("", "");
    check(
        "abstract Party key=No | No string(5) unique | City string(20) default=Köln
         Kunde:Party display=City | Orders <-Order.Customer | Tags <>Tag.Customers
         kunde | Size integer
         Order | Customer ->Kunde cascade | Bill ->Party clear
         Tag | Größe decimal(28,28)",
        "",
    );
}

#[test]
fn names() {
    check("A | a text | a text", "A.a@name: A has two members \"a\"");
    check("A\nB\nA", "A@name: there are two entities A");
    check("A.b", "A.b@name: the name \"A.b\" holds '.'; letters, digits, _ and - may stand in names");
    check("A | 1a text", "A.1a@name: A: the name \"1a\" begins with '1', but names begin with a letter or _");
    check("A | a text\nB:A | a text", "B.a@name: B inherits a member \"a\" from A already");
    check("A | a text\nB:A\nC:B | a text\nD:C", "C.a@name: C inherits a member \"a\" from A already");
    check("A | s <>B.x\nB | x text", "A.s@inverse: B has two members \"x\"");
    check("A | s <>B.x\nB\nC:B | x text", "C.x@name: C inherits a member \"x\" from B already");
    check("A | s <>B.x | t <>B.x\nB", "A.t@inverse: B has two members \"x\"");
}

#[test]
fn inheritance() {
    check("Customer\nA:Custmer", "A@extends: A extends \"Custmer\", which is no entity; did you mean Customer?");
    check("A:A", "A@extends: entities inherit in a circle: A extends A");
    check("X:B\nB:C\nC:B", "B@extends: entities inherit in a circle: B extends C extends B");
    let deep = |many: usize| (1..many).fold("E0".to_owned(), |text, level| format!("{text}\nE{level}:E{}", level - 1));
    check(&deep(32), "");
    check(&deep(33), "E32@extends: more than 32 entities inherit from one another");
}

#[test]
fn ids() {
    check(
        "A #none | a text #none",
        "A@id: \"A\" has no id; ids are given before a schema is checked
        A.a@id: \"A.a\" has no id; ids are given before a schema is checked",
    );
    check("A #7\nB #7", "B@id: the id 7 of \"B\" is that of \"A\" already");
    check("A #0", "A@id: the id 0 of \"A\" is not within 1 … 2147483647");
    check("A | a text #16 | b text #15", "A.b@id: the id 15 of \"A.b\" is not within 16 … 2147483647");
    check(
        "A | a text #2147483647 | b text #2147483648",
        "A.b@id: the id 2147483648 of \"A.b\" is not within 16 … 2147483647",
    );
    check("A | a text #20\nB | b text #20", "B.b@id: the id 20 of \"B.b\" is that of \"A.a\" already");
    check("A | a <>B.x | b text #5000\nB", "A.a@inverseId: the id 5000 of \"B.x\" is that of \"A.b\" already");
}

#[test]
fn limits() {
    check("A | a string(1) | b string(16384)", "");
    check("A | a string(0)", "A.a@max: A.a has max 0; 1 … 16384 characters are possible, beyond that type=\"text\"");
    check(
        "A | a string(16385)",
        "A.a@max: A.a has max 16385; 1 … 16384 characters are possible, beyond that type=\"text\"",
    );
    check("A | a decimal(1,1) | b decimal(28,0)", "");
    check("A | a decimal(0,0)", "A.a@precision: A.a has 0 digits; 1 … 28 are possible");
    check("A | a decimal(29,0)", "A.a@precision: A.a has 29 digits; 1 … 28 are possible");
    check("A | a decimal(4,5)", "A.a@scale: A.a has 5 digits after the point, but only 4 in all");
    let wide = |many: usize| (0..many).fold("A".to_owned(), |text, at| format!("{text} | a{at} bool"));
    check(&wide(1000), "");
    check(&wide(1001), "A@-: 1001 attributes and relations are more than the 1000 that an entity may have");
    check(
        &format!("{}\nB:A | b bool", wide(1000)),
        "B@-: 1001 attributes and relations are more than the 1000 that an entity may have",
    );
    let heirs = (0..200).fold(wide(1000), |text, at| format!("{text}\nB{at}:A"));
    check(
        &heirs,
        "@-: 201000 attributes and relations, inherited ones included, are more than the 200000 that are allowed",
    );
    let many = (0..4097).fold(String::new(), |text, at| format!("{text}\nE{at}"));
    check(&many, "@-: 4097 entities are more than the 4096 that are allowed");
}

#[test]
fn keys() {
    check("A key=K | K integer unique\nB:A key=K", "");
    check("A key=K | K string(5)", "A@key: A has the key K, which must be unique");
    check("A key=K | K date unique", "A@key: A has the key K; only a string or an integer can be a key");
    check("A key=k | K integer unique", "A@key: A has the key \"k\", which is no attribute of it; did you mean K?");
    check(
        "A display=x | X text\nB | As <>A",
        "A@display: A is displayed by \"x\", which is no attribute of it; did you mean X?",
    );
    check(
        "A | As <>A\nB:A display=As",
        "B@display: B is displayed by As, which holds many objects; an attribute is needed",
    );
}

#[test]
fn relations() {
    check(
        "Customer\nA | C ->Custmer",
        "A.C@target: A.C leads to \"Custmer\", which is no entity; did you mean Customer?",
    );
    check("A | Cs <>Zebra", "A.Cs@target: A.Cs leads to \"Zebra\", which is no entity");
    check("A | b ->A notNull clear", "A.b@onDelete: A.b is cleared when its target is deleted, but may not be empty");
    check("A | Bs <-B.a\nB | A ->A", "A.Bs@by: A.Bs goes by \"a\", which is no to-one relation of B; did you mean A?");
    check("A | Bs <-B.n\nB | n text", "A.Bs@by: A.Bs goes by \"n\", which is no to-one relation of B");
    check("A\nC:A | Bs <-B.a\nD:B\nB | a ->A", "");
    check("A\nE:A | Ds <-D.a\nD:B\nB | a ->A", "");
    check("A | Bs <-B.c\nB | c ->C\nC:A", "A.Bs@by: A.Bs goes by B.c, which leads to C, not to A");
    check("A | Bs <-B.c notNull\nB | c ->A", "A.Bs@notNull: A.Bs is notNull, which no to-many relation can be");
    check(
        "A | As <>A unique indexed",
        "A.As@unique: A.As is unique, which no many-to-many relation can be
        A.As@indexed: A.As is indexed, which no many-to-many relation can be",
    );
    check("A | t text unique", "A.t@unique: A.t is a text, which cannot be unique; a string can");
}

#[test]
fn words_and_defaults() {
    check("A | s enum(1=open,2=paid) default=paid notNull", "");
    check("A | s enum()", "A.s@values: A.s has 0 words; 1 … 1000 are possible");
    check(
        "A | s enum(1=open,1=paid,3=open)",
        "A.s@values: A.s has the number 1 twice
        A.s@values: A.s has the word \"open\" twice",
    );
    check(
        "A | s enum(1=open) default=opne",
        "A.s@default: A.s has a default that does not fit: \"opne\" is no word of the list; did you mean open?",
    );
    check(
        "A | s string(2) default=abc",
        "A.s@default: A.s has a default that does not fit: \"abc\" is 3 characters long, at most 2 fit",
    );
    check("A | s ->A default=1", "A.s@default: A.s is a relation, which has no default");
}

#[test]
fn numbers() {
    check("A | n integer number=N | s string(6) number=S/R-{n:04} | t string(1) number=N", "");
    check(
        "A | s date number=N",
        "A.s@number: A.s is a date, which holds no number of a range; an integer or a string does",
    );
    check(
        "A | s ->A number=N",
        "A.s@number: A.s is a to-one, which holds no number of a range; an integer or a string does",
    );
    check("A | n integer number=N/{n}", "A.n@pattern: A.n is an integer, which holds the number without a pattern");
    check("A | s string(5) number=S/R-{n:04}", "A.s@pattern: A.s has a pattern of at least 6 characters, 5 fit");
    check(
        "A | s string(9) number=S/R-{m}",
        "A.s@pattern: A.s has a pattern that is not understood: {m} means nothing; possible are {n}, {n:06}, {yyyy}, \
         {yy}, {mm}, {dd} (character 3 of the pattern)",
    );
    check(
        "A | n integer number=N default=1",
        "A.n@default: A.n has a default, so it would never get a number; leave one of them out",
    );
}

#[test]
fn all_problems_come_at_once_up_to_a_bound() {
    check(
        "A:X key=k | a ->Y\nB | b <-A.z",
        "A@extends: A extends \"X\", which is no entity; did you mean B?
        A.a@target: A.a leads to \"Y\", which is no entity; did you mean A?
        A@key: A has the key \"k\", which is no attribute of it
        B.b@by: B.b goes by \"z\", which is no to-one relation of A; did you mean a?",
    );
    let wrong = (0..200).fold("A".to_owned(), |text, at| format!("{text} | a{at} ->Nowhere"));
    assert_eq!(Schema::new(def(&wrong)).err().map(|problems| problems.len()), Some(100));
}

#[test]
fn a_checked_schema_answers() {
    let schema = Schema::new(def("abstract Party key=No | No string(5) unique | City string(20) default=Köln
         Firm:Party display=City | Tags <>Tag.Owners
         Person:Party
         Tag | Owner ->Party indexed"))
    .unwrap();
    let [party, firm, person, tag] = ["Party", "Firm", "Person", "Tag"].map(|name| schema.entity(name).unwrap());
    assert_eq!(party.concrete, [firm.id, person.id]);
    assert_eq!(firm.lineage, [firm.id, party.id]);
    assert_eq!((firm.extends, firm.concrete.as_slice()), (Some(party.id), [firm.id].as_slice()));
    let names = |entity: &super::Entity| entity.members.iter().map(|found| found.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(firm), ["No", "City", "Tags"]);
    assert_eq!(names(tag), ["Owner", "Owners"]);
    let [number, city] = ["No", "City"].map(|name| firm.member(name).unwrap());
    assert!(number.indexed && !city.indexed);
    assert_eq!(city.default, Value::Text("Köln".into()));
    assert_eq!((firm.key, firm.display), (Some(number.id), Some(city.id)));
    assert_eq!((person.key, person.display), (Some(number.id), Some(number.id)));
    assert_eq!(number.declared_in, party.id);
    assert_eq!(schema.member_by_id(number.id).map(|(entity, _)| entity.id), Some(party.id));
    let owners = tag.member("Owners").unwrap();
    assert_eq!(owners.kind, Kind::Owners { target: firm.id, by: firm.member("Tags").unwrap().id });
    assert_eq!(owners.id.0, 5_000);
    let referring: Vec<&str> = schema.referring(firm.id).map(|(_, member)| member.name.as_str()).collect();
    assert_eq!(referring, ["Owner"]);
}

#[test]
fn rules_for_conflicts() {
    let schema =
        Schema::new(def("A conflict=later | Own string(5) conflict=branch | Plain text | N integer conflict=sum
         B:A | City text | D decimal(10,2) conflict=sum"))
        .unwrap();
    let rules = |name: &str| {
        let members = schema.entity(name).unwrap().members.iter();
        members.map(|member| (member.name.as_str(), member.conflict.name())).collect::<Vec<_>>()
    };
    let inherited = [("Own", "branch"), ("Plain", "later"), ("N", "sum")];
    assert_eq!(rules("A"), inherited);
    assert_eq!(rules("B"), [&inherited[..], &[("City", "authoritative"), ("D", "sum")]].concat());
    for (word, rule) in ConflictRule::ALL {
        assert_eq!(word, rule.name());
    }
    let check = |text: &str, expected: &str| {
        let found = Schema::new(def(text)).unwrap_err();
        let [problem] = &found[..] else { panic!("{found:?}") };
        assert_eq!((problem.path.field, problem.message.as_str()), (Some("conflict"), expected));
    };
    check("A | T text conflict=sum", "A.T is a text, of which there is no sum; an integer or a decimal has one");
    check(
        "A conflict=sum | N integer",
        "A cannot have conflict sum as a whole; give it to single integers and decimals",
    );
    check("A | As <>A conflict=later", "A.As holds many objects, which are merged one by one; no rule goes with it");
}
