//! How the three nodes are, side by side: position, what waits, lag. Drawn at the foot of the terminal in the place of
//! what stood there.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mytism_client::Client;
use mytism_core::operation::{PeerStatus, Status};
use mytism_server::project::Project;

use super::cast::status;
use crate::words::Words;

/// Between two looks at a node.
const LOOK: Duration = Duration::from_millis(150);
/// Lines of a node, below the rule.
const ROWS: usize = 4;

/// Looks at nodes until it is dropped.
pub(super) struct Panel {
    seen: Arc<Mutex<Vec<Option<Status>>>>,
    ended: Arc<AtomicBool>,
    looking: Option<JoinHandle<()>>,
    names: Vec<&'static str>,
}

impl Panel {
    /// Of nodes with the directories of their projects, the head office first.
    pub(super) fn of(nodes: Vec<(&'static str, PathBuf)>) -> Self {
        let seen = Arc::new(Mutex::new(vec![None; nodes.len()]));
        let ended = Arc::<AtomicBool>::default();
        let names = nodes.iter().map(|(name, _)| *name).collect();
        let (into, until) = (Arc::clone(&seen), Arc::clone(&ended));
        let looking = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let ask = |(_, directory): &(_, PathBuf)| {
                    Client::connect(&Project::at(directory).socket()).and_then(|client| status(&client)).ok()
                };
                let now: Vec<Option<Status>> = nodes.iter().map(ask).collect();
                *into.lock().unwrap_or_else(PoisonError::into_inner) = now;
                std::thread::sleep(LOOK);
            }
        });
        Self { seen, ended, looking: Some(looking), names }
    }

    /// As it is to be drawn now.
    pub(super) fn drawn(&self, width: usize, colour: bool, german: bool, words: &Words) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let cells = self.names.iter().zip(&seen);
        let columns: Vec<_> = cells.map(|(name, status)| column(name, status.as_ref(), german, words)).collect();
        lines(&columns, width, colour)
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(looking) = self.looking.take() {
            // A thread that panicked has said so itself.
            let _ended = looking.join();
        }
    }
}

/// The texts of one node, and the colour of its state.
struct Column {
    texts: [String; ROWS],
    colour: &'static str,
}

const GOOD: &str = "32";
const BUSY: &str = "33";
const CUT: &str = "31";

fn column(name: &str, status: Option<&Status>, german: bool, words: &Words) -> Column {
    let pick = |english: &str, german_text: &str| if german { german_text } else { english }.to_owned();
    let Some(status) = status else {
        return Column { texts: [name.to_owned(), "…".to_owned(), String::new(), String::new()], colour: BUSY };
    };
    let position = format!("{} {}", pick("position", "Position"), words.count(status.log_position));
    let is_head = status.role == "authoritative";
    let (state, colour) = match status.sync.first() {
        _ if is_head => (pick("head office", "Zentrale"), GOOD),
        Some(line) if line.state != "connected" => (pick("line is cut", "Leitung unterbrochen"), CUT),
        Some(PeerStatus { behind: Some(1..), .. }) => (pick("catching up", "holt auf"), BUSY),
        _ if status.pending > 0 => (pick("sending", "sendet"), BUSY),
        _ => (pick("in step", "auf gleichem Stand"), GOOD),
    };
    let waits = match (is_head, status.pending) {
        (true, _) => {
            let up = status.sync.iter().filter(|line| line.state == "connected").count();
            format!("{up}/{} {}", status.sync.len(), pick("branches connected", "Filialen verbunden"))
        }
        (false, 0) => status
            .sync
            .first()
            .and_then(|line| line.lag_ms)
            .map_or_else(String::new, |lag| format!("{} {}", pick("lag", "Verzug"), words.milliseconds(lag))),
        (false, pending) => format!("{} {}", words.count(pending), pick("saves pending", "Buchungen offen")),
    };
    Column { texts: [name.to_owned(), state, position, waits], colour }
}

fn lines(columns: &[Column], width: usize, colour: bool) -> Vec<String> {
    let each = (width.saturating_sub(1) / columns.len().max(1)).clamp(12, 34);
    let paint = |code: &str, text: &str| {
        if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    };
    let bar = "─".repeat(each.saturating_sub(1));
    let rule: Vec<&str> = columns.iter().map(|_| bar.as_str()).collect();
    let mut lines = vec![paint("2", &rule.join("┬"))];
    for row in 0..ROWS {
        let cell = |column: &Column| {
            let text: String = column.texts.get(row).map_or("", String::as_str).chars().take(each - 3).collect();
            let padded = format!(" {text:<width$}", width = each - 2);
            match row {
                0 => paint("1", &padded),
                1 => paint(column.colour, &padded),
                _ => padded,
            }
        };
        lines.push(columns.iter().map(cell).collect::<Vec<_>>().join(&paint("2", "│")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{ENGLISH, GERMAN};

    fn branch(state: &str, pending: u64) -> Status {
        let line = PeerStatus { state: state.into(), lag_ms: Some(0.94), ..PeerStatus::default() };
        Status { role: "branch".into(), log_position: 1_062, pending, sync: vec![line], ..Status::default() }
    }

    #[test]
    fn nodes_stand_side_by_side() {
        let head = Status { role: "authoritative".into(), log_position: 1_062, ..branch("connected", 0) };
        let told = [("hamburg", head), ("berlin", branch("connected", 0)), ("bonn", branch("connecting", 14))];
        let columns: Vec<_> = told.iter().map(|(name, status)| column(name, Some(status), false, &ENGLISH)).collect();
        let drawn = lines(&columns, 79, false);
        assert_eq!(drawn.len(), ROWS + 1);
        assert!(drawn.iter().all(|line| line.chars().count() <= 79), "{drawn:#?}");
        assert_eq!(drawn[1], " hamburg                 │ berlin                  │ bonn                    ");
        assert_eq!(drawn[2], " head office             │ in step                 │ line is cut             ");
        assert_eq!(drawn[3], " position 1,062          │ position 1,062          │ position 1,062          ");
        assert_eq!(drawn[4], " 1/1 branches connected  │ lag 0.9 ms              │ 14 saves pending        ");
        let german = column("bonn", None, true, &GERMAN);
        assert_eq!(german.texts[1], "…");
        assert_eq!(column("bonn", Some(&branch("connected", 0)), true, &GERMAN).texts[3], "Verzug 0,9 ms");
    }
}
