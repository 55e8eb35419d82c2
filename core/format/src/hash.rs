//! Hashes of records: salted leaves, their tree, and what a signature is made over.
//!
//! All hashes are BLAKE3 over one byte that names the use, then the content, so that bytes of one use can never pass
//! as another:
//!
//! | use | byte | content |
//! |---|---|---|
//! | leaf | 0 | salt (16 bytes), stored bytes of the leaf |
//! | node of the tree | 1 | left hash, right hash |
//! | transaction | 2 | stored bytes of the header |
//! | entry | 3 | stored bytes of the header |
//! | offered batch | 4 | hashes of the transactions, one after another |
//! | node of the mountain range over entries | 5 | kept free for it |
//! | object of a fork | 6 | mark of the fork (u32 big-endian), id of the object before (i64 big-endian) |
//!
//! The tree has the shape of RFC 6962: the left side holds the largest power of two of leaves that is smaller than
//! their number. Without leaves the root is 32 zero bytes.

use mytism_core::id::{BlockId, Hash, ObjectId};

/// From which the salts of a record's leaves are derived, so that one leaf can be shown without the others being
/// guessable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// The salt of a leaf: the first 16 bytes of BLAKE3 over the leaf's number (u32 big-endian), keyed with the secret.
    #[must_use]
    pub fn salt(&self, leaf: u32) -> [u8; 16] {
        let full = blake3::keyed_hash(&self.0, &leaf.to_be_bytes());
        let mut salt = [0; 16];
        for (place, byte) in salt.iter_mut().zip(full.as_bytes()) {
            *place = *byte;
        }
        salt
    }

    /// The secret of a transaction that gets the name of a fork, or ids of one: BLAKE3 over the mark, keyed with the
    /// secret that it had.
    #[must_use]
    pub fn of_fork(&self, mark: u32) -> Self {
        Self(*blake3::keyed_hash(&self.0, &[b"fork".as_slice(), &mark.to_be_bytes()].concat()).as_bytes())
    }
}

fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(*hasher.finalize().as_bytes())
}

/// Hash of a leaf.
#[must_use]
pub fn leaf(salt: &[u8; 16], bytes: &[u8]) -> Hash {
    hash(&[&[0], salt, bytes])
}

/// Hash of two neighbours in the tree.
fn node(left: &Hash, right: &Hash) -> Hash {
    hash(&[&[1], &left.0, &right.0])
}

/// Hash of a transaction, from its header's stored bytes.
#[must_use]
pub fn transaction(header: &[u8]) -> Hash {
    hash(&[&[2], header])
}

/// Hash of a log entry, from its header's stored bytes.
#[must_use]
pub fn entry(header: &[u8]) -> Hash {
    hash(&[&[3], header])
}

/// What a node signs when it offers transactions.
#[must_use]
pub fn offer(transactions: impl IntoIterator<Item = Hash>) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[4]);
    for transaction in transactions {
        hasher.update(&transaction.0);
    }
    Hash(*hasher.finalize().as_bytes())
}

/// The mark of a fork, from the hash of its first transaction: its first 24 bits.
#[must_use]
pub const fn fork_mark(first: Hash) -> u32 {
    let [high, middle, low, ..] = first.0;
    u32::from_be_bytes([0, high, middle, low])
}

/// The id of an object that gives way to another one in a fork. It lies in the blocks that nobody is given; two may
/// get the same one, with a probability of 1 to 2^43.
#[must_use]
pub fn fork_object(mark: u32, object: ObjectId) -> ObjectId {
    const WITHIN: i64 = (1 << 43) - 1;
    let first = BlockId::new(BlockId::FORKS, 0).map_or(0, |block| block.range().0);
    let [a, b, c, d, e, f, g, h, ..] = hash(&[&[6], &mark.to_be_bytes(), &object.get().to_be_bytes()]).0;
    let bits = i64::from_be_bytes([a, b, c, d, e, f, g, h]) & WITHIN;
    ObjectId::new(first + bits).unwrap_or(object)
}

/// Hash of a piece of a bulk transfer: plain BLAKE3, so that any tool can check a file.
#[must_use]
pub fn chunk(bytes: &[u8]) -> Hash {
    Hash(*blake3::hash(bytes).as_bytes())
}

/// Takes the leaves of a record one after another and gives their root; holds one hash a level.
#[derive(Clone, Default, Debug)]
pub struct Tree {
    /// Roots of full subtrees with their levels, largest first.
    peaks: Vec<(u32, Hash)>,
}

impl Tree {
    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut level = 0;
        let mut current = leaf;
        while let Some((_, left)) = self.peaks.pop_if(|(other, _)| *other == level) {
            current = node(&left, &current);
            level += 1;
        }
        self.peaks.push((level, current));
    }

    /// The root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some((_, last)) = peaks.next() else { return Hash::default() };
        peaks.fold(*last, |right, (_, left)| node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_is_named_after_what_it_begins_with() {
        let mark = fork_mark(Hash([0xab; 32]));
        assert_eq!(mark, 0x00ab_abab);
        let object = |number| fork_object(mark, ObjectId::new(number).unwrap());
        assert_eq!(BlockId::of(object(1)).reign(), i64::from(BlockId::FORKS));
        // Computed once and kept: nodes of all versions must agree on it.
        assert_eq!(
            (object(1).get(), object(mytism_core::id::OBJECT_ID_MAX).get()),
            (9_004_768_387_318_479, 9_001_324_119_828_554)
        );
        assert_ne!(fork_object(mark + 1, ObjectId::new(1).unwrap()), object(1));
        let secret = Secret([5; 32]);
        assert_ne!(secret.of_fork(1), secret.of_fork(2));
        assert_eq!(secret.of_fork(1), Secret([5; 32]).of_fork(1));
    }

    /// The definition of RFC 6962, written down as it stands there.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::default(),
            [one] => *one,
            _ => {
                let split = 1 << (leaves.len() - 1).ilog2();
                node(&by_definition(&leaves[..split]), &by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_tree_has_the_defined_shape() {
        let leaves: Vec<_> = (0..70u32).map(|number| leaf(&Secret([7; 32]).salt(number), b"x")).collect();
        let mut tree = Tree::default();
        for count in 0..leaves.len() {
            assert_eq!(tree.root(), by_definition(&leaves[..count]), "{count} leaves");
            tree.push(leaves[count]);
        }
    }

    #[test]
    fn salts_differ() {
        let secret = Secret([1; 32]);
        assert_ne!(secret.salt(0), secret.salt(1));
        assert_ne!(secret.salt(0), Secret([2; 32]).salt(0));
    }
}
