//! A backup of the head office becomes one that sets up a branch: what every node holds, and nothing that is the head
//! office's alone, neither its life and ids, nor what it noted of others, nor its settings.
//!
//! It is prepared for one branch that the backup knows and that has not joined. On its machine it is restored beside the
//! account file of that branch; the node enrols with the account when it starts, which works once, and follows the head
//! office from where the backup ends.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Zoned;
use mytism_app::snapshot::{Loader, Snapshot};
use mytism_app::{App, AppError, Context, Identity};
use mytism_core::failure::Failure;
use mytism_core::id::{Hash, NodeId, Position};
use mytism_core::operation::{Reply, Request};
use mytism_core::schema::Schema;
use mytism_store::Store;
use mytism_store::sqlite::SqliteStore;

use super::make::Packer;
use super::manifest::{Manifest, Packed, Within, damaged};
use super::place::check_user;
use super::switch::{self, INCARNATION};
use super::{CONFIG, Phase, Progress, Step, check_place, find, remove, restore, sync, unpack, verify};
use crate::account::{ACCOUNT_FILE, Account};
use crate::join::{configuration, read_account_file};
use crate::project::{Project, file_failure, make_directory, write_durably};
use crate::setup::Ports;

/// Behind the name of the backup that it was made of.
const SUFFIX: &str = "_for_node_setup";
/// The schema in its stored form.
const SCHEMA: &str = "snapshot/schema";
/// Objects, a part as it is loaded.
const OBJECTS: &str = "snapshot/objects";
/// Entries of the log, a part as it is loaded.
const ENTRIES: &str = "snapshot/entries";
/// The life of a branch that has not enrolled.
pub(crate) const NOT_ENROLLED: u32 = 0;

/// What was prepared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// Name of the backup.
    pub name: String,
    /// The branch that it sets up.
    pub node: String,
    /// Number of the last entry of the log.
    pub position: u64,
    /// Objects in it.
    pub objects: u64,
    /// Bytes that it takes.
    pub bytes: u64,
}

/// Makes a backup that sets up a branch of one of the head office. `node` names the branch where more than one has not
/// joined.
///
/// # Errors
/// When the backup cannot be used or is no head office's, or when it knows no such branch.
pub fn prepare(
    directory: &Path,
    name: &str,
    node: Option<&str>,
    progress: &mut Progress<'_>,
) -> Result<Prepared, Failure> {
    check_place(directory)?;
    let project = Project::at(directory);
    let backup = find(&project, name)?;
    let manifest = Manifest::read(&backup)?;
    if manifest.kind != Manifest::NODE || manifest.role != "authoritative" {
        let message = format!("{} is no backup of a head office, and a branch is set up from one", backup.display());
        return Err(Failure::refused("not-authoritative", message).hint("make one there: `./mytism backup`"));
    }
    check_user(&project)?;
    make_directory(&project.backups())?;
    let free = restore::free_bytes(&project.backups())?;
    restore::check_room(manifest.unpacked().saturating_mul(2), free, &project.backups())?;
    let base = backup.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = format!("{base}{SUFFIX}");
    let scratch = project.backups().join(format!(".setup-{}", std::process::id()));
    remove(&scratch)?;
    let made: Result<Manifest, Failure> = (|| {
        make_directory(&scratch)?;
        unpack::unpack(&backup, &manifest, &scratch, progress).map_err(|failure| failure.within(&backup))?;
        let app = verify::open(&scratch.join("data"), &scratch.join(super::NUMBERS))?;
        let branch = choose(&app, node, &base)?;
        let target = scratch.join("backup");
        make_directory(&target)?;
        let made = write(&app, &manifest, branch, &target, progress)?;
        remove(&project.backups().join(&name))?;
        let place = project.backups().join(&name);
        fs::rename(&target, &place).map_err(|error| file_failure("rename", &target, &error))?;
        sync(&project.backups())?;
        Ok(made)
    })();
    let removed = remove(&scratch);
    let made = made?;
    removed?;
    let bytes = made.packed();
    Ok(Prepared { name, node: made.node, position: made.position, objects: made.objects, bytes })
}

/// The branch that shall be set up: its name and number.
fn choose(app: &App, wanted: Option<&str>, backup: &str) -> Result<(String, u32), Failure> {
    let mut branches = Vec::new();
    app.call(&Context::local(), Request::Nodes, &mut |reply| {
        if let Reply::Node(line) = reply
            && line.role == "branch"
        {
            branches.push(line);
        }
        Ok(())
    })?;
    if let Some(joined) = branches.iter().find(|line| line.joined && Some(line.name.as_str()) == wanted) {
        let message = format!("{} has joined already", joined.name);
        return Err(Failure::refused("node-exists", message).hint("add another node: `./mytism nodes add`"));
    }
    branches.retain(|line| !line.joined && wanted.is_none_or(|wanted| line.name == wanted));
    match &branches[..] {
        [one] => Ok((one.name.clone(), one.number)),
        [] => {
            let what =
                wanted.map_or_else(|| "a branch that has not joined".to_owned(), |name| format!("the node {name}"));
            let message = format!("the backup {backup} does not know {what}: it was made before the node was added");
            let hint = "add the node with `./mytism nodes add`, make a new backup, and prepare that one";
            Err(Failure::refused("backup-too-old", message).hint(hint))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|line| line.name.as_str()).collect();
            let message = format!("the backup knows several branches that have not joined: {}", names.join(", "));
            Err(Failure::usage("wrong-use", message).hint("say which one it is for: --node NAME"))
        }
    }
}

fn write(
    app: &App,
    of: &Manifest,
    (node, number): (String, u32),
    target: &Path,
    progress: &mut Progress<'_>,
) -> Result<Manifest, Failure> {
    let failure = |error: AppError| error.failure();
    let mut snapshot = app.snapshot().map_err(failure)?;
    let head = snapshot.head;
    let mut packer = Packer::new(target);
    let schema = mytism_format::schema::write(app.schema().def());
    let schema = schema.map_err(|error| AppError::from(error).failure())?;
    let schema = packer.pack(SCHEMA, schema.as_slice(), target, &mut |_| {})?;
    let total = snapshot.objects().map_err(failure)?;
    let mut done = 0;
    let mut step = |count: u64| {
        done += count;
        progress(Step { phase: Phase::Making, done, total: total + head.position.number });
    };
    let objects = parts(&mut packer, OBJECTS, &mut snapshot, Snapshot::next_objects, &mut step)?;
    let entries = parts(&mut packer, ENTRIES, &mut snapshot, Snapshot::next_entries, &mut step)?;
    let made = Manifest {
        kind: Manifest::NODE_SETUP.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        made: Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        node,
        number,
        role: "branch".to_owned(),
        incarnation: NOT_ENROLLED,
        pending: 0,
        blobs: 0,
        missing: 0,
        files: vec![schema, objects, entries],
        ..of.clone()
    };
    made.write(target)?;
    sync(target)?;
    Ok(made)
}

/// Packs what a snapshot gives part by part, so that a part is packed as it is loaded.
fn parts(
    packer: &mut Packer,
    path: &str,
    snapshot: &mut Snapshot,
    next: impl Fn(&mut Snapshot) -> Result<Option<mytism_app::snapshot::Part>, AppError>,
    step: &mut dyn FnMut(u64),
) -> Result<Packed, Failure> {
    let mut packed = Packed { path: path.to_owned(), bytes: 0, parts: Vec::new() };
    while let Some(part) = next(snapshot).map_err(|error| error.failure())? {
        packed.parts.push(packer.part(&part.bytes)?);
        packed.bytes += part.bytes.len() as u64;
        step(part.count);
    }
    Ok(packed)
}

/// Whether a backup is one that sets up a branch.
///
/// # Errors
/// `unknown-backup`, `backup-damaged`, `newer-backup`.
pub fn is_for_setup(directory: &Path, name: &str) -> Result<bool, Failure> {
    let backup = find(&Project::at(directory), name)?;
    Ok(Manifest::read(&backup)?.kind == Manifest::NODE_SETUP)
}

/// Makes the project of a branch of a prepared backup, with the account file that lies in its directory. The node enrols
/// when it starts.
///
/// # Errors
/// When there is a node already, the account file is missing or another one's, or the backup cannot be used. Nothing of
/// it is left then.
pub fn set_up(directory: &Path, name: &str, progress: &mut Progress<'_>) -> Result<Prepared, Failure> {
    let project = Project::at(directory);
    let backup = find(&project, name)?;
    let manifest = Manifest::read(&backup)?;
    check_user(&project)?;
    let lock = switch::lock(&project)?;
    switch::finish_under(&project, &lock)?;
    project.refuse_living()?;
    if project.data().exists() {
        return Err(project.without_configuration());
    }
    restore::clear(&project)?;
    let account = account(&project, &manifest)?;
    let free = restore::free_bytes(project.directory())?;
    restore::check_room(manifest.unpacked().saturating_mul(2), free, project.directory())?;
    let exchange = restore::new_exchange(&project)?;
    let new = restore::Staged::make(&project, &exchange)?;
    load(&backup, &manifest, new.path(), progress).map_err(|failure| failure.within(&backup))?;
    make_directory(&new.path().join("state"))?;
    write_durably(&new.path().join(INCARNATION), format!("{NOT_ENROLLED}\n").as_bytes())?;
    let text = configuration(&account, account.node, Ports::default())?;
    write_durably(&new.path().join(CONFIG), text.as_bytes())?;
    new.switch(&project, &exchange, &lock)?;
    let Manifest { node, position, objects, .. } = &manifest;
    Ok(Prepared {
        name: name.to_owned(),
        node: node.clone(),
        position: *position,
        objects: *objects,
        bytes: manifest.packed(),
    })
}

/// The account of the branch that the backup sets up.
fn account(project: &Project, manifest: &Manifest) -> Result<Account, Failure> {
    let path = project.directory().join(ACCOUNT_FILE);
    if !path.exists() {
        let message = format!("{} is missing, with which {} joins", path.display(), manifest.node);
        let hint = "bring the file that `./mytism nodes add` exported at the head office to this place";
        return Err(Failure::usage("wrong-account-file", message).hint(hint));
    }
    let account = read_account_file(&path)?;
    if account.name == manifest.node && account.node.0 == manifest.number {
        return Ok(account);
    }
    let message = format!("the account file is for {}, the backup sets up {}", account.name, manifest.node);
    Err(Failure::refused("wrong-account", message).hint("prepare a backup for that one: --node"))
}

/// Fills a database with what the backup holds. It belongs to the branch then, which has no life yet.
pub(super) fn load(backup: &Path, manifest: &Manifest, new: &Path, progress: &mut Progress<'_>) -> Result<(), Failure> {
    let failure = |error: AppError| error.failure();
    let file = |path: &str| {
        let found = manifest.files.iter().find(|file| file.path == path);
        found.ok_or_else(|| damaged(&format!("its manifest names no {path}")))
    };
    let mut schema = Vec::new();
    for part in &file(SCHEMA)?.parts {
        schema.extend(unpack::content(backup, part)?);
    }
    let schema = mytism_format::schema::read(&schema).map_err(|error| AppError::from(error).failure())?;
    let schema = Schema::new(schema).map_err(|_| damaged("its schema does not hold"))?;
    let data = new.join("data");
    make_directory(&data)?;
    let store = SqliteStore::create(&data, Arc::new(schema)).map_err(|error| error.failure())?;
    let store: Arc<dyn Store> = Arc::new(store);
    let mut loader = Loader::new(store);
    let total = manifest.unpacked();
    let mut done = 0;
    for path in [OBJECTS, ENTRIES] {
        for part in &file(path)?.parts {
            let bytes = unpack::content(backup, part)?;
            let loaded = if path == OBJECTS { loader.objects(&bytes) } else { loader.entries(&bytes) };
            let _count = loaded.map_err(failure)?;
            done += part.unpacked;
            progress(Step { phase: Phase::Unpacking, done, total });
        }
    }
    let hash = hash_of(&manifest.hash).ok_or_else(|| damaged("its manifest names no hash of the log"))?;
    let position = Position { epoch: manifest.epoch, number: manifest.position };
    let identity = Identity {
        name: manifest.node.clone(),
        node: NodeId(manifest.number),
        incarnation: NOT_ENROLLED,
        authoritative: false,
    };
    loader.finish(&identity, &[], position, hash).map_err(failure)
}

/// A hash from its 64 digits.
fn hash_of(text: &str) -> Option<Hash> {
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Vec<u8> = text.as_bytes().as_chunks::<2>().0.iter().map(byte).collect::<Option<_>>()?;
    bytes.try_into().ok().map(Hash)
}
