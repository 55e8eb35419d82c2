//! Small files at the top of a project that say which checks are done. Where one is missing, its check runs at the next
//! start; so whoever wants it again takes the file away, and a restore takes away all of them.
//!
//! | file | what is done where it is missing |
//! |---|---|
//! | `.checked-metadata` | the tables are compared with the schema |
//! | `.checked-initialdata` | the users, groups and nodes are looked for without which no node works |
//! | `.checked-firstnodestart` | at a branch: its database must hold a log that replication can go on from |
//! | `.checked-integrity` | beside the work of the node: all of the database is read and the chain of its log followed |
//! | `.checked-sync` | at a branch: it is written when the head office has compared both logs; it says how far they are |
//! | `.init-keygen` | at a branch: its ids and leases are given up, and new ones asked for |
//!
//! What the checks look at is for the use cases to know.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use mytism_app::{App, AppError};
use mytism_core::failure::Failure;

use crate::project::{Project, file_failure, write_durably};

/// See the module.
const METADATA: &str = ".checked-metadata";
const INITIAL_DATA: &str = ".checked-initialdata";
const INTEGRITY: &str = ".checked-integrity";
const FIRST_START: &str = ".checked-firstnodestart";
const SYNC: &str = ".checked-sync";
const KEYGEN: &str = ".init-keygen";

/// Kept by who fetches the contents of files: they are compared with the objects where it is missing.
const STREAM_COPY: &str = ".init-streamcopy";

/// All that a restore takes away.
const ALL: [&str; 7] = [METADATA, INITIAL_DATA, INTEGRITY, FIRST_START, SYNC, KEYGEN, STREAM_COPY];

fn path(project: &Project, name: &str) -> PathBuf {
    project.directory().join(name)
}

fn is_missing(project: &Project, name: &str) -> bool {
    !path(project, name).exists()
}

/// Says that a check is done. Where that cannot be written, it is done again at the next start.
fn set(project: &Project, name: &str, text: &str) {
    if let Err(failure) = write_durably(&path(project, name), format!("{text}\n").as_bytes()) {
        tracing::warn!("that a check is done cannot be noted: {}", failure.message);
    }
}

/// Takes all of them away, since the data are other ones.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn reset(project: &Project) -> Result<(), Failure> {
    for name in ALL {
        let path = path(project, name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(file_failure("remove", &path, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// Notes that a new branch holds ids that were given to it just now.
pub(crate) fn joined(project: &Project) {
    set(project, KEYGEN, "given when the branch joined");
}

/// The checks of a start whose files are missing.
///
/// # Errors
/// `database-damaged` where one finds something; its file stays away then.
pub(crate) fn check(project: &Project, app: &App) -> Result<(), Failure> {
    let failure = |error: AppError| error.failure();
    let is_branch = !app.identity().authoritative;
    if is_missing(project, METADATA) {
        app.check_tables().map_err(failure)?;
        set(project, METADATA, "the tables are those of the schema");
    }
    if is_missing(project, INITIAL_DATA) {
        app.check_initial_data().map_err(failure)?;
        set(project, INITIAL_DATA, "the first users, groups and nodes are there");
    }
    if is_branch && is_missing(project, FIRST_START) {
        let end = app.check_start_of_replication().map_err(failure)?;
        set(project, FIRST_START, &format!("the log ends at {end}"));
    }
    if is_branch && is_missing(project, KEYGEN) {
        app.drop_ids().map_err(failure)?;
        tracing::warn!("{KEYGEN} is missing: the ids of this node are given up, and new ones are asked for");
        set(project, KEYGEN, "given up, and asked for anew");
    }
    Ok(())
}

/// The check that reads everything, where its file is missing. It takes as long as the database is large.
pub(crate) fn check_integrity(project: &Project, app: &App) {
    if !is_missing(project, INTEGRITY) {
        return;
    }
    match app.prove(&mut |_, _| {}) {
        Ok(sound) => {
            set(project, INTEGRITY, &format!("{} entries and {} objects are whole", sound.entries, sound.objects));
        }
        Err(error) => tracing::error!("the database is not whole: {error}"),
    }
}

/// Notes how far log and own transactions are, which the head office has compared with its own.
pub(crate) fn synced(project: &Project, app: &App) {
    match app.check_start_of_replication().and_then(|end| Ok((end, app.view()?.pending_count()?))) {
        Ok((end, pending)) => set(project, SYNC, &format!("received up to {end}, {pending} to be sent")),
        Err(error) => tracing::warn!("how far this node is cannot be told: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mytism_app::surroundings::Machine;
    use mytism_store::sqlite::SqliteStore;

    use super::*;

    fn head_office() -> (tempfile::TempDir, Project, App) {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        project.create().unwrap();
        let schema = Arc::new(mytism_schema::project(None).unwrap());
        let store = Arc::new(SqliteStore::create(&project.data(), Arc::clone(&schema)).unwrap());
        let app = App::create_head_office(store, schema, Arc::new(Machine::default()), "hamburg").unwrap();
        (directory, project, app)
    }

    fn there(project: &Project) -> Vec<&'static str> {
        ALL.into_iter().filter(|name| !is_missing(project, name)).collect()
    }

    #[test]
    fn what_is_missing_is_checked_and_noted() {
        let (_directory, project, app) = head_office();
        check(&project, &app).unwrap();
        check_integrity(&project, &app);
        assert_eq!(there(&project), [METADATA, INITIAL_DATA, INTEGRITY]);
        let text = fs::read_to_string(path(&project, INTEGRITY)).unwrap();
        assert!(text.starts_with("2 entries and "), "{text}");
        fs::write(path(&project, INTEGRITY), "kept").unwrap();
        check_integrity(&project, &app);
        assert_eq!(fs::read_to_string(path(&project, INTEGRITY)).unwrap(), "kept", "it is not done twice");
        reset(&project).unwrap();
        assert_eq!(there(&project), [""; 0]);
        reset(&project).unwrap();
    }
}
