//! Object ids that this node may give out: ranges from blocks that the head office gave it. They only ever go up.

use mytism_core::id::{BlockId, ObjectId};

use crate::error::AppError;

/// See the module. The ranges rise, and the last one stays when it is used up, so that a block that arrives again is
/// known. As bytes: pairs of i64 big-endian, the next id and the end of each range.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ids {
    ranges: Vec<(i64, i64)>,
}

impl Ids {
    /// The key under which they are kept.
    pub(crate) const KEY: &'static str = "ids";

    /// Adds a block. Blocks are given in rising order, so one that does not lie above all others was added before.
    pub(crate) fn add(&mut self, block: BlockId) {
        let (first, end) = block.range();
        if self.ranges.last().is_none_or(|(_, last)| first >= *last) {
            self.ranges.push((first, end));
        }
    }

    /// Goes on with these blocks alone.
    pub(crate) fn only(&mut self, blocks: &[BlockId]) {
        self.ranges.retain(|(_, end)| blocks.iter().any(|block| block.range().1 == *end));
        for (first, end) in blocks.iter().map(|block| block.range()) {
            if !self.ranges.iter().any(|(_, known)| *known == end) {
                self.ranges.push((first, end));
            }
        }
        self.ranges.sort_unstable();
    }

    /// So much of a block may have been given, as another note says. Blocks that are not here are passed over.
    pub(crate) fn pass_up_to(&mut self, block_end: i64, next: i64) {
        if let Some((known, end)) = self.ranges.iter_mut().find(|(_, end)| *end == block_end) {
            *known = next.clamp(*known, *end);
        }
    }

    /// The next id and the end of each block.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (i64, i64)> {
        self.ranges.iter().copied()
    }

    /// How many are left.
    pub(crate) fn left(&self) -> u64 {
        self.ranges.iter().map(|(next, end)| u64::try_from(end - next).unwrap_or(0)).sum()
    }

    /// The next one.
    ///
    /// # Errors
    /// When all are used up.
    pub(crate) fn draw(&mut self) -> Result<ObjectId, AppError> {
        let last = self.ranges.last().copied();
        self.ranges.retain(|range| range.0 < range.1 || Some(*range) == last);
        let drawn = self.ranges.first_mut().filter(|(next, end)| next < end).and_then(|(next, _)| {
            let id = ObjectId::new(*next);
            *next += 1;
            id
        });
        drawn.ok_or_else(|| {
            mytism_core::failure::Failure::refused(
                "out-of-ids",
                "this node has no object ids left to give to new objects",
            )
            .hint("edits still work; new ids come with the next contact to the head office")
            .into()
        })
    }

    /// The same ids, but for the next few, which may be drawn without keeping them again.
    pub(crate) fn ahead(&self, few: i64) -> Self {
        let mut ahead = self.clone();
        if let Some((next, end)) = ahead.ranges.iter_mut().find(|(next, end)| next < end) {
            *next = next.saturating_add(few).min(*end);
        }
        ahead
    }

    /// Whether none of these was drawn from there.
    pub(crate) fn is_covered_by(&self, kept: &Self) -> bool {
        self.has_blocks_of(kept)
            && self.ranges.iter().all(|(next, end)| kept.ranges.iter().any(|(k, e)| e == end && k >= next))
    }

    /// Whether all blocks here stand there too.
    pub(crate) fn has_blocks_of(&self, kept: &Self) -> bool {
        self.ranges.iter().all(|(_, end)| kept.ranges.iter().any(|(_, kept)| kept == end))
    }

    /// An id was given before: none up to it is given again.
    pub(crate) fn pass(&mut self, given: ObjectId) {
        let number = given.get();
        if let Some((next, _)) = self.ranges.iter_mut().find(|(next, end)| (*next..*end).contains(&number)) {
            *next = number + 1;
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.ranges.iter().flat_map(|(next, end)| [next.to_be_bytes(), end.to_be_bytes()]).flatten().collect()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let numbers: Vec<i64> = bytes.as_chunks::<8>().0.iter().map(|chunk| i64::from_be_bytes(*chunk)).collect();
        Self { ranges: numbers.as_chunks::<2>().0.iter().map(|[next, end]| (*next, *end)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_covers_the_next_few() {
        let mut ids = Ids::default();
        ids.add(BlockId::new(0, 16).unwrap());
        ids.add(BlockId::new(0, 17).unwrap());
        let kept = ids.ahead(3);
        for drawn in 0..3 {
            assert!(ids.is_covered_by(&kept), "{drawn} drawn");
            ids.draw().unwrap();
        }
        assert!(ids.is_covered_by(&kept));
        let fourth = ids.draw().unwrap();
        assert!(!ids.is_covered_by(&kept));
        // What is kept goes on above all that it covers.
        assert_eq!(Ids::from_bytes(&kept.to_bytes()).draw().unwrap(), fourth);
        let mut more = ids.clone();
        more.add(BlockId::new(0, 20).unwrap());
        assert!(!more.has_blocks_of(&ids));
        assert!(!more.is_covered_by(&ids));
    }

    #[test]
    fn ids_are_drawn_once_and_survive_being_kept() {
        let mut ids = Ids::default();
        assert_eq!(ids.draw().unwrap_err().failure().code, "out-of-ids");
        ids.add(BlockId::new(0, 16).unwrap());
        ids.add(BlockId::new(0, 40).unwrap());
        assert_eq!(ids.left(), 131_072);
        let mut last = 0;
        for _ in 0..131_072 {
            ids = Ids::from_bytes(&ids.to_bytes());
            let id = ids.draw().unwrap().get();
            assert!(id > last);
            last = id;
        }
        assert_eq!(last, 41 * 65_536 - 1);
        assert!(ids.draw().is_err());
        assert!(ids.is_covered_by(&ids.ahead(256)));
        for repeated in [16, 40] {
            ids.add(BlockId::new(0, repeated).unwrap());
        }
        assert!(ids.draw().is_err());
    }
}
