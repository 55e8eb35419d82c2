//! A new head office: its directory, its key, its configuration, its first log entries.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mytism_app::App;
use mytism_app::surroundings::Machine;
use mytism_core::failure::Failure;
use mytism_core::schema::Schema;
use mytism_transport::identity::NodeKey;

use crate::config::{self, Database, Process, write_value};
use crate::database;
use crate::ledger::FileLedger;
use crate::project::{Project, file_failure, write_durably};
use crate::unfinished::Unfinished;

/// What a new head office shall be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InitOptions {
    /// The project directory; must not hold a project.
    pub directory: PathBuf,
    /// The application's schema; only the system's own entities where it is `None`.
    pub schema: Option<PathBuf>,
    /// The node's name; the machine's where it is `None`.
    pub name: Option<String>,
    /// Ports to write into the configuration.
    pub ports: Ports,
    /// Address of the PostgreSQL database for the data; `None` = they stand in the directory.
    pub url: Option<String>,
}

/// Ports to write into a new configuration; 0 = any free one, `None` = the default.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ports {
    /// Without encryption.
    pub plain: Option<u16>,
    /// With encryption.
    pub tls: Option<u16>,
    /// Web pages.
    pub http: Option<u16>,
}

/// What was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InitReport {
    /// The project directory.
    pub directory: PathBuf,
    /// The node's name.
    pub node: String,
    /// Name and version of the schema.
    pub schema: String,
    /// Entities of the system.
    pub system_entities: usize,
    /// Entities of the application.
    pub own_entities: usize,
    /// The database: a file, or an address without the password.
    pub database: String,
}

/// Makes a head office.
///
/// # Errors
/// When the directory is in use, the schema has problems (all of them are in the message), or the disk refuses.
/// Nothing of a half-made project is left then. What a killed attempt left is taken away by the next one.
pub fn init(options: &InitOptions) -> Result<InitReport, Failure> {
    let project = Project::at(&options.directory);
    let schema = mytism_schema::project(options.schema.as_deref()).map_err(|problems| schema_failure(&problems))?;
    let name = node_name(options.name.as_deref())?;
    let was_there = options.directory.exists();
    let unfinished = Unfinished::begin(&project, Project::refuse_living)?;
    let made = project.create().and_then(|()| fill(&project, options, schema, &name, unfinished));
    if made.is_err() {
        remove_half(&project, was_there);
    }
    made
}

fn fill(
    project: &Project,
    options: &InitOptions,
    schema: Schema,
    name: &str,
    unfinished: Unfinished,
) -> Result<InitReport, Failure> {
    let schema = Arc::new(schema);
    let mut text = header("head office");
    if let Some(file) = &options.schema {
        let absolute = std::path::absolute(file).map_err(|error| file_failure("find", file, &error))?;
        text = set(&text, "DBMan", "schemaFile", &absolute.to_string_lossy())?;
    }
    if let Some(url) = &options.url {
        text = set(&text, "DBMan", "store", "postgres")?;
        text = set(&text, "DBMan", "url", url)?;
    }
    let database = read_database(project, &text)?;
    let app = bring_to_life(project, &schema, name, database.as_ref())?;
    text = set(&text, "DBMan", "nodeName", name)?;
    text = set(&text, "DBMan", "nodeNumber", &app.identity().node.to_string())?;
    text = set(&text, "DBMan", "authoritative", "1")?;
    text = set_ports(&text, options.ports)?;
    // With the configuration the project is there.
    write_durably(&project.config_file(), text.as_bytes())?;
    unfinished.finish()?;
    project.write_incarnation(app.identity().incarnation)?;
    let system_entities = mytism_schema::system().entities.len();
    let def = schema.def();
    Ok(InitReport {
        directory: project.directory().to_owned(),
        node: name.to_owned(),
        schema: format!("{} {}", def.name, def.version),
        system_entities,
        own_entities: def.entities.len() - system_entities.min(def.entities.len()),
        database: database::place(project, database.as_ref()),
    })
}

/// The database that a configuration names which is about to be written; the environment may add to it.
fn read_database(project: &Project, text: &str) -> Result<Option<Database>, Failure> {
    let file = project.config_file().display().to_string();
    let (config, problems) = config::check(text, &file, &Process::of(project.directory()));
    match problems.into_iter().find(config::ConfigProblem::is_error) {
        Some(problem) => Err(Failure::usage(problem.code, problem.to_string())),
        None => Ok(config.database()),
    }
}

/// Makes key and database of a head office.
fn bring_to_life(
    project: &Project,
    schema: &Arc<Schema>,
    name: &str,
    database: Option<&Database>,
) -> Result<App, Failure> {
    let key = NodeKey::generate().map_err(|error| Failure::failed("key-error", error.to_string()))?;
    key.save(&project.key_file()).map_err(|error| Failure::failed("key-error", error.to_string()))?;
    let store = database::create(project, database, schema).map_err(|error| error.failure())?;
    let machine = Machine::with_ledger(FileLedger::at(project.numbers_file()));
    let app = App::create_head_office(store, Arc::clone(schema), Arc::new(machine), name);
    app.map_err(|error| error.failure())
}

/// Makes a head office in a project that holds its configuration and nothing else, which the caller has checked. The
/// configuration stays as it is.
///
/// # Errors
/// When the schema has problems or the disk refuses. Nothing of the head office is left then.
pub(crate) fn found(project: &Project, schema: Option<&Path>, name: &str) -> Result<(), Failure> {
    let schema = mytism_schema::project(schema).map_err(|problems| schema_failure(&problems))?;
    let unfinished = Unfinished::begin(project, Project::refuse_lived)?;
    let made = project.make_directories().and_then(|()| {
        let app = bring_to_life(project, &Arc::new(schema), name, database::of(project)?.as_ref())?;
        unfinished.finish()?;
        project.write_incarnation(app.identity().incarnation)
    });
    if made.is_err() {
        remove_parts(project);
    }
    made
}

/// All problems of a schema in one failure.
fn schema_failure(problems: &[mytism_schema::FileProblem]) -> Failure {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let failure = Failure::failed("schema-error", lines.join("\n"));
    match problems {
        [one] => failure.at(one.line, one.column),
        _ => failure,
    }
}

/// The name as given, or that of the machine.
pub(crate) fn node_name(given: Option<&str>) -> Result<String, Failure> {
    let name = match given {
        Some(name) => name.to_owned(),
        None => host_name(),
    };
    // In a path these would stand for something else, or for nothing that is seen; on a command line for an option.
    let fits = !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && (1..=60).contains(&name.chars().count())
        && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    if fits {
        return Ok(name);
    }
    let message = format!(
        "\"{name}\" cannot be the name of a node: 1 to 60 letters, digits, - _ . are possible, no - or . in front and no . \
         at the end"
    );
    Err(Failure::usage("wrong-value", message).hint("give one with --name"))
}

/// The name of the machine; empty where the system does not tell.
pub(crate) fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// The first lines of a configuration that a program wrote.
pub(crate) fn header(role: &str) -> String {
    format!("-- The configuration of a {role}. Every key with its meaning stands in mytism.ini.example.\n")
}

pub(crate) fn set(text: &str, section: &str, key: &str, value: &str) -> Result<String, Failure> {
    write_value(text, section, key, value).map_err(|error| Failure::failed("internal", error.to_string()))
}

/// Writes ports that were asked for; a free one is looked for where that is wanted.
pub(crate) fn set_ports(text: &str, ports: Ports) -> Result<String, Failure> {
    let mut text = text.to_owned();
    for (section, key, port) in [
        ("SocketProtocol", "port", ports.plain),
        ("SocketProtocol", "tlsPort", ports.tls),
        ("DeploySite", "port", ports.http),
    ] {
        if let Some(port) = port {
            let port = if port == 0 { free_port()? } else { port };
            text = set(&text, section, key, &port.to_string())?;
        }
    }
    Ok(text)
}

/// One that is free for UDP and for TCP.
fn free_port() -> Result<u16, Failure> {
    const TRIES: usize = 16;
    let find = || {
        let udp = UdpSocket::bind(("0.0.0.0", 0))?;
        TcpListener::bind(udp.local_addr()?).and_then(|tcp| tcp.local_addr())
    };
    let free = (1..TRIES).find_map(|_| find().ok()).map_or_else(find, Ok);
    free.map(|address| address.port()).map_err(|error| Failure::failed("no-port", format!("no port is free: {error}")))
}

/// Takes away what a failed set-up left; a directory that was there stays.
pub(crate) fn remove_half(project: &Project, was_there: bool) {
    if was_there {
        remove_parts(project);
    } else {
        // The failure that led here is what is reported; a remainder does no harm.
        let _remains = std::fs::remove_dir_all(project.directory());
    }
    let _remains = std::fs::remove_file(project.config_file());
}

/// Takes away all that a node consists of but its configuration.
fn remove_parts(project: &Project) {
    for name in ["data", "state", "logs", "keys"] {
        // As above.
        let _remains = std::fs::remove_dir_all(project.directory().join(name));
    }
}

/// The default port with encryption, for account files.
pub(crate) const DEFAULT_TLS_PORT: u16 = config::DEFAULT_TLS_PORT;
