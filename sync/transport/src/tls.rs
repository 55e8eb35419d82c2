//! TLS 1.3 with raw public keys (RFC 7250), for QUIC and over TCP: a node shows its key and proves that it holds the private half;
//! there is no certificate.
//!
//! The connecting side takes one key and no other. The listening side takes any Ed25519 key, since only its caller
//! knows whom to trust. Nothing is resumed and no early data is taken: each connection proves both keys anew, and what
//! cannot be sent again cannot be replayed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{IdleTimeout, TransportConfig, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme, version};

use crate::identity::{NodeKey, PUBLIC_KEY_BYTES, PublicKey};
use crate::tap::STRANGER_BYTES_MAX;

/// Name of the protocol in the handshake; another major version of it gets another name.
pub(crate) const PROTOCOL: &[u8] = b"mytism-peer/1";
/// What stands before the 32 bytes in the SubjectPublicKeyInfo of an Ed25519 key (RFC 8410).
const KEY_INFO_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const KEEP_ALIVE: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT_MS: u32 = 20_000;
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// What a peer that is welcome may send before it is read.
pub(crate) const CONNECTION_WINDOW: VarInt = VarInt::from_u32(CONNECTION_WINDOW_BYTES);
const STREAMS_MAX: u32 = 16;

/// What a listening node says and accepts over QUIC.
pub(crate) fn quic_server(key: &NodeKey) -> Result<quinn::ServerConfig, Error> {
    let tls = QuicServerConfig::try_from(server(key)?).map_err(|error| Error::General(error.to_string()))?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    let mut transport = transport_config();
    transport.receive_window(VarInt::from_u32(STRANGER_BYTES_MAX));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

/// What a listening node says and accepts, whatever carries it.
pub(crate) fn server(key: &NodeKey) -> Result<rustls::ServerConfig, Error> {
    let shown = Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(key)?));
    let provider = provider();
    let verifier = Arc::new(AnyNode { provider: Arc::clone(&provider) });
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    tls.alpn_protocols = vec![PROTOCOL.to_vec()];
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    tls.max_early_data_size = 0;
    Ok(tls)
}

/// The key that the other side showed.
pub(crate) type Found = Arc<OnceLock<PublicKey>>;

/// As [`client`], over QUIC.
pub(crate) fn quic_client(key: &NodeKey, expected: PublicKey) -> Result<(quinn::ClientConfig, Found), Error> {
    let (tls, found) = client(key, expected)?;
    let tls = QuicClientConfig::try_from(tls).map_err(|error| Error::General(error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport_config()));
    Ok((config, found))
}

/// What a connecting node says, and whom it accepts. The key that the other side showed stands in the second value
/// afterwards, if it came to that.
pub(crate) fn client(key: &NodeKey, expected: PublicKey) -> Result<(rustls::ClientConfig, Found), Error> {
    let found = Arc::new(OnceLock::new());
    let provider = provider();
    let verifier = Arc::new(OneNode { expected, found: Arc::clone(&found), provider: Arc::clone(&provider) });
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])?
        .dangerous() // rustls calls every verifier of one's own so; this one is stricter than its own.
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified(key)?)));
    tls.alpn_protocols = vec![PROTOCOL.to_vec()];
    tls.resumption = Resumption::disabled();
    tls.enable_sni = false;
    Ok((tls, found))
}

/// The key in what a peer showed, as rustls hands it up.
pub(crate) fn shown_key(shown: &[CertificateDer<'_>]) -> Option<PublicKey> {
    match shown {
        [info] => {
            let bytes = info.as_ref().strip_prefix(&KEY_INFO_PREFIX)?;
            <[u8; PUBLIC_KEY_BYTES]>::try_from(bytes).ok().map(PublicKey::from_bytes)
        }
        _ => None,
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// rustls carries a raw public key in the place of a certificate.
fn certified(key: &NodeKey) -> Result<Arc<CertifiedKey>, Error> {
    let document = PrivatePkcs8KeyDer::from(key.document());
    let info = [&KEY_INFO_PREFIX[..], key.public().as_bytes()].concat();
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(info)], ring::sign::any_eddsa_type(&document)?)))
}

fn transport_config() -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(CONNECTION_WINDOW_BYTES.into())
        .datagram_receive_buffer_size(None)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))));
    config
}

/// Accepts one key.
#[derive(Debug)]
struct OneNode {
    expected: PublicKey,
    found: Found,
    provider: Arc<CryptoProvider>,
}

/// Accepts every key.
#[derive(Debug)]
struct AnyNode {
    provider: Arc<CryptoProvider>,
}

fn read_key(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> Result<PublicKey, Error> {
    match intermediates {
        [] => shown_key(std::slice::from_ref(end_entity)).ok_or(CertificateError::BadEncoding.into()),
        _ => Err(CertificateError::BadEncoding.into()),
    }
}

fn verify(
    provider: &CryptoProvider,
    message: &[u8],
    key: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let info = SubjectPublicKeyInfoDer::from(key.as_ref());
    verify_tls13_signature_with_raw_key(message, &info, signed, &provider.signature_verification_algorithms)
}

/// TLS 1.2 is never offered, so nobody can ask for this.
fn refuse_tls12() -> Error {
    Error::General("TLS 1.2 is not spoken here".to_owned())
}

impl ServerCertVerifier for OneNode {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = read_key(end_entity, intermediates)?;
        self.found.get_or_init(|| found);
        if found == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(refuse_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(&self.provider, message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for AnyNode {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        read_key(end_entity, intermediates).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(refuse_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(&self.provider, message, cert, signed)
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
    fn only_an_ed25519_key_is_read() {
        let key = NodeKey::generate().unwrap().public();
        let info = [&KEY_INFO_PREFIX[..], key.as_bytes()].concat();
        let check = |shown: &[Vec<u8>], expected: Option<PublicKey>| {
            let shown: Vec<_> = shown.iter().map(|bytes| CertificateDer::from(bytes.clone())).collect();
            assert_eq!(shown_key(&shown), expected, "{shown:?}");
        };
        let mut other_algorithm = info.clone();
        other_algorithm[8] = 0x71;
        check(std::slice::from_ref(&info), Some(key));
        check(&[], None);
        check(&[info.clone(), info.clone()], None);
        check(&[other_algorithm], None);
        check(&[info[..43].to_vec()], None);
        check(&[[&info[..], &[0]].concat()], None);
        check(&[Vec::new()], None);
    }
}
