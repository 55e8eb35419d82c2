//! Every code that the documentation lists is provoked by a test: by one of the calls here, which are really made, or by
//! another test that names it. What no test can provoke stands here with the reason.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mytism_testkit::Project;
use rusqlite::Connection;
use serde_json::Value as Json;

use crate::trade::{order, repository, schema};

/// Status, code, arguments (in `‹›` the path of a file) and standard input of calls on a head office at rest.
type Call = (i32, &'static str, &'static [&'static str], &'static str);

const QUERIES: &[Call] = &[
    (2, "syntax-error", &["query", "from Customer where"], ""),
    (2, "unknown-entity", &["query", "from Custmer"], ""),
    (2, "unknown-attribute", &["query", "from Customer c where c.Ctiy = 'x'"], ""),
    (2, "unknown-function", &["query", "from Customer c where lowercase(c.City) = 'x'"], ""),
    (2, "to-many-path", &["query", "from Customer c where c.Orders.ShipCity = 'x'"], ""),
    (2, "type-mismatch", &["query", "from Order o where o.Freight = 'x'"], ""),
    (2, "missing-parameter", &["query", "from Customer c where c.City = $city"], ""),
    (2, "unknown-parameter", &["query", "from Customer", "--param", "city=x"], ""),
    (2, "misplaced-aggregate", &["query", "from Customer c where count(*) > 1"], ""),
    (2, "not-grouped", &["query", "select c.City as a, c.Fax as b, count(*) as n from Customer c group by c.City"], ""),
    (2, "duplicate-name", &["query", "select c.City as a, c.Fax as a from Customer c"], ""),
    (3, "sum-overflow", &["query", "select sum(o.OrderID) as n from Order o"], ""),
];

const SAVES: &[Call] = &[
    (2, "json-syntax", &["save"], "{"),
    (2, "wrong-document", &["save"], "{\"changes\":[],\"changes\":[]}"),
    (2, "not-in-this-version", &["--user", "x", "save"], ""),
    (2, "unknown-label", &["save"], r#"{"changes":[{"new":"a","entity":"Order","values":{"Customer":{"ref":"b"}}}]}"#),
    (2, "duplicate-label", &["save"], r#"{"changes":[{"new":"a","entity":"Order"},{"new":"a","entity":"Order"}]}"#),
    (
        3,
        "out-of-bounds",
        &["save"],
        r#"{"changes":[{"new":"a","entity":"Order","values":{"OrderID":90001,"Freight":"-0.01"}}]}"#,
    ),
    (2, "wrong-value", &["save"], r#"{"changes":[{"new":"a","entity":"Order","values":{"OrderID":"x"}}]}"#),
    (3, "value-required", &["save"], r#"{"changes":[{"new":"a","entity":"Shipper"}]}"#),
    (3, "unknown-object", &["show", "999999999"], ""),
    (3, "system-object", &["save"], r#"{"changes":[{"id":100,"values":{"Name":"x"}}]}"#),
];

const FILES: &[Call] = &[
    (1, "file-error", &["import", "‹missing.csv›", "--entity", "Customer"], ""),
    (2, "wrong-encoding", &["import", "‹latin.csv›", "--entity", "Customer"], ""),
    (2, "wrong-file", &["import", "‹empty.csv›", "--entity", "Customer"], ""),
    (3, "wrong-row", &["import", "‹short.csv›", "--entity", "Customer"], ""),
    (2, "unknown-column", &["import", "‹good.csv›", "--entity", "Customer", "--map", "X=Fax"], ""),
    (2, "duplicate-column", &["import", "‹good.csv›", "--entity", "Customer", "--map", "City=CustomerID"], ""),
    (2, "wrong-column", &["import", "‹good.csv›", "--entity", "Customer", "--map", "City=Orders"], ""),
    (2, "key-not-unique", &["import", "‹good.csv›", "--entity", "Customer", "--key", "City", "--mode", "upsert"], ""),
    (3, "unknown-key", &["import", "‹good.csv›", "--entity", "Customer", "--mode", "update"], ""),
];

const OTHERS: &[Call] = &[
    (2, "wrong-use", &["statsu"], ""),
    (2, "unknown-bench", &["bench", "comit"], ""),
    (1, "project-exists", &["init"], ""),
    (4, "node-not-running", &["stop"], ""),
    (2, "wrong-account-file", &["join", "--sync-account", "‹good.csv›"], ""),
];

/// Codes that no test provokes, and why.
const OUT_OF_REACH: &[(&str, &str)] = &[
    ("bench-postgres", "the system's PostgreSQL would have to be wrong"),
    ("bench-too-slow", "the machine would have to be very slow"),
    ("demo-differs", "the product would have to be wrong"),
    ("internal", "the product would have to be wrong"),
    ("damaged-object", "a head office would have to be wrong"),
    ("too-much-moves", "a million objects would have to change at once"),
    ("no-randomness", "the system would have to lack randomness"),
    ("no-runtime", "the system would have to lack threads"),
    ("no-thread", "the system would have to lack threads"),
    ("no-signals", "the system would have to lack signals"),
    ("no-conflict-entity", "no program made a schema without it"),
    ("incomplete-schema", "no program made a schema without the system's entities"),
    ("empty-log", "no program made a log without a first entry"),
];

/// A head office at rest with files of all kinds beside it.
fn prepared() -> Project {
    let project = Project::head_office("hamburg", &schema());
    let files: [(&str, &[u8]); 4] = [
        ("latin.csv", b"CustomerID,City\nA,M\xfcnchen\n"),
        ("empty.csv", b""),
        ("short.csv", b"CustomerID,City\nA\n"),
        ("good.csv", b"CustomerID,City\nA,Berlin\n"),
    ];
    files.iter().for_each(|(name, content)| fs::write(project.root().join(name), content).unwrap());
    for number in [i64::MAX.unsigned_abs(), i64::MAX.unsigned_abs() - 1] {
        let _saved = project.save(&order(number));
    }
    project
}

#[test]
fn codes_are_provoked_by_calls() {
    let project = prepared();
    let before = project.status()["log_position"].clone();
    for (status, code, words, stdin) in [QUERIES, SAVES, FILES, OTHERS].concat() {
        let path = |name: &str| project.root().join(name).to_string_lossy().into_owned();
        let named = |word: &&str| word.strip_prefix('‹').and_then(|word| word.strip_suffix('›')).map(path);
        let words: Vec<String> = words.iter().map(|word| named(word).unwrap_or_else(|| (*word).to_owned())).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let _error = project.run_json(&words, stdin).error(status, code);
        let people = project.run(&words, stdin);
        assert_eq!(people.status, Some(status), "{people}");
        assert!(people.stderr.starts_with(&format!("error[{code}]: ")), "{people}");
    }
    assert_eq!(project.status()["log_position"], before, "something was saved");
}

#[test]
fn codes_are_provoked_by_damage() {
    let check = |code: &str, status: i32, damage: &dyn Fn(&Project)| {
        let project = prepared();
        damage(&project);
        let _error = project.run_json(&["start"], "").error(status, code);
    };
    let sql =
        |project: &Project, text: &str| Connection::open(project.database()).unwrap().execute_batch(text).unwrap();
    check("newer-database", 1, &|project| {
        sql(project, "UPDATE mytism_meta SET value = x'7fffffff' WHERE key = 'format'");
    });
    check("key-error", 1, &|project| fs::remove_dir_all(project.directory().join("keys")).unwrap());
    check("damaged-state", 1, &|project| {
        fs::write(project.directory().join("state").join("incarnation"), "x").unwrap();
    });
    check("socket-error", 1, &|project| {
        let run = project.directory().join("run");
        let _absent = fs::remove_dir_all(&run);
        fs::write(run, "").unwrap();
    });
    let project = prepared();
    sql(&project, "DROP VIEW Order_view; DROP TABLE \"Order\"");
    let _error = project.run_json(&["query", "from Order"], "").error(1, "store-error");
    let mut save = project.command(&["--json", "save"]);
    let output = save.stdin(File::open(project.root()).unwrap()).output().unwrap();
    let error: Json = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["error"]["code"], "input-failed", "{output:?}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn codes_are_provoked_by_configurations() {
    let project = prepared();
    let good = fs::read_to_string(project.config_file()).unwrap();
    let check = |code: &str, more: &str| {
        fs::write(project.config_file(), format!("{good}{more}")).unwrap();
        let findings = project.run_json(&["check-config"], "");
        assert_eq!(findings.status, Some(1), "{code}: {findings}");
        assert!(findings.documents().iter().any(|finding| finding["code"] == code), "{code}: {findings}");
    };
    check("config-form", "\n[DBMan]\nthis is no setting\n");
    check("config-unknown-section", "\n[Nonsense]\na = b\n");
    check("config-unknown-key", "\n[SyncService]\nretryMinimun = 5\n");
    check("config-duplicate", "\n[SyncService]\nretryMinimum = 60\nretryMinimum = 70\n");
    check("config-value", "\n[Mailer]\nauthMethod = 3\n");
    check("config-old-name", "\n[Notifications]\nmaxAgeOfNotificationInDays = 3\n");
    check("config-old-value", "\n[Mailer]\nauthMethod = 2\n");
    check("config-unsupported", "\n[DBMan]\nfilesRoot = s3://bucket/files\n");
    fs::write(project.config_file(), good.replace("authoritative = 1", "authoritative = 0")).unwrap();
    let findings = project.run_json(&["check-config"], "").documents();
    assert!(findings.iter().any(|finding| finding["code"] == "config-missing"), "{findings:?}");
}

#[test]
fn every_documented_code_has_a_test() {
    let document = fs::read_to_string(repository().join("docs/command-line.md")).unwrap();
    let table = document.split("\n## Codes").nth(1).expect("the codes have a chapter");
    let documented: BTreeSet<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(documented.len() > 100, "{documented:?}");
    let tests = tests();
    let named = |code: &str| tests.contains(&format!("\"{code}\""));
    let excused = |code: &str| OUT_OF_REACH.iter().any(|(excused, _)| *excused == code);
    let without: Vec<_> = documented.iter().filter(|code| !named(code) && !excused(code)).collect();
    assert!(without.is_empty(), "no test provokes {without:?}");
    let strange: Vec<_> = OUT_OF_REACH.iter().filter(|(code, _)| named(code) || !documented.contains(code)).collect();
    assert!(strange.is_empty(), "these are tested, or not documented: {strange:?}");
}

/// The lines of all tests that do not make failures by themselves, but those of the list above.
fn tests() -> String {
    let mut text = String::new();
    // Without the way over this crate, whose folder is called after tests.
    let repository = fs::canonicalize(repository()).unwrap();
    for folder in ["core", "schema", "server", "sync", "tests"] {
        gather(&repository.join(folder), &mut text);
    }
    text
}

fn gather(directory: &Path, text: &mut String) {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            gather(&path, text);
            continue;
        }
        let is_rust = name.ends_with(".rs");
        let Ok(content) = fs::read_to_string(&path) else { continue };
        let part = if name.contains("/tests/") || name.ends_with("/tests.rs") {
            Some(content.as_str())
        } else {
            content.split_once("#[cfg(test)]\nmod tests {").map(|(_, tests)| tests)
        };
        let makes_it = |line: &str| ["Failure::", "AppError::"].iter().any(|mark| line.contains(mark));
        let is_here = name.ends_with("/e2e/codes.rs");
        for line in part.filter(|_| is_rust).into_iter().flat_map(str::lines) {
            if is_here && line.starts_with("    (\"") || !is_here && makes_it(line) {
                continue;
            }
            text.push_str(line);
            text.push('\n');
        }
    }
}
