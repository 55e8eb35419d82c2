//! From the parts of a backup to files again. Every part is checked before a byte of it is used.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use mytism_core::failure::Failure;
use mytism_format::hash;

use super::manifest::{Manifest, Packed, Part, damaged};
use super::{Phase, Progress, Step, plain, unreadable};
use crate::project::{file_failure, make_directory};

/// A part that says it is larger is refused, so that nobody's memory is filled by a few bytes.
const PART_BYTES_MAX: u64 = 256 << 20;
/// Bytes by which a part may become larger when it is packed.
const PACKED_MORE_MAX: u64 = 1 << 20;

/// Unpacks all files of a backup below a directory. They are on the disk when this returns, their names are not.
///
/// # Errors
/// `backup-damaged` where a part is missing or another one than it was, or that the disk refuses.
pub(super) fn unpack(
    backup: &Path,
    manifest: &Manifest,
    target: &Path,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let total = manifest.unpacked();
    let mut done = 0;
    for file in &manifest.files {
        whole(backup, file, &target.join(&file.path), &mut |bytes| {
            done += bytes;
            progress(Step { phase: Phase::Unpacking, done, total });
        })?;
    }
    Ok(())
}

fn whole(backup: &Path, file: &Packed, path: &Path, done: &mut dyn FnMut(u64)) -> Result<(), Failure> {
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    let failed = |error: std::io::Error| file_failure("write", path, &error);
    let mut written = File::create_new(path).map_err(failed)?;
    let mut bytes = 0;
    for part in &file.parts {
        let content = content(backup, part)?;
        written.write_all(&content).map_err(failed)?;
        bytes += part.unpacked;
        done(part.unpacked);
    }
    if bytes != file.bytes {
        let what = format!("{} has {bytes} bytes in place of {}", file.path, file.bytes);
        return Err(damaged(&what));
    }
    written.sync_all().map_err(failed)
}

/// The content of a part that is what it was.
pub(super) fn content(backup: &Path, part: &Part) -> Result<Vec<u8>, Failure> {
    let wrong = |what: String| damaged(&format!("its part {} {what}", part.file));
    let is_possible = part.unpacked <= PART_BYTES_MAX && part.bytes <= PART_BYTES_MAX + PACKED_MORE_MAX;
    let size = usize::try_from(part.unpacked).ok().filter(|_| is_possible);
    let size = size.ok_or_else(|| wrong("is larger than any part may be".to_owned()))?;
    let path = backup.join(&part.file);
    let packed = plain::read(&path, part.bytes).map_err(|error| match error.kind() {
        ErrorKind::NotFound => wrong("is missing".to_owned()),
        ErrorKind::InvalidInput => wrong("is no regular file".to_owned()),
        ErrorKind::FileTooLarge => wrong("is longer than it was".to_owned()),
        _ => unreadable(&path, &error),
    })?;
    if packed.len() as u64 != part.bytes || hash::chunk(&packed).to_string() != part.hash {
        return Err(wrong("is not what it was".to_owned()));
    }
    let content = zstd::bulk::decompress(&packed, size);
    let content = content.map_err(|error| wrong(format!("cannot be unpacked: {error}")))?;
    if content.len() == size { Ok(content) } else { Err(wrong("has another size than it had".to_owned())) }
}
