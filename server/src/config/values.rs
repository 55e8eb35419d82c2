//! Brings file, environment and key table together: which key has which value, and everything that is wrong on the way.
//!
//! Knows the table's form but no single setting; what values mean together is decided by the parent module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mytism_core::failure::nearest;

use super::Surroundings;
use super::keys::{self, Effect, Key, SECTIONS, Section};
use super::kind::{Address, Hidden, Kind, Value};
use super::lines::{Entry, Lines};
use super::problem::{ConfigProblem, Origin};

/// Names longer than this are not compared with others.
const COMPARED_BYTES_MAX: usize = 64;
/// What is shown in the place of a secret.
pub(super) const MASK: &str = "***";

/// A section, by its own name or, where one row of the table stands for many, as written; and the key's own name.
pub(super) type Place = (String, &'static str);

/// A value that counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Set {
    /// Where it was set.
    pub(super) origin: Origin,
    /// As written, without what must not be shown.
    pub(super) shown: String,
    value: Value,
}

/// The values that count, and where each was set.
#[derive(Debug, Default)]
pub(super) struct Values {
    set: BTreeMap<Place, Set>,
    faulty: BTreeSet<Place>,
}

impl Values {
    /// Reads everything; problems in the order of the file, then those of the environment and of files of secrets.
    pub(super) fn read(lines: &Lines, file: &str, around: &dyn Surroundings) -> (Self, Vec<ConfigProblem>) {
        let mut reading = Reading {
            file,
            names: SectionNames::of(lines),
            values: Self::default(),
            problems: Vec::new(),
            without_effect: Vec::new(),
        };
        reading.form_errors(lines);
        reading.sections(lines);
        reading.entries(lines);
        reading.report_without_effect();
        reading.problems.sort_by_key(ConfigProblem::line);
        reading.environment(lines, around);
        reading.report_without_effect();
        reading.secret_files(around);
        (reading.values, reading.problems)
    }

    /// What was set in a place, if anything.
    pub(super) fn at(&self, place: &Place) -> Option<&Set> {
        self.set.get(place)
    }

    /// Where a key was set, if it was.
    pub(super) fn origin(&self, key: &Key) -> Option<&Origin> {
        self.at(&place(key)).map(|set| &set.origin)
    }

    /// Whether somebody meant to set the key, be it in vain.
    pub(super) fn is_given(&self, key: &Key) -> bool {
        self.set.contains_key(&place(key)) || self.faulty.contains(&place(key))
    }

    fn get(&self, key: &Key) -> Option<Value> {
        match self.at(&place(key)) {
            Some(set) => Some(set.value.clone()),
            None => key.kind.read(key.default).ok().filter(|_| !key.default.is_empty()),
        }
    }

    pub(super) fn flag(&self, key: &Key) -> Option<bool> {
        if let Some(Value::Flag(flag)) = self.get(key) { Some(flag) } else { None }
    }

    pub(super) fn number(&self, key: &Key) -> Option<u64> {
        if let Some(Value::Number(number)) = self.get(key) { Some(number) } else { None }
    }

    /// A number that its kind keeps within 32 bits.
    pub(super) fn small(&self, key: &Key) -> Option<u32> {
        self.number(key).and_then(|number| u32::try_from(number).ok())
    }

    pub(super) fn port(&self, key: &Key) -> Option<u16> {
        self.number(key).and_then(|number| u16::try_from(number).ok())
    }

    pub(super) fn text(&self, key: &Key) -> Option<String> {
        if let Some(Value::Text(text)) = self.get(key) { Some(text) } else { None }
    }

    pub(super) fn addresses(&self, key: &Key) -> Vec<Address> {
        if let Some(Value::Addresses(addresses)) = self.get(key) { addresses } else { Vec::new() }
    }

    pub(super) fn secret(&self, key: &Key) -> Option<Hidden> {
        if let Some(Value::Secret(secret)) = self.get(key) { Some(secret) } else { None }
    }

    pub(super) fn public_key(&self, key: &Key) -> Option<[u8; 32]> {
        if let Some(Value::PublicKey(key)) = self.get(key) { Some(key) } else { None }
    }
}

/// Where a key of a section with one name stands.
fn place(key: &Key) -> Place {
    (key.section.to_owned(), key.name)
}

/// The names that sections have in one file: their own, or what keys of `[DBMan]` say.
pub(super) struct SectionNames(Vec<(&'static Section, String)>);

impl SectionNames {
    pub(super) fn of(lines: &Lines) -> Self {
        let given = |key: &str| {
            lines.entries.iter().find(|entry| entry.section == "DBMan" && entry.key == key && !entry.value.is_empty())
        };
        Self(
            SECTIONS
                .iter()
                .map(|section| (section, given(section.named_by).map_or(section.name, |entry| &entry.value).to_owned()))
                .collect(),
        )
    }

    /// What a section of the file is.
    pub(super) fn meaning(&self, written: &str) -> Option<&'static Section> {
        let renamed = self.0.iter().find(|(section, name)| name == written && section.name != name);
        let own = || self.0.iter().find(|(section, name)| section.name == name && section.matches(written));
        renamed.or_else(own).map(|(section, _)| *section)
    }

    /// All sections of a file that the table knows: each by its own name, as the file calls it. A row that stands for
    /// many is there as often as the file has one.
    pub(super) fn instances(&self, lines: &Lines) -> Vec<(&'static Section, String, String)> {
        let mut all = Vec::new();
        for (section, written) in &self.0 {
            if !section.name.ends_with('*') {
                all.push((*section, section.name.to_owned(), written.clone()));
                continue;
            }
            let found: BTreeSet<_> =
                lines.sections.iter().filter(|(_, name)| self.meaning(name) == Some(*section)).collect();
            let found: BTreeSet<_> = found.into_iter().map(|(_, name)| name).collect();
            all.extend(found.into_iter().map(|name| (*section, name.clone(), name.clone())));
        }
        all
    }

    /// How the file calls the section of a key.
    pub(super) fn written(&self, section: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.name == section).map(|(_, name)| name.as_str())
    }
}

/// One reading in progress.
struct Reading<'a> {
    file: &'a str,
    names: SectionNames,
    values: Values,
    problems: Vec<ConfigProblem>,
    /// What was set and does nothing: why, where, and in words.
    without_effect: Vec<(Effect, Origin, String)>,
}

impl Reading<'_> {
    fn at(&self, line: u32) -> Origin {
        Origin::File { name: self.file.to_owned(), line: Some(line) }
    }

    fn form_errors(&mut self, lines: &Lines) {
        for wrong in &lines.form_errors {
            // Only a known key is repeated: a line out of form may hold a secret.
            let word = wrong.text.split(['=', ':', ' ', '\t']).find(|word| !word.is_empty()).unwrap_or_default();
            let key = if keys::all().any(|key| key.is_called(word)) { word } else { "" };
            let problem =
                ConfigProblem::error("config-form", self.at(wrong.line), format!("the line {}", wrong.message));
            self.problems.push(problem.about("", key));
        }
    }

    /// Sections that are unknown, repeated or not looked into.
    fn sections(&mut self, lines: &Lines) {
        let mut first_lines: BTreeMap<&str, u32> = BTreeMap::new();
        for (line, name) in &lines.sections {
            if let Some(first) = first_lines.get(name.as_str()) {
                let message = format!("the section began in line {first} already; both are read as one");
                self.problems.push(ConfigProblem::warning("config-duplicate", self.at(*line), message).about(name, ""));
                continue;
            }
            first_lines.insert(name, *line);
            match self.names.meaning(name) {
                Some(section) if section.read => {}
                Some(_) => {
                    let message = "this version does not look into this section";
                    self.problems
                        .push(ConfigProblem::warning("config-no-effect", self.at(*line), message).about(name, ""));
                }
                None => {
                    let problem =
                        ConfigProblem::error("config-unknown-section", self.at(*line), "there is no such section");
                    self.problems.push(problem.about(name, "").hint(self.section_hint(name)));
                }
            }
        }
    }

    fn section_hint(&self, name: &str) -> String {
        if let Some((section, other)) = self.names.0.iter().find(|(section, _)| section.name == name) {
            return format!("{} in [DBMan] says that it is called [{other}]", section.named_by);
        }
        did_you_mean(name, self.names.0.iter().map(|(_, name)| name.as_str()))
    }

    fn entries(&mut self, lines: &Lines) {
        let mut first_lines: BTreeMap<Place, u32> = BTreeMap::new();
        for entry in &lines.entries {
            let Some(section) = self.names.meaning(&entry.section).filter(|section| section.read) else { continue };
            let Some(key) = keys::of_section(section).find(|key| key.is_called(&entry.key)) else {
                self.unknown_key(section, entry);
                continue;
            };
            let instance = if section.name.ends_with('*') { &entry.section } else { section.name };
            let place = (instance.to_owned(), key.name);
            let origin = self.at(entry.line);
            if !entry.value.is_empty() {
                self.note_without_effect(key, &origin, format!("{} (line {})", entry.key, entry.line));
            }
            if let Some(first) = first_lines.insert(place.clone(), entry.line) {
                let message = format!("it was set in line {first} already");
                let problem =
                    ConfigProblem::error("config-duplicate", origin, message).about(&entry.section, &entry.key);
                self.problems.push(problem.hint("keep one of the two"));
                continue;
            }
            if entry.key != key.name {
                let message = format!("this is the old spelling of {}", key.name);
                let problem = ConfigProblem::warning("config-old-name", origin.clone(), message);
                self.problems.push(problem.about(&entry.section, &entry.key));
            }
            self.set(key, place, origin, (&entry.section, &entry.key), &entry.value);
        }
    }

    fn unknown_key(&mut self, section: &Section, entry: &Entry) {
        let elsewhere =
            keys::all().find(|key| key.is_called(&entry.key)).and_then(|key| self.names.written(key.section));
        let hint = match elsewhere {
            Some(other) => format!("it belongs into [{other}]"),
            None => did_you_mean(&entry.key, keys::of_section(section).map(|key| key.name)),
        };
        let problem = ConfigProblem::error("config-unknown-key", self.at(entry.line), "there is no such key");
        self.problems.push(problem.about(&entry.section, &entry.key).hint(hint));
    }

    /// Reads one value; an empty one counts as not set.
    fn set(&mut self, key: &'static Key, place: Place, origin: Origin, written: (&str, &str), text: &str) {
        if text.is_empty() {
            return;
        }
        let newer = key.old_values.iter().find(|(old, _)| *old == text).map(|(_, new)| *new);
        if let Some(new) = newer {
            let problem =
                ConfigProblem::warning("config-old-value", origin.clone(), format!("it is written {new} now"));
            self.problems.push(problem.about(written.0, written.1).value(text));
        }
        let text = newer.unwrap_or(text);
        match key.kind.read(text) {
            Ok(value) => {
                self.values.set.insert(place, Set { origin, shown: shown(key.kind, text), value });
            }
            Err(expected) => {
                self.values.faulty.insert(place);
                let problem = ConfigProblem::error("config-value", origin, expected).about(written.0, written.1);
                self.problems.push(if key.is_secret() { problem } else { problem.value(text) });
            }
        }
    }

    fn note_without_effect(&mut self, key: &Key, origin: &Origin, words: String) {
        if matches!(key.effect, Effect::ClassName | Effect::NotYet) {
            self.without_effect.push((key.effect, origin.clone(), words));
        }
    }

    /// One warning for all class names, and one for all other keys that steer nothing.
    fn report_without_effect(&mut self) {
        let found = std::mem::take(&mut self.without_effect);
        let groups = [
            (Effect::ClassName, "names of classes have no effect"),
            (Effect::NotYet, "these settings are accepted and not in effect yet"),
        ];
        for (effect, words) in groups {
            let of_group: Vec<_> = found.iter().filter(|(of, ..)| *of == effect).collect();
            if let Some((_, origin, _)) = of_group.first() {
                let list: Vec<_> = of_group.iter().map(|(.., words)| words.as_str()).collect();
                let message = format!("{words}: {}", list.join(", "));
                self.problems.push(ConfigProblem::warning("config-no-effect", origin.clone(), message));
            }
        }
    }

    /// Variables named after a section and a key; they count more than the file.
    fn environment(&mut self, lines: &Lines, around: &dyn Surroundings) {
        let instances = self.names.instances(lines);
        for (variable, text) in around.variables() {
            let found = instances.iter().filter(|(section, ..)| section.read).find_map(|(section, instance, _)| {
                let mut keys = keys::of_section(section);
                keys.find(|key| key.variable_in(instance) == variable).map(|key| (instance.clone(), key))
            });
            let origin = Origin::Environment(variable.clone());
            let Some((instance, key)) = found else {
                self.unknown_variable(&instances, &variable);
                continue;
            };
            let Some(text) = text.to_str() else {
                let problem = ConfigProblem::error("config-value", origin, "it is not UTF-8");
                self.problems.push(problem.about(&instance, key.name));
                continue;
            };
            if !text.trim().is_empty() {
                self.note_without_effect(key, &origin, variable);
            }
            let written = instance.clone();
            self.set(key, (instance, key.name), origin, (&written, key.name), text.trim());
        }
    }

    /// A variable that begins like a section of the file and names no key of it.
    fn unknown_variable(&mut self, instances: &[(&'static Section, String, String)], variable: &str) {
        let variables = instances.iter().filter(|(section, ..)| section.read).flat_map(|(section, instance, _)| {
            keys::of_section(section).map(|key| key.variable_in(instance)).collect::<Vec<_>>()
        });
        let variables: Vec<String> = variables.collect();
        let begins = |(_, instance, _): &(&Section, String, String)| {
            variable.starts_with(&format!("MYTISM_{}_", instance.to_uppercase().replace(['.', '-'], "_")))
        };
        if instances.iter().any(begins) {
            let origin = Origin::Environment(variable.to_owned());
            let hint = did_you_mean(variable, variables.iter().map(String::as_str));
            let message = "there is no such key";
            self.problems.push(ConfigProblem::error("config-unknown-key", origin, message).hint(hint));
        }
    }

    /// Secrets that stand in files of their own: `NAME_file` gives `NAME`.
    fn secret_files(&mut self, around: &dyn Surroundings) {
        let files = self.values.set.iter().filter_map(|(place, set)| {
            let key = keys::all().find(|key| key.name == place.1 && is_of(key, &place.0))?;
            let secret = keys::secret_of_file(key)?;
            let Value::Text(path) = &set.value else { return None };
            Some(((place.0.clone(), secret.name), key.name, set.origin.clone(), path.clone()))
        });
        for (place, name, origin, path) in files.collect::<Vec<_>>() {
            let about = |problem: ConfigProblem| problem.about(&place.0, name);
            match self.values.set.get(&place).map(|set| &set.origin) {
                Some(Origin::Environment(_)) => continue,
                Some(_) => {
                    let message = format!("{} is set too", place.1);
                    let problem = ConfigProblem::error("config-duplicate", origin, message);
                    self.problems.push(about(problem).hint("keep one of the two"));
                    continue;
                }
                None => {}
            }
            match around.secret(Path::new(&path)) {
                Ok(text) if !text.is_empty() => {
                    let origin = Origin::File { name: path, line: Some(1) };
                    self.values
                        .set
                        .insert(place, Set { origin, shown: MASK.to_owned(), value: Value::Secret(Hidden(text)) });
                }
                Ok(_) => {
                    let problem =
                        ConfigProblem::error("config-unreadable", origin, "the first line of the file is empty");
                    self.problems.push(about(problem).value(&path));
                }
                Err(why) => {
                    let problem = ConfigProblem::error("config-unreadable", origin, why);
                    self.problems.push(about(problem).value(&path));
                }
            }
        }
    }
}

/// Whether a key belongs to a section of that name.
fn is_of(key: &Key, instance: &str) -> bool {
    SECTIONS.iter().any(|section| section.keys_of() == key.section && section.matches(instance))
}

/// A value as it may be shown: secrets and passwords within addresses are masked.
pub(super) fn shown(kind: Kind, text: &str) -> String {
    match kind {
        _ if text.is_empty() => String::new(),
        Kind::Secret => MASK.to_owned(),
        Kind::DatabaseUrl => masked_url(text),
        _ => text.to_owned(),
    }
}

/// `postgresql://user:password@host/name?password=…` without the passwords.
fn masked_url(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let (server, path) = rest.split_once('/').unwrap_or((rest, ""));
    let server = match server.rsplit_once('@') {
        Some((user, host)) => {
            let name = user.split_once(':').map_or_else(|| user.to_owned(), |(name, _)| format!("{name}:{MASK}"));
            format!("{name}@{host}")
        }
        None => server.to_owned(),
    };
    // What stands behind the question mark may hold passwords under several names, so nothing of it is shown.
    let path = path.split_once('?').map_or_else(|| path.to_owned(), |(name, _)| format!("{name}?{MASK}"));
    format!("{scheme}://{server}/{path}")
}

fn did_you_mean<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = if wanted.len() <= COMPARED_BYTES_MAX { nearest(wanted, candidates) } else { None };
    near.map_or_else(String::new, |name| format!("did you mean {name}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_masked() {
        let check = |text: &str, expected: &str| assert_eq!(shown(Kind::DatabaseUrl, text), expected);
        check("postgresql://localhost:5432/demo", "postgresql://localhost:5432/demo");
        check("jdbc:postgresql://u:hunter2@db/demo", "jdbc:postgresql://u:***@db/demo");
        check("postgresql://u:a@b@db/demo?password=hunter2", "postgresql://u:***@db/demo?***");
        check("postgresql://u@db/demo", "postgresql://u@db/demo");
    }
}
