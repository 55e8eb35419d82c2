//! What became visible, in the form in which it leaves the node: names in the place of ids, one line a change.

use std::time::Duration;

use mytism_core::failure::Failure;
use mytism_core::operation::{ChangeLine, ChangesRequest, Output, Reached, Reply, Sink};
use mytism_core::value::Value;

use crate::error::AppError;
use crate::follower::Start;
use crate::journal::Visible;
use crate::output::Presenter;
use crate::reading::{slot_name, slot_value};
use crate::{App, journal};

/// Rows that can be asked for at once.
const ROWS_MAX: u32 = 10_000;
/// How long a request waits where there is nothing yet.
const WAIT: Duration = Duration::from_secs(5);

impl App {
    /// Answers with what became visible behind the cursor of a follower, or behind a row.
    pub(crate) fn changes(&self, request: &ChangesRequest, sink: &mut Sink<'_>) -> Result<(), AppError> {
        if !(1..=ROWS_MAX).contains(&request.rows) {
            let message = format!("{} rows: 1 to {ROWS_MAX} can be asked for", request.rows);
            return Err(Failure::usage("wrong-value", message).into());
        }
        let start = match (request.from_now, request.after) {
            (true, _) => Start::End,
            (false, Some(after)) => Start::After(after),
            (false, None) => Start::Beginning,
        };
        let after = match &request.follower {
            Some(name) => self.follow(name, start)?.cursor(),
            None => self.cursor_of(start)?,
        };
        if request.wait {
            self.wait_for_visible(after, WAIT);
        }
        let view = self.view()?;
        let rows = journal::read(&*view, after, request.rows)?;
        let cursor = rows.last().map_or(after, |row| row.sequence);
        let mut presenter = Presenter::new(self.schema(), &*view);
        for row in rows {
            for line in self.lines(&mut presenter, row)? {
                if sink(Reply::Change(line)).is_err() {
                    return Ok(());
                }
            }
        }
        let _closed = sink(Reply::Reached(Reached { cursor, end: view.journal_bounds()?.1 }));
        Ok(())
    }

    /// Moves a cursor, and says how far it is then.
    pub(crate) fn passed(&self, follower: &str, from: u64, to: u64) -> Result<Reached, AppError> {
        self.advance_follower(follower, from, to)?;
        Ok(Reached { cursor: to, end: self.view()?.journal_bounds()?.1 })
    }

    /// Answers with all followers.
    pub(crate) fn list_followers(&self, sink: &mut Sink<'_>) -> Result<(), AppError> {
        let _closed = self.followers()?.into_iter().try_for_each(|line| sink(Reply::Follower(line)));
        Ok(())
    }

    fn lines(&self, presenter: &mut Presenter<'_>, row: Visible) -> Result<Vec<ChangeLine>, AppError> {
        let count = row.changes.len() as u64;
        let empty = ChangeLine {
            sequence: row.sequence,
            number: 0,
            count,
            time: row.at,
            cause: row.cause.word().to_owned(),
            transaction: row.transaction,
            position: row.position,
            object: None,
            entity: String::new(),
            attribute: String::new(),
            old: Output::Value(Value::Null),
            new: Output::Value(Value::Null),
        };
        if count == 0 {
            return Ok(vec![empty]);
        }
        let mut lines = Vec::with_capacity(row.changes.len());
        for (number, change) in (1..).zip(row.changes) {
            let entity = self.schema().entity_by_id(change.entity);
            lines.push(ChangeLine {
                number,
                object: Some(change.object),
                entity: self.schema().entity_name(change.entity),
                attribute: slot_name(entity, change.slot),
                old: slot_value(presenter, entity, change.slot, change.old)?,
                new: slot_value(presenter, entity, change.slot, change.new)?,
                ..empty.clone()
            });
        }
        Ok(lines)
    }
}
