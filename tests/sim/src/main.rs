//! `mytism-sim`: plays seeds of the simulator and says what happened.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use mytism_sim::counters::Counters;
use mytism_sim::runs::{Run, play};

/// Plays a cluster in one thread, on clocks, chance, disks and lines that the seed decides about.
#[derive(Parser)]
#[command(name = "mytism-sim")]
struct Arguments {
    /// Plays one seed and prints everything that happens in it.
    #[arg(long, conflicts_with_all = ["seeds", "from", "minutes"])]
    seed: Option<u64>,
    /// How many seeds.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Stops after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Ends with one line of JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        return one(seed);
    }
    many(&arguments)
}

fn say(line: impl std::fmt::Display) {
    // Who closed the pipe wants to hear no more.
    let _closed = writeln!(std::io::stdout(), "{line}");
}

fn progress(line: impl std::fmt::Display) {
    let _closed = writeln!(std::io::stderr(), "{line}");
}

fn one(seed: u64) -> ExitCode {
    let run = play(seed, true);
    tell(&run.counters);
    say(format_args!("trace {}", run.trace));
    match run.broken {
        None => {
            say(format_args!("seed {seed} holds"));
            ExitCode::SUCCESS
        }
        Some(broken) => {
            say(format_args!("seed {seed} is broken: {}", broken.message));
            ExitCode::FAILURE
        }
    }
}

fn tell(counters: &Counters) {
    for (name, count) in counters.iter() {
        say(format_args!("{count:>12}  {name}"));
    }
}

fn many(arguments: &Arguments) -> ExitCode {
    let (begin, mut told) = (Instant::now(), Instant::now());
    let until = arguments.minutes.map(|minutes| begin + Duration::from_secs(minutes * 60));
    let count = arguments.seeds.unwrap_or(if until.is_some() { u64::MAX } else { 100 });
    let mut counters = Counters::default();
    let (mut played, mut broken): (u64, Vec<Run>) = (0, Vec::new());
    for seed in (arguments.from..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        if until.is_some_and(|until| Instant::now() > until) {
            break;
        }
        let run = play(seed, false);
        played += 1;
        counters.take(&run.counters);
        if let Some(found) = &run.broken {
            progress(format_args!("seed {seed} is broken: {}\n{}", found.message, found.tail));
            broken.push(run);
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            let rate = f64::from(u32::try_from(played).unwrap_or(u32::MAX)) / begin.elapsed().as_secs_f64();
            progress(format_args!("{played} seeds, {rate:.1} a second, {} broken", broken.len()));
        }
    }
    let missing = counters.missing();
    tell(&counters);
    for run in &broken {
        let message = run.broken.as_ref().map(|broken| broken.message.as_str()).unwrap_or_default();
        say(format_args!("broken: seed {}: {message}", run.seed));
    }
    missing.iter().for_each(|name| say(format_args!("never happened: {name}")));
    let seconds = begin.elapsed().as_secs_f64();
    say(format_args!("{played} seeds in {seconds:.1} s, {} broken", broken.len()));
    if arguments.json {
        let counts: serde_json::Map<_, _> =
            counters.iter().map(|(name, count)| (name.to_owned(), count.into())).collect();
        let seeds: Vec<u64> = broken.iter().map(|run| run.seed).collect();
        say(serde_json::json!({
            "seeds": played, "from": arguments.from, "seconds": seconds, "broken": seeds, "missing": missing,
            "counters": counts,
        }));
    }
    if broken.is_empty() && missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
