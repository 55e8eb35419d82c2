//! `import`: rows of a file to the node, in batches, each of which is one transaction.
//!
//! The life of a row: it is read ([`RowFile`]), waits for its batch, is answered by the node, and is counted. References
//! whose targets come later in the file stand open until all rows are in; then they are closed, and a row whose target
//! never came is bad after all. Only one batch is held in memory, open references are kept in a file; where all rows
//! are to be saved or none, the file is one batch and the node closes its references.

mod bad;
mod links;
mod rehearsal;
mod spill;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use csv::StringRecord;
use mytism_core::failure::{Failure, FailureKind, nearest};
use mytism_core::id::TransactionId;
use mytism_core::operation::{ImportBatch, Imported, OpenReference, Operations, Reply, Request, RowOutcome};
use mytism_intake::rows::{Bad, Raw, Row, RowFile};
use serde_json::json;

use self::bad::BadRows;
use self::links::{OpenLink, Was};
use self::rehearsal::Rehearsal;
use self::spill::Spill;
use super::files::{self, Reading};
use super::progress::Progress;
use super::{one, unclear};
use crate::args::{self, OnError};
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::words::{Words, fill};

/// Rows of one batch, and references that are closed at once.
const BATCH_ROWS_MAX: usize = 1000;
/// A batch of large rows is sent when it has so many bytes.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Cells of a file that is saved whole or not at all; what one request can hold.
const WHOLE_CELLS_MAX: usize = 7_000_000;
/// What to do with a file that is too large for one transaction.
const IN_PARTS: &str =
    "nothing was saved; without --all-or-nothing it is saved in parts, which `undo` takes back as one";
/// Bytes in the cells of a file that is saved whole or not at all.
const WHOLE_BYTES_MAX: usize = 40 << 20;

/// `import`.
pub(crate) fn run(node: &dyn Operations, arguments: &args::Import, output: &mut Output<'_>) -> Result<(), Trouble> {
    // Opening a pipe may wait for ever; until it is open, an interrupt ends the program.
    let opened = open(arguments, output)?;
    // Who is impatient may end it at once: what was saved is saved all the same.
    let interrupted = crate::interrupt::flag(|| std::process::exit(130))?;
    import(node, arguments, opened, &interrupted, output)
}

fn open(arguments: &args::Import, output: &Output<'_>) -> Result<(Reading, RowFile), Failure> {
    check_options(arguments)?;
    let reading = files::reading(&arguments.form, &arguments.file, output.words)?;
    let file = RowFile::open(&arguments.file, &reading.layout)?;
    Ok((reading, file))
}

fn import(
    node: &dyn Operations,
    arguments: &args::Import,
    (reading, mut file): (Reading, RowFile),
    interrupted: &AtomicBool,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    let bytes = std::fs::metadata(&arguments.file).map_or(0, |metadata| metadata.len());
    check_maps(arguments, file.header().map(|header| &**header))?;
    let bad = BadRows::create(arguments, &file)?;
    let mut import = Import::new(node, arguments, reading, bad, output);
    let mut progress = Progress::new();
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Err(import.interrupted().into());
        }
        match file.next_row() {
            Ok(Some(row)) => import.take(row)?,
            Ok(None) => break,
            Err(Bad::Row { line, raw, message, .. }) => {
                import.counts.read += 1;
                import.refuse(line, &raw, "wrong-row", &message)?;
            }
            Err(Bad::File(failure)) => return Err(import.stopped(failure).into()),
        }
        let read = import.counts.read;
        progress.at_rate(file.bytes_read(), bytes, |seconds| rate(import.output.words, read, seconds));
    }
    import.send()?;
    import.close_links(&mut progress, interrupted)?;
    drop(progress);
    import.report()?;
    Ok(())
}

fn rate(words: &Words, rows: u64, seconds: u64) -> String {
    fill(words.import_rate, &[&words.count(rows), &words.count(rows / seconds.max(1))])
}

/// Options that contradict each other.
fn check_options(arguments: &args::Import) -> Result<(), Failure> {
    let wrong = |message: &str| Err(Failure::usage("wrong-use", message));
    if arguments.all_or_nothing && arguments.on_error == OnError::Skip {
        return wrong("--all-or-nothing saves all rows or none, so no row can be skipped");
    }
    if arguments.rows && !arguments.dry_run {
        return wrong("--rows has no use without --dry-run");
    }
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

struct Import<'a, 'w> {
    node: &'a dyn Operations,
    arguments: &'a args::Import,
    reading: Reading,
    output: &'a mut Output<'w>,
    bad: BadRows,
    description: String,
    run: Option<TransactionId>,
    waiting: Vec<Row>,
    waiting_bytes: usize,
    waiting_cells: usize,
    open: Spill,
    rehearsal: Option<Rehearsal>,
    counts: Counts,
}

impl<'a, 'w> Import<'a, 'w> {
    fn new(
        node: &'a dyn Operations,
        arguments: &'a args::Import,
        reading: Reading,
        bad: BadRows,
        output: &'a mut Output<'w>,
    ) -> Self {
        let name = arguments.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self {
            node,
            arguments,
            reading,
            bad,
            description: format!("import of {name}"),
            run: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
            waiting_cells: 0,
            open: Spill::new(),
            rehearsal: arguments.dry_run.then(|| Rehearsal::new(arguments.rows, output)),
            counts: Counts::default(),
            output,
        }
    }

    /// Takes a row; sends the batch when it is full, or when the row has other columns.
    fn take(&mut self, row: Row) -> Result<(), Failure> {
        if self.waiting.first().is_some_and(|first| first.columns != row.columns) {
            if self.arguments.all_or_nothing {
                let message = "it has other fields than the row before; with --all-or-nothing all rows have the same";
                return Err(self.row_failure(row.line, "wrong-row", message).hint("give missing fields as null"));
            }
            self.send()?;
        }
        self.counts.read += 1;
        self.waiting_bytes += row.cells.iter().flatten().map(String::len).sum::<usize>();
        self.waiting_cells += row.cells.len() + 1;
        let line = row.line;
        self.waiting.push(row);
        if self.arguments.all_or_nothing {
            let is_too_large = self.waiting_cells > WHOLE_CELLS_MAX || self.waiting_bytes > WHOLE_BYTES_MAX;
            return if is_too_large { Err(self.too_large(line)) } else { Ok(()) };
        }
        if self.waiting.len() >= BATCH_ROWS_MAX || self.waiting_bytes >= BATCH_BYTES_MAX {
            self.send()?;
        }
        Ok(())
    }

    /// That one transaction is too small for all rows, in words about the file.
    fn whole(&self, failure: Failure) -> Failure {
        if failure.code != "too-large" || !self.arguments.all_or_nothing {
            return failure;
        }
        let message =
            format!("{} changes more than one transaction holds: {}", self.arguments.file.display(), failure.message);
        Failure::refused("import-too-large", message).hint(IN_PARTS)
    }

    fn too_large(&self, line: u64) -> Failure {
        let message = format!(
            "{} has more than one transaction holds, {} million cells or {} MB; its line {line} is the first too many",
            self.arguments.file.display(),
            WHOLE_CELLS_MAX / 1_000_000,
            WHOLE_BYTES_MAX >> 20
        );
        Failure::refused("import-too-large", message).hint(IN_PARTS)
    }

    /// Sends what waits.
    fn send(&mut self) -> Result<(), Failure> {
        (self.waiting_bytes, self.waiting_cells) = (0, 0);
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
            // A dry run says of the good rows too what would become of them.
            skip_bad_rows: self.arguments.on_error == OnError::Skip
                || (self.arguments.dry_run && !self.arguments.all_or_nothing),
            dry_run: self.arguments.dry_run,
            notation: self.reading.notation.clone(),
            whole: self.arguments.all_or_nothing.then_some(true),
            preview: self.rehearsal.as_ref().and_then(Rehearsal::wanted),
        };
        match one(self.node, Request::Import(batch), imported) {
            Ok(imported) if imported.rows.len() == rows.len() => self.count(&rows, imported),
            Ok(_) => Err(self.stopped(unclear())),
            Err(failure) => {
                let failure = self.place(self.whole(failure), &rows);
                let failure = self.tip(explain(failure, &first.columns, &picked));
                Err(self.stopped(unsure(failure, &rows)))
            }
        }
    }

    /// Places of the columns that are imported, and the attributes that they go to. The reasons in a file of bad rows
    /// go nowhere.
    fn pick(&self, columns: &[String]) -> Result<Vec<(usize, String)>, Failure> {
        let mapped = |column: &String| {
            let map = self.arguments.maps.iter().find(|(mapped, _)| mapped == column);
            map.map(|(_, attribute)| attribute.clone())
        };
        let attribute = |index: usize, column: &String| match mapped(column) {
            Some(attribute) => attribute,
            None if column == bad::COLUMN && index + 1 == columns.len() => String::new(),
            None => column.clone(),
        };
        let picked = columns.iter().enumerate().map(|(index, column)| (index, attribute(index, column)));
        let picked: Vec<_> = picked.filter(|(_, attribute)| !attribute.is_empty()).collect();
        if picked.is_empty() {
            return Err(Failure::usage("wrong-file", "no column is left to be imported").hint("see --map"));
        }
        Ok(picked)
    }

    fn count(&mut self, rows: &[Row], mut imported: Imported) -> Result<(), Failure> {
        self.run = imported.run.or(self.run);
        if let Some(rehearsal) = &mut self.rehearsal {
            rehearsal.note(rows, &mut imported, self.output)?;
        }
        for (row, outcome) in rows.iter().zip(&imported.rows) {
            match outcome {
                RowOutcome::Inserted(_) => self.counts.inserted += 1,
                RowOutcome::Updated(_) => self.counts.updated += 1,
                RowOutcome::Unchanged(_) => self.counts.unchanged += 1,
                RowOutcome::Failed { code, message } => self.refuse(row.line, &row.raw, code, message)?,
            }
        }
        for link in imported.open {
            let place = usize::try_from(link.row).unwrap_or(usize::MAX);
            let (Some(row), Some(outcome)) = (rows.get(place), imported.rows.get(place)) else { return Err(unclear()) };
            let Some(was) = Was::of(outcome) else { continue };
            OpenLink { number: row.number, line: row.line, was, link }.put(&mut self.open)?;
        }
        Ok(())
    }

    /// A bad row: the end of the import, or passed over.
    fn refuse(&mut self, line: u64, raw: &Raw, code: &str, message: &str) -> Result<(), Failure> {
        if self.arguments.on_error == OnError::Stop {
            return Err(self.stopped(self.tip(self.row_failure(line, code, message))));
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

    /// How to say that values are written otherwise, where nothing was said about that.
    fn tip(&self, failure: Failure) -> Failure {
        let form = &self.arguments.form;
        let is_number = failure.message.contains("a number with a point") && form.decimal.is_none();
        let is_day = ["a day like", "a time like"].iter().any(|what| failure.message.contains(what));
        let tip = match failure.code.as_str() {
            "wrong-value" if is_number => "numbers with a decimal comma are read with --decimal ,",
            "wrong-value" if is_day && form.date_format.is_none() => {
                "days in another form are read with --date-format, for example --date-format dd.mm.yyyy"
            }
            _ => return failure,
        };
        with_hint(failure, tip)
    }

    /// A failure that ends the import, with what was saved before it.
    fn stopped(&self, failure: Failure) -> Failure {
        let Some(run) = self.run else { return failure };
        let saved = self.counts.inserted + self.counts.updated;
        let hint = fill(
            "{} {row|rows} before it {was|were} saved, as import {}; `--mode upsert` takes the file again, `undo` takes \
             back what was saved",
            &[&saved, &run],
        );
        with_hint(failure, &hint)
    }

    /// An import that somebody broke off.
    fn interrupted(&self) -> Failure {
        let message = fill("the import was broken off after {} {row|rows}", &[&self.counts.read]);
        let failure = Failure::failed("interrupted", message);
        let failure = if self.run.is_none() { failure.hint("nothing was saved") } else { failure };
        let failure = self.stopped(failure);
        if self.open.count() == 0 || self.run.is_none() {
            return failure;
        }
        let open = fill("{} {reference|references} to later rows {is|are} not set yet", &[&self.open.count()]);
        with_hint(failure, &open)
    }

    /// Writes rows that turned out to be bad only at the end: number, line and message of each. They are read once more,
    /// since keeping all rows until then would take memory.
    fn write_lost(&mut self, lost: &mut Spill) -> Result<(), Failure> {
        let layout = self.reading.layout;
        self.bad.write_again(&self.arguments.file, &layout, lost)
    }

    fn report(self) -> Result<(), Failure> {
        let Self { arguments, counts, output, bad, rehearsal, run, .. } = self;
        let errors = bad.finish()?;
        if output.json {
            let run = run.map(|run| run.to_string());
            output.document(&json!({
                "import": run, "read": counts.read, "inserted": counts.inserted, "updated": counts.updated,
                "skipped": counts.unchanged, "failed": counts.failed,
            }));
            return Ok(());
        }
        let words = output.words;
        if let Some(rehearsal) = rehearsal {
            rehearsal.show(output);
        }
        let [read, inserted, updated, unchanged, failed] =
            [counts.read, counts.inserted, counts.updated, counts.unchanged, counts.failed]
                .map(|count| words.count(count));
        output.line(fill(words.import_done, &[&read, &inserted, &updated, &unchanged, &failed]));
        if arguments.dry_run {
            output.line(words.import_dry);
        }
        if let Some(run) = run {
            output.line(fill(words.import_run, &[&run]));
        }
        if let Some(path) = errors.filter(|_| counts.failed > 0) {
            output.line(fill(words.bad_rows_in, &[&path.display()]));
        }
        Ok(())
    }
}

fn with_hint(failure: Failure, hint: &str) -> Failure {
    let hint = if failure.hint.is_empty() { hint.to_owned() } else { format!("{}\n{hint}", failure.hint) };
    Failure { hint, ..failure }
}

/// Where the node was lost while it worked on some rows, nobody knows what became of them.
fn unsure(failure: Failure, rows: &[Row]) -> Failure {
    match (rows.first(), rows.last()) {
        (Some(first), Some(last)) if failure.kind == FailureKind::Unreachable => {
            let (first, last) = (first.line, last.line);
            let hint = format!("whether the rows of lines {first} to {last} were saved is not known; `history` tells");
            with_hint(failure, &hint)
        }
        _ => failure,
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
