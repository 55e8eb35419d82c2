//! The account file of a new branch: where the head office is, its public key, and a secret that can be used once.
//!
//! The head office keeps a verifier of the secret, not the secret. A branch proves that it knows the secret over a
//! value that both ends derive from the very connection, together with its own public key, so that a proof is worth
//! nothing on any other connection and for any other key.

use mytism_core::failure::Failure;
use mytism_core::id::NodeId;
use mytism_core::time::Timestamp;
use mytism_transport::identity::PublicKey;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// The usual ending of such a file.
pub const FILE_ENDING: &str = ".init-syncaccount";

/// Where the account file of a branch lies that was set up from a backup.
pub(crate) const ACCOUNT_FILE: &str = FILE_ENDING;

/// Under which name both ends derive the value of their connection.
pub(crate) const EXPORTER_LABEL: &str = "mytism enrolment 1";

const SECTION: &str = "SyncAccount";

/// What stands in an account file.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Name of the branch.
    pub name: String,
    /// Its number.
    pub node: NodeId,
    /// Name of the head office.
    pub head_office: String,
    /// Where it is reached.
    pub addresses: Vec<String>,
    /// Its public key.
    pub key: PublicKey,
    /// What the branch proves to know.
    pub secret: Secret,
    /// Until when it may be used.
    pub valid_until: Timestamp,
}

/// What a branch proves to know. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

/// What the head office keeps in its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier([u8; 32]);

impl Secret {
    /// A fresh one.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate() -> Result<Self, Failure> {
        let mut bytes = [0; 32];
        let filled = SystemRandom::new().fill(&mut bytes);
        filled.map_err(|_| Failure::failed("no-randomness", "the system has no randomness to give"))?;
        Ok(Self(bytes))
    }

    /// What the head office keeps.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier(mac(&self.0, &[b"mytism enrolment verifier"]))
    }
}

impl Verifier {
    /// As text, for the object of the node.
    #[must_use]
    pub fn to_text(&self) -> String {
        hex(&self.0)
    }

    /// From text.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        bytes_from_hex(text).map(Self)
    }

    /// Proves the secret on one connection for one key.
    #[must_use]
    pub fn proof(&self, exporter: &[u8; 32], key: &PublicKey) -> [u8; 32] {
        mac(&self.0, &[exporter, key.as_bytes()])
    }

    /// Whether a proof is right; takes the same time for every wrong one.
    #[must_use]
    pub fn check(&self, exporter: &[u8; 32], key: &PublicKey, proof: &[u8; 32]) -> bool {
        let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut message = exporter.to_vec();
        message.extend_from_slice(key.as_bytes());
        hmac::verify(&hmac_key, &message, proof).is_ok()
    }
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.iter_mut().zip(context.sign().as_ref()).for_each(|(place, byte)| *place = *byte);
    out
}

impl Account {
    /// As the text of a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!(
            "-- Account of the branch {name}. Whoever holds this file can join as {name} until {until}: hand it on safely\n\
             -- and delete it afterwards. On the machine of the branch:  mytism join --sync-account FILE\n\
             [{SECTION}]\n\
             name = {name}\n\
             node = {node}\n\
             headOffice = {head}\n\
             addresses = {addresses}\n\
             key = {key}\n\
             secret = {secret}\n\
             validUntil = {until}\n",
            name = self.name,
            node = self.node,
            head = self.head_office,
            addresses = self.addresses.join(", "),
            key = self.key,
            secret = hex(&self.secret.0),
            until = self.valid_until,
        )
    }

    /// From the text of a file.
    ///
    /// # Errors
    /// When it is no account file; says which line is missing or wrong, and never shows the secret.
    pub fn from_text(text: &str) -> Result<Self, Failure> {
        let parsed = ini::Ini::load_from_str_noescape(text).map_err(|_| wrong("it is no account file"))?;
        let section = parsed.section(Some(SECTION)).ok_or_else(|| wrong("the section [SyncAccount] is missing"))?;
        let get = |key: &str| section.get(key).map(str::trim).ok_or_else(|| wrong(&format!("{key} is missing")));
        let addresses: Vec<_> = get("addresses")?.split(',').map(|one| one.trim().to_owned()).collect();
        if addresses.iter().any(|address| crate::config::Address::of_node(address).is_none()) {
            return Err(wrong("addresses holds something that is no host:port"));
        }
        Ok(Self {
            name: get("name")?.to_owned(),
            node: NodeId(get("node")?.parse().map_err(|_| wrong("node is no number"))?),
            head_office: get("headOffice")?.to_owned(),
            addresses,
            key: get("key")?.parse().map_err(|_| wrong("key is no public key"))?,
            secret: bytes_from_hex(get("secret")?)
                .map(Secret)
                .ok_or_else(|| wrong("secret is no 64 hexadecimal digits"))?,
            valid_until: Timestamp::parse(get("validUntil")?, &jiff::tz::TimeZone::UTC)
                .ok_or_else(|| wrong("validUntil is no time"))?,
        })
    }
}

fn wrong(what: &str) -> Failure {
    Failure::usage("wrong-account-file", format!("the account file cannot be used: {what}"))
        .hint("export it again at the head office with `./mytism nodes add NAME --export FILE`")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes_from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .bytes()
        .map(|digit| char::from(digit).to_digit(16))
        .map(|d| d.and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    let pairs: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[high, low]| high * 16 + low).collect();
    if digits.len() == 64 { pairs.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_transport::identity::NodeKey;

    fn account() -> Account {
        Account {
            name: "berlin".into(),
            node: NodeId(2),
            head_office: "hamburg".into(),
            addresses: vec!["head.example:4243".into(), "[::1]:4243".into()],
            key: NodeKey::generate().unwrap().public(),
            secret: Secret::generate().unwrap(),
            valid_until: Timestamp::from_micros(1_795_404_600_000_000).unwrap(),
        }
    }

    #[test]
    fn an_account_reads_as_it_was_written() {
        let account = account();
        assert!(Account::from_text(&account.to_text()).is_ok_and(|read| read == account));
    }

    #[test]
    fn a_wrong_file_says_what_is_wrong_and_never_the_secret() {
        let text = account().to_text();
        let secret = hex(&account().secret.0);
        for (from, to, expected) in [
            ("node = 2", "node = two", "node is no number"),
            ("[SyncAccount]", "[Other]", "section"),
            ("addresses = ", "addresses = nowhere:x, ", "host:port"),
            ("secret = ", "secret = 00", "secret"),
            ("validUntil", "until", "validUntil is missing"),
        ] {
            let Err(failure) = Account::from_text(&text.replace(from, to)) else { panic!("{from}") };
            assert!(failure.message.contains(expected), "{}", failure.message);
            assert!(!failure.message.contains(&secret));
        }
    }

    #[test]
    fn a_proof_is_good_for_one_connection_and_one_key() {
        let verifier = account().secret.verifier();
        let verifier = Verifier::from_text(&verifier.to_text()).unwrap();
        let key = NodeKey::generate().unwrap().public();
        let proof = verifier.proof(&[1; 32], &key);
        assert!(verifier.check(&[1; 32], &key, &proof));
        assert!(!verifier.check(&[2; 32], &key, &proof));
        assert!(!verifier.check(&[1; 32], &NodeKey::generate().unwrap().public(), &proof));
        assert!(!account().secret.verifier().check(&[1; 32], &key, &proof));
    }
}
