//! Short measurements, and what is asked for.

use std::path::Path;

use serde_json::Value as Json;

use super::*;

fn settings(directory: &Path) -> Settings {
    Settings {
        directory: directory.to_owned(),
        time: Duration::from_millis(100),
        rounds: 1,
        long: false,
        postgres: false,
    }
}

/// Runs a measurement in a directory, which must be empty afterwards.
fn measured(bench: Bench) -> Json {
    let directory = tempfile::tempdir().unwrap();
    let document = bench.run(&settings(directory.path())).unwrap()[0].document();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was left");
    document
}

fn number(document: &Json, name: &str) -> f64 {
    document[name].as_f64().unwrap_or_else(|| panic!("{name} in {document}"))
}

#[test]
fn saves_are_measured_and_replayed() {
    for clients in [1, 4] {
        let document = measured(Bench::Commit(commit::Parameters { clients }));
        assert_eq!((&document["bench"], &document["clients"]), (&"commit".into(), &clients.into()));
        for name in ["value", "raw", "ratio", "n", "p50_ms", "p99_ms", "fdatasync_per_s"] {
            assert!(number(&document, name) > 0.0, "{name} in {document}");
        }
        let group = number(&document, "group");
        assert!(if clients == 1 { (group - 1.0).abs() < 0.001 } else { group <= 4.0 }, "{document}");
    }
}

#[test]
fn a_branch_catches_up_and_is_replayed() {
    let document = measured(Bench::Replicate(replicate::Parameters { transactions: 1500 }));
    // The orders, and the customers before them.
    assert_eq!(document["n"], 1501);
    assert!(number(&document, "group") > 100.0, "{document}");
}

#[test]
fn an_import_is_measured_while_others_save() {
    let document = measured(Bench::Import(import::Parameters { rows: 3_000 }));
    assert_eq!((&document["unit"], &document["n"]), (&"rows/s".into(), &3_000.into()));
    for name in ["value", "raw", "p999_ms"] {
        assert!(number(&document, name) > 0.0, "{name} in {document}");
    }
}

#[test]
fn saves_behind_a_long_and_a_short_log_are_measured() {
    let document = measured(Bench::Log(log::Parameters { changes: 2_200 }));
    assert_eq!((&document["bench"], &document["changes"]), (&"log".into(), &2_200.into()));
    for name in ["value", "raw", "start_ms"] {
        assert!(number(&document, name) > 0.0, "{name} in {document}");
    }
}

#[test]
fn steps_behind_a_long_and_a_short_journal_are_measured() {
    let document = measured(Bench::Journal(journal::Parameters { rows: 30_000 }));
    assert_eq!(
        (&document["bench"], &document["rows"], &document["n"]),
        (&"journal".into(), &30_000.into(), &20_000.into())
    );
    for name in ["value", "raw", "ratio"] {
        assert!(number(&document, name) > 0.0, "{name} in {document}");
    }
}

#[test]
fn the_past_is_measured_beside_the_present() {
    for changes in [3, 2_000] {
        let document = measured(Bench::Past(past::Parameters { orders: 2_000, changes }));
        assert_eq!((&document["changes"], &document["unit"]), (&changes.into(), &"queries/s".into()));
        assert!(number(&document, "value") > 0.0 && number(&document, "raw") > 0.0, "{document}");
    }
}

#[test]
fn measurements_are_chosen_by_name() {
    let count = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        chosen(&names).map(|found| found.len()).map_err(|failure| (failure.code, failure.hint))
    };
    assert_eq!(count(&[]), Ok(BENCHES.len()));
    assert_eq!(count(&["commit"]), Ok(2));
    assert_eq!(count(&["protocol"]), Ok(2));
    assert_eq!(count(&["replicate"]), Ok(1));
    assert_eq!(count(&["commit", "replicate", "commit"]), Ok(3));
    let unknown = |hint: &str| Err(("unknown-bench".to_owned(), hint.to_owned()));
    assert_eq!(count(&["comit"]), unknown("did you mean \"commit\"?"));
    assert_eq!(
        count(&["commit", "x"]),
        unknown("there are: commit, protocol, import, log, replicate, catch-up, lag, join, journal, past, query, blob")
    );
}

#[test]
fn queries_are_measured_on_both_engines() {
    for postgres in [false, postgres::installed().is_some()] {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings { postgres, ..settings(directory.path()) };
        let figures = Bench::Query(query::Parameters { orders: 2_000, postgres: false }).run(&settings).unwrap();
        let documents: Vec<Json> = figures.iter().map(|figures| figures.document()).collect();
        let names: Vec<&str> = documents.iter().map(|document| document["query"].as_str().unwrap()).collect();
        assert_eq!(names, ["by id", "50 by index", "count", "path", "aggregate"]);
        for document in documents {
            assert_eq!(document["store"], if postgres { "postgres" } else { "sqlite" });
            assert!(number(&document, "value") > 0.0 && number(&document, "raw") > 0.0, "{document}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "something was left");
    }
}
