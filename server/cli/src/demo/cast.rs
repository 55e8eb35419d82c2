//! The two nodes of the demonstration, as processes of this very program, and what is asked of them.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use mytism_client::Client;
use mytism_core::blob::Blob;
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{
    ChangeRequest, ChangeTarget, Closed, Input, ObjectView, Operations, QueryRequest, ReferenceInput, Reply, Request,
    SaveRequest, Status,
};
use mytism_schema::demo;
use mytism_server::project::Project;
use serde_json::Value as Json;

use super::Relay;
use super::invoice::Invoice;
use super::stage::Heard;

/// How long a node may take to serve.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// Everybody who takes part.
pub(super) struct Cast {
    directory: PathBuf,
    pub(super) head: Node,
    head_port: u16,
    pub(super) branches: Vec<Branch>,
}

/// A branch with the line that leads to the head office.
pub(super) struct Branch {
    pub(super) node: Node,
    pub(super) line: Relay,
}

impl Cast {
    /// Makes the head office's project.
    pub(super) fn new(directory: &Path) -> Result<Self, Failure> {
        let schema = directory.join("trade.xml");
        write(&schema, demo::schema_xml())?;
        let head = Node::new("hamburg", directory);
        let schema = schema.display().to_string();
        head.command(&["init", "--name", "hamburg", "--schema", &schema, "--tls-port", "0"])?;
        let config = std::fs::read_to_string(Project::at(&head.directory).config_file()).unwrap_or_default();
        let port = config.lines().find_map(|line| line.strip_prefix("tlsPort")?.trim_start().strip_prefix('='));
        let port = port.and_then(|port| port.trim().parse().ok());
        let port =
            port.ok_or_else(|| Failure::failed("no-port", "the new head office has no port in its mytism.ini"))?;
        Ok(Self { directory: directory.to_owned(), head, head_port: port, branches: Vec::new() })
    }

    /// The branch that joined first, or next.
    pub(super) fn branch(&self, number: usize) -> Result<&Branch, Failure> {
        self.branches.get(number).ok_or_else(|| Failure::failed("internal", "the branch has not joined"))
    }

    /// All nodes, the head office first.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.head).chain(self.branches.iter().map(|branch| &branch.node))
    }

    pub(super) fn start_head(&mut self) -> Result<(), Failure> {
        self.head.start()
    }

    /// Imports the sample data by the command that everybody uses; returns the number of rows.
    pub(super) fn import_sample_data(&self) -> Result<u64, Failure> {
        let mut rows = 0;
        for table in demo::tables() {
            let file = self.directory.join(format!("{}.csv", table.file));
            write(&file, table.csv)?;
            let file = file.display().to_string();
            let maps: Vec<_> =
                table.renamed.iter().map(|(column, attribute)| format!("{column}={attribute}")).collect();
            let mut words = vec!["import", &file, "--entity", table.entity];
            words.extend(maps.iter().flat_map(|map| ["--map", map.as_str()]));
            let report = self.head.command(&words)?;
            rows += report.get("inserted").and_then(Json::as_u64).unwrap_or(0);
        }
        Ok(rows)
    }

    /// Makes a branch known, lets it join over a line of its own, and starts it; returns the number of objects that it
    /// got.
    pub(super) fn join_branch(&mut self, name: &'static str) -> Result<u64, Failure> {
        let relay = Relay::new(self.head_port)?;
        let account = self.directory.join(format!("{name}.init-syncaccount"));
        let file = account.display().to_string();
        self.head.command(&["nodes", "add", name, "--export", &file])?;
        let text = std::fs::read_to_string(&account).unwrap_or_default();
        let line = format!("addresses = 127.0.0.1:{}", relay.port());
        let lines: Vec<_> =
            text.lines().map(|old| if old.starts_with("addresses") { line.as_str() } else { old }).collect();
        write(&account, &(lines.join("\n") + "\n"))?;
        let mut node = Node::new(name, &self.directory);
        node.command(&["join", "--sync-account", &file])?;
        node.start()?;
        let objects = node.status()?.objects;
        self.branches.push(Branch { node, line: relay });
        Ok(objects)
    }

    /// Names of the entities that the demonstration compares.
    pub(super) fn entities(&self) -> Vec<String> {
        let system = ["User", "Group", "Node", "SyncConflict"].map(str::to_owned);
        demo::tables().iter().map(|table| table.entity.to_owned()).chain(system).collect()
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|error| Failure::failed("file-error", format!("cannot write {}: {error}", path.display())))
}

/// An order with its invoice.
pub(super) struct Sold {
    pub(super) order: ObjectId,
    /// Name of the file.
    pub(super) file: String,
    pub(super) bytes: u64,
}

/// One node; stopped when it is dropped.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) directory: PathBuf,
    process: Option<Child>,
}

impl Node {
    fn new(name: &'static str, parent: &Path) -> Self {
        Self { name, directory: parent.join(name), process: None }
    }

    fn program(&self) -> Result<Command, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::failed("file-error", format!("cannot find this program: {error}")))?;
        let mut command = Command::new(program);
        command.arg("--project").arg(&self.directory).arg("--json").stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command of this program on the node's project; returns its document.
    fn command(&self, words: &[&str]) -> Result<Json, Failure> {
        let cannot = |error| Failure::failed("demo-command", format!("cannot run {}: {error}", words.join(" ")));
        let done = self.program()?.args(words).output().map_err(cannot)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() {
            return Ok(serde_json::from_str(&text(&done.stdout)).unwrap_or(Json::Null));
        }
        let said: Json = serde_json::from_str(&text(&done.stderr)).unwrap_or(Json::Null);
        let message = said.pointer("/error/message").and_then(Json::as_str).map_or(text(&done.stderr), str::to_owned);
        Err(Failure::failed("demo-command", format!("{} at {} failed: {message}", words.join(" "), self.name)))
    }

    /// Starts the process, apart from the terminal's interrupts, and waits until it serves.
    fn start(&mut self) -> Result<(), Failure> {
        let mut command = self.program()?;
        command.arg("start").stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let started = command.spawn();
        let cannot = |error| Failure::failed("demo-command", format!("cannot start {}: {error}", self.name));
        self.process = Some(started.map_err(cannot)?);
        let end = Instant::now() + START_PATIENCE;
        while self.client().and_then(|client| status(&client)).is_err() {
            if Instant::now() > end {
                return Err(Failure::failed("start-slow", format!("{} does not serve", self.name)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn client(&self) -> Result<Client, Failure> {
        Client::connect(&Project::at(&self.directory).socket())
    }

    fn ask(&self, request: Request) -> Result<Vec<Reply>, Failure> {
        let mut replies = Vec::new();
        self.client()?.call(request, &mut |reply| {
            replies.push(reply);
            Ok(())
        })?;
        Ok(replies)
    }

    pub(super) fn status(&self) -> Result<Status, Failure> {
        status(&self.client()?)
    }

    pub(super) fn is_connected(&self) -> bool {
        let line = self.status().ok().and_then(|status| status.sync.into_iter().next());
        line.is_some_and(|line| line.state == "connected")
    }

    /// What the node says of what happens there, from now on.
    pub(super) fn watch(&self) -> Receiver<Heard> {
        let (sender, receiver) = mpsc::channel();
        let (client, node) = (self.client(), self.name);
        std::thread::spawn(move || {
            let Ok(client) = client else { return };
            // The watching ends with the node or with the demonstration.
            let _ended = client.call(Request::Watch, &mut |reply| match reply {
                Reply::Event(event) => sender.send(Heard { node, at: Instant::now(), event }).map_err(|_| Closed),
                _ => Ok(()),
            });
        });
        receiver
    }

    /// All objects of an entity.
    pub(super) fn everything(&self, entity: &str) -> Result<Vec<ObjectView>, Failure> {
        let request = QueryRequest { text: format!("from {entity} x"), deleted: true, ..QueryRequest::default() };
        let replies = self.ask(Request::Query(request))?;
        Ok(replies
            .into_iter()
            .filter_map(|reply| if let Reply::Object(view) = reply { Some(view) } else { None })
            .collect())
    }

    /// The customer whose contact two nodes will change.
    pub(super) fn some_customer(&self) -> Result<ObjectId, Failure> {
        let request = QueryRequest { text: "from Customer c".to_owned(), limit: Some(1), ..QueryRequest::default() };
        match self.ask(Request::Query(request))?.into_iter().next() {
            Some(Reply::Object(customer)) => Ok(customer.id),
            _ => Err(Failure::failed("internal", "the sample data holds no customer")),
        }
    }

    /// Saves an order of one line.
    pub(super) fn order(&self, number: u32) -> Result<(), Failure> {
        let customer = self.some_customer()?;
        let order = ChangeRequest {
            target: ChangeTarget::New { label: "order".to_owned(), entity: "Order".to_owned() },
            values: vec![
                ("OrderID".to_owned(), Input::Number(number.to_string())),
                ("Customer".to_owned(), Input::Reference(ReferenceInput::Id(customer))),
                ("Freight".to_owned(), Input::Number("12.50".to_owned())),
            ],
            expect: Vec::new(),
            delete: None,
        };
        self.save(&format!("order {number}"), order)
    }

    /// Saves an order with its invoice, a file.
    pub(super) fn order_with_invoice(&self, number: u32) -> Result<Sold, Failure> {
        let lines = [(12, "Chai", 1_800), (6, "Chartreuse verte", 1_850), (40, "Konbu", 600)];
        let invoice = Invoice { number, seller: self.name, customer: "Alfreds Futterkiste, Berlin", lines: &lines };
        let page = invoice.to_svg().into_bytes();
        let (bytes, file) = (page.len() as u64, invoice.file_name());
        let replies = self.ask(Request::PutContent { upload: None, data: page, end: true })?;
        let hash = replies.into_iter().find_map(|reply| match reply {
            Reply::ContentPut { hash, .. } => hash,
            _ => None,
        });
        let blob = hash.and_then(|hash| Blob::new(hash, bytes, &file, "image/svg+xml"));
        let blob = blob.ok_or_else(|| Failure::failed("answer-unclear", "the node did not say what it took in"))?;
        let order = ChangeRequest {
            target: ChangeTarget::New { label: "order".to_owned(), entity: "Order".to_owned() },
            values: vec![
                ("OrderID".to_owned(), Input::Number(number.to_string())),
                ("Customer".to_owned(), Input::Reference(ReferenceInput::Id(self.some_customer()?))),
                ("File".to_owned(), Input::Blob(Box::new(blob))),
            ],
            expect: Vec::new(),
            delete: None,
        };
        let request = SaveRequest { description: format!("order {number} with its invoice"), changes: vec![order] };
        let saved = self.ask(Request::Save(request))?.into_iter().find_map(|reply| match reply {
            Reply::Saved(saved) => saved.ids.first().map(|(_, id)| *id),
            _ => None,
        });
        let order = saved.ok_or_else(|| Failure::failed("answer-unclear", "an order was saved without an id"))?;
        Ok(Sold { order, file, bytes })
    }

    /// Whether the invoice of an order is here.
    pub(super) fn has_invoice(&self, order: ObjectId) -> bool {
        let request = Request::GetContent { object: order, attribute: "File".to_owned(), from: 0 };
        let replies = self.ask(request).unwrap_or_default();
        replies.iter().any(|reply| matches!(reply, Reply::ContentPart(part) if part.here))
    }

    pub(super) fn change_contact(&self, customer: ObjectId, contact: &str) -> Result<(), Failure> {
        let change = ChangeRequest {
            target: ChangeTarget::Object(customer),
            values: vec![("ContactName".to_owned(), Input::Text(contact.to_owned()))],
            expect: Vec::new(),
            delete: None,
        };
        self.save(&format!("contact is {contact}"), change)
    }

    pub(super) fn new_customer(&self, key: &str, company: &str) -> Result<(), Failure> {
        let customer = ChangeRequest {
            target: ChangeTarget::New { label: "customer".to_owned(), entity: "Customer".to_owned() },
            values: vec![
                ("CustomerID".to_owned(), Input::Text(key.to_owned())),
                ("CompanyName".to_owned(), Input::Text(company.to_owned())),
            ],
            expect: Vec::new(),
            delete: None,
        };
        self.save(&format!("new customer {key}"), customer)
    }

    fn save(&self, description: &str, change: ChangeRequest) -> Result<(), Failure> {
        let request = SaveRequest { description: description.to_owned(), changes: vec![change] };
        self.ask(Request::Save(request)).map(drop)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let asked = self.ask(Request::Stop);
        if asked.is_err() {
            // A node that does not listen is ended the hard way; its data are safe all the same.
            let _gone = process.kill();
        }
        let _ended = process.wait();
    }
}

/// How a node is.
pub(super) fn status(client: &Client) -> Result<Status, Failure> {
    let mut found = None;
    client.call(Request::Status, &mut |reply| {
        if let Reply::Status(status) = reply {
            found = Some(*status);
        }
        Ok(())
    })?;
    found.ok_or_else(|| Failure::failed("answer-unclear", "the node did not say how it is"))
}
