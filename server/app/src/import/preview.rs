//! What a dry run shows beside the outcomes: the keys of the rows, and the first rows as they would be saved. Changes
//! nothing.

use mytism_core::change::Slot;
use mytism_core::id::ObjectId;
use mytism_core::operation::{ImportBatch, Imported, Output, PreviewRow, RowOutcome};
use mytism_core::schema::Kind;
use mytism_core::value::Value;

use super::{Column, Plan, usual};
use crate::error::AppError;
use crate::lane::Work;

/// See the module; nothing is gathered where nothing was asked for.
pub(super) struct Shown {
    /// The objects of the good rows.
    objects: Option<Vec<(u64, ObjectId)>>,
    rows: Option<Vec<PreviewRow>>,
    most: usize,
}

impl Shown {
    pub(super) fn new(batch: &ImportBatch) -> Self {
        let most = batch.preview.unwrap_or(0).try_into().unwrap_or(usize::MAX);
        Self { objects: batch.dry_run.then(Vec::new), rows: batch.preview.map(|_| Vec::new()), most }
    }

    /// A good row, which has happened in the workspace.
    pub(super) fn add(
        &mut self,
        work: &mut Work<'_>,
        plan: &Plan<'_>,
        number: u64,
        row: &[Option<String>],
        outcome: &RowOutcome,
    ) -> Result<(), AppError> {
        let (RowOutcome::Inserted(id) | RowOutcome::Updated(id) | RowOutcome::Unchanged(id)) = *outcome else {
            return Ok(());
        };
        if let Some(objects) = &mut self.objects {
            objects.push((number, id));
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

    /// Adds what was gathered to the answer, when all rows have happened: a later one may have changed the key of an
    /// earlier one.
    pub(super) fn finish(
        self,
        work: &mut Work<'_>,
        plan: &Plan<'_>,
        batch: &ImportBatch,
        imported: &mut Imported,
    ) -> Result<(), AppError> {
        let is_bad = |row: u64| {
            let outcome = usize::try_from(row).ok().and_then(|row| imported.rows.get(row));
            matches!(outcome, Some(RowOutcome::Failed { .. }))
        };
        let rows = self.rows.map(|rows| rows.into_iter().filter(|row| !is_bad(row.row)).collect());
        imported.preview = rows;
        let Some(objects) = self.objects else { return Ok(()) };
        let mut keys = vec![None; batch.rows.len()];
        if let Some(key) = plan.inner_key().or(plan.key) {
            let column = plan.columns.iter().position(|column| column.member.id == key.id);
            for (number, id) in objects {
                let Ok(place) = usize::try_from(number) else { continue };
                let cell = column.and_then(|column| batch.rows.get(place)?.get(column)?.as_deref());
                let value = work.workspace.slot(id, Slot::attribute(key.id))?;
                if let Some(told) = keys.get_mut(place).filter(|_| !value.is_null()) {
                    *told = Some(usual(&value, cell.unwrap_or_default()));
                }
            }
        }
        imported.keys = Some(keys);
        Ok(())
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
