//! A branch takes the place of a head office that is lost, and the others follow it.
//!
//! The database changes first and the configuration after it; whoever was killed in between runs the same command again.
//! What becomes of entries and pending transactions is for the use cases to know.

use std::path::Path;

use mytism_core::failure::Failure;
use mytism_transport::identity::{NodeKey, PublicKey};

use crate::config::{Address, Config, Process, check, comment_out, read_text};
use crate::node::open;
use crate::operations::addresses;
use crate::project::{Project, write_durably};
use crate::setup::set;

/// A branch that is the head office by now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Promoted {
    /// Its name.
    pub node: String,
    /// The epoch that began with it.
    pub epoch: u32,
    /// Number of the last entry of its log.
    pub position: u64,
    /// Where the others reach it, best first.
    pub addresses: Vec<String>,
    /// Its public key.
    pub key: String,
}

/// A node that follows another head office by now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Followed {
    /// Its name.
    pub node: String,
    /// Addresses of the head office.
    pub addresses: Vec<String>,
    /// The head office's public key.
    pub key: String,
}

/// Makes a branch the head office. Its node must not run.
///
/// # Errors
/// When the node runs, or is the head office already.
pub fn promote(directory: &Path) -> Result<Promoted, Failure> {
    let project = Project::at(directory);
    let config = project.config()?;
    let key = key(&project)?;
    let app = open(&project)?;
    let identity = app.identity();
    if identity.authoritative && config.authoritative {
        let message = format!("{} is the head office already", identity.name);
        return Err(Failure::refused("authoritative-already", message));
    }
    if !identity.authoritative {
        app.promote().map_err(|error| error.failure())?;
    }
    if let Some(former) = config.head_office_key {
        let former = PublicKey::from_bytes(former).to_string();
        app.note_former_head_office(&former).map_err(|error| error.failure())?;
    }
    change(&project, |text| {
        let text = comment_out(text, "SyncService", "headOffice");
        let text = comment_out(&text, "SyncService", "headOfficeKey");
        set(&text, "DBMan", "authoritative", "1")
    })?;
    let status = app.status().map_err(|error| error.failure())?;
    Ok(Promoted {
        node: identity.name,
        epoch: status.epoch,
        position: status.log_position,
        addresses: addresses(&config, &config.live),
        key: key.public().to_string(),
    })
}

/// Lets a node follow another head office; one that is the head office becomes a branch. It must not run.
///
/// # Errors
/// When the node runs, or the address or key can be none.
pub fn follow(directory: &Path, addresses: &str, head_key: &str) -> Result<Followed, Failure> {
    let project = Project::at(directory);
    let _config = project.config()?;
    let wrong = |what: &str, given: &str| {
        let message = format!("\"{given}\" is no {what} of a head office");
        Failure::usage("wrong-value", message).hint("`promote` prints both at the new head office")
    };
    let addresses: Vec<String> = addresses.split(',').map(|address| address.trim().to_owned()).collect();
    if let Some(bad) = addresses.iter().find(|address| Address::of_node(address).is_none()) {
        return Err(wrong("address", bad));
    }
    let head_key: PublicKey = head_key.parse().map_err(|_| wrong("key", head_key))?;
    if key(&project)?.public() == head_key {
        let message = "this is the key of this very node, which cannot follow itself";
        return Err(Failure::usage("wrong-value", message));
    }
    let app = open(&project)?;
    let identity = app.identity();
    if identity.authoritative {
        app.abdicate().map_err(|error| error.failure())?;
    }
    let key = head_key.to_string();
    change(&project, |text| {
        let text = set(text, "SyncService", "headOffice", &addresses.join(", "))?;
        let text = set(&text, "SyncService", "headOfficeKey", &key)?;
        set(&text, "DBMan", "authoritative", "0")
    })?;
    Ok(Followed { node: identity.name, addresses, key })
}

/// Whether the configuration of a project says that it is a head office.
///
/// # Errors
/// When it cannot be read.
pub fn is_head_office(directory: &Path) -> Result<bool, Failure> {
    Ok(Project::at(directory).config()?.authoritative)
}

fn key(project: &Project) -> Result<NodeKey, Failure> {
    NodeKey::load(&project.key_file()).map_err(|error| Failure::failed("key-error", error.to_string()))
}

/// Writes a configuration anew, if a node can start with it then.
fn change(project: &Project, edit: impl FnOnce(&str) -> Result<String, Failure>) -> Result<(), Failure> {
    let file = project.config_file();
    let unreadable = |problems: &[crate::config::ConfigProblem]| {
        problems.iter().find(|problem| problem.is_error()).map_or(Ok(()), |problem| Err(Failure::from(problem)))
    };
    let text = match read_text(&file) {
        Ok(text) => text,
        Err(problems) => {
            unreadable(&problems)?;
            String::new()
        }
    };
    let changed = edit(&text)?;
    let (_, problems): (Config, _) = check(&changed, &file.display().to_string(), &Process::of(project.directory()));
    unreadable(&problems)?;
    write_durably(&file, changed.as_bytes())
}
