//! Contents of files: from any node to any other, byte by byte; what has come is not sent again, whoever is killed; and
//! what is damaged is found and fetched anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mytism_testkit::{Project, RunningNode, wait_until};
use serde_json::{Value as Json, json};

use crate::trade::repository;

const SOON: Duration = Duration::from_secs(60);

fn head_office() -> RunningNode {
    RunningNode::start(&Project::head_office("hamburg", &repository().join("tests/e2e/tests/e2e/contents.xml")))
}

fn branch(head: &RunningNode, name: &str) -> RunningNode {
    RunningNode::start(&Project::branch_of(head.project(), name))
}

/// Bytes that look like chance and are always the same.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| word()).collect();
    bytes.truncate(length);
    bytes
}

fn file(node: &RunningNode, name: &str, bytes: &[u8]) -> PathBuf {
    let path = node.project().root().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Saves a document over a file; the id of its object.
fn save(node: &RunningNode, number: &str, path: &Path) -> String {
    let values = json!({"Number": number, "File": {"file": path}});
    let saved = node.project().save(&json!({"changes": [{"new": "d", "entity": "Doc", "values": values}]}));
    saved["ids"]["d"].to_string()
}

/// What a node gives of an object's file.
fn got(node: &RunningNode, id: &str) -> Vec<u8> {
    let out = node.project().root().join("got.bin");
    let told =
        node.project().run_json(&["blob", "get", id, "File", "--out", out.to_str().unwrap()], "").success().json();
    let bytes = fs::read(&out).unwrap();
    assert_eq!(told["bytes"], bytes.len() as u64);
    bytes
}

fn wait_for_object(node: &RunningNode, id: &str) {
    wait_until("the object has come", SOON, || node.project().run_json(&["show", id], "").status == Some(0));
}

fn wait_for_files(node: &RunningNode, count: u64) {
    wait_until("all files have come", SOON, || {
        let status = node.project().status();
        status["blobs_wanted"] == 0 && status["blobs"] == count
    });
}

/// Bytes of chunks that came for the content of an object, as the log of the node that asked tells.
fn came(node: &RunningNode, content: &Json) -> Vec<u64> {
    let mark = format!(" content {}, ", content.as_str().unwrap());
    let number = |line: &str| line.split(" bytes, ").nth(1)?.split(' ').next()?.parse().ok();
    node.log().lines().filter(|line| line.contains(&mark)).filter_map(number).collect()
}

fn content(node: &RunningNode, id: &str) -> Json {
    node.project().run_json(&["show", id], "").success().json()["values"]["File"]["hash"].clone()
}

fn size_of(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

#[test]
fn a_file_goes_from_a_branch_to_all_nodes() {
    let head = head_office();
    let (berlin, bonn) = (branch(&head, "berlin"), branch(&head, "bonn"));
    let mut bytes = noise(1, 20_000_000);
    let path = file(&berlin, "Rechnung 1.pdf", &bytes);
    let id = save(&berlin, "1", &path);
    wait_for_object(&bonn, &id);
    for node in [&bonn, &head, &berlin] {
        assert!(got(node, &id) == bytes);
        wait_for_files(node, 1);
    }
    let value = &bonn.project().run_json(&["show", &id], "").success().json()["values"]["File"];
    assert_eq!((&value["name"], &value["type"]), (&json!("Rechnung 1.pdf"), &json!("application/pdf")));
    assert_eq!(bonn.project().query("select d.Number as n from Doc d where d.File is not null"), [json!({"n": "1"})]);
    // One percent of it in one place.
    bytes[9_000_000..9_200_000].copy_from_slice(&noise(2, 200_000));
    let path = file(&berlin, "Rechnung 2.pdf", &bytes);
    let second = save(&berlin, "2", &path);
    wait_for_object(&bonn, &second);
    assert!(got(&bonn, &second) == bytes);
    for node in [&head, &bonn] {
        let came: u64 = came(node, &content(node, &second)).iter().sum();
        // Of so small a file the chunks at both ends of the change are a larger part.
        assert!(came < 20_000_000 * 8 / 100, "{came} bytes came");
    }
    // A value that is taken from an answer is as good as the file, where the content is here, and else refused.
    let named = json!({"Number": "3", "File": value});
    let _copied = bonn.project().save(&json!({"changes": [{"new": "d", "entity": "Doc", "values": named}]}));
    let mut foreign = value.clone();
    foreign["hash"] = json!("ab".repeat(32));
    let foreign = json!({"changes": [{"new": "d", "entity": "Doc", "values": {"File": foreign}}]});
    let _refused = bonn.project().run_json(&["save"], &foreign.to_string()).error(3, "unknown-content");
    let _usage = bonn.project().run_json(&["blob", "get", &id, "Number", "--out", "x"], "").error(2, "no-blob");
    let empty = bonn.project().save(&json!({"changes": [{"new": "d", "entity": "Doc", "values": {"Number": "4"}}]}));
    let empty = empty["ids"]["d"].to_string();
    let _nothing =
        bonn.project().run_json(&["blob", "get", &empty, "File", "--out", "x"], "").error(3, "nothing-there");
}

#[test]
fn what_has_come_is_not_sent_again_when_either_side_is_killed() {
    const BYTES: usize = 200 << 20;
    let mut head = head_office();
    let mut berlin = branch(&head, "berlin");
    for (seed, number) in [(3, "1"), (4, "2")] {
        let bytes = noise(seed, BYTES);
        let path = file(&berlin, "large.bin", &bytes);
        let id = save(&berlin, number, &path);
        let staged = head.project().directory().join("blobs/staged");
        wait_until("a part has come", SOON, || size_of(&staged) > 20 << 20);
        let killed = if seed == 3 { &mut head } else { &mut berlin };
        killed.kill9();
        let here = size_of(&staged);
        killed.restart();
        wait_for_files(&head, seed - 2);
        assert!(got(&head, &id) == bytes);
        let came = came(&head, &content(&head, &id));
        let again = came.last().copied().unwrap_or_default();
        assert!(again <= BYTES as u64 - here + (1 << 20), "{again} bytes came though {here} were here");
    }
}

#[test]
fn what_is_damaged_or_missing_comes_again() {
    let head = head_office();
    let mut berlin = branch(&head, "berlin");
    let (large, small) = (noise(5, 3_000_000), noise(6, 1000));
    let ids = [(&large, "1"), (&small, "2")].map(|(bytes, number)| {
        let path = file(&head, &format!("{number}.bin"), bytes);
        save(&head, number, &path)
    });
    wait_for_files(&berlin, 2);
    let files = berlin.project().directory().join("blobs");
    let damage = || {
        let chunk = first_file(&files.join("chunks"));
        let mut bytes = fs::read(&chunk).unwrap();
        bytes[7] ^= 1;
        fs::write(&chunk, bytes).unwrap();
        fs::remove_file(first_file(&files.join("whole"))).unwrap();
    };
    damage();
    assert!(got(&berlin, &ids[0]) == large && got(&berlin, &ids[1]) == small);
    assert!(first_file(&files.join("damaged")).exists());
    berlin.stop();
    damage();
    let missing = berlin.project().run_json(&["blob", "get", &ids[1], "File", "--out", "x"], "");
    let _told = missing.error(1, "content-missing");
    let shown = berlin.project().run_json(&["show", &ids[1]], "").success().json();
    assert_eq!(shown["values"]["File"]["here"], false);
    // Without the marker all contents are read at the next start.
    fs::remove_file(berlin.project().directory().join(".init-streamcopy")).unwrap();
    drop(berlin.restart());
    wait_for_files(&berlin, 2);
    berlin.stop();
    assert!(got(&berlin, &ids[0]) == large && got(&berlin, &ids[1]) == small);
}

#[test]
fn an_interrupt_leaves_no_half_file_and_a_pipe_is_not_waited_for() {
    let mut head = head_office();
    let berlin = branch(&head, "berlin");
    let path = file(&head, "a.bin", &noise(9, 1000));
    let id = save(&head, "1", &path);
    wait_for_object(&berlin, &id);
    wait_for_files(&berlin, 1);
    head.stop();
    fs::remove_file(first_file(&berlin.project().directory().join("blobs/whole"))).unwrap();
    let out = berlin.project().root().join("out");
    fs::create_dir(&out).unwrap();
    let mut waiting = berlin.project().command(&["blob", "get", &id, "File", "--out", "out/a.bin"]).spawn().unwrap();
    wait_until("the file is begun", SOON, || fs::read_dir(&out).unwrap().count() == 1);
    signal("-INT", &waiting.id().to_string());
    assert_eq!(waiting.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);

    let pipe = berlin.project().root().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let values = json!({"Number": "2", "File": {"file": pipe}});
    let save = json!({"changes": [{"new": "d", "entity": "Doc", "values": values}]});
    let _pipe = berlin.project().run_json(&["save"], &save.to_string()).error(2, "file-unreadable");
    let _pipe = Project::empty("bonn").join(&pipe).error(2, "wrong-account-file");
}

fn signal(which: &str, process: &str) {
    assert!(Command::new("kill").args([which, process]).status().unwrap().success());
}

fn first_file(directory: &Path) -> PathBuf {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let first = paths.iter().find(|path| path.is_file() || fs::read_dir(path).unwrap().next().is_some()).unwrap();
    if first.is_file() { first.clone() } else { first_file(first) }
}

/// The most memory that a process ever had, in bytes.
fn memory_peak(node: &RunningNode) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

/// `MYTISM_LONG=1`: 10 GiB, which take place three times on the disk.
#[test]
fn memory_does_not_grow_with_the_file() {
    let bytes: u64 = if std::env::var_os("MYTISM_LONG").is_some() { 10 << 30 } else { 256 << 20 };
    let head = head_office();
    let berlin = branch(&head, "berlin");
    let path = berlin.project().root().join("huge.bin");
    let mut out = fs::File::create(&path).unwrap();
    for part in 0..bytes >> 24 {
        std::io::Write::write_all(&mut out, &noise(part + 100, 1 << 24)).unwrap();
    }
    let before = [memory_peak(&head), memory_peak(&berlin)];
    let _id = save(&berlin, "1", &path);
    wait_until("the file has come", SOON * 60, || head.project().status()["blobs"] == 1);
    for (node, before) in [&head, &berlin].into_iter().zip(before) {
        let grown = memory_peak(node) - before;
        assert!(grown < 96 << 20, "{} grew by {grown} bytes", node.project().name());
    }
}

/// Makes all files below a directory eight days old.
fn age(directory: &Path) {
    let past = std::time::SystemTime::now() - Duration::from_secs(8 * 86_400);
    for entry in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            age(&entry);
        } else {
            fs::File::open(entry).unwrap().set_modified(past).unwrap();
        }
    }
}

#[test]
fn what_nothing_ever_named_goes_and_what_the_history_names_stays_and_comes() {
    let mut head = head_office();
    let [old, new, unsaved] = [31, 32, 33].map(|seed| noise(seed, 400_000));
    let id = save(&head, "1", &file(&head, "old.bin", &old));
    let change = |path: &Path, expected: &str| {
        let values = json!({"File": {"file": path}});
        json!({"changes": [{"id": id.parse::<i64>().unwrap(), "values": values, "expect": {"Number": expected}}]})
    };
    let _changed = head.project().save(&change(&file(&head, "new.bin", &new), "1"));
    // What is brought for a save that is refused is named by nothing.
    let refused = change(&file(&head, "unsaved.bin", &unsaved), "2").to_string();
    assert_eq!(head.project().run_json(&["save"], &refused).status, Some(3));
    assert_eq!(head.project().status()["blobs"], 3);
    // The branch has all objects at once, and the old file is in none of them.
    let berlin = branch(&head, "berlin");
    wait_for_files(&berlin, 2);
    head.stop();
    age(&head.project().directory().join("blobs"));
    let named = head.project().directory().join("state/named-contents");
    let _first = fs::remove_file(&named);
    drop(head.restart());
    wait_for_files(&head, 2);
    assert!(head.log().contains("1 contents of files that nothing ever named were removed"), "{}", head.log());
    assert!(got(&head, &id) == new);
    let undone = head.project().documents(&["history", &id, "--attribute", "File"]);
    let transaction = undone.last().unwrap()["transaction"].as_str().unwrap().to_owned();
    let _undone = head.project().run_json(&["undo", &transaction], "").success();
    assert!(got(&head, &id) == old);
}
