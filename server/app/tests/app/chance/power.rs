//! A head office and a branch on disks that lose power while several threads save, import and exchange. What was
//! acknowledged at a node is there when it starts again, whole, and so is everything that its log says.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use mytism_app::surroundings::Machine;
use mytism_app::{App, AppError, Context};
use mytism_core::id::{ObjectId, TransactionId};
use mytism_core::operation::{ChangeRequest, ChangeTarget, Input, Reply, Request, SaveRequest};
use mytism_disk_under_test::{Dice, Disk, Moment, Recording, flaws};
use mytism_format::transaction;
use mytism_store::sqlite::{Durability, SqliteStore};
use mytism_store::{StoreError, View};

use super::model::Model;
use super::place::Place;
use super::{saves, verdict};

/// What a node on a disk under test did.
struct Told {
    recording: Recording,
    /// When it had come to life.
    made: Moment,
    /// What was acknowledged, and when.
    saves: Vec<(Moment, TransactionId)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Honesty {
    Honest,
    Careless,
    Lying,
}

/// Lets a head office and a branch work, and returns what each of them told.
fn work(honesty: Honesty, dice: &mut Dice) -> [Told; 2] {
    let durability = if honesty == Honesty::Careless { Durability::None } else { Durability::Full };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disks = [one.path(), other.path()].map(|path| Disk::watch(path).unwrap());
    if honesty == Honesty::Lying {
        disks.iter().for_each(Disk::lie);
    }
    let head = Place::head_in(one, durability);
    let head_made = disks[0].now();
    let branch = head.branch_in("b1", other, durability);
    let made = [head_made, disks[1].now()];
    let mut told = [Vec::new(), Vec::new()];
    let mut places = [head, branch];
    for _ in 0..3 {
        for (told, saves) in told.iter_mut().zip(round(&places, &disks, dice)) {
            told.extend(saves);
        }
        let at = dice.below(2);
        let [head, branch] = places;
        places = if at == 0 { [head.restart(), branch] } else { [head, branch.restart()] };
    }
    drop(places);
    let mut told = told.into_iter();
    [0, 1].map(|at| Told { recording: disks[at].recording(), made: made[at], saves: told.next().unwrap_or_default() })
}

/// Everybody saves at once, while the nodes exchange. Returns what was acknowledged at each.
fn round(places: &[Place; 2], disks: &[Disk; 2], dice: &mut Dice) -> [Vec<(Moment, TransactionId)>; 2] {
    std::thread::scope(|scope| {
        let mut savers = [Vec::new(), Vec::new()];
        for (at, (place, disk)) in places.iter().zip(disks).enumerate() {
            for _ in 0..3 {
                let mut dice = dice.child();
                savers[at].push(scope.spawn(move || {
                    let mut told = Vec::new();
                    for _ in 0..6 {
                        let saved = match dice.below(10) {
                            0 => saves::import(place.app(), &mut dice).map(|told| told.id),
                            1 => bulky(place.app(), &mut dice),
                            _ => saves::save(place.app(), &saves::draft(place.app(), &mut dice)).map(|told| told.id),
                        };
                        told.extend(saved.map(|id| (disk.now(), id)));
                    }
                    told
                }));
            }
        }
        let mut dice = dice.child();
        scope.spawn(move || {
            for _ in 0..4 {
                places[0].take_from(&places[1], &mut dice);
                places[0].give_to(&places[1], &mut dice);
            }
        });
        savers.map(|savers| savers.into_iter().flat_map(|saver| saver.join().unwrap()).collect())
    })
}

/// A save that is large, so that the log of writes grows.
fn bulky(app: &App, dice: &mut Dice) -> Option<TransactionId> {
    let note = ("Note".to_owned(), Input::Text("long ".repeat(1 + dice.below(20_000))));
    save(app, vec![note]).map(|(id, _)| id)
}

/// Makes a person.
fn save(app: &App, values: Vec<(String, Input)>) -> Option<(TransactionId, ObjectId)> {
    let target = ChangeTarget::New { label: "p".to_owned(), entity: "Person".to_owned() };
    let change = ChangeRequest { target, values, expect: Vec::new(), delete: None };
    let request = Request::Save(SaveRequest { description: "a person".to_owned(), changes: vec![change] });
    let mut made = None;
    let result = app.call(&Context::local(), request, &mut |reply| {
        if let Reply::Saved(saved) = reply {
            made = saved.transaction.zip(saved.ids.first().map(|(_, id)| *id));
        }
        Ok(())
    });
    result.ok().and(made)
}

impl Told {
    fn moment(&self, dice: &mut Dice) -> Moment {
        match dice.pick(&self.saves) {
            Some((moment, _)) if dice.percent(50) => *moment,
            _ => Moment(self.made.0 + dice.below(self.recording.end().0 - self.made.0 + 1)),
        }
    }

    /// Keeps what a loss of power left, for who looks into a failure: threads do not meet twice in the same way.
    fn keep(&self, at: Moment, mut dice: Dice) -> String {
        let kept = tempfile::tempdir().unwrap().keep();
        self.recording.lose_power(at, &mut dice, &kept).unwrap();
        format!("; what was left is kept in {}", kept.display())
    }

    /// Loses power, starts the node on what is left, and holds it against what was acknowledged.
    fn lose_power(&self, at: Moment, dice: &mut Dice) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        self.recording.lose_power(at, dice, directory.path()).unwrap();
        let sure: Vec<_> = self.saves.iter().filter(|(moment, _)| *moment <= at).map(|(_, id)| *id).collect();
        let judged = catch_unwind(AssertUnwindSafe(|| judge(directory.path(), &sure)));
        judged.unwrap_or_else(|_| Err("what it shows is not what its log says".to_owned()))
    }
}

/// Starts a node and holds it against its log and what was acknowledged; then lets it go on.
fn judge(directory: &Path, sure: &[TransactionId]) -> Result<(), String> {
    let app = open(directory)?;
    let flaws = flaws(&directory.join("objects.db")).map_err(|error| error.to_string())?;
    if !flaws.is_empty() {
        return Err(flaws);
    }
    let view = app.view().unwrap();
    let mut model = Model::default();
    model.check(&*view, "after the loss of power");
    if view.pending_count().unwrap() == 0 {
        model.check_history(&*view, "after the loss of power");
    }
    verdict::ids(&model);
    let there = transactions(&model, &*view);
    if let Some(lost) = sure.iter().find(|id| !there.contains(id)) {
        return Err(format!("{lost} was acknowledged and is lost"));
    }
    // The next ones are new, and stay.
    for _ in 0..3 {
        if let Some((id, object)) = save(&app, Vec::new()) {
            assert!(!there.contains(&id), "{id} is given a second time");
            assert!(!model.named.contains(&object), "{object:?} is given a second time");
        }
    }
    let before = app.view().unwrap().object_count().unwrap();
    drop((view, app));
    let again = open(directory)?.view().unwrap().object_count().unwrap();
    if again == before { Ok(()) } else { Err(format!("{before} objects were there, now {again}")) }
}

fn open(directory: &Path) -> Result<App, String> {
    let store = SqliteStore::open(directory).map_err(|error| format!("it does not open: {error}"))?;
    let schema = store.schema();
    App::open(Arc::new(store), schema, Arc::new(Machine::default()))
        .map_err(|error| format!("it does not start: {error}"))
}

/// All transactions that a node knows, in the log and pending.
fn transactions(model: &Model, view: &dyn View) -> BTreeSet<TransactionId> {
    let pending = view.pending_after(i64::MIN, u32::MAX, usize::MAX).unwrap();
    let pending = pending.into_iter().map(|row| transaction::read(row.bytes).unwrap().transaction.id);
    model.steps.iter().map(|step| step.id).chain(pending).collect()
}

fn play(seed: u64, honesty: Honesty) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let told = work(honesty, &mut dice);
    if honesty == Honesty::Honest {
        assert!(told.iter().all(|told| told.saves.len() > 10), "hardly anything was saved");
    }
    for told in &told {
        for _ in 0..8 {
            let at = told.moment(&mut dice);
            let before = dice.clone();
            told.lose_power(at, &mut dice).map_err(|error| {
                let image = if honesty == Honesty::Honest { told.keep(at, before) } else { String::new() };
                format!("power lost at {} of {}: {error}; MYTISM_SEED={seed}{image}", at.0, told.recording.end().0)
            })?;
        }
    }
    Ok(())
}

fn seeds(usual: u64) -> Vec<u64> {
    match std::env::var("MYTISM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None if std::env::var_os("MYTISM_LONG").is_some() => (1..=usual * 100).collect(),
        None => (1..=usual).collect(),
    }
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() {
    for seed in seeds(4) {
        play(seed, Honesty::Honest).unwrap();
    }
}

#[test]
fn nodes_that_do_not_sync_are_found_to_lose() {
    assert!((1..=2).all(|seed| play(seed, Honesty::Careless).is_err()));
}

#[test]
fn nodes_on_disks_that_lie_are_found_to_lose() {
    assert!((1..=2).all(|seed| play(seed, Honesty::Lying).is_err()));
}

/// Power is lost at every moment while a head office comes to life: it is whole, or it says that it is unfinished.
#[test]
fn a_head_office_comes_to_life_at_once_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::watch(directory.path()).unwrap();
    drop(Place::head_in(directory, Durability::Full));
    let recording = disk.recording();
    let (mut whole, mut unfinished) = (0, 0);
    for seed in seeds(2) {
        let mut dice = Dice::new(seed);
        for at in 0..=recording.end().0 {
            let directory = tempfile::tempdir().unwrap();
            recording.lose_power(Moment(at), &mut dice, directory.path()).unwrap();
            if begins(directory.path(), at, 2) {
                judge(directory.path(), &[]).unwrap();
                whole += 1;
            } else {
                unfinished += 1;
            }
        }
    }
    assert!(whole > 0 && unfinished > 0);
}

/// The same while a branch is filled with what the head office holds.
#[test]
fn a_branch_comes_to_life_at_once_or_not_at_all() {
    let head = Place::head_in(tempfile::tempdir().unwrap(), Durability::None);
    (0..20).for_each(|_| assert!(save(head.app(), Vec::new()).is_some()));
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::watch(directory.path()).unwrap();
    let branch = head.branch_in("b1", directory, Durability::Full);
    let recording = disk.recording();
    let end = branch.app().view().unwrap().head().unwrap().unwrap().position.number;
    for seed in seeds(1) {
        let mut dice = Dice::new(seed);
        let mut ends = [0, 0];
        for time in 0..60 {
            let at = if time % 6 == 0 { recording.end().0 } else { dice.below(recording.end().0) };
            let directory = tempfile::tempdir().unwrap();
            recording.lose_power(Moment(at), &mut dice, directory.path()).unwrap();
            let is_whole = begins(directory.path(), at, end);
            if is_whole {
                judge(directory.path(), &[]).unwrap();
            }
            assert!(is_whole || at < recording.end().0, "a whole branch is gone");
            ends[usize::from(is_whole)] += 1;
        }
        assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
    }
}

/// Whether a node came to life, with all that its log shall hold; else it must say that it did not.
fn begins(directory: &Path, at: usize, entries: u64) -> bool {
    let store = match SqliteStore::open(directory) {
        Ok(store) => store,
        Err(StoreError::Missing { .. } | StoreError::Unfinished { .. }) => return false,
        Err(error) => panic!("power lost at {at}: {error}"),
    };
    let schema = store.schema();
    match App::open(Arc::new(store), schema, Arc::new(Machine::default())) {
        Ok(app) => {
            let end = app.view().unwrap().head().unwrap().map(|head| head.position.number);
            assert_eq!(end, Some(entries), "power lost at {at}: a node with half a beginning");
            true
        }
        Err(AppError::Refused(failure)) if failure.code == "unfinished-database" => false,
        Err(error) => panic!("power lost at {at}: {error}"),
    }
}
