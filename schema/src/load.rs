//! Includes followed, each file once, and problems brought to their places.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mytism_core::failure::nearest;
use mytism_core::schema::{DefPath, KindDef, Schema, SchemaDef};
use roxmltree::{Document, Node, ParsingOptions};

use crate::numbering::number_renamed;
use crate::read::{self, Draft, InFile};
use crate::source::{self, BUILT_IN, BYTES_MAX, FileProblem, Place, Source};
use crate::words::{Words, cut};

/// The most files of a schema; bounds how deep includes nest, too.
const FILES_MAX: usize = 200;
/// The most XML nodes of one file.
const NODES_MAX: u32 = 400_000;

/// Reads files one after the other into one definition.
#[derive(Default)]
pub(crate) struct Loader {
    draft: Draft,
    sources: Vec<Source>,
    seen: HashSet<Origin>,
    bytes: usize,
    /// The file that all others are included from.
    root: usize,
    /// A file could not be read at all, so that names which seem unknown may stand in it.
    incomplete: bool,
}

/// What makes a file the same file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Origin {
    BuiltIn(&'static str),
    Disk(PathBuf),
}

impl Loader {
    /// Reads the system's own files.
    pub(crate) fn system(&mut self) {
        (self.draft.def.name, self.draft.def.version) = ("system".to_owned(), "1".to_owned());
        for (name, text) in BUILT_IN {
            self.built_in(name, text);
        }
    }

    /// Reads a project's file; its name and version become those of the schema.
    pub(crate) fn root(&mut self, path: &Path) {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        (self.draft.def.name, self.draft.def.version) = (stem, "1".to_owned());
        let source = self.sources.len();
        self.root = source;
        if let Err(message) = self.disk(path, true) {
            // The file itself has no text to point into.
            self.sources.push(Source { name: path.display().to_string(), text: Rc::from(""), built_in: false });
            self.draft.problem(Place { source, byte: 0 }, message);
            self.incomplete = true;
        }
    }

    /// The definition as far as it could be read.
    pub(crate) fn into_def(mut self) -> SchemaDef {
        self.look_up_enums();
        self.draft.def
    }

    /// The definition, where all files have the right form.
    pub(crate) fn written(mut self) -> Result<SchemaDef, Vec<FileProblem>> {
        self.look_up_enums();
        if self.draft.problems.is_empty() { Ok(self.draft.def) } else { Err(self.in_order()) }
    }

    /// The definition numbered, on from the one before where there is one, and checked.
    pub(crate) fn checked(mut self, previous: Option<&Schema>) -> Result<Schema, Vec<FileProblem>> {
        self.look_up_enums();
        self.check_former_names(previous);
        number_renamed(&mut self.draft.def, previous, &self.draft.former_names);
        if self.incomplete {
            return Err(self.in_order());
        }
        let def = self.draft.def.clone();
        let problems = match (Schema::new(def), self.draft.problems.is_empty()) {
            (Ok(schema), true) => return Ok(schema),
            (Ok(_), false) => Vec::new(),
            (Err(problems), _) => problems,
        };
        let told: HashSet<Place> = self.draft.problems.iter().map(|(place, _)| *place).collect();
        for problem in problems {
            let place = self.place(problem.path);
            let member = DefPath { field: None, ..problem.path };
            // What could not be read has been told already; what follows from it need not be.
            if !told.contains(&place) && !self.draft.broken.contains(&member) {
                self.draft.problems.push((place, problem.message));
            }
        }
        Err(self.in_order())
    }

    /// What has a new name must have had the old one, unless it has the new one already.
    fn check_former_names(&mut self, previous: Option<&Schema>) {
        let Some(previous) = previous else { return };
        let mut told = Vec::new();
        for (at, was) in &self.draft.former_names {
            let Some(entity) = at.entity.and_then(|index| self.draft.def.entities.get(index)) else { continue };
            let entity_was = self.draft.former_names.get(&DefPath { member: None, ..*at });
            let former = previous.entity(&entity.name).or_else(|| previous.entity(entity_was?));
            let member = at.member.and_then(|index| entity.members.get(index));
            let possible: Vec<&str> = match (member, former) {
                (None, Some(_)) | (Some(_), None) => continue,
                (None, None) => previous.entities().map(|entity| entity.name.as_str()).collect(),
                (Some(member), Some(former)) if former.member(&member.name).is_some() => continue,
                (Some(_), Some(former)) => former.members.iter().map(|member| member.name.as_str()).collect(),
            };
            if !possible.contains(&was.as_str()) {
                let near = nearest(was, possible.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                let message = format!("the schema that holds has no {} that could be renamed{near}", cut(was));
                told.push((self.place(at.field("was")), message));
            }
        }
        told.into_iter().for_each(|(place, message)| self.draft.problem(place, message));
    }

    /// Where a part of the definition stands: itself, else what it is part of.
    fn place(&self, path: DefPath) -> Place {
        let member = DefPath { field: None, ..path };
        let entity = DefPath { member: None, ..member };
        let found = [path, member, entity].iter().find_map(|path| self.draft.places.get(path).copied());
        found.unwrap_or(Place { source: self.root, byte: 0 })
    }

    fn in_order(mut self) -> Vec<FileProblem> {
        self.draft.problems.sort_by_key(|(place, _)| *place);
        let problems = self.draft.problems.into_iter();
        problems
            .filter_map(|(place, message)| {
                self.sources.get(place.source).map(|source| source.problem(place.byte, message))
            })
            .collect()
    }

    fn built_in(&mut self, name: &'static str, text: &str) {
        if self.seen.insert(Origin::BuiltIn(name)) {
            self.sources.push(Source { name: name.to_owned(), text: Rc::from(text), built_in: true });
            self.document(false);
        }
    }

    /// Reads a file from disk, unless it has been read. The error says why there is nothing to read.
    fn disk(&mut self, path: &Path, root: bool) -> Result<(), String> {
        let canonical = Origin::Disk(path.canonicalize().unwrap_or_else(|_| path.to_owned()));
        if self.seen.contains(&canonical) {
            return Ok(());
        }
        let bytes = source::read(path, BYTES_MAX.saturating_sub(self.bytes))?;
        self.seen.insert(canonical);
        if self.sources.len() >= FILES_MAX {
            return Err(format!("more than {FILES_MAX} schema files are not read"));
        }
        self.bytes += bytes.len();
        let name = path.display().to_string();
        match source::text(bytes) {
            Ok(text) => {
                self.sources.push(Source { name, text: Rc::from(text), built_in: false });
                self.document(root);
            }
            Err((sound, message)) => {
                let place = Place { source: self.sources.len(), byte: sound.len() };
                self.sources.push(Source { name, text: Rc::from(sound), built_in: false });
                self.draft.problem(place, message);
                self.incomplete = true;
            }
        }
        Ok(())
    }

    /// Reads the file that was added last.
    fn document(&mut self, root: bool) {
        let Some(source) = self.sources.last() else { return };
        let file = InFile { source: self.sources.len() - 1, built_in: source.built_in };
        let text = Rc::clone(&source.text);
        // Without a DTD there are no entities that could multiply.
        let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        match Document::parse_with_options(&text, options) {
            Ok(document) => self.schema(document.root_element(), file, root),
            Err(error) => {
                let (position, message) = (error.pos(), error.to_string());
                let message = shortened(message.strip_suffix(&format!(" at {position}")).unwrap_or(&message));
                // What is missing is missing at the end; the parser names no place for it.
                let byte = match error {
                    roxmltree::Error::UnclosedRootNode => text.len(),
                    _ => source.byte_at(position.row, position.col),
                };
                self.draft.problem(Place { source: file.source, byte }, format!("not well-formed XML: {message}"));
                self.incomplete = true;
            }
        }
    }

    fn schema(&mut self, node: Node<'_, '_>, file: InFile, root: bool) {
        if node.tag_name().name() != "Schema" {
            self.incomplete = true;
            return self.draft.stranger(node, file.source, &["Schema"]);
        }
        let mut words = Words::new(node, file.source, &mut self.draft);
        let (name, version) = (words.name("name"), words.name("version"));
        words.finish(None);
        if root {
            let def = &mut self.draft.def;
            def.name = name.unwrap_or_else(|| std::mem::take(&mut def.name));
            def.version = version.unwrap_or_else(|| std::mem::take(&mut def.version));
        }
        for child in read::elements(node, file.source, &mut self.draft) {
            match child.tag_name().name() {
                "Include" => self.include(child, file),
                "Entity" => read::entity(child, file, &mut self.draft),
                "Enum" => read::shared_enum(child, file, &mut self.draft),
                _ => self.draft.stranger(child, file.source, &["Include", "Entity", "Enum"]),
            }
        }
    }

    fn include(&mut self, node: Node<'_, '_>, file: InFile) {
        let mut words = Words::new(node, file.source, &mut self.draft);
        let (wanted, place) = (words.required("file"), words.place("file"));
        words.finish(None);
        let Some(wanted) = wanted else { return };
        for child in read::elements(node, file.source, &mut self.draft) {
            self.draft.stranger(child, file.source, &[]);
        }
        let built_in = BUILT_IN.iter().find(|(name, _)| *name == wanted);
        let folder = match self.sources.get(file.source) {
            Some(source) if !source.built_in => Path::new(&source.name).parent(),
            _ => None,
        };
        let path = folder.map(|folder| folder.join(&wanted));
        match (path, built_in) {
            (Some(path), None) => self.include_from_disk(&path, &wanted, place),
            (Some(path), Some(_)) if path.exists() => self.include_from_disk(&path, &wanted, place),
            (_, Some((name, text))) => self.built_in(name, text),
            (None, None) => self.draft.problem(place, format!("there is no file {}", cut(&wanted))),
        }
    }

    fn include_from_disk(&mut self, path: &Path, wanted: &str, place: Place) {
        if let Err(message) = self.disk(path, false) {
            let near = nearest(wanted, BUILT_IN.iter().map(|(name, _)| *name));
            let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            let path = shortened(&path.display().to_string());
            self.draft.problem(place, format!("{path} {message}{near}"));
            self.incomplete = true;
        }
    }

    /// Gives attributes the words of the lists that they name, wherever these stand.
    fn look_up_enums(&mut self) {
        for (at, name) in std::mem::take(&mut self.draft.enum_uses) {
            let Some(words) = self.draft.enums.get(&name).cloned() else {
                if !self.incomplete {
                    let near = nearest(&name, self.draft.enums.keys().map(String::as_str));
                    let near = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                    let message = format!("there is no Enum {}{near}", cut(&name));
                    self.draft.problem(self.place(at.field("enum")), message);
                }
                self.draft.broken.insert(at);
                continue;
            };
            let entity = at.entity.and_then(|index| self.draft.def.entities.get_mut(index));
            if let Some(member) = entity.and_then(|entity| entity.members.get_mut(at.member?)) {
                member.kind = KindDef::Enum(words);
            }
        }
    }
}

/// What the parser found and files that somebody named may be of any length.
fn shortened(message: &str) -> String {
    const CHARACTERS: usize = 300;
    match message.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or_default()),
        None => message.to_owned(),
    }
}
