//! Making a project, starting its node and stopping it.

use std::io::{self, IsTerminal};
use std::path::Path;

use mytism_core::failure::Failure;
use mytism_core::operation::{Operations, Request};
use serde_json::{Value as Json, json};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, reload};

use super::progress::Progress;
use super::{background, systemd};
use crate::args::Manner;
use crate::output::{Output, colours_wanted, harmless};
use crate::report::{self, Trouble};
use crate::words::{Words, fill};
use crate::{args, called_as, node, program};

/// `init`.
pub(crate) fn init(directory: &Path, arguments: &args::Init, output: &mut Output<'_>) -> Result<(), Trouble> {
    let made = node::init(directory, arguments)?;
    if output.json {
        output.document(&json!({
            "project": made.directory.to_string_lossy(),
            "node": made.node,
            "role": "authoritative",
            "schema": made.schema,
            "entities": made.system_entities + made.own_entities,
            "database": made.database,
        }));
        return Ok(());
    }
    let words = output.words;
    let project = format!("{:<18} {}", made.directory.display(), fill(words.new_head_office, &[&made.node]));
    entry(output, words.project, &project);
    let engine = if made.database.starts_with("postgresql:") { "PostgreSQL" } else { "SQLite" };
    entry(output, words.store, &format!("{engine:<18} {}", harmless(&made.database)));
    let entities = fill(words.entities, &[&(made.system_entities + made.own_entities)]);
    entry(output, words.schema, &format!("{:<18} {entities}", harmless(&made.schema)));
    next(directory, output);
    Ok(())
}

/// `join`.
pub(crate) fn join(directory: &Path, arguments: &args::Join, output: &mut Output<'_>) -> Result<(), Trouble> {
    let mut progress = Progress::new();
    let made = node::join(directory, arguments, &mut |step| progress.at(step.done, step.total, step.phase))?;
    drop(progress);
    if output.json {
        output.document(&json!({
            "project": made.directory.to_string_lossy(),
            "node": made.node,
            "role": "branch",
            "head_office": made.head_office,
            "position": made.position,
            "objects": made.objects,
            "fetched": made.fetched,
            "kept": made.kept,
            "history_begin": made.history_begin,
        }));
        return Ok(());
    }
    let words = output.words;
    let project = format!("{:<18} {}", made.directory.display(), fill(words.new_branch, &[&made.node]));
    entry(output, words.project, &project);
    entry(output, words.head_office, &harmless(&made.head_office));
    let objects = fill(words.objects, &[&words.count(made.objects)]);
    let position = fill(words.position, &[&words.count(made.position)]);
    entry(output, words.received, &format!("{objects:<18} {position}"));
    if let Some(begin) = made.history_begin {
        entry(output, words.history, &fill(words.history_follows, &[&words.count(begin)]));
    }
    next(directory, output);
    Ok(())
}

fn entry(output: &mut Output<'_>, label: &str, text: &str) {
    let label = output.bold(&format!("{label:<11}"));
    output.line(format!("{label} {text}").trim_end());
}

/// What to do next, in words that can be copied.
fn next(directory: &Path, output: &mut Output<'_>) {
    let words = output.words;
    let mut program = program();
    if directory != args::default_project(args::project_name(&called_as())) {
        program = format!("{program} --project {}", directory.display());
    }
    entry(output, words.next, &format!("{program} start --detach   {}", fill(words.then_status, &[&program])));
}

/// `start`.
pub(crate) fn start(directory: &Path, arguments: &args::Start, output: &mut Output<'_>) -> Result<(), Trouble> {
    if arguments.detach {
        let document = background::start(directory)?;
        return tell_started(&document, Some(directory), output);
    }
    let log_level = log_to_stderr(directory);
    let json = output.json || arguments.background;
    let ready = Box::new(move |ready: &node::Ready| {
        // Whoever has started it may read no longer; the node serves all the same.
        let mut told = Output::standard(json);
        let _closed = tell_started(&document(ready), None, &mut told);
        let _closed = told.finish();
    });
    let served = node::serve(directory, node::Hooks { ready, log_level });
    if let (Err(failure), true) = (&served, arguments.background) {
        // To the process that waits for this one; after the start nobody does.
        output.document(&report::document(failure));
    }
    Ok(served?)
}

/// What a node says when it serves, as programs get it.
fn document(ready: &node::Ready) -> Json {
    json!({
        "pid": ready.pid,
        "node": ready.node,
        "role": ready.role,
        "ports": {"plain": ready.plain, "tls": ready.tls, "http": ready.http},
    })
}

fn tell_started(document: &Json, background: Option<&Path>, output: &mut Output<'_>) -> Result<(), Trouble> {
    if output.json {
        output.document(document);
        return Ok(());
    }
    let words = output.words;
    let text = |name: &str| document.get(name).and_then(Json::as_str).unwrap_or_default();
    let mut parts = vec![output.bold(&fill(words.serves, &[&harmless(text("node"))]))];
    parts.extend(ports(document, words));
    if let Some(pid) = document.get("pid") {
        parts.push(fill(words.process, &[pid]));
    }
    if let Some(directory) = background {
        parts.push(fill(words.log_goes_to, &[&node::log_file(directory)?.display()]));
    }
    output.line(parts.join("   "));
    Ok(())
}

/// The ports that are open, in words; nothing where none is.
fn ports(document: &Json, words: &Words) -> Option<String> {
    let named = [("plain", words.plain), ("tls", words.encrypted), ("http", words.web)];
    let port = |name: &str| document.get("ports")?.get(name)?.as_u64();
    let open = named.into_iter().filter_map(|(name, word)| Some(format!("{word} {}", port(name)?)));
    let open: Vec<String> = open.collect();
    (!open.is_empty()).then(|| fill(words.ports_are, &[&open.join(", ")]))
}

/// Log lines go to standard error, which in the background is the log file. Returns what changes how much is logged;
/// that does nothing where `MYTISM_LOG` says how much.
fn log_to_stderr(directory: &Path) -> Box<dyn Fn(node::LogLevel) + Send + Sync> {
    let wanted = std::env::var("MYTISM_LOG").ok().filter(|filter| !filter.is_empty());
    let wanted = wanted.and_then(|filter| EnvFilter::try_new(filter).ok());
    let is_fixed = wanted.is_some();
    let filter = wanted.unwrap_or_else(|| EnvFilter::new(node::log_level(directory)));
    let (filter, handle) = reload::Layer::new(filter);
    let colours = io::stderr().is_terminal() && colours_wanted();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(colours);
    // It is set once, at the beginning of the process; a second one would change nothing.
    let _set = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Box::new(move |level| {
        if !is_fixed {
            // The subscriber lives as long as the process.
            let _gone = handle.reload(EnvFilter::new(level.as_str()));
        }
    })
}

/// `stop`. Returns when the node is down.
pub(crate) fn stop(directory: &Path, manner: Option<Manner>, output: &mut Output<'_>) -> Result<(), Trouble> {
    shut_down(directory, manner)?;
    if output.json {
        output.document(&json!({"state": "stopped"}));
    } else {
        output.line(fill(output.words.stopped, &[&directory.display()]));
    }
    Ok(())
}

/// Shuts the node down. A node that systemd runs is left to systemd, which would start it anew otherwise; `fast` wants
/// just that.
fn shut_down(directory: &Path, manner: Option<Manner>) -> Result<(), Failure> {
    let running = node::running(directory)?;
    match node::presence(directory).and_then(|presence| presence.unit) {
        Some(unit) if manner.is_none() => systemd::ask("stop", &unit)?,
        unit => {
            running.call(Request::Stop, &mut |_| Ok(()))?;
            if unit.is_some() {
                // Another process may hold the data before this one can see that they are free.
                return Ok(());
            }
        }
    }
    node::wait_until_down(directory)
}

/// `restart`. A node that does not run is started.
pub(crate) fn restart(directory: &Path, manner: Option<Manner>, output: &mut Output<'_>) -> Result<(), Trouble> {
    if let Some(unit) = node::presence(directory).and_then(|presence| presence.unit) {
        systemd::ask("restart", &unit)?;
        let serves = node::presence(directory).map(|presence| document(&presence.ready));
        let hint = format!("see `systemctl status {}`", unit.name);
        let serves = serves.ok_or_else(|| Failure::failed("start-failed", "the node does not serve").hint(hint))?;
        return tell_started(&serves, None, output);
    }
    match shut_down(directory, manner) {
        Err(failure) if failure.code != "node-not-running" => return Err(failure.into()),
        _ => {}
    }
    let document = background::start(directory)?;
    tell_started(&document, Some(directory), output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_node_is_told_in_both_forms() {
        let ready = node::Ready {
            pid: 17,
            node: "hamburg".into(),
            role: "authoritative",
            plain: None,
            tls: Some(4243),
            http: None,
        };
        let told = |json: bool| {
            let mut bytes = Vec::new();
            let mut output = Output::to(&mut bytes, json);
            tell_started(&document(&ready), None, &mut output).unwrap();
            output.finish().unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let expected =
            r#"{"pid":17,"node":"hamburg","role":"authoritative","ports":{"plain":null,"tls":4243,"http":null}}"#;
        assert_eq!(told(true), expected.to_owned() + "\n");
        assert_eq!(told(false), "hamburg serves   ports encrypted 4243   process 17\n");
    }

    #[test]
    fn without_a_project_nothing_starts_or_stops() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("none");
        let sink = || Output::to(io::sink(), false);
        let code = |result: Result<(), Trouble>| result.unwrap_err().failure.code;
        assert_eq!(code(stop(&nowhere, None, &mut sink())), "no-project");
        assert_eq!(code(restart(&nowhere, None, &mut sink())), "no-project");
        let start_it = args::Start { detach: true, background: false };
        assert_eq!(code(start(&nowhere, &start_it, &mut sink())), "no-project");
        assert!(!nowhere.exists());
    }
}
