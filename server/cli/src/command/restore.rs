//! `restore`: what will be done is told first, and the node's name typed by who wants it.

use std::io::{BufRead, IsTerminal, stdin};
use std::path::Path;

use mytism_core::failure::Failure;
use serde_json::{Value as Json, json};

use super::backup::{follow, short};
use super::progress::Progress;
use super::{node_setup, say};
use crate::node::{self, Plan, Present, Restore, Restored};
use crate::output::{Output, harmless};
use crate::report::Trouble;
use crate::words::{Words, fill};
use crate::{args, program};

/// Columns of the labels in front.
const LABEL: usize = 11;

/// `restore`.
pub(crate) fn run(directory: &Path, arguments: &args::Restore, output: &mut Output<'_>) -> Result<(), Trouble> {
    let Some(name) = &arguments.name else { return Ok(forget(directory, output)?) };
    if node::is_for_setup(directory, name)? {
        return node_setup::set_up(directory, name, arguments, output);
    }
    let (mut progress, words) = (Progress::new(), output.words);
    let restore = Restore::prepare(directory, name, &mut |step| follow(&mut progress, step, words))?;
    drop(progress);
    if !output.json {
        show(restore.plan(), output);
        output.flush();
    }
    if arguments.dry_run {
        if output.json {
            output.document(&document(restore.plan(), None));
        }
        return Ok(());
    }
    if !arguments.yes {
        confirm(&restore.plan().backup.node, stdin().is_terminal(), &mut stdin().lock(), output)?;
    }
    let plan = restore.plan().clone();
    let mut progress = Progress::new();
    let done = restore.carry_out(&mut |step| follow(&mut progress, step, words))?;
    drop(progress);
    if output.json {
        output.document(&document(&plan, Some(&done)));
    } else {
        show_done(&plan, &done, output);
    }
    Ok(())
}

fn forget(directory: &Path, output: &mut Output<'_>) -> Result<(), Failure> {
    let gone = node::forget(directory)?;
    if output.json {
        let gone: Vec<_> = gone.iter().map(|path| path.to_string_lossy()).collect();
        output.document(&json!({"forgotten": gone}));
        return Ok(());
    }
    if gone.is_empty() {
        output.line(output.words.nothing_forgotten);
    }
    gone.iter().for_each(|path| output.line(fill(output.words.forgotten, &[&path.display()])));
    Ok(())
}

fn document(plan: &Plan, done: Option<&Restored>) -> Json {
    let (position, pending, later) = match &plan.present {
        Present::Node { position, pending, later } => (Some(*position), Some(*pending), *later),
        Present::Nothing | Present::Broken(_) => (None, None, None),
    };
    let difference = |found: &node::Difference| {
        json!({
            "entity": found.entity,
            "appear": found.appear,
            "disappear": found.disappear,
            "change": found.change,
        })
    };
    json!({
        "backup": plan.name,
        "node": plan.backup.node,
        "position": plan.backup.position,
        "objects": plan.backup.objects,
        "parts": plan.backup.parts(),
        "live_position": position,
        "pending": pending,
        "later": later,
        "differences": plan.differences.iter().map(difference).collect::<Vec<_>>(),
        "needs": plan.needs,
        "free": plan.free,
        "missing_key": plan.missing_key.as_ref().map(|path| path.to_string_lossy()),
        "state": if done.is_some() { "restored" } else { "planned" },
        "safety_backup": done.and_then(|done| done.safety.as_deref()),
        "old_data": done.and_then(|done| done.old.as_ref()).map(|path| path.to_string_lossy()),
        "waits_for": done.map(|done| done.waits_for.as_slice()),
    })
}

fn entry(label: &str, text: &str, output: &mut Output<'_>) {
    let label = output.bold(&format!("{label:<LABEL$}"));
    output.line(format!("{label} {text}").trim_end());
}

fn show(plan: &Plan, output: &mut Output<'_>) {
    let words = output.words;
    let backup = &plan.backup;
    let position = fill(words.position, &[&words.count(backup.position)]);
    let objects = fill(words.objects, &[&words.count(backup.objects)]);
    let intact = fill(words.parts_intact, &[&words.count(backup.parts() as u64)]);
    entry(words.backup, &format!("{}   {position}   {objects}", short(&backup.made)), output);
    entry("", &intact, output);
    match &plan.present {
        Present::Nothing => entry(words.live, words.nothing_there, output),
        Present::Broken(why) => entry(words.live, &fill(words.data_broken, &[&harmless(why)]), output),
        Present::Node { position, pending, later } => {
            entry(words.live, &fill(words.position, &[&words.count(*position)]), output);
            let text = match later {
                Some(0) => words.nothing_later.to_owned(),
                Some(later) => fill(words.later_gone, &[&words.count(*later)]),
                None => words.other_way.to_owned(),
            };
            entry(words.changes, &text, output);
            if *pending > 0 {
                entry("", &fill(words.pending_gone, &[&words.count(*pending)]), output);
            }
            if !plan.differences.is_empty() {
                let told: Vec<String> = plan.differences.iter().map(|found| difference(found, words)).collect();
                entry("", &fill(words.by_entity, &[&told.join("   ")]), output);
            }
        }
    }
    let space = fill(words.needs_free, &[&words.bytes(plan.needs), &words.bytes(plan.free)]);
    entry(words.space, &space, output);
    if let Some(key) = &plan.missing_key {
        entry(words.needed, &fill(words.key_missing, &[&key.display()]), output);
    }
    let steps = match &plan.present {
        Present::Nothing => words.restore_plan_new.to_owned(),
        Present::Broken(_) | Present::Node { .. } => fill(words.restore_plan, &[&program()]),
    };
    entry(words.plan, &steps, output);
}

/// `Order -1,204   Customer -12 +3, 88 changed`.
fn difference(found: &node::Difference, words: &Words) -> String {
    let mut text = harmless(&found.entity);
    for (sign, count) in [('-', found.disappear), ('+', found.appear)] {
        if count > 0 {
            text.push_str(&format!(" {sign}{}", words.count(count)));
        }
    }
    if found.change > 0 {
        let comma = if found.appear + found.disappear > 0 { "," } else { "" };
        text.push_str(&format!("{comma} {}", fill(words.objects_changed, &[&words.count(found.change)])));
    }
    text
}

fn show_done(plan: &Plan, done: &Restored, output: &mut Output<'_>) {
    let words = output.words;
    output.line(fill(words.restored, &[&harmless(&plan.name), &words.count(plan.backup.position)]));
    if let Some(safety) = &done.safety {
        output.line(fill(words.safety_backup, &[&harmless(safety)]));
    }
    if let Some(old) = &done.old {
        output.line(fill(words.old_data, &[&old.display(), &program()]));
    }
    if !done.waits_for.is_empty() {
        output.line(fill(words.will_wait, &[&harmless(&done.waits_for.join(", ")), &program()]));
    }
}

/// Lets a person type the node's name; a program says `--yes`.
fn confirm(node: &str, is_terminal: bool, input: &mut dyn BufRead, output: &Output<'_>) -> Result<(), Failure> {
    if is_terminal && !output.json {
        say(&fill(output.words.type_name, &[&harmless(node)]));
        let mut typed = String::new();
        let read = input.read_line(&mut typed);
        read.map_err(|error| Failure::failed("input-failed", format!("cannot read standard input: {error}")))?;
        if typed.trim() == node {
            return Ok(());
        }
    }
    let message = "that the backup takes the place of the data was not confirmed; nothing was changed";
    Err(Failure::refused("not-confirmed", message).hint("add --yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_itself_confirms() {
        let ask = |is_terminal: bool, json: bool, typed: &str| {
            let output = Output::to(std::io::sink(), json);
            confirm("hamburg", is_terminal, &mut typed.as_bytes(), &output).map_err(|failure| failure.code)
        };
        assert_eq!(ask(true, false, "hamburg\n"), Ok(()));
        for (is_terminal, json, typed) in
            [(true, false, "yes\n"), (false, false, "hamburg\n"), (true, true, "hamburg\n")]
        {
            assert_eq!(ask(is_terminal, json, typed), Err("not-confirmed".to_owned()), "{typed:?}");
        }
    }

    #[test]
    fn differences_are_short() {
        let told = |appear, disappear, change| {
            let found = node::Difference { entity: "Order".to_owned(), appear, disappear, change };
            difference(&found, &crate::words::ENGLISH)
        };
        assert_eq!(told(0, 1_204, 0), "Order -1,204");
        assert_eq!(told(3, 12, 88), "Order -12 +3, 88 changed");
        assert_eq!(told(0, 0, 1), "Order 1 changed");
    }
}
