//! How bytes get from one process to another: between nodes over QUIC, TLS over TCP or TCP alone, between a node and its
//! clients over a local socket.
//!
//! It carries whole envelopes and says who is at the other end. **It does not know what the envelopes mean** (of each
//! it reads the eight bytes of the header, to bound memory), keeps no state of the synchronisation, never connects
//! again by itself and decides about no peer: the key of whoever connects is handed up. Read the modules in this order:
//!
//! 1. [`identity`]: the key pair of a node, by which peers know each other
//! 2. [`frame`]: bytes into envelopes, without any input or output
//! 3. [`stream`]: envelopes over anything that can be read and written
//! 4. [`connection`]: a connection between two nodes, with many streams; `quic` and `mux` are the two kinds of it
//! 5. [`listener`] and [`connector`]: how such a connection comes about, `tcp` and `plain` over TCP; `gate`: how many
//!    strangers may wait
//! 6. [`local`]: the socket in the project directory

pub mod connection;
pub mod connector;
pub mod frame;
mod gate;
pub mod identity;
mod key_file;
pub mod listener;
pub mod local;
mod mux;
mod plain;
mod quic;
pub mod stream;
mod tap;
mod tcp;
mod tls;

pub use connection::{ConnectionLost, PeerConnection, Purpose, Transport};
pub use connector::{ConnectError, Connector, connect};
pub use frame::FrameError;
pub use gate::Limits;
pub use identity::{NodeKey, PublicKey};
pub use listener::{BindError, Listener};
pub use stream::{FrameReader, FrameStream, FrameWriter};
