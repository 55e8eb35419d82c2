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
//!
//! The tree has the shape of RFC 6962: the left side holds the largest power of two of leaves that is smaller than
//! their number. Without leaves the root is 32 zero bytes.

use mytism_core::id::Hash;

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
