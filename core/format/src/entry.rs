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

/// Bytes of one entry. It travels in one message with its transaction, see [`crate::transaction::BYTES_MAX`].
pub const BYTES_MAX: usize = 12 << 20;
const TOO_LARGE: FormatError = FormatError::TooLarge { what: WHAT, limit: "12 MiB" };
/// A refusal stands alone.
const CONTRADICTION: FormatError = FormatError::Invalid { what: WHAT, field: "(refusal)" };
/// More than header and secret take.
const BESIDE_LEAVES_BYTES: usize = 512;

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
/// When the entry is larger than [`BYTES_MAX`].
pub fn write(entry: Entry, secret: &Secret) -> Result<StoredEntry, FormatError> {
    let mut leaves = LeafWriter::new(secret);
    write_outcome(&entry.outcome, |kind, body| leaves.push(kind, body))?;
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
    if bytes.len() > BYTES_MAX { Err(TOO_LARGE) } else { Ok(StoredEntry { bytes, hash, entry }) }
}

/// Whether the entry of an outcome can be written: to be asked before anything is done for it, since a transaction
/// whose acceptance no message could carry has to be refused.
///
/// # Errors
/// When the entry would be larger than [`BYTES_MAX`].
pub fn check_size(outcome: &Outcome) -> Result<(), FormatError> {
    let mut bytes = BESIDE_LEAVES_BYTES;
    write_outcome(outcome, |_, body| {
        bytes = bytes.saturating_add(envelope::HEADER_BYTES + body.len());
        if bytes > BYTES_MAX { Err(TOO_LARGE) } else { Ok(()) }
    })
}

/// Gives the kinds and bodies of the leaves, in their order.
fn write_outcome(
    outcome: &Outcome,
    mut push: impl FnMut(u16, &[u8]) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    match outcome {
        Outcome::Accepted { overrides, extra } => {
            overrides.iter().try_for_each(|found| push(kind::LEAF_OVERRIDE, &override_body(found)))?;
            extra.iter().try_for_each(|change| push(kind::LEAF_CHANGE, &change_body(change)))
        }
        Outcome::Refused { code, reason } => {
            push(kind::LEAF_REFUSED, &MapWriter::new(2).text("c", code).text("w", reason).finish())
        }
    }
}

/// Reads an entry and checks that its leaves have the root that its header names.
///
/// # Errors
/// When the bytes are no entry, are larger than [`BYTES_MAX`], are damaged, contradict themselves, or hold a leaf that
/// this program does not know and may not pass over.
pub fn read(bytes: Vec<u8>) -> Result<StoredEntry, FormatError> {
    if bytes.len() > BYTES_MAX {
        return Err(TOO_LARGE);
    }
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
        read_outcome(read_leaves(WHAT, rest, count, root)?)?
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

fn read_outcome<'a>(leaves: impl Iterator<Item = Result<Envelope<'a>, FormatError>>) -> Result<Outcome, FormatError> {
    let mut overrides: Vec<Override> = Vec::new();
    let mut extra = Vec::new();
    let mut refusal = None;
    for leaf in leaves {
        let leaf = leaf?;
        match leaf.header.kind {
            kind::LEAF_REFUSED => {
                let fields = MapReader::new("a refusal", leaf.body)?;
                let (code, reason) = (fields.text("c")?.to_owned(), fields.text("w")?.to_owned());
                if refusal.replace(Outcome::Refused { code, reason }).is_some() {
                    return Err(CONTRADICTION);
                }
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
    match refusal {
        None => Ok(Outcome::Accepted { overrides, extra }),
        Some(refusal) if overrides.is_empty() && extra.is_empty() => Ok(refusal),
        Some(_) => Err(CONTRADICTION),
    }
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
    let new = match (fields.boolean("d")?, fields.binary_if("v")?) {
        (true, None) => None,
        (false, Some(value)) => Some(read_value(value)?),
        (true, Some(_)) | (false, None) => return Err(fields.invalid("v")),
    };
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

    /// An entry of any leaves: kind and body.
    fn of_leaves(leaves: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let secret = Secret([3; 32]);
        let mut writer = LeafWriter::new(&secret);
        leaves.iter().for_each(|(kind, body)| writer.push(*kind, body).unwrap());
        let header = MapWriter::new(11)
            .unsigned("e", 1)
            .unsigned("n", 43)
            .binary("p", &[5; 32])
            .unsigned("hn", 1)
            .unsigned("tn", 2)
            .unsigned("ti", 1)
            .unsigned("tc", 7)
            .binary("th", &[6; 32])
            .signed("at", 0)
            .unsigned("k", leaves.len() as u64)
            .binary("r", &writer.tree.root().0)
            .finish();
        let mut bytes = Vec::new();
        envelope::write(&mut bytes, kind::ENTRY_HEADER, 1, 0, &header).unwrap();
        bytes.extend_from_slice(&secret_record(&secret).unwrap());
        bytes.extend_from_slice(&writer.bytes);
        bytes
    }

    #[test]
    fn an_entry_does_not_contradict_itself() {
        let check = |leaves: &[(u16, Vec<u8>)], expected: bool| {
            assert_eq!(read(of_leaves(leaves)).is_ok(), expected, "{leaves:?}");
        };
        let refusal = || (kind::LEAF_REFUSED, MapWriter::new(2).text("c", "c").text("w", "w").finish());
        let index = |index: u64| MapWriter::new(3).unsigned("l", index).binary("x", &[0xc0]);
        let left_out = |number| (kind::LEAF_OVERRIDE, index(number).boolean("d", true).finish());
        check(&[refusal()], true);
        check(&[refusal(), refusal()], false);
        check(&[refusal(), left_out(1)], false);
        check(&[(kind::LEAF_CHANGE, change_body(&sample().changes[0])), refusal()], false);
        check(&[left_out(1), left_out(2)], true);
        check(&[left_out(2), left_out(1)], false);
        check(&[left_out(1), left_out(1)], false);
        let both = MapWriter::new(4).unsigned("l", 1).binary("x", &[0xc0]).boolean("d", true).binary("v", &[0xc0]);
        check(&[(kind::LEAF_OVERRIDE, both.finish())], false);
        check(&[(kind::LEAF_OVERRIDE, index(1).boolean("d", false).finish())], false);
        // Secret without leaves.
        check(&[], false);
    }

    #[test]
    fn what_no_message_could_carry_is_refused() {
        let check = |bytes: usize, expected: bool| {
            let outcome = Outcome::Refused { code: "c".into(), reason: "x".repeat(bytes) };
            assert_eq!(check_size(&outcome).is_ok(), expected, "{bytes}");
            assert_eq!(write(entry(outcome), &Secret([3; 32])).is_ok(), expected, "{bytes}");
        };
        check(BYTES_MAX - 2 * BESIDE_LEAVES_BYTES, true);
        check(BYTES_MAX, false);
        let header = write(entry(Outcome::PLAIN), &Secret([3; 32])).unwrap().bytes.len();
        assert!(header + secret_record(&Secret([3; 32])).unwrap().len() < BESIDE_LEAVES_BYTES);
        assert_eq!(read(vec![0; BYTES_MAX + 1]), Err(TOO_LARGE));
    }
}
