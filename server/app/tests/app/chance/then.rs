//! The past is what it was: whatever a head office showed at some position, it and every branch that knows the log show
//! as of that position ever after. And what a transaction did can be undone, and that too.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mytism_app::{App, Context};
use mytism_core::failure::Failure;
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::operation::{ObjectView, QueryRequest, Reply, Request, UndoRequest};
use mytism_disk_under_test::Dice;

use super::OfSeed;
use super::place::Place;
use super::saves;

const QUERIES: [&str; 12] = [
    "from Person order by Code desc",
    "from Firm where Owner is not null",
    "from Parcel",
    "from Line order by Parcel.Number, id",
    "select Code, Boss.Boss.Label from Person where Boss.Label is not null",
    "from SyncConflict",
    "select Code, Owner.Code, Owner.Label from Firm where Owner.Code >= 'w2' order by Owner.Code desc",
    "select Label, count(*) as n from Firm group by Label order by n desc",
    "select count(*) as n, min(Code) as m, max(id) as i from Person",
    "select Parcel.Sender, sum(Amount) as s from Line group by Parcel.Sender",
    "select id from Firm where Code in ('w1', 'w2', 'w3') limit 2",
    "select id, Code from Person where Code like 'w%' order by Code limit 3",
];

/// Everything that a node shows: the answers to some queries, and every object.
#[derive(PartialEq, Debug)]
struct Shown {
    answers: Vec<Vec<Reply>>,
    objects: BTreeMap<ObjectId, ObjectView>,
}

fn call(app: &App, request: Request) -> Result<Vec<Reply>, Failure> {
    let mut replies = Vec::new();
    app.call(&Context::local(), request, &mut |reply| {
        replies.push(reply);
        Ok(())
    })?;
    Ok(replies)
}

fn ids(app: &App) -> Vec<ObjectId> {
    app.view().unwrap().objects_after(0, u32::MAX).unwrap().into_iter().map(|state| state.id).collect()
}

fn shown(app: &App, as_of: Option<&str>) -> Shown {
    let as_of = as_of.map(str::to_owned);
    let queries = QUERIES.iter().flat_map(|text| [(text, false), (text, true)]);
    let answers = queries.map(|(text, deleted)| {
        let (text, as_of) = ((*text).to_owned(), as_of.clone());
        let request = QueryRequest { text, deleted, as_of, ..QueryRequest::default() };
        call(app, Request::Query(request.clone())).unwrap_or_else(|failure| panic!("{request:?}: {failure:?}"))
    });
    let answers = answers.collect();
    let mut objects = BTreeMap::new();
    for object in ids(app) {
        match call(app, Request::Show { object, as_of: as_of.clone() }) {
            Ok(replies) => {
                let Some(Reply::Object(view)) = replies.into_iter().next() else { panic!("no object") };
                objects.insert(object, view);
            }
            Err(failure) => assert_eq!(failure.code, "unknown-object", "{failure:?}"),
        }
    }
    Shown { answers, objects }
}

fn position(app: &App) -> u64 {
    app.view().unwrap().head().unwrap().unwrap().position.number
}

fn for_seeds(play: impl Fn(u64)) {
    if let Some(seed) = std::env::var("MYTISM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return play(seed);
    }
    let long = std::env::var_os("MYTISM_LONG").is_some();
    let until = Instant::now() + Duration::from_secs(if long { 600 } else { 10 });
    for seed in 1.. {
        if Instant::now() > until {
            eprintln!("{} seeds played", seed - 1);
            break;
        }
        play(seed);
    }
}

#[test]
fn the_past_is_what_it_was() {
    for_seeds(|seed| {
        let _told = OfSeed(seed);
        let mut dice = Dice::new(seed);
        let head = Place::head();
        let branch = head.branch("b1");
        let mut then: BTreeMap<u64, Shown> = BTreeMap::new();
        for _ in 0..40 {
            match dice.below(10) {
                0..4 => drop(saves::save(head.app(), &saves::draft(head.app(), &mut dice))),
                4..7 => drop(saves::save(branch.app(), &saves::draft(branch.app(), &mut dice))),
                7 => drop(saves::import(if dice.percent(50) { head.app() } else { branch.app() }, &mut dice)),
                8 => head.take_from(&branch, &mut dice),
                _ => head.give_to(&branch, &mut dice),
            }
            then.entry(position(head.app())).or_insert_with(|| shown(head.app(), None));
        }
        for (at, was) in &then {
            for place in [&head, &branch] {
                let what = format!("{} as of {at}", place.app().identity().name);
                if position(place.app()) >= *at {
                    assert_eq!(&shown_of(place, &at.to_string(), was), was, "{what}");
                } else {
                    let request = QueryRequest {
                        text: QUERIES[0].to_owned(),
                        as_of: Some(at.to_string()),
                        ..QueryRequest::default()
                    };
                    assert_eq!(call(place.app(), Request::Query(request)).unwrap_err().code, "not-yet", "{what}");
                }
            }
        }
        times(&head, &then);
    });
}

/// What is shown as of a position; of objects only those that either knows.
fn shown_of(place: &Place, at: &str, was: &Shown) -> Shown {
    let now = shown(place.app(), Some(at));
    assert_eq!(now.objects.keys().collect::<Vec<_>>(), was.objects.keys().collect::<Vec<_>>());
    now
}

/// A time means the last position by then.
fn times(head: &Place, then: &BTreeMap<u64, Shown>) {
    let rows = head.app().view().unwrap().log_after(0, u32::MAX, usize::MAX).unwrap();
    for row in &rows {
        let last =
            rows.iter().filter(|other| other.committed_at <= row.committed_at).map(|other| other.position.number);
        if let Some(was) = last.max().and_then(|number| then.get(&number)) {
            assert_eq!(&shown(head.app(), Some(&row.committed_at.to_string())).answers, &was.answers);
        }
    }
    let before = shown(head.app(), Some("1999-12-31"));
    assert!(before.objects.is_empty());
    assert_eq!(before, shown(head.app(), Some("0")));
}

fn undo(app: &App, id: TransactionId) -> Result<Option<TransactionId>, Failure> {
    let request = UndoRequest { id, keep_later: false, dry_run: false };
    let replies = call(app, Request::Undo(request))?;
    match replies.last() {
        Some(Reply::Undone(undone)) => {
            assert_eq!((undone.left, undone.done), (0, undone.total), "{replies:?}");
            Ok(undone.transaction)
        }
        other => panic!("{other:?}"),
    }
}

/// What can be told of all objects that are there, but for stamps and versions.
fn values(app: &App) -> BTreeMap<ObjectId, String> {
    let there = shown(app, None).objects.into_values().filter(|view| !view.detail.as_ref().unwrap().deleted);
    there.map(|view| (view.id, format!("{:?}", view.values))).collect()
}

#[test]
fn what_was_done_can_be_undone_and_done_again() {
    for_seeds(|seed| {
        let _told = OfSeed(seed);
        let mut dice = Dice::new(seed);
        let head = Place::head();
        let branch = head.branch("b1");
        let (mut undone, mut refused) = (0, 0);
        for _ in 0..25 {
            let place = if dice.percent(60) { &head } else { &branch };
            let app = place.app();
            let before = values(app);
            let saved = if dice.percent(25) {
                saves::import(app, &mut dice).map(|told| told.id)
            } else {
                saves::save(app, &saves::draft(app, &mut dice)).map(|told| told.id)
            };
            if let Some(id) = saved {
                let after = values(app);
                match undo(app, id) {
                    Ok(undoing) => {
                        undone += 1;
                        assert_eq!(values(app), before, "undo of {id}");
                        let again = undoing.map(|undoing| undo(app, undoing).unwrap_or_else(|f| panic!("{id}: {f:?}")));
                        if again.is_some() || before == after {
                            assert_eq!(values(app), after, "undo of the undo of {id}");
                        }
                    }
                    // What held a deleted object may not hold it again.
                    Err(failure) => {
                        refused += 1;
                        assert_eq!((failure.code.as_str(), values(app)), ("undo-conflict", after));
                    }
                }
            }
            if dice.percent(30) {
                head.take_from(&branch, &mut dice);
                head.give_to(&branch, &mut dice);
            }
        }
        assert!(undone > refused, "{undone} undone, {refused} refused");
    });
}
