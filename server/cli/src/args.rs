//! What can be written behind `mytism`: one definition from which parser and help come. Knows no node and no file.

mod backup;
mod blob;
mod numbers;
mod query;
mod schema;
mod store;
mod succession;
mod sync;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use mytism_core::failure::Failure;
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::operation::ImportMode;
use mytism_intake::encoding::Encoding;
use mytism_intake::layout::Quote;

pub(crate) use backup::{Backup, BackupCommand, NodeSetup, Restore};
pub(crate) use blob::{Blob, BlobAction, BlobGet};
pub(crate) use numbers::{Numbers, NumbersCommand, SetNumber};
pub(crate) use query::Query;
#[cfg(test)]
pub(crate) use schema::{ApplySchema, PlanSchema};
pub(crate) use schema::{Schema, SchemaCommand};
pub(crate) use store::{MigrateStore, Store};
pub(crate) use succession::{Follow, Promote, Recover};
pub(crate) use sync::{Sync, SyncCommand};

/// The name of the program, and of the project where the program is called by no other name.
const NAME: &str = "mytism";

/// The project directory where none is named: `.oashi` for a program that is called as `oashi`.
pub(crate) fn default_project(called_as: &str) -> PathBuf {
    PathBuf::from(format!(".{called_as}"))
}

/// The name by which the program was called, made to be the name of a project: the former commands `start_mytism` and
/// `stop_mytism` mean the usual one, and so does whatever can be no name.
pub(crate) fn project_name(called_as: &str) -> &str {
    let is_name = !called_as.is_empty()
        && !called_as.starts_with(['.', '-'])
        && called_as.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '.' | '_' | '-'));
    if is_name && former_command(called_as).is_none() { called_as } else { NAME }
}

/// The command that a former program of this name carried out.
fn former_command(called_as: &str) -> Option<&'static str> {
    match called_as {
        "start_mytism" => Some("start"),
        "stop_mytism" => Some("stop"),
        _ => None,
    }
}

/// A synchronising object database.
#[derive(Parser, Debug)]
#[command(name = "mytism", version, about = "mytism - a synchronising object database", disable_help_subcommand = true)]
pub(crate) struct Arguments {
    /// The project directory [default: .mytism; where the program is called by another name, that behind a dot]
    #[arg(long, global = true, value_name = "DIR")]
    project: Option<PathBuf>,
    /// Output for programs, one JSON object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log in as this user (this version knows no log-in)
    #[arg(long, global = true, value_name = "USER")]
    pub(crate) user: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

impl Arguments {
    /// The project directory to work on.
    pub(crate) fn directory(&self) -> &Path {
        self.project.as_deref().unwrap_or(Path::new(".mytism"))
    }
}

/// In the order of use.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Make the project directory of a head office
    Init(Init),
    /// Make the project directory of a branch and fetch its data
    Join(Join),
    /// Run the node
    #[command(alias = "start_mytism")]
    Start(Start),
    /// Shut the node down
    #[command(alias = "stop_mytism")]
    Stop(Stop),
    /// Shut the node down where it runs, then run it in the background
    Restart(Stop),
    /// How the node is
    Status(Status),
    /// Find objects or compute rows
    Query(Query),
    /// One object with its bookkeeping
    Show(Show),
    /// The changes of an object, oldest first
    History(History),
    /// Save changes, given as one JSON document on standard input
    Save,
    /// Files in objects: write one to the disk
    Blob(Blob),
    /// Set back what a transaction or an import did
    Undo(Undo),
    /// What became visible at the node, in the order in which it did
    Changes(Changes),
    /// Who follows what becomes visible, and how far each is
    Followers(Followers),
    /// Read rows from a CSV or JSON lines file
    Import(Import),
    /// Write what a query finds to a file
    Export(Export),
    /// The nodes of the cluster, and making branches known
    Nodes(Nodes),
    /// The lines to other nodes: how they are, and letting them rest
    Sync(Sync),
    /// Conflicts that nobody has settled, and settling them
    Conflicts(Conflicts),
    /// Transactions that the head office refused, and what is to become of them
    Quarantine(Quarantine),
    /// For whom a head office waits whose database was put back, and going on without some
    Recover(Recover),
    /// Make this branch the head office, since the old one is lost
    Promote(Promote),
    /// Follow another head office
    Follow(Follow),
    /// The schema of the project: what would change, and changing it while the node runs
    Schema(Schema),
    /// Number ranges, numbers that may be missing, and the next number set by hand
    Numbers(Numbers),
    /// Back the node up while it runs; the backups that there are, and whether they can be restored
    Backup(Backup),
    /// Put a backup in the place of the data of a node
    Restore(Restore),
    /// Move the data of a node at rest to the other engine
    MigrateStore(MigrateStore),
    /// Make a backup that sets up a branch
    PrepareBackupForNodeSetup(NodeSetup),
    /// Tell everything that is wrong with mytism.ini
    CheckConfig,
    /// Every setting in force, and where it comes from
    ExplainConfig(ExplainConfig),
    /// See it work: a head office and two branches on this machine
    Demo(Demo),
    /// Measure this machine
    Bench(Bench),
    /// The version of the program
    Version,
}

/// Where a node listens; port 0 = any free one.
#[derive(Args, Debug, Default)]
pub(crate) struct Ports {
    /// Port without encryption; 0 = any free one
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Port with encryption (TCP and UDP); 0 = any free one
    #[arg(long, value_name = "N")]
    pub(crate) tls_port: Option<u16>,
    /// Port of the web pages; 0 = any free one
    #[arg(long, value_name = "N")]
    pub(crate) http_port: Option<u16>,
}

#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The project's schema
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Name of the node [default: the machine's host name]
    #[arg(long, value_name = "NODE")]
    pub(crate) name: Option<String>,
    /// Where the data is kept
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(crate) store: Store,
    /// Of a PostgreSQL server
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) ports: Ports,
}

#[derive(Args, Debug)]
pub(crate) struct Join {
    /// The account file that the head office exported with `nodes add`
    #[arg(long, value_name = "FILE")]
    pub(crate) sync_account: PathBuf,
    /// Name of the node; must be the account's
    #[arg(long, value_name = "NODE")]
    pub(crate) name: Option<String>,
    /// Where the data is kept
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(crate) store: Store,
    /// Of a PostgreSQL server
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) ports: Ports,
}

#[derive(Args, Debug)]
pub(crate) struct Start {
    /// Run in the background; return when the node serves
    #[arg(long)]
    pub(crate) detach: bool,
    /// The background process itself: says on standard output, as JSON, when it serves or why not
    #[arg(long, hide = true, conflicts_with = "detach")]
    pub(crate) background: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Stop {
    /// `fast`: without a notice to clients
    #[arg(value_enum)]
    pub(crate) manner: Option<Manner>,
}

/// How a node goes down.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    Fast,
}

#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Again every second, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainConfig {
    /// Only the key of this name, or the keys of this section [default: all]
    #[arg(value_name = "KEY|SECTION")]
    pub(crate) name: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The object
    #[arg(value_name = "ID", value_parser = object)]
    pub(crate) object: ObjectId,
    /// As it was at a time or log position
    #[arg(long, value_name = "TIME|POSITION")]
    pub(crate) as_of: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct History {
    /// The object
    #[arg(value_name = "ID", value_parser = object)]
    pub(crate) object: ObjectId,
    /// Only changes of this attribute
    #[arg(long, value_name = "ATTRIBUTE")]
    pub(crate) attribute: Option<String>,
    /// Only changes behind this log position
    #[arg(long, value_name = "POSITION")]
    pub(crate) after: Option<u64>,
    /// At most so many changes, but those of one transaction together
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Undo {
    /// The transaction, as `save` and `history` name it, or the import, as `import` names it
    #[arg(value_name = "ID", value_parser = transaction)]
    pub(crate) id: TransactionId,
    /// Leave what was changed since, and undo the rest
    #[arg(long)]
    pub(crate) keep_later: bool,
    /// Only tell what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Changes {
    /// Only what became visible behind this row of the journal
    #[arg(long, value_name = "N", conflicts_with = "from_now")]
    pub(crate) after: Option<u64>,
    /// Only what becomes visible from now on
    #[arg(long)]
    pub(crate) from_now: bool,
    /// Go on until interrupted; needs a running node
    #[arg(long)]
    pub(crate) follow: bool,
    /// Let the node keep a cursor under this name, and go on where it is
    #[arg(long, value_name = "FOLLOWER")]
    pub(crate) name: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Followers {
    #[command(subcommand)]
    pub(crate) command: Option<FollowersCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum FollowersCommand {
    /// Forget a follower with its cursor, so that the journal waits for it no longer
    Remove(RemoveFollower),
}

#[derive(Args, Debug)]
pub(crate) struct RemoveFollower {
    /// Name of the follower
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// What an import does with keys that are there already, or are not.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Every row is a new object
    Insert,
    /// Every row changes an object
    Update,
    /// What is there is changed, what is not is made
    Upsert,
}

impl From<Mode> for ImportMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Insert => Self::Insert,
            Mode::Update => Self::Update,
            Mode::Upsert => Self::Upsert,
        }
    }
}

/// What an import does with a bad row.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnError {
    /// End there; the rows of earlier batches stay
    Stop,
    /// Pass it over
    Skip,
}

/// How a file of rows is written.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How the file is written")]
pub(crate) struct FileForm {
    /// As German, English … spreadsheets have it: semicolons, decimal sign of the language, byte order mark, guarded texts
    #[arg(long)]
    pub(crate) excel: bool,
    /// Between cells; also `tab` [default: read: what the header line has; written: a comma]
    #[arg(long, value_name = "SIGN", value_parser = delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// Around cells that hold a delimiter or a line break; also `none` [default: "]
    #[arg(long, value_name = "SIGN", value_parser = quote)]
    pub(crate) quote: Option<Quote>,
    /// utf-8, windows-1252, latin-1, utf-16; a byte order mark counts for more [default: utf-8]
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub(crate) encoding: Option<Encoding>,
    /// Before decimals: `,` or `.`; with it, groups as in 1.234,50 are read [default: a point, no groups]
    #[arg(long, value_name = "SIGN")]
    pub(crate) decimal: Option<String>,
    /// Days, and times, as in dd.mm.yyyy or "yyyy-mm-dd hh:mi:ss" [default: yyyy-mm-dd, times as RFC 3339]
    #[arg(long, value_name = "PATTERN")]
    pub(crate) date_format: Option<String>,
    /// The zone of times without one, like Europe/Berlin [default: read: the node's; written: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// An apostrophe stands before texts that a spreadsheet would take for a formula
    #[arg(long)]
    pub(crate) guard_formulas: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// CSV with a header line, or JSON lines (.jsonl)
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The entity of the rows
    #[arg(long, value_name = "ENTITY")]
    pub(crate) entity: String,
    /// The attribute by which rows find objects [default: the entity's key]
    #[arg(long, value_name = "ATTRIBUTE")]
    pub(crate) key: Option<String>,
    /// The attribute of a column that is named otherwise; `COLUMN=` leaves the column out
    #[arg(long = "map", value_name = "COLUMN=ATTRIBUTE", value_parser = pair)]
    pub(crate) maps: Vec<(String, String)>,
    #[arg(long, value_enum, default_value = "insert")]
    pub(crate) mode: Mode,
    #[arg(long, value_enum, default_value = "stop")]
    pub(crate) on_error: OnError,
    /// Where bad rows go, each with what is wrong with it; needs `--on-error skip`
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// Check all rows, show what would become of them, and save none
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: say of each row what would become of it
    #[arg(long)]
    pub(crate) rows: bool,
    /// Save all rows as one transaction, or none
    #[arg(long)]
    pub(crate) all_or_nothing: bool,
    #[command(flatten)]
    pub(crate) form: FileForm,
}

/// The form of an exported file.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// With a header line; references as their display text
    Csv,
    /// JSON lines, as `query --json` prints them
    Jsonl,
    /// A spreadsheet (not in this version)
    Xlsx,
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The query
    #[arg(value_name = "OQL")]
    pub(crate) text: String,
    /// Value of a $name in the query
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) params: Vec<(String, String)>,
    #[arg(long, value_enum)]
    pub(crate) format: Format,
    /// The file; takes the place of one that is there when it is complete
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) form: FileForm,
}

#[derive(Args, Debug)]
pub(crate) struct Nodes {
    #[command(subcommand)]
    pub(crate) command: Option<NodesCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum NodesCommand {
    /// Make a branch known and write its account file
    Add(AddNode),
}

#[derive(Args, Debug)]
pub(crate) struct AddNode {
    /// Name of the branch
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// User that the branch acts as (not in this version)
    #[arg(long, value_name = "USER")]
    pub(crate) account: Option<String>,
    /// How long the account may be used to join
    #[arg(long, value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=365))]
    pub(crate) valid: u32,
    /// The account file to write; holds a secret
    #[arg(long, value_name = "FILE")]
    pub(crate) export: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct Conflicts {
    #[command(subcommand)]
    pub(crate) command: Option<ConflictsCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ConflictsCommand {
    /// Mark a conflict as settled, with the value that shall stand
    Resolve(ResolveConflict),
}

#[derive(Args, Debug)]
pub(crate) struct ResolveConflict {
    /// The conflict
    #[arg(value_name = "ID", value_parser = object)]
    pub(crate) id: ObjectId,
    /// Which of the two values
    #[arg(long, value_enum, default_value = "kept")]
    pub(crate) take: Take,
}

/// One of the two values of a conflict.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Take {
    /// The one that stayed
    Kept,
    /// The one beside it
    Other,
}

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Quarantine {
    /// Those that are settled too, with what became of them
    #[arg(long)]
    pub(crate) all: bool,
    #[command(subcommand)]
    pub(crate) command: Option<QuarantineCommand>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum QuarantineCommand {
    /// One refused transaction whole
    Show(Refusal),
    /// Save the same changes anew, on what stands there now
    Retry(Retry),
    /// Settle it without effect
    Discard(Refusal),
}

#[derive(Args, Debug)]
pub(crate) struct Refusal {
    /// The place of the refusal in the log
    #[arg(value_name = "NUMBER")]
    pub(crate) number: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Retry {
    /// The place of the refusal in the log
    #[arg(value_name = "NUMBER")]
    pub(crate) number: u64,
    /// A value in the place of the refused one: ENTITY.ATTRIBUTE=VALUE or ID.ATTRIBUTE=VALUE; may be repeated
    #[arg(long = "set", value_name = "WHAT=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Run once without a terminal; exit 0 only if all nodes end equal
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// What to measure [default: everything]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Where databases are made and removed again [default: the system's directory for temporary files]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How long the node works in each of three rounds, where the work itself does not say
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,
    /// Ten times as much where a measurement can be larger
    #[arg(long)]
    pub(crate) long: bool,
    /// What is below the node, for `query`
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(crate) store: Store,
}

fn object(text: &str) -> Result<ObjectId, String> {
    text.parse().map_err(|_| "an id is a whole number from 1 to 9007199254740991".to_owned())
}

fn transaction(text: &str) -> Result<TransactionId, String> {
    text.parse().map_err(|_| "a transaction is named by three numbers, for example 1-1-17".to_owned())
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text == "tab" || text == "\\t" => Ok(b'\t'),
        [sign] if sign.is_ascii_punctuation() || matches!(sign, b' ' | b'\t') => Ok(*sign),
        _ => Err("one sign like ; or | is expected, or the word tab".to_owned()),
    }
}

fn quote(text: &str) -> Result<Quote, String> {
    match text.as_bytes() {
        _ if text == "none" => Ok(Quote::None),
        [sign] if sign.is_ascii_punctuation() => Ok(Quote::Sign(*sign)),
        _ => Err("one sign like \" or ' is expected, or the word none".to_owned()),
    }
}

fn encoding(text: &str) -> Result<Encoding, String> {
    let wanted = text.to_lowercase();
    let found = Encoding::NAMES.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, encoding)| *encoding).ok_or_else(|| {
        let names: Vec<_> = Encoding::NAMES.iter().map(|(name, _)| *name).collect();
        format!("one of {} is expected", names.join(", "))
    })
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("a name, =, and a value are expected".to_owned()),
    }
}

/// What became of the words behind `mytism`.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Something to do.
    Arguments(Box<Arguments>),
    /// Help or version was asked for.
    Text(String),
    /// They make no sense.
    Wrong {
        /// Why.
        failure: Failure,
        /// Whether `--json` stands among them.
        json: bool,
    },
}

/// Reads the words of the command line, the program's name first. `called_as` is that name without its directory.
pub(crate) fn read(words: &[OsString], called_as: &str) -> Reading {
    let mut words = words.to_vec();
    if let Some(command) = former_command(called_as) {
        words.insert(1.min(words.len()), command.into());
    }
    let project = default_project(project_name(called_as));
    let called_as = format!("./{}", project_name(called_as));
    let json = words.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    let parser = Arguments::command().bin_name(&called_as);
    let parsed = parser.try_get_matches_from(&words).and_then(|mut matches| {
        use clap::FromArgMatches;
        Arguments::from_arg_matches_mut(&mut matches)
    });
    match parsed {
        Ok(Arguments { command: None, .. }) => {
            Reading::Text(Arguments::command().bin_name(called_as).render_help().to_string())
        }
        Ok(mut arguments) => {
            arguments.project.get_or_insert(project);
            Reading::Arguments(Box::new(arguments))
        }
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Reading::Text(error.to_string())
        }
        Err(error) => Reading::Wrong { failure: wrong_use(&error.to_string()), json },
    }
}

/// The parser's text in the form of all failures: its first paragraph is the message, tips and usage are the hint.
fn wrong_use(text: &str) -> Failure {
    let text = text.trim().trim_start_matches("error: ");
    let mut paragraphs = text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let message = paragraphs.next().unwrap_or_default();
    let hint: Vec<String> = paragraphs.filter(|part| !part.starts_with("For more information")).collect();
    Failure::usage("wrong-use", message).hint(hint.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(line: &str) -> Reading {
        let words: Vec<OsString> = std::iter::once("mytism").chain(line.split_whitespace()).map(Into::into).collect();
        read(&words, "mytism")
    }

    fn arguments(line: &str) -> Arguments {
        match reading(line) {
            Reading::Arguments(arguments) => *arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_options_stand_before_and_behind_the_command() {
        for line in ["--json --project d status", "status --json --project d", "--project d status --json"] {
            let arguments = arguments(line);
            assert!(arguments.json, "{line}");
            assert_eq!(arguments.directory(), Path::new("d"), "{line}");
        }
        assert_eq!(arguments("status").directory(), Path::new(".mytism"));
    }

    #[test]
    fn the_name_of_the_program_names_the_project() {
        let check = |called_as: &str, line: &str, directory: &str| {
            let words: Vec<OsString> =
                std::iter::once(called_as).chain(line.split_whitespace()).map(Into::into).collect();
            match read(&words, called_as) {
                Reading::Arguments(arguments) => assert_eq!(arguments.directory(), Path::new(directory), "{called_as}"),
                other => panic!("{called_as} {line}: {other:?}"),
            }
        };
        check("oashi", "status", ".oashi");
        check("oashi", "status --project d", "d");
        check("start_mytism", "--detach", ".mytism");
        check("stop_mytism", "fast", ".mytism");
        check("stop_mytism", "--project d", "d");
        check("oashi", "start_mytism --detach", ".oashi");
        check("oashi", "stop_mytism", ".oashi");
        for odd in ["", "-sh", "..", "a/b", "a b"] {
            check(odd, "status", ".mytism");
        }
    }

    #[test]
    fn import_takes_maps_and_modes() {
        let Some(Command::Import(import)) =
            arguments("import c.csv --entity C --map A=B --map X= --mode upsert --on-error skip --errors e").command
        else {
            panic!("no import")
        };
        assert_eq!(import.maps, [("A".into(), "B".into()), ("X".into(), String::new())]);
        assert_eq!((import.mode, import.on_error, import.dry_run), (Mode::Upsert, OnError::Skip, false));
    }

    #[test]
    fn parameters_split_at_the_first_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("=b").is_err());
        assert!(pair("a").is_err());
    }

    #[test]
    fn wrong_use_says_what_and_how() {
        let check = |line: &str, json: bool, message: &str, hint: &str| match reading(line) {
            Reading::Wrong { failure, json: found } => {
                assert_eq!(
                    (found, failure.code.as_str(), failure.kind.exit_status()),
                    (json, "wrong-use", 2),
                    "{line}"
                );
                assert!(failure.message.contains(message), "{line}: {failure:?}");
                assert!(failure.hint.contains(hint), "{line}: {failure:?}");
                assert!(!failure.message.contains('\n'), "{line}: {failure:?}");
            }
            other => panic!("{line}: {other:?}"),
        };
        check("statsu --json", true, "'statsu'", "'status'");
        check("import c.csv", false, "--entity", "Usage: ./mytism import");
        check("show 0", false, "9007199254740991", "");
        check("query", false, "OQL", "Usage");
        check("nodes add x --valid 0 --export f", false, "1..=365", "");
        check("query --param a from", false, "a name, =, and a value", "");
        check("undo 17", false, "three numbers, for example 1-1-17", "");
        check("show -- --json", false, "--json", "");
    }

    #[test]
    fn help_is_text() {
        for line in ["", "--help", "import --help", "--version", "--json"] {
            assert!(matches!(reading(line), Reading::Text(_)), "{line}");
        }
    }
}
