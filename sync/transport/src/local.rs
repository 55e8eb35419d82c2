//! The socket by which clients on the same machine reach a node.
//!
//! Who may use it is decided by the permissions of its file alone: only the node's own user (and root). It says
//! nothing of what is talked about.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// Bytes of a path that every system takes for a socket (Linux takes 107, others 103), with room for the name under
/// which it is made.
pub const SOCKET_PATH_BYTES_MAX: usize = 100;
/// How long a connection may take to come about.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Permission bit: everybody may write.
const WRITABLE_BY_ALL: u32 = 0o002;
/// Permission bits: others than the owner may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// Permission bits that let group and others in.
const OPEN_TO_OTHERS: u32 = 0o077;
/// Bytes of the hash in the name of a directory.
const NAME_HASH_BYTES: usize = 8;

/// Why there is no local socket, or no connection to it.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// No system takes it.
    #[error("the path of the local socket is {length} bytes long, more than {SOCKET_PATH_BYTES_MAX}: {}; choose a shorter one", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// A node answers there.
    #[error("a node is running already: it answers at {}", path.display())]
    InUse {
        /// Of the socket.
        path: PathBuf,
    },
    /// Something else has the name.
    #[error("{} is no socket: move it away", path.display())]
    NoSocket {
        /// Of the file.
        path: PathBuf,
    },
    /// Others could put a socket of their own there.
    #[error("the directory {} of the local socket is another user's or open to others: remove it", path.display())]
    Foreign {
        /// Of the directory.
        path: PathBuf,
    },
    /// No node is running there.
    #[error("no node answers at {}", path.display())]
    Nobody {
        /// Of the socket.
        path: PathBuf,
    },
    /// The operating system refused a step.
    #[error("cannot {step} {}: {cause}", path.display())]
    Io {
        /// What was tried, as a verb.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
}

/// Where the socket of a project is: `run/socket` within it, or, where that path would be too long, a directory among
/// the temporary files whose name follows from the project's path and owner. Node and clients get the same one,
/// however the project directory is written and linked, as long as they agree on `TMPDIR`.
#[must_use]
pub fn socket_path(project: &Path) -> PathBuf {
    let absolute = fs::canonicalize(project).or_else(|_| std::path::absolute(project));
    let project = absolute.unwrap_or_else(|_| project.to_owned());
    let inside = project.join("run").join("socket");
    if inside.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return inside;
    }
    let hash = digest(&SHA256, project.as_os_str().as_encoded_bytes());
    let digits: String = hash.as_ref().iter().take(NAME_HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let owner = fs::metadata(&project).map_or(0, |metadata| metadata.uid());
    std::env::temp_dir().join(format!("mytism-{owner}-{digits}")).join("socket")
}

/// A socket that clients connect to. The file goes with it.
#[derive(Debug)]
pub struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
    /// Which file it is, so that no other's is removed.
    file: (u64, u64),
}

impl LocalListener {
    /// The next client. May be dropped at any time.
    ///
    /// # Errors
    /// Where the process or system has no room for a further connection; that passes, so wait a moment and go on.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, so that nobody new finds it. Who has connected already can still be accepted.
    pub fn retire(&self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file) {
            // A socket that is left behind does no harm: it counts as stale.
            let _removed = fs::remove_file(&self.path);
        }
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        self.retire();
    }
}

/// Makes the socket, for the own user alone (mode 0600), in the place of one that nobody answers at any longer. The
/// directory is made (mode 0700) where it is missing. Must be called within a tokio runtime, and by one process at a
/// time (the lock of the project sees to that).
///
/// # Errors
/// Where a node answers there already, or the place is not safe or cannot be had.
pub async fn bind(path: &Path) -> Result<LocalListener, LocalError> {
    check_length(path)?;
    make_directory(path)?;
    match connect(path).await {
        Ok(_) => return Err(LocalError::InUse { path: path.to_owned() }),
        Err(LocalError::Nobody { .. }) => {}
        Err(other) => return Err(other),
    }
    // Made under another name and renamed, so that it has its permissions before anybody can find it.
    let temporary = path.with_extension("n");
    match fs::remove_file(&temporary) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            return Err(io_error("remove", &temporary)(cause));
        }
        _ => {}
    }
    let listener = UnixListener::bind(&temporary).map_err(io_error("create the socket", &temporary))?;
    let file = publish(&temporary, path).inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    Ok(LocalListener { listener, path: path.to_owned(), file })
}

/// Closes a new socket to others and gives it its name; returns which file it is.
fn publish(temporary: &Path, path: &Path) -> Result<(u64, u64), LocalError> {
    fs::set_permissions(temporary, Permissions::from_mode(0o600)).map_err(io_error("close to others", temporary))?;
    let made = fs::symlink_metadata(temporary).map_err(io_error("look at", temporary))?;
    check_directory(path, Some(made.uid()))?;
    fs::rename(temporary, path).map_err(io_error("create the socket", path))?;
    Ok((made.dev(), made.ino()))
}

/// Connects to the socket of a node on this machine.
///
/// # Errors
/// [`LocalError::Nobody`] where no node is running there; others where the place is not safe or cannot be reached.
pub async fn connect(path: &Path) -> Result<UnixStream, LocalError> {
    check_before_connect(path)?;
    match timeout(CONNECT_DEADLINE, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(connect_error(path, error)),
        Err(_) => Err(connect_error(path, io::ErrorKind::TimedOut.into())),
    }
}

/// As [`connect`], for callers without a runtime; blocks.
///
/// # Errors
/// As for `connect`.
pub fn connect_blocking(path: &Path) -> Result<std::os::unix::net::UnixStream, LocalError> {
    check_before_connect(path)?;
    // The call has no deadline of its own and waits where a node that hangs has too many clients waiting. The thread
    // is left behind then; it ends when the node goes on or goes.
    let (done, wait) = std::sync::mpsc::channel();
    let target = path.to_owned();
    std::thread::Builder::new()
        .name("connect".to_owned())
        .spawn(move || done.send(std::os::unix::net::UnixStream::connect(target)))
        .map_err(io_error("start a thread to connect to", path))?;
    match wait.recv_timeout(CONNECT_DEADLINE) {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(connect_error(path, error)),
        Err(_) => Err(connect_error(path, io::ErrorKind::TimedOut.into())),
    }
}

fn check_before_connect(path: &Path) -> Result<(), LocalError> {
    check_length(path)?;
    let metadata = fs::symlink_metadata(path).map_err(|error| connect_error(path, error))?;
    if !metadata.file_type().is_socket() {
        return Err(LocalError::NoSocket { path: path.to_owned() });
    }
    check_directory(path, own_user())
}

fn check_length(path: &Path) -> Result<(), LocalError> {
    match path.as_os_str().len() {
        length if length > SOCKET_PATH_BYTES_MAX => Err(LocalError::TooLong { path: path.to_owned(), length }),
        _ => Ok(()),
    }
}

fn make_directory(path: &Path) -> Result<(), LocalError> {
    let directory = directory_of(path);
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(io_error("create", directory)(cause)),
        _ => Ok(()),
    }
}

/// Where everybody may make directories, only one's own is safe. Where it is not known who one is, it must let nobody
/// else in: then the system keeps from a stranger's.
fn check_directory(path: &Path, user: Option<u32>) -> Result<(), LocalError> {
    let directory = directory_of(path);
    let above = fs::metadata(directory_of(directory)).map_err(io_error("look at", directory))?;
    if above.mode() & WRITABLE_BY_ALL == 0 {
        return Ok(());
    }
    let own = fs::symlink_metadata(directory).map_err(io_error("look at", directory))?;
    let safe = match user {
        Some(user) => own.uid() == user && own.mode() & WRITABLE_BY_OTHERS == 0,
        None => own.mode() & OPEN_TO_OTHERS == 0,
    };
    if own.is_dir() && safe { Ok(()) } else { Err(LocalError::Foreign { path: directory.to_owned() }) }
}

/// The user of this process, where the system tells without unsafe code.
fn own_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|metadata| metadata.uid())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn connect_error(path: &Path, cause: io::Error) -> LocalError {
    match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => LocalError::Nobody { path: path.to_owned() },
        _ => LocalError::Io { step: "connect to", path: path.to_owned(), cause },
    }
}

fn io_error(step: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LocalError {
    let path = path.to_owned();
    move |cause| LocalError::Io { step, path, cause }
}
