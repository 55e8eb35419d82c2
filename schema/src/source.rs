//! Schema files as texts: where they come from, how large they may be, and how a place in one is named.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;

/// The system's own schema files, in the order in which they are read.
pub(crate) const BUILT_IN: [(&str, &str); 3] = [
    ("core.xml", include_str!("../defs/core.xml")),
    ("core-rights.xml", include_str!("../defs/core-rights.xml")),
    ("core-sync.xml", include_str!("../defs/core-sync.xml")),
];

/// The most bytes of all files of a schema.
pub(crate) const BYTES_MAX: usize = 16 << 20;
/// The most XML attributes of one element; the parser's search for doubles is quadratic.
const ATTRIBUTES_MAX: usize = 200;
/// The most namespaces that a file may declare. Schemas need none, editors one or two; the parser lets every element
/// that declares one have a copy of all that stand above it.
const NAMESPACES_MAX: usize = 16;

/// Something wrong in a schema file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct FileProblem {
    /// The file, as it was named; the system's own files by their names alone.
    pub file: String,
    /// Counts from 1.
    pub line: u32,
    /// In characters, counts from 1.
    pub column: u32,
    /// What is wrong, with the nearest valid name.
    pub message: String,
}

/// One schema file.
#[derive(Debug)]
pub(crate) struct Source {
    /// As it is named in messages.
    pub(crate) name: String,
    /// Without byte order mark; empty where it could not be read.
    pub(crate) text: Rc<str>,
    /// Whether it is one of the system's own, from the program itself.
    pub(crate) built_in: bool,
}

/// A place in one of several files; ordered by file, then downwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Place {
    /// Index of the file.
    pub(crate) source: usize,
    /// Byte in its text.
    pub(crate) byte: usize,
}

impl Source {
    /// The problem at a byte of this file.
    pub(crate) fn problem(&self, byte: usize, message: String) -> FileProblem {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        FileProblem {
            file: self.name.clone(),
            line: count(before.matches('\n').count() + 1),
            column: count(before.get(start..).unwrap_or_default().chars().count() + 1),
            message,
        }
    }

    /// Byte of a line and column that the XML parser names; both count from 1.
    pub(crate) fn byte_at(&self, line: u32, column: u32) -> usize {
        let start = match line.checked_sub(2) {
            Some(skipped) => {
                self.text.match_indices('\n').nth(skipped as usize).map_or(self.text.len(), |(end, _)| end + 1)
            }
            None => 0,
        };
        let rest = self.text.get(start..).unwrap_or_default();
        let within = rest.char_indices().nth(column.saturating_sub(1) as usize).map_or(rest.len(), |(byte, _)| byte);
        start + within
    }
}

/// The bytes of a file, at most `room`.
pub(crate) fn read(path: &Path, room: usize) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Asked before it is opened, since opening a named pipe waits for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("cannot be read: not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(room as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > room {
        return Err(format!("a schema of more than {} MiB is not read", BYTES_MAX >> 20));
    }
    Ok(bytes)
}

/// The text of a file; where there is none, the sound text before the byte that is wrong, and what is wrong there.
pub(crate) fn text(bytes: Vec<u8>) -> Result<String, (String, String)> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let bytes = error.into_bytes();
            let sound = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default()).into_owned();
            return Err((sound, "not UTF-8 from here on; save the file in this encoding".to_owned()));
        }
    };
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    // What stands between two `<` is at most one tag, and an attribute needs a `=`.
    let crowded = text.split('<').find(|tag| !tag.starts_with(['!', '?']) && tag.matches('=').count() > ATTRIBUTES_MAX);
    if crowded.is_some() {
        return Err((String::new(), format!("an element with more than {ATTRIBUTES_MAX} attributes is not read")));
    }
    if text.matches("xmlns").nth(NAMESPACES_MAX).is_some() {
        return Err((String::new(), format!("a file that declares more than {NAMESPACES_MAX} namespaces is not read")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_have_lines_and_columns() {
        let source = Source { name: "a.xml".into(), text: "äb\n\ncd\r\né<".into(), built_in: false };
        let check = |byte: usize, expected: &str| {
            let problem = source.problem(byte, "wrong".into());
            assert_eq!(problem.to_string(), format!("a.xml:{expected}: wrong"));
            assert_eq!(source.byte_at(problem.line, problem.column), byte);
        };
        check(0, "1:1");
        check(2, "1:2");
        check(4, "2:1");
        check(5, "3:1");
        check(9, "4:1");
        check(11, "4:2");
        check(12, "4:3");
        assert_eq!(source.byte_at(9, 9), 12);
    }

    #[test]
    fn only_sound_texts_are_read() {
        assert_eq!(text(b"\xef\xbb\xbf<a/>".to_vec()), Ok("<a/>".to_owned()));
        let Err((sound, message)) = text(b"<a b='\xe4'/>".to_vec()) else { panic!("Latin-1 is not UTF-8") };
        assert_eq!((sound.as_str(), message.starts_with("not UTF-8")), ("<a b='", true));
        let crowd = |many: usize| text(format!("<a {}/>", "b='' ".repeat(many)).into_bytes()).is_ok();
        assert!(crowd(ATTRIBUTES_MAX) && !crowd(ATTRIBUTES_MAX + 1));
        let namespaces = |many: usize| text("<a xmlns:b='c'/>".repeat(many).into_bytes()).is_ok();
        assert!(namespaces(NAMESPACES_MAX) && !namespaces(NAMESPACES_MAX + 1));
        assert!(text(format!("<!-- {} -->", "=".repeat(9_999)).into_bytes()).is_ok());
    }
}
