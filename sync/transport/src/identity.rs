//! The key pair by which a node is known to its peers.
//!
//! Peers pin each other's public key and nothing else: no certificate, no name, no date that could run out. It knows
//! no connection; where the private half lies on disk is the caller's matter, how it lies there is told in
//! [`NodeKey::save`].

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::key_file;
pub use crate::key_file::KeyFileError;

/// Bytes of a public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Why a key could not be made or understood.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gives no random bytes.
    #[error("the operating system gave no random bytes for a new node key")]
    Random,
    /// The bytes are no Ed25519 key pair.
    #[error("the bytes are no PKCS#8 document of an Ed25519 key pair with its public half")]
    Malformed,
}

/// The private and public key of a node.
pub struct NodeKey {
    pair: Ed25519KeyPair,
    document: Vec<u8>,
}

impl NodeKey {
    /// A new key pair.
    ///
    /// # Errors
    /// Where the operating system gives no random bytes.
    pub fn generate() -> Result<Self, KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        Self::from_document(document.as_ref().to_vec())
    }

    /// A key pair from its PKCS#8 document (version 2, with the public half).
    ///
    /// # Errors
    /// Where the bytes are anything else, or the halves do not belong together.
    pub fn from_document(document: Vec<u8>) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(&document).map_err(|_| KeyError::Malformed)?;
        Ok(Self { pair, document })
    }

    /// The same key pair, for a task that outlives the borrowed one.
    pub(crate) fn again(&self) -> Result<Self, KeyError> {
        Self::from_document(self.document.clone())
    }

    /// Reads the key pair from a file.
    ///
    /// # Errors
    /// Where the file is not there, can be read by others than its owner (as can its directory), or holds no key pair.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let document = key_file::read(path)?;
        Self::from_document(document).map_err(|_| KeyFileError::Malformed { path: path.to_owned() })
    }

    /// Writes the key pair to a file that only its owner can read (mode 0600), in a directory that only its owner can
    /// enter (mode 0700, made where it is missing). It is durable on return; after a crash there is the whole file or
    /// none.
    ///
    /// # Errors
    /// Where the directory is open to others, where something has this name already (a key is never written over,
    /// since a node without its key is a stranger to its peers), or where writing fails.
    pub fn save(&self, path: &Path) -> Result<(), KeyFileError> {
        key_file::write(path, &self.document)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.copy_from_slice(self.pair.sign(message).as_ref());
        bytes
    }

    /// A secret that belongs to this key and to one purpose, the same at every start.
    pub(crate) fn derived(&self, purpose: &str) -> hmac::Key {
        let parent = hmac::Key::new(hmac::HMAC_SHA256, &self.document);
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&parent, purpose.as_bytes()).as_ref())
    }

    /// The PKCS#8 document; secret.
    pub(crate) fn document(&self) -> &[u8] {
        &self.document
    }
}

impl fmt::Debug for NodeKey {
    /// Shows the public half alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.public())
    }
}

/// The public key of a node. Any 32 bytes are one; bytes that are no point of the curve verify nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

impl PublicKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; PUBLIC_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }

    /// Whether `signature` was made over `message` with the private half.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    /// 64 hexadecimal digits in lower case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

/// A text that is no public key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a public key is written as 64 hexadecimal digits")]
pub struct PublicKeyTextError;

impl FromStr for PublicKey {
    type Err = PublicKeyTextError;

    /// From 64 hexadecimal digits in either case, without anything around them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut bytes = [0; PUBLIC_KEY_BYTES];
        if !rest.is_empty() || pairs.len() != bytes.len() {
            return Err(PublicKeyTextError);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn digit(character: u8) -> Result<u8, PublicKeyTextError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        _ => Err(PublicKeyTextError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_hold_for_one_message_and_one_key() {
        let key = NodeKey::generate().unwrap();
        let other = NodeKey::generate().unwrap();
        let signature = key.sign(b"message");
        let mut bent = signature;
        bent[40] ^= 1;
        assert!(key.public().verify(b"message", &signature));
        assert!(!key.public().verify(b"massage", &signature));
        assert!(!key.public().verify(b"message", &bent));
        assert!(!key.public().verify(b"message", &signature[..63]));
        assert!(!key.public().verify(b"message", b""));
        assert!(!other.public().verify(b"message", &signature));
    }

    #[test]
    fn a_public_key_survives_text() {
        let key = NodeKey::generate().unwrap().public();
        assert_eq!(key.to_string().len(), 64);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.to_string().to_uppercase().parse(), Ok(key));
    }

    #[test]
    fn other_text_is_no_public_key() {
        let check = |text: &str| assert_eq!(text.parse::<PublicKey>(), Err(PublicKeyTextError), "{text}");
        check("");
        check(&"0".repeat(63));
        check(&"0".repeat(65));
        check(&"0".repeat(66));
        check(&format!("{}g", "0".repeat(63)));
        check(&format!(" {}", "0".repeat(63)));
        check(&"ä".repeat(32));
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        let key = NodeKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("NodeKey({})", key.public()));
    }

    #[test]
    fn halves_that_do_not_belong_together_are_refused() {
        let mut document = NodeKey::generate().unwrap().document;
        *document.last_mut().unwrap() ^= 1;
        assert!(matches!(NodeKey::from_document(document), Err(KeyError::Malformed)));
        assert!(matches!(NodeKey::from_document(Vec::new()), Err(KeyError::Malformed)));
    }
}
