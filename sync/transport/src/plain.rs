//! TCP without encryption: the handshake on both sides, and what comes of it.
//!
//! For lines that need none, between nodes of one machine or behind a tunnel that somebody else keeps. Both sides prove
//! their keys over what both have drawn for this very connection; what is said afterwards is neither hidden nor
//! protected, and **who sits on the way can read it, change it and go on in the place of a side**. Whom to trust and when
//! to give up is told by the caller.
//!
//! ```text
//! both     "mytism-plain/1\n", public key (32 bytes), drawn bytes (32)
//! server   signature over "mytism-plain/1 server\0", what the client said, what the server said
//! client   signature over "mytism-plain/1 client\0", the same, the signature of the server
//! ```
//!
//! What is signed begins with words that nothing else begins with that a node signs, and is longer than a hash; the side
//! stands in it, so that no proof serves the other way round, and so do both keys and both draws, so that none serves
//! twice or towards somebody else.

use std::io;
use std::net::SocketAddr;

use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::connection::{PeerConnection, Transport};
use crate::identity::{NodeKey, PUBLIC_KEY_BYTES, PublicKey, SIGNATURE_BYTES};
use crate::mux::Mux;
use crate::tap::{STRANGER_BYTES_MAX, Tap};
use crate::tcp;

/// Name of the protocol; another major version of it gets another name.
const PROTOCOL: &[u8; 15] = b"mytism-plain/1\n";
/// What the signature of a side begins with.
const SERVER: &[u8] = b"mytism-plain/1 server\0";
const CLIENT: &[u8] = b"mytism-plain/1 client\0";
const DRAWN_BYTES: usize = 32;
const HELLO_BYTES: usize = PROTOCOL.len() + PUBLIC_KEY_BYTES + DRAWN_BYTES;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlainError {
    /// The stream ends or breaks.
    #[error("{}", tcp::reason(.0).unwrap_or_else(|| .0.to_string()))]
    Broken(#[from] io::Error),
    /// It says something else.
    #[error("it speaks another protocol, or an incompatible version of this one")]
    OtherProtocol,
    /// Another node is there.
    #[error("it has the key {found}")]
    OtherKey {
        /// The key that it shows.
        found: PublicKey,
    },
    /// It does not hold the key that it shows.
    #[error("it does not hold the key that it shows")]
    NoProof,
}

/// The handshake of the side that listens.
pub(crate) async fn accept(
    key: &NodeKey,
    mut stream: TcpStream,
    from: SocketAddr,
) -> Result<PeerConnection, PlainError> {
    stream.set_nodelay(true)?;
    let theirs = read_hello(&mut stream).await?;
    let ours = hello(key)?;
    let said = [&theirs[..], &ours].concat();
    let signature = key.sign(&[SERVER, &said[..]].concat());
    stream.write_all(&[&ours[..], &signature].concat()).await?;
    let peer = shown_key(&theirs);
    let said = [&said[..], &signature].concat();
    check(peer, CLIENT, &said, &mut stream).await?;
    let mux = Mux::new(Tap::new(stream, Some(STRANGER_BYTES_MAX)), false, secret(&said).as_ref());
    Ok(PeerConnection::over_mux(mux, Transport::Plain, peer, from))
}

/// The handshake of the side that connects.
pub(crate) async fn connect(key: &NodeKey, expected: PublicKey, to: SocketAddr) -> Result<PeerConnection, PlainError> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let ours = hello(key)?;
    stream.write_all(&ours).await?;
    let theirs = read_hello(&mut stream).await?;
    let peer = shown_key(&theirs);
    if peer != expected {
        return Err(PlainError::OtherKey { found: peer });
    }
    let said = [&ours[..], &theirs].concat();
    let signature = check(peer, SERVER, &said, &mut stream).await?;
    let said = [&said[..], &signature].concat();
    stream.write_all(&key.sign(&[CLIENT, &said[..]].concat())).await?;
    let mux = Mux::new(Tap::new(stream, None), true, secret(&said).as_ref());
    Ok(PeerConnection::over_mux(mux, Transport::Plain, peer, to))
}

fn hello(key: &NodeKey) -> io::Result<[u8; HELLO_BYTES]> {
    let mut drawn = [0; DRAWN_BYTES];
    SystemRandom::new().fill(&mut drawn).map_err(|_| io::Error::other("the system has no randomness to give"))?;
    let public = key.public();
    let parts = PROTOCOL.iter().chain(public.as_bytes()).chain(&drawn);
    let mut hello = [0; HELLO_BYTES];
    for (place, byte) in hello.iter_mut().zip(parts) {
        *place = *byte;
    }
    Ok(hello)
}

async fn read_hello(stream: &mut TcpStream) -> Result<[u8; HELLO_BYTES], PlainError> {
    let mut hello = [0; HELLO_BYTES];
    // The name first, so that who says less is told at once.
    let (name, rest) = hello.split_at_mut(PROTOCOL.len());
    stream.read_exact(name).await?;
    if name != PROTOCOL {
        return Err(PlainError::OtherProtocol);
    }
    stream.read_exact(rest).await?;
    Ok(hello)
}

fn shown_key(hello: &[u8; HELLO_BYTES]) -> PublicKey {
    let mut key = [0; PUBLIC_KEY_BYTES];
    for (place, byte) in key.iter_mut().zip(hello.iter().skip(PROTOCOL.len())) {
        *place = *byte;
    }
    PublicKey::from_bytes(key)
}

async fn check(
    peer: PublicKey,
    side: &[u8],
    said: &[u8],
    stream: &mut TcpStream,
) -> Result<[u8; SIGNATURE_BYTES], PlainError> {
    let mut signature = [0; SIGNATURE_BYTES];
    stream.read_exact(&mut signature).await?;
    if peer.verify(&[side, said].concat(), &signature) { Ok(signature) } else { Err(PlainError::NoProof) }
}

/// Equal at both ends and another one for each connection. Who listens in knows it too.
fn secret(said: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, said)
}

impl PlainError {
    /// Whether somebody was there and wanted no connection; otherwise nobody answers.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Self::Broken(error) => tcp::reason(error).is_some(),
            Self::OtherProtocol | Self::OtherKey { .. } | Self::NoProof => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn bound() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let to = listener.local_addr().unwrap();
        (listener, to)
    }

    /// What a server with the key `server` says of the next who comes.
    async fn taken(listener: &TcpListener, server: &NodeKey) -> Result<PeerConnection, String> {
        let taking = async {
            let (stream, from) = listener.accept().await.unwrap();
            accept(server, stream, from).await.map_err(|error| error.to_string())
        };
        timeout(PATIENCE, taking).await.unwrap()
    }

    /// The error of a server towards somebody who claims to have `shown` and signs with `key` as `side`.
    async fn client_proof(shown: &NodeKey, key: &NodeKey, side: &[u8]) -> Option<String> {
        let server = NodeKey::generate().unwrap();
        let (listener, to) = bound().await;
        let connecting = async {
            let mut stream = TcpStream::connect(to).await.unwrap();
            let ours = hello(shown).unwrap();
            stream.write_all(&ours).await.unwrap();
            let theirs = read_hello(&mut stream).await.unwrap();
            let said = [&ours[..], &theirs].concat();
            let signature = check(server.public(), SERVER, &said, &mut stream).await.unwrap();
            let said = [&said[..], &signature].concat();
            stream.write_all(&key.sign(&[side, &said[..]].concat())).await.unwrap();
            stream
        };
        tokio::join!(taken(&listener, &server), connecting).0.err()
    }

    /// The error of a client that wants `shown`, towards somebody who shows that and signs with `key` as `side`.
    async fn server_proof(shown: &NodeKey, key: &NodeKey, side: &[u8]) -> Option<String> {
        let client = NodeKey::generate().unwrap();
        let (listener, to) = bound().await;
        let accepting = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let theirs = read_hello(&mut stream).await.unwrap();
            let ours = hello(shown).unwrap();
            let said = [&theirs[..], &ours].concat();
            let signature = key.sign(&[side, &said[..]].concat());
            stream.write_all(&[&ours[..], &signature].concat()).await.unwrap();
            stream
        };
        let connecting = timeout(PATIENCE, connect(&client, shown.public(), to));
        tokio::join!(connecting, accepting).0.unwrap().err().map(|error| error.to_string())
    }

    #[tokio::test]
    async fn who_does_not_hold_the_key_that_he_shows_is_refused() {
        let (known, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let refused = Some(PlainError::NoProof.to_string());
        assert_eq!(client_proof(&known, &known, CLIENT).await, None);
        assert_eq!(client_proof(&known, &other, CLIENT).await, refused);
        assert_eq!(client_proof(&known, &known, SERVER).await, refused, "the proof of the other side serves nobody");
        assert_eq!(server_proof(&known, &known, SERVER).await, None);
        assert_eq!(server_proof(&known, &other, SERVER).await, refused);
        assert_eq!(server_proof(&known, &known, CLIENT).await, refused);
    }

    /// Takes a connection as a node with another key would, and gives what the client and the server say in it.
    async fn heard(client: &NodeKey, server: &NodeKey) -> (Vec<u8>, Vec<u8>) {
        let ((listener, to), (inner, inner_to)) = (bound().await, bound().await);
        let between = async {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(inner_to).await.unwrap();
            let mut asked = vec![0; HELLO_BYTES];
            client.read_exact(&mut asked).await.unwrap();
            server.write_all(&asked).await.unwrap();
            let mut answered = vec![0; HELLO_BYTES + SIGNATURE_BYTES];
            server.read_exact(&mut answered).await.unwrap();
            client.write_all(&answered).await.unwrap();
            let mut proof = [0; SIGNATURE_BYTES];
            client.read_exact(&mut proof).await.unwrap();
            server.write_all(&proof).await.unwrap();
            asked.extend_from_slice(&proof);
            (asked, answered)
        };
        let connecting = connect(client, server.public(), to);
        let (heard, connected, taken) = tokio::join!(between, connecting, taken(&inner, server));
        connected.unwrap();
        assert_eq!(taken.unwrap().peer(), client.public());
        heard
    }

    #[tokio::test]
    async fn what_was_heard_of_one_connection_proves_nothing_on_another() {
        let (client, server) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let (asked, answered) = timeout(PATIENCE, heard(&client, &server)).await.unwrap();
        let refused = PlainError::NoProof.to_string();

        let (listener, to) = bound().await;
        let again = async {
            let mut stream = TcpStream::connect(to).await.unwrap();
            stream.write_all(&asked).await.unwrap();
            stream
        };
        let (end, _stream) = tokio::join!(taken(&listener, &server), again);
        assert_eq!(end.err(), Some(refused.clone()));

        let again = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&answered).await.unwrap();
            stream
        };
        let (end, _stream) = tokio::join!(timeout(PATIENCE, connect(&client, server.public(), to)), again);
        assert_eq!(end.unwrap().err().map(|error| error.to_string()), Some(refused));
    }
}
