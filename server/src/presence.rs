//! Who runs a project: a file in `run/` that a serving node writes about itself, for commands on the same machine.
//!
//! The lock on the data decides whether a node runs; this file only tells more about it, and a stale one means nothing.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mytism_core::failure::Failure;

use crate::node::Ready;
use crate::project::{Project, file_failure, write_durably};

/// A node that serves, as it described itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Presence {
    /// What it said when it served.
    pub ready: Ready,
    /// The unit of systemd that runs it, where one does.
    pub unit: Option<Unit>,
}

/// A unit of systemd.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    /// For example `mytism.service`.
    pub name: String,
    /// Whether it belongs to a user's own manager.
    pub of_user: bool,
}

impl Presence {
    /// Reads what the node of a project wrote; `None` where no such file is, or its process is gone.
    #[must_use]
    pub fn read(project: &Project) -> Option<Self> {
        let text = fs::read_to_string(file(project)).ok()?;
        let presence = Self::from_text(&text)?;
        Path::new("/proc").join(presence.ready.pid.to_string()).exists().then_some(presence)
    }

    fn from_text(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
        let port = |name: &str| field(name).and_then(|digits| digits.parse().ok());
        let unit = |name: &str, of_user| field(name).map(|name| Unit { name: name.to_owned(), of_user });
        Some(Self {
            ready: Ready {
                pid: field("pid")?.parse().ok()?,
                node: field("node")?.to_owned(),
                role: if field("role")? == "branch" { "branch" } else { "authoritative" },
                plain: port("plain"),
                tls: port("tls"),
                http: port("http"),
            },
            unit: unit("unit", false).or_else(|| unit("user-unit", true)),
        })
    }

    fn to_text(&self) -> String {
        let Ready { pid, node, role, plain, tls, http } = &self.ready;
        let mut text = format!("pid = {pid}\nnode = {node}\nrole = {role}\n");
        for (name, port) in [("plain", plain), ("tls", tls), ("http", http)] {
            if let Some(port) = port {
                text.push_str(&format!("{name} = {port}\n"));
            }
        }
        if let Some(unit) = &self.unit {
            let name = if unit.of_user { "user-unit" } else { "unit" };
            text.push_str(&format!("{name} = {}\n", unit.name));
        }
        text
    }
}

fn file(project: &Project) -> PathBuf {
    project.directory().join("run").join("node")
}

/// The file of the node of this process. It goes with this value.
#[derive(Debug)]
pub(crate) struct Written(PathBuf);

/// Removes what an earlier process left. To be called under the lock of the data.
pub(crate) fn clear(project: &Project) {
    // Where it cannot be removed, its process is gone, which whoever reads it notices.
    let _removed = fs::remove_file(file(project));
}

/// Describes the node of this process, which serves.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn write(project: &Project, ready: &Ready) -> Result<Written, Failure> {
    let path = file(project);
    if let Some(directory) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| file_failure("make the directory", directory, &error))?;
    }
    let presence = Presence { ready: ready.clone(), unit: own_unit() };
    write_durably(&path, presence.to_text().as_bytes())?;
    Ok(Written(path))
}

impl Drop for Written {
    fn drop(&mut self) {
        let _removed = fs::remove_file(&self.0);
    }
}

/// The unit that runs this very process; a process that was merely started from within one has none.
fn own_unit() -> Option<Unit> {
    let started = std::env::var("SYSTEMD_EXEC_PID").ok()?.parse::<u32>().ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    (started == std::process::id()).then(|| unit_of(&groups)).flatten()
}

fn unit_of(groups: &str) -> Option<Unit> {
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let name = path.rsplit('/').find(|part| part.ends_with(".service"))?;
    let of_user = path.split('/').any(|part| part.starts_with("user@") && part != name);
    Some(Unit { name: name.to_owned(), of_user })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> Ready {
        let (node, role) = ("köln".to_owned(), "branch");
        Ready { pid: std::process::id(), node, role, plain: None, tls: Some(4243), http: None }
    }

    #[test]
    fn what_is_written_is_read() {
        for unit in [None, Some(("a.service", false)), Some(("b.service", true))] {
            let unit = unit.map(|(name, of_user)| Unit { name: name.to_owned(), of_user });
            let presence = Presence { ready: ready(), unit };
            assert_eq!(Presence::from_text(&presence.to_text()), Some(presence));
        }
        assert_eq!(Presence::from_text("pid = x\nnode = a\nrole = branch\n"), None);
        assert_eq!(Presence::from_text(""), None);
    }

    #[test]
    fn a_file_of_a_process_that_is_gone_means_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        assert_eq!(Presence::read(&project), None);
        let written = write(&project, &ready()).unwrap();
        assert_eq!(Presence::read(&project).map(|presence| presence.ready), Some(ready()));
        drop(written);
        assert_eq!(Presence::read(&project), None);
        // No process has this number.
        let gone = Presence { ready: Ready { pid: u32::MAX, ..ready() }, unit: None };
        fs::write(file(&project), gone.to_text()).unwrap();
        assert_eq!(Presence::read(&project), None);
        clear(&project);
        assert!(!file(&project).exists());
    }

    #[test]
    fn units_are_found_by_their_group() {
        let check = |groups: &str, expected: Option<(&str, bool)>| {
            let found = unit_of(groups);
            let found = found.as_ref().map(|unit| (unit.name.as_str(), unit.of_user));
            assert_eq!(found, expected, "{groups:?}");
        };
        check("0::/system.slice/mytism.service\n", Some(("mytism.service", false)));
        check(
            "1:name=x:/\n0::/system.slice/system-mytism.slice/mytism@demo.service\n",
            Some(("mytism@demo.service", false)),
        );
        check("0::/user.slice/user-1000.slice/user@1000.service/app.slice/my.service\n", Some(("my.service", true)));
        check("0::/user.slice/user-1000.slice/session-2.scope\n", None);
        check("0::/\n", None);
        check("", None);
    }
}
