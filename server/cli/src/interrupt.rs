//! Interrupts from the terminal and requests to end, for work that comes to an orderly end. Knows no command.

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
    let no_signals = |error: std::io::Error| Failure::failed("no-signals", format!("cannot wait for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_signals)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let (Ok(mut interrupt), Ok(mut end)) =
                    (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
                else {
                    return;
                };
                for _ in 0..2 {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = end.recv() => {}
                    }
                    if flag.swap(true, Ordering::Relaxed) {
                        return again();
                    }
                }
            });
        })
        .map_err(no_signals)?;
    Ok(interrupted)
}
