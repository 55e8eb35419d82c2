//! PostgreSQL beside a node: two clusters of its own, one of which follows the other by logical replication. Knows no
//! node.
//!
//! Everything goes through the programs of the installation. Where there is none, there is nothing to measure against.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_store::bench::postgres as statement;

/// Where distributions put it, the newest first.
const PLACES: [&str; 5] = [
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/pgsql-16/bin",
    "/usr/local/pgsql/bin",
];
/// Of their sockets, in a directory of their own.
const FROM: u16 = 5501;
const TO: u16 = 5502;
/// And of one that stands alone.
const SINGLE: u16 = 5503;
/// How long replication may take to come to the end.
const PATIENCE: Duration = Duration::from_secs(600);
/// Two clusters, of which the second one follows the first.
pub(super) struct Pair {
    from: Cluster,
    to: Cluster,
    directory: PathBuf,
}

/// A server with a database for a node.
pub(super) struct Single(Cluster);

/// One server. Stopped when it is dropped.
struct Cluster {
    programs: PathBuf,
    user: Option<(u32, u32)>,
    data: PathBuf,
    sockets: PathBuf,
}

/// The programs of an installation, if there is one.
pub(super) fn installed() -> Option<PathBuf> {
    PLACES.iter().map(PathBuf::from).find(|place| place.join("initdb").exists())
}

fn failed(step: &str, said: &str) -> Failure {
    Failure::failed("bench-postgres", format!("PostgreSQL cannot {step}: {}", said.trim()))
        .hint("name a measurement without it, or mend the installation")
}

impl Single {
    /// Makes and starts it in a directory that must not be there.
    pub(super) fn start(programs: &Path, directory: PathBuf) -> Result<Self, Failure> {
        let user = given_away(&directory)?;
        let (data, sockets) = (directory.join("data"), directory);
        let cluster = Cluster { programs: programs.to_owned(), user, data, sockets };
        cluster.start(SINGLE)?;
        Ok(Self(cluster))
    }

    /// The address of its database.
    pub(super) fn address(&self) -> String {
        format!("postgresql:///postgres?host={}&port={SINGLE}&user=bench", self.0.sockets.display())
    }

    /// Lets it look at its tables, as it does by itself after a while.
    pub(super) fn settle(&self) -> Result<(), Failure> {
        self.0.sql(SINGLE, &["VACUUM ANALYZE", "CHECKPOINT"]).map(drop)
    }
}

impl Drop for Single {
    fn drop(&mut self) {
        self.0.stop();
        let _left = fs::remove_dir_all(&self.0.sockets);
    }
}

/// Makes a directory for the user that the server runs as, since it does not run as root. Gives that user.
fn given_away(directory: &Path) -> Result<Option<(u32, u32)>, Failure> {
    let cannot = |error: std::io::Error| failed("be given a directory", &error.to_string());
    fs::create_dir(directory).map_err(cannot)?;
    let is_root = fs::metadata(directory).map_err(cannot)?.uid() == 0;
    let user = if is_root { Some(ordinary_user()?) } else { None };
    if let Some((user, group)) = user {
        chown(directory, Some(user), Some(group)).map_err(cannot)?;
    }
    Ok(user)
}

impl Pair {
    /// Makes and starts both in a directory that must not be there.
    pub(super) fn start(programs: &Path, directory: PathBuf) -> Result<Self, Failure> {
        let user = given_away(&directory)?;
        let cluster = |name: &str| {
            let (data, sockets) = (directory.join(name), directory.clone());
            Cluster { programs: programs.to_owned(), user, data, sockets }
        };
        let pair = Self { from: cluster("from"), to: cluster("to"), directory };
        pair.from.start(FROM)?;
        pair.to.start(TO)?;
        pair.from.sql(FROM, &[statement::TABLE])?;
        pair.from.sql(FROM, &[statement::PUBLISH])?;
        pair.to.sql(TO, &[statement::TABLE])?;
        pair.to.sql(TO, &[statement::ARRIVED])?;
        let line = format!("host={} port={FROM} dbname=postgres user=bench", pair.directory.display());
        pair.to.sql(TO, &[&statement::follow(&line)])?;
        Ok(pair)
    }

    /// How long the second one takes to catch up with so many transactions of one row each.
    pub(super) fn catch_up(&self, transactions: u64) -> Result<Duration, Failure> {
        let [rest, go_on] = statement::REST;
        self.to.sql(TO, &[rest])?;
        self.from.sql(FROM, &[statement::UNSURE, &statement::make(transactions, 0.0)])?;
        let began = Instant::now();
        self.to.sql(TO, &[go_on])?;
        self.wait_for(transactions)?;
        Ok(began.elapsed())
    }

    /// Fills the first one with so many customers, which the second one has not subscribed to.
    pub(super) fn fill_customers(&self, rows: u64) -> Result<(), Failure> {
        self.from.sql(FROM, &[statement::CUSTOMERS])?;
        self.to.sql(TO, &[statement::CUSTOMERS])?;
        self.from.sql(FROM, &[&statement::make_customers(rows)])?;
        self.from.sql(FROM, &[statement::PUBLISH_CUSTOMERS])?;
        // Like the node's, its rows have been written some time ago.
        self.from.sql(FROM, &["CHECKPOINT"]).map(drop)
    }

    /// How long the second one takes to get all customers and be ready to follow. It has none afterwards.
    pub(super) fn copy_customers(&self) -> Result<Duration, Failure> {
        let line = format!("host={} port={FROM} dbname=postgres user=bench", self.directory.display());
        let began = Instant::now();
        self.to.sql(TO, &[&statement::follow_customers(&line)])?;
        while self.to.sql(TO, &[statement::CUSTOMERS_MISSING])?.trim() != "0" {
            if began.elapsed() > PATIENCE {
                return Err(failed("copy", "it takes too long"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let took = began.elapsed();
        let [rest, empty] = statement::FORGET_CUSTOMERS;
        self.to.sql(TO, &[rest, empty])?;
        Ok(took)
    }

    fn wait_for(&self, last: u64) -> Result<(), Failure> {
        let began = Instant::now();
        loop {
            if self.to.sql(TO, &[statement::LAST])?.trim() == last.to_string() {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(failed("catch up", "it takes too long"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Saves a row every so often, and tells how long the half of them and ninety-nine of a hundred took from one to the
    /// other at most, in milliseconds.
    pub(super) fn lag(&self, rows: u64, pause: Duration) -> Result<(f64, f64), Failure> {
        self.from.sql(FROM, &[&statement::make(rows, pause.as_secs_f64())])?;
        self.wait_for(rows)?;
        let told = self.to.sql(TO, &[statement::LAGS])?;
        let mut numbers = told.trim().split('|').map(|number| number.parse().unwrap_or_default());
        Ok((numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // The follower first, so that nobody waits for it.
        self.to.stop();
        self.from.stop();
        let _left = fs::remove_dir_all(&self.directory);
    }
}

/// The user and group of the installation, else those of nobody.
fn ordinary_user() -> Result<(u32, u32), Failure> {
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = known.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = line.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).ok_or_else(|| failed("run", "there is no user but root to run it as"))
}

impl Cluster {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    fn run(&self, step: &str, command: &mut Command) -> Result<String, Failure> {
        let done = command.output().map_err(|error| failed(step, &error.to_string()))?;
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        Err(failed(step, &String::from_utf8_lossy(&done.stderr)))
    }

    fn start(&self, port: u16) -> Result<(), Failure> {
        let mut make = self.command("initdb");
        make.args(["--auth=trust", "--username=bench", "--encoding=UTF8", "--no-instructions", "--pgdata"])
            .arg(&self.data);
        self.run("make a cluster", &mut make)?;
        let settings = format!(
            "-p {port} -c wal_level=logical -c listen_addresses= -c unix_socket_directories={}",
            self.sockets.display()
        );
        let mut start = self.command("pg_ctl");
        // What it writes later must not keep anybody waiting who reads what this command says.
        start.arg("--log").arg(self.data.with_extension("log")).args(["--wait", "--options", &settings, "--pgdata"]);
        start.arg(&self.data).arg("start").stdout(Stdio::null()).stderr(Stdio::null());
        let started = start.status().map_err(|error| failed("start", &error.to_string()))?;
        if started.success() {
            return Ok(());
        }
        Err(failed("start", &fs::read_to_string(self.data.with_extension("log")).unwrap_or_default()))
    }

    /// Carries out statements, each by itself: some may not stand in a transaction with others.
    fn sql(&self, port: u16, statements: &[&str]) -> Result<String, Failure> {
        let mut ask = self.command("psql");
        ask.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "bench", "-d", "postgres", "-p"]);
        ask.arg(port.to_string()).arg("-h").arg(&self.sockets);
        for statement in statements {
            ask.arg("-c").arg(statement);
        }
        self.run("carry out a statement", &mut ask)
    }

    fn stop(&self) {
        let mut stop = self.command("pg_ctl");
        stop.args(["--wait", "--mode=immediate", "--pgdata"]).arg(&self.data).arg("stop");
        // Where it does not run there is nothing to stop.
        let _stopped = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
