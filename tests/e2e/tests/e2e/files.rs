//! Files of rows: what one node writes another one reads, whatever it holds and however it is written; files that are
//! taken in whole, in part, again, and files of a million rows.

use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use mytism_testkit::{Project, RunningNode};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};

use crate::trade::repository;

const COLUMNS: [&str; 15] = [
    "Key", "Count", "Price", "Name", "Note", "Good", "Day", "Moment", "State", "Weight", "Clock", "Mark", "Extra",
    "Next", "Last",
];

fn kinds() -> PathBuf {
    repository().join("tests/e2e/tests/e2e/files.xml")
}

/// Texts that are hard to keep: of all letters, with quotes, line breaks, delimiters, formulas and guards. CSV knows no
/// empty text.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("=1+1"),
        Just("'=a"),
        Just("''-"),
        Just("@x"),
        Just("\""),
        Just("\n"),
        Just("\r\n"),
        Just(","),
        Just(";"),
        Just("\t"),
        Just("|"),
        Just("Käse"),
        Just("€"),
        Just(" "),
        Just("a"),
        Just("1.234,50"),
        Just("語😀"),
        Just("e\u{301}"),
    ];
    proptest::collection::vec(part, 1..5).prop_map(|parts| parts.concat())
}

/// Values of the kinds that are seldom.
fn seldom() -> impl Strategy<Value = Json> {
    let weight = any::<f64>().prop_filter("a number", |number| number.is_finite());
    let extra = prop_oneof![
        Just(r#"{"a": 1.10, "b":[null,true]}"#),
        Just("\"=1+1\""),
        Just("[\"Käse\",\n 1e2]"),
        Just("null"),
        Just("{}")
    ];
    (weight, 0i64..86_400_000_000, any::<u128>(), extra).prop_map(|(weight, clock, mark, extra)| {
        let clock = jiff::civil::Time::midnight() + jiff::SignedDuration::from_micros(clock);
        let mark = format!("{mark:032x}");
        let mark = [&mark[..8], &mark[8..12], &mark[12..16], &mark[16..20], &mark[20..]].join("-");
        json!({"Weight": weight + 0.0, "Clock": clock.to_string(), "Mark": mark, "Extra": extra})
    })
}

fn thing() -> impl Strategy<Value = Json> {
    let some = |values: BoxedStrategy<Json>| prop_oneof![1 => Just(Json::Null), 3 => values].boxed();
    let moment = -2_000_000_000_000_000i64..4_000_000_000_000_000;
    let moment = moment.prop_map(|micros| json!(jiff::Timestamp::from_microsecond(micros).unwrap().to_string()));
    let price = any::<i32>().prop_map(|mills| json!(format!("{:.3}", f64::from(mills) / 1000.0))).boxed();
    let day = (1i32..9999, 1u32..=12, 1u32..=28)
        .prop_map(|(year, month, day)| json!(format!("{year:04}-{month:02}-{day:02}")));
    let state = prop_oneof![Just("open"), Just("half paid"), Just("=paid")].prop_map(|word| json!(word)).boxed();
    (
        some(any::<i64>().prop_map(|number| json!(number)).boxed()),
        some(price),
        some(text().prop_map(|text| json!(text)).boxed()),
        some(text().prop_map(|text| json!(text)).boxed()),
        some(any::<bool>().prop_map(|good| json!(good)).boxed()),
        some(day.boxed()),
        some(moment.boxed()),
        some(state),
        (any::<proptest::sample::Index>(), prop_oneof![1 => Just(json!({})), 3 => seldom()]),
    )
        .prop_map(|(count, price, name, note, good, day, moment, state, (next, seldom))| {
            let mut values = json!({
                "Count": count, "Price": price, "Name": name, "Note": note, "Good": good, "Day": day,
                "Moment": moment, "State": state, "Next": next.index(ROWS), "Last": 1,
            });
            values.as_object_mut().unwrap().extend(seldom.as_object().unwrap().clone());
            values
        })
}

const ROWS: usize = 150;

/// Things with all sorts of values, each of which refers to any other.
fn fill(project: &Project) {
    let mut runner = TestRunner::deterministic();
    let things: Vec<Json> = (0..ROWS).map(|_| thing().new_tree(&mut runner).unwrap().current()).collect();
    let key = |number: usize| format!("k{number}");
    let changes: Vec<Json> = things
        .into_iter()
        .enumerate()
        .map(|(number, mut values)| {
            values["Key"] = json!(key(number));
            values["Next"] =
                json!({"ref": key(values["Next"].as_u64().and_then(|to| to.try_into().ok()).unwrap_or(0))});
            json!({"new": key(number), "entity": "Thing", "values": values})
        })
        .collect();
    let _saved = project.save(&json!({"description": "things", "changes": changes}));
}

/// All values of all things, references by key.
fn query() -> String {
    let columns = COLUMNS
        .map(|name| if name == "Next" { "t.Next.Key as Next".to_owned() } else { format!("t.{name} as {name}") });
    format!("select {} from Thing t order by t.Key", columns.join(", "))
}

#[track_caller]
fn run(project: &Project, words: &[&str]) -> Json {
    project.run_json(words, "").success().json()
}

#[test]
fn what_one_node_writes_another_one_reads() {
    let first = Project::head_office("hamburg", &kinds());
    fill(&first);
    let expected = first.query(&query());
    let check = |file: &str, format: &str, options: &[&str]| {
        let file = first.root().join(file);
        let file = file.to_string_lossy();
        let query = query();
        run(&first, &[&["export", &query, "--format", format, "--out", &file], options].concat());
        let second = Project::head_office("bremen", &kinds());
        let told = run(&second, &[&["import", &file, "--entity", "Thing"], options].concat());
        assert_eq!((told["inserted"].as_u64(), told["failed"].as_u64()), (Some(ROWS as u64), Some(0)), "{options:?}");
        let found = second.query(&query);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{options:?}");
        }
        assert_eq!(found.len(), expected.len());
    };
    check("a.csv", "csv", &[]);
    check("b.csv", "csv", &["--excel", "--decimal", ","]);
    let german = ["--delimiter", "tab", "--decimal", ",", "--date-format", "dd.mm.yyyy", "--zone", "Europe/Berlin"];
    check("c.csv", "csv", &german);
    let times = ["--date-format", "m/d/yyyy hh:mi:ss", "--encoding", "utf-16", "--quote", "'", "--guard-formulas"];
    check("d.csv", "csv", &times);
    check("e.jsonl", "jsonl", &[]);
}

#[test]
fn bad_rows_are_mended_and_taken_in() {
    let project = Project::head_office("hamburg", &kinds());
    let path = |name: &str| project.root().join(name).to_string_lossy().into_owned();
    let content = "Key;Price;Day;Next;Name\r\na;1.234,5;23.11.2026;c;\"M\u{fc}ller\r\n& Sohn\"\r\nb;1,2,3;24.11.2026;a;B\r\n\
                   c;;31.02.2026;;C\r\nd;5 EUR;;nobody;D\r\ne;;;;E\r\n";
    let latin: Vec<u8> = content.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    fs::write(path("a.csv"), latin).unwrap();
    let form = ["--decimal", ",", "--date-format", "dd.mm.yyyy", "--encoding", "windows-1252"];
    let import = |file: &str, errors: &str| {
        let (file, errors) = (path(file), path(errors));
        let words =
            ["import", &file, "--entity", "Thing", "--mode", "upsert", "--on-error", "skip", "--errors", &errors];
        run(&project, &[&words[..], &form].concat())
    };
    let failure = project.run_json(&["import", &path("a.csv"), "--entity", "Thing"], "").error(2, "wrong-encoding");
    assert_eq!(failure["at"], json!({"line": 2, "column": 26}), "{failure}");
    let told = import("a.csv", "bad.csv");
    // The row of a refers to that of c, which is bad.
    assert_eq!((told["inserted"].as_u64(), told["failed"].as_u64()), (Some(1), Some(4)), "{told}");
    let bad: String = fs::read(path("bad.csv")).unwrap().into_iter().map(char::from).collect();
    assert!(bad.contains("a;1.234,5;23.11.2026;c;\"M\u{fc}ller\r\n& Sohn\";"), "{bad}");
    let mended = bad.replace("1,2,3", "1,25").replace("31.02.", "28.02.").replace(";nobody;", ";a;");
    fs::write(
        path("mended.csv"),
        mended.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect::<Vec<_>>(),
    )
    .unwrap();
    let told = import("mended.csv", "none.csv");
    assert_eq!((told["inserted"].as_u64(), told["failed"].as_u64()), (Some(4), Some(0)), "{told}");
    let found = project.query(
        "select t.Key as k, t.Price as p, t.Day as d, t.Next.Key as n, t.Name as m from Thing t where t.Key = 'a'",
    );
    assert_eq!(found, [json!({"k": "a", "p": "1234.500", "d": "2026-11-23", "n": "c", "m": "Müller\r\n& Sohn"})]);
}

#[test]
fn whole_or_not_at_all() {
    let node = RunningNode::start(&Project::head_office("hamburg", &kinds()));
    let project = node.project();
    let path = project.root().join("a.csv");
    let file = path.to_string_lossy();
    let rows: String = (0..3000).map(|number| format!("k{number},k{}\n", 2999 - number)).collect();
    let import = ["import", &file, "--entity", "Thing", "--all-or-nothing"];
    fs::write(&path, format!("Key,Next\n{rows}x,nobody\n")).unwrap();
    let position = || project.status()["log_position"].clone();
    let before = position();
    let failure = project.run_json(&import, "").error(3, "unknown-reference");
    assert_eq!((failure["at"]["line"].as_u64(), position()), (Some(3002), before.clone()));
    let rehearsed = run(project, &["import", &file, "--entity", "Thing", "--dry-run", "--on-error", "skip"]);
    assert_eq!((rehearsed["inserted"].as_u64(), rehearsed["failed"].as_u64()), (Some(3000), Some(1)));
    assert_eq!(position(), before);
    fs::write(&path, format!("Key,Next\n{rows}")).unwrap();
    let told = run(project, &import);
    assert_eq!(told["inserted"].as_u64(), Some(3000));
    assert_eq!(position().as_u64(), before.as_u64().map(|before| before + 1));
    let found = project.query("select count(*) as n from Thing t where t.Next is not null");
    assert_eq!(found, [json!({"n": 3000})]);
}

/// The memory that a process holds of its own, in MB, at most.
fn own_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// A million rows, each of which refers to one that comes later: neither side holds them in memory.
#[test]
fn a_million_rows_take_no_memory() {
    if std::env::var_os("MYTISM_LONG").is_none() {
        return;
    }
    const MILLION: u32 = 1_000_000;
    let node = RunningNode::start(&Project::head_office("hamburg", &kinds()));
    let project = node.project();
    let path = project.root().join("a.csv");
    write_many(&path, MILLION);
    let file = path.to_string_lossy();
    let mut command = project.command(&["--json", "import", &file, "--entity", "Thing"]);
    let begun = std::time::Instant::now();
    let mut client = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let (mut ours, mut theirs) = (0, 0);
    while client.try_wait().unwrap().is_none() {
        ours = ours.max(own_memory(client.id()));
        theirs = theirs.max(own_memory(node.pid()));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let output = client.wait_with_output().unwrap();
    let seconds = begun.elapsed().as_secs();
    let told: Json = serde_json::from_slice(&output.stdout).unwrap();
    let figures = format!("{MILLION} rows in {seconds} s, client {ours} MB, node {theirs} MB of their own");
    let _closed = writeln!(std::io::stderr(), "{figures}");
    assert_eq!((told["inserted"].as_u64(), told["failed"].as_u64()), (Some(u64::from(MILLION)), Some(0)));
    assert!(ours < 64 && theirs < 512, "{figures}");
    let found = project.query("select count(*) as n from Thing t where t.Next is not null");
    assert_eq!(found, [json!({"n": MILLION})]);
}

fn write_many(path: &Path, rows: u32) {
    let mut file = BufWriter::new(fs::File::create(path).unwrap());
    writeln!(file, "Key,Count,Price,Name,Day,Next").unwrap();
    for number in 0..rows {
        let next = rows - 1 - number;
        writeln!(file, "k{number},{number},{number}.5,Name of thing {number},2026-11-23,k{next}").unwrap();
    }
    file.flush().unwrap();
}
