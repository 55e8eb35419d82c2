//! What the demonstration prints: chapters, facts, and a line for each step of a transaction on its way.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_core::id::TransactionId;
use mytism_core::operation::Event;

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
    /// When each transaction was saved.
    saved: HashMap<TransactionId, Instant>,
}

/// Between two looks at what the nodes say.
const LOOK: Duration = Duration::from_millis(20);

impl<'o, 'w> Stage<'o, 'w> {
    pub(super) fn new(output: &'o mut Output<'w>) -> Self {
        let german = std::ptr::eq(output.words, &words::GERMAN);
        Self { output, german, began: Instant::now(), sources: Vec::new(), saved: HashMap::new() }
    }

    /// From here on the two nodes are listened to.
    pub(super) fn listen(&mut self, (head, branch): (Receiver<Heard>, Receiver<Heard>)) {
        self.sources = vec![head, branch];
    }

    pub(super) fn chapter(&mut self, english: &str, german: &str) {
        let text = if self.german { german } else { english };
        let text = self.output.bold(text);
        self.output.line("");
        self.output.line(text);
        self.output.flush();
    }

    pub(super) fn fact(&mut self, english: &str, german: &str) {
        self.show_heard();
        let text = if self.german { german } else { english };
        let time = self.time(Instant::now());
        self.output.line(format!("  {time}  {text}"));
        self.output.flush();
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
        for one in heard {
            self.show(&one);
        }
        self.output.flush();
    }

    fn show(&mut self, heard: &Heard) {
        let event = &heard.event;
        let after = event.transaction.and_then(|id| match event.kind.as_str() {
            "saved" => {
                self.saved.insert(id, heard.at);
                None
            }
            _ => self.saved.get(&id).map(|saved| heard.at.saturating_duration_since(*saved)),
        });
        let after = after.map_or_else(String::new, |after| {
            let number = if after < Duration::from_secs(1) {
                format!("{:.1} ms", after.as_secs_f64() * 1e3)
            } else {
                format!("{:.1} s", after.as_secs_f64())
            };
            if self.german { format!("  nach {}", number.replace('.', ",")) } else { format!("  after {number}") }
        });
        let id = event.transaction.map_or_else(String::new, |id| id.to_string());
        let (word, place) = (self.word(&event.kind), self.place(event));
        let time = self.time(heard.at);
        let text = harmless(&event.text);
        let start = format!("  {time}  {:<8} {word:<10} {id:<9} {place:<13} ", heard.node);
        let (one, whole) = (format!("{start}{text}{after}"), format!("{start}{}", after.trim_start()));
        let lines = match event.kind.as_str() {
            // What somebody has to act on is worth lines of its own.
            "conflict" | "refused" if !self.fits(&one) => vec![whole, format!("             {text}")],
            _ => vec![one],
        };
        for line in lines {
            let line = self.fitting(line.trim_end());
            self.output.line(self.painted(&event.kind, &line));
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

    /// What needs somebody stands out, what is only on its way steps back.
    fn painted(&self, kind: &str, line: &str) -> String {
        let colour = match kind {
            "conflict" => "33",
            "refused" => "31",
            "accepted" | "merged" => "32",
            "received" => "36",
            _ => return line.to_owned(),
        };
        if self.output.colour { format!("\x1b[{colour}m{line}\x1b[0m") } else { line.to_owned() }
    }

    fn place(&self, event: &Event) -> String {
        match event.position {
            Some(position) => format!("→ {position}"),
            None if event.kind == "saved" => if self.german { "wartet" } else { "waits" }.to_owned(),
            None => event.peer.clone(),
        }
    }

    fn word<'k>(&self, kind: &'k str) -> &'k str {
        if !self.german {
            return kind;
        }
        match kind {
            "saved" => "gebucht",
            "received" => "empfangen",
            "accepted" => "angenommen",
            "merged" => "vereinigt",
            "conflict" => "Konflikt",
            "refused" => "abgelehnt",
            "connected" => "verbunden",
            "disconnected" => "getrennt",
            other => other,
        }
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
        for (directory, command) in [
            (head, "status"),
            (head, "conflicts"),
            (branch, "quarantine"),
            (branch, "query 'from Customer c where c.CustomerID = \"NEUER\"'"),
            (
                branch,
                "query 'select o.Customer.City as City, count(*) as n from Order o group by o.Customer.City limit 5'",
            ),
        ] {
            self.output.line(format!("  ./mytism --project {} {command}", short(directory)));
        }
        self.output.line("");
        self.output.flush();
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
