//! The simulator bites: each bug that is planted in the product is found.

use mytism_core::planted::{Bug, plant};
use mytism_sim::runs::play;

/// Each bug must be found within so many seeds.
const SEEDS: u64 = 300;

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = (1..=SEEDS).find_map(|seed| Some((seed, play(seed, false).broken?)));
        plant(None);
        match found {
            Some((seed, broken)) => {
                let words: String = broken.message.chars().take(160).collect();
                eprintln!("{bug:?} is found by seed {seed}: {words}");
            }
            None => missed.push(bug),
        }
    }
    assert!(missed.is_empty(), "nobody found {missed:?} within {SEEDS} seeds");
    assert!(play(1, false).broken.is_none(), "nothing is planted, and something is found");
}
