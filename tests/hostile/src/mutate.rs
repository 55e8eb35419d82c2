//! Sound input made unsound: bytes set, moved, doubled and cut, lengths and numbers at their extremes, and records whose
//! envelopes are kept right so that what is wrong gets past them.

use mytism_format::envelope::{self, HEADER_BYTES};

/// No mutant is longer.
pub const BYTES_MAX: usize = 64 << 10;

/// Bytes that mean something to readers: ends, markers of MessagePack, signs of texts.
const BYTES: &[u8] =
    b"\0\x01\x7f\x80\x8f\x90\xc0\xc1\xc4\xc6\xc7\xc9\xcf\xd3\xd4\xd9\xdb\xdd\xdf\xff\"'`<>&;=[](){}.,-$\n\r\\";
/// Numbers at their ends, as eight bytes.
const NUMBERS: &[u64] = &[
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 53,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];
/// Words that readers of texts have stumbled over.
const WORDS: &[&str] = &[
    "1e999999",
    "-1e-999999",
    "1e28",
    "79228162514264337593543950335",
    "9223372036854775808",
    "0.00499999999999999999999999999999",
    "9999-12-31T23:59:59.999999999Z",
    "0000-00-00",
    "0001-01-01",
    "2026-02-30",
    "\u{feff}",
    "\u{202e}",
    "e\u{301}",
    "\u{1f600}",
    "\u{212b}",
    "\u{fb01}",
    "İ",
    "ß",
    "\u{0}",
    "\\u0000",
    "\\ud800",
    "%_\\",
];

/// Numbers that look like chance and are the same for the same seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let number = self.number().checked_rem(end as u64).unwrap_or_default();
        usize::try_from(number).unwrap_or_default()
    }

    /// One of them.
    ///
    /// # Panics
    /// When there is none.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let (one, other) = (self.below(length + 1), self.below(length + 1));
        // Short ones hurt more often than long ones.
        let (start, end) = (one.min(other), one.max(other));
        if self.below(3) == 0 { start..end } else { start..end.min(start + 1 + self.below(16)) }
    }
}

/// A mutant of one of the seeds. `words` are those of the reader's language.
///
/// # Panics
/// When there is no seed.
pub fn mutant(random: &mut Random, seeds: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut bytes = random.one(seeds).clone();
    let rounds = 1 + random.below(2) + random.below(4) * random.below(2);
    for _ in 0..rounds {
        if random.below(3) > 0 && within_record(random, &mut bytes, seeds, words) {
            continue;
        }
        alter(random, &mut bytes, seeds, words);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

/// Where the bytes are records one after another: changes the body of one, or which there are. Says whether it did.
fn within_record(random: &mut Random, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) -> bool {
    let Ok(records) = envelope::run(bytes).map(|record| record.map(|record| record.whole.to_vec())).collect() else {
        return false;
    };
    let mut records: Vec<Vec<u8>> = records;
    if records.is_empty() {
        return false;
    }
    let at = random.below(records.len());
    match random.below(8) {
        0 => drop(records.remove(at)),
        1 => records.insert(random.below(records.len()), records[at].clone()),
        2 => records.swap(at, random.below(at + 1)),
        3 => records[at][random.below(HEADER_BYTES - 4)] ^= 1 << random.below(8),
        _ => {
            let mut body = records[at].split_off(HEADER_BYTES);
            alter(random, &mut body, seeds, words);
            let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
            records[at][HEADER_BYTES - 4..].copy_from_slice(&length.to_be_bytes());
            records[at].extend_from_slice(&body);
        }
    }
    *bytes = records.concat();
    true
}

fn alter(random: &mut Random, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[&str]) {
    let at = random.below(bytes.len() + 1);
    match random.below(12) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        2 if at < bytes.len() => bytes[at] = *random.one(BYTES),
        3 => drop(bytes.splice(at..at, [*random.one(BYTES)])),
        4 => drop(bytes.drain(random.range(bytes.len()))),
        5 => bytes.truncate(at),
        6 => {
            let run = bytes[random.range(bytes.len())].to_vec();
            let times = if random.below(8) == 0 { random.below(400) } else { 1 };
            let run = run.repeat(times.min(BYTES_MAX / run.len().max(1)));
            bytes.splice(at..at, run);
        }
        7 => {
            let other = random.one(seeds);
            let run = other[random.range(other.len())].to_vec();
            let end = if random.below(2) == 0 { at } else { (at + run.len()).min(bytes.len()) };
            bytes.splice(at..end, run);
        }
        8 => {
            let width = 1 << random.below(4);
            let number = random.one(NUMBERS).to_be_bytes();
            let end = (at + width).min(bytes.len());
            bytes.splice(at..end, number[8 - width..].iter().copied());
        }
        9 => drop(bytes.splice(at..at, random.one(WORDS).bytes())),
        _ if !words.is_empty() => {
            let word = random.one(words);
            let end = if random.below(2) == 0 { at } else { (at + word.len()).min(bytes.len()) };
            bytes.splice(at..end, word.bytes());
        }
        _ => {}
    }
}
