//! An administrator sets the next number of a range, to take back one that was drawn by mistake or to leave some out.
//! Never onto or below a number that an object holds.

use mytism_core::change::Slot;
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::number::Number;
use mytism_core::operation::Saved;
use mytism_core::value::Value;

use super::range::{Range, node_object};
use super::report::{each_held, named};
use super::standing::{Standing, Standings};
use super::{NEXT, RANGE};
use crate::App;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::AppError;
use crate::lane::Work;
use crate::record::{self, About};

impl App {
    /// Sets the next number of a range, which is named by its object's id or by its name.
    ///
    /// # Errors
    /// When there is no such range, it belongs to another node, or an object holds the number or a later one.
    pub(crate) fn set_next_number(&self, context: &Context, range: &str, next: Number) -> Result<Saved, AppError> {
        let view = self.view()?;
        let range = named(self.schema(), &*view, range, self.identity().node)?;
        let direction = range.bounds.direction();
        // Read beside the lane, since it may take a while. What is drawn meanwhile counts as held.
        let seen = Standings::read(&*view)?.get(range.id).copied();
        let mut held: Option<(ObjectId, Number)> = None;
        each_held(self.schema(), &*view, &range.name, &mut |object, number| {
            let is_further = held.is_none_or(|(_, other)| direction.is_beyond(number, other));
            if range.bounds.contains(number) && is_further {
                held = Some((object, number));
            }
        })?;
        drop(view);
        let context = context.clone();
        self.lane.execute(move |work| set(work, &context, &range, next, seen, held))
    }
}

fn set(
    work: &mut Work<'_>,
    context: &Context,
    range: &Range,
    next: Number,
    seen: Option<Standing>,
    held: Option<(ObjectId, Number)>,
) -> Result<Saved, AppError> {
    let range = Range::find(&mut work.workspace, range.id)?.unwrap_or_else(|| range.clone());
    let (name, bounds) = (&range.name, range.bounds);
    let direction = bounds.direction();
    let node = node_object(&mut work.workspace, work.foundation.identity.node)?;
    if range.node.is_none() || range.node != node {
        let message = format!("the number range {name} (object {}) does not belong to this node", range.id);
        let hint = "set its next number at the node that it belongs to";
        return Err(Failure::refused("number-range-elsewhere", message).hint(hint).into());
    }
    if !bounds.contains(next) {
        let message = format!("{next} is outside of {} … {} of the range {name}", bounds.min(), bounds.max());
        return Err(Failure::usage("wrong-value", message).into());
    }
    if let Some((object, number)) = held.filter(|(_, number)| !direction.is_beyond(next, *number)) {
        let message = format!("the next number of {name} cannot be {next}: object {object} holds {number}");
        let way = format!("set it to {} or beyond", bounds.after(number));
        return Err(Failure::refused("number-held", message).hint(way).into());
    }
    let standing = work.state.numbers.of(range.id, direction);
    let given = standing.given;
    let drawn_meanwhile = given.filter(|_| seen.and_then(|seen| seen.given) != given);
    if let Some(number) = drawn_meanwhile.filter(|number| !direction.is_beyond(next, *number)) {
        let message = format!("the next number of {name} cannot be {next}: {number} was drawn at this moment");
        return Err(Failure::refused("number-held", message).hint("try again").into());
    }
    standing.generation = standing.generation.saturating_add(1);
    standing.given = Some(bounds.before(next));
    work.state.numbers.forget_gaps(range.id, direction, bounds.before(next));
    let was = match (given, range.next) {
        (Some(given), _) => bounds.after(given).to_string(),
        (None, Some(next)) => next.to_string(),
        (None, None) => "–".to_owned(),
    };
    let mut draft = Draft::new(work, context);
    draft.record(range.id, RANGE, Slot::attribute(NEXT), Value::Integer(next.0))?;
    let (changes, stamp) = draft.finish()?;
    if changes.is_empty() {
        return Ok(Saved { transaction: None, position: None, pending: false, ids: Vec::new() });
    }
    let description = format!("next number of {name} set by hand to {next}, it was {was}");
    let about = About { description, ..About::default() };
    record::own(work, about, stamp, changes)
}
