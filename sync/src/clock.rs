//! How far a clock is ahead of another one, measured over a line.
//!
//! Clocks only inform: the order of things comes from the log. The offset is kept with each transaction, for the rule by
//! which the later value stays and for people who read times of different nodes side by side.

use mytism_core::time::Timestamp;

/// How far the own clock is ahead of the peer's, in microseconds: the peer is taken to have read its clock halfway
/// between question and answer (Cristian's algorithm), so the error is at most half of the time between the two.
/// Nothing where the answer came before the question, since the own clock was set meanwhile.
#[must_use]
pub fn offset_micros(asked: Timestamp, theirs: Timestamp, answered: Timestamp) -> Option<i64> {
    let took = answered.micros().checked_sub(asked.micros()).filter(|took| *took >= 0)?;
    (asked.micros() + took / 2).checked_sub(theirs.micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(asked: i64, theirs: i64, answered: i64, expected: Option<i64>) {
        let at = Timestamp::saturating_from_micros;
        assert_eq!(offset_micros(at(asked), at(theirs), at(answered)), expected);
    }

    #[test]
    fn the_peer_answers_halfway() {
        check(1_000, 1_050, 1_100, Some(0));
        check(1_000, 1_000, 1_000, Some(0));
        check(1_000, 50, 1_100, Some(1_000));
        check(1_000, 5_050, 1_100, Some(-4_000));
        check(1_000, 1_000, 1_003, Some(1));
    }

    #[test]
    fn a_clock_that_was_set_meanwhile_tells_nothing() {
        check(1_000, 1_000, 999, None);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        check(i64::MIN, i64::MAX, i64::MIN, Some(-62_135_596_800_000_000 - 253_402_207_200_000_000));
    }
}
