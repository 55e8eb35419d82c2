//! The importer against a node that keeps objects by key in a map.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;

use mytism_core::id::{NodeId, ObjectId};
use mytism_core::operation::{ImportMode, Request};

use super::*;
use crate::args::Mode;
use crate::command::fake::Fake;

const RUN: TransactionId = TransactionId { node: NodeId(2), incarnation: 1, counter: 7 };

/// Objects have a key `K`, a reference `To` to another one, and a value `V` that may not be `bad`.
#[derive(Default)]
struct Place {
    objects: RefCell<BTreeMap<String, (ObjectId, Option<String>)>>,
}

impl Place {
    fn answer(&self, request: &Request) -> Result<Vec<Reply>, Failure> {
        match request {
            Request::Import(batch) => self.rows(batch),
            Request::ImportLinks(links) => {
                let objects = self.objects.borrow();
                let close = |link: &OpenReference| match objects.contains_key(&link.key) {
                    true => RowOutcome::Updated(link.object),
                    false => failed(&format!("no target {}", link.key)),
                };
                let rows = links.links.iter().map(close).collect();
                Ok(vec![Reply::Imported(Imported { run: Some(links.run), rows, open: Vec::new() })])
            }
            other => panic!("{other:?}"),
        }
    }

    fn rows(&self, batch: &ImportBatch) -> Result<Vec<Reply>, Failure> {
        if let Some(unknown) = batch.columns.iter().find(|column| !["K", "V", "To"].contains(&column.as_str())) {
            return Err(
                Failure::usage("unknown-attribute", format!("E has no attribute \"{unknown}\"")).hint("did you mean?")
            );
        }
        let mut objects = self.objects.borrow_mut();
        let before = objects.clone();
        let (mut rows, mut open) = (Vec::new(), Vec::new());
        for (number, row) in (0..).zip(&batch.rows) {
            let get =
                |name: &str| batch.columns.iter().position(|column| column == name).and_then(|at| row[at].clone());
            let (key, value, to) = (get("K").unwrap_or_default(), get("V"), get("To"));
            if value.as_deref() == Some("bad") {
                rows.push(failed("V is bad"));
                if batch.skip_bad_rows {
                    continue;
                }
                *objects = before;
                return Err(Failure::refused("wrong-value", "V is bad").at(u32::try_from(number).unwrap(), 0));
            }
            let id = ObjectId::new(1000 + i64::try_from(objects.len()).unwrap()).unwrap();
            let found = objects.get(&key).cloned();
            rows.push(match (&found, batch.mode) {
                (Some((id, old)), ImportMode::Upsert) if *old == value => RowOutcome::Unchanged(*id),
                (Some((id, _)), ImportMode::Upsert) => RowOutcome::Updated(*id),
                (Some(_), _) => failed("K is there"),
                (None, _) => RowOutcome::Inserted(id),
            });
            let object = found.map_or(id, |(id, _)| id);
            if let Some(to) = to.filter(|to| !objects.contains_key(to)) {
                open.push(OpenReference { row: number, object, attribute: "To".into(), key: to });
            }
            objects.insert(key, (object, value));
        }
        if batch.dry_run {
            *objects = before;
        }
        let saved = rows.iter().any(|row| matches!(row, RowOutcome::Inserted(_) | RowOutcome::Updated(_)));
        let run = batch.run.or((saved && !batch.dry_run).then_some(RUN));
        Ok(vec![Reply::Imported(Imported { run, rows, open })])
    }
}

fn failed(message: &str) -> RowOutcome {
    RowOutcome::Failed { code: "bad-row".into(), message: message.into() }
}

struct Done {
    /// The document, or the failure.
    result: Result<String, Failure>,
    /// Content of the file of bad rows.
    errors: Option<String>,
    asked: Vec<Request>,
}

fn import(name: &str, content: &str, change: impl FnOnce(&mut args::Import)) -> Done {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    fs::write(&file, content).unwrap();
    let errors = directory.path().join("errors");
    let mut arguments = args::Import {
        file,
        entity: "E".into(),
        key: None,
        maps: Vec::new(),
        mode: Mode::Insert,
        on_error: OnError::Stop,
        errors: None,
        dry_run: false,
    };
    change(&mut arguments);
    if arguments.errors.is_some() {
        arguments.errors = Some(errors.clone());
    }
    let place = Place::default();
    place.objects.borrow_mut().insert("old".into(), (ObjectId::new(1).unwrap(), Some("1".into())));
    let node = Fake::new(|request: &Request| place.answer(request));
    let mut bytes = Vec::new();
    let mut output = Output::to(&mut bytes, true);
    let result = run(&node, &arguments, &mut output).map_err(|trouble| trouble.failure);
    output.finish().unwrap();
    Done {
        result: result.map(|()| String::from_utf8(bytes).unwrap()),
        errors: fs::read_to_string(errors).ok(),
        asked: node.asked.into_inner(),
    }
}

fn skip(arguments: &mut args::Import) {
    arguments.on_error = OnError::Skip;
    arguments.errors = Some("asked for".into());
}

fn told(run: &str, [read, inserted, updated, skipped, failed]: [u64; 5]) -> String {
    format!(
        "{{\"import\":{run},\"read\":{read},\"inserted\":{inserted},\"updated\":{updated},\"skipped\":{skipped},\"failed\":{failed}}}\n"
    )
}

#[test]
fn rows_are_counted_and_empty_cells_are_null() {
    let done = import("a.csv", "K,V\na,1\nb,\n", |_| {});
    assert_eq!(done.result.unwrap(), told("\"2-1-7\"", [2, 2, 0, 0, 0]));
    let [Request::Import(batch)] = &done.asked[..] else { panic!("{:?}", done.asked) };
    assert_eq!(batch.rows, [[Some("a".to_owned()), Some("1".into())], [Some("b".into()), None]]);
    assert_eq!(batch.description, "import of a.csv");
    assert_eq!(import("a.csv", "K\n", |_| {}).result.unwrap(), told("null", [0; 5]));
}

#[test]
fn large_files_go_in_batches_under_one_import() {
    let rows: String = (0..2500).map(|number| format!("k{number},{number}\n")).collect();
    let done = import("a.csv", &format!("K,V\n{rows}"), |_| {});
    assert_eq!(done.result.unwrap(), told("\"2-1-7\"", [2500, 2500, 0, 0, 0]));
    let batches: Vec<_> = done
        .asked
        .iter()
        .map(|request| match request {
            Request::Import(batch) => (batch.rows.len(), batch.run),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(batches, [(1000, None), (1000, Some(RUN)), (500, Some(RUN))]);
}

#[test]
fn what_is_there_is_updated_or_unchanged() {
    let done = import("a.jsonl", "{\"K\":\"old\",\"V\":1}\n{\"K\":\"old\",\"V\":2}\n{\"K\":\"new\"}\n", |arguments| {
        arguments.mode = Mode::Upsert;
    });
    assert_eq!(done.result.unwrap(), told("\"2-1-7\"", [3, 1, 1, 1, 0]));
    assert_eq!(done.asked.len(), 2, "other columns are another batch");
}

#[test]
fn columns_are_mapped_and_left_out() {
    let done = import("a.csv", "Key,V,Junk\na,1,x\n", |arguments| {
        arguments.maps = vec![("Key".into(), "K".into()), ("Junk".into(), String::new())];
    });
    let [Request::Import(batch)] = &done.asked[..] else { panic!("{:?}", done.asked) };
    assert_eq!((batch.columns.join(" "), batch.rows[0].len()), ("K V".into(), 2));
    let check = |maps: &[(&str, &str)], code: &str, hint: &str| {
        let done = import("a.csv", "K,ToID\na,1\n", |arguments| {
            arguments.maps = maps.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        });
        let failure = done.result.unwrap_err();
        assert_eq!((failure.code.as_str(), failure.kind.exit_status()), (code, 2), "{failure:?}");
        assert!(failure.hint.contains(hint), "{failure:?}");
    };
    check(&[("ToIDs", "To")], "unknown-column", "did you mean \"ToID\"?");
    check(&[], "unknown-attribute", "did you mean?\n--map ToID=To names its attribute, --map ToID= leaves");
    check(&[("ToID", "Two")], "unknown-attribute", "--map ToID=");
    check(&[("K", ""), ("ToID", "")], "wrong-file", "--map");
}

#[test]
fn the_first_bad_row_ends_it_with_its_line() {
    let rows: String = (0..1000).map(|number| format!("k{number},\n")).collect();
    let check = |content: String, message: &str, hint: &str, line: u32| {
        let failure = import("a.csv", &content, |_| {}).result.unwrap_err();
        assert!(failure.message.ends_with(message), "{failure:?}");
        assert!(failure.hint.contains(hint), "{failure:?}");
        assert_eq!(failure.at.map(|place| (place.line, place.column)), Some((line, 1)), "{failure:?}");
        assert_eq!(failure.kind.exit_status(), 3);
    };
    check("K,V\na,1\n\"b\nb\",1\nc,bad\n".into(), "a.csv line 5: V is bad", "", 5);
    check("K,V\na\n".into(), "a.csv line 2: the row has 1 cell, the header line 2", "", 2);
    let saved = "1000 rows before it were saved, as import 2-1-7";
    check(format!("K,V\n{rows}a,\nb,bad\n"), "a.csv line 1003: V is bad", saved, 1003);
}

#[test]
fn bad_rows_are_passed_over_into_a_file() {
    let done = import("a.csv", "K;V\na;1\nb;bad\n\"c;\";bad\nd\ne;5\n", skip);
    assert_eq!(done.result.unwrap(), told("\"2-1-7\"", [5, 2, 0, 0, 3]));
    let errors = done.errors.unwrap();
    let mut lines: Vec<&str> = errors.lines().collect();
    lines.sort_unstable();
    let expected = ["\"c;\";bad;V is bad", "K;V;error", "b;bad;V is bad", "d;the row has 1 cell, the header line 2"];
    assert_eq!(lines, expected);
    let done = import("a.jsonl", "{\"K\":\"b\",\"V\":\"bad\"}\nnonsense\n", skip);
    assert_eq!(done.result.unwrap(), told("null", [2, 0, 0, 0, 2]));
    let errors = done.errors.unwrap();
    assert!(errors.contains("{\"K\":\"b\",\"V\":\"bad\",\"error\":\"V is bad\"}\n"), "{errors}");
    assert!(errors.contains("{\"row\":\"nonsense\",\"error\":\"no JSON"), "{errors}");
}

#[test]
fn references_to_later_rows_are_closed_at_the_end() {
    let done = import("a.csv", "K,To\na,b\nb,a\n", |_| {});
    assert_eq!(done.result.unwrap(), told("\"2-1-7\"", [2, 2, 0, 0, 0]));
    let [_, Request::ImportLinks(links)] = &done.asked[..] else { panic!("{:?}", done.asked) };
    let expected =
        OpenReference { row: 0, object: ObjectId::new(1001).unwrap(), attribute: "To".into(), key: "b".into() };
    assert_eq!((links.run, &links.links[..]), (RUN, &[expected][..]));
}

#[test]
fn a_row_whose_target_never_comes_is_bad_after_all() {
    let content = "K,To\na,b\nb,\nc,nobody\n";
    let failure = import("a.csv", content, |_| {}).result.unwrap_err();
    assert!(failure.message.ends_with("a.csv line 4: no target nobody"), "{failure:?}");
    let done = import("a.csv", content, skip);
    assert_eq!(done.result.unwrap(), told("\"2-1-7\"", [3, 2, 0, 0, 1]));
    assert_eq!(done.errors.unwrap(), "K,To,error\nc,nobody,no target nobody\n");
    let unchanged = import("a.csv", "K,V,To\nold,1,nobody\n", |arguments| {
        arguments.mode = Mode::Upsert;
        skip(arguments);
    });
    assert_eq!(unchanged.result.unwrap(), told("null", [1, 0, 0, 0, 1]), "no import was begun, so nobody is asked");
    assert_eq!(unchanged.asked.len(), 1);
}

#[test]
fn an_unchanged_row_whose_reference_is_closed_was_updated() {
    let done = import("a.csv", "K,V,To\nold,1,new\nnew,,\n", |arguments| arguments.mode = Mode::Upsert);
    assert_eq!(done.result.unwrap(), told("\"2-1-7\"", [2, 1, 1, 0, 0]));
}

#[test]
fn a_dry_run_closes_nothing() {
    let done = import("a.csv", "K,To\na,nobody\n", |arguments| arguments.dry_run = true);
    assert_eq!(done.result.unwrap(), told("null", [1, 1, 0, 0, 0]));
    assert_eq!(done.asked.len(), 1);
}

#[test]
fn the_file_of_bad_rows_is_not_the_file_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.csv");
    fs::write(&file, "K\na\n").unwrap();
    let check = |errors: &str, on_error: OnError, message: &str| {
        let arguments = args::Import {
            file: file.clone(),
            entity: "E".into(),
            key: None,
            maps: Vec::new(),
            mode: Mode::Insert,
            on_error,
            errors: Some(directory.path().join(errors)),
            dry_run: false,
        };
        let node = Fake::new(|_: &Request| Ok(Vec::new()));
        let failure = run(&node, &arguments, &mut Output::to(std::io::sink(), true)).unwrap_err().failure;
        assert!(failure.message.contains(message), "{failure:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "K\na\n");
    };
    check("./a.csv", OnError::Skip, "names the file that is imported");
    check("b.csv", OnError::Stop, "without --on-error skip");
    check("b.csv", OnError::Skip, "answered something else");
}
