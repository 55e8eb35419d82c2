//! The content of a file as the value of an attribute: what it is, not where it is.
//!
//! Two values are equal where all of it is: a file under another name is another value over the same content.

use std::fmt;

use unicode_normalization::is_nfc;

use crate::id::Hash;

/// Bytes of a content at most, so that JSON and scripts can hold the number.
pub const BLOB_BYTES_MAX: u64 = (1 << 53) - 1;
/// Bytes of the name of a file at most.
pub const BLOB_NAME_BYTES_MAX: usize = 255;
/// Bytes of a media type at most.
pub const BLOB_TYPE_BYTES_MAX: usize = 127;
/// The media type of a content of which nothing is known.
pub const UNKNOWN_TYPE: &str = "application/octet-stream";

/// See the module.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Blob {
    hash: Hash,
    bytes: u64,
    name: String,
    media_type: String,
}

impl Blob {
    /// A content under a name; `None` where something is out of its limits: a name is 1 … 255 bytes of UTF-8 in NFC
    /// without control characters, a media type 1 … 127 visible characters of ASCII.
    #[must_use]
    pub fn new(hash: Hash, bytes: u64, name: &str, media_type: &str) -> Option<Self> {
        let name_fits = (1..=BLOB_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
        let type_fits = (1..=BLOB_TYPE_BYTES_MAX).contains(&media_type.len())
            && media_type.bytes().all(|byte| byte.is_ascii_graphic());
        let fits = bytes <= BLOB_BYTES_MAX && name_fits && type_fits && is_nfc(name);
        fits.then(|| Self { hash, bytes, name: name.to_owned(), media_type: media_type.to_owned() })
    }

    /// The hash of the content.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }

    /// Bytes of the content.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The name of the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its media type.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(4, ' ');
        let (hash, bytes) = (Hash::from_hex(words.next()?)?, words.next()?);
        let (media_type, name) = (words.next()?, words.next()?);
        let number = bytes.parse().ok().filter(|number: &u64| number.to_string() == bytes)?;
        Self::new(hash, number, name, media_type)
    }
}

impl fmt::Display for Blob {
    /// Hash, bytes, media type and name, in this order, since only the name can hold a blank.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.hash, self.bytes, self.media_type, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_written() {
        let blob = Blob::new(Hash([0xab; 32]), 84_012, "Rechnung  1.pdf ", "application/pdf").unwrap();
        assert_eq!(Blob::parse(&blob.to_string()), Some(blob.clone()));
        let text = blob.to_string();
        for wrong in [text.replace("84012", "084012"), text.replace("84012", "-1"), text[1..].to_owned(), String::new()]
        {
            assert_eq!(Blob::parse(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_out_of_its_limits_is_none() {
        let made = |bytes, name: &str, media_type: &str| Blob::new(Hash([1; 32]), bytes, name, media_type).is_some();
        assert!(made(0, "a", "x/y") && made(BLOB_BYTES_MAX, &"n".repeat(255), "x/y"));
        assert!(!made(BLOB_BYTES_MAX + 1, "a", "x/y"));
        for name in ["", "a\nb", "e\u{301}", &"n".repeat(256)] {
            assert!(!made(1, name, "x/y"), "{name}");
        }
        for media_type in ["", "x y", "ä/b", &"t".repeat(128)] {
            assert!(!made(1, "a", media_type), "{media_type}");
        }
    }
}
