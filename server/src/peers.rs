//! The lines to other nodes, as `status` and those who watch see them, and whether they rest.
//!
//! What is told of a line since the start lies in memory; when a node was last connected, and that the lines rest, also
//! stands beside the database. Of a line itself it knows why it ended, and no more.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use mytism_core::failure::Failure;
use mytism_core::operation::PeerStatus;
use mytism_core::time::Timestamp;
use tokio::sync::watch;

use crate::line::LineEnd;
use crate::project::{Project, file_failure, write_durably};

/// A line carries messages.
pub(crate) const CONNECTED: &str = "connected";
/// A line is being looked for.
pub(crate) const CONNECTING: &str = "connecting";
/// A line rests.
pub(crate) const STOPPED: &str = "stopped";

/// The state of a line that has ended.
pub(crate) fn state_after(end: &LineEnd) -> &'static str {
    if end.is_rest_there() { STOPPED } else { CONNECTING }
}

/// The pace of a line is measured over spans of at least this.
const PACE_SPAN: Duration = Duration::from_secs(1);

/// States of all lines by the name of the other node.
#[derive(Debug)]
pub(crate) struct Peers {
    project: Project,
    lines: Mutex<BTreeMap<String, Line>>,
    /// Whether the lines rest until they are resumed.
    rest: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Line {
    status: PeerStatus,
    pace: Option<Pace>,
}

/// How fast a line that is behind catches up.
#[derive(Debug)]
struct Pace {
    since: Instant,
    moved: u64,
}

/// Becomes ready when the lines shall rest, or shall no longer.
pub(crate) struct Resting(watch::Receiver<bool>);

impl Resting {
    pub(crate) async fn begins(&mut self) {
        // A sender that is gone is a node that is gone.
        let _ended = self.0.wait_for(|rest| *rest).await;
    }

    pub(crate) async fn ends(&mut self) {
        let _ended = self.0.wait_for(|rest| !*rest).await;
    }

    pub(crate) fn is_on(&self) -> bool {
        *self.0.borrow()
    }
}

impl Peers {
    /// As far as is remembered beside the database.
    pub(crate) fn of(project: &Project) -> Self {
        let seen = fs::read_to_string(project.seen_file()).unwrap_or_default();
        let lines = seen.lines().filter_map(|line| {
            let (time, name) = line.split_once(' ')?;
            let seen = Some(Timestamp::parse(time, &TimeZone::UTC)?);
            let (name, state) = (name.to_owned(), CONNECTING.to_owned());
            let status = PeerStatus { name: name.clone(), state, seen, ..PeerStatus::default() };
            Some((name, Line { status, pace: None }))
        });
        Self {
            project: project.clone(),
            lines: Mutex::new(lines.collect()),
            rest: watch::Sender::new(project.rest_file().exists()),
        }
    }

    /// Changes what is known of a line.
    pub(crate) fn update(&self, name: &str, change: impl FnOnce(&mut PeerStatus)) {
        change(&mut entry(&mut self.lines(), name).status);
    }

    /// So many transactions were moved over a line, and so many are left: how long that may take.
    pub(crate) fn moved(&self, name: &str, moved: u64, left: u64) {
        let mut lines = self.lines();
        let line = entry(&mut lines, name);
        if left == 0 {
            (line.pace, line.status.rest_ms) = (None, None);
            return;
        }
        let pace = line.pace.get_or_insert_with(|| Pace { since: Instant::now(), moved: 0 });
        pace.moved += moved;
        let span = pace.since.elapsed();
        if span >= PACE_SPAN && pace.moved > 0 {
            line.status.rest_ms = Some(rest_ms(span, pace.moved, left));
            line.pace = Some(Pace { since: Instant::now(), moved: 0 });
        }
    }

    /// Those among the nodes with these names that are known, in the order of their names. Lines to others, which left
    /// the cluster, are forgotten.
    pub(crate) fn of_nodes(&self, names: &[String]) -> Vec<PeerStatus> {
        let mut lines = self.lines();
        lines.retain(|name, _| names.contains(name));
        for name in names {
            entry(&mut lines, name);
        }
        let resting = *self.rest.borrow();
        let status = |line: &Line| {
            let mut status = line.status.clone();
            if resting && status.state != CONNECTED {
                STOPPED.clone_into(&mut status.state);
            }
            status
        };
        lines.values().map(status).collect()
    }

    /// Whether the lines rest.
    pub(crate) fn resting(&self) -> Resting {
        Resting(self.rest.subscribe())
    }

    /// Lets the lines rest from now on, or no longer.
    ///
    /// # Errors
    /// When the disk refuses to keep it; nothing has changed then.
    pub(crate) fn rest(&self, rest: bool, now: Timestamp) -> Result<(), Failure> {
        rest_lines(&self.project, rest, now)?;
        self.rest.send_replace(rest);
        Ok(())
    }

    /// Keeps beside the database when nodes were last connected. What is connected was seen now.
    pub(crate) fn remember(&self, now: Timestamp) -> Result<(), Failure> {
        let mut text = String::new();
        for (name, line) in self.lines().iter_mut() {
            if line.status.state == CONNECTED {
                line.status.seen = Some(now);
            }
            if let Some(seen) = line.status.seen {
                text += &format!("{seen} {name}\n");
            }
        }
        let path = self.project.seen_file();
        if fs::read_to_string(&path).is_ok_and(|known| known == text) {
            return Ok(());
        }
        write_durably(&path, text.as_bytes())
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn entry<'l>(lines: &'l mut BTreeMap<String, Line>, name: &str) -> &'l mut Line {
    lines.entry(name.to_owned()).or_insert_with(|| {
        let (name, state) = (name.to_owned(), CONNECTING.to_owned());
        Line { status: PeerStatus { name, state, ..PeerStatus::default() }, pace: None }
    })
}

/// At the pace of `moved` in a span.
fn rest_ms(span: Duration, moved: u64, left: u64) -> f64 {
    // Counts of log entries are far below where a float loses any.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let spans = left as f64 / moved as f64;
    span.as_secs_f64() * 1e3 * spans
}

/// Notes beside the database of a node that its lines rest, or no longer do.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn rest_lines(project: &Project, rest: bool, now: Timestamp) -> Result<(), Failure> {
    let path = project.rest_file();
    if rest {
        return write_durably(&path, format!("since {now}\n").as_bytes());
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_failure("remove", &path, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn project() -> (tempfile::TempDir, Project) {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        project.make_directories().unwrap();
        (directory, project)
    }

    #[test]
    fn who_was_seen_is_remembered() {
        let (_directory, project) = project();
        let peers = Peers::of(&project);
        peers.update("berlin", |peer| CONNECTED.clone_into(&mut peer.state));
        peers.update("bonn", |_| {});
        peers.remember(at(7)).unwrap();
        let names = ["berlin", "bonn", "riga"].map(str::to_owned);
        let told: Vec<_> =
            Peers::of(&project).of_nodes(&names).into_iter().map(|peer| (peer.state, peer.seen)).collect();
        let connecting = || CONNECTING.to_owned();
        assert_eq!(told, [(connecting(), Some(at(7))), (connecting(), None), (connecting(), None)]);
        assert_eq!(Peers::of(&project).of_nodes(&names[1..2]).len(), 1, "who left the cluster is not told of");
    }

    #[test]
    fn lines_rest_over_a_restart() {
        let (_directory, project) = project();
        let peers = Peers::of(&project);
        assert!(!peers.resting().is_on());
        peers.rest(true, at(7)).unwrap();
        let names = ["berlin".to_owned()];
        let again = Peers::of(&project);
        assert!(peers.resting().is_on() && again.resting().is_on());
        assert!(again.of_nodes(&names).iter().all(|peer| peer.state == STOPPED));
        again.rest(false, at(8)).unwrap();
        again.rest(false, at(9)).unwrap();
        assert!(!Peers::of(&project).resting().is_on());
    }

    #[test]
    fn what_is_left_is_told_in_time() {
        assert_eq!(rest_ms(Duration::from_secs(2), 1_000, 4_000).round(), 8_000.0);
    }
}
