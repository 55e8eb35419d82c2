//! Type, version, flags and length around every record and message.
//!
//! ```text
//! 0       2         3       4              8
//! | type  | version | flags | length (u32) | body …
//! ```
//! All numbers are big-endian.

use crate::FormatError;

/// Length of the part before the body.
pub const HEADER_BYTES: usize = 8;

/// Who does not know the type may pass over the record.
pub const FLAG_MAY_SKIP: u8 = 1;

/// What stands before a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Which record it is.
    pub kind: u16,
    /// Version of the body's form.
    pub version: u8,
    /// See [`FLAG_MAY_SKIP`]; unknown flags are kept and have no meaning.
    pub flags: u8,
    /// Bytes of the body.
    pub length: u32,
}

impl Header {
    /// As bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [k0, k1] = self.kind.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [k0, k1, self.version, self.flags, l0, l1, l2, l3]
    }

    /// From bytes; any eight bytes are a header.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; HEADER_BYTES]) -> Self {
        let [k0, k1, version, flags, l0, l1, l2, l3] = bytes;
        Self { kind: u16::from_be_bytes([k0, k1]), version, flags, length: u32::from_be_bytes([l0, l1, l2, l3]) }
    }

    /// Whether who does not know the type may pass over the record.
    #[must_use]
    pub const fn may_skip(self) -> bool {
        self.flags & FLAG_MAY_SKIP != 0
    }
}

/// A record within some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope<'a> {
    /// What stands before the body.
    pub header: Header,
    /// The body.
    pub body: &'a [u8],
    /// Header and body, word for word.
    pub whole: &'a [u8],
}

/// Appends a record.
///
/// # Errors
/// When the body is 4 GiB or longer.
pub fn write(out: &mut Vec<u8>, kind: u16, version: u8, flags: u8, body: &[u8]) -> Result<(), FormatError> {
    let length = u32::try_from(body.len())
        .map_err(|_| FormatError::TooLarge { what: "the body of a record", limit: "4 GiB" })?;
    out.extend_from_slice(&Header { kind, version, flags, length }.to_bytes());
    out.extend_from_slice(body);
    Ok(())
}

/// Reads the first record of some bytes; returns it and what follows.
///
/// # Errors
/// When the bytes end before the record does.
pub fn read(bytes: &[u8]) -> Result<(Envelope<'_>, &[u8]), FormatError> {
    let cut = FormatError::Truncated { what: "a record" };
    let (head, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(cut.clone())?;
    let header = Header::from_bytes(*head);
    let length = usize::try_from(header.length).map_err(|_| cut.clone())?;
    let (body, rest) = rest.split_at_checked(length).ok_or(cut.clone())?;
    let whole = bytes.get(..HEADER_BYTES + length).ok_or(cut)?;
    Ok((Envelope { header, body, whole }, rest))
}

/// All records of some bytes, one after another; ends with the first error.
pub fn run(bytes: &[u8]) -> impl Iterator<Item = Result<Envelope<'_>, FormatError>> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest.filter(|bytes| !bytes.is_empty())?;
        match read(bytes) {
            Ok((envelope, behind)) => {
                rest = Some(behind);
                Some(Ok(envelope))
            }
            Err(error) => {
                rest = None;
                Some(Err(error))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_its_eight_bytes_and_its_body() {
        let mut out = Vec::new();
        write(&mut out, 0x0112, 1, FLAG_MAY_SKIP, b"abc").unwrap();
        assert_eq!(out, [0x01, 0x12, 1, 1, 0, 0, 0, 3, b'a', b'b', b'c']);
        let (envelope, rest) = read(&out).unwrap();
        assert_eq!((envelope.header.kind, envelope.body, rest.len()), (0x0112, &b"abc"[..], 0));
        assert!(envelope.header.may_skip());
        for cut in 0..out.len() {
            assert!(read(&out[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_run_ends_with_the_first_damage() {
        let mut out = Vec::new();
        write(&mut out, 1, 1, 0, b"x").unwrap();
        write(&mut out, 2, 1, 0, b"").unwrap();
        out.extend_from_slice(&[0, 3, 1, 0, 0xff, 0xff, 0xff, 0xff]);
        let kinds: Vec<_> = run(&out).map(|item| item.map(|envelope| envelope.header.kind)).collect();
        assert_eq!(kinds, [Ok(1), Ok(2), Err(FormatError::Truncated { what: "a record" })]);
    }
}
