//! A content on its way in: cut where its bytes say so, hashed, and staged chunk by chunk.

use std::ops::Range;

use fastcdc::v2020::FastCDC;
use mytism_core::id::Hash;

use crate::recipe::Recipe;
use crate::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNK_BYTES_USUAL, Part, Vault, VaultError, hash_of};

/// Bytes that are gathered before they are cut: some chunks, so that the rest which is moved to the front is small.
const BUFFER_BYTES: usize = 4 << 20;

/// Takes in one content. Where it is dropped before [`Self::finish`], the content is not here, and its chunks take no room.
#[derive(Debug)]
pub struct Writer {
    vault: Vault,
    buffer: Vec<u8>,
    parts: Vec<Part>,
    /// Chunks that were not here before.
    staged: Vec<Hash>,
    whole: blake3::Hasher,
    bytes: u64,
}

impl Writer {
    pub(crate) fn new(vault: Vault) -> Self {
        Self {
            vault,
            buffer: Vec::new(),
            parts: Vec::new(),
            staged: Vec::new(),
            whole: blake3::Hasher::new(),
            bytes: 0,
        }
    }

    /// Bytes that it took so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), VaultError> {
        self.whole.update(bytes);
        self.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = BUFFER_BYTES.saturating_sub(self.buffer.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() >= BUFFER_BYTES {
                self.cut(CHUNK_BYTES_MAX as usize)?;
            }
        }
        Ok(())
    }

    /// Ends the content: when this returns, it is durable. Gives its hash and its bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<(Hash, u64), VaultError> {
        self.cut(1)?;
        let content = Hash(*self.whole.finalize().as_bytes());
        if self.parts.is_empty() {
            self.stage(content, 0..0)?;
            self.parts.push(Part { hash: content, bytes: 0 });
        }
        let recipe = Recipe::new(content, std::mem::take(&mut self.parts))?;
        self.vault.complete(&recipe)?;
        self.staged.clear();
        Ok((content, self.bytes))
    }

    /// Cuts chunks off as long as so many bytes are left. With those of the largest chunk, where a chunk ends does not
    /// depend on what comes behind.
    fn cut(&mut self, least: usize) -> Result<(), VaultError> {
        let mut start = 0;
        loop {
            let rest = self.buffer.get(start..).unwrap_or_default();
            if rest.len() < least {
                break;
            }
            let cutter = FastCDC::new(rest, CHUNK_BYTES_MIN, CHUNK_BYTES_USUAL, CHUNK_BYTES_MAX);
            let (_, end) = cutter.cut(0, rest.len());
            let chunk = rest.get(..end).unwrap_or(rest);
            let part = Part { hash: hash_of(chunk), bytes: u32::try_from(chunk.len()).unwrap_or(u32::MAX) };
            let end = start + chunk.len();
            self.stage(part.hash, start..end)?;
            start = end;
            self.parts.push(part);
        }
        self.buffer.drain(..start);
        Ok(())
    }

    fn stage(&mut self, hash: Hash, bytes: Range<usize>) -> Result<(), VaultError> {
        if self.vault.stage(hash, self.buffer.get(bytes).unwrap_or_default())? {
            self.staged.push(hash);
        }
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.staged.drain(..).for_each(|hash| self.vault.unstage(hash));
    }
}
