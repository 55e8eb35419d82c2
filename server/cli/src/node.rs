//! The one place where the command line meets a node: through its socket where it runs, else its data directly.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mytism_client::Client;
use mytism_core::failure::Failure;
use mytism_core::operation::Operations;
use mytism_server::config::{Config, ConfigProblem, Explained, Process, explain, read_text};
use mytism_server::presence::Presence;
use mytism_server::project::Project;
use mytism_server::{InitOptions, InitReport, JoinOptions, JoinProgress, JoinReport};

use crate::args;
use crate::report::not_in_this_version;

pub(crate) use mytism_app::soundness::Difference;
pub(crate) use mytism_server::backup::manifest::Manifest;
pub(crate) use mytism_server::backup::node_setup::{Prepared, is_for_setup, prepare, set_up};
pub(crate) use mytism_server::backup::restore::{Plan, Present, Restore, Restored, forget};
pub(crate) use mytism_server::backup::verify::{Proof, verify};
pub(crate) use mytism_server::backup::{Listed, Phase, Step, check_place, list as backups, manifest_of};
pub(crate) use mytism_server::config::LogLevel;
pub(crate) use mytism_server::presence::Unit;
pub(crate) use mytism_server::succession::is_head_office;
pub(crate) use mytism_server::{Followed, Hooks, LastCheck, Promoted, Ready, follow, promote, serve};

/// How long a command waits for a node that starts or stops, or for another command, to let go of the data.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a node may take to go down.
const DOWN_PATIENCE: Duration = Duration::from_secs(15);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Whoever can be asked: the running node, else its data.
///
/// # Errors
/// When there is no project, or its data are held by a process that does not answer.
pub(crate) fn open(directory: &Path) -> Result<Box<dyn Operations>, Failure> {
    let project = project(directory)?;
    let begun = Instant::now();
    loop {
        match Client::connect(&project.socket()) {
            Ok(client) => return Ok(Box::new(client)),
            // A socket that cannot be used is told of only where the data cannot be used either.
            Err(unreachable) => match mytism_server::direct(directory) {
                Err(failure) if failure.code == "project-in-use" && begun.elapsed() < PATIENCE => sleep(PAUSE),
                Err(failure) if failure.code == "project-in-use" => {
                    let hint = format!("{}; it starts, hangs, or is another command", failure.message);
                    return Err(unreachable.hint(hint));
                }
                opened => return opened,
            },
        }
    }
}

/// The running node.
///
/// # Errors
/// When there is no project, or no node runs.
pub(crate) fn running(directory: &Path) -> Result<Client, Failure> {
    let project = project(directory)?;
    Client::connect(&project.socket()).map_err(|failure| {
        if is_free(&project) {
            let message = format!("the node of {} is not running", directory.display());
            return Failure::unreachable("node-not-running", message);
        }
        failure.hint("a process holds the data without answering: a node that starts or hangs, or another command")
    })
}

/// The project in a directory.
fn project(directory: &Path) -> Result<Project, Failure> {
    let project = Project::at(directory);
    project.check_exists()?;
    Ok(project)
}

/// Whether no process holds the data.
fn is_free(project: &Project) -> bool {
    let Ok(lock) = File::open(project.lock_file()) else { return true };
    !matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}

/// Waits until a node that was asked to stop is down.
///
/// # Errors
/// When it takes longer than 15 s.
pub(crate) fn wait_until_down(directory: &Path) -> Result<(), Failure> {
    down_within(directory, DOWN_PATIENCE)
}

fn down_within(directory: &Path, patience: Duration) -> Result<(), Failure> {
    let project = Project::at(directory);
    let begun = Instant::now();
    while !is_free(&project) {
        if begun.elapsed() >= patience {
            let message =
                format!("the node of {} has not gone down within {} s", directory.display(), patience.as_secs());
            let hint = format!("see {}", project.log_file().display());
            return Err(Failure::failed("stop-slow", message).hint(hint));
        }
        sleep(PAUSE);
    }
    Ok(())
}

/// Makes a head office.
pub(crate) fn init(directory: &Path, arguments: &args::Init) -> Result<InitReport, Failure> {
    let is_server = arguments.store == args::Store::Postgres;
    match (&arguments.url, is_server) {
        (None, true) => {
            let failure = Failure::usage("wrong-use", "--store postgres needs the address of a database");
            return Err(failure.hint("give one with --url postgresql://localhost:5432/demo"));
        }
        (Some(_), false) => return Err(Failure::usage("wrong-use", "--url has no use without --store postgres")),
        _ => {}
    }
    mytism_server::init(&InitOptions {
        url: arguments.url.clone(),
        directory: directory.to_owned(),
        schema: arguments.schema.clone(),
        name: arguments.name.clone(),
        ports: ports(&arguments.ports),
    })
}

/// Makes a branch.
pub(crate) fn join(
    directory: &Path,
    arguments: &args::Join,
    progress: &mut dyn FnMut(JoinProgress),
) -> Result<JoinReport, Failure> {
    check_store(arguments.store, arguments.url.as_deref())?;
    let options = JoinOptions {
        directory: directory.to_owned(),
        account: arguments.sync_account.clone(),
        name: arguments.name.clone(),
        ports: ports(&arguments.ports),
        history_at_once: mytism_server::HISTORY_AT_ONCE,
    };
    mytism_server::join(&options, progress)
}

fn ports(given: &args::Ports) -> mytism_server::setup::Ports {
    mytism_server::setup::Ports { plain: given.port, tls: given.tls_port, http: given.http_port }
}

fn check_store(store: args::Store, url: Option<&str>) -> Result<(), Failure> {
    if store == args::Store::Postgres {
        return Err(not_in_this_version("join with --store postgres")
            .hint("leave --store out, and move the data with `./mytism migrate-store postgres` afterwards"));
    }
    match url {
        Some(_) => Err(Failure::usage("wrong-use", "--url has no use without --store postgres")),
        None => Ok(()),
    }
}

/// Whether there is a project, and where its log file is.
///
/// # Errors
/// When there is none.
pub(crate) fn log_file(directory: &Path) -> Result<PathBuf, Failure> {
    Ok(project(directory)?.log_file())
}

/// The least important kind of event that the configuration wants in the log; `info` where it cannot be read, which is
/// reported when the node starts.
pub(crate) fn log_level(directory: &Path) -> &'static str {
    Project::at(directory).config().map_or("info", |config| config.live.log_level.as_str())
}

/// The name of the configuration file and all that is wrong with it.
pub(crate) fn check_config(directory: &Path) -> (PathBuf, Vec<ConfigProblem>) {
    let file = Project::at(directory).config_file();
    let problems = match Config::load(&file, &Process::of(directory)) {
        Ok(config) => config.warnings,
        Err(problems) => problems,
    };
    (file, problems)
}

/// Every setting in force.
///
/// # Errors
/// When there is no project, or its configuration cannot be read at all.
pub(crate) fn explain_config(directory: &Path) -> Result<Vec<Explained>, Failure> {
    let file = project(directory)?.config_file();
    let unreadable = |problems: Vec<ConfigProblem>| {
        let first = problems.first().map(Failure::from);
        first.unwrap_or_else(|| Failure::failed("config-unreadable", format!("{} cannot be read", file.display())))
    };
    let text = read_text(&file).map_err(unreadable)?;
    Ok(explain(&text, &file.display().to_string(), &Process::of(directory)).0)
}

/// What the running node said of itself; `None` where none runs, or it does not serve yet.
pub(crate) fn presence(directory: &Path) -> Option<Presence> {
    let project = Project::at(directory);
    if is_free(&project) { None } else { Presence::read(&project) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_does_not_go_down_is_told_of() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path();
        down_within(directory, Duration::ZERO).unwrap();
        let path = Project::at(directory).lock_file();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let failure = down_within(directory, PAUSE * 3).unwrap_err();
        assert_eq!(failure.code, "stop-slow");
        assert!(failure.hint.contains("log"), "{failure:?}");
        drop(held);
        down_within(directory, Duration::ZERO).unwrap();
    }
}
