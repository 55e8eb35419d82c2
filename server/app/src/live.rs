//! A query that stays: its answer, and then what becomes of it whenever something changes that it looks at.
//!
//! An answer is a list of rows. What became of it is told as splices: at this place so many rows go and these come. Who
//! carries them out one after another holds, whenever the place in the journal is told, exactly what the query answers
//! there. Saves that follow one another quickly are told together.
//!
//! The query is asked again as a whole on a view of its own. That is exact for whatever the language can say, and no
//! bookkeeping beside it can go wrong; what it costs is the query, and only where an entity changed that it looks at.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_core::id::EntityId;
use mytism_core::operation::{QueryRequest, Reached, Reply, Sink, Splice};
use mytism_core::query::{Query, ResultKind};
use mytism_core::schema::Schema;
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};

use crate::App;
use crate::context::Context;
use crate::error::AppError;
use crate::interest::Rung;
use crate::reading;
use crate::reads::{Key, Seen};

/// Rows of an answer at most.
const ROWS: usize = 100_000;
/// After so long without a change the place in the journal is told, which also shows whether anybody still listens.
const QUIET: Duration = Duration::from_secs(5);

/// After so long a shorter way from one answer to the next is looked for no more.
const DIFFERENCE: Duration = Duration::from_millis(100);

/// An answer with the hashes of its rows, and the row of the journal up to which it holds.
struct Answer {
    hashes: Vec<u64>,
    rows: Vec<Reply>,
    cursor: u64,
}

impl App {
    /// Answers a query and goes on to tell what becomes of it, until nobody listens or the node goes down.
    pub(crate) fn live(&self, context: &Context, request: &QueryRequest, sink: &mut Sink<'_>) -> Result<(), AppError> {
        if request.as_of.is_some() || request.explain == Some(true) {
            let message = "what was at an earlier time, and how an answer is found, do not change any more";
            return Err(Failure::usage("wrong-value", message).hint("ask once").into());
        }
        let hasher = RandomState::new();
        let mut interest = self.foundation.interests.register();
        let mut shown: Vec<u64> = Vec::new();
        loop {
            interest.begin();
            interest.expect(self.keys_of(context, request)?);
            let answer = self.answer_now(context, request, &hasher)?;
            if tell(&shown, &answer, sink).is_err() {
                return Ok(());
            }
            let cursor = answer.cursor;
            shown = answer.hashes;
            loop {
                // Read before the bell: a commit rings before it publishes, and the view may have shown it before that.
                let published = self.foundation.published().state.journal.max(cursor);
                match interest.wait(QUIET) {
                    Rung::Closed => return Ok(()),
                    Rung::Changed => break,
                    Rung::Not if reached(published, sink).is_err() => return Ok(()),
                    Rung::Not => {}
                }
            }
        }
    }

    /// What must not change for the answer to stay the same.
    fn keys_of(&self, context: &Context, request: &QueryRequest) -> Result<Vec<Key>, AppError> {
        let schema = self.schema();
        let parsed = reading::parsed(schema, context, request, self.foundation.surroundings.now())?;
        Ok(looked_at(&parsed, schema).into_iter().map(|entity| Seen::Entity(entity).key()).collect())
    }

    fn answer_now(&self, context: &Context, request: &QueryRequest, hasher: &RandomState) -> Result<Answer, AppError> {
        let view = self.view()?;
        let now = self.foundation.surroundings.now();
        let (mut hashes, mut rows) = (Vec::new(), Vec::new());
        let mut are_too_many = false;
        reading::query(view.schema(), &*view, context, request, now, &mut |reply| {
            are_too_many = rows.len() == ROWS;
            if are_too_many {
                return Err(mytism_core::operation::Closed);
            }
            hashes.push(match &reply {
                Reply::Object(object) => hasher.hash_one(object),
                Reply::Row(row) => hasher.hash_one(row),
                _ => 0,
            });
            rows.push(reply);
            Ok(())
        })?;
        if are_too_many {
            let failure = Failure::refused("too-many-rows", format!("the answer has more than {ROWS} rows"));
            return Err(failure.hint("ask for fewer with `where` or `limit`").into());
        }
        Ok(Answer { hashes, rows, cursor: view.journal_bounds()?.1 })
    }
}

/// The concrete entities whose objects decide about the answer, or stand in it with their texts.
fn looked_at(query: &Query, schema: &Schema) -> BTreeSet<EntityId> {
    let mut roots = query.entities(schema);
    let shown = schema.entities().filter(|entity| query.is_objects() && entity.is_a(query.entity));
    roots.extend(shown.flat_map(|entity| entity.members.iter().filter_map(|member| member.kind.target())));
    let kinds = query.select.iter().flatten().map(|item| &item.expr.kind);
    roots.extend(kinds.filter_map(|kind| match kind {
        ResultKind::Reference(entity) => Some(*entity),
        _ => None,
    }));
    let concrete = schema.entities().filter(|entity| roots.iter().any(|root| entity.is_a(*root)));
    concrete.map(|entity| entity.id).collect()
}

/// Tells what makes the new answer of the one that was shown, and up to where it holds.
fn tell(shown: &[u64], answer: &Answer, sink: &mut Sink<'_>) -> Result<(), mytism_core::operation::Closed> {
    for splice in splices(shown, &answer.hashes) {
        let from = usize::try_from(splice.at).unwrap_or(usize::MAX);
        let rows = answer.rows.iter().skip(from).take(usize::try_from(splice.inserted).unwrap_or(usize::MAX));
        sink(Reply::Splice(splice))?;
        rows.cloned().try_for_each(&mut *sink)?;
    }
    reached(answer.cursor, sink)
}

fn reached(cursor: u64, sink: &mut Sink<'_>) -> Result<(), mytism_core::operation::Closed> {
    sink(Reply::Reached(Reached { cursor, end: cursor }))
}

/// What makes `new` of `old`, each carried out on what the one before left. (Myers, "An O(ND) Difference Algorithm and
/// Its Variations", 1986.)
fn splices(old: &[u64], new: &[u64]) -> Vec<Splice> {
    let splice = |at: usize, removed: usize, inserted: usize| Splice {
        at: at as u64,
        removed: removed as u64,
        inserted: inserted as u64,
    };
    let ops = capture_diff_slices_deadline(Algorithm::Myers, old, new, Some(Instant::now() + DIFFERENCE));
    let mut splices = Vec::new();
    // Counted here, since the places that deletions name are those before what is the same was moved together.
    let mut at = 0;
    for op in ops {
        let (removed, inserted) = match op {
            DiffOp::Equal { len, .. } => {
                at += len;
                continue;
            }
            DiffOp::Delete { old_len, .. } => (old_len, 0),
            DiffOp::Insert { new_len, .. } => (0, new_len),
            DiffOp::Replace { old_len, new_len, .. } => (old_len, new_len),
        };
        splices.push(splice(at, removed, inserted));
        at += inserted;
    }
    splices
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn carried_out(old: &[u64], new: &[u64]) -> Vec<u64> {
        let mut rows = old.to_vec();
        for Splice { at, removed, inserted } in splices(old, new) {
            let [at, removed, inserted] = [at, removed, inserted].map(|number| usize::try_from(number).unwrap());
            rows.splice(at..at + removed, new[at..at + inserted].iter().copied());
        }
        rows
    }

    proptest! {
        #[test]
        fn splices_make_the_new_of_the_old(
            old in prop::collection::vec(0..6_u64, 0..30),
            new in prop::collection::vec(0..6_u64, 0..30),
        ) {
            prop_assert_eq!(carried_out(&old, &new), new);
        }
    }

    #[test]
    fn one_row_that_changes_is_one_splice() {
        let old: Vec<u64> = (0..1_000).collect();
        let mut new = old.clone();
        new[700] = 5_000;
        assert_eq!(splices(&old, &new), [Splice { at: 700, removed: 1, inserted: 1 }]);
        assert_eq!(splices(&old, &old), []);
    }
}
