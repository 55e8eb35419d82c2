//! The lines to other nodes in words for people. Knows no command.

use mytism_core::operation::{Moved, PeerStatus, Status};
use mytism_core::time::Timestamp;

use crate::output::{Output, harmless};
use crate::people::{entry, moment};
use crate::words::{Words, fill};

/// One a line in columns: name, state, and what is worth a look. `now` is in microseconds since 1970.
pub(crate) fn all(peers: &[PeerStatus], at_head_office: bool, now: i64, words: &Words) -> Vec<String> {
    let states: Vec<String> = peers.iter().map(|peer| state(peer, at_head_office, now, words)).collect();
    let wide =
        |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count()).max().unwrap_or_default();
    let (name_width, state_width) = (wide(&mut peers.iter().map(|peer| &peer.name)), wide(&mut states.iter()));
    let line = |(peer, state): (&PeerStatus, &String)| {
        let name = harmless(&peer.name);
        format!("{name:<name_width$}  {state:<state_width$}  {}", rest(peer, words)).trim_end().to_owned()
    };
    peers.iter().zip(&states).map(line).collect()
}

fn state(peer: &PeerStatus, at_head_office: bool, now: i64, words: &Words) -> String {
    let is_behind = if at_head_office { peer.pending > 0 } else { peer.behind.is_some_and(|behind| behind > 0) };
    match (peer.state.as_str(), peer.seen) {
        ("connected", _) if is_behind => words.catching_up.to_owned(),
        ("connected", _) => words.in_step.to_owned(),
        ("stopped", _) => words.peer_stopped.to_owned(),
        // A line that broke off a moment ago is looked for, and that is all there is to say.
        (_, Some(seen)) if since(seen, now) >= 60 => fill(words.not_seen_for, &[&words.span(since(seen, now))]),
        _ if !at_head_office => words.connecting.to_owned(),
        (_, Some(_)) => words.not_connected.to_owned(),
        (_, None) => words.not_seen.to_owned(),
    }
}

/// Whole seconds, none where the clocks went back.
fn since(then: Timestamp, now: i64) -> u64 {
    u64::try_from(now.saturating_sub(then.micros()) / 1_000_000).unwrap_or_default()
}

/// How far behind, for how long; the lag where there is nothing to catch up with; what went wrong last.
fn rest(peer: &PeerStatus, words: &Words) -> String {
    let left = peer.behind.unwrap_or(peer.pending);
    let behind =
        (left > 0).then(|| match peer.rest_ms.map(|rest| std::time::Duration::try_from_secs_f64(rest / 1e3)) {
            Some(Ok(rest)) => fill(words.behind_for, &[&words.count(left), &words.span(rest.as_secs().max(1))]),
            _ => fill(words.behind, &[&words.count(left)]),
        });
    let is_connected = peer.state == "connected";
    let lag = peer.lag_ms.filter(|_| is_connected && behind.is_none()).map(|lag| words.milliseconds(lag));
    let error = peer.last_error.as_ref().filter(|_| !is_connected);
    let error = error.map(|error| fill(words.last_error, &[&harmless(error)]));
    let over_tcp = match peer.transport.as_deref().filter(|_| is_connected) {
        Some("tls") => Some(words.over_tcp.to_owned()),
        Some("plain") => Some(words.over_plain.to_owned()),
        _ => None,
    };
    [behind, lag, over_tcp, error].into_iter().flatten().collect::<Vec<_>>().join("   ")
}

/// That a node cannot be reached.
pub(crate) fn out_of_reach(peer: &PeerStatus, words: &Words) -> String {
    let name = harmless(&peer.name);
    match peer.seen {
        Some(seen) => fill(words.out_of_reach_since, &[&name, &moment(seen)]),
        None => fill(words.out_of_reach, &[&name]),
    }
}

/// All that is known of each line, for `sync status`.
pub(crate) fn details(status: &Status, now: i64, output: &mut Output<'_>) {
    let words = output.words;
    let lines = all(&status.sync, status.role == "authoritative", now, words);
    for (peer, line) in status.sync.iter().zip(lines) {
        output.line(line);
        let lags = [(words.lag_down, peer.lag_ms), (words.lag_up, peer.offer_lag_ms)];
        let lags = lags.into_iter().filter_map(|(text, lag)| Some(fill(text, &[&words.milliseconds(lag?)])));
        let lags = lags.collect::<Vec<_>>().join("   ");
        if !lags.is_empty() {
            entry(output, words.lag, &[lags]);
        }
        entry(output, words.sent_line, &[moved(peer.sent, peer.last_sent, words)]);
        entry(output, words.received_line, &[moved(peer.received, peer.last_received, words)]);
        if let Some(seen) = peer.seen.filter(|_| peer.state != "connected") {
            entry(output, words.seen_line, &[moment(seen)]);
        }
    }
}

fn moved(count: u64, last: Option<Moved>, words: &Words) -> String {
    match last {
        Some(last) => fill(words.moved_last, &[&words.count(count), &last.transaction, &moment(last.time)]),
        None => fill(words.moved_count, &[&words.count(count)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::ENGLISH;

    fn peer(state: &str) -> PeerStatus {
        PeerStatus { name: "bonn".into(), state: state.into(), ..PeerStatus::default() }
    }

    fn told(peer: PeerStatus, at_head_office: bool) -> String {
        all(&[peer], at_head_office, 7_200_000_000, &ENGLISH).remove(0)
    }

    #[test]
    fn a_line_that_is_behind_says_for_how_long() {
        let behind = PeerStatus { rest_ms: Some(8_200.0), lag_ms: Some(0.9), pending: 12_400, ..peer("connected") };
        assert_eq!(told(behind, true), "bonn  catching up  12,400 behind, about 8 s");
        // What waits at a branch is another matter.
        let branch = PeerStatus { behind: Some(0), lag_ms: Some(0.9), pending: 7, ..peer("connected") };
        assert_eq!(told(branch, false), "bonn  in step  0.9 ms");
        let branch = PeerStatus { behind: Some(3), ..peer("connected") };
        assert_eq!(told(branch, false), "bonn  catching up  3 behind");
    }

    #[test]
    fn a_line_that_is_down_says_since_when_and_why() {
        let seen = Timestamp::from_micros(0);
        let down = PeerStatus { seen, last_error: Some("timed out".into()), ..peer("connecting") };
        assert_eq!(told(down.clone(), true), "bonn  not seen for 2 h 0 min  last error: timed out");
        let now = Timestamp::from_micros(7_199_000_000);
        assert_eq!(told(PeerStatus { seen: now, ..down.clone() }, false), "bonn  connecting  last error: timed out");
        assert_eq!(told(PeerStatus { seen: now, ..down }, true), "bonn  not connected  last error: timed out");
        assert_eq!(told(peer("connecting"), true), "bonn  not seen since the start");
        assert_eq!(told(peer("stopped"), true), "bonn  rests");
    }
}
