//! The whole reading: text in, settings and problems out. Also holds the example file and the reference to the table.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use super::keys::{Change, Effect};
use super::*;

const KEY_TEXT: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Environment variables and files of secrets.
#[derive(Default)]
struct Around {
    variables: BTreeMap<String, OsString>,
    secrets: BTreeMap<PathBuf, String>,
}

impl Around {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    fn secret(mut self, path: &str, value: &str) -> Self {
        self.secrets.insert(path.into(), value.to_owned());
        self
    }
}

impl Surroundings for Around {
    fn variables(&self) -> Vec<(String, OsString)> {
        self.variables.clone().into_iter().collect()
    }

    fn secret(&self, path: &Path) -> Result<String, String> {
        self.secrets.get(path).cloned().ok_or_else(|| "the file cannot be read: gone".to_owned())
    }
}

fn nothing() -> Around {
    Around::default()
}

fn read(text: &str) -> (Config, Vec<String>) {
    let (config, problems) = check(text, "m.ini", &nothing());
    (config, problems.iter().map(ToString::to_string).collect())
}

fn defaults() -> Config {
    read("").0
}

#[test]
fn defaults_of_an_empty_file() {
    let (config, problems) = read("");
    assert_eq!(problems, Vec::<String>::new());
    assert!(config.authoritative && config.node_name.is_none() && config.node_number.is_none());
    assert_eq!((config.plain_host, config.plain_port), (Listen::Loopback, None), "opened only where it is asked for");
    assert_eq!((config.tls_host, config.tls_port), (Listen::All, 4243));
    assert_eq!((config.http_host, config.http_port), (Listen::All, 8080));
    assert_eq!((config.live.retry_min, config.live.retry_max), (Duration::from_secs(1), Duration::from_secs(60)));
    assert_eq!((config.live.journal_time, config.live.journal_rows), (Duration::from_secs(30 * 86_400), 10_000_000));
    assert_eq!(config.live.files_grace, Duration::from_secs(7 * 86_400));
    assert_eq!((config.live.id_reserve, config.live.log_level), (65_536, LogLevel::Info));
}

#[test]
fn a_branch() {
    let text = format!(
        "-- made by join\n[DBMan]\nnodeName = Köln\nnodeNumber = 7\nauthoritative = 0\n[SyncService]\n\
         headOffice = head.example:5000, 10.0.0.1\nheadOfficeKey = {KEY_TEXT}\n[Log]\nlevel=trace\n"
    );
    let (config, problems) = read(&text);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((config.node_name.as_deref(), config.node_number), (Some("Köln"), Some(NodeId(7))));
    assert!(!config.authoritative);
    let addresses: Vec<_> = config.head_office.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["head.example:5000", "10.0.0.1:4243"]);
    assert_eq!(config.head_office_key.map(|key| (key[0], key[31])), Some((0, 31)));
    assert_eq!(config.live.log_level, LogLevel::Trace);
}

#[track_caller]
fn complains(text: &str, expected: &[&str]) {
    assert_eq!(read(text).1, expected, "{text:?}");
}

#[test]
fn all_problems_at_once_in_the_order_of_the_file() {
    complains(
        "port = 1\n[SocketProtocol]\nprot = 1\nport = x\nlost line\n[Sync]\na = 1\n[DBMan]\nlevel = info\n",
        &[
            "m.ini line 1: port: the line stands before the first [section]",
            "m.ini line 3: [SocketProtocol] prot: there is no such key; did you mean port?",
            "m.ini line 4: [SocketProtocol] port = x: expected a port from 1 to 65535, or 0 for any free one",
            "m.ini line 5: the line is neither `key = value`, nor [section], nor a comment (`--`, `;` or `#` at its start)",
            "m.ini line 6: [Sync]: there is no such section",
            "m.ini line 9: [DBMan] level: there is no such key; it belongs into [Log]",
        ],
    );
}

#[test]
fn single_problems() {
    complains("[SyncServise]\n", &["m.ini line 1: [SyncServise]: there is no such section; did you mean SyncService?"]);
    complains(
        "[Log]\nlevel = info\nlevel = warn\n",
        &["m.ini line 3: [Log] level: it was set in line 2 already; keep one of the two"],
    );
    complains(
        "[DBMan]\nnodeID = 1\nnodeNumber = 2\n",
        &[
            "m.ini line 2: [DBMan] nodeID: this is the old spelling of nodeNumber",
            "m.ini line 3: [DBMan] nodeNumber: it was set in line 2 already; keep one of the two",
        ],
    );
    complains("[Log]\n[Log]\n", &["m.ini line 2: [Log]: the section began in line 1 already; both are read as one"]);
    complains(
        "[DBMan]\nstore = postgres\n",
        &[
            "m.ini: [DBMan] url: it is missing, and store = postgres needs it; write an address like postgresql://localhost:5432/demo",
        ],
    );
    complains("[DBMan]\nstore = oracle\n", &["m.ini line 2: [DBMan] store = oracle: expected one of sqlite, postgres"]);
    complains(
        "[SyncService]\nretryMinimum = 100\nretryMaximum = 99\n",
        &["m.ini line 3: [SyncService] retryMaximum = 99: it is less than retryMinimum (100 ms)"],
    );
    complains(
        "[SocketProtocol]\nport = 4243\n",
        &["m.ini: [SocketProtocol] tlsPort = 4243: [SocketProtocol] port has the same port"],
    );
    complains("[SocketProtocol]\nport = 0\ntlsPort = 0\n[DeploySite]\nport = 0\n", &[]);
    complains(
        "[HikariPool]\nidleTimeout = 9999\n",
        &["m.ini line 2: [HikariPool] idleTimeout = 9999: expected 0 or a whole number from 10000 to 86400000 ms"],
    );
    complains("[Castor]\nanything = goes\n", &["m.ini line 1: [Castor]: this version does not look into this section"]);
}

#[test]
fn a_branch_needs_its_head_office() {
    let missing = read("[DBMan]\nauthoritative = 0\n").1;
    assert_eq!(missing.len(), 2);
    assert!(missing.iter().all(|problem| problem.contains("a branch (authoritative = 0) cannot do without it")));
    let useless = check("[SyncService]\nheadOffice = a\n", "m.ini", &nothing()).1;
    assert_eq!(useless.iter().map(|problem| problem.severity).collect::<Vec<_>>(), [Severity::Warning]);
    // What is there and wrong is not also missing.
    assert_eq!(
        read(&format!("[DBMan]\nauthoritative = 0\n[SyncService]\nheadOffice = a b\nheadOfficeKey={KEY_TEXT}\n"))
            .1
            .len(),
        1
    );
}

#[test]
fn files_of_former_versions_start_a_node() {
    let text = "-- former\n[DBMan]\nschemaFile = /srv/.demo/schema/schema.xml\ndriver = org.postgresql.Driver\n\
        url = jdbc:postgresql://localhost:5432/demo\nuser = postgres\npass = topsecret\n\
        persistenceMgr = de.example.Manager\npersistenceMgrCfg = Castor\nprotocolDriver=de.example.Server\n\
        protocolDriverCfg = Wire\nhikariPool = HikariPool\nnoIntegrityCheck = 1\nnodeID = 12\nauthoritative = 1\n\n\
        [Castor]\nwhatever = 1\n[Wire]\nport = 5000\nbacklog = 10\n[HikariPool]\nmaximumPoolSize = 20\n";
    let (config, problems) = check(text, "m.ini", &nothing());
    assert!(problems.iter().all(|problem| !problem.is_error()), "{problems:?}");
    assert_eq!((config.plain_port, config.node_number), (Some(5000), Some(NodeId(12))));
    assert_eq!(config.schema_path(Path::new("/p")), Some("/srv/.demo/schema/schema.xml".into()));
    let words: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "m.ini line 4: names of classes have no effect: driver (line 4), persistenceMgr (line 8), protocolDriver (line 10)",
            "m.ini line 13: these settings are accepted and not in effect yet: noIntegrityCheck (line 13)",
            "m.ini line 14: [DBMan] nodeID: this is the old spelling of nodeNumber",
            "m.ini line 17: [Castor]: this version does not look into this section",
        ]
    );
    complains(
        "[DBMan]\nprotocolDriverCfg = Wire\n[SocketProtocol]\nport = 1\n",
        &[
            "m.ini line 3: [SocketProtocol]: there is no such section; protocolDriverCfg in [DBMan] says that it is called [Wire]",
        ],
    );
}

fn sentences(problems: &[ConfigProblem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_environment_comes_last_and_wins() {
    let around = nothing()
        .variable("MYTISM_SOCKETPROTOCOL_PORT", "6000")
        .variable("MYTISM_LOG_LEVEL", "loud")
        .variable("MYTISM_LOG", "debug")
        .variable("MYTISM_DBMAN_NODENAME", "");
    let (config, problems) = check("[SocketProtocol]\nport = 5000\n[DBMan]\nnodeName = kept\n", "m.ini", &around);
    assert_eq!((config.plain_port, config.node_name.as_deref()), (Some(6000), Some("kept")));
    let expected =
        "environment variable MYTISM_LOG_LEVEL: [Log] level = loud: expected one of error, warn, info, debug, trace";
    assert_eq!(sentences(&problems), [expected]);
}

#[test]
fn wrong_variables_are_told() {
    let mut around = nothing()
        .variable("MYTISM_SOCKETPROTOCOL_TLSPROT", "1")
        .variable("MYTISM_MAILER_ALT_1_SMTPHOST", "mail:25")
        .variable("MYTISM_BLESS", "1");
    around.variables.insert("MYTISM_DBMAN_NODENAME".into(), OsString::from_vec(b"K\xf6ln".to_vec()));
    let (_, problems) = check("[Mailer.alt-1]\n", "m.ini", &around);
    assert_eq!(
        sentences(&problems),
        [
            "environment variable MYTISM_DBMAN_NODENAME: [DBMan] nodeName: it is not UTF-8",
            "environment variable MYTISM_SOCKETPROTOCOL_TLSPROT: there is no such key; did you mean MYTISM_SOCKETPROTOCOL_TLSPORT?",
            "environment variable MYTISM_MAILER_ALT_1_SMTPHOST: these settings are accepted and not in effect yet: MYTISM_MAILER_ALT_1_SMTPHOST",
        ]
    );
}

#[test]
fn secrets_are_never_shown() {
    for text in [
        "[DBMan]\npass = hunter\u{2}2\n",
        "[DBMan]\npass hunter2\n",
        "[DBMan]\npass = a\nhunter2: b",
        "pass=hunter2",
        "[DBMan]\nurl=x:hunter2\npas=hunter2",
        "[DBMan]\nurl=postgresql://u:hunter2@db/demo?password=hunter2\npass=hunter2\npass=hunter2b",
        "[Mailer]\npassword=hunter2\npassword_file=f\n[Mailer.b]\npassword=hunter2\n[Log]\npassword=hunter2",
    ] {
        let around = nothing().secret("f", "hunter2").variable("MYTISM_CRYPTO_PASSPHRASE", "hunter2");
        let (config, problems) = check(text, "m.ini", &around);
        let told = explain(text, "m.ini", &around);
        assert!(!format!("{config:?} {problems:?} {told:?}").contains("hunter"), "{text:?}: {problems:?}");
    }
}

#[test]
fn secrets_come_from_files() {
    let of = |text: &str, around: &Around| {
        let (settings, problems) = explain(text, "m.ini", around);
        let pass = settings.into_iter().find(|setting| setting.key.name == "pass").unwrap();
        let wrong: Vec<_> = problems.into_iter().filter(ConfigProblem::is_error).collect();
        (pass.origin.map(|origin| origin.to_string()), sentences(&wrong))
    };
    let around = nothing().secret("secret", "hunter2").secret("empty", "");
    let file = "[DBMan]\npass_file = secret\n";
    assert_eq!(of(file, &around), (Some("secret line 1".into()), vec![]));
    let wrong = |name: &str, words: &str| vec![format!("m.ini line 2: [DBMan] pass_file = {name}: {words}")];
    assert_eq!(of("[DBMan]\npass_file = no\n", &around), (None, wrong("no", "the file cannot be read: gone")));
    assert_eq!(
        of("[DBMan]\npass_file = empty\n", &around),
        (None, wrong("empty", "the first line of the file is empty"))
    );
    let twice = of("[DBMan]\npass_file = secret\npass = x\n", &around).1;
    assert_eq!(twice, ["m.ini line 2: [DBMan] pass_file: pass is set too; keep one of the two"]);
    let around = around.variable("MYTISM_DBMAN_PASS", "hunter3");
    assert_eq!(of(file, &around).0.as_deref(), Some("environment variable MYTISM_DBMAN_PASS"));
    let around = nothing().secret("secret", "x").variable("MYTISM_DBMAN_PASS_FILE", "secret");
    assert_eq!(of("", &around), (Some("secret line 1".into()), vec![]));
}

#[test]
fn every_setting_is_explained() {
    let text =
        "[DBMan]\nprotocolDriverCfg = Wire\npass = x\n[Wire]\ntlsPort = 5000\nport = x\n[Mailer.two]\nfrom = a\n";
    let around = nothing().variable("MYTISM_LOG_LEVEL", "debug");
    let (settings, problems) = explain(text, "m.ini", &around);
    let of = |section: &str, name: &str| {
        let found: Vec<_> = settings.iter().filter(|one| one.section == section && one.key.name == name).collect();
        assert_eq!(found.len(), 1, "[{section}] {name}");
        (found[0].value.as_str(), found[0].origin.as_ref().map(ToString::to_string))
    };
    assert_eq!(of("Wire", "tlsPort"), ("5000", Some("m.ini line 5".into())));
    assert_eq!(of("Wire", "port"), ("4242", None), "a wrong value is as good as none");
    assert_eq!(of("DBMan", "pass"), ("***", Some("m.ini line 3".into())));
    assert_eq!(of("Log", "level"), ("debug", Some("environment variable MYTISM_LOG_LEVEL".into())));
    assert_eq!(of("Mailer.two", "from"), ("a", Some("m.ini line 8".into())));
    assert_eq!(of("Mailer", "from"), ("", None));
    assert!(problems.iter().any(ConfigProblem::is_error));
    let (after, _) = explain(&text.replace("5000", "5001").replace("from = a", ""), "m.ini", &around);
    let changed: Vec<_> = explain::differences(&settings, &after).into_iter().map(|one| one.key.name).collect();
    assert_eq!(changed, ["tlsPort", "from"]);
}

#[test]
fn older_forms_are_read() {
    complains(
        "[Mailer]\nauthMethod = 2\n[Notifications]\nmaxAgeOfNotificationInDays = 3\n",
        &[
            "m.ini line 2: [Mailer] authMethod = 2: it is written smtp_auth now",
            "m.ini line 2: these settings are accepted and not in effect yet: authMethod (line 2), maxAgeOfNotificationInDays (line 4)",
            "m.ini line 4: [Notifications] maxAgeOfNotificationInDays: this is the old spelling of maxAgeOfNoticationInDays",
        ],
    );
    complains(
        "[Mailer]\nauthMethod = 3\n",
        &[
            "m.ini line 2: [Mailer] authMethod = 3: expected one of none, pop_before_smtp, smtp_auth",
            "m.ini line 2: these settings are accepted and not in effect yet: authMethod (line 2)",
        ],
    );
    complains(
        "[DBMan]\ntomcatPool = TomcatPool\nhikariPool = HikariPool\n",
        &["m.ini line 2: [DBMan] tomcatPool: hikariPool is given too, and counts"],
    );
    complains(
        "[DBMan]\nurl = localhost\n",
        &["m.ini line 2: [DBMan] url: expected an address like postgresql://localhost:5432/demo"],
    );
}

#[test]
fn limits_that_nobody_reaches_are_told() {
    complains(
        "[SocketProtocol]\nsoftMaxUnauthedBCHPerIP = 20\nhardMaxUnauthedBCHPerIP = 10\n",
        &[
            "m.ini line 2: [SocketProtocol] softMaxUnauthedBCHPerIP: it is more than hardMaxUnauthedBCHPerIP, so nobody is delayed before",
        ],
    );
    complains("[SocketProtocol]\nhardMaxUnauthedBCHPerIP = 10\n", &[]);
}

#[test]
fn host_names_that_lead_nowhere() {
    let check = |config: &Config, resolved: &[&str], expected: bool| {
        let resolved: Vec<IpAddr> = resolved.iter().map(|address| address.parse().unwrap()).collect();
        let problem = config.host_name_problem("m.ini", "box", &resolved);
        assert_eq!(problem.map(|problem| problem.code), expected.then_some("config-host-name"), "{resolved:?}");
    };
    check(&defaults(), &["127.0.1.1"], true);
    check(&defaults(), &["::1", "::ffff:127.0.0.1"], true);
    check(&defaults(), &[], true);
    check(&defaults(), &["127.0.0.1", "10.0.0.5"], false);
    check(&read("[DBMan]\nnodeName = a\n").0, &["127.0.0.1"], false);
    check(&read("[SyncService]\nadvertise = a\n").0, &["127.0.0.1"], false);
}

#[test]
fn files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    let load = || Config::load(&path, &nothing());
    let code = |result: Result<Config, Vec<ConfigProblem>>| {
        result.unwrap_err().first().map(|problem| (problem.code, problem.line()))
    };
    assert_eq!(code(load()), Some(("config-unreadable", None)));
    std::fs::write(&path, b"[DBMan]\n; \xc3\xa4\xf6\n").unwrap();
    assert_eq!(code(load()), Some(("config-unreadable", Some(2))));
    let problem = load().unwrap_err().remove(0);
    assert_eq!(problem.message, "character 4 of the line is not UTF-8 (byte 0xF6)");
    std::fs::write(&path, b"[DBMan]\nnodeID = 3\n").unwrap();
    let config = load().unwrap();
    assert_eq!((config.node_number, config.warnings.len()), (Some(NodeId(3)), 1));
    std::fs::write(&path, b"[DBMan]\nnodeID = 0\n").unwrap();
    assert_eq!(load().unwrap_err().len(), 2);
    std::fs::write(&path, vec![b'\n'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(code(load()), Some(("config-unreadable", None)));
}

/// A value other than the default that the kind allows.
fn other_value(kind: Kind) -> &'static str {
    match kind {
        Kind::Flag => "0",
        Kind::Number { min, .. } if min > 17 => "20011",
        Kind::Number { .. } | Kind::Port => "17",
        Kind::Text | Kind::Path | Kind::Listen | Kind::Addresses | Kind::Names | Kind::Section => "other",
        Kind::Choice(words) => words.last().copied().unwrap_or_default(),
        Kind::PublicKey => KEY_TEXT,
        Kind::Secret => "hunter2",
        Kind::DatabaseUrl => "postgresql://db/demo",
        Kind::FilesRoot => "s3://bucket/x",
        Kind::Server => "mail:25",
        Kind::Networks => "10.0.0.0/8",
    }
}

#[test]
fn each_key_does_what_the_table_says() {
    for key in keys::all().filter(|key| key.effect != Effect::NamesSection) {
        let text = format!("[{}]\n{} = {}\n", key.section, key.name, other_value(key.kind));
        let (config, problems) = check(&text, "m.ini", &nothing().secret("other", "hunter2"));
        let seen = config != defaults() || problems.iter().any(|problem| problem.code == "config-unsupported");
        assert_eq!(seen, key.effect == Effect::Used, "[{}] {}", key.section, key.name);
        assert!(problems.iter().all(|problem| problem.code != "config-unknown-key"), "{problems:?}");
        if key.effect == Effect::Used {
            // What a running node takes up, and nothing else, stands in `live`.
            let watched = Config { live: defaults().live, ..config.clone() } != config;
            assert_eq!(watched, key.change == Change::Watched, "[{}] {}", key.section, key.name);
        }
    }
}

#[test]
fn the_environment_reaches_every_key() {
    for key in keys::all().filter(|key| key.effect != Effect::NamesSection) {
        let around = nothing().variable(&key.variable(), other_value(key.kind));
        let (config, problems) = check("", "m.ini", &around);
        let seen = config != defaults() || !problems.is_empty();
        assert!(seen, "{} says nothing", key.variable());
        assert!(problems.iter().all(|problem| problem.code != "config-unknown-key"), "{problems:?}");
    }
}

#[test]
fn the_example_reads_as_the_defaults() {
    let text = example::example();
    assert_eq!(read(&text), (defaults(), vec![]));
    let live: String =
        text.lines().map(|line| line.strip_prefix(';').unwrap_or(line)).map(|line| format!("{line}\n")).collect();
    let (config, problems) = check(&live, "m.ini", &nothing());
    assert_eq!(config.plain_port, Some(4242), "opened where it is written, be it as the default");
    assert_eq!(Config { plain_port: None, ..config }, defaults());
    assert!(problems.iter().all(|problem| problem.code == "config-no-effect"), "{problems:?}");
    for key in keys::all() {
        let line = format!("\n;{} = {}", key.name, key.default).trim_end().to_owned() + "\n";
        assert!(text.contains(&line), "{} is missing", key.name);
        assert!(key.old_names.iter().all(|old| text.contains(old)), "old spellings of {}", key.name);
    }
}

/// Compares a file of the repository with what the table makes of it; `MYTISM_BLESS=1` writes it.
#[track_caller]
fn holds(path: &str, make: impl Fn(&str) -> String) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let wanted = make(&found);
    if std::env::var_os("MYTISM_BLESS").is_some() {
        std::fs::write(&file, wanted).unwrap();
    } else {
        assert!(
            found == wanted,
            "{path} lags behind the key table; run the tests of mytism-server with MYTISM_BLESS=1"
        );
    }
}

#[test]
fn the_example_file_is_current() {
    holds("mytism.ini.example", |_| example::example());
}

#[test]
fn the_reference_is_current() {
    const BEGIN: &str = "<!-- made from the key table; do not edit between here and the end mark -->\n";
    const END: &str = "<!-- end of what is made from the key table -->\n";
    holds("docs/configuration.md", |found| {
        let (before, rest) = found.split_once(BEGIN).expect("docs/configuration.md has lost its begin mark");
        let (_, after) = rest.split_once(END).expect("docs/configuration.md has lost its end mark");
        format!("{before}{BEGIN}\n{}\n{END}{after}", example::reference())
    });
}

/// The texts between backquotes in a Markdown file, with their lines.
fn spans(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        fenced ^= line.trim_start().starts_with("```");
        if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(|span| (number, span)));
        }
    }
    found
}

#[test]
fn settings_in_the_documentation_exist() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut findings = Vec::new();
    let mut checked = 0;
    for file in std::fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let mut wrong = |place: String, settings: &str| {
            checked += 1;
            let (_, problems) = check(settings, "m.ini", &nothing());
            let unknown = problems
                .iter()
                .filter(|problem| problem.code.starts_with("config-unknown") || problem.code == "config-form");
            findings.extend(unknown.map(|problem| format!("{place}: {problem}")));
        };
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        for (line, span) in spans(&text) {
            // `[Log] level = debug`, and `[Log] level`.
            let Some((section, rest)) = span.strip_prefix('[').and_then(|span| span.split_once("] ")) else { continue };
            if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                let setting = if rest.contains('=') { rest.to_owned() } else { format!("{rest} =") };
                wrong(format!("{name}:{line}"), &format!("[{section}]\n{setting}\n"));
            }
        }
        for block in text.split("\n```ini\n").skip(1) {
            wrong(format!("{name}, a block"), block.split("```").next().unwrap_or_default());
        }
    }
    assert!(checked > 15, "only {checked} were found");
    assert_eq!(findings, Vec::<String>::new());
}

proptest! {
    /// Whatever the bytes of a file, it is read or refused in words.
    #[test]
    fn hostile_bytes(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"[]=;#-\r\n DBManSpa".to_vec())], 0..200)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        std::fs::write(&path, &bytes).unwrap();
        let text = read_text(&path);
        prop_assert_eq!(text.is_ok(), std::str::from_utf8(&bytes).is_ok());
        let loaded = Config::load(&path, &nothing());
        let lossy = String::from_utf8_lossy(&bytes);
        let (_, problems) = check(&lossy, "m.ini", &nothing());
        if text.is_ok() {
            prop_assert_eq!(loaded.is_ok(), !problems.iter().any(ConfigProblem::is_error));
        }
        let written = write_value(&lossy, "Log", "level", "debug").unwrap();
        let (settings, _) = explain(&written, "m.ini", &nothing());
        let level = settings.iter().find(|setting| setting.section == "Log" && setting.key.name == "level");
        prop_assert_eq!(level.map(|level| level.value.as_str()), Some("debug"));
    }

    /// No text breaks the reader; messages stay short, and a text without problems survives writing a key into it.
    #[test]
    fn hostile_text(pieces in prop::collection::vec(
        "\\[(DBMan|Log|SyncService|KeyGen|x)\\]|(nodeID|nodeNumber|port|level|advertise|protocolDriverCfg|nosuch) ?= ?\\PC{0,9}|\\PC{0,12}|[\\x00-\\x1f]{0,3}",
        0..25,
    )) {
        let text = pieces.join("\n");
        let around = nothing().variable("MYTISM_LOG_LEVEL", &text).secret("x", &text);
        let (_, problems) = check(&text, "m.ini", &around);
        let _settings = explain(&text, "m.ini", &around);
        for problem in &problems {
            let sentence = problem.to_string();
            prop_assert!(!sentence.contains(|c: char| c.is_control()), "{sentence:?}");
        }
        if !text.contains("Cfg") {
            let written = write_value(&text, "Log", "level", "debug").unwrap();
            let (config, _) = check(&written, "m.ini", &nothing());
            prop_assert_eq!(config.live.log_level, LogLevel::Debug);
        }
    }
}
