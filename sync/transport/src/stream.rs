//! Whole envelopes over anything that can be read and written: a QUIC stream, a local socket, a pipe in a test.
//!
//! Backpressure is the transport's own: a writer waits while the reader does not read. Every wait here may be dropped
//! at any time: an envelope is never cut by that, neither on its way in nor on its way out.

use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use crate::frame::{Assembler, FrameError, check_whole};
use crate::mux::MuxStream;

/// How long nothing may move within an envelope, where the caller sets no other time.
pub const STALL_DEADLINE: Duration = Duration::from_secs(30);
/// Bytes that are read at once, so that many small envelopes cost few calls.
const READ_BUFFER_BYTES: usize = 16 * 1024;
/// Bytes that [`FrameWriter::feed`] gathers before it writes.
const FEED_BYTES: usize = 64 * 1024;
/// Memory of a writer that outlasts an envelope.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Both directions of a stream.
#[derive(Debug)]
pub struct FrameStream {
    reader: FrameReader,
    writer: FrameWriter,
}

impl FrameStream {
    /// Over two halves of anything.
    #[must_use]
    pub fn new(
        input: impl AsyncRead + Send + Sync + Unpin + 'static,
        output: impl AsyncWrite + Send + Sync + Unpin + 'static,
    ) -> Self {
        Self { reader: FrameReader::new(input), writer: FrameWriter::over(Output::Other(Box::new(output))) }
    }

    pub(crate) fn over_quic(send: quinn::SendStream, receive: quinn::RecvStream) -> Self {
        Self { reader: FrameReader::new(receive), writer: FrameWriter::over(Output::Quic(send)) }
    }

    pub(crate) fn over_mux(stream: MuxStream) -> Self {
        let (input, output) = tokio::io::split(stream);
        Self::new(input, output)
    }

    /// The two directions, to be used by different tasks.
    #[must_use]
    pub fn split(self) -> (FrameReader, FrameWriter) {
        (self.reader, self.writer)
    }

    /// The reading direction.
    pub const fn reader(&mut self) -> &mut FrameReader {
        &mut self.reader
    }

    /// The writing direction.
    pub const fn writer(&mut self) -> &mut FrameWriter {
        &mut self.writer
    }
}

impl From<UnixStream> for FrameStream {
    fn from(stream: UnixStream) -> Self {
        let (input, output) = stream.into_split();
        Self::new(input, output)
    }
}

/// Reads envelopes.
pub struct FrameReader {
    input: BufReader<Box<dyn AsyncRead + Send + Sync + Unpin>>,
    assembler: Assembler,
    stall_deadline: Option<Duration>,
}

impl FrameReader {
    /// Over anything.
    #[must_use]
    pub fn new(input: impl AsyncRead + Send + Sync + Unpin + 'static) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BUFFER_BYTES, Box::new(input)),
            assembler: Assembler::new(),
            stall_deadline: Some(STALL_DEADLINE),
        }
    }

    /// How long nothing may come while an envelope has begun; `None` waits for ever. Between envelopes there is no
    /// deadline.
    pub const fn set_stall_deadline(&mut self, deadline: Option<Duration>) {
        self.stall_deadline = deadline;
    }

    /// How many bytes a body may have, whatever its type allows, from the next envelope on; `None`, as at the beginning,
    /// leaves it to the type. For what is read before the peer is known.
    pub const fn set_body_limit(&mut self, limit: Option<u32>) {
        self.assembler.set_body_limit(limit);
    }

    /// The next envelope, header and body; `None` where the peer ended the stream between two. May be dropped at any
    /// time: what has come is kept for the next call.
    ///
    /// # Errors
    /// Where the stream ends within an envelope, stalls, breaks, or claims a length that its type may not have. No
    /// further call is of use then.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        loop {
            let begun = self.assembler.begun();
            let deadline = self.stall_deadline.filter(|_| begun > 0);
            let read = self.input.read(self.assembler.space());
            match within(deadline, read).await?.map_err(FrameError::Broken)? {
                0 if begun == 0 => return Ok(None),
                0 => return Err(FrameError::Cut { got: begun }),
                count => {
                    if let Some(envelope) = self.assembler.advance(count)? {
                        return Ok(Some(envelope));
                    }
                }
            }
        }
    }
}

impl fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameReader").field("begun", &self.assembler.begun()).finish_non_exhaustive()
    }
}

enum Output {
    Quic(quinn::SendStream),
    Other(Box<dyn AsyncWrite + Send + Sync + Unpin>),
}

/// Writes envelopes.
pub struct FrameWriter {
    output: Output,
    /// What is to be written, from `written` on: whole envelopes, the first of which may have been begun.
    pending: Vec<u8>,
    written: usize,
    stall_deadline: Option<Duration>,
}

impl FrameWriter {
    /// Over anything.
    #[must_use]
    pub fn new(output: impl AsyncWrite + Send + Sync + Unpin + 'static) -> Self {
        Self::over(Output::Other(Box::new(output)))
    }

    const fn over(output: Output) -> Self {
        Self { output, pending: Vec::new(), written: 0, stall_deadline: None }
    }

    /// How long the peer may take nothing while there is something to write; `None`, as at the beginning, waits as
    /// long as the connection lives, since a slow reader is no fault.
    pub const fn set_stall_deadline(&mut self, deadline: Option<Duration>) {
        self.stall_deadline = deadline;
    }

    /// Sends an encoded envelope, after all that was fed before, and hands it to the transport at once. May be dropped
    /// at any time: the envelope is then sent with the next call, as a whole, and must not be given again.
    ///
    /// # Errors
    /// Where the bytes are not exactly one envelope that the other side may take (nothing is sent then), or the peer
    /// takes no more.
    pub async fn send(&mut self, envelope: &[u8]) -> Result<(), FrameError> {
        check_whole(envelope)?;
        self.pending.extend_from_slice(envelope);
        self.flush().await
    }

    /// As [`Self::send`], without a copy of what is large.
    ///
    /// # Errors
    /// As for `send`.
    pub async fn send_whole(&mut self, envelope: Vec<u8>) -> Result<(), FrameError> {
        check_whole(&envelope)?;
        if self.pending.is_empty() {
            self.pending = envelope;
        } else {
            self.pending.extend_from_slice(&envelope);
        }
        self.flush().await
    }

    /// As [`Self::send`], but small envelopes are gathered and go together, at the latest with the next
    /// [`Self::flush`], `send` or [`Self::finish`].
    ///
    /// # Errors
    /// As for `send`.
    pub async fn feed(&mut self, envelope: &[u8]) -> Result<(), FrameError> {
        check_whole(envelope)?;
        self.pending.extend_from_slice(envelope);
        if self.pending.len() >= FEED_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Hands everything to the transport. May be dropped at any time.
    ///
    /// # Errors
    /// Where the peer takes no more.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            let write = self.output.write(rest);
            match within(self.stall_deadline, write).await?? {
                0 => return Err(FrameError::Broken(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
        }
        self.pending.clear();
        self.pending.shrink_to(KEPT_BYTES_MAX);
        self.written = 0;
        match &mut self.output {
            Output::Quic(_) => Ok(()),
            Output::Other(output) => within(self.stall_deadline, output.flush()).await?.map_err(FrameError::Broken),
        }
    }

    /// Ends this direction. Over QUIC it returns when the peer's transport has everything, over anything else when all is
    /// handed to the transport, which sends it before it closes; whether the peer has worked on it, only a message of its
    /// own can tell.
    ///
    /// # Errors
    /// Where the peer takes no more, or has not got everything before the connection ended.
    pub async fn finish(mut self) -> Result<(), FrameError> {
        self.flush().await?;
        let deadline = self.stall_deadline;
        match &mut self.output {
            Output::Quic(send) => {
                send.finish().map_err(|error| FrameError::Broken(error.into()))?;
                let stopped = within(deadline, send.stopped()).await?;
                match stopped.map_err(|error| FrameError::Broken(error.into()))? {
                    None => Ok(()),
                    Some(code) => Err(FrameError::Stopped { code: code.into_inner() }),
                }
            }
            Output::Other(output) => within(deadline, output.shutdown()).await?.map_err(FrameError::Broken),
        }
    }
}

impl fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameWriter").field("pending", &(self.pending.len() - self.written)).finish_non_exhaustive()
    }
}

impl Output {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, FrameError> {
        match self {
            Self::Quic(send) => send.write(bytes).await.map_err(|error| match error {
                quinn::WriteError::Stopped(code) => FrameError::Stopped { code: code.into_inner() },
                other => FrameError::Broken(other.into()),
            }),
            Self::Other(output) => output.write(bytes).await.map_err(FrameError::Broken),
        }
    }
}

async fn within<T>(deadline: Option<Duration>, future: impl Future<Output = T>) -> Result<T, FrameError> {
    match deadline {
        None => Ok(future.await),
        Some(after) => tokio::time::timeout(after, future).await.map_err(|_| FrameError::Stalled { after }),
    }
}

#[cfg(test)]
mod tests {
    use mytism_format::envelope;

    use super::*;

    fn envelope(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        envelope::write(&mut out, 0x0211, 1, 0, body).unwrap();
        out
    }

    #[tokio::test]
    async fn envelopes_arrive_in_order_and_the_end_is_seen() {
        let (here, there) = tokio::io::duplex(100);
        let mut reader = FrameReader::new(there);
        let sent: Vec<_> = [0, 1, 50, 1000, 200_000].map(|length| envelope(&vec![5; length])).into();
        let expected = sent.clone();
        let writing = async move {
            let mut writer = FrameWriter::new(here);
            for one in &sent {
                writer.feed(one).await.unwrap();
            }
            writer.finish().await.unwrap();
        };
        let reading = async {
            let mut got = Vec::new();
            while let Some(one) = reader.next().await.unwrap() {
                got.push(one);
            }
            got
        };
        let ((), got) = tokio::join!(writing, reading);
        assert!(got == expected);
    }

    #[tokio::test]
    async fn a_dropped_wait_loses_nothing() {
        let (here, there) = tokio::io::duplex(10);
        let (mut reader, mut writer) = (FrameReader::new(there), FrameWriter::new(here));
        let (first, second) = (envelope(&[1; 100]), envelope(&[2; 100]));
        let short = Duration::from_millis(5);
        tokio::time::timeout(short, writer.send(&first)).await.unwrap_err();
        tokio::time::timeout(short, reader.next()).await.unwrap_err();
        let (sent, got) = tokio::join!(writer.send(&second), async {
            [reader.next().await.unwrap().unwrap(), reader.next().await.unwrap().unwrap()]
        });
        sent.unwrap();
        assert_eq!(got, [first, second]);
    }

    #[tokio::test]
    async fn an_end_within_an_envelope_is_an_error() {
        let bytes = envelope(b"body");
        for cut in 0..bytes.len() {
            let mut reader = FrameReader::new(io::Cursor::new(bytes[..cut].to_vec()));
            match reader.next().await {
                Ok(None) => assert_eq!(cut, 0),
                Err(FrameError::Cut { got }) => assert_eq!(got, cut),
                other => panic!("{cut}: {other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_stall_within_an_envelope_is_an_error_and_silence_between_is_not() {
        let (mut here, there) = tokio::io::duplex(100);
        let mut reader = FrameReader::new(there);
        reader.set_stall_deadline(Some(Duration::from_millis(10)));
        tokio::time::timeout(Duration::from_millis(50), reader.next()).await.unwrap_err();
        here.write_all(&envelope(b"body")[..9]).await.unwrap();
        let stalled = reader.next().await;
        assert!(matches!(stalled, Err(FrameError::Stalled { .. })), "{stalled:?}");
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_stalls_a_writer_that_has_a_deadline() {
        let (here, _there) = tokio::io::duplex(10);
        let mut writer = FrameWriter::new(here);
        writer.set_stall_deadline(Some(Duration::from_millis(10)));
        let stalled = writer.send(&envelope(&[0; 100])).await;
        assert!(matches!(stalled, Err(FrameError::Stalled { .. })), "{stalled:?}");
    }

    #[tokio::test]
    async fn what_is_no_envelope_is_not_sent() {
        let (here, there) = tokio::io::duplex(1000);
        let mut writer = FrameWriter::new(here);
        assert!(matches!(writer.send(b"short").await, Err(FrameError::NotOne { .. })));
        assert!(matches!(writer.feed(&[0; 9]).await, Err(FrameError::NotOne { .. })));
        writer.finish().await.unwrap();
        assert!(matches!(FrameReader::new(there).next().await, Ok(None)));
    }
}
