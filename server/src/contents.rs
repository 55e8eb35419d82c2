//! The contents of files at a running node: taken in from clients and given to them, and brought from other nodes.
//!
//! 1. `desk`: what clients bring and fetch, in parts
//! 2. `wanted`: which contents are named here and have not come, in a file that outlasts the process
//! 3. `watch`: follows the log, and fills that list
//! 4. `sweep`: removes what nothing names, and wants what only the history names
//! 5. `ask` and `give`: the two ends of a stream between nodes; whoever receives asks
//! 6. `lines`: which streams there are
//!
//! Nothing here delays a save: the log goes first, and a save never waits for a content.

mod ask;
mod desk;
mod give;
mod lines;
mod sweep;
mod wanted;
mod watch;

use std::path::Path;
use std::sync::Arc;

use mytism_app::App;
use mytism_core::blob::Blob;
use mytism_core::failure::Failure;
use mytism_core::id::{Hash, ObjectId};
use mytism_core::operation::{ContentPart, Output, Reply, Status};
use mytism_core::value::Value;
use mytism_vault::{Hold, Vault, VaultError};

use crate::config::Config;
use crate::project::Project;

use desk::Desk;
use tokio::sync::Semaphore;
use wanted::Wanted;

pub(crate) use lines::{serve, spawn};
pub(crate) use sweep::run as sweep;
pub(crate) use watch::follow;

/// See the module.
pub(crate) struct Contents {
    vault: Vault,
    desk: Desk,
    wanted: Wanted,
    /// So many contents are fetched at once, whoever they come from.
    fetching: Semaphore,
}

/// See [`Contents::fetching`]; each takes some MiB of memory.
const FETCHING: usize = 4;

/// What the use cases ask.
struct Known(Vault);

impl mytism_app::contents::Contents for Known {
    fn bytes_of(&self, content: Hash) -> Option<u64> {
        // Who asks is about to name it. What cannot be read is not here.
        self.0.claim(content).ok().flatten()
    }
}

impl Contents {
    /// Opens the vault of a project, and lets the use cases know what is in it.
    pub(crate) fn open(project: &Project, config: &Config, app: &App) -> Result<Arc<Self>, Failure> {
        let vault = Vault::open(&project.files(config)).map_err(|error| failure(&error))?;
        app.keep_contents(Arc::new(Known(vault.clone())));
        let wanted = Wanted::open(&project.wanted_file(), &vault);
        Ok(Arc::new(Self { desk: Desk::new(vault.clone()), wanted, fetching: Semaphore::new(FETCHING), vault }))
    }

    /// All contents that are here stay, as long as the result is kept.
    pub(crate) fn hold(&self) -> Hold {
        self.vault.hold()
    }

    /// Takes in a part of a content.
    pub(crate) fn put(&self, upload: Option<u64>, data: &[u8], end: bool) -> Result<Reply, Failure> {
        self.desk.put(upload, data, end)
    }

    /// Some bytes of what an attribute holds. What is not here is fetched ahead of all others.
    pub(crate) fn get(&self, app: &App, object: ObjectId, attribute: &str, from: u64) -> Result<Reply, Failure> {
        let blob = app.blob_of(object, attribute).map_err(|error| error.failure())?;
        let part = |blob, data, here, arrived| Reply::ContentPart(ContentPart { blob, from, data, here, arrived });
        match self.desk.get(&blob, from) {
            Ok(data) => Ok(part(blob, data, true, 0)),
            Err(error @ (VaultError::Missing(_) | VaultError::Damaged { .. })) => {
                if let VaultError::Damaged { .. } = error {
                    tracing::warn!("{error}; it is fetched anew");
                }
                self.wanted.ask_now(&blob);
                let arrived = self.wanted.arrived(blob.hash());
                Ok(part(blob, Vec::new(), false, arrived))
            }
            Err(other) => Err(failure(&other)),
        }
    }

    /// Adds to what is told of the node.
    pub(crate) fn count(&self, status: &mut Status) {
        if let Ok(usage) = self.vault.usage() {
            status.blobs = Some(usage.contents);
            status.blob_bytes = Some(usage.bytes);
        }
        status.blobs_wanted = Some(self.wanted.count());
    }

    /// An answer in which contents that are not here are marked.
    pub(crate) fn marked(&self, mut reply: Reply) -> Reply {
        let values = match &mut reply {
            Reply::Object(view) => &mut view.values,
            Reply::Row(values) => values,
            _ => return reply,
        };
        for (_, output) in values {
            if let Output::Value(Value::Blob(blob)) = output
                && !self.vault.has(blob.hash())
            {
                *output = Output::Away(blob.clone());
            }
        }
        reply
    }
}

/// What went wrong with the vault, for people and programs.
fn failure(error: &VaultError) -> Failure {
    if let VaultError::Io { path, .. } = error
        && error.is_full()
    {
        return Failure::failed("disk-full", error.to_string()).hint(crate::project::room(path));
    }
    let (code, hint) = match error {
        VaultError::Io { .. } => {
            ("files-failed", "check that the directory of [DBMan] filesRoot may be read and written")
        }
        VaultError::Missing(_) => ("content-missing", ""),
        VaultError::Damaged { .. } => ("content-damaged", "the damaged part was set aside; it is fetched anew"),
        VaultError::OtherBytes { .. } | VaultError::WrongRecipe { .. } => ("content-wrong", ""),
    };
    Failure::failed(code, error.to_string()).hint(hint)
}

/// The refusal to give what is not here and cannot be fetched.
pub(crate) fn not_here(blob: &Blob) -> Failure {
    let message = format!("the content of \"{}\" is not at this node, and its node does not run", blob.name());
    Failure::failed("content-missing", message).hint("start the node: it fetches the content from the head office")
}

/// Whether something is there, for what a missing file says.
fn is_there(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn failures_of_the_vault_have_codes() {
        let check = |error: VaultError, code: &str| assert_eq!(failure(&error).code, code, "{error}");
        let hash = Hash([1; 32]);
        let io = |kind: io::ErrorKind| VaultError::Io { step: "read", path: "x".into(), cause: kind.into() };
        check(io(io::ErrorKind::StorageFull), "disk-full");
        check(io(io::ErrorKind::PermissionDenied), "files-failed");
        check(VaultError::Missing(hash), "content-missing");
        check(VaultError::Damaged { content: hash, chunk: hash }, "content-damaged");
        check(VaultError::OtherBytes { expected: hash, found: hash }, "content-wrong");
    }
}
