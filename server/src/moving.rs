//! The data of a project, moved from one engine to the other while the node rests.
//!
//! The new database is filled and read again in full before the configuration names it; until then the old one counts,
//! and it stays where it is. Whoever is broken off begins anew, or, where the new one is whole, only changes the name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mytism_core::failure::Failure;
use mytism_core::schema::Schema;
use mytism_store::postgres::{PostgresFilling, PostgresStore};
use mytism_store::sqlite::{SqliteFilling, SqliteStore};
use mytism_store::transfer::{self, Content};
use mytism_store::{Filling, Store, StoreError, View};

use crate::backup;
use crate::config::{Config, Database, Process, check, read_text};
use crate::database;
use crate::node::in_use;
use crate::project::{Project, file_failure, make_directory, write_durably};
use crate::setup::set;

/// What was moved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Where the data were, and still are.
    pub from: String,
    /// Where they are from now on.
    pub to: String,
    /// What is there, as read from both.
    pub content: Content,
}

/// How far it is: a phase, `copy` or `verify`, what is done of it and what there is in all.
pub type MovingProgress<'p> = dyn FnMut(&'static str, u64, u64) + 'p;

/// Moves the data of a project: to the PostgreSQL database of an address, else to files in the project directory. Its
/// node must not run.
///
/// # Errors
/// When the node runs, the data are there already, the new place holds others, or one of them fails. The project goes on
/// with the old ones then.
pub fn move_data(directory: &Path, url: Option<&str>, progress: &mut MovingProgress<'_>) -> Result<Moved, Failure> {
    let project = Project::at(directory);
    backup::check_user(&project)?;
    let before = project.config()?.database();
    let text = changed(&project, url)?;
    let after = read(&project, &text)?.database();
    if let (Some(url), Some(database)) = (url, &after)
        && database.url.reveal() != url
    {
        let message = "the environment names another address than --url, and it would count: nothing was moved";
        return Err(Failure::usage("wrong-use", message).hint("unset MYTISM_DBMAN_URL, or leave out what differs"));
    }
    let place = |database: Option<&Database>| database::place(&project, database);
    let (from, to) = (place(before.as_ref()), place(after.as_ref()));
    if from == to {
        let message = format!("the data are in {to} already");
        return Err(Failure::refused("store-already", message).hint("nothing is to move"));
    }
    let (store, schema) = database::open(&project).map_err(|error| match error {
        database::Opening::Store(StoreError::InUse { path }) if path == project.lock_file() => in_use(&project),
        other => other.failure(),
    })?;
    let failed = |error: StoreError| error.failure();
    let view = store.view().map_err(failed)?;
    // Beside the data, so that it can be put among them by its name.
    let aside = project.data().join("moving");
    make_directory(&aside)?;
    let content = match &after {
        Some(database) => to_server(&*view, &schema, database, &aside, progress),
        None => to_files(&*view, &schema, &aside, progress),
    }?;
    drop(view);
    // The lock of the project goes with the store, and nobody may come between.
    if after.is_none() {
        put_in_place(&aside, &project.data())?;
    }
    write_durably(&project.config_file(), text.as_bytes())?;
    drop(store);
    let removed = fs::remove_dir_all(&aside);
    removed.map_err(|error| file_failure("remove", &aside, &error))?;
    Ok(Moved { from, to, content })
}

/// The configuration as it shall be.
fn changed(project: &Project, url: Option<&str>) -> Result<String, Failure> {
    let text = read_text(&project.config_file()).map_err(|problems| first(&problems))?;
    match url {
        Some(url) => set(&set(&text, "DBMan", "store", "postgres")?, "DBMan", "url", url),
        None => set(&text, "DBMan", "store", "sqlite"),
    }
}

fn read(project: &Project, text: &str) -> Result<Config, Failure> {
    let file = project.config_file().display().to_string();
    let (config, problems) = check(text, &file, &Process::of(project.directory()));
    if problems.iter().any(crate::config::ConfigProblem::is_error) { Err(first(&problems)) } else { Ok(config) }
}

fn first(problems: &[crate::config::ConfigProblem]) -> Failure {
    let found = problems.iter().find(|problem| problem.is_error());
    found.map_or_else(|| Failure::failed("config-unreadable", "the configuration cannot be read"), Failure::from)
}

fn to_server(
    view: &dyn View,
    schema: &Arc<Schema>,
    database: &Database,
    aside: &Path,
    progress: &mut MovingProgress<'_>,
) -> Result<Content, Failure> {
    let failed = |error: StoreError| error.failure();
    let options = database::options(database).map_err(failed)?;
    let copied = match PostgresFilling::create(None, &options, Arc::clone(schema)) {
        Ok(filling) => {
            let mut filling = Box::new(filling);
            let copied = transfer::copy(view, &mut *filling, &mut |done, all| progress("copy", done, all));
            let copied = copied.map_err(failed)?;
            filling.finish().map_err(failed)?;
            copied
        }
        // One that was whole, and whose name was not written: whether it is the same is seen below.
        Err(StoreError::Exists { .. }) => {
            transfer::content(view, &mut |done, all| progress("copy", done, all)).map_err(failed)?
        }
        Err(error) => return Err(error.failure()),
    };
    let store = PostgresStore::open(aside, &options).map_err(failed)?;
    verify(&store, copied, &options.name(), progress)
}

fn to_files(
    view: &dyn View,
    schema: &Arc<Schema>,
    aside: &Path,
    progress: &mut MovingProgress<'_>,
) -> Result<Content, Failure> {
    let failed = |error: StoreError| error.failure();
    remove_files(aside)?;
    let mut filling = Box::new(SqliteFilling::create(aside, Arc::clone(schema)).map_err(failed)?);
    let copied = transfer::copy(view, &mut *filling, &mut |done, all| progress("copy", done, all)).map_err(failed)?;
    filling.finish().map_err(failed)?;
    let store = SqliteStore::open(aside).map_err(failed)?;
    verify(&store, copied, &aside.display().to_string(), progress)
}

/// Reads everything of the new database and compares it with what was read of the old one.
fn verify(
    store: &dyn Store,
    copied: Content,
    name: &str,
    progress: &mut MovingProgress<'_>,
) -> Result<Content, Failure> {
    let view = store.view().map_err(|error| error.failure())?;
    let found = transfer::content(&*view, &mut |done, all| progress("verify", done, all));
    let found = found.map_err(|error| error.failure())?;
    if found == copied {
        return Ok(found);
    }
    let message = format!("{name} holds other data than the project: {found:?} in the place of {copied:?}");
    Err(Failure::refused("store-differs", message).hint(
        "where that is an earlier copy, empty that database and try again; the project goes on with its old data",
    ))
}

fn files(directory: &Path) -> [PathBuf; 4] {
    ["objects.db", "objects.db-wal", "objects.db-shm", "objects.db-journal"].map(|name| directory.join(name))
}

fn remove_files(directory: &Path) -> Result<(), Failure> {
    for file in files(directory) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(file_failure("remove", &file, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Puts a database that is closed among the data; one that is there is of a time before, and does not count.
fn put_in_place(aside: &Path, data: &Path) -> Result<(), Failure> {
    remove_files(data)?;
    let ([from, ..], [to, ..]) = (files(aside), files(data));
    fs::rename(&from, &to).map_err(|error| file_failure("rename", &from, &error))?;
    let synced = fs::File::open(data).and_then(|directory| directory.sync_all());
    synced.map_err(|error| file_failure("sync", data, &error))
}
