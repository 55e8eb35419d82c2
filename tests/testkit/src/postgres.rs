//! A PostgreSQL server of its own: made in a directory that goes with it, run by a user without rights, stopped and
//! killed at will, and gone when the test program ends, however it ends.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// Where distributions put its programs, the newest first.
const PLACES: [&str; 7] = [
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
    "/usr/lib/postgresql/14/bin",
    "/usr/lib/postgresql/13/bin",
    "/usr/pgsql-16/bin",
    "/usr/local/pgsql/bin",
];
/// Of its socket, in a directory of its own.
const PORT: u16 = 5432;
/// The user that all statements run as.
const USER: &str = "test";

/// A server.
pub struct PostgresServer {
    programs: PathBuf,
    user: Option<(u32, u32)>,
    directory: PathBuf,
    databases: AtomicU32,
    /// Stops the server and takes its directory away as soon as this process has ended.
    watchdog: Child,
}

impl PostgresServer {
    /// The programs of an installation, if there is one.
    #[must_use]
    pub fn installed() -> Option<PathBuf> {
        PLACES.iter().map(PathBuf::from).find(|place| place.join("initdb").exists())
    }

    /// The server that all tests of a program share. `None` where PostgreSQL is not installed, which is said; it is an
    /// error where the environment has `CI` or `MYTISM_NEEDS_POSTGRES`.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<PostgresServer>> = OnceLock::new();
        SHARED.get_or_init(Self::start_new).as_ref()
    }

    /// A server for one test, which may stop and kill it.
    #[must_use]
    pub fn start_new() -> Option<Self> {
        let Some(programs) = Self::installed() else {
            let needed = ["CI", "MYTISM_NEEDS_POSTGRES"].iter().any(|name| std::env::var_os(name).is_some());
            assert!(!needed, "PostgreSQL is not installed, and this run needs it");
            eprintln!("PostgreSQL is not installed: what needs it is left out");
            return None;
        };
        let directory = tempfile::Builder::new().prefix("pg").tempdir().map(TempDir::keep).expect("a directory");
        let is_root = fs::metadata(&directory).expect("a directory").uid() == 0;
        let user = is_root.then(ordinary_user);
        if let Some((user, group)) = user {
            chown(&directory, Some(user), Some(group)).expect("the directory can be given away");
        }
        let script = "read -r line; \"$1/pg_ctl\" --mode=immediate --pgdata=\"$2/data\" stop; rm -rf -- \"$2\"";
        let mut watchdog = as_user(&programs, user, "sh");
        watchdog.args(["-c", script, "sh"]).arg(&programs).arg(&directory);
        // In a group of its own, an interrupt of the test program does not reach it.
        let watchdog = watchdog.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let watchdog = watchdog.spawn().expect("a shell");
        let server = Self { programs, user, directory, databases: AtomicU32::new(0), watchdog };
        let mut make = server.command("initdb");
        make.args(["--auth=trust", "--encoding=UTF8", "--no-sync", "--no-locale", "--username", USER, "--pgdata"]);
        server.run(make.arg(server.data()));
        server.start();
        Some(server)
    }

    /// Another server with a copy of the data of this one, which is stopped meanwhile: as it was, at a later time.
    #[must_use]
    pub fn copied(&self) -> PathBuf {
        let copy = self.directory.join("copy");
        self.stop();
        self.run(as_user(&self.programs, self.user, "cp").arg("-a").arg(self.data()).arg(&copy));
        self.start();
        copy
    }

    /// Puts a copy of the data in the place of what is there, as a failover to it would.
    pub fn fall_back_to(&self, copy: &Path) {
        self.kill();
        fs::remove_dir_all(self.data()).expect("the data can be removed");
        fs::rename(copy, self.data()).expect("the copy can be moved");
        self.start();
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Starts it; it must not run.
    pub fn start(&self) {
        // What a commit must survive here is the end of the server, not that of the machine.
        let settings = format!(
            "-p {PORT} -c listen_addresses= -c unix_socket_directories={} -c fsync=off -c max_connections=60 \
             -c shared_buffers=64MB",
            self.directory.display()
        );
        let mut start = self.command("pg_ctl");
        start.arg("--log").arg(self.directory.join("log")).args(["--wait", "--options", &settings, "--pgdata"]);
        self.run(start.arg(self.data()).arg("start").stdout(Stdio::null()).stderr(Stdio::null()));
    }

    /// Shuts it down in order; whoever is connected is cut off.
    pub fn stop(&self) {
        let mut stop = self.command("pg_ctl");
        self.run(stop.args(["--wait", "--mode=fast", "--pgdata"]).arg(self.data()).arg("stop"));
    }

    /// Kills it and all that belongs to it, as when the machine dies.
    pub fn kill(&self) {
        let file = self.data().join("postmaster.pid");
        let text = fs::read_to_string(&file).expect("the server runs");
        let main = text.lines().next().expect("a process").to_owned();
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap_or_default();
        let all: Vec<&str> = [main.as_str()].into_iter().chain(children.split_whitespace()).collect();
        // Some may be gone before their turn.
        let _killed = Command::new("kill").arg("-KILL").args(&all).stderr(Stdio::null()).status();
        super::wait_until("the server is dead", super::PATIENCE, || {
            let is_gone = |id: &&str| {
                let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
                state.is_empty() || state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
            };
            all.iter().all(is_gone)
        });
        // Where nobody takes note of the dead process, its number still looks like one that runs.
        let socket = format!(".s.PGSQL.{PORT}");
        for left in [file, self.directory.join(format!("{socket}.lock")), self.directory.join(socket)] {
            fs::remove_file(left).expect("what a dead server left can be removed");
        }
    }

    /// An empty database of its own, as its address.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        self.address(&name)
    }

    /// The address of a database.
    #[must_use]
    pub fn address(&self, name: &str) -> String {
        format!("postgresql:///{name}?host={}&port={PORT}&user={USER}", self.directory.display())
    }

    /// Carries out a statement in the database of an address or of a name; what it says.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let name = database.strip_prefix("postgresql:///").map_or(database, |rest| rest.split('?').next().unwrap());
        let mut ask = self.command("psql");
        ask.arg("--host").arg(&self.directory);
        ask.args(["--port", &PORT.to_string(), "--username", USER, "--dbname", name, "--no-psqlrc", "-qAt", "-c"]);
        self.run(ask.arg(statement))
    }

    fn command(&self, program: &str) -> Command {
        as_user(&self.programs, self.user, program)
    }

    fn run(&self, command: &mut Command) -> String {
        let done = command.output().expect("a program of PostgreSQL");
        let log = || fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{command:?}: {said}\n{}", log());
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // It reads the end of its input and does the rest.
        drop(self.watchdog.stdin.take());
        let _ended = self.watchdog.wait();
    }
}

/// A program of the installation, or another one, as a user without rights.
fn as_user(programs: &Path, user: Option<(u32, u32)>, program: &str) -> Command {
    let ours = programs.join(program);
    let mut command = Command::new(if ours.exists() { ours.as_path() } else { Path::new(program) });
    command.current_dir("/").stdin(Stdio::null()).env("LC_ALL", "C");
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}

/// The user and group of the installation, else those of nobody: the server does not run as root.
fn ordinary_user() -> (u32, u32) {
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = known.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let mut fields = line.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody")).expect("a user but root to run the server as")
}
