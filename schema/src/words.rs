//! The XML attributes of one element: each is asked for by name, and what nobody asked for is a problem.

use mytism_core::failure::nearest;
use mytism_core::input;
use mytism_core::schema::DefPath;
use roxmltree::Node;

use crate::read::Draft;
use crate::source::Place;

/// What may stand for yes and no.
const FLAGS: [(&str, bool); 4] = [("1", true), ("true", true), ("0", false), ("false", false)];

/// An element whose attributes are being asked for.
pub(crate) struct Words<'r, 'd, 'i> {
    node: Node<'d, 'i>,
    source: usize,
    asked: Vec<&'static str>,
    /// How the element is called in messages: `Attribute`, `Relation of type to-many`.
    pub(crate) called: String,
    /// Whether something was wrong with one of the attributes.
    pub(crate) broken: bool,
    pub(crate) draft: &'r mut Draft,
}

impl<'r, 'd, 'i> Words<'r, 'd, 'i> {
    pub(crate) fn new(node: Node<'d, 'i>, source: usize, draft: &'r mut Draft) -> Self {
        let called = node.tag_name().name().to_owned();
        Self { node, source, asked: Vec::new(), called, broken: false, draft }
    }

    /// Where an attribute stands; the element where it does not stand at all.
    pub(crate) fn place(&self, name: &str) -> Place {
        let byte = self.node.attribute_node(name).map_or(self.node.range().start, |found| found.range().start);
        Place { source: self.source, byte }
    }

    /// Something is wrong with an attribute.
    pub(crate) fn problem(&mut self, name: &str, message: String) {
        let place = self.place(name);
        self.broken = true;
        self.draft.problem(place, message);
    }

    /// The text of an attribute, where it stands; in NFC.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        match input::normal(self.node.attribute(name)?) {
            Ok(text) => Some(text),
            Err(misfit) => {
                self.problem(name, misfit.to_string());
                None
            }
        }
    }

    /// Like [`Words::text`], but an empty text is a problem.
    pub(crate) fn name(&mut self, name: &'static str) -> Option<String> {
        let text = self.text(name)?;
        if text.is_empty() {
            self.problem(name, format!("{name} is empty; leave it out or give it a name"));
            return None;
        }
        Some(text)
    }

    /// Like [`Words::name`], but it must stand there.
    pub(crate) fn required(&mut self, name: &'static str) -> Option<String> {
        if self.node.attribute(name).is_none() {
            self.asked.push(name);
            self.problem(name, format!("{} needs {name}=\"…\"", self.called));
            return None;
        }
        self.name(name)
    }

    /// Yes or no; no where it does not stand.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let Some(text) = self.text(name) else { return false };
        let flag = FLAGS.iter().find(|(word, _)| *word == text.trim()).map(|(_, flag)| *flag);
        if flag.is_none() {
            self.problem(name, format!("{name}=\"{}\" is neither 1 nor 0 (true and false are fine too)", cut(&text)));
        }
        flag.unwrap_or(false)
    }

    /// A whole number of 0 … 4,294,967,295.
    pub(crate) fn number(&mut self, name: &'static str) -> Option<u32> {
        let text = self.text(name)?;
        let number = text.trim().parse().ok();
        if number.is_none() {
            self.problem(name, format!("{name}=\"{}\" is not a whole number", cut(&text)));
        }
        number
    }

    /// Ends the asking: what nobody asked for is a problem, and what was asked for is remembered under `path`.
    pub(crate) fn finish(self, path: Option<DefPath>) {
        if let Some(path) = path {
            self.draft.places.insert(path, self.place(""));
            for name in self.asked.iter().copied().filter(|name| self.node.has_attribute(*name)) {
                self.draft.places.insert(path.field(name), self.place(name));
            }
        }
        // Attributes of a namespace belong to editors.
        for attribute in self.node.attributes().filter(|attribute| attribute.namespace().is_none()) {
            let name = attribute.name();
            if !self.asked.contains(&name) {
                let hint = hint(name, &self.asked);
                let place = Place { source: self.source, byte: attribute.range().start };
                self.draft.problem(place, format!("{} has no attribute {}{hint}", self.called, cut(name)));
            }
        }
    }
}

/// "; did you mean …?", or what is possible where nothing is near.
pub(crate) fn hint(wanted: &str, possible: &[&str]) -> String {
    nearest(wanted, possible.iter().copied())
        .map_or_else(|| format!("; possible are {}", possible.join(", ")), |near| format!("; did you mean {near}?"))
}

/// A text of the file in a message: cut where it is long, without line breaks.
pub(crate) fn cut(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
