//! Backups of a node: what is answered while one is made and when it is whole.

/// How far a backup is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackingUp {
    /// Bytes that are done. The database is gone through twice: once copied, once packed.
    pub done: u64,
    /// Bytes in all, as far as that is known.
    pub total: u64,
}

/// A backup that is whole and durable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackedUp {
    /// Its name, by which it is verified and restored.
    pub name: String,
    /// Number of the log's last entry in it.
    pub position: u64,
    /// Objects in it that are not deleted.
    pub objects: u64,
    /// Contents of BLOBs that it refers to.
    pub blobs: u64,
    /// Bytes that its files take on the disk.
    pub bytes: u64,
}
