//! What a setting and a section are, as rows of a table. The rows stand in `table`.
//!
//! Knows the form of a row and no single setting.

use super::kind::Kind;

pub use super::table::{ACCEPTED, SECTIONS, USED};

/// What setting a key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It does what its words say.
    Used,
    /// It names the section that holds the settings of one part.
    NamesSection,
    /// It names a class of the former implementation; accepted, and reported once as having no effect.
    ClassName,
    /// It is checked and accepted, but this version has nothing that it could steer; reported once.
    NotYet,
}

/// When a changed setting takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// When the node starts.
    AtStart,
    /// Within seconds, while the node runs; a bad value is reported and the old one stays in force.
    Watched,
}

/// One setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// The section's own name (a file may use another one, see [`Section::named_by`]).
    pub section: &'static str,
    /// The spelling to write.
    pub name: &'static str,
    /// Older spellings that are read as well.
    pub old_names: &'static [&'static str],
    /// Older values that are read as well, each with the one to write.
    pub old_values: &'static [(&'static str, &'static str)],
    /// What a value must look like.
    pub kind: Kind,
    /// What counts when the key is absent or empty, as it would be written; empty for "nothing".
    pub default: &'static str,
    /// What setting it does.
    pub effect: Effect,
    /// When a change takes effect.
    pub change: Change,
    /// What it means, for people.
    pub doc: &'static str,
}

impl Key {
    pub(super) const fn new(
        section: &'static str,
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        let (effect, change) = (Effect::Used, Change::AtStart);
        Self { section, name, old_names: &[], old_values: &[], kind, default, effect, change, doc }
    }

    /// A setting that this version has nothing for.
    pub(super) const fn later(
        section: &'static str,
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { effect: Effect::NotYet, ..Self::new(section, name, kind, default, doc) }
    }

    pub(super) const fn class_name(name: &'static str) -> Self {
        let doc = "A class name of former versions; accepted, without effect.";
        Self { effect: Effect::ClassName, ..Self::new("DBMan", name, Kind::Text, "", doc) }
    }

    pub(super) const fn names_section(name: &'static str, default: &'static str) -> Self {
        let doc = "Names the section that configures this part.";
        Self { effect: Effect::NamesSection, ..Self::new("DBMan", name, Kind::Section, default, doc) }
    }

    pub(super) const fn watched(self) -> Self {
        Self { change: Change::Watched, ..self }
    }

    pub(super) const fn old(self, old_names: &'static [&'static str]) -> Self {
        Self { old_names, ..self }
    }

    pub(super) const fn old_values(self, old_values: &'static [(&'static str, &'static str)]) -> Self {
        Self { old_values, ..self }
    }

    /// Whether its value must never be shown.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::DatabaseUrl)
    }

    /// The environment variable that overrides the file, for the key in a section as the file calls it.
    #[must_use]
    pub fn variable_in(&self, section: &str) -> String {
        variable_of(section, self.name)
    }

    /// The environment variable that overrides the file, for a key of a section that has one name.
    #[must_use]
    pub fn variable(&self) -> String {
        self.variable_in(self.section)
    }

    /// Whether the file may spell it like this.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.old_names.contains(&name)
    }
}

/// The name of an environment variable: upper case, and `_` for what cannot stand in one.
fn variable_of(section: &str, key: &str) -> String {
    let letters = format!("MYTISM_{section}_{key}");
    letters.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// One section of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its own name; one that ends in `.*` stands for all names with that beginning.
    pub name: &'static str,
    /// The key of `[DBMan]` by which a file can give the section another name; empty where there is none.
    pub named_by: &'static str,
    /// Whether its keys are known. Where not, every key is accepted and the section is reported once.
    pub read: bool,
    /// What it is about, for people.
    pub doc: &'static str,
}

impl Section {
    pub(super) const fn read(name: &'static str, named_by: &'static str, doc: &'static str) -> Self {
        Self { name, named_by, read: true, doc }
    }

    pub(super) const fn unread(name: &'static str, named_by: &'static str, doc: &'static str) -> Self {
        Self { name, named_by, read: false, doc }
    }

    /// Whether a section of this name is meant, other names by `[DBMan]` left aside.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => name.len() > beginning.len() && name.starts_with(beginning),
            None => self.name == name,
        }
    }

    /// The section whose keys it has; `[Mailer.*]` has those of `[Mailer]`.
    #[must_use]
    pub fn keys_of(&self) -> &'static str {
        self.name.strip_suffix(".*").unwrap_or(self.name)
    }
}

/// Every key of the table.
pub fn all() -> impl Iterator<Item = &'static Key> {
    USED.iter().chain(ACCEPTED)
}

/// The keys of one section, by the section's own name.
pub fn of_section(section: &Section) -> impl Iterator<Item = &'static Key> {
    let name = section.keys_of();
    all().filter(move |key| key.section == name)
}

/// The secret that a key `NAME_file` reads from a file, where it is one.
#[must_use]
pub fn secret_of_file(key: &Key) -> Option<&'static Key> {
    let base = key.name.strip_suffix("_file")?;
    all().find(|other| other.section == key.section && other.name == base && other.is_secret())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        let mut spellings = BTreeSet::new();
        let mut variables = BTreeSet::new();
        for key in all() {
            for name in key.old_names.iter().chain([&key.name]) {
                assert!(spellings.insert((key.section, *name)), "{name} twice");
            }
            assert!(variables.insert(key.variable()), "{} twice", key.variable());
            assert!(SECTIONS.iter().any(|section| section.name == key.section && section.read), "{}", key.section);
            assert!(key.default.is_empty() || key.kind.read(key.default).is_ok(), "default of {}", key.name);
            assert!(key.doc.ends_with('.'), "{} needs a sentence", key.name);
            assert!(key.old_values.iter().all(|(_, new)| key.kind.read(new).is_ok()), "old values of {}", key.name);
            let has_file = all().any(|other| secret_of_file(other).is_some_and(|secret| secret == key));
            assert_eq!(has_file, key.kind == Kind::Secret, "{} and its file", key.name);
        }
    }

    #[test]
    fn sections_are_named_by_keys_that_exist() {
        let named: BTreeSet<_> =
            SECTIONS.iter().filter(|s| !s.named_by.is_empty()).map(|s| (s.named_by, s.name)).collect();
        let naming: BTreeSet<_> =
            all().filter(|key| key.effect == Effect::NamesSection).map(|key| (key.name, key.default)).collect();
        assert_eq!(named, naming);
    }

    #[test]
    fn names() {
        let key = |name: &str| all().find(|key| key.name == name).unwrap();
        assert_eq!(key("schemaFile").variable(), "MYTISM_DBMAN_SCHEMAFILE");
        assert_eq!(key("smtpHost").variable_in("Mailer.alt-1"), "MYTISM_MAILER_ALT_1_SMTPHOST");
        assert!(key("nodeNumber").is_called("nodeID") && !key("nodeNumber").is_called("nodenumber"));
        let mailer = SECTIONS.iter().find(|section| section.name == "Mailer.*").unwrap();
        assert!(mailer.matches("Mailer.x") && !mailer.matches("Mailer.") && !mailer.matches("Mailer"));
        assert!(of_section(mailer).any(|key| key.name == "smtpHost"));
    }
}
