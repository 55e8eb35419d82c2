//! A node as a process: it reads its configuration, opens its database, listens, follows or feeds other nodes, and
//! goes down in order.
//!
//! What a node *decides* is elsewhere (`mytism-app`, `mytism-sync`); this crate gives those parts files, sockets, tasks
//! and the clock. In reading order:
//!
//! 1. [`project`]: the directory of a node and what stands where in it
//! 2. [`config`] reads `mytism.ini`
//! 3. [`setup`]: a new head office; [`account`] and [`join`]: a new branch
//! 4. [`node`]: the running node, from boot to shutdown; `ledger` and `bookmark`: the notes beside its database; `identity`: whether
//!    configuration and database belong together;
//!    [`presence`], `supervisor`, `settings`: what others are told of it, and what it takes up while it runs
//! 5. [`operations`]: what clients may ask of it; `sessions`: how they do
//! 6. [`succession`]: a branch takes the place of the head office
//! 7. [`backup`]: backups of it, and putting them back; `enrol`: a branch that was set up from one
//! 8. `housekeeping`: what it does while nobody asks; `snapshots`: what it keeps for branches that join; `history`: what
//!    a branch gets after it joined
//! 9. `peers`: the lines to other nodes as others may see them; `traffic`: what moves over one; `head`, `branch`: the two ends of such a line; `batches`: what many branches are sent; `check`: what both hold, compared;
//!    [`replica`]: the work that these ask for

pub mod account;
pub mod backup;
mod batches;
mod bookmark;
mod branch;
mod check;
pub mod config;
mod contents;
mod database;
mod enrol;
mod head;
mod history;
mod holder;
mod housekeeping;
mod identity;
pub mod join;
mod ledger;
mod line;
mod lock;
mod markers;
mod moving;
pub mod node;
pub mod operations;
mod peers;
pub mod presence;
pub mod project;
pub mod quiet;
pub mod replica;
mod sessions;
mod settings;
pub mod setup;
mod snapshots;
pub mod succession;
mod supervisor;
mod traffic;
mod troubles;
mod unfinished;

pub use check::daily::LastCheck;
pub use join::{HISTORY_AT_ONCE, JoinOptions, JoinProgress, JoinReport, join};
pub use moving::{Moved, MovingProgress, move_data};
pub use node::{Hooks, Ready, serve};
pub use operations::direct;
pub use settings::OnLogLevel;
pub use setup::{InitOptions, InitReport, init};
pub use succession::{Followed, Promoted, follow, promote};
