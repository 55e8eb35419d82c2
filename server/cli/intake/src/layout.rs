//! How a file of rows is made: what stands between cells and around them, how letters are encoded. Knows no rows.

use std::ffi::OsStr;
use std::path::Path;

use crate::encoding::Encoding;

/// What stands around a cell that holds a delimiter or a line break.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quote {
    /// This character, which is doubled within the cell.
    Sign(u8),
    /// Nothing: no cell can hold such.
    None,
}

/// How a file is made, as far as it is told; the file itself tells the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// What stands between cells; `None`: as the header line has it.
    pub delimiter: Option<u8>,
    /// What stands around cells.
    pub quote: Quote,
    /// How letters are encoded; a mark at the beginning of the file counts for more.
    pub encoding: Encoding,
    /// Whether texts are guarded, see [`crate::guard`].
    pub guarded: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { delimiter: None, quote: Quote::Sign(b'"'), encoding: Encoding::Utf8, guarded: false }
    }
}

/// How a file was found to be made, so that another one can be made like it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found {
    /// Between the cells; `None` for JSON lines.
    pub delimiter: Option<u8>,
    /// Around cells.
    pub quote: Quote,
    /// Of the letters.
    pub encoding: Encoding,
    /// Whether a mark stands at its beginning.
    pub has_mark: bool,
    /// Whether its lines end with CR LF.
    pub has_returns: bool,
}

/// Whether a file is one of JSON lines, by its name.
#[must_use]
pub fn is_json(path: &Path) -> bool {
    [Some(OsStr::new("jsonl")), Some(OsStr::new("ndjson"))].contains(&path.extension())
}

/// What stands between cells, the likelier first.
const DELIMITERS: [u8; 4] = [b'\t', b',', b';', b'|'];

/// The delimiter that the header line has most of.
pub(crate) fn delimiter(start: &[u8], quote: Quote) -> u8 {
    let (mut counts, mut quoted) = ([0u32; DELIMITERS.len()], false);
    for byte in start {
        match byte {
            _ if Quote::Sign(*byte) == quote => quoted = !quoted,
            b'\n' | b'\r' if !quoted && counts.iter().any(|count| *count > 0) => break,
            _ if quoted => {}
            _ => {
                for (count, _) in counts.iter_mut().zip(DELIMITERS).filter(|(_, delimiter)| delimiter == byte) {
                    *count += 1;
                }
            }
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0).max(1);
    counts.iter().zip(DELIMITERS).find(|(count, _)| **count == most).map_or(b',', |(_, delimiter)| delimiter)
}
