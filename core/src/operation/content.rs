//! The bytes of files, on their way to who asks for them.

use crate::blob::Blob;

/// Some bytes of the content of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContentPart {
    /// What the attribute holds.
    pub blob: Blob,
    /// The first byte of `data`, from 0.
    pub from: u64,
    /// The bytes; nothing at the end of the content, and where it is not here yet.
    pub data: Vec<u8>,
    /// Whether the content is here.
    pub here: bool,
    /// While it is not: how many bytes of it have come.
    pub arrived: u64,
}
