//! What the demonstration prints: chapters, facts, a line for each transaction that has come everywhere and for what
//! somebody has to look at; on a terminal the nodes side by side below all of it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_core::operation::Event;

use super::journey::Journeys;
use super::panel::Panel;
use crate::output::{Output, harmless};
use crate::words;

/// Something that a node said, with the moment at which it was heard.
pub(super) struct Heard {
    pub(super) node: &'static str,
    pub(super) at: Instant,
    pub(super) event: Event,
}

/// See the module.
pub(super) struct Stage<'o, 'w> {
    output: &'o mut Output<'w>,
    german: bool,
    began: Instant,
    sources: Vec<Receiver<Heard>>,
    journeys: Journeys,
    panel: Option<Panel>,
    /// Lines of the panel that stand below the last line.
    drawn: usize,
    looked: Instant,
}

/// Between two drawings of the panel.
const DRAW: Duration = Duration::from_millis(150);

/// Between two looks at what the nodes say.
const LOOK: Duration = Duration::from_millis(20);

impl<'o, 'w> Stage<'o, 'w> {
    pub(super) fn new(output: &'o mut Output<'w>) -> Self {
        let german = std::ptr::eq(output.words, &words::GERMAN);
        let now = Instant::now();
        let (sources, journeys) = (Vec::new(), Journeys::new(german));
        Self { output, german, began: now, sources, journeys, panel: None, drawn: 0, looked: now }
    }

    /// From here on the nodes are listened to, and shown side by side where there is a terminal.
    pub(super) fn listen(&mut self, sources: Vec<Receiver<Heard>>, nodes: Vec<(&'static str, PathBuf)>) {
        self.sources = sources;
        if self.output.width.is_some() && !self.output.json {
            self.panel = Some(Panel::of(nodes));
        }
    }

    /// The panel goes; what was printed stays.
    pub(super) fn close(&mut self) {
        self.clear_panel();
        self.panel = None;
        self.output.flush();
    }

    fn clear_panel(&mut self) {
        if self.drawn > 0 {
            self.output.text(&format!("\u{1b}[{}A\u{1b}[J", self.drawn));
            self.drawn = 0;
        }
    }

    fn draw_panel(&mut self) {
        let (Some(panel), Some(width)) = (&self.panel, self.output.width) else { return };
        let lines = panel.drawn(usize::from(width), self.output.colour, self.german, self.output.words);
        self.looked = Instant::now();
        self.drawn = lines.len();
        lines.into_iter().for_each(|line| self.output.line(line));
    }

    /// Lines above the panel.
    fn say(&mut self, lines: &[String]) {
        self.clear_panel();
        lines.iter().for_each(|line| self.output.line(line));
        self.draw_panel();
        self.output.flush();
    }

    pub(super) fn chapter(&mut self, english: &str, german: &str) {
        let text = if self.german { german } else { english };
        let text = self.output.bold(text);
        self.say(&[String::new(), text]);
    }

    pub(super) fn fact(&mut self, english: &str, german: &str) {
        self.show_heard();
        let text = if self.german { german } else { english };
        let time = self.time(Instant::now());
        let line = self.fitting(&format!("  {time}  {text}"));
        self.say(&[line]);
    }

    /// Shows what is heard for a while.
    pub(super) fn pause(&mut self, length: Duration) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.show_heard();
            std::thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
        }
        self.show_heard();
    }

    /// Shows what is heard until something holds.
    pub(super) fn until(
        &mut self,
        patience: Duration,
        interrupted: &AtomicBool,
        holds: impl Fn() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let end = Instant::now() + patience;
        loop {
            self.show_heard();
            if holds()? {
                self.pause(LOOK * 3);
                return Ok(());
            }
            if interrupted.load(Ordering::Relaxed) {
                return Err(Failure::failed("interrupted", "the demonstration was interrupted"));
            }
            if Instant::now() > end {
                let message = format!("the nodes did not come into step within {} s", patience.as_secs());
                return Err(Failure::failed("demo-too-slow", message));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn show_heard(&mut self) {
        let mut heard: Vec<_> = self.sources.iter().flat_map(|source| source.try_iter()).collect();
        heard.sort_by_key(|one| one.at);
        let mut lines = Vec::new();
        for one in heard {
            let time = self.time(one.at);
            if let Some(line) = self.told(&one) {
                lines.extend(self.painted(&one.event.kind, &format!("  {time}  {line}")));
            }
            if let Some(line) = self.journeys.hear(&one) {
                let kind = if one.event.kind == "refused" { "refused" } else { "accepted" };
                lines.extend(self.painted(kind, &format!("  {time}  {line}")));
            }
        }
        let now = Instant::now();
        for line in self.journeys.overdue(now) {
            let time = self.time(now);
            lines.extend(self.painted("waits", &format!("  {time}  {line}")));
        }
        if !lines.is_empty() || self.looked.elapsed() > DRAW && self.panel.is_some() {
            self.say(&lines);
        }
    }

    /// What a node says that is no step of a transaction.
    fn told(&self, heard: &Heard) -> Option<String> {
        let (node, text) = (heard.node, harmless(&heard.event.text));
        let peer = &heard.event.peer;
        let words = |english: &str, german: &str| if self.german { german.to_owned() } else { english.to_owned() };
        match heard.event.kind.as_str() {
            "conflict" if node == "hamburg" => Some(format!("{}: {text}", words("conflict", "Konflikt"))),
            "refused" if node == "hamburg" => Some(format!("{}: {text}", words("refused", "abgelehnt"))),
            "connected" if node != "hamburg" => {
                Some(format!("{node} {} {peer}", words("is connected to", "ist verbunden mit")))
            }
            "disconnected" if node != "hamburg" => {
                Some(format!("{node} {} {peer}", words("has lost its line to", "hat keine Leitung mehr zu")))
            }
            _ => None,
        }
    }

    fn fits(&self, line: &str) -> bool {
        self.output.width.is_none_or(|width| line.chars().count() <= usize::from(width))
    }

    /// As much of a line as the terminal is wide, so that the columns stay columns.
    fn fitting(&self, line: &str) -> String {
        let Some(width) = self.output.width.map(usize::from).filter(|_| !self.fits(line)) else {
            return line.to_owned();
        };
        line.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect()
    }

    /// What needs somebody stands out, and takes as many lines as it needs.
    fn painted(&self, kind: &str, line: &str) -> Vec<String> {
        let colour = match kind {
            "conflict" | "waits" | "disconnected" => "33",
            "refused" => "31",
            "connected" => "32",
            _ => "",
        };
        let width = self.output.width.map_or(usize::MAX, usize::from);
        let mut lines = Vec::new();
        let mut rest: Vec<char> = line.chars().collect();
        while rest.len() > width && matches!(kind, "conflict" | "refused") {
            // At a blank, where there is one not too far left.
            let at = rest.iter().take(width).rposition(|letter| *letter == ' ').filter(|at| *at > width / 2);
            let tail = rest.split_off(at.unwrap_or(width));
            lines.push(rest.into_iter().collect());
            rest = std::iter::repeat_n(' ', 13).chain(tail.into_iter().skip_while(|letter| *letter == ' ')).collect();
        }
        lines.push(self.fitting(&rest.into_iter().collect::<String>()));
        let paint = |line: String| {
            if self.output.colour && !colour.is_empty() { format!("\x1b[{colour}m{line}\x1b[0m") } else { line }
        };
        lines.into_iter().map(paint).collect()
    }

    fn time(&self, at: Instant) -> String {
        format!("{:>7.3} s", at.saturating_duration_since(self.began).as_secs_f64())
    }

    /// What somebody can do now in another terminal.
    pub(super) fn try_yourself(&mut self, head: &Path, branch: &Path) {
        self.chapter(
            "It goes on; try it from another terminal, end it with Ctrl-C",
            "Es geht weiter; zum Ausprobieren in einem anderen Terminal, Ende mit Strg-C",
        );
        let here = std::env::current_dir().unwrap_or_default();
        let short = |path: &Path| path.strip_prefix(&here).unwrap_or(path).display().to_string();
        let program = crate::program();
        let mut lines = Vec::new();
        for (directory, command) in [
            (head, "status"),
            (head, "sync status"),
            (head, "conflicts"),
            (branch, "quarantine"),
            (branch, "sync check"),
            (branch, "query 'from Customer c where c.CustomerID = \"NEUER\"'"),
            (
                branch,
                "query 'select o.Customer.City as City, count(*) as n from Order o group by o.Customer.City limit 5'",
            ),
        ] {
            lines.push(format!("  {program} --project {} {command}", short(directory)));
        }
        lines.push(String::new());
        self.say(&lines);
    }
}

impl Drop for Stage<'_, '_> {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_holds_is_not_waited_for_forever() {
        let mut shown = Vec::new();
        let mut output = Output::to(&mut shown, false);
        let mut stage = Stage::new(&mut output);
        let mut until = |patience, interrupted, holds: Result<bool, Failure>| {
            let ended = stage.until(patience, &AtomicBool::new(interrupted), || holds.clone());
            ended.map_err(|failure| failure.code)
        };
        assert_eq!(until(LOOK * 3, false, Ok(false)), Err("demo-too-slow".to_owned()));
        assert_eq!(until(Duration::from_secs(600), true, Ok(false)), Err("interrupted".to_owned()));
        assert_eq!(until(Duration::ZERO, true, Ok(true)), Ok(()));
        let gone = Failure::unreachable("node-unreachable", "it is gone");
        assert_eq!(until(Duration::from_secs(600), false, Err(gone.clone())), Err(gone.code));
    }
}
