//! Once a day, at a minute that chance chooses, a branch compares all that it holds with its head office. When that was last done, on
//! command or by itself, and what came of it, stands in a file beside the database: it is about this machine alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Zoned;
use mytism_core::failure::Failure;
use mytism_core::operation::Checked;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::{Scope, compare};
use crate::node::Shared;
use crate::project::{Project, write_durably};

/// Between two looks at whether it is time.
const LOOK: Duration = Duration::from_secs(5);
/// A branch that has never compared has just joined, and has enough to do for so long.
const FIRST: Duration = Duration::from_secs(600);
/// After one that broke off.
const AGAIN: Duration = Duration::from_secs(3_600);
/// By so much at most it is later than it might be, at random, so that branches that were started together do not all
/// ask at once.
const LATER_MINUTES: u8 = 60;

/// What came of the last comparison of all that is here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastCheck {
    /// When it ended, RFC 3339 in the zone of the machine.
    pub time: String,
    /// Entries and objects.
    pub compared: u64,
    /// Of these, those that were not here.
    pub missing: u64,
    /// Those that were otherwise.
    pub different: u64,
    /// Those that are good since.
    pub repaired: u64,
}

impl LastCheck {
    /// How many entries and objects were wrong and are not good now.
    #[must_use]
    pub const fn unmended(&self) -> u64 {
        (self.missing + self.different).saturating_sub(self.repaired)
    }

    /// That of the node of a project, where there was one.
    #[must_use]
    pub fn read(directory: &Path) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(Project::at(directory).last_check_file()).ok()?).ok()
    }
}

/// Keeps in mind what came of a comparison. Where that cannot be written, the next one comes the sooner.
pub(crate) fn note(project: &Project, checked: &Checked) {
    let last = LastCheck {
        time: Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        compared: checked.compared,
        missing: checked.missing,
        different: checked.different,
        repaired: checked.repaired,
    };
    let text = serde_json::to_string(&last).map_err(|error| Failure::failed("internal", error.to_string()));
    let written = text.and_then(|text| write_durably(&project.last_check_file(), format!("{text}\n").as_bytes()));
    if let Err(failure) = written {
        tracing::warn!("what came of a comparison cannot be noted: {}", failure.message);
    }
}

/// Works at a branch until the node stops.
pub(crate) async fn daily(shared: Arc<Shared>) {
    let mut stopping = shared.stopping();
    let begun = Instant::now();
    let mut not_before = begun;
    let mut later = some_minutes();
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let now = Instant::now();
        let is_up = shared.line_up.borrow().is_some();
        let Some(every) = shared.live().check_every else { continue };
        let last = passed(&shared.project.last_check_file(), every);
        if !is_up || now < not_before || !is_due(last, begun.elapsed(), every + later) {
            continue;
        }
        not_before = now + AGAIN;
        later = some_minutes();
        match compare(&shared, Scope::Whole).await {
            Ok(checked) => {
                told(&shared.head_name, &checked);
                note(&shared.project, &checked);
            }
            // The line says why it ended.
            Err(failure) => tracing::debug!("what is here was not compared: {failure}"),
        }
    }
}

fn some_minutes() -> Duration {
    let mut byte = [0];
    // Without chance it is on time.
    let minutes = SystemRandom::new().fill(&mut byte).map_or(0, |()| byte[0] % LATER_MINUTES);
    Duration::from_secs(60) * minutes.into()
}

fn told(head: &str, checked: &Checked) {
    let Checked { compared, missing, different, repaired, .. } = checked;
    match missing + different {
        0 => tracing::info!("all {compared} entries and objects are those of {head}"),
        _ => tracing::warn!(
            "of {compared} entries and objects {missing} were missing here and {different} were others than those of \
             {head}; {repaired} are good now"
        ),
    }
}

/// How long ago a file was written; a time that lies ahead is one of another clock, and tells nothing.
fn passed(file: &Path, every: Duration) -> Option<Duration> {
    let written = fs::metadata(file).and_then(|metadata| metadata.modified()).ok()?;
    Some(written.elapsed().unwrap_or(every + Duration::from_secs(60) * LATER_MINUTES.into()))
}

/// Whether to compare, where the last time is so long ago and the node up for so long.
fn is_due(last: Option<Duration>, up: Duration, every: Duration) -> bool {
    last.map_or(up >= FIRST, |passed| passed >= every)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn it_is_done_once_a_day_and_not_at_once_by_who_has_just_joined() {
        let second = Duration::from_secs(1);
        assert!(is_due(Some(DAY), second, DAY) && !is_due(Some(DAY - second), FIRST, DAY));
        assert!(is_due(None, FIRST, DAY) && !is_due(None, FIRST - second, DAY));
        assert!(some_minutes() < Duration::from_secs(3_600));
    }

    #[test]
    fn what_came_of_it_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        assert_eq!((LastCheck::read(directory.path()), passed(&project.last_check_file(), DAY)), (None, None));
        fs::create_dir_all(project.last_check_file().parent().unwrap()).unwrap();
        let checked = Checked { peer: None, compared: 12, missing: 3, different: 2, repaired: 5 };
        note(&project, &checked);
        let last = LastCheck::read(directory.path()).unwrap();
        assert_eq!((last.compared, last.missing, last.different, last.repaired), (12, 3, 2, 5));
        assert!(passed(&project.last_check_file(), DAY).unwrap() < DAY);
    }
}
