//! Power is lost at any moment: what was acknowledged is there, nothing is there by half, and the next start needs no
//! help. `MYTISM_SEED=n` plays one recording again, `MYTISM_LONG=1` plays many.

#![allow(clippy::print_stderr, reason = "who reads of a failure must learn the seed")]

use std::path::Path;
use std::sync::Arc;

use mytism_core::schema::Schema;
use mytism_disk_under_test::{Dice, Disk, Moment, Recording};
use mytism_store::sqlite::{Durability, SqliteStore};
use mytism_store::{Store, StoreError};

use super::work::{Writer, content, flaws, schema};

/// A run of commits on a disk that writes down what happens to it.
struct Run {
    recording: Recording,
    /// When each commit was acknowledged; the first is the one that made the database.
    acknowledged: Vec<Moment>,
    /// What the database held then.
    contents: Vec<u64>,
    schema: Arc<Schema>,
    durability: Durability,
}

/// What the disk and the store are asked to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Honesty {
    Honest,
    /// The store does not ask for syncs.
    Careless,
    /// The disk does not do them.
    Lying,
}

impl Run {
    fn new(honesty: Honesty, commits: usize, dice: &mut Dice) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let schema = schema(tempfile::tempdir().unwrap().path());
        let disk = Disk::watch(directory.path()).unwrap();
        if honesty == Honesty::Lying {
            disk.lie();
        }
        let store = SqliteStore::create(directory.path(), Arc::clone(&schema)).unwrap();
        let durability = if honesty == Honesty::Careless { Durability::None } else { Durability::Full };
        let recording = disk.recording();
        let mut run = Self { recording, acknowledged: Vec::new(), contents: Vec::new(), schema, durability };
        run.acknowledged(&disk, directory.path());
        let mut writer = Writer::new(&run.schema, 60_000);
        run.go_on(&disk, directory.path(), store, &mut writer, commits, dice);
        run
    }

    fn acknowledged(&mut self, disk: &Disk, directory: &Path) {
        self.acknowledged.push(disk.now());
        self.contents.push(content(directory).unwrap());
    }

    /// Commits, with the database closed and opened in between.
    fn go_on(
        &mut self,
        disk: &Disk,
        directory: &Path,
        store: SqliteStore,
        writer: &mut Writer,
        commits: usize,
        dice: &mut Dice,
    ) {
        let mut store = Some(store);
        for _ in 0..commits {
            let open = store.take().unwrap();
            open.set_durability(self.durability).unwrap();
            writer.commit(&open, dice).unwrap();
            self.acknowledged(disk, directory);
            let view = dice.percent(20).then(|| open.view().unwrap());
            store = Some(open);
            if dice.percent(4) {
                drop((view, store.take()));
                store = Some(SqliteStore::open(directory).unwrap());
            }
        }
        drop(store);
        self.recording = disk.recording();
    }

    /// A moment at which power is lost: any, or that of an acknowledgement.
    fn moment(&self, dice: &mut Dice) -> Moment {
        let first = self.acknowledged[0].0;
        match dice.pick(&self.acknowledged) {
            Some(moment) if dice.percent(40) => *moment,
            _ => Moment(first + dice.below(self.recording.end().0 - first + 1)),
        }
    }

    /// Loses power and holds what is left against what was acknowledged. Then goes on there, and loses power again.
    fn lose_power(&self, at: Moment, again: bool, dice: &mut Dice) -> Result<(), String> {
        let directory = tempfile::tempdir().unwrap();
        self.recording.lose_power(at, dice, directory.path()).unwrap();
        let disk = Disk::watch(directory.path()).unwrap();
        let sure = self.acknowledged.iter().filter(|moment| **moment <= at).count() - 1;
        let store = SqliteStore::open(directory.path()).map_err(|error| format!("it does not open: {error}"))?;
        let found = content(directory.path()).map_err(|error| error.to_string())?;
        // One commit may have been under way.
        let under_way = (sure + 2).min(self.contents.len());
        if !self.contents[sure..under_way].contains(&found) {
            let known = self.contents.iter().position(|content| *content == found);
            return Err(format!("{sure} commits were acknowledged, it holds {known:?}"));
        }
        let flaws = flaws(directory.path()).map_err(|error| error.to_string())?;
        if !flaws.is_empty() {
            return Err(flaws);
        }
        if again {
            return self.again(&disk, directory.path(), store, found, dice);
        }
        Ok(())
    }

    /// Power is lost while the database recovers from a loss of power, or soon after.
    fn again(
        &self,
        disk: &Disk,
        directory: &Path,
        store: SqliteStore,
        found: u64,
        dice: &mut Dice,
    ) -> Result<(), String> {
        let mut run = Self {
            recording: disk.recording(),
            acknowledged: vec![Moment(0)],
            contents: vec![found],
            schema: Arc::clone(&self.schema),
            durability: Durability::Full,
        };
        // What it writes need not fit to what is there: only properties change.
        let mut writer = Writer::properties_only(&self.schema);
        run.go_on(disk, directory, store, &mut writer, 5, dice);
        for _ in 0..3 {
            run.lose_power(run.moment(dice), false, dice).map_err(|error| format!("the second time: {error}"))?;
        }
        Ok(())
    }
}

fn seeds(usual: u64) -> Vec<u64> {
    match std::env::var("MYTISM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None if std::env::var_os("MYTISM_LONG").is_some() => (1..=usual * 100).collect(),
        None => (1..=usual).collect(),
    }
}

/// Plays a recording and losses of power in it; the first finding, with the words to play it again.
fn play(seed: u64, honesty: Honesty) -> Result<(), String> {
    let mut dice = Dice::new(seed);
    let run = Run::new(honesty, 90, &mut dice);
    if honesty == Honesty::Honest {
        let (pages, writes) = (run.recording.writes("objects.db"), run.recording.writes("objects.db-wal"));
        assert!(pages > 500 && writes > 2_000, "too little was written to reach checkpoints: {pages} {writes}");
    }
    for time in 0..20 {
        let at = run.moment(&mut dice);
        run.lose_power(at, time % 5 == 0, &mut dice).map_err(|error| {
            format!(
                "power lost at {} of {}: {error}; play it again with MYTISM_SEED={seed}",
                at.0,
                run.recording.end().0
            )
        })?;
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() {
    for seed in seeds(3) {
        play(seed, Honesty::Honest).unwrap();
    }
}

#[test]
fn commits_without_syncs_are_found_to_lose() {
    assert!((1..3).all(|seed| play(seed, Honesty::Careless).is_err()));
}

#[test]
fn a_disk_that_lies_is_found_out() {
    assert!((1..3).all(|seed| play(seed, Honesty::Lying).is_err()));
}

/// While the database is made, power is lost at every single moment.
#[test]
fn a_database_is_made_whole_or_can_be_made_again() {
    let run = Run::new(Honesty::Honest, 1, &mut Dice::new(1));
    let made = run.acknowledged[0];
    let (mut whole, mut unfinished) = (0, 0);
    for seed in seeds(1) {
        let mut dice = Dice::new(seed);
        for at in 0..=made.0 {
            let directory = tempfile::tempdir().unwrap();
            run.recording.lose_power(Moment(at), &mut dice, directory.path()).unwrap();
            match SqliteStore::open(directory.path()) {
                Ok(store) => {
                    drop(store);
                    whole += 1;
                }
                Err(StoreError::Missing { .. } | StoreError::Unfinished { .. }) => {
                    assert!(at < made.0, "it was made, and is gone; MYTISM_SEED={seed}");
                    drop(SqliteStore::create(directory.path(), Arc::clone(&run.schema)).unwrap());
                    unfinished += 1;
                }
                Err(error) => panic!("{error}; power lost at {at}, MYTISM_SEED={seed}"),
            }
            assert_eq!(content(directory.path()).unwrap(), run.contents[0], "at {at}, MYTISM_SEED={seed}");
            assert_eq!(flaws(directory.path()).unwrap(), "", "at {at}, MYTISM_SEED={seed}");
        }
    }
    eprintln!("{whole} whole, {unfinished} unfinished");
    assert!(whole > 0 && unfinished > 0);
}
