//! What a measurement needs of the machine: a directory, the pace of its disk, the memory of this process. Knows no
//! node.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;

/// A directory that is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes a new directory in `parent`.
    pub(super) fn new(parent: &Path) -> Result<Self, Failure> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("mytism-bench-{}-{count}", std::process::id()));
        fs::create_dir(&path).map_err(|error| disk_failure("make", &path, &error))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in it.
    pub(super) fn child(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(name);
        fs::create_dir(&path).map_err(|error| disk_failure("make", &path, &error))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed stays, under a name that says what it was.
        let _left = fs::remove_dir_all(&self.path);
    }
}

/// How often in a second 4 KiB more of a file can be made durable in a directory. A busy disk shows here, and so does one
/// that does not really write.
pub(super) fn fdatasync_per_s(directory: &Path) -> Result<f64, Failure> {
    const TIME: Duration = Duration::from_millis(500);
    let path = directory.join("fdatasync");
    let failure = |error| disk_failure("write", &path, &error);
    let mut file = File::create(&path).map_err(failure)?;
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < TIME {
        file.write_all(&[0x5a; 4096]).and_then(|()| file.sync_data()).map_err(failure)?;
        count += 1;
    }
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    fs::remove_file(&path).map_err(failure)?;
    Ok(rate)
}

fn disk_failure(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed("file-error", format!("cannot {action} {}: {error}", path.display()))
        .hint("choose another directory with --dir")
}

/// The kind of file system that a directory is on; `None` where the system does not say.
pub(super) fn file_system(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    kind_of_mount(&fs::read_to_string("/proc/self/mounts").ok()?, &directory)
}

/// The kind in the line with the longest mount point above the directory; of two equal ones the later lies on top.
fn kind_of_mount(mounts: &str, directory: &Path) -> Option<String> {
    let parts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        // The system writes blanks in names as octal numbers.
        Some((words.next()?.replace("\\040", " "), words.next()?))
    });
    let above = parts.filter(|(point, _)| directory.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}

/// Memory of this process that is no file, in bytes; `None` where the system does not say.
fn resident() -> Option<u64> {
    rss_anon(&fs::read_to_string("/proc/self/status").ok()?)
}

/// The same of another process.
pub(super) fn resident_of(pid: u32) -> Option<u64> {
    rss_anon(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn rss_anon(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Does some work and looks every 20 ms how much memory this process holds meanwhile; returns the most, in bytes.
pub(super) fn with_memory<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut most = resident();
            while !done.load(Ordering::Acquire) {
                std::thread::park_timeout(Duration::from_millis(20));
                most = most.max(resident());
            }
            most
        });
        let result = work();
        done.store(true, Ordering::Release);
        sampler.thread().unpark();
        (result, sampler.join().ok().flatten())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /data tmpfs rw 0 0\n/dev/b /data/a\\040b xfs rw 0 0\n\
                      /dev/c /data/twice ext4 rw 0 0\n/dev/d /data/twice btrfs rw 0 0\nbroken\n";
        let check = |directory: &str, expected: Option<&str>| {
            assert_eq!(kind_of_mount(mounts, Path::new(directory)).as_deref(), expected, "{directory}");
        };
        check("/home/x", Some("ext4"));
        check("/data", Some("tmpfs"));
        check("/datafoo", Some("ext4"));
        check("/data/a b/c", Some("xfs"));
        check("/data/twice", Some("btrfs"));
        check("relative", None);
    }

    #[test]
    fn memory_is_read_in_kilobytes() {
        assert_eq!(rss_anon("Name:\tx\nVmRSS:\t 9 kB\nRssAnon:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(rss_anon("Name:\tx\n"), None);
        assert_eq!(rss_anon("RssAnon:\tmuch\n"), None);
    }

    #[test]
    fn memory_that_is_given_back_was_seen() {
        if resident().is_none() {
            return;
        }
        let (sum, most) = with_memory(|| {
            let block = vec![1_u8; 64 << 20];
            std::thread::sleep(Duration::from_millis(200));
            block.iter().map(|byte| u64::from(*byte)).sum::<u64>()
        });
        assert_eq!(sum, 64 << 20);
        assert!(most.unwrap() >= 64 << 20, "{most:?}");
    }

    #[test]
    fn scratch_directories_go_with_all_in_them() {
        let parent = tempfile::tempdir().unwrap();
        let (one, two) = (Scratch::new(parent.path()).unwrap(), Scratch::new(parent.path()).unwrap());
        fs::write(one.child("a").unwrap().join("b"), "c").unwrap();
        assert!(fdatasync_per_s(two.path()).unwrap() > 0.0);
        assert_eq!(fs::read_dir(two.path()).unwrap().count(), 0);
        drop((one, two));
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        assert_eq!(Scratch::new(&parent.path().join("missing")).unwrap_err().code, "file-error");
    }
}
