//! The file of bad rows: each as it stood, with what is wrong with it, ready to be mended and imported again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use mytism_core::failure::Failure;
use serde_json::Value as Json;

use crate::args::{self, OnError};
use mytism_intake::rows::{Bad, Raw, RowFile};

/// The name of the column that says what is wrong.
const COLUMN: &str = "error";

/// Where bad rows go; nowhere, where no file was asked for.
pub(super) struct BadRows {
    to: Option<(PathBuf, Form)>,
}

enum Form {
    Csv(Box<csv::Writer<File>>),
    Json(BufWriter<File>),
}

impl BadRows {
    /// Opens the file, where one is asked for.
    ///
    /// # Errors
    /// When it cannot be written, or would take the place of the file that is imported.
    pub(super) fn create(arguments: &args::Import, file: &RowFile) -> Result<Self, Failure> {
        let Some(path) = &arguments.errors else { return Ok(Self { to: None }) };
        if arguments.on_error != OnError::Skip {
            let message = "--errors has no use without --on-error skip: the first bad row ends the import";
            return Err(Failure::usage("wrong-use", message));
        }
        if super::is_same(path, &arguments.file) {
            return Err(Failure::usage("wrong-use", "--errors names the file that is imported"));
        }
        let created = File::create(path).map_err(|error| unwritable(path, &error))?;
        let form = match (file.delimiter(), file.header()) {
            (Some(delimiter), Some(header)) => {
                let mut writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(created);
                let names = header.iter().map(String::as_str).chain([COLUMN]);
                writer.write_record(names).map_err(|error| unwritable(path, &error))?;
                Form::Csv(Box::new(writer))
            }
            _ => Form::Json(BufWriter::new(created)),
        };
        Ok(Self { to: Some((path.clone(), form)) })
    }

    /// Writes a row.
    pub(super) fn write(&mut self, raw: &Raw, message: &str) -> Result<(), Failure> {
        let Some((path, form)) = &mut self.to else { return Ok(()) };
        match (form, raw) {
            (Form::Csv(writer), Raw::Csv(record)) => {
                writer.write_record(record.iter().chain([message])).map_err(|error| unwritable(path, &error))
            }
            (Form::Json(writer), Raw::Json(text)) => {
                writeln!(writer, "{}", with_error(text, message)).map_err(|error| unwritable(path, &error))
            }
            // A file has rows of one form only.
            _ => Ok(()),
        }
    }

    /// Writes rows that turned out to be bad only at the end: number, line, message of each, in order. They are read
    /// once more, since keeping all rows until then would take memory.
    pub(super) fn write_again(&mut self, file: &Path, bad: &[(u64, u64, String)]) -> Result<(), Failure> {
        if self.to.is_none() {
            return Ok(());
        }
        let bad: BTreeMap<u64, &str> = bad.iter().map(|(number, _, message)| (*number, message.as_str())).collect();
        let last = bad.keys().next_back().copied();
        let mut rows = RowFile::open(file)?;
        loop {
            let (number, raw) = match rows.next_row() {
                Ok(Some(row)) => (row.number, row.raw),
                Err(Bad::Row { number, raw, .. }) => (number, raw),
                Ok(None) => return Ok(()),
                Err(Bad::File(failure)) => return Err(failure),
            };
            if let Some(message) = bad.get(&number) {
                self.write(&raw, message)?;
            }
            if Some(number) >= last {
                return Ok(());
            }
        }
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

fn with_error(text: &str, message: &str) -> Json {
    match serde_json::from_str(text) {
        Ok(Json::Object(mut fields)) => {
            fields.insert(COLUMN.to_owned(), Json::from(message));
            Json::Object(fields)
        }
        _ => serde_json::json!({"row": text, COLUMN: message}),
    }
}

fn unwritable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed("file-error", format!("cannot write {}: {error}", path.display()))
        .hint("check that its directory exists, may be written and has room")
}
