//! Every setting in force, and where it comes from: what the node would do with a file, told key by key.
//!
//! Secrets are masked here, so that no caller can show one.

use super::keys::{self, Change, Effect, Key};
use super::lines;
use super::problem::Origin;
use super::values::{SectionNames, Values, shown};
use super::{ConfigProblem, Surroundings};

/// One setting in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// Its row in the table.
    pub key: &'static Key,
    /// The section as the file calls it.
    pub section: String,
    /// The value in force, secrets masked; empty for "nothing".
    pub value: String,
    /// Where it was set; `None` = it is the default.
    pub origin: Option<Origin>,
    /// The environment variable that would override it.
    pub variable: String,
}

impl Explained {
    /// Whether this version acts on it.
    #[must_use]
    pub fn in_effect(&self) -> bool {
        matches!(self.key.effect, Effect::Used | Effect::NamesSection)
    }

    /// Whether a running node takes up a change.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.in_effect() && self.key.change == Change::Watched
    }
}

/// All settings in the order of the example file, and what is wrong with the file. A setting whose value is wrong has
/// its default, as if it were absent.
#[must_use]
pub fn explain(text: &str, file: &str, around: &dyn Surroundings) -> (Vec<Explained>, Vec<ConfigProblem>) {
    let lines = lines::read(text);
    let (values, problems) = Values::read(&lines, file, around);
    let instances = SectionNames::of(&lines).instances(&lines);
    let mut all = Vec::new();
    for (section, instance, written) in instances.iter().filter(|(section, ..)| section.read) {
        for key in keys::of_section(section) {
            let set = values.at(&(instance.clone(), key.name));
            all.push(Explained {
                key,
                section: written.clone(),
                value: set.map_or_else(|| shown(key.kind, key.default), |set| set.shown.clone()),
                origin: set.map(|set| set.origin.clone()),
                variable: key.variable_in(instance),
            });
        }
    }
    (all, problems)
}

/// The settings of a running node that differ between two readings of its file.
#[must_use]
pub fn differences<'e>(before: &[Explained], after: &'e [Explained]) -> Vec<&'e Explained> {
    let same = |one: &Explained, other: &Explained| one.section == other.section && one.key == other.key;
    let changed = |new: &&Explained| {
        let old = before.iter().find(|old| same(old, new));
        old.map_or(new.origin.is_some(), |old| old.value != new.value)
    };
    after.iter().filter(changed).collect()
}
