//! Followers of the journal: each has a name and a cursor that is kept in the database, reads on from there whenever it
//! likes, and never holds up a commit.
//!
//! A follower takes a step, does what it does with the rows, and then moves its cursor: by [`Follower::advance`], so
//! that after a crash it sees the last rows again, or by [`Follower::save`], which writes what it found and moves the
//! cursor in one commit, so that each row takes effect exactly once. A cursor moves only from where its follower
//! believes it to be, so two that go by one name are told so.
//!
//! The journal is trimmed from its beginning, in steps so short that a save behind one does not feel it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mytism_core::failure::Failure;
use mytism_core::operation::{Event, FollowerLine, SaveRequest, Saved};
use mytism_core::time::Timestamp;
use mytism_store::{View, Write};

use crate::context::Context;
use crate::draft;
use crate::error::AppError;
use crate::journal::{self, Visible};
use crate::lane::Work;
use crate::{App, prepare, saved};

/// Where somebody begins to follow who has no cursor yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With the first row that is kept.
    Beginning,
    /// Behind the row of this sequence.
    After(u64),
    /// With what becomes visible from now on.
    End,
}

/// How far the followers are, as the commit lane knows it by heart. As bytes: length of the name (u8), name, cursor (u64),
/// time of its last move (i64), big-endian, one behind the other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Followers(Arc<BTreeMap<String, Place>>);

/// How far one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    cursor: u64,
    moved: Timestamp,
}

impl Followers {
    /// The key under which they are kept.
    pub(crate) const KEY: &'static str = "followers";
    /// As many as can be looked through with each trimming.
    const MOST: usize = 1_000;

    /// As a view has them.
    pub(crate) fn stored(view: &dyn View) -> Result<Self, AppError> {
        Ok(view.get(Self::KEY)?.map(|bytes| Self::from_bytes(&bytes)).unwrap_or_default())
    }

    fn cursor(&self, name: &str) -> Option<u64> {
        self.0.get(name).map(|place| place.cursor)
    }

    fn put(&mut self, name: &str, cursor: u64, moved: Timestamp) -> Result<(), AppError> {
        if self.0.len() >= Self::MOST && !self.0.contains_key(name) {
            let message = format!("the journal has {} followers, the most that it can have", Self::MOST);
            let failure = Failure::refused("too-many-followers", message);
            return Err(failure.hint("remove those that nobody needs: `./mytism followers`").into());
        }
        Arc::make_mut(&mut self.0).insert(name.to_owned(), Place { cursor, moved });
        Ok(())
    }

    /// The smallest cursor.
    fn slowest(&self) -> Option<u64> {
        self.0.values().map(|place| place.cursor).min()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, place) in &*self.0 {
            // Names are at most 60 characters of ASCII; see `check_name`.
            bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(&place.cursor.to_be_bytes());
            bytes.extend_from_slice(&place.moved.micros().to_be_bytes());
        }
        bytes
    }

    fn from_bytes(mut bytes: &[u8]) -> Self {
        let mut places = BTreeMap::new();
        while let Some((name, place, rest)) = read_place(bytes) {
            places.insert(name, place);
            bytes = rest;
        }
        Self(Arc::new(places))
    }
}

fn read_place(bytes: &[u8]) -> Option<(String, Place, &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let (cursor, rest) = rest.split_first_chunk::<8>()?;
    let (moved, rest) = rest.split_first_chunk::<8>()?;
    let moved = Timestamp::saturating_from_micros(i64::from_be_bytes(*moved));
    let place = Place { cursor: u64::from_be_bytes(*cursor), moved };
    Some((String::from_utf8(name.to_vec()).ok()?, place, rest))
}

/// A name is written on command lines and stored in a few bytes.
fn check_name(name: &str) -> Result<(), AppError> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if (1..=60).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    let message = format!("\"{name}\" is no name of a follower");
    let hint = "1 to 60 letters from a to z, digits, hyphens, points and underscores";
    Err(Failure::usage("wrong-follower-name", message).hint(hint).into())
}

fn unknown(name: &str) -> AppError {
    let failure = Failure::refused("unknown-follower", format!("the journal has no follower \"{name}\""));
    failure.hint("`./mytism followers` lists them").into()
}

/// Moves a cursor, in the layer of the work that goes with it.
fn pass(work: &mut Work<'_>, name: &str, from: u64, to: u64) -> Result<(), AppError> {
    let found = work.state.followers.cursor(name).ok_or_else(|| unknown(name))?;
    if found != from {
        let message = format!("the follower \"{name}\" stands at {found}, not at {from}: another one goes by its name");
        return Err(AppError::refused("follower-moved", message));
    }
    if !(from..=work.state.journal).contains(&to) {
        let message =
            format!("a cursor moves from {from} up to the end of the journal, {}: not to {to}", work.state.journal);
        return Err(AppError::refused("wrong-cursor", message));
    }
    if from == to { Ok(()) } else { work.state.followers.put(name, to, work.now) }
}

/// Somebody who follows the journal under a name. Dropping it leaves the cursor where it is.
pub struct Follower<'a> {
    app: &'a App,
    name: String,
    cursor: u64,
}

impl Follower<'_> {
    /// The last row that it has done with.
    #[must_use]
    pub const fn cursor(&self) -> u64 {
        self.cursor
    }

    /// The rows behind the cursor, at most `rows` of them; nothing where there are none yet. What a step costs depends
    /// on what it finds alone. The cursor stays.
    ///
    /// # Errors
    /// `journal-trimmed` where rows that it had not done with are gone, `journal-ahead` where the journal ends before its
    /// cursor, or when the database cannot be read.
    pub fn step(&self, rows: u32) -> Result<Vec<Visible>, AppError> {
        self.app.visible_after(self.cursor, rows)
    }

    /// Waits until there is something behind the cursor, at most for a while, and not once the node goes down.
    pub fn wait(&self, at_most: Duration) {
        self.app.wait_for_visible(self.cursor, at_most);
    }

    /// Moves the cursor to a row that it has done with. When this returns, that is durable.
    ///
    /// # Errors
    /// `follower-moved` where somebody else moved the cursor, `wrong-cursor` where it would go back or past the end.
    pub fn advance(&mut self, to: u64) -> Result<(), AppError> {
        self.app.advance_follower(&self.name, self.cursor, to)?;
        self.cursor = to;
        Ok(())
    }

    /// Saves what it made of the rows and moves the cursor, both or neither.
    ///
    /// # Errors
    /// As [`Self::advance`], and whatever a save is refused for.
    pub fn save(&mut self, to: u64, context: &Context, request: SaveRequest) -> Result<Saved, AppError> {
        let (name, context, from) = (self.name.clone(), context.clone(), self.cursor);
        let draft = move |work: &mut Work<'_>| draft::requested(work, &context, &request);
        let passed = move |work: &mut Work<'_>| pass(work, &name, from, to);
        let done = prepare::commit_with(&self.app.foundation, &self.app.lane, draft, passed)?;
        self.cursor = to;
        Ok(saved(done))
    }
}

/// What of the journal is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keep {
    /// How long at least, and longer where a follower is behind.
    pub time: Duration,
    /// How many rows at most, whoever is behind.
    pub rows: u64,
}

/// What a step of trimming did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trimmed {
    /// Rows that are gone.
    pub rows: u64,
    /// Whether another step may find more.
    pub more: bool,
    /// Followers that had not done with them, told once.
    pub overtaken: Vec<String>,
}

impl App {
    /// Follows the journal under a name. Who is new begins at `start`; who is known goes on where he was.
    ///
    /// # Errors
    /// When the name is none, the start lies behind the end of the journal, there are too many, or the database cannot be
    /// written.
    pub fn follow(&self, name: &str, start: Start) -> Result<Follower<'_>, AppError> {
        check_name(name)?;
        let known = Followers::stored(&*self.view()?)?.cursor(name);
        let cursor = match known {
            Some(cursor) => cursor,
            None => {
                let name = name.to_owned();
                self.lane.execute(move |work| register(work, &name, start))?
            }
        };
        Ok(Follower { app: self, name: name.to_owned(), cursor })
    }

    /// Where somebody without a name begins.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn cursor_of(&self, start: Start) -> Result<u64, AppError> {
        let (first, last) = self.view()?.journal_bounds()?;
        Ok(cursor_of(start, first, last))
    }

    /// What became visible behind a row of the journal, oldest first: at most `rows` rows, fewer where they hold very many
    /// changes, none where there are none yet.
    ///
    /// # Errors
    /// As [`Follower::step`].
    pub fn visible_after(&self, after: u64, rows: u32) -> Result<Vec<Visible>, AppError> {
        journal::read(&*self.view()?, after, rows)
    }

    /// Waits until something became visible behind a row of the journal, at most for a while, and not once the node goes
    /// down.
    pub fn wait_for_visible(&self, after: u64, at_most: Duration) {
        self.foundation.news.wait(after, at_most);
    }

    /// Lets all go who wait for something to become visible: the node goes down.
    pub fn release_followers(&self) {
        self.foundation.news.close();
        self.foundation.interests.close();
    }

    /// Moves the cursor of a follower from where it is to a later row.
    ///
    /// # Errors
    /// As [`Follower::advance`], and `unknown-follower`.
    pub fn advance_follower(&self, name: &str, from: u64, to: u64) -> Result<(), AppError> {
        let name = name.to_owned();
        self.lane.execute(move |work| pass(work, &name, from, to))
    }

    /// Forgets a follower with its cursor; returns how far it was.
    ///
    /// # Errors
    /// `unknown-follower`, or when the database cannot be written.
    pub fn remove_follower(&self, name: &str) -> Result<FollowerLine, AppError> {
        let name = name.to_owned();
        self.lane.execute(move |work| {
            let place = Arc::make_mut(&mut work.state.followers.0).remove(&name).ok_or_else(|| unknown(&name))?;
            Ok(line(&name, place, work.state.journal))
        })
    }

    /// All followers by their names.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn followers(&self) -> Result<Vec<FollowerLine>, AppError> {
        let view = self.view()?;
        let (_, end) = view.journal_bounds()?;
        Ok(Followers::stored(&*view)?.0.iter().map(|(name, place)| line(name, *place, end)).collect())
    }

    /// Takes a step in trimming the journal: rows go that are old enough and that all followers have done with, and those
    /// beyond the most that are kept, whoever is behind. A step takes a millisecond or two of the commit lane.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn trim_journal(&self, keep: Keep) -> Result<Trimmed, AppError> {
        self.lane.execute(move |work| trim(work, keep))
    }
}

fn line(name: &str, place: Place, end: u64) -> FollowerLine {
    let behind = end.saturating_sub(place.cursor);
    FollowerLine { name: name.to_owned(), cursor: place.cursor, behind, moved: place.moved }
}

const fn cursor_of(start: Start, first: u64, last: u64) -> u64 {
    match start {
        Start::Beginning => first.saturating_sub(1),
        Start::After(sequence) => sequence,
        Start::End => last,
    }
}

fn register(work: &mut Work<'_>, name: &str, start: Start) -> Result<u64, AppError> {
    // Somebody else may have come by this name meanwhile.
    if let Some(cursor) = work.state.followers.cursor(name) {
        return Ok(cursor);
    }
    let (first, _) = work.foundation.store.view()?.journal_bounds()?;
    let cursor = cursor_of(start, first, work.state.journal);
    if cursor > work.state.journal {
        let message = format!("the journal ends at {}: nobody can follow behind {cursor}", work.state.journal);
        return Err(AppError::refused("wrong-cursor", message));
    }
    work.state.followers.put(name, cursor, work.now)?;
    Ok(cursor)
}

fn trim(work: &mut Work<'_>, keep: Keep) -> Result<Trimmed, AppError> {
    const STEP: u32 = 500;
    let view = work.foundation.store.view()?;
    let (first, last) = view.journal_bounds()?;
    let time = i64::try_from(keep.time.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::saturating_from_micros(work.now.micros().saturating_sub(time));
    let passed = work.state.followers.slowest().unwrap_or(u64::MAX);
    let too_many = last.saturating_sub(keep.rows.max(1));
    let wanted = view.journal_aged(before, STEP)?.min(passed).max(too_many).min(last.saturating_sub(1));
    let up_to = wanted.min(first.saturating_add(u64::from(STEP)) - 1);
    if first == 0 || up_to < first {
        return Ok(Trimmed::default());
    }
    // Who was behind the former beginning has been told.
    let overtaken = |place: &Place| (first - 1..up_to).contains(&place.cursor);
    let places = work.state.followers.0.iter().filter(|(_, place)| overtaken(place));
    let overtaken: Vec<String> = places.map(|(name, _)| name.clone()).collect();
    work.workspace.write(Write::TrimJournal(up_to));
    for name in &overtaken {
        let (time, peer) = (work.now, work.foundation.identity.name.clone());
        let text = format!("the follower \"{name}\" was too far behind: it has lost rows up to {up_to} of the journal");
        let kind = "follower".to_owned();
        work.tell(|| Event { time, kind, peer, transaction: None, position: None, text });
    }
    let rows = up_to - first + 1;
    Ok(Trimmed { rows, more: rows == u64::from(STEP), overtaken })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_being_kept() {
        let mut followers = Followers::default();
        assert_eq!(Followers::from_bytes(&followers.to_bytes()), followers);
        let time = Timestamp::from_micros(-7).unwrap();
        for (name, cursor) in [("a", 0), ("mail-2", u64::MAX), ("a", 5)] {
            followers.put(name, cursor, time).unwrap();
            assert_eq!(Followers::from_bytes(&followers.to_bytes()), followers);
        }
        assert_eq!((followers.cursor("a"), followers.slowest()), (Some(5), Some(5)));
        let bytes = followers.to_bytes();
        assert_eq!(Followers::from_bytes(&bytes[..bytes.len() - 1]).0.len(), 1, "what is cut off is no follower");
    }

    #[test]
    fn followers_are_not_without_number() {
        let mut followers = Followers::default();
        let time = Timestamp::from_micros(0).unwrap();
        for number in 0..Followers::MOST {
            followers.put(&number.to_string(), 0, time).unwrap();
        }
        assert_eq!(followers.put("one more", 0, time).unwrap_err().failure().code, "too-many-followers");
        assert!(followers.put("7", 3, time).is_ok(), "who is known goes on");
    }

    #[test]
    fn names_are_short_and_plain() {
        for name in ["a", "mail-2.b_C", &"x".repeat(60)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", " ", "a b", "ä", "a/b", "a\n", &"x".repeat(61)] {
            assert_eq!(check_name(name).unwrap_err().failure().code, "wrong-follower-name", "{name}");
        }
    }
}
