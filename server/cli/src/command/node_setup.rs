//! `prepare-backup-for-node-setup`, and `restore` of what it made: a branch from a backup of its head office.

use std::path::Path;

use mytism_core::failure::Failure;
use serde_json::json;

use super::backup::follow;
use super::progress::Progress;
use crate::node::{self, Prepared};
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::words::fill;
use crate::{args, program};

/// `prepare-backup-for-node-setup`.
pub(crate) fn prepare(directory: &Path, arguments: &args::NodeSetup, output: &mut Output<'_>) -> Result<(), Trouble> {
    let (mut progress, words) = (Progress::new(), output.words);
    let made = node::prepare(directory, &arguments.name, arguments.node.as_deref(), &mut |step| {
        follow(&mut progress, step, words);
    })?;
    drop(progress);
    show(&made, "prepared", output);
    if !output.json {
        output.line(fill(words.copy_for_setup, &[&harmless(&made.name), &program(), &harmless(&made.name)]));
    }
    Ok(())
}

/// `restore` of a backup that sets up a branch; `name` is its name.
pub(super) fn set_up(
    directory: &Path,
    name: &str,
    arguments: &args::Restore,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    if arguments.dry_run {
        let failure = Failure::usage("wrong-use", "a branch is set up where nothing is, so nothing can be gone");
        return Err(failure.hint("leave --dry-run out").into());
    }
    let (mut progress, words) = (Progress::new(), output.words);
    let made = node::set_up(directory, name, &mut |step| follow(&mut progress, step, words))?;
    drop(progress);
    show(&made, "restored", output);
    if !output.json {
        output.line(fill(words.joins_at_start, &[&harmless(&made.node), &program()]));
    }
    Ok(())
}

fn show(made: &Prepared, state: &str, output: &mut Output<'_>) {
    let Prepared { name, node, position, objects, bytes } = made;
    if output.json {
        output.document(&json!({
            "name": name,
            "node": node,
            "position": position,
            "objects": objects,
            "bytes": bytes,
            "state": state,
        }));
        return;
    }
    let words = output.words;
    let parts: [&dyn std::fmt::Display; 5] =
        [&harmless(name), &harmless(node), &words.count(*position), &words.count(*objects), &words.bytes(*bytes)];
    output.line(fill(words.for_setup, &parts));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_prepared_is_told_in_both_forms() {
        let made = Prepared { name: "a".into(), node: "berlin".into(), position: 4_711, objects: 12, bytes: 1_000 };
        let told = |json: bool| {
            let mut bytes = Vec::new();
            let mut output = Output::to(&mut bytes, json);
            show(&made, "prepared", &mut output);
            output.finish().unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(told(false), "a   sets up berlin   position 4,711   12 objects   1.0 kB\n");
        let expected = r#"{"name":"a","node":"berlin","position":4711,"objects":12,"bytes":1000,"state":"prepared"}"#;
        assert_eq!(told(true), format!("{expected}\n"));
    }
}
