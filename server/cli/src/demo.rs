//! The demonstration: a head office and a branch on this machine, real processes with real databases, and between them
//! a line that can be cut.
//!
//! What it prints about travelling transactions comes from the nodes themselves, over the protocol; the demonstration
//! only saves, cuts, heals and compares.
//!
//! 1. this file: the story
//! 2. [`cast`]: the two nodes as processes, and what is asked of them
//! 3. [`relay`]: the line between them
//! 4. [`stage`]: what is printed

mod cast;
mod relay;
mod stage;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;

use crate::args;
use crate::output::Output;
use crate::report::Trouble;
use cast::{Cast, Node};
use relay::Relay;
use stage::Stage;

/// How long the two nodes may take to come into step.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long the line stays cut.
const CUT: Duration = Duration::from_secs(3);
/// Where the projects stand after a demonstration that somebody looked at.
const DIRECTORY: &str = ".mytism-demo";

/// Runs it. With `once` it ends by itself and succeeds only if both nodes end equal; else it goes on until interrupted,
/// so that its nodes can be looked at.
pub(crate) fn run(arguments: &args::Demo, output: &mut Output<'_>) -> Result<(), Trouble> {
    let interrupted = crate::interrupt::flag(|| {})?;
    let mut directory = Directory::new(arguments.once)?;
    let mut stage = Stage::new(output);
    let equal = {
        let mut cast = Cast::new(&directory.path)?;
        let equal = story(&mut cast, &mut stage, &interrupted)?;
        if !arguments.once {
            stage.try_yourself(&cast.head.directory, &cast.branch()?.directory);
            daily_business(&cast, &mut stage, &interrupted)?;
            directory.keep = true;
        }
        equal
    };
    if equal {
        return Ok(());
    }
    let failure = Failure::failed("demo-differs", "the two nodes did not end equal");
    Err(failure.hint("the lines above say where").into())
}

/// From two empty directories to two equal databases; whether they are equal.
fn story(cast: &mut Cast, stage: &mut Stage<'_, '_>, interrupted: &AtomicBool) -> Result<bool, Failure> {
    stage.chapter("A head office", "Eine Zentrale");
    cast.start_head()?;
    let rows = cast.import_sample_data()?;
    stage.fact(
        &format!("hamburg serves; {rows} rows of sample data imported into 11 entities"),
        &format!("hamburg läuft; {rows} Zeilen Beispieldaten in 11 Entitäten importiert"),
    );
    stage.chapter("A branch joins", "Eine Filiale kommt dazu");
    let began = Instant::now();
    let joined = cast.join_branch()?;
    stage.fact(
        &format!("berlin fetched {joined} objects in {:.1} s and follows", began.elapsed().as_secs_f64()),
        &format!("berlin hat {joined} Objekte in {:.1} s geholt und folgt", began.elapsed().as_secs_f64()),
    );
    let watching = (cast.head.watch(), cast.branch()?.watch());
    stage.listen(watching);
    stage.until(PATIENCE, interrupted, || Ok(cast.branch()?.is_connected()))?;

    stage.chapter("Both sell", "Beide verkaufen");
    for number in 0..3 {
        cast.head.order(90_000 + number)?;
        cast.branch()?.order(91_000 + number)?;
        stage.pause(Duration::from_millis(150));
    }
    in_step(cast, stage, interrupted)?;

    stage.chapter("The line is cut, both go on", "Die Leitung ist unterbrochen, beide arbeiten weiter");
    let customer = cast.head.some_customer()?;
    cast.relay.cut();
    for number in 0..3 {
        cast.head.order(92_000 + number)?;
        cast.branch()?.order(93_000 + number)?;
        stage.pause(Duration::from_millis(100));
    }
    cast.head.change_contact(customer, "Maria Petersen")?;
    cast.branch()?.change_contact(customer, "Marie Anders")?;
    cast.head.new_customer("NEUER", "Neuer Kunde an der Alster")?;
    cast.branch()?.new_customer("NEUER", "Neuer Kunde an der Spree")?;
    stage.pause(CUT);
    let waiting = cast.branch()?.status()?.pending;
    stage.fact(&format!("{waiting} saves wait at berlin"), &format!("{waiting} Buchungen warten in berlin"));

    stage.chapter("The line is healed", "Die Leitung steht wieder");
    let began = Instant::now();
    cast.relay.heal();
    in_step(cast, stage, interrupted)?;
    let seconds = began.elapsed().as_secs_f64();
    stage.fact(&format!("in step again after {seconds:.1} s"), &format!("nach {seconds:.1} s wieder gleichauf"));
    compare(cast, stage)
}

fn in_step(cast: &Cast, stage: &mut Stage<'_, '_>, interrupted: &AtomicBool) -> Result<(), Failure> {
    stage.until(PATIENCE, interrupted, || {
        let (head, branch) = (cast.head.status()?, cast.branch()?.status()?);
        Ok(branch.pending == 0 && head.log_hash == branch.log_hash)
    })
}

/// Both nodes are asked for everything; whether they answer the same.
fn compare(cast: &Cast, stage: &mut Stage<'_, '_>) -> Result<bool, Failure> {
    stage.chapter("Both are equal", "Beide sind gleich");
    let (head, branch) = (cast.head.status()?, cast.branch()?.status()?);
    let mut equal = head.log_hash == branch.log_hash && head.objects == branch.objects;
    let mut objects = 0;
    for entity in cast.entities() {
        let (ours, theirs) = (cast.head.everything(&entity)?, cast.branch()?.everything(&entity)?);
        objects += ours.len();
        if ours != theirs {
            equal = false;
            stage.fact(&format!("{entity} differs"), &format!("{entity} ist verschieden"));
        }
    }
    let (position, conflicts, refused) = (head.log_position, head.conflicts, head.quarantine);
    let hash: String = head.log_hash.chars().take(16).collect();
    stage.fact(
        &format!("{objects} objects, log position {position} with hash {hash}…"),
        &format!("{objects} Objekte, Position {position} im Log mit der Prüfsumme {hash}…"),
    );
    stage.fact(
        &format!("kept for somebody to look at: {conflicts} conflict, {refused} refused save"),
        &format!("zum Ansehen aufgehoben: {conflicts} Konflikt, {refused} abgelehnte Buchung"),
    );
    Ok(equal)
}

/// A little traffic, until somebody interrupts.
fn daily_business(cast: &Cast, stage: &mut Stage<'_, '_>, interrupted: &AtomicBool) -> Result<(), Failure> {
    let mut number = 94_000;
    while !interrupted.load(Ordering::Relaxed) {
        let node: &Node = if number % 2 == 0 { &cast.head } else { cast.branch()? };
        node.order(number)?;
        number += 1;
        for _ in 0..20 {
            if !interrupted.load(Ordering::Relaxed) {
                stage.pause(Duration::from_millis(100));
            }
        }
    }
    Ok(())
}

/// Where the projects stand; gone at the end unless somebody may want to look.
struct Directory {
    path: PathBuf,
    keep: bool,
}

impl Directory {
    fn new(once: bool) -> Result<Self, Failure> {
        let path = if once {
            std::env::temp_dir().join(format!("mytism-demo-{}", std::process::id()))
        } else {
            PathBuf::from(DIRECTORY)
        };
        let cannot = |error: std::io::Error| {
            Failure::failed("file-error", format!("cannot prepare {}: {error}", path.display()))
        };
        if path.exists() {
            std::fs::remove_dir_all(&path).map_err(cannot)?;
        }
        std::fs::create_dir_all(&path).map_err(cannot)?;
        let path = std::path::absolute(&path).map_err(cannot)?;
        Ok(Self { path, keep: false })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.keep {
            // What is left of it lies among temporary files and does no harm.
            let _left = std::fs::remove_dir_all(&self.path);
        }
    }
}
