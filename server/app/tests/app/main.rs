//! The use cases of a node on a real store: saves and refusals at one node, then a head office and a branch that hand
//! each other their transactions without a network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod chance;
mod clock;
mod followers;
mod hostile;
mod imports;
mod lines;
mod live;
mod lives;
mod materialised;
mod numbers;
mod one_node;
mod past;
mod quarantine;
mod regressions;
mod reigns;
mod rollback;
mod rules;
mod schema_changes;
mod snapshots;
mod two_nodes;
mod world;
