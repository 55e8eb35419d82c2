//! Where the data of a project really are, and who may put others there. Looked at before anything is changed.
//!
//! The exchange renames directories, so it happens beside the data: where `data` is a link, that is beside what it leads
//! to, on that disk. What is renamed keeps its owner, so whoever restores is the user to whom the data belong.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mytism_core::failure::Failure;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

use crate::project::{Project, file_failure};

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// The directory in which the data are.
    directory: PathBuf,
    /// Their name within it.
    name: String,
}

impl Place {
    /// Where the data of a project are, or would be.
    ///
    /// # Errors
    /// `data-not-movable` where `data` leads to something that is no directory of its own.
    pub(super) fn of(project: &Project) -> Result<Self, Failure> {
        let data = project.data();
        let target = match fs::read_link(&data) {
            Ok(target) => project.directory().join(target),
            // It is no link, or there is nothing.
            Err(_) => return Ok(Self { directory: project.directory().to_owned(), name: "data".to_owned() }),
        };
        let message = || format!("{} is a link to {}", data.display(), target.display());
        let refuse = |why: &str| {
            let hint = "let it lead straight to a directory; nothing was changed";
            Failure::failed("data-not-movable", format!("{}, {why}", message())).hint(hint)
        };
        if target.is_symlink() {
            return Err(refuse("which is a link again"));
        }
        let name = target.file_name().and_then(|name| name.to_str()).filter(|name| !name.contains('\n'));
        let (Some(directory), Some(name)) = (target.parent(), name) else {
            return Err(refuse("beside which nothing can be put"));
        };
        let directory = fs::canonicalize(directory).map_err(|error| file_failure("look into", directory, &error))?;
        Ok(Self { directory, name: name.to_owned() })
    }

    /// The directory in which the data are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The data themselves.
    pub(super) fn data(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// The name of something that lies beside the data: theirs, with this behind it.
    pub(super) fn beside(&self, ending: &str) -> String {
        format!("{}{ending}", self.name)
    }

    /// That the data can be renamed.
    ///
    /// # Errors
    /// `data-not-movable` where a file system is mounted there.
    pub(super) fn check_movable(&self) -> Result<(), Failure> {
        let data = self.data();
        if !is_mounted(&data) {
            return Ok(());
        }
        let message = format!(
            "a file system is mounted at {}, so nothing can take the place of that directory; nothing was changed",
            data.display()
        );
        let hint = "mount it somewhere else, move the data into a directory on it, and make data a link to that one";
        Err(Failure::failed("data-not-movable", message).hint(hint))
    }
}

/// Whether a file system is mounted at a directory, as far as the system tells.
fn is_mounted(directory: &Path) -> bool {
    let found = statx(CWD, directory, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS);
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Refuses root where a project is another user's: what root makes there, the node could not read or write.
///
/// # Errors
/// `other-user`.
pub(crate) fn check_user(project: &Project) -> Result<(), Failure> {
    refuse_root(project, rustix::process::geteuid().as_raw())
}

fn refuse_root(project: &Project, user: u32) -> Result<(), Failure> {
    // On a new machine there is what was brought there.
    let signs = [project.data(), project.config_file(), project.backups(), project.directory().to_owned()];
    let owner = signs.iter().map(fs::metadata).find_map(io::Result::ok).map(|found| found.uid());
    match owner {
        Some(owner) if user == 0 && owner != user => {
            let message = format!(
                "{} belongs to the user with the number {owner}, whose node could not use what root makes there; nothing was changed",
                project.directory().display()
            );
            let hint = format!("do it as that user: `sudo -u '#{owner}' …`; or give all of the directory to root");
            Err(Failure::refused("other-user", message).hint(hint))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_where_the_data_are() {
        let root = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(root.path()).unwrap();
        let [directory, disk] = ["project", "disk"].map(|name| root.join(name));
        [&directory, &disk].iter().for_each(|path| fs::create_dir(path).unwrap());
        let project = Project::at(&directory);
        let place = || Place::of(&project);
        assert_eq!(place().unwrap().data(), directory.join("data"));
        symlink("../disk/hamburg", project.data()).unwrap();
        let found = place().unwrap();
        assert_eq!((found.data(), found.beside(".x")), (disk.join("hamburg"), "hamburg.x".to_owned()));
        fs::create_dir(disk.join("hamburg")).unwrap();
        assert_eq!(place().unwrap(), found, "whether it is there or not");
        symlink("hamburg", disk.join("again")).unwrap();
        for bad in ["../disk/again", "/", ".."] {
            fs::remove_file(project.data()).unwrap();
            symlink(bad, project.data()).unwrap();
            assert_eq!(place().unwrap_err().code, "data-not-movable", "{bad}");
        }
    }

    #[test]
    fn where_something_is_mounted_nothing_is_exchanged() {
        let root = tempfile::tempdir().unwrap();
        let place = Place { directory: root.path().to_owned(), name: "data".to_owned() };
        place.check_movable().unwrap();
        fs::create_dir(place.data()).unwrap();
        place.check_movable().unwrap();
        let mounted = Place { directory: PathBuf::from("/"), name: "proc".to_owned() };
        assert_eq!(mounted.check_movable().unwrap_err().code, "data-not-movable");
    }

    #[test]
    fn root_leaves_the_projects_of_others_alone() {
        let root = tempfile::tempdir().unwrap();
        let project = Project::at(root.path());
        check_user(&project).unwrap();
        // Only root can give files away.
        if std::os::unix::fs::chown(root.path(), Some(12_345), None).is_ok() {
            assert_eq!(check_user(&project).unwrap_err().code, "other-user");
            refuse_root(&project, 12_345).unwrap();
            refuse_root(&project, 54_321).unwrap();
            fs::create_dir(project.data()).unwrap();
            check_user(&project).unwrap();
        }
    }
}
