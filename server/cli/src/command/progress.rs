//! A bar for work that takes longer than a second, on standard error where that is a terminal. Knows no command.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Work that is done faster shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks of the bar.
const PAUSE: Duration = Duration::from_millis(100);

/// How far some work is.
pub(crate) struct Progress {
    begun: Instant,
    shown: Duration,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Work that begins now.
    pub(crate) fn new() -> Self {
        Self { begun: Instant::now(), shown: Duration::ZERO, bar: None }
    }

    /// `done` of `total` is done; `text` says what goes on.
    pub(crate) fn at(&mut self, done: u64, total: u64, text: &str) {
        self.at_rate(done, total, |_| text.to_owned());
    }

    /// The same, for work that is done in many small steps: the text is made where it is shown, from the seconds since
    /// the beginning.
    pub(crate) fn at_rate(&mut self, done: u64, total: u64, text: impl FnOnce(u64) -> String) {
        let seconds = self.begun.elapsed();
        if self.bar.is_some() && seconds < self.shown + PAUSE {
            return;
        }
        self.shown = seconds;
        if self.bar.is_none() && seconds >= PATIENCE {
            // It draws on standard error, and only on a terminal.
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{msg:<36} {bar:28} {percent:>3} %  {eta}") {
                bar.set_style(style);
            }
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done.min(total));
            bar.set_message(text(seconds.as_secs()));
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
