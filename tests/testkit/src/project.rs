//! A project directory of its own for each test, and commands on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{Binary, Output, process};

/// A project directory, removed with its last copy. Copies are cheap and may be given to threads.
#[derive(Clone, Debug)]
pub struct Project {
    name: String,
    root: Arc<TempDir>,
    binary: Binary,
}

impl Project {
    /// A place for a project that nobody has made yet. The name is that of its node.
    #[must_use]
    #[track_caller]
    pub fn empty(name: &str) -> Self {
        let root = tempfile::Builder::new().prefix("mytism-").tempdir().expect("temporary directories can be made");
        Self { name: name.to_owned(), root: Arc::new(root), binary: Binary::find() }
    }

    /// A new head office with any free port. Its account files name this machine alone, whose name may lead anywhere.
    #[must_use]
    #[track_caller]
    pub fn head_office(name: &str, schema: &Path) -> Self {
        let project = Self::empty(name);
        let schema = schema.to_string_lossy();
        let _made = project.run(&["init", "--schema", &schema, "--name", name, "--tls-port", "0"], "").success();
        project.set("SyncService", "advertise", &format!("127.0.0.1:{}", project.setting("tlsPort")));
        project.retry_soon();
        project
    }

    /// A new branch of a head office, whose node must run.
    #[must_use]
    #[track_caller]
    pub fn branch_of(head: &Self, name: &str) -> Self {
        let project = Self::empty(name);
        let _joined = project.join(&head.account(name)).success();
        project.retry_soon();
        project
    }

    /// The name of its node.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program that works on it.
    #[must_use]
    pub const fn binary(&self) -> &Binary {
        &self.binary
    }

    /// A directory for files beside the project.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The project directory.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.root().join("project")
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.directory().join("mytism.ini")
    }

    /// Its database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.directory().join("data").join("objects.db")
    }

    /// A call of the program on this project that the caller starts.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.binary.command();
        command.current_dir(self.root()).arg("--project").arg(self.directory()).args(arguments);
        command
    }

    /// Runs a command to its end, as people do.
    #[track_caller]
    pub fn run(&self, arguments: &[&str], stdin: &str) -> Output {
        process::run(self.command(arguments), stdin)
    }

    /// Runs a command to its end, as programs do: with `--json`.
    #[track_caller]
    pub fn run_json(&self, arguments: &[&str], stdin: &str) -> Output {
        let mut command = self.command(&["--json"]);
        command.args(arguments);
        process::run(command, stdin)
    }

    /// The documents that a command prints; it must succeed.
    #[must_use]
    #[track_caller]
    pub fn documents(&self, arguments: &[&str]) -> Vec<Json> {
        self.run_json(arguments, "").success().documents()
    }

    /// What a query finds.
    #[must_use]
    #[track_caller]
    pub fn query(&self, text: &str) -> Vec<Json> {
        self.documents(&["query", text])
    }

    /// Saves a document; it must be accepted.
    #[track_caller]
    pub fn save(&self, document: &Json) -> Json {
        self.run_json(&["save"], &document.to_string()).success().json()
    }

    /// How the node is.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> Json {
        self.run_json(&["status"], "").success().json()
    }

    /// Makes a branch known; returns its account file. The node must run.
    #[must_use]
    #[track_caller]
    pub fn account(&self, branch: &str) -> PathBuf {
        let file = self.root().join(format!("{branch}.init-syncaccount"));
        let _added = self.run(&["nodes", "add", branch, "--export", &file.to_string_lossy()], "").success();
        file
    }

    /// Makes this project a branch, if it can.
    #[track_caller]
    pub fn join(&self, account: &Path) -> Output {
        self.run_json(&["join", "--sync-account", &account.to_string_lossy()], "")
    }

    /// Lines that break are tried again soon: tests need not wait as long as people do.
    #[track_caller]
    pub fn retry_soon(&self) {
        self.set("SyncService", "retryMinimum", "50");
        self.set("SyncService", "retryMaximum", "300");
    }

    /// Writes a key that is not there yet into the configuration.
    #[track_caller]
    pub fn set(&self, section: &str, key: &str, value: &str) {
        let file = self.config_file();
        let text = fs::read_to_string(&file).expect("a project has a configuration");
        fs::write(&file, with_key(&text, section, key, value)).expect("a configuration can be written");
    }

    /// The value of a key, in whatever section.
    #[must_use]
    #[track_caller]
    pub fn setting(&self, key: &str) -> String {
        let text = fs::read_to_string(self.config_file()).expect("a project has a configuration");
        let mut pairs = text.lines().filter_map(|line| line.split_once('='));
        let found = pairs.find(|(name, _)| name.trim() == key);
        found.unwrap_or_else(|| panic!("{key} is not set: {text}")).1.trim().to_owned()
    }
}

/// The text with the key as the first one of its section.
fn with_key(text: &str, section: &str, key: &str, value: &str) -> String {
    let heading = format!("[{section}]\n");
    let line = format!("{key} = {value}\n");
    match text.split_once(&heading) {
        Some((before, after)) => format!("{before}{heading}{line}{after}"),
        None => format!("{text}\n{heading}{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_into_their_section() {
        let check = |text: &str, expected: &str| assert_eq!(with_key(text, "B", "k", "v"), expected);
        check("", "\n[B]\nk = v\n");
        check("[A]\nx = y\n", "[A]\nx = y\n\n[B]\nk = v\n");
        check("[B]\nx = y\n[C]\n", "[B]\nk = v\nx = y\n[C]\n");
    }
}
