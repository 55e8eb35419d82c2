//! Checks the shape of a body before any memory is taken for what it says.
//!
//! One pass over the markers, without recursion and without copying: every length lies within the bytes that are
//! there, nesting and the number of items have an end, keys are texts, and nothing follows. What comes behind this
//! check can believe lengths. It knows no message.

use rmp::Marker;

/// Levels of maps and arrays within each other, the body's own map included.
pub(crate) const DEPTH_MAX: usize = 16;
/// Values, keys and containers in one body. An item takes up to some fifty bytes in memory while it takes one on the
/// wire, so the bytes alone would not bound the memory well.
pub(crate) const ITEMS_MAX: usize = 8 << 20;

/// What is wrong with the shape of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misshape {
    /// The body is something else than a map.
    #[error("is no map")]
    NotMap,
    /// A length reaches beyond the end of the body.
    #[error("ends before all that it announces")]
    CutOff,
    /// The map is complete before the body ends.
    #[error("goes on for {bytes} bytes behind its map")]
    Trailing {
        /// How many bytes.
        bytes: usize,
    },
    /// A key is something else than a text.
    #[error("has a key that is no text")]
    Key,
    /// A marker that MessagePack does not use.
    #[error("is no MessagePack")]
    Marker,
    /// More levels of nesting than allowed.
    #[error("is nested more than {DEPTH_MAX} levels deep")]
    TooDeep,
    /// More items than allowed.
    #[error("has more than {ITEMS_MAX} items; send it in parts")]
    TooMany,
}

/// Checks one body.
pub(crate) fn check(body: &[u8]) -> Result<(), Misshape> {
    let mut rest = body;
    if !matches!(
        body.first().map(|byte| Marker::from_u8(*byte)),
        Some(Marker::FixMap(_) | Marker::Map16 | Marker::Map32)
    ) {
        return Err(Misshape::NotMap);
    }
    let mut open: Vec<Open> = Vec::with_capacity(DEPTH_MAX);
    for _ in 0..ITEMS_MAX {
        let item = next(&mut rest)?;
        if let Some(parent) = open.last_mut() {
            if parent.wants_key() && !item.is_text {
                return Err(Misshape::Key);
            }
            parent.left = parent.left.saturating_sub(1);
        }
        if let Some(container) = item.container {
            // Every item has at least one byte, so a length that lies is found here and not after much work.
            if container.left > rest.len() as u64 {
                return Err(Misshape::CutOff);
            }
            if open.len() == DEPTH_MAX {
                return Err(Misshape::TooDeep);
            }
            open.push(container);
        }
        while open.last().is_some_and(|container| container.left == 0) {
            open.pop();
        }
        if open.is_empty() {
            return if rest.is_empty() { Ok(()) } else { Err(Misshape::Trailing { bytes: rest.len() }) };
        }
    }
    Err(Misshape::TooMany)
}

/// A map or an array whose items are not all seen.
#[derive(Clone, Copy)]
struct Open {
    /// Items to come; a map counts keys and values.
    left: u64,
    is_map: bool,
}

impl Open {
    const fn wants_key(self) -> bool {
        self.is_map && self.left.is_multiple_of(2)
    }
}

struct Item {
    is_text: bool,
    container: Option<Open>,
}

/// Takes one marker with what belongs to it; of containers the length alone.
fn next(rest: &mut &[u8]) -> Result<Item, Misshape> {
    let marker = take(rest, 1)?.first().map_or(Marker::Reserved, |byte| Marker::from_u8(*byte));
    let plain = |rest: &mut &[u8], bytes: u64| {
        take(rest, bytes)?;
        Ok(Item { is_text: false, container: None })
    };
    let text = |rest: &mut &[u8], bytes: u64| {
        take(rest, bytes)?;
        Ok(Item { is_text: true, container: None })
    };
    let array = |left: u64| Ok(Item { is_text: false, container: Some(Open { left, is_map: false }) });
    let map = |pairs: u64| Ok(Item { is_text: false, container: Some(Open { left: 2 * pairs, is_map: true }) });
    match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => plain(rest, 0),
        Marker::U8 | Marker::I8 => plain(rest, 1),
        Marker::U16 | Marker::I16 => plain(rest, 2),
        Marker::U32 | Marker::I32 | Marker::F32 => plain(rest, 4),
        Marker::U64 | Marker::I64 | Marker::F64 => plain(rest, 8),
        Marker::FixStr(bytes) => text(rest, u64::from(bytes)),
        Marker::Str8 => length(rest, 1).and_then(|bytes| text(rest, bytes)),
        Marker::Str16 => length(rest, 2).and_then(|bytes| text(rest, bytes)),
        Marker::Str32 => length(rest, 4).and_then(|bytes| text(rest, bytes)),
        Marker::Bin8 => length(rest, 1).and_then(|bytes| plain(rest, bytes)),
        Marker::Bin16 => length(rest, 2).and_then(|bytes| plain(rest, bytes)),
        Marker::Bin32 => length(rest, 4).and_then(|bytes| plain(rest, bytes)),
        // The byte more is the type of the extension.
        Marker::FixExt1 => plain(rest, 1 + 1),
        Marker::FixExt2 => plain(rest, 1 + 2),
        Marker::FixExt4 => plain(rest, 1 + 4),
        Marker::FixExt8 => plain(rest, 1 + 8),
        Marker::FixExt16 => plain(rest, 1 + 16),
        Marker::Ext8 => length(rest, 1).and_then(|bytes| plain(rest, 1 + bytes)),
        Marker::Ext16 => length(rest, 2).and_then(|bytes| plain(rest, 1 + bytes)),
        Marker::Ext32 => length(rest, 4).and_then(|bytes| plain(rest, 1 + bytes)),
        Marker::FixArray(items) => array(u64::from(items)),
        Marker::Array16 => length(rest, 2).and_then(array),
        Marker::Array32 => length(rest, 4).and_then(array),
        Marker::FixMap(pairs) => map(u64::from(pairs)),
        Marker::Map16 => length(rest, 2).and_then(map),
        Marker::Map32 => length(rest, 4).and_then(map),
        Marker::Reserved => Err(Misshape::Marker),
    }
}

fn take<'a>(rest: &mut &'a [u8], bytes: u64) -> Result<&'a [u8], Misshape> {
    let bytes = usize::try_from(bytes).map_err(|_| Misshape::CutOff)?;
    let (taken, behind) = rest.split_at_checked(bytes).ok_or(Misshape::CutOff)?;
    *rest = behind;
    Ok(taken)
}

fn length(rest: &mut &[u8], width: u64) -> Result<u64, Misshape> {
    Ok(take(rest, width)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": …}` with the given bytes behind the key.
    fn map_of(value: &[u8]) -> Vec<u8> {
        [&[0x81, 0xa1, b'a'], value].concat()
    }

    #[test]
    fn sound_and_unsound_bodies() {
        let sees = |body: &[u8], expected: Result<(), Misshape>| assert_eq!(check(body), expected, "{body:02x?}");
        sees(&[], Err(Misshape::NotMap));
        sees(&[0x90], Err(Misshape::NotMap));
        sees(&[0xc0], Err(Misshape::NotMap));
        sees(&[0x80], Ok(()));
        sees(&[0x80, 0x80], Err(Misshape::Trailing { bytes: 1 }));
        sees(&[0x81], Err(Misshape::CutOff));
        sees(&[0x81, 0xa1, b'a'], Err(Misshape::CutOff));
        sees(&[0x81, 0x01, 0x01], Err(Misshape::Key));
        sees(&[0x81, 0xc4, 0x01, b'a', 0x01], Err(Misshape::Key));
        sees(&map_of(&[0xc1]), Err(Misshape::Marker));
        sees(&map_of(&[0xcd, 0x01]), Err(Misshape::CutOff));
        sees(&map_of(&[0x92, 0x01, 0x90]), Ok(()));
        sees(&map_of(&[0x81, 0xa1, b'b', 0x92, 0x01, 0x02]), Ok(()));
        sees(&map_of(&[0xd4, 0x05, 0x00]), Ok(()));
        sees(&map_of(&[0xc7, 0x02, 0x05, 0x00, 0x00]), Ok(()));
        sees(&map_of(&[0xc7, 0x02, 0x05, 0x00]), Err(Misshape::CutOff));
        for claim in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
            sees(&map_of(&[claim, 0xff, 0xff, 0xff, 0xff, 0x00]), Err(Misshape::CutOff));
        }
        sees(&[0xdf, 0xff, 0xff, 0xff, 0xff], Err(Misshape::CutOff));
    }

    #[test]
    fn nesting_ends_at_its_border() {
        let nested = |levels: usize| {
            let mut value = vec![0x91; levels];
            value.push(0xc0);
            map_of(&value)
        };
        assert_eq!(check(&nested(DEPTH_MAX - 1)), Ok(()));
        assert_eq!(check(&nested(DEPTH_MAX)), Err(Misshape::TooDeep));
        assert_eq!(check(&nested(1_000_000)), Err(Misshape::TooDeep));
    }

    #[test]
    fn the_number_of_items_ends_at_its_border() {
        let body = |elements: usize| {
            let length = u32::try_from(elements).unwrap().to_be_bytes();
            map_of(&[&[0xdd][..], &length, &vec![0xc0; elements]].concat())
        };
        // The map, the key and the array are items too.
        assert_eq!(check(&body(ITEMS_MAX - 3)), Ok(()));
        assert_eq!(check(&body(ITEMS_MAX - 2)), Err(Misshape::TooMany));
    }
}
