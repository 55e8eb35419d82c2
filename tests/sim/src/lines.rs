//! Lines between nodes: when a message arrives, if it does. A line keeps the order of what is sent over each of its two
//! streams, but for the faults that say otherwise, and none between them: the feed is often late, since much waits in it.
//! One that lost a message is dead and both ends notice it later.

use mytism_disk_under_test::Dice;

use mytism_sync::branch_end::BranchEnd;
use mytism_sync::head_end::HeadEnd;

/// How long something may wait in the feed behind what is sent there, in microseconds.
const FEED_WAITS: u64 = 400_000;

/// Towards the head office or away from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// To the head office.
    Up,
    /// To the branch.
    Down,
}

impl Way {
    /// The other one.
    #[must_use]
    pub const fn back(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// What lies between a branch and whoever is head office.
#[derive(Clone, Debug, Default)]
pub struct Cable {
    /// Until when nothing arrives, each way.
    cut: [u64; 2],
    /// Until when everything is late, and by how much.
    slow: (u64, u64),
    /// How many of the next messages arrive twice.
    pub twice: u32,
    /// How many of the next messages are overtaken.
    pub late: u32,
}

impl Cable {
    /// Cuts it one way until a moment.
    pub fn cut(&mut self, way: Way, until: u64) {
        let cut = &mut self.cut[way as usize];
        *cut = until.max(*cut);
    }

    /// Makes it slow until a moment.
    pub fn slow(&mut self, until: u64, by: u64) {
        self.slow = (until, by);
    }

    /// Makes it whole.
    pub fn heal(&mut self) {
        *self = Self::default();
    }

    /// Whether it is whole this way.
    #[must_use]
    pub fn is_open(&self, way: Way, now: u64) -> bool {
        self.cut[way as usize] <= now
    }

    fn takes(&self, now: u64, dice: &mut Dice) -> u64 {
        let usual = 500 + dice.throw() % 20_000;
        if now < self.slow.0 { usual + self.slow.1 + dice.throw() % 1_000_000 } else { usual }
    }
}

/// One connection.
pub struct Line {
    /// The branch's place among the nodes, and its process.
    pub branch: (usize, u64),
    /// The head office's.
    pub head: (usize, u64),
    /// When the last message of each stream arrives, each way.
    last: [[u64; 2]; 2],
    /// When the first message arrives, each way; the feed is opened after that.
    first: [Option<u64>; 2],
    /// Whether a message was lost.
    pub is_dead: bool,
    /// The branch's end, while it is open.
    pub branch_end: Option<BranchEnd>,
    /// The head office's end, while it is open.
    pub head_end: Option<HeadEnd>,
}

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is lost.
    Lost,
    /// It arrives at these moments.
    Arrives(Vec<u64>),
}

impl Line {
    /// A new one, which nobody has said anything on.
    #[must_use]
    pub fn new(branch: (usize, u64), head: (usize, u64)) -> Self {
        let (branch_end, head_end) = (Some(BranchEnd::new()), Some(HeadEnd::new()));
        Self { branch, head, last: [[0; 2]; 2], first: [None; 2], is_dead: false, branch_end, head_end }
    }

    /// What becomes of a message that is sent now over one of the streams; counts what befell it.
    pub fn fate(
        &mut self,
        cable: &mut Cable,
        way: Way,
        is_feed: bool,
        now: u64,
        dice: &mut Dice,
    ) -> (Fate, Option<&'static str>) {
        if self.is_dead || !cable.is_open(way, now) {
            self.is_dead = true;
            return (Fate::Lost, None);
        }
        let mut arrives = now + cable.takes(now, dice);
        if is_feed && dice.throw().is_multiple_of(4) {
            arrives += dice.throw() % FEED_WAITS;
        }
        if cable.late > 0 {
            cable.late -= 1;
            // Others overtake it, and it overtakes others.
            return (Fate::Arrives(vec![arrives + dice.throw() % 100_000]), Some("fault reordered message"));
        }
        let last = &mut self.last[way as usize][usize::from(is_feed)];
        let first = self.first[way as usize].get_or_insert(arrives);
        let arrives = arrives.max(*last + 1).max(*first);
        *last = arrives;
        if cable.twice > 0 {
            cable.twice -= 1;
            *last = arrives + 10;
            return (Fate::Arrives(vec![arrives, arrives + 10]), Some("fault duplicated message"));
        }
        (Fate::Arrives(vec![arrives]), None)
    }
}
