//! A new branch in one step: proves its account, fetches a snapshot, and is a project that can be started.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mytism_app::snapshot::Loader;
use mytism_app::surroundings::Machine;
use mytism_app::{App, AppError, Identity};
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, Hash, Position};
use mytism_core::schema::Schema;
use mytism_format::hash;
use mytism_proto::PeerMessage;
use mytism_store::sqlite::SqliteStore;
use mytism_store::{Store, StoreError};
use mytism_transport::connection::{PeerConnection, Purpose};
use mytism_transport::connector::connect;
use mytism_transport::identity::NodeKey;

use crate::account::{Account, EXPORTER_LABEL};
use crate::ledger::FileLedger;
use crate::line::{Line, LineEnd};
use crate::project::{Project, file_failure, make_directory, write_durably};
use crate::setup::{Ports, header, set, set_ports};
use crate::unfinished;

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
}

/// How far a join is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JoinProgress {
    /// `objects` or `history`.
    pub phase: &'static str,
    /// How many are here.
    pub done: u64,
    /// How many there will be.
    pub total: u64,
}

/// What was made.
#[derive(Clone, PartialEq, Eq, Debug)]
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
}

const DEADLINE: Duration = Duration::from_secs(10);
/// A part of a snapshot that grows beyond this when unpacked is refused.
const PART_BYTES_MAX: usize = 256 << 20;

/// Makes a branch. What a broken-off attempt left in the directory is used (the key) or made anew (the data).
///
/// # Errors
/// When the account cannot be used, the head office cannot be reached, or the disk refuses.
pub fn join(options: &JoinOptions, progress: &mut dyn FnMut(JoinProgress)) -> Result<JoinReport, Failure> {
    let account = read_account(options)?;
    let project = Project::at(&options.directory);
    unfinished::clear(&project)?;
    project.create()?;
    let key = load_or_make_key(&project)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed("no-runtime", format!("cannot start: {error}")))?;
    let fetched = runtime.block_on(fetch(&project, &account, &key, progress)).map_err(failure)?;
    let mut text = header("branch");
    text = set(&text, "DBMan", "nodeName", &account.name)?;
    text = set(&text, "DBMan", "nodeNumber", &fetched.identity.node.to_string())?;
    text = set(&text, "DBMan", "authoritative", "0")?;
    text = set(&text, "SyncService", "headOffice", &account.addresses.join(", "))?;
    text = set(&text, "SyncService", "headOfficeKey", &account.key.to_string())?;
    text = set_ports(&text, options.ports)?;
    // With the configuration the project is there.
    write_durably(&project.config_file(), text.as_bytes())?;
    project.write_incarnation(fetched.identity.incarnation)?;
    Ok(JoinReport {
        directory: options.directory.clone(),
        node: account.name,
        head_office: account.head_office,
        position: fetched.position.number,
        objects: fetched.objects,
    })
}

fn read_account(options: &JoinOptions) -> Result<Account, Failure> {
    let path: &Path = &options.account;
    let text = std::fs::read_to_string(path).map_err(|error| file_failure("read", path, &error))?;
    let account = Account::from_text(&text)?;
    match &options.name {
        Some(name) if *name != account.name => {
            let message = format!("the account file is for the branch {}, not for {name}", account.name);
            Err(Failure::refused("wrong-account", message).hint("leave --name out, or export an account for that name"))
        }
        _ => Ok(account),
    }
}

/// The key of a broken-off attempt is used again, since the head office may know it already.
fn load_or_make_key(project: &Project) -> Result<NodeKey, Failure> {
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
    position: Position,
    objects: u64,
}

async fn fetch(
    project: &Project,
    account: &Account,
    key: &NodeKey,
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
    let snapshot = receive(project, &mut line, progress).await?;
    let (position, objects) = (snapshot.position, snapshot.objects);
    snapshot.loader.finish(&identity, &blocks, position, snapshot.hash)?;
    line.send(&PeerMessage::Done {})?;
    line.finish().await;
    connection.shut_down(0, "").await;
    Ok(Fetched { identity, position, objects })
}

async fn reach(account: &Account, key: &NodeKey) -> Result<PeerConnection, LineEnd> {
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

struct Received {
    loader: Loader,
    position: Position,
    hash: Hash,
    objects: u64,
}

async fn receive(
    project: &Project,
    line: &mut Line,
    progress: &mut dyn FnMut(JoinProgress),
) -> Result<Received, LineEnd> {
    let PeerMessage::SnapshotBegin { position, hash, objects: total, entries, schema } = line.first().await? else {
        return Err(unexpected());
    };
    let definition = mytism_format::schema::read(&schema).map_err(AppError::from)?;
    let schema = Schema::new(definition).map_err(|problems| {
        let first = problems.first().map_or_else(String::new, ToString::to_string);
        LineEnd::Own(Failure::failed("schema-error", format!("the schema of the head office does not hold: {first}")))
    })?;
    let store = empty_store(project, schema)?;
    let mut loader = Loader::new(store);
    let (mut objects, mut history) = (0, 0);
    loop {
        match line.next().await? {
            PeerMessage::SnapshotObjects { chunk, hash, .. } => {
                objects += loader.objects(&unpack(&chunk, hash)?)?;
                progress(JoinProgress { phase: "objects", done: objects, total });
            }
            PeerMessage::SnapshotEntries { chunk, hash, .. } => {
                history += loader.entries(&unpack(&chunk, hash)?)?;
                progress(JoinProgress { phase: "history", done: history, total: entries });
            }
            PeerMessage::SnapshotEnd { objects: sent, entries: sent_entries } => {
                if (sent, sent_entries) != (objects, history) {
                    return Err(LineEnd::Own(Failure::failed(
                        "incomplete-snapshot",
                        "parts of the snapshot are missing",
                    )));
                }
                return Ok(Received { loader, position, hash, objects });
            }
            _ => return Err(unexpected()),
        }
    }
}

/// A store without content; one that a broken-off attempt left is thrown away.
fn empty_store(project: &Project, schema: Schema) -> Result<Arc<dyn Store>, LineEnd> {
    let data = project.data();
    if data.exists() {
        check_worthless(project).map_err(LineEnd::Own)?;
        std::fs::remove_dir_all(&data).map_err(|error| LineEnd::Own(file_failure("empty", &data, &error)))?;
    }
    make_directory(&data).map_err(LineEnd::Own)?;
    let store = SqliteStore::create(&data, Arc::new(schema)).map_err(AppError::from)?;
    Ok(Arc::new(store))
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

fn unpack(chunk: &[u8], expected: Hash) -> Result<Vec<u8>, LineEnd> {
    if hash::chunk(chunk) != expected {
        return Err(LineEnd::Own(Failure::failed("damaged-snapshot", "a part of the snapshot was damaged on its way")));
    }
    zstd::bulk::decompress(chunk, PART_BYTES_MAX)
        .map_err(|error| LineEnd::Own(Failure::failed("damaged-snapshot", format!("cannot unpack a part: {error}"))))
}

fn unexpected() -> LineEnd {
    mytism_sync::Violation::unexpected("something that is no part of a join").into()
}

fn failure(end: LineEnd) -> Failure {
    match end {
        LineEnd::Own(failure) => failure,
        LineEnd::Rejected { code, message } => Failure::refused(&code, message),
        LineEnd::Lost(reason) => Failure::unreachable("head-office-unreachable", reason)
            .hint("check that the head office runs and that UDP reaches its port; then run the same command again"),
        LineEnd::Violation(violation) => Failure::failed(violation.code, violation.message),
        LineEnd::Again | LineEnd::Resting | LineEnd::Stopping => {
            Failure::failed("interrupted", "the join was interrupted")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_part_that_was_damaged_on_its_way_is_refused() {
        let chunk = zstd::bulk::compress(b"objects", 1).unwrap();
        assert_eq!(unpack(&chunk, hash::chunk(&chunk)).unwrap(), b"objects");
        let refused = |chunk: &[u8], expected| failure(unpack(chunk, expected).unwrap_err()).code;
        assert_eq!(refused(&chunk[1..], hash::chunk(&chunk)), "damaged-snapshot");
        assert_eq!(refused(b"not packed", hash::chunk(b"not packed")), "damaged-snapshot");
    }
}
