//! The directory of a node and what stands where in it.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
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

    /// Whoever works on the data holds the lock of this file.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.data().join("lock")
    }

    /// The node's private key.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.directory.join("keys").join("node.key")
    }

    /// Where small things are noted that belong to no other place.
    pub(crate) fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Which life of the node the database must be; outside of it, so that a restored one is noticed.
    #[must_use]
    pub fn incarnation_file(&self) -> PathBuf {
        self.state().join("incarnation")
    }

    /// What was leased and given of number ranges; outside of the database for the same reason.
    #[must_use]
    pub fn numbers_file(&self) -> PathBuf {
        self.directory.join("state").join("numbers")
    }

    /// Says that the lines to other nodes rest; beside the database, since it is about this machine alone.
    pub(crate) fn rest_file(&self) -> PathBuf {
        self.state().join("lines-rest")
    }

    /// When other nodes were last connected.
    pub(crate) fn seen_file(&self) -> PathBuf {
        self.state().join("seen")
    }

    /// Where backups are.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.directory.join("backups")
    }

    /// What the project is called: its directory, without the dot in front.
    #[must_use]
    pub fn name(&self) -> String {
        let absolute = fs::canonicalize(&self.directory).unwrap_or_else(|_| self.directory.clone());
        let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = name.trim_start_matches('.').to_owned();
        if name.is_empty() { "mytism".to_owned() } else { name }
    }

    /// Where the contents of files are kept.
    #[must_use]
    pub fn files(&self, config: &Config) -> PathBuf {
        self.directory.join(&config.files_root)
    }

    /// Which contents of files are named and have not come yet.
    pub(crate) fn wanted_file(&self) -> PathBuf {
        self.state().join("wanted-contents")
    }

    /// Which contents of files the log names, as far as it was looked through.
    pub(crate) fn named_file(&self) -> PathBuf {
        self.state().join("named-contents")
    }

    /// What came of the last comparison with the head office.
    pub(crate) fn last_check_file(&self) -> PathBuf {
        self.state().join("last-check")
    }

    /// Present once the contents of files were compared with the objects that name them.
    pub(crate) fn stream_copy_file(&self) -> PathBuf {
        self.directory.join(".init-streamcopy")
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
        self.refuse_living()?;
        self.make_directories()
    }

    /// Makes the directories that every node needs.
    pub(crate) fn make_directories(&self) -> Result<(), Failure> {
        ["data", "state", "logs"].iter().try_for_each(|name| make_directory(&self.directory.join(name)))
    }

    /// Refuses to make a node where there is one, or was one.
    pub(crate) fn refuse_living(&self) -> Result<(), Failure> {
        if self.exists() {
            let message = format!("there is a project in {} already", self.directory.display());
            return Err(Failure::failed("project-exists", message).hint("choose another directory with --project"));
        }
        self.refuse_lived()
    }

    /// Refuses to make a node where one was.
    pub(crate) fn refuse_lived(&self) -> Result<(), Failure> {
        // Noted last when a node is made, so a node lived here; its data are not touched.
        if self.incarnation_file().exists() { Err(self.without_configuration()) } else { Ok(()) }
    }

    /// The refusal to make a node where the data of one are.
    pub(crate) fn without_configuration(&self) -> Failure {
        let message = format!("{} holds the data of a node, but no {FILE_NAME}", self.directory.display());
        let hint = "put its mytism.ini back, or choose another directory with --project; nothing was changed";
        Failure::failed("project-exists", message).hint(hint)
    }

    /// That a project is here.
    ///
    /// # Errors
    /// When there is none, or nobody may see whether there is.
    pub fn check_exists(&self) -> Result<(), Failure> {
        match self.config_file().try_exists() {
            Ok(true) => Ok(()),
            Ok(false) => {
                let message = format!("there is no project in {}", self.directory.display());
                let hint = "make one with `./mytism init`, or name its directory with --project";
                Err(Failure::failed("no-project", message).hint(hint))
            }
            Err(error) => {
                let message = format!("cannot look into {}: {error}", self.directory.display());
                let hint = "check its permissions; a project is worked with by the user whom it belongs to";
                Err(Failure::failed("file-error", message).hint(hint))
            }
        }
    }

    /// Reads the configuration; warnings go to the log.
    ///
    /// # Errors
    /// When it is missing, or all that is wrong with it.
    pub fn config(&self) -> Result<Config, Failure> {
        self.check_exists()?;
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
}

/// One failure for all that is wrong with a configuration: the first error, or all findings, one a line.
fn config_failure(problems: &[ConfigProblem]) -> Failure {
    let errors: Vec<&ConfigProblem> = problems.iter().filter(|problem| problem.is_error()).collect();
    let Some(first) = errors.first() else {
        return Failure::failed("internal", "a configuration was refused without a reason");
    };
    let failure = Failure::from(*first);
    if problems.len() == 1 {
        return failure;
    }
    let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Failure { message: all.join("\n"), hint: "`./mytism check-config` lists them".to_owned(), ..failure }
}

/// A directory that only its owner may enter, with those above it.
pub(crate) fn make_directory(path: &Path) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(0o750).create(path);
    made.map_err(|error| file_failure("make the directory", path, &error))
}

/// Writes a file so that after a crash either the old or the new content is there. A file that is there keeps its mode
/// and owner, and where it is a link, what it leads to is written.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let write = || -> std::io::Result<()> {
        let directory = target.parent().unwrap_or(Path::new("."));
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(".new");
        let temporary = directory.join(name);
        let before = fs::metadata(&target).ok();
        let mode = before.as_ref().map_or(0o640, |before| before.mode() & 0o7777);
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        let made = file.metadata()?;
        if let Some(before) = before.filter(|before| (before.uid(), before.gid()) != (made.uid(), made.gid())) {
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&temporary, &target)?;
        File::open(directory)?.sync_all()
    };
    write().map_err(|error| file_failure("write", path, &error))
}

pub(crate) fn file_failure(step: &str, path: &Path, error: &std::io::Error) -> Failure {
    let message = format!("cannot {step} {}: {error}", path.display());
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Failure::failed("disk-full", message).hint(room(path));
    }
    let hint = match step {
        "read" => "check that it is there and may be read by this user",
        _ => "check that the directory exists, may be written and has room",
    };
    Failure::failed("file-error", message).hint(hint)
}

/// What to do where a disk is full, and how much is free on it; `path` need not exist.
#[must_use]
pub fn room(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let free = whole.ancestors().find_map(|place| rustix::fs::statvfs(place).ok());
    let free = free.map(|told| told.f_bavail.saturating_mul(told.f_frsize));
    match free {
        None => "make room on the disk".to_owned(),
        Some(free) => format!("make room on the disk of {}: {free} bytes are free", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_findings_are_told_under_the_code_of_the_first_error() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        let failure = |text: &str| {
            fs::write(project.config_file(), text).unwrap();
            project.config().unwrap_err()
        };
        let one = failure("[Log]\nlevle = info\n");
        assert_eq!((one.code.as_str(), one.hint.as_str()), ("config-unknown-key", "did you mean level?"));
        let many = failure("[DBMan]\nnodeID = 1\n[Log]\nlevle = info\nlevel = loud\n");
        assert_eq!(many.code, "config-unknown-key", "a warning stands before it");
        let lines: Vec<&str> = many.message.lines().collect();
        assert_eq!(lines.len(), 3, "{many:?}");
        assert!(lines[1].ends_with("there is no such key; did you mean level?"), "{many:?}");
    }

    #[test]
    fn a_file_keeps_its_mode_owner_and_links() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("real.ini");
        write_durably(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
        let link = directory.path().join("mytism.ini");
        std::os::unix::fs::symlink("real.ini", &link).unwrap();
        write_durably(&link, b"newer").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mode() & 0o777), (b"newer".to_vec(), 0o604));
        // Only root can give files away; for others there is nothing to keep.
        if std::os::unix::fs::chown(&path, Some(12_345), Some(54_321)).is_ok() {
            write_durably(&path, b"newest").unwrap();
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.uid(), found.gid()), (12_345, 54_321));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no temporary file is left");
        assert_eq!(write_durably(&directory.path().join("no").join("x"), b"").unwrap_err().code, "file-error");
    }
}
