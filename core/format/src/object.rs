//! The state of an object as bytes, as it stands in a snapshot: bookkeeping, then the slots that hold something.

use mytism_core::change::{LIFE, Life, ObjectMeta, Slot, Stamp};
use mytism_core::id::{AttributeId, EntityId, NodeId, ObjectId};
use mytism_core::value::Value;

use crate::FormatError;
use crate::envelope;
use crate::kind;
use crate::map::{MapReader, MapWriter};
use crate::value::{read_value, value_bytes};

const WHAT: &str = "an object";

/// An object as it stands at one position.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ObjectState {
    /// Its id.
    pub id: ObjectId,
    /// Its concrete entity.
    pub entity: EntityId,
    /// Its bookkeeping.
    pub meta: ObjectMeta,
    /// Slots that hold something, but [`Slot::LIFE`]; each once, in no certain order.
    pub slots: Vec<(Slot, Value)>,
}

impl ObjectState {
    /// What a slot holds, [`Slot::LIFE`] included.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Value {
        if slot == Slot::LIFE {
            return self.meta.life.value();
        }
        self.slots.iter().find(|(found, _)| *found == slot).map_or(Value::Null, |(_, value)| value.clone())
    }

    /// Lets a slot hold something; nothing is not kept.
    pub fn set(&mut self, slot: Slot, value: Value) {
        if slot == Slot::LIFE {
            self.meta.life = Life::of(&value);
            return;
        }
        match self.slots.iter().position(|(found, _)| *found == slot) {
            Some(index) if value.is_null() => drop(self.slots.swap_remove(index)),
            Some(index) => {
                if let Some(place) = self.slots.get_mut(index) {
                    place.1 = value;
                }
            }
            None if value.is_null() => {}
            None => self.slots.push((slot, value)),
        }
    }
}

/// Appends the record of an object.
///
/// # Errors
/// When it is larger than 4 GiB.
pub fn write(out: &mut Vec<u8>, object: &ObjectState) -> Result<(), FormatError> {
    let mut slots = Vec::new();
    for (slot, value) in &object.slots {
        let element = slot.element.map_or(0, ObjectId::get);
        let value = value_bytes(value);
        let length = u32::try_from(value.len()).map_err(|_| FormatError::TooLarge { what: WHAT, limit: "4 GiB" })?;
        slots.extend_from_slice(&slot.attribute.0.to_be_bytes());
        slots.extend_from_slice(&element.to_be_bytes());
        slots.extend_from_slice(&length.to_be_bytes());
        slots.extend_from_slice(&value);
    }
    let mut body = meta_fields(MapWriter::new(11), &object.meta)
        .signed("o", object.id.get())
        .unsigned("e", u64::from(object.entity.0));
    body = body.binary("s", &slots);
    envelope::write(out, kind::OBJECT, 1, 0, &body.finish())
}

/// Reads the body of an object's record.
///
/// # Errors
/// When the bytes are no object.
pub fn read(body: &[u8]) -> Result<ObjectState, FormatError> {
    let fields = MapReader::new(WHAT, body)?;
    Ok(ObjectState {
        id: fields.object("o")?,
        entity: EntityId(fields.number("e")?),
        meta: read_meta_fields(&fields)?,
        slots: read_slots(fields.binary("s")?)?,
    })
}

/// Slots stand one behind the other: attribute (u32), element (i64, 0 where there is none), length of the value (u32),
/// value; all big-endian.
fn read_slots(mut bytes: &[u8]) -> Result<Vec<(Slot, Value)>, FormatError> {
    let cut = FormatError::Truncated { what: WHAT };
    let wrong = FormatError::Invalid { what: WHAT, field: "s" };
    let mut slots = Vec::new();
    while !bytes.is_empty() {
        let (attribute, rest) = bytes.split_first_chunk::<4>().ok_or(cut.clone())?;
        let (element, rest) = rest.split_first_chunk::<8>().ok_or(cut.clone())?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(cut.clone())?;
        let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(cut.clone())?;
        let element = match i64::from_be_bytes(*element) {
            0 => None,
            number => Some(ObjectId::new(number).ok_or(wrong.clone())?),
        };
        let slot = Slot { attribute: AttributeId(u32::from_be_bytes(*attribute)), element };
        slots.push((slot, read_value(value)?));
        bytes = rest;
    }
    let mut places: Vec<Slot> = slots.iter().map(|(slot, _)| *slot).collect();
    places.sort_unstable();
    let twice = places.array_windows().any(|[one, next]| one == next);
    // Whether the object is there stands in its bookkeeping, and nowhere a second time.
    let reserved = places.first().is_some_and(|slot| slot.attribute <= LIFE);
    if twice || reserved { Err(wrong) } else { Ok(slots) }
}

/// The bookkeeping of an object as a body of its own.
#[must_use]
pub fn write_meta(meta: &ObjectMeta) -> Vec<u8> {
    meta_fields(MapWriter::new(8), meta).finish()
}

/// Reads the bookkeeping of an object.
///
/// # Errors
/// When the bytes are none.
pub fn read_meta(body: &[u8]) -> Result<ObjectMeta, FormatError> {
    read_meta_fields(&MapReader::new("the bookkeeping of an object", body)?)
}

/// Eight fields.
fn meta_fields(map: MapWriter, meta: &ObjectMeta) -> MapWriter {
    let life = match meta.life {
        Life::Absent => 0,
        Life::Alive => 1,
        Life::Deleted => 2,
    };
    // Position 0 is the place before the first entry, so it can stand for "pending".
    map.signed("ct", meta.created.time.micros())
        .signed("cu", meta.created.user.get())
        .unsigned("cn", u64::from(meta.created.node.0))
        .signed("ht", meta.changed.time.micros())
        .signed("hu", meta.changed.user.get())
        .unsigned("hn", u64::from(meta.changed.node.0))
        .unsigned("v", meta.version.unwrap_or(0))
        .unsigned("l", life)
}

fn read_meta_fields(fields: &MapReader<'_>) -> Result<ObjectMeta, FormatError> {
    let stamp = |time, user, node| {
        Ok::<_, FormatError>(Stamp {
            time: fields.timestamp(time)?,
            user: fields.object(user)?,
            node: NodeId(fields.number(node)?),
        })
    };
    let version: u64 = fields.number("v")?;
    Ok(ObjectMeta {
        created: stamp("ct", "cu", "cn")?,
        changed: stamp("ht", "hu", "hn")?,
        version: (version > 0).then_some(version),
        life: match fields.number::<u8>("l")? {
            0 => Life::Absent,
            1 => Life::Alive,
            2 => Life::Deleted,
            _ => return Err(fields.invalid("l")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::time::Timestamp;

    #[test]
    fn an_object_reads_as_it_was_written() {
        let stamp = |micros, node| Stamp {
            time: Timestamp::from_micros(micros).unwrap(),
            user: mytism_core::id::system::USER_ADMIN,
            node: NodeId(node),
        };
        let object = ObjectState {
            id: ObjectId::new(77).unwrap(),
            entity: EntityId(100),
            meta: ObjectMeta { created: stamp(-5, 1), changed: stamp(99, 2), version: Some(12), life: Life::Deleted },
            slots: vec![
                (Slot::attribute(AttributeId(10_000)), "Ä".into()),
                (Slot::element(AttributeId(10_001), ObjectId::new(5).unwrap()), Value::Bool(true)),
            ],
        };
        let mut bytes = Vec::new();
        write(&mut bytes, &object).unwrap();
        let (envelope, rest) = envelope::read(&bytes).unwrap();
        assert_eq!((envelope.header.kind, rest.len()), (kind::OBJECT, 0));
        assert_eq!(read(envelope.body), Ok(object.clone()));
        assert_eq!(read_meta(&write_meta(&object.meta)), Ok(object.meta));
        for cut in 0..envelope.body.len() {
            assert!(read(&envelope.body[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_slot_stands_once_and_names_what_there_is() {
        let check = |slots: &[(u32, i64)], expected: bool| {
            let bytes: Vec<u8> = slots
                .iter()
                .flat_map(|(attribute, element)| {
                    [&attribute.to_be_bytes()[..], &element.to_be_bytes(), &1u32.to_be_bytes(), &[0xc3]].concat()
                })
                .collect();
            assert_eq!(read_slots(&bytes).is_ok(), expected, "{slots:?}");
        };
        check(&[], true);
        check(&[(10_000, 0), (10_000, 1), (10_000, 2), (10_001, 0)], true);
        check(&[(10_000, 7), (10_001, 0), (10_000, 7)], false);
        check(&[(10_001, 0), (10_001, 0)], false);
        check(&[(10_000, -1)], false);
        check(&[(10_000, 1 << 53)], false);
        check(&[(1, 0)], false);
        check(&[(1, 7)], false);
        check(&[(0, 0)], false);
    }
}
