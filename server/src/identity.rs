//! Who the node is: what the configuration says against what the database says, and the first start of a project that
//! has a configuration and nothing else.
//!
//! The database decides; the configuration is checked against it, so that a database or a file that went astray is
//! noticed before anything is changed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mytism_app::{App, Context, Identity};
use mytism_core::failure::Failure;
use mytism_core::operation::{Reply, Request};
use tokio::net::lookup_host;

use crate::config::{Config, ConfigProblem, read_text, write_value};
use crate::project::{Project, write_durably};
use crate::setup;
use crate::unfinished;

/// How long the machine's own name may take to resolve.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(5);

/// Makes the head office that a configuration describes, where the project holds nothing but that. Does nothing where
/// there is more.
///
/// # Errors
/// When the configuration says that a node lived here, or the head office cannot be made; nothing of it is left then.
pub(crate) fn first_start(project: &Project, config: &Config) -> Result<(), Failure> {
    let has_data = [project.data(), project.key_file()].iter().any(|path| path.exists());
    // A number in the configuration says that the making came to its end.
    let is_whole = config.node_number.is_some() || !unfinished::is_noted(project);
    if project.incarnation_file().exists() || (has_data && is_whole) {
        return Ok(());
    }
    let missing = |message: String, hint: &str| Err(Failure::failed("no-database", message).hint(hint));
    let file = project.config_file();
    let directory = project.data();
    if !config.authoritative {
        let message =
            format!("{} is the configuration of a branch, and {} is missing", file.display(), directory.display());
        return missing(message, "`./mytism join` makes a branch");
    }
    if let Some(number) = config.node_number {
        let message = format!(
            "{} says that node {number} lives here, and its database {} is missing",
            file.display(),
            directory.display()
        );
        return missing(message, "put the database back; for a new head office take nodeNumber out");
    }
    let name = setup::node_name(config.node_name.as_deref())?;
    tracing::info!("this is the first start: a new head office, {name}, is made");
    setup::found(project, config.schema_path(project.directory()).as_deref(), &name)
}

/// Compares the configuration with the database.
///
/// # Errors
/// All differences at once.
pub(crate) fn check(project: &Project, config: &Config, identity: &Identity) -> Result<(), Failure> {
    let role = |authoritative: bool| if authoritative { "1 (the head office)" } else { "0 (a branch)" };
    let name = config.node_name.as_ref().filter(|name| **name != identity.name);
    let number = config.node_number.filter(|number| *number != identity.node);
    let differences = [
        name.map(|name| ("nodeName", name.clone(), identity.name.clone())),
        number.map(|number| ("nodeNumber", number.to_string(), identity.node.to_string())),
        (config.authoritative != identity.authoritative)
            .then(|| ("authoritative", role(config.authoritative).to_owned(), role(identity.authoritative).to_owned())),
    ];
    let lines: Vec<String> = differences
        .into_iter()
        .flatten()
        .map(|(key, file, database)| {
            format!("[DBMan] {key} is {file} in {}, {database} in the database", project.config_file().display())
        })
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let hint = "file and database belong to different nodes: put the right one in its place; names and numbers are not changed in the file, and roles by `./mytism promote` and `./mytism follow`";
    Err(Failure::failed("config-other-node", lines.join("\n")).hint(hint))
}

/// Writes the node's number into a configuration that lacks it, once. A file that cannot be written is no reason not to
/// serve: the database knows the number.
pub(crate) fn note_number(project: &Project, config: &Config, identity: &Identity) {
    if config.node_number.is_some() {
        return;
    }
    let file = project.config_file();
    let written =
        read_text(&file).map_err(|problems| problems.iter().map(ToString::to_string).collect()).and_then(|text| {
            let number = identity.node.to_string();
            let changed = write_value(&text, "DBMan", "nodeNumber", &number).map_err(|error| error.to_string())?;
            write_durably(&file, changed.as_bytes()).map_err(|failure| failure.message)
        });
    match written {
        Ok(()) => tracing::info!("nodeNumber = {} was written into {}", identity.node, file.display()),
        Err(why) => {
            let why: String = why;
            tracing::warn!("nodeNumber = {} is missing in {}: {why}", identity.node, file.display());
        }
    }
}

/// Checks that other nodes can reach this one by the name that they will be told, where there are any.
///
/// # Errors
/// `config-host-name`, which names the file and the line to add.
pub(crate) async fn check_host_name(project: &Project, config: &Config, app: &Arc<App>) -> Result<(), Failure> {
    let told = config.node_name.is_some() || !config.live.advertise.is_empty();
    if told || !has_peers(config, app)? {
        return Ok(());
    }
    let host = setup::host_name();
    let looked_up = tokio::time::timeout(LOOKUP_DEADLINE, lookup_host((host.as_str(), 0))).await;
    let resolved: Vec<IpAddr> = match looked_up {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    let problem = config.host_name_problem(&project.config_file().display().to_string(), &host, &resolved);
    problem.as_ref().map_or(Ok(()), |problem: &ConfigProblem| Err(problem.into()))
}

/// Whether the node follows another one or others follow it.
fn has_peers(config: &Config, app: &Arc<App>) -> Result<bool, Failure> {
    let mut nodes = 0_u32;
    app.call(&Context::local(), Request::Nodes, &mut |reply| {
        nodes += u32::from(matches!(reply, Reply::Node(_)));
        Ok(())
    })?;
    Ok(nodes > 1 || !config.head_office.is_empty())
}

#[cfg(test)]
mod tests {
    use mytism_core::id::NodeId;

    use super::*;
    use crate::config::{Process, check as read};

    fn config(text: &str) -> Config {
        read(text, "m.ini", &Process::of(std::path::Path::new("."))).0
    }

    #[test]
    fn differences_are_told_at_once() {
        let project = Project::at(std::path::Path::new("p"));
        let identity = Identity { name: "hamburg".to_owned(), node: NodeId(1), incarnation: 1, authoritative: true };
        let told =
            |text: &str| check(&project, &config(text), &identity).map_err(|failure| (failure.code, failure.message));
        for good in ["", "[DBMan]\nnodeName = hamburg\nnodeNumber = 1\nauthoritative = 1\n", "[DBMan]\nnodeID = 1\n"] {
            assert_eq!(told(good), Ok(()), "{good:?}");
        }
        let message = "[DBMan] nodeName is bonn in p/mytism.ini, hamburg in the database\n\
            [DBMan] nodeNumber is 7 in p/mytism.ini, 1 in the database\n\
            [DBMan] authoritative is 0 (a branch) in p/mytism.ini, 1 (the head office) in the database";
        assert_eq!(
            told("[DBMan]\nnodeName = bonn\nnodeNumber = 7\nauthoritative = 0\n"),
            Err(("config-other-node".to_owned(), message.to_owned()))
        );
    }

    #[test]
    fn a_first_start_makes_a_head_office_where_nothing_lived() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(&directory.path().join("p"));
        std::fs::create_dir(project.directory()).unwrap();
        let code = |text: &str| first_start(&project, &config(text)).map_err(|failure| failure.code);
        assert_eq!(code("[DBMan]\nauthoritative = 0\n"), Err("no-database".to_owned()));
        assert_eq!(code("[DBMan]\nnodeNumber = 12\n"), Err("no-database".to_owned()));
        assert_eq!(code("[DBMan]\nschemaFile = none.xml\n"), Err("schema-error".to_owned()));
        assert_eq!(std::fs::read_dir(project.directory()).unwrap().count(), 0, "nothing is left of a failure");
        std::fs::write(project.config_file(), "; mine\n[DBMan]\nnodeName = bonn").unwrap();
        let read = || project.config().unwrap();
        first_start(&project, &read()).unwrap();
        let app = crate::node::open(&project).unwrap();
        assert_eq!((app.identity().name.as_str(), app.identity().node), ("bonn", NodeId(1)));
        note_number(&project, &read(), &app.identity());
        let text = std::fs::read_to_string(project.config_file()).unwrap();
        assert_eq!(text, "; mine\n[DBMan]\nnodeName = bonn\nnodeNumber = 1\n");
        note_number(&project, &read(), &app.identity());
        assert_eq!(std::fs::read_to_string(project.config_file()).unwrap(), text, "once");
        first_start(&project, &read()).unwrap();
    }

    #[test]
    fn a_first_start_that_was_killed_is_begun_anew() {
        let directory = tempfile::tempdir().unwrap();
        let project = Project::at(directory.path());
        let begin = |text: &str| first_start(&project, &config(text));
        let key = || std::fs::read(project.key_file()).unwrap();
        begin("").unwrap();
        let first = key();
        std::fs::remove_file(project.incarnation_file()).unwrap();
        begin("").unwrap();
        assert_eq!(key(), first, "nothing says that it was broken off");
        std::fs::write(project.state().join("unfinished"), "").unwrap();
        begin("[DBMan]\nnodeNumber = 1\n").unwrap();
        assert_eq!(key(), first, "a node with a number was whole");
        begin("").unwrap();
        assert_ne!(key(), first, "what was broken off is made anew");
        std::fs::write(project.state().join("unfinished"), "").unwrap();
        let second = key();
        begin("").unwrap();
        assert_eq!(key(), second, "a node that lived stays");
    }
}
