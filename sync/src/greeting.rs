//! May these two talk at all: same protocol, same cluster, and a log that agrees where the branch stands.

use mytism_core::id::{Hash, NodeId, Position};
use mytism_proto::PROTOCOL_VERSION;

use crate::Violation;

/// What a branch says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Version of the protocol.
    pub protocol: u16,
    /// Hash of the first entry of its log.
    pub cluster: Hash,
    /// Its number.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: u32,
    /// The end of its log.
    pub position: Position,
    /// Hash of the entry there.
    pub hash: Hash,
}

/// What the head office knows about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Knowledge {
    /// Number of the node to which the key of the connection belongs.
    pub node: NodeId,
    /// Hash of the first entry of the log.
    pub cluster: Hash,
    /// The latest life of that node in the log; 0 where there is none.
    pub incarnation: u32,
    /// The end of the log.
    pub position: Position,
    /// Hash of the entry at the position that the branch claims; `None` where there is no such entry.
    pub hash_there: Option<Hash>,
}

/// Judges a claim.
///
/// # Errors
/// Why the two may not talk.
pub fn judge(claim: &Claim, knowledge: &Knowledge) -> Result<(), Violation> {
    let refuse = |code, message: String| Err(Violation { code, message });
    if claim.protocol == 0 || claim.protocol > PROTOCOL_VERSION + 100 {
        return refuse("protocol-version", format!("protocol {} is not spoken here", claim.protocol));
    }
    if claim.node != knowledge.node {
        return refuse(
            "wrong-identity",
            format!("the key belongs to node {}, the peer says that it is node {}", knowledge.node, claim.node),
        );
    }
    if claim.cluster != knowledge.cluster {
        return refuse("other-cluster", "the branch belongs to another cluster".to_owned());
    }
    if claim.incarnation < knowledge.incarnation {
        return refuse(
            "old-incarnation",
            format!(
                "node {} speaks as life {}, while life {} has been seen: its database was restored or copied",
                claim.node, claim.incarnation, knowledge.incarnation
            ),
        );
    }
    if claim.position.number > knowledge.position.number {
        return refuse(
            "ahead-of-head",
            format!(
                "the branch knows entries up to {}, the head office has only {}: the head office was restored",
                claim.position, knowledge.position
            ),
        );
    }
    if claim.position.number > 0 && knowledge.hash_there != Some(claim.hash) {
        return refuse(
            "histories-differ",
            format!("entry {} at the branch is not the one that the head office has", claim.position),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Claim, &mut Knowledge), expected: &str) {
        let at = Position { epoch: 1, number: 7 };
        let mut claim = Claim {
            protocol: 1,
            cluster: Hash([1; 32]),
            node: NodeId(2),
            incarnation: 1,
            position: at,
            hash: Hash([7; 32]),
        };
        let mut knowledge = Knowledge {
            node: NodeId(2),
            cluster: Hash([1; 32]),
            incarnation: 1,
            position: Position { epoch: 1, number: 9 },
            hash_there: Some(Hash([7; 32])),
        };
        change(&mut claim, &mut knowledge);
        let verdict = judge(&claim, &knowledge).map_or_else(|violation| violation.code, |()| "welcome");
        assert_eq!(verdict, expected);
    }

    #[test]
    fn who_may_talk() {
        check(|_, _| {}, "welcome");
        check(|claim, _| claim.position.number = 9, "welcome");
        check(|claim, knowledge| (claim.position.number, knowledge.hash_there) = (0, None), "welcome");
        check(|_, knowledge| knowledge.incarnation = 0, "welcome");
        check(|claim, _| claim.protocol = 0, "protocol-version");
        check(|claim, _| claim.node = NodeId(3), "wrong-identity");
        check(|claim, _| claim.cluster = Hash([2; 32]), "other-cluster");
        check(|_, knowledge| knowledge.incarnation = 2, "old-incarnation");
        check(|claim, _| claim.position.number = 10, "ahead-of-head");
        check(|claim, _| claim.hash = Hash([8; 32]), "histories-differ");
        check(|_, knowledge| knowledge.hash_there = None, "histories-differ");
    }
}
