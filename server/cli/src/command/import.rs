//! `import`: rows of a file to the node, in batches, each of which is one transaction.
//!
//! The life of a row: it is read ([`RowFile`]), waits for its batch, is answered by the node, and is counted. References
//! whose targets come later in the file stand open until all rows are in; then they are closed, and a row whose target
//! never came is bad after all. Only one batch and the open references are held in memory.

mod bad;

use std::path::Path;

use mytism_core::failure::{Failure, nearest};
use mytism_core::id::TransactionId;
use mytism_core::operation::{
    ImportBatch, ImportLinks, Imported, OpenReference, Operations, Reply, Request, RowOutcome,
};
use serde_json::json;

use self::bad::BadRows;
use super::progress::Progress;
use super::{one, unclear};
use crate::args::{self, OnError};
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::words::fill;
use mytism_intake::rows::{Bad, Row, RowFile};

/// Rows of one batch, and references that are closed at once.
const BATCH_ROWS_MAX: usize = 1000;
/// A batch of large rows is sent when it has so many bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// `import`.
pub(crate) fn run(node: &dyn Operations, arguments: &args::Import, output: &mut Output<'_>) -> Result<(), Trouble> {
    let mut file = RowFile::open(&arguments.file)?;
    let bytes = std::fs::metadata(&arguments.file).map_or(0, |metadata| metadata.len());
    check_maps(arguments, file.header().map(|header| &**header))?;
    let bad = BadRows::create(arguments, &file)?;
    let mut import = Import::new(node, arguments, bad);
    let mut progress = Progress::new();
    loop {
        match file.next_row() {
            Ok(Some(row)) => import.take(row)?,
            Ok(None) => break,
            Err(Bad::Row { line, raw, message, .. }) => {
                import.counts.read += 1;
                import.refuse(line, &raw, "wrong-row", &message)?;
            }
            Err(Bad::File(failure)) => return Err(import.stopped(failure).into()),
        }
        progress.at(file.bytes_read(), bytes, &output.words.count(import.counts.read));
    }
    import.send()?;
    import.close_links(&mut progress, output.words.import_links)?;
    drop(progress);
    import.report(output)?;
    Ok(())
}

/// Every column that is mapped must be there, else a misspelt one would be passed over in silence.
fn check_maps(arguments: &args::Import, header: Option<&[String]>) -> Result<(), Failure> {
    let Some(header) = header else { return Ok(()) };
    for (column, _) in &arguments.maps {
        if !header.contains(column) {
            let near = nearest(column, header.iter().map(String::as_str));
            let hint = near
                .map_or_else(|| format!("it has {}", header.join(", ")), |near| format!("did you mean \"{near}\"?"));
            let message = format!("--map: {} has no column \"{}\"", arguments.file.display(), harmless(column));
            return Err(Failure::usage("unknown-column", message).hint(harmless(&hint)));
        }
    }
    Ok(())
}

/// What became of the rows. Each that was read is counted in exactly one of the others in the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Counts {
    read: u64,
    inserted: u64,
    updated: u64,
    unchanged: u64,
    failed: u64,
}

/// What a row counted as before its references were closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Was {
    Inserted,
    Updated,
    Unchanged,
}

/// A reference that stands open.
struct OpenLink {
    number: u64,
    line: u64,
    was: Was,
    link: OpenReference,
}

struct Import<'a> {
    node: &'a dyn Operations,
    arguments: &'a args::Import,
    bad: BadRows,
    description: String,
    run: Option<TransactionId>,
    waiting: Vec<Row>,
    waiting_bytes: usize,
    open: Vec<OpenLink>,
    counts: Counts,
}

impl<'a> Import<'a> {
    fn new(node: &'a dyn Operations, arguments: &'a args::Import, bad: BadRows) -> Self {
        let name = arguments.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self {
            node,
            arguments,
            bad,
            description: format!("import of {name}"),
            run: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            open: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Takes a row; sends the batch when it is full, or when the row has other columns.
    fn take(&mut self, row: Row) -> Result<(), Failure> {
        if self.waiting.first().is_some_and(|first| first.columns != row.columns) {
            self.send()?;
        }
        self.counts.read += 1;
        self.waiting_bytes += row.cells.iter().flatten().map(String::len).sum::<usize>();
        self.waiting.push(row);
        if self.waiting.len() >= BATCH_ROWS_MAX || self.waiting_bytes >= BATCH_BYTES_MAX {
            self.send()?;
        }
        Ok(())
    }

    /// Sends what waits.
    fn send(&mut self) -> Result<(), Failure> {
        self.waiting_bytes = 0;
        let rows = std::mem::take(&mut self.waiting);
        let Some(first) = rows.first() else { return Ok(()) };
        let picked = self.pick(&first.columns)?;
        let cells = |row: &Row| picked.iter().map(|(index, _)| row.cells.get(*index).cloned().flatten()).collect();
        let batch = ImportBatch {
            run: self.run,
            description: self.description.clone(),
            entity: self.arguments.entity.clone(),
            key: self.arguments.key.clone(),
            columns: picked.iter().map(|(_, attribute)| attribute.clone()).collect(),
            rows: rows.iter().map(cells).collect(),
            mode: self.arguments.mode.into(),
            skip_bad_rows: self.arguments.on_error == OnError::Skip,
            dry_run: self.arguments.dry_run,
        };
        match one(self.node, Request::Import(batch), imported) {
            Ok(imported) if imported.rows.len() == rows.len() => self.count(&rows, imported),
            Ok(_) => Err(self.stopped(unclear())),
            Err(failure) => {
                let failure = self.place(failure, &rows);
                let failure = explain(failure, &first.columns, &picked);
                Err(self.stopped(failure))
            }
        }
    }

    /// Places of the columns that are imported, and the attributes that they go to.
    fn pick(&self, columns: &[String]) -> Result<Vec<(usize, String)>, Failure> {
        let attribute = |column: &String| {
            let map = self.arguments.maps.iter().find(|(mapped, _)| mapped == column);
            map.map_or(column, |(_, attribute)| attribute).clone()
        };
        let picked = columns.iter().enumerate().map(|(index, column)| (index, attribute(column)));
        let picked: Vec<_> = picked.filter(|(_, attribute)| !attribute.is_empty()).collect();
        if picked.is_empty() {
            return Err(Failure::usage("wrong-file", "no column is left to be imported").hint("see --map"));
        }
        Ok(picked)
    }

    fn count(&mut self, rows: &[Row], imported: Imported) -> Result<(), Failure> {
        self.run = imported.run.or(self.run);
        for (row, outcome) in rows.iter().zip(&imported.rows) {
            match outcome {
                RowOutcome::Inserted(_) => self.counts.inserted += 1,
                RowOutcome::Updated(_) => self.counts.updated += 1,
                RowOutcome::Unchanged(_) => self.counts.unchanged += 1,
                RowOutcome::Failed { code, message } => self.refuse(row.line, &row.raw, code, message)?,
            }
        }
        if self.arguments.dry_run {
            // Their targets may come later; without saving, nobody can tell.
            return Ok(());
        }
        for link in imported.open {
            let place = usize::try_from(link.row).unwrap_or(usize::MAX);
            let (Some(row), Some(outcome)) = (rows.get(place), imported.rows.get(place)) else { return Err(unclear()) };
            let was = match outcome {
                RowOutcome::Inserted(_) => Was::Inserted,
                RowOutcome::Updated(_) => Was::Updated,
                RowOutcome::Unchanged(_) => Was::Unchanged,
                RowOutcome::Failed { .. } => continue,
            };
            self.open.push(OpenLink { number: row.number, line: row.line, was, link });
        }
        Ok(())
    }

    /// A bad row: the end of the import, or passed over.
    fn refuse(&mut self, line: u64, raw: &mytism_intake::rows::Raw, code: &str, message: &str) -> Result<(), Failure> {
        if self.arguments.on_error == OnError::Stop {
            return Err(self.stopped(self.row_failure(line, code, message)));
        }
        self.counts.failed += 1;
        self.bad.write(raw, message)
    }

    fn row_failure(&self, line: u64, code: &str, message: &str) -> Failure {
        Failure::refused(code, format!("{} line {line}: {message}", self.arguments.file.display()))
            .at(u32::try_from(line).unwrap_or(u32::MAX), 1)
    }

    /// The refusal of a batch because of one of its rows (column 0, the line counts rows), with the line of the file.
    fn place(&self, failure: Failure, rows: &[Row]) -> Failure {
        let place = failure.at.filter(|place| place.column == 0);
        match place.and_then(|place| rows.get(place.line as usize)) {
            Some(row) => Failure { hint: failure.hint, ..self.row_failure(row.line, &failure.code, &failure.message) },
            None => failure,
        }
    }

    /// A failure that ends the import, with what was saved before it.
    fn stopped(&self, failure: Failure) -> Failure {
        let Some(run) = self.run else { return failure };
        let saved = self.counts.inserted + self.counts.updated;
        let hint = fill(
            "{} {row|rows} before it {was|were} saved, as import {}; `--mode upsert` takes the file again",
            &[&saved, &run],
        );
        let hint = if failure.hint.is_empty() { hint } else { format!("{}\n{hint}", failure.hint) };
        Failure { hint, ..failure }
    }

    /// Closes the references that stand open. Rows whose targets never came are bad.
    fn close_links(&mut self, progress: &mut Progress, text: &str) -> Result<(), Failure> {
        let open = std::mem::take(&mut self.open);
        let (mut done, mut last_changed, mut lost) = (0, None, Vec::<(u64, u64, String)>::new());
        for links in open.chunks(BATCH_ROWS_MAX) {
            let outcomes = self.link(links)?;
            for (link, outcome) in links.iter().zip(&outcomes) {
                let is_lost = lost.last().is_some_and(|(number, ..)| *number == link.number);
                match outcome {
                    RowOutcome::Failed { message, .. } if !is_lost => {
                        let was_changed = link.was == Was::Unchanged && last_changed == Some(link.number);
                        *self.counts.of(if was_changed { Was::Updated } else { link.was }) -= 1;
                        self.counts.failed += 1;
                        lost.push((link.number, link.line, message.clone()));
                    }
                    RowOutcome::Updated(_)
                        if link.was == Was::Unchanged && last_changed != Some(link.number) && !is_lost =>
                    {
                        last_changed = Some(link.number);
                        self.counts.unchanged -= 1;
                        self.counts.updated += 1;
                    }
                    _ => {}
                }
            }
            done += links.len() as u64;
            progress.at(done, open.len() as u64, text);
        }
        let Some((_, line, message)) = lost.first() else { return Ok(()) };
        if self.arguments.on_error == OnError::Stop {
            let more =
                if lost.len() > 1 { fill(" (and {} more {row|rows})", &[&(lost.len() - 1)]) } else { String::new() };
            return Err(self.stopped(self.row_failure(*line, "unknown-reference", &format!("{message}{more}"))));
        }
        self.bad.write_again(&self.arguments.file, &lost)
    }

    fn link(&self, links: &[OpenLink]) -> Result<Vec<RowOutcome>, Failure> {
        let Some(run) = self.run else {
            // Nothing was saved, so no target can have come.
            let lost = |open: &OpenLink| RowOutcome::Failed {
                code: "unknown-reference".to_owned(),
                message: format!("{}: there is no object with the key \"{}\"", open.link.attribute, open.link.key),
            };
            return Ok(links.iter().map(lost).collect());
        };
        let sent = links.iter().map(|open| OpenReference { row: open.number, ..open.link.clone() });
        let request = ImportLinks { run, description: self.description.clone(), links: sent.collect() };
        let answer =
            one(self.node, Request::ImportLinks(request), imported).map_err(|failure| self.stopped(failure))?;
        if answer.rows.len() == links.len() { Ok(answer.rows) } else { Err(self.stopped(unclear())) }
    }

    fn report(self, output: &mut Output<'_>) -> Result<(), Failure> {
        let counts = self.counts;
        let errors = self.bad.finish()?;
        if output.json {
            let run = self.run.map(|run| run.to_string());
            output.document(&json!({
                "import": run, "read": counts.read, "inserted": counts.inserted, "updated": counts.updated,
                "skipped": counts.unchanged, "failed": counts.failed,
            }));
            return Ok(());
        }
        let words = output.words;
        let [read, inserted, updated, unchanged, failed] =
            [counts.read, counts.inserted, counts.updated, counts.unchanged, counts.failed]
                .map(|count| words.count(count));
        output.line(fill(words.import_done, &[&read, &inserted, &updated, &unchanged, &failed]));
        if self.arguments.dry_run {
            output.line(words.import_dry);
        }
        if let Some(run) = self.run {
            output.line(fill(words.import_run, &[&run]));
        }
        if let Some(path) = errors.filter(|_| counts.failed > 0) {
            output.line(fill(words.bad_rows_in, &[&path.display()]));
        }
        Ok(())
    }
}

impl Counts {
    fn of(&mut self, was: Was) -> &mut u64 {
        match was {
            Was::Inserted => &mut self.inserted,
            Was::Updated => &mut self.updated,
            Was::Unchanged => &mut self.unchanged,
        }
    }
}

fn imported(reply: Reply) -> Option<Imported> {
    match reply {
        Reply::Imported(imported) => Some(imported),
        _ => None,
    }
}

/// Where a column has no attribute: how to say which one it is.
fn explain(failure: Failure, columns: &[String], picked: &[(usize, String)]) -> Failure {
    if failure.code != "unknown-attribute" {
        return failure;
    }
    let meant = picked.iter().find(|(_, attribute)| failure.message.contains(&format!("\"{attribute}\"")));
    let column = meant.and_then(|(index, _)| columns.get(*index)).map_or("COLUMN", String::as_str);
    // Tables of other systems often name a reference after the key of its target.
    let attribute = column.strip_suffix("ID").filter(|rest| !rest.is_empty()).unwrap_or("ATTRIBUTE");
    let column = harmless(column);
    let map = format!("--map {column}={attribute} names its attribute, --map {column}= leaves the column out");
    let hint = if failure.hint.is_empty() { map } else { format!("{}\n{map}", failure.hint) };
    Failure { hint, ..failure }
}

/// Whether two paths lead to the same file.
fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests;
