//! A line to another node: messages in, messages out.
//!
//! Two streams: the one on which the two greeted each other, and one for the feed, so that a queue of entries delays
//! nothing else; each keeps its own order, and none is kept between them. The branch opens the second when the head
//! office's welcome says that it takes one. Until then, and for good as for a join or with a node of the first version,
//! the first stream carries everything.
//!
//! Why nothing stalls or is lost here: sending never waits, since tasks of its own write. What is sent while the feed has
//! no stream yet is kept, in order, and goes first when it has one; only [`WAITING`] messages may wait for each stream,
//! and where one more would have to, the line ends and the node tells why, so the two begin anew from what is durable.
//! Bytes that wait are bounded by the windows of the two sides, before they come here. A stream of which one direction
//! ends, be it the one that only writes, ends the line too, at once and not with the next message.

use std::sync::Arc;
use std::time::Duration;

use mytism_app::AppError;
use mytism_core::failure::Failure;
use mytism_proto::frame::GREETING_BODY_MAX;
use mytism_proto::{PeerMessage, ProtoError};
use mytism_sync::Violation;
use mytism_transport::FrameError;
use mytism_transport::stream::{FrameReader, FrameStream, FrameWriter};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Messages that wait to be written on a stream at most.
const WAITING: usize = 4_096;
/// How long the first message of a peer may take.
pub(crate) const GREETING_DEADLINE: Duration = Duration::from_secs(10);

/// Lines rest until they are resumed.
const RESTING: &str = "lines-rest";

/// See the module. Dropping it ends the writing.
pub(crate) struct Line {
    control: FrameReader,
    feed: FeedIn,
    out: Option<Out>,
    writers: Vec<JoinHandle<()>>,
    /// A stream takes no more.
    cut: Arc<Notify>,
}

/// How the feed comes in.
enum FeedIn {
    /// With everything else.
    Shared,
    /// Over a stream that comes here.
    Awaited(mpsc::Receiver<FrameStream>),
    Own(FrameReader),
    /// A stream has ended, so the line ends too until then; why may be said on the other one.
    Ended(Instant),
}

/// What comes in beside the first stream.
enum Came {
    /// A stream for the feed.
    Stream(FrameStream),
    Read(Result<Option<Vec<u8>>, FrameError>),
    /// Nobody said why a stream ended.
    Over,
}

impl FeedIn {
    /// May be dropped at any time.
    async fn next(&mut self) -> Came {
        match self {
            Self::Shared => std::future::pending().await,
            Self::Awaited(streams) => match streams.recv().await {
                Some(stream) => Came::Stream(stream),
                None => std::future::pending().await,
            },
            Self::Own(reader) => Came::Read(reader.next().await),
            Self::Ended(until) => {
                sleep_until(*until).await;
                Came::Over
            }
        }
    }
}

/// Ways out.
struct Out {
    control: mpsc::Sender<Arc<Vec<u8>>>,
    feed: FeedOut,
}

enum FeedOut {
    /// With everything else.
    Shared,
    /// Gathered until the stream is there.
    Awaited(mpsc::Sender<Arc<Vec<u8>>>, mpsc::Receiver<Arc<Vec<u8>>>),
    Own(mpsc::Sender<Arc<Vec<u8>>>),
}

/// Why a line ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineEnd {
    /// The other side is gone.
    #[error("{0}")]
    Lost(String),
    /// The other side refused to go on.
    #[error("{message}")]
    Rejected {
        /// A code as in [`Failure`].
        code: String,
        /// In words.
        message: String,
    },
    /// The other side broke the rules.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// This side cannot go on.
    #[error("{0}")]
    Own(Failure),
    /// What the other side asked for is done.
    #[error("both sides begin anew")]
    Again,
    /// The lines of this node rest.
    #[error("the lines of this node rest")]
    Resting,
    /// This node goes down.
    #[error("the node goes down")]
    Stopping,
}

impl From<AppError> for LineEnd {
    fn from(error: AppError) -> Self {
        Self::Own(error.failure())
    }
}

impl LineEnd {
    /// Whether the other side said that its lines rest.
    pub(crate) fn is_rest_there(&self) -> bool {
        matches!(self, Self::Rejected { code, .. } if code == RESTING)
    }

    /// What the other side is told, where there is something to tell.
    pub(crate) fn reject(&self) -> Option<PeerMessage> {
        match self {
            Self::Violation(violation) => Some(violation.reject()),
            Self::Own(failure) => {
                Some(PeerMessage::Reject { code: failure.code.clone(), message: failure.message.clone() })
            }
            Self::Resting => {
                let message = "the lines of the other node rest until they are resumed there".to_owned();
                Some(Violation { code: RESTING, message }.reject())
            }
            Self::Lost(_) | Self::Rejected { .. } | Self::Again | Self::Stopping => None,
        }
    }
}

impl Line {
    /// Over one stream, which carries everything.
    pub(crate) fn new(stream: FrameStream) -> Self {
        let (control, writer) = stream.split();
        let (out, waiting) = mpsc::channel(WAITING);
        let cut = Arc::default();
        let writers = vec![tokio::spawn(write(writer, waiting, Arc::clone(&cut)))];
        let out = Some(Out { control: out, feed: FeedOut::Shared });
        Self { control, feed: FeedIn::Shared, out, writers, cut }
    }

    /// A stream for the feed may come: it is to be given to what is returned. A second one is turned away. What is sent
    /// goes over the first stream before [`Self::begin_feed`].
    pub(crate) fn await_feed(&mut self) -> mpsc::Sender<FrameStream> {
        let (give, awaited) = mpsc::channel(1);
        self.feed = FeedIn::Awaited(awaited);
        give
    }

    /// From here on the feed goes over a stream of its own, if one was awaited: the other side was told so.
    pub(crate) fn begin_feed(&mut self) {
        if let (FeedIn::Awaited(_), Some(out @ Out { feed: FeedOut::Shared, .. })) = (&self.feed, &mut self.out) {
            let (feed, waiting) = mpsc::channel(WAITING);
            out.feed = FeedOut::Awaited(feed, waiting);
        }
    }

    /// From here on the feed goes over this stream.
    pub(crate) fn attach_feed(&mut self, stream: FrameStream) {
        let Some(out) = &mut self.out else { return };
        let (feed, waiting) = match std::mem::replace(&mut out.feed, FeedOut::Shared) {
            FeedOut::Awaited(feed, waiting) => (feed, waiting),
            FeedOut::Shared => mpsc::channel(WAITING),
            other @ FeedOut::Own(_) => {
                out.feed = other;
                return;
            }
        };
        let (reader, writer) = stream.split();
        self.feed = FeedIn::Own(reader);
        self.writers.push(tokio::spawn(write(writer, waiting, Arc::clone(&self.cut))));
        out.feed = FeedOut::Own(feed);
    }

    /// The next message of either stream. May be dropped at any time.
    pub(crate) async fn next(&mut self) -> Result<PeerMessage, LineEnd> {
        /// How long the reason for an end may take.
        const REASON: Duration = Duration::from_secs(1);
        loop {
            let came = tokio::select! {
                // What answers and ends goes first.
                biased;
                read = self.control.next() => Some(Came::Read(read)),
                came = self.feed.next() => match came {
                    Came::Read(Ok(None) | Err(FrameError::Broken(_))) => None,
                    came => Some(came),
                },
                () = self.cut.notified() => None,
            };
            let read = match came {
                Some(Came::Stream(stream)) => {
                    self.attach_feed(stream);
                    continue;
                }
                Some(Came::Read(read)) => read,
                Some(Came::Over) => Ok(None),
                None => {
                    if !matches!(self.feed, FeedIn::Ended(_)) {
                        self.feed = FeedIn::Ended(Instant::now() + REASON);
                    }
                    continue;
                }
            };
            if let Some(message) = understood(read)? {
                return Ok(message);
            }
        }
    }

    /// The first message of a peer that nobody knows yet: it may take little memory, be it as large as its type allows.
    pub(crate) async fn greeting(&mut self) -> Result<PeerMessage, LineEnd> {
        self.control.set_body_limit(Some(GREETING_BODY_MAX));
        let greeting = self.next().await;
        self.control.set_body_limit(None);
        greeting
    }

    /// The first message, which may not take long.
    pub(crate) async fn first(&mut self) -> Result<PeerMessage, LineEnd> {
        match tokio::time::timeout(GREETING_DEADLINE, self.next()).await {
            Ok(message) => message,
            Err(_) => Err(LineEnd::Lost("no greeting came".to_owned())),
        }
    }

    /// Sends a message, as soon as there is room.
    pub(crate) fn send(&self, message: &PeerMessage) -> Result<(), LineEnd> {
        self.send_encoded(message, message.encode().map(Arc::new))
    }

    /// Sends a message that others may get too.
    pub(crate) fn send_encoded(
        &self,
        message: &PeerMessage,
        encoded: Result<Arc<Vec<u8>>, ProtoError>,
    ) -> Result<(), LineEnd> {
        let frame = encoded.map_err(|error| LineEnd::Own(Failure::failed("unsendable", error.to_string())))?;
        self.way(message)?.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                LineEnd::Violation(Violation { code: "too-slow", message: "the peer reads too slowly".to_owned() })
            }
            mpsc::error::TrySendError::Closed(_) => LineEnd::Lost("the other side is gone".to_owned()),
        })
    }

    fn way(&self, message: &PeerMessage) -> Result<&mpsc::Sender<Arc<Vec<u8>>>, LineEnd> {
        let out = self.out.as_ref().ok_or_else(|| LineEnd::Lost("the line is closed".to_owned()))?;
        Ok(match &out.feed {
            FeedOut::Own(feed) | FeedOut::Awaited(feed, _) if message.is_feed() => feed,
            FeedOut::Own(_) | FeedOut::Awaited(..) | FeedOut::Shared => &out.control,
        })
    }

    /// Sends a message of a bulk transfer, waiting for room. Who takes nothing for ten minutes is cut off.
    pub(crate) async fn send_when_ready(&self, message: &PeerMessage) -> Result<(), LineEnd> {
        /// So many parts of a snapshot may wait in memory.
        const AHEAD: usize = 4;
        const STUCK: Duration = Duration::from_secs(600);
        let out = self.way(message)?;
        let began = Instant::now();
        while out.max_capacity() - out.capacity() > AHEAD {
            if out.is_closed() {
                return Err(LineEnd::Lost("the other side is gone".to_owned()));
            }
            if began.elapsed() > STUCK {
                return Err(Violation { code: "too-slow", message: "the peer reads nothing".to_owned() }.into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.send(message)
    }

    /// Lets what waits be written, for a moment, and ends.
    pub(crate) async fn finish(mut self) {
        const FAREWELL: Duration = Duration::from_secs(2);
        self.out.take();
        let until = Instant::now() + FAREWELL;
        for writer in &mut self.writers {
            if timeout_at(until, &mut *writer).await.is_err() {
                writer.abort();
            }
        }
    }
}

async fn write(mut writer: FrameWriter, mut waiting: mpsc::Receiver<Arc<Vec<u8>>>, cut: Arc<Notify>) {
    while let Some(frame) = waiting.recv().await {
        if writer.send(&frame).await.is_err() {
            cut.notify_one();
            return;
        }
    }
    // The line ends in order; a peer that is gone by now needs no farewell.
    let _gone = writer.finish().await;
}

/// The message in what was read; nothing where it may be passed over.
fn understood(read: Result<Option<Vec<u8>>, FrameError>) -> Result<Option<PeerMessage>, LineEnd> {
    let frame = match read {
        Ok(Some(frame)) => frame,
        Ok(None) => return Err(LineEnd::Lost("the other side closed the line".to_owned())),
        Err(error) => return Err(LineEnd::Lost(error.to_string())),
    };
    match PeerMessage::decode(&frame) {
        Ok(PeerMessage::Reject { code, message }) => Err(LineEnd::Rejected { code, message }),
        Ok(message) => Ok(Some(message)),
        Err(ProtoError::Skip { .. }) => Ok(None),
        Err(error) => Err(Violation { code: "unreadable-message", message: error.to_string() }.into()),
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::id::{Hash, Position};
    use mytism_core::time::Timestamp;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    fn code(end: LineEnd) -> String {
        match end.reject() {
            Some(PeerMessage::Reject { code, .. }) => code,
            other => panic!("{other:?}"),
        }
    }

    /// A line, and what the other side holds of it.
    fn line() -> (Line, tokio::io::DuplexStream) {
        let (here, there) = tokio::io::duplex(64);
        let (input, output) = tokio::io::split(here);
        (Line::new(FrameStream::new(input, output)), there)
    }

    #[tokio::test]
    async fn what_nobody_understands_ends_the_line() {
        let (mut line, mut there) = line();
        // The head of a ping, over a body that is no map.
        let ping = PeerMessage::Ping { sent: Timestamp::saturating_from_micros(1) }.encode().unwrap();
        let mut frame = ping.get(..8).unwrap().to_vec();
        frame.resize(ping.len(), 0xc1);
        there.write_all(&ping).await.unwrap();
        there.write_all(&frame).await.unwrap();
        assert!(matches!(line.next().await, Ok(PeerMessage::Ping { .. })));
        assert_eq!(code(line.next().await.unwrap_err()), "unreadable-message");
    }

    #[test]
    fn lines_that_rest_say_so() {
        assert_eq!(code(LineEnd::Resting), "lines-rest");
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_cut_off() {
        let (line, _there) = line();
        let ping = PeerMessage::Ping { sent: Timestamp::saturating_from_micros(1) };
        let mut sent = (0..=2 * WAITING).map(|_| line.send(&ping));
        assert_eq!(code(sent.find_map(Result::err).unwrap()), "too-slow");
    }

    #[tokio::test]
    async fn a_feed_that_nobody_reads_does_not_delay_the_rest() {
        let (mut line, mut there) = line();
        let entries = |size| PeerMessage::Offer { transactions: vec![vec![7; size]], signature: Vec::new() };
        let ping = PeerMessage::Ping { sent: Timestamp::saturating_from_micros(1) };
        let give = line.await_feed();
        line.send(&entries(2)).unwrap();
        let mut first = vec![0; entries(2).encode().unwrap().len()];
        there.read_exact(&mut first).await.unwrap();
        assert_eq!(PeerMessage::decode(&first).unwrap(), entries(2), "the feed has not begun");
        line.begin_feed();
        line.send(&entries(3)).unwrap();
        line.send(&ping).unwrap();
        let mut bytes = vec![0; ping.encode().unwrap().len()];
        there.read_exact(&mut bytes).await.unwrap();
        assert_eq!(PeerMessage::decode(&bytes).unwrap(), ping, "the feed waits for its stream");

        let (here, mut feed) = tokio::io::duplex(64);
        let (input, output) = tokio::io::split(here);
        give.send(FrameStream::new(input, output)).await.unwrap();
        there.write_all(&ping.encode().unwrap()).await.unwrap();
        assert_eq!(line.next().await.unwrap(), ping);
        feed.write_all(&entries(5).encode().unwrap()).await.unwrap();
        assert_eq!(line.next().await.unwrap(), entries(5));
        line.send(&entries(1_000_000)).unwrap();
        line.send(&ping).unwrap();
        there.read_exact(&mut bytes).await.unwrap();
        let mut first = vec![0; entries(3).encode().unwrap().len()];
        feed.read_exact(&mut first).await.unwrap();
        assert_eq!(PeerMessage::decode(&first).unwrap(), entries(3), "nothing of it is lost");

        // The end of either is the end of the line, and the reason still arrives.
        drop(feed);
        let why = PeerMessage::Reject { code: "why".to_owned(), message: String::new() };
        there.write_all(&why.encode().unwrap()).await.unwrap();
        assert!(matches!(line.next().await, Err(LineEnd::Rejected { code, .. }) if code == "why"));
        assert!(matches!(line.next().await, Err(LineEnd::Lost(_))));
    }

    #[tokio::test]
    async fn a_stream_that_takes_no_more_ends_the_line_before_anybody_says_something() {
        let (mut line, _there) = line();
        let (here, feed) = tokio::io::duplex(64);
        let (_reading, output) = tokio::io::split(here);
        // Nothing ever comes in over the feed, and nobody reads what goes out.
        let (input, _silent) = tokio::io::duplex(64);
        line.attach_feed(FrameStream::new(input, output));
        drop(feed);
        line.send(&PeerMessage::Ack { position: Position::default(), hash: Hash::default() }).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), line.next()).await;
        assert!(matches!(ended, Ok(Err(LineEnd::Lost(_)))), "{ended:?}");
    }

    #[tokio::test]
    async fn what_is_too_large_for_a_message_is_not_sent() {
        let (line, _there) = line();
        let chunk = vec![0; mytism_proto::frame::BODY_MAX as usize + 1];
        let part = PeerMessage::History { hash: mytism_format::hash::chunk(&chunk), chunk, count: 1 };
        assert_eq!(code(line.send(&part).unwrap_err()), "unsendable");
    }
}
