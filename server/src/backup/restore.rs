//! A backup takes the place of the data of a node.
//!
//! It is restored beside them first and looked at as a whole; only then anybody is asked, and only what is whole takes
//! the place of what is there. The old data stay beside it, and a backup of them is made too where they can be read.
//! What was restored knows that it was: a head office waits for its branches, a branch begins a new life. Ids and
//! numbers go on above whatever the notes beside the old data and those in the backup say.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Zoned;
use mytism_app::soundness::{Difference, differences};
use mytism_app::{App, AppError, numbers};
use mytism_core::failure::Failure;
use mytism_store::View;

use super::contents::Files;
use super::manifest::{Manifest, Within};
use super::place::{Place, check_user};
use super::switch::{self, Exchange, INCARNATION, NEW, OLD};
use super::{Held, NUMBERS, Progress, contents, find, hold, make, remove, sync, unpack, verify};
use crate::bookmark::Bookmark;
use crate::database;
use crate::node::in_use;
use crate::project::{Project, file_failure, make_directory, write_durably};

/// Bytes that must be free beyond what is known to be needed: for what the engine writes while it opens.
const SPARE_BYTES: u64 = 8 << 20;

/// What a restore will do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Name of the backup.
    pub name: String,
    /// What the backup says of itself.
    pub backup: Manifest,
    /// What is there now.
    pub present: Present,
    /// What becomes of objects; empty where nothing is there, or it cannot be read.
    pub differences: Vec<Difference>,
    /// Bytes that it takes on the disk.
    pub needs: u64,
    /// Bytes that were free before it began.
    pub free: u64,
    /// The node's key, where it is missing: no backup holds it, and the node cannot start without it.
    pub missing_key: Option<PathBuf>,
}

/// What is in the place where a backup is restored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Present {
    /// No data.
    Nothing,
    /// Data that cannot be opened, and why.
    Broken(String),
    /// A node.
    Node {
        /// Number of the last entry of its log.
        position: u64,
        /// Transactions that wait for the head office and will be gone.
        pending: u64,
        /// Entries behind the backup that will be gone here; `None` where its log goes another way than the backup's.
        later: Option<u64>,
    },
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// The backup that was made of the data that were there, where they could be read.
    pub safety: Option<String>,
    /// Where the old data are, where there were any.
    pub old: Option<PathBuf>,
    /// Branches for which the head office waits when it starts.
    pub waits_for: Vec<String>,
}

/// A backup that lies restored beside the data of its node, and is whole. Dropping it takes that away again; nothing was
/// changed then.
pub struct Restore {
    contents: Option<Wanted>,
    project: Project,
    plan: Plan,
    exchange: Exchange,
    waits_for: Vec<String>,
    /// The node that is there, where one is and it can be read.
    live: Option<App>,
    _data: Option<Held>,
    lock: Held,
    _new: Staged,
    /// Behind all others, since it takes away the directory that they are in.
    traces: Traces,
}

/// What is made for looking alone in a place where nothing was. It goes with this value.
struct Traces(Vec<PathBuf>);

impl Traces {
    fn before(project: &Project) -> Self {
        let state = project.state();
        let made = [state.join("restore.lock"), state, project.directory().to_owned()];
        Self(made.into_iter().filter(|path| !path.exists()).collect())
    }

    /// What was made is needed.
    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        for path in &self.0 {
            // A directory in which something is stays.
            let _gone = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
        }
    }
}

/// A directory that goes with this value.
pub(super) struct Staged(PathBuf);

impl Staged {
    /// Makes it.
    pub(super) fn make(project: &Project, exchange: &Exchange) -> Result<Self, Failure> {
        let staged = Self(Place::of(project)?.directory().join(&exchange.new));
        make_directory(&staged.0)?;
        Ok(staged)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Lets what is in it take the place of what is there.
    pub(super) fn switch(self, project: &Project, exchange: &Exchange, lock: &Held) -> Result<(), Failure> {
        let place = Place::of(project)?;
        for directory in [&self.0.join("data"), &self.0.join("state"), &self.0, place.directory()] {
            sync(directory)?;
        }
        let done = exchange.carry_out(project, lock);
        if done.is_err() && switch::is_noted(project) {
            // It is needed to complete the exchange.
            std::mem::forget(self);
        }
        done
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What remains is taken away by the next restore.
        let _remains = fs::remove_dir_all(&self.0);
    }
}

impl Restore {
    /// Restores a backup beside the data and looks at all of it. The node must not run, and does not start meanwhile.
    ///
    /// # Errors
    /// When the backup cannot be used, is of another node, or there is no room; when the node runs. Nothing was changed.
    pub fn prepare(directory: &Path, name: &str, progress: &mut Progress<'_>) -> Result<Self, Failure> {
        let project = Project::at(directory);
        database::refuse_server(&project, "restore a backup")?;
        let backup = find(&project, name)?;
        let manifest = Manifest::read(&backup)?;
        if manifest.kind != Manifest::NODE {
            let message = format!("{} sets up a branch, and takes the place of no node's data", backup.display());
            return Err(Failure::refused("other-node", message));
        }
        check_user(&project)?;
        let traces = Traces::before(&project);
        let lock = switch::lock(&project)?;
        switch::finish_under(&project, &lock)?;
        clear(&project)?;
        let place = Place::of(&project)?;
        place.check_movable()?;
        let Found { live, data, broken } = present(&project)?;
        check_owner(&project, &manifest, live.as_ref())?;
        check_role(&project, &manifest, live.as_ref())?;
        let free = free_bytes(project.directory())?;
        let needs = needed(&project, &manifest, live.is_some());
        check_room(needs, free, project.directory())?;
        check_room(manifest.unpacked(), free_bytes(place.directory())?, place.directory())?;
        let exchange = new_exchange(&project)?;
        let new = Staged::make(&project, &exchange)?;
        unpack::unpack(&backup, &manifest, &new.0, progress).map_err(|failure| failure.within(&backup))?;
        let contents = wanted(&project, &backup, &new.0, progress).map_err(|failure| failure.within(&backup))?;
        let files = contents.as_ref().map_or(Ok(0), |wanted| wanted.needs(&project, live.is_some()))?;
        let needs = needs.saturating_add(files);
        // What is unpacked lies on the disk already.
        let room = (needs.saturating_sub(manifest.unpacked()), free_bytes(project.directory())?);
        check_room(room.0, room.1, project.directory())?;
        merge_numbers(&project, &new.0)?;
        let staged = Staging { project: &project, manifest: &manifest, new: &new.0, live: live.as_ref() };
        let (differences, waits_for) = staged.bring_to_life(progress).map_err(|failure| failure.within(&backup))?;
        let present = match (&live, broken) {
            (Some(app), _) => describe(app, &manifest).map_err(|error| error.failure())?,
            (None, Some(why)) => Present::Broken(why),
            (None, None) => Present::Nothing,
        };
        let key = project.key_file();
        let missing_key = (!key.exists()).then_some(key);
        let name = name.to_owned();
        let plan = Plan { name, backup: manifest, present, differences, needs, free, missing_key };
        Ok(Self { contents, project, plan, exchange, waits_for, live, _data: data, lock, _new: new, traces })
    }

    /// What will be done.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Lets what was restored take the place of what is there.
    ///
    /// # Errors
    /// When the disk refuses. Either nothing was changed then, or the exchange is completed at the next start.
    pub fn carry_out(self, progress: &mut Progress<'_>) -> Result<Restored, Failure> {
        let Self { contents, project, exchange, waits_for, live, _data: data, lock, _new: new, traces, .. } = self;
        let safety = live.as_ref().map(|app| make(&project, app, progress)).transpose()?.map(|made| made.name);
        let had_live = live.is_some();
        // The node that is there lets go of its data; nobody else may take them.
        drop(live);
        let _data = if had_live { Some(hold_data(&project)?) } else { data };
        // They are in nobody's way, whatever becomes of the rest.
        if let Some(Wanted { files, store, vault }) = contents {
            files.copy(&store, &vault)?;
        }
        let old = Place::of(&project)?.directory().join(&exchange.old);
        traces.keep();
        new.switch(&project, &exchange, &lock)?;
        let old = Some(old).filter(|old| old.exists());
        Ok(Restored { safety, old, waits_for })
    }
}

/// The directories of an exchange that begins now.
pub(super) fn new_exchange(project: &Project) -> Result<Exchange, Failure> {
    let place = Place::of(project)?;
    let stamp = free_stamp(&place);
    Ok(Exchange { new: place.beside(&format!("{NEW}{stamp}")), old: place.beside(&format!("{OLD}{stamp}")) })
}

/// Contents of files, and from where to where they go.
struct Wanted {
    files: Files,
    store: PathBuf,
    vault: PathBuf,
}

/// The contents that a backup wants. Each must be with the backups or here already.
fn wanted(
    project: &Project,
    backup: &Path,
    new: &Path,
    progress: &mut Progress<'_>,
) -> Result<Option<Wanted>, Failure> {
    let configuration = if project.exists() { project.directory() } else { new };
    let Some(vault) = contents::vault(project, configuration) else { return Ok(None) };
    let wanted = Wanted { files: Files::read(new)?, store: contents::store_of(backup), vault };
    wanted.files.check(&[&wanted.store, &wanted.vault])?;
    wanted.files.prove(&wanted.store, Some(&wanted.vault), progress)?;
    Ok(Some(wanted))
}

impl Wanted {
    /// Bytes that they take in the project, and those that the safety backup keeps. Contents on another disk than the
    /// project's are counted for that disk alone.
    fn needs(&self, project: &Project, has_live: bool) -> Result<u64, Failure> {
        let comes = self.files.missing_at(&self.vault);
        let safety = if has_live {
            Files::of(&self.vault)?.missing_at(&contents::store_of(&project.backups().join(NEW)))
        } else {
            0
        };
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        if self.vault.exists() && device(&self.vault) != device(project.directory()) {
            check_room(comes, free_bytes(&self.vault)?, &self.vault)?;
            return Ok(safety);
        }
        Ok(comes.saturating_add(safety))
    }
}

/// What is restored beside the data, before anybody is asked.
struct Staging<'s> {
    project: &'s Project,
    manifest: &'s Manifest,
    new: &'s Path,
    live: Option<&'s App>,
}

impl Staging<'_> {
    /// Opens it, looks at all of it, and lets it know that it was put back. Returns in what it differs from what is
    /// there, and for which branches it will wait.
    fn bring_to_life(&self, progress: &mut Progress<'_>) -> Result<(Vec<Difference>, Vec<String>), Failure> {
        let failure = |error: AppError| error.failure();
        let app = verify::open(&self.new.join("data"), &self.new.join(NUMBERS))?;
        verify::prove(&app, self.manifest, progress)?;
        let found = match self.live {
            Some(live) => {
                let (before, after) = (live.view().map_err(failure)?, app.view().map_err(failure)?);
                differences(app.schema(), &*before, &*after).map_err(failure)?
            }
            None => Vec::new(),
        };
        let noted = Bookmark::read(self.project).ok().flatten().map_or(0, |noted| noted.epoch());
        let known = self.live.map(|live| live.view().and_then(|view| Ok(view.head()?)).map_err(failure)).transpose()?;
        let known = known.flatten().map_or(0, |head| head.position.epoch);
        app.put_back(noted.max(known)).map_err(failure)?;
        let waits_for = app.missing_answers().map_err(failure)?;
        let note = Bookmark::of(&app).map_err(failure)?.to_text();
        app.stop();
        drop(app);
        write_durably(&self.new.join(INCARNATION), note.as_bytes())?;
        Ok((found, waits_for))
    }
}

/// Takes away what broken-off restores left.
pub(super) fn clear(project: &Project) -> Result<(), Failure> {
    directories(project, NEW)?.iter().try_for_each(|path| remove(path))
}

/// The directories beside the data of a project whose names go on so behind theirs.
fn directories(project: &Project, ending: &str) -> Result<Vec<PathBuf>, Failure> {
    let place = Place::of(project)?;
    let (path, beginning) = (place.directory(), place.beside(ending));
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file_failure("read", path, &error)),
    };
    let named = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&beginning));
    let mut found: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

/// What is there.
#[derive(Default)]
struct Found {
    live: Option<App>,
    /// The lock of the data, where no node holds it.
    data: Option<Held>,
    /// Why data that are there cannot be opened.
    broken: Option<String>,
}

/// The node that is there, or the lock of its data and why it cannot be opened.
fn present(project: &Project) -> Result<Found, Failure> {
    if !project.data().exists() {
        return Ok(Found::default());
    }
    match verify::open(&project.data(), &project.numbers_file()) {
        Ok(app) => Ok(Found { live: Some(app), ..Found::default() }),
        Err(failure) if failure.code == "project-in-use" => {
            Err(in_use(project).hint("stop it with `./mytism stop`, then restore"))
        }
        Err(failure) => {
            let is_empty = failure.code == "no-project";
            let broken = (!is_empty).then_some(failure.message);
            Ok(Found { live: None, data: Some(hold_data(project)?), broken })
        }
    }
}

fn hold_data(project: &Project) -> Result<Held, Failure> {
    let failure = in_use(project);
    hold(&project.lock_file(), &failure.message, "stop it with `./mytism stop`, then restore")
}

/// Refuses a backup of another node than the one that lives here.
fn check_owner(project: &Project, manifest: &Manifest, live: Option<&App>) -> Result<(), Failure> {
    let other = |here: String| {
        let message = format!(
            "the backup is of the node {} (number {}) of another place; here lives {here}",
            manifest.node, manifest.number
        );
        Err(Failure::refused("other-node", message).hint("restore it into a directory of its own: --project DIR"))
    };
    if let Some(app) = live {
        let identity = app.identity();
        let cluster = app.cluster().map_err(|error| error.failure())?.to_string();
        let is_same = identity.name == manifest.node && identity.node.0 == manifest.number;
        if !is_same || cluster != manifest.cluster {
            return other(format!("{} (number {})", identity.name, identity.node));
        }
        return Ok(());
    }
    if !project.exists() {
        return Ok(());
    }
    let config = project.config()?;
    match config.node_name {
        Some(name) if name != manifest.node => other(name),
        _ => Ok(()),
    }
}

/// Refuses a backup from before the node was promoted, or became a branch: its configuration and the nodes around it
/// have changed with it, and it would not start.
fn check_role(project: &Project, manifest: &Manifest, live: Option<&App>) -> Result<(), Failure> {
    let is_head = match live {
        Some(app) => app.identity().authoritative,
        None if project.exists() => project.config()?.authoritative,
        None => return Ok(()),
    };
    let word = |is_head: bool| if is_head { "the head office" } else { "a branch" };
    let was_head = manifest.role == "authoritative";
    if is_head == was_head {
        return Ok(());
    }
    let message = format!(
        "the backup was made while {} was {}, and it is {} now; nothing was changed",
        manifest.node,
        word(was_head),
        word(is_head)
    );
    let hint = "restore it into a directory of its own, with --project DIR and a copy of keys/node.key: it comes with the configuration of its time";
    Err(Failure::refused("other-role", message).hint(hint))
}

/// Two notes of ids and numbers become one.
fn merge_numbers(project: &Project, new: &Path) -> Result<(), Failure> {
    let read = |path: &Path| match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_failure("read", path, &error)),
    };
    let path = new.join(NUMBERS);
    let merged = match (read(&path)?, read(&project.numbers_file())?) {
        (Some(backup), Some(here)) => numbers::ledger::merge(&backup, &here),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return Ok(()),
    };
    make_directory(&new.join("state"))?;
    write_durably(&path, &merged)
}

/// What is there, held against a backup.
fn describe(app: &App, backup: &Manifest) -> Result<Present, AppError> {
    let view = app.view()?;
    let position = view.head()?.map_or(0, |head| head.position.number);
    let shared = view.log_row(backup.position)?.is_some_and(|row| row.hash.to_string() == backup.hash);
    let later = if shared { Some(position - backup.position) } else { reaches(&*view, backup)?.then_some(0) };
    Ok(Present::Node { position, pending: view.pending_count()?, later })
}

/// Whether a backup holds all of a log and more, as far as the numbers say.
fn reaches(view: &dyn View, backup: &Manifest) -> Result<bool, AppError> {
    Ok(view.head()?.is_none_or(|head| head.position.number < backup.position && head.position.epoch <= backup.epoch))
}

/// Bytes that a restore takes: what is unpacked, and the safety backup with the copy that it is packed from.
fn needed(project: &Project, manifest: &Manifest, has_live: bool) -> u64 {
    let size = |path: PathBuf| fs::metadata(path).map_or(0, |found| found.len());
    let live = if has_live { size(project.data().join("objects.db")) } else { 0 };
    manifest.unpacked().saturating_add(live.saturating_mul(2)).saturating_add(SPARE_BYTES)
}

/// Bytes that are free where a directory is.
///
/// # Errors
/// When the system does not tell.
pub(super) fn free_bytes(directory: &Path) -> Result<u64, Failure> {
    let told = rustix::fs::statvfs(directory).map_err(|error| file_failure("look at", directory, &error.into()))?;
    Ok(told.f_bavail.saturating_mul(told.f_frsize))
}

/// Refuses where there is too little room.
pub(super) fn check_room(needs: u64, free: u64, directory: &Path) -> Result<(), Failure> {
    if needs <= free {
        return Ok(());
    }
    let message =
        format!("{needs} bytes are needed in {}, and {free} are free; nothing was changed", directory.display());
    Err(Failure::failed("disk-full", message).hint("make room, or restore to another disk"))
}

/// A moment in words under which nothing is kept yet.
fn free_stamp(place: &Place) -> String {
    let base = Zoned::now().strftime("%Y-%m-%d-%H%M%S").to_string();
    let is_free = |stamp: &String| !place.directory().join(place.beside(&format!("{OLD}{stamp}"))).exists();
    let mut numbers = 2_u32..;
    let mut stamp = base.clone();
    while !is_free(&stamp) {
        stamp = format!("{base}-{}", numbers.next().unwrap_or_default());
    }
    stamp
}

/// Takes away the old data that restores left, and what those left that were broken off. Returns the directories that
/// are gone.
///
/// # Errors
/// When there is no project, or the disk refuses.
pub fn forget(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let project = Project::at(directory);
    project.check_exists()?;
    let lock = switch::lock(&project)?;
    switch::finish_under(&project, &lock)?;
    let mut old = directories(&project, OLD)?;
    old.extend(directories(&project, NEW)?);
    old.iter().try_for_each(|path| remove(path))?;
    Ok(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_before_anything_happens() {
        let directory = Path::new("p");
        check_room(9, 9, directory).unwrap();
        let failure = check_room(10, 9, directory).unwrap_err();
        assert_eq!(failure.code, "disk-full");
        assert!(failure.message.contains("10 bytes"), "{failure:?}");
        assert!(free_bytes(Path::new(".")).unwrap() > 0);
    }
}
