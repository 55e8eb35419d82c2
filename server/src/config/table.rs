//! The one table of settings: what may stand in `mytism.ini`, what it means, and what counts when it is absent.
//!
//! The reader, the messages, the example file and the reference in the documentation all come from here.

use super::keys::{Key, Section};
use super::kind::Kind;

/// All sections, in the order of the example file.
pub const SECTIONS: &[Section] = &[
    Section::read("DBMan", "", "The node and its data."),
    Section::read("SocketProtocol", "protocolDriverCfg", "Where the node listens for clients and for other nodes."),
    Section::read("SyncService", "syncServiceCfg", "How nodes find each other and keep in step."),
    Section::read("KeyGen", "keyGeneratorCfg", "The ids and numbers that a branch keeps in stock."),
    Section::read("Journal", "", "What became visible at the node, for those who follow it."),
    Section::read(
        "FileVault",
        "fileVaultCfg",
        "Where the contents of files are kept, and which of them a branch fetches.",
    ),
    Section::read("Crypto", "cryptoMgrCfg", "Encryption of single attributes."),
    Section::read("DeploySite", "", "The node's own web pages."),
    Section::read("Log", "", "What the node writes about its work."),
    Section::read("Backup", "", "When backups are made and how many are kept."),
    Section::read("Alarms", "", "Conditions that trigger actions."),
    Section::read("Notifications", "", "Messages to people."),
    Section::read("Mailer", "", "The mail server."),
    Section::read("Mailer.*", "", "Further mail servers, each in a section Mailer.NAME with the keys of [Mailer]."),
    Section::read(
        "TomcatPool",
        "tomcatPool",
        "Connections to a PostgreSQL server, where [DBMan] tomcatPool names the section.",
    ),
    Section::read(
        "HikariPool",
        "hikariPool",
        "Connections to a PostgreSQL server; counts unless only [DBMan] tomcatPool is given.",
    ),
    Section::unread("Castor", "persistenceMgrCfg", "The former way to store objects."),
];

const LEVELS: Kind = Kind::Choice(&["error", "warn", "info", "debug", "trace"]);
const SWITCH: Kind = Kind::Choice(&["never", "if_possible", "mandatory"]);
const DAY_MS: u64 = 86_400_000;

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
        "Name of this node, unique in the cluster. Written by init and join, checked against the database at each start. Default: the machine's host name.");
    NODE_NUMBER = Key::new("DBMan", "nodeNumber", number(1, u32::MAX as u64, ""), "",
        "Number of this node, given by the head office alone. Written once by init, join or the first start, checked against the database at each start; never change it.")
        .old(&["nodeID"]);
    AUTHORITATIVE = Key::new("DBMan", "authoritative", Kind::Flag, "1",
        "1 = this node is the head office, 0 = it is a branch that follows one. Checked against the database at each start.");
    SCHEMA_FILE = Key::new("DBMan", "schemaFile", Kind::Path, "",
        "The application's schema at the head office; branches receive it. A relative path starts at the project directory.");
    STORE = Key::new("DBMan", "store", Kind::Choice(&["sqlite", "postgres"]), "sqlite",
        "Where the data is kept: sqlite = in data/ of the project directory, postgres = in the database of url.");
    URL = Key::new("DBMan", "url", Kind::DatabaseUrl, "",
        "With store = postgres: the address of the database, which must be there and have the encoding UTF8; a jdbc: before it is accepted. The line to the server has no encryption in this version.");
    USER = Key::new("DBMan", "user", Kind::Text, "", "User at the PostgreSQL server, where url names none.");
    PASS = Key::new("DBMan", "pass", Kind::Secret, "", "Password of that user, where url has none.");
    PASS_FILE = Key::new("DBMan", "pass_file", Kind::Path, "", "File whose first line is the password, in the place of pass.");
    FILES_ROOT = Key::new("DBMan", "filesRoot", Kind::FilesRoot, "blobs",
        "Where the contents of files are kept. A relative path starts at the project directory; this version knows no S3 store.");

    PLAIN_HOST = Key::new("SocketProtocol", "host", Kind::Listen, "",
        "Where to listen without encryption. Default: this machine only (loopback), other than in former versions; anywhere else whoever is on the way reads and changes what is said.");
    PLAIN_PORT = Key::new("SocketProtocol", "port", Kind::Port, "4242",
        "Port without encryption, TCP, for branches whose headOffice begins with plain://. Opened only where this key is set, so that several nodes on a machine do not collide, and never by a branch; clients on this machine use a socket in run/.");
    PLAIN_BACKLOG = Key::new("SocketProtocol", "backlog", number(1, 65_535, "connections"), "10",
        "So many finished connections without encryption may wait until the node takes them in; further ones wait before that.");
    TLS_HOST = Key::new("SocketProtocol", "tlsHost", Kind::Listen, "*",
        "Where to listen with encryption, for branches and clients on other machines.");
    TLS_PORT = Key::new("SocketProtocol", "tlsPort", Kind::Port, "4243",
        "Port with encryption: QUIC over UDP, and TLS over TCP for lines on which UDP does not pass. A branch does not open it.");
    TLS_BACKLOG = Key::new("SocketProtocol", "tlsBacklog", number(1, 65_535, "connections"), "10",
        "So many finished connections may wait until the node takes them in; further ones wait before that.");
    MAX_WAIT = Key::new("SocketProtocol", "maxWaitForAuth", number(1, DAY_MS, "ms"), "210000",
        "Who has connected and not said who he is within this time is cut off.").watched();
    HARD_MAX = Key::new("SocketProtocol", "hardMaxUnauthedBCHPerIP", number(1, 1_000_000, "connections"), "150",
        "While more connections than this from one address have not said who they are, new ones from there are refused at once.")
        .watched();
    SOFT_MAX = Key::new("SocketProtocol", "softMaxUnauthedBCHPerIP", number_or_zero(1, 1_000_000, "connections"), "50",
        "While more connections than this from one address have not said who they are, new ones from there are answered with a delay.")
        .watched();
    DELAY_FACTOR = Key::new("SocketProtocol", "delayFactorUnauthedBCH", number_or_zero(1, 60_000, "ms"), "200",
        "The delay for each connection above softMaxUnauthedBCHPerIP: the first waits so long, the second twice as long.")
        .watched();

    ADVERTISE = Key::new("SyncService", "advertise", Kind::Addresses, "",
        "Addresses under which branches reach this node; they go into the account files that it exports.").watched();
    HEAD_OFFICE = Key::new("SyncService", "headOffice", Kind::Addresses, "",
        "At a branch: the head office's addresses, tried in this order. Written by join. One that begins with plain:// is reached without encryption, for nodes of one machine or behind a tunnel: both sides prove their keys, and what follows is not protected.");
    HEAD_OFFICE_KEY = Key::new("SyncService", "headOfficeKey", Kind::PublicKey, "",
        "At a branch: the head office's public key; a peer with another one is refused. Written by join.");
    RETRY_MINIMUM = Key::new("SyncService", "retryMinimum", number(10, 3_600_000, "ms"), "1000",
        "Pause before the first new attempt after the line broke; it doubles with each attempt.").watched();
    RETRY_MAXIMUM = Key::new("SyncService", "retryMaximum", number(10, 3_600_000, "ms"), "60000",
        "Longest pause between two attempts.").watched();
    CHECK_EVERY = Key::new("SyncService", "checkEvery", number(0, 8_760, "hours"), "24",
        "At a branch: after so long, and up to an hour more, it compares all that it holds with the head office, as `sync check` does; 0 = only on command.").watched();

    RESERVE = Key::new("KeyGen", "reserve", number(1, 1_000_000_000, "ids"), "65536",
        "A branch asks the head office for more object ids when fewer than this many are left.").watched();
    RESERVE_DAYS = Key::new("KeyGen", "reserveDays", number(1, 3_650, "days"), "30",
        "A branch keeps ids in stock for so many days of its own average use, but not fewer than reserve.").watched();
    LEASE_DAYS = Key::new("KeyGen", "leaseDays", number(1, 3_650, "days"), "30",
        "A node leases numbers of its number ranges ahead for so many days of its own average use.").watched();
    LEASE_MINIMUM = Key::new("KeyGen", "leaseMinimum", number(1, 1_000_000, "numbers"), "20",
        "The fewest numbers that a node leases ahead.").watched();

    JOURNAL_DAYS = Key::new("Journal", "keepDays", number(1, 36_500, "days"), "30",
        "Rows of the journal are kept so long, and longer where a follower has not done with them.").watched();
    JOURNAL_ROWS = Key::new("Journal", "maxRows", number(1, 1_000_000_000, "rows"), "10000000",
        "Never more rows than this are kept; a follower that is further behind loses the oldest, and the log of the node says so.")
        .watched();

    FILES_GRACE = Key::new("FileVault", "graceDays", number(1, 3_650, "days"), "7",
        "Contents that nothing has ever named are removed when nobody has touched them for so long: files that were brought and never saved, and transfers that broke off.")
        .watched();

    HTTP_HOST = Key::new("DeploySite", "host", Kind::Listen, "*",
        "Where the web pages are served; localhost behind a reverse proxy. This version serves none.");
    HTTP_PORT = Key::new("DeploySite", "port", Kind::Port, "8080",
        "Port of the web pages. This version does not open it.");

    TOMCAT_TOTAL = Key::new("TomcatPool", "maxTotal", number(1, 100_000, "connections"), "128",
        "Connections at once, beside one that writes; cut to what the server allows less three.");
    TOMCAT_MIN_IDLE = Key::new("TomcatPool", "minIdle", number(0, 100_000, "connections"), "0",
        "Idle connections that are kept at least.");
    TOMCAT_INITIAL = Key::new("TomcatPool", "initialSize", number(0, 100_000, "connections"), "0",
        "Connections that are made at start; as many are kept from then on.");
    TOMCAT_WAIT = Key::new("TomcatPool", "maxWait", number(1, DAY_MS, "ms"), "10000",
        "How long to wait for a connection, and for a server that restarts.");
    TOMCAT_AGE = Key::new("TomcatPool", "maxAge", number(0, DAY_MS, "ms"), "300000",
        "How long a connection is used; 0 = for ever.");

    HIKARI_TIMEOUT = Key::new("HikariPool", "connectionTimeout", number(250, DAY_MS, "ms"), "10000",
        "How long to wait for a connection, and for a server that restarts.");
    HIKARI_IDLE = Key::new("HikariPool", "idleTimeout", number_or_zero(10_000, DAY_MS, "ms"), "120000",
        "How long an idle connection is kept; 0 = for ever.");
    HIKARI_LIFETIME = Key::new("HikariPool", "maxLifetime", number(0, DAY_MS, "ms"), "300000",
        "How long a connection is used; 0 = for ever.");
    HIKARI_MINIMUM = Key::new("HikariPool", "minimumIdle", number(0, 100_000, "connections"), "0",
        "Idle connections that are kept at least.");
    HIKARI_MAXIMUM = Key::new("HikariPool", "maximumPoolSize", number(1, 100_000, "connections"), "128",
        "Connections at once, beside one that writes; cut to what the server allows less three.");

    LOG_LEVEL = Key::new("Log", "level", LEVELS, "info",
        "The least important kind of event that is written.").watched();
}

/// Settings that are known and do nothing in this version. They are checked and accepted, so that a file of another
/// version starts a node.
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
    Key::later("DBMan", "noMetaDataCheck", Kind::Flag, "0", "1 = no check of the tables against the schema at start."),
    Key::later("DBMan", "noInitialDataCheck", Kind::Flag, "0", "1 = no check for needed users and groups at start."),
    Key::later("DBMan", "noIntegrityCheck", Kind::Flag, "0", "1 = no integrity check at start."),
    Key::later("DBMan", "noIntegrityDoubleIdChecks", Kind::Flag, "0", "1 = that check does not look for doubled ids."),
    Key::later("DBMan", "noIntegrityBLOBChecks", Kind::Flag, "0", "1 = that check does not look at contents of files."),
    Key::later(
        "DBMan",
        "integrityCheckEntitiesToExcludeFromNToMAndDoubleIdCheck",
        Kind::Names,
        "",
        "Entities whose doubled ids and relations that check leaves out, with all that extend them.",
    ),
    Key::later("SocketProtocol", "certificate", Kind::Text, "", "Service name of the certificate that is shown."),
    Key::later(
        "SyncService",
        "clockLimit",
        number(1, DAY_MS, "ms"),
        "60000",
        "A node whose clock is off by more than this never wins by the rule `later`.",
    )
    .watched(),
    Key::later(
        "SyncService",
        "retryWaiting",
        number(10, 3_600_000, "ms"),
        "5000",
        "Pause until a transaction that waits for something missing is tried again.",
    )
    .watched(),
    Key::later(
        "SyncService",
        "checkRecent",
        number_or_zero(1, 1_000_000_000, "entries"),
        "10000",
        "So many of the last entries are compared with the head office after each connection; 0 = none.",
    )
    .watched(),
    Key::later(
        "FileVault",
        "fetch",
        Kind::Choice(&["all", "on_demand"]),
        "all",
        "all = a branch fetches every content, on_demand = only when it is opened.",
    )
    .watched(),
    Key::later(
        "FileVault",
        "cacheLimit",
        number_or_zero(1, 1_000_000_000, "MB"),
        "0",
        "With on_demand: so much is kept here, the least lately opened goes first; 0 = no limit.",
    )
    .watched(),
    Key::later(
        "FileVault",
        "s3Endpoint",
        Kind::Text,
        "",
        "Address of the S3 store where filesRoot is s3://bucket/prefix.",
    ),
    Key::later("FileVault", "s3Region", Kind::Text, "us-east-1", "Region of the S3 store."),
    Key::later("FileVault", "s3AccessKey", Kind::Text, "", "Access key of the S3 store."),
    Key::later("FileVault", "s3SecretKey", Kind::Secret, "", "Secret key of the S3 store."),
    Key::later(
        "FileVault",
        "s3SecretKey_file",
        Kind::Path,
        "",
        "File whose first line is that key, in the place of s3SecretKey.",
    ),
    Key::later("Crypto", "passphrase", Kind::Secret, "", "Opens the keys of encrypted attributes at start."),
    Key::later(
        "Crypto",
        "passphrase_file",
        Kind::Path,
        "",
        "File whose first line is that passphrase, in the place of passphrase.",
    ),
    Key::later("Crypto", "hashMemory", number(8, 4_096, "MB"), "19", "Memory that one check of a password takes."),
    Key::later("DeploySite", "tlsHost", Kind::Listen, "", "Where encrypted web pages are served. Default: host."),
    Key::later("DeploySite", "tlsPort", Kind::Port, "8443", "Port of encrypted web pages."),
    Key::later(
        "DeploySite",
        "useCauldron",
        Kind::Flag,
        "0",
        "1 = the project's own HTTP endpoints and the node's pages share one server.",
    ),
    Key::later("DeploySite", "requireAuthentication", Kind::Flag, "1", "1 = pages only after log-in."),
    Key::later(
        "DeploySite",
        "reauthEveryXDays",
        number(0, 36_500, "days"),
        "90",
        "How long access through a started client lasts.",
    ),
    Key::later("DeploySite", "certificate", Kind::Text, "", "Service name of the certificate that is shown."),
    Key::later(
        "DeploySite",
        "trustedProxies",
        Kind::Networks,
        "",
        "Reverse proxies whose X-Forwarded-For is believed, beside those on this machine.",
    ),
    Key::later("Backup", "dir", Kind::Path, "backups", "Where backups are written.").watched(),
    Key::later("Backup", "schedule", Kind::Text, "", "When, in the five fields of crontab; empty = by hand only.")
        .watched(),
    Key::later("Backup", "keep", number(1, 10_000, "generations"), "14", "How many backups of the database are kept.")
        .watched(),
    Key::later(
        "Backup",
        "keepFiles",
        number(1, 10_000, "generations"),
        "14",
        "How many backups of the contents of files are kept.",
    )
    .watched(),
    Key::later("Backup", "copyTo", Kind::FilesRoot, "", "A second place that each backup is copied to.").watched(),
    Key::later("Backup", "copyKeep", number(1, 10_000, "generations"), "14", "How many are kept there.").watched(),
    Key::later(
        "Backup",
        "verifySchedule",
        Kind::Text,
        "",
        "When the last backup is restored on trial, in the five fields of crontab.",
    )
    .watched(),
    Key::later(
        "Backup",
        "verifiedWithin",
        number(1, 3_650, "days"),
        "30",
        "Health turns bad when no backup was verified for so long.",
    )
    .watched(),
    Key::later("Alarms", "activateAlarms", SWITCH, "if_possible", "Whether alarms work.").watched(),
    Key::later("Notifications", "activateNotifications", SWITCH, "if_possible", "Whether notifications are sent.")
        .watched(),
    Key::later(
        "Notifications",
        "maxAgeOfNoticationInDays",
        number_or_zero(1, 36_500, "days"),
        "0",
        "Older notifications are not sent any longer; 0 = no limit.",
    )
    .old(&["maxAgeOfNotificationInDays"])
    .watched(),
    Key::later("Notifications", "encrypt", SWITCH, "if_possible", "Whether mail is encrypted with OpenPGP.").watched(),
    Key::later("Notifications", "sign", SWITCH, "if_possible", "Whether mail is signed with OpenPGP.").watched(),
    Key::later("Notifications", "privateKeyFile", Kind::Path, "", "The OpenPGP key that signs.").watched(),
    Key::later("Notifications", "passphrase", Kind::Secret, "", "Opens that key.").watched(),
    Key::later(
        "Notifications",
        "passphrase_file",
        Kind::Path,
        "",
        "File whose first line is that passphrase, in the place of passphrase.",
    )
    .watched(),
    Key::later("Mailer", "from", Kind::Text, "", "Sender of mail that has no sender with a mail address.").watched(),
    Key::later("Mailer", "smtpHost", Kind::Server, "", "The mail server, as host or host:port.").watched(),
    Key::later(
        "Mailer",
        "useTLS",
        Kind::Flag,
        "0",
        "0 = STARTTLS when the server offers it, else plain; 1 = never plain.",
    )
    .watched(),
    Key::later(
        "Mailer",
        "authMethod",
        Kind::Choice(&["none", "pop_before_smtp", "smtp_auth"]),
        "none",
        "How to log in at the mail server.",
    )
    .old_values(&[("0", "none"), ("1", "pop_before_smtp"), ("2", "smtp_auth")])
    .watched(),
    Key::later("Mailer", "username", Kind::Text, "", "User at the mail server.").watched(),
    Key::later("Mailer", "password", Kind::Secret, "", "Password of that user.").watched(),
    Key::later(
        "Mailer",
        "password_file",
        Kind::Path,
        "",
        "File whose first line is that password, in the place of password.",
    )
    .watched(),
    Key::later(
        "Mailer",
        "POPBeforeSMTPHost",
        Kind::Server,
        "",
        "The POP server for pop_before_smtp. Default: smtpHost.",
    )
    .watched(),
    Key::later("Mailer", "useInlinePGP", Kind::Flag, "0", "1 = OpenPGP within the text in the place of PGP/MIME.")
        .watched(),
    Key::later("Mailer", "suppressMsgID", Kind::Flag, "0", "1 = no Message-ID is made.").watched(),
    Key::later("Mailer", "checkAddress", Kind::Text, "", "Gets a test mail at each start.").watched(),
    Key::later(
        "TomcatPool",
        "maxIdle",
        number(0, 100_000, "connections"),
        "128",
        "Idle connections that are kept at most; they are ended by time.",
    ),
];
