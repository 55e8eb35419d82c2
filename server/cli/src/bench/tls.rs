//! The other side of `blob`: a file goes through TLS 1.3 over TCP to another thread, which writes it and makes it durable,
//! as a program would that copies files and nothing else.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mytism_core::failure::Failure;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring as provider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned, version,
};

/// Bytes that are read and written at once.
const BLOCK_BYTES: usize = 256 << 10;
/// What stands before the 32 bytes in the SubjectPublicKeyInfo of an Ed25519 key (RFC 8410).
const KEY_INFO_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Copies a file; how long it took until the copy was durable and the other side knew.
pub(super) fn copy(from: &Path, to: &Path) -> Result<Duration, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed("internal", format!("the copy by TLS: {error}"));
    let (server, client) = configurations().map_err(|error| failed(&error))?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| failed(&error))?;
    let port = listener.local_addr().map_err(|error| failed(&error))?.port();
    let begun = Instant::now();
    let sent = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&listener, &server, to));
        let sent = send(port, &client, from);
        let received = receiver.join().unwrap_or_else(|_| Err(io::Error::other("the receiver broke off")));
        sent.and(received)
    });
    sent.map(|()| begun.elapsed()).map_err(|error| failed(&error))
}

fn send(port: u16, config: &Arc<ClientConfig>, from: &Path) -> io::Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut line = StreamOwned::new(session, stream);
    let mut file = File::open(from)?;
    line.write_all(&file.metadata()?.len().to_be_bytes())?;
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        line.write_all(block.get(..count).unwrap_or_default())?;
    }
    line.flush()?;
    // The other side says so when it has all of it on the disk.
    line.read_exact(&mut [0])
}

fn receive(listener: &TcpListener, config: &Arc<ServerConfig>, to: &Path) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    let mut line = StreamOwned::new(session, stream);
    let mut length = [0; 8];
    line.read_exact(&mut length)?;
    let mut left = u64::from_be_bytes(length);
    let mut file = File::create(to)?;
    let mut block = vec![0; BLOCK_BYTES];
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        let count = line.read(block.get_mut(..room).unwrap_or_default())?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_all(block.get(..count).unwrap_or_default())?;
        left -= count as u64;
    }
    file.sync_all()?;
    line.write_all(&[1])?;
    line.flush()
}

/// The two ends, with a key for this one time.
fn configurations() -> Result<(Arc<ServerConfig>, Arc<ClientConfig>), Error> {
    let wrong = |error: &dyn std::fmt::Display| Error::General(error.to_string());
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|error| wrong(&error))?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|error| wrong(&error))?;
    let info = [&KEY_INFO_PREFIX[..], pair.public_key().as_ref()].concat();
    let private = PrivatePkcs8KeyDer::from(document.as_ref());
    let key = provider::sign::any_eddsa_type(&private)?;
    let shown = Arc::new(CertifiedKey::new(vec![CertificateDer::from(info)], key));
    let crypto = Arc::new(provider::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&crypto))
        .with_protocol_versions(&[&version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(shown)));
    let client = ClientConfig::builder_with_provider(Arc::clone(&crypto))
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(crypto)))
        .with_no_client_auth();
    Ok((Arc::new(server), Arc::new(client)))
}

/// Both ends are this process, so whoever answers is the right one.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let info = SubjectPublicKeyInfoDer::from(cert.as_ref());
        verify_tls13_signature_with_raw_key(message, &info, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_the_same() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        for length in [0, 1_000_003] {
            std::fs::write(&from, vec![7; length]).unwrap();
            copy(&from, &to).unwrap();
            assert!(std::fs::read(&to).unwrap() == vec![7; length]);
        }
    }
}
