//! An `init` that was killed at any step is begun anew by the next one; data without the note of one are left alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mytism_app::App;
use mytism_app::surroundings::Machine;
use mytism_core::failure::Failure;
use mytism_server::project::Project;
use mytism_server::{InitOptions, init};
use mytism_store::sqlite::SqliteStore;

fn make(directory: &Path) -> Result<(), Failure> {
    let (directory, name) = (directory.to_owned(), Some("hamburg".into()));
    init(&InitOptions { directory, name, ..InitOptions::default() }).map(drop)
}

/// What a killed `init` left: everything, and then less and less of it.
fn left(directory: &Path, steps_back: usize) {
    make(directory).unwrap();
    let project = Project::at(directory);
    fs::remove_file(project.config_file()).unwrap();
    fs::remove_file(project.incarnation_file()).unwrap();
    let database = project.data().join("objects.db");
    let schema = SqliteStore::open(&project.data()).unwrap().schema();
    let steps: [&dyn Fn(); 6] = [
        &|| {
            fs::remove_dir_all(project.data()).unwrap();
            fs::create_dir(project.data()).unwrap();
            drop(SqliteStore::create(&project.data(), Arc::clone(&schema)).unwrap());
        },
        &|| fs::write(&database, "").unwrap(),
        &|| fs::remove_file(&database).unwrap(),
        &|| fs::remove_dir_all(project.data()).unwrap(),
        &|| fs::remove_file(project.key_file()).unwrap(),
        &|| fs::remove_dir_all(project.directory().join("keys")).unwrap(),
    ];
    steps[..steps_back].iter().for_each(|step| step());
}

fn note(directory: &Path) -> PathBuf {
    directory.join("state").join("unfinished")
}

#[track_caller]
fn is_whole(directory: &Path) {
    assert!(!note(directory).exists());
    let project = Project::at(directory);
    assert!(project.config_file().exists() && project.incarnation_file().exists());
    let store = SqliteStore::open(&project.data()).unwrap();
    let schema = store.schema();
    let app = App::open(Arc::new(store), schema, Arc::new(Machine::default())).unwrap();
    assert_eq!(app.view().unwrap().head().unwrap().unwrap().position.number, 2);
}

#[test]
fn a_killed_init_is_begun_anew() {
    for steps_back in 0..=6 {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("node");
        left(&directory, steps_back);
        fs::write(note(&directory), "").unwrap();
        make(&directory).unwrap();
        is_whole(&directory);
        assert_eq!(make(&directory).unwrap_err().code, "project-exists");
    }
}

#[test]
fn data_without_the_note_are_left_alone() {
    for steps_back in 0..4 {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("node");
        left(&directory, steps_back);
        let key = fs::read(Project::at(&directory).key_file()).unwrap();
        assert_eq!(make(&directory).unwrap_err().code, "project-exists", "{steps_back}");
        assert_eq!(fs::read(Project::at(&directory).key_file()).unwrap(), key);
    }
}

/// A note that was left behind says nothing about a node that has lived since.
#[test]
fn a_node_that_lived_is_not_unfinished() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("node");
    make(&directory).unwrap();
    fs::write(note(&directory), "").unwrap();
    fs::remove_file(Project::at(&directory).config_file()).unwrap();
    assert_eq!(make(&directory).unwrap_err().code, "project-exists");
    drop(SqliteStore::open(&Project::at(&directory).data()).unwrap());
}

#[test]
fn two_at_once_do_not_meet() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("node");
    fs::create_dir_all(directory.join("state")).unwrap();
    let held = fs::File::create(note(&directory)).unwrap();
    held.try_lock().unwrap();
    assert_eq!(make(&directory).unwrap_err().code, "project-in-use");
    drop(held);
    make(&directory).unwrap();
    is_whole(&directory);
}
