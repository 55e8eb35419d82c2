//! Many streams over one connection that is only one, such as TCP: opening and accepting them, the end of the connection
//! with its reason, and noticing that the other side is gone.
//!
//! The streams are those of `yamux`, each with a window of its own, so that one that nobody reads keeps no other one
//! waiting. It does not know who is at the other end nor whether the bytes below are encrypted. One task for each
//! connection moves the bytes; a connection ends with the last handle and stream of it.
//!
//! Each stream begins with one byte, its purpose. A stream of the purpose [`GOODBYE`] holds why the other side closes:
//! code (u32, big-endian) and reason (UTF-8).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ring::hmac;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use yamux::{Connection, ConnectionError, Mode};

use crate::connection::{ConnectionLost, EXPORTER_BYTES, GOODBYE_DEADLINE, PURPOSE_DEADLINE, Purpose, printable};
use crate::stream::FrameStream;
use crate::tap::Tap;

/// Purpose of the stream that says why a side closes.
const GOODBYE: u8 = 0;
/// Bytes of a reason that are sent, and read.
const REASON_BYTES_MAX: usize = 512;
/// Streams that one side opens at once.
const STREAMS_MAX: usize = 16;
/// Streams of both sides that may be known at once, with those that one side has ended and the other not yet. Who opens
/// more loses the connection.
const KNOWN_MAX: usize = 64;
/// Bytes that all windows of a connection may hold together: the first window of each stream that may be known, and as
/// much for those that need larger ones as a QUIC connection has.
const WINDOWS_BYTES: usize = KNOWN_MAX * yamux::DEFAULT_CREDIT as usize + 8 * 1024 * 1024;
/// How often the task looks whether a sign of life is due; the multiplexer then sends one, at the latest after 10 s.
const LOOK: Duration = Duration::from_millis(2_500);
/// After so long without anything the other side counts as gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// One end of a connection. Clones are the same end.
#[derive(Clone)]
pub(crate) struct Mux {
    core: Arc<Core>,
    arriving: Arc<Mutex<mpsc::UnboundedReceiver<(Purpose, yamux::Stream)>>>,
}

/// What the handles and streams share. The task ends the connection when it is gone.
struct Core {
    orders: mpsc::UnboundedSender<Order>,
    permits: Arc<Semaphore>,
    secret: hmac::Key,
    tap: Tap,
    fate: Arc<Fate>,
}

/// How it ended.
#[derive(Default)]
struct Fate {
    why: OnceLock<ConnectionLost>,
    /// It has ended; `why` is set.
    ended: CancellationToken,
    /// The other side has been told, or cannot be.
    told: CancellationToken,
}

enum Order {
    Open(oneshot::Sender<yamux::Stream>),
    Close(u32, String),
}

impl Mux {
    /// Over a wire; the side that connected `is_client`. Both sides know `secret` and nobody else does. Must be called
    /// within a runtime.
    pub(crate) fn new(tap: Tap, is_client: bool, secret: &[u8]) -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(KNOWN_MAX).set_max_connection_receive_window(Some(WINDOWS_BYTES));
        let mode = if is_client { Mode::Client } else { Mode::Server };
        let connection = Connection::new(tap.clone().compat(), config, mode);
        let (orders, obeyed) = mpsc::unbounded_channel();
        let (arrivals, arriving) = mpsc::unbounded_channel();
        let fate = Arc::new(Fate::default());
        let driver = Driver {
            connection,
            orders: obeyed,
            wanted: VecDeque::new(),
            openings: JoinSet::new(),
            opened: 0,
            handed_on: 0,
            early: BTreeMap::new(),
            turned_away: BTreeSet::new(),
            arrivals,
            tap: tap.clone(),
            fate: Arc::clone(&fate),
            farewell: None,
        };
        tokio::spawn(driver.run());
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let core = Core { orders, permits: Arc::new(Semaphore::new(STREAMS_MAX)), secret, tap, fate };
        Self { core: Arc::new(core), arriving: Arc::new(Mutex::new(arriving)) }
    }

    pub(crate) async fn open(&self, purpose: Purpose) -> Result<FrameStream, ConnectionLost> {
        let fate = &self.core.fate;
        let opening = async {
            let permit = Arc::clone(&self.core.permits).acquire_owned().await.ok()?;
            let (reply, answer) = oneshot::channel();
            self.core.orders.send(Order::Open(reply)).ok()?;
            let mut stream = self.stream(answer.await.ok()?, Some(permit));
            stream.write_all(&[purpose.number()]).await.ok()?;
            stream.flush().await.ok()?;
            Some(stream)
        };
        let opened = fate.ended.run_until_cancelled(opening).await.flatten();
        let refused = || fate.why().unwrap_or_else(|| ConnectionLost::Broken("the peer refused a stream".to_owned()));
        opened.map(FrameStream::over_mux).ok_or_else(refused)
    }

    /// May be dropped at any time.
    pub(crate) async fn accept(&self) -> Result<(Purpose, FrameStream), ConnectionLost> {
        let mut arriving = self.arriving.lock().await;
        match self.core.fate.ended.run_until_cancelled(arriving.recv()).await.flatten() {
            Some((purpose, stream)) => Ok((purpose, FrameStream::over_mux(self.stream(stream, None)))),
            None => Err(self.closed().await),
        }
    }

    fn stream(&self, stream: yamux::Stream, permit: Option<OwnedSemaphorePermit>) -> MuxStream {
        let ended = || Box::pin(self.core.fate.ended.clone().cancelled_owned());
        MuxStream {
            stream: stream.compat(),
            ended_for_reader: ended(),
            ended_for_writer: ended(),
            core: Arc::clone(&self.core),
            _permit: permit,
        }
    }

    /// As an exporter of TLS would: equal at both ends, another one for each label.
    pub(crate) fn exporter(&self, label: &str) -> [u8; EXPORTER_BYTES] {
        let mut bytes = [0; EXPORTER_BYTES];
        bytes.copy_from_slice(hmac::sign(&self.core.secret, label.as_bytes()).as_ref());
        bytes
    }

    pub(crate) fn welcome(&self) {
        self.core.tap.welcome();
    }

    pub(crate) fn close(&self, code: u32, reason: &str) {
        let end = (0..=REASON_BYTES_MAX.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
        let reason = reason.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        // Where the task is gone, the connection has ended before.
        let _ended = self.core.orders.send(Order::Close(code, reason));
        self.core.fate.end(ConnectionLost::ClosedHere);
    }

    /// Waits until the other side has been told of the end, as far as that can be had within a second.
    pub(crate) async fn told(&self) {
        let _in_time = timeout(GOODBYE_DEADLINE, self.core.fate.told.cancelled()).await;
    }

    pub(crate) async fn closed(&self) -> ConnectionLost {
        self.core.fate.ended.cancelled().await;
        self.core.fate.why().unwrap_or(ConnectionLost::ClosedHere)
    }

    pub(crate) fn why(&self) -> Option<ConnectionLost> {
        self.core.fate.why()
    }

    /// For who ends all connections of a listener without keeping them alive.
    pub(crate) fn handle(&self) -> WeakMux {
        WeakMux(Arc::downgrade(&self.core), Arc::downgrade(&self.arriving))
    }
}

/// A connection that may be gone.
pub(crate) struct WeakMux(
    std::sync::Weak<Core>,
    std::sync::Weak<Mutex<mpsc::UnboundedReceiver<(Purpose, yamux::Stream)>>>,
);

impl WeakMux {
    pub(crate) fn upgrade(&self) -> Option<Mux> {
        Some(Mux { core: self.0.upgrade()?, arriving: self.1.upgrade()? })
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Fate {
    fn end(&self, why: ConnectionLost) {
        // The first reason counts.
        let _known = self.why.set(why);
        self.ended.cancel();
    }

    fn why(&self) -> Option<ConnectionLost> {
        self.why.get().cloned()
    }
}

/// Moves the bytes of one connection.
struct Driver {
    connection: Connection<Compat<Tap>>,
    orders: mpsc::UnboundedReceiver<Order>,
    wanted: VecDeque<oneshot::Sender<yamux::Stream>>,
    /// Streams of the other side that have not said yet what they are for.
    openings: JoinSet<(u64, Option<Opening>)>,
    /// How many streams the other side has opened, how many of these were handed on, and those that wait for one before.
    opened: u64,
    handed_on: u64,
    early: BTreeMap<u64, (Purpose, yamux::Stream)>,
    turned_away: BTreeSet<u64>,
    arrivals: mpsc::UnboundedSender<(Purpose, yamux::Stream)>,
    tap: Tap,
    fate: Arc<Fate>,
    /// The other side has said why it closes, and until when it may take to do so: what it sent before is on its way.
    farewell: Option<(ConnectionLost, Instant)>,
}

enum Opening {
    Stream(Purpose, yamux::Stream),
    Goodbye(ConnectionLost),
}

/// What the multiplexer came to.
enum Event {
    Arrived(yamux::Stream),
    Ended(ConnectionLost),
}

impl Driver {
    async fn run(mut self) {
        let mut look = interval(LOOK);
        loop {
            let until = self.farewell.as_ref().map(|(_, until)| *until);
            tokio::select! {
                event = poll_fn(|cx| poll_event(&mut self.connection, &mut self.wanted, cx)) => match event {
                    Event::Arrived(stream) => {
                        let number = self.opened;
                        self.opened += 1;
                        self.openings.spawn(async move { (number, opening(stream).await) });
                    }
                    Event::Ended(why) => return self.ended(why).await,
                },
                order = self.orders.recv() => match order {
                    Some(Order::Open(reply)) => self.wanted.push_back(reply),
                    Some(Order::Close(code, reason)) => return self.say_goodbye(code, &reason).await,
                    None => return self.say_goodbye(0, "").await,
                },
                Some(Ok((number, opening))) = self.openings.join_next() => self.on_opening(number, opening),
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    return self.ended(ConnectionLost::TimedOut).await;
                }
                // Going round is enough: the multiplexer is asked again, and finds that a sign of life is due.
                _ = look.tick() => if self.tap.silence() > IDLE_TIMEOUT {
                    return self.fate.end(ConnectionLost::TimedOut);
                },
            }
        }
    }

    /// Streams are handed on in the order in which the other side opened them.
    fn on_opening(&mut self, number: u64, opening: Option<Opening>) {
        match opening {
            Some(Opening::Stream(purpose, stream)) => drop(self.early.insert(number, (purpose, stream))),
            Some(Opening::Goodbye(why)) => {
                self.farewell.get_or_insert((why, Instant::now() + GOODBYE_DEADLINE));
                self.turned_away.insert(number);
            }
            None => {
                tracing::debug!("stream of unknown purpose turned away");
                self.turned_away.insert(number);
            }
        }
        loop {
            if let Some(stream) = self.early.remove(&self.handed_on) {
                // Nobody takes streams in any longer where this fails, and they end with it.
                let _nobody = self.arrivals.send(stream);
            } else if !self.turned_away.remove(&self.handed_on) {
                return;
            }
            self.handed_on += 1;
        }
    }

    /// The other side has ended it. Why may stand in a stream that has come but was not read yet.
    async fn ended(mut self, why: ConnectionLost) {
        let reading = async {
            while let Some(opening) = self.openings.join_next().await {
                if let Ok((number, opening)) = opening {
                    self.on_opening(number, opening);
                }
            }
        };
        let _in_time = timeout(GOODBYE_DEADLINE, reading).await;
        let told = self.farewell.take().map(|(told, _)| told);
        self.fate.end(told.unwrap_or(why));
    }

    async fn say_goodbye(mut self, code: u32, reason: &str) {
        self.fate.end(ConnectionLost::ClosedHere);
        let closing = async {
            let opened = poll_fn(|cx| self.connection.poll_new_outbound(cx)).await;
            if let Ok(stream) = opened {
                let words = [&[GOODBYE], &code.to_be_bytes()[..], reason.as_bytes()].concat();
                let mut stream = stream.compat();
                // A new stream has room for so little, so this waits for nothing.
                let _gone = (stream.write_all(&words).await, stream.shutdown().await);
            }
            let _gone = poll_fn(|cx| self.connection.poll_close(cx)).await;
            self.tap.clone().drain().await;
        };
        let _in_time = timeout(GOODBYE_DEADLINE, closing).await;
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.fate.end(ConnectionLost::Broken("the task of the connection has ended".to_owned()));
        self.fate.told.cancel();
    }
}

fn poll_event(
    connection: &mut Connection<Compat<Tap>>,
    wanted: &mut VecDeque<oneshot::Sender<yamux::Stream>>,
    cx: &mut Context<'_>,
) -> Poll<Event> {
    while let Some(reply) = wanted.pop_front() {
        match connection.poll_new_outbound(cx) {
            // Who wanted it may have gone; the stream goes too then.
            Poll::Ready(Ok(stream)) => drop(reply.send(stream)),
            Poll::Ready(Err(error)) => return Poll::Ready(Event::Ended(lost(&error))),
            Poll::Pending => {
                wanted.push_front(reply);
                break;
            }
        }
    }
    Poll::Ready(match ready!(connection.poll_next_inbound(cx)) {
        Some(Ok(stream)) => Event::Arrived(stream),
        Some(Err(error)) => Event::Ended(lost(&error)),
        None => Event::Ended(lost(&ConnectionError::Closed)),
    })
}

fn lost(error: &ConnectionError) -> ConnectionLost {
    let words = match error {
        ConnectionError::Closed => "the peer went without a word".to_owned(),
        other => printable(other.to_string().as_bytes()),
    };
    ConnectionLost::Broken(words)
}

/// Reads what a stream of the other side is for; nothing where that is not known here or does not come.
async fn opening(stream: yamux::Stream) -> Option<Opening> {
    let reading = async {
        let mut stream = stream.compat();
        let number = stream.read_u8().await.ok()?;
        if number != GOODBYE {
            return Purpose::from_number(number).map(|purpose| Opening::Stream(purpose, stream.into_inner()));
        }
        let code = stream.read_u32().await.ok()?;
        let mut reason = Vec::new();
        let end = stream.take(REASON_BYTES_MAX as u64).read_to_end(&mut reason).await;
        end.ok()?;
        Some(Opening::Goodbye(ConnectionLost::ClosedByPeer { code: code.into(), reason: printable(&reason) }))
    };
    timeout(PURPOSE_DEADLINE, reading).await.ok().flatten()
}

/// A stream that knows when its connection has ended, so that no wait outlasts it.
pub(crate) struct MuxStream {
    stream: Compat<yamux::Stream>,
    // Two, since the two directions may wait in two tasks.
    ended_for_reader: Pin<Box<WaitForCancellationFutureOwned>>,
    ended_for_writer: Pin<Box<WaitForCancellationFutureOwned>>,
    core: Arc<Core>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl MuxStream {
    fn broken(&self) -> io::Error {
        match self.core.fate.why() {
            Some(why) => io::Error::new(io::ErrorKind::ConnectionAborted, why),
            None => io::Error::new(io::ErrorKind::ConnectionReset, "the peer stopped reading the stream"),
        }
    }
}

impl AsyncRead for MuxStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        // What has come is given first. A peer that closes in order has sent all that it finished, so what ends then has
        // ended; where the connection ends in another way, more may have been on its way.
        match polled {
            Poll::Ready(Ok(())) if buf.filled().len() > before => Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) if matches!(self.core.fate.why(), None | Some(ConnectionLost::ClosedByPeer { .. })) => {
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => Poll::Ready(Err(self.broken())),
            Poll::Pending => {
                ready!(self.ended_for_reader.as_mut().poll(cx));
                Poll::Ready(Err(self.broken()))
            }
        }
    }
}

impl AsyncWrite for MuxStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.ended_for_writer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(self.broken()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf).map_err(|_| self.broken())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended_for_writer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(self.broken()));
        }
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|_| self.broken())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended_for_writer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(self.broken()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx).map_err(|_| self.broken())
    }
}
