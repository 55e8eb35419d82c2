//! Work on objects: find, look at, change.

use std::io::{self, IsTerminal, Read};

use mytism_core::failure::Failure;
use mytism_core::operation::{HistoryRequest, Input, Operations, QueryRequest, Reply, Request, Saved};

use super::one;
use crate::output::Output;
use crate::report::Trouble;
use crate::table::Rows;
use crate::words::fill;
use crate::{args, json, people};

/// `query`.
pub(crate) fn query(node: &dyn Operations, arguments: &args::Query, output: &mut Output<'_>) -> Result<(), Trouble> {
    let request = asked(arguments);
    let mut rows = Rows::new();
    let sink = &mut |reply| {
        match reply {
            Reply::Object(view) if output.json => output.document(&json::object(&view)),
            Reply::Row(row) if output.json => output.document(&json::row(&row)),
            Reply::Object(view) => rows.object(view, output),
            Reply::Row(row) => rows.row(row, output),
            _ => {}
        }
        output.state()
    };
    node.call(Request::Query(request), sink).map_err(|failure| Trouble::within(failure, &arguments.text))?;
    if !output.json {
        rows.finish(output);
    }
    Ok(())
}

/// What is asked for.
pub(super) fn asked(arguments: &args::Query) -> QueryRequest {
    QueryRequest {
        limit: arguments.limit,
        deleted: arguments.deleted,
        as_of: arguments.as_of.clone(),
        entity: arguments.entity.clone(),
        explain: arguments.explain.then_some(true),
        ..query_request(&arguments.text, &arguments.params)
    }
}

/// A query with its parameters. A text stands for a value of any kind, so parameters are sent as they are written.
pub(crate) fn query_request(text: &str, params: &[(String, String)]) -> QueryRequest {
    let params = params.iter().map(|(name, value)| (name.clone(), Input::Text(value.clone())));
    QueryRequest { text: text.to_owned(), params: params.collect(), ..QueryRequest::default() }
}

/// `show`.
pub(crate) fn show(node: &dyn Operations, arguments: &args::Show, output: &mut Output<'_>) -> Result<(), Trouble> {
    let request = Request::Show { object: arguments.object, as_of: arguments.as_of.clone() };
    let view = one(node, request, |reply| match reply {
        Reply::Object(view) => Some(view),
        _ => None,
    })?;
    if output.json {
        output.document(&json::object(&view));
    } else {
        people::object(&view, output);
    }
    Ok(())
}

/// `history`.
pub(crate) fn history(
    node: &dyn Operations,
    arguments: &args::History,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    let request = Request::History(HistoryRequest {
        object: arguments.object,
        attribute: arguments.attribute.clone(),
        after: arguments.after,
        limit: arguments.limit,
    });
    let mut people = people::History::default();
    let mut count = 0u64;
    node.call(request, &mut |reply| {
        if let Reply::History(line) = reply {
            count += 1;
            if output.json {
                output.document(&json::history(&line));
            } else {
                people.line(&line, output);
            }
        }
        output.state()
    })?;
    if count == 0 && !output.json {
        output.line(output.words.nothing_found);
    }
    Ok(())
}

/// `save`. The document is read before the node is looked for, so that nobody types it for nothing.
pub(crate) fn save(
    open: impl FnOnce() -> Result<Box<dyn Operations>, Failure>,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        crate::command::say("save reads one JSON document from standard input; end it with Ctrl-D");
    }
    let text = document(stdin.lock())?;
    let document = mytism_intake::document::read(&text).map_err(|failure| Trouble::within(failure, &text))?;
    let node = open()?;
    let request = super::blobs::filled(&*node, document)?;
    let saved = one(&*node, Request::Save(request), |reply| match reply {
        Reply::Saved(saved) => Some(saved),
        _ => None,
    })?;
    if output.json {
        output.document(&json::saved(&saved));
    } else {
        show_saved(&saved, output);
    }
    Ok(())
}

fn document(from: impl Read) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(mytism_intake::document::BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::failed("input-failed", format!("standard input cannot be read: {error}")))?;
    if bytes.len() as u64 > mytism_intake::document::BYTES_MAX {
        let message = format!("the document is larger than {} MB", mytism_intake::document::BYTES_MAX >> 20);
        return Err(Failure::usage("request-invalid", message).hint("`./mytism import` takes any number of rows"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = good.filter(|byte| **byte == b'\n').count() + 1;
        Failure::usage("wrong-encoding", format!("standard input line {line}: it is not in UTF-8"))
    })
}

pub(super) fn show_saved(saved: &Saved, output: &mut Output<'_>) {
    let words = output.words;
    let Some(transaction) = saved.transaction else { return output.line(words.nothing_to_save) };
    let state = if saved.pending { words.saved_pending } else { words.saved };
    let position = saved.position.map(|number| format!("   {}", fill(words.position, &[&words.count(number)])));
    output.line(format!("{state}   {}{}", fill(words.transaction, &[&transaction]), position.unwrap_or_default()));
    for (label, id) in &saved.ids {
        output.line(format!("  {}", fill(words.new_object, &[&crate::output::harmless(label), id])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake::Fake;
    use mytism_core::id::ObjectId;
    use mytism_core::operation::{ObjectView, Output as Out};
    use mytism_core::value::Value;

    fn view(number: i64) -> Reply {
        Reply::Object(ObjectView {
            id: ObjectId::new(number).unwrap(),
            entity: "Customer".into(),
            values: vec![("City".into(), Out::Value(Value::from("Bonn")))],
            pending: false,
            detail: None,
        })
    }

    fn arguments(text: &str) -> args::Query {
        let params = vec![("n".to_owned(), "v=1".to_owned())];
        args::Query {
            text: text.into(),
            entity: Some("Customer".into()),
            params,
            as_of: Some("7".into()),
            limit: Some(2),
            deleted: true,
            explain: true,
            follow: false,
        }
    }

    #[test]
    fn a_query_prints_one_object_a_line() {
        let node = Fake::new(|_| Ok(vec![view(7), view(8)]));
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, true);
        query(&node, &arguments("from Customer"), &mut output).unwrap();
        output.finish().unwrap();
        let expected = "{\"id\":7,\"entity\":\"Customer\",\"values\":{\"City\":\"Bonn\"}}\n\
                        {\"id\":8,\"entity\":\"Customer\",\"values\":{\"City\":\"Bonn\"}}\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        let request = QueryRequest {
            text: "from Customer".into(),
            params: vec![("n".into(), Input::Text("v=1".into()))],
            limit: Some(2),
            deleted: true,
            as_of: Some("7".into()),
            keys: None,
            entity: Some("Customer".into()),
            explain: Some(true),
        };
        assert_eq!(node.asked.into_inner(), [Request::Query(request)]);
    }

    #[test]
    fn nobody_reading_ends_a_query_early_and_well() {
        struct Closed;
        impl io::Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let node = Fake::new(|_| Ok(vec![view(7), view(8)]));
        let mut output = Output::to(Closed, true);
        query(&node, &arguments("from Customer"), &mut output).unwrap();
        assert!(output.state().is_err());
        output.finish().unwrap();
    }

    #[test]
    fn a_refused_query_carries_its_text() {
        let node = Fake::new(|_| Err(Failure::usage("syntax-error", "m").at(1, 1)));
        let trouble = query(&node, &arguments("form X"), &mut Output::to(io::sink(), false)).unwrap_err();
        assert_eq!(trouble.text.as_deref(), Some("form X"));
    }

    #[test]
    fn a_document_is_utf_8_and_not_endless() {
        let check = |from: &[u8], code: &str| assert_eq!(document(from).unwrap_err().code, code);
        check(b"{\n\"\xff", "wrong-encoding");
        assert_eq!(document(io::repeat(b' ')).unwrap_err().code, "request-invalid");
        assert_eq!(document(&b"{}"[..]), Ok("{}".to_owned()));
    }
}
