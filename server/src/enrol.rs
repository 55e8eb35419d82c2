//! The first start of a branch that was set up from a prepared backup: it proves its account, and gets its life and its
//! ids. What the account was good for is used up then, and its file is taken away.
//!
//! What the branch holds already it does not fetch again; it knows no backup.

use std::fs;
use std::path::Path;

use mytism_app::App;
use mytism_core::failure::Failure;
use mytism_core::id::BlockId;
use mytism_proto::PeerMessage;
use mytism_transport::connection::Purpose;
use mytism_transport::identity::NodeKey;

use crate::account::{ACCOUNT_FILE, Account, EXPORTER_LABEL};
use crate::backup::NOT_ENROLLED;
use crate::join::{failure, load_or_make_key, reach, read_account_file};
use crate::line::{Line, LineEnd};
use crate::markers;
use crate::project::Project;

/// Whether a node waits for its first start.
pub(crate) fn is_due(app: &App) -> bool {
    let identity = app.identity();
    !identity.authoritative && identity.incarnation == NOT_ENROLLED
}

/// Refuses to work with a branch that has not enrolled: what it saved would have no name.
///
/// # Errors
/// `not-joined`.
pub(crate) fn check_done(app: &App) -> Result<(), Failure> {
    if !is_due(app) {
        return Ok(());
    }
    let message = format!("the branch {} has not joined its head office yet", app.identity().name);
    Err(Failure::refused("not-joined", message).hint("start it while the head office can be reached: `./mytism start`"))
}

/// Enrols a branch that has not. Where it is broken off, it is done anew at the next start, with the same key.
///
/// # Errors
/// When the account file is missing or refused, or the head office cannot be reached.
pub(crate) fn at_start(project: &Project, app: &App) -> Result<(), Failure> {
    let path = project.directory().join(ACCOUNT_FILE);
    if !is_due(app) {
        forget_used(&path, app);
        return Ok(());
    }
    let account = read_account_file(&path)?;
    let identity = app.identity();
    if account.name != identity.name {
        let message = format!("the account file is for {}, this node is {}", account.name, identity.name);
        return Err(Failure::refused("wrong-account", message).hint("export an account for this node"));
    }
    let key = load_or_make_key(project)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed("no-runtime", format!("cannot start: {error}")))?;
    let (incarnation, blocks) = runtime.block_on(ask(&account, &key, identity.node.0)).map_err(failure)?;
    app.renew(incarnation, blocks).map_err(|error| error.failure())?;
    project.write_incarnation(incarnation)?;
    markers::joined(project);
    tracing::info!("this node has joined {} as life {incarnation}", account.head_office);
    forget_used(&path, app);
    Ok(())
}

/// Takes away the account file of a branch that has joined: it is used up, and of no use to anybody. A start that was
/// broken off may have left it.
fn forget_used(path: &Path, app: &App) {
    let is_own = || read_account_file(path).is_ok_and(|account| account.name == app.identity().name);
    if app.identity().authoritative || !path.exists() || !is_own() {
        return;
    }
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!("{} is used up and cannot be removed: {error}", path.display());
    }
}

/// Proves the account; what follows it on the line is for who holds nothing yet.
async fn ask(account: &Account, key: &NodeKey, number: u32) -> Result<(u32, Vec<BlockId>), LineEnd> {
    let connection = reach(account, key).await?;
    let stream = connection.open(Purpose::Bulk).await.map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let mut line = Line::new(stream);
    let exporter = connection.exporter(EXPORTER_LABEL).map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let proof = account.secret.verifier().proof(&exporter, &key.public());
    line.send(&PeerMessage::Join { name: account.name.clone(), proof })?;
    let accepted = line.first().await?;
    connection.close(0, "");
    let PeerMessage::JoinAccept { node, incarnation, blocks, .. } = accepted else {
        return Err(mytism_sync::Violation::unexpected("something that is no part of a join").into());
    };
    if node.0 != number {
        let message = format!("the head office knows this branch as node {node}, and it was set up as node {number}");
        return Err(LineEnd::Own(Failure::refused("wrong-account", message).hint("prepare a backup anew")));
    }
    Ok((incarnation, blocks.into_iter().filter_map(BlockId::from_number).collect()))
}
