//! What a value may look like: each kind reads a text or says what it expected.
//!
//! Knows no key, no file and no default.

use std::fmt;

/// The kind of a setting's value, with its limits (inclusive).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// 1 or 0.
    Flag,
    /// A whole number in a unit; `or_zero` allows 0 beside the range.
    Number {
        /// Least.
        min: u64,
        /// Most.
        max: u64,
        /// Whether 0 has a meaning of its own.
        or_zero: bool,
        /// What is counted: `ms`, `ids`, … ; may be empty.
        unit: &'static str,
    },
    /// 0 to 65535; 0 means: any free one.
    Port,
    /// Any text.
    Text,
    /// A file or directory; relative ones start at the project directory.
    Path,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Where to listen: a host name, an address, or `*` for all addresses of the machine.
    Listen,
    /// Addresses `host:port`, comma between; a missing port is 4243, or 4242 behind `plain://`.
    Addresses,
    /// A public key of 32 bytes in 64 hexadecimal digits.
    PublicKey,
    /// Names, comma between.
    Names,
    /// The name of a section of the file.
    Section,
    /// What must never be shown.
    Secret,
    /// The address of a PostgreSQL server, which may hold a password.
    DatabaseUrl,
    /// A directory, or `s3://bucket/prefix`.
    FilesRoot,
    /// A server as `host` or `host:port`.
    Server,
    /// Addresses or networks (`address/bits`), comma between.
    Networks,
}

/// A value that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Flag(bool),
    Number(u64),
    Text(String),
    Addresses(Vec<Address>),
    PublicKey([u8; 32]),
    /// Kept from everybody but the part that needs it.
    Secret(Hidden),
}

/// A text that no message and no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub(super) String);

impl Hidden {
    /// The text itself, for the one who needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The port of an address that names none.
pub const DEFAULT_TLS_PORT: u16 = 4243;
/// As [`DEFAULT_TLS_PORT`], of an address without encryption.
const DEFAULT_PLAIN_PORT: u16 = 4242;
/// What the address of a node begins with that is reached without encryption.
const PLAIN: &str = "plain://";

/// Where a node can be reached.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Address {
    /// A host name or an address; one of IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Whether it is reached without encryption.
    pub is_plain: bool,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_plain {
            f.write_str(PLAIN)?;
        }
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Address {
    /// As [`Self::parse`], with `plain://` before it where the node is to be reached without encryption.
    #[must_use]
    pub fn of_node(text: &str) -> Option<Self> {
        let Some(rest) = text.strip_prefix(PLAIN) else { return Self::parse(text) };
        let address = Self::with_port(rest, DEFAULT_PLAIN_PORT)?;
        Some(Self { is_plain: true, ..address })
    }

    /// Reads `host`, `host:port`, `[address]` or `[address]:port`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::with_port(text, DEFAULT_TLS_PORT)
    }

    fn with_port(text: &str, default: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(digits) => digits.parse().ok().filter(|port| *port != 0)?,
            None => default,
        };
        (text.starts_with('[') || is_host(host)).then(|| Self { host: host.to_owned(), port, is_plain: false })
    }
}

/// A host name or an address of IPv4, by its characters.
fn is_host(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
        && !text.starts_with(['.', '-'])
}

impl Kind {
    /// Reads a text that is not empty.
    ///
    /// # Errors
    /// Says what was expected.
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        let expected = || Err(format!("expected {}", self.expectation()));
        match self {
            Self::Flag => match text {
                "1" => Ok(Value::Flag(true)),
                "0" => Ok(Value::Flag(false)),
                _ => expected(),
            },
            Self::Number { min, max, or_zero, .. } => match text.parse() {
                Ok(number) if (min..=max).contains(&number) || (or_zero && number == 0) => Ok(Value::Number(number)),
                _ => expected(),
            },
            Self::Port => text.parse::<u16>().map_or_else(|_| expected(), |port| Ok(Value::Number(port.into()))),
            Self::Choice(words) if words.contains(&text) => Ok(Value::Text(text.to_owned())),
            Self::Choice(_) => expected(),
            Self::Listen if text == "*" || is_host(text) || text.parse::<std::net::IpAddr>().is_ok() => {
                Ok(Value::Text(text.to_owned()))
            }
            Self::Listen => expected(),
            Self::Addresses => match text.split(',').map(|part| Address::of_node(part.trim())).collect() {
                Some(addresses) => Ok(Value::Addresses(addresses)),
                None => expected(),
            },
            Self::PublicKey => read_key(text).map_or_else(expected, |key| Ok(Value::PublicKey(key))),
            Self::Secret => Ok(Value::Secret(Hidden(text.to_owned()))),
            Self::DatabaseUrl if is_database_url(text) => Ok(Value::Secret(Hidden(text.to_owned()))),
            Self::DatabaseUrl => expected(),
            Self::FilesRoot if text.strip_prefix("s3://").is_none_or(|bucket| is_host(first_part(bucket))) => {
                Ok(Value::Text(text.to_owned()))
            }
            Self::FilesRoot => expected(),
            Self::Server => Address::parse(text).map_or_else(expected, |_| Ok(Value::Text(text.to_owned()))),
            Self::Networks if text.split(',').all(|part| is_network(part.trim())) => Ok(Value::Text(text.to_owned())),
            Self::Networks => expected(),
            Self::Text | Self::Path | Self::Names | Self::Section => Ok(Value::Text(text.to_owned())),
        }
    }

    /// What a value must look like, as the end of the sentence "expected …".
    #[must_use]
    pub fn expectation(self) -> String {
        match self {
            Self::Flag => "1 or 0".to_owned(),
            Self::Number { min, max, or_zero, unit } => {
                let zero = if or_zero { "0 or " } else { "" };
                format!("{zero}a whole number from {min} to {max} {unit}").trim_end().to_owned()
            }
            Self::Port => "a port from 1 to 65535, or 0 for any free one".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Listen => "a host name, an address, or * for all addresses".to_owned(),
            Self::Addresses => "addresses host:port or plain://host:port, comma between".to_owned(),
            Self::PublicKey => "64 hexadecimal digits".to_owned(),
            Self::Names => "names, comma between".to_owned(),
            Self::Section => "the name of a section".to_owned(),
            Self::Secret => "a secret".to_owned(),
            Self::DatabaseUrl => "an address like postgresql://localhost:5432/demo".to_owned(),
            Self::FilesRoot => "a directory, or s3://bucket/prefix".to_owned(),
            Self::Server => "a server as host or host:port".to_owned(),
            Self::Networks => "addresses or networks (10.0.0.0/8), comma between".to_owned(),
        }
    }
}

/// Up to the first `/`.
fn first_part(text: &str) -> &str {
    text.split('/').next().unwrap_or_default()
}

/// `postgresql://` or `postgres://`, with `jdbc:` before it or not, and a database behind the server.
fn is_database_url(text: &str) -> bool {
    let text = text.strip_prefix("jdbc:").unwrap_or(text);
    let rest = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"));
    let Some((server, database)) = rest.and_then(|rest| rest.split_once('/')) else { return false };
    let host = server.rsplit_once('@').map_or(server, |(_, host)| host);
    (host.is_empty() || Address::parse(host).is_some())
        && !database.is_empty()
        && !text.contains(|c: char| c.is_whitespace())
}

/// An address, or one with the number of bits that count.
fn is_network(text: &str) -> bool {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let Ok(address) = address.parse::<std::net::IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
}

fn read_key(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| (byte << 4) | digit)).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Kind = Kind::Number { min: 10, max: 20, or_zero: true, unit: "ms" };

    #[test]
    fn borders() {
        let good = |kind: Kind, text: &str| assert!(kind.read(text).is_ok(), "{kind:?} {text:?}");
        let bad = |kind: Kind, text: &str| assert!(kind.read(text).is_err(), "{kind:?} {text:?}");
        good(Kind::Flag, "0");
        bad(Kind::Flag, "true");
        for text in ["0", "10", "20"] {
            good(PERIOD, text);
        }
        for text in ["9", "21", "-1", "1e1", "99999999999999999999"] {
            bad(PERIOD, text);
        }
        good(Kind::Port, "65535");
        bad(Kind::Port, "65536");
        for text in ["*", "localhost", "::1", "10.0.0.1", "köln.example"] {
            good(Kind::Listen, text);
        }
        for text in ["a b", "host:1", "-x", "[::1]"] {
            bad(Kind::Listen, text);
        }
        good(Kind::PublicKey, &"aF".repeat(32));
        for text in ["", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            bad(Kind::PublicKey, text);
        }
        for text in [
            "postgresql://localhost:5432/demo",
            "jdbc:postgresql://u:p@db/demo?sslmode=require",
            "postgres:///demo",
            "postgresql://[::1]:5432/demo",
        ] {
            good(Kind::DatabaseUrl, text);
        }
        for text in
            ["localhost", "jdbc:mysql://db/demo", "postgresql://db", "postgresql://db:x/demo", "postgresql://a b/d"]
        {
            bad(Kind::DatabaseUrl, text);
        }
        for text in ["blobs", "/srv/blobs", "s3://bucket", "s3://bucket/prefix/x"] {
            good(Kind::FilesRoot, text);
        }
        bad(Kind::FilesRoot, "s3://");
        bad(Kind::FilesRoot, "s3:///prefix");
        good(Kind::Server, "mail.example:25");
        bad(Kind::Server, "mail example");
        good(Kind::Networks, "10.0.0.1, 10.0.0.0/8,fd00::/8");
        for text in ["10.0.0.0/33", "proxy", "10.0.0.1,"] {
            bad(Kind::Networks, text);
        }
        assert_eq!(Kind::Secret.read("hunter2"), Ok(Value::Secret(Hidden("hunter2".to_owned()))));
        assert!(!format!("{:?}", Kind::Secret.read("hunter2")).contains("hunter2"));
        good(Kind::Choice(&["a", "b"]), "b");
        bad(Kind::Choice(&["a", "b"]), "B");
    }

    #[test]
    fn addresses() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(Address::parse(text).map(|address| address.to_string()).as_deref(), expected, "{text:?}");
        };
        check("head.example", Some("head.example:4243"));
        check("head.example:1", Some("head.example:1"));
        check("10.0.0.1:65535", Some("10.0.0.1:65535"));
        check("[::1]", Some("[::1]:4243"));
        check("[::1]:7", Some("[::1]:7"));
        for wrong in ["", ":1", "a:", "a:0", "a:65536", "::1", "[::1", "[::1]7", "[a]:1", "a b:1", "*:1"] {
            check(wrong, None);
        }
        let two =
            Value::Addresses(["a:1", "b:4243", "plain://c:4242"].map(|text| Address::of_node(text).unwrap()).into());
        assert_eq!(Kind::Addresses.read("a:1 , b, plain://c"), Ok(two));
        assert_eq!(Address::of_node("plain://[::1]:7").unwrap().to_string(), "plain://[::1]:7");
        assert!(Kind::Addresses.read("plain://").is_err() && Kind::Addresses.read("plain://plain://a").is_err());
        assert!(Kind::Server.read("plain://a").is_err(), "nobody else is reached so");
        assert!(Kind::Addresses.read("a:1,").is_err());
    }

    #[test]
    fn keys_are_read_in_order() {
        let text: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
        let expected: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
        assert_eq!(Kind::PublicKey.read(&text), Ok(Value::PublicKey(expected)));
    }
}
