//! The exchange of the data of a project: what was restored beside them takes their place.
//!
//! It takes several steps, and a machine may go down between any two. So what shall be done is noted first, durably,
//! when all that is new is whole and on the disk. From then on the exchange is completed: by who began it, else by
//! whoever works on the project next. Before the note nothing has changed, after it everything will have. Every step
//! may be done twice. Nothing here looks into the data.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mytism_core::failure::Failure;

use super::place::Place;
use super::{CONFIG, Held, NUMBERS, hold, remove, sync};
use crate::markers;
use crate::project::{Project, file_failure, make_directory, write_durably};

/// Where the life and the end of the log are noted in what was restored.
pub(super) const INCARNATION: &str = "state/incarnation";

/// What shall be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Exchange {
    /// Name of the directory beside the data in which everything new is.
    pub(super) new: String,
    /// Name of the directory beside the data in which the old ones stay.
    pub(super) old: String,
}

/// Behind the name of the data: a directory in which a backup is restored.
pub(super) const NEW: &str = ".restoring-";
/// Behind the name of the data: a directory in which old data stay.
pub(super) const OLD: &str = ".before-restore-";

/// Called before each step; its failure breaks the exchange off.
type Between<'b> = dyn FnMut() -> Result<(), Failure> + 'b;

impl Exchange {
    /// Notes it and carries it out, under the lock of [`lock`].
    ///
    /// # Errors
    /// When the disk refuses. Where that was after the data had been moved, it is completed later.
    pub(super) fn carry_out(&self, project: &Project, _lock: &Held) -> Result<(), Failure> {
        self.note(project)?;
        self.complete_or_withdraw(project)
    }

    /// Completes it; where the system refuses to move even the old data, it is as if it had never been noted, since it
    /// would refuse at every start, and the node could not be used.
    fn complete_or_withdraw(&self, project: &Project) -> Result<(), Failure> {
        let done = self.complete(project, &mut || Ok(()));
        let Err(failure) = done else { return Ok(()) };
        let place = Place::of(project)?;
        let beside = |name: &str| place.directory().join(name);
        let is_unmoved = place.data().exists() && !beside(&self.old).exists();
        if !is_unmoved || !beside(&self.new).join("data").exists() {
            return Err(failure);
        }
        remove_note(project)?;
        let message = format!("{}; the data that were there are still there", failure.message);
        Err(Failure { message, ..failure })
    }

    fn note(&self, project: &Project) -> Result<(), Failure> {
        write_durably(&note(project), format!("{}\n{}\n", self.new, self.old).as_bytes())
    }

    fn read(project: &Project) -> Result<Option<Self>, Failure> {
        let path = note(project);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(file_failure("read", &path, &error)),
        };
        match text.lines().collect::<Vec<_>>()[..] {
            [new, old] if new.contains(NEW) && old.contains(OLD) && !text.contains('/') => {
                Ok(Some(Self { new: new.to_owned(), old: old.to_owned() }))
            }
            _ => {
                let message = format!("{} does not say what was restored", path.display());
                let hint = "take it away if data/ holds the data that shall be used";
                Err(Failure::failed("damaged-state", message).hint(hint))
            }
        }
    }

    /// Does what has not been done.
    fn complete(&self, project: &Project, between: &mut Between<'_>) -> Result<(), Failure> {
        let place = Place::of(project)?;
        let new = place.directory().join(&self.new);
        between()?;
        give(&new.join(CONFIG), &project.config_file(), false)?;
        between()?;
        let data = new.join("data");
        if data.exists() {
            let old = place.directory().join(&self.old);
            if place.data().exists() {
                rename(&place.data(), &old)?;
            }
            between()?;
            rename(&data, &place.data())?;
            sync(place.directory())?;
        }
        between()?;
        make_directory(&project.state())?;
        make_directory(&project.directory().join("logs"))?;
        give(&new.join(NUMBERS), &project.numbers_file(), true)?;
        between()?;
        give(&new.join(INCARNATION), &project.incarnation_file(), true)?;
        between()?;
        markers::reset(project)?;
        between()?;
        remove(&new)?;
        between()?;
        remove_note(project)
    }
}

fn remove_note(project: &Project) -> Result<(), Failure> {
    let path = note(project);
    fs::remove_file(&path).map_err(|error| file_failure("remove", &path, &error))?;
    sync(&project.state())
}

/// Completes an exchange that was broken off; does nothing where there was none.
///
/// # Errors
/// When somebody else is at it, or the disk refuses.
pub(crate) fn finish(project: &Project) -> Result<(), Failure> {
    if !is_noted(project) {
        return Ok(());
    }
    let lock = lock(project)?;
    finish_under(project, &lock)
}

/// The same, for who holds the lock.
pub(super) fn finish_under(project: &Project, _lock: &Held) -> Result<(), Failure> {
    let Some(exchange) = Exchange::read(project)? else { return Ok(()) };
    tracing::warn!("a restore was broken off while it exchanged the data; it is completed");
    exchange.complete_or_withdraw(project)
}

/// Taken by whoever restores into a project.
///
/// # Errors
/// `project-in-use`.
pub(super) fn lock(project: &Project) -> Result<Held, Failure> {
    let message = format!("a backup is being restored into {}", project.directory().display());
    hold(&project.state().join("restore.lock"), &message, "wait until it is done")
}

/// Whether an exchange has begun.
pub(super) fn is_noted(project: &Project) -> bool {
    note(project).exists()
}

fn note(project: &Project) -> PathBuf {
    project.state().join("restoring")
}

/// Gives a file a new content, where there is one for it; one that is there is kept unless it shall be written anew.
fn give(from: &Path, to: &Path, anew: bool) -> Result<(), Failure> {
    if !anew && to.exists() {
        return Ok(());
    }
    match fs::read(from) {
        Ok(content) => write_durably(to, &content),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(file_failure("read", from, &error)),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|error| {
        let step = format!("rename {} to", from.display());
        file_failure(&step, to, &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project with old data, and something new beside them.
    fn project(directory: &Path, is_new_machine: bool) -> (Project, Exchange) {
        let project = Project::at(directory);
        let exchange = Exchange { new: "data.restoring-1".to_owned(), old: "data.before-restore-1".to_owned() };
        let write = |path: PathBuf, text: &str| {
            make_directory(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        make_directory(&project.state()).unwrap();
        if !is_new_machine {
            for (path, text) in [
                (project.data().join("objects.db"), "old"),
                (project.numbers_file(), "old"),
                (project.incarnation_file(), "old"),
                (project.config_file(), "old"),
                (project.directory().join(".init-keygen"), ""),
            ] {
                write(path, text);
            }
        }
        let new = directory.join(&exchange.new);
        for path in ["data/objects.db", NUMBERS, INCARNATION, CONFIG] {
            write(new.join(path), "new");
        }
        (project, exchange)
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[track_caller]
    fn check_done(project: &Project, exchange: &Exchange, is_new_machine: bool) {
        assert_eq!(read(project.data().join("objects.db")), "new");
        assert_eq!((read(project.numbers_file()), read(project.incarnation_file())), ("new".into(), "new".into()));
        assert_eq!(read(project.config_file()), if is_new_machine { "new" } else { "old" });
        let kept = project.directory().join(&exchange.old).join("objects.db");
        assert_eq!(read(kept), if is_new_machine { "" } else { "old" });
        assert!(!project.directory().join(&exchange.new).exists());
        assert!(!project.directory().join(".init-keygen").exists());
        assert!(!note(project).exists());
    }

    #[test]
    fn an_exchange_that_is_broken_off_anywhere_is_completed() {
        for is_new_machine in [false, true] {
            let mut steps = 0;
            loop {
                let directory = tempfile::tempdir().unwrap();
                let (project, exchange) = project(directory.path(), is_new_machine);
                exchange.note(&project).unwrap();
                let mut left = steps;
                let broken = exchange.complete(&project, &mut || match left {
                    0 => Err(Failure::failed("killed", "")),
                    _ => {
                        left -= 1;
                        Ok(())
                    }
                });
                if broken.is_ok() {
                    check_done(&project, &exchange, is_new_machine);
                    break;
                }
                finish(&project).unwrap();
                check_done(&project, &exchange, is_new_machine);
                finish(&project).unwrap();
                check_done(&project, &exchange, is_new_machine);
                steps += 1;
            }
            assert!(steps > 5, "it was broken off at {steps} places");
        }
    }

    #[test]
    fn an_exchange_that_cannot_begin_is_withdrawn() {
        let directory = tempfile::tempdir().unwrap();
        let (project, exchange) = project(directory.path(), false);
        // There is no place for the old data.
        let lock = lock(&project).unwrap();
        let data = project.data();
        fs::rename(&data, directory.path().join("real")).unwrap();
        std::os::unix::fs::symlink("real", &data).unwrap();
        let (new, nowhere) = (directory.path().join("real.restoring-1"), "no/real.before-restore-1");
        fs::rename(directory.path().join(&exchange.new), &new).unwrap();
        let exchange = Exchange { new: "real.restoring-1".to_owned(), old: nowhere.to_owned() };
        let failure = exchange.carry_out(&project, &lock).unwrap_err();
        assert!(failure.message.contains("still there"), "{failure:?}");
        assert!(!is_noted(&project) && new.exists());
        assert_eq!(read(data.join("objects.db")), "old");
        finish_under(&project, &lock).unwrap();
        assert_eq!(read(data.join("objects.db")), "old");
    }

    #[test]
    fn a_link_stays_one_and_the_exchange_is_where_it_leads() {
        let root = tempfile::tempdir().unwrap();
        let [directory, disk] = ["project", "disk"].map(|name| root.path().join(name));
        let (project, exchange) = project(&directory, false);
        make_directory(&disk).unwrap();
        fs::rename(project.data(), disk.join("hamburg")).unwrap();
        fs::rename(directory.join(&exchange.new), disk.join("hamburg.restoring-1")).unwrap();
        std::os::unix::fs::symlink(disk.join("hamburg"), project.data()).unwrap();
        let [new, old] = ["hamburg.restoring-1", "hamburg.before-restore-1"].map(str::to_owned);
        Exchange { new, old }.carry_out(&project, &lock(&project).unwrap()).unwrap();
        assert!(project.data().is_symlink());
        assert_eq!(read(disk.join("hamburg/objects.db")), "new");
        assert_eq!(read(disk.join("hamburg.before-restore-1/objects.db")), "old");
        assert!(!is_noted(&project) && !disk.join("hamburg.restoring-1").exists());
    }

    #[test]
    fn nothing_changes_before_the_note() {
        let directory = tempfile::tempdir().unwrap();
        let (project, _) = project(directory.path(), false);
        finish(&project).unwrap();
        assert_eq!(read(project.data().join("objects.db")), "old");
    }

    #[test]
    fn who_restores_is_not_disturbed() {
        let directory = tempfile::tempdir().unwrap();
        let (project, exchange) = project(directory.path(), false);
        exchange.note(&project).unwrap();
        let held = lock(&project).unwrap();
        assert_eq!(finish(&project).unwrap_err().code, "project-in-use");
        drop(held);
        fs::write(note(&project), "data.restoring-1\n../data.before-restore-1\n").unwrap();
        assert_eq!(finish(&project).unwrap_err().code, "damaged-state");
        assert_eq!(read(project.data().join("objects.db")), "old");
    }
}
