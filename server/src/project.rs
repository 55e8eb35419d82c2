//! The directory of a node and what stands where in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mytism_core::failure::Failure;

use crate::config::{Config, ConfigProblem, FILE_NAME, Process};

/// The directory of one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Project {
    directory: PathBuf,
}

impl Project {
    /// The project in a directory, which need not be there.
    #[must_use]
    pub fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The directory itself.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The configuration.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.directory.join(FILE_NAME)
    }

    /// Where the database stands.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// The node's private key.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.directory.join("keys").join("node.key")
    }

    /// Which life of the node the database must be; outside of it, so that a restored one is noticed.
    #[must_use]
    pub fn incarnation_file(&self) -> PathBuf {
        self.directory.join("state").join("incarnation")
    }

    /// What the node writes about its work when nobody looks on.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.directory.join("logs").join("mytism.log")
    }

    /// Where clients on the same machine reach the running node.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        mytism_transport::local::socket_path(&self.directory)
    }

    /// Whether there is a node here.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.config_file().exists()
    }

    /// Makes the directories of a new project.
    ///
    /// # Errors
    /// When there is one already, or the disk refuses.
    pub fn create(&self) -> Result<(), Failure> {
        self.refuse_existing()?;
        // Noted last when a node is made, so a node lived here; its data are not touched.
        if self.incarnation_file().exists() {
            return Err(self.without_configuration());
        }
        for name in ["data", "state", "logs"] {
            make_directory(&self.directory.join(name))?;
        }
        Ok(())
    }

    /// Refuses to make a node where there is one.
    pub(crate) fn refuse_existing(&self) -> Result<(), Failure> {
        if !self.exists() {
            return Ok(());
        }
        let message = format!("there is a project in {} already", self.directory.display());
        Err(Failure::failed("project-exists", message).hint("choose another directory with --project"))
    }

    /// The refusal to make a node where the data of one are.
    pub(crate) fn without_configuration(&self) -> Failure {
        let message = format!("{} holds the data of a node, but no {FILE_NAME}", self.directory.display());
        let hint = "put its mytism.ini back, or choose another directory with --project; nothing was changed";
        Failure::failed("project-exists", message).hint(hint)
    }

    /// Reads the configuration; warnings go to the log.
    ///
    /// # Errors
    /// When it is missing, or all that is wrong with it.
    pub fn config(&self) -> Result<Config, Failure> {
        if !self.exists() {
            let message = format!("there is no project in {}", self.directory.display());
            let hint = "make one with `mytism init`, or name its directory with --project";
            return Err(Failure::failed("no-project", message).hint(hint));
        }
        let config = Config::load(&self.config_file(), &Process::of(&self.directory));
        config.map_err(|problems| config_failure(&problems))
    }

    /// Notes which life the database is.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write_incarnation(&self, incarnation: u32) -> Result<(), Failure> {
        write_durably(&self.incarnation_file(), format!("{incarnation}\n").as_bytes())
    }

    /// Checks that the database is the life that was noted last.
    ///
    /// # Errors
    /// When it is an earlier one: it was restored or copied.
    pub fn check_incarnation(&self, incarnation: u32) -> Result<(), Failure> {
        let path = self.incarnation_file();
        let Ok(text) = fs::read_to_string(&path) else { return self.write_incarnation(incarnation) };
        match text.trim().parse::<u32>() {
            Ok(noted) if noted <= incarnation => Ok(()),
            Ok(noted) => {
                let message = format!(
                    "the database is life {incarnation} of this node, {} says that life {noted} was there: it was restored or copied",
                    path.display()
                );
                Err(Failure::refused("restored-database", message).hint("set the node up again as a new branch"))
            }
            Err(_) => Err(Failure::failed("damaged-state", format!("{} holds no number", path.display()))),
        }
    }
}

/// One failure for all that is wrong with a configuration.
fn config_failure(problems: &[ConfigProblem]) -> Failure {
    let failures: Vec<Failure> = problems.iter().map(Failure::from).collect();
    let Some(first) = failures.first() else { return Failure::failed("config-error", "the configuration is wrong") };
    if failures.len() == 1 {
        return first.clone();
    }
    let all: Vec<_> = failures.iter().map(|failure| failure.message.as_str()).collect();
    Failure { message: all.join("\n"), hint: "`mytism check-config` lists them".to_owned(), ..first.clone() }
}

/// A directory that only its owner may enter, with those above it.
pub(crate) fn make_directory(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o750).create(path);
    made.map_err(|error| file_failure("make the directory", path, &error))
}

/// Writes a file so that after a crash either the old or the new content is there.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| file_failure("write", path, &error))
}

pub(crate) fn file_failure(step: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed("file-error", format!("cannot {step} {}: {error}", path.display()))
        .hint("check that the directory exists, may be written and has room")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_life_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(&directory.path().join("p"));
        project.create().unwrap();
        project.check_incarnation(1).unwrap();
        project.write_incarnation(2).unwrap();
        project.check_incarnation(2).unwrap();
        assert_eq!(project.check_incarnation(1).unwrap_err().code, "restored-database");
        fs::write(project.incarnation_file(), "x").unwrap();
        assert_eq!(project.check_incarnation(1).unwrap_err().code, "damaged-state");
    }
}
