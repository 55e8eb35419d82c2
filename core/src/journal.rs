//! Why something became visible at a node: the causes that its journal of visible changes names.
//!
//! Causes are told from the side of the node whose journal it is: a branch's own save is `saved` there, then
//! `accepted`, `merged` or `refused`, and `applied` at every other node.

/// Why a row stands in the journal. The codes are stored and never change their meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// Somebody saved at this node.
    Saved,
    /// A transaction of another node took effect as its author made it.
    Applied,
    /// The head office took a transaction of this node as its author made it.
    Accepted,
    /// A transaction of this or another node took effect otherwise than its author made it.
    Merged,
    /// The head office refused a transaction of this or another node.
    Refused,
    /// An object went out of sight, since this node may not read it any longer.
    Withdrawn,
    /// An object came into sight, since this node may read it from now on.
    Delivered,
    /// Entries of the log were taken back, since the head office goes on without them; or what was pending, since this
    /// node became the head office and decides on it; or it got other names and ids, since those that it had stand for
    /// something else in the log.
    RolledBack,
}

impl Cause {
    /// All of them with their codes and words, in the order of the codes.
    pub const ALL: [(Self, u8, &'static str); 8] = [
        (Self::Saved, 1, "saved"),
        (Self::Applied, 2, "applied"),
        (Self::Accepted, 3, "accepted"),
        (Self::Merged, 4, "merged"),
        (Self::Refused, 5, "refused"),
        (Self::Withdrawn, 6, "withdrawn"),
        (Self::Delivered, 7, "delivered"),
        (Self::RolledBack, 8, "rolled-back"),
    ];

    /// As it is stored.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8 + 1
    }

    /// As it was stored; `None` for a code of a newer program.
    #[must_use]
    pub fn of(code: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == code).map(|(cause, _, _)| *cause)
    }

    /// For programs and people.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(cause, _, _)| *cause == self).map_or("", |(_, _, word)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay() {
        let stored: Vec<(u8, &str)> = Cause::ALL.iter().map(|(_, code, word)| (*code, *word)).collect();
        let expected = [
            (1, "saved"),
            (2, "applied"),
            (3, "accepted"),
            (4, "merged"),
            (5, "refused"),
            (6, "withdrawn"),
            (7, "delivered"),
            (8, "rolled-back"),
        ];
        assert_eq!(stored, expected);
        for (cause, code, word) in Cause::ALL {
            assert_eq!((cause.code(), Cause::of(code), cause.word()), (code, Some(cause), word));
        }
        assert_eq!([0, 9, u8::MAX].map(Cause::of), [None; 3]);
    }
}
