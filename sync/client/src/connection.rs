//! One connection to a node: a request out, answers in.

use std::error::Error;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use mytism_core::failure::Failure;
use mytism_core::operation::{Reply, Sink};
use mytism_proto::{Answer, ProtoError, decode_answer};
use mytism_transport::FrameError;
use mytism_transport::frame::Assembler;
use mytism_transport::local::{LocalError, connect_blocking};

/// Bytes that are read at once.
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// All answers were read; the connection is free for the next request.
    Whole(Result<(), Failure>),
    /// The sink wanted no more of them, or the node is going down.
    Left,
}

/// A connection on which nothing is under way.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
    /// Whether the node has said nothing since the last request.
    silent: bool,
}

impl Connection {
    pub(crate) fn open(socket: &Path) -> Result<Self, Failure> {
        let stream = connect_blocking(socket).map_err(|error| {
            let hint = match &error {
                LocalError::Nobody { .. } => "start the node with `./mytism start`",
                _ => "",
            };
            Failure::unreachable("node-unreachable", error.to_string()).hint(hint)
        })?;
        Ok(Self { stream: BufReader::with_capacity(READ_BUFFER_BYTES, stream), silent: true })
    }

    /// Itself, if the node is still at the other end. Between two requests a node says nothing, so there is nothing
    /// to read as long as it is.
    pub(crate) fn if_alive(mut self) -> Option<Self> {
        if !self.stream.buffer().is_empty() {
            return None;
        }
        let stream = self.stream.get_mut();
        stream.set_nonblocking(true).ok()?;
        let silent = matches!(stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        stream.set_nonblocking(false).ok()?;
        silent.then_some(self)
    }

    /// Sends a request and gives the answers to the sink.
    pub(crate) fn exchange(&mut self, message: &[u8], sink: &mut Sink<'_>) -> Result<Ending, Failure> {
        // A node that refuses a request may close before it has read all of it; its refusal can be read still.
        let sent = self.stream.get_mut().write_all(message);
        self.silent = true;
        let mut stopping = false;
        loop {
            let bytes = match self.next() {
                Ok(Some(bytes)) => bytes,
                Ok(None) | Err(FrameError::Cut { .. } | FrameError::Broken(_)) if stopping => return Ok(Ending::Left),
                // What the node did not take from the connection, it did not carry out.
                Ok(None) | Err(FrameError::Broken(_)) if sent.is_err() => return Err(not_taken()),
                Err(FrameError::Broken(error)) if self.silent && error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(not_taken());
                }
                Ok(None) => return Err(lost(None)),
                Err(error @ FrameError::TooLong { .. }) => return Err(unclear(&error)),
                Err(error) => return Err(lost(Some(&error))),
            };
            match decode_answer(&bytes) {
                Ok(Answer::Reply(reply)) => {
                    // A node that goes down ends its connections too, perhaps before it has said so.
                    stopping = reply == Reply::Stopping;
                    if sink(reply).is_err() {
                        return Ok(Ending::Left);
                    }
                }
                Ok(Answer::End) => return Ok(Ending::Whole(Ok(()))),
                Ok(Answer::Failure(failure)) => return Ok(Ending::Whole(Err(failure))),
                Err(ProtoError::Skip { .. }) => {}
                Err(error) => return Err(unclear(&error)),
            }
        }
    }

    /// The next whole message; `None` where the node has closed the connection.
    fn next(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let mut assembler = Assembler::new();
        loop {
            match self.stream.read(assembler.space()) {
                Ok(0) if assembler.begun() == 0 => return Ok(None),
                Ok(0) => return Err(FrameError::Cut { got: assembler.begun() }),
                Ok(count) => {
                    self.silent = false;
                    if let Some(message) = assembler.advance(count)? {
                        return Ok(Some(message));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FrameError::Broken(error)),
            }
        }
    }
}

/// An error with the errors that led to it.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn lost(error: Option<&FrameError>) -> Failure {
    let reason = error.map_or_else(|| "it closed the connection".to_owned(), ToString::to_string);
    let message = format!("the node went away before it had answered in full ({reason})");
    Failure::unreachable("answer-lost", message).hint(
        "it is not known whether the request was carried out: see with `./mytism status` whether the node runs, and \
         look before you ask again",
    )
}

/// The system tells when an end closes that has not read everything: then the request was not whole for the node.
fn not_taken() -> Failure {
    let message = "the node went down before it took the request; nothing was done";
    Failure::unreachable("node-unreachable", message).hint("start the node with `./mytism start`, then try again")
}

fn unclear(error: &dyn Error) -> Failure {
    let message = format!("the answer of the node is not understood: {}", chain(error));
    Failure::unreachable("answer-unclear", message)
        .hint("the node may run an older or newer version of the program: start it anew with this one")
}
