//! The part that waits: a small runtime of its own that carries the connections, so that whoever calls can block, on any
//! thread, also on one that belongs to another runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::{Builder, Handle, Runtime};

use crate::StoreError;

/// Threads that carry connections; they only pass bytes on.
const THREADS: usize = 1;

/// The runtime; it ends with this.
pub(super) struct Engine {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Engine {
    pub(super) fn new() -> Result<Self, StoreError> {
        let built = Builder::new_multi_thread().worker_threads(THREADS).thread_name("postgres").enable_all().build();
        let runtime = built.map_err(|error| StoreError::Engine(format!("no threads for the database: {error}")))?;
        let handle = runtime.handle().clone();
        Ok(Self { runtime: Some(runtime), handle })
    }

    /// Blocks until a future is done.
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        /// Wakes the thread that waits.
        struct Waiting(Thread);
        impl Wake for Waiting {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        // A runtime would refuse to be blocked on within another one; this does not ask where it is.
        let _timers = self.handle.enter();
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Waiting(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    /// Lets something happen by itself.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        drop(self.handle.spawn(future));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Waiting for it is forbidden where this thread belongs to another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
