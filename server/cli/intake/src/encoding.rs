//! From the bytes of a file to UTF-8 and back, for the encodings that firms have files in. Knows no rows.
//!
//! Own code, since the usual library writes no UTF-16 and takes Latin-1 for Windows-1252, and since a wrong byte is to
//! be told with its line and column.

use std::fmt;
use std::io::{self, Read, Write};

/// How the letters of a file are encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// Windows-1252, as older programs on Windows write in western Europe.
    Windows1252,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

impl Encoding {
    /// All names by which encodings can be asked for.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("utf-8", Self::Utf8),
        ("windows-1252", Self::Windows1252),
        ("latin-1", Self::Latin1),
        ("utf-16", Self::Utf16Le),
        ("utf-16le", Self::Utf16Le),
        ("utf-16be", Self::Utf16Be),
    ];

    /// Its usual name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Windows1252 => "Windows-1252",
            Self::Latin1 => "Latin-1",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
        }
    }

    /// The encoding that the first bytes of a file tell, and how many bytes tell it.
    #[must_use]
    pub fn of_mark(start: &[u8]) -> Option<(Self, usize)> {
        match start {
            [0xef, 0xbb, 0xbf, ..] => Some((Self::Utf8, 3)),
            [0xff, 0xfe, ..] => Some((Self::Utf16Le, 2)),
            [0xfe, 0xff, ..] => Some((Self::Utf16Be, 2)),
            _ => None,
        }
    }

    /// The bytes that tell it at the beginning of a file; none where there are no such bytes.
    #[must_use]
    pub const fn mark(self) -> &'static [u8] {
        match self {
            Self::Utf8 => &[0xef, 0xbb, 0xbf],
            Self::Utf16Le => &[0xff, 0xfe],
            Self::Utf16Be => &[0xfe, 0xff],
            Self::Windows1252 | Self::Latin1 => &[],
        }
    }

    /// Whether it has a character.
    #[must_use]
    pub fn has(self, letter: char) -> bool {
        match self {
            Self::Utf8 | Self::Utf16Le | Self::Utf16Be => true,
            Self::Latin1 => u32::from(letter) < 0x100,
            Self::Windows1252 => to_windows(letter).is_some(),
        }
    }
}

/// What Windows-1252 has from 0x80 on; the five bytes that mean nothing are kept as they are.
const WINDOWS: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

fn from_windows(byte: u8) -> char {
    let place = usize::from(byte).checked_sub(0x80);
    place.and_then(|place| WINDOWS.get(place)).copied().unwrap_or(char::from(byte))
}

fn to_windows(letter: char) -> Option<u8> {
    if let Some(byte) = (0x80u8..0xa0).find(|byte| from_windows(*byte) == letter) {
        return Some(byte);
    }
    u8::try_from(u32::from(letter)).ok().filter(|byte| !(0x80..0xa0).contains(byte))
}

/// Bytes that are no text in the encoding that was expected. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoText {
    /// The encoding.
    pub encoding: Encoding,
    /// The line.
    pub line: u64,
    /// The column.
    pub column: u64,
    /// The first wrong byte.
    pub byte: u8,
}

impl fmt::Display for NoText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { encoding, line, column, byte } = self;
        write!(f, "line {line} column {column}: the byte {byte:#04x} is not {}", encoding.name())
    }
}

impl std::error::Error for NoText {}

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// Reads UTF-8 from a file in any encoding. Wrong bytes are an error that holds a [`NoText`].
pub struct Decoder<R> {
    from: R,
    encoding: Encoding,
    raw: Vec<u8>,
    text: Vec<u8>,
    given: usize,
    line: u64,
    column: u64,
    has_ended: bool,
    failed: Option<NoText>,
}

impl<R: Read> Decoder<R> {
    /// Over bytes behind the mark.
    pub fn new(from: R, encoding: Encoding) -> Self {
        let (raw, text) = (Vec::new(), Vec::new());
        Self { from, encoding, raw, text, given: 0, line: 1, column: 1, has_ended: false, failed: None }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.text.clear();
        self.given = 0;
        while self.text.is_empty() && !self.has_ended {
            if let Some(failed) = self.failed {
                return Err(io::Error::new(io::ErrorKind::InvalidData, failed));
            }
            let kept = self.raw.len();
            self.raw.resize(kept + CHUNK, 0);
            let room = self.raw.get_mut(kept..).unwrap_or_default();
            let read = loop {
                match self.from.read(room) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            self.raw.truncate(kept + *read.as_ref().unwrap_or(&0));
            self.has_ended = read? == 0;
            self.decode();
        }
        match self.failed {
            Some(failed) if self.text.is_empty() => Err(io::Error::new(io::ErrorKind::InvalidData, failed)),
            _ => Ok(()),
        }
    }

    /// Turns all that is whole into text.
    fn decode(&mut self) {
        let wrong = match self.encoding {
            Encoding::Utf8 => self.decode_utf_8(),
            Encoding::Windows1252 => self.decode_bytes(from_windows),
            Encoding::Latin1 => self.decode_bytes(char::from),
            Encoding::Utf16Le => self.decode_utf_16(u16::from_le_bytes),
            Encoding::Utf16Be => self.decode_utf_16(u16::from_be_bytes),
        };
        // Everything up to a wrong byte is given out first, so its place is the end of that.
        let lines = self.text.iter().filter(|byte| **byte == b'\n').count();
        let last = self.text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let letters = last.iter().filter(|byte| **byte & 0xc0 != 0x80).count() as u64;
        self.column = if lines > 0 { letters + 1 } else { self.column + letters };
        self.line += lines as u64;
        if wrong {
            let byte = self.raw.first().copied().unwrap_or_default();
            self.failed = Some(NoText { encoding: self.encoding, line: self.line, column: self.column, byte });
        }
    }

    fn decode_bytes(&mut self, letter: impl Fn(u8) -> char) -> bool {
        let text: String = self.raw.drain(..).map(letter).collect();
        self.text = text.into_bytes();
        false
    }

    fn decode_utf_8(&mut self) -> bool {
        let (good, is_wrong) = match std::str::from_utf8(&self.raw) {
            Ok(_) => (self.raw.len(), false),
            Err(error) => (error.valid_up_to(), error.error_len().is_some() || self.has_ended),
        };
        let rest = self.raw.split_off(good);
        self.text = std::mem::replace(&mut self.raw, rest);
        is_wrong
    }

    fn decode_utf_16(&mut self, unit: impl Fn([u8; 2]) -> u16) -> bool {
        let (pairs, _) = self.raw.as_chunks::<2>();
        let mut text = String::with_capacity(self.raw.len());
        let (mut used, mut is_wrong) = (0, false);
        for letter in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
            match letter {
                Ok(letter) => {
                    text.push(letter);
                    used += 2 * letter.len_utf16();
                }
                // The other half may be yet to come.
                Err(_) => {
                    is_wrong = self.has_ended || used + 2 < pairs.len() * 2;
                    break;
                }
            }
        }
        self.raw.drain(..used);
        self.text = text.into_bytes();
        is_wrong || (self.has_ended && !self.raw.is_empty())
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.text.len() {
            self.refill()?;
        }
        let waiting = self.text.get(self.given..).unwrap_or_default();
        let count = waiting.len().min(buffer.len());
        if let (Some(room), Some(text)) = (buffer.get_mut(..count), waiting.get(..count)) {
            room.copy_from_slice(text);
        }
        self.given += count;
        Ok(count)
    }
}

/// Writes UTF-8 in any encoding. A character that the encoding lacks is an error that names it.
pub struct Encoder<W> {
    to: W,
    encoding: Encoding,
    /// The beginning of a character whose end has not come yet.
    rest: Vec<u8>,
}

impl<W: Write> Encoder<W> {
    /// Over a file that takes the bytes.
    pub fn new(to: W, encoding: Encoding) -> Self {
        Self { to, encoding, rest: Vec::new() }
    }

    fn encode(&self, text: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(text.len() * 2);
        for letter in text.chars() {
            let byte = match self.encoding {
                Encoding::Utf8 => {
                    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                Encoding::Utf16Le | Encoding::Utf16Be => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        let pair =
                            if self.encoding == Encoding::Utf16Le { unit.to_le_bytes() } else { unit.to_be_bytes() };
                        bytes.extend_from_slice(&pair);
                    }
                    continue;
                }
                Encoding::Latin1 => u8::try_from(u32::from(letter)).ok(),
                Encoding::Windows1252 => to_windows(letter),
            };
            bytes.push(byte.ok_or_else(|| {
                let message = format!("{} has no character {letter:?}", self.encoding.name());
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?);
        }
        Ok(bytes)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.encoding == Encoding::Utf8 {
            return self.to.write(buffer);
        }
        self.rest.extend_from_slice(buffer);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        };
        let rest = self.rest.split_off(whole);
        let text = String::from_utf8(std::mem::replace(&mut self.rest, rest)).unwrap_or_default();
        let bytes = self.encode(&text)?;
        self.to.write_all(&bytes)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], encoding: Encoding, chunk: usize) -> Result<String, String> {
        /// Gives few bytes at once.
        struct Slowly<'a>(&'a [u8], usize);
        impl Read for Slowly<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.1.min(self.0.len()).min(buffer.len());
                buffer[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        let mut text = String::new();
        match Decoder::new(Slowly(bytes, chunk), encoding).read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn every_encoding_is_read_and_written_alike() {
        let text = "Käse €,\r\n„Straße“ žlutý";
        for (name, encoding) in Encoding::NAMES {
            let text = if encoding == Encoding::Latin1 { "Käse ½\r\n\u{80}ÿ" } else { text };
            let wide = if encoding == Encoding::Windows1252 || encoding == Encoding::Latin1 { "" } else { "語😀" };
            let text = format!("{text}{}", if wide.is_empty() { "" } else { wide }).replace("lutý", "l");
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, encoding);
            for byte in text.as_bytes() {
                encoder.write_all(&[*byte]).unwrap();
            }
            for chunk in [1, 2, 3, 1000] {
                assert_eq!(decoded(&bytes, encoding, chunk), Ok(text.clone()), "{name} by {chunk}");
            }
        }
    }

    #[test]
    fn wrong_bytes_have_a_place() {
        let check = |bytes: &[u8], encoding: Encoding, expected: &str| {
            for chunk in [1, 3, 1000] {
                assert_eq!(decoded(bytes, encoding, chunk).unwrap_err(), expected);
            }
        };
        check(b"a\n\xc3\xa4b\xfcller", Encoding::Utf8, "line 2 column 3: the byte 0xfc is not UTF-8");
        check(b"abc\xc3", Encoding::Utf8, "line 1 column 4: the byte 0xc3 is not UTF-8");
        check(b"a\0\n\0\x00\xd8b\0", Encoding::Utf16Le, "line 2 column 1: the byte 0x00 is not UTF-16");
        check(b"\0a\0", Encoding::Utf16Be, "line 1 column 2: the byte 0x00 is not UTF-16");
    }

    #[test]
    fn marks_tell_the_encoding() {
        for encoding in [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be] {
            let mark = encoding.mark();
            assert_eq!(Encoding::of_mark(mark), Some((encoding, mark.len())));
        }
        assert_eq!(Encoding::of_mark(b"abc"), None);
    }

    #[test]
    fn what_an_encoding_lacks_is_told() {
        let mut encoder = Encoder::new(Vec::new(), Encoding::Latin1);
        assert_eq!(encoder.write_all("€".as_bytes()).unwrap_err().to_string(), "Latin-1 has no character '€'");
        assert!(Encoding::Windows1252.has('€') && !Encoding::Windows1252.has('\u{80}') && !Encoding::Latin1.has('€'));
        assert!(
            Encoding::Windows1252.has('\u{81}') && Encoding::Windows1252.has('ÿ') && !Encoding::Windows1252.has('→')
        );
    }
}
