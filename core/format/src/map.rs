//! Bodies: MessagePack maps with short keys.
//!
//! A reader passes over keys that it does not know, so that a body can gain fields. Lengths are checked against the
//! bytes that are there before anything is believed, and nothing is copied that was not asked for. A key that stands
//! twice is an error, since two programs could take one and the other for the meaning of the same bytes.

use mytism_core::id::{Hash, NodeId, ObjectId, Position, TransactionId};
use mytism_core::time::Timestamp;
use rmp::Marker;

use crate::FormatError;

/// How deep unknown fields may be nested.
const DEPTH_MAX: u32 = 16;
/// Fields in one body, unknown ones included. A field takes some fifty bytes in memory and as few as two in the body, so
/// the length of the body alone would not bound the memory.
pub const FIELDS_MAX: usize = 64;

/// Writes one map. The number of fields comes first, so it is given at the start.
#[derive(Debug)]
pub struct MapWriter {
    bytes: Vec<u8>,
}

impl MapWriter {
    /// A map of so many fields.
    #[must_use]
    pub fn new(fields: u32) -> Self {
        let mut writer = Self { bytes: Vec::with_capacity(64) };
        writer.put(|out| rmp::encode::write_map_len(out, fields).map(drop));
        writer
    }

    /// Writing to memory cannot fail; the encoder's error type says otherwise only because it serves files too.
    fn put<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) {
        let _infallible = write(&mut self.bytes);
    }

    fn key(&mut self, key: &str) {
        self.put(|out| rmp::encode::write_str(out, key));
    }

    /// A number.
    #[must_use]
    pub fn unsigned(mut self, key: &str, number: u64) -> Self {
        self.key(key);
        self.put(|out| rmp::encode::write_uint(out, number).map(drop));
        self
    }

    /// A number that may be negative.
    #[must_use]
    pub fn signed(mut self, key: &str, number: i64) -> Self {
        self.key(key);
        self.put(|out| rmp::encode::write_sint(out, number).map(drop));
        self
    }

    /// A text.
    #[must_use]
    pub fn text(mut self, key: &str, text: &str) -> Self {
        self.key(key);
        self.put(|out| rmp::encode::write_str(out, text));
        self
    }

    /// Bytes.
    #[must_use]
    pub fn binary(mut self, key: &str, bytes: &[u8]) -> Self {
        self.key(key);
        self.put(|out| rmp::encode::write_bin(out, bytes));
        self
    }

    /// A truth.
    #[must_use]
    pub fn boolean(mut self, key: &str, truth: bool) -> Self {
        self.key(key);
        self.put(|out| rmp::encode::write_bool(out, truth));
        self
    }

    /// The body.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// One field of a body.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Field<'a> {
    /// Nothing.
    Nil,
    /// A truth.
    Boolean(bool),
    /// A number; all whole numbers of MessagePack fit.
    Number(i128),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// Something else, passed over.
    Other,
}

/// The fields of a body by key.
#[derive(Debug)]
pub struct MapReader<'a> {
    what: &'static str,
    fields: Vec<(&'a str, Field<'a>)>,
}

impl<'a> MapReader<'a> {
    /// Reads the map that fills `body`; `what` names the record in errors.
    ///
    /// # Errors
    /// When the bytes are no map with text keys, hold a key twice or more than [`FIELDS_MAX`] fields, are cut off, are
    /// nested too deeply, or something follows.
    pub fn new(what: &'static str, body: &'a [u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor { what, rest: body };
        let (Marker::FixMap(_) | Marker::Map16 | Marker::Map32) = cursor.peek()? else {
            return Err(FormatError::Invalid { what, field: "(map)" });
        };
        let count = cursor.container_length()?;
        // A field takes at least two bytes, so a length that lies is found before memory is taken.
        if count > body.len() / 2 {
            return Err(FormatError::Truncated { what });
        }
        if count > FIELDS_MAX {
            return Err(FormatError::TooLarge { what, limit: "64 fields" });
        }
        let mut fields: Vec<(&str, Field<'_>)> = Vec::with_capacity(count);
        for _ in 0..count {
            let Field::Text(key) = cursor.field(DEPTH_MAX)? else {
                return Err(FormatError::Invalid { what, field: "(key)" });
            };
            if fields.iter().any(|(other, _)| *other == key) {
                return Err(FormatError::Invalid { what, field: "(key twice)" });
            }
            fields.push((key, cursor.field(DEPTH_MAX)?));
        }
        if !cursor.rest.is_empty() {
            return Err(FormatError::Trailing { what, count: cursor.rest.len() });
        }
        Ok(Self { what, fields })
    }

    /// The field, if it is there and not nil.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<Field<'a>> {
        self.fields.iter().find(|(name, _)| *name == key).map(|(_, field)| *field).filter(|field| *field != Field::Nil)
    }

    /// The error for a field that holds something impossible.
    #[must_use]
    pub const fn invalid(&self, field: &'static str) -> FormatError {
        FormatError::Invalid { what: self.what, field }
    }

    fn required<T>(&self, key: &'static str, found: Option<T>) -> Result<T, FormatError> {
        found.ok_or(FormatError::Missing { what: self.what, field: key })
    }

    /// A number of any width that fits `T`, where it is there.
    ///
    /// # Errors
    /// When the field holds something else.
    pub fn number_if<T: TryFrom<i128>>(&self, key: &'static str) -> Result<Option<T>, FormatError> {
        match self.field(key) {
            None => Ok(None),
            Some(Field::Number(number)) => T::try_from(number).map(Some).map_err(|_| self.invalid(key)),
            Some(_) => Err(self.invalid(key)),
        }
    }

    /// A number of any width that fits `T`.
    ///
    /// # Errors
    /// When the field is missing or holds something else.
    pub fn number<T: TryFrom<i128>>(&self, key: &'static str) -> Result<T, FormatError> {
        let found = self.number_if(key)?;
        self.required(key, found)
    }

    /// A text, where it is there.
    ///
    /// # Errors
    /// When the field holds something else.
    pub fn text_if(&self, key: &'static str) -> Result<Option<&'a str>, FormatError> {
        match self.field(key) {
            None => Ok(None),
            Some(Field::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.invalid(key)),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// When the field is missing or holds something else.
    pub fn text(&self, key: &'static str) -> Result<&'a str, FormatError> {
        let found = self.text_if(key)?;
        self.required(key, found)
    }

    /// Bytes, where they are there.
    ///
    /// # Errors
    /// When the field holds something else.
    pub fn binary_if(&self, key: &'static str) -> Result<Option<&'a [u8]>, FormatError> {
        match self.field(key) {
            None => Ok(None),
            Some(Field::Binary(bytes)) => Ok(Some(bytes)),
            Some(_) => Err(self.invalid(key)),
        }
    }

    /// Bytes.
    ///
    /// # Errors
    /// When the field is missing or holds something else.
    pub fn binary(&self, key: &'static str) -> Result<&'a [u8], FormatError> {
        let found = self.binary_if(key)?;
        self.required(key, found)
    }

    /// A truth; `false` where it is missing.
    ///
    /// # Errors
    /// When the field holds something else.
    pub fn boolean(&self, key: &'static str) -> Result<bool, FormatError> {
        match self.field(key) {
            None => Ok(false),
            Some(Field::Boolean(truth)) => Ok(truth),
            Some(_) => Err(self.invalid(key)),
        }
    }

    /// A hash.
    ///
    /// # Errors
    /// When the field is missing or does not hold 32 bytes.
    pub fn hash(&self, key: &'static str) -> Result<Hash, FormatError> {
        self.binary(key)?.try_into().map(Hash).map_err(|_| self.invalid(key))
    }

    /// An object.
    ///
    /// # Errors
    /// When the field is missing or holds no valid id.
    pub fn object(&self, key: &'static str) -> Result<ObjectId, FormatError> {
        ObjectId::new(self.number(key)?).ok_or_else(|| self.invalid(key))
    }

    /// A moment.
    ///
    /// # Errors
    /// When the field is missing or lies outside of the years 1 to 9999.
    pub fn timestamp(&self, key: &'static str) -> Result<Timestamp, FormatError> {
        Timestamp::from_micros(self.number(key)?).ok_or_else(|| self.invalid(key))
    }

    /// A number that counts up, as far as databases hold it: 0 … 2^63−1.
    fn count(&self, key: &'static str) -> Result<u64, FormatError> {
        let number: i64 = self.number(key)?;
        u64::try_from(number).map_err(|_| self.invalid(key))
    }

    /// A transaction's name, from three fields.
    ///
    /// # Errors
    /// When a field is missing or holds something else, or the counter is larger than 2^63−1.
    pub fn transaction_id(
        &self,
        node: &'static str,
        incarnation: &'static str,
        counter: &'static str,
    ) -> Result<TransactionId, FormatError> {
        Ok(TransactionId {
            node: NodeId(self.number(node)?),
            incarnation: self.number(incarnation)?,
            counter: self.count(counter)?,
        })
    }

    /// A position, from two fields.
    ///
    /// # Errors
    /// When a field is missing or holds something else, or the number is larger than 2^63−1.
    pub fn position(&self, epoch: &'static str, number: &'static str) -> Result<Position, FormatError> {
        Ok(Position { epoch: self.number(epoch)?, number: self.count(number)? })
    }
}

/// Reads MessagePack from bytes in memory without copying.
struct Cursor<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn cut(&self) -> FormatError {
        FormatError::Truncated { what: self.what }
    }

    fn peek(&self) -> Result<Marker, FormatError> {
        self.rest.first().map(|byte| Marker::from_u8(*byte)).ok_or_else(|| self.cut())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.cut())?;
        self.rest = rest;
        Ok(taken)
    }

    fn unsigned(&mut self, width: usize) -> Result<u64, FormatError> {
        Ok(self.take(width)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn length(&mut self, width: usize) -> Result<usize, FormatError> {
        let length = self.unsigned(width)?;
        usize::try_from(length).map_err(|_| self.cut())
    }

    fn signed(&mut self, width: usize) -> Result<Field<'a>, FormatError> {
        let bits = u32::try_from(width * 8).unwrap_or(64);
        let number = i128::from(self.unsigned(width)?);
        let number = if number >> (bits - 1) == 1 { number - (1i128 << bits) } else { number };
        Ok(Field::Number(number))
    }

    /// How many elements the map or array has that begins here.
    fn container_length(&mut self) -> Result<usize, FormatError> {
        let marker = self.peek()?;
        self.take(1)?;
        match marker {
            Marker::FixMap(count) | Marker::FixArray(count) => Ok(usize::from(count)),
            Marker::Map16 | Marker::Array16 => self.length(2),
            Marker::Map32 | Marker::Array32 => self.length(4),
            _ => Err(FormatError::Invalid { what: self.what, field: "(container)" }),
        }
    }

    fn text(&mut self, length: usize) -> Result<Field<'a>, FormatError> {
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Field::Text(text)),
            Err(_) => Err(FormatError::Invalid { what: self.what, field: "(text)" }),
        }
    }

    fn field(&mut self, depth: u32) -> Result<Field<'a>, FormatError> {
        let marker = self.peek()?;
        if let Marker::FixMap(_)
        | Marker::Map16
        | Marker::Map32
        | Marker::FixArray(_)
        | Marker::Array16
        | Marker::Array32 = marker
        {
            return self.pass_over_container(marker, depth);
        }
        self.take(1)?;
        match marker {
            Marker::Null => Ok(Field::Nil),
            Marker::True => Ok(Field::Boolean(true)),
            Marker::False => Ok(Field::Boolean(false)),
            Marker::FixPos(number) => Ok(Field::Number(i128::from(number))),
            Marker::FixNeg(number) => Ok(Field::Number(i128::from(number))),
            Marker::U8 => Ok(Field::Number(i128::from(self.unsigned(1)?))),
            Marker::U16 => Ok(Field::Number(i128::from(self.unsigned(2)?))),
            Marker::U32 => Ok(Field::Number(i128::from(self.unsigned(4)?))),
            Marker::U64 => Ok(Field::Number(i128::from(self.unsigned(8)?))),
            Marker::I8 => self.signed(1),
            Marker::I16 => self.signed(2),
            Marker::I32 => self.signed(4),
            Marker::I64 => self.signed(8),
            Marker::FixStr(length) => self.text(usize::from(length)),
            Marker::Str8 => self.length(1).and_then(|length| self.text(length)),
            Marker::Str16 => self.length(2).and_then(|length| self.text(length)),
            Marker::Str32 => self.length(4).and_then(|length| self.text(length)),
            Marker::Bin8 => self.length(1).and_then(|length| self.take(length)).map(Field::Binary),
            Marker::Bin16 => self.length(2).and_then(|length| self.take(length)).map(Field::Binary),
            Marker::Bin32 => self.length(4).and_then(|length| self.take(length)).map(Field::Binary),
            Marker::F32 => self.take(4).map(|_| Field::Other),
            Marker::F64 => self.take(8).map(|_| Field::Other),
            Marker::FixExt1 => self.take(2).map(|_| Field::Other),
            Marker::FixExt2 => self.take(3).map(|_| Field::Other),
            Marker::FixExt4 => self.take(5).map(|_| Field::Other),
            Marker::FixExt8 => self.take(9).map(|_| Field::Other),
            Marker::FixExt16 => self.take(17).map(|_| Field::Other),
            Marker::Ext8 => self.pass_over_extension(1),
            Marker::Ext16 => self.pass_over_extension(2),
            Marker::Ext32 => self.pass_over_extension(4),
            _ => Err(FormatError::Invalid { what: self.what, field: "(type)" }),
        }
    }

    fn pass_over_extension(&mut self, width: usize) -> Result<Field<'a>, FormatError> {
        let length = self.length(width)?;
        self.take(1)?;
        self.take(length).map(|_| Field::Other)
    }

    fn pass_over_container(&mut self, marker: Marker, depth: u32) -> Result<Field<'a>, FormatError> {
        let depth =
            depth.checked_sub(1).ok_or(FormatError::TooLarge { what: self.what, limit: "16 levels of nesting" })?;
        let is_map = matches!(marker, Marker::FixMap(_) | Marker::Map16 | Marker::Map32);
        let count = self.container_length()?;
        for _ in 0..count {
            self.field(depth)?;
            if is_map {
                self.field(depth)?;
            }
        }
        Ok(Field::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_passed_over() {
        // {"a": 1, "later": {"x": [1, 2, {"y": nil}]}, "b": "é"}
        let mut body = vec![0x83, 0xa1, b'a', 1, 0xa5];
        body.extend_from_slice(b"later");
        body.extend_from_slice(&[0x81, 0xa1, b'x', 0x93, 1, 2, 0x81, 0xa1, b'y', 0xc0, 0xa1, b'b', 0xa2, 0xc3, 0xa9]);
        let map = MapReader::new("test", &body).unwrap();
        assert_eq!(map.number::<u8>("a"), Ok(1));
        assert_eq!(map.text("b"), Ok("é"));
        assert_eq!(map.text("c"), Err(FormatError::Missing { what: "test", field: "c" }));
        assert_eq!(map.text("a"), Err(FormatError::Invalid { what: "test", field: "a" }));
        for cut in 0..body.len() {
            assert!(MapReader::new("test", &body[..cut]).is_err(), "{cut}");
        }
        body.push(0);
        assert_eq!(MapReader::new("test", &body).unwrap_err(), FormatError::Trailing { what: "test", count: 1 });
    }

    #[test]
    fn a_key_stands_once() {
        let check = |body: &[u8]| {
            let error = MapReader::new("test", body).unwrap_err();
            assert_eq!(error, FormatError::Invalid { what: "test", field: "(key twice)" });
        };
        check(&[0x82, 0xa1, b'a', 1, 0xa1, b'a', 1]);
        check(&[0x82, 0xa1, b'a', 0xc0, 0xa1, b'a', 1]);
        // The same key in a longer form.
        check(&[0x82, 0xa1, b'a', 1, 0xd9, 1, b'a', 2]);
    }

    #[test]
    fn fields_have_an_end() {
        let body = |fields: usize| {
            let map = (0..fields).fold(MapWriter::new(u32::try_from(fields).unwrap()), |map, number| {
                map.unsigned(&number.to_string(), 1)
            });
            map.finish()
        };
        assert!(MapReader::new("test", &body(FIELDS_MAX)).is_ok());
        let error = MapReader::new("test", &body(FIELDS_MAX + 1)).unwrap_err();
        assert_eq!(error, FormatError::TooLarge { what: "test", limit: "64 fields" });
    }

    #[test]
    fn counts_are_those_that_databases_hold() {
        let largest = i64::MAX.unsigned_abs();
        for (number, expected) in [(0, true), (largest, true), (largest + 1, false)] {
            let body = MapWriter::new(2).unsigned("e", 1).unsigned("n", number).finish();
            assert_eq!(MapReader::new("test", &body).unwrap().position("e", "n").is_ok(), expected, "{number}");
        }
    }

    #[test]
    fn lengths_that_lie_take_no_memory() {
        for body in [&[0xdf, 0xff, 0xff, 0xff, 0xff][..], &[0x81, 0xa1, b'a', 0xc6, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(MapReader::new("test", body).unwrap_err(), FormatError::Truncated { what: "test" });
        }
    }

    #[test]
    fn nesting_has_an_end() {
        let mut body = vec![0x81, 0xa1, b'a'];
        body.extend_from_slice(&[0x91; 100_000]);
        assert!(matches!(MapReader::new("test", &body), Err(FormatError::TooLarge { .. })));
    }

    #[test]
    fn numbers_of_all_widths() {
        let numbers = [0, 127, 128, 65_536, i64::MAX, -1, -33, -129, -40_000, i64::MIN];
        for number in numbers {
            let body = MapWriter::new(1).signed("n", number).finish();
            assert_eq!(MapReader::new("test", &body).unwrap().number(("n", number).0), Ok(number));
        }
        let body = MapWriter::new(1).unsigned("n", u64::MAX).finish();
        let map = MapReader::new("test", &body).unwrap();
        assert_eq!(map.number("n"), Ok(u64::MAX));
        assert_eq!(map.number::<i64>("n"), Err(FormatError::Invalid { what: "test", field: "n" }));
    }
}
