//! Which process holds a lock, for messages: the system knows it, so no file has to be kept and can be out of date.
//!
//! Known on Linux alone, and of processes that this one may see; nothing depends on it.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Characters of a command line that are told.
const COMMAND_CHARACTERS_MAX: usize = 200;

/// A process that holds a lock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Holder {
    /// Its id.
    pub(crate) pid: u32,
    /// Its command line; empty where it may not be read.
    pub(crate) command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if self.command.is_empty() { Ok(()) } else { write!(f, " ({})", self.command) }
    }
}

/// Who holds the lock of a file.
pub(crate) fn holder(file: &Path) -> Option<Holder> {
    let metadata = fs::metadata(file).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| pid_in(line, device(metadata.dev()), metadata.ino()))?;
    let command = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).unwrap_or_default();
    Some(Holder { pid, command: words(&command) })
}

/// Major and minor number, as the C library keeps them in one.
const fn device(number: u64) -> (u64, u64) {
    let major = ((number >> 8) & 0xfff) | ((number >> 32) & 0xffff_f000);
    let minor = (number & 0xff) | ((number >> 12) & 0xffff_ff00);
    (major, minor)
}

/// The process in a line of `/proc/locks`, where that is about the file: `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`.
fn pid_in(line: &str, device: (u64, u64), inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let pid = words.nth(2)?.parse().ok().filter(|pid| *pid > 0)?;
    let mut file = words.next()?.split(':');
    let mut number = |radix: u32| u64::from_str_radix(file.next()?, radix).ok();
    let found = (number(16)?, number(16)?, number(10)?);
    (found == (device.0, device.1, inode)).then_some(pid)
}

/// A command line as one would type it, but for quotes.
fn words(command: &[u8]) -> String {
    let text = String::from_utf8_lossy(command);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    match text.char_indices().nth(COMMAND_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_system_are_understood() {
        let check = |line: &str, expected: Option<u32>| assert_eq!(pid_in(line, (0xfe, 1), 1234), expected, "{line}");
        check("1: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF", Some(4711));
        check("12: FLOCK  ADVISORY  WRITE 4711 fe:01:1235 0 EOF", None);
        check("1: FLOCK  ADVISORY  WRITE 4711 fe:02:1234 0 EOF", None);
        check("1: POSIX  ADVISORY  WRITE 4711 fe:01:1234 0 EOF", None);
        check("1: FLOCK  ADVISORY  WRITE 0 fe:01:1234 0 EOF", None);
        check("1: -> FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF", None);
        check("nonsense", None);
        assert_eq!(device(0xfe01), (0xfe, 1));
        assert_eq!(device(0x0010_0002), (0x0, 0x102));
    }

    #[test]
    fn who_holds_a_lock_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let file = fs::File::create(&path).unwrap();
        assert_eq!(holder(&path), None);
        file.try_lock().unwrap();
        let found = holder(&path);
        // Where the system does not tell, nobody is named.
        if fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.contains(&format!(" {} ", std::process::id()))) {
            let found = found.unwrap();
            assert_eq!(found.pid, std::process::id());
            assert!(found.to_string().starts_with(&format!("process {} (", found.pid)), "{found}");
        }
    }

    #[test]
    fn command_lines_are_shown_in_short() {
        assert_eq!(words(b"mytism\0start\0"), "mytism start");
        assert_eq!(words(&b"x".repeat(300)), format!("{}…", "x".repeat(200)));
        assert_eq!(words(b""), "");
    }
}
