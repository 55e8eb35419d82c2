//! Interrupts from the terminal and requests to end, for work that comes to an orderly end. Knows no command.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mytism_core::failure::Failure;
use tokio::signal::unix::{SignalKind, signal};

/// A flag that the first interrupt sets; the second one calls `again`.
///
/// # Errors
/// When signals cannot be waited for.
pub(crate) fn flag(again: impl FnOnce() + Send + 'static) -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let mut again = Some(again);
    each(move || {
        if flag.swap(true, Ordering::Relaxed)
            && let Some(again) = again.take()
        {
            again();
        }
    })?;
    Ok(interrupted)
}

/// Takes a file away that is not finished when the first interrupt comes, and ends the process with it.
///
/// # Errors
/// When signals cannot be waited for.
pub(crate) fn remove_unfinished(path: PathBuf) -> Result<(), Failure> {
    each(move || {
        // Where it has got its name by now, nothing is here any longer.
        let _gone = std::fs::remove_file(&path);
        std::process::exit(130)
    })
}

/// Calls `work` with every interrupt, on a thread of its own.
fn each(mut work: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    let no_signals = |error: std::io::Error| Failure::failed("no-signals", format!("cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_signals)?;
    // Waited for from now on, not only when the thread has begun.
    let signals = {
        let _within = runtime.enter();
        signal(SignalKind::interrupt()).and_then(|interrupt| Ok((interrupt, signal(SignalKind::terminate())?)))
    };
    let (mut interrupt, mut end) = signals.map_err(no_signals)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = end.recv() => {}
                    }
                    work();
                }
            });
        })
        .map_err(no_signals)?;
    Ok(())
}
