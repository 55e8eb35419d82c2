//! What a measurement found, for programs and for people. Knows nothing of how it was found.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::words::Words;

/// One pass of both sides.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// Transactions.
    pub(super) n: u64,
    /// Commits that they became durable in; 0 where that is not seen.
    pub(super) commits: u64,
    /// What the node took.
    pub(super) node: Duration,
    /// What the plain engine took.
    pub(super) raw: Duration,
    /// How long each caller of the node waited, in microseconds.
    pub(super) waits: Vec<u32>,
    /// The most memory that the process held while the node worked, in bytes.
    pub(super) memory: Option<u64>,
    /// Before the node, and before the plain engine.
    pub(super) fdatasync_per_s: [f64; 2],
}

/// What a measurement found over its rounds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Figures {
    /// The name that it is asked for with.
    pub(super) bench: &'static str,
    /// Its parameters in words.
    pub(super) title: String,
    /// Its parameters for programs.
    pub(super) parameters: Vec<(&'static str, Json)>,
    n: u64,
    value: f64,
    raw: f64,
    /// Transactions in one commit.
    group: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    rss_mb: Option<f64>,
    fdatasync_per_s: f64,
}

impl Figures {
    /// Medians over the rounds; waits of all of them together.
    pub(super) fn of(
        bench: &'static str,
        title: String,
        parameters: Vec<(&'static str, Json)>,
        rounds: &[Round],
    ) -> Self {
        let rate = |took: fn(&Round) -> Duration| {
            median(rounds.iter().map(|round| per_second(round.n, took(round))).collect())
        };
        let mut waits: Vec<u32> = rounds.iter().flat_map(|round| &round.waits).copied().collect();
        waits.sort_unstable();
        let n: u64 = rounds.iter().map(|round| round.n).sum();
        let commits: u64 = rounds.iter().map(|round| round.commits).sum();
        let memory = rounds.iter().filter_map(|round| round.memory).max();
        Self {
            bench,
            title,
            parameters,
            n,
            value: rate(|round| round.node),
            raw: rate(|round| round.raw),
            group: if commits == 0 { 0.0 } else { float(n) / float(commits) },
            p50_ms: percentile(&waits, 500),
            p99_ms: percentile(&waits, 990),
            p999_ms: percentile(&waits, 999),
            rss_mb: memory.map(|bytes| float(bytes) / 1e6),
            fdatasync_per_s: median(rounds.iter().flat_map(|round| round.fdatasync_per_s).collect()),
        }
    }

    fn ratio(&self) -> f64 {
        if self.raw > 0.0 { self.value / self.raw } else { 0.0 }
    }

    /// For programs.
    pub(super) fn document(&self) -> Json {
        let mut document = json!({
            "bench": self.bench,
            "unit": "tx/s",
            "value": rounded(self.value, 1),
            "raw": rounded(self.raw, 1),
            "ratio": rounded(self.ratio(), 3),
            "n": self.n,
            "p50_ms": rounded(self.p50_ms, 3),
            "p99_ms": rounded(self.p99_ms, 3),
            "p999_ms": rounded(self.p999_ms, 3),
            "rss_mb": self.rss_mb.map(|megabytes| rounded(megabytes, 1)),
            "fdatasync_per_s": rounded(self.fdatasync_per_s, 0),
            "group": (self.group > 0.0).then(|| rounded(self.group, 1)),
        });
        if let Some(fields) = document.as_object_mut() {
            fields.extend(self.parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        }
        document
    }

    /// For people: a line of the table.
    pub(super) fn line(&self, words: &Words) -> String {
        let number = |value: f64, digits: usize| decimal(value, digits, words);
        line([
            &self.title,
            &number(self.value, 0),
            &number(self.raw, 0),
            &number(self.ratio(), 2),
            &words.count(self.n),
            &if self.group > 0.0 { number(self.group, 1) } else { "?".to_owned() },
            &number(self.p50_ms, 2),
            &number(self.p99_ms, 2),
            &number(self.p999_ms, 2),
            &self.rss_mb.map_or_else(|| "?".to_owned(), |megabytes| number(megabytes, 0)),
            &number(self.fdatasync_per_s, 0),
        ])
    }
}

/// The line above all others.
pub(super) fn heading(words: &Words) -> String {
    line([
        "",
        "tx/s",
        "SQLite",
        words.bench_ratio,
        words.bench_count,
        words.bench_group,
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "RSS MB",
        "fdatasync/s",
    ])
}

fn line([title, value, raw, ratio, n, group, p50, p99, p999, rss, sync]: [&str; 11]) -> String {
    format!("{title:<22}{value:>9}{raw:>9}{ratio:>7}{n:>10}{group:>10}{p50:>9}{p99:>9}{p999:>10}{rss:>8}{sync:>13}")
}

/// With groups of three digits before the point and as many digits behind it as wanted.
fn decimal(value: f64, digits: usize, words: &Words) -> String {
    let text = format!("{value:.digits$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), |number| words.count(number));
    if fraction.is_empty() { whole } else { format!("{whole}{}{fraction}", words.point) }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (value * unit).round() / unit
}

fn per_second(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { float(count) / took.as_secs_f64() }
}

/// Exact for all counts that a measurement reaches.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
const fn float(count: u64) -> f64 {
    count as f64
}

/// The middle one, or the mean of the two in the middle; 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len().is_multiple_of(2)) {
        (Some(upper), true) => f64::midpoint(values.get(middle - 1).copied().unwrap_or(*upper), *upper),
        (Some(only), false) => *only,
        (None, _) => 0.0,
    }
}

/// The wait, in milliseconds, that so many of a thousand waits (sorted, in microseconds) do not exceed; 0 of none.
fn percentile(waits: &[u32], per_mille: usize) -> f64 {
    let rank = (waits.len() * per_mille).div_ceil(1000).saturating_sub(1);
    waits.get(rank).map_or(0.0, |micros| f64::from(*micros) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words;

    #[test]
    fn medians() {
        let check =
            |values: &[f64], expected: f64| assert!((median(values.to_vec()) - expected).abs() < 1e-9, "{values:?}");
        check(&[], 0.0);
        check(&[3.0], 3.0);
        check(&[4.0, 1.0], 2.5);
        check(&[9.0, 1.0, 2.0], 2.0);
        check(&[1.0, 100.0, 3.0, 2.0], 2.5);
    }

    #[test]
    fn percentiles_are_waits_that_happened() {
        let hundred: Vec<u32> = (1..=100).map(|number| number * 1000).collect();
        let check = |waits: &[u32], per_mille, expected: f64| {
            assert!((percentile(waits, per_mille) - expected).abs() < 1e-9, "{per_mille} of {}", waits.len());
        };
        check(&[], 500, 0.0);
        check(&[7], 500, 0.007);
        check(&[7], 990, 0.007);
        check(&hundred, 500, 50.0);
        check(&hundred, 990, 99.0);
        check(&hundred, 1000, 100.0);
        check(&[1000, 2000], 500, 1.0);
        check(&[1000, 2000], 990, 2.0);
    }

    fn figures() -> Figures {
        let round = |n, node: u64, raw: u64, memory| Round {
            n,
            commits: n / 4,
            node: Duration::from_millis(node),
            raw: Duration::from_millis(raw),
            waits: vec![1000, 3000],
            memory,
            fdatasync_per_s: [5000.4, 7002.0],
        };
        let rounds = [round(2000, 1000, 500, Some(30_000_000)), round(4000, 1000, 1000, None)];
        Figures::of("commit", "commit, 32 clients".to_owned(), vec![("clients", json!(32))], &rounds)
    }

    #[test]
    fn programs_get_all_fields() {
        let expected = json!({
            "bench": "commit", "unit": "tx/s", "value": 3000.0, "raw": 4000.0, "ratio": 0.75, "n": 6000,
            "p50_ms": 1.0, "p99_ms": 3.0, "p999_ms": 3.0, "rss_mb": 30.0, "fdatasync_per_s": 6001.0, "group": 4.0, "clients": 32,
        });
        assert_eq!(figures().document().to_string(), expected.to_string());
    }

    #[test]
    fn people_get_columns() {
        let (heading, line) = (heading(&words::ENGLISH), figures().line(&words::ENGLISH));
        assert_eq!(heading.len(), line.len());
        for (name, value) in [("tx/s", "3,000"), ("SQLite", "4,000"), ("ratio", "0.75"), ("fdatasync/s", "6,001")] {
            let ends = |text: &str, part: &str| text.find(part).map(|at| at + part.len());
            assert!(ends(&heading, name).is_some());
            assert_eq!(ends(&heading, name), ends(&line, value), "{heading}\n{line}");
        }
        assert_eq!(decimal(1234.5, 1, &words::GERMAN), "1.234,5");
    }

    #[test]
    fn nothing_measured_is_no_division_by_zero() {
        let document = Figures::of("commit", String::new(), Vec::new(), &[Round::default()]).document();
        assert_eq!(
            (&document["ratio"], &document["value"], &document["rss_mb"]),
            (&json!(0.0), &json!(0.0), &Json::Null)
        );
    }
}
