//! A dry run: what would become of each row, and how the first ones would look. Nothing is saved, so targets among the
//! rows are looked up here, by the keys that the node tells.

use std::collections::HashSet;

use mytism_core::failure::Failure;
use mytism_core::operation::{Imported, Output as Out, PreviewRow, RowOutcome};
use mytism_intake::rows::Row;
use serde_json::json;

use super::spill::Spill;
use crate::output::{Output, harmless};
use crate::table::Rows;
use crate::words::fill;

/// So many rows are shown to people.
const SHOWN_ROWS: u32 = 5;

/// See the module.
pub(super) struct Rehearsal {
    keys: Spill,
    /// Whether the node tells keys; one of an older version does not.
    knows_keys: bool,
    shown: Vec<(u64, PreviewRow)>,
    wanted: u32,
    tells_rows: bool,
}

impl Rehearsal {
    pub(super) fn new(tells_rows: bool, output: &Output<'_>) -> Self {
        let wanted = if output.json { 0 } else { SHOWN_ROWS };
        Self { keys: Spill::new(), knows_keys: true, shown: Vec::new(), wanted, tells_rows }
    }

    /// Of how many more rows the node shall show the values.
    pub(super) fn wanted(&self) -> Option<u32> {
        Some(self.wanted).filter(|wanted| *wanted > 0)
    }

    /// Takes note of what the node said about some rows.
    pub(super) fn note(
        &mut self,
        rows: &[Row],
        imported: &mut Imported,
        output: &mut Output<'_>,
    ) -> Result<(), Failure> {
        match imported.keys.take() {
            // A row that is bad from the start has none; one whose own reference leads nowhere can be referred to.
            Some(keys) => keys.iter().flatten().try_for_each(|key| self.keys.put(&[key]))?,
            None => self.knows_keys = false,
        }
        for shown in imported.preview.take().into_iter().flatten() {
            let row = usize::try_from(shown.row).ok().and_then(|place| rows.get(place));
            self.wanted = self.wanted.saturating_sub(1);
            self.shown.extend(row.map(|row| (row.line, shown)));
        }
        if self.tells_rows {
            let open: HashSet<u64> = imported.open.iter().map(|link| link.row).collect();
            for (place, (row, outcome)) in (0..).zip(rows.iter().zip(&imported.rows)) {
                match outcome {
                    // It changes when its reference is closed; where that fails, it is told once more.
                    RowOutcome::Unchanged(id) if open.contains(&place) => {
                        tell(row.line, &RowOutcome::Updated(*id), output);
                    }
                    _ => tell(row.line, outcome, output),
                }
            }
        }
        Ok(())
    }

    /// Takes the keys of the rows out of those that are looked for.
    pub(super) fn strike_out(&mut self, missing: &mut HashSet<&str>) -> Result<(), Failure> {
        if !self.knows_keys {
            missing.clear();
        }
        let mut keys = self.keys.read()?;
        while let Some(key) = keys.next()?.filter(|_| !missing.is_empty()) {
            missing.remove(key.get(0).unwrap_or_default());
        }
        Ok(())
    }

    /// Tells of rows that turned out to be bad at the end.
    pub(super) fn lost(&self, rows: &mut Spill, output: &mut Output<'_>) -> Result<(), Failure> {
        if !self.tells_rows {
            return Ok(());
        }
        let mut rows = rows.read()?;
        while let Some(row) = rows.next()? {
            let line = row.get(1).and_then(|line| line.parse().ok()).unwrap_or(0);
            let message = row.get(2).unwrap_or_default().to_owned();
            tell(line, &RowOutcome::Failed { code: "unknown-reference".to_owned(), message }, output);
        }
        Ok(())
    }

    /// Shows people the first rows as they would be saved.
    pub(super) fn show(self, output: &mut Output<'_>) {
        if self.shown.is_empty() {
            return;
        }
        output.line(output.words.import_preview);
        let mut table = Rows::new();
        for (line, row) in self.shown {
            let line = (output.words.line.to_owned(), Out::Word(line.to_string()));
            table.row(std::iter::once(line).chain(row.values).collect(), output);
        }
        table.finish(output);
    }
}

/// What would become of one row.
fn tell(line: u64, outcome: &RowOutcome, output: &mut Output<'_>) {
    let words = output.words;
    let (code, word) = match outcome {
        RowOutcome::Inserted(_) => ("inserted", words.row_new),
        RowOutcome::Updated(_) => ("updated", words.row_changed),
        RowOutcome::Unchanged(_) => ("skipped", words.row_unchanged),
        RowOutcome::Failed { .. } => ("failed", words.row_bad),
    };
    match (outcome, output.json) {
        (RowOutcome::Failed { code, message }, true) => {
            output.document(&json!({"line": line, "outcome": "failed", "code": code, "message": message}));
        }
        (_, true) => output.document(&json!({"line": line, "outcome": code})),
        (RowOutcome::Failed { message, .. }, false) => {
            output.line(format!("{}: {word}, {}", fill(words.line_number, &[&line]), harmless(message)));
        }
        (_, false) => output.line(format!("{}: {word}", fill(words.line_number, &[&line]))),
    }
}
