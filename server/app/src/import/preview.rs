//! What a dry run shows beside the outcomes: the keys of the rows, and the first rows as they would be saved. Changes
//! nothing.

use mytism_core::change::Slot;
use mytism_core::operation::{ImportBatch, Imported, Output, PreviewRow, RowOutcome};
use mytism_core::schema::Kind;
use mytism_core::value::Value;

use super::{Column, Done, Plan, usual};
use crate::error::AppError;
use crate::lane::Work;

/// See the module; nothing is gathered where nothing was asked for.
pub(super) struct Shown {
    keys: Option<Vec<Option<String>>>,
    rows: Option<Vec<PreviewRow>>,
    most: usize,
}

impl Shown {
    pub(super) fn new(batch: &ImportBatch) -> Self {
        let most = batch.preview.unwrap_or(0).try_into().unwrap_or(usize::MAX);
        Self { keys: batch.dry_run.then(Vec::new), rows: batch.preview.map(|_| Vec::new()), most }
    }

    /// A bad row.
    pub(super) fn pass(&mut self) {
        if let Some(keys) = &mut self.keys {
            keys.push(None);
        }
    }

    /// A good row, which has happened in the workspace.
    pub(super) fn add(
        &mut self,
        work: &mut Work<'_>,
        plan: &Plan<'_>,
        number: u64,
        row: &[Option<String>],
        done: &Done,
    ) -> Result<(), AppError> {
        let (RowOutcome::Inserted(id) | RowOutcome::Updated(id) | RowOutcome::Unchanged(id)) = done.outcome else {
            return Ok(());
        };
        if let (Some(keys), Some(key)) = (&mut self.keys, plan.key) {
            let cells = plan.columns.iter().zip(row);
            let cell = cells.filter(|(column, _)| column.member.id == key.id).find_map(|(_, cell)| cell.as_deref());
            let value = work.workspace.slot(id, Slot::attribute(key.id))?;
            keys.push(if value.is_null() { None } else { Some(usual(&value, cell.unwrap_or_default())) });
        } else {
            self.pass();
        }
        let Some(rows) = self.rows.as_mut().filter(|rows| rows.len() < self.most) else { return Ok(()) };
        let mut values = Vec::with_capacity(plan.columns.len());
        for (column, cell) in plan.columns.iter().zip(row) {
            let value = work.workspace.slot(id, Slot::attribute(column.member.id))?;
            values.push((column.member.name.clone(), shown(column, value, cell.as_deref())));
        }
        rows.push(PreviewRow { row: number, values });
        Ok(())
    }

    pub(super) fn finish(self, imported: &mut Imported) {
        imported.keys = self.keys;
        imported.preview = self.rows;
    }
}

/// A value for people: words and keys of targets as they are written in the file, even of one that comes later.
fn shown(column: &Column<'_>, value: Value, cell: Option<&str>) -> Output {
    match (&column.member.kind, value) {
        (_, Value::Reference(id)) => Output::Reference { id, text: cell.unwrap_or_default().to_owned() },
        (Kind::ToOne { .. }, Value::Null) if cell.is_some() => Output::Word(cell.unwrap_or_default().to_owned()),
        (Kind::Enum(words), Value::Enum(id)) => {
            let word = words.iter().find(|word| word.id == id);
            Output::Word(word.map_or_else(|| id.to_string(), |word| word.name.clone()))
        }
        (_, value) => Output::Value(value),
    }
}
