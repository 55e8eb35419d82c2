//! The life of a node as a process: who runs, how it goes down, what a service manager hears, what it takes up while it
//! runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mytism_testkit::{PATIENCE, Project, RunningNode, wait_until};
use serde_json::Value as Json;

use crate::cuts::{Savers, Sent};
use crate::trade::{self, head_office, repository};

/// A node in order is down by then.
const DOWN_DEADLINE: Duration = Duration::from_secs(10);

#[track_caller]
fn signal(name: &str, pid: u32) {
    let done = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(done.is_ok_and(|status| status.success()), "cannot send {name} to {pid}");
}

#[test]
fn a_second_start_says_who_runs() {
    let head = head_office();
    let error = head.project().run_json(&["start"], "").error(1, "project-in-use");
    let message = error["message"].as_str().unwrap_or_default();
    assert!(message.contains("hamburg") && message.contains(&head.pid().to_string()), "{message}");
    let error = head.project().run_json(&["start", "--detach"], "").error(1, "project-in-use");
    assert!(error["message"].as_str().is_some_and(|message| message.contains(&head.pid().to_string())), "{error}");
}

#[test]
fn what_a_killed_process_left_does_not_keep_the_next_one_out() {
    let mut head = head_office();
    let who = head.project().directory().join("run").join("node");
    assert!(fs::read_to_string(&who).unwrap().contains(&format!("pid = {}\n", head.pid())));
    head.kill9();
    assert!(who.exists(), "a killed process removes nothing");
    let error = head.project().run_json(&["stop"], "").error(4, "node-not-running");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("not running")), "{error}");
    let _ready = head.restart();
    assert!(fs::read_to_string(&who).unwrap().contains(&format!("pid = {}\n", head.pid())));
    head.stop();
    assert!(!who.exists(), "one that ends in order does");
}

#[test]
fn former_commands_and_the_projects_own_name_work() {
    let project = Project::head_office("hamburg", &trade::schema());
    let (root, program) = (project.root(), project.binary());
    fs::rename(project.directory(), root.join(".oashi")).unwrap();
    for name in ["oashi", "start_mytism", "stop_mytism"] {
        symlink(program.path(), root.join(name)).unwrap();
    }
    let call = |name: &str, arguments: &[&str]| {
        // As itself, with the surroundings of a test.
        let mut command = Command::new(root.join(name));
        command.env_clear().envs(program.command().get_envs().filter_map(|(key, value)| Some((key, value?))));
        let output = command.current_dir(root).args(arguments).stdin(Stdio::null()).output().unwrap();
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (output.status.code(), told)
    };
    let none = call("oashi", &["--json", "stop"]);
    assert_eq!(none.0, Some(4), "{}", none.1);
    let started = call("oashi", &["start_mytism", "--detach"]);
    assert_eq!(started.0, Some(0), "{}", started.1);
    let stopped = call("stop_mytism", &["--project", ".oashi"]);
    assert_eq!(stopped.0, Some(0), "{}", stopped.1);
    let started = call("start_mytism", &["--detach", "--project", ".oashi", "--json"]);
    assert_eq!(started.0, Some(0), "{}", started.1);
    assert!(call("oashi", &["status"]).1.contains("hamburg"));
    let stopped = call("oashi", &["stop_mytism"]);
    assert_eq!(stopped, (Some(0), "the node of .oashi is down\n".to_owned()));
    let elsewhere = call("start_mytism", &[]);
    assert!(elsewhere.1.contains(".mytism"), "{}", elsewhere.1);
}

#[test]
fn a_node_that_is_asked_to_end_answers_what_has_arrived() {
    let mut head = head_office();
    let mut sent = Sent::default();
    for round in 0..3 {
        let savers = Savers::start(head.project(), 10_000 * (round + 1));
        savers.wait_for(5);
        let begun = Instant::now();
        signal("TERM", head.pid());
        let status = head.wait_for_end();
        assert!(status.success(), "it ended with {status}");
        assert!(begun.elapsed() < DOWN_DEADLINE, "it took {:?}", begun.elapsed());
        sent.add(savers.end());
        let unclear: Vec<_> =
            sent.failed.iter().filter(|code| !["node-stops", "node-unreachable"].contains(&code.as_str())).collect();
        assert!(unclear.is_empty(), "nobody is left without an answer: {unclear:?}");
        sent.check(head.project());
        let _ready = head.restart();
        sent.check(head.project());
    }
}

/// Starts the node with a service manager that listens, and returns what that hears until the node ends.
#[test]
fn a_service_manager_hears_how_the_node_is() {
    let project = Project::head_office("hamburg", &trade::schema());
    let path = project.root().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = project.command(&["start"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let hear = || {
        let mut bytes = [0; 512];
        let length = manager.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let ready = format!("READY=1\nSTATUS=hamburg serves (authoritative)\nMAINPID={}", child.id());
    assert_eq!(hear(), ready);
    assert!(project.status()["since"].is_string(), "it serves when it says so");
    assert_eq!((hear(), hear()), ("WATCHDOG=1".to_owned(), "WATCHDOG=1".to_owned()));
    signal("TERM", child.id());
    let mut last = hear();
    while last == "WATCHDOG=1" {
        last = hear();
    }
    assert_eq!(last, "STOPPING=1\nSTATUS=goes down");
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_unit_for_systemd_is_one() {
    let Ok(text) = fs::read_to_string(repository().join("scripts/mytism.service")) else { return };
    let project = Project::empty("nobody");
    let program = project.binary().path().to_string_lossy().into_owned();
    let unit = project.root().join("mytism.service");
    assert!(text.contains("/usr/local/bin/mytism"));
    fs::write(&unit, text.replace("/usr/local/bin/mytism", &program)).unwrap();
    let Ok(checked) = Command::new("systemd-analyze").arg("verify").arg(&unit).output() else {
        return println!("SKIPPED: systemd-analyze is not installed");
    };
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && !told.contains("mytism.service"), "{told}");
}

/// What a project's node writes, once it has written it.
#[track_caller]
fn wait_for_line(node: &RunningNode, words: &str) {
    wait_until(&format!("the log says {words:?}"), PATIENCE, || node.log().contains(words));
}

#[test]
fn a_running_node_takes_up_what_is_watched_and_nothing_else() {
    let head = head_office();
    let project = head.project();
    let file = project.config_file();
    let change = |section: &str, key: &str, value: &str| {
        project.set(section, key, value);
        signal("HUP", head.pid());
    };
    assert!(!head.log().contains("DEBUG"));
    change("Log", "level", "debug");
    wait_for_line(&head, "[Log] level = debug is in force now");
    let good = fs::read_to_string(&file).unwrap();
    change("Log", "levle", "error");
    wait_for_line(&head, "[Log] levle: there is no such key");
    wait_for_line(&head, "what was in force stays in force");
    fs::write(&file, good).unwrap();
    change("DeploySite", "port", "8099");
    wait_for_line(&head, "[DeploySite] port = 8099 takes effect when the node is started anew");
    // Something that is logged at debug only: a stranger with a key that nobody knows.
    let account = project.account("berlin");
    let text = fs::read_to_string(&account).unwrap();
    let secret = text.lines().find(|line| line.starts_with("secret")).unwrap();
    let forged = project.root().join("forged");
    fs::write(&forged, text.replace(secret, &secret.chars().rev().collect::<String>().replace('=', ""))).unwrap();
    let _refused = Project::empty("berlin").join(&forged);
    let refused = text
        .replace(secret, &format!("{}{}", &secret[..secret.len() - 1], if secret.ends_with('0') { '1' } else { '0' }));
    fs::write(&forged, refused).unwrap();
    let _refused = Project::empty("berlin").join(&forged).error(3, "wrong-account");
    wait_for_line(&head, "DEBUG");
}

#[test]
fn what_strangers_may_do_is_taken_up_while_the_node_runs() {
    let head = head_office();
    let project = head.project();
    project.set("SocketProtocol", "maxWaitForAuth", "1");
    signal("HUP", head.pid());
    wait_for_line(&head, "[SocketProtocol] maxWaitForAuth = 1 is in force now");
    let account = project.account("berlin");
    let branch = Project::empty("berlin");
    // Whether somebody is faster than a millisecond is chance; that he is cut off if not, the transport's own tests show.
    let text = fs::read_to_string(project.config_file()).unwrap();
    fs::write(project.config_file(), text.replace("maxWaitForAuth = 1\n", "")).unwrap();
    signal("HUP", head.pid());
    wait_for_line(&head, "[SocketProtocol] maxWaitForAuth = 210000 is in force now");
    let _joined = branch.join(&account).success();
}

#[test]
fn status_goes_on_as_documents() {
    let head = head_office();
    let mut watching = head.project().command(&["--json", "status", "--watch"]);
    let mut child = watching.stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let nodes: Vec<Json> = lines.take(2).map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(nodes.iter().all(|status| status["node"] == "hamburg"), "{nodes:?}");
}

#[test]
fn an_idle_node_is_small() {
    let head = head_office();
    let status = fs::read_to_string(Path::new("/proc").join(head.pid().to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux tells");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{kilobytes} kB");
    assert!(kilobytes < 40_000, "{kilobytes} kB of its own");
}

#[test]
fn saves_over_the_socket_are_measured() {
    let project = Project::head_office("hamburg", &trade::schema());
    let scratch = project.root().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let directory = scratch.display().to_string();
    let measured = project.run_json(&["bench", "protocol", "--seconds", "1", "--dir", &directory], "");
    let documents = measured.documents();
    let clients: Vec<_> = documents.iter().map(|document| document["clients"].as_u64()).collect();
    assert_eq!(clients, [Some(1), Some(32)]);
    for name in ["value", "raw", "ratio", "n", "p50_ms"] {
        assert!(documents.iter().all(|document| document[name].as_f64() > Some(0.0)), "{name} in {documents:?}");
    }
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0, "nothing is left, and no node runs there");
}
