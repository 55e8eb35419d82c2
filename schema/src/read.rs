//! From elements to definitions: what an `<Entity>`, an `<Enum>` and their parts say. Names are not looked up here.

mod kind;

use std::collections::{BTreeMap, HashMap, HashSet};

use mytism_core::schema::{
    BoundsDef, ConflictRule, DefPath, EntityDef, EnumWordDef, KindDef, MemberDef, NumberDef, SchemaDef,
};
use roxmltree::Node;

use crate::numbering::FormerNames;
use crate::source::Place;
use crate::words::{Words, cut, hint};

/// The most problems that are gathered.
const PROBLEMS_MAX: usize = 100;

/// What has been read so far.
#[derive(Default)]
pub(crate) struct Draft {
    /// The definition.
    pub(crate) def: SchemaDef,
    /// Where its parts stand.
    pub(crate) places: HashMap<DefPath, Place>,
    /// What is wrong with the form of the files.
    pub(crate) problems: Vec<(Place, String)>,
    /// Members that could not be read whole; what else is said of them may be a mere consequence.
    pub(crate) broken: HashSet<DefPath>,
    /// Lists of words that stand on their own.
    pub(crate) enums: BTreeMap<String, Vec<EnumWordDef>>,
    /// Members whose words stand in such a list, and its name.
    pub(crate) enum_uses: Vec<(DefPath, String)>,
    /// What entities and members were called before.
    pub(crate) former_names: FormerNames,
}

impl Draft {
    pub(crate) fn problem(&mut self, place: Place, message: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push((place, message));
        }
    }

    /// The problem of an element that does not belong where it stands.
    pub(crate) fn stranger(&mut self, node: Node<'_, '_>, source: usize, possible: &[&str]) {
        let name = node.tag_name().name();
        let parent = node.parent_element().map_or("the file", |parent| parent.tag_name().name()).to_owned();
        let message = match possible {
            [] => format!("<{}> cannot stand in {parent}, which holds no elements", cut(name)),
            _ => format!("<{}> cannot stand in {parent}{}", cut(name), hint(name, possible)),
        };
        self.problem(Place { source, byte: node.range().start }, message);
    }
}

/// The elements within an element; any text between them is a problem.
pub(crate) fn elements<'d, 'i>(node: Node<'d, 'i>, source: usize, draft: &mut Draft) -> Vec<Node<'d, 'i>> {
    for child in node.children().filter(Node::is_text) {
        let text = child.text().unwrap_or_default();
        let blank = text.len() - text.trim_start().len();
        if blank < text.len() {
            let place = Place { source, byte: child.range().start + blank };
            draft.problem(place, format!("the text \"{}\" cannot stand here", cut(text.trim())));
        }
    }
    node.children().filter(Node::is_element).collect()
}

/// Which file an element stands in.
#[derive(Clone, Copy)]
pub(crate) struct InFile {
    pub(crate) source: usize,
    pub(crate) built_in: bool,
}

/// `<Entity>` with all that stands in it.
pub(crate) fn entity(node: Node<'_, '_>, file: InFile, draft: &mut Draft) {
    let index = draft.def.entities.len();
    let path = DefPath::of_entity(index);
    let mut words = Words::new(node, file.source, draft);
    let mut entity = EntityDef {
        name: words.required("name").unwrap_or_default(),
        extends: words.name("extends"),
        is_abstract: words.flag("abstract"),
        label: words.text("label"),
        key: words.name("key"),
        display: words.name("display"),
        conflict: conflict(&mut words),
        id: id(&mut words, "id", file),
        members: Vec::new(),
    };
    former_name(&mut words, path);
    words.finish(Some(path));
    let mut marks = Vec::new();
    for child in elements(node, file.source, draft) {
        let at = DefPath::of_member(index, entity.members.len());
        match child.tag_name().name() {
            "Attribute" => entity.members.push(member(child, file, at, draft, kind::of_attribute)),
            "Relation" => entity.members.push(member(child, file, at, draft, kind::of_relation)),
            "Index" | "Unique" => marks.push(child),
            _ => draft.stranger(child, file.source, &["Attribute", "Relation", "Index", "Unique"]),
        }
    }
    for child in marks {
        mark(child, file, index, &mut entity, draft);
    }
    draft.def.entities.push(entity);
}

/// Reads what an `<Attribute>` or `<Relation>` holds; nothing where it cannot be understood, with a problem.
type ReadKind = fn(Node<'_, '_>, &mut Words<'_, '_, '_>, InFile, DefPath) -> Option<KindDef>;

fn member(node: Node<'_, '_>, file: InFile, at: DefPath, draft: &mut Draft, read_kind: ReadKind) -> MemberDef {
    let mut words = Words::new(node, file.source, draft);
    let name = words.required("name").unwrap_or_default();
    let kind = read_kind(node, &mut words, file, at);
    let stands_in_row = !matches!(kind, Some(KindDef::ToMany { .. } | KindDef::ManyToMany { .. }));
    let is_reference = matches!(kind, Some(KindDef::ToOne { .. }));
    let member = MemberDef {
        name,
        label: words.text("label"),
        not_null: stands_in_row && words.flag("notNull"),
        unique: stands_in_row && words.flag("unique"),
        indexed: stands_in_row && words.flag("indexed"),
        default: if stands_in_row && !is_reference { words.text("default") } else { None },
        bounds: if stands_in_row && !is_reference { bounds(&mut words, kind.as_ref()) } else { BoundsDef::default() },
        number: if stands_in_row && !is_reference { number(&mut words) } else { None },
        conflict: if stands_in_row { conflict(&mut words) } else { None },
        id: id(&mut words, "id", file),
        // A stand-in that most conditions on a member hold for, so that one mistake is told once.
        kind: kind.unwrap_or(KindDef::String { max: 1 }),
    };
    former_name(&mut words, at);
    if words.broken {
        words.draft.broken.insert(at);
    }
    words.finish(Some(at));
    member
}

/// What an entity or a member was called before.
fn former_name(words: &mut Words<'_, '_, '_>, at: DefPath) {
    if let Some(name) = words.name("was") {
        words.draft.former_names.insert(at, name);
    }
}

/// The number ranges that an attribute gets its values from.
fn number(words: &mut Words<'_, '_, '_>) -> Option<NumberDef> {
    words.name("number").map(|range| NumberDef { range, pattern: words.name("pattern") })
}

/// What values must keep to. The `pattern` of what gets numbers is that of the numbers, the `max` of a string its length.
fn bounds(words: &mut Words<'_, '_, '_>, kind: Option<&KindDef>) -> BoundsDef {
    let is_numbered = words.text("number").is_some();
    let is_string = matches!(kind, None | Some(KindDef::String { .. }));
    BoundsDef {
        min: words.text("min"),
        max: if is_string { None } else { words.text("max") },
        pattern: if is_numbered { None } else { words.text("pattern") },
    }
}

/// What becomes of conflicts.
fn conflict(words: &mut Words<'_, '_, '_>) -> Option<ConflictRule> {
    let name = words.name("conflict")?;
    let found = ConflictRule::ALL.into_iter().find(|(word, _)| *word == name).map(|(_, rule)| rule);
    if found.is_none() && name == "script" {
        words.problem("conflict", "conflict=\"script\" is not in this version; take one of the other rules".to_owned());
    } else if found.is_none() {
        let hint = hint(&name, &ConflictRule::ALL.map(|(word, _)| word));
        words.problem("conflict", format!("there is no rule {} for conflicts{hint}", cut(&name)));
    }
    found
}

/// An id that is written out; those of the system's own files are not for projects.
fn id(words: &mut Words<'_, '_, '_>, name: &'static str, file: InFile) -> Option<u32> {
    let id = words.number(name)?;
    if !file.built_in && id < mytism_core::id::SYSTEM_SCHEMA_IDS {
        let first = mytism_core::id::SYSTEM_SCHEMA_IDS;
        words.problem(
            name,
            format!("ids below {first} belong to the system's own entities; leave it out or take {first} or more"),
        );
    }
    Some(id)
}

/// `<Index on>` and `<Unique on>`: another way to write `indexed` and `unique`.
fn mark(node: Node<'_, '_>, file: InFile, index: usize, entity: &mut EntityDef, draft: &mut Draft) {
    let unique = node.tag_name().name() == "Unique";
    let mut words = Words::new(node, file.source, draft);
    if let Some(on) = words.required("on") {
        let place = words.place("on");
        let found = entity.members.iter_mut().enumerate().find(|(_, member)| member.name == on);
        if let Some((member_index, member)) = found {
            let field = if unique { "unique" } else { "indexed" };
            *(if unique { &mut member.unique } else { &mut member.indexed }) = true;
            words.draft.places.insert(DefPath::of_member(index, member_index).field(field), place);
        } else if on.contains([',', ' ', ';']) {
            words.problem(
                "on",
                format!("{} over several attributes is not supported; name one attribute", words.called),
            );
        } else {
            let names: Vec<&str> = entity.members.iter().map(|member| member.name.as_str()).collect();
            let near = mytism_core::failure::nearest(&on, names.iter().copied());
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            words.problem("on", format!("{} declares no attribute {}{near}", entity.name, cut(&on)));
        }
    }
    words.finish(None);
    for child in elements(node, file.source, draft) {
        draft.stranger(child, file.source, &[]);
    }
}

/// `<Enum>`: a list of words that several attributes share.
pub(crate) fn shared_enum(node: Node<'_, '_>, file: InFile, draft: &mut Draft) {
    let mut words = Words::new(node, file.source, draft);
    let name = words.required("name");
    let list = kind::enum_words(node, &mut words, file).unwrap_or_default();
    if let Some(name) = name {
        if list.is_empty() && !words.broken {
            words.problem("values", format!("Enum {} has no words; give values=\"1;open;2;paid\"", cut(&name)));
        }
        if words.draft.enums.contains_key(&name) {
            words.problem("name", format!("there are two lists {}", cut(&name)));
        }
        words.draft.enums.insert(name, list);
    }
    words.finish(None);
}
