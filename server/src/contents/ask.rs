//! The end of a stream that asks: takes the next wanted content, asks for its recipe and for the chunks that are not
//! here, and goes on with the next. A few MiB are on the way at a time; what has come stays, wherever it breaks off.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mytism_core::id::Hash;
use mytism_proto::PeerMessage;
use mytism_sync::Violation;
use mytism_transport::stream::{FrameReader, FrameWriter};
use mytism_vault::{Arrival, CHUNK_BYTES_MAX, Part, Recipe, VaultError};
use tokio::task::JoinHandle;

use super::Contents;
use super::lines::{receive, send, vault_end};
use super::wanted::Want;
use crate::line::LineEnd;
use crate::replica;

/// Bytes of chunks that are asked for and have not come.
const WINDOW: u64 = 8 << 20;
/// Chunks in one question.
const ASKED: usize = 16;
/// Pause before the same content is asked for again of who does not have it; it doubles up to the second one.
const AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// Parts of a recipe that are kept in memory: of a content of about 4 TiB.
const PARTS_MAX: u64 = 16 << 20;

/// What the other side does not have, and when it is asked for it again.
#[derive(Default)]
struct Lacking(HashMap<Hash, (Instant, Duration)>);

impl Lacking {
    fn note(&mut self, content: Hash) {
        let pause = self.0.get(&content).map_or(AGAIN.0, |(_, pause)| (*pause * 2).min(AGAIN.1));
        self.0.insert(content, (Instant::now() + pause, pause));
    }

    fn may(&self, content: Hash, now: Instant) -> bool {
        self.0.get(&content).is_none_or(|(again, _)| *again <= now)
    }

    fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|(again, _)| *again).filter(|again| *again > now).min()
    }
}

/// Asks until the other side is gone.
pub(super) async fn ask(
    contents: &Arc<Contents>,
    peer: &str,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<(), LineEnd> {
    let mut lacking = Lacking::default();
    loop {
        let news = contents.wanted.news();
        let now = Instant::now();
        let Some(want) = contents.wanted.next(|content| lacking.may(content, now)) else {
            match lacking.next(now) {
                None => news.await,
                Some(again) => {
                    // Either may be worth a look.
                    let _in_time = tokio::time::timeout_at(again.into(), news).await;
                }
            }
            continue;
        };
        let held = Held { contents, content: want.content };
        // The node goes down where there are no places any longer.
        let _place = contents.fetching.acquire().await.map_err(|_| LineEnd::Stopping)?;
        match fetch(contents, want, reader, writer).await? {
            Some(sent) => {
                tracing::info!("<<<< {peer} content {}, {} bytes, {sent} of them came", want.content, want.bytes);
                lacking.0.remove(&want.content);
                contents.wanted.done(want.content);
            }
            None => lacking.note(want.content),
        }
        drop(held);
    }
}

/// Gives a content back that was not fetched, however that ended.
struct Held<'c> {
    contents: &'c Contents,
    content: Hash,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.contents.wanted.give_back(self.content);
    }
}

/// Fetches one content; how many bytes of chunks came, or `None` where the other side does not have it.
async fn fetch(
    contents: &Arc<Contents>,
    want: Want,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<Option<u64>, LineEnd> {
    if contents.vault.has(want.content) {
        return Ok(Some(0));
    }
    let Some(recipe) = recipe(want, reader, writer).await? else { return Ok(None) };
    let (arrival, came) = match chunks(contents, want, contents.vault.arrival(recipe), reader, writer).await? {
        Some(whole) => whole,
        None => return Ok(None),
    };
    let finish = tokio::task::spawn_blocking(move || arrival.finish()).await;
    finish.map_err(|_| LineEnd::Own(replica::broke_off()))?.map_err(|error| vault_end(&error))?;
    Ok(Some(came))
}

/// Lets all chunks that are not here come, and how many bytes that were; `None` where the other side lacks one. What
/// comes is checked and written beside this task, which meanwhile takes in what comes next.
async fn chunks(
    contents: &Arc<Contents>,
    want: Want,
    arrival: Arrival,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<Option<(Arrival, u64)>, LineEnd> {
    let mut asked: VecDeque<Part> = VecDeque::new();
    let mut waiting: Vec<Came> = Vec::new();
    let mut came = 0;
    let mut lacks = false;
    let mut working = Some(begin(arrival, Vec::new(), 0, lacks));
    let mut idle = None;
    loop {
        tokio::select! {
            done = turn(&mut working) => {
                working = None;
                let (arrival, more) = done?;
                contents.wanted.has_come(want.content, arrival.passed());
                if !more.is_empty() {
                    let hashes = more.iter().map(|part| part.hash).collect();
                    send(writer, &PeerMessage::ChunkWant { hashes }).await?;
                    asked.extend(more);
                }
                idle = Some(arrival);
            }
            message = receive(reader), if !asked.is_empty() => {
                let expected = asked.pop_front().map(|part| part.hash);
                match message? {
                    PeerMessage::Chunk { hash, data, compressed } if Some(hash) == expected => {
                        came += data.len() as u64;
                        waiting.push(Came { hash, data, compressed });
                    }
                    // The rest that is on its way is taken still.
                    PeerMessage::ChunkMissing { hash } if Some(hash) == expected => lacks = true,
                    _ => return Err(Violation::unexpected("something else than the chunk that was asked for").into()),
                }
            }
        }
        if let Some(arrival) = idle.take() {
            if !waiting.is_empty() {
                let under_way = asked.iter().map(|part| u64::from(part.bytes)).sum();
                working = Some(begin(arrival, std::mem::take(&mut waiting), under_way, lacks));
            } else if !asked.is_empty() {
                idle = Some(arrival);
            } else {
                return Ok((!lacks).then_some((arrival, came)));
            }
        }
    }
}

/// A chunk as it came.
struct Came {
    hash: Hash,
    data: Vec<u8>,
    compressed: bool,
}

/// An arrival that is worked on, and what to ask for afterwards.
type Working = JoinHandle<(Arrival, Result<Vec<Part>, VaultError>)>;

/// Puts away what came, and looks what to ask for next, beside the tasks. `under_way` are the bytes that were asked for
/// and are not among what came.
fn begin(mut arrival: Arrival, came: Vec<Came>, under_way: u64, lacks: bool) -> Working {
    tokio::task::spawn_blocking(move || {
        let put = came.into_iter().try_for_each(|came| put(&mut arrival, came));
        let more = put.and_then(|()| wanted_parts(&mut arrival, under_way, lacks));
        (arrival, more)
    })
}

/// Waits for the work to be done; without work for ever.
async fn turn(working: &mut Option<Working>) -> Result<(Arrival, Vec<Part>), LineEnd> {
    let Some(working) = working else { return std::future::pending().await };
    let (arrival, more) = working.await.map_err(|_| LineEnd::Own(replica::broke_off()))?;
    more.map(|more| (arrival, more)).map_err(|error| vault_end(&error))
}

/// The recipe of a content, in as many questions as it takes.
async fn recipe(want: Want, reader: &mut FrameReader, writer: &mut FrameWriter) -> Result<Option<Recipe>, LineEnd> {
    let mut parts: Vec<Part> = Vec::new();
    loop {
        let question = PeerMessage::ContentWant { content: want.content, from: parts.len() as u64 };
        send(writer, &question).await?;
        let (count, more) = match receive(reader).await? {
            PeerMessage::ContentMissing { content } if content == want.content => return Ok(None),
            PeerMessage::ContentRecipe { content, count, from, parts: more, .. }
                if content == want.content && from == parts.len() as u64 && count <= PARTS_MAX =>
            {
                (count, more)
            }
            _ => return Err(Violation::unexpected("something else than the recipe that was asked for").into()),
        };
        let is_last = more.is_empty() || parts.len() as u64 + more.len() as u64 >= count;
        parts.extend(more.into_iter().map(|part| Part { hash: part.hash, bytes: part.bytes }));
        if is_last {
            return Recipe::new(want.content, parts).map(Some).map_err(|error| vault_end(&error));
        }
    }
}

/// What to ask for next, so that the window is full; nothing once the other side lacks something.
fn wanted_parts(arrival: &mut Arrival, under_way: u64, lacks: bool) -> Result<Vec<Part>, VaultError> {
    let mut parts = Vec::new();
    let mut bytes = under_way;
    // Questions are gathered, so that few go for many chunks.
    if lacks || bytes > WINDOW / 2 {
        return Ok(parts);
    }
    while bytes < WINDOW && parts.len() < ASKED {
        let Some(part) = arrival.next_wanted()? else { break };
        bytes += u64::from(part.bytes);
        parts.push(part);
    }
    Ok(parts)
}

fn put(arrival: &mut Arrival, Came { hash, data, compressed }: Came) -> Result<(), VaultError> {
    if !compressed {
        return arrival.put(hash, &data);
    }
    match zstd::bulk::decompress(&data, CHUNK_BYTES_MAX as usize) {
        Ok(bytes) => arrival.put(hash, &bytes),
        // What cannot be unpacked is not what was asked for.
        Err(_) => Err(VaultError::OtherBytes { expected: hash, found: mytism_vault::hash_of(&data) }),
    }
}
