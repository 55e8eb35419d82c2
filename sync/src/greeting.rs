//! What a head office says to a branch that knocks: whether the two may talk at all, and from which entry on; or what
//! one of them has to do before.
//!
//! Two logs of one cluster agree up to some entry. Where the branch's ends there, it goes on from there. Where it goes
//! on otherwise, the log of the later reign counts: the branch takes back what is above the last common entry, or the
//! head office, restored from a backup, asks for what it lost.

use mytism_core::id::{Hash, NodeId, Position};
use mytism_proto::{PROTOCOL_VERSION, PeerMessage, Rung};

use crate::Violation;

/// What a branch says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Version of the protocol.
    pub protocol: u16,
    /// Hash of the first entry of its log.
    pub cluster: Hash,
    /// Its number. Whoever drives the line has checked that the peer's key is that of this node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: u32,
    /// The end of its log.
    pub position: Position,
    /// Hash of the entry there.
    pub hash: Hash,
    /// Entries of its log, from its end to its first.
    pub ladder: Vec<Rung>,
    /// Counter of the newest transaction of this life that it has, where it says so.
    pub newest: Option<u64>,
}

/// What the head office knows about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Knowledge {
    /// Hash of the first entry of the log.
    pub cluster: Hash,
    /// The latest life of that node in the log or among those given; 0 where there is none.
    pub incarnation: u32,
    /// Counter of the newest transaction of the claimed life in the log.
    pub newest: u64,
    /// The end of the log.
    pub position: Position,
    /// The furthest entry that both have, as far as the ladder shows it.
    pub common: Option<(Position, Hash)>,
    /// Whether the head office waits for its branches after it was restored.
    pub is_recovering: bool,
}

/// What there is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Talk, from the end of the branch's log on.
    Welcome,
    /// The branch has told all that it has; the head office is not ready to talk.
    Wait,
    /// The branch takes back what is above an entry.
    RollBack(Position, Hash),
    /// The branch begins a new life.
    Renew,
    /// The head office asks for what is above the end of its log.
    Recover,
}

/// A verdict as it is carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// Say this, a [`PeerMessage::Welcome`], and talk.
    Welcome(Box<PeerMessage>),
    /// Say this, and nothing else.
    Instead(Box<PeerMessage>),
    /// Say this, a [`PeerMessage::Recover`], and take what comes.
    Recover(Box<PeerMessage>),
    /// The two may not talk.
    Refused(Violation),
}

/// Which rungs a ladder has for a log that ends at a number: its end, and then ever further back.
#[must_use]
pub fn rungs(end: u64) -> Vec<u64> {
    let mut rungs = Vec::new();
    let (mut number, mut step) = (end, 1);
    while number > 1 {
        rungs.push(number);
        number = number.saturating_sub(step);
        step = step.saturating_mul(2);
    }
    if end > 0 {
        rungs.push(1);
    }
    rungs
}

/// Judges a claim.
///
/// # Errors
/// Why the two may not talk.
pub fn judge(claim: &Claim, knowledge: &Knowledge) -> Result<Verdict, Violation> {
    let refuse = |code, message: String| Err(Violation { code, message });
    if claim.protocol == 0 || claim.protocol > PROTOCOL_VERSION + 100 {
        return refuse("protocol-version", format!("protocol {} is not spoken here", claim.protocol));
    }
    if claim.cluster != knowledge.cluster {
        return refuse("other-cluster", "the branch belongs to another cluster".to_owned());
    }
    let is_common = claim.position.number == 0
        || knowledge.common.is_some_and(|(common, hash)| (common, hash) == (claim.position, claim.hash));
    if !is_common {
        return part(claim, knowledge);
    }
    if knowledge.is_recovering {
        return Ok(Verdict::Wait);
    }
    // A branch has all that it ever made, in the log or pending. One that lacks something is an older copy.
    let is_older = claim.newest.is_some_and(|newest| newest < knowledge.newest);
    if claim.incarnation < knowledge.incarnation || is_older {
        return Ok(Verdict::Renew);
    }
    Ok(Verdict::Welcome)
}

/// The branch has entries that the head office has not.
fn part(claim: &Claim, knowledge: &Knowledge) -> Result<Verdict, Violation> {
    match knowledge.common {
        Some((common, hash)) if claim.position.epoch < knowledge.position.epoch => Ok(Verdict::RollBack(common, hash)),
        // Entries of this reign or a later one that are not here were lost here. Whether the branch's log goes on from
        // the end of this one or goes another way only the branch can say.
        Some(_) => Ok(Verdict::Recover),
        None => {
            let message = format!("entry {} at the branch is not the one that the head office has", claim.position);
            Err(Violation { code: "histories-differ", message })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(epoch: u32, number: u64) -> Position {
        Position { epoch, number }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Claim, &mut Knowledge), expected: &str) {
        let mut claim = Claim {
            protocol: 1,
            cluster: Hash([1; 32]),
            node: NodeId(2),
            incarnation: 1,
            position: at(1, 7),
            hash: Hash([7; 32]),
            ladder: Vec::new(),
            newest: Some(3),
        };
        let mut knowledge = Knowledge {
            cluster: Hash([1; 32]),
            incarnation: 1,
            newest: 3,
            position: at(1, 9),
            common: Some((at(1, 7), Hash([7; 32]))),
            is_recovering: false,
        };
        change(&mut claim, &mut knowledge);
        let verdict =
            judge(&claim, &knowledge).map_or_else(|violation| violation.code.to_owned(), |found| format!("{found:?}"));
        let word: String = verdict.chars().take_while(|character| *character != '(').collect();
        assert_eq!(word, expected);
    }

    #[test]
    fn who_may_talk() {
        check(|_, _| {}, "Welcome");
        check(
            |claim, knowledge| (claim.position, knowledge.common) = (at(1, 9), Some((at(1, 9), claim.hash))),
            "Welcome",
        );
        check(|claim, knowledge| (claim.position.number, knowledge.common) = (0, None), "Welcome");
        check(|_, knowledge| (knowledge.incarnation, knowledge.newest) = (0, 0), "Welcome");
        check(|claim, _| claim.newest = None, "Welcome");
        check(|claim, _| claim.newest = Some(4), "Welcome");
        check(|claim, _| claim.protocol = 0, "protocol-version");
        check(|claim, _| claim.cluster = Hash([2; 32]), "other-cluster");
        check(|_, knowledge| knowledge.common = None, "histories-differ");
    }

    #[test]
    fn who_was_restored_begins_a_new_life() {
        check(|_, knowledge| knowledge.incarnation = 2, "Renew");
        check(|claim, _| claim.newest = Some(2), "Renew");
        check(|_, knowledge| knowledge.is_recovering = true, "Wait");
    }

    #[test]
    fn the_later_reign_counts() {
        let earlier = |claim: &mut Claim, knowledge: &mut Knowledge| {
            claim.position = at(1, 12);
            knowledge.position = at(2, 9);
        };
        check(earlier, "RollBack");
        check(|claim, _| claim.position = at(1, 12), "Recover");
        check(|claim, _| claim.position = at(1, 8), "Recover");
        check(|claim, _| claim.position = at(2, 8), "Recover");
    }

    #[test]
    fn a_ladder_reaches_from_the_end_to_the_first_entry() {
        assert_eq!(rungs(0), []);
        assert_eq!(rungs(1), [1]);
        assert_eq!(rungs(2), [2, 1]);
        assert_eq!(rungs(20), [20, 19, 17, 13, 5, 1]);
        assert_eq!(rungs(u64::MAX).len(), 65);
    }
}
