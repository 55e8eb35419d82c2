//! What becomes of each transaction on its way, as one line: where it was saved, and how long it took from one node to
//! the next. Knows no terminal.

use std::time::{Duration, Instant};

use mytism_core::id::TransactionId;

use super::stage::Heard;
use crate::output::harmless;

/// Where all transactions go.
pub(super) const NODES: [&str; 3] = ["hamburg", "berlin", "bonn"];
/// What takes longer is told while it is on its way.
const OVERDUE: Duration = Duration::from_millis(700);

/// The transactions that are on their way.
#[derive(Default)]
pub(super) struct Journeys {
    open: Vec<Journey>,
    german: bool,
}

struct Journey {
    transaction: TransactionId,
    text: String,
    /// The nodes that have it, the one where it was saved first, and since when.
    stops: Vec<(&'static str, Instant)>,
    /// How the head office decided, where that is not what is usual.
    decided: Option<&'static str>,
    is_told: bool,
}

impl Journeys {
    pub(super) fn new(german: bool) -> Self {
        Self { open: Vec::new(), german }
    }

    /// Something was heard; the line of a transaction that has come everywhere.
    pub(super) fn hear(&mut self, heard: &Heard) -> Option<String> {
        let transaction = heard.event.transaction?;
        let kind = heard.event.kind.as_str();
        if kind == "saved" {
            let (text, stops) = (harmless(&heard.event.text), vec![(heard.node, heard.at)]);
            self.open.push(Journey { transaction, text, stops, decided: None, is_told: false });
        }
        let place = self.open.iter().position(|journey| journey.transaction == transaction)?;
        let journey = self.open.get_mut(place)?;
        if !journey.stops.iter().any(|(node, _)| *node == heard.node) && kind != "conflict" {
            journey.stops.push((heard.node, heard.at));
        }
        journey.decided = match kind {
            "refused" => Some("refused"),
            "merged" => Some("merged"),
            _ => journey.decided,
        };
        if journey.stops.len() < NODES.len() {
            return None;
        }
        let mut journey = self.open.remove(place);
        journey.stops.sort_by_key(|(_, at)| *at);
        Some(self.line(&journey))
    }

    /// The lines of those that take long, each once.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<String> {
        let is_late = |journey: &Journey| {
            !journey.is_told
                && journey.stops.first().is_some_and(|(_, at)| now.saturating_duration_since(*at) > OVERDUE)
        };
        let mut lines = Vec::new();
        for place in 0..self.open.len() {
            let Some(journey) = self.open.get_mut(place).filter(|journey| is_late(journey)) else { continue };
            journey.is_told = true;
            let missing: Vec<&str> =
                NODES.into_iter().filter(|node| !journey.stops.iter().any(|(there, _)| there == node)).collect();
            let waits = if self.german { "noch nicht in" } else { "not yet at" };
            let told = self.open.get(place).map(|journey| self.line(journey)).unwrap_or_default();
            lines.push(format!("{told}   {waits} {}", missing.join(", ")));
        }
        lines
    }

    fn line(&self, journey: &Journey) -> String {
        let saved = if self.german { "gebucht in" } else { "saved at" };
        let mut line = format!("{:<30} {saved} ", journey.text);
        let mut before: Option<Instant> = None;
        for (node, at) in &journey.stops {
            match before {
                None => line.push_str(node),
                Some(before) => {
                    line.push_str(&format!(" → {node} {}", self.span(at.saturating_duration_since(before))));
                }
            }
            before = Some(*at);
        }
        match (journey.decided, self.german) {
            (Some("refused"), false) => line.push_str("   refused"),
            (Some("refused"), true) => line.push_str("   abgelehnt"),
            (Some("merged"), false) => line.push_str("   merged"),
            (Some("merged"), true) => line.push_str("   vereinigt"),
            _ => {}
        }
        line
    }

    fn span(&self, span: Duration) -> String {
        let text = if span < Duration::from_secs(1) {
            format!("{:.1} ms", span.as_secs_f64() * 1e3)
        } else {
            format!("{:.1} s", span.as_secs_f64())
        };
        if self.german { text.replace('.', ",") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::id::NodeId;
    use mytism_core::operation::Event;
    use mytism_core::time::Timestamp;

    use super::*;

    fn heard(node: &'static str, kind: &str, at: Instant) -> Heard {
        let transaction = Some(TransactionId { node: NodeId(2), incarnation: 1, counter: 7 });
        let (time, text) = (Timestamp::saturating_from_micros(0), "order 240118".to_owned());
        let event = Event { time, kind: kind.into(), peer: String::new(), transaction, position: None, text };
        Heard { node, at, event }
    }

    #[test]
    fn a_line_tells_the_whole_way_once() {
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        let mut journeys = Journeys::new(false);
        assert_eq!(journeys.hear(&heard("berlin", "saved", begun)), None);
        assert_eq!(journeys.hear(&heard("hamburg", "accepted", after(2))), None);
        assert_eq!(journeys.hear(&heard("berlin", "accepted", after(3))), None);
        let line = journeys.hear(&heard("bonn", "received", after(5))).unwrap();
        assert_eq!(line, "order 240118                   saved at berlin → hamburg 2.0 ms → bonn 3.0 ms");
        assert_eq!(journeys.hear(&heard("bonn", "received", after(6))), None);
    }

    #[test]
    fn what_takes_long_says_where_it_is_missing() {
        let begun = Instant::now();
        let mut journeys = Journeys::new(true);
        journeys.hear(&heard("hamburg", "saved", begun));
        journeys.hear(&heard("berlin", "received", begun + Duration::from_millis(1)));
        assert!(journeys.overdue(begun).is_empty());
        let late = journeys.overdue(begun + OVERDUE * 2);
        assert_eq!(late.len(), 1);
        assert!(late[0].ends_with("gebucht in hamburg → berlin 1,0 ms   noch nicht in bonn"), "{late:?}");
        assert!(journeys.overdue(begun + OVERDUE * 3).is_empty());
        let end = journeys.hear(&heard("bonn", "refused", begun + Duration::from_secs(4))).unwrap();
        assert!(end.ends_with("→ bonn 4,0 s   abgelehnt"), "{end}");
    }
}
