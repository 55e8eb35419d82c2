//! What a loss of power leaves of a directory: the model that the crate describes, played with dice.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Dice;
use crate::recording::{FileId, Moment, Recording, Step};

const SECTOR: usize = 512;

impl Recording {
    /// Fills an empty directory with what a loss of power at that moment could have left. The same dice leave the same.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn lose_power(&self, at: Moment, dice: &mut Dice, directory: &Path) -> std::io::Result<()> {
        // Now and then only the process dies, and everything that it wrote stays.
        let mood = if dice.percent(10) { Mood::Keep } else { Mood::Mixed };
        let mut remains = Remains::of(self);
        for step in self.steps.iter().take(at.0) {
            remains.take(step, dice);
        }
        for (name, file) in remains.names(mood, dice) {
            let content = remains.files.remove(&file).unwrap_or_default().left(mood, dice);
            std::fs::write(directory.join(&name), content)?;
            if name.ends_with("-wal") && dice.percent(40) {
                let shared = name.replace("-wal", "-shm");
                std::fs::write(directory.join(shared), garbage(32_768, dice))?;
            }
        }
        Ok(())
    }
}

/// How much of what was not safe is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Keep,
    Drop,
    Mixed,
}

/// What is safe on the disk and what is not, while the recording is played.
struct Remains<'r> {
    files: BTreeMap<FileId, Content<'r>>,
    names: BTreeMap<&'r str, Name>,
}

/// A name: the file that it surely means, and what it came to mean since.
#[derive(Default)]
struct Name {
    safe: Option<FileId>,
    since: Vec<Option<FileId>>,
}

/// A file: what is surely in it, and what was done since.
#[derive(Clone, Default)]
struct Content<'r> {
    safe: Vec<u8>,
    since: Vec<Unsafe<'r>>,
}

#[derive(Clone)]
struct Unsafe<'r> {
    step: &'r Step,
    /// A sync of it failed, so that a later one promises nothing.
    given_up: bool,
}

impl<'r> Remains<'r> {
    fn of(recording: &'r Recording) -> Self {
        let mut remains = Self { files: BTreeMap::new(), names: BTreeMap::new() };
        for (name, (file, content)) in &recording.before {
            remains.files.insert(*file, Content { safe: content.to_vec(), since: Vec::new() });
            remains.names.insert(name, Name { safe: Some(*file), since: Vec::new() });
        }
        remains
    }

    fn take(&mut self, step: &'r Step, dice: &mut Dice) {
        match step {
            Step::Create { file, name } => self.names.entry(name).or_default().since.push(Some(*file)),
            Step::Delete { name } => self.names.entry(name).or_default().since.push(None),
            Step::SyncDirectory => {
                for name in self.names.values_mut() {
                    name.safe = name.since.pop().unwrap_or(name.safe);
                    name.since.clear();
                }
            }
            Step::Write { file, .. } | Step::Truncate { file, .. } => {
                self.files.entry(*file).or_default().since.push(Unsafe { step, given_up: false });
            }
            Step::Sync { file } => self.files.entry(*file).or_default().sync(dice),
            Step::SyncFailed { file } => {
                self.files.entry(*file).or_default().since.iter_mut().for_each(|one| one.given_up = true);
            }
        }
    }

    /// The names that are left, with the files that they mean.
    fn names(&self, mood: Mood, dice: &mut Dice) -> Vec<(String, FileId)> {
        let mut left = Vec::new();
        for (name, told) in &self.names {
            let kept = match mood {
                Mood::Keep => told.since.len(),
                Mood::Drop => 0,
                Mood::Mixed => dice.below(told.since.len() + 1),
            };
            let file = if kept == 0 { told.safe } else { told.since[kept - 1] };
            left.extend(file.map(|file| ((*name).to_owned(), file)));
        }
        left
    }
}

impl Content<'_> {
    fn sync(&mut self, dice: &mut Dice) {
        for one in std::mem::take(&mut self.since) {
            if !one.given_up || dice.percent(50) {
                happen(&mut self.safe, one.step);
            }
        }
    }

    /// The bytes that are found when the power is back.
    fn left(self, mood: Mood, dice: &mut Dice) -> Vec<u8> {
        let mood = match (mood, dice.below(100)) {
            (Mood::Mixed, 0..15) => Mood::Keep,
            (Mood::Mixed, 15..30) => Mood::Drop,
            (mood, _) => mood,
        };
        // All up to some point, or each by itself.
        let ordered = dice.percent(30).then(|| dice.below(self.since.len() + 1));
        let mut left = self.safe;
        for (index, one) in self.since.iter().enumerate() {
            let fate = match (mood, ordered) {
                (Mood::Keep, _) => 0,
                (Mood::Drop, _) => 1,
                (Mood::Mixed, Some(end)) => usize::from(index > end) + 2 * usize::from(index == end),
                (Mood::Mixed, None) => dice.below(3),
            };
            match fate {
                0 => happen(&mut left, one.step),
                1 => vanish(&mut left, one.step, dice),
                _ => tear(&mut left, one.step, dice),
            }
        }
        left
    }
}

/// The step happened as it was asked for.
fn happen(content: &mut Vec<u8>, step: &Step) {
    match step {
        Step::Write { offset, bytes, .. } => put(content, *offset, bytes),
        Step::Truncate { length, .. } => content.resize(*length, 0),
        _ => {}
    }
}

/// The step did not happen, but the file may have grown by it.
fn vanish(content: &mut Vec<u8>, step: &Step, dice: &mut Dice) {
    if let Step::Write { offset, bytes, .. } = step
        && offset + bytes.len() > content.len()
        && dice.percent(30)
    {
        fill(content, offset + bytes.len(), dice);
    }
}

/// A part of the step happened.
fn tear(content: &mut Vec<u8>, step: &Step, dice: &mut Dice) {
    let Step::Write { offset, bytes, .. } = step else {
        if dice.percent(50) {
            happen(content, step);
        }
        return;
    };
    if dice.percent(40) {
        let length = dice.below(bytes.len() + 1);
        put(content, *offset, &bytes[..length]);
        return;
    }
    // Sectors lie on the disk, not in the write: the first and the last of them may be cut by it.
    let mut at = 0;
    while at < bytes.len() {
        let end = (SECTOR - (offset + at) % SECTOR + at).min(bytes.len());
        if dice.percent(50) {
            put(content, offset + at, &bytes[at..end]);
        }
        at = end;
    }
    if dice.percent(50) {
        fill(content, offset + bytes.len(), dice);
    }
}

/// Writes bytes; a gap before them reads as zeros, as in any file.
fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    content.resize(content.len().max(offset), 0);
    let within = bytes.len().min(content.len() - offset);
    content[offset..offset + within].copy_from_slice(&bytes[..within]);
    content.extend_from_slice(&bytes[within..]);
}

/// Makes a file longer by what happens to lie there.
fn fill(content: &mut Vec<u8>, length: usize, dice: &mut Dice) {
    let Some(missing) = length.checked_sub(content.len()).filter(|missing| *missing > 0) else { return };
    let filling = match dice.below(3) {
        0 => vec![0; missing],
        1 => garbage(missing, dice),
        _ => {
            let old = dice.below(content.len() + 1);
            let mut stale = content[old..].iter().copied().cycle().take(missing).collect::<Vec<_>>();
            stale.resize(missing, 0);
            stale
        }
    };
    content.extend(filling);
}

fn garbage(length: usize, dice: &mut Dice) -> Vec<u8> {
    std::iter::repeat_with(|| dice.throw().to_le_bytes()).flatten().take(length).collect()
}
