//! The socket in the project directory: who gets in, what a crash leaves behind, and paths that are too long.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mytism_format::envelope;
use mytism_transport::FrameStream;
use mytism_transport::local::{self, LocalError, SOCKET_PATH_BYTES_MAX, socket_path};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn message(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    envelope::write(&mut out, 0x0301, 1, 0, body).unwrap();
    out
}

#[tokio::test]
async fn envelopes_pass_in_both_directions() {
    let project = tempfile::tempdir().unwrap();
    let path = socket_path(project.path());
    let listener = local::bind(&path).await.unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let (client, server) = tokio::join!(local::connect(&path), listener.accept());
    let (mut client, mut server) = (FrameStream::from(client.unwrap()), FrameStream::from(server.unwrap()));
    client.writer().send(&message(b"question")).await.unwrap();
    assert_eq!(server.reader().next().await.unwrap(), Some(message(b"question")));
    server.writer().send(&message(&[7; 10_000])).await.unwrap();
    assert_eq!(client.reader().next().await.unwrap(), Some(message(&[7; 10_000])));
    drop(server);
    assert!(matches!(client.reader().next().await, Ok(None)));
}

#[tokio::test]
async fn a_running_node_keeps_its_socket_and_a_dead_one_does_not() {
    let project = tempfile::tempdir().unwrap();
    let path = socket_path(project.path());
    let listener = local::bind(&path).await.unwrap();
    assert!(matches!(local::bind(&path).await, Err(LocalError::InUse { .. })));
    local::connect(&path).await.unwrap();
    drop(listener);
    assert!(!path.exists());
    assert!(matches!(local::connect(&path).await, Err(LocalError::Nobody { .. })));
    assert!(matches!(local::connect_blocking(&path), Err(LocalError::Nobody { .. })));

    // As a crash leaves it: the file is there and nobody listens.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(local::connect(&path).await, Err(LocalError::Nobody { .. })));
    let _listener = local::bind(&path).await.unwrap();
    local::connect(&path).await.unwrap();
    local::connect_blocking(&path).unwrap();
}

#[tokio::test]
async fn the_file_of_a_successor_is_not_removed() {
    let project = tempfile::tempdir().unwrap();
    let path = project.path().join("socket");
    let first = local::bind(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _second = local::bind(&path).await.unwrap();
    drop(first);
    local::connect(&path).await.unwrap();
}

#[tokio::test]
async fn other_files_are_left_alone() {
    let project = tempfile::tempdir().unwrap();
    let path = project.path().join("socket");
    fs::write(&path, "content").unwrap();
    assert!(matches!(local::bind(&path).await, Err(LocalError::NoSocket { .. })));
    assert!(matches!(local::connect(&path).await, Err(LocalError::NoSocket { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"content");
}

#[tokio::test]
async fn a_directory_that_others_could_have_made_must_be_closed() {
    let everybodys = tempfile::tempdir().unwrap();
    set_mode(everybodys.path(), 0o1777);
    let directory = everybodys.path().join("ours");
    let path = directory.join("socket");
    drop(local::bind(&path).await.unwrap());
    set_mode(&directory, 0o770);
    assert!(matches!(local::bind(&path).await, Err(LocalError::Foreign { .. })));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(matches!(local::connect(&path).await, Err(LocalError::Foreign { .. })));
    assert!(matches!(local::connect_blocking(&path), Err(LocalError::Foreign { .. })));
}

#[tokio::test]
async fn long_paths_get_a_short_one_and_are_refused_elsewhere() {
    let parent = tempfile::tempdir().unwrap();
    let parent = fs::canonicalize(parent.path()).unwrap();
    let room = SOCKET_PATH_BYTES_MAX - parent.as_os_str().len() - "//run/socket".len();
    let project = |letter: &str, length: usize| {
        let path = parent.join(letter.repeat(length));
        fs::create_dir_all(&path).unwrap();
        path
    };
    let fits = project("a", room);
    assert_eq!(socket_path(&fits), fits.join("run/socket"));
    let long = project("a", room + 1);
    let short = socket_path(&long);
    assert!(short.starts_with(std::env::temp_dir()), "{}", short.display());
    assert_eq!(short, socket_path(&long.join("../").join(long.file_name().unwrap())));
    assert_ne!(short, socket_path(&project("b", room + 1)));

    let listener = local::bind(&short).await.unwrap();
    assert_eq!(mode(short.parent().unwrap()), 0o700);
    local::connect(&short).await.unwrap();
    drop(listener);
    fs::remove_dir(short.parent().unwrap()).unwrap();

    let inside = long.join("run/socket");
    assert!(matches!(local::bind(&inside).await, Err(LocalError::TooLong { length: 101, .. })));
    assert!(matches!(local::connect(&inside).await, Err(LocalError::TooLong { length: 101, .. })));
}

#[test]
fn a_linked_project_has_one_socket() {
    let parent = tempfile::tempdir().unwrap();
    let project = parent.path().join("project");
    let link: PathBuf = parent.path().join("link");
    fs::create_dir(&project).unwrap();
    std::os::unix::fs::symlink(&project, &link).unwrap();
    assert_eq!(socket_path(&link), socket_path(&project));
}
