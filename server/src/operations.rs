//! What clients may ask of a node: of a running one, and of one whose data are opened directly since it does not run.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mytism_app::check::Mended;
use mytism_app::surroundings::{Machine, Surroundings};
use mytism_app::{App, Context};
use mytism_core::failure::Failure;
use mytism_core::operation::{BackingUp, Checked, Operations, PeerStatus, Reply, Request, Sink, Status};
use tokio::runtime::Handle;

use crate::account::{Account, Secret};
use crate::backup;
use crate::check::{self, Scope};
use crate::config::{Address, Config, Live};
use crate::contents::{self, Contents};
use crate::database;
use crate::enrol;
use crate::node::{Shared, open};
use crate::peers::rest_lines;
use crate::project::{Project, room};
use crate::setup::{DEFAULT_TLS_PORT, host_name};

/// Pause between two reports of how far a backup is.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// A node that runs.
pub(crate) struct RunningNode(pub(crate) Arc<Shared>);

impl Operations for RunningNode {
    fn call(&self, request: Request, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let answered = self.answer(request, sink).map_err(|failure| match failure.code.as_str() {
            // Nobody below knows on which disk the data lie.
            "disk-full" if failure.hint.contains("nothing was changed") => {
                let hint = format!("{}; nothing was changed", room(&self.0.project.data()));
                failure.hint(hint)
            }
            _ => failure,
        });
        answered.inspect_err(|failure| self.0.troubles.note(failure, Instant::now()))
    }
}

impl RunningNode {
    fn answer(&self, request: Request, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let shared = &self.0;
        let reply = match request {
            Request::Status => Reply::Status(Box::new(self.status()?)),
            Request::CheckSync => Reply::Checked(self.check()?),
            Request::RestLines { rest } => {
                shared.peers.rest(rest, shared.now())?;
                tracing::info!("the lines of this node {}", if rest { "rest" } else { "are resumed" });
                Reply::Status(Box::new(self.status()?))
            }
            Request::AddNode { name, valid_days } => Reply::Account { file: self.add_node(&name, valid_days)? },
            Request::Backup { with_keys } => {
                let _all_stay = shared.contents.hold();
                return back_up(&shared.project, &shared.app, with_keys, sink);
            }
            Request::Stop => {
                shared.stop();
                Reply::Stopping
            }
            Request::PutContent { upload, data, end } => shared.contents.put(upload, &data, end)?,
            Request::GetContent { object, attribute, from } => {
                shared.contents.get(&shared.app, object, &attribute, from)?
            }
            other => {
                let contents = &shared.contents;
                return shared.app.call(&Context::local(), other, &mut |reply| sink(contents.marked(reply)));
            }
        };
        // Who asked may be gone by now; what was done stands.
        let _closed = sink(reply);
        Ok(())
    }

    fn status(&self) -> Result<Status, Failure> {
        let shared = &self.0;
        let mut status = shared.app.status().map_err(|error| error.failure())?;
        status.since = Some(shared.started);
        status.sync = self.lines()?;
        status.lines_rest = Some(shared.peers.resting().is_on());
        status.store = Some(database::engine(&shared.project));
        shared.contents.count(&mut status);
        Ok(status)
    }

    /// Compares what is here with the head office; a head office looks at its own log, and at its objects by that.
    fn check(&self) -> Result<Checked, Failure> {
        if self.0.app.identity().authoritative {
            return check_itself(&self.0.app);
        }
        // Requests are carried out beside the tasks, where waiting for one of them is allowed.
        let checked = Handle::current().block_on(check::compare(&self.0, Scope::Whole))?;
        check::daily::note(&self.0.project, &checked);
        Ok(checked)
    }

    /// The lines to other nodes: to the head office, or to all branches, also those that have not connected since the
    /// start.
    fn lines(&self) -> Result<Vec<PeerStatus>, Failure> {
        let shared = &self.0;
        if !shared.app.identity().authoritative {
            return Ok(shared.peers.of_nodes(std::slice::from_ref(&shared.head_name)));
        }
        let mut branches = Vec::new();
        shared.app.call(&Context::local(), Request::Nodes, &mut |reply| {
            if let Reply::Node(node) = reply
                && node.joined
                && node.role == "branch"
            {
                branches.push(node.name);
            }
            Ok(())
        })?;
        Ok(shared.peers.of_nodes(&branches))
    }

    fn add_node(&self, name: &str, valid_days: u32) -> Result<String, Failure> {
        let shared = &self.0;
        crate::setup::node_name(Some(name)).map_err(|failure| failure.hint("`./mytism nodes add NAME`"))?;
        self.refuse_alike(name)?;
        let secret = Secret::generate()?;
        let verifier = secret.verifier().to_text();
        let added = shared.app.add_node(&Context::local(), name, valid_days, &verifier);
        let added = added.map_err(|error| error.failure())?;
        let account = Account {
            name: name.to_owned(),
            node: added.node,
            head_office: shared.app.identity().name,
            addresses: addresses(&shared.config, &shared.live()),
            key: shared.key.public(),
            secret,
            valid_until: added.valid_until,
        };
        Ok(account.to_text())
    }
}

impl RunningNode {
    /// A name that differs from that of another node only in small and capital letters would lead people, and some file
    /// systems, to the wrong one.
    fn refuse_alike(&self, name: &str) -> Result<(), Failure> {
        let mut alike = None;
        self.0.app.call(&Context::local(), Request::Nodes, &mut |reply| {
            if let Reply::Node(node) = reply
                && node.name != name
                && node.name.to_lowercase() == name.to_lowercase()
            {
                alike = Some(node.name);
            }
            Ok(())
        })?;
        let Some(there) = alike else { return Ok(()) };
        let message = format!("there is a node {there}, and {name} differs from it only in small and capital letters");
        Err(Failure::refused("node-exists", message).hint("give it another name"))
    }
}

/// Where branches reach a node: as the configuration says, else under the machine's name and on this machine.
pub(crate) fn addresses(config: &Config, live: &Live) -> Vec<String> {
    if !live.advertise.is_empty() {
        return live.advertise.iter().map(ToString::to_string).collect();
    }
    let port = if config.tls_port == 0 { DEFAULT_TLS_PORT } else { config.tls_port };
    let host = host_name();
    let mut addresses = Vec::new();
    if Address::parse(&format!("{host}:{port}")).is_some() {
        addresses.push(format!("{host}:{port}"));
    }
    addresses.push(format!("127.0.0.1:{port}"));
    addresses
}

/// Makes a backup and says how far it is. Who asked may leave; it is made all the same.
fn back_up(project: &Project, app: &App, with_keys: bool, sink: &mut Sink<'_>) -> Result<(), Failure> {
    if with_keys {
        let message = "this version backs up no keys, since it cannot encrypt them";
        let hint = "leave --with-keys out, and keep a copy of keys/node.key in a safe place";
        return Err(Failure::usage("not-in-this-version", message).hint(hint));
    }
    let mut told = Instant::now();
    let made = backup::make(project, app, &mut |step| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let _closed = sink(Reply::BackingUp(BackingUp { done: step.done, total: step.total }));
        }
    })?;
    let _closed = sink(Reply::BackedUp(made));
    Ok(())
}

/// Whether the log of a node holds together by itself; where it does, its objects are held against it and mended.
fn check_itself(app: &App) -> Result<Checked, Failure> {
    let (entries, mut found) = app.check_log().map_err(|error| error.failure())?;
    let mut compared = entries;
    if found.missing + found.different > 0 {
        tracing::warn!("{} entries of the log are missing and {} are damaged", found.missing, found.different);
    } else {
        let (objects, mended) = app.check_objects().map_err(|error| error.failure())?;
        compared += objects;
        found = mended;
        if mended.missing + mended.different > 0 {
            let (missing, different) = (mended.missing, mended.different);
            tracing::warn!(
                "{missing} objects were missing and {different} were otherwise than the log says; they are good now"
            );
        }
    }
    let Mended { missing, different, repaired, .. } = found;
    Ok(Checked { peer: None, compared, missing, different, repaired })
}

/// A node that does not run.
struct Direct {
    app: Arc<App>,
    project: Project,
    contents: Arc<Contents>,
}

impl Direct {
    fn status(&self, lines_rest: bool) -> Result<Reply, Failure> {
        let mut status = self.app.status().map_err(|error| error.failure())?;
        status.store = Some(database::engine(&self.project));
        self.contents.count(&mut status);
        status.lines_rest = Some(lines_rest);
        Ok(Reply::Status(Box::new(status)))
    }
}

impl Operations for Direct {
    fn call(&self, request: Request, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let reply = match request {
            Request::PutContent { upload, data, end } => self.contents.put(upload, &data, end)?,
            Request::GetContent { object, attribute, from } => {
                let reply = self.contents.get(&self.app, object, &attribute, from)?;
                if matches!(&reply, Reply::ContentPart(part) if !part.here) {
                    let blob = self.app.blob_of(object, &attribute).map_err(|error| error.failure())?;
                    return Err(contents::not_here(&blob));
                }
                reply
            }
            Request::Status => self.status(self.project.rest_file().exists())?,
            Request::RestLines { rest } => {
                rest_lines(&self.project, rest, Machine::default().now())?;
                self.status(rest)?
            }
            Request::Backup { with_keys } => {
                backup::check_user(&self.project)?;
                return back_up(&self.project, &self.app, with_keys, sink);
            }
            // Nobody else changes anything where no node runs.
            Request::Live(_) => return Err(mytism_app::needs_running_node()),
            Request::CheckSync if self.app.identity().authoritative => Reply::Checked(check_itself(&self.app)?),
            other => {
                let contents = &self.contents;
                return self.app.call(&Context::local(), other, &mut |reply| sink(contents.marked(reply)));
            }
        };
        // Who asked may be gone by now; what was done stands.
        let _closed = sink(reply);
        Ok(())
    }
}

/// Opens the data of a project under its lock, for a node that does not run.
///
/// # Errors
/// When there is no project, or a process uses it.
pub fn direct(directory: &Path) -> Result<Box<dyn Operations>, Failure> {
    let project = Project::at(directory);
    let config = project.config()?;
    let app = open(&project)?;
    enrol::check_done(&app)?;
    app.lease_by(config.live.leases);
    let contents = Contents::open(&project, &config, &app)?;
    Ok(Box::new(Direct { app, contents, project }))
}
