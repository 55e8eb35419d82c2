//! Clients bring and fetch contents in parts, one request each: what is under way between two parts waits here, so that
//! no part begins from the start.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mytism_core::blob::Blob;
use mytism_core::failure::Failure;
use mytism_core::id::Hash;
use mytism_core::operation::Reply;
use mytism_vault::{Reader, Vault, VaultError, Writer};

use super::failure;

/// Uploads and readers that may wait at once.
const WAITING: usize = 64;
/// Bytes of one part at most.
const PART_BYTES_MAX: usize = 4 << 20;
/// What nobody went on with for so long is given up.
const IDLE: Duration = Duration::from_secs(600);

/// See the module.
pub(super) struct Desk {
    vault: Vault,
    uploads: Mutex<Uploads>,
    readers: Mutex<HashMap<Hash, (Reader, Instant)>>,
}

#[derive(Default)]
struct Uploads {
    last: u64,
    waiting: HashMap<u64, (Writer, Instant)>,
}

impl Desk {
    pub(super) fn new(vault: Vault) -> Self {
        Self { vault, uploads: Mutex::default(), readers: Mutex::default() }
    }

    /// Takes a part of an upload; without a number it is the first of a new one.
    pub(super) fn put(&self, upload: Option<u64>, data: &[u8], end: bool) -> Result<Reply, Failure> {
        if data.len() > PART_BYTES_MAX {
            let message = format!("a part of a file has {} bytes, at most {PART_BYTES_MAX} are taken", data.len());
            return Err(Failure::usage("request-invalid", message));
        }
        let (upload, mut writer) = match upload {
            None => (self.begin()?, self.vault.writer()),
            Some(upload) => {
                let (writer, _) = self.uploads().waiting.remove(&upload).ok_or_else(|| unknown(upload))?;
                (upload, writer)
            }
        };
        // Where this fails the upload is gone: nobody knows how much of the part was taken.
        writer.write(data).map_err(|error| failure(&error))?;
        if end {
            let (hash, bytes) = writer.finish().map_err(|error| failure(&error))?;
            return Ok(Reply::ContentPut { upload, bytes, hash: Some(hash) });
        }
        let bytes = writer.bytes();
        self.uploads().waiting.insert(upload, (writer, Instant::now()));
        Ok(Reply::ContentPut { upload, bytes, hash: None })
    }

    fn begin(&self) -> Result<u64, Failure> {
        let mut uploads = self.uploads();
        uploads.waiting.retain(|_, (_, used)| used.elapsed() < IDLE);
        if uploads.waiting.len() >= WAITING {
            let message = format!("{WAITING} files are being taken in already");
            return Err(Failure::failed("too-many-uploads", message).hint("try again when some of them are done"));
        }
        uploads.last += 1;
        Ok(uploads.last)
    }

    /// The bytes of a content from a place on, as many as are at hand; nothing at its end.
    pub(super) fn get(&self, blob: &Blob, from: u64) -> Result<Vec<u8>, VaultError> {
        let content = blob.hash();
        let waiting =
            self.readers().remove(&content).map(|(reader, _)| reader).filter(|reader| reader.position() == from);
        let mut reader = match waiting {
            Some(reader) => reader,
            None => {
                let mut reader = self.vault.reader(content)?;
                reader.seek(from)?;
                reader
            }
        };
        let Some(bytes) = reader.next_part()?.map(<[u8]>::to_vec) else { return Ok(Vec::new()) };
        let mut readers = self.readers();
        readers.retain(|_, (_, used)| used.elapsed() < IDLE);
        if readers.len() < WAITING {
            readers.insert(content, (reader, Instant::now()));
        }
        Ok(bytes)
    }

    fn uploads(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<Hash, (Reader, Instant)>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unknown(upload: u64) -> Failure {
    let message = format!("there is no upload {upload}: it failed, has ended, or waited for longer than ten minutes");
    Failure::refused("unknown-upload", message).hint("begin it anew")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(desk: &Desk, upload: Option<u64>, data: &[u8], end: bool) -> (u64, Option<Hash>) {
        match desk.put(upload, data, end) {
            Ok(Reply::ContentPut { upload, hash, .. }) => (upload, hash),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parts_of_uploads_that_cross_stay_apart() {
        let root = tempfile::tempdir().unwrap();
        let desk = Desk::new(Vault::open(root.path()).unwrap());
        let (first, _) = put(&desk, None, b"one ", false);
        let (second, _) = put(&desk, None, b"two ", false);
        let (_, one) = put(&desk, Some(first), b"file", true);
        let (_, two) = put(&desk, Some(second), b"file", true);
        assert_eq!(one, Some(mytism_vault::hash_of(b"one file")));
        let two = Blob::new(two.unwrap(), 8, "a", "text/plain").unwrap();
        assert_eq!(desk.get(&two, 0).unwrap(), b"two file");
        assert_eq!(desk.get(&two, 4).unwrap(), b"file");
        assert_eq!(desk.get(&two, 8).unwrap(), b"");
    }

    #[test]
    fn an_upload_that_nobody_knows_is_refused_and_not_any_number_waits() {
        let root = tempfile::tempdir().unwrap();
        let desk = Desk::new(Vault::open(root.path()).unwrap());
        let code = |result: Result<Reply, Failure>| result.unwrap_err().code;
        assert_eq!(code(desk.put(Some(7), b"x", false)), "unknown-upload");
        assert_eq!(code(desk.put(None, &vec![0; PART_BYTES_MAX + 1], false)), "request-invalid");
        for _ in 0..WAITING {
            put(&desk, None, b"x", false);
        }
        assert_eq!(code(desk.put(None, b"x", false)), "too-many-uploads");
    }
}
