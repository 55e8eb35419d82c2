//! Comparing what two nodes hold by a tree of sums over ranges of keys, so that a few round trips find what differs.
//!
//! Things have a key and a digest of what is stored. The sum of a range counts them and adds up their digests, so that
//! sums of neighbouring ranges add up to that of both. Who is asked divides a range into [`FANOUT`] parts or some more,
//! each with about as many things; who asks compares these with its own sums and asks on where they differ, until a
//! range holds so little that it is fetched whole. Sums are against accidents, not against somebody who wants two ranges
//! to look equal.
//!
//! It knows neither log nor objects, and reads nothing itself.

use std::collections::VecDeque;

use mytism_core::id::Hash;
use mytism_proto::{CheckPart, CheckRange};

use crate::Violation;

/// A range is divided into so many parts at least, where it holds as much, and into less than twice as many.
pub const FANOUT: usize = 16;
/// What holds no more at the other side is fetched whole.
pub const LEAF: u64 = 32;
/// Ranges in one question at most.
pub const RANGES: usize = 64;

/// Of a range: how many things it holds, and their digests added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// How many.
    pub count: u64,
    lanes: [u64; 4],
}

impl Sum {
    /// One thing more.
    pub fn add(&mut self, digest: &Hash) {
        let (lanes, _) = digest.0.as_chunks::<8>();
        self.join(&Self {
            count: 1,
            lanes: std::array::from_fn(|at| lanes.get(at).map_or(0, |lane| u64::from_be_bytes(*lane))),
        });
    }

    fn join(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        for (lane, more) in self.lanes.iter_mut().zip(other.lanes) {
            *lane = lane.wrapping_add(more);
        }
    }

    /// As bytes.
    #[must_use]
    pub fn hash(&self) -> Hash {
        let mut bytes = [0; 32];
        for (piece, lane) in bytes.chunks_exact_mut(8).zip(self.lanes) {
            piece.copy_from_slice(&lane.to_be_bytes());
        }
        Hash(bytes)
    }

    fn is(&self, part: &CheckPart) -> bool {
        (self.count, self.hash()) == (part.count, part.sum)
    }
}

/// Divides a range while its things go by in the order of their keys.
#[derive(Debug, Default)]
pub struct Divider {
    parts: Vec<(u64, Sum)>,
    open: Sum,
    /// Things in one part.
    size: u64,
    last: u64,
}

impl Divider {
    /// The next thing.
    pub fn push(&mut self, key: u64, digest: &Hash) {
        if self.open.count >= self.size.max(1) {
            self.close();
        }
        self.open.add(digest);
        self.last = key;
    }

    fn close(&mut self) {
        self.parts.push((self.last, std::mem::take(&mut self.open)));
        if self.parts.len() < 2 * FANOUT {
            return;
        }
        self.size = self.size.max(1) * 2;
        let join = |pair: &[(u64, Sum)]| {
            let mut both = pair.first().map(|(_, sum)| *sum).unwrap_or_default();
            let (to, more) = pair.last().copied().unwrap_or_default();
            both.join(&more);
            (to, both)
        };
        self.parts = self.parts.chunks(2).map(join).collect();
    }

    /// The parts of a range that ends at a key.
    #[must_use]
    pub fn finish(mut self, to: u64) -> Vec<CheckPart> {
        // Behind the last thing there is nothing, but there may be something at the other side.
        self.parts.push((to, self.open));
        let part = |(to, sum): (u64, Sum)| CheckPart { to, count: sum.count, sum: sum.hash() };
        self.parts.into_iter().map(part).collect()
    }
}

/// What is to be asked, and what was found.
#[derive(Debug)]
pub struct Comparison {
    open: VecDeque<CheckRange>,
    found: Vec<CheckRange>,
    compared: u64,
}

impl Comparison {
    /// Of all things in a range.
    #[must_use]
    pub fn of(range: CheckRange) -> Self {
        let open = if range.after < range.to { VecDeque::from([range]) } else { VecDeque::new() };
        Self { open, found: Vec::new(), compared: 0 }
    }

    /// The next ranges to be divided by the other side; nothing where all is compared.
    #[must_use]
    pub fn ask(&self) -> Vec<CheckRange> {
        self.open.iter().take(RANGES).copied().collect()
    }

    /// The other side has divided what [`Self::ask`] gave. `own` gives the own sum of a range.
    ///
    /// # Errors
    /// When what came does not divide what was asked, or the own sums cannot be read.
    pub fn on_parts<E: From<Violation>>(
        &mut self,
        parts: &[Vec<CheckPart>],
        mut own: impl FnMut(CheckRange) -> Result<Sum, E>,
    ) -> Result<(), E> {
        let asked = self.ask();
        if parts.len() != asked.len() {
            return Err(Violation::unexpected("another number of ranges than was asked for").into());
        }
        let is_first = self.compared == 0;
        for (range, parts) in asked.into_iter().zip(parts) {
            self.open.pop_front();
            let mut after = range.after;
            for part in parts {
                if part.to < after || part.to > range.to {
                    return Err(Violation::unexpected("parts that are not those of a range").into());
                }
                if is_first {
                    self.compared += part.count;
                }
                let one = CheckRange { after, to: part.to };
                after = part.to;
                if one.after == one.to || own(one)?.is(part) {
                    continue;
                }
                // One that is not smaller than the whole would be asked for for ever.
                if part.count <= LEAF || one == range {
                    self.found.push(one);
                } else {
                    self.open.push_back(one);
                }
            }
            if after != range.to {
                return Err(Violation::unexpected("parts that are not those of a range").into());
            }
        }
        Ok(())
    }

    /// The ranges that differ, once nothing is to be asked any more.
    #[must_use]
    pub fn found(self) -> Vec<CheckRange> {
        self.found
    }

    /// How many things the other side holds.
    #[must_use]
    pub const fn compared(&self) -> u64 {
        self.compared
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    type Things = BTreeMap<u64, u8>;

    fn within(things: &Things, range: CheckRange) -> impl Iterator<Item = (u64, Hash)> + '_ {
        let digest = |key: u64, value: u8| {
            let mut bytes = [value; 32];
            bytes[..8].copy_from_slice(&key.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            Hash(bytes)
        };
        things.range(range.after + 1..=range.to).map(move |(key, value)| (*key, digest(*key, *value)))
    }

    fn divided(things: &Things, range: CheckRange) -> Vec<CheckPart> {
        let mut divider = Divider::default();
        within(things, range).for_each(|(key, digest)| divider.push(key, &digest));
        divider.finish(range.to)
    }

    /// The ranges that differ, and how often was asked.
    fn compare(ours: &Things, theirs: &Things, to: u64) -> (Vec<CheckRange>, usize) {
        let mut comparison = Comparison::of(CheckRange { after: 0, to });
        let mut rounds = 0;
        loop {
            let asked = comparison.ask();
            if asked.is_empty() {
                return (comparison.found(), rounds);
            }
            rounds += 1;
            let parts: Vec<_> = asked.into_iter().map(|range| divided(theirs, range)).collect();
            let own = |range| -> Result<Sum, Violation> {
                let mut sum = Sum::default();
                within(ours, range).for_each(|(_, digest)| sum.add(&digest));
                Ok(sum)
            };
            comparison.on_parts(&parts, own).unwrap();
        }
    }

    proptest! {
        #[test]
        fn all_damage_is_found_in_few_rounds(
            count in 0u64..5_000,
            gap in 1u64..1_000,
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), 0u8..3), 0..20),
        ) {
            let theirs: Things = (1..=count).map(|number| (number * gap, (number % 251) as u8)).collect();
            let to = (count + 1) * gap;
            let mut ours = theirs.clone();
            let mut touched = BTreeSet::new();
            for (place, kind) in damage {
                let key = place.index(usize::try_from(to).unwrap()) as u64 + 1;
                match kind {
                    0 => drop(ours.remove(&key)),
                    _ => drop(ours.insert(key, 252 + kind)),
                }
                touched.insert(key);
            }
            let differing: Vec<u64> = touched.into_iter().filter(|key| ours.get(key) != theirs.get(key)).collect();
            let (found, rounds) = compare(&ours, &theirs, to);
            for key in &differing {
                prop_assert!(found.iter().any(|range| range.after < *key && *key <= range.to), "{key} of {found:?}");
            }
            prop_assert!(found.len() <= differing.len());
            // 5,000 things are some 20 parts of 256, each of these some 16 of 16.
            prop_assert!(rounds <= 4, "{rounds}");
        }
    }

    #[test]
    fn a_million_things_are_compared_by_one_question_where_nothing_differs() {
        let things: Things = (1..=1_000_000).map(|key| (key, (key % 7) as u8)).collect();
        assert_eq!(compare(&things, &things, 1_000_000), (Vec::new(), 1));
        let mut damaged = things.clone();
        damaged.remove(&777_777);
        let (found, rounds) = compare(&damaged, &things, 1_000_000);
        assert!(found.len() == 1 && rounds <= 5, "{found:?} {rounds}");
    }

    #[test]
    fn parts_that_divide_something_else_are_refused() {
        let told = |parts: &[Vec<CheckPart>]| {
            let mut comparison = Comparison::of(CheckRange { after: 0, to: 9 });
            let told = comparison.on_parts(parts, |_| Ok::<_, Violation>(Sum::default()));
            told.map_err(|violation| violation.code)
        };
        let part = |to| CheckPart { to, count: 0, sum: Hash::default() };
        assert_eq!(told(&[vec![part(4), part(9)]]), Ok(()));
        for wrong in [&[][..], &[vec![part(8)]], &[vec![part(10)]], &[vec![part(4), part(3), part(9)]], &[vec![]]] {
            assert_eq!(told(wrong), Err("unexpected-message"), "{wrong:?}");
        }
    }
}
