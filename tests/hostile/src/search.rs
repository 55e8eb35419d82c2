//! Many mutants of one target, each from a number of its own: the number that a failure names finds the mutant again.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::mutate::{Random, mutant};
use crate::{Target, Told, pack};

/// When a search ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// After so many mutants.
    Mutants(u64),
    /// After so long.
    After(Duration),
}

/// What a search came to.
#[derive(Debug, Default)]
pub struct Found {
    /// How many mutants were tried.
    pub tried: u64,
    /// The shortest input for each thing that the reader said.
    pub said: BTreeMap<Told, Vec<u8>>,
}

/// Where a search begins: the number that `MYTISM_SEED` gives, else the time.
///
/// # Panics
/// When `MYTISM_SEED` is no number.
#[must_use]
pub fn first_seed() -> u64 {
    match std::env::var("MYTISM_SEED") {
        Ok(text) => text.trim().parse().unwrap_or_else(|_| panic!("MYTISM_SEED={text} is not a number")),
        Err(_) => std::time::UNIX_EPOCH
            .elapsed()
            .map_or(0, |since| u64::from(since.subsec_nanos()) << 20 | since.as_secs() & 0xf_ffff),
    }
}

/// Tries mutants of the target's seeds and corpus, from the number `seed` on.
///
/// # Panics
/// When a law is broken; the number of the mutant is printed before.
#[must_use]
pub fn search(target: &Target, seed: u64, end: End) -> Found {
    let mut seeds = (target.seeds)();
    seeds.extend(pack::load(target.name).expect("the corpus can be read"));
    // Past the test harness, which shows nothing of a test that takes the whole process with it.
    let _told = writeln!(std::io::stderr().lock(), "{}: mutants from MYTISM_SEED={seed} on", target.name);
    let start = Instant::now();
    let mut found = Found::default();
    loop {
        let done = match end {
            End::Mutants(count) => found.tried >= count,
            End::After(time) => found.tried.is_multiple_of(64) && start.elapsed() >= time,
        };
        if done {
            return found;
        }
        let number = seed.wrapping_add(found.tried);
        let input = mutant(&mut Random::new(number), &seeds, target.words);
        let told = attempt(target, number, &input);
        found.tried += 1;
        let shorter = found.said.get(&told).is_none_or(|known| known.len() > input.len());
        if shorter && input.len() <= pack::INPUT_BYTES_MAX {
            found.said.insert(told, input);
        }
    }
}

fn attempt(target: &Target, number: u64, input: &[u8]) -> Told {
    match catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        Ok(told) => told,
        Err(panic) => {
            let name = target.name;
            eprint_line(&format!("{name}: broken by the mutant of MYTISM_SEED={number}: {}", shown(input)));
            std::panic::resume_unwind(panic)
        }
    }
}

fn eprint_line(line: &str) {
    let _told = writeln!(std::io::stderr().lock(), "{line}");
}

/// The input in readable form, cut where it is long.
fn shown(input: &[u8]) -> String {
    const SHOWN: usize = 600;
    let start = input.get(..SHOWN).unwrap_or(input);
    format!("{} bytes, b\"{}\"", input.len(), start.escape_ascii())
}
