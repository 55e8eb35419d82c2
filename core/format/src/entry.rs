//! A log entry as bytes: where a transaction stands in the authoritative log and what became of it.
//!
//! ```text
//! header  {e n p hn tn ti tc th at k r}   position, hash of the entry before, head office, transaction, time, leaves
//! secret  {s}                             only where there are leaves
//! leaf    {l x v d}                       a change taken otherwise than its author made it
//! leaf    {o e a m x v}                   a change that the head office added
//! leaf    {c w}                           the refusal, alone
//! ```
//! The hash of an entry is over its header's stored bytes, and each header holds the hash of the entry before.

use mytism_core::change::{Entry, Outcome, Override};
use mytism_core::id::{Hash, NodeId};

use crate::FormatError;
use crate::envelope::{self, Envelope};
use crate::hash::{self, Secret};
use crate::kind;
use crate::map::{MapReader, MapWriter};
use crate::transaction::{LeafWriter, change_body, expect, read_change, read_leaves, secret_record};
use crate::value::{read_value, value_bytes};

const WHAT: &str = "a log entry";

/// A log entry with the bytes that it is kept and sent as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEntry {
    /// Word for word.
    pub bytes: Vec<u8>,
    /// Its hash.
    pub hash: Hash,
    /// What they mean.
    pub entry: Entry,
}

/// Makes the bytes of a new entry. `secret` must be fresh randomness; it is used only where the outcome has leaves.
///
/// # Errors
/// When the entry is larger than 4 GiB.
pub fn write(entry: Entry, secret: &Secret) -> Result<StoredEntry, FormatError> {
    let mut leaves = LeafWriter::new(secret);
    match &entry.outcome {
        Outcome::Accepted { overrides, extra } => {
            for found in overrides {
                leaves.push(kind::LEAF_OVERRIDE, &override_body(found))?;
            }
            for change in extra {
                leaves.push(kind::LEAF_CHANGE, &change_body(change))?;
            }
        }
        Outcome::Refused { code, reason } => {
            leaves.push(kind::LEAF_REFUSED, &MapWriter::new(2).text("c", code).text("w", reason).finish())?;
        }
    }
    let header = MapWriter::new(11)
        .unsigned("e", u64::from(entry.position.epoch))
        .unsigned("n", entry.position.number)
        .binary("p", &entry.previous.0)
        .unsigned("hn", u64::from(entry.head.0))
        .unsigned("tn", u64::from(entry.transaction.node.0))
        .unsigned("ti", u64::from(entry.transaction.incarnation))
        .unsigned("tc", entry.transaction.counter)
        .binary("th", &entry.transaction_hash.0)
        .signed("at", entry.committed_at.micros())
        .unsigned("k", u64::from(leaves.count))
        .binary("r", &leaves.tree.root().0)
        .finish();
    let mut bytes = Vec::with_capacity(leaves.bytes.len() + 224);
    envelope::write(&mut bytes, kind::ENTRY_HEADER, 1, 0, &header)?;
    let hash = hash::entry(&bytes);
    if leaves.count > 0 {
        bytes.extend_from_slice(&secret_record(secret)?);
        bytes.extend_from_slice(&leaves.bytes);
    }
    Ok(StoredEntry { bytes, hash, entry })
}

/// Reads an entry and checks that its leaves have the root that its header names.
///
/// # Errors
/// When the bytes are no entry, are damaged, or hold a leaf that this program does not know and may not pass over.
pub fn read(bytes: Vec<u8>) -> Result<StoredEntry, FormatError> {
    let (hash, entry) = parse(&bytes)?;
    Ok(StoredEntry { bytes, hash, entry })
}

fn parse(bytes: &[u8]) -> Result<(Hash, Entry), FormatError> {
    let (header, rest) = expect(WHAT, bytes, kind::ENTRY_HEADER)?;
    let fields = MapReader::new(WHAT, header.body)?;
    let count: u32 = fields.number("k")?;
    let root = fields.hash("r")?;
    let outcome = if count == 0 {
        if !rest.is_empty() {
            return Err(FormatError::Trailing { what: WHAT, count: rest.len() });
        }
        if root != Hash::default() {
            return Err(FormatError::HashMismatch { what: WHAT });
        }
        Outcome::PLAIN
    } else {
        read_outcome(&read_leaves(WHAT, rest, count, root)?)?
    };
    let entry = Entry {
        position: fields.position("e", "n")?,
        previous: fields.hash("p")?,
        head: NodeId(fields.number("hn")?),
        transaction: fields.transaction_id("tn", "ti", "tc")?,
        transaction_hash: fields.hash("th")?,
        committed_at: fields.timestamp("at")?,
        outcome,
    };
    Ok((hash::entry(header.whole), entry))
}

fn read_outcome(leaves: &[Envelope<'_>]) -> Result<Outcome, FormatError> {
    let mut overrides: Vec<Override> = Vec::new();
    let mut extra = Vec::new();
    for leaf in leaves {
        match leaf.header.kind {
            kind::LEAF_REFUSED => {
                let fields = MapReader::new("a refusal", leaf.body)?;
                return Ok(Outcome::Refused {
                    code: fields.text("c")?.to_owned(),
                    reason: fields.text("w")?.to_owned(),
                });
            }
            kind::LEAF_OVERRIDE => {
                let found = read_override(leaf.body)?;
                if overrides.last().is_some_and(|last| last.index >= found.index) {
                    return Err(FormatError::Invalid { what: "an override", field: "l" });
                }
                overrides.push(found);
            }
            kind::LEAF_CHANGE => extra.push(read_change(&MapReader::new("a change", leaf.body)?)?),
            _ if leaf.header.may_skip() => {}
            unknown => return Err(FormatError::UnknownKind { kind: unknown }),
        }
    }
    Ok(Outcome::Accepted { overrides, extra })
}

fn override_body(found: &Override) -> Vec<u8> {
    let map = MapWriter::new(3).unsigned("l", u64::from(found.index)).binary("x", &value_bytes(&found.old));
    match &found.new {
        Some(new) => map.binary("v", &value_bytes(new)).finish(),
        None => map.boolean("d", true).finish(),
    }
}

fn read_override(body: &[u8]) -> Result<Override, FormatError> {
    let fields = MapReader::new("an override", body)?;
    let new = if fields.boolean("d")? { None } else { Some(read_value(fields.binary("v")?)?) };
    Ok(Override { index: fields.number("l")?, old: read_value(fields.binary("x")?)?, new })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::tests::sample;
    use mytism_core::id::Position;
    use mytism_core::time::Timestamp;
    use mytism_core::value::Value;

    fn entry(outcome: Outcome) -> Entry {
        Entry {
            position: Position { epoch: 1, number: 43 },
            previous: Hash([5; 32]),
            head: NodeId(1),
            transaction: sample().id,
            transaction_hash: Hash([6; 32]),
            committed_at: Timestamp::from_micros(1_795_404_600_000_000).unwrap(),
            outcome,
        }
    }

    #[track_caller]
    fn check(outcome: Outcome) {
        let stored = write(entry(outcome), &Secret([3; 32])).unwrap();
        assert_eq!(read(stored.bytes.clone()).unwrap(), stored);
        for cut in 0..stored.bytes.len() {
            assert!(read(stored.bytes[..cut].to_vec()).is_err(), "{cut}");
        }
        for at in 0..stored.bytes.len() {
            let mut bytes = stored.bytes.clone();
            bytes[at] ^= 0x01;
            match read(bytes) {
                Err(_) => {}
                Ok(other) => assert_ne!(other.hash, stored.hash, "byte {at}"),
            }
        }
    }

    #[test]
    fn entries_read_as_they_were_written_and_show_damage() {
        check(Outcome::PLAIN);
        check(Outcome::Refused { code: "duplicate-key".into(), reason: "ALFKI is taken".into() });
        check(Outcome::Accepted {
            overrides: vec![
                Override { index: 1, old: "a".into(), new: None },
                Override { index: 2, old: Value::Null, new: Some(Value::Integer(9)) },
            ],
            extra: sample().changes,
        });
    }
}
