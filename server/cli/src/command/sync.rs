//! `sync`: the lines to other nodes, and letting them rest.

use std::path::Path;

use mytism_core::operation::{Operations, Reply, Request, Status};
use serde_json::json;

use super::one;
use crate::args::{Sync, SyncCommand};
use crate::output::Output;
use crate::report::Trouble;
use crate::words::fill;
use crate::{json, lines, node, program};

/// `sync`.
pub(crate) fn run(directory: &Path, arguments: &Sync, output: &mut Output<'_>) -> Result<(), Trouble> {
    let node = node::open(directory)?;
    match arguments.command.unwrap_or(SyncCommand::Status) {
        SyncCommand::Status => status(&*node, output),
        SyncCommand::Pause => rest(&*node, true, output),
        SyncCommand::Resume => rest(&*node, false, output),
    }
}

fn ask(node: &dyn Operations, request: Request) -> Result<Box<Status>, Trouble> {
    Ok(one(node, request, |reply| match reply {
        Reply::Status(status) => Some(status),
        _ => None,
    })?)
}

fn status(node: &dyn Operations, output: &mut Output<'_>) -> Result<(), Trouble> {
    let status = ask(node, Request::Status)?;
    let words = output.words;
    if output.json {
        status.sync.iter().for_each(|peer| output.document(&json::peer(peer)));
        return Ok(());
    }
    if status.since.is_none() {
        output.line(words.not_running_lines);
    } else if status.sync.is_empty() {
        output.line(words.no_lines);
    }
    lines::details(&status, jiff::Timestamp::now().as_microsecond(), output);
    if status.lines_rest == Some(true) {
        output.line(fill(words.lines_rest, &[&program()]));
    }
    Ok(())
}

fn rest(node: &dyn Operations, rest: bool, output: &mut Output<'_>) -> Result<(), Trouble> {
    let status = ask(node, Request::RestLines { rest })?;
    let words = output.words;
    if output.json {
        output.document(&json!({"lines_rest": status.lines_rest.unwrap_or_default()}));
    } else if rest {
        output.line(fill(words.lines_rest, &[&program()]));
    } else {
        output.line(words.lines_resumed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mytism_core::id::{NodeId, TransactionId};
    use mytism_core::operation::{Moved, PeerStatus};
    use mytism_core::time::Timestamp;

    use super::*;
    use crate::command::fake::Fake;

    fn written(json: bool, write: impl FnOnce(&mut Output<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        write(&mut output);
        output.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_are_told_with_what_moved_last() {
        let time = Timestamp::from_micros(1_795_404_600_000_000).unwrap();
        let transaction = TransactionId { node: NodeId(2), incarnation: 1, counter: 7 };
        let peer = PeerStatus {
            name: "bonn".into(),
            state: "connected".into(),
            sent: 1_200,
            last_sent: Some(Moved { transaction, time }),
            lag_ms: Some(0.9),
            offer_lag_ms: Some(1.2),
            ..PeerStatus::default()
        };
        let told = Status { sync: vec![peer], since: Some(time), ..Status::default() };
        let node = Fake::new(|_| Ok(vec![Reply::Status(Box::new(told.clone()))]));
        let text = written(false, |output| status(&node, output).unwrap());
        assert!(text.starts_with("bonn  in step  0.9 ms\n  lag         head office to branch 0.9 ms"), "{text}");
        assert!(text.contains("  sent        1,200 since the start, the last 2-1-7 at "), "{text}");
        let json = written(true, |output| status(&node, output).unwrap());
        assert!(json.contains("\"last_sent\":{\"transaction\":\"2-1-7\""), "{json}");
    }

    #[test]
    fn lines_rest_and_are_resumed() {
        let node = Fake::new(|request| {
            let lines_rest = Some(*request == Request::RestLines { rest: true });
            Ok(vec![Reply::Status(Box::new(Status { lines_rest, ..Status::default() }))])
        });
        assert_eq!(written(true, |output| rest(&node, true, output).unwrap()), "{\"lines_rest\":true}\n");
        let text = written(false, |output| rest(&node, false, output).unwrap());
        assert_eq!(text, "the lines to other nodes are resumed\n");
        assert_eq!(node.asked.into_inner(), [true, false].map(|rest| Request::RestLines { rest }));
    }
}
