//! `undo`: what a transaction or an import did is set back, or told.

use mytism_core::operation::{Operations, Reply, Request, UndoRequest, Undone};

use super::progress::Progress;
use super::unclear;
use crate::args;
use crate::output::Output;
use crate::report::Trouble;
use crate::words::fill;
use crate::{json, people};

/// `undo`. Obstacles are told as they are found, also where the node then refuses.
pub(crate) fn run(node: &dyn Operations, arguments: &args::Undo, output: &mut Output<'_>) -> Result<(), Trouble> {
    let args::Undo { id, keep_later, dry_run } = *arguments;
    let mut last = None;
    let mut progress = Progress::new();
    let told = node.call(Request::Undo(UndoRequest { id, keep_later, dry_run }), &mut |reply| {
        match reply {
            Reply::UndoLine(line) if output.json => output.document(&json::undo_line(&line)),
            Reply::UndoLine(line) => people::undo(&line, output),
            Reply::Undone(undone) => {
                progress.at(undone.done, undone.total, &id.to_string());
                last = Some(undone);
            }
            _ => {}
        }
        // What is being undone goes on, whether anybody reads of it or not.
        Ok(())
    });
    drop(progress);
    // What was found so far goes before the reason.
    output.flush();
    told?;
    let undone = last.ok_or_else(unclear)?;
    if output.json {
        output.document(&json::undone(&undone));
    } else {
        show(&undone, dry_run, output);
    }
    Ok(())
}

fn show(undone: &Undone, dry_run: bool, output: &mut Output<'_>) {
    let words = output.words;
    let objects = fill(words.objects, &[&words.count(undone.objects)]);
    match undone.transaction {
        _ if dry_run => output.line(format!("{}   {objects}", words.undo_dry)),
        None => output.line(words.nothing_to_undo),
        Some(transaction) => {
            let state = if undone.pending { words.undone_pending } else { words.undone };
            let position = undone.position.map(|number| fill(words.position, &[&words.count(number)]));
            let position = position.map(|position| format!("   {position}")).unwrap_or_default();
            output.line(format!("{state}   {}{position}   {objects}", fill(words.transaction, &[&transaction])));
        }
    }
    if undone.left > 0 {
        output.line(fill(words.undo_left, &[&words.count(undone.left)]));
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::failure::Failure;
    use mytism_core::id::{NodeId, ObjectId, TransactionId};
    use mytism_core::operation::{Obstacle, Output as Out, UndoLine};
    use mytism_core::value::Value;

    use super::*;
    use crate::command::fake::Fake;

    const ID: TransactionId = TransactionId { node: NodeId(1), incarnation: 1, counter: 7 };

    fn line(obstacle: bool) -> Reply {
        let text = |text: &str| Out::Value(Value::from(text));
        let (code, message) = ("duplicate-value".to_owned(), "it is taken".to_owned());
        Reply::UndoLine(Box::new(UndoLine {
            object: ObjectId::new(9).unwrap(),
            entity: "Customer".into(),
            text: "ALFKI".into(),
            attribute: "City".into(),
            before: text("Berlin"),
            then: text("Bonn"),
            now: Out::Value(Value::Null),
            obstacle: obstacle.then_some(Obstacle { code, message, by: None, transaction: None }),
        }))
    }

    fn written(dry_run: bool, json: bool, answer: impl Fn() -> Result<Vec<Reply>, Failure>) -> (String, bool) {
        let node = Fake::new(|_| answer());
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        let ended = run(&node, &args::Undo { id: ID, keep_later: false, dry_run }, &mut output);
        output.finish().unwrap();
        assert_eq!(node.asked.into_inner(), [Request::Undo(UndoRequest { id: ID, keep_later: false, dry_run })]);
        (String::from_utf8(bytes).unwrap(), ended.is_ok())
    }

    #[test]
    fn people_read_what_was_done_and_what_was_not() {
        let check = |dry_run: bool, lines: Vec<Reply>, undone: Undone, expected: &str| {
            let replies = || Ok([lines.clone(), vec![Reply::Undone(undone)]].concat());
            assert_eq!(written(dry_run, false, replies), (expected.to_owned(), true));
        };
        let done = Undone { transaction: Some(ID), position: Some(1234), objects: 1, ..Undone::default() };
        check(false, vec![], done, "undone   transaction 1-1-7   position 1,234   1 object\n");
        check(false, vec![], Undone::default(), "nothing to undo\n");
        check(
            true,
            vec![line(false)],
            Undone { objects: 1, ..Undone::default() },
            "Customer 9 ALFKI  City   – → Berlin\ndry run, nothing was undone   1 object\n",
        );
        let pending = Undone { position: None, pending: true, objects: 2, left: 1, ..done };
        check(
            false,
            vec![line(true)],
            pending,
            "Customer 9 ALFKI  City   was Berlin, became Bonn, is –\n  it is taken\n\
             undone here, the head office has not seen it yet   transaction 1-1-7   2 objects\nleft as it is: 1\n",
        );
    }

    #[test]
    fn programs_get_lines_and_one_document_as_of_a_save() {
        let done = Undone { transaction: Some(ID), position: Some(8), objects: 1, ..Undone::default() };
        let (text, ended) = written(false, true, || Ok(vec![line(true), Reply::Undone(done)]));
        assert!(ended);
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["conflict"], "duplicate-value");
        assert_eq!((&lines[0]["before"], &lines[0]["now"]), (&"Berlin".into(), &serde_json::Value::Null));
        assert_eq!(
            lines[1].to_string(),
            r#"{"transaction":"1-1-7","position":8,"state":"accepted","ids":{},"objects":1,"left":0}"#
        );
    }

    #[test]
    fn obstacles_are_told_before_the_refusal() {
        let node = Fake::new(|_| Ok(vec![line(true)]));
        let mut output = Output::to(std::io::sink(), false);
        let told = run(&node, &args::Undo { id: ID, keep_later: false, dry_run: false }, &mut output);
        assert_eq!(told.unwrap_err().failure.code, "answer-unclear");
        let (text, ended) = written(false, false, || Err(Failure::refused("undo-conflict", "m")));
        assert_eq!((text.as_str(), ended), ("", false));
    }
}
