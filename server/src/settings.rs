//! The settings that a running node takes up when its configuration changes.
//!
//! The file is looked at every few seconds, and at once on SIGHUP (a node on a terminal goes down at that, since it means
//! that the terminal is gone). A file with an error in it changes nothing: what is
//! wrong is written to the log, and what is in force stays.

use std::fs;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use mytism_core::failure::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::{Config, ConfigProblem, Explained, LogLevel, Process, explain, read_text};
use crate::node::{Shared, no_signals};
use crate::project::Project;

/// Pause between two looks at the file; seldom enough to let the machine sleep.
const PAUSE: Duration = Duration::from_secs(5);

/// Told the least important kind of event that shall be written, whenever that changes.
pub type OnLogLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Watches the configuration of a running node.
pub(crate) struct Settings {
    project: Project,
    stamp: Option<Stamp>,
    /// What is in force; empty where the file could not be read.
    known: Vec<Explained>,
    on_log_level: OnLogLevel,
    asked: Signal,
}

/// What a file looks like from outside; another one means another content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

/// What a look at the file came to.
enum Look {
    Same,
    Wrong(Vec<ConfigProblem>),
    Read(Box<Config>, Vec<Explained>),
}

impl Settings {
    /// Of a node that starts now. From here on SIGHUP does not end the process.
    ///
    /// # Errors
    /// When the system lets nobody wait for signals.
    pub(crate) fn new(project: &Project, on_log_level: OnLogLevel) -> Result<Self, Failure> {
        let asked = signal(SignalKind::hangup()).map_err(|error| no_signals(&error))?;
        let mut settings = Self { project: project.clone(), stamp: None, known: Vec::new(), on_log_level, asked };
        if let Look::Read(_, known) = settings.look(true) {
            settings.known = known;
        }
        Ok(settings)
    }

    /// Takes up changes until the node stops.
    pub(crate) async fn watch(mut self, shared: Arc<Shared>) {
        let mut stopping = shared.stopping();
        let mut pause = interval(PAUSE);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Asked now: a terminal that is gone is none any longer.
        let on_terminal = std::io::stderr().is_terminal();
        loop {
            let at_once = tokio::select! {
                () = stopping.wait() => return,
                _ = pause.tick() => false,
                _ = self.asked.recv() => true,
            };
            if at_once && on_terminal {
                return shared.stop();
            }
            match self.look(at_once) {
                Look::Same => {}
                Look::Wrong(problems) => tell_wrong(&problems),
                Look::Read(config, known) => self.take_up(&shared, &config, known),
            }
        }
    }

    fn look(&mut self, at_once: bool) -> Look {
        let file = self.project.config_file();
        let stamp = Stamp::of(&file).ok();
        if !at_once && stamp == self.stamp {
            return Look::Same;
        }
        self.stamp = stamp;
        let around = Process::of(self.project.directory());
        match Config::load(&file, &around) {
            Ok(config) => {
                let text = read_text(&file).unwrap_or_default();
                Look::Read(Box::new(config), explain(&text, &file.display().to_string(), &around).0)
            }
            Err(problems) => Look::Wrong(problems),
        }
    }

    fn take_up(&mut self, shared: &Shared, config: &Config, known: Vec<Explained>) {
        let changed = explain::differences(&self.known, &known);
        for setting in changed.iter().filter(|setting| setting.in_effect()) {
            let Explained { section, key, value, .. } = setting;
            if setting.is_watched() {
                tracing::info!("[{section}] {} = {value} is in force now", key.name);
            } else {
                tracing::warn!("[{section}] {} = {value} takes effect when the node is started anew", key.name);
            }
        }
        self.known = known;
        if shared.live().log_level != config.live.log_level {
            (self.on_log_level)(config.live.log_level);
        }
        shared.app.lease_by(config.live.leases);
        shared.live.send_replace(Arc::new(config.live.clone()));
    }
}

impl Stamp {
    fn of(path: &std::path::Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { inode: metadata.ino(), bytes: metadata.len(), changed: (metadata.ctime(), metadata.ctime_nsec()) })
    }
}

fn tell_wrong(problems: &[ConfigProblem]) {
    for problem in problems.iter().filter(|problem| problem.is_error()) {
        tracing::error!(code = problem.code, "{}", Failure::from(problem).message);
    }
    tracing::warn!("the configuration has errors, so what was in force stays in force");
}
