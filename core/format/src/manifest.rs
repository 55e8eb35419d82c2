//! The table of contents of a materialised snapshot: where in the log it was taken, the schema, and the parts that hold
//! the rest, each by the hash of its stored bytes.
//!
//! It is a run of records, one for the whole and one for each part, so that it can be of any length and gain fields. It
//! knows nothing of files: where the parts lie is the business of who keeps them.

use mytism_core::id::{Hash, Position};

use crate::map::{MapReader, MapWriter};
use crate::{FormatError, envelope, kind};

/// The newest form of a snapshot that this program makes and reads.
pub const FORM: u32 = 1;

const WHOLE: &str = "the manifest of a snapshot";
const PART: &str = "a part in the manifest of a snapshot";

/// What a part holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Content {
    /// Records of objects, those of one entity, in the order of their ids.
    Objects,
    /// Entries of the log with their transactions, the last of them the one at which the snapshot was taken.
    Log,
}

impl Content {
    const fn number(self) -> u32 {
        match self {
            Self::Objects => 1,
            Self::Log => 2,
        }
    }

    const fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Objects),
            2 => Some(Self::Log),
            _ => None,
        }
    }
}

/// One part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// BLAKE3 of the stored bytes.
    pub hash: Hash,
    /// What it holds.
    pub content: Content,
    /// How many objects or entries.
    pub count: u64,
    /// Length of the stored bytes, which are compressed.
    pub bytes: u64,
    /// Length of what they hold.
    pub raw_bytes: u64,
}

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Hash of the first entry of the cluster's log.
    pub cluster: Hash,
    /// The end of the log when the snapshot was taken.
    pub position: Position,
    /// The hash of that entry.
    pub hash: Hash,
    /// Stored bytes of the schema.
    pub schema: Vec<u8>,
    /// How many objects all parts hold together.
    pub objects: u64,
    /// The parts in the order in which they are loaded.
    pub parts: Vec<Part>,
}

/// The stored bytes of a manifest.
///
/// # Errors
/// When the schema is larger than 4 GiB.
pub fn write(manifest: &Manifest) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    let whole = MapWriter::new(7)
        .unsigned("f", u64::from(FORM))
        .binary("c", &manifest.cluster.0)
        .unsigned("e", u64::from(manifest.position.epoch))
        .unsigned("n", manifest.position.number)
        .binary("h", &manifest.hash.0)
        .unsigned("o", manifest.objects)
        .binary("s", &manifest.schema);
    envelope::write(&mut out, kind::SNAPSHOT_MANIFEST, 1, 0, &whole.finish())?;
    for part in &manifest.parts {
        let fields = MapWriter::new(5)
            .binary("h", &part.hash.0)
            .unsigned("k", u64::from(part.content.number()))
            .unsigned("n", part.count)
            .unsigned("b", part.bytes)
            .unsigned("r", part.raw_bytes);
        envelope::write(&mut out, kind::SNAPSHOT_PART, 1, 0, &fields.finish())?;
    }
    Ok(out)
}

/// Reads a manifest.
///
/// # Errors
/// When the bytes are none, are cut off, or are of a form that only a newer program knows
/// ([`FormatError::UnknownKind`]), or the sums do not agree with the parts.
pub fn read(bytes: &[u8]) -> Result<Manifest, FormatError> {
    let (first, rest) = envelope::read(bytes)?;
    if first.header.kind != kind::SNAPSHOT_MANIFEST {
        return Err(FormatError::Unexpected { what: WHOLE, kind: first.header.kind });
    }
    let fields = MapReader::new(WHOLE, first.body)?;
    if fields.number::<u32>("f")? > FORM {
        return Err(FormatError::UnknownKind { kind: first.header.kind });
    }
    let mut manifest = Manifest {
        cluster: fields.hash("c")?,
        position: fields.position("e", "n")?,
        hash: fields.hash("h")?,
        schema: fields.binary("s")?.to_vec(),
        objects: fields.number("o")?,
        parts: Vec::new(),
    };
    for record in envelope::run(rest) {
        let record = record?;
        if record.header.kind == kind::SNAPSHOT_PART {
            manifest.parts.push(read_part(record.body)?);
        } else if !record.header.may_skip() {
            return Err(FormatError::UnknownKind { kind: record.header.kind });
        }
    }
    let mut of_objects = manifest.parts.iter().filter(|part| part.content == Content::Objects);
    let sum = of_objects.try_fold(0u64, |sum, part| sum.checked_add(part.count));
    // A list that was cut off between two records would pass as a smaller snapshot otherwise.
    if sum != Some(manifest.objects) || manifest.parts.last().is_none_or(|part| part.content != Content::Log) {
        return Err(FormatError::Truncated { what: WHOLE });
    }
    Ok(manifest)
}

fn read_part(body: &[u8]) -> Result<Part, FormatError> {
    let fields = MapReader::new(PART, body)?;
    Ok(Part {
        hash: fields.hash("h")?,
        content: Content::of(fields.number("k")?).ok_or_else(|| fields.invalid("k"))?,
        count: fields.number("n")?,
        bytes: fields.number("b")?,
        raw_bytes: fields.number("r")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let part = |content, count| Part { hash: Hash([7; 32]), content, count, bytes: 5, raw_bytes: 9 };
        Manifest {
            cluster: Hash([1; 32]),
            position: Position { epoch: 2, number: 44 },
            hash: Hash([2; 32]),
            schema: vec![9, 9],
            objects: 5,
            parts: vec![part(Content::Objects, 3), part(Content::Objects, 2), part(Content::Log, 1)],
        }
    }

    #[test]
    fn what_is_written_reads_equal() {
        assert_eq!(read(&write(&manifest()).unwrap()), Ok(manifest()));
    }

    #[test]
    fn one_that_is_cut_off_anywhere_is_refused() {
        let bytes = write(&manifest()).unwrap();
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn one_of_a_newer_form_is_refused() {
        let mut bytes = write(&manifest()).unwrap();
        // The form is the first field: map, key, number.
        assert_eq!(bytes[envelope::HEADER_BYTES..envelope::HEADER_BYTES + 4], [0x87, 0xa1, b'f', 1]);
        bytes[envelope::HEADER_BYTES + 3] = 2;
        assert_eq!(read(&bytes), Err(FormatError::UnknownKind { kind: kind::SNAPSHOT_MANIFEST }));
        let mut bytes = write(&manifest()).unwrap();
        envelope::write(&mut bytes, 0x01fe, 1, 0, &[0x80]).unwrap();
        assert_eq!(read(&bytes), Err(FormatError::UnknownKind { kind: 0x01fe }));
    }
}
