//! The engine's log of writes, looked at before the engine does: whether something is damaged in the middle of it.
//!
//! The engine takes the first frame that does not check out for the remains of a commit that was under way when the
//! power was lost, and drops everything from there without a word. At the end of the log that is right. But a commit is
//! synced before the next one is written: a frame that follows upon a commit proves that all up to there was safe once.
//! Where it does not check out any more, going on would lose acknowledged saves in silence.
//!
//! A log that was cut, or that is gone, looks like one that never had more; that cannot be told here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use crate::StoreError;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
const MAGIC: u32 = 0x377f_0682;

/// Looks at the log of writes of a database.
///
/// # Errors
/// When it is damaged where it was safe, or cannot be read.
pub(super) fn check(database: &Path, log: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::File { action: "cannot read", path: log.to_owned(), source };
    match find_damage(database, log) {
        Ok(None) => Ok(()),
        Ok(Some(frame)) => {
            let what = "the log of writes is damaged before commits that were safe";
            Err(StoreError::Damaged(format!("{what}: {}, frame {frame}", log.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// The number of the first frame that should check out and does not, from 1; 0 for the header.
fn find_damage(database: &Path, log: &Path) -> io::Result<Option<u64>> {
    let mut file = BufReader::with_capacity(1 << 18, File::open(log)?);
    let mut header = [0; HEADER];
    if !fill(&mut file, &mut header)? {
        return Ok(None);
    }
    match Header::read(&header) {
        Some(header) => damage_between(&mut file, &header),
        None => Ok(lacks_what_follows(database, &mut file)?.then_some(0)),
    }
}

/// A sum over everything that stands before a place in the log.
type Sum = (u32, u32);

struct Header {
    page_bytes: usize,
    salts: [u8; 8],
    big_endian: bool,
    sum: Sum,
}

impl Header {
    fn read(bytes: &[u8; HEADER]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let big_endian = word(0)? == MAGIC + 1;
        let page_bytes = usize::try_from(word(8)?).ok().filter(|bytes| bytes.is_power_of_two() && *bytes >= 512)?;
        let sum = add((0, 0), bytes.get(..24)?, big_endian);
        let is_sound = word(0)? & !1 == MAGIC && page_bytes <= 65_536 && (word(24)?, word(28)?) == sum;
        is_sound.then_some(Self { page_bytes, salts: bytes[16..24].try_into().ok()?, big_endian, sum })
    }
}

/// One page as a transaction left it.
struct Frame {
    page: u32,
    /// Whether a transaction ends with it.
    commits: bool,
    salts: [u8; 8],
    sum: Sum,
    /// Whether its sum continues that of the frame before.
    follows: bool,
}

impl Frame {
    /// The next one; `None` at the end of the log.
    fn next(file: &mut impl Read, buffer: &mut [u8], before: Sum, big_endian: bool) -> io::Result<Option<Self>> {
        if !fill(file, buffer)? {
            return Ok(None);
        }
        let (head, content) = buffer.split_at(FRAME_HEADER);
        let word = |at: usize| head[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        let sum = (word(16), word(20));
        let follows = add(add(before, &head[..8], big_endian), content, big_endian) == sum;
        let mut salts = [0; 8];
        salts.copy_from_slice(&head[8..16]);
        Ok(Some(Self { page: word(0), commits: word(4) != 0, salts, sum, follows }))
    }
}

/// The first frame that does not check out, if a later one proves that it was safe.
fn damage_between(file: &mut impl Read, header: &Header) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; FRAME_HEADER + header.page_bytes];
    let (mut broken, mut number) = (None, 0);
    let (mut sum, mut after_commit) = (header.sum, false);
    while let Some(frame) = Frame::next(file, &mut buffer, sum, header.big_endian)? {
        number += 1;
        // Older frames lie behind the end; they have other salts.
        let ours = frame.salts == header.salts;
        match broken {
            None if !(ours && frame.follows) => broken = Some(number),
            Some(_) if ours && frame.follows && after_commit => return Ok(broken),
            _ => {}
        }
        (sum, after_commit) = (frame.sum, ours && frame.commits);
    }
    Ok(None)
}

/// Whether commits stand behind a header that does not check out and are not in the database. A header is written anew
/// when all is in the database, so one that was torn by a loss of power hides nothing.
fn lacks_what_follows(database: &Path, file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut database = File::open(database)?;
    let mut start = [0; 18];
    if !fill(&mut database, &mut start)? {
        return Ok(false);
    }
    let page_bytes = match u16::from_be_bytes([start[16], start[17]]) {
        1 => 65_536,
        bytes => usize::from(bytes),
    };
    let mut buffers = (vec![0; page_bytes], vec![0; page_bytes]);
    for (page, place) in committed_pages(file, page_bytes)? {
        file.seek(SeekFrom::Start(place))?;
        database.seek(SeekFrom::Start(u64::from(page.saturating_sub(1)) * page_bytes as u64))?;
        if !fill(file, &mut buffers.0)? || !fill(&mut database, &mut buffers.1)? || buffers.0 != buffers.1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The pages of the commits that stand behind the header, each with the place of its last content in the log.
fn committed_pages(file: &mut impl Read, page_bytes: usize) -> io::Result<BTreeMap<u32, u64>> {
    let mut buffer = vec![0; FRAME_HEADER + page_bytes];
    let big_endian = cfg!(target_endian = "big");
    let (mut committed, mut under_way) = (BTreeMap::new(), Vec::new());
    let mut place = (HEADER + FRAME_HEADER) as u64;
    // Without the header nothing says whether the first frame is sound, but that the second one follows upon it.
    let Some(mut last) = Frame::next(file, &mut buffer, (0, 0), big_endian)? else { return Ok(committed) };
    let mut is_sound = false;
    under_way.push((last.page, place));
    while let Some(frame) = Frame::next(file, &mut buffer, last.sum, big_endian)? {
        place += buffer.len() as u64;
        if !frame.follows || frame.salts != last.salts {
            break;
        }
        is_sound = true;
        if last.commits {
            committed.extend(under_way.drain(..));
        }
        under_way.push((frame.page, place));
        last = frame;
    }
    if is_sound && last.commits {
        committed.extend(under_way);
    }
    Ok(committed)
}

/// Adds bytes to a sum as the engine does; their number is a multiple of 8.
fn add(sum: Sum, bytes: &[u8], big_endian: bool) -> Sum {
    let mut words = bytes.as_chunks::<4>().0.iter().map(|word| match big_endian {
        true => u32::from_be_bytes(*word),
        false => u32::from_le_bytes(*word),
    });
    let (mut one, mut other) = sum;
    while let (Some(first), Some(second)) = (words.next(), words.next()) {
        one = one.wrapping_add(first).wrapping_add(other);
        other = other.wrapping_add(second).wrapping_add(one);
    }
    (one, other)
}

/// Fills a buffer; whether there was enough.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
