//! A backup of a node: consistent at one position of the log, while saves go on.
//!
//! The database is copied from a view of one commit, cut into parts, packed, and taken away again; the note of ids and
//! numbers is read after that, so that it is never behind the database. All of it is written to a directory of another
//! name, which gets its own when it is whole and safe.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Zoned;
use mytism_app::{App, AppError};
use mytism_core::failure::Failure;
use mytism_core::operation::BackedUp;
use mytism_core::schema::Kind;
use mytism_format::hash;

use super::manifest::{Manifest, Packed, Part};
use super::{CONFIG, DATABASE, Held, NUMBERS, Phase, Progress, Step, contents, hold, remove, sync};
use crate::config::{comment_out, without_secrets};
use crate::project::{Project, file_failure, make_directory};

/// Bytes of a part before it is packed. Two of them are in memory at a time.
const PART_BYTES: u64 = 8 << 20;
/// How hard parts are packed; higher numbers take much longer for little.
const LEVEL: i32 = 3;
/// How the directory of a backup is called while it is made: with this behind a dot and its name.
const UNFINISHED: &str = ".new";
/// Backups that may begin within one minute.
const IN_A_MINUTE: u32 = 1_000;

/// Makes a backup of the node whose inside this is.
///
/// # Errors
/// When another one is being made, or the disk refuses. Nothing of it is left then.
pub(crate) fn make(project: &Project, app: &App, progress: &mut Progress<'_>) -> Result<BackedUp, Failure> {
    let backups = project.backups();
    make_directory(&backups)?;
    let busy = format!("a backup of {} is being made already", project.directory().display());
    let _lock: Held = hold(&backups.join(".lock"), &busy, "wait until it is done")?;
    clear(&backups)?;
    let now = Zoned::now();
    let name = free_name(project, &now)?;
    let unfinished = backups.join(format!(".{name}{UNFINISHED}"));
    make_directory(&unfinished)?;
    let made = fill(project, app, &now, &unfinished, progress).and_then(|manifest| {
        let target = backups.join(&name);
        fs::rename(&unfinished, &target).map_err(|error| file_failure("rename", &unfinished, &error))?;
        sync(&backups)?;
        Ok(BackedUp {
            position: manifest.position,
            objects: manifest.objects,
            blobs: manifest.blobs,
            bytes: manifest.bytes_in(&target),
            name,
        })
    });
    if made.is_err() {
        // The failure is what is reported; what remains is taken away by the next one.
        let _remains = fs::remove_dir_all(&unfinished);
    }
    made
}

/// How directories are called in which a backup is looked at or made into another one, before the number of the process.
const SCRATCH: [&str; 2] = [".verify-", ".setup-"];

/// Whether a directory is left of a process that is gone.
fn is_left_over(name: &str) -> bool {
    let process = SCRATCH.iter().find_map(|beginning| name.strip_prefix(beginning));
    process.is_some_and(|process| !Path::new("/proc").join(process).exists())
}

/// Takes away what broken-off backups left. To be called under the lock.
fn clear(backups: &Path) -> Result<(), Failure> {
    let entries = fs::read_dir(backups).map_err(|error| file_failure("read", backups, &error))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(UNFINISHED) || is_left_over(&name) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// `mytism_2026-11-23-0144`, with a number behind it for the second one within a minute.
fn free_name(project: &Project, now: &Zoned) -> Result<String, Failure> {
    let base = format!("{}_{}", project.name(), now.strftime("%Y-%m-%d-%H%M"));
    let names = std::iter::once(base.clone()).chain((2..IN_A_MINUTE).map(|number| format!("{base}-{number}")));
    let free = names.into_iter().find(|name| !project.backups().join(name).exists());
    free.ok_or_else(|| Failure::failed("file-error", format!("there are {IN_A_MINUTE} backups {base} already")))
}

fn fill(
    project: &Project,
    app: &App,
    now: &Zoned,
    unfinished: &Path,
    progress: &mut Progress<'_>,
) -> Result<Manifest, Failure> {
    let failure = |error: AppError| error.failure();
    let view = app.view().map_err(failure)?;
    let identity = app.identity();
    let head = view.head().map_err(|error| error.failure())?;
    let head =
        head.ok_or_else(|| Failure::failed("empty-log", "the log of this node is empty; nothing is to back up"))?;
    let counted = |count: Result<u64, mytism_store::StoreError>| count.map_err(|error| error.failure());
    let (objects, pending) = (counted(view.object_count())?, counted(view.pending_count())?);
    let copy = unfinished.join("objects.db");
    let mut copying = |done: u64, total: u64| {
        progress(Step { phase: Phase::Making, done, total: total.saturating_mul(2) });
    };
    view.copy_to(&copy, &mut copying).map_err(|error| error.failure())?;
    drop(view);
    let bytes = size(&copy);
    let mut packer = Packer::new(unfinished);
    let mut packing = |done: u64| {
        progress(Step { phase: Phase::Making, done: bytes + done, total: bytes.saturating_mul(2) });
    };
    let opened = File::open(&copy).map_err(|error| file_failure("read", &copy, &error))?;
    let mut files = vec![packer.pack(DATABASE, opened, &copy, &mut packing)?];
    fs::remove_file(&copy).map_err(|error| file_failure("remove", &copy, &error))?;
    let (kept, missing) = contents(project, app, unfinished)?;
    for (path, text) in [
        (NUMBERS, text_of(&project.numbers_file())?),
        (CONFIG, configuration(project)?),
        (contents::LIST, kept.as_ref().map(|kept| kept.to_text().into_bytes())),
    ] {
        if let Some(text) = text {
            files.push(packer.pack(path, text.as_slice(), unfinished, &mut |_| {})?);
        }
    }
    let manifest = Manifest {
        format: Manifest::format(),
        kind: Manifest::NODE.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        made: now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        node: identity.name,
        number: identity.node.0,
        role: if identity.authoritative { "authoritative" } else { "branch" }.to_owned(),
        incarnation: identity.incarnation,
        cluster: app.cluster().map_err(failure)?.to_string(),
        schema: format!("{} {}", app.schema().def().name, app.schema().def().version),
        position: head.position.number,
        epoch: head.position.epoch,
        hash: head.hash.to_string(),
        objects,
        pending,
        blobs: kept.map_or(0, |kept| kept.contents()),
        missing,
        files,
    };
    manifest.write(unfinished)?;
    sync(unfinished)?;
    Ok(manifest)
}

/// Keeps the contents of files that are here now, among which are all that the database names and that had come; and how
/// many it names that are not here.
fn contents(project: &Project, app: &App, unfinished: &Path) -> Result<(Option<contents::Files>, u64), Failure> {
    let Some(vault) = contents::vault(project, project.directory()) else { return Ok((None, 0)) };
    let files = contents::Files::of(&vault)?;
    files.copy(&vault, &contents::store_of(unfinished))?;
    let missing = missing(app, &vault, &files)?;
    Ok(((files.contents() > 0).then_some(files), missing))
}

/// How many contents objects name that are not in the vault.
fn missing(app: &App, vault: &Path, listed: &contents::Files) -> Result<u64, Failure> {
    let mut members = app.schema().entities().flat_map(|entity| &entity.members);
    if !members.any(|member| member.kind == Kind::Blob) {
        return Ok(0);
    }
    let mut missing = HashSet::new();
    let (here, mut after) = (listed.names(), 0);
    while let Some((blobs, last)) = app.contents_of_objects(after).map_err(|error| error.failure())? {
        let names = blobs.iter().map(|blob| blob.hash().to_string());
        missing.extend(names.filter(|name| !here.contains(name.as_str())));
        after = last;
    }
    if missing.is_empty() {
        return Ok(0);
    }
    // What was saved since the vault was listed is no loss.
    let now = contents::Files::of(vault)?;
    let now = now.names();
    missing.retain(|name| !now.contains(name.as_str()));
    if !missing.is_empty() {
        let (count, place) = (missing.len(), vault.display());
        tracing::warn!("{count} contents of files that objects name are not in {place}, and not in the backup");
    }
    Ok(missing.len() as u64)
}

/// The content of a file that need not be there.
fn text_of(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_failure("read", path, &error)),
    }
}

fn configuration(project: &Project) -> Result<Option<Vec<u8>>, Failure> {
    let text = text_of(&project.config_file())?;
    // A backup holds files of the embedded engine, wherever the data are.
    let kept = |text: Vec<u8>| comment_out(&without_secrets(&String::from_utf8_lossy(&text)), "DBMan", "store");
    Ok(text.map(|text| kept(text).into_bytes()))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// Cuts files into parts, which are numbered through.
pub(super) struct Packer {
    directory: PathBuf,
    parts: u32,
}

impl Packer {
    /// Begins in a directory.
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), parts: 0 }
    }

    /// Packs what a reader gives; `from` is told where it cannot be read.
    pub(super) fn pack(
        &mut self,
        path: &str,
        mut reader: impl Read,
        from: &Path,
        done: &mut dyn FnMut(u64),
    ) -> Result<Packed, Failure> {
        let mut packed = Packed { path: path.to_owned(), bytes: 0, parts: Vec::new() };
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let read = reader.by_ref().take(PART_BYTES).read_to_end(&mut buffer);
            read.map_err(|error| file_failure("read", from, &error))?;
            if buffer.is_empty() {
                return Ok(packed);
            }
            packed.parts.push(self.part(&buffer)?);
            packed.bytes += buffer.len() as u64;
            done(packed.bytes);
        }
    }

    /// Packs one part.
    pub(super) fn part(&mut self, bytes: &[u8]) -> Result<Part, Failure> {
        self.parts += 1;
        let file = format!("{:06}.zst", self.parts);
        let path = self.directory.join(&file);
        let packed = zstd::bulk::compress(bytes, LEVEL).map_err(|error| file_failure("pack", &path, &error))?;
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(&packed)?;
            file.sync_all()
        });
        written.map_err(|error| file_failure("write", &path, &error))?;
        let hash = hash::chunk(&packed).to_string();
        Ok(Part { file, bytes: packed.len() as u64, unpacked: bytes.len() as u64, hash })
    }
}
