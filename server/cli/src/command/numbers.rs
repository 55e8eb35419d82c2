//! `numbers`: the number ranges, the numbers that may be missing, and the next number set by hand.

use std::io::{self, BufRead, IsTerminal};

use mytism_core::failure::Failure;
use mytism_core::number::Number;
use mytism_core::operation::{NumberRangeLine, Operations, Output as Out, Reply, Request, VoidNumberLine};
use mytism_core::value::Value;

use super::objects::show_saved;
use super::{one, say};
use crate::args::{self, NumbersCommand, SetNumber};
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::table::Rows;
use crate::words::{Words, fill};
use crate::{json, people};

/// `numbers`, `numbers void` and `numbers set`.
pub(crate) fn run(node: &dyn Operations, arguments: &args::Numbers, output: &mut Output<'_>) -> Result<(), Trouble> {
    match &arguments.command {
        None => list(node, output)?,
        Some(NumbersCommand::Void(arguments)) => void(node, arguments.range.as_deref(), output)?,
        Some(NumbersCommand::Set(arguments)) => {
            let (terminal, input) = (io::stdin().is_terminal(), io::stdin());
            set(node, arguments, terminal, &mut input.lock(), output)?;
        }
    }
    Ok(())
}

fn list(node: &dyn Operations, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut rows = Rows::new();
    let mut count = 0u64;
    node.call(Request::NumberRanges, &mut |reply| {
        if let Reply::NumberRange(line) = reply {
            count += 1;
            if output.json {
                output.document(&json::number_range(&line));
            } else {
                rows.row(range_row(&line, output.words), output);
            }
        }
        output.state()
    })?;
    finish(rows, count, output.words.no_number_ranges, output);
    Ok(())
}

fn finish(rows: Rows, count: u64, nothing: &str, output: &mut Output<'_>) {
    match (output.json, count) {
        (true, _) => {}
        (false, 0) => output.line(nothing),
        (false, _) => rows.finish(output),
    }
}

fn range_row(line: &NumberRangeLine, words: &Words) -> Vec<(String, Out)> {
    let word = |name: &str, word: &str| (name.to_owned(), Out::Word(word.to_owned()));
    let number = |name: &str, number: Option<Number>| {
        (name.to_owned(), Out::Value(number.map_or(Value::Null, |number| Value::Integer(number.0))))
    };
    vec![
        word(words.name, &line.name),
        word(words.node, &line.node),
        number(words.next_number, line.next),
        word(words.left, &words.count(line.left)),
        number(words.leased_up_to, line.leased),
        word(words.state, state(&line.state, words)),
    ]
}

fn state<'w>(state: &'w str, words: &'w Words) -> &'w str {
    match state {
        "valid" => words.range_valid,
        "low" => words.range_low,
        "used-up" => words.range_used_up,
        "waiting" => words.range_waiting,
        "invalid" => words.range_invalid,
        "no-node" => words.range_no_node,
        other => other,
    }
}

fn void(node: &dyn Operations, range: Option<&str>, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut rows = Rows::new();
    let mut count = 0u64;
    node.call(Request::VoidNumbers { range: range.map(str::to_owned) }, &mut |reply| {
        if let Reply::VoidNumber(line) = reply {
            count += 1;
            if output.json {
                output.document(&json::void_number(&line));
            } else {
                rows.row(void_row(&line, output.words), output);
            }
        }
        output.state()
    })?;
    finish(rows, count, output.words.no_void_numbers, output);
    Ok(())
}

fn void_row(line: &VoidNumberLine, words: &Words) -> Vec<(String, Out)> {
    let word = |name: &str, word: &str| (name.to_owned(), Out::Word(word.to_owned()));
    let number = |name: &str, number: Number| (name.to_owned(), Out::Value(Value::Integer(number.0)));
    let cause = match line.cause.as_str() {
        "refused" => words.cause_refused,
        "may-be-missing" => words.cause_may_be_missing,
        other => other,
    };
    let transaction = line.transaction.map_or_else(String::new, |id| id.to_string());
    vec![
        word(words.name, &line.range),
        word(words.node, &line.node),
        number(words.from_number, line.from),
        number(words.to_number, line.to),
        word(words.cause, cause),
        word(words.time, &people::moment(line.time)),
        word(words.transaction_column, &transaction),
    ]
}

fn set(
    node: &dyn Operations,
    arguments: &SetNumber,
    is_terminal: bool,
    input: &mut dyn BufRead,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if !arguments.yes {
        confirm(arguments, is_terminal, input, output)?;
    }
    let request = Request::SetNextNumber { range: arguments.range.clone(), next: arguments.next };
    let saved = one(node, request, |reply| match reply {
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

/// Lets a person type the number again; a program says `--yes`.
fn confirm(
    arguments: &SetNumber,
    is_terminal: bool,
    input: &mut dyn BufRead,
    output: &Output<'_>,
) -> Result<(), Failure> {
    let next = arguments.next;
    if is_terminal && !output.json {
        say(&fill(output.words.confirm_number, &[&harmless(&arguments.range), &next]));
        let mut typed = String::new();
        let read = input.read_line(&mut typed);
        read.map_err(|error| Failure::failed("input-failed", format!("cannot read standard input: {error}")))?;
        if typed.trim().parse() == Ok(next) {
            return Ok(());
        }
    }
    let message =
        format!("setting the next number of {} to {next} was not confirmed; nothing was changed", arguments.range);
    Err(Failure::refused("not-confirmed", message).hint("add --yes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::fake::Fake;
    use mytism_core::id::{NodeId, ObjectId, TransactionId};
    use mytism_core::operation::Saved;
    use mytism_core::time::Timestamp;

    fn written(json: bool, write: impl FnOnce(&mut Output<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        write(&mut output);
        output.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn ranges_are_a_table() {
        let line = NumberRangeLine {
            id: ObjectId::new(1_048_577).unwrap(),
            name: "Invoices".into(),
            node: "bonn".into(),
            next: Some(Number(240_113)),
            left: 9_887,
            min: Number(240_000),
            max: Number(249_999),
            increment: Number(1),
            leased: Some(Number(240_120)),
            state: "valid".into(),
        };
        let used_up = NumberRangeLine { next: None, left: 0, leased: None, state: "used-up".into(), ..line.clone() };
        let node = Fake::new(|_| Ok(vec![Reply::NumberRange(line.clone()), Reply::NumberRange(used_up.clone())]));
        let expected = "Name      Node    Next  Left   Leased up to  State\n\
                        Invoices  bonn  240113  9,887        240120  valid\n\
                        Invoices  bonn          0                    used up\n\
                        2 rows\n";
        assert_eq!(written(false, |output| list(&node, output).unwrap()), expected);
        let document = written(true, |output| list(&node, output).unwrap());
        let first: serde_json::Value = serde_json::from_str(document.lines().next().unwrap()).unwrap();
        let expected = serde_json::json!({
            "id": 1_048_577, "name": "Invoices", "node": "bonn", "next": 240_113, "left": 9_887, "min": 240_000,
            "max": 249_999, "increment": 1, "leased": 240_120, "state": "valid",
        });
        assert_eq!(first, expected);
        let nothing = Fake::new(|_| Ok(Vec::new()));
        assert_eq!(written(false, |output| list(&nothing, output).unwrap()), "no number ranges\n");
    }

    #[test]
    fn void_numbers_are_a_table() {
        let line = VoidNumberLine {
            range: "Invoices".into(),
            node: "bonn".into(),
            from: Number(7),
            to: Number(7),
            cause: "refused".into(),
            transaction: Some(TransactionId { node: NodeId(2), incarnation: 1, counter: 9 }),
            time: Timestamp::from_micros(1_795_404_600_000_000).unwrap(),
        };
        let node = Fake::new(|_| Ok(vec![Reply::VoidNumber(line.clone())]));
        let told = written(false, |output| void(&node, Some("Invoices"), output).unwrap());
        assert!(told.contains("refused") && told.contains("2-1-9"), "{told}");
        assert_eq!(node.asked.borrow()[0], Request::VoidNumbers { range: Some("Invoices".into()) });
        let told = written(true, |output| void(&node, None, output).unwrap());
        assert_eq!(
            told,
            "{\"range\":\"Invoices\",\"node\":\"bonn\",\"from\":7,\"to\":7,\"cause\":\"refused\",\
             \"transaction\":\"2-1-9\",\"time\":\"2026-11-23T03:30:00Z\"}\n"
        );
    }

    #[test]
    fn a_next_number_is_set_only_when_it_is_confirmed() {
        let saved = Saved { transaction: None, position: None, pending: false, ids: Vec::new() };
        let node = Fake::new(|_| Ok(vec![Reply::Saved(saved.clone())]));
        let arguments = |yes| SetNumber { range: "Invoices".into(), next: Number(7), yes };
        let check = |yes: bool, is_terminal: bool, typed: &str, done: bool| {
            let before = node.asked.borrow().len();
            let mut output = Output::to(io::sink(), false);
            let ended = set(&node, &arguments(yes), is_terminal, &mut typed.as_bytes(), &mut output);
            assert_eq!(ended.err().map(|failure| failure.code), (!done).then(|| "not-confirmed".to_owned()), "{typed}");
            assert_eq!(node.asked.borrow().len() - before, usize::from(done), "{typed}");
        };
        check(true, false, "", true);
        check(false, true, "7\n", true);
        check(false, true, "8\n", false);
        check(false, true, "", false);
        check(false, false, "7\n", false);
    }
}
