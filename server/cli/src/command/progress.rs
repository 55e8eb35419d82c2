//! A bar for work that takes longer than a second, on standard error where that is a terminal. Knows no command.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Work that is done faster shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far some work is.
pub(crate) struct Progress {
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Work that begins now.
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), bar: None }
    }

    /// `done` of `total` is done; `text` says what goes on.
    pub(crate) fn at(&mut self, done: u64, total: u64, text: &str) {
        if self.bar.is_none() && self.begun.elapsed() >= PATIENCE {
            // It draws on standard error, and only on a terminal.
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{msg:<28} {bar:32} {percent:>3} %  {eta}") {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done.min(total));
            bar.set_message(text.to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
