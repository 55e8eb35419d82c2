//! The head office's end of the lines: takes branches in, feeds them the log, decides on what they offer.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mytism_app::AppError;
use mytism_core::failure::{Failure, FailureKind};
use mytism_core::id::{Hash, NodeId, TransactionId};
use mytism_core::number::Lease;
use mytism_core::operation::Event;
use mytism_format::{hash, transaction};
use mytism_proto::{PROTOCOL_VERSION, PeerMessage};
use mytism_store::Head;
use mytism_sync::feed::Feed;
use mytism_sync::greeting::{Claim, Knowledge, judge};
use mytism_sync::{Effect, LogItem, MESSAGE, ROWS, Violation};
use mytism_transport::Limits;
use mytism_transport::connection::PeerConnection;
use mytism_transport::identity::PublicKey;
use mytism_transport::listener::Listener;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::account::{EXPORTER_LABEL, Verifier};
use crate::config::Live;
use crate::line::{Line, LineEnd};
use crate::node::Shared;
use crate::peers::{CONNECTED, CONNECTING};

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
    let Ok((_, stream)) = connection.accept_stream().await else { return };
    let mut line = Line::new(stream);
    let end = match line.greeting().await {
        Ok(PeerMessage::Hello { protocol, cluster, node, incarnation, run, position, hash, .. }) => {
            let claim = Claim { protocol, cluster, node, incarnation, position, hash };
            feed(&shared, &registry, &connection, &mut line, claim, run).await
        }
        Ok(PeerMessage::Join { name, proof }) => join(&shared, &connection, &mut line, &name, &proof).await,
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
    let (parts, mut receiver) = mpsc::channel(2);
    let app = Arc::clone(&shared.app);
    let reading = tokio::task::spawn_blocking(move || read_snapshot(&app, &parts));
    while let Some(message) = receiver.recv().await {
        line.send_when_ready(&message).await?;
    }
    reading.await.map_err(|_| LineEnd::Lost("the snapshot broke off".to_owned()))??;
    match line.next().await? {
        PeerMessage::Done {} => Ok(()),
        _ => Err(Violation::unexpected("something else than the end of the snapshot").into()),
    }
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

fn read_snapshot(app: &mytism_app::App, parts: &mpsc::Sender<PeerMessage>) -> Result<(), LineEnd> {
    let lost = |_| LineEnd::Lost("the other side is gone".to_owned());
    let compress = |bytes: &[u8]| {
        zstd::bulk::compress(bytes, 1)
            .map_err(|error| LineEnd::Own(Failure::failed("internal", format!("cannot compress: {error}"))))
    };
    let mut snapshot = app.snapshot()?;
    let head = snapshot.head;
    let (mut objects, mut entries) = (0, 0);
    let schema = mytism_format::schema::write(app.schema().def()).map_err(AppError::from)?;
    let begin = PeerMessage::SnapshotBegin {
        position: head.position,
        hash: head.hash,
        objects: snapshot.objects()?,
        entries: head.position.number,
        schema,
    };
    parts.blocking_send(begin).map_err(lost)?;
    while let Some(part) = snapshot.next_objects()? {
        let chunk = compress(&part.bytes)?;
        let hash = hash::chunk(&chunk);
        objects += part.count;
        parts.blocking_send(PeerMessage::SnapshotObjects { chunk, hash, count: part.count }).map_err(lost)?;
    }
    while let Some(part) = snapshot.next_entries()? {
        let chunk = compress(&part.bytes)?;
        let hash = hash::chunk(&chunk);
        entries += part.count;
        parts.blocking_send(PeerMessage::SnapshotEntries { chunk, hash, count: part.count }).map_err(lost)?;
    }
    parts.blocking_send(PeerMessage::SnapshotEnd { objects, entries }).map_err(lost)
}

async fn feed(
    shared: &Arc<Shared>,
    registry: &Arc<Registry>,
    connection: &PeerConnection,
    line: &mut Line,
    claim: Claim,
    run: u64,
) -> Result<(), LineEnd> {
    let key = connection.peer();
    let (name, head) = {
        let shared = Arc::clone(shared);
        blocking(move || welcome(&shared, &claim, &key)).await?
    };
    connection.welcome();
    let presence = registry.enter(claim.node, run).await?;
    let result = talk(shared, line, &claim, key, &name, head, &presence).await;
    registry.leave(claim.node, &presence);
    shared.peers.update(&name, |peer| {
        CONNECTING.clone_into(&mut peer.state);
        if let Err(end) = &result
            && !matches!(end, LineEnd::Stopping)
        {
            peer.last_error = Some(end.to_string());
        }
    });
    shared.tell("disconnected", &name, String::new());
    tracing::info!("line to {name} ended");
    result
}

/// Judges a branch; returns its name and the end of the log.
fn welcome(shared: &Shared, claim: &Claim, key: &PublicKey) -> Result<(String, Head), LineEnd> {
    let refused =
        || LineEnd::Own(Failure::refused("unknown-node", "the key of this connection belongs to no node here"));
    let known = shared.app.known_number(claim.node)?.filter(|known| known.public_key == key.to_string());
    let known = known.ok_or_else(refused)?;
    let view = shared.app.view()?;
    let empty = || LineEnd::Own(Failure::failed("empty-log", "the log of the head office is empty"));
    let head = view.head().map_err(AppError::from)?.ok_or_else(empty)?;
    let there = view.log_row(claim.position.number).map_err(AppError::from)?;
    let knowledge = Knowledge {
        node: known.node,
        cluster: shared.cluster()?,
        incarnation: view.last_incarnation(known.node).map_err(AppError::from)?,
        position: head.position,
        hash_there: there.map(|row| row.hash),
    };
    judge(claim, &knowledge)?;
    Ok((known.name, head))
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

/// What the work beside the line came to.
enum Done {
    Log(Vec<LogItem>),
    Admitted,
    Block(i64),
    Leases(Vec<Lease>),
}

/// One conversation with a branch, until one side ends it.
async fn talk(
    shared: &Arc<Shared>,
    line: &mut Line,
    claim: &Claim,
    key: PublicKey,
    name: &str,
    head: Head,
    presence: &Presence,
) -> Result<(), LineEnd> {
    let mut commits = shared.commits.subscribe();
    let mut stopping = shared.stopping();
    line.send(&shared.welcome(&head)?)?;
    let head = head.position.max(*commits.borrow_and_update());
    shared.tell("connected", name, String::new());
    tracing::info!("branch {name} is connected, {} entries behind", head.number.saturating_sub(claim.position.number));
    shared.peers.update(name, |peer| {
        CONNECTED.clone_into(&mut peer.state);
        peer.last_error = None;
    });
    let mut feed = Feed::new(claim.node, claim.position.number, head);
    let mut out = Vec::new();
    let mut work: JoinSet<Result<Done, LineEnd>> = JoinSet::new();
    let mut sent_at: VecDeque<(u64, Instant)> = VecDeque::new();
    feed.go_on(&mut out);
    loop {
        for effect in out.drain(..) {
            carry_out(shared, line, name, claim.node, effect, &mut work, &mut sent_at)?;
        }
        shared.peers.update(name, |peer| peer.pending = feed.backlog());
        tokio::select! {
            message = line.next() => {
                let message = message?;
                presence.heard.fetch_add(1, Ordering::Relaxed);
                let ids = check_offer(&message, &key)?;
                note(shared, name, &message, ids.len() as u64, &mut sent_at);
                feed.on_message(message, &ids, shared.now(), &mut out)?;
            }
            changed = commits.changed() => {
                changed.map_err(|_| LineEnd::Stopping)?;
                let position = *commits.borrow_and_update();
                feed.on_committed(position, &mut out);
            }
            Some(done) = work.join_next() => {
                match done.map_err(|_| LineEnd::Lost("work for the line broke off".to_owned()))?? {
                    Done::Log(items) => feed.on_log(items, shared.now(), &mut out),
                    Done::Admitted => feed.on_admitted(&mut out),
                    Done::Block(block) => feed.on_block(vec![block], &mut out),
                    Done::Leases(leases) => feed.on_leases(leases, &mut out),
                }
            }
            () = presence.probe.notified() => line.send(&PeerMessage::Ping { sent: shared.now() })?,
            () = presence.leave.notified() => return Err(LineEnd::Lost("the branch opened another line".to_owned())),
            () = stopping.wait() => return Err(LineEnd::Stopping),
        }
    }
}

fn carry_out(
    shared: &Arc<Shared>,
    line: &Line,
    name: &str,
    node: NodeId,
    effect: Effect,
    work: &mut JoinSet<Result<Done, LineEnd>>,
    sent_at: &mut VecDeque<(u64, Instant)>,
) -> Result<(), LineEnd> {
    let shared = Arc::clone(shared);
    match effect {
        Effect::Send(message) => {
            if let PeerMessage::Entries { entries, head, .. } = &message {
                let count = entries.len() as u64;
                tracing::info!(">>>> {name} {count} entries of {}", head.number);
                shared.peers.update(name, |peer| peer.sent += count);
                sent_at.push_back((count, Instant::now()));
            }
            line.send(&message)?;
        }
        Effect::ReadLog { after } => {
            work.spawn_blocking(move || read_log(&shared, after).map(Done::Log));
        }
        Effect::Admit(transactions) => {
            work.spawn_blocking(move || Ok(shared.app.admit(node, transactions).map(|_| Done::Admitted)?));
        }
        Effect::GiveBlock => {
            work.spawn_blocking(move || Ok(shared.app.give_block(node).map(|block| Done::Block(block.get()))?));
        }
        Effect::GrantLeases(wishes) => {
            work.spawn_blocking(move || Ok(Done::Leases(shared.app.grant_leases(node, wishes)?)));
        }
        Effect::Apply(_)
        | Effect::ReadPending { .. }
        | Effect::Offer(_)
        | Effect::TakeBlocks(_)
        | Effect::TakeLeases(_) => {}
    }
    Ok(())
}

fn read_log(shared: &Shared, after: u64) -> Result<Vec<LogItem>, LineEnd> {
    let rows = shared.app.view()?.log_after(after, ROWS, MESSAGE).map_err(AppError::from)?;
    let item = |row: mytism_store::LogRow| LogItem {
        position: row.position,
        hash: row.hash,
        transaction: row.transaction,
        entry: row.entry,
        bytes: row.bytes,
    };
    Ok(rows.into_iter().map(item).collect())
}

/// The names of offered transactions, after the signature over them is checked.
fn check_offer(message: &PeerMessage, key: &PublicKey) -> Result<Vec<TransactionId>, LineEnd> {
    let PeerMessage::Offer { transactions, signature } = message else { return Ok(Vec::new()) };
    let mut ids = Vec::with_capacity(transactions.len());
    let mut hashes: Vec<Hash> = Vec::with_capacity(transactions.len());
    for bytes in transactions {
        let (id, _, hash) = transaction::peek(bytes)
            .map_err(|error| Violation { code: "damaged-transaction", message: error.to_string() })?;
        ids.push(id);
        hashes.push(hash);
    }
    if key.verify(&hash::offer(hashes).0, signature) {
        Ok(ids)
    } else {
        let message = "the signature over the offered transactions is wrong".to_owned();
        Err(Violation { code: "wrong-signature", message }.into())
    }
}

fn note(shared: &Shared, name: &str, message: &PeerMessage, offered: u64, sent_at: &mut VecDeque<(u64, Instant)>) {
    if let PeerMessage::Ack { .. } = message
        && let Some((_, at)) = sent_at.pop_front()
    {
        shared.peers.update(name, |peer| peer.lag_ms = Some(at.elapsed().as_secs_f64() * 1e3));
    }
    if offered > 0 {
        tracing::info!("<<<< {name} {offered} transactions");
        shared.peers.update(name, |peer| peer.received += offered);
    }
}

/// Runs something that waits for the disk beside the tasks.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LineEnd> + Send + 'static,
) -> Result<T, LineEnd> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LineEnd::Lost("work for the line broke off".to_owned()))?
}

impl Shared {
    fn welcome(&self, head: &Head) -> Result<PeerMessage, LineEnd> {
        let identity = self.app.identity();
        Ok(PeerMessage::Welcome {
            protocol: PROTOCOL_VERSION,
            cluster: self.cluster()?,
            node: identity.node,
            incarnation: identity.incarnation,
            run: self.run,
            name: identity.name,
            position: head.position,
            hash: head.hash,
            time: self.now(),
        })
    }

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
        assert_eq!(check(&offer(bytes(), &ours)).unwrap(), [written.transaction.id]);
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
