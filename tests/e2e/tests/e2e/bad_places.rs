//! Places where no node can work: each is told in words, with its code, and changes nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mytism_testkit::{Output, Project, RunningNode};
use rusqlite::Connection;
use serde_json::Value as Json;

use crate::trade::{customer, head_office, import, order, order_numbers, schema, table};

/// A file system of its own in the place of a project directory, taken away at the end.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` where this user may not mount anything, which is told past the test harness.
    fn on(project: &Project, megabytes: u32) -> Option<Self> {
        let directory = project.directory();
        fs::create_dir_all(&directory).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = mount(&["-t", "tmpfs", "-o", &size, "tmpfs"], &directory);
        if let Err(reason) = &mounted {
            let _closed = writeln!(io::stderr(), "not tested, since nothing can be mounted: {reason}");
        }
        mounted.is_ok().then_some(Self(directory))
    }

    fn make_read_only(&self) {
        mount(&["-o", "remount,ro"], &self.0).expect("what was mounted can be mounted anew");
    }
}

fn mount(arguments: &[&str], directory: &Path) -> Result<(), String> {
    let output = Command::new("mount").args(arguments).arg(directory).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _taken_away = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Writes zeros into a file until there is no room left.
fn fill(file: &Path) {
    let mut file = File::create(file).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}

fn arguments<'a>(words: &[&'a str], file: &'a str) -> Vec<&'a str> {
    words.iter().copied().chain([file]).collect()
}

#[test]
fn a_full_disk_loses_nothing_and_is_over_once_there_is_room() {
    let project = Project::empty("hamburg");
    let Some(_mounted) = Mounted::on(&project, 8) else { return };
    let init = ["init", "--name", "hamburg", "--tls-port", "0", "--schema"];
    let _made = project.run(&arguments(&init, &schema().to_string_lossy()), "").success();
    let mut node = RunningNode::start(&project);
    let mut acknowledged = vec![1];
    let _saved = project.save(&order(1));

    let filler = project.directory().join("filler");
    fill(&filler);
    let refused = save_until_refused(&project, &mut acknowledged);
    let error = refused.error(1, "disk-full");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("room")), "{error}");
    assert_eq!(order_numbers(&project), acknowledged, "reading goes on, and nothing is there by half");
    let file = project.root().join("many.csv");
    let rows: String = (0..3000).map(|number| format!("k{number},A firm with a long name\n")).collect();
    fs::write(&file, format!("CustomerID,CompanyName\n{rows}")).unwrap();
    let file = file.to_string_lossy();
    let many = ["import", "--entity", "Customer", "--mode", "upsert"];
    let _refused = project.run_json(&arguments(&many, &file), "").error(1, "disk-full");
    let out = project.directory().join("orders.csv");
    let export = ["export", "from Order", "--format", "csv", "--out"];
    let _refused = project.run_json(&arguments(&export, &out.to_string_lossy()), "").error(1, "disk-full");
    assert!(!out.exists(), "a file that is not whole was left behind");
    assert!(node.log().contains("disk-full"), "the log tells of it:\n{}", node.log());

    // Killed and started anew without room: whatever it says, nothing is lost.
    node.kill9();
    let start = project.run_json(&["status"], "");
    assert!(start.status == Some(0) || start.error(1, "disk-full").is_object(), "{start}");
    fs::remove_file(&filler).unwrap();
    let _ready = node.restart();
    assert_eq!(order_numbers(&project), acknowledged);

    fill(&filler);
    let _refused = save_until_refused(&project, &mut acknowledged).error(1, "disk-full");
    fs::remove_file(&filler).unwrap();
    let next = acknowledged.len() as u64 + 1;
    let _saved = project.save(&order(next));
    let counts = project.run_json(&arguments(&many, &file), "").success().json();
    assert_eq!((&counts["read"], &counts["failed"]), (&Json::from(3000), &Json::from(0)));
    acknowledged.push(next);
    assert_eq!(order_numbers(&project), acknowledged, "it goes on by itself");
}

/// The write-ahead log may have room of its own for some more.
#[track_caller]
fn save_until_refused(project: &Project, acknowledged: &mut Vec<u64>) -> Output {
    for number in acknowledged.len() as u64 + 1..10_000 {
        let mut document = order(number);
        document["changes"][0]["values"]["ShipAddress"] = Json::from("x".repeat(200));
        let output = project.run_json(&["save"], &document.to_string());
        if output.status != Some(0) {
            return output;
        }
        acknowledged.push(number);
    }
    panic!("the disk is never full");
}

#[test]
fn a_read_only_disk_is_told() {
    let project = Project::empty("hamburg");
    let Some(mounted) = Mounted::on(&project, 16) else { return };
    let init = ["init", "--name", "hamburg", "--tls-port", "0", "--schema"];
    let _made = project.run(&arguments(&init, &schema().to_string_lossy()), "").success();
    let _saved = project.save(&order(1));
    mounted.make_read_only();
    let before = content(&project);
    for command in [&["status"][..], &["query", "from Order"], &["save"], &["start"]] {
        let error = project.run_json(command, &order(2).to_string()).error(1, "file-error");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains("lock") && message.contains("Read-only"), "{error}");
        assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("written")), "{error}");
    }
    assert_eq!(content(&project), before);
}

/// A head office at rest, whose whole database stands in its one file.
fn at_rest() -> Project {
    let project = Project::head_office("hamburg", &schema());
    import(&project, table("Category"));
    let _customer = customer(&project, "ALFKI", "Berlin");
    let database = Connection::open(project.database()).unwrap();
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(database);
    project
}

/// What damages a database, in words, and how.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

#[test]
fn a_damaged_database_is_told_and_left_as_it_is() {
    let cut = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let header = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[..100].fill(0x55);
        fs::write(path, bytes).unwrap();
    };
    let pages = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[4096..].iter_mut().for_each(|byte| *byte ^= 0x55);
        fs::write(path, bytes).unwrap();
    };
    let text = |path: &Path| fs::write(path, "This is the shopping list of another day.\n".repeat(100)).unwrap();
    let damages: [Damage<'_>; 4] =
        [("cut in half", &cut), ("another header", &header), ("other pages", &pages), ("a text", &text)];
    for (what, damage) in damages {
        let project = at_rest();
        damage(&project.database());
        assert_told(&project, what, "database-damaged", "backup");
    }
}

#[test]
fn a_missing_database_is_told_and_none_is_made_in_its_place() {
    let project = at_rest();
    fs::rename(project.database(), project.root().join("away")).unwrap();
    assert_told(&project, "missing", "database-missing", "backup");
    fs::rename(project.root().join("away"), project.database()).unwrap();
    assert_eq!(project.query("select c.CustomerID as c from Customer c").len(), 1, "put back, it is as it was");
    fs::remove_dir_all(project.directory().join("data")).unwrap();
    assert_told(&project, "without its directory", "database-missing", "backup");
    let _there = project.run_json(&["init", "--name", "hamburg"], "").error(1, "project-exists");
}

/// All commands end with that code and say what to do; nothing was changed by them.
#[track_caller]
fn assert_told(project: &Project, what: &str, code: &str, hint: &str) {
    let before = content(project);
    for command in [&["status"][..], &["query", "from Customer"], &["save"], &["start"]] {
        let output = project.run_json(command, &order(1).to_string());
        assert_eq!(output.status, Some(1), "{what}: {output}");
        let error = output.error(1, code);
        assert!(error["hint"].as_str().is_some_and(|text| text.contains(hint)), "{what}: {error}");
    }
    assert_eq!(content(project), before, "{what}: something was changed");
}

/// The bytes of all files that a project keeps, but for what the engine and its lock leave beside the database.
fn content(project: &Project) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut directories = vec![project.directory()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                directories.push(path);
            } else if !["lock", "objects.db-shm", "objects.db-wal"].contains(&name.as_str()) {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_directory_in_the_place_of_the_database_is_told() {
    let project = at_rest();
    fs::remove_file(project.database()).unwrap();
    fs::create_dir(project.database()).unwrap();
    for command in [&["status"][..], &["start"]] {
        let error = project.run_json(command, "").error(1, "file-error");
        assert!(error["message"].as_str().is_some_and(|message| message.contains("objects.db")), "{error}");
    }
}

#[test]
fn who_holds_a_project_is_named() {
    let node = head_office();
    let error = node.project().run_json(&["start"], "").error(1, "project-in-use");
    let message = error["message"].as_str().unwrap_or_default();
    // Where the system does not tell, nobody is named.
    if fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.contains(&format!(" {} ", node.pid()))) {
        assert!(message.contains(&format!("process {} (", node.pid())), "{message}");
        assert!(message.contains(" start)"), "{message}");
    }
}

#[test]
fn of_two_starts_at_once_one_serves() {
    let project = at_rest();
    let start = || {
        let mut command = project.command(&["--json", "start", "--detach"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let starts: Vec<_> = (0..4).map(|_| start()).collect();
    let outputs: Vec<_> = starts.into_iter().map(|start| start.wait_with_output().unwrap()).collect();
    let _stopped = project.run(&["stop"], "").success();
    let served = outputs.iter().filter(|output| output.status.success()).count();
    assert_eq!(served, 1, "{outputs:?}");
    for output in outputs.iter().filter(|output| !output.status.success()) {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let error: Json = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["error"]["code"], "project-in-use", "{error}");
    }
}

#[test]
fn what_a_killed_node_leaves_behind_is_in_nobodys_way() {
    let mut node = head_office();
    let socket = node.project().directory().join("run").join("socket");
    node.kill9();
    assert!(socket.exists(), "a killed node leaves its socket behind");
    let _saved = node.project().save(&order(1));
    let _down = node.project().run_json(&["stop"], "").error(4, "node-not-running");
    let _ready = node.restart();
    assert!(node.project().status()["since"].is_string(), "the new node answers at its own socket");
    assert_eq!(order_numbers(node.project()), [1]);
}

#[test]
fn a_port_in_use_is_told() {
    let project = at_rest();
    let port: u16 = project.setting("tlsPort").parse().unwrap();
    let taken = UdpSocket::bind(("0.0.0.0", port)).unwrap();
    for start in [&["start"][..], &["start", "--detach"]] {
        let error = project.run_json(start, "").error(1, "port-in-use");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(&port.to_string())), "{error}");
        assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("tlsPort")), "{error}");
    }
    drop(taken);
    let taken = TcpListener::bind(("0.0.0.0", port)).unwrap();
    let error = project.run_json(&["start"], "").error(1, "port-in-use");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("TCP")), "{error}");
    drop(taken);
    let mut node = RunningNode::start(&project);
    node.stop();
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_looked_into_is_not_told_to_be_empty() {
    let project = Project::empty("hamburg");
    let directory = project.directory();
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent).unwrap();
    }
    std::os::unix::fs::symlink(&directory, &directory).unwrap();
    for command in ["status", "check-config", "start"] {
        let output = project.run_json(&[command], "");
        assert!(!output.stderr.contains("no-project"), "{command}: {output}");
    }
    let _refused = project.run_json(&["status"], "").error(1, "file-error");
}
