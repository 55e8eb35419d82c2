//! The node and its cluster: status, nodes, conflicts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use mytism_core::failure::Failure;
use mytism_core::operation::{NodeLine, Operations, Output as Out, Reply, Request, Status};
use mytism_core::value::Value;
use serde_json::json;

use super::objects::show_saved;
use super::{backup, one, sync};
use crate::args::{AddNode, ConflictsCommand, NodesCommand};
use crate::output::{Output, harmless};
use crate::report::{Trouble, not_in_this_version};
use crate::table::Rows;
use crate::words::fill;
use crate::{args, json, node, people, program};

/// Pause between two looks of `status --watch`.
const WATCH_PAUSE: Duration = Duration::from_secs(1);
/// Makes room on a terminal; what stood there goes up into its history.
const MAKE_ROOM: &str = "\u{1b}[2J";

/// `status`.
pub(crate) fn status(directory: &Path, arguments: &args::Status, output: &mut Output<'_>) -> Result<(), Trouble> {
    let redrawn = arguments.watch && output.width.is_some() && !output.json;
    if redrawn {
        output.text(MAKE_ROOM);
    }
    loop {
        // Opened each time: the node may have been started or stopped in the meantime.
        let status = one(&*node::open(directory)?, Request::Status, |reply| match reply {
            Reply::Status(status) => Some(status),
            _ => None,
        })?;
        if redrawn {
            output.redraw(|output| show_status(directory, &status, output));
        } else {
            show_status(directory, &status, output);
        }
        if !arguments.watch {
            return Ok(());
        }
        output.flush();
        if output.state().is_err() {
            return Ok(());
        }
        sleep(WATCH_PAUSE);
    }
}

fn show_status(directory: &Path, status: &Status, output: &mut Output<'_>) {
    let (made, proven) = backup::latest(directory);
    let last_check = node::LastCheck::read(directory);
    if output.json {
        let mut document = json::status(status);
        if let Some(fields) = document.as_object_mut() {
            fields.insert("last_backup".to_owned(), made.into());
            fields.insert("last_verified_backup".to_owned(), proven.into());
            fields.insert("last_check".to_owned(), json!(last_check));
        }
        output.document(&document);
    } else {
        let unmended = last_check.as_ref().map_or(0, node::LastCheck::unmended);
        people::status(status, jiff::Timestamp::now().as_microsecond(), &program(), unmended, output);
        backup::show_latest(made.as_deref(), proven.as_deref(), output);
        sync::show_last(last_check.as_ref(), output);
    }
}

/// `nodes` and `nodes add`.
pub(crate) fn nodes(node: &dyn Operations, arguments: &args::Nodes, output: &mut Output<'_>) -> Result<(), Trouble> {
    if let Some(NodesCommand::Add(arguments)) = &arguments.command {
        return Ok(add_node(node, arguments, output)?);
    }
    let mut rows = Rows::new();
    node.call(Request::Nodes, &mut |reply| {
        match reply {
            Reply::Node(line) if output.json => output.document(&json::node(&line)),
            Reply::Node(line) => rows.row(node_row(&line, output), output),
            _ => {}
        }
        output.state()
    })?;
    if !output.json {
        rows.finish(output);
    }
    Ok(())
}

fn node_row(line: &NodeLine, output: &Output<'_>) -> Vec<(String, Out)> {
    let words = output.words;
    let role = if line.role == "authoritative" { words.authoritative } else { words.branch };
    let joined = if line.joined { words.yes } else { words.no };
    let word = |name: &str, word: &str| (name.to_owned(), Out::Word(word.to_owned()));
    let number = (words.number.to_owned(), Out::Value(Value::Integer(line.number.into())));
    vec![word(words.name, &line.name), number, word(words.role, role), word(words.joined, joined)]
}

fn add_node(node: &dyn Operations, arguments: &AddNode, output: &mut Output<'_>) -> Result<(), Failure> {
    if arguments.account.is_some() {
        return Err(not_in_this_version("accounts of users for branches").hint("leave --account out"));
    }
    let path = &arguments.export;
    let cannot = |error: &io::Error| {
        let failure = Failure::failed("file-error", format!("cannot write {}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::AlreadyExists => failure.hint("choose another name, or move the old file away"),
            _ => failure,
        }
    };
    // The file first: an account whose secret could not be written would be lost. Nobody else may read it.
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = options.map_err(|error| cannot(&error))?;
    let request = Request::AddNode { name: arguments.name.clone(), valid_days: arguments.valid };
    let account = one(node, request, |reply| match reply {
        Reply::Account { file } => Some(file),
        _ => None,
    });
    let written = account.and_then(|text| write_account(file, &text).map_err(|error| cannot(&error)));
    if let Err(failure) = written {
        // Empty, or a part of an account that nobody can use.
        let _removed = fs::remove_file(path);
        return Err(failure);
    }
    if output.json {
        output
            .document(&json!({"node": arguments.name, "file": path.to_string_lossy(), "valid_days": arguments.valid}));
    } else {
        let words = output.words;
        let name = harmless(&arguments.name);
        output.line(fill(words.account_written, &[&name, &path.display(), &arguments.valid]));
        output.line(fill(words.copy_and_join, &[&program()]));
    }
    Ok(())
}

fn write_account(mut file: File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// `conflicts` and `conflicts resolve`.
pub(crate) fn conflicts(
    node: &dyn Operations,
    arguments: &args::Conflicts,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    if let Some(ConflictsCommand::Resolve(arguments)) = &arguments.command {
        let request =
            Request::ResolveConflict { conflict: arguments.id, take_other: arguments.take == args::Take::Other };
        let saved = one(node, request, |reply| match reply {
            Reply::Saved(saved) => Some(saved),
            _ => None,
        })?;
        if output.json {
            output.document(&json::saved(&saved));
        } else {
            show_saved(&saved, output);
        }
        return Ok(());
    }
    let mut count = 0u64;
    node.call(Request::Conflicts, &mut |reply| {
        if let Reply::Conflict(line) = reply {
            count += 1;
            if output.json {
                output.document(&json::conflict(&line));
            } else {
                people::conflict(&line, output);
            }
        }
        output.state()
    })?;
    say_if_none(count, output.words.no_conflicts, output);
    Ok(())
}

pub(super) fn say_if_none(count: u64, text: &str, output: &mut Output<'_>) {
    if count == 0 && !output.json {
        output.line(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::id::{NodeId, ObjectId, TransactionId};
    use mytism_core::operation::Saved;

    use crate::command::fake::Fake;

    fn written(json: bool, write: impl FnOnce(&mut Output<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, json);
        write(&mut output);
        output.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_account_is_written_once_and_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let arguments =
            |name: &str| AddNode { name: "bonn".into(), account: None, valid: 7, export: directory.path().join(name) };
        let node = Fake::new(|_| Ok(vec![Reply::Account { file: "secret\n".into() }]));
        let told = written(true, |output| add_node(&node, &arguments("a"), output).unwrap());
        assert!(told.starts_with("{\"node\":\"bonn\",\"file\":") && told.ends_with("\"valid_days\":7}\n"), "{told}");
        let path = directory.path().join("a");
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut output = Output::to(io::sink(), true);
        assert_eq!(add_node(&node, &arguments("a"), &mut output).unwrap_err().code, "file-error");
        assert_eq!(fs::read_to_string(&path).unwrap(), "secret\n", "the old one stays");
        assert_eq!(node.asked.borrow().len(), 1, "no second account was asked for");
        let refusing = Fake::new(|_| Err(Failure::refused("name-taken", "m")));
        assert_eq!(add_node(&refusing, &arguments("b"), &mut output).unwrap_err().code, "name-taken");
        assert!(!directory.path().join("b").exists());
    }

    #[test]
    fn listings_say_when_there_is_nothing() {
        let node = Fake::new(|_| Ok(Vec::new()));
        let list = args::Conflicts { command: None };
        assert_eq!(written(false, |output| conflicts(&node, &list, output).unwrap()), "no conflicts\n");
        assert_eq!(written(true, |output| conflicts(&node, &list, output).unwrap()), "");
    }

    #[test]
    fn a_conflict_is_settled_with_the_value_that_was_chosen() {
        let transaction = TransactionId { node: NodeId(1), incarnation: 1, counter: 4 };
        let saved = Saved { transaction: Some(transaction), position: Some(4711), pending: false, ids: Vec::new() };
        let node = Fake::new(|_| Ok(vec![Reply::Saved(saved.clone())]));
        let conflict = ObjectId::new(9).unwrap();
        for take in [args::Take::Kept, args::Take::Other] {
            let resolve = args::ResolveConflict { id: conflict, take };
            let arguments = args::Conflicts { command: Some(ConflictsCommand::Resolve(resolve)) };
            let told = written(true, |output| conflicts(&node, &arguments, output).unwrap());
            assert!(told.contains("4711"), "{told}");
        }
        let asked = [false, true].map(|take_other| Request::ResolveConflict { conflict, take_other });
        assert_eq!(node.asked.into_inner(), asked);
    }

    #[test]
    fn nodes_are_a_table() {
        let line = NodeLine { name: "bonn".into(), number: 2, role: "branch".into(), joined: true };
        let node = Fake::new(|_| Ok(vec![Reply::Node(line.clone())]));
        let list = args::Nodes { command: None };
        let expected = "Name  Number  Role    Joined\nbonn       2  branch  yes\n1 row\n";
        assert_eq!(written(false, |output| nodes(&node, &list, output).unwrap()), expected);
    }
}
