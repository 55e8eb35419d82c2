//! What a backup says of itself: `manifest.json`, written last, so that a directory without one is no backup.
//!
//! It is checked by a hash over its own text, and names the parts of all files with theirs. A later program may add
//! fields under the same format number as long as older ones may pass over them; they are under the hash as they stand.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};

use mytism_core::failure::Failure;
use mytism_format::hash;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{DATABASE, plain, unreadable};
use crate::project::write_durably;

/// The name of the file.
pub const FILE: &str = "manifest.json";
/// The format that this program writes; it reads all up to it.
const FORMAT: u32 = 1;
/// Where the hash over the rest stands.
const CHECK: &str = "check";
/// A manifest that is larger is none.
const BYTES_MAX: u64 = 256 << 20;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Format of the backup.
    pub format: u32,
    /// `node`, or `node-setup` for one that makes a new branch.
    pub kind: String,
    /// Version of the program that made it.
    pub program: String,
    /// When it was begun, RFC 3339 in the zone of the machine.
    pub made: String,
    /// Name of the node.
    pub node: String,
    /// Number of the node.
    pub number: u32,
    /// `authoritative` or `branch`.
    pub role: String,
    /// Life of the node.
    pub incarnation: u32,
    /// Hash of the first entry of the log.
    pub cluster: String,
    /// Name and version of the schema.
    pub schema: String,
    /// Number of the last entry of the log.
    pub position: u64,
    /// Its epoch.
    pub epoch: u32,
    /// Its hash.
    pub hash: String,
    /// Objects that are not deleted.
    pub objects: u64,
    /// Transactions that wait for the head office.
    pub pending: u64,
    /// Contents of files.
    pub blobs: u64,
    /// Contents of files that objects name and that were not at the node, so they are not in the backup.
    #[serde(default)]
    pub missing: u64,
    /// What is in it.
    pub files: Vec<Packed>,
}

/// A file in parts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Packed {
    /// Where it stood below the project directory.
    pub path: String,
    /// Bytes of the whole file.
    pub bytes: u64,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

/// A part of a file, packed with zstd.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// Name within the backup.
    pub file: String,
    /// Bytes as packed.
    pub bytes: u64,
    /// Bytes as unpacked.
    pub unpacked: u64,
    /// BLAKE3 of the packed bytes.
    pub hash: String,
}

impl Manifest {
    /// The kind of a backup of a node.
    pub const NODE: &str = "node";
    /// The kind of one that sets up a branch.
    pub const NODE_SETUP: &str = "node-setup";

    /// The format to write.
    pub(crate) const fn format() -> u32 {
        FORMAT
    }

    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// `backup-damaged`, `newer-backup`, or that it cannot be read.
    pub fn read(backup: &Path) -> Result<Self, Failure> {
        let path = backup.join(FILE);
        let text = plain::read(&path, BYTES_MAX).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::FileTooLarge => {
                damaged(&format!("its manifest is none: {error}")).within(&path)
            }
            _ => unreadable(&path, &error),
        })?;
        // Bytes that are no text are found by the check.
        Self::parse(&String::from_utf8_lossy(&text)).map_err(|failure| failure.within(&path))
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| damaged(&format!("its manifest {what}"));
        let mut json: Json = serde_json::from_str(text).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        let format = json.get("format").and_then(Json::as_u64).ok_or_else(|| wrong("names no format"))?;
        if format > u64::from(FORMAT) {
            let message = format!("the backup has format {format}, this program knows formats up to {FORMAT}");
            return Err(Failure::failed("newer-backup", message).hint("use the program version that made it"));
        }
        let check = json.as_object_mut().and_then(|fields| fields.shift_remove(CHECK));
        if check.as_ref().and_then(Json::as_str) != Some(&check_of(&json)) {
            return Err(wrong("was changed after it was written"));
        }
        let manifest: Self =
            serde_json::from_value(json).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        let mut names =
            manifest.files.iter().flat_map(|file| file.parts.iter().map(|part| &part.file).chain([&file.path]));
        if let Some(name) = names.find(|name| !is_below(name)) {
            return Err(wrong(&format!("names \"{name}\", which lies outside of the backup")));
        }
        drop(names);
        manifest.check()?;
        Ok(manifest)
    }

    /// That it is one of a backup that can be: who wrote it may have been anybody, and its check is no secret.
    fn check(&self) -> Result<(), Failure> {
        let wrong = |what: &str| Err(damaged(&format!("its manifest {what}")));
        if ![Self::NODE, Self::NODE_SETUP].contains(&self.kind.as_str()) {
            let message = format!("the backup is of the kind \"{}\", which this program does not know", self.kind);
            return Err(Failure::failed("newer-backup", message).hint("use the program version that made it"));
        }
        let mut paths = HashSet::new();
        if let Some(file) = self.files.iter().find(|file| !paths.insert(file.path.as_str())) {
            return wrong(&format!("names {} twice", file.path));
        }
        if self.kind == Self::NODE && !paths.contains(DATABASE) {
            return wrong(&format!("names no {DATABASE}"));
        }
        let sum = |mut numbers: &mut dyn Iterator<Item = u64>| {
            Iterator::try_fold(&mut numbers, 0_u64, |sum, number| sum.checked_add(number))
        };
        for file in &self.files {
            if sum(&mut file.parts.iter().map(|part| part.unpacked)) != Some(file.bytes) {
                return wrong(&format!("says of {} another length than that of its parts", file.path));
            }
        }
        let unpacked = sum(&mut self.files.iter().map(|file| file.bytes));
        let packed = sum(&mut self.files.iter().flat_map(|file| &file.parts).map(|part| part.bytes));
        if unpacked.is_none() || packed.is_none() {
            return wrong("names more bytes than there can be");
        }
        Ok(())
    }

    /// Writes it into the directory of its backup.
    pub(crate) fn write(&self, backup: &Path) -> Result<(), Failure> {
        let internal = |error: serde_json::Error| Failure::failed("internal", error.to_string());
        let mut json = serde_json::to_value(self).map_err(internal)?;
        let check = check_of(&json);
        if let Some(fields) = json.as_object_mut() {
            fields.insert(CHECK.to_owned(), Json::from(check));
        }
        let text = serde_json::to_string_pretty(&json).map_err(internal)? + "\n";
        write_durably(&backup.join(FILE), text.as_bytes())
    }

    /// Parts of all files.
    #[must_use]
    pub fn parts(&self) -> usize {
        self.files.iter().map(|file| file.parts.len()).sum()
    }

    /// Bytes of all files as they are restored.
    #[must_use]
    pub fn unpacked(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Bytes of all parts, and of itself in the directory of the backup.
    #[must_use]
    pub fn bytes_in(&self, backup: &Path) -> u64 {
        self.packed().saturating_add(fs::metadata(backup.join(FILE)).map_or(0, |found| found.len()))
    }

    /// Bytes of all parts.
    #[must_use]
    pub fn packed(&self) -> u64 {
        self.files.iter().flat_map(|file| &file.parts).fold(0, |sum, part| sum.saturating_add(part.bytes))
    }
}

/// BLAKE3 of the manifest without this very field, written without spaces.
fn check_of(json: &Json) -> String {
    hash::chunk(json.to_string().as_bytes()).to_string()
}

/// Whether a name leads nowhere but below the directory that it is in.
fn is_below(name: &str) -> bool {
    let mut components = Path::new(name).components().peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}

/// That a backup cannot be used.
pub(crate) fn damaged(what: &str) -> Failure {
    let message = format!("the backup is damaged: {what}");
    Failure::failed("backup-damaged", message).hint("use another backup; nothing was changed")
}

/// Says of which backup a failure is.
pub(crate) trait Within {
    /// The same failure, with the path.
    fn within(self, path: &Path) -> Self;
}

impl Within for Failure {
    fn within(self, path: &Path) -> Self {
        Self { message: format!("{}: {}", path.display(), self.message), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            kind: Manifest::NODE.to_owned(),
            program: "0.1.0".to_owned(),
            made: "2026-11-23T01:44:00+01:00".to_owned(),
            node: "hamburg".to_owned(),
            number: 1,
            role: "authoritative".to_owned(),
            incarnation: 1,
            cluster: "ab".to_owned(),
            schema: "trade 1".to_owned(),
            position: 4711,
            epoch: 1,
            hash: "cd".to_owned(),
            objects: 12,
            pending: 0,
            blobs: 0,
            missing: 0,
            files: vec![Packed {
                path: "data/objects.db".to_owned(),
                bytes: 9,
                parts: vec![Part { file: "000001.zst".to_owned(), bytes: 3, unpacked: 9, hash: "ef".to_owned() }],
            }],
        }
    }

    fn code(text: &str) -> String {
        Manifest::parse(text).unwrap_err().code
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        manifest().write(directory.path()).unwrap();
        assert_eq!(Manifest::read(directory.path()).unwrap(), manifest());
        let text = fs::read_to_string(directory.path().join(FILE)).unwrap();
        assert_eq!(code(&text.replace("4711", "4712")), "backup-damaged");
        assert_eq!(code(&text.replace("\"format\": 1", "\"format\": 2")), "newer-backup");
        assert_eq!(code(&text[..text.len() / 2]), "backup-damaged");
        assert_eq!(code("{}"), "backup-damaged");
        let spaced = text.replace('\n', " ");
        assert!(Manifest::parse(&spaced).is_ok(), "spaces are nothing");
        fs::remove_file(directory.path().join(FILE)).unwrap();
        assert_eq!(Manifest::read(directory.path()).unwrap_err().code, "file-error");
    }

    #[test]
    fn no_part_lies_outside_of_the_backup() {
        for name in ["../x", "/etc/passwd", "", "a/../../x"] {
            let directory = tempfile::tempdir().unwrap();
            let mut bad = manifest();
            bad.files[0].parts[0].file = name.to_owned();
            bad.write(directory.path()).unwrap();
            assert_eq!(Manifest::read(directory.path()).unwrap_err().code, "backup-damaged", "{name}");
        }
        assert!(is_below("blobs/ab/cd"));
    }

    #[test]
    fn what_no_backup_can_say_is_refused_though_its_check_is_right() {
        let refused = |change: &dyn Fn(&mut Manifest)| {
            let directory = tempfile::tempdir().unwrap();
            let mut bad = manifest();
            change(&mut bad);
            bad.write(directory.path()).unwrap();
            Manifest::read(directory.path()).unwrap_err().code
        };
        let part = |bytes| Part { file: "000002.zst".to_owned(), bytes, unpacked: bytes, hash: "ef".to_owned() };
        let second = |bytes| Packed { path: "state/numbers".to_owned(), bytes, parts: vec![part(bytes)] };
        assert_eq!(refused(&|bad| bad.files.push(second(u64::MAX))), "backup-damaged");
        assert_eq!(refused(&|bad| bad.files[0].parts.push(part(u64::MAX))), "backup-damaged");
        assert_eq!(refused(&|bad| bad.files[0].bytes = 8), "backup-damaged");
        assert_eq!(refused(&|bad| bad.files.push(bad.files[0].clone())), "backup-damaged");
        assert_eq!(refused(&|bad| bad.files.clear()), "backup-damaged");
        assert_eq!(refused(&|bad| bad.kind = "portable".to_owned()), "newer-backup");
    }
}
