//! Of which chunks a content consists, as a file.
//!
//! `MYTR`, version (u8, 1), bytes of the content (u64), number of chunks (u64), each chunk as hash and bytes (u32), and
//! at the end the hash of all that stands before it. Numbers are big-endian.

use mytism_core::id::Hash;

use crate::{CHUNK_BYTES_MAX, VaultError, hash_of};

const MAGIC: &[u8; 5] = b"MYTR\x01";
/// Bytes of one chunk's line.
pub(crate) const PART_BYTES: usize = 36;

/// One chunk of a content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The hash of its bytes.
    pub hash: Hash,
    /// How many bytes it has.
    pub bytes: u32,
}

/// The chunks of a content, in its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recipe {
    content: Hash,
    bytes: u64,
    parts: Vec<Part>,
}

impl Recipe {
    /// The recipe of a content.
    ///
    /// # Errors
    /// [`VaultError::WrongRecipe`] where a chunk is larger than any may be, or empty beside others, or there is none.
    pub fn new(content: Hash, parts: Vec<Part>) -> Result<Self, VaultError> {
        let wrong = |reason| Err(VaultError::WrongRecipe { content, reason });
        match parts.as_slice() {
            [] => return wrong("it has no chunks"),
            [only] if only.hash != content => return wrong("its only chunk is another content"),
            [_, _, ..] if parts.iter().any(|part| part.bytes == 0) => return wrong("a chunk of it is empty"),
            _ => {}
        }
        if parts.iter().any(|part| part.bytes > CHUNK_BYTES_MAX) {
            return wrong("a chunk of it is too large");
        }
        let bytes = parts.iter().map(|part| u64::from(part.bytes)).sum();
        Ok(Self { content, bytes, parts })
    }

    /// The hash of the whole content.
    #[must_use]
    pub const fn content(&self) -> Hash {
        self.content
    }

    /// Bytes of the whole content.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its chunks, one at least.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub(crate) fn to_file(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.parts.len() * PART_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.bytes.to_be_bytes());
        out.extend_from_slice(&(self.parts.len() as u64).to_be_bytes());
        for part in &self.parts {
            out.extend_from_slice(&part.hash.0);
            out.extend_from_slice(&part.bytes.to_be_bytes());
        }
        out.extend_from_slice(&hash_of(&out).0);
        out
    }

    /// `None` where the file is damaged.
    pub(crate) fn from_file(content: Hash, file: &[u8]) -> Option<Self> {
        let (stated, hash) = file.split_last_chunk::<32>()?;
        if hash_of(stated).0 != *hash {
            return None;
        }
        let (bytes, rest) = stated.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<8>()?;
        let (parts, left) = rest.as_chunks::<PART_BYTES>();
        if !left.is_empty() || u64::from_be_bytes(*count) != parts.len() as u64 {
            return None;
        }
        let part = |bytes: &[u8; PART_BYTES]| {
            let (hash, bytes) = bytes.split_first_chunk::<32>()?;
            Some(Part { hash: Hash(*hash), bytes: u32::from_be_bytes(bytes.try_into().ok()?) })
        };
        let parts = parts.iter().map(part).collect::<Option<_>>()?;
        Self::new(content, parts).ok().filter(|recipe| recipe.bytes == u64::from_be_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe() -> Recipe {
        let part = |byte: u8, bytes| Part { hash: Hash([byte; 32]), bytes };
        Recipe::new(Hash([9; 32]), vec![part(1, 70_000), part(2, 1)]).unwrap()
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_no_other() {
        let file = recipe().to_file();
        assert_eq!(Recipe::from_file(Hash([9; 32]), &file), Some(recipe()));
        for place in 0..file.len() {
            let mut damaged = file.clone();
            damaged[place] ^= 1;
            assert_eq!(Recipe::from_file(Hash([9; 32]), &damaged), None, "{place}");
            assert_eq!(Recipe::from_file(Hash([9; 32]), &file[..place]), None, "{place}");
        }
    }

    #[test]
    fn what_no_content_can_have_is_refused() {
        let part = |bytes| Part { hash: Hash([1; 32]), bytes };
        let refused = |parts: Vec<Part>| assert!(Recipe::new(Hash([9; 32]), parts).is_err());
        refused(vec![]);
        refused(vec![part(5)]);
        refused(vec![part(5), part(0)]);
        refused(vec![part(5), part(CHUNK_BYTES_MAX + 1)]);
    }
}
