//! What is exported can be imported again: every entity of the wholesaler, from one head office into an empty one.

use std::fs;
use std::path::PathBuf;

use mytism_testkit::Project;

use crate::trade::{import_all, schema};

/// Exports all objects of an entity; returns the file.
#[track_caller]
fn export(project: &Project, entity: &str) -> PathBuf {
    let file = project.root().join(format!("{entity}.csv"));
    let query = format!("from {entity}");
    let export = ["export", &query, "--format", "csv", "--out", &file.to_string_lossy()].map(str::to_owned);
    let export: Vec<&str> = export.iter().map(String::as_str).collect();
    let _exported = project.run_json(&export, "").success();
    file
}

#[test]
fn exported_files_are_imported_as_they_stand() {
    let [first, second] = ["hamburg", "bremen"].map(|name| Project::head_office(name, &schema()));
    import_all(&first);
    for table in mytism_schema::demo::tables() {
        let file = export(&first, table.entity);
        let import = ["import", &file.to_string_lossy(), "--entity", table.entity].map(str::to_owned);
        let import: Vec<&str> = import.iter().map(String::as_str).collect();
        let counts = second.run_json(&import, "").success().json();
        assert_eq!((&counts["read"], counts["failed"].as_u64()), (&counts["inserted"], Some(0)), "{}", table.entity);
    }
    for table in mytism_schema::demo::tables() {
        let [ours, theirs] =
            [&first, &second].map(|project| fs::read_to_string(export(project, table.entity)).unwrap());
        assert!(ours.lines().count() > 1, "{} has no rows", table.entity);
        assert_eq!(ours, theirs, "{}", table.entity);
    }
}

#[cfg(unix)]
#[test]
fn an_export_takes_the_place_of_files_only() {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    let project = Project::head_office("hamburg", &schema());
    let [socket, target, link] = ["socket", "target.csv", "link.csv"].map(|name| project.root().join(name));
    let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let export = |to: &PathBuf| {
        let to = to.to_string_lossy().into_owned();
        project.run_json(&["export", "select n.Name from Node n", "--format", "csv", "--out", &to], "")
    };
    let _refused = export(&socket).error(2, "wrong-file");
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    fs::write(&target, "old").unwrap();
    symlink(&target, &link).unwrap();
    let _exported = export(&link).success();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&target).unwrap(), "Name\nhamburg\n");
}
