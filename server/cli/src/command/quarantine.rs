//! `quarantine`: what the head office refused, one refusal whole, and what is to become of it.

use mytism_core::failure::Failure;
use mytism_core::operation::{Input, Operations, Reply, Request, SettleRequest, Settling};

use super::cluster::say_if_none;
use super::objects::show_saved;
use super::{one, unclear};
use crate::args::{self, QuarantineCommand};
use crate::output::Output;
use crate::report::Trouble;
use crate::{json, people};

/// `quarantine`, `quarantine show`, `quarantine retry` and `quarantine discard`.
pub(crate) fn run(node: &dyn Operations, arguments: &args::Quarantine, output: &mut Output<'_>) -> Result<(), Trouble> {
    match &arguments.command {
        None => list(node, arguments.all, output)?,
        Some(QuarantineCommand::Show(refusal)) => show(node, refusal.number, output)?,
        Some(QuarantineCommand::Retry(retry)) => {
            let set = retry.set.iter().map(|text| value(text)).collect::<Result<_, _>>()?;
            settle(node, SettleRequest { number: retry.number, action: Settling::Retry, set }, output)?;
        }
        Some(QuarantineCommand::Discard(refusal)) => {
            let request = SettleRequest { number: refusal.number, action: Settling::Discard, set: Vec::new() };
            settle(node, request, output)?;
        }
    }
    Ok(())
}

fn list(node: &dyn Operations, all: bool, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut count = 0u64;
    node.call(if all { Request::Refusals } else { Request::Quarantine }, &mut |reply| {
        if let Reply::Quarantined(line) = reply {
            count += 1;
            if output.json {
                output.document(&json::quarantined(&line));
            } else {
                people::quarantined(&line, output);
            }
        }
        output.state()
    })?;
    say_if_none(count, output.words.no_quarantine, output);
    Ok(())
}

fn show(node: &dyn Operations, number: u64, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut refusal = None;
    let mut changes = Vec::new();
    node.call(Request::Refusal { number }, &mut |reply| {
        match reply {
            Reply::Quarantined(line) if output.json => refusal = Some(line),
            Reply::Quarantined(line) => {
                people::quarantined(&line, output);
                refusal = Some(line);
            }
            Reply::UndoLine(line) if output.json => changes.push(*line),
            Reply::UndoLine(line) => people::refused_change(&line, output),
            _ => {}
        }
        output.state()
    })?;
    let refusal = refusal.ok_or_else(unclear)?;
    if output.json {
        output.document(&json::refusal(&refusal, &changes));
    }
    Ok(())
}

fn settle(node: &dyn Operations, request: SettleRequest, output: &mut Output<'_>) -> Result<(), Failure> {
    let saved = one(node, Request::Settle(request), |reply| match reply {
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

/// What stands before the first equals sign, and the value behind it.
fn value(text: &str) -> Result<(String, Input), Failure> {
    match text.split_once('=') {
        Some((what, value)) if what.contains('.') => Ok((what.trim().to_owned(), Input::Text(value.to_owned()))),
        _ => {
            let message = format!("--set \"{text}\": ENTITY.ATTRIBUTE=VALUE or ID.ATTRIBUTE=VALUE is expected");
            Err(Failure::usage("wrong-use", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::id::{NodeId, ObjectId, TransactionId};
    use mytism_core::operation::{Output as Out, QuarantineLine, Saved, Settled, StampView, UndoLine};
    use mytism_core::time::Timestamp;
    use mytism_core::value::Value;

    use super::*;
    use crate::args::{Refusal, Retry};
    use crate::command::fake::Fake;

    const ID: TransactionId = TransactionId { node: NodeId(2), incarnation: 1, counter: 5 };

    fn refusal(settled: Option<&str>) -> Reply {
        let time = Timestamp::from_micros(1_795_404_600_000_000).unwrap();
        let stamp = StampView { time, user: "Admin".into(), node: "bonn".into() };
        Reply::Quarantined(QuarantineLine {
            transaction: ID,
            position: 12,
            code: "duplicate-value".into(),
            reason: "it is taken".into(),
            description: "new".into(),
            stamp: stamp.clone(),
            builds_on: Some(TransactionId { counter: 4, ..ID }),
            settled: settled.map(|action| Settled { action: action.into(), stamp }),
        })
    }

    fn change() -> Reply {
        let text = |text: &str| Out::Value(Value::from(text));
        Reply::UndoLine(Box::new(UndoLine {
            object: ObjectId::new(9).unwrap(),
            entity: "Customer".into(),
            text: "ALFKI".into(),
            attribute: "City".into(),
            before: text("Berlin"),
            then: text("Bonn"),
            now: Out::Value(Value::Null),
            obstacle: None,
        }))
    }

    fn written(json: bool, all: bool, command: Option<QuarantineCommand>, replies: &[Reply]) -> (String, Vec<Request>) {
        let node = Fake::new(|_| Ok(replies.to_vec()));
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        run(&node, &args::Quarantine { all, command }, &mut output).unwrap();
        output.finish().unwrap();
        (String::from_utf8(bytes).unwrap(), node.asked.into_inner())
    }

    #[test]
    fn the_list_is_of_what_nobody_has_settled_or_of_all() {
        assert_eq!(written(false, false, None, &[]), ("nothing in quarantine\n".into(), vec![Request::Quarantine]));
        let (text, asked) = written(false, true, None, &[refusal(Some("edited"))]);
        assert_eq!(asked, [Request::Refusals]);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("refusal 12   transaction 2-1-5   2026-"), "{text}");
        assert_eq!(&lines[1..3], ["  duplicate-value: it is taken", "  builds on the refused transaction 2-1-4"]);
        assert!(lines[3].starts_with("  retried with other values 2026-"), "{text}");
    }

    #[test]
    fn one_refusal_is_shown_whole() {
        let show = || Some(QuarantineCommand::Show(Refusal { number: 12 }));
        let (text, asked) = written(false, false, show(), &[refusal(None), change()]);
        assert_eq!(asked, [Request::Refusal { number: 12 }]);
        assert!(text.ends_with("  Customer 9 ALFKI  City   was Berlin, wanted Bonn, is –\n"), "{text}");
        let (text, _) = written(true, false, show(), &[refusal(None), change()]);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&document["builds_on"], &document["settled"]), (&"2-1-4".into(), &serde_json::Value::Null));
        let expected = r#"[{"object":9,"entity":"Customer","text":"ALFKI","attribute":"City","old":"Berlin","wanted":"Bonn","now":null}]"#;
        assert_eq!(document["changes"].to_string(), expected);
    }

    #[test]
    fn values_are_named_by_entity_or_object() {
        let saved = Reply::Saved(Saved { transaction: Some(ID), position: Some(14), pending: false, ids: vec![] });
        let set = vec!["Customer.City=a=b".to_owned(), "9.City=".to_owned()];
        let (text, asked) = written(
            false,
            false,
            Some(QuarantineCommand::Retry(Retry { number: 12, set })),
            std::slice::from_ref(&saved),
        );
        assert_eq!(text, "saved   transaction 2-1-5   position 14\n");
        let set = ["Customer.City", "9.City"].map(str::to_owned).into_iter();
        let set = set.zip(["a=b", ""].map(|text| Input::Text(text.into()))).collect();
        assert_eq!(asked, [Request::Settle(SettleRequest { number: 12, action: Settling::Retry, set })]);
        let (_, asked) = written(true, false, Some(QuarantineCommand::Discard(Refusal { number: 12 })), &[saved]);
        assert_eq!(asked, [Request::Settle(SettleRequest { number: 12, action: Settling::Discard, set: vec![] })]);
        for wrong in ["Customer.City", "City=a", ""] {
            assert_eq!(value(wrong).unwrap_err().code, "wrong-use", "{wrong}");
        }
    }
}
