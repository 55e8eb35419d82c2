//! The end of a stream that is asked: gives recipes and chunks, one answer after the other. It holds two chunks at a
//! time, and waits while the other side does not read.

use std::sync::Arc;

use mytism_core::id::Hash;
use mytism_proto::{Part, PeerMessage, ProtoError};
use mytism_sync::Violation;
use mytism_transport::stream::{FrameReader, FrameWriter};
use mytism_vault::{Vault, VaultError};

use super::Contents;
use super::lines::{receive, send, unsendable, vault_end};
use crate::line::LineEnd;
use crate::replica;

/// Parts of a recipe in one message.
const PARTS: usize = 16_384;
/// Chunks that may be asked for at once.
const ASKED_MAX: usize = 1_024;
/// Bytes of a chunk by which it is judged whether compressing it is worth the work.
const SAMPLE_BYTES: usize = 16 << 10;

/// Answers until the other side is gone.
pub(super) async fn give(
    contents: &Arc<Contents>,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<(), LineEnd> {
    loop {
        match receive(reader).await? {
            PeerMessage::ContentWant { content, from } => {
                let vault = contents.vault.clone();
                let answer = blocking(move || recipe(&vault, content, from)).await?;
                send(writer, &answer).await?;
            }
            PeerMessage::ChunkWant { hashes } if hashes.len() <= ASKED_MAX => chunks(contents, hashes, writer).await?,
            PeerMessage::ChunkWant { .. } => return Err(Violation::unexpected("too many chunks at once").into()),
            _ => return Err(Violation::unexpected("something else than a question for contents").into()),
        }
    }
}

/// Answers with chunks. The next one is read, and made ready to be sent, while the one before it goes.
async fn chunks(contents: &Contents, hashes: Vec<Hash>, writer: &mut FrameWriter) -> Result<(), LineEnd> {
    let read = |hash: Hash| {
        let vault = contents.vault.clone();
        tokio::task::spawn_blocking(move || chunk(&vault, hash))
    };
    let mut hashes = hashes.into_iter();
    let mut next = hashes.next().map(read);
    while let Some(now) = next.take() {
        let frame = now.await.map_err(|_| LineEnd::Own(replica::broke_off()))?.map_err(|error| vault_end(&error))?;
        next = hashes.next().map(read);
        let frame = frame.map_err(|error| unsendable(&error))?;
        writer.send_whole(frame).await.map_err(|error| LineEnd::Lost(error.to_string()))?;
    }
    Ok(())
}

async fn blocking(
    work: impl FnOnce() -> Result<PeerMessage, VaultError> + Send + 'static,
) -> Result<PeerMessage, LineEnd> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| LineEnd::Own(replica::broke_off()))?;
    done.map_err(|error| vault_end(&error))
}

fn recipe(vault: &Vault, content: Hash, from: u64) -> Result<PeerMessage, VaultError> {
    let Some(recipe) = vault.recipe(content)? else { return Ok(PeerMessage::ContentMissing { content }) };
    let first = usize::try_from(from).unwrap_or(usize::MAX);
    let parts = recipe.parts().iter().skip(first).take(PARTS);
    let parts = parts.map(|part| Part { hash: part.hash, bytes: part.bytes }).collect();
    Ok(PeerMessage::ContentRecipe { content, bytes: recipe.bytes(), count: recipe.parts().len() as u64, from, parts })
}

/// A chunk in the message that carries it, or the message that it is not here.
fn chunk(vault: &Vault, hash: Hash) -> Result<Result<Vec<u8>, ProtoError>, VaultError> {
    let message = match vault.chunk(hash)? {
        None => PeerMessage::ChunkMissing { hash },
        Some(bytes) => match compressed(&bytes) {
            Some(data) => PeerMessage::Chunk { hash, data, compressed: true },
            None => PeerMessage::Chunk { hash, data: bytes, compressed: false },
        },
    };
    Ok(message.encode())
}

/// `None` where it would hardly become shorter, as most files are compressed already.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_shorter = |packed: &[u8], bytes: &[u8]| packed.len() < bytes.len() - bytes.len() / 8;
    let middle = bytes.len().saturating_sub(SAMPLE_BYTES) / 2;
    let sample = bytes.get(middle..(middle + SAMPLE_BYTES).min(bytes.len()))?;
    let packed = zstd::bulk::compress(sample, 1).ok()?;
    if !is_shorter(&packed, sample) {
        return None;
    }
    zstd::bulk::compress(bytes, 1).ok().filter(|packed| is_shorter(packed, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_become_shorter_goes_as_it_is() {
        let noise: Vec<u8> = (0..100_000u32).flat_map(|n| mytism_vault::hash_of(&n.to_be_bytes()).0).collect();
        assert_eq!(compressed(&noise), None);
        assert_eq!(compressed(&[]), None);
        let text = b"invoice 240118\n".repeat(10_000);
        let packed = compressed(&text).unwrap();
        assert_eq!(zstd::bulk::decompress(&packed, 1 << 20).unwrap(), text);
    }
}
