//! Backups that somebody else made, places where nothing can be put, and nodes that have become something else since.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use mytism_core::blob::Blob;
use mytism_core::failure::Failure;
use mytism_core::operation::{ChangeRequest, ChangeTarget, Input, Reply, Request, SaveRequest};
use mytism_format::hash;
use mytism_server::backup::manifest::Manifest;
use mytism_server::backup::restore::{Restore, forget};
use mytism_server::backup::verify::{Proof, verify};
use mytism_server::backup::{list, manifest_of, node_setup};
use mytism_server::project::Project;
use mytism_server::{InitOptions, direct, follow, init, promote};
use mytism_transport::identity::NodeKey;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value as Json, json};

/// A head office in a directory of its own, which does not run.
struct Place {
    root: tempfile::TempDir,
    directory: PathBuf,
}

impl Place {
    fn new(schema: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (directory, file) = (root.path().join("hamburg"), root.path().join("schema.xml"));
        fs::write(&file, schema).unwrap();
        let (schema, name) = (Some(file), Some("hamburg".into()));
        init(&InitOptions { directory: directory.clone(), schema, name, ..InitOptions::default() }).unwrap();
        Self { root, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn call(&self, request: Request) -> Vec<Reply> {
        let mut replies = Vec::new();
        let node = direct(&self.directory).unwrap();
        node.call(request, &mut |reply| {
            replies.push(reply);
            Ok(())
        })
        .unwrap();
        replies
    }

    /// Makes a backup; its name.
    fn back_up(&self) -> String {
        let replies = self.call(Request::Backup { with_keys: false });
        let name = replies.into_iter().find_map(|reply| match reply {
            Reply::BackedUp(made) => Some(made.name),
            _ => None,
        });
        name.unwrap()
    }

    fn restore(&self, name: &str) -> Result<Restore, Failure> {
        Restore::prepare(&self.directory, name, &mut |_| {})
    }

    fn verify(&self, name: &str) -> Result<Proof, Failure> {
        verify(&self.directory, name, &mut |_| {})
    }

    /// The code of the refusal to restore a backup.
    #[track_caller]
    fn refused(&self, name: &str) -> String {
        self.restore(name).map(drop).unwrap_err().code
    }

    /// The names in the project directory that begin so, and those in `backups/`.
    fn left(&self) -> Vec<String> {
        let names = |path: PathBuf| {
            let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
            entries.map(|name| name.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let mut left = names(self.directory.clone());
        left.retain(|name| name.starts_with("data."));
        left.extend(names(self.path("backups")).into_iter().filter(|name| name.starts_with(".verify")));
        left.extend(names(self.path("state")).into_iter().filter(|name| name == "restoring"));
        left
    }
}

fn trade() -> Place {
    Place::new(mytism_schema::demo::schema_xml())
}

fn copy(from: &Path, to: &Path) {
    let _absent = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Changes what a backup says of itself, with a check that is right.
fn forge(backup: &Path, change: impl FnOnce(&mut Json)) {
    let path = backup.join("manifest.json");
    let mut json: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json.as_object_mut().unwrap().shift_remove("check");
    change(&mut json);
    let check = hash::chunk(json.to_string().as_bytes()).to_string();
    json["check"] = check.into();
    fs::write(path, json.to_string()).unwrap();
}

/// Puts something else in the place of a file.
fn exchange(backup: &Path, name: &str, make: impl FnOnce(&Path)) {
    fs::remove_file(backup.join(name)).unwrap();
    make(&backup.join(name));
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

#[test]
fn a_hostile_backup_is_refused_and_spoils_no_list() {
    let place = trade();
    let good = place.back_up();
    let bad = place.path("backups").join("bad");
    let check = |code: &str, change: &dyn Fn(&Path)| {
        copy(&place.path("backups").join(&good), &bad);
        change(&bad);
        assert_eq!(place.verify("bad").unwrap_err().code, code);
        assert_eq!(place.refused("bad"), code);
        let listed = list(&place.directory).unwrap();
        assert_eq!(listed.len(), 2, "{listed:?}");
        assert!(listed.iter().any(|listed| listed.name == good && listed.manifest.is_ok()), "{listed:?}");
        assert_eq!(place.left(), [""; 0]);
    };
    let damaged = "backup-damaged";
    check(damaged, &|bad| forge(bad, |json| json["files"][1]["bytes"] = u64::MAX.into()));
    check(damaged, &|bad| {
        forge(bad, |json| {
            json["files"][1]["bytes"] = u64::MAX.into();
            json["files"][1]["parts"][0]["unpacked"] = u64::MAX.into();
        });
    });
    check(damaged, &|bad| forge(bad, |json| json["files"][1]["parts"][0]["bytes"] = u64::MAX.into()));
    check(damaged, &|bad| forge(bad, |json| json["files"] = json!([])));
    check("newer-backup", &|bad| forge(bad, |json| json["kind"] = "portable".into()));
    check(damaged, &|bad| exchange(bad, "000001.zst", pipe));
    check(damaged, &|bad| exchange(bad, "000001.zst", |path| symlink("/dev/zero", path).unwrap()));
    check(damaged, &|bad| exchange(bad, "000001.zst", |path| File::create(path).unwrap().set_len(100 << 30).unwrap()));
    check(damaged, &|bad| exchange(bad, "manifest.json", pipe));
    check(damaged, &|bad| exchange(bad, "manifest.json", |path| symlink("/dev/zero", path).unwrap()));
    check(damaged, &|bad| exchange(bad, "manifest.json", |path| fs::create_dir(path).unwrap()));
    place.verify(&good).unwrap();
}

#[test]
fn a_proof_holds_until_damage_is_found() {
    let place = trade();
    let name = place.back_up();
    let proven = || list(&place.directory).unwrap().remove(0).verified.is_some();
    place.verify(&name).unwrap();
    assert!(proven());
    let part = place.path("backups").join(&name).join("000001.zst");
    let good = fs::read(&part).unwrap();
    fs::write(&part, "x").unwrap();
    assert_eq!(place.verify(&name).unwrap_err().code, "backup-damaged");
    assert!(!proven());
    fs::write(&part, good).unwrap();
    place.verify(&name).unwrap();
    assert!(proven());
}

#[test]
fn a_backup_from_another_role_of_the_node_is_refused_before_anything_is_asked() {
    let place = trade();
    let as_head = place.back_up();
    place.restore(&as_head).map(drop).unwrap();
    let other = trade();
    let key = NodeKey::load(&Project::at(&other.directory).key_file()).unwrap().public().to_string();
    let _branch = follow(&place.directory, "127.0.0.1:1", &key).unwrap();
    assert_eq!(place.refused(&as_head), "other-role");
    let as_branch = place.back_up();
    place.restore(&as_branch).map(drop).unwrap();
    let _head = promote(&place.directory).unwrap();
    assert_eq!(place.refused(&as_branch), "other-role");
    place.restore(&as_head).map(drop).unwrap();
    // The configuration tells too.
    fs::remove_dir_all(place.path("data")).unwrap();
    assert_eq!(place.refused(&as_branch), "other-role");
    assert_eq!(place.left(), [""; 0]);
}

#[test]
fn a_link_to_the_data_is_followed() {
    let place = trade();
    let name = place.back_up();
    let disk = place.root.path().join("disk");
    fs::create_dir(&disk).unwrap();
    fs::rename(place.path("data"), disk.join("hamburg")).unwrap();
    symlink(disk.join("hamburg"), place.path("data")).unwrap();
    let done = place.restore(&name).unwrap().carry_out(&mut |_| {}).unwrap();
    let old = done.old.unwrap();
    assert!(old.starts_with(fs::canonicalize(&disk).unwrap()) && old.join("objects.db").exists(), "{old:?}");
    assert!(place.path("data").is_symlink() && disk.join("hamburg/objects.db").exists());
    let _status = place.call(Request::Status);
    // What a broken-off restore left goes too.
    let broken_off = disk.join("hamburg.restoring-1");
    fs::create_dir(&broken_off).unwrap();
    let gone = forget(&place.directory).unwrap();
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(!old.exists() && !broken_off.exists() && place.left().is_empty());
}

#[test]
fn nothing_is_made_where_no_project_is_or_only_looked_at() {
    let place = trade();
    let name = place.back_up();
    let nowhere = place.root.path().join("nowhere");
    let path = place.path("backups").join(&name);
    let code = verify(&nowhere, &path.to_string_lossy(), &mut |_| {}).unwrap_err().code;
    let prepared = node_setup::prepare(&nowhere, &name, None, &mut |_| {}).unwrap_err().code;
    assert_eq!((code.as_str(), prepared.as_str()), ("no-project", "no-project"));
    // A look at what would be restored there.
    let planned = Restore::prepare(&nowhere, &path.to_string_lossy(), &mut |_| {}).unwrap();
    drop(planned);
    assert!(!nowhere.exists());
    // A new machine, to which a backup was brought.
    copy(&path, &nowhere.join("backups").join(&name));
    assert_eq!(list(&nowhere).unwrap().len(), 1);
    let _proof = verify(&nowhere, &name, &mut |_| {}).unwrap();
    drop(Restore::prepare(&nowhere, &name, &mut |_| {}).unwrap());
    let names: Vec<_> = fs::read_dir(&nowhere).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["backups"]);
}

const FILES: &str = r#"<Schema name="bills" version="1">
  <Entity name="Bill"><Attribute name="Scan" type="blob"/></Entity>
</Schema>"#;

#[test]
fn contents_that_are_named_and_not_here_are_counted() {
    let place = Place::new(FILES);
    let node = direct(&place.directory).unwrap();
    let mut content = None;
    let request = Request::PutContent { upload: None, data: b"a scan".to_vec(), end: true };
    let put = node.call(request, &mut |reply| {
        if let Reply::ContentPut { hash, .. } = reply {
            content = hash;
        }
        Ok(())
    });
    put.unwrap();
    let blob = Blob::new(content.unwrap(), 6, "scan.txt", "text/plain").unwrap();
    let change = ChangeRequest {
        target: ChangeTarget::New { label: "b".into(), entity: "Bill".into() },
        values: vec![("Scan".into(), Input::Blob(Box::new(blob)))],
        expect: Vec::new(),
        delete: None,
    };
    let save = SaveRequest { description: "a bill".into(), changes: vec![change] };
    node.call(Request::Save(save), &mut |_| Ok(())).unwrap();
    drop(node);
    let missing = |name: &str| -> (u64, u64) {
        let Manifest { blobs, missing, .. } = manifest_of(&place.directory, name).unwrap();
        (blobs, missing)
    };
    let good = place.back_up();
    assert_eq!(missing(&good), (1, 0));
    place.verify(&good).unwrap();
    // A content that was damaged among the backups is set aside when that is found, and put there anew.
    let hash = hash_path(&place.path("backups/.contents/whole"));
    fs::write(&hash, "a scam").unwrap();
    assert_eq!(place.verify(&good).unwrap_err().code, "backup-damaged");
    let again = place.back_up();
    assert_eq!(fs::read(&hash).unwrap(), b"a scan");
    assert_eq!((place.verify(&good).unwrap().missing, place.verify(&again).unwrap().missing), (0, 0));
    fs::remove_dir_all(place.path("blobs")).unwrap();
    let lacking = place.back_up();
    assert_eq!(missing(&lacking), (0, 1));
    assert_eq!(place.verify(&lacking).unwrap().missing, 1);
}

/// The only file two directories below.
fn hash_path(shelf: &Path) -> PathBuf {
    let only = |path: &Path| fs::read_dir(path).unwrap().next().unwrap().unwrap().path();
    only(&only(shelf))
}
