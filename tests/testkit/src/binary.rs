//! Which program is tested. Builds nothing, since a build inside of a test would wait for the one that runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program `mytism`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binary {
    path: PathBuf,
}

impl Binary {
    /// The one that `MYTISM_BINARY` names, else the optimised one in the build directory of the test itself.
    #[must_use]
    #[track_caller]
    pub fn find() -> Self {
        let path = match std::env::var_os("MYTISM_BINARY") {
            Some(path) => PathBuf::from(path),
            None => beside(&std::env::current_exe().expect("a test knows its own file")),
        };
        assert!(
            path.is_file(),
            "{} is missing; build it with `cargo build --release -p mytism`, or name another one in MYTISM_BINARY",
            path.display()
        );
        // Commands run in directories of their own, where a relative path would lead nowhere.
        Self { path: std::path::absolute(path).expect("the current directory is there") }
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A call of it, with nothing of the tester's surroundings but the paths: settings, language and time zone of the
    /// machine must not change what a test sees.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear().env("LC_ALL", "C.UTF-8").env("TZ", "UTC").stdin(Stdio::null());
        for name in ["PATH", "HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }
}

/// Test programs are in `TARGET/PROFILE/deps`, the program is in `TARGET/release`.
fn beside(test: &Path) -> PathBuf {
    let target = test.ancestors().nth(3).unwrap_or(Path::new("target"));
    target.join("release").join(format!("mytism{}", std::env::consts::EXE_SUFFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimised_program_is_tested() {
        let check = |test: &str| assert_eq!(beside(Path::new(test)), Path::new("/a/target/release/mytism"), "{test}");
        check("/a/target/release/deps/e2e-0123");
        check("/a/target/debug/deps/e2e-0123");
    }
}
