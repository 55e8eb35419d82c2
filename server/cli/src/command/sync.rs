//! `sync`: the lines to other nodes, and letting them rest.

use std::path::Path;

use mytism_core::operation::{Checked, Operations, Reply, Request, Status};
use serde_json::json;

use super::{Verdict, backup, one};
use crate::args::{Sync, SyncCommand};
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::words::fill;
use crate::{json, lines, node, people, program};

/// `sync`.
pub(crate) fn run(directory: &Path, arguments: &Sync, output: &mut Output<'_>) -> Result<Verdict, Trouble> {
    let node = node::open(directory)?;
    match arguments.command.unwrap_or(SyncCommand::Status) {
        SyncCommand::Status => status(&*node, output)?,
        SyncCommand::Check => return check(&*node, output),
        SyncCommand::Pause => rest(&*node, true, output)?,
        SyncCommand::Resume => rest(&*node, false, output)?,
    }
    Ok(Verdict::Done)
}

/// When all that a branch holds was last compared, for people; nothing where it never was.
pub(super) fn show_last(last: Option<&node::LastCheck>, output: &mut Output<'_>) {
    let Some(last) = last else { return };
    let words = output.words;
    let (time, found) = (backup::short(&last.time), last.missing + last.different);
    let text = match found {
        0 => fill(words.all_as_there, &[&time]),
        _ => fill(
            words.some_mended,
            &[&time, &words.count(found), &words.count(last.compared), &words.count(last.repaired)],
        ),
    };
    people::entry(output, words.compared_at, &[text]);
}

/// What was found and is not good now is for somebody to look at.
fn check(node: &dyn Operations, output: &mut Output<'_>) -> Result<Verdict, Trouble> {
    let checked = one(node, Request::CheckSync, |reply| match reply {
        Reply::Checked(checked) => Some(checked),
        _ => None,
    })?;
    let Checked { peer, compared, missing, different, repaired } = &checked;
    let found = missing + different;
    let words = output.words;
    if output.json {
        output.document(&json!({
            "peer": peer, "compared": compared, "missing": missing, "different": different, "repaired": repaired,
        }));
    } else {
        let count = words.count(*compared);
        output.line(match peer {
            Some(peer) => fill(words.compared_with, &[&count, &harmless(peer)]),
            None => fill(words.compared_log, &[&count]),
        });
        output.line(match found {
            0 => words.nothing_differs.to_owned(),
            _ => fill(words.differs, &[&words.count(*missing), &words.count(*different), &words.count(*repaired)]),
        });
        if found > *repaired {
            output.line(words.not_mended);
        }
    }
    Ok(if found > *repaired { Verdict::Found } else { Verdict::Done })
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
    fn what_is_found_and_not_mended_is_said_by_the_status_too() {
        let told = |missing, repaired| {
            let peer = Some("hamburg".to_owned());
            let checked = Checked { peer, compared: 1_200, missing, different: 0, repaired };
            let node = Fake::new(|_| Ok(vec![Reply::Checked(checked.clone())]));
            let mut verdict = Verdict::Done;
            let text = written(false, |output| verdict = check(&node, output).unwrap());
            (text, verdict)
        };
        let (text, verdict) = told(0, 0);
        assert_eq!(
            (text.as_str(), verdict),
            ("1,200 entries and objects compared with hamburg\nnothing differs\n", Verdict::Done)
        );
        let (text, verdict) = told(3, 3);
        assert!(text.ends_with("3 were missing and 0 were different here; 3 are good now\n"), "{text}");
        assert_eq!((verdict, told(3, 2).1), (Verdict::Done, Verdict::Found));
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
