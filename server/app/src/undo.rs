//! Undoing: what a transaction did is set back by a new one.
//!
//! A slot goes back to what it was where it still is what the transaction made it; where it is already what it was,
//! there is nothing to do, so that an undo can be undone, repeated and taken up again. An object that was made is marked
//! deleted, one that was deleted comes back. Whatever was changed since, or would break what must hold, is an obstacle:
//! either nothing at all is done, or what is obstructed is left.
//!
//! A run (an import) is undone from its last transaction to its first, each in one of its own, under a run of its own.
//! It is looked through first, so that nothing is begun that is known to meet an obstacle.
//!
//! 1. [`source`]: what is to be undone
//! 2. [`plan`]: what that means now, object by object
//! 3. [`perform`]: doing it in a layer, as far as what must hold allows

mod perform;
mod plan;
mod source;

use std::sync::Arc;

use mytism_core::change::{Slot, Stamp};
use mytism_core::failure::Failure;
use mytism_core::id::{EntityId, ObjectId, TransactionId};
use mytism_core::operation::{Obstacle, Reply, Saved, Sink, UndoLine, UndoRequest, Undone};
use mytism_core::schema::Schema;
use mytism_core::value::Value;
use mytism_store::View;

use crate::App;
use crate::context::Context;
use crate::error::AppError;
use crate::lane::Work;
use crate::numbers;
use crate::output::Presenter;
use crate::prepare::Drafted;
use crate::reading::{slot_name, slot_value};
use crate::record::{self, About};
use plan::{Net, Plan};
use source::Source;

/// One slot to be set back.
#[derive(Clone, PartialEq, Debug)]
struct Step {
    object: ObjectId,
    entity: EntityId,
    slot: Slot,
    /// What it was, and shall be again.
    before: Value,
    /// What it was made.
    then: Value,
    /// What it is.
    now: Value,
    /// What stands in the way.
    obstacle: Option<Found>,
}

/// Why a slot cannot be set back.
#[derive(Clone, PartialEq, Debug)]
struct Found {
    code: String,
    message: String,
    by: Option<(Stamp, TransactionId)>,
}

/// What became of one transaction.
struct Part {
    objects: u64,
    obstacles: Vec<Step>,
}

impl App {
    /// Undoes a transaction or a run.
    ///
    /// # Errors
    /// The refusal; nothing was changed then, but what [`Reply::Undone`] told.
    pub(crate) fn undo(&self, context: &Context, request: &UndoRequest, sink: &mut Sink<'_>) -> Result<(), AppError> {
        let view = self.view()?;
        let source = Arc::new(Source::find(&*view, request.id)?);
        // What stands in the way is told by who does the work, where it is to be left.
        let survey = request.dry_run || !request.keep_later;
        let found =
            if survey { self.survey(context, &*view, &source, request.dry_run, sink)? } else { Survey::default() };
        drop(view);
        if found.obstacles > 0 && !request.keep_later {
            return Err(obstructed(request.id, found.obstacles, Undone::default()));
        }
        if !request.dry_run {
            return self.perform(context, &source, request, sink);
        }
        let total = source.parts.len() as u64;
        let undone = Undone { objects: found.objects, left: found.obstacles, total, ..Undone::default() };
        let _closed = sink(Reply::Undone(undone));
        Ok(())
    }

    /// Looks through everything that would be done, and tells the obstacles; or all of it.
    fn survey(
        &self,
        context: &Context,
        view: &dyn View,
        source: &Source,
        tell_all: bool,
        sink: &mut Sink<'_>,
    ) -> Result<Survey, AppError> {
        let schema = self.schema();
        let mut presenter = Presenter::new(schema, view);
        let mut plan = Plan::new(source);
        let mut found = Survey::default();
        for part in &source.parts {
            let net = plan.net(view, *part)?;
            let mut work = Work::practice(&self.foundation, self.foundation.published().state.clone());
            let mut steps = plan.steps(&mut work.workspace, &net)?;
            // Of a run only the whole would show what must hold in the end; its parts are looked at when they are done.
            if source.parts.len() == 1 {
                let (stamp, version) = (work.stamp(context), work.next_version());
                perform::settle(&mut work.workspace, &mut steps, stamp, version)?;
            }
            found.count(&steps);
            for step in steps.into_iter().filter(|step| tell_all || step.obstacle.is_some()) {
                if sink(Reply::UndoLine(Box::new(line(schema, &mut presenter, step)?))).is_err() {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn perform(
        &self,
        context: &Context,
        source: &Arc<Source>,
        request: &UndoRequest,
        sink: &mut Sink<'_>,
    ) -> Result<(), AppError> {
        let mut undone = Undone { total: source.parts.len() as u64, ..Undone::default() };
        let mut plan = Plan::new(source);
        for part in &source.parts {
            // What was logged stays as it is, so it is read beside the lane.
            let net = Arc::new(plan.net(&*self.view()?, *part)?);
            let about = About {
                description: format!("undo of {}: {}", request.id, source.description),
                run: source.is_run.then_some(undone.transaction),
                schema: None,
            };
            let (saved, part) = self.perform_part(context, source, &net, about, request.keep_later)?;
            let view = self.view()?;
            let mut presenter = Presenter::new(self.schema(), &*view);
            let obstacles = part.obstacles.len() as u64;
            for step in part.obstacles {
                let _closed = sink(Reply::UndoLine(Box::new(line(self.schema(), &mut presenter, step)?)));
            }
            if obstacles > 0 && !request.keep_later {
                return Err(obstructed(request.id, obstacles, undone));
            }
            undone.left += obstacles;
            undone.done += 1;
            undone.objects += part.objects;
            if let Some(saved) = saved {
                undone.transaction = undone.transaction.or(saved.transaction);
                undone.position = saved.position;
                undone.pending = saved.pending;
            }
            if sink(Reply::Undone(undone)).is_err() {
                // What is done stands; whoever comes back can go on.
                return Ok(());
            }
        }
        Ok(())
    }

    /// Undoes one transaction, whole or not at all but for what is left.
    fn perform_part(
        &self,
        context: &Context,
        source: &Arc<Source>,
        net: &Arc<Net>,
        about: About,
        keep_later: bool,
    ) -> Result<(Option<Saved>, Part), AppError> {
        let (context, source, net) = (context.clone(), Arc::clone(source), Arc::clone(net));
        self.commit(move |work| {
            let (stamp, version) = (work.stamp(&context), work.next_version());
            let mut steps = Plan::new(&source).steps(&mut work.workspace, &net)?;
            let mut changes = perform::settle(&mut work.workspace, &mut steps, stamp, version)?;
            let obstacles: Vec<Step> = steps.into_iter().filter(|step| step.obstacle.is_some()).collect();
            if !obstacles.is_empty() && !keep_later {
                changes.clear();
            }
            numbers::check(work, &changes)?;
            let objects = record::by_object(&changes).len() as u64;
            Ok(Drafted { about: about.clone(), stamp, changes, answer: Part { objects, obstacles } })
        })
    }
}

/// What a look through everything found.
#[derive(Default)]
struct Survey {
    /// Objects that would be set back.
    objects: u64,
    /// Slots that cannot be.
    obstacles: u64,
}

impl Survey {
    fn count(&mut self, steps: &[Step]) {
        let free = steps.iter().filter(|step| step.obstacle.is_none()).map(|step| step.object);
        self.objects += free.collect::<std::collections::BTreeSet<_>>().len() as u64;
        self.obstacles += steps.iter().filter(|step| step.obstacle.is_some()).count() as u64;
    }
}

fn obstructed(id: TransactionId, obstacles: u64, undone: Undone) -> AppError {
    let places = if obstacles == 1 { "1 place".to_owned() } else { format!("{obstacles} places") };
    let message = match undone.done {
        0 => format!("{id} is not undone: in {places} something stands in the way"),
        done => format!(
            "{id} is undone in part, {done} of {} transactions: in {places} something stands in the way",
            undone.total
        ),
    };
    Failure::refused("undo-conflict", message).hint("--keep-later leaves these and undoes the rest").into()
}

fn line(schema: &Schema, presenter: &mut Presenter<'_>, step: Step) -> Result<UndoLine, AppError> {
    let entity = schema.entity_by_id(step.entity);
    let mut shown = |value: Value| slot_value(presenter, entity, step.slot, value);
    let (before, then, now) = (shown(step.before)?, shown(step.then)?, shown(step.now)?);
    let obstacle = match step.obstacle {
        Some(Found { code, message, by }) => {
            let transaction = by.map(|(_, id)| id);
            let by = by.map(|(stamp, _)| presenter.stamp(stamp)).transpose()?;
            Some(Obstacle { code, message, by, transaction })
        }
        None => None,
    };
    Ok(UndoLine {
        object: step.object,
        entity: schema.entity_name(step.entity),
        text: presenter.text(step.object)?,
        attribute: slot_name(entity, step.slot),
        before,
        then,
        now,
        obstacle,
    })
}
