//! The running node, from boot to shutdown.
//!
//! The order of boot: configuration, database under its lock, life of the node, key, listening, followers; only then it
//! says that it is ready. Shutdown goes the other way, and every save that was acknowledged is on the disk before.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mytism_app::surroundings::{Machine, Surroundings};
use mytism_app::{App, Context};
use mytism_core::failure::Failure;
use mytism_core::id::{Hash, NodeId, Position};
use mytism_core::operation::{Closed, Reply, Request};
use mytism_core::time::Timestamp;
use mytism_store::StoreError;
use mytism_transport::connection::PeerConnection;
use mytism_transport::identity::{NodeKey, PublicKey};
use mytism_transport::listener::Listener;
use mytism_transport::local;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::net::lookup_host;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backup;
use crate::batches::Batches;
use crate::bookmark::{self, Bookmark};
use crate::branch;
use crate::check;
use crate::config::{Config, Listen, Live};
use crate::contents::{self, Contents};
use crate::database::{self, Opening};
use crate::enrol;
use crate::head;
use crate::history;
use crate::holder::holder;
use crate::housekeeping;
use crate::identity;
use crate::join;
use crate::ledger::FileLedger;
use crate::line::LineEnd;
use crate::markers;
use crate::peers::Peers;
use crate::presence::{self, Presence};
use crate::project::Project;
use crate::replica;
use crate::sessions;
use crate::settings::{OnLogLevel, Settings};
use crate::snapshots::Snapshots;
use crate::supervisor::Supervisor;
use crate::troubles::Troubles;

/// How long to wait for a command to let go of the data.
const COMMAND_PATIENCE: Duration = Duration::from_secs(10);
/// How long lines and clients may take to end. With the next one it is less than the 10 s in which a node is down.
const LINES_DEADLINE: Duration = Duration::from_secs(6);
/// How long work beside the tasks may take to end after that; what is not durable by then was not acknowledged.
const RUNTIME_DEADLINE: Duration = Duration::from_secs(2);

/// What a node says when it serves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ready {
    /// Its process.
    pub pid: u32,
    /// Its name.
    pub node: String,
    /// `authoritative` or `branch`.
    pub role: &'static str,
    /// Port without encryption, where the configuration names one.
    pub plain: Option<u16>,
    /// Port with encryption (QUIC over UDP, TLS over TCP); a branch listens to nobody.
    pub tls: Option<u16>,
    /// Port of the web pages; this version has none.
    pub http: Option<u16>,
}

/// What the parts of a running node share.
pub(crate) struct Shared {
    pub(crate) project: Project,
    pub(crate) app: Arc<App>,
    pub(crate) contents: Arc<Contents>,
    pub(crate) key: NodeKey,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) config: Config,
    /// What of the configuration may change while the node runs.
    pub(crate) live: watch::Sender<Arc<Live>>,
    pub(crate) peers: Peers,
    pub(crate) troubles: Troubles,
    /// What many branches are sent.
    pub(crate) batches: Batches,
    /// The end of the log after each commit; also sent when a branch saved something.
    pub(crate) commits: watch::Sender<Position>,
    /// At a branch: the connection to the head office while both talk.
    pub(crate) line_up: watch::Sender<Option<PeerConnection>>,
    /// Drawn at each start.
    pub(crate) run: u64,
    pub(crate) started: Timestamp,
    pub(crate) head_name: String,
    stop: watch::Sender<bool>,
    surroundings: Machine,
}

/// Becomes ready when the node shall go down.
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    pub(crate) async fn wait(&mut self) {
        // A sender that is gone is a node that is gone.
        let _ended = self.0.wait_for(|stop| *stop).await;
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.surroundings.now()
    }

    /// The settings that may change while the node runs, as they are now.
    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.borrow())
    }

    pub(crate) fn stopping(&self) -> Stopping {
        Stopping(self.stop.subscribe())
    }

    /// Whether the node goes down.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Lets the node go down.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
        self.app.release_followers();
    }

    /// Hash of the first entry of the log: the name of the cluster.
    pub(crate) fn cluster(&self) -> Result<Hash, LineEnd> {
        Ok(replica::cluster(&*self.app.view()?)?)
    }
}

/// Opens the node of a project: its database, checked against what stands beside it.
///
/// # Errors
/// When another process uses it, it is damaged, or it is an earlier life of the node.
pub(crate) fn open(project: &Project) -> Result<Arc<App>, Failure> {
    backup::check_user(project)?;
    backup::finish(project)?;
    let (store, schema) = database::open(project).map_err(|error| match error {
        Opening::Store(StoreError::InUse { path }) if path == project.lock_file() => in_use(project),
        // There is a project, so there was a database; a new one in its place would hide the loss.
        Opening::Store(StoreError::Missing { path }) => {
            let message = format!("{} is missing, though a node lives in this project", path.display());
            let hint = "put it back, or restore the last good backup; nothing was changed";
            Failure::failed("database-missing", message).hint(hint)
        }
        other => other.failure(),
    })?;
    let machine = Arc::new(Machine::with_ledger(FileLedger::at(project.numbers_file())));
    let app = App::open(store, schema, machine).map_err(|error| error.failure())?;
    app.on_warning(Box::new(|text| tracing::warn!("{text}")));
    bookmark::check(project, &app)?;
    Ok(Arc::new(app))
}

/// Waits for a command that works on the data of a node that does not run; a node that runs is not waited for.
fn open_patiently(project: &Project) -> Result<Arc<App>, Failure> {
    let begun = Instant::now();
    loop {
        match open(project) {
            Err(failure) if failure.code == "project-in-use" => {
                if is_running(project) || begun.elapsed() > COMMAND_PATIENCE {
                    return Err(failure);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// Whether it is the node that holds the data. What a killed one wrote about itself may still be there, and its number
/// may be another process's by now.
fn is_running(project: &Project) -> bool {
    match (Presence::read(project), holder(&project.lock_file())) {
        (Some(presence), Some(holder)) => presence.ready.pid == holder.pid,
        // Where the system does not tell who holds it.
        (presence, None) => presence.is_some(),
        (None, Some(_)) => false,
    }
}

pub(crate) fn in_use(project: &Project) -> Failure {
    let directory = project.directory().display();
    let presence = Presence::read(project).filter(|_| is_running(project));
    let holder = holder(&project.lock_file()).map(|holder| holder.to_string());
    let message = match (presence, holder) {
        (Some(Presence { ready: Ready { pid, node, .. }, .. }), holder) => {
            let holder = holder.unwrap_or_else(|| format!("process {pid}"));
            format!("{directory} is in use: its node {node} runs already, as {holder}")
        }
        (None, Some(holder)) => {
            format!("{directory} is in use by {holder}: its node starts, or a command works on its data")
        }
        (None, None) => format!("{directory} is in use: its node starts, or a command works on its data"),
    };
    let hint = "`./mytism status` tells whether the node runs, `./mytism stop` shuts it down";
    Failure::failed("project-in-use", message).hint(hint)
}

/// What is told while a node runs.
pub struct Hooks<'h> {
    /// Once, when it serves.
    pub ready: Box<dyn FnOnce(&Ready) + 'h>,
    /// Whenever another level of logging is wanted.
    pub log_level: OnLogLevel,
}

/// Runs a node until it is asked to stop, by a client, SIGTERM or SIGINT. A project that holds its configuration and
/// nothing else becomes a head office first.
///
/// # Errors
/// When it cannot start. Whatever happens later is in its log.
pub fn serve(directory: &Path, hooks: Hooks<'_>) -> Result<(), Failure> {
    let project = Project::at(directory);
    let config = project.config()?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    backup::finish(&project)?;
    identity::first_start(&project, &config)?;
    let app = open_patiently(&project)?;
    presence::clear(&project);
    enrol::at_start(&project, &app)?;
    identity::check(&project, &config, &app.identity())?;
    markers::check(&project, &app)?;
    app.lease_by(config.live.leases);
    let key = NodeKey::load(&project.key_file()).map_err(|error| Failure::failed("key-error", error.to_string()))?;
    identity::note_number(&project, &config, &app.identity());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
    let runtime = runtime.map_err(|error| Failure::failed("no-runtime", format!("cannot start: {error}")))?;
    let result = runtime.block_on(run(&project, config, Arc::clone(&app), key, hooks));
    app.stop();
    runtime.shutdown_timeout(RUNTIME_DEADLINE);
    // An older note is a good one too.
    if let Ok(bookmark) = Bookmark::of(&app) {
        let _kept = bookmark.write(&project);
    }
    result
}

async fn run(project: &Project, config: Config, app: Arc<App>, key: NodeKey, hooks: Hooks<'_>) -> Result<(), Failure> {
    identity::check_host_name(project, &config, &app).await?;
    join::clear_incoming(project)?;
    let shared = share(project, config, app, key)?;
    let authoritative = shared.app.identity().authoritative;
    let signals = Signals::new()?;
    let settings = Settings::new(project, hooks.log_level)?;
    let clients = local::bind(&project.socket()).await;
    let clients = clients.map_err(|error| {
        Failure::failed("socket-error", error.to_string())
            .hint("check that the project directory may be written and has room")
    })?;
    let mut tasks = JoinSet::new();
    let (mut tls, mut plain) = (None, None);
    if authoritative {
        let mut listener = listen(&shared).await?;
        plain = listen_plainly(&shared, &mut listener).await?;
        tls = listener.local_addr().ok().map(|address| address.port());
        tasks.spawn(head::listen(Arc::clone(&shared), listener));
    } else {
        let key = branch::head_key(&shared.config)?;
        tasks.spawn(history::complete(Arc::clone(&shared), key));
        tasks.spawn(branch::follow(Arc::clone(&shared), key));
        tasks.spawn(check::daily::daily(Arc::clone(&shared)));
    }
    tasks.spawn(sessions::listen(Arc::clone(&shared), clients));
    tasks.spawn(settings.watch(Arc::clone(&shared)));
    tasks.spawn(housekeeping::run(Arc::clone(&shared), project.clone()));
    tasks.spawn(contents::follow(Arc::clone(&shared), project.clone()));
    tasks.spawn(contents::sweep(Arc::clone(&shared), project.named_file()));
    let identity = shared.app.identity();
    let ready = Ready {
        pid: std::process::id(),
        node: identity.name.clone(),
        role: if authoritative { "authoritative" } else { "branch" },
        plain,
        tls,
        http: None,
    };
    let supervisor = Arc::new(Supervisor::new(|name| std::env::var_os(name), ready.pid));
    let told = presence::write(project, &ready)?;
    (hooks.ready)(&ready);
    supervisor.ready(&format!("{} serves ({})", identity.name, ready.role));
    tracing::info!("{} serves", identity.name);
    tasks.spawn(stay_alive(Arc::clone(&shared), Arc::clone(&supervisor)));
    until_asked(&shared, signals).await;
    tracing::info!("{} goes down", identity.name);
    supervisor.stopping();
    shared.stop();
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(LINES_DEADLINE, all_ended).await.is_err() {
        tracing::warn!("some lines did not end in time and are cut");
    }
    drop(told);
    Ok(())
}

fn share(project: &Project, config: Config, app: Arc<App>, key: NodeKey) -> Result<Arc<Shared>, Failure> {
    let contents = Contents::open(project, &config, &app)?;
    let (commits, _) = watch::channel(Position::default());
    let told = commits.clone();
    app.on_commit(Box::new(move |position| {
        told.send_replace(position);
    }));
    let surroundings = Machine::default();
    Ok(Arc::new(Shared {
        project: project.clone(),
        started: surroundings.now(),
        head_name: head_name(&app, &config),
        app,
        contents,
        key,
        snapshots: Snapshots::at(&project.data()),
        live: watch::Sender::new(Arc::new(config.live.clone())),
        config,
        peers: Peers::of(project),
        troubles: Troubles::default(),
        batches: Batches::default(),
        commits,
        line_up: watch::Sender::new(None),
        run: random_run()?,
        stop: watch::Sender::new(false),
        surroundings,
    }))
}

/// Tells the service manager that the node is alive, as often as it wants to hear it.
async fn stay_alive(shared: Arc<Shared>, supervisor: Arc<Supervisor>) {
    let Some(pause) = supervisor.alive_every() else { return };
    let mut stopping = shared.stopping();
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(pause) => supervisor.alive(),
        }
    }
}

/// What asks a node to go down from outside. Caught from the beginning, so that a node that is asked while it starts
/// goes down in order too.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let wait_for = |kind| signal(kind).map_err(|error| no_signals(&error));
        Ok(Self { terminate: wait_for(SignalKind::terminate())?, interrupt: wait_for(SignalKind::interrupt())? })
    }
}

pub(crate) fn no_signals(error: &std::io::Error) -> Failure {
    Failure::failed("no-signals", format!("cannot wait for signals: {error}"))
}

async fn until_asked(shared: &Shared, mut signals: Signals) {
    let mut stopping = shared.stopping();
    tokio::select! {
        _ = signals.terminate.recv() => {}
        _ = signals.interrupt.recv() => {}
        () = stopping.wait() => {}
    }
}

/// What the head office is called in messages: the name of the node with the key that the configuration names. The first
/// one has told nobody its key before it became a branch; it is the one that the nodes of the cluster say reigns.
fn head_name(app: &App, config: &Config) -> String {
    let mut found = None;
    let read = app.call(&Context::local(), Request::Nodes, &mut |reply| {
        if let Reply::Node(node) = reply {
            let known = app.known_number(NodeId(node.number)).ok().flatten();
            let key = known.and_then(|known| known.public_key.parse::<PublicKey>().ok());
            let is_named = key.is_some_and(|key| config.head_office_key == Some(*key.as_bytes()));
            if is_named || found.is_none() && node.role == "authoritative" {
                found = Some(node.name);
            }
            if is_named {
                return Err(Closed);
            }
        }
        Ok(())
    });
    read.ok().and(found).unwrap_or_else(|| "head office".to_owned())
}

fn random_run() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Failure::failed("no-randomness", "the system has no randomness to give"))?;
    Ok(u64::from_be_bytes(bytes))
}

async fn listen(shared: &Shared) -> Result<Listener, Failure> {
    let config = &shared.config;
    let address = place("tlsHost", &config.tls_host, config.tls_port).await?;
    Listener::bind(address, &shared.key, head::limits(&shared.live()), shared.config.tls_backlog).map_err(|error| {
        Failure::failed("port-in-use", error.to_string())
            .hint("choose another port: [SocketProtocol] tlsPort in mytism.ini")
    })
}

/// Listens without encryption too, where the configuration names a port for it.
async fn listen_plainly(shared: &Shared, listener: &mut Listener) -> Result<Option<u16>, Failure> {
    let config = &shared.config;
    let Some(port) = config.plain_port else { return Ok(None) };
    let address = place("host", &config.plain_host, port).await?;
    let bound = listener.bind_plain(address, &shared.key, config.plain_backlog).map_err(|error| {
        Failure::failed("port-in-use", error.to_string())
            .hint("choose another port, or leave it out: [SocketProtocol] port in mytism.ini")
    })?;
    if !bound.ip().is_loopback() {
        tracing::warn!("{bound} is open to other machines without encryption ([SocketProtocol] host)");
    }
    Ok(Some(bound.port()))
}

/// Where to listen; `key` says it.
async fn place(key: &str, listen: &Listen, port: u16) -> Result<SocketAddr, Failure> {
    Ok(match listen {
        Listen::All => SocketAddr::from(([0, 0, 0, 0], port)),
        Listen::Loopback => SocketAddr::from(([127, 0, 0, 1], port)),
        Listen::Host(host) => {
            let wrong = |error| Failure::failed("config-value", format!("[SocketProtocol] {key} = {host}: {error}"));
            let mut found = lookup_host((host.as_str(), port)).await.map_err(|error| wrong(error.to_string()))?;
            found.next().ok_or_else(|| wrong("it has no address".to_owned()))?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::hold;

    #[test]
    fn who_holds_the_data_is_the_node_or_a_command() {
        let root = tempfile::tempdir().unwrap();
        let project = Project::at(root.path());
        assert!(!is_running(&project));
        let _held = hold(&project.lock_file(), "held", "wait").unwrap();
        let ready = |pid| Ready { pid, node: "berlin".into(), role: "branch", plain: None, tls: None, http: None };
        // The first process of a machine runs always; it stands for one that got the number of a killed node.
        let _left = presence::write(&project, &ready(1)).unwrap();
        assert!(!is_running(&project));
        assert!(!in_use(&project).message.contains("runs already"), "{:?}", in_use(&project));
        let _own = presence::write(&project, &ready(std::process::id())).unwrap();
        assert!(is_running(&project));
        assert!(in_use(&project).message.contains("its node berlin runs already"), "{:?}", in_use(&project));
    }
}
