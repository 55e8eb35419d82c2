//! Nodes for tests, each served by a thread.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mytism_client::Client;
use mytism_core::failure::Failure;
use mytism_core::operation::{
    ChangeRequest, ChangeTarget, Input, Operations, Output, QueryRequest, Reply, Request, SaveRequest, Status,
};
use mytism_server::project::Project;
use mytism_server::setup::Ports;
use mytism_server::{HISTORY_AT_ONCE, Hooks, InitOptions, JoinOptions, JoinProgress, JoinReport, init, join, serve};

/// A node that is served by a thread until it is dropped.
pub(crate) struct Node {
    directory: PathBuf,
    thread: Option<JoinHandle<()>>,
    _root: Option<tempfile::TempDir>,
}

impl Node {
    pub(crate) fn new(directory: PathBuf, root: Option<tempfile::TempDir>) -> Self {
        let mut node = Self { directory, thread: None, _root: root };
        node.start();
        node
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn start(&mut self) {
        let (ready, is_ready) = mpsc::channel();
        let directory = self.directory.clone();
        self.thread = Some(std::thread::spawn(move || {
            let hooks = Hooks { ready: Box::new(move |_| ready.send(()).unwrap()), log_level: Box::new(|_| {}) };
            serve(&directory, hooks).unwrap();
        }));
        is_ready.recv_timeout(Duration::from_secs(20)).expect("the node serves");
    }

    pub(crate) fn stop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.call(Request::Stop).unwrap();
            thread.join().unwrap();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// A second node with the same data, as if a running machine were copied.
    pub(crate) fn copy(&self) -> Node {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("copy");
        copy_directory(&self.directory, &target);
        Node::new(target, Some(root))
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&Project::at(&self.directory).socket()).unwrap()
    }

    pub(crate) fn call(&self, request: Request) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::new();
        self.client().call(request, &mut |reply| {
            replies.push(reply);
            Ok(())
        })?;
        Ok(replies)
    }

    pub(crate) fn status(&self) -> Status {
        match self.call(Request::Status).unwrap().remove(0) {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn rows(&self, text: &str) -> Vec<String> {
        let replies = self.call(Request::Query(QueryRequest { text: text.into(), ..QueryRequest::default() })).unwrap();
        let row = |reply| match reply {
            Reply::Row(values) => values.iter().map(|(_, value)| word(value)).collect::<Vec<_>>().join("|"),
            other => panic!("{other:?}"),
        };
        replies.into_iter().map(row).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

fn word(output: &Output) -> String {
    match output {
        Output::Value(value) => value.to_string(),
        Output::Word(word) => word.clone(),
        other => format!("{other:?}"),
    }
}

/// A head office.
pub(crate) struct Head {
    node: Node,
    root: tempfile::TempDir,
}

impl Head {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let schema = root.path().join("trade.xml");
        std::fs::write(&schema, mytism_schema::demo::schema_xml()).unwrap();
        let directory = root.path().join("head");
        let ports = Ports { tls: Some(0), ..Ports::default() };
        let options = InitOptions {
            directory: directory.clone(),
            schema: Some(schema),
            name: Some("hamburg".into()),
            ports,
            url: None,
        };
        init(&options).unwrap();
        short_pauses(&directory);
        Self { node: Node::new(directory, None), root }
    }

    pub(crate) const fn node(&self) -> &Node {
        &self.node
    }

    pub(crate) fn stop(&mut self) {
        self.node.stop();
    }

    pub(crate) fn start(&mut self) {
        self.node.start();
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.node.directory
    }

    pub(crate) fn init_again(&self) -> Result<(), Failure> {
        let directory = self.node.directory.clone();
        init(&InitOptions { directory, name: Some("other".into()), ..InitOptions::default() }).map(drop)
    }

    pub(crate) fn join_into(&self, directory: &Path, account: &Path) -> Result<(), Failure> {
        let (directory, account) = (directory.to_owned(), account.to_owned());
        let history_at_once = HISTORY_AT_ONCE;
        join(&JoinOptions { directory, account, name: None, ports: Ports::default(), history_at_once }, &mut |_| {})
            .map(drop)
    }

    /// The project of a new branch, which gets its history later.
    pub(crate) fn join_now(
        &self,
        directory: &Path,
        account: &Path,
        progress: &mut dyn FnMut(JoinProgress),
    ) -> Result<JoinReport, Failure> {
        let (directory, account) = (directory.to_owned(), account.to_owned());
        let options = JoinOptions { directory, account, name: None, ports: Ports::default(), history_at_once: 0 };
        let report = join(&options, progress)?;
        short_pauses(&options.directory);
        Ok(report)
    }

    pub(crate) fn account(&self, name: &str) -> PathBuf {
        let replies = self.node.call(Request::AddNode { name: name.into(), valid_days: 14 }).unwrap();
        let [Reply::Account { file }] = &replies[..] else { panic!("{replies:?}") };
        let path = self.root.path().join(format!("{name}.init-syncaccount"));
        std::fs::write(&path, file).unwrap();
        path
    }

    pub(crate) fn join(&self, account: &Path, name: Option<&str>) -> Result<Node, Failure> {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("branch");
        let options = JoinOptions {
            directory: directory.clone(),
            account: account.to_owned(),
            name: name.map(str::to_owned),
            ports: Ports::default(),
            history_at_once: HISTORY_AT_ONCE,
        };
        join(&options, &mut |_| {})?;
        short_pauses(&directory);
        Ok(Node::new(directory, Some(root)))
    }

    pub(crate) fn branch(&self, name: &str) -> Node {
        self.join(&self.account(name), None).unwrap()
    }
}

/// Tests need not wait as long as people do.
fn short_pauses(directory: &Path) {
    let path = Project::at(directory).config_file();
    let text = std::fs::read_to_string(&path).unwrap();
    let text = mytism_server::config::write_value(&text, "SyncService", "retryMinimum", "50").unwrap();
    let text = mytism_server::config::write_value(&text, "SyncService", "retryMaximum", "200").unwrap();
    std::fs::write(path, text).unwrap();
}

/// Copies what stands still. A running program's passing files may go while this looks at them.
fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let permissions = std::fs::metadata(from).unwrap().permissions();
    std::fs::set_permissions(to, permissions).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_directory(&entry.path(), &target);
        } else if kind.is_file() {
            match std::fs::copy(entry.path(), &target) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

pub(crate) fn save_order(node: &Node, number: u32) {
    let change = ChangeRequest {
        target: ChangeTarget::New { label: "o".into(), entity: "Order".into() },
        values: vec![
            ("OrderID".into(), Input::Number(number.to_string())),
            ("ShipCity".into(), Input::Text(format!("Ort {number}"))),
        ],
        expect: Vec::new(),
        delete: None,
    };
    let description = format!("order {number}");
    node.call(Request::Save(SaveRequest { description, changes: vec![change] })).unwrap();
}

#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
