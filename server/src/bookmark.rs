//! How far the node was, noted beside its database: its life, and some seconds later than it came there the end of its
//! log. A database that lacks what was noted is an older copy, or one that went another way.
//!
//! What follows from that is for the use cases to know; a branch is told by its head office.

use std::fs;

use mytism_app::{App, AppError};
use mytism_core::failure::Failure;
use mytism_core::id::Position;

use crate::project::{Project, write_durably};

/// A life and the end of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bookmark {
    incarnation: u32,
    /// The last entry and its hash, as digits.
    end: Option<(Position, String)>,
}

impl Bookmark {
    /// Where a node is.
    pub(crate) fn of(app: &App) -> Result<Self, AppError> {
        let end = app.view()?.head()?.map(|head| (head.position, head.hash.to_string()));
        Ok(Self { incarnation: app.identity().incarnation, end })
    }

    /// What was noted; nothing where nothing was.
    pub(crate) fn read(project: &Project) -> Result<Option<Self>, Failure> {
        let path = project.incarnation_file();
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        Self::parse(&text).map(Some).ok_or_else(|| {
            let message = format!("{} does not say how far the node was", path.display());
            let hint = "take it away if the database is the newest one that there is; it is written anew";
            Failure::failed("damaged-state", message).hint(hint)
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let incarnation = lines.next()?.trim().parse().ok()?;
        let Some(line) = lines.next() else { return Some(Self { incarnation, end: None }) };
        let [epoch, number, hash] = line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
        let position = Position { epoch: epoch.parse().ok()?, number: number.parse().ok()? };
        Some(Self { incarnation, end: Some((position, hash.to_owned())) })
    }

    /// As it is noted.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}\n", self.incarnation);
        if let Some((position, hash)) = &self.end {
            text += &format!("{} {} {hash}\n", position.epoch, position.number);
        }
        text
    }

    /// Notes it.
    pub(crate) fn write(&self, project: &Project) -> Result<(), Failure> {
        write_durably(&project.incarnation_file(), self.to_text().as_bytes())
    }

    /// The epoch in which the log ended; 0 where that is not known.
    pub(crate) fn epoch(&self) -> u32 {
        self.end.as_ref().map_or(0, |(position, _)| position.epoch)
    }

    /// What a database lacks of it, in words.
    fn lacking(&self, app: &App) -> Result<Option<String>, AppError> {
        let present = app.identity().incarnation;
        if present < self.incarnation {
            return Ok(Some(format!("it is life {present} of this node, while life {} was here", self.incarnation)));
        }
        let Some((position, hash)) = &self.end else { return Ok(None) };
        Ok(match app.view()?.log_row(position.number)? {
            Some(row) if row.hash.to_string() == *hash => None,
            Some(_) => Some(format!("its entry {position} is another one than was here")),
            None => Some(format!("it lacks the entries up to {position} that were here")),
        })
    }
}

/// Compares the database with what was noted. A head office that is an older copy waits for its branches from now on.
///
/// # Errors
/// When the note cannot be read or written.
pub(crate) fn check(project: &Project, app: &App) -> Result<(), Failure> {
    let failure = |error: AppError| error.failure();
    let lacking = match Bookmark::read(project)? {
        Some(noted) => noted.lacking(app).map_err(failure)?,
        // It was there from the first moment on.
        None => Some(format!("nobody knows how far it was, since {} is gone", project.incarnation_file().display())),
    };
    if let Some(lacking) = lacking {
        tracing::warn!("the database was put back from a backup or copied: {lacking}");
        if app.identity().authoritative {
            app.begin_recovery(None).map_err(failure)?;
        }
    }
    // An older note is a good one too.
    if let Err(failure) = Bookmark::of(app).map_err(failure)?.write(project) {
        tracing::warn!("how far this node is cannot be noted: {failure}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use mytism_app::surroundings::Machine;
    use mytism_store::sqlite::SqliteStore;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, Option<u64>)>) {
        let found = Bookmark::parse(text);
        assert_eq!(found.map(|found| (found.incarnation, found.end.map(|(end, _)| end.number))), expected);
    }

    #[test]
    fn an_older_copy_of_a_head_office_is_noticed_once() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        project.create().unwrap();
        let schema = Arc::new(mytism_schema::project(None).unwrap());
        let open = |data: &Path| {
            let store = SqliteStore::open(data).unwrap();
            let schema = store.schema();
            App::open(Arc::new(store), schema, Arc::new(Machine::default())).unwrap()
        };
        let store = Arc::new(SqliteStore::create(&project.data(), Arc::clone(&schema)).unwrap());
        drop(App::create_head_office(store, schema, Arc::new(Machine::default()), "hamburg").unwrap());
        let old = tempfile::tempdir().unwrap();
        for file in fs::read_dir(project.data()).unwrap().map(Result::unwrap) {
            if file.file_name().to_string_lossy().starts_with("objects.db") {
                fs::copy(file.path(), old.path().join(file.file_name())).unwrap();
            }
        }
        let epoch = |app: &App| app.view().unwrap().head().unwrap().unwrap().position.epoch;

        let app = open(&project.data());
        super::check(&project, &app).unwrap();
        assert_eq!((epoch(&app), app.identity().incarnation), (2, 2), "nobody knows how far it was");
        app.new_reign(3).unwrap();
        Bookmark::of(&app).unwrap().write(&project).unwrap();
        super::check(&project, &app).unwrap();
        assert_eq!(epoch(&app), 3);
        drop(app);
        // Without branches there is nobody to wait for.
        let app = open(old.path());
        super::check(&project, &app).unwrap();
        assert_eq!((epoch(&app), app.identity().incarnation, app.is_recovering()), (2, 2, false));
        super::check(&project, &app).unwrap();
        assert_eq!(epoch(&app), 2, "it is noticed once");
    }

    #[test]
    fn what_is_noted_is_read() {
        let hash = "ab".repeat(32);
        check("2\n", Some((2, None)));
        check(&format!("2\n1 4711 {hash}\n"), Some((2, Some(4711))));
        check("", None);
        check("x\n", None);
        check("2\n1 4711\n", None);
        check(&format!("2\n1 x {hash}\n"), None);
    }
}
