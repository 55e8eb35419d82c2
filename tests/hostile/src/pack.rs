//! The corpus: for each target one file with inputs that were worth keeping, each behind its length (u32, big-endian),
//! shortest first.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Longer inputs are not kept; what is wrong with them shows in shorter ones too.
pub const INPUT_BYTES_MAX: usize = 8 << 10;
/// A pack holds no more, so that the repository stays small.
pub const PACK_BYTES_MAX: usize = 64 << 10;

/// Where the pack of a target is.
#[must_use]
pub fn path(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{target}.pack"))
}

/// The inputs of a target; none where there is no pack.
///
/// # Errors
/// When the file cannot be read or is no pack.
pub fn load(target: &str) -> io::Result<Vec<Vec<u8>>> {
    match fs::read(path(target)) {
        Ok(bytes) => read(&bytes).ok_or_else(|| io::Error::other(format!("the corpus of {target} is damaged"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Writes the pack of a target; what is too long or too much is left out.
///
/// # Errors
/// When the file cannot be written.
pub fn store(target: &str, inputs: Vec<Vec<u8>>) -> io::Result<()> {
    fs::write(path(target), write(inputs))
}

fn read(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut inputs = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (input, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        inputs.push(input.to_vec());
        bytes = rest;
    }
    bytes.is_empty().then_some(inputs)
}

fn write(inputs: Vec<Vec<u8>>) -> Vec<u8> {
    let ordered: BTreeSet<(usize, Vec<u8>)> = inputs.into_iter().map(|input| (input.len(), input)).collect();
    let mut bytes = Vec::new();
    for (length, input) in ordered {
        if length > INPUT_BYTES_MAX || bytes.len() + 4 + length > PACK_BYTES_MAX {
            break;
        }
        bytes.extend_from_slice(&u32::try_from(length).unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(&input);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_reads_as_it_was_written() {
        let inputs = vec![b"long".to_vec(), Vec::new(), b"x".to_vec(), b"x".to_vec(), vec![7; INPUT_BYTES_MAX + 1]];
        let bytes = write(inputs);
        assert_eq!(read(&bytes), Some(vec![Vec::new(), b"x".to_vec(), b"long".to_vec()]));
        assert_eq!(read(&bytes[..bytes.len() - 1]), None);
        assert!(write((0..100u8).map(|number| vec![number; 2000]).collect()).len() <= PACK_BYTES_MAX);
    }
}
