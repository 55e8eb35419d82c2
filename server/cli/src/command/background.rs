//! A node apart from the terminal: this program starts itself once more and waits until that one serves.
//!
//! The two talk over a pipe, the other one's standard output: one line of JSON, either what `start` prints or the
//! failure. Its standard error is the log file, its standard input nothing, and it is in a process group of its own, so
//! that an interrupt on the terminal does not reach it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use mytism_core::failure::{Failure, FailureKind};
use serde_json::Value as Json;

use crate::node;
use crate::report;

/// How long a node may take until it serves.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// A log file that is larger makes room for a new one when the node starts.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// The longest line that is taken from the other process, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// So many bytes at the end of the log are looked at for the reason of a failure.
const TAIL_BYTES: u64 = 2 << 10;

/// Starts the node of a project; returns what it said when it served.
///
/// # Errors
/// Its failure where it cannot start; `start-slow` where it does not serve within 60 s.
pub(crate) fn start(directory: &Path) -> Result<Json, Failure> {
    let log_path = node::log_file(directory)?;
    let log = open_log(&log_path).map_err(|error| cannot("write", &log_path, &error))?;
    let directory = fs::canonicalize(directory).map_err(|error| cannot("find", directory, &error))?;
    let program = std::env::current_exe().map_err(|error| cannot("find", Path::new("the program"), &error))?;
    let mut child = Command::new(&program)
        .arg("--project")
        .arg(&directory)
        .args(["start", "--background"])
        .current_dir(&directory)
        // By its project alone: the name of a former command would be carried out once more.
        .env(crate::CALLED_AS, crate::args::project_name(&crate::called_as()))
        // A service manager that runs this command does not run the node.
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(|error| cannot("start", &program, &error))?;
    until_it_serves(&mut child, &log_path, START_PATIENCE)
}

/// Waits for the line that a node says when it serves.
fn until_it_serves(child: &mut Child, log_path: &Path, patience: Duration) -> Result<Json, Failure> {
    let said = child.stdout.take().map(first_line);
    let line = match said.map(|said| said.recv_timeout(patience)) {
        Some(Err(mpsc::RecvTimeoutError::Timeout)) => return Err(slow(child, log_path, patience)),
        Some(Ok(line)) => line,
        _ => String::new(),
    };
    match serde_json::from_str::<Json>(&line) {
        Ok(document) if document.get("error").is_none() => Ok(document),
        said => Err(failed(child, said.ok().as_ref(), log_path)),
    }
}

/// The first line that comes out of a pipe, empty where it ends without one; read on a thread, since a pipe cannot be
/// waited for with a limit.
fn first_line(pipe: ChildStdout) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        // What cannot be read is no line, which is reported with the end of the log.
        let _read = BufReader::new(pipe.take(LINE_BYTES_MAX)).read_line(&mut line);
        // Nobody waits any longer after the limit.
        let _late = send.send(line);
    });
    receive
}

fn open_log(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

fn cannot(step: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::failed("file-error", format!("cannot {step} {}: {error}", path.display()))
}

/// A large database may take long to recover, so the node is left at it.
fn slow(child: &Child, log: &Path, patience: Duration) -> Failure {
    let message =
        format!("the node (process {}) does not serve after {} s; it goes on starting", child.id(), patience.as_secs());
    Failure::failed("start-slow", message).hint(format!("see {}", log.display()))
}

/// The failure of a process that ended.
fn failed(child: &mut Child, said: Option<&Json>, log: &Path) -> Failure {
    let status = child.wait().ok();
    let kind = kind(status);
    if let Some(failure) = said.and_then(|document| report::from_document(document, kind)) {
        return failure;
    }
    let status = status.map_or_else(|| "without a status".to_owned(), |status| format!("with {status}"));
    let tail = tail(log).unwrap_or_default();
    let hint = format!("see {}; it ends with\n{tail}", log.display());
    Failure::failed("start-failed", format!("the node ended {status} before it served")).hint(hint)
}

fn kind(status: Option<ExitStatus>) -> FailureKind {
    match status.and_then(|status| status.code()) {
        Some(2) => FailureKind::Usage,
        Some(3) => FailureKind::Refused,
        Some(4) => FailureKind::Unreachable,
        _ => FailureKind::Failed,
    }
}

/// The last lines of a file.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines.iter().skip(lines.len().saturating_sub(5)).copied().collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(script: &str) -> Child {
        Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn a_node_that_fails_says_why() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("mytism.log");
        fs::write(&log, "1\n2\n3\n4\n5\n6\n").unwrap();
        let said = report::document(&Failure::refused("recovering", "m").hint("h"));
        let failure = failed(&mut child("exit 3"), Some(&said), &log);
        assert_eq!(failure, Failure::refused("recovering", "m").hint("h"));
        let failure = failed(&mut child("exit 101"), None, &log);
        assert_eq!(failure.code, "start-failed");
        assert!(failure.message.contains("101"), "{failure:?}");
        assert!(failure.hint.ends_with("2\n3\n4\n5\n6"), "{failure:?}");
    }

    #[test]
    fn a_node_that_takes_long_goes_on_starting() {
        let log = Path::new("logs/mytism.log");
        let mut slow = child("exec sleep 600");
        let failure = until_it_serves(&mut slow, log, Duration::from_millis(50)).unwrap_err();
        assert_eq!(failure.code, "start-slow");
        assert!(failure.message.contains(&slow.id().to_string()), "{failure:?}");
        assert!(slow.try_wait().unwrap().is_none(), "it goes on");
        slow.kill().unwrap();
        slow.wait().unwrap();
        let mut quick = child("echo '{\"state\":\"serving\"}'");
        let said = until_it_serves(&mut quick, log, Duration::from_secs(60)).unwrap();
        assert_eq!(said, serde_json::json!({"state": "serving"}));
        quick.wait().unwrap();
    }

    #[test]
    fn the_first_line_is_taken_and_an_end_is_noticed() {
        let line = |script: &str| {
            let mut child = child(script);
            let said = first_line(child.stdout.take().unwrap()).recv_timeout(Duration::from_secs(20));
            child.wait().unwrap();
            said.unwrap()
        };
        assert_eq!(line("echo one; echo two"), "one\n");
        assert_eq!(line("exit 1"), "");
    }

    #[test]
    fn a_large_log_makes_room() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("logs").join("mytism.log");
        open_log(&log).unwrap().set_len(LOG_BYTES_MAX + 1).unwrap();
        open_log(&log).unwrap();
        assert_eq!(fs::metadata(&log).unwrap().len(), 0);
        assert_eq!(fs::metadata(log.with_extension("log.1")).unwrap().len(), LOG_BYTES_MAX + 1);
    }
}
