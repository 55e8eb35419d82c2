//! What happened, line by line: printed where one seed is played, and always hashed, so that two plays can be compared.

use std::fmt::Display;
use std::io::Write as _;

use mytism_core::id::Hash;
use mytism_format::hash;

/// See the module.
#[derive(Debug)]
pub struct Trace {
    prints: bool,
    text: Vec<u8>,
    hash: Hash,
    /// The last lines, for who reads of a failure.
    last: std::collections::VecDeque<String>,
}

/// So many lines are kept for a report.
const LAST: usize = 30;
/// So many bytes are hashed at once.
const BYTES: usize = 64 << 10;

impl Trace {
    /// A trace that is printed or not.
    #[must_use]
    pub fn new(prints: bool) -> Self {
        Self { prints, text: Vec::new(), hash: Hash::default(), last: std::collections::VecDeque::new() }
    }

    /// Notes a line.
    pub fn note(&mut self, at: u64, line: impl Display) {
        let line = format!("{:>4}.{:06} {line}\n", at / 1_000_000, at % 1_000_000);
        if self.prints {
            // Who closed the pipe wants to hear no more.
            let _closed = std::io::stdout().write_all(line.as_bytes());
        }
        self.text.extend_from_slice(line.as_bytes());
        if self.text.len() > BYTES {
            self.fold();
        }
        if self.last.len() == LAST {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    fn fold(&mut self) {
        self.text.extend_from_slice(&self.hash.0);
        self.hash = hash::chunk(&self.text);
        self.text.clear();
    }

    /// The last lines.
    #[must_use]
    pub fn tail(&self) -> String {
        self.last.iter().map(String::as_str).collect()
    }

    /// The hash of all of it.
    #[must_use]
    pub fn hash(mut self) -> Hash {
        self.fold();
        self.hash
    }
}
