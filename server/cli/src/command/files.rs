//! How files of rows are written and read: from the words of the command line to what readers and writers take. Knows
//! no node.

use std::path::Path;

use jiff::tz::TimeZone;
use mytism_core::failure::Failure;
use mytism_core::notation::Style;
use mytism_core::operation::Notation;
use mytism_intake::encoding::Encoding;
use mytism_intake::layout::{Layout, Quote, is_json};

use crate::args::FileForm;
use crate::words::Words;

/// How a file is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// The cells.
    pub(crate) layout: Layout,
    /// What stands in them; `None` where nothing was said.
    pub(crate) notation: Option<Notation>,
}

/// How a file is to be read. Whether zones exist is for the node to say.
///
/// # Errors
/// When what is asked for makes no sense, or not for JSON lines.
pub(crate) fn reading(form: &FileForm, file: &Path, words: &Words) -> Result<Reading, Failure> {
    if is_json(file) {
        refuse(form, &[Topic::Csv], "JSON lines have no use for it")?;
    }
    let notation = Notation { decimal: decimal(form, words), date: form.date_format.clone(), zone: form.zone.clone() };
    style(&notation, TimeZone::UTC, false)?;
    let notation = Some(notation).filter(|notation| *notation != Notation::default());
    Ok(Reading { layout: layout(form, form.excel.then_some(b';'))?, notation })
}

/// How a file is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Writing {
    /// Between the cells.
    pub(crate) delimiter: u8,
    /// Around cells.
    pub(crate) quote: Quote,
    /// Of the letters.
    pub(crate) encoding: Encoding,
    /// Whether the file tells its encoding at its beginning.
    pub(crate) has_mark: bool,
    /// Whether texts are guarded.
    pub(crate) guarded: bool,
    /// What stands in the cells.
    pub(crate) style: Style,
}

/// How a CSV file is to be written.
///
/// # Errors
/// When what is asked for makes no sense.
pub(crate) fn writing(form: &FileForm, words: &Words) -> Result<Writing, Failure> {
    let zone = match &form.zone {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name).map_err(|_| {
            Failure::usage("unknown-zone", format!("there is no time zone \"{name}\""))
                .hint("zones have names like Europe/Berlin or UTC")
        })?,
    };
    let notation = Notation { decimal: decimal(form, words), date: form.date_format.clone(), zone: None };
    let delimiter = if form.excel { b';' } else { b',' };
    let layout = layout(form, Some(delimiter))?;
    Ok(Writing {
        delimiter: layout.delimiter.unwrap_or(delimiter),
        quote: layout.quote,
        encoding: layout.encoding,
        has_mark: form.excel || matches!(layout.encoding, Encoding::Utf16Le | Encoding::Utf16Be),
        guarded: layout.guarded,
        style: style(&notation, zone, form.zone.is_some())?,
    })
}

/// What cannot be asked of a file that is no CSV.
///
/// # Errors
/// When something is asked for all the same.
pub(crate) fn refuse_all(form: &FileForm) -> Result<(), Failure> {
    refuse(form, &[Topic::Csv, Topic::Any], "it is for --format csv")
}

fn layout(form: &FileForm, delimiter: Option<u8>) -> Result<Layout, Failure> {
    let usual = Layout::default();
    let layout = Layout {
        delimiter: form.delimiter.or(delimiter),
        quote: form.quote.unwrap_or(usual.quote),
        encoding: form.encoding.unwrap_or(usual.encoding),
        guarded: form.guard_formulas || form.excel,
    };
    if layout.delimiter.is_some_and(|delimiter| layout.quote == Quote::Sign(delimiter)) {
        return Err(Failure::usage("wrong-use", "--quote and --delimiter name the same character"));
    }
    Ok(layout)
}

fn style(notation: &Notation, zone: TimeZone, is_local: bool) -> Result<Style, Failure> {
    Style::new(notation.decimal.as_deref(), notation.date.as_deref(), zone, is_local)
        .map_err(|misfit| Failure::usage("wrong-notation", misfit.to_string()))
}

/// The decimal sign: a spreadsheet expects that of its language.
fn decimal(form: &FileForm, words: &Words) -> Option<String> {
    form.decimal.clone().or_else(|| form.excel.then(|| words.point.to_string()))
}

/// What an option is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Topic {
    Csv,
    Any,
}

fn refuse(form: &FileForm, topics: &[Topic], why: &str) -> Result<(), Failure> {
    let given = [
        ("--excel", Topic::Csv, form.excel),
        ("--delimiter", Topic::Csv, form.delimiter.is_some()),
        ("--quote", Topic::Csv, form.quote.is_some()),
        ("--decimal", Topic::Csv, form.decimal.is_some()),
        ("--guard-formulas", Topic::Csv, form.guard_formulas),
        ("--encoding", Topic::Any, form.encoding.is_some()),
        ("--date-format", Topic::Any, form.date_format.is_some()),
        ("--zone", Topic::Any, form.zone.is_some()),
    ];
    match given.iter().find(|(_, topic, is_given)| *is_given && topics.contains(topic)) {
        Some((option, ..)) => Err(Failure::usage("wrong-use", format!("{option}: {why}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{ENGLISH, GERMAN};

    #[test]
    fn spreadsheets_get_what_they_expect() {
        let excel = FileForm { excel: true, ..FileForm::default() };
        let check = |words: &Words, decimal: &str| {
            let reading = reading(&excel, Path::new("a.csv"), words).unwrap();
            assert_eq!(reading.notation.unwrap().decimal.as_deref(), Some(decimal));
            assert_eq!((reading.layout.delimiter, reading.layout.guarded), (Some(b';'), true));
            let writing = writing(&excel, words).unwrap();
            assert_eq!((writing.delimiter, writing.has_mark, writing.guarded), (b';', true, true));
        };
        check(&GERMAN, ",");
        check(&ENGLISH, ".");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |form: FileForm, file: &str, code: &str| {
            let found = reading(&form, Path::new(file), &ENGLISH).err().map(|failure| failure.code);
            assert_eq!(found.as_deref().unwrap_or("fine"), code, "{form:?}");
        };
        let form = FileForm::default;
        check(form(), "a.csv", "fine");
        check(FileForm { delimiter: Some(b';'), ..form() }, "a.jsonl", "wrong-use");
        check(FileForm { zone: Some("UTC".into()), ..form() }, "a.jsonl", "fine");
        check(FileForm { delimiter: Some(b'"'), ..form() }, "a.csv", "wrong-use");
        check(FileForm { date_format: Some("x".into()), ..form() }, "a.csv", "wrong-notation");
        assert_eq!(
            writing(&FileForm { zone: Some("Nowhere".into()), ..form() }, &ENGLISH).unwrap_err().code,
            "unknown-zone"
        );
        assert_eq!(refuse_all(&FileForm { zone: Some("UTC".into()), ..form() }).unwrap_err().code, "wrong-use");
    }
}
