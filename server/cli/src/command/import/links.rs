//! References that stood open until all rows were in, and rows whose targets never came.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use mytism_core::id::ObjectId;
use mytism_core::operation::ImportLinks;

use crate::words::fill;

use super::{
    BATCH_ROWS_MAX, Failure, Import, OnError, OpenReference, Progress, Request, RowOutcome, Spill, StringRecord,
    imported, one, unclear, with_hint,
};

/// References of a dry run that are looked up at once.
const LOOKED_UP_MAX: usize = 100_000;

/// What a row counted as before its references were closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Was {
    Inserted,
    Updated,
    Unchanged,
}

impl Was {
    /// What a good row counts as.
    pub(super) const fn of(outcome: &RowOutcome) -> Option<Self> {
        match outcome {
            RowOutcome::Inserted(_) => Some(Self::Inserted),
            RowOutcome::Updated(_) => Some(Self::Updated),
            RowOutcome::Unchanged(_) => Some(Self::Unchanged),
            RowOutcome::Failed { .. } => None,
        }
    }
}

/// A reference that stands open.
pub(super) struct OpenLink {
    pub(super) number: u64,
    pub(super) line: u64,
    pub(super) was: Was,
    pub(super) link: OpenReference,
}

impl OpenLink {
    pub(super) fn put(&self, spill: &mut Spill) -> Result<(), Failure> {
        let was = match self.was {
            Was::Inserted => "i",
            Was::Updated => "u",
            Was::Unchanged => "n",
        };
        let (number, line, object) = (self.number.to_string(), self.line.to_string(), self.link.object.to_string());
        spill.put(&[&number, &line, was, &object, &self.link.attribute, &self.link.key])
    }

    fn take(record: &StringRecord) -> Result<Self, Failure> {
        let read = || -> Option<Self> {
            let number = record.get(0)?.parse().ok()?;
            let was = match record.get(2)? {
                "i" => Was::Inserted,
                "u" => Was::Updated,
                _ => Was::Unchanged,
            };
            let object: ObjectId = record.get(3)?.parse().ok()?;
            let (attribute, key) = (record.get(4)?.to_owned(), record.get(5)?.to_owned());
            let link = OpenReference { row: number, object, attribute, key };
            Some(Self { number, line: record.get(1)?.parse().ok()?, was, link })
        };
        read().ok_or_else(|| Failure::failed("file-error", "a temporary file of the import was changed"))
    }
}

/// Rows that turned out to be bad, in the order of the file.
struct Lost {
    rows: Spill,
    last: Option<u64>,
    /// Line and message of the first one.
    first: Option<(u64, String)>,
}

impl Import<'_, '_> {
    /// Closes the references that stand open. Rows whose targets never came are bad.
    pub(super) fn close_links(&mut self, progress: &mut Progress, interrupted: &AtomicBool) -> Result<(), Failure> {
        let text = self.output.words.import_links;
        let total = self.open.count();
        let most = if self.rehearsal.is_some() { LOOKED_UP_MAX } else { BATCH_ROWS_MAX };
        let (mut done, mut last_changed) = (0, None);
        let mut lost = Lost { rows: Spill::new(), last: None, first: None };
        let mut records = self.open.read()?;
        loop {
            let links = records.some(most)?.iter().map(OpenLink::take).collect::<Result<Vec<_>, _>>()?;
            if links.is_empty() {
                break;
            }
            if interrupted.load(Ordering::Relaxed) {
                let message = format!("the import was broken off while {} references were open", total - done);
                return Err(self.stopped(Failure::failed("interrupted", message)));
            }
            let outcomes = self.close(&links)?;
            for (link, outcome) in links.iter().zip(&outcomes) {
                let is_lost = lost.last == Some(link.number);
                match outcome {
                    RowOutcome::Failed { message, .. } if !is_lost => {
                        let was_changed = link.was == Was::Unchanged && last_changed == Some(link.number);
                        *self.counts.of(if was_changed { Was::Updated } else { link.was }) -= 1;
                        self.counts.failed += 1;
                        lost.add(link, message)?;
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
            progress.at(done, total, text);
        }
        self.end_lost(lost)
    }

    /// Tells of the rows that turned out to be bad.
    fn end_lost(&mut self, mut lost: Lost) -> Result<(), Failure> {
        let Some((line, message)) = lost.first.take() else { return Ok(()) };
        if let Some(rehearsal) = &self.rehearsal {
            rehearsal.lost(&mut lost.rows, self.output)?;
        }
        if self.arguments.on_error == OnError::Stop {
            let count = lost.rows.count();
            let more = if count > 1 { fill(" (and {} more {row|rows})", &[&(count - 1)]) } else { String::new() };
            return Err(self.stopped(self.row_failure(line, "unknown-reference", &format!("{message}{more}"))));
        }
        self.write_lost(&mut lost.rows)
    }

    fn close(&mut self, links: &[OpenLink]) -> Result<Vec<RowOutcome>, Failure> {
        if let Some(rehearsal) = &mut self.rehearsal {
            let mut missing: HashSet<&str> = links.iter().map(|open| open.link.key.as_str()).collect();
            rehearsal.strike_out(&mut missing)?;
            let outcome = |open: &OpenLink| match missing.contains(open.link.key.as_str()) {
                true => no_target(open),
                false => RowOutcome::Updated(open.link.object),
            };
            return Ok(links.iter().map(outcome).collect());
        }
        let Some(run) = self.run else {
            // Nothing was saved, so no target can have come.
            return Ok(links.iter().map(no_target).collect());
        };
        let sent = links.iter().map(|open| open.link.clone()).collect();
        let request = ImportLinks { run, description: self.description.clone(), links: sent };
        let answer = one(self.node, Request::ImportLinks(request), imported).map_err(|failure| {
            let hint = fill("{} {reference|references} to later rows {is|are} not set yet", &[&self.open.count()]);
            self.stopped(with_hint(failure, &hint))
        })?;
        if answer.rows.len() == links.len() { Ok(answer.rows) } else { Err(self.stopped(unclear())) }
    }
}

impl Lost {
    fn add(&mut self, link: &OpenLink, message: &str) -> Result<(), Failure> {
        self.last = Some(link.number);
        self.first.get_or_insert_with(|| (link.line, message.to_owned()));
        self.rows.put(&[&link.number.to_string(), &link.line.to_string(), message])
    }
}

fn no_target(open: &OpenLink) -> RowOutcome {
    RowOutcome::Failed {
        code: "unknown-reference".to_owned(),
        message: format!("{}: there is no object with the key \"{}\"", open.link.attribute, open.link.key),
    }
}
