//! Nodes as processes of their own, for measurements. They end with the values here.

use std::path::{Path, PathBuf};

use mytism_client::Client;
use mytism_core::failure::Failure;
use mytism_core::id::ObjectId;
use mytism_core::operation::{Operations, Reply, Request, Status};
use mytism_server::project::Project;
use mytism_server::setup::Ports;
use mytism_server::{InitOptions, JoinOptions};

use super::machine::Scratch;
use super::node::{make_customers, make_order, schema};
use crate::command::background;
use crate::node::wait_until_down;

/// A node in a process of its own, which ends with this.
pub(super) struct Elsewhere {
    project: PathBuf,
    /// Its process.
    pub(super) pid: u32,
}

impl Elsewhere {
    /// A head office that serves.
    pub(super) fn head_office(scratch: &Scratch) -> Result<Self, Failure> {
        // Writes the schema beside the project.
        let _parsed = schema(scratch.path())?;
        let project = scratch.child("elsewhere")?;
        let ports = Ports { tls: Some(0), ..Ports::default() };
        let (schema, name) = (Some(scratch.path().join("trade.xml")), Some("bench".to_owned()));
        mytism_server::init(&InitOptions { directory: project.clone(), schema, name, ports, url: None })?;
        let mut node = Self { project, pid: 0 };
        node.start()?;
        Ok(node)
    }

    /// A branch of this head office that serves.
    pub(super) fn branch(&self, scratch: &Scratch, name: &str) -> Result<Self, Failure> {
        let path = self.account(scratch, name)?;
        let directory = scratch.path().join(name);
        let options = JoinOptions { directory: directory.clone(), account: path, ..JoinOptions::default() };
        mytism_server::join(&options, &mut |_| {})?;
        let mut node = Self { project: directory, pid: 0 };
        node.start()?;
        Ok(node)
    }

    /// Makes a branch known; returns its account file.
    pub(super) fn account(&self, scratch: &Scratch, name: &str) -> Result<PathBuf, Failure> {
        let request = Request::AddNode { name: name.to_owned(), valid_days: 1 };
        let mut account = None;
        self.client()?.call(request, &mut |reply| {
            if let Reply::Account { file } = reply {
                account = Some(file);
            }
            Ok(())
        })?;
        let path = scratch.path().join(format!("{name}.init-syncaccount"));
        std::fs::write(&path, account.unwrap_or_default())
            .map_err(|error| Failure::failed("file-error", format!("cannot write {}: {error}", path.display())))?;
        Ok(path)
    }

    /// Its project directory.
    pub(super) fn project(&self) -> &Path {
        &self.project
    }

    /// Starts it.
    pub(super) fn start(&mut self) -> Result<(), Failure> {
        let said = background::start(&self.project)?;
        self.pid = said.get("pid").and_then(serde_json::Value::as_u64).and_then(|pid| pid.try_into().ok()).unwrap_or(0);
        Ok(())
    }

    /// Shuts it down.
    pub(super) fn stop(&self) -> Result<(), Failure> {
        self.client()?.call(Request::Stop, &mut |_| Ok(()))?;
        wait_until_down(&self.project)
    }

    /// A connection to it.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::connect(&Project::at(&self.project).socket())
    }

    /// Makes the customers that orders refer to.
    pub(super) fn customers(&self) -> Result<Vec<ObjectId>, Failure> {
        let client = self.client()?;
        make_customers(&mut |request, sink| client.call(request, sink))
    }

    /// Saves orders over a connection of its own.
    pub(super) fn saver<'c>(
        &self,
        customers: &'c [ObjectId],
    ) -> Result<impl FnMut(u64) -> Result<ObjectId, Failure> + use<'c>, Failure> {
        let client = self.client()?;
        Ok(move |number| make_order(&mut |request, sink| client.call(request, sink), number, customers))
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        // Where it cannot be asked it is gone already; its data are of no use to anybody.
        let _down = self.stop();
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
