//! A branch joins: a head office and the command `join`, each a process of its own, from the first byte until the new
//! node could serve. Beside it PostgreSQL copies the same rows to a second server, as its logical replication begins.
//!
//! Expected cost of one object of four values, sketched before the first run: 4 µs to read it at the head office and
//! 2 µs to pack it, beside each other; on the other side 3 µs to unpack it, beside 4 µs to write its row, and 2 µs for
//! three index entries at the end. Making the snapshot and loading it follow one another, so about 100,000 objects a
//! second where a snapshot must be made, and 150,000 where it is there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mytism_client::Client;
use mytism_core::failure::Failure;
use mytism_core::operation::{ImportBatch, ImportMode, Operations, Reply, Request};
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s};
use super::postgres;
use super::processes::Elsewhere;

/// Rows of one batch of the import that fills the head office.
const BATCH: u64 = 5_000;
/// Between two looks at the memory of the processes.
const PAUSE: Duration = Duration::from_millis(10);
const COLUMNS: [&str; 4] = ["CustomerID", "CompanyName", "Address", "City"];

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Objects at the head office.
    pub(super) objects: u64,
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "join, {} k objects", self.objects / 1_000)
    }
}

/// What a join took.
struct Joined {
    took: Duration,
    /// The most memory of its own that each process held, in bytes: the head office, the new branch.
    memory: [u64; 2],
}

/// Measures joins and copies in turn; each join but the last has its snapshot made.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    let scratch = Scratch::new(&settings.directory)?;
    let head = Elsewhere::head_office(&scratch)?;
    fill(&head.client()?, parameters.objects)?;
    let copies =
        postgres::installed().map(|programs| postgres::Pair::start(&programs, scratch.path().join("postgres")));
    let copies = copies.transpose()?;
    if let Some(copies) = &copies {
        copies.fill_customers(parameters.objects)?;
    }
    let mut rounds = Vec::new();
    let mut memory = [0, 0];
    for number in 0..settings.rounds {
        forget_snapshots(&head)?;
        let before_node = fdatasync_per_s(scratch.path())?;
        let joined = join(&head, &scratch, &format!("branch{number}"))?;
        let before_raw = fdatasync_per_s(scratch.path())?;
        let raw = copies.as_ref().map(postgres::Pair::copy_customers).transpose()?;
        memory = [0, 1].map(|one: usize| larger(&memory, &joined.memory, one));
        rounds.push(Round {
            n: parameters.objects,
            node: joined.took,
            raw: raw.unwrap_or_default(),
            memory: joined.memory.into_iter().max(),
            fdatasync_per_s: [before_node, before_raw],
            ..Round::default()
        });
    }
    let again = join(&head, &scratch, "again")?;
    let megabytes = memory.map(|bytes| bytes / 1_000_000);
    let with_snapshot = u128::from(parameters.objects) * 1_000 / again.took.as_millis().max(1);
    let fields = vec![
        ("unit", json!("objects/s")),
        ("way", json!("two processes")),
        ("beside", json!(copies.map(|_| "PostgreSQL, initial copy of logical replication"))),
        ("with_snapshot", json!(u64::try_from(with_snapshot).unwrap_or(u64::MAX))),
        ("rss_anon_mb", json!({"head_office": megabytes[0], "branch": megabytes[1]})),
    ];
    Ok(Figures::of("join", parameters.to_string(), fields, &rounds))
}

fn larger(one: &[u64; 2], other: &[u64; 2], index: usize) -> u64 {
    let of = |both: &[u64; 2]| both.get(index).copied().unwrap_or_default();
    of(one).max(of(other))
}

fn fill(client: &Client, objects: u64) -> Result<(), Failure> {
    let mut first = 0;
    while first < objects {
        let until = objects.min(first + BATCH);
        let batch = ImportBatch {
            run: None,
            description: "customers".to_owned(),
            entity: "Customer".to_owned(),
            key: None,
            columns: COLUMNS.map(str::to_owned).to_vec(),
            rows: (first..until).map(row).collect(),
            mode: ImportMode::Insert,
            skip_bad_rows: false,
            dry_run: false,
            notation: None,
            whole: None,
            preview: None,
        };
        let mut failed = None;
        client.call(Request::Import(batch), &mut |reply| {
            if !matches!(reply, Reply::Imported(_)) {
                failed = Some(Failure::failed("answer-unclear", "the import of the measurement went wrong"));
            }
            Ok(())
        })?;
        failed.map_or(Ok(()), Err)?;
        first = until;
    }
    Ok(())
}

/// The rows that PostgreSQL gets too.
fn row(number: u64) -> Vec<Option<String>> {
    let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let texts =
        [format!("C{number:07}"), format!("Firma {noise:x}"), format!("Weg {number}"), format!("Ort {}", number % 97)];
    texts.map(Some).to_vec()
}

/// The next join has its snapshot made.
fn forget_snapshots(head: &Elsewhere) -> Result<(), Failure> {
    let place = head.project().join("data").join("snapshots");
    match std::fs::remove_dir_all(&place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::failed("file-error", format!("cannot remove {}: {error}", place.display())))
        }
        _ => Ok(()),
    }
}

/// Lets a branch join in a process of its own.
fn join(head: &Elsewhere, scratch: &Scratch, name: &str) -> Result<Joined, Failure> {
    let account = head.account(scratch, name)?;
    let directory = scratch.path().join(name);
    let began = Instant::now();
    let mut process = begin(&directory, &account)?;
    let mut memory = [0, 0];
    let ended = loop {
        memory = [(0, head.pid), (1, process.id())].map(|(one, pid)| rss_anon(pid).max(larger(&memory, &[0, 0], one)));
        if let Some(ended) = process.try_wait().map_err(|error| not_run(&error))? {
            break ended;
        }
        std::thread::sleep(PAUSE);
    };
    let took = began.elapsed();
    // It is of no use to anybody, and the disk may be small.
    let _left = std::fs::remove_dir_all(&directory);
    if ended.success() { Ok(Joined { took, memory }) } else { Err(not_run(&ended)) }
}

fn begin(directory: &Path, account: &Path) -> Result<Child, Failure> {
    let program: PathBuf = std::env::current_exe().map_err(|error| not_run(&error))?;
    let mut command = Command::new(program);
    command.arg("--project").arg(directory).args(["--json", "join", "--sync-account"]).arg(account);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().map_err(|error| not_run(&error))
}

fn not_run(why: &dyn fmt::Display) -> Failure {
    Failure::failed("internal", format!("the join of the measurement went wrong: {why}"))
}

/// Memory of a process that is its own and stands for no file, in bytes; 0 where it is gone.
fn rss_anon(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1_024
}
