//! A new branch in one step: proves its account, fetches a snapshot, and is a project that can be started.
//!
//! Parts of the snapshot are kept as they come, so that a join that was broken off fetches none of them again. The branch
//! can work before its history is here; a short one comes with the join, a long one while the node runs.

mod incoming;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mytism_app::surroundings::Machine;
use mytism_app::{App, Identity};
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, Hash, NodeId};
use mytism_proto::PeerMessage;
use mytism_store::StoreError;
use mytism_store::sqlite::SqliteStore;
use mytism_transport::connection::{PeerConnection, Purpose};
use mytism_transport::connector::connect;
use mytism_transport::identity::NodeKey;
use tokio::sync::mpsc;

use crate::account::{Account, EXPORTER_LABEL};
use crate::head::blocking;
use crate::history;
use crate::ledger::FileLedger;
use crate::line::{Line, LineEnd};
use crate::lock::hold;
use crate::markers;
use crate::project::{Project, file_failure, write_durably};
use crate::setup::{Ports, header, set, set_ports};
use crate::unfinished;
use incoming::Incoming;
pub(crate) use incoming::clear as clear_incoming;

/// What a new branch shall be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JoinOptions {
    /// The project directory; must not hold a finished project.
    pub directory: PathBuf,
    /// The account file.
    pub account: PathBuf,
    /// Must be the name in the account file, where it is given.
    pub name: Option<String>,
    /// Ports to write into the configuration.
    pub ports: Ports,
    /// Bytes of history, as they are sent, that come with the join, and no more after that; the rest comes while the
    /// node runs.
    pub history_at_once: u64,
}

/// So much history comes with a join: it costs less than a second, and the node has no past otherwise for a while.
pub const HISTORY_AT_ONCE: u64 = 2 << 20;

/// How far a join is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinProgress {
    /// `waiting` for the snapshot to be made, `objects`, `indexes` or `history`.
    pub phase: &'static str,
    /// How many are here.
    pub done: u64,
    /// How many there will be.
    pub total: u64,
}

/// What was made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct JoinReport {
    /// The project directory.
    pub directory: PathBuf,
    /// The node's name.
    pub node: String,
    /// Name of the head office.
    pub head_office: String,
    /// Position of the snapshot.
    pub position: u64,
    /// Objects in it.
    pub objects: u64,
    /// Parts of it that were fetched.
    pub fetched: u64,
    /// Parts of it that were here already.
    pub kept: u64,
    /// Number of the first entry of the log that is here, where others are still to come.
    pub history_begin: Option<u64>,
}

const DEADLINE: Duration = Duration::from_secs(10);
/// Parts that are asked for and have not come yet.
const ON_THE_WAY: usize = 8;
/// Parts that have come and wait to be kept.
const WAITING: usize = 2;

/// Makes a branch. What a broken-off attempt left in the directory is used: the key, and the parts of the snapshot.
///
/// # Errors
/// When the account cannot be used, the head office cannot be reached, or the disk refuses.
pub fn join(options: &JoinOptions, progress: &mut dyn FnMut(JoinProgress)) -> Result<JoinReport, Failure> {
    let account = read_account(options)?;
    let project = Project::at(&options.directory);
    project.refuse_living()?;
    // Before the key is made: a second key in its place would be one that the head office does not know.
    let message = format!("another program is making a project in {}", options.directory.display());
    let _nobody_else = hold(&project.state().join("join.lock"), &message, "wait until it is done")?;
    unfinished::clear(&project)?;
    project.create()?;
    let key = load_or_make_key(&project)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed("no-runtime", format!("cannot start: {error}")))?;
    let mut fetched = runtime.block_on(fetch(&project, &account, &key, options, progress)).map_err(failure)?;
    let text = configuration(&account, fetched.identity.node, options.ports)?;
    // With the configuration the project is there.
    write_durably(&project.config_file(), text.as_bytes())?;
    markers::joined(&project);
    project.write_incarnation(fetched.identity.incarnation)?;
    incoming::clear(&project)?;
    fetched.report.directory.clone_from(&options.directory);
    Ok(JoinReport { node: account.name, head_office: account.head_office, ..fetched.report })
}

/// Reads an account file.
///
/// # Errors
/// When it is missing, or is none.
pub(crate) fn read_account_file(path: &Path) -> Result<Account, Failure> {
    // A pipe would be waited for, maybe for ever; what is not there is told below.
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(Failure::usage("wrong-account-file", format!("{} is no ordinary file", path.display()))
            .hint("name the file that `./mytism nodes add` exported at the head office"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| file_failure("read", path, &error))?;
    Account::from_text(&text)
}

/// The configuration of a new branch.
pub(crate) fn configuration(account: &Account, node: NodeId, ports: Ports) -> Result<String, Failure> {
    let mut text = header("branch");
    text = set(&text, "DBMan", "nodeName", &account.name)?;
    text = set(&text, "DBMan", "nodeNumber", &node.to_string())?;
    text = set(&text, "DBMan", "authoritative", "0")?;
    text = set(&text, "SyncService", "headOffice", &account.addresses.join(", "))?;
    text = set(&text, "SyncService", "headOfficeKey", &account.key.to_string())?;
    set_ports(&text, ports)
}

fn read_account(options: &JoinOptions) -> Result<Account, Failure> {
    let account = read_account_file(&options.account)?;
    match &options.name {
        Some(name) if *name != account.name => {
            let message = format!("the account file is for the branch {}, not for {name}", account.name);
            Err(Failure::refused("wrong-account", message).hint("leave --name out, or export an account for that name"))
        }
        _ => Ok(account),
    }
}

/// The key of a broken-off attempt is used again, since the head office may know it already.
pub(crate) fn load_or_make_key(project: &Project) -> Result<NodeKey, Failure> {
    let path = project.key_file();
    let wrong = |error: String| Failure::failed("key-error", error);
    if path.exists() {
        return NodeKey::load(&path).map_err(|error| wrong(error.to_string()));
    }
    let key = NodeKey::generate().map_err(|error| wrong(error.to_string()))?;
    key.save(&path).map_err(|error| wrong(error.to_string()))?;
    Ok(key)
}

struct Fetched {
    identity: Identity,
    report: JoinReport,
}

async fn fetch(
    project: &Project,
    account: &Account,
    key: &NodeKey,
    options: &JoinOptions,
    progress: &mut dyn FnMut(JoinProgress),
) -> Result<Fetched, LineEnd> {
    let connection = reach(account, key).await?;
    let stream = connection.open(Purpose::Bulk).await.map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let mut line = Line::new(stream);
    let exporter = connection.exporter(EXPORTER_LABEL).map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let proof = account.secret.verifier().proof(&exporter, &key.public());
    line.send(&PeerMessage::Join { name: account.name.clone(), proof })?;
    let PeerMessage::JoinAccept { node, incarnation, blocks, .. } = line.first().await? else {
        return Err(unexpected());
    };
    let identity = Identity { name: account.name.clone(), node, incarnation, authoritative: false };
    let blocks: Vec<_> = blocks.into_iter().filter_map(BlockId::from_number).collect();
    progress(JoinProgress { phase: "waiting", done: 0, total: 0 });
    let PeerMessage::Snapshot { manifest } = line.next().await? else { return Err(unexpected()) };
    let prepared = project.clone();
    let (incoming, missing) = blocking(move || {
        free_place(&prepared).map_err(LineEnd::Own)?;
        let incoming = Incoming::begin(&prepared, &manifest).map_err(LineEnd::Own)?;
        let missing = incoming.missing().map_err(LineEnd::Own)?;
        Ok((incoming, missing))
    })
    .await?;
    let mut report = JoinReport {
        position: incoming.manifest().position.number,
        objects: incoming.manifest().objects,
        fetched: missing.len() as u64,
        kept: (incoming.manifest().parts.len() - missing.len()) as u64,
        ..JoinReport::default()
    };
    receive(&incoming, missing, &identity, blocks, &mut line, progress).await?;
    report.history_begin = past(project, options, &mut line, progress).await?;
    line.send(&PeerMessage::Done {})?;
    line.finish().await;
    connection.shut_down(0, "").await;
    Ok(Fetched { identity, report })
}

/// Connects to the head office of an account.
pub(crate) async fn reach(account: &Account, key: &NodeKey) -> Result<PeerConnection, LineEnd> {
    let mut failed = Vec::new();
    for address in &account.addresses {
        match connect(address, key, account.key, DEADLINE).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        failed.push("the account file names no address".to_owned());
    }
    Err(LineEnd::Lost(failed.join("\n")))
}

/// Fetches the parts that are missing while what is here already is loaded.
async fn receive(
    incoming: &Incoming,
    missing: Vec<Hash>,
    identity: &Identity,
    blocks: Vec<BlockId>,
    line: &mut Line,
    progress: &mut dyn FnMut(JoinProgress),
) -> Result<(), LineEnd> {
    let total = incoming.manifest().objects;
    let (arrived, arriving) = mpsc::channel(WAITING);
    let (told, mut loaded) = mpsc::unbounded_channel();
    let (place, listed) = (incoming.clone(), missing.clone());
    let mut loading = tokio::task::spawn_blocking(move || place.load(&listed, arriving, &told));
    let mut done = 0;
    let fetching = async {
        let fetched = fetch_parts(&missing, line, &arrived).await;
        // Whoever loads learns by this that no more will come.
        drop(arrived);
        fetched
    };
    tokio::pin!(fetching);
    let mut fetched = None;
    let loader = loop {
        tokio::select! {
            biased;
            Some(count) = loaded.recv() => {
                done += count;
                progress(JoinProgress { phase: "objects", done, total });
            }
            ended = &mut fetching, if fetched.is_none() => fetched = Some(ended),
            ended = &mut loading => break ended,
        }
    };
    // A line that broke is the reason for what was not loaded.
    if let Some(Err(end)) = fetched {
        return Err(end);
    }
    let loader =
        loader.map_err(|_| LineEnd::Lost("loading the snapshot broke off".to_owned()))?.map_err(LineEnd::Own)?;
    progress(JoinProgress { phase: "indexes", done: total, total });
    let (place, identity) = (incoming.clone(), identity.clone());
    blocking(move || place.finish(loader, &identity, &blocks).map_err(LineEnd::Own)).await
}

/// Asks for parts, some at a time, and hands on what comes, in the same order.
async fn fetch_parts(missing: &[Hash], line: &mut Line, arrived: &mpsc::Sender<Vec<u8>>) -> Result<(), LineEnd> {
    let mut asked = 0;
    for (came, due) in missing.iter().enumerate() {
        // Half of what may be on the way is asked for at once, so that the other half is what comes meanwhile.
        if asked - came <= ON_THE_WAY / 2 {
            let hashes: Vec<Hash> = missing.iter().skip(asked).take(ON_THE_WAY / 2).copied().collect();
            asked += hashes.len();
            if !hashes.is_empty() {
                line.send(&PeerMessage::ChunkWant { hashes })?;
            }
        }
        match line.next().await? {
            PeerMessage::Chunk { hash, data, compressed: false } if hash == *due => {
                if arrived.send(data).await.is_err() {
                    // Loading has failed, and tells why.
                    return Ok(());
                }
            }
            PeerMessage::ChunkMissing { .. } => {
                let message = "the head office has lost a part of its snapshot and makes another one";
                return Err(LineEnd::Own(
                    Failure::failed("damaged-snapshot", message).hint("run the same command again"),
                ));
            }
            _ => return Err(unexpected()),
        }
    }
    Ok(())
}

/// Fetches history, but no more than shall come at once; returns where it begins here then.
async fn past(
    project: &Project,
    options: &JoinOptions,
    line: &mut Line,
    progress: &mut dyn FnMut(JoinProgress),
) -> Result<Option<u64>, LineEnd> {
    let opened = project.clone();
    let app = blocking(move || open(&opened).map_err(LineEnd::Own)).await?;
    let Some(below) = app.history_begin()? else { return Ok(None) };
    let total = below.saturating_sub(1);
    let told = |begin: u64| progress(JoinProgress { phase: "history", done: below - begin, total });
    history::ask(&app, line, below, options.history_at_once, told).await?;
    Ok(app.history_begin()?)
}

fn open(project: &Project) -> Result<Arc<App>, Failure> {
    let store = SqliteStore::open(&project.data()).map_err(|error| error.failure())?;
    let schema = store.schema();
    let machine = Machine::with_ledger(FileLedger::at(project.numbers_file()));
    App::open(Arc::new(store), schema, Arc::new(machine)).map(Arc::new).map_err(|error| error.failure())
}

/// Takes away the database that a broken-off attempt left, but not what has arrived.
fn free_place(project: &Project) -> Result<(), Failure> {
    check_worthless(project)?;
    for name in ["objects.db", "objects.db-wal", "objects.db-shm", "objects.db-journal", "lock"] {
        let path = project.data().join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file_failure("remove", &path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether nothing would be lost with the data of an attempt: they are of a branch, and none of it waits to be sent, or
/// they were broken off while they were made. What is damaged may be anything.
fn check_worthless(project: &Project) -> Result<(), Failure> {
    let store = match SqliteStore::open(&project.data()) {
        Ok(store) => store,
        Err(StoreError::Missing { .. } | StoreError::Unfinished { .. }) => return Ok(()),
        Err(error) => return Err(error.failure()),
    };
    let schema = store.schema();
    let machine = Machine::with_ledger(FileLedger::at(project.numbers_file()));
    let app = match App::open(Arc::new(store), schema, Arc::new(machine)) {
        Ok(app) => app,
        Err(error) if error.failure().code == "unfinished-database" => return Ok(()),
        Err(error) => return Err(error.failure()),
    };
    let waiting = app.view().and_then(|view| Ok(view.pending_count()?)).map_err(|error| error.failure())?;
    if app.identity().authoritative || waiting > 0 { Err(project.without_configuration()) } else { Ok(()) }
}

fn unexpected() -> LineEnd {
    mytism_sync::Violation::unexpected("something that is no part of a join").into()
}

/// What to tell of a line that ended.
pub(crate) fn failure(end: LineEnd) -> Failure {
    match end {
        LineEnd::Own(failure) => failure,
        LineEnd::Rejected { code, message } => Failure::refused(&code, message),
        LineEnd::Lost(reason) => Failure::unreachable("head-office-unreachable", reason).hint(
            "check that the head office runs and that UDP or TCP reaches its port; then run the same command again",
        ),
        LineEnd::Violation(violation) => Failure::failed(violation.code, violation.message),
        LineEnd::Again | LineEnd::Resting | LineEnd::Stopping => {
            Failure::failed("interrupted", "the join was interrupted")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::make_directory;

    #[test]
    fn data_of_a_head_office_are_never_thrown_away() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        make_directory(&project.data()).unwrap();
        check_worthless(&project).unwrap();
        let schema = Arc::new(mytism_schema::project(None).unwrap());
        let store = Arc::new(SqliteStore::create(&project.data(), Arc::clone(&schema)).unwrap());
        drop(App::create_head_office(store, schema, Arc::new(Machine::default()), "hamburg").unwrap());
        assert_eq!(check_worthless(&project).unwrap_err().code, "project-exists");
    }
}
