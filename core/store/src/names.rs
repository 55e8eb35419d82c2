//! The names of tables and columns: readable, so that other tools can use the database, and without collision, since
//! names of a schema are Unicode and case-sensitive while the engine's are not.
//!
//! They follow from the schema alone: of two names that the engine cannot tell apart, the one with the smaller id keeps
//! its plain form and the other one gets its id as a suffix. Knows nothing of the data.

use std::collections::{BTreeMap, HashMap, HashSet};

use mytism_core::id::{AttributeId, EntityId};
use mytism_core::schema::{Entity, Schema};

/// The longest name in bytes.
pub const NAME_MAX: usize = 48;
/// Behind the name of an entity's table in the name of its view.
const VIEW: &str = "_view";
/// How tables begin that belong to the store or to an engine.
const INTERNAL_TABLES: [&str; 3] = ["mytism_", "sqlite_", "pg_"];
/// Columns that every table of an engine has already.
const INTERNAL_COLUMNS: [&str; 7] = ["id", "ctid", "tableoid", "xmin", "xmax", "cmin", "cmax"];

/// The names for one schema. An id that the schema does not know has the empty name, which no table and no column has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    tables: HashMap<EntityId, String>,
    sets: HashMap<AttributeId, String>,
    columns: HashMap<AttributeId, String>,
}

impl Names {
    /// The names for a schema.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        let mut names = Self::default();
        names.name_tables(schema);
        names.name_columns(schema);
        names
    }

    /// The table of an entity's objects. Abstract entities have a name too, but no table.
    #[must_use]
    pub fn table(&self, entity: EntityId) -> &str {
        self.tables.get(&entity).map_or("", String::as_str)
    }

    /// The readable view of an entity and its sub-entities.
    #[must_use]
    pub fn view(&self, entity: EntityId) -> String {
        format!("{}{VIEW}", self.table(entity))
    }

    /// The column of an attribute, in the tables of all entities that have it.
    #[must_use]
    pub fn column(&self, attribute: AttributeId) -> &str {
        self.columns.get(&attribute).map_or("", String::as_str)
    }

    /// The table of a many-to-many relation, with the columns `owner` and `element`.
    #[must_use]
    pub fn set_table(&self, relation: AttributeId) -> &str {
        self.sets.get(&relation).map_or("", String::as_str)
    }

    /// Tables and views share one space.
    fn name_tables(&mut self, schema: &Schema) {
        let mut taken = HashSet::new();
        let internal = |name: &str| INTERNAL_TABLES.iter().any(|prefix| folded(name).starts_with(prefix));
        for entity in schema.entities() {
            let is_free = |taken: &HashSet<String>, name: &str| {
                !taken.contains(&folded(name)) && !taken.contains(&folded(&format!("{name}{VIEW}")))
            };
            let base = ascii(&entity.name);
            let base = if internal(&base) { format!("x_{base}") } else { base };
            let name = free_name(&base, entity.id.0, NAME_MAX - VIEW.len(), |name| is_free(&taken, name));
            taken.insert(folded(&format!("{name}{VIEW}")));
            taken.insert(folded(&name));
            self.tables.insert(entity.id, name);
        }
        for (entity, set) in schema.entities().flat_map(|entity| entity.sets().map(move |set| (entity, set))) {
            if set.declared_in == entity.id {
                let base = format!("{}_{}", ascii(&entity.name), ascii(&set.name));
                let base = if internal(&base) { format!("x_{base}") } else { base };
                let name = free_name(&base, set.id.0, NAME_MAX, |name| !taken.contains(&folded(name)));
                taken.insert(folded(&name));
                self.sets.insert(set.id, name);
            }
        }
    }

    /// An attribute has one name, which must be free in every entity that inherits it.
    fn name_columns(&mut self, schema: &Schema) {
        let mut holders: BTreeMap<AttributeId, (&str, Vec<&Entity>)> = BTreeMap::new();
        for entity in schema.entities() {
            for member in entity.columns() {
                holders.entry(member.id).or_insert((&member.name, Vec::new())).1.push(entity);
            }
        }
        let mut taken: HashMap<EntityId, HashSet<String>> = HashMap::new();
        for (attribute, (name, entities)) in holders {
            let is_free = |name: &str| {
                let used = |entity: &&Entity| taken.get(&entity.id).is_some_and(|names| names.contains(&folded(name)));
                !is_internal_column(name) && !entities.iter().any(used)
            };
            let name = free_name(&ascii(name), attribute.0, NAME_MAX, is_free);
            for entity in entities {
                taken.entry(entity.id).or_default().insert(folded(&name));
            }
            self.columns.insert(attribute, name);
        }
    }
}

/// A name in quotation marks, as statements need it.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Columns of the store itself or of an engine: `id` and the like, and those that begin with `_` and end with no number.
fn is_internal_column(name: &str) -> bool {
    let ends_with_number = name.rsplit('_').next().is_some_and(|end| end.parse::<u32>().is_ok());
    INTERNAL_COLUMNS.contains(&&*folded(name)) || (name.starts_with('_') && !ends_with_number)
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// `base`, cut to `longest` bytes, with the id as often behind it as it takes.
fn free_name(base: &str, id: u32, longest: usize, is_free: impl Fn(&str) -> bool) -> String {
    let mut suffix = String::new();
    loop {
        let kept = base.len().min(longest.saturating_sub(suffix.len()));
        let name = format!("{}{suffix}", base.get(..kept).unwrap_or(base));
        if is_free(&name) {
            return name;
        }
        suffix.push_str(&format!("_{id}"));
    }
}

/// The name in letters, digits and `_` of ASCII.
fn ascii(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            plain if plain.is_ascii_alphanumeric() => text.push(plain),
            other => text.push_str(transliterated(other)),
        }
    }
    text
}

fn transliterated(character: char) -> &'static str {
    match character {
        'ä' | 'æ' => "ae",
        'ö' | 'œ' => "oe",
        'ü' => "ue",
        'Ä' | 'Æ' => "Ae",
        'Ö' | 'Œ' => "Oe",
        'Ü' => "Ue",
        'ß' => "ss",
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ą' => "a",
        'À' | 'Á' | 'Â' | 'Ã' | 'Å' | 'Ą' => "A",
        'ç' | 'ć' | 'č' => "c",
        'Ç' | 'Ć' | 'Č' => "C",
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => "e",
        'È' | 'É' | 'Ê' | 'Ë' | 'Ę' | 'Ě' => "E",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'Ì' | 'Í' | 'Î' | 'Ï' => "I",
        'ł' => "l",
        'Ł' => "L",
        'ñ' | 'ń' | 'ň' => "n",
        'Ñ' | 'Ń' | 'Ň' => "N",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' => "o",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ø' => "O",
        'ř' => "r",
        'Ř' => "R",
        'ś' | 'š' => "s",
        'Ś' | 'Š' => "S",
        'ù' | 'ú' | 'û' | 'ů' => "u",
        'Ù' | 'Ú' | 'Û' | 'Ů' => "U",
        'ý' | 'ÿ' => "y",
        'Ý' => "Y",
        'ź' | 'ż' | 'ž' => "z",
        'Ź' | 'Ż' | 'Ž' => "Z",
        _ => "_",
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::schema::{EntityDef, KindDef, MemberDef, SchemaDef};

    use super::*;

    fn member(id: u32, name: &str, kind: KindDef) -> MemberDef {
        let name = name.to_owned();
        MemberDef {
            id: Some(id),
            name,
            label: None,
            kind,
            not_null: false,
            unique: false,
            indexed: false,
            default: None,
            number: None,
            bounds: mytism_core::schema::BoundsDef::default(),
            conflict: None,
        }
    }

    fn entity(id: u32, name: &str, extends: Option<&str>, members: Vec<MemberDef>) -> EntityDef {
        let extends = extends.map(str::to_owned);
        EntityDef { id: Some(id), name: name.to_owned(), extends, members, ..EntityDef::default() }
    }

    fn names(entities: Vec<EntityDef>) -> Names {
        let def = SchemaDef { name: "names".to_owned(), version: "1".to_owned(), entities, ..SchemaDef::default() };
        Names::new(&Schema::new(def).unwrap())
    }

    #[test]
    fn letters_become_ascii() {
        let check = |name: &str, expected: &str| assert_eq!(ascii(name), expected);
        check("City", "City");
        check("Straße_2", "Strasse_2");
        check("Überträge", "Uebertraege");
        check("Città", "Citta");
        check("客户", "__");
        check("a b-c\"d", "a_b_c_d");
    }

    #[test]
    fn tables_are_told_apart() {
        let set =
            member(50, "Items", KindDef::ManyToMany { target: "Order".to_owned(), inverse: None, inverse_id: None });
        let long = "L".repeat(59);
        let names = names(vec![
            entity(1, "Order", None, vec![set]),
            entity(2, "order", None, vec![]),
            entity(3, "Order_View", None, vec![]),
            entity(4, "Order_Items", None, vec![]),
            entity(5, "sqlite_master", None, vec![]),
            entity(6, "Mytism_Log", None, vec![]),
            entity(7, &long, None, vec![]),
            entity(8, &format!("{long}2"), None, vec![]),
        ]);
        let tables: Vec<&str> = (1..=8).map(|id| names.table(EntityId(id))).collect();
        let (seven, eight) = ("L".repeat(43), format!("{}_8", "L".repeat(41)));
        let expected =
            ["Order", "order_2", "Order_View_3", "Order_Items", "x_sqlite_master", "x_Mytism_Log", &*seven, &*eight];
        assert_eq!(tables, expected);
        assert_eq!(names.set_table(AttributeId(50)), "Order_Items_50");
        assert_eq!(names.view(EntityId(8)).len(), NAME_MAX);
        assert_eq!(names.table(EntityId(99)), "");
    }

    #[test]
    fn columns_are_told_apart_in_every_entity() {
        let text = |id, name| member(id, name, KindDef::Text);
        let names = names(vec![
            entity(1, "Base", None, vec![text(110, "City"), text(111, "city"), text(112, "id"), text(113, "_deleted")]),
            entity(2, "One", Some("Base"), vec![text(120, "CITY"), text(121, "Own"), text(122, "City_111")]),
            entity(3, "Two", Some("Base"), vec![text(130, "Own")]),
            entity(4, "Other", None, vec![text(140, "city")]),
        ]);
        let check = |id, expected: &str| assert_eq!(names.column(AttributeId(id)), expected);
        check(110, "City");
        check(111, "city_111");
        check(112, "id_112");
        check(113, "_deleted_113");
        check(120, "CITY_120");
        check(121, "Own");
        check(122, "City_111_122");
        check(130, "Own");
        check(140, "city");
    }
}
