//! A file that goes from the vault of a head office to that of a branch, both processes of their own, until it is durable
//! there; beside it the same file copied through TLS over TCP and made durable.
//!
//! Expected, sketched before the first run: both sides read, encrypt, decrypt and write each byte once; the nodes hash it
//! three times (as it is read, as it arrives, as a whole), give and name some thousand files, and speak over UDP, which
//! costs about twice the work of TCP. On two cores that share both ends a third to a half of the copy's speed.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mytism_client::Client;
use mytism_core::failure::Failure;
use mytism_core::operation::{ChangeRequest, ChangeTarget, Operations, Reply, Request, SaveRequest, Status};
use mytism_intake::document::{Document, FileInput};
use mytism_server::project::Project;
use mytism_server::setup::Ports;
use mytism_server::{InitOptions, JoinOptions};
use serde_json::json;

use super::Settings;
use super::figures::{Figures, Round};
use super::machine::{Scratch, fdatasync_per_s};
use super::tls;
use crate::command::{background, blobs};
use crate::node::wait_until_down;

/// Pause between two looks whether the file is there.
const LOOK: Duration = Duration::from_millis(5);
/// A file of which nothing has come after this time does not come.
const PATIENCE: Duration = Duration::from_secs(600);
/// The largest file whose rounds are kept on the disk until the last one has ended: four times as much in each.
const KEPT_MEGABYTES_MAX: u64 = 2_000;
const SCHEMA: &str = "<Schema name=\"bench\" version=\"1\"><Entity name=\"Doc\">\
                      <Attribute name=\"File\" type=\"blob\"/></Entity></Schema>";

/// What is varied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Parameters {
    /// Millions of bytes of the file.
    pub(super) megabytes: u64,
}

/// Measures both ways in turn. The copy stands in the place of the plain engine.
pub(super) fn run(parameters: Parameters, settings: &Settings) -> Result<Figures, Failure> {
    // A file system is slow to give places anew that thousands of files have just left: nothing is removed before the
    // last round, as long as the disk needs not be large for that.
    let mut kept = Vec::new();
    let mut rounds = Vec::new();
    for _ in 0..settings.rounds {
        let scratch = Scratch::new(&settings.directory)?;
        rounds.push(round(parameters, &scratch)?);
        if parameters.megabytes <= KEPT_MEGABYTES_MAX {
            kept.push(scratch);
        }
    }
    let Parameters { megabytes } = parameters;
    let fields = vec![("unit", json!("MB/s")), ("megabytes", json!(megabytes))];
    Ok(Figures::of("blob", format!("blob, {megabytes} MB"), fields, &rounds))
}

fn round(parameters: Parameters, scratch: &Scratch) -> Result<Round, Failure> {
    let file = scratch.path().join("file.bin");
    write_noise(&file, parameters.megabytes)?;
    let schema = scratch.path().join("bench.xml");
    std::fs::write(&schema, SCHEMA).map_err(|error| unwritten(&schema, &error))?;
    let head = Process::head_office(scratch.child("head")?, schema)?;
    let branch = Process::joined(scratch.child("branch")?, &head)?;
    // In the vault of the head office before the clock runs, as the file of the copy lies on its disk.
    save(&head.client()?, &file)?;
    let before = fdatasync_per_s(scratch.path())?;
    let begun = Instant::now();
    background::start(&branch.project)?;
    wait_for_file(&branch, begun)?;
    let node = begun.elapsed();
    let memory = branch.memory()?;
    drop((branch, head));
    let before_raw = fdatasync_per_s(scratch.path())?;
    let raw = tls::copy(&file, &scratch.path().join("copy.bin"))?;
    let n = parameters.megabytes;
    Ok(Round { n, commits: 0, node, raw, waits: Vec::new(), memory, fdatasync_per_s: [before, before_raw] })
}

/// A file that no compression makes shorter.
fn write_noise(path: &Path, megabytes: u64) -> Result<(), Failure> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = Vec::with_capacity(1_000_000);
    let mut file = File::create(path).map_err(|error| unwritten(path, &error))?;
    for _ in 0..megabytes {
        block.clear();
        for _ in 0..125_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).map_err(|error| unwritten(path, &error))?;
    }
    file.sync_all().map_err(|error| unwritten(path, &error))
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed("file-error", format!("cannot write {}: {error}", path.display()))
}

fn save(head: &Client, file: &Path) -> Result<(), Failure> {
    let target = ChangeTarget::New { label: "d".to_owned(), entity: "Doc".to_owned() };
    let values = vec![("File".to_owned(), mytism_core::operation::Input::Null)];
    let change = ChangeRequest { target, values, expect: Vec::new(), delete: None };
    let given = FileInput {
        change: 0,
        attribute: "File".to_owned(),
        path: file.display().to_string(),
        name: None,
        media_type: None,
    };
    let request = SaveRequest { description: "file".to_owned(), changes: vec![change] };
    let request = blobs::filled(head, Document { request, files: vec![given] })?;
    head.call(Request::Save(request), &mut |_| Ok(()))
}

fn wait_for_file(branch: &Process, begun: Instant) -> Result<(), Failure> {
    let client = branch.client()?;
    loop {
        let mut status = Status::default();
        client.call(Request::Status, &mut |reply| {
            if let Reply::Status(found) = reply {
                status = *found;
            }
            Ok(())
        })?;
        if status.blobs == Some(1) && status.blobs_wanted == Some(0) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::failed("internal", "the file does not come to the branch"));
        }
        sleep(LOOK);
    }
}

/// A node in a process of its own, which ends with this.
struct Process {
    project: PathBuf,
}

impl Process {
    fn head_office(project: PathBuf, schema: PathBuf) -> Result<Self, Failure> {
        let ports = Ports { tls: Some(0), ..Ports::default() };
        let (schema, name) = (Some(schema), Some("bench".to_owned()));
        mytism_server::init(&InitOptions { directory: project.clone(), schema, name, ports, url: None })?;
        background::start(&project)?;
        Ok(Self { project })
    }

    /// A branch that has joined and does not run yet.
    fn joined(project: PathBuf, head: &Self) -> Result<Self, Failure> {
        let mut text = None;
        let request = Request::AddNode { name: "branch".to_owned(), valid_days: 1 };
        head.client()?.call(request, &mut |reply| {
            if let Reply::Account { file } = reply {
                text = Some(file);
            }
            Ok(())
        })?;
        let account = project.with_extension("account");
        std::fs::write(&account, text.unwrap_or_default()).map_err(|error| unwritten(&account, &error))?;
        let ports = Ports { tls: Some(0), ..Ports::default() };
        let options = JoinOptions { directory: project.clone(), account, name: None, ports, history_at_once: 0 };
        mytism_server::join(&options, &mut |_| {})?;
        Ok(Self { project })
    }

    fn client(&self) -> Result<Client, Failure> {
        Client::connect(&Project::at(&self.project).socket())
    }

    /// The most memory that the process ever had; `None` where the system does not tell.
    fn memory(&self) -> Result<Option<u64>, Failure> {
        let presence = crate::node::presence(&self.project);
        let status =
            presence.and_then(|presence| std::fs::read_to_string(format!("/proc/{}/status", presence.ready.pid)).ok());
        let peak = status.as_deref().and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
        });
        Ok(peak.map(|kilobytes| kilobytes * 1024))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it cannot be asked it is gone already; its data are of no use to anybody.
        let _asked = self.client().and_then(|client| client.call(Request::Stop, &mut |_| Ok(())));
        let _down = wait_until_down(&self.project);
    }
}
