//! Bugs that a test build can have on purpose, so that the simulator can show that it would find them.
//!
//! Without the feature `planted-bugs`, which nothing that is shipped has, [`is`] is `false` before the compiler's eyes and
//! nothing of this is left in the program.

/// A bug, in the place where it would be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Bug {
    /// What lies under a pending change is not kept.
    UnderlayNotKept = 1,
    /// The bookkeeping under pending changes is not kept.
    BookkeepingNotKept,
    /// What a refused transaction did at its branch stays there.
    WithdrawalForgotten,
    /// The database does not hold how far ids were drawn.
    IdsNotHeld,
    /// A branch takes changes as their author made them, whatever the head office made of them.
    OverridesIgnored,
    /// A branch passes over what the head office added.
    AdditionsIgnored,
    /// Of several pending changes of one object only the first is seen when something under them changes.
    StackLaidBare,
    /// A transaction that is offered again is decided on again.
    OfferedTwiceTakenTwice,
    /// The head office does not ask again whether a transaction keeps the constraints.
    ConstraintsUnchecked,
    /// A save is acknowledged though its commit failed.
    AcknowledgedBeforeDurable,
    /// A commit whose outcome is unknown counts as failed.
    UnknownCountsAsFailed,
    /// Nobody else's work counts as unseen by the author.
    WrongBase,
    /// A value that loses is not recorded.
    LosingValueUnrecorded,
    /// A refusal leaves no row in the journal of its branch.
    JournalRowMissing,
    /// A refusal does not reach the quarantine of a branch.
    QuarantineMissing,
    /// Sums are taken as plain values.
    SumIgnored,
    /// Clocks that are known to be wrong are believed.
    ClockOffsetIgnored,
    /// What others deleted stays deleted though somebody used it.
    NotBroughtBack,
    /// What the head office added is no part of the history of its object.
    HistoryIncomplete,
    /// What is saved while the line is up is not offered until the next session.
    WakeupLost,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::UnderlayNotKept,
        Self::BookkeepingNotKept,
        Self::WithdrawalForgotten,
        Self::IdsNotHeld,
        Self::OverridesIgnored,
        Self::AdditionsIgnored,
        Self::StackLaidBare,
        Self::OfferedTwiceTakenTwice,
        Self::ConstraintsUnchecked,
        Self::AcknowledgedBeforeDurable,
        Self::UnknownCountsAsFailed,
        Self::WrongBase,
        Self::LosingValueUnrecorded,
        Self::JournalRowMissing,
        Self::QuarantineMissing,
        Self::SumIgnored,
        Self::ClockOffsetIgnored,
        Self::NotBroughtBack,
        Self::HistoryIncomplete,
        Self::WakeupLost,
    ];
}

/// Whether this program has a bug on purpose.
#[cfg(not(feature = "planted-bugs"))]
#[inline]
#[must_use]
pub const fn is(_bug: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
static PLANTED: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);

/// Whether this program has a bug on purpose.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn is(bug: Bug) -> bool {
    PLANTED.load(std::sync::atomic::Ordering::Relaxed) == bug as u8
}

/// Plants a bug in the place of the one before, or none.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u8), std::sync::atomic::Ordering::Relaxed);
}
