//! Reading files of a backup, which may have come from anywhere: only regular files, never more of one than is expected.
//! Nothing else is waited for or filled into memory.

use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// All of a file. Links are followed, since backups are put together by hand too.
///
/// # Errors
/// `InvalidInput` where it is no regular file, `FileTooLarge` where it has more than so many bytes, else what the system
/// says.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    // A pipe that nobody writes to would be waited for when it is opened.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    let too_large = || Error::new(ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes"));
    if found.len() > bytes_max {
        return Err(too_large());
    }
    let mut content = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > bytes_max { Err(too_large()) } else { Ok(content) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_regular_files_of_the_expected_length_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "abc").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zeros")).unwrap();
        mknodat(CWD, path("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let failed = |name: &str, bytes: u64| read(&path(name), bytes).unwrap_err().kind();
        assert_eq!(read(&path("file"), 3).unwrap(), b"abc");
        assert_eq!(read(&path("link"), 3).unwrap(), b"abc");
        assert_eq!(failed("file", 2), ErrorKind::FileTooLarge);
        assert_eq!(failed("zeros", 1 << 20), ErrorKind::InvalidInput);
        assert_eq!(failed("pipe", 1 << 20), ErrorKind::InvalidInput);
        assert_eq!(failed("none", 3), ErrorKind::NotFound);
        assert_eq!(failed(".", 3), ErrorKind::InvalidInput);
    }
}
