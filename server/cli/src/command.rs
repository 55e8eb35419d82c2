//! From arguments to work: which command does what, and with which node.
//!
//! 1. [`life`]: making a project, starting and stopping its node; `background` starts it apart from the terminal,
//!    `systemd` leaves it to the service manager
//! 2. [`objects`]: query, show, history, save; [`undo`]
//! 3. [`journal`]: what became visible, and who follows it
//! 4. [`import`] and [`export`]: rows in files, written and read as `files` says; `destination` is a file that is
//!    written whole or not at all
//! 5. [`cluster`]: status, nodes, conflicts; [`sync`]: the lines to other nodes; [`quarantine`]: refused transactions
//! 6. [`recovery`]: a head office whose database was put back; [`succession`]: another one;
//!    [`store`]: another engine
//! 7. [`numbers`]: number ranges; [`schema`]: another schema while the node runs
//! 8. [`backup`]: making backups and proving them; [`restore`]: putting one back; [`node_setup`]:
//!    a branch from one
//! 9. [`configuration`]: what is wrong with it, and what is in force

pub(crate) mod background;
mod backup;
pub(crate) mod blobs;
mod cluster;
mod configuration;
mod destination;
mod export;
mod files;
mod import;
mod journal;
mod life;
mod live;
mod node_setup;
mod numbers;
mod objects;
mod progress;
mod quarantine;
mod recovery;
mod restore;
mod schema;
mod store;
mod succession;
mod sync;
mod systemd;
mod undo;

use std::io::{self, Write};

use mytism_core::failure::Failure;
use mytism_core::operation::{Operations, Reply, Request};
use serde_json::json;

use crate::args::{Arguments, Command};
use crate::output::Output;
use crate::report::{Trouble, not_in_this_version};
use crate::{bench, demo, node};

/// How a command ended that did not fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Status 0.
    Done,
    /// It was a check, and it found something. Status 1.
    Found,
}

/// Carries out a command.
///
/// # Errors
/// What keeps it from being carried out.
pub(crate) fn run(arguments: &Arguments, output: &mut Output<'_>) -> Result<Verdict, Trouble> {
    if arguments.user.is_some() {
        let failure = not_in_this_version("log-in").hint("leave out --user: commands on this machine act as Admin");
        return Err(failure.into());
    }
    let directory = arguments.directory();
    let open = || node::open(directory);
    let Some(command) = &arguments.command else { return Ok(Verdict::Done) };
    match command {
        Command::Init(arguments) => life::init(directory, arguments, output)?,
        Command::Join(arguments) => life::join(directory, arguments, output)?,
        Command::Start(arguments) => life::start(directory, arguments, output)?,
        Command::Stop(arguments) => life::stop(directory, arguments.manner, output)?,
        Command::Restart(arguments) => life::restart(directory, arguments.manner, output)?,
        Command::Status(arguments) => cluster::status(directory, arguments, output)?,
        Command::Query(arguments) if arguments.follow => live::query(directory, arguments, output)?,
        Command::Query(arguments) => objects::query(&*open()?, arguments, output)?,
        Command::Show(arguments) => objects::show(&*open()?, arguments, output)?,
        Command::History(arguments) => objects::history(&*open()?, arguments, output)?,
        Command::Save => objects::save(open, output)?,
        Command::Blob(arguments) => blobs::run(&*open()?, arguments, output)?,
        Command::Undo(arguments) => undo::run(&*open()?, arguments, output)?,
        Command::Changes(arguments) => journal::changes(directory, arguments, output)?,
        Command::Followers(arguments) => journal::followers(&*open()?, arguments, output)?,
        Command::Import(arguments) => import::run(&*open()?, arguments, output)?,
        Command::Export(arguments) => export::run(&*open()?, arguments, output)?,
        Command::Nodes(arguments) => cluster::nodes(&*open()?, arguments, output)?,
        Command::Sync(arguments) => return sync::run(directory, arguments, output),
        Command::Conflicts(arguments) => cluster::conflicts(&*open()?, arguments, output)?,
        Command::Quarantine(arguments) => quarantine::run(&*open()?, arguments, output)?,
        Command::Recover(arguments) => recovery::recover(&*open()?, arguments, output)?,
        Command::Promote(arguments) => succession::promote(directory, arguments, output)?,
        Command::MigrateStore(arguments) => store::migrate(directory, arguments, output)?,
        Command::Follow(arguments) => succession::follow(directory, arguments, output)?,
        Command::Schema(arguments) => return schema::run(&*open()?, arguments, output),
        Command::Numbers(arguments) => numbers::run(&*open()?, arguments, output)?,
        Command::Backup(arguments) => return backup::run(directory, arguments, output),
        Command::PrepareBackupForNodeSetup(arguments) => node_setup::prepare(directory, arguments, output)?,
        Command::Restore(arguments) => restore::run(directory, arguments, output)?,
        Command::CheckConfig => return Ok(configuration::check(directory, output)),
        Command::ExplainConfig(arguments) => configuration::explain(directory, arguments, output)?,
        Command::Demo(arguments) => demo::run(arguments, output)?,
        Command::Bench(arguments) => bench::run(arguments, output)?,
        Command::Version => version(output),
    }
    Ok(Verdict::Done)
}

fn version(output: &mut Output<'_>) {
    let version = env!("CARGO_PKG_VERSION");
    if output.json {
        let release = if cfg!(debug_assertions) { "debug" } else { "release" };
        let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
        output.document(&json!({"version": version, "build": release, "target": target}));
    } else {
        output.line(format!("mytism {version}"));
    }
}

/// The one answer to a request.
///
/// # Errors
/// The node's, or that its answer is of another kind.
fn one<T>(node: &dyn Operations, request: Request, pick: impl Fn(Reply) -> Option<T>) -> Result<T, Failure> {
    let mut found = None;
    node.call(request, &mut |reply| {
        found = pick(reply);
        Ok(())
    })?;
    found.ok_or_else(unclear)
}

fn unclear() -> Failure {
    Failure::unreachable("answer-unclear", "the node answered something else than was asked for")
        .hint("program and node must be of the same version: start the node anew")
}

/// Says something to people who wait, on standard error.
pub(crate) fn say(text: &str) {
    // Nobody listening is no failure.
    let _closed = writeln!(io::stderr(), "{text}");
}

/// Nodes of the tests: they answer what a closure says and remember what they were asked.
#[cfg(test)]
mod fake {
    use std::cell::RefCell;

    use mytism_core::failure::Failure;
    use mytism_core::operation::{Operations, Reply, Request, Sink};

    pub(crate) struct Fake<F> {
        pub(crate) asked: RefCell<Vec<Request>>,
        answer: F,
    }

    impl<F: Fn(&Request) -> Result<Vec<Reply>, Failure>> Fake<F> {
        pub(crate) fn new(answer: F) -> Self {
            Self { asked: RefCell::default(), answer }
        }
    }

    impl<F: Fn(&Request) -> Result<Vec<Reply>, Failure>> Operations for Fake<F> {
        fn call(&self, request: Request, sink: &mut Sink<'_>) -> Result<(), Failure> {
            let replies = (self.answer)(&request);
            self.asked.borrow_mut().push(request);
            for reply in replies? {
                if sink(reply).is_err() {
                    break;
                }
            }
            Ok(())
        }
    }
}
