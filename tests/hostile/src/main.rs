//! The targets on a command line, for `scripts/fuzz` and for people with a file in hand.
//!
//! ```text
//! hostile list                      names of all targets
//! hostile run TARGET FILE…          gives files to a target and says what it said
//! hostile search TARGET SECONDS     tries mutants; what is worth keeping goes into the corpus
//! hostile unpack TARGET DIRECTORY   writes seeds and corpus as files
//! hostile pack TARGET DIRECTORY     makes the corpus from files
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use mytism_hostile::search::{End, first_seed, search};
use mytism_hostile::{TARGETS, Target, pack};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        [what, name, rest @ ..] => match Target::named(name) {
            Some(target) => with(what, target, rest),
            None => Err(io::Error::other(format!("there is no target {name}; see `hostile list`"))),
        },
        _ => Err(io::Error::other("list, run, search, unpack or pack is expected, then a target")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn with(what: &str, target: &Target, rest: &[&str]) -> io::Result<()> {
    match (what, rest) {
        ("run", files) => files.iter().try_for_each(|file| {
            println!("{file}: {}", (target.run)(&fs::read(file)?));
            Ok(())
        }),
        ("search", [seconds]) => {
            let seconds = seconds.parse().map_err(|_| io::Error::other("a number of seconds is expected"))?;
            let found = search(target, first_seed(), End::After(Duration::from_secs(seconds)));
            println!("{}: {} mutants, {} different answers", target.name, found.tried, found.said.len());
            keep(target, found.said.into_values().collect())
        }
        ("unpack", [directory]) => {
            fs::create_dir_all(directory)?;
            let inputs = (target.seeds)().into_iter().chain(pack::load(target.name)?);
            for (number, input) in inputs.enumerate() {
                fs::write(Path::new(directory).join(format!("{number:05}")), input)?;
            }
            Ok(())
        }
        ("pack", [directory]) => {
            let files = fs::read_dir(directory)?.map(|file| fs::read(file?.path()));
            keep(target, files.collect::<io::Result<_>>()?)
        }
        _ => Err(io::Error::other(format!("{what} is not understood"))),
    }
}

/// Adds inputs to the corpus, where they are worth it: the shortest for each answer stays.
fn keep(target: &Target, inputs: Vec<Vec<u8>>) -> io::Result<()> {
    let mut said = std::collections::BTreeMap::<String, Vec<u8>>::new();
    for input in pack::load(target.name)?.into_iter().chain(inputs) {
        let told = (target.run)(&input);
        let known = said.get(&told);
        if known.is_none_or(|known| known.len() > input.len()) {
            said.insert(told, input);
        }
    }
    pack::store(target.name, said.into_values().collect())?;
    println!("{}: {} inputs in the corpus", target.name, pack::load(target.name)?.len());
    Ok(())
}
