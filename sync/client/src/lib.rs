//! A node, as seen from another process on the same machine.
//!
//! [`Client`] carries [`Operations`] over the local socket of a project, so that a caller need not know on which side of
//! a socket it runs. It blocks and needs no runtime. **It knows no schema and no file**, changes no request and no
//! answer, and never sends a request twice: whether one that got no answer was carried out, only the node can tell.

mod connection;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use mytism_core::failure::Failure;
use mytism_core::operation::{Operations, Request, Sink};
use mytism_proto::encode_request;

use crate::connection::{Connection, Ending};

/// A node that runs in another process.
///
/// Requests go one after another over one connection that is kept; where several threads ask at once, each further one
/// gets a connection for the time being. A connection that has ended meanwhile (the node was started anew) is replaced
/// before a request is sent.
#[derive(Debug)]
pub struct Client {
    socket: PathBuf,
    /// Free for the next request. Taken out while in use, so that no lock is held while a sink runs.
    free: Mutex<Option<Connection>>,
}

impl Client {
    /// Connects to the node whose socket this is (`mytism_transport::local::socket_path` tells of a project).
    ///
    /// # Errors
    /// `node-unreachable` where no node answers within 5 s, or the socket is not safe to use.
    pub fn connect(socket: &Path) -> Result<Self, Failure> {
        let free = Mutex::new(Some(Connection::open(socket)?));
        Ok(Self { socket: socket.to_owned(), free })
    }

    fn take(&self) -> Result<Connection, Failure> {
        let kept = self.free.lock().unwrap_or_else(PoisonError::into_inner).take();
        match kept.and_then(Connection::if_alive) {
            Some(connection) => Ok(connection),
            None => Connection::open(&self.socket),
        }
    }

    fn keep(&self, connection: Connection) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

impl Operations for Client {
    /// Beside the failures of the node itself: `node-unreachable` where nothing was sent, `answer-lost` where the node
    /// ended or the connection broke before the answer was whole (whether the request was carried out is not known),
    /// `answer-unclear` where the node speaks another version, `request-invalid` where the request is too large or
    /// cannot be sent for another reason. There is no deadline: a node may work for long.
    fn call(&self, request: Request, sink: &mut Sink<'_>) -> Result<(), Failure> {
        let message = encode_request(&request).map_err(|error| {
            Failure::usage("request-invalid", format!("the request cannot be sent: {}", connection::chain(&error)))
        })?;
        let mut connection = self.take()?;
        match connection.exchange(&message, sink)? {
            Ending::Whole(outcome) => {
                self.keep(connection);
                outcome
            }
            // What the node still sends of the old answer would be taken for the new one's.
            Ending::Left => Ok(()),
        }
    }
}
