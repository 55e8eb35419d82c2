//! The importer against a node that keeps objects by key in a map.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;

use mytism_core::id::{NodeId, ObjectId};
use mytism_core::operation::{ImportMode, Request};

use mytism_intake::encoding::Encoding;
use mytism_intake::layout::Quote;

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
                Ok(vec![Reply::Imported(Imported { run: Some(links.run), rows, ..Imported::default() })])
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
        let key = |(row, outcome): (&Vec<Option<String>>, &RowOutcome)| {
            row.first().cloned().flatten().filter(|_| !matches!(outcome, RowOutcome::Failed { .. }))
        };
        let keys = batch.dry_run.then(|| batch.rows.iter().zip(&rows).map(key).collect());
        let run = batch.run.or((saved && !batch.dry_run).then_some(RUN));
        Ok(vec![Reply::Imported(Imported { run, rows, open, keys, preview: None })])
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

fn arguments(directory: &tempfile::TempDir, name: &str, content: &[u8]) -> args::Import {
    let file = directory.path().join(name);
    fs::write(&file, content).unwrap();
    args::Import {
        file,
        entity: "E".into(),
        key: None,
        maps: Vec::new(),
        mode: Mode::Insert,
        on_error: OnError::Stop,
        errors: None,
        dry_run: false,
        rows: false,
        all_or_nothing: false,
        form: args::FileForm::default(),
    }
}

fn read(
    node: &dyn Operations,
    arguments: &args::Import,
    interrupted: &AtomicBool,
    output: &mut Output<'_>,
) -> Result<(), Trouble> {
    super::import(node, arguments, open(arguments, output)?, interrupted, output)
}

/// The file of bad rows.
fn import_bytes(name: &str, content: &[u8], change: impl FnOnce(&mut args::Import)) -> Vec<u8> {
    import_with(name, content, change).1.unwrap()
}

fn import(name: &str, content: &str, change: impl FnOnce(&mut args::Import)) -> Done {
    import_with(name, content.as_bytes(), change).0
}

fn import_with(name: &str, content: &[u8], change: impl FnOnce(&mut args::Import)) -> (Done, Option<Vec<u8>>) {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = arguments(&directory, name, content);
    let errors = directory.path().join("errors");
    change(&mut arguments);
    if arguments.errors.is_some() {
        arguments.errors = Some(errors.clone());
    }
    let place = Place::default();
    place.objects.borrow_mut().insert("old".into(), (ObjectId::new(1).unwrap(), Some("1".into())));
    let node = Fake::new(|request: &Request| place.answer(request));
    let mut bytes = Vec::new();
    let mut output = Output::to(&mut bytes, true);
    let result = read(&node, &arguments, &AtomicBool::new(false), &mut output).map_err(|trouble| trouble.failure);
    output.finish().unwrap();
    let done = Done {
        result: result.map(|()| String::from_utf8(bytes).unwrap()),
        errors: fs::read_to_string(&errors).ok(),
        asked: node.asked.into_inner(),
    };
    (done, fs::read(errors).ok())
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
fn a_dry_run_looks_targets_up_among_the_rows() {
    let dry = |content: &str, change: fn(&mut args::Import)| {
        import("a.csv", content, |arguments| {
            arguments.dry_run = true;
            change(arguments);
        })
    };
    let rows: String = (0..1500).map(|number| format!("k{number},k{}\n", 1499 - number)).collect();
    let done = dry(&format!("K,To\n{rows}"), |_| {});
    assert_eq!(done.result.unwrap(), told("null", [1500, 1500, 0, 0, 0]));
    assert_eq!(done.asked.len(), 2, "nothing is closed at the node");
    let failure = dry("K,To\na,b\nb,nobody\n", |_| {}).result.unwrap_err();
    assert!(failure.message.ends_with("line 3: To: there is no object with the key \"nobody\""), "{failure:?}");
    let done = dry("K,V,To\na,1,b\nb,bad,\nc,2,nobody\nd,,\n", skip);
    assert_eq!(done.result.unwrap(), told("null", [4, 1, 0, 0, 3]));
    let errors = done.errors.unwrap();
    assert!(errors.starts_with("K,V,To,error\nb,bad,,V is bad\na,1,b,\"To: there is no"), "{errors}");
}

#[test]
fn a_dry_run_says_what_would_become_of_each_row() {
    let rows = |arguments: &mut args::Import| {
        (arguments.dry_run, arguments.rows, arguments.mode) = (true, true, Mode::Upsert);
        skip(arguments);
    };
    let done = import("a.csv", "K,V,To\nold,1,\nold,2,\nnew,,gone\nx,bad,\n", rows);
    let expected = "{\"line\":2,\"outcome\":\"skipped\"}\n\
                    {\"line\":3,\"outcome\":\"updated\"}\n\
                    {\"line\":4,\"outcome\":\"inserted\"}\n\
                    {\"line\":5,\"outcome\":\"failed\",\"code\":\"bad-row\",\"message\":\"V is bad\"}\n\
                    {\"line\":4,\"outcome\":\"failed\",\"code\":\"unknown-reference\",\
                    \"message\":\"To: there is no object with the key \\\"gone\\\"\"}\n";
    assert_eq!(done.result.unwrap(), format!("{expected}{}", told("null", [4, 0, 1, 1, 2])));
}

#[test]
fn all_or_nothing_is_one_batch() {
    let whole = |arguments: &mut args::Import| arguments.all_or_nothing = true;
    let rows: String = (0..2500).map(|number| format!("k{number},{number}\n")).collect();
    let done = import("a.csv", &format!("K,V\n{rows}"), whole);
    assert_eq!(done.result.unwrap(), told("\"2-1-7\"", [2500, 2500, 0, 0, 0]));
    let [Request::Import(batch)] = &done.asked[..] else { panic!("{}", done.asked.len()) };
    assert_eq!((batch.rows.len(), batch.whole), (2500, Some(true)));
    let check = |name: &str, content: &str, change: fn(&mut args::Import), code: &str, message: &str| {
        let done = import(name, content, |arguments| {
            arguments.all_or_nothing = true;
            change(arguments);
        });
        let failure = done.result.unwrap_err();
        assert!(failure.code == code && failure.message.contains(message), "{failure:?}");
        assert!(!failure.hint.contains("were saved, as import"), "{failure:?}");
    };
    check("a.csv", &format!("K,V\n{rows}b,bad\n"), |_| {}, "wrong-value", "line 2502: V is bad");
    check("a.jsonl", "{\"K\":1}\n{\"V\":1}\n", |_| {}, "wrong-row", "line 2: it has other fields");
    check("a.csv", "K\na\n", skip, "wrong-use", "no row can be skipped");
    let many = format!("K,V\n{}", "a,\n".repeat(WHOLE_CELLS_MAX / 3 + 1));
    check("a.csv", &many, |_| {}, "import-too-large", "first too many");
}

#[test]
fn bad_rows_have_the_form_of_the_file() {
    let check = |name: &str, content: &[u8], change: fn(&mut args::Import), expected: &[u8]| {
        let errors = import_bytes(name, content, |arguments| {
            skip(arguments);
            change(arguments);
        });
        let shown = String::from_utf8_lossy(&errors);
        assert_eq!(errors, expected, "{shown}");
    };
    check(
        "a.csv",
        b"\xef\xbb\xbfK;V\r\n\"a\r\n\"\"b\";bad\r\nc;1\r\n",
        |_| {},
        b"\xef\xbb\xbfK;V;error\r\n\"a\r\n\"\"b\";bad;V is bad\r\n",
    );
    check(
        "a.csv",
        b"K\tV\nM\xfcller\tbad\n",
        |arguments| arguments.form.encoding = Some(Encoding::Windows1252),
        b"K\tV\terror\nM\xfcller\tbad\tV is bad\n",
    );
    check(
        "a.csv",
        b"K,V\n'a,b',bad\n",
        |arguments| arguments.form.quote = Some(Quote::Sign(b'\'')),
        b"K,V,error\n'a,b',bad,V is bad\n",
    );
    check(
        "a.csv",
        b"\xff\xfeK\0,\0V\0\n\0a\0,\0b\0a\0d\0\n\0",
        |_| {},
        &[
            b"\xff\xfe".as_slice(),
            &"K,V,error\na,bad,V is bad\n".bytes().flat_map(|byte| [byte, 0]).collect::<Vec<_>>(),
        ]
        .concat(),
    );
    check(
        "a.csv",
        b"K,V\n'=1,bad\n",
        |arguments| arguments.form.guard_formulas = true,
        b"K,V,error\n'=1,bad,V is bad\n",
    );
    check("a.csv", b"K,V,error\na,bad,once\nb,1,twice\n", |_| {}, b"K,V,error\na,bad,V is bad\n");
    check(
        "a.jsonl",
        b"{\"K\":1.50, \"V\":\"bad\", \"error\":\"x\"}\n",
        |_| {},
        b"{\"K\":1.50,\"V\":\"bad\",\"error\":\"V is bad\"}\n",
    );
    check(
        "a.jsonl",
        b"{\"K\":1.50, \"V\":\"bad\"}\r\n",
        |_| {},
        b"{\"K\":1.50, \"V\":\"bad\",\"error\":\"V is bad\"}\r\n",
    );
    check("a.csv", b"K,To\n\"a\nb\",nobody\nc,\n", |_| {}, b"K,To,error\n\"a\nb\",nobody,no target nobody\n");
}

#[test]
fn mended_rows_are_taken_in_without_their_reasons() {
    let done = import("a.csv", "K,V,error\na,1,V is bad\n", |_| {});
    let [Request::Import(batch)] = &done.asked[..] else { panic!("{:?}", done.asked) };
    assert_eq!(batch.columns, ["K", "V"]);
    let done = import("a.csv", "K,error\na,1\n", |arguments| arguments.maps = vec![("error".into(), "V".into())]);
    let [Request::Import(batch)] = &done.asked[..] else { panic!("{:?}", done.asked) };
    assert_eq!(batch.columns, ["K", "V"]);
}

#[test]
fn the_notation_goes_with_the_rows() {
    let done = import("a.csv", "K\n'=a\n", |arguments| {
        arguments.form = args::FileForm {
            decimal: Some(",".into()),
            date_format: Some("dd.mm.yyyy".into()),
            zone: Some("Europe/Berlin".into()),
            guard_formulas: true,
            ..args::FileForm::default()
        };
    });
    let [Request::Import(batch)] = &done.asked[..] else { panic!("{:?}", done.asked) };
    let notation = batch.notation.clone().unwrap();
    assert_eq!(notation.decimal.as_deref(), Some(","));
    assert_eq!(notation.date.as_deref(), Some("dd.mm.yyyy"));
    assert_eq!(notation.zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(batch.rows, [[Some("=a".to_owned())]]);
}

#[test]
fn who_breaks_off_learns_what_was_saved() {
    let rows: String = (0..1000).map(|number| format!("k{number},\n")).collect();
    let directory = tempfile::tempdir().unwrap();
    let arguments = arguments(&directory, "a.csv", format!("K,V\n{rows}last,\n").as_bytes());
    let (place, interrupted) = (Place::default(), AtomicBool::new(false));
    let node = Fake::new(|request: &Request| {
        interrupted.store(true, Ordering::Relaxed);
        place.answer(request)
    });
    let mut output = Output::to(std::io::sink(), true);
    let failure = read(&node, &arguments, &interrupted, &mut output).unwrap_err().failure;
    assert_eq!((failure.code.as_str(), failure.kind.exit_status()), ("interrupted", 1));
    assert!(failure.message.contains("after 1000 rows"), "{failure:?}");
    assert!(failure.hint.contains("1000 rows before it were saved, as import 2-1-7"), "{failure:?}");
    let lost = Fake::new(|_: &Request| Err(Failure::unreachable("connection-lost", "gone")));
    let failure = read(&lost, &arguments, &AtomicBool::new(false), &mut output).unwrap_err().failure;
    assert!(failure.hint.contains("whether the rows of lines 2 to 1001 were saved is not known"), "{failure:?}");
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
            rows: false,
            all_or_nothing: false,
            form: args::FileForm::default(),
        };
        let node = Fake::new(|_: &Request| Ok(Vec::new()));
        let output = &mut Output::to(std::io::sink(), true);
        let failure = read(&node, &arguments, &AtomicBool::new(false), output).unwrap_err().failure;
        assert!(failure.message.contains(message), "{failure:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "K\na\n");
    };
    check("./a.csv", OnError::Skip, "names the file that is imported");
    check("b.csv", OnError::Stop, "without --on-error skip");
    check("b.csv", OnError::Skip, "answered something else");
}
