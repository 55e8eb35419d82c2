//! A node as a process of its own, which can be stopped in order or killed without warning.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value as Json;

use crate::{PATIENCE, Project, process, wait_until};

/// How long a node may take until it serves.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// So many lines of a node's log are shown when a test fails.
const LOG_LINES: usize = 60;

/// A node that runs, or is down for the moment. Killed when it is dropped; its log is shown when the test fails.
#[derive(Debug)]
pub struct RunningNode {
    project: Project,
    child: Option<Child>,
}

impl RunningNode {
    /// Starts the node of a project and waits until it serves.
    #[must_use]
    #[track_caller]
    pub fn start(project: &Project) -> Self {
        let mut node = Self { project: project.clone(), child: None };
        node.restart();
        node
    }

    /// Its project.
    #[must_use]
    pub const fn project(&self) -> &Project {
        &self.project
    }

    /// The id of its process.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the node runs").id()
    }

    /// Kills it with SIGKILL, which it cannot notice; returns when the process is gone. Nothing where it is down.
    #[track_caller]
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a process can be killed by its parent");
            child.wait().expect("a killed process ends");
        }
    }

    /// Stops it in order; it must end with status 0. Nothing where it is down.
    #[track_caller]
    pub fn stop(&mut self) {
        if self.child.is_some() {
            let _stopped = self.project.run(&["stop"], "").success();
            let status = self.wait_for_end();
            assert!(status.success(), "the node of {} ended with {status}", self.project.name());
        }
    }

    /// Starts it while it is down, and kills it after that time, whether it serves by then or not.
    #[track_caller]
    pub fn start_and_kill(&mut self, after: Duration) {
        assert!(self.child.is_none(), "the node of {} runs", self.project.name());
        let mut child = self.spawn();
        // Not how long something may take: any moment is as good as another.
        std::thread::sleep(after);
        child.kill().expect("a process can be killed by its parent");
        child.wait().expect("a killed process ends");
    }

    /// Starts it again after [`Self::kill9`] or [`Self::stop`], or first stops it; waits until it serves and returns
    /// what it said then.
    #[track_caller]
    pub fn restart(&mut self) -> Json {
        self.stop();
        let mut child = self.spawn();
        let said = child.stdout.take().map(first_line);
        self.child = Some(child);
        let line = said.and_then(|said| said.recv_timeout(START_DEADLINE).ok()).unwrap_or_default();
        let document = serde_json::from_str::<Json>(&line).ok().filter(|ready| ready["pid"].is_u64());
        document.unwrap_or_else(|| panic!("the node of {} does not serve; it said {line:?}", self.project.name()))
    }

    #[track_caller]
    fn spawn(&self) -> Child {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("a log can be written");
        let mut command = self.project.command(&["--json", "start"]);
        command.stdout(Stdio::piped()).stderr(log);
        let call = process::call(&command);
        command.spawn().unwrap_or_else(|error| panic!("cannot start `{call}`: {error}"))
    }

    /// Waits until the process ended by itself, and says how.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the node runs");
        let mut status = None;
        wait_until(&format!("the node of {} is down", self.project.name()), PATIENCE, || {
            status = child.try_wait().expect("a child can be asked");
            status.is_some()
        });
        status.expect("it was waited for")
    }

    /// What the node has written about its work.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.project.root().join("node.log")
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended already; whatever is left of it must not outlive the test.
            let _killed = child.kill();
            let _ended = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
            eprintln!("--- the node of {} wrote\n{}\n---", self.project.name(), last.join("\n"));
        }
    }
}

/// The first line that comes out of a pipe; what follows is read too, so that nobody waits for a full pipe.
fn first_line(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = String::new();
        let _read = reader.read_line(&mut line);
        let _late = send.send(line);
        let _rest = std::io::copy(&mut reader, &mut std::io::sink());
    });
    receive
}
