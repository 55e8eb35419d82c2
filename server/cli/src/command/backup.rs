//! `backup`, `backup list` and `backup verify`.

use std::path::Path;

use mytism_core::failure::Failure;
use mytism_core::operation::{BackedUp, Operations, Output as Out, Reply, Request};
use mytism_core::value::Value;
use serde_json::{Value as Json, json};

use super::progress::Progress;
use super::{Verdict, unclear};
use crate::args::{self, BackupCommand};
use crate::node::{self, Listed, Manifest, Phase, Proof, Step};
use crate::output::{Output, harmless};
use crate::people;
use crate::report::{Trouble, not_in_this_version};
use crate::table::Rows;
use crate::words::{Words, fill};

/// `backup` and what stands behind it.
pub(crate) fn run(directory: &Path, arguments: &args::Backup, output: &mut Output<'_>) -> Result<Verdict, Trouble> {
    match &arguments.command {
        Some(BackupCommand::List) => list(directory, output)?,
        Some(BackupCommand::Verify(arguments)) => verify(directory, &arguments.name, output)?,
        None if arguments.portable => {
            let failure = not_in_this_version("backups as text");
            return Err(failure.hint("leave --portable out").into());
        }
        None => {
            let made = make(&*node::open(directory)?, arguments.with_keys, output)?;
            // It is noted in the backup itself, which lies on this machine.
            let missing = node::manifest_of(directory, &made.name).map_or(0, |manifest| manifest.missing);
            show_made(&made, missing, output);
            return Ok(if missing > 0 { Verdict::Found } else { Verdict::Done });
        }
    }
    Ok(Verdict::Done)
}

fn make(node: &dyn Operations, with_keys: bool, output: &mut Output<'_>) -> Result<BackedUp, Failure> {
    let mut made = None;
    let mut progress = Progress::new();
    let words = output.words;
    node.call(Request::Backup { with_keys }, &mut |reply| {
        match reply {
            Reply::BackingUp(far) => progress.at(far.done, far.total, words.making_backup),
            Reply::BackedUp(backup) => made = Some(backup),
            _ => {}
        }
        Ok(())
    })?;
    drop(progress);
    made.ok_or_else(unclear)
}

/// `missing` contents of files were not at the node.
fn show_made(made: &BackedUp, missing: u64, output: &mut Output<'_>) {
    let BackedUp { name, position, objects, blobs, bytes } = made;
    if output.json {
        output.document(&json!({
            "name": name,
            "position": position,
            "objects": objects,
            "blobs": blobs,
            "missing": missing,
            "bytes": bytes,
        }));
        return;
    }
    let words = output.words;
    let counts: [&dyn std::fmt::Display; 4] =
        [&harmless(name), &words.count(*position), &words.count(*objects), &words.bytes(*bytes)];
    output.line(fill(words.backed_up, &counts));
    show_missing(missing, output);
}

fn show_missing(missing: u64, output: &mut Output<'_>) {
    if missing > 0 {
        output.line(fill(output.words.contents_missing, &[&output.words.count(missing)]));
    }
}

/// Shows how far work on a backup is.
pub(super) fn follow(progress: &mut Progress, step: Step, words: &Words) {
    let text = match step.phase {
        Phase::Making => words.making_backup,
        Phase::Unpacking => words.unpacking,
        Phase::Reading => words.reading_files,
        Phase::Proving => words.proving,
    };
    progress.at(step.done, step.total, text);
}

fn verify(directory: &Path, name: &str, output: &mut Output<'_>) -> Result<(), Failure> {
    let (mut progress, words) = (Progress::new(), output.words);
    let proof = node::verify(directory, name, &mut |step| follow(&mut progress, step, words))?;
    drop(progress);
    if output.json {
        output.document(&json!({
            "name": name,
            "verified": proof.time,
            "seconds": proof.seconds,
            "position": proof.position,
            "entries": proof.entries,
            "objects": proof.objects,
            "parts": proof.parts,
            "missing": proof.missing,
        }));
        return Ok(());
    }
    let counts: [&dyn std::fmt::Display; 5] = [
        &harmless(name),
        &words.count(proof.parts),
        &words.count(proof.entries),
        &words.count(proof.objects),
        &words.span(proof.seconds),
    ];
    output.line(fill(words.verified, &counts));
    show_missing(proof.missing, output);
    Ok(())
}

fn list(directory: &Path, output: &mut Output<'_>) -> Result<(), Failure> {
    node::check_place(directory)?;
    let backups = node::backups(directory)?;
    if output.json {
        backups.iter().for_each(|listed| output.document(&document(listed)));
        return Ok(());
    }
    if backups.is_empty() {
        output.line(output.words.no_backups);
        return Ok(());
    }
    let mut rows = Rows::new();
    for listed in &backups {
        rows.row(row(listed, output.words), output);
    }
    rows.finish(output);
    Ok(())
}

fn document(listed: &Listed) -> Json {
    let verified = listed.verified.as_ref().map(|proof| &proof.time);
    match &listed.manifest {
        Ok(manifest) => json!({
            "name": listed.name,
            "made": manifest.made,
            "node": manifest.node,
            "kind": manifest.kind,
            "position": manifest.position,
            "objects": manifest.objects,
            "blobs": manifest.blobs,
            "missing": manifest.missing,
            "bytes": listed.bytes,
            "verified": verified,
            "error": null,
        }),
        Err(failure) => json!({
            "name": listed.name,
            "made": null,
            "node": null,
            "kind": null,
            "position": null,
            "objects": null,
            "blobs": null,
            "missing": null,
            "bytes": null,
            "verified": null,
            "error": {"code": failure.code, "message": failure.message},
        }),
    }
}

fn row(listed: &Listed, words: &Words) -> Vec<(String, Out)> {
    let word = |name: &str, word: &str| (name.to_owned(), Out::Word(harmless(word)));
    let number = |name: &str, number: Option<u64>| {
        let value = number.and_then(|number| i64::try_from(number).ok()).map_or(Value::Null, Value::Integer);
        (name.to_owned(), Out::Value(value))
    };
    let manifest = listed.manifest.as_ref().ok();
    let proven = listed.verified.as_ref().map(|Proof { time, .. }| short(time));
    vec![
        word(words.name, &listed.name),
        word(words.made, &made(listed, words)),
        number(words.position_column, manifest.map(|manifest| manifest.position)),
        number(words.objects_column, manifest.map(|manifest| manifest.objects)),
        word(words.size, &manifest.map(|_| words.bytes(listed.bytes)).unwrap_or_default()),
        word(words.proven, &proven.unwrap_or_default()),
    ]
}

/// When a backup was made, or why nobody knows.
fn made(listed: &Listed, words: &Words) -> String {
    match &listed.manifest {
        Ok(manifest) => short(&manifest.made),
        Err(failure) if failure.code == "backup-damaged" => words.damaged.to_owned(),
        Err(failure) if failure.code == "newer-backup" => words.of_newer_program.to_owned(),
        Err(_) => words.cannot_be_read.to_owned(),
    }
}

/// When the last good backup was made, and when one was last proven to be restorable, as the status of a node tells it.
/// What cannot be read counts as not there: `backup list` tells what is wrong with it. One that sets up a branch puts
/// back no node.
pub(super) fn latest(directory: &Path) -> (Option<String>, Option<String>) {
    let backups = node::backups(directory).unwrap_or_default();
    latest_of(&backups)
}

fn latest_of(backups: &[Listed]) -> (Option<String>, Option<String>) {
    let of_nodes = || {
        let manifest =
            |listed: &Listed| listed.manifest.clone().ok().filter(|manifest| manifest.kind == Manifest::NODE);
        backups.iter().filter_map(move |listed| Some((listed, manifest(listed)?)))
    };
    let made = of_nodes().map(|(_, manifest)| manifest.made).max_by_key(|time| moment(time));
    let proven = of_nodes().filter_map(|(listed, _)| Some(listed.verified.as_ref()?.time.clone()));
    (made, proven.max_by_key(|time| moment(time)))
}

/// Times of one machine are told in its zone, which may change between two of them.
fn moment(time: &str) -> Option<jiff::Timestamp> {
    time.parse().ok()
}

/// The same for people; nothing where there is no backup.
pub(super) fn show_latest(made: Option<&str>, proven: Option<&str>, output: &mut Output<'_>) {
    let Some(made) = made else { return };
    let words = output.words;
    let proven = proven.map_or_else(|| words.never_proven.to_owned(), |time| fill(words.proven_at, &[&short(time)]));
    let last = fill(words.last_backup, &[&short(made)]);
    people::entry(output, words.backups, &[format!("{last}   {proven}")]);
}

/// Day and minute of a time as it stands in a backup.
pub(super) fn short(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

#[cfg(test)]
mod tests {
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
    fn a_backup_is_told_in_both_forms() {
        let name = "mytism_2026-11-23-0144".to_owned();
        let made = BackedUp { name, position: 1_204_511, objects: 1_203_445, blobs: 0, bytes: 1_840_000_000 };
        let node = Fake::new(|_| Ok(vec![Reply::BackedUp(made.clone())]));
        let told = |json: bool, missing: u64| {
            written(json, |output| show_made(&make(&node, false, output).unwrap(), missing, output))
        };
        let expected = "mytism_2026-11-23-0144   position 1,204,511   1,203,445 objects   1.8 GB\n";
        assert_eq!(told(false, 0), expected);
        let lacking = "1 content of files that objects name is not at this node, and not in the backup\n";
        assert_eq!(told(false, 1), format!("{expected}{lacking}"));
        let expected = r#"{"name":"mytism_2026-11-23-0144","position":1204511,"objects":1203445,"blobs":0,"missing":0,"bytes":1840000000}"#;
        assert_eq!(told(true, 0), format!("{expected}\n"));
        let silent = Fake::new(|_| Ok(Vec::new()));
        assert_eq!(make(&silent, false, &mut Output::to(std::io::sink(), true)).unwrap_err().code, "answer-unclear");
    }

    #[test]
    fn only_backups_of_nodes_are_last_ones() {
        let listed = |made: &str, kind: &str, verified: &str| {
            let manifest = json!({
                "format": 1, "kind": kind, "program": "", "made": made, "node": "", "number": 1, "role": "branch",
                "incarnation": 1, "cluster": "", "schema": "", "position": 1, "epoch": 1, "hash": "", "objects": 1,
                "pending": 0, "blobs": 0, "files": [],
            });
            let proof = json!({"time": verified, "seconds": 1, "position": 1, "entries": 1, "objects": 1, "parts": 1});
            let manifest: Manifest = serde_json::from_value(manifest).unwrap();
            Listed {
                manifest: Ok(manifest),
                name: made.to_owned(),
                bytes: 0,
                verified: serde_json::from_value(proof).ok(),
            }
        };
        let node = listed("2026-11-23T01:00:00+01:00", "node", "2026-11-23T01:01:00+01:00");
        let older = listed("2026-11-23T00:30:00+02:00", "node", "2026-11-22T00:00:00+02:00");
        let setup = listed("2026-11-23T02:00:00+01:00", "node-setup", "2026-11-23T02:01:00+01:00");
        let (made, proven) = latest_of(&[setup, node.clone(), older]);
        assert_eq!((made, proven), (Some(node.name), Some(node.verified.unwrap().time)));
    }

    #[test]
    fn a_backup_that_cannot_be_read_is_listed() {
        let failure = Failure::failed("backup-damaged", "m");
        let listed = Listed { manifest: Err(failure), name: "a".to_owned(), bytes: 0, verified: None };
        assert_eq!(document(&listed)["error"]["code"], "backup-damaged");
        let cells = row(&listed, &crate::words::ENGLISH);
        assert_eq!(cells[1].1, Out::Word("damaged".to_owned()));
        let unreadable = Listed { manifest: Err(Failure::failed("file-error", "m")), ..listed };
        assert_eq!(row(&unreadable, &crate::words::ENGLISH)[1].1, Out::Word("cannot be read".to_owned()));
        assert_eq!(short("2026-11-23T01:44:00+01:00"), "2026-11-23 01:44");
    }
}
