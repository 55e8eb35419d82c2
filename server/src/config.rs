//! The node's settings: `mytism.ini` and the environment in, plain typed fields out, everything wrong told at once.
//!
//! 1. [`keys`]: the table of all settings; reader, messages, example file and reference come from it
//! 2. `kind`: what a value may look like
//! 3. `lines`: the form of the file
//! 4. `values`: file and environment against the table
//! 5. [`problem`]: what can be wrong, in words
//! 6. `edit`: writing one setting, every other byte left as it is
//! 7. [`example`]: the example file and the reference, made from the table
//!
//! This module reads one file. It must not know what the node does with a setting, and never looks into the
//! environment by itself: the caller hands in a function that does.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mytism_core::id::NodeId;

mod edit;
pub mod example;
pub mod keys;
mod kind;
mod lines;
pub mod problem;
#[cfg(test)]
mod tests;
mod values;

pub use edit::{WriteError, write_value};
pub use kind::{Address, DEFAULT_TLS_PORT, Kind};
pub use problem::{ConfigProblem, Origin, Severity};

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
    /// The port for it; 0 = any free one.
    pub plain_port: u16,
    /// Where to listen with encryption.
    pub tls_host: Listen,
    /// The port for it, TCP and UDP; 0 = any free one.
    pub tls_port: u16,
    /// Under which addresses branches reach this node, best first.
    pub advertise: Vec<Address>,
    /// At a branch: the head office's addresses, best first.
    pub head_office: Vec<Address>,
    /// At a branch: the head office's Ed25519 public key.
    pub head_office_key: Option<[u8; 32]>,
    /// Pause before the first new attempt to reach a peer.
    pub retry_min: Duration,
    /// Longest pause between two attempts; at least `retry_min`.
    pub retry_max: Duration,
    /// A branch asks for more ids when fewer than this many are left.
    pub id_reserve: u64,
    /// Where web pages are served.
    pub http_host: Listen,
    /// The port for them; 0 = any free one.
    pub http_port: u16,
    /// The least important kind of event to log.
    pub log_level: LogLevel,
    /// What somebody should know, though the node can start. Empty in what [`check`] returns.
    pub warnings: Vec<ConfigProblem>,
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
    /// Reads a file. `environment` looks up a variable; `|name| std::env::var(name).ok()` in the node.
    ///
    /// # Errors
    /// All problems of the file at once, warnings among them, when at least one is an error.
    pub fn load(path: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigProblem>> {
        let name = path.display().to_string();
        let text = read_text(path, &name)?;
        let (config, problems) = check(&text, &name, environment);
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

    /// What is wrong with the machine's name: branches would be told to come to `localhost`.
    ///
    /// `resolved` is what the host name resolves to. Only a node that has peers must ask this.
    #[must_use]
    pub fn host_name_problem(&self, file: &str, host_name: &str, resolved: &[IpAddr]) -> Option<ConfigProblem> {
        let told = self.node_name.is_some() || !self.advertise.is_empty();
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

fn read_text(path: &Path, name: &str) -> Result<String, Vec<ConfigProblem>> {
    let unreadable = |line, message: String, hint: &str| {
        let origin = Origin::File { name: name.to_owned(), line };
        vec![ConfigProblem::error("config-unreadable", origin, message).hint(hint)]
    };
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            unreadable(None, "there is no such file".into(), "make the project with `mytism init` or `mytism join`")
        }
        _ => unreadable(None, format!("cannot be read: {error}"), ""),
    };
    let size = std::fs::metadata(path).map_err(cannot)?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(None, format!("is {size} bytes long, more than {FILE_BYTES_MAX}"), ""));
    }
    String::from_utf8(std::fs::read(path).map_err(cannot)?).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = u32::try_from(before.filter(|byte| **byte == b'\n').count() + 1).ok();
        unreadable(line, "is not UTF-8".into(), "save it in the encoding UTF-8")
    })
}

/// Reads a text. The settings that are wrong have their defaults in the result, so that all problems show at once.
///
/// The problems are errors and warnings in the order of the file; any error means that the settings must not be used.
#[must_use]
pub fn check(text: &str, file: &str, environment: impl Fn(&str) -> Option<String>) -> (Config, Vec<ConfigProblem>) {
    let (values, mut problems) = Values::read(&lines::read(text), file, environment);
    let config = build(&values);
    problems.extend(contradictions(&config, &values, file));
    (config, problems)
}

fn build(values: &Values) -> Config {
    let milliseconds = |key| Duration::from_millis(values.number(key).unwrap_or_default());
    Config {
        node_name: values.text(&keys::NODE_NAME),
        node_number: values.number(&keys::NODE_NUMBER).and_then(|number| u32::try_from(number).ok()).map(NodeId),
        authoritative: values.flag(&keys::AUTHORITATIVE).unwrap_or(true),
        schema_file: values.text(&keys::SCHEMA_FILE).map(PathBuf::from),
        plain_host: listen(values.text(&keys::PLAIN_HOST)),
        plain_port: values.port(&keys::PLAIN_PORT).unwrap_or_default(),
        tls_host: listen(values.text(&keys::TLS_HOST)),
        tls_port: values.port(&keys::TLS_PORT).unwrap_or_default(),
        advertise: values.addresses(&keys::ADVERTISE),
        head_office: values.addresses(&keys::HEAD_OFFICE),
        head_office_key: values.public_key(&keys::HEAD_OFFICE_KEY),
        retry_min: milliseconds(&keys::RETRY_MINIMUM),
        retry_max: milliseconds(&keys::RETRY_MAXIMUM),
        id_reserve: values.number(&keys::RESERVE).unwrap_or_default(),
        http_host: listen(values.text(&keys::HTTP_HOST)),
        http_port: values.port(&keys::HTTP_PORT).unwrap_or_default(),
        log_level: values.text(&keys::LOG_LEVEL).and_then(|word| LogLevel::from_word(&word)).unwrap_or(LogLevel::Info),
        warnings: Vec::new(),
    }
}

fn listen(text: Option<String>) -> Listen {
    match text {
        None => Listen::Loopback,
        Some(all) if all == "*" => Listen::All,
        Some(host) => Listen::Host(host),
    }
}

/// Settings that are fine by themselves and impossible together.
fn contradictions(config: &Config, values: &Values, file: &str) -> Vec<ConfigProblem> {
    let origin = |key: &keys::Key| {
        values.origin(key).cloned().unwrap_or_else(|| Origin::File { name: file.to_owned(), line: None })
    };
    let error = |code, key: &keys::Key, message: &str| {
        ConfigProblem::error(code, origin(key), message).about(key.section, key.name)
    };
    let mut problems = Vec::new();
    if values.text(&keys::STORE).as_deref() == Some("postgres") {
        let problem = error("config-unsupported", &keys::STORE, "this version cannot store in PostgreSQL");
        problems.push(problem.value("postgres").hint("write sqlite, or leave the key out"));
    }
    if config.retry_min > config.retry_max {
        let message = format!("it is less than {} ({} ms)", keys::RETRY_MINIMUM.name, config.retry_min.as_millis());
        let problem = error("config-value", &keys::RETRY_MAXIMUM, &message);
        problems.push(problem.value(&config.retry_max.as_millis().to_string()));
    }
    for (key, missing) in [
        (&keys::HEAD_OFFICE, config.head_office.is_empty()),
        (&keys::HEAD_OFFICE_KEY, config.head_office_key.is_none()),
    ] {
        if missing && !config.authoritative && !values.is_given(key) {
            let problem = error("config-missing", key, "a branch (authoritative = 0) cannot do without it");
            problems.push(problem.hint("`mytism join` writes it; the head office exports it with `nodes add`"));
        }
        if !missing && config.authoritative {
            let message = "it has no effect at the head office (authoritative = 1)";
            problems
                .push(ConfigProblem::warning("config-no-effect", origin(key), message).about(key.section, key.name));
        }
    }
    for (port, key, other_port, other) in [
        (config.tls_port, &keys::TLS_PORT, config.plain_port, &keys::PLAIN_PORT),
        (config.http_port, &keys::HTTP_PORT, config.plain_port, &keys::PLAIN_PORT),
        (config.http_port, &keys::HTTP_PORT, config.tls_port, &keys::TLS_PORT),
    ] {
        if port != 0 && port == other_port {
            let message = format!("[{}] {} has the same port", other.section, other.name);
            problems.push(error("config-value", key, &message).value(&port.to_string()));
        }
    }
    problems
}
