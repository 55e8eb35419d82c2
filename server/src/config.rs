//! The node's settings: `mytism.ini` and the environment in, plain typed fields out, everything wrong told at once.
//!
//! 1. [`keys`] and `table`: the table of all settings; reader, messages, example file and reference come from it
//! 2. `kind`: what a value may look like
//! 3. `lines`: the form of the file
//! 4. `values`: file and environment against the table
//! 5. [`problem`]: what can be wrong, in words
//! 6. [`explain`]: every setting in force, and where it comes from
//! 7. `edit`: writing one setting, every other byte left as it is
//! 8. [`example`]: the example file and the reference, made from the table
//! 9. [`cluster`]: settings of the whole cluster, which are objects
//!
//! This module reads one file. It must not know what the node does with a setting, and never looks into the
//! environment or other files by itself: the caller hands in [`Surroundings`].

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mytism_app::numbers::LeasePolicy;
use mytism_core::id::NodeId;
use mytism_store::postgres::PoolOptions;

pub mod cluster;
mod edit;
pub mod example;
pub mod explain;
pub mod keys;
mod kind;
mod lines;
pub mod problem;
mod surroundings;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use edit::{WriteError, comment_out, without_secrets, write_value};
pub use explain::{Explained, explain};
pub use kind::{Address, DEFAULT_TLS_PORT, Hidden, Kind};
pub use problem::{ConfigProblem, Origin, Severity};
pub use surroundings::{Process, Surroundings};

use values::Values;

/// The file's name within the project directory.
pub const FILE_NAME: &str = "mytism.ini";

/// A longer file is no configuration.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Everything that the node takes from its configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The node's name; absent: the machine's host name.
    pub node_name: Option<String>,
    /// The node's number; absent: none was given yet.
    pub node_number: Option<NodeId>,
    /// Whether this is the head office.
    pub authoritative: bool,
    /// The application's schema as written; see [`Config::schema_path`].
    pub schema_file: Option<PathBuf>,
    /// Where to listen without encryption.
    pub plain_host: Listen,
    /// The port for it, where one is to be opened; 0 = any free one.
    pub plain_port: Option<u16>,
    /// As `tls_backlog`, without encryption.
    pub plain_backlog: u16,
    /// Where to listen with encryption.
    pub tls_host: Listen,
    /// The port for it, TCP and UDP; 0 = any free one.
    pub tls_port: u16,
    /// So many finished connections may wait until they are taken in; at least 1.
    pub tls_backlog: u16,
    /// At a branch: the head office's addresses, best first.
    pub head_office: Vec<Address>,
    /// At a branch: the head office's Ed25519 public key.
    pub head_office_key: Option<[u8; 32]>,
    /// Where web pages are served.
    pub http_host: Listen,
    /// The port for them; 0 = any free one.
    pub http_port: u16,
    /// Where the contents of files are kept, as written; a relative path starts at the project directory.
    pub files_root: PathBuf,
    /// Whether the data are in PostgreSQL; see [`Config::database`].
    pub in_postgres: bool,
    /// The server where they are, or would be.
    pub server: Server,
    /// What a running node takes up when it is changed.
    pub live: Live,
    /// What somebody should know, though the node can start. Empty in what [`check`] returns.
    pub warnings: Vec<ConfigProblem>,
}

/// A PostgreSQL server as the file has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Address of the database, which may hold a password.
    pub url: Option<Hidden>,
    /// The user, where the address names none.
    pub user: Option<String>,
    /// The password, where the address has none.
    pub pass: Option<Hidden>,
    /// The connections of the section that `hikariPool` names.
    pub hikari: PoolOptions,
    /// Those of the section that `tomcatPool` names.
    pub tomcat: PoolOptions,
    /// Whether the latter count, since only they are named.
    pub is_tomcat: bool,
}

/// A PostgreSQL database that the data are kept in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// Its address, which may hold a password.
    pub url: Hidden,
    /// The user, where the address names none.
    pub user: Option<String>,
    /// The password, where the address has none.
    pub pass: Option<Hidden>,
    /// The connections to it.
    pub pool: PoolOptions,
}

/// The settings that a running node takes up when they are changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Live {
    /// Under which addresses branches reach this node, best first.
    pub advertise: Vec<Address>,
    /// Pause before the first new attempt to reach a peer.
    pub retry_min: Duration,
    /// Longest pause between two attempts; at least `retry_min`.
    pub retry_max: Duration,
    /// How long after a comparison with the head office a branch makes the next one; `None` where only on command.
    pub check_every: Option<Duration>,
    /// A branch asks for more ids when fewer than this many are left.
    pub id_reserve: u64,
    /// How long rows of the journal are kept at least.
    pub journal_time: Duration,
    /// How many rows of the journal are kept at most.
    pub journal_rows: u64,
    /// How long contents of files stay that nothing names.
    pub files_grace: Duration,
    /// How far ahead of its use the node leases numbers, and a branch keeps ids.
    pub leases: LeasePolicy,
    /// Who has not said who he is after this time is cut off.
    pub max_wait_for_auth: Duration,
    /// With more such connections from one address, new ones are refused.
    pub hard_max_unauthed: u32,
    /// With more such connections from one address, new ones are delayed.
    pub soft_max_unauthed: u32,
    /// The delay for each connection above that.
    pub delay_factor: Duration,
    /// The least important kind of event to log.
    pub log_level: LogLevel,
}

/// Which addresses of the machine to listen on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    /// This machine only.
    Loopback,
    /// All of them.
    All,
    /// A host name or an address of IPv4 or IPv6, without brackets.
    Host(String),
}

/// How important an event is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Something needs attention.
    Warn,
    /// What a node does, in large steps.
    Info,
    /// The small steps.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word for it, in the file and for log filters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace].into_iter().find(|level| level.as_str() == word)
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// All problems of the file at once, warnings among them, when at least one is an error.
    pub fn load(path: &Path, around: &dyn Surroundings) -> Result<Self, Vec<ConfigProblem>> {
        let name = path.display().to_string();
        let text = read_text(path)?;
        let (config, problems) = check(&text, &name, around);
        if problems.iter().any(ConfigProblem::is_error) {
            Err(problems)
        } else {
            Ok(Self { warnings: problems, ..config })
        }
    }

    /// The schema file, where one is named; relative ones start at the project directory.
    #[must_use]
    pub fn schema_path(&self, project: &Path) -> Option<PathBuf> {
        self.schema_file.as_ref().map(|file| project.join(file))
    }

    /// The PostgreSQL database that the data are kept in; `None` where they stand in the project directory.
    #[must_use]
    pub fn database(&self) -> Option<Database> {
        let Server { url, user, pass, hikari, tomcat, is_tomcat } = self.server.clone();
        let pool = if is_tomcat { tomcat } else { hikari };
        Some(Database { url: url.filter(|_| self.in_postgres)?, user, pass, pool })
    }

    /// What is wrong with the machine's name: branches would be told to come to `localhost`.
    ///
    /// `resolved` is what the host name resolves to. Only a node that has peers must ask this.
    #[must_use]
    pub fn host_name_problem(&self, file: &str, host_name: &str, resolved: &[IpAddr]) -> Option<ConfigProblem> {
        let told = self.node_name.is_some() || !self.live.advertise.is_empty();
        if told || (!resolved.is_empty() && !resolved.iter().all(|address| address.to_canonical().is_loopback())) {
            return None;
        }
        let origin = Origin::File { name: file.to_owned(), line: None };
        let message =
            format!("the host name {host_name} is known to this machine only, so other nodes cannot reach it");
        let hint = format!(
            "add the line `nodeName = NAME` to [DBMan], or `advertise = HOST:{DEFAULT_TLS_PORT}` to [SyncService]"
        );
        Some(ConfigProblem::error("config-host-name", origin, message).hint(hint))
    }
}

/// The text of a configuration file.
///
/// # Errors
/// When it cannot be read, is longer than 1 MiB, or is not UTF-8; the place of the first wrong byte is told.
pub fn read_text(path: &Path) -> Result<String, Vec<ConfigProblem>> {
    let unreadable = |line, message: String, hint: &str| {
        let origin = Origin::File { name: path.display().to_string(), line };
        vec![ConfigProblem::error("config-unreadable", origin, message).hint(hint)]
    };
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            unreadable(None, "there is no such file".into(), "make the project with `./mytism init` or `./mytism join`")
        }
        _ => unreadable(None, format!("cannot be read: {error}"), ""),
    };
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(None, format!("is {size} bytes long, more than {FILE_BYTES_MAX}"), ""));
    }
    String::from_utf8(std::fs::read(path).map_err(cannot)?).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..valid).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        let of_line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(of_line).chars().count() + 1;
        let byte = error.as_bytes().get(valid).copied().unwrap_or_default();
        let message = format!("character {column} of the line is not UTF-8 (byte 0x{byte:02X})");
        unreadable(u32::try_from(line).ok(), message, "save the file in the encoding UTF-8")
    })
}

/// Reads a text. The settings that are wrong have their defaults in the result, so that all problems show at once.
///
/// The problems are errors and warnings in the order of the file; any error means that the settings must not be used.
#[must_use]
pub fn check(text: &str, file: &str, around: &dyn Surroundings) -> (Config, Vec<ConfigProblem>) {
    let (values, mut problems) = Values::read(&lines::read(text), file, around);
    let config = build(&values);
    problems.extend(contradictions(&config, &values, file));
    (config, problems)
}

fn build(values: &Values) -> Config {
    Config {
        node_name: values.text(&table::NODE_NAME),
        node_number: values.small(&table::NODE_NUMBER).map(NodeId),
        authoritative: values.flag(&table::AUTHORITATIVE).unwrap_or(true),
        schema_file: values.text(&table::SCHEMA_FILE).map(PathBuf::from),
        plain_host: listen(values.text(&table::PLAIN_HOST)),
        plain_port: values.port(&table::PLAIN_PORT).filter(|_| values.is_given(&table::PLAIN_PORT)),
        plain_backlog: values.port(&table::PLAIN_BACKLOG).unwrap_or(1),
        tls_host: listen(values.text(&table::TLS_HOST)),
        tls_port: values.port(&table::TLS_PORT).unwrap_or_default(),
        tls_backlog: values.port(&table::TLS_BACKLOG).unwrap_or(1),
        head_office: values.addresses(&table::HEAD_OFFICE),
        head_office_key: values.public_key(&table::HEAD_OFFICE_KEY),
        http_host: listen(values.text(&table::HTTP_HOST)),
        http_port: values.port(&table::HTTP_PORT).unwrap_or_default(),
        files_root: values.text(&table::FILES_ROOT).map(PathBuf::from).unwrap_or_default(),
        in_postgres: values.text(&table::STORE).as_deref() == Some("postgres"),
        server: build_server(values),
        live: build_live(values),
        warnings: Vec::new(),
    }
}

fn build_server(values: &Values) -> Server {
    let milliseconds = |key| Duration::from_millis(values.number(key).unwrap_or_default());
    let unless_zero = |key| Some(milliseconds(key)).filter(|time| !time.is_zero());
    let small = |key| values.small(key).unwrap_or_default();
    let is_given = |name: &str| keys::all().any(|key| key.name == name && values.is_given(key));
    Server {
        url: values.secret(&table::URL),
        user: values.text(&table::USER),
        // One that stands in a file was put in its place.
        pass: values.secret(&table::PASS),
        hikari: PoolOptions {
            maximum: small(&table::HIKARI_MAXIMUM),
            minimum_idle: small(&table::HIKARI_MINIMUM),
            patience: milliseconds(&table::HIKARI_TIMEOUT),
            idle: unless_zero(&table::HIKARI_IDLE),
            lifetime: unless_zero(&table::HIKARI_LIFETIME),
        },
        tomcat: PoolOptions {
            maximum: small(&table::TOMCAT_TOTAL),
            minimum_idle: small(&table::TOMCAT_MIN_IDLE).max(small(&table::TOMCAT_INITIAL)),
            patience: milliseconds(&table::TOMCAT_WAIT),
            idle: None,
            lifetime: unless_zero(&table::TOMCAT_AGE),
        },
        is_tomcat: is_given("tomcatPool") && !is_given("hikariPool"),
    }
}

fn build_live(values: &Values) -> Live {
    let milliseconds = |key| Duration::from_millis(values.number(key).unwrap_or_default());
    Live {
        advertise: values.addresses(&table::ADVERTISE),
        retry_min: milliseconds(&table::RETRY_MINIMUM),
        retry_max: milliseconds(&table::RETRY_MAXIMUM),
        check_every: values
            .number(&table::CHECK_EVERY)
            .filter(|hours| *hours > 0)
            .map(|hours| Duration::from_secs(hours * 3_600)),
        id_reserve: values.number(&table::RESERVE).unwrap_or_default(),
        journal_time: Duration::from_secs(values.number(&table::JOURNAL_DAYS).unwrap_or_default() * 86_400),
        journal_rows: values.number(&table::JOURNAL_ROWS).unwrap_or_default(),
        files_grace: Duration::from_secs(values.number(&table::FILES_GRACE).unwrap_or_default() * 86_400),
        leases: LeasePolicy {
            days: values.small(&table::LEASE_DAYS).unwrap_or_default(),
            numbers: values.number(&table::LEASE_MINIMUM).unwrap_or_default(),
            id_days: values.small(&table::RESERVE_DAYS).unwrap_or_default(),
        },
        max_wait_for_auth: milliseconds(&table::MAX_WAIT),
        hard_max_unauthed: values.small(&table::HARD_MAX).unwrap_or_default(),
        soft_max_unauthed: values.small(&table::SOFT_MAX).unwrap_or_default(),
        delay_factor: milliseconds(&table::DELAY_FACTOR),
        log_level: values.text(&table::LOG_LEVEL).and_then(|word| LogLevel::from_word(&word)).unwrap_or(LogLevel::Info),
    }
}

fn listen(text: Option<String>) -> Listen {
    match text {
        None => Listen::Loopback,
        Some(all) if all == "*" => Listen::All,
        Some(host) => Listen::Host(host),
    }
}

/// Settings that are fine by themselves and impossible or useless together.
fn contradictions(config: &Config, values: &Values, file: &str) -> Vec<ConfigProblem> {
    let judge = Judge { values, file };
    let mut problems = Vec::new();
    if config.in_postgres && !values.is_given(&table::URL) {
        let problem = judge.error("config-missing", &table::URL, "it is missing, and store = postgres needs it");
        problems.push(problem.hint("write an address like postgresql://localhost:5432/demo"));
    }
    if let Some(root) = values.text(&table::FILES_ROOT).filter(|root| root.starts_with("s3://")) {
        let problem = judge.error("config-unsupported", &table::FILES_ROOT, "this version keeps files in no S3 store");
        problems.push(problem.value(&root).hint("write a directory, or leave the key out"));
    }
    let live = &config.live;
    if live.retry_min > live.retry_max {
        let message = format!("it is less than {} ({} ms)", table::RETRY_MINIMUM.name, live.retry_min.as_millis());
        let problem = judge.error("config-value", &table::RETRY_MAXIMUM, &message);
        problems.push(problem.value(&live.retry_max.as_millis().to_string()));
    }
    if live.soft_max_unauthed > live.hard_max_unauthed && values.is_given(&table::SOFT_MAX) {
        let message = format!("it is more than {}, so nobody is delayed before", table::HARD_MAX.name);
        problems.push(judge.useless(&table::SOFT_MAX, &message));
    }
    problems.extend(judge.head_office(config));
    problems.extend(judge.ports(config));
    problems.extend(judge.pools());
    problems
}

/// Looks for what does not fit together.
struct Judge<'v> {
    values: &'v Values,
    file: &'v str,
}

impl Judge<'_> {
    fn origin(&self, key: &keys::Key) -> Origin {
        let given = self.values.origin(key).cloned();
        given.unwrap_or_else(|| Origin::File { name: self.file.to_owned(), line: None })
    }

    fn error(&self, code: &'static str, key: &keys::Key, message: &str) -> ConfigProblem {
        ConfigProblem::error(code, self.origin(key), message).about(key.section, key.name)
    }

    fn useless(&self, key: &keys::Key, message: &str) -> ConfigProblem {
        ConfigProblem::warning("config-no-effect", self.origin(key), message).about(key.section, key.name)
    }

    fn head_office(&self, config: &Config) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        for (key, missing) in [
            (&table::HEAD_OFFICE, config.head_office.is_empty()),
            (&table::HEAD_OFFICE_KEY, config.head_office_key.is_none()),
        ] {
            if missing && !config.authoritative && !self.values.is_given(key) {
                let problem = self.error("config-missing", key, "a branch (authoritative = 0) cannot do without it");
                problems.push(problem.hint("`./mytism join` writes it; the head office exports it with `nodes add`"));
            }
            if !missing && config.authoritative {
                problems.push(self.useless(key, "it has no effect at the head office (authoritative = 1)"));
            }
        }
        problems
    }

    fn ports(&self, config: &Config) -> Vec<ConfigProblem> {
        let same = |(port, key, other_port, other): (u16, &keys::Key, u16, &keys::Key)| {
            let message = format!("[{}] {} has the same port", other.section, other.name);
            let problem = self.error("config-value", key, &message).value(&port.to_string());
            (port != 0 && port == other_port).then_some(problem)
        };
        let plain_port = config.plain_port.unwrap_or_default();
        let pairs = [
            (config.tls_port, &table::TLS_PORT, plain_port, &table::PLAIN_PORT),
            (config.http_port, &table::HTTP_PORT, plain_port, &table::PLAIN_PORT),
            (config.http_port, &table::HTTP_PORT, config.tls_port, &table::TLS_PORT),
        ];
        pairs.into_iter().filter_map(same).collect()
    }

    fn pools(&self) -> Option<ConfigProblem> {
        let pool = |name: &str| keys::all().find(|key| key.name == name && self.values.is_given(key));
        let (tomcat, _) = (pool("tomcatPool")?, pool("hikariPool")?);
        Some(self.useless(tomcat, "hikariPool is given too, and counts"))
    }
}
