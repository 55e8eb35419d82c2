//! What a configuration takes from outside its file: the environment, and files that hold one secret each.
//!
//! Knows no key. Tests hand in surroundings of their own.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// See the module.
pub trait Surroundings {
    /// All environment variables that begin with `MYTISM_`, in the order of their names.
    fn variables(&self) -> Vec<(String, OsString)>;

    /// The first line of a file that holds a secret; relative paths start at the project directory.
    ///
    /// # Errors
    /// Why it cannot be read, in words without any of its content.
    fn secret(&self, path: &Path) -> Result<String, String>;
}

/// A longer file holds no secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The surroundings of this process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    project: PathBuf,
}

impl Process {
    /// Of a node in a project directory.
    #[must_use]
    pub fn of(project: &Path) -> Self {
        Self { project: project.to_owned() }
    }
}

impl Surroundings for Process {
    fn variables(&self) -> Vec<(String, OsString)> {
        let all = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let mut ours: Vec<_> = all.filter(|(name, _)| name.starts_with("MYTISM_")).collect();
        ours.sort();
        ours
    }

    fn secret(&self, path: &Path) -> Result<String, String> {
        let path = self.project.join(path);
        let cannot = |error: std::io::Error| format!("the file cannot be read: {error}");
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)).map_err(cannot)?;
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(format!("the file is longer than {SECRET_BYTES_MAX} bytes"));
        }
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let text = std::str::from_utf8(first).map_err(|_| "the first line of the file is not UTF-8".to_owned())?;
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_first_lines() {
        let directory = tempfile::tempdir().unwrap();
        let around = Process::of(directory.path());
        let check = |content: &[u8], expected: Result<&str, &str>| {
            std::fs::write(directory.path().join("s"), content).unwrap();
            let found = around.secret(Path::new("s"));
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{content:?}");
        };
        check(b"a b\nrest", Ok("a b"));
        check(b" a\r\n", Ok(" a"));
        check(b"", Ok(""));
        check(b"\xff", Err("the first line of the file is not UTF-8"));
        check(&vec![b'a'; 65_537], Err("the file is longer than 65536 bytes"));
        assert!(around.secret(Path::new("none")).unwrap_err().contains("cannot be read"));
        assert!(around.secret(Path::new(".")).is_err(), "a directory");
    }
}
