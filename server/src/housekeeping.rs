//! What a node does for itself while nobody asks: trimming its journal. In steps with pauses between them, so that no
//! save waits for more than one of them.

use std::sync::Arc;
use std::time::Duration;

use mytism_app::AppError;
use mytism_app::follower::{Keep, Trimmed};

use crate::node::Shared;

/// Pause between two looks at what could be done.
const PAUSE: Duration = Duration::from_secs(60);
/// Pause between two steps of work.
const BREATH: Duration = Duration::from_millis(50);

/// Works until the node stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut stopping = shared.stopping();
    let mut pause = PAUSE;
    loop {
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = if trim(&shared).await { BREATH } else { PAUSE };
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
