//! A cluster in one thread: head office and branches as they are shipped, on clocks, chance, disks and lines that a
//! simulator decides about.
//!
//! One seed is one run: who saves what when, which messages are lost, late, twice or in another order, which process
//! dies in the middle of which commit, which backup comes back. The same seed does the same again, to the last byte of
//! every log. Nothing of the product is replaced but what `Surroundings` and the lines give it anyway; see `TESTING.md`
//! for every source of chance.
//!
//! 1. [`simulation`]: the queue of events, and the course of one run; [`plan`]: what is to happen when
//! 2. [`node`], [`machine`], [`founding`]: a process, what lies around it, and the cluster with which each run begins
//! 3. [`lines`]: messages between nodes
//! 4. [`saves`]: what users do
//! 5. [`oracle`]: what must hold, said a second time without a line of the product
//! 6. [`runs`] and [`counters`]: many seeds, and what happened in them
//!
//! It must not know what a node does inside: it asks and tells a node what its users, its lines and its disk would.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken law is a panic; it is caught for each seed"
)]

pub mod counters;
pub mod founding;
pub mod lines;
pub mod machine;
pub mod node;
pub mod oracle;
pub mod plan;
pub mod runs;
pub mod saves;
pub mod simulation;
pub mod trace;
