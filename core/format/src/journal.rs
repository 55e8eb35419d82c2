//! Visible changes as bytes, as they stand in the journal of one node: the records of changes that a transaction has,
//! one behind the other, with what was seen before in the place of what its author saw. Nothing here is signed, hashed
//! or handed on.

use mytism_core::change::Change;

use crate::FormatError;
use crate::envelope;
use crate::kind;
use crate::map::MapReader;
use crate::transaction::{change_body, read_change};

const WHAT: &str = "a row of the journal";

/// Changes in their order; none at all is no bytes.
///
/// # Errors
/// When a change is 4 GiB or longer.
pub fn write_changes(changes: &[Change]) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    for change in changes {
        envelope::write(&mut bytes, kind::LEAF_CHANGE, 1, 0, &change_body(change))?;
    }
    Ok(bytes)
}

/// Changes as they were written.
///
/// # Errors
/// When the bytes are none, or hold something that this program does not know and may not pass over.
pub fn read_changes(bytes: &[u8]) -> Result<Vec<Change>, FormatError> {
    let mut changes = Vec::new();
    for record in envelope::run(bytes) {
        let record = record?;
        match record.header.kind {
            kind::LEAF_CHANGE => changes.push(read_change(&MapReader::new(WHAT, record.body)?)?),
            _ if record.header.may_skip() => {}
            unknown => return Err(FormatError::UnknownKind { kind: unknown }),
        }
    }
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use mytism_core::change::Slot;
    use mytism_core::id::{AttributeId, EntityId, ObjectId};
    use mytism_core::value::Value;
    use proptest::prelude::*;

    use super::*;

    fn change(object: i64, element: Option<i64>, old: Value, new: Value) -> Change {
        let object = ObjectId::new(object).unwrap();
        let slot = Slot { attribute: AttributeId(10_001), element: element.and_then(ObjectId::new) };
        Change { object, entity: EntityId(10_000), slot, old, new }
    }

    fn some() -> Vec<Change> {
        vec![
            change(1_048_576, None, Value::from("Köln"), Value::Null),
            change(1_048_577, Some(7), Value::Null, Value::Bool(true)),
        ]
    }

    #[test]
    fn no_change_is_no_bytes() {
        assert_eq!(write_changes(&[]), Ok(Vec::new()));
        assert_eq!(read_changes(&[]), Ok(Vec::new()));
    }

    #[test]
    fn what_is_cut_off_or_not_known_is_an_error() {
        let bytes = write_changes(&some()).unwrap();
        let first = write_changes(&some()[..1]).unwrap().len();
        for cut in (1..bytes.len()).filter(|cut| *cut != first) {
            assert!(read_changes(&bytes[..cut]).is_err(), "{cut}");
        }
        let with = |kind, flags| {
            let mut bytes = bytes.clone();
            envelope::write(&mut bytes, kind, 1, flags, &[0x80]).unwrap();
            read_changes(&bytes)
        };
        assert_eq!(with(0x01ff, 0), Err(FormatError::UnknownKind { kind: 0x01ff }));
        assert_eq!(with(0x01ff, envelope::FLAG_MAY_SKIP), Ok(some()));
    }

    proptest! {
        #[test]
        fn changes_are_read_as_they_were_written(
            parts in prop::collection::vec((1..1_000_000_i64, prop::option::of(1..9_i64), "[a-zäöü0-9 ]{0,9}", any::<i64>()), 0..6)
        ) {
            let changes: Vec<Change> = parts
                .into_iter()
                .map(|(object, element, old, new)| change(object, element, Value::Text(old), Value::Integer(new)))
                .collect();
            prop_assert_eq!(read_changes(&write_changes(&changes).unwrap()), Ok(changes));
        }
    }
}
