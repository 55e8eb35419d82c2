//! The simulator in the test suite.

use std::time::{Duration, Instant};

use mytism_sim::counters::Counters;
use mytism_sim::runs::play;

/// How long seeds are played; `MYTISM_SIM_SECONDS` says otherwise.
const SECONDS: u64 = 180;

#[test]
fn a_seed_does_the_same_again() {
    for seed in [1, 2, 19] {
        let (one, other) = (play(seed, false), play(seed, false));
        assert_eq!(one.trace, other.trace, "seed {seed}");
    }
}

#[test]
fn all_seeds_hold() {
    let seconds = std::env::var("MYTISM_SIM_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut counters = Counters::default();
    let mut seeds = 0;
    for seed in 1.. {
        if Instant::now() > until {
            break;
        }
        let run = play(seed, false);
        if let Some(broken) = run.broken {
            panic!("seed {seed}: {}\n{}play it again with `mytism-sim --seed {seed}`", broken.message, broken.tail);
        }
        counters.take(&run.counters);
        seeds += 1;
    }
    for (name, count) in counters.iter() {
        eprintln!("{count:>12}  {name}");
    }
    eprintln!("{seeds} seeds in {seconds} s");
    assert!(counters.missing().is_empty(), "never happened: {:?}", counters.missing());
}
