//! A node as a process: it reads its configuration, opens its database, listens, follows or feeds other nodes, and
//! goes down in order.
//!
//! What a node *decides* is elsewhere (`mytism-app`, `mytism-sync`); this crate gives those parts files, sockets, tasks
//! and the clock. In reading order:
//!
//! 1. [`project`]: the directory of a node and what stands where in it
//! 2. [`config`] reads `mytism.ini`
//! 3. [`setup`]: a new head office; [`account`] and [`join`]: a new branch
//! 4. [`node`]: the running node, from boot to shutdown
//! 5. [`operations`]: what clients may ask of it; `sessions`: how they do
//! 6. `peers`: the lines to other nodes as others may see them; `head`, `branch`: the two ends of such a line

pub mod account;
mod branch;
pub mod config;
mod head;
pub mod join;
mod line;
pub mod node;
pub mod operations;
mod peers;
pub mod project;
mod sessions;
pub mod setup;

pub use join::{JoinOptions, JoinProgress, JoinReport, join};
pub use node::{Ready, serve};
pub use operations::direct;
pub use setup::{InitOptions, InitReport, init};
