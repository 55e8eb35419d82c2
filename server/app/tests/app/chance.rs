//! A head office and branches that do whatever can be done, in an order that chance decides, and what must hold all the
//! same. `MYTISM_SEED=n` plays one seed again, `MYTISM_LONG=1` plays for ten minutes. Threads meet as the machine lets
//! them, so a seed that fails may need several runs to fail again.

#![allow(clippy::print_stderr, reason = "who reads of a failure must learn the seed")]

mod model;
mod place;
mod power;
mod reader;
mod saves;
mod then;
mod verdict;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mytism_disk_under_test::Dice;
use mytism_store::View;
use tempfile::TempDir;

use model::Model;
use place::Place;
use reader::Reader;
use saves::Told;

#[test]
fn whatever_happens_all_nodes_end_up_equal() {
    if let Some(seed) = std::env::var("MYTISM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        return play(seed);
    }
    let long = std::env::var_os("MYTISM_LONG").is_some();
    let until = Instant::now() + Duration::from_secs(if long { 600 } else { 20 });
    for seed in 1.. {
        if Instant::now() > until {
            eprintln!("{} seeds played", seed - 1);
            break;
        }
        play(seed);
    }
}

/// Says which seed it was when a check fails.
struct OfSeed(u64);

impl Drop for OfSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("play it again with MYTISM_SEED={}", self.0);
        }
    }
}

fn play(seed: u64) {
    let _told = OfSeed(seed);
    let mut cluster = Cluster::new(Dice::new(seed));
    for _ in 0..60 + cluster.dice.below(90) {
        cluster.step();
    }
    for _ in 0..2 {
        cluster.settle();
        cluster.judge();
    }
}

struct Cluster {
    /// The head office first.
    places: Vec<Place>,
    models: Vec<Model>,
    readers: Vec<Reader>,
    acknowledged: Vec<Told>,
    dice: Dice,
    /// How many branches there will be.
    branches: usize,
    /// Copies of databases, by place.
    backups: BTreeMap<usize, TempDir>,
    /// How many lives were begun, and reigns.
    lives: u32,
    reigns: u32,
}

impl Cluster {
    fn new(mut dice: Dice) -> Self {
        let head = Place::head();
        let branches = 2 + dice.below(2);
        let places = vec![head.branch("b1")];
        let readers = vec![Reader::default(), Reader::of(&places[0])];
        let (models, acknowledged, backups) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut cluster = Self { places, models, readers, acknowledged, dice, branches, backups, lives: 1, reigns: 1 };
        cluster.places.insert(0, head);
        cluster.models.resize_with(2, Model::default);
        cluster
    }

    fn step(&mut self) {
        let at = self.dice.below(self.places.len());
        match self.dice.below(100) {
            0..6 => self.acknowledged.extend(self.readers[at].follow(&self.places[at], &mut self.dice)),
            6..55 => {
                let app = self.places[at].app();
                let request = saves::draft(app, &mut self.dice);
                self.acknowledged.extend(saves::save(app, &request));
            }
            55..60 => self.acknowledged.extend(saves::import(self.places[at].app(), &mut self.dice)),
            60..90 => self.exchange(at.max(1)),
            90..92 => self.restart(at),
            92 => self.roll_back(at.max(1)),
            93 => self.remember(at),
            94 => self.put_back(at),
            95..98 => self.storm(),
            _ => self.join(),
        }
        if self.dice.percent(35) {
            self.check(at);
        }
    }

    fn exchange(&mut self, at: usize) {
        let (head, branch) = (&self.places[0], &self.places[at]);
        if self.dice.percent(60) {
            head.take_from(branch, &mut self.dice);
        }
        if self.dice.percent(60) {
            head.give_to(branch, &mut self.dice);
        }
        self.check(at);
    }

    /// A branch forgets a part of the log as if the head office went on without it, and then does not after all.
    fn roll_back(&mut self, at: usize) {
        let app = self.places[at].app();
        let view = app.view().unwrap();
        let end = view.head().unwrap().unwrap().position.number;
        let back = self.dice.below(30) as u64;
        let row = view.log_row(end.saturating_sub(back).max(2)).unwrap().unwrap();
        drop(view);
        assert_eq!(app.roll_back(row.position, row.hash).unwrap(), row.position);
        self.check(at);
    }

    /// Copies a database, but none that is a copy itself and has yet to hear that its names are taken: what waits there
    /// is saved anew by each copy.
    fn remember(&mut self, at: usize) {
        let place = &self.places[at];
        let is_copy = place.app().identity().incarnation > 1;
        if at == 0 || !is_copy || place.app().view().unwrap().pending_count().unwrap() == 0 {
            self.backups.insert(at, place.backup());
        }
    }

    /// A node is put back from a copy of its database, if there is one.
    fn put_back(&mut self, at: usize) {
        let Some(backup) = self.backups.remove(&at) else { return };
        if at == 0 { self.put_back_head(backup) } else { self.put_back_branch(at, backup) }
    }

    fn replace(&mut self, at: usize, backup: TempDir) {
        let place = self.places.remove(at).put_back(backup);
        self.readers[at] = Reader::anew(&place);
        self.models[at] = Model::default();
        self.places.insert(at, place);
        self.check(at);
    }

    /// What the branch saved is known elsewhere; its older self speaks under the same names until it hears of it.
    fn put_back_branch(&mut self, at: usize, backup: TempDir) {
        self.settle_one(at);
        self.replace(at, backup);
        for _ in 0..self.dice.below(6) {
            let app = self.places[at].app();
            let request = saves::draft(app, &mut self.dice);
            self.acknowledged.extend(saves::save(app, &request));
        }
        self.check(at);
        if self.dice.percent(50) {
            self.places[0].take_from(&self.places[at], &mut self.dice);
        }
        self.lives += 1;
        let place = &self.places[at];
        let block = self.places[0].app().give_block(place.node()).unwrap();
        place.app().renew(self.lives, vec![block]).unwrap();
        self.check(at);
        self.meet(at);
    }

    /// What only the head office had somebody has now; its older self begins a new reign.
    fn put_back_head(&mut self, backup: TempDir) {
        let holder = 1 + self.dice.below(self.places.len() - 1);
        self.hand_down(holder);
        self.replace(0, backup);
        self.reigns += 1;
        self.places[0].app().new_reign(self.reigns).unwrap();
        (1..self.places.len()).for_each(|at| self.meet(at));
        self.settle_one(holder);
        (0..self.places.len()).for_each(|at| self.check(at));
    }

    /// Lets a branch forget what the head office does not have.
    fn meet(&mut self, at: usize) {
        let (theirs, ours) = (self.places[0].app().view().unwrap(), self.places[at].app().view().unwrap());
        let end = |view: &dyn View| view.head().unwrap().unwrap().position.number;
        let row = |view: &dyn View, number| view.log_row(number).unwrap().unwrap();
        let mut number = end(&*theirs).min(end(&*ours));
        while row(&*theirs, number).hash != row(&*ours, number).hash {
            number -= 1;
        }
        let common = row(&*ours, number);
        drop(ours);
        self.places[at].app().roll_back(common.position, common.hash).unwrap();
        self.check(at);
    }

    fn restart(&mut self, at: usize) {
        let place = self.places.remove(at).restart();
        self.places.insert(at, place);
    }

    fn join(&mut self) {
        if self.places.len() <= self.branches {
            let branch = self.places[0].branch(&format!("b{}", self.places.len()));
            self.readers.push(Reader::of(&branch));
            self.places.push(branch);
            self.models.push(Model::default());
        }
    }

    /// Several threads save everywhere while all branches exchange and perhaps another one joins.
    fn storm(&mut self) {
        let join = self.places.len() <= self.branches && self.dice.percent(50);
        // Who joins while a disk is full begins again, which is nothing new to try.
        let failing = if !join && self.dice.percent(40) { 2 + self.dice.below(4) } else { 0 };
        self.places[0].weather(true, failing);
        let (places, dice) = (&self.places, &mut self.dice);
        let name = format!("b{}", places.len());
        let (acknowledged, joined) = std::thread::scope(|scope| {
            let mut savers = Vec::new();
            for place in places {
                for _ in 0..1 + dice.below(3) {
                    let mut dice = dice.child();
                    savers.push(scope.spawn(move || -> Vec<Told> {
                        let rounds = 2 + dice.below(4);
                        let save = |_| saves::save(place.app(), &saves::draft(place.app(), &mut dice));
                        (0..rounds).filter_map(save).collect()
                    }));
                }
            }
            for branch in &places[1..] {
                for _ in 0..2 {
                    let mut dice = dice.child();
                    scope.spawn(move || {
                        for _ in 0..3 {
                            places[0].take_from(branch, &mut dice);
                        }
                    });
                }
                let mut dice = dice.child();
                scope.spawn(move || (0..3).for_each(|_| places[0].give_to(branch, &mut dice)));
            }
            let joined = join.then(|| scope.spawn(|| places[0].branch(&name)));
            let acknowledged: Vec<_> = savers.into_iter().flat_map(|saver| saver.join().unwrap()).collect();
            (acknowledged, joined.map(|thread| thread.join().unwrap()))
        });
        self.acknowledged.extend(acknowledged);
        self.models.extend(joined.iter().map(|_| Model::default()));
        self.readers.extend(joined.iter().map(Reader::of));
        self.places.extend(joined);
        self.places[0].weather(false, 0);
        (0..self.places.len()).for_each(|at| self.check(at));
    }

    fn check(&mut self, at: usize) {
        let place = &self.places[at];
        self.models[at].check(&*place.app().view().unwrap(), &place.app().identity().name);
        self.readers[at].check(place, &mut self.dice);
    }

    /// Exchanges until nothing is left to exchange.
    fn settle(&mut self) {
        (1..self.places.len()).for_each(|at| self.settle_one(at));
        (1..self.places.len()).for_each(|at| self.hand_down(at));
    }

    fn settle_one(&mut self, at: usize) {
        let branch = &self.places[at];
        while branch.app().view().unwrap().pending_count().unwrap() > 0 {
            self.places[0].take_from(branch, &mut self.dice);
            self.places[0].give_to(branch, &mut self.dice);
        }
    }

    fn hand_down(&mut self, at: usize) {
        let (head, branch) = (&self.places[0], &self.places[at]);
        let end = head.app().view().unwrap().head().unwrap();
        while branch.app().view().unwrap().head().unwrap() != end {
            head.give_to(branch, &mut self.dice);
        }
    }

    fn judge(&mut self) {
        (0..self.places.len()).for_each(|at| self.check(at));
        let head = self.places[0].app().view().unwrap();
        for (place, model) in self.places.iter().zip(&self.models) {
            let view = place.app().view().unwrap();
            verdict::equal(&*head, &*view, &place.app().identity().name);
            model.check_history(&*view, &place.app().identity().name);
        }
        let (model, schema) = (&self.models[0], self.places[0].schema());
        verdict::acknowledged(model, &self.acknowledged);
        verdict::ids(model);
        verdict::constraints(&model.things, schema);
        verdict::decisions(model, schema);
    }
}
