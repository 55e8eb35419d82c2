//! A branch's end of the line: finds the head office, follows its log, offers what was saved here, and comes back by
//! itself after every cut.

use std::sync::Arc;
use std::time::Duration;

use mytism_app::AppError;
use mytism_core::failure::Failure;
use mytism_core::id::{Hash, NodeId};
use mytism_format::{hash, transaction};
use mytism_proto::PeerMessage;
use mytism_sync::branch_end::BranchEnd;
use mytism_sync::{Done, Effect, Job};
use mytism_transport::connection::{PeerConnection, Purpose, Transport};
use mytism_transport::connector::Connector;
use mytism_transport::identity::PublicKey;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::task::JoinSet;

use crate::check;
use crate::contents;
use crate::line::{GREETING_DEADLINE, Line, LineEnd};
use crate::markers;
use crate::node::Shared;
use crate::peers::{CONNECTED, state_after};
use crate::replica::{self, Errand};
use crate::traffic::Traffic;

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
    let mut resting = shared.peers.resting();
    let connector = Connector::default();
    shared.peers.update(&name, |_| {});
    loop {
        let began = std::time::Instant::now();
        let end = tokio::select! {
            () = stopping.wait() => return,
            end = session(&shared, &connector, key, &name) => end,
        };
        let Err(end) = end else { return };
        if matches!(end, LineEnd::Stopping) {
            return;
        }
        ended(&shared, &name, &end);
        if matches!(end, LineEnd::Resting) {
            tokio::select! {
                () = stopping.wait() => return,
                () = resting.ends() => {}
            }
        }
        if matches!(end, LineEnd::Again | LineEnd::Resting) {
            // It takes something that was done, so this does not go round and round.
            pause = shared.live().retry_min;
        }
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

/// Tells everybody that a line ended, and why.
fn ended(shared: &Shared, name: &str, end: &LineEnd) {
    let waiting = shared.app.view().and_then(|view| Ok(view.pending_count()?)).unwrap_or_default();
    shared.peers.update(name, |peer| {
        if peer.state == CONNECTED {
            shared.tell("disconnected", name, end.to_string());
            peer.seen = Some(shared.now());
        }
        state_after(end).clone_into(&mut peer.state);
        peer.pending = waiting;
        peer.rest_ms = None;
        // That it rests is no error, and what went wrong before is the past.
        peer.last_error = (!matches!(end, LineEnd::Resting)).then(|| end.to_string());
    });
    match end {
        LineEnd::Resting => tracing::info!("no line to {name}: {end}"),
        _ => tracing::warn!("no line to {name}: {end}"),
    }
}

/// Between half of a pause and all of it, so that branches don't come back in step.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0u8];
    let part = if SystemRandom::new().fill(&mut byte).is_ok() { f64::from(byte[0]) / 255.0 } else { 0.5 };
    pause.mul_f64(0.5 + part / 2.0)
}

/// One line, from the search for the head office to its end.
async fn session(shared: &Arc<Shared>, connector: &Connector, key: PublicKey, name: &str) -> Result<(), LineEnd> {
    let mut resting = shared.peers.resting();
    let connection = tokio::select! {
        () = resting.begins() => return Err(LineEnd::Resting),
        // Once there is a line, it ends in order: the other side is told why.
        reached = reach(shared, connector, key) => reached?,
    };
    let stream = connection.open(Purpose::Control).await.map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let mut line = Line::new(stream);
    let _files = contents::spawn(shared, &connection, name);
    let result = talk(shared, &connection, &mut line, name).await;
    shared.line_up.send_replace(None);
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

async fn reach(shared: &Shared, connector: &Connector, key: PublicKey) -> Result<PeerConnection, LineEnd> {
    let mut failed = Vec::new();
    for address in &shared.config.head_office {
        match connector.connect(&address.to_string(), &shared.key, key, CONNECT_DEADLINE).await {
            Ok(connection) => return Ok(connection),
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        failed.push("no address of the head office is known".to_owned());
    }
    Err(LineEnd::Lost(failed.join("; ")))
}

/// One conversation with the head office, until one side ends it.
async fn talk(shared: &Arc<Shared>, connection: &PeerConnection, line: &mut Line, name: &str) -> Result<(), LineEnd> {
    let mut commits = shared.commits.subscribe();
    let mut stopping = shared.stopping();
    let mut resting = shared.peers.resting();
    let mut traffic = Traffic::new(&shared.peers, name, shared.now());
    let mut end = BranchEnd::new();
    let mut out = Vec::new();
    let mut work: JoinSet<Result<Done, LineEnd>> = JoinSet::new();
    let greeting = tokio::time::sleep(GREETING_DEADLINE);
    tokio::pin!(greeting);
    let mut is_talking = false;
    end.start(&mut out);
    loop {
        for effect in out.drain(..) {
            carry_out(shared, line, name, effect, &mut work, &mut traffic)?;
        }
        if end.is_talking() && !is_talking {
            is_talking = true;
            connected(shared, name, connection.transport());
            shared.line_up.send_replace(Some(connection.clone()));
            // Ends with the connection at the latest.
            tokio::spawn(check::after_connecting(Arc::clone(shared)));
        }
        tokio::select! {
            message = line.next() => {
                let message = message?;
                match &message {
                    PeerMessage::Entries { head, .. } => traffic.on_told(*head),
                    PeerMessage::Welcome { feed: Some(true), .. } => open_feed(connection, line).await?,
                    _ => {}
                }
                end.on_message(message, shared.now(), &mut out)?;
            }
            changed = commits.changed() => {
                changed.map_err(|_| LineEnd::Stopping)?;
                end.on_commit(&mut out);
            }
            Some(done) = work.join_next() => {
                let done = done.map_err(|_| LineEnd::Own(replica::broke_off()))??;
                let is_applied = matches!(done, Done::Applied { .. });
                end.on_done(done, shared.now(), &mut out)?;
                if is_applied {
                    traffic.on_applied(shared.now());
                    report_pending(shared, name);
                }
            }
            () = &mut greeting, if end.is_greeting() => return Err(LineEnd::Lost("no greeting came".to_owned())),
            () = resting.begins() => return Err(LineEnd::Resting),
            () = stopping.wait() => return Err(LineEnd::Stopping),
        }
    }
}

/// From now on entries and offers pass in a stream of their own, which delays nothing else. A head office that says it
/// twice has one already; that is its end's to judge.
async fn open_feed(connection: &PeerConnection, line: &mut Line) -> Result<(), LineEnd> {
    let opened = tokio::time::timeout(GREETING_DEADLINE, connection.open(Purpose::Feed)).await;
    let refused = |_| LineEnd::Lost("the head office takes no further stream".to_owned());
    let stream = opened.map_err(refused)?.map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    line.attach_feed(stream);
    Ok(())
}

fn connected(shared: &Shared, name: &str, transport: Transport) {
    markers::synced(&shared.project, &shared.app);
    shared.tell("connected", name, String::new());
    tracing::info!("connected to {name} over {transport}");
    shared.peers.update(name, |peer| {
        CONNECTED.clone_into(&mut peer.state);
        peer.last_error = None;
        peer.transport = Some(transport.to_string());
    });
}

fn report_pending(shared: &Shared, name: &str) {
    let pending = shared.app.view().and_then(|view| Ok(view.pending_count()?)).unwrap_or_default();
    shared.peers.update(name, |peer| peer.pending = pending);
}

fn carry_out(
    shared: &Arc<Shared>,
    line: &Line,
    name: &str,
    effect: Effect,
    work: &mut JoinSet<Result<Done, LineEnd>>,
    traffic: &mut Traffic<'_>,
) -> Result<(), LineEnd> {
    match effect {
        Effect::Send(PeerMessage::Offer { transactions, .. }) => {
            traffic.on_offering(&transactions, shared.now());
            line.send(&signed(shared, transactions)?)?;
        }
        Effect::Send(message) => line.send(&message)?,
        Effect::Do(job) => {
            announce(name, &job, traffic);
            let shared = Arc::clone(shared);
            work.spawn_blocking(move || {
                let errand = Errand { peer: NodeId(1), run: shared.run, id_reserve: shared.live().id_reserve };
                Ok(replica::perform(&shared.app, &errand, job)?)
            });
        }
        Effect::Close => return Err(LineEnd::Again),
    }
    Ok(())
}

/// What a person who reads the log wants to know of the work.
fn announce(name: &str, job: &Job, traffic: &mut Traffic<'_>) {
    match job {
        Job::Apply(frames) => traffic.on_applying(frames),
        Job::NoteClock(micros) => {
            traffic.on_offset(*micros);
            if micros.unsigned_abs() > CLOCK_TOLERANCE_MICROS {
                tracing::warn!("the clock of this node differs from that of {name} by {} s", micros / 1_000_000);
            }
        }
        Job::RollBack { to, .. } => {
            tracing::warn!("{name} began a new reign: what is here above entry {to} is taken back and offered anew");
        }
        Job::Renew { incarnation, .. } => {
            tracing::warn!(
                "this database was restored or copied: this node goes on as its life {incarnation}, with new ids"
            );
        }
        Job::ReadTail { after, hash: Some(_) } => {
            tracing::warn!("{name} was restored and gets back what it lost behind entry {after}");
        }
        _ => {}
    }
}

fn signed(shared: &Shared, transactions: Vec<Vec<u8>>) -> Result<PeerMessage, LineEnd> {
    let hashes = transactions.iter().map(|bytes| transaction::peek(bytes).map(|(_, _, hash)| hash));
    let hashes: Vec<Hash> = hashes.collect::<Result<_, _>>().map_err(AppError::from)?;
    let signature = shared.key.sign(&hash::offer(hashes).0).to_vec();
    Ok(PeerMessage::Offer { transactions, signature })
}

/// For messages to people: why the configuration of a branch is not enough.
pub(crate) fn head_key(shared: &crate::config::Config) -> Result<PublicKey, Failure> {
    let key = shared.head_office_key.map(PublicKey::from_bytes);
    key.ok_or_else(|| {
        Failure::failed("config-missing", "[SyncService] headOfficeKey is missing: who is the head office?")
    })
}
