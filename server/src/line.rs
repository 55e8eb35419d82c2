//! A line to another node: messages in, messages out.
//!
//! Sending never waits, since a task of its own writes; what waits there is bounded by the windows of the two sides, and
//! a peer that lets more pile up is cut off.

use std::time::Duration;

use mytism_app::AppError;
use mytism_core::failure::Failure;
use mytism_proto::frame::GREETING_BODY_MAX;
use mytism_proto::{PeerMessage, ProtoError};
use mytism_sync::Violation;
use mytism_transport::stream::{FrameReader, FrameStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Messages that wait to be written at most.
const WAITING: usize = 4_096;
/// How long the first message of a peer may take.
pub(crate) const GREETING_DEADLINE: Duration = Duration::from_secs(10);

/// See the module. Dropping it ends the writing.
pub(crate) struct Line {
    reader: FrameReader,
    out: Option<mpsc::Sender<Vec<u8>>>,
    writer: JoinHandle<()>,
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
    /// What the other side is told, where there is something to tell.
    pub(crate) fn reject(&self) -> Option<PeerMessage> {
        match self {
            Self::Violation(violation) => Some(violation.reject()),
            Self::Own(failure) => {
                Some(PeerMessage::Reject { code: failure.code.clone(), message: failure.message.clone() })
            }
            Self::Resting => {
                let message = "the lines of the other node rest until they are resumed there".to_owned();
                Some(Violation { code: "lines-rest", message }.reject())
            }
            Self::Lost(_) | Self::Rejected { .. } | Self::Again | Self::Stopping => None,
        }
    }
}

impl Line {
    pub(crate) fn new(stream: FrameStream) -> Self {
        let (reader, mut writer) = stream.split();
        let (out, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let writer = tokio::spawn(async move {
            while let Some(frame) = waiting.recv().await {
                if writer.send(&frame).await.is_err() {
                    return;
                }
            }
            // The line ends in order; a peer that is gone by now needs no farewell.
            let _gone = writer.finish().await;
        });
        Self { reader, out: Some(out), writer }
    }

    /// The next message. May be dropped at any time.
    pub(crate) async fn next(&mut self) -> Result<PeerMessage, LineEnd> {
        loop {
            let frame = match self.reader.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return Err(LineEnd::Lost("the other side closed the line".to_owned())),
                Err(error) => return Err(LineEnd::Lost(error.to_string())),
            };
            match PeerMessage::decode(&frame) {
                Ok(PeerMessage::Reject { code, message }) => return Err(LineEnd::Rejected { code, message }),
                Ok(message) => return Ok(message),
                Err(ProtoError::Skip { .. }) => {}
                Err(error) => {
                    return Err(Violation { code: "unreadable-message", message: error.to_string() }.into());
                }
            }
        }
    }

    /// The first message of a peer that nobody knows yet: it may take little memory, be it as large as its type allows.
    pub(crate) async fn greeting(&mut self) -> Result<PeerMessage, LineEnd> {
        self.reader.set_body_limit(Some(GREETING_BODY_MAX));
        let greeting = self.next().await;
        self.reader.set_body_limit(None);
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
        let frame = message.encode().map_err(|error| LineEnd::Own(Failure::failed("unsendable", error.to_string())))?;
        let out = self.out.as_ref().ok_or_else(|| LineEnd::Lost("the line is closed".to_owned()))?;
        out.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                LineEnd::Violation(Violation { code: "too-slow", message: "the peer reads too slowly".to_owned() })
            }
            mpsc::error::TrySendError::Closed(_) => LineEnd::Lost("the other side is gone".to_owned()),
        })
    }

    /// Sends a message of a bulk transfer, waiting for room.
    pub(crate) async fn send_when_ready(&self, message: &PeerMessage) -> Result<(), LineEnd> {
        /// So many parts of a snapshot may wait in memory.
        const AHEAD: usize = 4;
        let out = self.out.as_ref().ok_or_else(|| LineEnd::Lost("the line is closed".to_owned()))?;
        while out.max_capacity() - out.capacity() > AHEAD {
            if out.is_closed() {
                return Err(LineEnd::Lost("the other side is gone".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.send(message)
    }

    /// Lets what waits be written, for a moment, and ends.
    pub(crate) async fn finish(mut self) {
        const FAREWELL: Duration = Duration::from_secs(2);
        self.out.take();
        if tokio::time::timeout(FAREWELL, &mut self.writer).await.is_err() {
            self.writer.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use mytism_core::time::Timestamp;
    use tokio::io::AsyncWriteExt as _;

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
    async fn what_is_too_large_for_a_message_is_not_sent() {
        let (line, _there) = line();
        let chunk = vec![0; mytism_proto::frame::BODY_MAX as usize + 1];
        let part = PeerMessage::History { hash: mytism_format::hash::chunk(&chunk), chunk, count: 1 };
        assert_eq!(code(line.send(&part).unwrap_err()), "unsendable");
    }
}
