//! Memory and work of a piece of code, on the thread that asks.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How much memory a reader may hold at once.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Whatever the input.
    pub base: u64,
    /// For each byte of input.
    pub per_byte: u64,
}

impl Bound {
    /// The bytes that may be held for an input of that length.
    #[must_use]
    pub const fn bytes(self, length: usize) -> u64 {
        self.base + self.per_byte * length as u64
    }
}

/// Runs something that may hold so much memory at once for an input of that length.
///
/// # Panics
/// When it holds more. What it returns counts.
pub fn within<T>(bound: Bound, length: usize, work: impl FnOnce() -> T) -> T {
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(work()));
    let may = bound.bytes(length);
    assert!(used.bytes_max <= may, "{} bytes of memory for {length} bytes of input, more than {may}", used.bytes_max);
    result.expect("it ran")
}

/// What something took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Time that this thread ran; waiting and other threads don't count.
    pub time: Duration,
    /// The most memory that was held at once, in bytes.
    pub memory: u64,
    /// All memory that was asked for, in bytes; a measure of work that is the same each time.
    pub asked: u64,
}

/// Runs something and measures it.
pub fn taken(work: impl FnOnce()) -> Taken {
    let mut time = Duration::ZERO;
    let used = allocation_counter::measure(|| {
        let start = thread_time();
        work();
        time = thread_time().saturating_sub(start);
    });
    Taken { time, memory: used.bytes_max, asked: used.bytes_total }
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
