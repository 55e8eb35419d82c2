//! A dry run of an import says what the import then does: the same counts and the same bad rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mytism_testkit::Project;
use serde_json::Value as Json;

/// What is there before.
const OFFICES: &str = "Town\nBonn\n";
const PEOPLE: &str = "Number,Code,Name,Boss\n1,one,Adler,\n2,two,Busch,1\n3,three,Claus,\n";

const MODES: [&str; 3] = ["insert", "update", "upsert"];

fn schema() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/rehearsal.xml")
}

fn project() -> Project {
    let project = Project::head_office("hamburg", &schema());
    for (entity, content) in [("Office", OFFICES), ("Person", PEOPLE)] {
        let file = project.root().join("before.csv");
        fs::write(&file, content).unwrap();
        let _imported = project.run_json(&["import", &file.to_string_lossy(), "--entity", entity], "").success();
    }
    project
}

/// What an import told: its last document, what became of each row where that was asked for, and the bad rows without
/// the reasons, in the order of the alphabet.
#[derive(PartialEq, Eq, Debug)]
struct Told {
    counts: [Option<u64>; 5],
    rows: BTreeMap<String, u64>,
    bad: Vec<String>,
}

fn import(project: &Project, content: &str, options: &[&str]) -> Told {
    let file = project.root().join("rows.csv");
    let errors = project.root().join("errors.csv");
    let _gone = fs::remove_file(&errors);
    fs::write(&file, content).unwrap();
    let (file, errors) = (file.to_string_lossy().into_owned(), errors.to_string_lossy().into_owned());
    let mut arguments = vec!["import", &file, "--on-error", "skip", "--errors", &errors];
    arguments.extend(options);
    let mut documents = project.documents(&arguments);
    let last = documents.pop().expect("an import tells its counts");
    // What is told of a row last is what counts.
    let mut outcomes = BTreeMap::new();
    for document in &documents {
        outcomes.insert(document["line"].as_u64(), document["outcome"].as_str().unwrap_or_default().to_owned());
    }
    let mut rows = BTreeMap::new();
    for outcome in outcomes.into_values() {
        *rows.entry(outcome).or_default() += 1;
    }
    Told { counts: counts(&last), rows, bad: bad_rows(Path::new(&errors), content) }
}

fn counts(told: &Json) -> [Option<u64>; 5] {
    ["read", "inserted", "updated", "skipped", "failed"].map(|name| told[name].as_u64())
}

/// The bad rows without their last column.
fn bad_rows(errors: &Path, content: &str) -> Vec<String> {
    let width = content.lines().next().unwrap_or_default().split(',').count();
    let errors = fs::read_to_string(errors).unwrap_or_default();
    let cut = |line: &str| line.split(',').take(width).collect::<Vec<_>>().join(",");
    let mut bad: Vec<String> = errors.lines().skip(1).map(cut).collect();
    bad.sort();
    bad
}

/// A dry run and the import after it tell the same.
#[track_caller]
fn check(name: &str, content: &str, options: &[&str]) {
    let project = project();
    let dry: Vec<&str> = options.iter().copied().chain(["--dry-run", "--rows"]).collect();
    let before = import(&project, content, &dry);
    let after = import(&project, content, options);
    let about = format!("{name} {options:?}\n{content}");
    assert_eq!((before.counts, &before.bad), (after.counts, &after.bad), "{about}");
    let outcomes = ["inserted", "updated", "skipped", "failed"];
    let told = outcomes.map(|outcome| Some(before.rows.get(outcome).copied().unwrap_or(0)));
    assert_eq!(told, [after.counts[1], after.counts[2], after.counts[3], after.counts[4]], "rows of {about}");
}

#[test]
fn a_dry_run_says_what_the_import_does() {
    let files = [
        ("backward", "Number,Code,Boss\n10,j,\n11,k,10\n12,l,11\n"),
        ("forward", "Number,Code,Boss\n10,j,11\n11,k,12\n12,l,\n"),
        ("itself", "Boss,Number,Code\n10,10,j\n11,11,k\n"),
        ("in a circle", "Number,Code,Boss\n10,j,11\n11,k,12\n12,l,10\n"),
        ("of what was there", "Number,Code,Name,Boss\n1,one,Adler,2\n2,two,Busch,1\n3,three,Claus,4\n4,four,Dorn,3\n"),
        ("nowhere", "Number,Code,Boss\n10,j,99\n11,k,10\n12,l,98\n1,one,97\n"),
        ("nowhere in a chain", "Number,Code,Boss\n10,j,11\n11,k,12\n12,l,13\n13,m,99\n"),
        ("to a bad row", "Number,Code,Boss\n10,j,11\n11,one,\n11x,k,10\n1,two,11\n"),
        ("two at once", "Number,Code,Boss,Deputy\n10,j,11,99\n11,k,99,10\n12,l,13,11\n13,m,12,12\n"),
        ("twice the same", "Number,Code,Boss\n10,j,11\n10,j,12\n11,k,10\n12,l,\n"),
        ("to a bad row of another reason", "Number,Code,Boss,Office\n10,j,11,Bonn\n11,k,10,Nowhere\n12,l,11,Bonn\n"),
        ("a bad row keeps its key", "Number,Code,Office\n10,j,Nowhere\n10,k,Bonn\n"),
        ("no target among them", "Number,Code,Mentor\n10,j,11\n11,k,\n"),
        ("an unchanged row", "Number,Code,Boss\n3,three,10\n10,j,\n3,three,99\n"),
        ("new keys", "Number,Code,Boss\n7,one,\n8,two,7\n9,three,2\n10,j,9\n"),
        ("a key that is only passing", "Number,Code,Boss\n7,one,\n8,one,\n3,three,7\n11,k,8\n"),
        ("no key column", "Code,Boss\none,3\nj,3\n,77\n"),
    ];
    for (name, content) in files {
        for mode in MODES {
            for key in [&[][..], &["--key", "Code"]] {
                if key.is_empty() && name == "no key column" && mode != "insert" {
                    continue;
                }
                let options: Vec<&str> =
                    ["--entity", "Person", "--mode", mode].into_iter().chain(key.iter().copied()).collect();
                check(name, content, &options);
            }
        }
    }
}

#[test]
fn a_dry_run_of_sub_objects_says_what_the_import_does() {
    let content = "Number,Code,Boss,Mentor\n10,j,11,12\n11,k,12,\n12,l,,10\n13,m,14,14\n";
    for key in [&[][..], &["--key", "Code"]] {
        let options: Vec<&str> =
            ["--entity", "Manager", "--mode", "upsert"].into_iter().chain(key.iter().copied()).collect();
        check("sub-objects", content, &options);
    }
}

/// More rows than the node sees at once.
#[test]
fn a_dry_run_of_many_rows_says_what_the_import_does() {
    let row = |number: usize| format!("{},c{number},{}\n", 100 + number, 100 + (number * 7 + 13) % 2510);
    let content = format!("Number,Code,Boss\n{}", (0..2500).map(row).collect::<String>());
    for key in [&[][..], &["--key", "Code"]] {
        let options: Vec<&str> =
            ["--entity", "Person", "--mode", "upsert"].into_iter().chain(key.iter().copied()).collect();
        check("many rows", &content, &options);
    }
}
