//! Brings file, environment and key table together: which key has which value, and everything that is wrong on the way.
//!
//! Knows the table's form but no single setting; what values mean together is decided by the parent module.

use std::collections::{BTreeMap, BTreeSet};

use mytism_core::failure::nearest;

use super::keys::{self, Effect, Key, SECTIONS, Section};
use super::kind::{Address, Value};
use super::lines::{Entry, Lines};
use super::problem::{ConfigProblem, Origin};

/// Names longer than this are not compared with others.
const COMPARED_BYTES_MAX: usize = 64;

/// The values that count, and where each was set.
#[derive(Debug, Default)]
pub(super) struct Values {
    set: BTreeMap<(&'static str, &'static str), (Origin, Value)>,
    faulty: BTreeSet<(&'static str, &'static str)>,
}

impl Values {
    /// Reads everything; problems in the order of the file, then those of the environment.
    pub(super) fn read(
        lines: &Lines,
        file: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> (Self, Vec<ConfigProblem>) {
        let mut reading =
            Reading { file, names: SectionNames::of(lines), values: Self::default(), problems: Vec::new() };
        reading.form_errors(lines);
        reading.sections(lines);
        reading.entries(lines);
        reading.without_effect(lines);
        reading.problems.sort_by_key(ConfigProblem::line);
        reading.environment(environment);
        (reading.values, reading.problems)
    }

    /// Where a key was set, if it was.
    pub(super) fn origin(&self, key: &Key) -> Option<&Origin> {
        self.set.get(&(key.section, key.name)).map(|(origin, _)| origin)
    }

    /// Whether somebody meant to set the key, be it in vain.
    pub(super) fn is_given(&self, key: &Key) -> bool {
        let place = (key.section, key.name);
        self.set.contains_key(&place) || self.faulty.contains(&place)
    }

    fn get(&self, key: &Key) -> Option<Value> {
        match self.set.get(&(key.section, key.name)) {
            Some((_, value)) => Some(value.clone()),
            None => key.kind.read(key.default).ok().filter(|_| !key.default.is_empty()),
        }
    }

    pub(super) fn flag(&self, key: &Key) -> Option<bool> {
        if let Some(Value::Flag(flag)) = self.get(key) { Some(flag) } else { None }
    }

    pub(super) fn number(&self, key: &Key) -> Option<u64> {
        if let Some(Value::Number(number)) = self.get(key) { Some(number) } else { None }
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

    pub(super) fn public_key(&self, key: &Key) -> Option<[u8; 32]> {
        if let Some(Value::PublicKey(key)) = self.get(key) { Some(key) } else { None }
    }
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
        let mut first_lines: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for entry in &lines.entries {
            let Some(section) = self.names.meaning(&entry.section).filter(|section| section.read) else { continue };
            let Some(key) = keys::all().find(|key| key.section == section.name && key.is_called(&entry.key)) else {
                self.unknown_key(section, entry);
                continue;
            };
            if let Some(first) = first_lines.insert((key.section, key.name), entry.line) {
                let message = format!("it was set in line {first} already");
                let problem = ConfigProblem::error("config-duplicate", self.at(entry.line), message)
                    .about(&entry.section, &entry.key);
                self.problems.push(problem.hint("keep one of the two"));
                continue;
            }
            if entry.key != key.name {
                let message = format!("this is the old spelling of {}", key.name);
                let problem = ConfigProblem::warning("config-old-name", self.at(entry.line), message);
                self.problems.push(problem.about(&entry.section, &entry.key));
            }
            self.set(key, self.at(entry.line), (&entry.section, &entry.key), &entry.value);
        }
    }

    fn unknown_key(&mut self, section: &Section, entry: &Entry) {
        let elsewhere =
            keys::all().find(|key| key.is_called(&entry.key)).and_then(|key| self.names.written(key.section));
        let hint = match elsewhere {
            Some(other) => format!("it belongs into [{other}]"),
            None => did_you_mean(&entry.key, keys::all().filter(|key| key.section == section.name).map(|key| key.name)),
        };
        let problem = ConfigProblem::error("config-unknown-key", self.at(entry.line), "there is no such key");
        self.problems.push(problem.about(&entry.section, &entry.key).hint(hint));
    }

    /// Reads one value; an empty one counts as not set.
    fn set(&mut self, key: &'static Key, origin: Origin, written: (&str, &str), text: &str) {
        if text.is_empty() {
            return;
        }
        match key.kind.read(text) {
            Ok(value) => {
                self.values.set.insert((key.section, key.name), (origin, value));
            }
            Err(expected) => {
                self.values.faulty.insert((key.section, key.name));
                let problem = ConfigProblem::error("config-value", origin, expected).about(written.0, written.1);
                self.problems.push(if key.secret { problem } else { problem.value(text) });
            }
        }
    }

    /// One warning for all class names, and one for all other keys that steer nothing.
    fn without_effect(&mut self, lines: &Lines) {
        let groups = [
            (Effect::ClassName, "names of classes have no effect"),
            (Effect::Accepted, "these settings are accepted and have no effect in this version"),
        ];
        for (effect, words) in groups {
            let found: Vec<_> = lines.entries.iter().filter(|entry| self.effect(entry) == Some(effect)).collect();
            if let Some(first) = found.first() {
                let list: Vec<_> = found.iter().map(|entry| format!("{} (line {})", entry.key, entry.line)).collect();
                let message = format!("{words}: {}", list.join(", "));
                self.problems.push(ConfigProblem::warning("config-no-effect", self.at(first.line), message));
            }
        }
    }

    fn effect(&self, entry: &Entry) -> Option<Effect> {
        let section = self.names.meaning(&entry.section)?;
        keys::all().find(|key| key.section == section.name && key.is_called(&entry.key)).map(|key| key.effect)
    }

    fn environment(&mut self, environment: impl Fn(&str) -> Option<String>) {
        for key in keys::USED {
            let variable = key.variable();
            let Some(text) = environment(&variable) else { continue };
            self.set(key, Origin::Environment(variable), (key.section, key.name), text.trim());
        }
    }
}

fn did_you_mean<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let near = if wanted.len() <= COMPARED_BYTES_MAX { nearest(wanted, candidates) } else { None };
    near.map_or_else(String::new, |name| format!("did you mean {name}?"))
}
