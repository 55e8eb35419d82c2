//! What a node does for itself while nobody asks: trimming its journal, and noting how far it is. In steps with pauses between them, so that no
//! save waits for more than one of them.

use std::sync::Arc;
use std::time::Duration;

use mytism_app::AppError;
use mytism_app::follower::{Keep, Trimmed};

use crate::bookmark::Bookmark;
use crate::markers;
use crate::node::Shared;
use crate::project::Project;

/// Pause between two looks at what could be done.
const PAUSE: Duration = Duration::from_secs(60);
/// Pause between two notes of how far the node is.
const MARK_PAUSE: Duration = Duration::from_secs(5);
/// Pause between two steps of work.
const BREATH: Duration = Duration::from_millis(50);

/// Works until the node stops.
pub(crate) async fn run(shared: Arc<Shared>, project: Project) {
    let integrity = {
        let (app, project) = (Arc::clone(&shared.app), project.clone());
        tokio::task::spawn_blocking(move || markers::check_integrity(&project, &app))
    };
    let marks = mark(Arc::clone(&shared), project);
    let ((), (), ()) = tokio::join!(marks, remember(Arc::clone(&shared)), keep_short(shared));
    // A panic has been reported where it happened, and a node that goes down does not wait for the end of a check.
    drop(integrity);
}

/// Notes how far the node is, where it has come further.
async fn mark(shared: Arc<Shared>, project: Project) {
    let mut stopping = shared.stopping();
    let mut noted = None;
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(MARK_PAUSE) => {}
        }
        shared.batches.age();
        let (app, project, last) = (Arc::clone(&shared.app), project.clone(), noted.take());
        let marked = tokio::task::spawn_blocking(move || {
            let present = Bookmark::of(&app).ok()?;
            if last.as_ref() != Some(&present)
                && let Err(failure) = present.write(&project)
            {
                tracing::warn!("how far this node is cannot be noted: {failure}");
                return last;
            }
            Some(present)
        });
        noted = marked.await.ok().flatten();
    }
}

/// Keeps in mind when other nodes were last connected, also at the end.
async fn remember(shared: Arc<Shared>) {
    let mut stopping = shared.stopping();
    let mut goes_on = true;
    while goes_on {
        goes_on = tokio::select! {
            () = stopping.wait() => false,
            () = tokio::time::sleep(PAUSE) => true,
        };
        let shared = Arc::clone(&shared);
        let kept = tokio::task::spawn_blocking(move || shared.peers.remember(shared.now()));
        if let Ok(Err(failure)) = kept.await {
            tracing::warn!("which nodes were connected cannot be noted: {failure}");
        }
    }
}

async fn keep_short(shared: Arc<Shared>) {
    let mut stopping = shared.stopping();
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = if trim(&shared).await { BREATH } else { PAUSE };
        let snapshots = Arc::clone(&shared.snapshots);
        // A panic has been reported where it happened.
        let _aged = tokio::task::spawn_blocking(move || snapshots.age()).await;
    }
}

/// Takes a step; whether another one may find more.
async fn trim(shared: &Arc<Shared>) -> bool {
    let app = Arc::clone(&shared.app);
    let live = shared.live();
    let keep = Keep { time: live.journal_time, rows: live.journal_rows };
    let step = tokio::task::spawn_blocking(move || app.trim_journal(keep)).await;
    match step {
        Ok(Ok(trimmed)) => told(&trimmed),
        Ok(Err(error)) => failed(&error),
        // A panic has been reported where it happened.
        Err(_) => false,
    }
}

fn told(trimmed: &Trimmed) -> bool {
    for name in &trimmed.overtaken {
        tracing::warn!("the follower \"{name}\" of the journal was too far behind: what it had not read is gone");
    }
    trimmed.more
}

fn failed(error: &AppError) -> bool {
    tracing::warn!("the journal cannot be trimmed: {error}");
    false
}
