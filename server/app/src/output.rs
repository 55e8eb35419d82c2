//! Objects and values in the form in which they leave the node: names in the place of ids, words of enumerations, the
//! text that stands for a referenced object.

use std::collections::HashMap;

use mytism_core::change::{Slot, Stamp};
use mytism_core::id::{NodeId, ObjectId};
use mytism_core::operation::{ObjectDetail, ObjectView, Output, StampView};
use mytism_core::schema::{EnumWord, Kind, Schema};
use mytism_core::value::Value;
use mytism_format::object::ObjectState;
use mytism_store::View;

use crate::error::AppError;
use crate::workspace::Workspace;

/// Reads what is shown beside an object itself, each thing once.
pub(crate) struct Presenter<'v> {
    schema: &'v Schema,
    view: &'v dyn View,
    texts: HashMap<ObjectId, String>,
    /// Whether the key of an object stands for it, not its display text.
    keys: bool,
    nodes: HashMap<NodeId, String>,
}

impl<'v> Presenter<'v> {
    /// Display texts that are kept; past it they are forgotten and read again, so that a long list takes bounded memory.
    const TEXTS: usize = 50_000;

    pub(crate) fn new(schema: &'v Schema, view: &'v dyn View) -> Self {
        Self { schema, view, texts: HashMap::new(), keys: false, nodes: HashMap::new() }
    }

    /// The same, but that keys stand for referenced objects. One without a key has no text.
    pub(crate) fn with_keys(self) -> Self {
        Self { keys: true, ..self }
    }

    /// An object with all it holds.
    pub(crate) fn object(&mut self, state: &ObjectState, with_detail: bool) -> Result<ObjectView, AppError> {
        let schema = self.schema;
        let mut values = Vec::new();
        let entity = schema.entity_by_id(state.entity);
        for member in entity.map(|entity| &entity.members[..]).unwrap_or_default() {
            let output = match member.kind {
                Kind::ManyToMany { .. } => {
                    let elements = self.view.elements(member.id, state.id)?;
                    let list = elements.into_iter().map(|id| self.reference(id)).collect::<Result<_, _>>()?;
                    Output::List(list)
                }
                Kind::ToMany { .. } | Kind::Owners { .. } => continue,
                _ => self.value(&member.kind, state.get(Slot::attribute(member.id)))?,
            };
            values.push((member.name.clone(), output));
        }
        let detail = if with_detail { Some(self.detail(state)?) } else { None };
        let pending = state.meta.version.is_none();
        Ok(ObjectView { id: state.id, entity: schema.entity_name(state.entity), values, pending, detail })
    }

    fn detail(&mut self, state: &ObjectState) -> Result<ObjectDetail, AppError> {
        Ok(ObjectDetail {
            created: self.stamp(state.meta.created)?,
            changed: self.stamp(state.meta.changed)?,
            version: state.meta.version,
            deleted: state.meta.life != mytism_core::change::Life::Alive,
        })
    }

    /// Who, when and where, in words.
    pub(crate) fn stamp(&mut self, stamp: Stamp) -> Result<StampView, AppError> {
        Ok(StampView { time: stamp.time, user: self.text(stamp.user)?, node: self.node(stamp.node)? })
    }

    /// A value as it leaves the node.
    pub(crate) fn value(&mut self, kind: &Kind, value: Value) -> Result<Output, AppError> {
        Ok(match (kind, value) {
            (Kind::Enum(words), Value::Enum(id)) => word(words, id),
            (_, Value::Reference(id)) => self.reference(id)?,
            (_, value) => Output::Value(value),
        })
    }

    /// A reference with its text.
    pub(crate) fn reference(&mut self, id: ObjectId) -> Result<Output, AppError> {
        Ok(Output::Reference { id, text: self.text(id)? })
    }

    /// The text that stands for an object.
    pub(crate) fn text(&mut self, id: ObjectId) -> Result<String, AppError> {
        if let Some(text) = self.texts.get(&id) {
            return Ok(text.clone());
        }
        let text = match self.view.object(id)? {
            Some(state) if self.keys => key_text(self.schema, &state),
            Some(state) => display_text(self.schema, &state),
            None => String::new(),
        };
        if self.texts.len() >= Self::TEXTS {
            self.texts.clear();
        }
        self.texts.insert(id, text.clone());
        Ok(text)
    }

    fn node(&mut self, node: NodeId) -> Result<String, AppError> {
        if let Some(name) = self.nodes.get(&node) {
            return Ok(name.clone());
        }
        let name = match find_node(self.schema, self.view, node)? {
            Some(state) => display_text(self.schema, &state),
            None => format!("#{node}"),
        };
        self.nodes.insert(node, name.clone());
        Ok(name)
    }
}

fn word(words: &[EnumWord], id: mytism_core::id::EnumId) -> Output {
    let found = words.iter().find(|word| word.id == id);
    Output::Word(found.map_or_else(|| format!("#{id}"), |word| word.name.clone()))
}

/// What stands for an object in lists.
fn display_text(schema: &Schema, state: &ObjectState) -> String {
    let entity = schema.entity_by_id(state.entity);
    let attributes = entity.map(|entity| [entity.display, entity.key]).unwrap_or_default();
    let texts = attributes.into_iter().flatten().map(|attribute| state.get(Slot::attribute(attribute)));
    texts.into_iter().find(|value| !value.is_null()).map_or_else(String::new, |value| value.to_string())
}

/// What an import finds an object by.
fn key_text(schema: &Schema, state: &ObjectState) -> String {
    let key = schema.entity_by_id(state.entity).and_then(|entity| entity.key);
    let value = key.map_or(Value::Null, |key| state.get(Slot::attribute(key)));
    if value.is_null() { String::new() } else { value.to_string() }
}

/// The node object of a number.
pub(crate) fn find_node(schema: &Schema, view: &dyn View, node: NodeId) -> Result<Option<ObjectState>, AppError> {
    let Some((entity, number)) = schema.entity("Node").and_then(|entity| Some((entity, entity.member("Number")?)))
    else {
        return Ok(None);
    };
    let found = view.find(entity.id, number.id, &Value::Integer(i64::from(node.0)), 1)?;
    Ok(match found.first() {
        Some(id) => view.object(*id)?,
        None => None,
    })
}

/// Name of a user, for a record that keeps it as text.
pub(crate) fn user_name(workspace: &mut Workspace<'_>, user: ObjectId) -> Result<String, AppError> {
    let schema = workspace.schema;
    Ok(workspace.object(user)?.map_or_else(|| user.to_string(), |state| display_text(schema, state)))
}

/// Name of a node, for a record that keeps it as text.
pub(crate) fn node_name(workspace: &mut Workspace<'_>, node: NodeId) -> Result<String, AppError> {
    let found = find_node(workspace.schema, workspace.view()?, node)?;
    Ok(found.map_or_else(|| format!("#{node}"), |state| display_text(workspace.schema, &state)))
}
