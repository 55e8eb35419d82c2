//! A branch's end of the line: finds the head office, follows its log, offers what was saved here, and comes back by
//! itself after every cut.

use std::sync::Arc;
use std::time::Duration;

use mytism_app::{AppError, ArrivingEntry};
use mytism_core::failure::Failure;
use mytism_core::id::{BlockId, Hash, Position};
use mytism_core::number::LeaseWish;
use mytism_format::{entry, hash, transaction};
use mytism_proto::{EntryFrame, PROTOCOL_VERSION, PeerMessage};
use mytism_sync::clock;
use mytism_sync::uplink::Uplink;
use mytism_sync::{Effect, MESSAGE, PendingItem, ROWS, Violation};
use mytism_transport::connection::{PeerConnection, Purpose};
use mytism_transport::connector::connect;
use mytism_transport::identity::PublicKey;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::task::JoinSet;

use crate::head::blocking;
use crate::line::{Line, LineEnd};
use crate::node::Shared;
use crate::peers::{CONNECTED, CONNECTING};

/// How long one attempt to reach the head office may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// A clock that is off by more is worth a word to who runs the machine.
const CLOCK_TOLERANCE_MICROS: u64 = 5_000_000;
/// A line that held so long counts as good: the pause before the next attempt is the shortest again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// Follows the head office until the node stops.
pub(crate) async fn follow(shared: Arc<Shared>, key: PublicKey) {
    let mut stopping = shared.stopping();
    let mut pause = shared.live().retry_min;
    let name = shared.head_name.clone();
    shared.peers.update(&name, |_| {});
    loop {
        let began = std::time::Instant::now();
        let end = tokio::select! {
            () = stopping.wait() => return,
            end = session(&shared, key, &name) => end,
        };
        let Err(end) = end else { return };
        if matches!(end, LineEnd::Stopping) {
            return;
        }
        let waiting = shared.app.view().and_then(|view| Ok(view.pending_count()?)).unwrap_or_default();
        shared.peers.update(&name, |peer| {
            if peer.state == CONNECTED {
                shared.tell("disconnected", &name, end.to_string());
            }
            CONNECTING.clone_into(&mut peer.state);
            peer.last_error = Some(end.to_string());
            peer.pending = waiting;
        });
        tracing::warn!("no line to {name}: {end}");
        if began.elapsed() > GOOD_AFTER {
            pause = shared.live().retry_min;
        }
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(jittered(pause)) => {}
        }
        pause = (pause * 2).min(shared.live().retry_max);
    }
}

/// Between half of a pause and all of it, so that branches don't come back in step.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0u8];
    let part = if SystemRandom::new().fill(&mut byte).is_ok() { f64::from(byte[0]) / 255.0 } else { 0.5 };
    pause.mul_f64(0.5 + part / 2.0)
}

/// One line, from the search for the head office to its end.
async fn session(shared: &Arc<Shared>, key: PublicKey, name: &str) -> Result<(), LineEnd> {
    let connection = reach(shared, key).await?;
    let stream = connection.open(Purpose::Feed).await.map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let mut line = Line::new(stream);
    let result = talk(shared, &mut line, name).await;
    if let Err(end) = &result
        && let Some(message) = end.reject()
    {
        // The other side may be gone; the reason stands in the log here.
        let _gone = line.send(&message);
    }
    line.finish().await;
    connection.close(0, "");
    result
}

async fn reach(shared: &Shared, key: PublicKey) -> Result<PeerConnection, LineEnd> {
    let mut failed = Vec::new();
    for address in &shared.config.head_office {
        match connect(&address.to_string(), &shared.key, key, CONNECT_DEADLINE).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        failed.push("no address of the head office is known".to_owned());
    }
    Err(LineEnd::Lost(failed.join("; ")))
}

/// What the work beside the line came to.
enum Done {
    Pending(Vec<PendingItem>),
    Applied {
        position: Position,
        hash: Hash,
        settled: Option<i64>,
    },
    BlocksTaken,
    Stock {
        ids: u64,
        ids_wanted: u64,
        wishes: Vec<LeaseWish>,
    },
    LeasesTaken,
    /// Nothing that the conversation has to know.
    Shown,
}

async fn talk(shared: &Arc<Shared>, line: &mut Line, name: &str) -> Result<(), LineEnd> {
    let asked = shared.now();
    line.send(&hello(shared)?)?;
    let measured = match line.first().await? {
        PeerMessage::Welcome { cluster, time, .. } if cluster == shared.cluster()? => {
            clock::offset_micros(asked, time, shared.now())
        }
        PeerMessage::Welcome { .. } => {
            let message = "the head office belongs to another cluster".to_owned();
            return Err(Violation { code: "other-cluster", message }.into());
        }
        _ => return Err(Violation::unexpected("something else than a welcome").into()),
    };
    let offset = note_clock(shared, name, measured).await?;
    shared.tell("connected", name, String::new());
    tracing::info!("connected to {name}");
    shared.peers.update(name, |peer| {
        CONNECTED.clone_into(&mut peer.state);
        peer.last_error = None;
    });
    converse(shared, line, name, offset).await
}

/// Keeps how far the own clock is ahead, in microseconds; 0 where it could not be measured.
async fn note_clock(shared: &Arc<Shared>, name: &str, measured: Option<i64>) -> Result<i64, LineEnd> {
    let Some(micros) = measured else { return Ok(0) };
    if micros.unsigned_abs() > CLOCK_TOLERANCE_MICROS {
        tracing::warn!("the clock of this node differs from that of {name} by {} s", micros / 1_000_000);
    }
    let shared = Arc::clone(shared);
    blocking(move || Ok(shared.app.note_clock_offset(micros)?)).await?;
    Ok(micros)
}

async fn converse(shared: &Arc<Shared>, line: &mut Line, name: &str, clock_offset: i64) -> Result<(), LineEnd> {
    let mut commits = shared.commits.subscribe();
    let mut stopping = shared.stopping();
    let mut uplink = Uplink::new(clock_offset);
    let mut out = Vec::new();
    let mut work: JoinSet<Result<Done, LineEnd>> = JoinSet::new();
    uplink.go_on(&mut out);
    count_stock(shared, &mut work);
    loop {
        for effect in out.drain(..) {
            carry_out(shared, line, name, effect, &mut work)?;
        }
        tokio::select! {
            message = line.next() => uplink.on_message(message?, shared.now(), &mut out)?,
            changed = commits.changed() => {
                changed.map_err(|_| LineEnd::Stopping)?;
                uplink.on_saved(&mut out);
            }
            Some(done) = work.join_next() => {
                match done.map_err(|_| LineEnd::Lost("work for the line broke off".to_owned()))?? {
                    Done::Pending(items) => uplink.on_pending(items, &mut out),
                    Done::Applied { position, hash, settled } => {
                        uplink.on_applied(position, hash, settled, &mut out);
                        report_lag(shared, name, &uplink);
                        count_stock(shared, &mut work);
                        show_next_numbers(shared, &mut work);
                    }
                    Done::BlocksTaken => count_stock(shared, &mut work),
                    Done::Stock { ids, ids_wanted, wishes } => {
                        uplink.on_ids_left(ids, ids_wanted, &mut out);
                        uplink.on_lease_wishes(wishes, &mut out);
                    }
                    Done::LeasesTaken | Done::Shown => {}
                }
            }
            () = stopping.wait() => return Err(LineEnd::Stopping),
        }
    }
}

fn report_lag(shared: &Shared, name: &str, uplink: &Uplink) {
    let pending = shared.app.view().and_then(|view| Ok(view.pending_count()?)).unwrap_or_default();
    shared.peers.update(name, |peer| {
        // A lag is a duration of seconds at most, so nothing is lost by the conversion.
        peer.lag_ms =
            uplink.lag_micros().map(|micros| Duration::from_micros(micros.unsigned_abs()).as_secs_f64() * 1e3);
        peer.pending = pending;
    });
}

/// Ids and numbers are counted when a line begins and as entries come; a save that draws them sooner or later brings
/// entries.
fn count_stock(shared: &Arc<Shared>, work: &mut JoinSet<Result<Done, LineEnd>>) {
    let shared = Arc::clone(shared);
    work.spawn_blocking(move || {
        let (ids, ids_wanted) = (shared.app.ids_left(), shared.app.ids_wanted(shared.live().id_reserve));
        Ok(Done::Stock { ids, ids_wanted, wishes: shared.app.lease_wishes()? })
    });
}

/// What was drawn while the line was cut shows in the ranges once all of it is settled.
fn show_next_numbers(shared: &Arc<Shared>, work: &mut JoinSet<Result<Done, LineEnd>>) {
    let shared = Arc::clone(shared);
    work.spawn_blocking(move || {
        shared.app.show_next_numbers()?;
        Ok(Done::Shown)
    });
}

fn hello(shared: &Shared) -> Result<PeerMessage, LineEnd> {
    let identity = shared.app.identity();
    let head = shared.app.view()?.head().map_err(AppError::from)?;
    Ok(PeerMessage::Hello {
        protocol: PROTOCOL_VERSION,
        cluster: shared.cluster()?,
        node: identity.node,
        incarnation: identity.incarnation,
        run: shared.run,
        name: identity.name,
        position: head.map(|head| head.position).unwrap_or_default(),
        hash: head.map(|head| head.hash).unwrap_or_default(),
    })
}

fn carry_out(
    shared: &Arc<Shared>,
    line: &Line,
    name: &str,
    effect: Effect,
    work: &mut JoinSet<Result<Done, LineEnd>>,
) -> Result<(), LineEnd> {
    let shared = Arc::clone(shared);
    match effect {
        Effect::Send(message) => line.send(&message)?,
        Effect::ReadPending { after } => {
            work.spawn_blocking(move || read_pending(&shared, after).map(Done::Pending));
        }
        Effect::Offer(transactions) => {
            let count = transactions.len() as u64;
            line.send(&offer(&shared, transactions)?)?;
            tracing::info!(">>>> {name} {count} transactions");
            shared.peers.update(name, |peer| peer.sent += count);
        }
        Effect::Apply(frames) => {
            let count = frames.len() as u64;
            tracing::info!("<<<< {name} {count} entries");
            shared.peers.update(name, |peer| peer.received += count);
            work.spawn_blocking(move || apply(&shared, frames));
        }
        Effect::TakeBlocks(numbers) => {
            work.spawn_blocking(move || {
                let blocks = numbers.into_iter().filter_map(BlockId::from_number).collect();
                Ok(shared.app.take_blocks(blocks).map(|()| Done::BlocksTaken)?)
            });
        }
        Effect::TakeLeases(leases) => {
            work.spawn_blocking(move || Ok(shared.app.take_leases(leases).map(|()| Done::LeasesTaken)?));
        }
        Effect::ReadLog { .. } | Effect::Admit(_) | Effect::GiveBlock | Effect::GrantLeases(_) => {}
    }
    Ok(())
}

fn read_pending(shared: &Shared, after: i64) -> Result<Vec<PendingItem>, LineEnd> {
    let rows = shared.app.view()?.pending_after(after, ROWS, MESSAGE).map_err(AppError::from)?;
    Ok(rows.into_iter().map(|row| PendingItem { place: row.place, bytes: row.bytes }).collect())
}

fn offer(shared: &Shared, transactions: Vec<Vec<u8>>) -> Result<PeerMessage, LineEnd> {
    let hashes = transactions.iter().map(|bytes| transaction::peek(bytes).map(|(_, _, hash)| hash));
    let hashes: Vec<Hash> = hashes.collect::<Result<_, _>>().map_err(AppError::from)?;
    let signature = shared.key.sign(&hash::offer(hashes).0).to_vec();
    Ok(PeerMessage::Offer { transactions, signature })
}

fn apply(shared: &Shared, frames: Vec<EntryFrame>) -> Result<Done, LineEnd> {
    let view = shared.app.view()?;
    let mut settled = None;
    let mut last_hash = Hash::default();
    for frame in &frames {
        let entry = entry::read(frame.entry.clone()).map_err(AppError::from)?;
        settled = settled.max(view.pending_place(entry.entry.transaction).map_err(AppError::from)?);
        last_hash = entry.hash;
    }
    drop(view);
    let arriving = frames.into_iter().map(|frame| ArrivingEntry { entry: frame.entry, transaction: frame.transaction });
    let position = shared.app.apply(arriving.collect())?;
    Ok(Done::Applied { position, hash: last_hash, settled })
}

/// For messages to people: why the configuration of a branch is not enough.
pub(crate) fn head_key(shared: &crate::config::Config) -> Result<PublicKey, Failure> {
    let key = shared.head_office_key.map(PublicKey::from_bytes);
    key.ok_or_else(|| {
        Failure::failed("config-missing", "[SyncService] headOfficeKey is missing: who is the head office?")
    })
}
