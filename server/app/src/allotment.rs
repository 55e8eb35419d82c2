//! The ids of objects that this node may give out, and at the head office the blocks that it gave to whom.
//!
//! Both only ever go up, whatever becomes of the work that draws: what is drawn is gone. So they stand beside the state
//! that is taken back when work is refused, and who prepares beside the lane draws from here too. The database keeps
//! the ids a little ahead of what is drawn, so that not every commit has to write them; a crash costs the ids between.

use mytism_core::id::{BlockId, NodeId, ObjectId};
use mytism_core::planted::{Bug, is};
use mytism_core::time::Timestamp;
use mytism_store::Write;

use crate::cluster::Blocks;
use crate::error::AppError;
use crate::ids::Ids;
use crate::numbers::Use;

/// Ids that the database is ahead.
const AHEAD: i64 = 256;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Allotment {
    pub(crate) ids: Ids,
    pub(crate) blocks: Blocks,
    /// The reign whose blocks are given, counted from 0.
    pub(crate) reign: u32,
    /// How many ids were drawn lately, by which a branch knows how many to keep in stock. It is kept with the ids.
    pub(crate) used: Use,
}

impl Allotment {
    /// An id for a new object. The head office gives itself a block when it has none left.
    pub(crate) fn draw(
        &mut self,
        node: NodeId,
        authoritative: bool,
        now: Timestamp,
        window: i64,
    ) -> Result<ObjectId, AppError> {
        if authoritative && self.ids.left() == 0 {
            let block = self.give(node)?;
            self.ids.add(block);
        }
        let id = self.ids.draw()?;
        self.used.add(1, now, window);
        Ok(id)
    }

    /// Gives the next block to a node.
    pub(crate) fn give(&mut self, node: NodeId) -> Result<BlockId, AppError> {
        self.blocks.give(node, self.reign)
    }

    /// Blocks are those of this epoch from now on.
    pub(crate) const fn begin_reign(&mut self, epoch: u32) {
        self.reign = epoch.saturating_sub(1);
    }

    /// What the database must keep before anybody may rely on what was drawn, and what it then holds. Nothing where
    /// `kept`, which it holds already, covers all.
    pub(crate) fn to_keep(&self, kept: &Self) -> Option<(Vec<Write>, Self)> {
        let is_covered = self.ids.is_covered_by(&kept.ids) && kept.ids.has_blocks_of(&self.ids);
        if (is_covered || is(Bug::IdsNotHeld)) && self.blocks == kept.blocks {
            return None;
        }
        let held = Self { ids: self.ids.ahead(AHEAD), blocks: self.blocks.clone(), reign: self.reign, used: self.used };
        Some((held.writes(kept), held))
    }

    /// Whether the database lacks more than drawn ids: a block that came or was given must be kept at once.
    pub(crate) fn has_new_blocks(&self, kept: &Self) -> bool {
        self.blocks != kept.blocks || !self.ids.has_blocks_of(&kept.ids)
    }

    /// What must be written so that the database holds this in the place of `kept`.
    pub(crate) fn writes(&self, kept: &Self) -> Vec<Write> {
        let ids = (self.ids != kept.ids).then(|| Write::Put { key: Ids::KEY, value: self.ids.to_bytes() });
        let blocks =
            (self.blocks != kept.blocks).then(|| Write::Put { key: Blocks::KEY, value: self.blocks.to_bytes() });
        let used = ids.is_some().then(|| Write::Put { key: Use::KEY, value: self.used.to_bytes() });
        ids.into_iter().chain(used).chain(blocks).collect()
    }
}
