//! The file of bad rows: each as it stood, with what is wrong with it, ready to be mended and imported again. It is made
//! like the file that is imported: delimiter, quotation marks, encoding, ends of lines.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use csv::{QuoteStyle, StringRecord, Terminator};
use mytism_core::failure::Failure;
use mytism_intake::encoding::Encoder;
use mytism_intake::layout::{Found, Layout, Quote};
use mytism_intake::rows::{Bad, Raw, RowFile};
use serde_json::Value as Json;

use super::spill::Spill;
use crate::args::{self, OnError};

/// The name of the column that says what is wrong.
pub(super) const COLUMN: &str = "error";

type To = Encoder<BufWriter<File>>;

/// Where bad rows go; nowhere, where no file was asked for.
pub(super) struct BadRows {
    to: Option<(PathBuf, Form)>,
    found: Found,
    /// Whether the imported file is one of bad rows itself, so that its last column is to be replaced.
    has_reasons: bool,
}

enum Form {
    Csv(Box<csv::Writer<To>>),
    Json(To),
}

impl BadRows {
    /// Opens the file, where one is asked for.
    ///
    /// # Errors
    /// When it cannot be written, or would take the place of the file that is imported.
    pub(super) fn create(arguments: &args::Import, file: &RowFile) -> Result<Self, Failure> {
        let found = *file.found();
        let header = file.header();
        let last = header.and_then(|header| header.last());
        let has_reasons = last.is_some_and(|name| name == COLUMN);
        let Some(path) = &arguments.errors else { return Ok(Self { to: None, found, has_reasons }) };
        if arguments.on_error != OnError::Skip {
            let message = "--errors has no use without --on-error skip: the first bad row ends the import";
            return Err(Failure::usage("wrong-use", message));
        }
        if super::is_same(path, &arguments.file) {
            return Err(Failure::usage("wrong-use", "--errors names the file that is imported"));
        }
        let mut created = BufWriter::new(File::create(path).map_err(|error| unwritable(path, &error))?);
        if found.has_mark {
            created.write_all(found.encoding.mark()).map_err(|error| unwritable(path, &error))?;
        }
        let to = Encoder::new(created, found.encoding);
        let form = match (found.delimiter, header) {
            (Some(delimiter), Some(header)) => {
                let mut writer = csv_writer(to, delimiter, &found);
                let names = header.iter().map(String::as_str).filter(|name| !(has_reasons && *name == COLUMN));
                writer.write_record(names.chain([COLUMN])).map_err(|error| unwritable(path, &error))?;
                Form::Csv(Box::new(writer))
            }
            _ => Form::Json(to),
        };
        Ok(Self { to: Some((path.clone(), form)), found, has_reasons })
    }

    /// Writes a row.
    pub(super) fn write(&mut self, raw: &Raw, message: &str) -> Result<(), Failure> {
        let (found, has_reasons) = (self.found, self.has_reasons);
        let Some((path, form)) = &mut self.to else { return Ok(()) };
        match (form, raw) {
            (Form::Csv(writer), Raw::Csv(record)) => {
                let kept = record.len() - usize::from(has_reasons && !record.is_empty());
                let reason = writable(message, &found);
                let cells = record.iter().take(kept).chain([reason.as_str()]);
                writer.write_record(cells).map_err(|error| unwritable(path, &error))
            }
            (Form::Json(to), Raw::Json(text)) => {
                let end = if found.has_returns { "\r\n" } else { "\n" };
                let line = with_error(text, &writable(message, &found));
                write!(to, "{line}{end}").map_err(|error| unwritable(path, &error))
            }
            // A file has rows of one form only.
            _ => Ok(()),
        }
    }

    /// Writes rows that turned out to be bad only at the end: number, line, message of each, in order. They are read
    /// once more, since keeping all rows until then would take memory.
    pub(super) fn write_again(&mut self, file: &Path, layout: &Layout, bad: &mut Spill) -> Result<(), Failure> {
        if self.to.is_none() {
            return Ok(());
        }
        let mut bad = bad.read()?;
        let mut rows = RowFile::open(file, layout)?;
        let number = |record: &StringRecord| record.get(0).and_then(|number| number.parse::<u64>().ok());
        let mut next = bad.next()?;
        while let Some(record) = &next {
            let (here, raw) = match rows.next_row() {
                Ok(Some(row)) => (row.number, row.raw),
                Err(Bad::Row { number, raw, .. }) => (number, raw),
                Ok(None) => return Ok(()),
                Err(Bad::File(failure)) => return Err(failure),
            };
            if number(record) == Some(here) {
                self.write(&raw, record.get(2).unwrap_or_default())?;
                next = bad.next()?;
            }
        }
        Ok(())
    }

    /// Ends the file; gives its path, where there is one.
    pub(super) fn finish(self) -> Result<Option<PathBuf>, Failure> {
        let Some((path, form)) = self.to else { return Ok(None) };
        let ended = match form {
            Form::Csv(mut writer) => writer.flush(),
            Form::Json(mut writer) => writer.flush(),
        };
        ended.map_err(|error| unwritable(&path, &error))?;
        Ok(Some(path))
    }
}

fn csv_writer(to: To, delimiter: u8, found: &Found) -> csv::Writer<To> {
    let mut builder = csv::WriterBuilder::new();
    builder.delimiter(delimiter).flexible(true);
    match found.quote {
        Quote::Sign(sign) => builder.quote(sign),
        Quote::None => builder.quote_style(QuoteStyle::Never),
    };
    if found.has_returns {
        builder.terminator(Terminator::CRLF);
    }
    builder.from_writer(to)
}

/// A message with what the file can hold: no letter that its encoding lacks, no delimiter where nothing is quoted.
fn writable(message: &str, found: &Found) -> String {
    let is_bare = found.quote == Quote::None;
    let letter = |letter: char| match letter {
        '\n' | '\r' => ' ',
        _ if is_bare && found.delimiter.map(char::from) == Some(letter) => ' ',
        _ if found.encoding.has(letter) => letter,
        _ => '?',
    };
    message.chars().map(letter).collect()
}

/// A line of JSON with a further field. What is no object is put into one.
fn with_error(text: &str, message: &str) -> String {
    let reason = Json::from(message);
    match serde_json::from_str(text) {
        Ok(Json::Object(mut fields)) if fields.contains_key(COLUMN) => {
            fields.shift_remove(COLUMN);
            fields.insert(COLUMN.to_owned(), reason);
            Json::Object(fields).to_string()
        }
        // All else of the line stays as it stands.
        Ok(Json::Object(fields)) => {
            let open = text.trim_end().strip_suffix('}').unwrap_or(text).trim_end();
            let comma = if fields.is_empty() { "" } else { "," };
            format!("{open}{comma}\"{COLUMN}\":{reason}}}")
        }
        _ => serde_json::json!({"row": text, COLUMN: reason}).to_string(),
    }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed("file-error", format!("cannot write {}: {error}", path.display()))
        .hint("check that its directory exists, may be written and has room")
}
