//! The schema changed while nodes run: what leads from the one that holds to another, and the entry of the log that says
//! so.
//!
//! The head office alone changes the schema. The whole new one, with its ids, stands in a transaction without changes;
//! its place in the log says from where on it holds, at every node. Each node makes its tables those of the new schema in
//! the very commit that appends the entry. The log itself stays as it is: what was saved under an earlier schema is read
//! with [`older`].

mod check;
pub(crate) mod older;

use std::sync::Arc;

use mytism_core::change::Slot;
use mytism_core::failure::Failure;
use mytism_core::id::{EntityId, Hash, ObjectId};
use mytism_core::operation::{ObstacleObject, Reply, Request, Saved, SchemaLine, Sink};
use mytism_core::schema::{Schema, SchemaDef, Step, difference};
use mytism_core::value::Value;
use mytism_format::hash;
use mytism_format::map::{MapReader, MapWriter};
use mytism_store::{View, Write};

use crate::App;
use crate::apply::newer;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::AppError;
use crate::lane::Work;
use crate::output::Presenter;
use crate::record::{self, About};
use crate::reign;
use crate::stack::Ground;
use check::{Found, Obstacles};

/// Where the last change is kept: number of the entry, and whether what is pending has yet to be laid on the new tables.
const KEY: &str = "schema-change";
/// Objects that are laid again at once.
const OBJECTS: u32 = 1_000;

/// The schema that a node told.
///
/// # Errors
/// When the bytes are no schema, or that of a newer program.
pub fn told(stored: &[u8]) -> Result<Schema, AppError> {
    checked(mytism_format::schema::read(stored)?)
}

/// What asks a node for another schema than the one that it told.
///
/// # Errors
/// When the other one is too large.
pub fn proposal(told: &[u8], next: &Schema, apply: bool) -> Result<Request, AppError> {
    Ok(Request::ChangeSchema { schema: mytism_format::schema::write(next.def())?, from: hash::chunk(told), apply })
}

/// What is known of the last change of the schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Last {
    /// Number of its entry; 0 where there was none.
    pub(crate) number: u64,
    /// Whether what is pending has yet to be laid on top of what the log says.
    lay: bool,
}

impl Last {
    pub(crate) fn stored(view: &dyn View) -> Result<Self, AppError> {
        let Some(bytes) = view.get(KEY)? else { return Ok(Self::default()) };
        let fields = MapReader::new("the last change of the schema", &bytes)?;
        Ok(Self { number: fields.number("n")?, lay: fields.boolean("l")? })
    }

    fn write(self) -> Write {
        let value = MapWriter::new(2).unsigned("n", self.number).boolean("l", self.lay).finish();
        Write::Put { key: KEY, value }
    }
}

impl App {
    /// The schema that holds, in its stored form.
    pub(crate) fn stored_schema(&self) -> Result<Vec<u8>, AppError> {
        Ok(mytism_format::schema::write(self.schema().def())?)
    }

    /// Tells what leads from the schema that holds to another one; where `apply` is set, and nothing is in the way, makes
    /// that the one that holds. `from` is the hash of the one that the other was made from.
    pub(crate) fn change_schema(
        &self,
        context: &Context,
        schema: &[u8],
        from: Hash,
        apply: bool,
        sink: &mut Sink<'_>,
    ) -> Result<(), AppError> {
        let next = Arc::new(checked(mytism_format::schema::read(schema)?)?);
        let view = self.view()?;
        let found = planned(&*view, &next, from)?;
        let mut presenter = Presenter::new(view.schema(), &*view);
        for (step, obstacles) in &found {
            if sink(Reply::SchemaStep(Box::new(line(&mut presenter, step, obstacles)?))).is_err() {
                return Ok(());
            }
        }
        if !apply {
            return Ok(());
        }
        refuse_obstacles(&found)?;
        drop(presenter);
        drop(view);
        let context = context.clone();
        let saved = self.lane.execute_alone(move |work| commit(work, &context, &next, from))?;
        let _closed = sink(Reply::Saved(saved));
        Ok(())
    }

    /// Lays what is pending on tables that were made anew.
    pub(crate) fn lay_again(&self) -> Result<(), AppError> {
        if Last::stored(&*self.view()?)?.lay {
            self.lane.execute_alone(lay_again)?;
        }
        Ok(())
    }
}

/// The steps to another schema, each with what is in the way of it.
fn planned(view: &dyn View, next: &Arc<Schema>, from: Hash) -> Result<Vec<Found>, AppError> {
    let schema = view.schema();
    if hash::chunk(&mytism_format::schema::write(schema.def())?) != from {
        let message = "the schema was changed meanwhile, by somebody else";
        return Err(Failure::refused("schema-moved", message)
            .hint("read the files again with the same command")
            .into());
    }
    Obstacles::new(view, next).find(difference(schema, next))
}

fn refuse_obstacles(found: &[Found]) -> Result<(), AppError> {
    let blocked = found.iter().filter(|(step, obstacles)| step.impossible.is_some() || obstacles.count > 0);
    let names: Vec<&str> = blocked.map(|(step, _)| step.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("the schema was not changed: {} cannot become what the files say", listed(&names));
    let hint = "`schema plan` lists the objects that are in the way";
    Err(Failure::refused("schema-does-not-fit", message).hint(hint).into())
}

/// A few names, and how many more there are.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    let first = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn line(presenter: &mut Presenter<'_>, step: &Step, obstacles: &check::Offending) -> Result<SchemaLine, AppError> {
    let mut objects = Vec::with_capacity(obstacles.first.len());
    for (object, value) in &obstacles.first {
        let value = value.to_string();
        objects.push(ObstacleObject { object: *object, text: presenter.text(*object)?, value });
    }
    Ok(SchemaLine {
        action: step.action.name().to_owned(),
        name: step.name.clone(),
        from: step.from.clone(),
        to: step.to.clone(),
        impossible: step.impossible.map(str::to_owned),
        in_the_way: obstacles.count,
        objects,
    })
}

/// A schema that holds in itself.
fn checked(def: SchemaDef) -> Result<Schema, AppError> {
    Schema::new(def).map_err(|problems| {
        let first = problems.first().map_or_else(String::new, ToString::to_string);
        AppError::refused("schema-error", format!("the schema does not hold: {first}"))
    })
}

/// Makes another schema the one that holds, at the head office.
fn commit(work: &mut Work<'_>, context: &Context, next: &Arc<Schema>, from: Hash) -> Result<Saved, AppError> {
    if !work.state.authoritative {
        let failure = Failure::refused("not-authoritative", "only the head office changes the schema");
        return Err(failure.hint("give the command at the head office; its branches follow").into());
    }
    reign::check(&work.state)?;
    let found = planned(work.workspace.view()?, next, from)?;
    refuse_obstacles(&found)?;
    if found.is_empty() {
        return Ok(Saved { transaction: None, position: None, pending: false, ids: Vec::new() });
    }
    let number = work.state.position().number + 1;
    switch(work, next, number, false);
    let stamp = Draft::new(work, context).finish()?.1;
    let description = format!("Schema {} {}", next.def().name, next.def().version);
    let about = About { description, schema: Some(next.def().clone()), ..About::default() };
    record::own(work, about, stamp, Vec::new())
}

/// A schema of an entry that arrived, at a branch. It is the only entry of its commit.
pub(crate) fn arrived(work: &mut Work<'_>, def: &SchemaDef, number: u64) -> Result<(), AppError> {
    if work.workspace.schema.def() == def {
        return Ok(());
    }
    let next = Schema::new(def.clone()).map_err(|problems| {
        let first = problems.first().map_or_else(String::new, ToString::to_string);
        newer(&format!("the schema of entry {number}: {first}"))
    })?;
    let pending = work.workspace.view()?.pending_ends()?.is_some();
    switch(work, &Arc::new(next), number, pending);
    Ok(())
}

fn switch(work: &mut Work<'_>, next: &Arc<Schema>, number: u64, lay: bool) {
    work.workspace.write(Write::Schema { schema: Arc::clone(next), number });
    work.workspace.write(Last { number, lay }.write());
}

/// Computes anew what is seen of all objects that pending transactions touch. The tables have the values that were seen
/// before, as far as they have a place there.
fn lay_again(work: &mut Work<'_>) -> Result<(), AppError> {
    let last = Last::stored(work.workspace.view()?)?;
    let mut after = 0;
    loop {
        let objects = work.workspace.view()?.pending_objects(after, OBJECTS)?;
        let Some(end) = objects.last() else { break };
        after = end.get();
        for object in objects {
            let Some(entity) = work.workspace.object(object)?.map(|state| state.entity) else { continue };
            let ground = Ground::of(work, object, entity)?;
            if !ground.is_known() {
                as_it_will_be(work, object, entity, &ground)?;
            }
            ground.lay(work)?;
        }
    }
    work.workspace.write(Last { lay: false, ..last }.write());
    Ok(())
}

/// An object that waits for the head office has of what is new the values that this will give it: those of required
/// attributes, and no others.
fn as_it_will_be(work: &mut Work<'_>, object: ObjectId, entity: EntityId, ground: &Ground) -> Result<(), AppError> {
    let Some(created) = work.workspace.object(object)?.map(|state| state.meta.created) else { return Ok(()) };
    let schema = work.workspace.schema;
    for member in schema.entity_by_id(entity).into_iter().flat_map(|found| found.columns()) {
        let slot = Slot::attribute(member.id);
        if !ground.covers(slot) {
            let value = if member.not_null { member.default.clone() } else { Value::Null };
            work.workspace.put(object, entity, slot, value, created)?;
        }
    }
    Ok(())
}
