//! Answers in words for people. Pure but for the time zone of the machine; knows no command.

use jiff::tz::TimeZone;
use mytism_core::operation::{
    ChangeLine, ConflictLine, HistoryLine, ObjectView, Output as Out, QuarantineLine, StampView, Status, UndoLine,
};
use mytism_core::time::Timestamp;
use mytism_core::value::Value;

use crate::lines;
use crate::output::{Output, harmless};
use crate::words::{Words, fill};

/// A value in a cell or line: harmless, on one line, moments in the time zone of the machine.
pub(crate) fn cell(value: &Out) -> String {
    match value {
        Out::Value(Value::Null) => String::new(),
        Out::Value(Value::Datetime(time)) => moment(*time),
        Out::Value(Value::Blob(blob)) => {
            format!("{} ({})", harmless(blob.name()), crate::words::from_environment().bytes(blob.bytes()))
        }
        Out::Value(value) => harmless(&value.to_string()),
        Out::Word(word) => harmless(word),
        Out::Reference { id, text } if text.is_empty() => id.to_string(),
        Out::Reference { text, .. } => harmless(text),
        Out::Away(blob) => {
            let words = crate::words::from_environment();
            format!("{} ({}, {})", harmless(blob.name()), words.bytes(blob.bytes()), words.not_here_yet)
        }
        Out::List(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
    }
}

/// A moment as people write it, in the time zone of the machine.
pub(crate) fn moment(time: Timestamp) -> String {
    moment_in(time, TimeZone::system())
}

fn moment_in(time: Timestamp, zone: TimeZone) -> String {
    jiff::Timestamp::from_microsecond(time.micros())
        .map_or_else(|_| time.to_string(), |time| time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn stamp(stamp: &StampView, words: &Words) -> String {
    fill(words.by_at, &[&moment(stamp.time), &harmless(&stamp.user), &harmless(&stamp.node)])
}

/// How a node is. `now` is in microseconds since 1970.
pub(crate) fn status(status: &Status, now: i64, program: &str, unmended: u64, output: &mut Output<'_>) {
    let words = output.words;
    let is_head_office = status.role == "authoritative";
    let role = if is_head_office { words.authoritative } else { words.branch };
    let up = match status.since {
        Some(since) => {
            let seconds = now.saturating_sub(since.micros()) / 1_000_000;
            fill(words.up, &[&words.span(u64::try_from(seconds).unwrap_or_default())])
        }
        None => words.not_running.to_owned(),
    };
    let version = fill(words.version, &[&status.version]);
    let position = fill(words.position, &[&words.count(status.log_position)]);
    let node = output.bold(&harmless(&status.node));
    output.line(format!("{node}  {role}   {up}   {version}   {position}"));
    match status.state.as_deref() {
        Some("recovering") => {
            let text = fill(words.recovering, &[&named(status.waits_for.as_deref().unwrap_or_default())]);
            entry(output, words.state_of_head_office, &[format!("{text}   {program} recover")]);
        }
        Some("deposed") => entry(output, words.state_of_head_office, &[fill(words.deposed, &[&program])]),
        _ => {}
    }
    let objects = fill(words.objects, &[&words.count(status.objects)]);
    let log = fill(words.log_entries, &[&words.count(status.log_position)]);
    entry(
        output,
        words.status_store,
        &[format!(
            "{} {}   {objects}   {log}",
            harmless(status.store.as_deref().unwrap_or("SQLite")),
            words.bytes(status.database_bytes)
        )],
    );
    if let (Some(blobs), bytes) = (status.blobs, status.blob_bytes)
        && (blobs > 0 || status.blobs_wanted.is_some_and(|wanted| wanted > 0))
    {
        let held = fill(words.file_contents, &[&words.count(blobs), &words.bytes(bytes.unwrap_or_default())]);
        let wanted = status.blobs_wanted.filter(|wanted| *wanted > 0);
        let wanted = wanted.map(|wanted| format!("   {}", fill(words.files_wanted, &[&words.count(wanted)])));
        entry(output, words.files, &[format!("{held}{}", wanted.unwrap_or_default())]);
    }
    entry(output, words.status_schema, &[harmless(&status.schema)]);
    let peers = if is_head_office { words.branches } else { words.head_office_line };
    entry(output, peers, &lines::all(&status.sync, is_head_office, now, words));
    if let Some(begin) = status.history_begin {
        let here = words.count((status.log_position + 1).saturating_sub(begin));
        let text = fill(words.history_coming, &[&words.count(begin), &here, &words.count(status.log_position)]);
        entry(output, words.history, &[text]);
    }
    if status.pending > 0 {
        entry(output, words.pending, &[fill(words.pending_saves, &[&words.count(status.pending)])]);
    }
    let task = |count: u64, text: &str, command: &str| {
        (count > 0).then(|| format!("{:<18} {program} {command}", fill(text, &[&words.count(count)])))
    };
    let tasks = [
        task(status.conflicts, words.conflicts, "conflicts"),
        task(status.quarantine, words.in_quarantine, "quarantine"),
        (status.lines_rest == Some(true)).then(|| fill(words.lines_rest, &[&program])),
    ];
    entry(output, words.needs_you, &tasks.into_iter().flatten().collect::<Vec<_>>());
    if status.since.is_some() {
        let health = health(status, unmended, output);
        entry(output, words.health, &[health]);
    }
}

/// Names of nodes, one after the other.
pub(crate) fn named(nodes: &[String]) -> String {
    nodes.iter().map(|name| harmless(name)).collect::<Vec<_>>().join(", ")
}

/// Some lines behind one label.
pub(crate) fn entry(output: &mut Output<'_>, label: &str, lines: &[String]) {
    for (index, line) in lines.iter().enumerate() {
        let label = if index == 0 { label } else { "" };
        output.line(format!("  {label:<11} {line}").trim_end());
    }
}

fn health(status: &Status, unmended: u64, output: &Output<'_>) -> String {
    let words = output.words;
    let saves_nothing = matches!(status.state.as_deref(), Some("recovering" | "deposed"));
    // That lines rest is a task, not a trouble.
    let rests = |peer: &mytism_core::operation::PeerStatus| peer.state == "stopped" || status.lines_rest == Some(true);
    let mut away = status.sync.iter().filter(|peer| peer.state != "connected" && !rests(peer));
    let trouble = match (away.next(), away.count()) {
        _ if saves_nothing => Some(words.saves_nothing.to_owned()),
        (Some(peer), 0) => Some(lines::out_of_reach(peer, words)),
        (Some(peer), others) => {
            Some(fill(words.and_others, &[&lines::out_of_reach(peer, words), &words.count(others as u64)]))
        }
        (None, _) if unmended > 0 => Some(fill(words.unmended, &[&words.count(unmended)])),
        (None, _) => None,
    };
    let (text, colour) = match trouble {
        Some(trouble) => (fill(words.health_attention, &[&trouble]), "\u{1b}[33m"),
        None => (words.health_good.to_owned(), "\u{1b}[32m"),
    };
    if output.colour { format!("{colour}{text}\u{1b}[0m") } else { text }
}

/// An object with its bookkeeping.
pub(crate) fn object(view: &ObjectView, output: &mut Output<'_>) {
    let words = output.words;
    let deleted = view.detail.as_ref().is_some_and(|detail| detail.deleted);
    let mut title = format!("{} {}", harmless(&view.entity), view.id);
    if deleted {
        title = format!("{title} ({})", words.deleted);
    }
    output.line(output.bold(&title));
    let shown = view.values.iter().map(|(name, value)| (harmless(name), cell(value)));
    let mut lines: Vec<(String, String)> = shown.collect();
    if let Some(detail) = &view.detail {
        let version = detail.version.map(|number| format!("   {}", fill(words.position, &[&words.count(number)])));
        lines.push((words.created.to_owned(), stamp(&detail.created, words)));
        lines.push((words.changed.to_owned(), stamp(&detail.changed, words) + &version.unwrap_or_default()));
    }
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, value) in lines {
        output.line(format!("  {name:<width$}  {value}").trim_end());
    }
    if view.pending {
        output.line(words.pending_mark);
    }
}

/// What became visible: a line a row of the journal, and below it one a change.
pub(crate) fn change(line: &ChangeLine, output: &mut Output<'_>) {
    let words = output.words;
    if line.number <= 1 {
        let cause = match line.cause.as_str() {
            "saved" => words.cause_saved,
            "applied" => words.cause_applied,
            "accepted" => words.cause_accepted,
            "merged" => words.cause_merged,
            "refused" => words.cause_refused,
            "withdrawn" => words.cause_withdrawn,
            "delivered" => words.cause_delivered,
            "rolled-back" => words.cause_rolled_back,
            other => other,
        };
        let position = line
            .position
            .map_or_else(|| words.pending.to_owned(), |number| fill(words.position, &[&words.count(number)]));
        let row = fill(words.row_of_journal, &[&words.count(line.sequence)]);
        let title = output.bold(&format!("{}   {}", moment(line.time), harmless(cause)));
        output.line(format!("{title}   {}   {position}   {row}", line.transaction));
    }
    if let Some(object) = line.object {
        let what = format!("{} {object}", harmless(&line.entity));
        let attribute = if line.attribute.is_empty() { words.made_or_deleted } else { &harmless(&line.attribute) };
        output.line(format!("  {what:<20}  {attribute:<20}  {} → {}", or_dash(&line.old), or_dash(&line.new)));
    }
}

/// The changes of an object: a line a transaction, and below it one a change.
#[derive(Default)]
pub(crate) struct History {
    last: Option<mytism_core::id::TransactionId>,
}

impl History {
    /// The next change.
    pub(crate) fn line(&mut self, line: &HistoryLine, output: &mut Output<'_>) {
        let words = output.words;
        if self.last != Some(line.transaction) {
            self.last = Some(line.transaction);
            let position = line
                .position
                .map_or_else(|| words.pending.to_owned(), |number| fill(words.position, &[&words.count(number)]));
            let title = output.bold(&stamp(&line.stamp, words));
            output.line(
                format!("{title}   {position}   {}   {}", line.transaction, harmless(&line.description)).trim_end(),
            );
        }
        let name = if line.attribute.is_empty() { words.made_or_deleted.to_owned() } else { harmless(&line.attribute) };
        output.line(format!("  {name:<20}  {} → {}", or_dash(&line.old), or_dash(&line.new)));
    }
}

/// A value where nothing must be seen as such.
fn or_dash(value: &Out) -> String {
    match cell(value) {
        empty if empty.is_empty() => "–".to_owned(),
        text => text,
    }
}

/// What an undo sets back, or what stands in its way.
pub(crate) fn undo(line: &UndoLine, output: &mut Output<'_>) {
    let words = output.words;
    let name = if line.attribute.is_empty() { words.made_or_deleted.to_owned() } else { harmless(&line.attribute) };
    let object = format!("{} {} {}", harmless(&line.entity), line.object, harmless(&line.text));
    let object = object.trim_end();
    let Some(obstacle) = &line.obstacle else {
        return output.line(format!("{object}  {name}   {} → {}", or_dash(&line.now), or_dash(&line.before)));
    };
    let values = fill(words.undo_was, &[&or_dash(&line.before), &or_dash(&line.then), &or_dash(&line.now)]);
    output.line(format!("{}   {values}", output.bold(&format!("{object}  {name}"))));
    let why = match (&obstacle.by, obstacle.transaction) {
        (Some(by), Some(id)) => fill(words.undo_changed_since, &[&stamp(by, words), &id]),
        _ => String::new(),
    };
    let message = if obstacle.code == "changed-since" && !why.is_empty() { "" } else { obstacle.message.as_str() };
    output.line(format!("  {}  {why}", harmless(message)).trim_end().replace("    ", "  "));
}

/// A conflict.
pub(crate) fn conflict(line: &ConflictLine, output: &mut Output<'_>) {
    let words = output.words;
    let object = fill(words.object, &[&line.object]);
    let title = output.bold(&format!("{}  {object}  {}", line.id, harmless(&line.attribute)));
    output.line(format!("{title}   {}", fill(words.rule, &[&harmless(&line.rule)])));
    let width = words.kept.chars().count().max(words.other.chars().count());
    for (label, value, by) in [(words.kept, &line.kept, &line.kept_by), (words.other, &line.other, &line.other_by)] {
        output.line(format!("  {label:<width$}  \"{}\"  {}", harmless(value), harmless(by)).trim_end());
    }
}

/// A refused transaction.
pub(crate) fn quarantined(line: &QuarantineLine, output: &mut Output<'_>) {
    let words = output.words;
    let number = fill(words.refusal, &[&line.position]);
    let title = output.bold(&format!("{number}   {}", fill(words.transaction, &[&line.transaction])));
    output.line(format!("{title}   {}   {}", stamp(&line.stamp, words), harmless(&line.description)).trim_end());
    output.line(format!("  {}: {}", harmless(&line.code), harmless(&line.reason)));
    if let Some(first) = line.builds_on {
        output.line(format!("  {}", fill(words.builds_on, &[&first])));
    }
    if let Some(settled) = &line.settled {
        let by = stamp(&settled.stamp, words);
        let text = match settled.action.as_str() {
            "retried" => fill(words.settled_retried, &[&by]),
            "edited" => fill(words.settled_edited, &[&by]),
            "discarded" => fill(words.settled_discarded, &[&by]),
            other => format!("{} {by}", harmless(other)),
        };
        output.line(format!("  {text}"));
    }
}

/// A change that did not happen.
pub(crate) fn refused_change(line: &UndoLine, output: &mut Output<'_>) {
    let words = output.words;
    let name = if line.attribute.is_empty() { words.made_or_deleted.to_owned() } else { harmless(&line.attribute) };
    let object = format!("{} {} {}", harmless(&line.entity), line.object, harmless(&line.text));
    let values = fill(words.refused_was, &[&or_dash(&line.before), &or_dash(&line.then), &or_dash(&line.now)]);
    output.line(format!("  {}  {name}   {values}", object.trim_end()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::GERMAN;
    use mytism_core::id::{NodeId, ObjectId, TransactionId};
    use mytism_core::operation::PeerStatus;

    fn written(write: impl FnOnce(&mut Output<'_>)) -> String {
        let mut bytes = Vec::new();
        let mut output = Output::to(&mut bytes, false);
        write(&mut output);
        output.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn made() -> StampView {
        let time = Timestamp::from_micros(1_795_404_600_000_000).unwrap();
        StampView { time, user: "Admin".into(), node: "hamburg".into() }
    }

    fn node() -> Status {
        Status {
            node: "hamburg".into(),
            role: "authoritative".into(),
            version: "0.1.0".into(),
            schema: "trade 1".into(),
            log_position: 1_204_511,
            objects: 1_203_445,
            database_bytes: 1_800_000_000,
            since: Some(made().time),
            ..Status::default()
        }
    }

    #[test]
    fn status_of_a_quiet_node() {
        let now = made().time.micros() + (3 * 86_400 + 4 * 3600) * 1_000_000;
        let expected = "hamburg  authoritative   up 3 d 4 h   version 0.1.0   position 1,204,511\n\
                        \x20 store       SQLite 1.8 GB   1,203,445 objects   log 1,204,511 entries\n\
                        \x20 schema      trade 1\n\
                        \x20 health      good\n";
        assert_eq!(written(|output| status(&node(), now, "./mytism", 0, output)), expected);
        let stopped = Status { since: None, ..node() };
        let text = written(|output| status(&stopped, now, "./mytism", 0, output));
        assert!(text.contains("not running") && !text.contains("health"), "{text}");
    }

    #[test]
    fn status_says_what_needs_attention() {
        let peer = |name: &str, state: &str, pending| PeerStatus {
            name: name.into(),
            state: state.into(),
            pending,
            ..PeerStatus::default()
        };
        let sync = vec![
            PeerStatus { lag_ms: Some(0.94), transport: Some("quic".into()), ..peer("berlin", "connected", 0) },
            PeerStatus { transport: Some("tls".into()), ..peer("bonn", "connected", 12_400) },
            PeerStatus {
                last_error: Some("timed out".into()),
                seen: Some(made().time),
                ..peer("lisboa", "connecting", 0)
            },
            peer("riga", "connecting", 0),
        ];
        let given = Status { sync, conflicts: 3, quarantine: 1, lines_rest: Some(false), ..node() };
        let text = written(|output| {
            output.words = &GERMAN;
            status(&given, made().time.micros() + 7_200_000_000, "./mytism", 0, output);
        });
        for line in [
            "  Filialen    berlin  auf gleichem Stand            0,9 ms",
            "              bonn    holt auf                      12.400 zurück   über TCP, UDP kommt nicht durch",
            "              lisboa  seit 2 h 0 min nicht gesehen  letzter Fehler: timed out",
            "              riga    seit dem Start nicht gesehen",
            "  zu tun      3 Konflikte        ./mytism conflicts",
            "              1 in Quarantäne    ./mytism quarantine",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} in\n{text}");
        }
        assert!(text.contains("  Zustand     Achtung: lisboa ist seit "), "{text}");
    }

    #[test]
    fn that_lines_rest_is_something_to_do() {
        let peer = PeerStatus { name: "bonn".into(), state: "stopped".into(), ..PeerStatus::default() };
        let given = Status { sync: vec![peer], lines_rest: Some(true), ..node() };
        let text = written(|output| status(&given, made().time.micros(), "./mytism", 0, output));
        for line in [
            "  branches    bonn  rests",
            "  needs you   the lines to other nodes rest   ./mytism sync resume",
            "  health      good",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} in\n{text}");
        }
    }

    #[test]
    fn what_a_comparison_could_not_mend_is_no_good_health() {
        let text = written(|output| status(&node(), made().time.micros(), "./mytism", 3, output));
        let line = "  health      attention: the last comparison with the head office found 3 entries and objects that it \
                    could not mend";
        assert!(text.lines().any(|found| found == line), "{text}");
    }

    #[test]
    fn status_says_why_a_head_office_saves_nothing() {
        let told = |state: &str, waits_for: Option<Vec<String>>| {
            let given = Status { state: Some(state.into()), waits_for, ..node() };
            written(|output| status(&given, made().time.micros(), "./mytism", 0, output))
        };
        let recovering = told("recovering", Some(vec!["berlin".into(), "bonn".into()]));
        assert!(
            recovering.contains("\n  state       restored, waits for berlin, bonn   ./mytism recover\n"),
            "{recovering}"
        );
        let deposed = told("deposed", None);
        assert!(deposed.contains("\n  state       another node is the head office by now"), "{deposed}");
        for text in [recovering, deposed] {
            assert!(text.ends_with("  health      attention: nothing is saved here\n"), "{text}");
        }
        let ruling = told("ruling", None);
        assert!(!ruling.contains("state ") && ruling.ends_with("health      good\n"), "{ruling}");
    }

    #[test]
    fn status_says_how_much_history_is_here() {
        let given = Status { log_position: 1_200, history_begin: Some(1_001), ..node() };
        let text = written(|output| status(&given, made().time.micros(), "./mytism", 0, output));
        let line = "  history     before entry 1,001 still on its way: 200 of 1,200 entries are here";
        assert!(text.lines().any(|found| found == line), "{text}");
    }

    #[test]
    fn history_groups_by_transaction() {
        let line = |counter: u64, attribute: &str, old: Value| HistoryLine {
            position: Some(counter),
            transaction: TransactionId { node: NodeId(1), incarnation: 1, counter },
            stamp: made(),
            description: "moved".into(),
            attribute: attribute.into(),
            old: Out::Value(old),
            new: Out::Value(Value::from("Bonn\u{7}")),
        };
        let mut history = History::default();
        let text = written(|output| {
            history.line(&line(1, "", Value::Null), output);
            history.line(&line(1, "City", Value::Null), output);
            history.line(&line(2, "City", Value::from("Berlin")), output);
        });
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("by Admin at hamburg   position 1   1-1-1   moved"), "{text}");
        assert_eq!(lines[1], "  (object)              – → Bonn·");
        assert_eq!(lines[2], "  City                  – → Bonn·");
        assert!(lines[3].contains("1-1-2"), "{text}");
        assert_eq!(lines[4], "  City                  Berlin → Bonn·");
    }

    #[test]
    fn cells_are_one_harmless_line() {
        let check = |value: Out, expected: &str| assert_eq!(cell(&value), expected);
        let object = |text: &str| Out::Reference { id: ObjectId::new(7).unwrap(), text: text.into() };
        check(Out::Value(Value::Null), "");
        check(Out::Value(Value::from("a\nb\u{1b}")), "a b·");
        check(object("ALFKI"), "ALFKI");
        check(object(""), "7");
        check(Out::List(vec![object("a"), object("b")]), "a, b");
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(moment_in(made().time, berlin), "2026-11-23 04:30:00");
    }
}
