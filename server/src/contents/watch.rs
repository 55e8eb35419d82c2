//! Follows the log, and wants what it names and the vault lacks. Where it is not known up to where that was done, and
//! once at each branch, all objects are looked through.

use std::sync::Arc;

use mytism_app::AppError;
use mytism_core::blob::Blob;
use mytism_core::failure::Failure;
use mytism_core::id::Hash;

use super::wanted::Want;
use super::{Contents, is_there};
use crate::node::Shared;
use crate::project::{Project, write_durably};

/// After so many entries the place is noted though they named nothing.
const NOTED_EVERY: u64 = 10_000;

/// Works until the node stops.
pub(crate) async fn follow(shared: Arc<Shared>, project: Project) {
    let mut stopping = shared.stopping();
    let mut commits = shared.commits.subscribe();
    loop {
        let (work, at) = (Arc::clone(&shared), project.clone());
        let step = tokio::task::spawn_blocking(move || catch_up(&work, &at)).await;
        if let Ok(Err(failure)) = step {
            tracing::warn!("which files have to come cannot be noted: {failure}");
        }
        tokio::select! {
            () = stopping.wait() => return,
            changed = commits.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

fn catch_up(shared: &Shared, project: &Project) -> Result<(), Failure> {
    let (app, contents) = (&shared.app, &shared.contents);
    let failed = |error: AppError| error.failure();
    let is_new_branch = !app.identity().authoritative && !is_there(&project.stream_copy_file());
    let mut cursor = contents.wanted.cursor();
    if let Some((number, hash)) = cursor
        && number > 0
        && app.entry_hash(number).map_err(failed)? != Some(hash)
    {
        // The log goes another way since.
        cursor = None;
    }
    let (mut number, mut noted) = match cursor {
        Some((number, _)) if !is_new_branch => (number, number),
        _ => {
            let end = compare(shared, is_new_branch)?;
            if is_new_branch && end > 0 {
                write_durably(&project.stream_copy_file(), b"The contents of files were compared with the objects.\n")?;
            }
            (end, end)
        }
    };
    while let Some(named) = app.contents_after(number).map_err(failed)? {
        // What is here counts as young from now on, since it may have been on its way out.
        let is_here = |blob: &Blob| contents.vault.claim(blob.hash()).ok().flatten().is_some();
        let missing = named.blobs.iter().filter(|blob| !is_here(blob));
        let wants: Vec<Want> = missing.map(want).collect();
        number = named.end.0;
        if wants.is_empty() && number - noted < NOTED_EVERY {
            contents.wanted.moved(named.end);
        } else {
            contents.wanted.add(&wants, Some(named.end)).map_err(|error| unnoted(&error))?;
            noted = number;
        }
        if shared.is_stopping() {
            break;
        }
    }
    Ok(())
}

/// Wants what objects name and the vault lacks, with damaged contents if they are to be read. Gives the number of the
/// entry at which the log ended before.
fn compare(shared: &Shared, reading: bool) -> Result<u64, Failure> {
    let (app, contents) = (&shared.app, &shared.contents);
    let failed = |error: AppError| error.failure();
    let head = app.view().and_then(|view| Ok(view.head()?)).map_err(failed)?;
    let end = head.map_or((0, Hash::default()), |head| (head.position.number, head.hash));
    let mut after = 0;
    while let Some((blobs, last)) = app.contents_of_objects(after).map_err(failed)? {
        after = last;
        if reading {
            for blob in blobs.iter().filter(|blob| contents.vault.has(blob.hash())) {
                if !contents.vault.verify(blob.hash()).map_err(|error| super::failure(&error))? {
                    tracing::warn!("the content of \"{}\" was damaged and is fetched anew", blob.name());
                }
            }
        }
        contents.wanted.add(&lacking(contents, &blobs), None).map_err(|error| unnoted(&error))?;
        if shared.is_stopping() {
            return Err(Failure::failed("node-stops", "the node goes down"));
        }
    }
    contents.wanted.add(&[], Some(end)).map_err(|error| unnoted(&error))?;
    Ok(end.0)
}

pub(super) fn lacking(contents: &Contents, blobs: &[Blob]) -> Vec<Want> {
    let missing = blobs.iter().filter(|blob| !contents.vault.has(blob.hash()));
    missing.map(want).collect()
}

fn want(blob: &Blob) -> Want {
    Want { content: blob.hash(), bytes: blob.bytes() }
}

pub(super) fn unnoted(error: &std::io::Error) -> Failure {
    Failure::failed("file-error", format!("the list of contents that have to come cannot be written: {error}"))
}
