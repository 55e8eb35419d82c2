//! The demonstration: a head office and two branches on this machine, real processes with real databases, and between
//! them lines that can be cut.
//!
//! What it prints about travelling transactions comes from the nodes themselves, over the protocol; the demonstration
//! only saves, cuts, heals and compares.
//!
//! 1. this file: the story
//! 2. [`cast`]: the nodes as processes, and what is asked of them
//! 3. [`relay`]: a line between two of them
//! 4. [`stage`]: what is printed; [`journey`]: the lines of transactions; [`invoice`]: the files that travel; [`panel`]: the nodes side by side

mod cast;
mod invoice;
mod journey;
mod panel;
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

/// How long the nodes may take to come into step.
const PATIENCE: Duration = Duration::from_secs(25);
/// How long the line stays cut.
const CUT: Duration = Duration::from_secs(2);
/// Where the projects stand after a demonstration that somebody looked at.
const DIRECTORY: &str = ".mytism-demo";

/// Runs it. With `once` it ends by itself and succeeds only if all nodes end equal; else it goes on until interrupted,
/// so that its nodes can be looked at.
pub(crate) fn run(arguments: &args::Demo, output: &mut Output<'_>) -> Result<(), Trouble> {
    let interrupted = crate::interrupt::flag(|| {})?;
    let mut directory = Directory::new(arguments.once)?;
    let mut stage = Stage::new(output);
    let mut cast = Cast::new(&directory.path)?;
    let equal = story(&mut cast, &mut stage, &interrupted)?;
    if !arguments.once {
        stage.try_yourself(&cast.head.directory, &cast.branch(1)?.node.directory);
        daily_business(&cast, &mut stage, &interrupted)?;
        directory.keep = true;
    }
    // The panel asks nodes that are about to go.
    stage.close();
    drop(cast);
    if equal {
        return Ok(());
    }
    let failure = Failure::failed("demo-differs", "the nodes did not end equal");
    Err(failure.hint("the lines above say where").into())
}

/// From empty directories to equal databases; whether they are equal.
fn story(cast: &mut Cast, stage: &mut Stage<'_, '_>, interrupted: &AtomicBool) -> Result<bool, Failure> {
    stage.chapter("A head office", "Eine Zentrale");
    cast.start_head()?;
    let rows = cast.import_sample_data()?;
    stage.fact(
        &format!("hamburg serves; {rows} rows of sample data imported into 11 entities"),
        &format!("hamburg läuft; {rows} Zeilen Beispieldaten in 11 Entitäten importiert"),
    );
    stage.chapter("Two branches join", "Zwei Filialen kommen dazu");
    for name in ["berlin", "bonn"] {
        let began = Instant::now();
        let joined = cast.join_branch(name)?;
        let seconds = began.elapsed().as_secs_f64();
        stage.fact(
            &format!("{name} fetched {joined} objects in {seconds:.1} s and follows"),
            &format!("{name} hat {joined} Objekte in {seconds:.1} s geholt und folgt"),
        );
    }
    let heard = cast.nodes().map(Node::watch).collect();
    stage.listen(heard, cast.nodes().map(|node| (node.name, node.directory.clone())).collect());
    stage.until(PATIENCE, interrupted, || Ok(cast.branches.iter().all(|branch| branch.node.is_connected())))?;

    stage.chapter("All of them sell", "Alle verkaufen");
    for number in 0..9 {
        let node = cast.nodes().nth(number % 3).unwrap_or(&cast.head);
        node.order(240_100 + u32::try_from(number).unwrap_or_default())?;
        stage.pause(Duration::from_millis(120));
    }
    in_step(cast, stage, interrupted)?;
    invoices(cast, stage, interrupted)?;
    cut_and_healed(cast, stage, interrupted)?;
    compare(cast, stage)
}

/// An invoice is written at berlin and read at the other nodes.
fn invoices(cast: &Cast, stage: &mut Stage<'_, '_>, interrupted: &AtomicBool) -> Result<(), Failure> {
    stage.chapter("Files travel too", "Auch Dateien reisen");
    let began = Instant::now();
    let seller = &cast.branch(0)?.node;
    let sold = seller.order_with_invoice(240_118)?;
    for node in cast.nodes().filter(|node| node.name != seller.name) {
        stage.until(PATIENCE, interrupted, || Ok(node.has_invoice(sold.order)))?;
        let (name, bytes, millis) = (node.name, sold.bytes, began.elapsed().as_millis());
        stage.fact(
            &format!("{} {bytes} bytes → {name}, there after {millis} ms", sold.file),
            &format!("{} {bytes} Bytes → {name}, dort nach {millis} ms", sold.file),
        );
    }
    Ok(())
}

/// The line to bonn is cut and healed; both sides work on, and meet in a conflict and a refusal.
fn cut_and_healed(cast: &Cast, stage: &mut Stage<'_, '_>, interrupted: &AtomicBool) -> Result<(), Failure> {
    let (berlin, bonn) = (&cast.branch(0)?.node, cast.branch(1)?);
    stage.chapter(
        "The line to bonn is cut, everybody works on",
        "Die Leitung nach bonn ist unterbrochen, alle arbeiten weiter",
    );
    let customer = cast.head.some_customer()?;
    let before = cast.head.status()?.log_position;
    bonn.line.cut();
    for number in 0..4 {
        cast.head.order(240_200 + number)?;
        berlin.order(240_300 + number)?;
        bonn.node.order(240_400 + number)?;
        stage.pause(Duration::from_millis(150));
    }
    cast.head.change_contact(customer, "Maria Petersen")?;
    bonn.node.change_contact(customer, "Marie Anders")?;
    berlin.new_customer("NEUER", "Neuer Kunde an der Spree")?;
    bonn.node.new_customer("NEUER", "Neuer Kunde am Rhein")?;
    stage.pause(CUT);
    let up = bonn.node.status()?.pending;
    let down = cast.head.status()?.log_position.saturating_sub(before);
    stage.fact(
        &format!("bonn works on: {up} saves pending there, {down} wait for it at hamburg"),
        &format!("bonn arbeitet weiter: {up} Buchungen offen, {down} warten in hamburg auf bonn"),
    );
    stage.chapter("The line is healed", "Die Leitung steht wieder");
    let began = Instant::now();
    bonn.line.heal();
    in_step(cast, stage, interrupted)?;
    let seconds = began.elapsed().as_secs_f64();
    stage.fact(
        &format!("healed: {up} up, {down} down, in step {seconds:.1} s after the line was back"),
        &format!("geheilt: {up} hinauf, {down} hinunter, auf gleichem Stand nach {seconds:.1} s"),
    );
    Ok(())
}

fn in_step(cast: &Cast, stage: &mut Stage<'_, '_>, interrupted: &AtomicBool) -> Result<(), Failure> {
    stage.until(PATIENCE, interrupted, || {
        let head = cast.head.status()?;
        for branch in &cast.branches {
            let status = branch.node.status()?;
            if status.pending > 0 || head.log_hash != status.log_hash {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// All nodes are asked for everything; whether they answer the same.
fn compare(cast: &Cast, stage: &mut Stage<'_, '_>) -> Result<bool, Failure> {
    stage.chapter("All are equal", "Alle sind gleich");
    let head = cast.head.status()?;
    let (mut equal, mut objects) = (true, 0);
    for branch in &cast.branches {
        let status = branch.node.status()?;
        equal &= head.log_hash == status.log_hash && head.objects == status.objects;
    }
    for entity in cast.entities() {
        let ours = cast.head.everything(&entity)?;
        objects += ours.len();
        for branch in &cast.branches {
            let name = branch.node.name;
            if branch.node.everything(&entity)? != ours {
                equal = false;
                stage.fact(&format!("{entity} differs at {name}"), &format!("{entity} ist in {name} verschieden"));
            }
        }
    }
    let (position, conflicts, refused) = (head.log_position, head.conflicts, head.quarantine);
    let hash: String = head.log_hash.chars().take(16).collect();
    stage.fact(
        &format!("{objects} objects at three nodes, log position {position} with hash {hash}…"),
        &format!("{objects} Objekte an drei Knoten, Position {position} im Log mit der Prüfsumme {hash}…"),
    );
    stage.fact(
        &format!("kept for somebody to look at: {conflicts} conflict, {refused} refused save"),
        &format!("zum Ansehen aufgehoben: {conflicts} Konflikt, {refused} abgelehnte Buchung"),
    );
    Ok(equal)
}

/// A little traffic, until somebody interrupts.
fn daily_business(cast: &Cast, stage: &mut Stage<'_, '_>, interrupted: &AtomicBool) -> Result<(), Failure> {
    let mut number = 0;
    while !interrupted.load(Ordering::Relaxed) {
        let node = cast.nodes().nth(number % 3).unwrap_or(&cast.head);
        node.order(250_000 + u32::try_from(number).unwrap_or_default())?;
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
