//! `export`: what a query finds, into a file. The file is there whole or not at all.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use mytism_core::failure::Failure;
use mytism_core::operation::{Closed, Operations, Output as Out, QueryRequest, Reply, Request};
use mytism_intake::encoding::Encoder;
use mytism_intake::guard;
use mytism_intake::layout::Quote;
use serde_json::json;

use super::destination::{self, Destination};
use super::files::{self, Writing};
use super::objects::query_request;
use crate::output::Output;
use crate::report::{Trouble, not_in_this_version};
use crate::words::fill;
use crate::{args, json};

/// Between the objects of a set in one cell.
const SET_SEPARATOR: &str = "; ";

/// `export`.
pub(crate) fn run(node: &dyn Operations, arguments: &args::Export, output: &mut Output<'_>) -> Result<(), Trouble> {
    let path = &arguments.out;
    if arguments.format == args::Format::Jsonl {
        files::refuse_all(&arguments.form)?;
    }
    let writing = files::writing(&arguments.form, output.words)?;
    let destination = Destination::create(path)?;
    let to = BufWriter::new(destination.file());
    let mut form = match arguments.format {
        args::Format::Csv => Form::csv(to, writing).map_err(|error| unwritable(path, &error))?,
        args::Format::Jsonl => Form::Json(to),
        args::Format::Xlsx => return Err(not_in_this_version("spreadsheets").hint("write --format csv").into()),
    };
    let (mut count, mut broken) = (0u64, None);
    let keys = (arguments.format == args::Format::Csv).then_some(true);
    let request = Request::Query(QueryRequest { keys, ..query_request(&arguments.text, &arguments.params) });
    node.call(request, &mut |reply| {
        count += 1;
        form.write(reply).map_err(|failure| {
            broken = Some(failure);
            Closed
        })
    })
    .map_err(|failure| Trouble::within(failure, &arguments.text))?;
    let ended = form.finish();
    match broken {
        Some(Wrong::Rows(failure)) => return Err(failure.into()),
        Some(Wrong::File(error)) => return Err(unwritable(path, &error).into()),
        None => ended.map_err(|error| unwritable(path, &error))?,
    }
    destination.publish()?;
    if output.json {
        output.document(&json!({"file": path.to_string_lossy(), "rows": count}));
    } else {
        let count = output.words.count(count);
        output.line(fill(output.words.exported, &[&count, &path.display()]));
    }
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::InvalidData {
        let failure = Failure::refused("wrong-encoding", format!("cannot write {}: {error}", path.display()));
        return failure.hint("--encoding utf-8 has all characters");
    }
    destination::unwritable(path, error)
}

enum Form<W: Write> {
    Csv { writer: Box<csv::Writer<Encoder<W>>>, columns: Option<Vec<String>>, writing: Writing },
    Json(W),
}

enum Wrong {
    Rows(Failure),
    File(io::Error),
}

impl<W: Write> Form<W> {
    fn csv(mut to: W, writing: Writing) -> io::Result<Self> {
        if writing.has_mark {
            to.write_all(writing.encoding.mark())?;
        }
        let mut builder = csv::WriterBuilder::new();
        builder.delimiter(writing.delimiter);
        match writing.quote {
            Quote::Sign(sign) => builder.quote(sign),
            Quote::None => builder.quote_style(csv::QuoteStyle::Never),
        };
        let writer = Box::new(builder.from_writer(Encoder::new(to, writing.encoding)));
        Ok(Self::Csv { writer, columns: None, writing })
    }

    fn write(&mut self, reply: Reply) -> Result<(), Wrong> {
        match self {
            Self::Json(writer) => {
                let document = match &reply {
                    Reply::Object(view) => json::object(view),
                    Reply::Row(row) => json::row(row),
                    _ => return Ok(()),
                };
                writeln!(writer, "{document}").map_err(Wrong::File)
            }
            Self::Csv { writer, columns, writing } => {
                let values = match reply {
                    Reply::Object(view) => view.values,
                    Reply::Row(row) => row,
                    _ => return Ok(()),
                };
                let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
                match columns {
                    None => {
                        writer.write_record(&names).map_err(csv_error)?;
                        *columns = Some(names.into_iter().map(str::to_owned).collect());
                    }
                    Some(known) if *known != names => return Err(Wrong::Rows(mixed())),
                    Some(_) => {}
                }
                let cells = values.iter().map(|(_, value)| cell(value, writing)).collect::<Result<Vec<_>, _>>()?;
                writer.write_record(cells).map_err(csv_error)
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Csv { mut writer, .. } => writer.flush(),
            Self::Json(mut writer) => writer.flush(),
        }
    }
}

fn csv_error(error: csv::Error) -> Wrong {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => Wrong::File(error),
        other => Wrong::File(io::Error::other(format!("{other:?}"))),
    }
}

fn mixed() -> Failure {
    Failure::failed(
        "mixed-columns",
        "the query finds objects with different attributes, which one CSV file cannot hold",
    )
    .hint("name the attributes in a `select`, query one entity, or write --format jsonl")
}

/// A value as an import reads it: references by the key of their target, moments in UTC unless another zone is asked
/// for.
fn cell(value: &Out, writing: &Writing) -> Result<String, Wrong> {
    let text = text(value, writing);
    let is_formula = writing.guarded && !matches!(value, Out::Value(value) if value.text().is_none());
    let text = if is_formula { guard::guarded(&text).into_owned() } else { text };
    let needs_quotes = |sign: char| sign == char::from(writing.delimiter) || matches!(sign, '\n' | '\r');
    if writing.quote == Quote::None && text.contains(needs_quotes) {
        let message = "a cell holds a delimiter or a line break, which --quote none cannot write";
        return Err(Wrong::Rows(
            Failure::refused("needs-quotes", message).hint("name another --delimiter or a --quote"),
        ));
    }
    Ok(text)
}

fn text(value: &Out, writing: &Writing) -> String {
    match value {
        Out::Value(value) => writing.style.text(value),
        Out::Word(word) => word.clone(),
        Out::Reference { id, text } if text.is_empty() => id.to_string(),
        Out::Reference { text, .. } => text.clone(),
        Out::Away(blob) => blob.to_string(),
        Out::List(items) => items.iter().map(|item| text(item, writing)).collect::<Vec<_>>().join(SET_SEPARATOR),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mytism_core::value::Value;

    use super::*;
    use crate::command::fake::Fake;
    use jiff::tz::TimeZone;
    use mytism_core::id::ObjectId;
    use mytism_core::operation::ObjectView;
    use mytism_core::time::{Date, Timestamp};
    use mytism_intake::encoding::Encoding;

    fn object(names: &[&str]) -> Reply {
        let to = Out::Reference { id: ObjectId::new(9).unwrap(), text: "ALFKI".into() };
        let values = [Out::Value(Value::from("a,\"b\"")), Out::Value(Value::Null), to];
        Reply::Object(ObjectView {
            id: ObjectId::new(7).unwrap(),
            entity: "Order".into(),
            values: names.iter().map(|name| (*name).to_owned()).zip(values).collect(),
            pending: false,
            detail: None,
        })
    }

    fn export(format: args::Format, replies: &Result<Vec<Reply>, Failure>) -> (Result<String, String>, String, usize) {
        let (content, told, files) = export_as(format, args::FileForm::default(), replies);
        (content.map(|content| String::from_utf8(content).unwrap()), told, files)
    }

    fn export_as(
        format: args::Format,
        form: args::FileForm,
        replies: &Result<Vec<Reply>, Failure>,
    ) -> (Result<Vec<u8>, String>, String, usize) {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out.file");
        let arguments = args::Export { text: "from Order".into(), params: Vec::new(), format, out: out.clone(), form };
        let node = Fake::new(|_| replies.clone());
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, true);
        let result = run(&node, &arguments, &mut output).map_err(|trouble| trouble.failure.code);
        output.finish().unwrap();
        let content = result.and_then(|()| fs::read(&out).map_err(|error| error.to_string()));
        (content, String::from_utf8(bytes).unwrap(), fs::read_dir(directory.path()).unwrap().count())
    }

    #[test]
    fn files_hold_what_was_found() {
        let rows = || Ok(vec![object(&["A", "B", "C"]), object(&["A", "B", "C"])]);
        let (content, told, files) = export(args::Format::Csv, &rows());
        assert_eq!(content.unwrap(), "A,B,C\n\"a,\"\"b\"\"\",,ALFKI\n\"a,\"\"b\"\"\",,ALFKI\n");
        assert!(told.ends_with("out.file\",\"rows\":2}\n"), "{told}");
        assert_eq!(files, 1);
        let (content, _, _) = export(args::Format::Jsonl, &Ok(vec![object(&["A"])]));
        assert_eq!(content.unwrap(), "{\"id\":7,\"entity\":\"Order\",\"values\":{\"A\":\"a,\\\"b\\\"\"}}\n");
        assert_eq!(export(args::Format::Csv, &Ok(Vec::new())).0.unwrap(), "");
    }

    #[test]
    fn files_are_written_as_they_are_asked_for() {
        let cells = [
            ("Text", Out::Value(Value::from("=1;2"))),
            ("Word", Out::Word("-open".into())),
            ("Price", Out::Value(Value::Decimal("-1.50".parse().unwrap()))),
            ("Day", Out::Value(Value::Date(Date::parse("2026-11-23").unwrap()))),
            ("Time", Out::Value(Value::Datetime(Timestamp::parse("2026-11-23T03:30:00Z", &TimeZone::UTC).unwrap()))),
        ];
        let row = Reply::Row(cells.map(|(name, value)| (name.to_owned(), value)).into());
        let check = |form: args::FileForm, expected: &str| {
            let (content, ..) = export_as(args::Format::Csv, form, &Ok(vec![row.clone()]));
            assert_eq!(content.map(|content| String::from_utf8(content).unwrap()), Ok(expected.to_owned()));
        };
        let form = args::FileForm::default;
        check(form(), "Text,Word,Price,Day,Time\n=1;2,-open,-1.50,2026-11-23,2026-11-23T03:30:00Z\n");
        let excel = args::FileForm { excel: true, decimal: Some(",".into()), ..form() };
        let expected = "\u{feff}Text;Word;Price;Day;Time\n\"'=1;2\";'-open;-1,50;2026-11-23;2026-11-23T03:30:00Z\n";
        check(excel, expected);
        let german = args::FileForm {
            delimiter: Some(b'\t'),
            date_format: Some("dd.mm.yyyy".into()),
            zone: Some("Europe/Berlin".into()),
            ..form()
        };
        check(german, "Text\tWord\tPrice\tDay\tTime\n=1;2\t-open\t-1.50\t23.11.2026\t23.11.2026 04:30:00\n");
        let refused = |form: args::FileForm, code: &str| {
            let value = Out::Value(Value::from("→;"));
            let row = Reply::Row(vec![("A".to_owned(), value)]);
            let (content, told, files) = export_as(args::Format::Csv, form, &Ok(vec![row]));
            assert_eq!((content, told.as_str(), files), (Err(code.to_owned()), "", 0));
        };
        refused(args::FileForm { encoding: Some(Encoding::Windows1252), ..form() }, "wrong-encoding");
        refused(args::FileForm { quote: Some(Quote::None), delimiter: Some(b';'), ..form() }, "needs-quotes");
    }

    #[test]
    fn a_failed_export_leaves_nothing() {
        let check = |format, replies, code: &str| {
            let (content, told, files) = export(format, &replies);
            assert_eq!((content, told.as_str(), files), (Err(code.to_owned()), "", 0));
        };
        check(args::Format::Csv, Ok(vec![object(&["A"]), object(&["B"])]), "mixed-columns");
        check(args::Format::Csv, Err(Failure::usage("syntax-error", "m")), "syntax-error");
        check(args::Format::Xlsx, Ok(Vec::new()), "not-in-this-version");
    }
}
