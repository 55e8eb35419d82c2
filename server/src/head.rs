//! The head office's end of the lines: takes branches in, feeds them the log, decides on what they offer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mytism_core::failure::{Failure, FailureKind};
use mytism_core::id::{Hash, NodeId};
use mytism_core::operation::Event;
use mytism_format::{hash, transaction};
use mytism_proto::PeerMessage;
use mytism_sync::head_end::HeadEnd;
use mytism_sync::{Done, Effect, Job, Violation};
use mytism_transport::Limits;
use mytism_transport::connection::{PeerConnection, Purpose, Transport};
use mytism_transport::identity::PublicKey;
use mytism_transport::listener::Listener;
use mytism_transport::stream::FrameStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::account::{EXPORTER_LABEL, Verifier};
use crate::batches::NEAR;
use crate::check;
use crate::config::Live;
use crate::contents;
use crate::history;
use crate::line::{Line, LineEnd};
use crate::node::Shared;
use crate::peers::{CONNECTED, CONNECTING, state_after};
use crate::replica::{self, Errand};
use crate::snapshots::Held;
use crate::traffic::Traffic;

/// How long the lines may take to end when the node goes down.
const FAREWELL: Duration = Duration::from_secs(4);

/// Which branches are connected, so that two processes cannot be the same branch.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<NodeId, Arc<Presence>>>);

struct Presence {
    run: u64,
    /// Counts what was heard.
    heard: AtomicU64,
    /// Asks the task to provoke an answer.
    probe: Notify,
    /// Asks the task to end.
    leave: Notify,
}

/// Takes in connections until the node stops.
pub(crate) async fn listen(shared: Arc<Shared>, mut listener: Listener) {
    let registry = Arc::new(Registry::default());
    let mut tasks = JoinSet::new();
    let mut stopping = shared.stopping();
    let mut settings = shared.live.subscribe();
    loop {
        tokio::select! {
            () = stopping.wait() => break,
            Ok(()) = settings.changed() => listener.set_limits(limits(&settings.borrow_and_update().clone())),
            connection = listener.accept() => {
                let Some(connection) = connection else { break };
                tasks.spawn(serve(Arc::clone(&shared), Arc::clone(&registry), connection));
            }
            Some(_) = tasks.join_next() => {}
        }
    }
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    let _in_time = tokio::time::timeout(FAREWELL, all_ended).await;
    listener.shut_down(0, "the node goes down").await;
}

/// What strangers may do, as the configuration says.
pub(crate) fn limits(live: &Live) -> Limits {
    Limits {
        wait_max: live.max_wait_for_auth,
        hard_max: live.hard_max_unauthed,
        soft_max: live.soft_max_unauthed,
        delay_factor: live.delay_factor,
    }
}

/// One connection. How long the other side may say nothing is bounded by the listener, which cuts strangers off.
async fn serve(shared: Arc<Shared>, registry: Arc<Registry>, connection: PeerConnection) {
    let Ok((purpose, stream)) = connection.accept_stream().await else { return };
    let mut line = Line::new(stream);
    // A branch of the first version has one stream for everything.
    let feed = (purpose == Purpose::Control).then(|| line.await_feed());
    let end = match line.greeting().await {
        Ok(_) if shared.peers.resting().is_on() => Err(LineEnd::Resting),
        Ok(hello @ PeerMessage::Hello { .. }) => {
            feed_branch(&shared, &registry, &connection, (&mut line, feed), hello).await
        }
        Ok(PeerMessage::Join { name, proof }) => join(&shared, &connection, &mut line, &name, &proof).await,
        Ok(PeerMessage::HistoryWant { node, below }) => {
            history::serve(&shared, &connection, &mut line, node, below).await
        }
        Ok(_) => Err(Violation::unexpected("something else than a greeting").into()),
        Err(end) => Err(end),
    };
    if let Err(end) = end {
        match &end {
            LineEnd::Own(failure) if failure.kind == FailureKind::Failed => {
                tracing::warn!(peer = %connection.peer(), "line ends: {end}");
            }
            _ => tracing::debug!(peer = %connection.peer(), "line ends: {end}"),
        }
        if let Some(message) = end.reject() {
            // The other side may be gone; the reason stands in the log here.
            let _gone = line.send(&message);
        }
    }
    line.finish().await;
    connection.shut_down(0, "").await;
}

async fn join(
    shared: &Arc<Shared>,
    connection: &PeerConnection,
    line: &mut Line,
    name: &str,
    proof: &[u8; 32],
) -> Result<(), LineEnd> {
    let enrolled = {
        let (shared, connection, name, proof) = (Arc::clone(shared), connection.clone(), name.to_owned(), *proof);
        blocking(move || enrol(&shared, &connection, &name, &proof)).await?
    };
    connection.welcome();
    let cluster = shared.cluster()?;
    tracing::info!("branch {name} joins as node {}", enrolled.node);
    line.send(&PeerMessage::JoinAccept {
        cluster,
        node: enrolled.node,
        incarnation: enrolled.incarnation,
        head_name: shared.app.identity().name,
        blocks: enrolled.blocks.iter().map(|block| block.get()).collect(),
    })?;
    let held = {
        let shared = Arc::clone(shared);
        Arc::new(blocking(move || Ok(shared.snapshots.latest(&shared.app)?)).await?)
    };
    line.send_when_ready(&PeerMessage::Snapshot { manifest: held.manifest().map_err(LineEnd::Own)? }).await?;
    let mut stopping = shared.stopping();
    loop {
        let message = tokio::select! {
            message = line.next() => message?,
            () = stopping.wait() => return Err(LineEnd::Stopping),
        };
        match message {
            PeerMessage::ChunkWant { hashes } => send_parts(&held, hashes, line).await?,
            PeerMessage::HistoryWant { below, .. } => history::answer(shared, line, below).await?,
            PeerMessage::Done {} => return Ok(()),
            _ => return Err(Violation::unexpected("something else than a question for the snapshot").into()),
        }
    }
}

/// Parts of a snapshot in the order in which they are asked for.
async fn send_parts(held: &Arc<Held>, hashes: Vec<Hash>, line: &Line) -> Result<(), LineEnd> {
    for hash in hashes {
        let held = Arc::clone(held);
        let message = match blocking(move || Ok(held.part(hash)?)).await? {
            Some(data) => PeerMessage::Chunk { hash, data, compressed: false },
            None => PeerMessage::ChunkMissing { hash },
        };
        line.send_when_ready(&message).await?;
    }
    Ok(())
}

/// Checks that the branch knows the secret of its account, or is one that joined with the same key and was broken off.
fn enrol(
    shared: &Shared,
    connection: &PeerConnection,
    name: &str,
    proof: &[u8; 32],
) -> Result<mytism_app::cluster::Enrolled, LineEnd> {
    let refused = |code: &str, message: &str| LineEnd::Own(Failure::refused(code, message));
    let unknown = || refused("wrong-account", "the account is not known, was used before, or the secret is wrong");
    let known = shared.app.known_node(name)?.ok_or_else(unknown)?;
    let key = connection.peer().to_string();
    if known.public_key == key {
        return Ok(shared.app.enrol(known.node, &key)?);
    }
    let verifier = Verifier::from_text(&known.verifier).ok_or_else(unknown)?;
    let exporter = connection.exporter(EXPORTER_LABEL).map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    if !verifier.check(&exporter, &connection.peer(), proof) {
        return Err(unknown());
    }
    if known.valid_until.is_none_or(|until| until < shared.now()) {
        return Err(refused("account-expired", "the account was valid only until its date: export a new one"));
    }
    Ok(shared.app.enrol(known.node, &key)?)
}

async fn feed_branch(
    shared: &Arc<Shared>,
    registry: &Arc<Registry>,
    connection: &PeerConnection,
    (line, feed): (&mut Line, Option<mpsc::Sender<FrameStream>>),
    hello: PeerMessage,
) -> Result<(), LineEnd> {
    let PeerMessage::Hello { node, run, .. } = hello else {
        return Err(Violation::unexpected("something else than a greeting").into());
    };
    let key = connection.peer();
    let name = {
        let shared = Arc::clone(shared);
        blocking(move || name_of(&shared, node, &key)).await?
    };
    connection.welcome();
    let presence = registry.enter(node, run).await?;
    let _streams = accept_streams(shared, connection, &name, feed);
    let peer = Peer { node, key, name: &name, transport: connection.transport() };
    let mut was_talking = false;
    let result = talk(shared, line, hello, &peer, &presence, &mut was_talking).await;
    registry.leave(node, &presence);
    shared.peers.update(&name, |peer| {
        if peer.state == CONNECTED {
            peer.seen = Some(shared.now());
        }
        let state = result.as_ref().err().map_or(CONNECTING, state_after);
        state.clone_into(&mut peer.state);
        peer.rest_ms = None;
        if let Err(end) = &result
            && !matches!(end, LineEnd::Stopping)
        {
            peer.last_error = (!matches!(end, LineEnd::Resting)).then(|| end.to_string());
        }
    });
    if was_talking {
        shared.tell("disconnected", &name, String::new());
        tracing::info!("line to {name} ended");
    }
    result
}

/// Takes in what a known branch opens beside its line, as long as what is returned is kept.
fn accept_streams(
    shared: &Arc<Shared>,
    connection: &PeerConnection,
    name: &str,
    feed: Option<mpsc::Sender<FrameStream>>,
) -> JoinSet<()> {
    let mut accepting = JoinSet::new();
    let (shared, connection, name) = (Arc::clone(shared), connection.clone(), name.to_owned());
    accepting.spawn(async move {
        let mut streams = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = streams.join_next() => {}
                stream = connection.accept_stream() => match stream {
                    Ok((Purpose::Blob, stream)) => {
                        streams.spawn(contents::serve(Arc::clone(&shared), stream, name.clone()));
                    }
                    Ok((Purpose::Feed, stream)) => {
                        if let Some(feed) = &feed {
                            // There is room for one, which the line takes when it is next asked for a message. Where it
                            // has one or has ended, nobody takes any longer, and this one ends too.
                            let _turned_away = feed.try_send(stream);
                        }
                    }
                    Ok((Purpose::Bulk, stream)) => {
                        streams.spawn(check::serve(Arc::clone(&shared), stream));
                    }
                    // A stream of another purpose is turned away by being dropped.
                    Ok(_) => {}
                    Err(_) => return,
                },
            }
        }
    });
    accepting
}

/// The name of a branch, if the key of the connection is that branch's.
pub(crate) fn name_of(shared: &Shared, node: NodeId, key: &PublicKey) -> Result<String, LineEnd> {
    let refused =
        || LineEnd::Own(Failure::refused("unknown-node", "the key of this connection belongs to no node here"));
    let known = shared.app.known_number(node)?.filter(|known| known.public_key == key.to_string());
    known.map(|known| known.name).ok_or_else(refused)
}

impl Registry {
    /// Lets a branch in. Another process of the same branch that still answers keeps the place; one that does not, or
    /// is the same process, gives way.
    async fn enter(&self, node: NodeId, run: u64) -> Result<Arc<Presence>, LineEnd> {
        const PATIENCE: Duration = Duration::from_millis(1_500);
        if let Some(other) = self.find(node).filter(|other| other.run != run) {
            let before = other.heard.load(Ordering::Relaxed);
            other.probe.notify_one();
            tokio::time::sleep(PATIENCE).await;
            if self.find(node).is_some_and(|now| Arc::ptr_eq(&now, &other))
                && other.heard.load(Ordering::Relaxed) != before
            {
                let message = format!("node {node} is connected already, from another process");
                return Err(LineEnd::Own(Failure::refused("node-connected-twice", message)));
            }
        }
        let presence = Arc::new(Presence { run, heard: AtomicU64::new(0), probe: Notify::new(), leave: Notify::new() });
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = nodes.insert(node, Arc::clone(&presence)) {
            old.leave.notify_one();
        }
        Ok(presence)
    }

    fn find(&self, node: NodeId) -> Option<Arc<Presence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    fn leave(&self, node: NodeId, presence: &Arc<Presence>) {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.get(&node).is_some_and(|found| Arc::ptr_eq(found, presence)) {
            nodes.remove(&node);
        }
    }
}

/// The branch at the other end.
struct Peer<'n> {
    node: NodeId,
    key: PublicKey,
    name: &'n str,
    transport: Transport,
}

/// One conversation with a branch, until one side ends it.
async fn talk(
    shared: &Arc<Shared>,
    line: &mut Line,
    hello: PeerMessage,
    peer: &Peer<'_>,
    presence: &Presence,
    is_talking: &mut bool,
) -> Result<(), LineEnd> {
    let mut commits = shared.commits.subscribe();
    let mut stopping = shared.stopping();
    let mut end = HeadEnd::new();
    let mut out = Vec::new();
    let mut work: JoinSet<Result<Done, LineEnd>> = JoinSet::new();
    let mut traffic = Traffic::new(&shared.peers, peer.name, shared.now());
    let mut resting = shared.peers.resting();
    let mut saved = None;
    end.on_message(hello, shared.now(), &mut out)?;
    loop {
        let is_near = end.backlog().is_some_and(|backlog| backlog <= NEAR);
        for effect in out.drain(..) {
            if let Effect::Do(Job::Admit(offered)) = &effect {
                saved = Traffic::saved_last(offered);
            }
            carry_out(shared, line, peer, is_near, effect, &mut work, &mut traffic)?;
        }
        if let Some(backlog) = end.backlog() {
            if !std::mem::replace(is_talking, true) {
                connected(shared, peer, backlog);
            }
            shared.peers.update(peer.name, |status| status.pending = backlog);
        }
        tokio::select! {
            message = line.next() => {
                let message = message?;
                presence.heard.fetch_add(1, Ordering::Relaxed);
                check_offer(&message, &peer.key)?;
                let position = match &message {
                    PeerMessage::Ack { position, .. } => Some(*position),
                    PeerMessage::Offer { transactions, .. } => {
                        traffic.on_offered(transactions, shared.now());
                        None
                    }
                    _ => None,
                };
                end.on_message(message, shared.now(), &mut out)?;
                if let Some(position) = position {
                    traffic.on_acknowledged(position, end.backlog().unwrap_or_default(), shared.now());
                }
            }
            changed = commits.changed() => {
                changed.map_err(|_| LineEnd::Stopping)?;
                let position = *commits.borrow_and_update();
                end.on_commit(position, &mut out);
            }
            Some(done) = work.join_next() => {
                let done = done.map_err(|_| LineEnd::Own(replica::broke_off()))??;
                if done == Done::Admitted {
                    traffic.on_decided(saved.take(), shared.now());
                }
                end.on_done(done, shared.now(), &mut out)?;
            }
            () = presence.probe.notified() => line.send(&PeerMessage::Ping { sent: shared.now() })?,
            () = presence.leave.notified() => return Err(LineEnd::Lost("the branch opened another line".to_owned())),
            () = resting.begins() => return Err(LineEnd::Resting),
            () = stopping.wait() => return Err(LineEnd::Stopping),
        }
    }
}

fn connected(shared: &Shared, peer: &Peer<'_>, backlog: u64) {
    let (name, transport) = (peer.name, peer.transport);
    shared.tell("connected", name, String::new());
    tracing::info!("branch {name} is connected over {transport}, {backlog} entries behind");
    shared.peers.update(name, |peer| {
        CONNECTED.clone_into(&mut peer.state);
        peer.last_error = None;
        peer.transport = Some(transport.to_string());
    });
}

fn carry_out(
    shared: &Arc<Shared>,
    line: &mut Line,
    peer: &Peer<'_>,
    is_near: bool,
    effect: Effect,
    work: &mut JoinSet<Result<Done, LineEnd>>,
    traffic: &mut Traffic<'_>,
) -> Result<(), LineEnd> {
    match effect {
        Effect::Send(message) => {
            announce(shared, peer.name, &message, traffic);
            if is_near {
                line.send_encoded(&message, shared.batches.encoded(&message))?;
            } else {
                line.send(&message)?;
            }
            if matches!(message, PeerMessage::Welcome { .. }) {
                line.begin_feed();
            }
        }
        // What is wanted by all who are near the end of the log.
        Effect::Do(Job::ReadLog { after }) if is_near => {
            let shared = Arc::clone(shared);
            work.spawn(async move { read_log(shared, after).await });
        }
        Effect::Do(job) => {
            if let Job::TakeBack(frames) = &job {
                tracing::warn!("{} hands back {} entries that were lost here", peer.name, frames.len());
            }
            let errand = Errand { peer: peer.node, run: shared.run, id_reserve: shared.live().id_reserve };
            let shared = Arc::clone(shared);
            work.spawn_blocking(move || Ok(replica::perform(&shared.app, &errand, job)?));
        }
        Effect::Close => return Err(LineEnd::Again),
    }
    Ok(())
}

/// A piece of the log, read by whoever wants it first.
async fn read_log(shared: Arc<Shared>, after: u64) -> Result<Done, LineEnd> {
    let app = Arc::clone(&shared.app);
    let commit = *shared.commits.borrow();
    let read = || blocking(move || Ok(Arc::new(replica::read_log(&app, after)?)));
    shared.batches.log_behind(after, commit, read).await.map(Done::Log)
}

/// What a person who reads the log wants to know of what is sent.
fn announce(shared: &Shared, name: &str, message: &PeerMessage, traffic: &mut Traffic<'_>) {
    match message {
        PeerMessage::Entries { entries, head, .. } => traffic.on_sent(entries, *head, shared.now()),
        PeerMessage::Renew { incarnation, .. } => {
            tracing::warn!(
                "{name} is an older copy of its database or was copied: it goes on as its life {incarnation}"
            );
        }
        PeerMessage::RollBack { to, .. } => {
            tracing::warn!("{name} has entries of an earlier reign above entry {to}: it takes them back");
        }
        PeerMessage::Recover { after, .. } => {
            tracing::warn!("{name} has entries behind {after} that are lost here: this database was restored");
        }
        _ => {}
    }
}

/// Checks the signature over an offer.
fn check_offer(message: &PeerMessage, key: &PublicKey) -> Result<(), LineEnd> {
    let PeerMessage::Offer { transactions, signature } = message else { return Ok(()) };
    let mut hashes: Vec<Hash> = Vec::with_capacity(transactions.len());
    for bytes in transactions {
        let (_, _, hash) = transaction::peek(bytes)
            .map_err(|error| Violation { code: "damaged-transaction", message: error.to_string() })?;
        hashes.push(hash);
    }
    if key.verify(&hash::offer(hashes).0, signature) {
        Ok(())
    } else {
        let message = "the signature over the offered transactions is wrong".to_owned();
        Err(Violation { code: "wrong-signature", message }.into())
    }
}

/// Runs something that waits for the disk beside the tasks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LineEnd> + Send + 'static,
) -> Result<T, LineEnd> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LineEnd::Lost("work for the line broke off".to_owned()))?
}

impl Shared {
    /// Tells who watches that something happened on a line.
    pub(crate) fn tell(&self, kind: &str, peer: &str, text: String) {
        self.app.tell(&Event {
            time: self.now(),
            kind: kind.to_owned(),
            peer: peer.to_owned(),
            transaction: None,
            position: None,
            text,
        });
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::id::TransactionId;
    use mytism_transport::identity::NodeKey;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    fn code(end: LineEnd) -> String {
        match end.reject() {
            Some(PeerMessage::Reject { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_offered_is_signed_by_who_offers_it() {
        let transaction = mytism_core::change::Transaction {
            id: TransactionId { node: NodeId(2), incarnation: 1, counter: 1 },
            base: mytism_core::id::Position::default(),
            author: mytism_core::id::system::USER_ADMIN,
            time: mytism_core::time::Timestamp::saturating_from_micros(1),
            clock_offset_micros: None,
            description: String::new(),
            run: None,
            schema: None,
            changes: Vec::new(),
        };
        let written = transaction::write(transaction, &hash::Secret([7; 32])).unwrap();
        let (ours, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let offer = |transactions: Vec<Vec<u8>>, signer: &NodeKey| PeerMessage::Offer {
            transactions,
            signature: signer.sign(&hash::offer([written.hash]).0).to_vec(),
        };
        let check = |message: &PeerMessage| check_offer(message, &ours.public()).map_err(code);
        let bytes = || vec![written.bytes.clone()];
        assert_eq!(check(&offer(bytes(), &ours)), Ok(()));
        assert_eq!(check(&offer(bytes(), &other)), Err("wrong-signature".to_owned()));
        let twice = [bytes(), bytes()].concat();
        assert_eq!(check(&offer(twice, &ours)), Err("wrong-signature".to_owned()));
        assert_eq!(check(&offer(vec![vec![0; 9]], &ours)), Err("damaged-transaction".to_owned()));
    }

    #[tokio::test]
    async fn a_second_process_of_a_branch_that_answers_is_refused() {
        let registry = Registry::default();
        let first = registry.enter(NodeId(2), 1).await.unwrap();
        let answers = async {
            first.probe.notified().await;
            first.heard.fetch_add(1, Ordering::Relaxed);
        };
        let (second, ()) = tokio::join!(registry.enter(NodeId(2), 2), answers);
        assert_eq!(second.map(drop).map_err(code), Err("node-connected-twice".to_owned()));
        // One that says nothing any more gives way.
        assert!(registry.enter(NodeId(2), 3).await.is_ok());
    }
}
