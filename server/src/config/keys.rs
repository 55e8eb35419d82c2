//! The one table of settings: what may stand in `mytism.ini`, what it means, and what counts when it is absent.
//!
//! The reader, the messages, the example file and the reference in the documentation all come from here. Every
//! setting is read once, when the node starts.

use super::kind::Kind;

/// What setting a key does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It does what its words say.
    Used,
    /// It names the section that holds the settings of one part.
    NamesSection,
    /// It names a class of the former implementation; accepted, and reported once as having no effect.
    ClassName,
    /// It is checked and accepted, but this version has nothing that it could steer; reported once.
    Accepted,
}

/// One setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// The section's own name (a file may use another one, see [`Section::named_by`]).
    pub section: &'static str,
    /// The spelling to write.
    pub name: &'static str,
    /// Older spellings that are read as well.
    pub old_names: &'static [&'static str],
    /// What a value must look like.
    pub kind: Kind,
    /// What counts when the key is absent or empty, as it would be written; empty for "nothing".
    pub default: &'static str,
    /// What setting it does.
    pub effect: Effect,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// What it means, for people.
    pub doc: &'static str,
}

impl Key {
    const fn new(
        section: &'static str,
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Self {
        Self { section, name, old_names: &[], kind, default, effect: Effect::Used, secret: false, doc }
    }

    const fn accepted(section: &'static str, name: &'static str, kind: Kind, default: &'static str) -> Self {
        Self { effect: Effect::Accepted, ..Self::new(section, name, kind, default, "") }
    }

    const fn class_name(name: &'static str) -> Self {
        Self { effect: Effect::ClassName, ..Self::new("DBMan", name, Kind::Text, "", "") }
    }

    const fn names_section(name: &'static str, default: &'static str) -> Self {
        Self { effect: Effect::NamesSection, ..Self::new("DBMan", name, Kind::Section, default, "") }
    }

    const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    const fn old(self, old_names: &'static [&'static str]) -> Self {
        Self { old_names, ..self }
    }

    /// The environment variable that overrides the file, for a key that has an effect.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("MYTISM_{}_{}", self.section, self.name).to_uppercase()
    }

    /// Whether the file may spell it like this.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.old_names.contains(&name)
    }
}

/// One section of the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section {
    /// Its own name; one that ends in `.*` stands for all names with that beginning.
    pub name: &'static str,
    /// The key of `[DBMan]` by which a file can give the section another name; empty where there is none.
    pub named_by: &'static str,
    /// Whether this version looks into it. Where not, every key is accepted and the section is reported once.
    pub read: bool,
    /// What it is about, for people.
    pub doc: &'static str,
}

impl Section {
    const fn read(name: &'static str, named_by: &'static str, doc: &'static str) -> Self {
        Self { name, named_by, read: true, doc }
    }

    const fn unread(name: &'static str, named_by: &'static str, doc: &'static str) -> Self {
        Self { name, named_by, read: false, doc }
    }

    /// Whether a section of this name is meant, other names by `[DBMan]` left aside.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => name.len() > beginning.len() && name.starts_with(beginning),
            None => self.name == name,
        }
    }
}

/// All sections, in the order of the example file.
pub const SECTIONS: &[Section] = &[
    Section::read("DBMan", "", "The node and its data."),
    Section::read("SocketProtocol", "protocolDriverCfg", "Where the node listens for clients and for other nodes."),
    Section::read("SyncService", "syncServiceCfg", "How nodes find each other."),
    Section::read("KeyGen", "keyGeneratorCfg", "The ids that a branch keeps in stock."),
    Section::read("DeploySite", "", "The node's own web pages."),
    Section::read("Log", "", "What the node writes about its work."),
    Section::read("TomcatPool", "tomcatPool", "Connections to a PostgreSQL server."),
    Section::read("HikariPool", "hikariPool", "Connections to a PostgreSQL server."),
    Section::unread("FileVault", "fileVaultCfg", "Where files are kept."),
    Section::unread("Castor", "persistenceMgrCfg", "The former way to store objects."),
    Section::unread("Crypto", "cryptoMgrCfg", "Encryption of single attributes."),
    Section::unread("Backup", "", "When backups are made and how many are kept."),
    Section::unread("Alarms", "", "Alarms."),
    Section::unread("Notifications", "", "Notifications."),
    Section::unread("Mailer", "", "The mail server."),
    Section::unread("Mailer.*", "", "Further mail servers."),
];

const fn number(min: u64, max: u64, unit: &'static str) -> Kind {
    Kind::Number { min, max, or_zero: false, unit }
}

const fn number_or_zero(min: u64, max: u64, unit: &'static str) -> Kind {
    Kind::Number { min, max, or_zero: true, unit }
}

/// Gives each key a name for the reader and puts it into the table, so that nothing can be read that is not listed.
macro_rules! used_keys {
    ($($constant:ident = $key:expr;)*) => {
        $(pub(super) const $constant: Key = $key;)*
        /// The settings that this version acts on, in the order of the example file.
        pub const USED: &[Key] = &[$($constant),*];
    };
}

used_keys! {
    NODE_NAME = Key::new("DBMan", "nodeName", Kind::Text, "",
        "Name of this node, unique in the cluster. Written by init and join. Default: the machine's host name.");
    NODE_NUMBER = Key::new("DBMan", "nodeNumber", number(1, u32::MAX as u64, ""), "",
        "Number of this node, given by the head office alone. Written once by init and join; never change it.")
        .old(&["nodeID"]);
    AUTHORITATIVE = Key::new("DBMan", "authoritative", Kind::Flag, "1",
        "1 = this node is the head office, 0 = it is a branch that follows one.");
    SCHEMA_FILE = Key::new("DBMan", "schemaFile", Kind::Path, "",
        "The application's schema at the head office; branches receive it. A relative path starts at the project directory.");
    STORE = Key::new("DBMan", "store", Kind::Choice(&["sqlite", "postgres"]), "sqlite",
        "Where the data is kept. This version knows sqlite only, in data/ of the project directory.");

    PLAIN_HOST = Key::new("SocketProtocol", "host", Kind::Listen, "",
        "Where to listen without encryption. Default: this machine only (loopback), other than in former versions. This version opens no such port.");
    PLAIN_PORT = Key::new("SocketProtocol", "port", Kind::Port, "4242",
        "Port without encryption, TCP. This version does not open it: programs on this machine use a socket in run/.");
    TLS_HOST = Key::new("SocketProtocol", "tlsHost", Kind::Listen, "*",
        "Where to listen with encryption, for branches and clients on other machines.");
    TLS_PORT = Key::new("SocketProtocol", "tlsPort", Kind::Port, "4243",
        "Port with encryption. This version speaks QUIC over UDP there, and a branch does not open it.");

    ADVERTISE = Key::new("SyncService", "advertise", Kind::Addresses, "",
        "Addresses under which branches reach this node; they go into the account files that it exports.");
    HEAD_OFFICE = Key::new("SyncService", "headOffice", Kind::Addresses, "",
        "At a branch: the head office's addresses, tried in this order. Written by join.");
    HEAD_OFFICE_KEY = Key::new("SyncService", "headOfficeKey", Kind::PublicKey, "",
        "At a branch: the head office's public key; a peer with another one is refused. Written by join.");
    RETRY_MINIMUM = Key::new("SyncService", "retryMinimum", number(10, 3_600_000, "ms"), "1000",
        "Pause before the first new attempt after the line broke; it doubles with each attempt.");
    RETRY_MAXIMUM = Key::new("SyncService", "retryMaximum", number(10, 3_600_000, "ms"), "60000",
        "Longest pause between two attempts.");

    RESERVE = Key::new("KeyGen", "reserve", number(1, 1_000_000_000, "ids"), "65536",
        "A branch asks the head office for more object ids when fewer than this many are left.");

    HTTP_HOST = Key::new("DeploySite", "host", Kind::Listen, "*",
        "Where the web pages are served; localhost behind a reverse proxy. This version serves none.");
    HTTP_PORT = Key::new("DeploySite", "port", Kind::Port, "8080",
        "Port of the web pages. This version does not open it.");

    LOG_LEVEL = Key::new("Log", "level", Kind::Choice(&["error", "warn", "info", "debug", "trace"]), "info",
        "The least important kind of event that is written.");
}

/// Settings that files of other versions hold. They are checked and accepted, so that such a file starts a node.
pub const ACCEPTED: &[Key] = &[
    Key::class_name("driver"),
    Key::class_name("fileVault"),
    Key::class_name("persistenceMgr"),
    Key::class_name("keyGenerator"),
    Key::class_name("protocolDriver"),
    Key::class_name("cryptoMgr"),
    Key::class_name("syncService"),
    Key::names_section("fileVaultCfg", "FileVault"),
    Key::names_section("persistenceMgrCfg", "Castor"),
    Key::names_section("keyGeneratorCfg", "KeyGen"),
    Key::names_section("protocolDriverCfg", "SocketProtocol"),
    Key::names_section("cryptoMgrCfg", "Crypto"),
    Key::names_section("syncServiceCfg", "SyncService"),
    Key::names_section("tomcatPool", "TomcatPool"),
    Key::names_section("hikariPool", "HikariPool"),
    Key::accepted("DBMan", "url", Kind::Text, "").secret(), // may hold a password
    Key::accepted("DBMan", "user", Kind::Text, ""),
    Key::accepted("DBMan", "pass", Kind::Text, "").secret(),
    Key::accepted("DBMan", "pass_file", Kind::Path, ""),
    Key::accepted("DBMan", "filesRoot", Kind::Path, "blobs"),
    Key::accepted("DBMan", "noMetaDataCheck", Kind::Flag, "0"),
    Key::accepted("DBMan", "noInitialDataCheck", Kind::Flag, "0"),
    Key::accepted("DBMan", "noIntegrityCheck", Kind::Flag, "0"),
    Key::accepted("DBMan", "noIntegrityDoubleIdChecks", Kind::Flag, "0"),
    Key::accepted("DBMan", "noIntegrityBLOBChecks", Kind::Flag, "0"),
    Key::accepted("DBMan", "integrityCheckEntitiesToExcludeFromNToMAndDoubleIdCheck", Kind::Names, ""),
    Key::accepted("SocketProtocol", "backlog", number(1, 65_535, "connections"), "10"),
    Key::accepted("SocketProtocol", "tlsBacklog", number(1, 65_535, "connections"), "10"),
    Key::accepted("SocketProtocol", "maxWaitForAuth", number(1, 86_400_000, "ms"), "210000"),
    Key::accepted("SocketProtocol", "hardMaxUnauthedBCHPerIP", number(1, 1_000_000, "connections"), "150"),
    Key::accepted("SocketProtocol", "softMaxUnauthedBCHPerIP", number(0, 1_000_000, "connections"), "50"),
    Key::accepted("SocketProtocol", "delayFactorUnauthedBCH", number(0, 60_000, "ms"), "200"),
    Key::accepted("SocketProtocol", "certificate", Kind::Text, ""),
    Key::accepted("DeploySite", "tlsHost", Kind::Listen, ""),
    Key::accepted("DeploySite", "tlsPort", Kind::Port, "8443"),
    Key::accepted("DeploySite", "useCauldron", Kind::Flag, "0"),
    Key::accepted("DeploySite", "requireAuthentication", Kind::Flag, "1"),
    Key::accepted("DeploySite", "reauthEveryXDays", number(0, 36_500, "days"), "90"),
    Key::accepted("DeploySite", "certificate", Kind::Text, ""),
    Key::accepted("DeploySite", "trustedProxies", Kind::Names, ""),
    Key::accepted("TomcatPool", "maxTotal", number(1, 100_000, "connections"), "128"),
    Key::accepted("TomcatPool", "maxIdle", number(0, 100_000, "connections"), "128"),
    Key::accepted("TomcatPool", "minIdle", number(0, 100_000, "connections"), "0"),
    Key::accepted("TomcatPool", "initialSize", number(0, 100_000, "connections"), "0"),
    Key::accepted("TomcatPool", "maxWait", number(1, 86_400_000, "ms"), "10000"),
    Key::accepted("TomcatPool", "maxAge", number(0, 86_400_000, "ms"), "300000"),
    Key::accepted("HikariPool", "connectionTimeout", number(250, 86_400_000, "ms"), "10000"),
    Key::accepted("HikariPool", "idleTimeout", number_or_zero(10_000, 86_400_000, "ms"), "120000"),
    Key::accepted("HikariPool", "maxLifetime", number(0, 86_400_000, "ms"), "300000"),
    Key::accepted("HikariPool", "minimumIdle", number(0, 100_000, "connections"), "0"),
    Key::accepted("HikariPool", "maximumPoolSize", number(1, 100_000, "connections"), "128"),
];

/// Every key of the table.
pub fn all() -> impl Iterator<Item = &'static Key> {
    USED.iter().chain(ACCEPTED)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        let mut spellings = BTreeSet::new();
        let mut variables = BTreeSet::new();
        for key in all() {
            for name in key.old_names.iter().chain([&key.name]) {
                assert!(spellings.insert((key.section, *name)), "{name} twice");
            }
            assert!(variables.insert(key.variable()), "{} twice", key.variable());
            assert!(SECTIONS.iter().any(|section| section.name == key.section && section.read), "{}", key.section);
            assert!(key.default.is_empty() || key.kind.read(key.default).is_ok(), "default of {}", key.name);
            assert!(key.effect != Effect::Used || key.doc.ends_with('.'), "{} needs a sentence", key.name);
        }
    }

    #[test]
    fn sections_are_named_by_keys_that_exist() {
        let named: BTreeSet<_> =
            SECTIONS.iter().filter(|s| !s.named_by.is_empty()).map(|s| (s.named_by, s.name)).collect();
        let naming: BTreeSet<_> =
            all().filter(|key| key.effect == Effect::NamesSection).map(|key| (key.name, key.default)).collect();
        assert_eq!(named, naming);
    }

    #[test]
    fn names() {
        assert_eq!(SCHEMA_FILE.variable(), "MYTISM_DBMAN_SCHEMAFILE");
        assert!(NODE_NUMBER.is_called("nodeID") && !NODE_NUMBER.is_called("nodenumber"));
        let mailer = SECTIONS.iter().find(|section| section.name == "Mailer.*").unwrap();
        assert!(mailer.matches("Mailer.x") && !mailer.matches("Mailer.") && !mailer.matches("Mailer"));
    }
}
