//! Many branches that only speak: each joins with an account of its own, then keeps the streams of a branch open and
//! takes the feed. None has a store, so one process holds a thousand of them. For measuring what idle branches cost
//! their head office; no node uses it.

use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use mytism_core::id::{Hash, NodeId, Position};
use mytism_core::time::Timestamp;
use mytism_proto::{PROTOCOL_VERSION, PeerMessage};
use mytism_sync::Violation;
use mytism_transport::connection::{PeerConnection, Purpose};
use mytism_transport::identity::NodeKey;
use mytism_transport::stream::FrameStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::account::{Account, EXPORTER_LABEL};
use crate::join::{failure, reach};
use crate::line::{Line, LineEnd};

/// Branches that hold nothing. Dropping it ends their lines.
pub struct Crowd {
    runtime: Runtime,
    members: Vec<Member>,
    told: mpsc::UnboundedSender<Result<Heard, LineEnd>>,
    heard: mpsc::UnboundedReceiver<Result<Heard, LineEnd>>,
}

/// That entries came to one of the branches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// Number of the last entry that it has.
    pub number: u64,
    /// When it came.
    pub at: Instant,
    /// When the head office encoded the message.
    pub sent: Timestamp,
}

/// Who a branch is.
struct Member {
    account: Account,
    key: NodeKey,
    cluster: Hash,
    node: NodeId,
    incarnation: u32,
}

/// A branch whose lines are up.
struct Talking {
    line: Line,
    number: u64,
    /// Kept, since they end with what is dropped.
    _connection: PeerConnection,
    _contents: [FrameStream; 2],
}

impl Crowd {
    /// Lets a branch join with each account file, given as text. What a real one would fetch afterwards is left.
    ///
    /// # Errors
    /// When an account is refused, or the head office cannot be reached.
    pub fn join(accounts: &[String]) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build();
        let runtime = runtime.map_err(|error| Failure::failed("no-runtime", format!("cannot start: {error}")))?;
        let mut members = Vec::with_capacity(accounts.len());
        for text in accounts {
            let account = Account::from_text(text)?;
            let key = NodeKey::generate().map_err(|error| Failure::failed("key-error", error.to_string()))?;
            members.push(runtime.block_on(enrol(account, key)).map_err(failure)?);
        }
        let (told, heard) = mpsc::unbounded_channel();
        Ok(Self { runtime, members, told, heard })
    }

    /// Greets as branches that have the log up to an entry, which must be that of the head office, and keeps the lines.
    ///
    /// # Errors
    /// When the head office cannot be reached, or refuses one of them.
    pub fn connect(&mut self, position: Position, hash: Hash) -> Result<(), Failure> {
        for member in &self.members {
            let talking = self.runtime.block_on(greet(member, position, hash)).map_err(failure)?;
            let told = self.told.clone();
            self.runtime.spawn(async move {
                let Err(end) = listen(talking, &told).await;
                // Nobody may be waiting any longer.
                let _gone = told.send(Err(end));
            });
        }
        Ok(())
    }

    /// Waits until each of them has the log up to an entry: when that entry came to each, in any order.
    ///
    /// # Errors
    /// When that takes longer than `patience`, or one of the lines has ended.
    pub fn heard(&mut self, number: u64, patience: Duration) -> Result<Vec<Heard>, Failure> {
        let mut all = Vec::with_capacity(self.members.len());
        let (members, heard) = (self.members.len(), &mut self.heard);
        let gathering = async {
            while all.len() < members {
                match heard.recv().await {
                    Some(Ok(one)) if one.number >= number => all.push(one),
                    Some(Ok(_)) => {}
                    Some(Err(end)) => return Err(failure(end)),
                    None => return Err(Failure::failed("internal", "nobody listens")),
                }
            }
            Ok(())
        };
        let late = |_| Failure::failed("bench-too-slow", format!("entry {number} does not come to all branches"));
        let in_time = async { tokio::time::timeout(patience, gathering).await };
        self.runtime.block_on(in_time).map_err(late)??;
        Ok(all)
    }
}

/// Proves an account. What follows on the line is for who wants to hold something.
async fn enrol(account: Account, key: NodeKey) -> Result<Member, LineEnd> {
    let connection = reach(&account, &key).await?;
    let mut line = Line::new(open(&connection, Purpose::Bulk).await?);
    let exporter = connection.exporter(EXPORTER_LABEL).map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let proof = account.secret.verifier().proof(&exporter, &key.public());
    line.send(&PeerMessage::Join { name: account.name.clone(), proof })?;
    let accepted = line.first().await?;
    connection.close(0, "");
    let PeerMessage::JoinAccept { cluster, node, incarnation, .. } = accepted else {
        return Err(Violation::unexpected("something that is no part of a join").into());
    };
    Ok(Member { account, key, cluster, node, incarnation })
}

async fn open(connection: &PeerConnection, purpose: Purpose) -> Result<FrameStream, LineEnd> {
    connection.open(purpose).await.map_err(|lost| LineEnd::Lost(lost.to_string()))
}

/// Opens all streams that a branch has.
async fn greet(member: &Member, position: Position, hash: Hash) -> Result<Talking, LineEnd> {
    let connection = reach(&member.account, &member.key).await?;
    let mut line = Line::new(open(&connection, Purpose::Control).await?);
    line.send(&PeerMessage::Hello {
        protocol: PROTOCOL_VERSION,
        cluster: member.cluster,
        node: member.node,
        incarnation: member.incarnation,
        run: 1,
        name: member.account.name.clone(),
        position,
        hash,
        ladder: None,
        newest: None,
    })?;
    let PeerMessage::Welcome { feed, .. } = line.first().await? else {
        return Err(Violation::unexpected("something else than a welcome").into());
    };
    if feed == Some(true) {
        line.attach_feed(open(&connection, Purpose::Feed).await?);
    }
    let contents = [contents(&connection, false).await?, contents(&connection, true).await?];
    Ok(Talking { line, number: position.number, _connection: connection, _contents: contents })
}

async fn contents(connection: &PeerConnection, head_asks: bool) -> Result<FrameStream, LineEnd> {
    let mut stream = open(connection, Purpose::Blob).await?;
    let begin = PeerMessage::ContentsBegin { head_asks }.encode();
    let begin = begin.map_err(|error| LineEnd::Own(Failure::failed("unsendable", error.to_string())))?;
    stream.writer().send(&begin).await.map_err(|error| LineEnd::Lost(error.to_string()))?;
    Ok(stream)
}

/// Takes what comes and confirms it, as if it were on a disk.
async fn listen(
    mut talking: Talking,
    told: &mpsc::UnboundedSender<Result<Heard, LineEnd>>,
) -> Result<std::convert::Infallible, LineEnd> {
    loop {
        match talking.line.next().await? {
            PeerMessage::Entries { entries, checksum, head, sent } => {
                talking.number += entries.len() as u64;
                let number = talking.number;
                // Whoever measures may have had enough.
                let _gone = told.send(Ok(Heard { number, at: Instant::now(), sent }));
                let position = Position { epoch: head.epoch, number };
                talking.line.send(&PeerMessage::Ack { position, hash: checksum })?;
            }
            PeerMessage::Ping { sent } => talking.line.send(&PeerMessage::Pong { ping: sent, time: sent })?,
            _ => {}
        }
    }
}
