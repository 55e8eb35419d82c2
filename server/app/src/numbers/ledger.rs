//! What of the numbers stands outside of the database, so that an older copy of the database is noticed.
//!
//! The ledger holds for each range the end of its lease, safe from the loss of power before any number of the lease is
//! acknowledged, and the last number that was given, noted behind each commit. If the database knows of fewer numbers
//! than the ledger, it is an older copy: numbers go on above the lease's end, and those between are listed. If the
//! ledger is missing or damaged, nobody knows whether the database is the last one, so the same is done.
//!
//! As bytes: lines of text, each ending with the first eight digits of the hash of what stands before them.
//! `lease ID up|down GENERATION END HOLDER`, `given ID GENERATION NUMBER`, and `ids END NEXT` for how far a block of ids of
//! objects may have been used: it is known by its end. The last one of its kind counts. A last line
//! without its end was being written when the machine went down and is passed over.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use mytism_core::id::{NodeId, ObjectId};
use mytism_core::number::Number;
use mytism_core::time::Timestamp;
use mytism_format::hash;
use mytism_store::{Store, Write};

use super::standing::{Gap, Leased, Standing, Standings, direction, furthest, way};
use crate::error::AppError;
use crate::foundation::Foundation;
use crate::ids::Ids;
use crate::surroundings::Surroundings;

/// A small text outside of the database.
pub trait Ledger: Send + Sync + Debug {
    /// All of it; `None` where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    fn read(&self) -> Result<Option<Vec<u8>>, AppError>;

    /// Puts another text in the place of it. When this returns, the text survives the loss of power; when it fails, the
    /// old one is there.
    ///
    /// # Errors
    /// When it cannot be written.
    fn replace(&self, text: &[u8]) -> Result<(), AppError>;

    /// Adds something at its end. When this returns, it survives the end of the process; it survives the loss of power
    /// some seconds later.
    ///
    /// # Errors
    /// When it cannot be written; a part may be there then.
    fn append(&self, text: &[u8]) -> Result<(), AppError>;
}

impl<L: Ledger> Ledger for Arc<L> {
    fn read(&self) -> Result<Option<Vec<u8>>, AppError> {
        L::read(self)
    }

    fn replace(&self, text: &[u8]) -> Result<(), AppError> {
        L::replace(self, text)
    }

    fn append(&self, text: &[u8]) -> Result<(), AppError> {
        L::append(self, text)
    }
}

/// A ledger for nodes that live in memory: it ends with the process.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Option<Vec<u8>>>);

impl Ledger for MemoryLedger {
    fn read(&self) -> Result<Option<Vec<u8>>, AppError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn replace(&self, text: &[u8]) -> Result<(), AppError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_vec());
        Ok(())
    }

    fn append(&self, text: &[u8]) -> Result<(), AppError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().extend_from_slice(text);
        Ok(())
    }
}

/// Bytes of notes behind which the ledger is written anew.
const NOTES_BYTES_MAX: usize = 64 << 10;

/// Keeps the ends of leases outside of the database, before anything that was drawn within them is committed. `before`
/// is what the database holds.
///
/// # Errors
/// When the ledger cannot be written; then nothing may be committed.
pub(crate) fn secure(foundation: &Foundation, before: &Standings, next: &Standings) -> Result<(), AppError> {
    let grown = |(id, one): (&ObjectId, &Standing)| {
        one.lease.is_some() && before.get(*id).and_then(|before| before.lease) != one.lease
    };
    if !next.ranges.iter().any(grown) && foundation.reminders.notes() < NOTES_BYTES_MAX {
        return Ok(());
    }
    let text = text(before, next, &foundation.reminders.noted());
    foundation.surroundings.ledger().replace(text.as_bytes())?;
    foundation.reminders.begin_notes();
    Ok(())
}

/// Notes outside of the database what was committed. It is committed whatever becomes of the note, so a failure is a
/// warning.
pub(crate) fn note(foundation: &Foundation, before: &Standings, next: &Standings) {
    let mut lines = String::new();
    for (id, one) in &next.ranges {
        let was = before.get(*id).map(|before| (before.generation, before.given));
        if was != Some((one.generation, one.given)) {
            lines.extend(given_line(*id, one));
        }
    }
    add(foundation, &lines);
}

/// How far blocks of ids may have been used: by the end of the block, the id that comes next. Blocks that are used up, or
/// given up, stay in it.
pub(crate) type Noted = BTreeMap<i64, i64>;

/// Notes outside of the database how far ids may have been given, before anybody may rely on one of them.
pub(crate) fn note_ids(foundation: &Foundation, ids: &Ids) {
    note_blocks(foundation, ids.ranges().map(|(next, end)| (end, next)).collect());
}

/// Notes that blocks which are noted, and are not among these, give no more. Only once that is so in the database: before,
/// the process may end and the node go on with them.
pub(crate) fn note_given_up(foundation: &Foundation, ids: &Ids) {
    let is_here = |end: i64| ids.ranges().any(|(_, known)| known == end);
    let gone = foundation.reminders.noted().keys().filter(|end| !is_here(**end)).map(|end| (*end, *end)).collect();
    note_blocks(foundation, gone);
}

fn note_blocks(foundation: &Foundation, blocks: Noted) {
    let mut noted = foundation.reminders.noted();
    let mut lines = String::new();
    for (end, next) in blocks {
        if noted.insert(end, next) != Some(next) {
            lines.push_str(&ids_line(&end, &next));
        }
    }
    drop(noted);
    add(foundation, &lines);
}

fn add(foundation: &Foundation, lines: &str) {
    if lines.is_empty() {
        return;
    }
    foundation.reminders.add_notes(lines.len());
    match foundation.surroundings.ledger().append(lines.as_bytes()) {
        Ok(()) => foundation.reminders.settle("ledger"),
        Err(error) => {
            let message = format!(
                "what was drawn from number ranges and blocks of ids cannot be noted outside of the database, so that an older copy of \
                 it may not be noticed: {}",
                error.failure().message
            );
            foundation.warn_once("ledger", message);
            // What stands there may end in the middle of a line, so it is written anew before anything is added.
            foundation.reminders.add_notes(NOTES_BYTES_MAX);
        }
    }
}

/// The whole ledger: the leases of one standing, with what was given in another, and how far ids may be given.
fn text(given: &Standings, leases: &Standings, ids: &Noted) -> String {
    let mut text = String::new();
    for (id, one) in &leases.ranges {
        if let Some(Leased { end, holder }) = one.lease {
            let way = way(one.direction);
            text.push_str(&line(&format!("lease {id} {way} {} {end} {holder}", one.generation)));
        }
    }
    text.extend(given.ranges.iter().filter_map(|(id, one)| given_line(*id, one)));
    text.extend(ids.iter().map(|(end, next)| ids_line(end, next)));
    text
}

fn ids_line(end: &i64, next: &i64) -> String {
    line(&format!("ids {end} {next}"))
}

fn given_line(id: ObjectId, one: &Standing) -> Option<String> {
    one.given.map(|given| line(&format!("given {id} {} {given}", one.generation)))
}

fn line(content: &str) -> String {
    format!("{content} {}\n", check_digits(content))
}

fn check_digits(content: &str) -> String {
    hash::chunk(content.as_bytes()).to_string().chars().take(8).collect()
}

/// The ledger as it was read.
#[derive(Default, PartialEq, Debug)]
struct Read {
    leases: BTreeMap<ObjectId, (Standing, Leased)>,
    given: BTreeMap<ObjectId, (u32, Number)>,
    ids: Noted,
    /// Whether lines of it cannot be believed.
    is_damaged: bool,
}

impl Read {
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut read = Self::default();
        let text = String::from_utf8_lossy(bytes);
        for whole in text.split_inclusive('\n') {
            let Some(content) = whole.strip_suffix('\n') else {
                // Cut off while it was written: what it would have said was never acknowledged, or its loss is that of
                // the last seconds before the machine went down.
                continue;
            };
            let checked = content.rsplit_once(' ').filter(|(line, digits)| check_digits(line) == *digits);
            if checked.and_then(|(line, _)| read.line(line)).is_none() {
                read.is_damaged = true;
            }
        }
        read
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        for (id, (standing, Leased { end, holder })) in &self.leases {
            let way = way(standing.direction);
            text.push_str(&line(&format!("lease {id} {way} {} {end} {holder}", standing.generation)));
        }
        let given = |(id, (generation, number)): (&ObjectId, &(u32, Number))| {
            line(&format!("given {id} {generation} {number}"))
        };
        text.extend(self.given.iter().map(given));
        text.extend(self.ids.iter().map(|(end, next)| ids_line(end, next)));
        if self.is_damaged {
            text.push_str("damaged\n");
        }
        text
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        if kind == "ids" {
            self.ids.insert(words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            return Some(());
        }
        let id: ObjectId = words.next()?.parse().ok()?;
        match kind {
            "lease" => {
                let mut standing = Standing::new(direction(words.next()?)?);
                standing.generation = words.next()?.parse().ok()?;
                let end = words.next()?.parse().ok()?;
                let holder = NodeId(words.next()?.parse().ok()?);
                self.leases.insert(id, (standing, Leased { end, holder }));
            }
            "given" => {
                let generation = words.next()?.parse().ok()?;
                self.given.insert(id, (generation, words.next()?.parse().ok()?));
            }
            // Written by a later program.
            _ => {}
        }
        Some(())
    }
}

/// Two ledgers of one node in one: of everything what is further. Where one of them is damaged, the merged one is too,
/// since what its damaged lines said is in neither.
#[must_use]
pub fn merge(one: &[u8], other: &[u8]) -> Vec<u8> {
    let (mut merged, other) = (Read::from_bytes(one), Read::from_bytes(other));
    for (id, (standing, leased)) in other.leases {
        let known = merged.leases.entry(id).or_insert((standing, leased));
        known.0.generation = known.0.generation.max(standing.generation);
        if standing.direction.is_beyond(leased.end, known.1.end) {
            known.1 = leased;
        }
    }
    for (id, (generation, number)) in other.given {
        let direction = merged.leases.get(&id).map(|(standing, _)| standing.direction);
        let known = merged.given.entry(id).or_insert((generation, number));
        let is_further = direction.is_some_and(|direction| direction.is_beyond(number, known.1));
        if generation > known.0 || generation == known.0 && is_further {
            *known = (generation, number);
        }
    }
    for (end, next) in other.ids {
        let known = merged.ids.entry(end).or_insert(next);
        *known = next.max(*known);
    }
    merged.is_damaged |= other.is_damaged;
    merged.to_text().into_bytes()
}

/// Why numbers go on above the end of their leases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doubt {
    Missing,
    Damaged,
    OlderCopy,
}

impl Doubt {
    const fn words(self) -> &'static str {
        match self {
            Self::Missing => "the note of them outside of the database is missing",
            Self::Damaged => "the note of them outside of the database is damaged",
            Self::OlderCopy => "the database is an older copy",
        }
    }
}

/// What holds of numbers at the start, with warnings, each with what it is about.
type Reconciled = (Standings, Vec<(String, String)>);

/// What holds at the start.
pub(crate) struct Opened {
    pub(crate) standings: Standings,
    /// Each with what it is about.
    pub(crate) warnings: Vec<(String, String)>,
    pub(crate) noted: Noted,
    /// Whether there was no ledger.
    pub(crate) was_missing: bool,
}

/// What holds at the start: what the database says, corrected by the ledger, and both brought to agree.
///
/// # Errors
/// When one of them cannot be read or written.
pub(crate) fn open(
    store: &dyn Store,
    surroundings: &dyn Surroundings,
    own: NodeId,
    ids: &mut Ids,
) -> Result<Opened, AppError> {
    let kept = Standings::read(&*store.view()?)?;
    let ledger = surroundings.ledger().read()?;
    let (standings, warnings) = reconcile(kept.clone(), ledger.as_deref(), own, surroundings.now());
    if standings != kept {
        store.commit(&vec![Write::Put { key: Standings::KEY, value: standings.to_bytes() }])?;
    }
    let was_missing = ledger.is_none();
    let mut noted = ledger.as_deref().map(Read::from_bytes).unwrap_or_default().ids;
    noted.iter().for_each(|(end, next)| ids.pass_up_to(*end, *next));
    noted.extend(ids.ranges().map(|(next, end)| (end, next)));
    // Written anew where it says otherwise, and where a line was cut off, behind which nothing could be added.
    let text = text(&standings, &standings, &noted);
    if ledger.map_or(!text.is_empty(), |ledger| ledger != text.as_bytes()) {
        surroundings.ledger().replace(text.as_bytes())?;
    }
    Ok(Opened { standings, warnings, noted, was_missing })
}

/// Gives up all that is leased to a node, in a new life of which the one before may have given it. Returns warnings, each
/// with what it is about.
pub(crate) fn give_up(standings: &mut Standings, own: NodeId, now: Timestamp) -> Vec<(String, String)> {
    let (mut warnings, mut gaps) = (Vec::new(), Vec::new());
    for (id, one) in &mut standings.ranges {
        let Some(end) = one.end_for(own) else { continue };
        if let Some((warning, gap)) = go_on_above(*id, one, end, "this node began a new life", now) {
            warnings.push(warning);
            gaps.push(gap);
        }
    }
    standings.gaps.append(&mut gaps);
    warnings
}

/// Lets numbers go on above one; tells what may be missing then, if anything.
fn go_on_above(
    id: ObjectId,
    one: &mut Standing,
    up_to: Number,
    why: &str,
    now: Timestamp,
) -> Option<((String, String), Gap)> {
    if one.given.is_some_and(|given| !one.direction.is_beyond(up_to, given)) {
        return None;
    }
    let behind = one.given.map_or_else(String::new, |given| format!(" behind {given}"));
    let text = format!(
        "{why}: the number range with the id {id} goes on above {up_to}, and numbers{behind} up to there may have been \
         given (`numbers void` lists them)"
    );
    let gap = Gap { range: id, behind: one.given, to: up_to, time: now };
    one.given = Some(up_to);
    Some(((format!("doubt {id}"), text), gap))
}

fn reconcile(mut standings: Standings, ledger: Option<&[u8]>, own: NodeId, now: Timestamp) -> Reconciled {
    let read = ledger.map(Read::from_bytes);
    let general = match &read {
        None => Some(Doubt::Missing),
        Some(read) if read.is_damaged => Some(Doubt::Damaged),
        Some(_) => None,
    };
    let read = read.unwrap_or_default();
    let (mut warnings, mut gaps) = (Vec::new(), Vec::new());
    for (id, (noted, _)) in &read.leases {
        standings.of(*id, noted.direction);
    }
    for (id, one) in &mut standings.ranges {
        let doubt = general.or_else(|| is_behind(one, read.given.get(id)).then_some(Doubt::OlderCopy));
        if let Some((noted, lease)) = read.leases.get(id) {
            one.generation = one.generation.max(noted.generation);
            // Whoever got the furthest lease is the one who holds it.
            if one.lease.is_none_or(|known| one.direction.is_beyond(lease.end, known.end)) {
                one.lease = Some(*lease);
            }
        }
        let Some(doubt) = doubt else { continue };
        let noted = read.given.get(id).map(|(generation, number)| {
            one.generation = one.generation.max(*generation);
            *number
        });
        // What was leased to others was not given here.
        let Some(up_to) = furthest(one.direction, one.end_for(own), noted) else { continue };
        if let Some((warning, gap)) = go_on_above(*id, one, up_to, doubt.words(), now) {
            warnings.push(warning);
            gaps.push(gap);
        }
    }
    standings.gaps.append(&mut gaps);
    (standings, warnings)
}

/// Whether the ledger knows of a number that the database does not know.
fn is_behind(one: &Standing, noted: Option<&(u32, Number)>) -> bool {
    let Some((generation, noted)) = noted else { return false };
    *generation > one.generation
        || *generation == one.generation && one.given.is_none_or(|given| one.direction.is_beyond(*noted, given))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mytism_core::number::Direction;

    const OWN: NodeId = NodeId(2);

    fn id() -> ObjectId {
        ObjectId::new(7).unwrap()
    }

    fn standing(generation: u32, given: Option<i64>, end: i64, holder: NodeId) -> Standings {
        let mut standings = Standings::default();
        let lease = Some(Leased { end: Number(end), holder });
        let one = Standing { generation, given: given.map(Number), lease, ..Standing::new(Direction::Up) };
        standings.ranges.insert(id(), one);
        standings
    }

    /// Where a gap begins and ends.
    type Hole = (Option<i64>, i64);

    /// `expected`: the last number given, the lease's end, where the gap begins and ends.
    #[track_caller]
    fn check(database: Standings, ledger: Option<&str>, expected: (Option<i64>, Option<i64>, Option<Hole>)) {
        let now = Timestamp::from_micros(5).unwrap();
        let (got, warnings) = reconcile(database, ledger.map(str::as_bytes), OWN, now);
        let one = got.get(id());
        let gap = got.gaps.first().map(|gap| (gap.behind.map(|behind| behind.0), gap.to.0));
        let given = one.and_then(|one| one.given).map(|given| given.0);
        assert_eq!((given, one.and_then(|one| one.lease).map(|lease| lease.end.0), gap), expected);
        assert_eq!((got.gaps.len(), warnings.len()), (usize::from(gap.is_some()), usize::from(gap.is_some())));
    }

    #[test]
    fn the_ledger_tells_an_older_copy_from_a_crash() {
        let nothing = Standings::default;
        let ledger = |given: Option<i64>, end: i64| {
            text(&standing(0, given, end, OWN), &standing(0, given, end, OWN), &Noted::new())
        };
        check(nothing(), None, (None, None, None));
        check(nothing(), Some(""), (None, None, None));
        // The process ended before the first number was committed.
        check(nothing(), Some(&ledger(None, 20)), (None, Some(20), None));
        // It ended behind the commit and before the note.
        check(standing(0, Some(6), 20, OWN), Some(&ledger(Some(5), 20)), (Some(6), Some(20), None));
        check(standing(0, Some(5), 20, OWN), Some(&ledger(Some(5), 40)), (Some(5), Some(40), None));
        // An older copy, within the same lease and a later one, and from before the first number.
        check(standing(0, Some(4), 20, OWN), Some(&ledger(Some(5), 20)), (Some(20), Some(20), Some((Some(4), 20))));
        check(standing(0, Some(4), 20, OWN), Some(&ledger(Some(25), 40)), (Some(40), Some(40), Some((Some(4), 40))));
        check(nothing(), Some(&ledger(Some(1), 20)), (Some(20), Some(20), Some((None, 20))));
        // Nothing was left to give.
        check(standing(0, Some(20), 20, OWN), None, (Some(20), Some(20), None));
        // Missing, damaged, cut off.
        check(standing(0, Some(5), 20, OWN), None, (Some(20), Some(20), Some((Some(5), 20))));
        let damaged = ledger(Some(5), 40).replace("given 7 0 5", "given 7 0 4");
        check(standing(0, Some(5), 20, OWN), Some(&damaged), (Some(40), Some(40), Some((Some(5), 40))));
        let cut = format!("{}given 7 0 6", ledger(Some(5), 20));
        check(standing(0, Some(5), 20, OWN), Some(&cut), (Some(5), Some(20), None));
    }

    #[test]
    fn a_number_set_back_by_hand_is_not_mistaken() {
        let now = text(&standing(1, Some(3), 20, OWN), &standing(1, Some(3), 20, OWN), &Noted::new());
        check(standing(1, Some(3), 20, OWN), Some(&now), (Some(3), Some(20), None));
        // The database from before somebody set it back.
        check(standing(0, Some(9), 20, OWN), Some(&now), (Some(20), Some(20), Some((Some(9), 20))));
        let before = text(&standing(0, Some(9), 20, OWN), &standing(0, Some(9), 20, OWN), &Noted::new());
        check(standing(1, Some(3), 20, OWN), Some(&before), (Some(3), Some(20), None));
    }

    #[test]
    fn of_two_ledgers_what_is_further_counts() {
        let ledger = |generation: u32, given: i64, end: i64, ids: &[(i64, i64)]| {
            let standings = standing(generation, Some(given), end, OWN);
            text(&standings, &standings, &ids.iter().copied().collect())
        };
        let merged = |one: &str, other: &str| String::from_utf8(merge(one.as_bytes(), other.as_bytes())).unwrap();
        let (old, new) = (ledger(0, 5, 20, &[(100, 7), (200, 150)]), ledger(0, 25, 40, &[(100, 90), (300, 201)]));
        let both = ledger(0, 25, 40, &[(100, 90), (200, 150), (300, 201)]);
        assert_eq!(merged(&old, &new), both);
        assert_eq!(merged(&new, &old), both);
        assert_eq!(merged("", &old), old);
        let by_hand = ledger(1, 3, 20, &[]);
        assert_eq!(merged(&new, &by_hand), ledger(1, 3, 40, &[(100, 90), (300, 201)]), "set by hand later");
        let damaged = new.replace("given 7 0 25", "given 7 0 24");
        assert!(Read::from_bytes(merged(&damaged, &old).as_bytes()).is_damaged);
        assert!(!Read::from_bytes(both.as_bytes()).is_damaged);
    }

    #[test]
    fn what_others_hold_was_not_given_here() {
        check(standing(0, None, 20, NodeId(3)), None, (None, Some(20), None));
    }
}
