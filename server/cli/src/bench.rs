//! Measurements of this machine: what a node does, and beside it what the plain engine does for the same rows, in turn in
//! the same directory, so that a slow disk or a busy machine slows both.
//!
//! 1. [`commit`], [`protocol`], [`import`], [`log`], [`replicate`], [`catch_up`], [`lag`], [`join`], [`journal`], [`past`], [`query`], [`blob`]: what is measured, each with a sketch of what it should cost
//! 2. [`plain`], [`postgres`], [`tls`]: the other side
//! 3. [`node`], [`processes`], [`machine`]: what both need
//! 4. [`figures`]: what comes out

mod blob;
mod branches;
mod catch_up;
mod commit;
mod figures;
mod import;
mod join;
mod journal;
mod lag;
mod log;
mod machine;
mod node;
mod past;
mod plain;
mod postgres;
mod processes;
mod protocol;
mod query;
mod replicate;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

use mytism_core::failure::{Failure, nearest};

use crate::args;
use crate::output::Output;
use crate::report::Trouble;
use figures::Figures;

/// What holds for all measurements.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Settings {
    /// Where databases are made and removed again.
    directory: PathBuf,
    /// How long the node works in one round, where that is not given by the work.
    time: Duration,
    /// How often node and plain engine take turns.
    rounds: u32,
    /// Whether what can be larger is ten times as large.
    long: bool,
    /// Whether a server is measured in the place of the embedded engine, where there is a choice.
    postgres: bool,
}

/// One measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bench {
    Commit(commit::Parameters),
    Protocol(protocol::Parameters),
    Import(import::Parameters),
    Log(log::Parameters),
    Replicate(replicate::Parameters),
    CatchUp(catch_up::Parameters),
    Lag(lag::Parameters),
    Join(join::Parameters),
    Journal(journal::Parameters),
    Past(past::Parameters),
    Query(query::Parameters),
    Blob(blob::Parameters),
    Branches(branches::Parameters),
}

/// All there are, with the names that they are asked for with; in the order in which they run.
const BENCHES: [(&str, Bench); 17] = [
    ("commit", Bench::Commit(commit::Parameters { clients: 1 })),
    ("commit", Bench::Commit(commit::Parameters { clients: 32 })),
    ("protocol", Bench::Protocol(protocol::Parameters { clients: 1 })),
    ("protocol", Bench::Protocol(protocol::Parameters { clients: 32 })),
    ("import", Bench::Import(import::Parameters { rows: 100_000 })),
    ("log", Bench::Log(log::Parameters { changes: 1_000_000 })),
    ("replicate", Bench::Replicate(replicate::Parameters { transactions: 20_000 })),
    ("catch-up", Bench::CatchUp(catch_up::Parameters { transactions: 100_000 })),
    ("lag", Bench::Lag(lag::Parameters)),
    ("join", Bench::Join(join::Parameters { objects: 1_000_000 })),
    ("journal", Bench::Journal(journal::Parameters { rows: 1_000_000 })),
    ("past", Bench::Past(past::Parameters { orders: 100_000, changes: 10 })),
    ("past", Bench::Past(past::Parameters { orders: 100_000, changes: 1_000 })),
    ("past", Bench::Past(past::Parameters { orders: 100_000, changes: 100_000 })),
    ("query", Bench::Query(query::Parameters { orders: 1_000_000, postgres: false })),
    ("blob", Bench::Blob(blob::Parameters { megabytes: 1_000 })),
    ("branches", Bench::Branches(branches::Parameters { branches: 1_000 })),
];

impl Bench {
    fn run(self, settings: &Settings) -> Result<Vec<Figures>, Failure> {
        let one = match self {
            Self::Query(query::Parameters { orders, .. }) => {
                return query::run(query::Parameters { orders, postgres: settings.postgres }, settings);
            }
            Self::Commit(parameters) => commit::run(parameters, settings),
            Self::Protocol(parameters) => protocol::run(parameters, settings),
            Self::Import(import::Parameters { rows }) if settings.long => {
                import::run(import::Parameters { rows: rows * 10 }, settings)
            }
            Self::Import(parameters) => import::run(parameters, settings),
            Self::Log(log::Parameters { changes }) if settings.long => {
                log::run(log::Parameters { changes: changes * 10 }, settings)
            }
            Self::Log(parameters) => log::run(parameters, settings),
            Self::Replicate(parameters) => replicate::run(parameters, settings),
            Self::CatchUp(parameters) => catch_up::run(parameters, settings),
            Self::Lag(parameters) => lag::run(parameters, settings),
            Self::Join(parameters) => join::run(parameters, settings),
            Self::Journal(journal::Parameters { rows }) if settings.long => {
                journal::run(journal::Parameters { rows: rows * 10 }, settings)
            }
            Self::Journal(parameters) => journal::run(parameters, settings),
            Self::Past(parameters) => past::run(parameters, settings),
            Self::Blob(blob::Parameters { megabytes }) if settings.long => {
                blob::run(blob::Parameters { megabytes: megabytes * 10 }, settings)
            }
            Self::Blob(parameters) => blob::run(parameters, settings),
            Self::Branches(parameters) => branches::run(parameters, settings),
        };
        Ok(vec![one?])
    }
}

/// Runs those that are named, or all.
pub(crate) fn run(arguments: &args::Bench, output: &mut Output<'_>) -> Result<(), Trouble> {
    let benches = chosen(&arguments.names)?;
    let settings = Settings {
        directory: arguments.dir.clone().unwrap_or_else(std::env::temp_dir),
        time: Duration::from_secs(u64::from(arguments.seconds)),
        rounds: 3,
        long: arguments.long,
        postgres: arguments.store == args::Store::Postgres,
    };
    if !output.json {
        let kind = machine::file_system(&settings.directory).map_or_else(String::new, |kind| format!(" ({kind})"));
        output.line(format_args!("{}{kind}", settings.directory.display()));
        output.line(figures::heading(output.words));
    }
    for bench in benches {
        output.flush();
        if output.state().is_err() {
            break;
        }
        for figures in bench.run(&settings)? {
            if output.json {
                output.document(&figures.document());
            } else {
                output.line(figures.line(output.words));
            }
        }
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<Bench>, Failure> {
    if let Some(unknown) = names.iter().find(|name| !BENCHES.iter().any(|(known, _)| known == name)) {
        let failure = Failure::usage("unknown-bench", format!("there is no measurement \"{unknown}\""));
        let known = BENCHES.iter().map(|(known, _)| *known);
        return Err(match nearest(unknown, known) {
            Some(near) => failure.hint(format!("did you mean \"{near}\"?")),
            None => failure.hint(
                "there are: commit, protocol, import, log, replicate, catch-up, lag, join, journal, past, query, blob",
            ),
        });
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    Ok(BENCHES.into_iter().filter(|(name, _)| wanted(name)).map(|(_, bench)| bench).collect())
}

#[cfg(test)]
mod tests;
