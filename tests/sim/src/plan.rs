//! What is to happen when: drawn before a run begins, from its seed.

use mytism_disk_under_test::Dice;

use crate::machine::Trouble;

/// While there are faults, in microseconds.
pub const TROUBLED: u64 = 40_000_000;
/// Until when everything must be in step once all is whole again.
pub const HEALED: u64 = 180_000_000;

/// Something that happens at a moment.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Somebody saves at a node.
    Save(usize),
    /// A fault.
    Fault(Fault),
    /// Somebody looks closely at a node.
    Look(usize),
    /// All is whole from here on.
    Heal,
}

/// A fault; nodes are named by their places.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The line of a branch is cut for a while; both ways, or only up or down.
    Cut(usize, Option<bool>, u64),
    /// It is slow for a while.
    Slow(usize, u64, u64),
    /// Messages arrive twice.
    Twice(usize, u32),
    /// Messages overtake each other.
    Reorder(usize, u32),
    /// A process dies, and starts again after a while.
    Crash(usize, u64),
    /// A process ends in order, and starts again after a while.
    Stop(usize, u64),
    /// Something befalls a commit behind so many others.
    Commit(usize, u32, Trouble),
    /// A clock jumps.
    Clock(usize, i64),
    /// A backup is taken.
    BackUp(usize),
    /// The last backup of the database is put back, and something becomes of the ledger.
    Restore(usize, LedgerFate),
    /// The head office is gone for so long, and a branch takes its place.
    Promote(usize, u64),
    /// A copy of a branch's whole machine is started beside it.
    Copy(usize),
    /// Of a branch and its copy, somebody cuts the line of either, or of both, and mends the other.
    Turn(usize),
    /// Of a branch and its copy, one is switched off for good.
    OneGoes(usize),
    /// Another branch joins.
    Join,
}

/// What becomes of the ledger where a database is put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LedgerFate {
    /// It is as new as ever.
    Kept,
    /// It is put back too, as when a whole machine is.
    PutBack,
    /// It is lost.
    Lost,
}

/// The deeds of a run with their moments.
#[must_use]
pub fn plan(nodes: usize, dice: &mut Dice) -> Vec<(u64, Deed)> {
    let mut deeds = Vec::new();
    let when = |dice: &mut Dice| dice.throw() % TROUBLED;
    for _ in 0..160 + dice.below(60) {
        // Bursts, since people meet in bursts.
        let at = when(dice) / 2_000_000 * 2_000_000 + dice.throw() % 700_000;
        deeds.push((at, Deed::Save(dice.below(nodes))));
    }
    for _ in 0..6 {
        deeds.push((when(dice), Deed::Look(dice.below(nodes))));
    }
    for _ in 0..16 + dice.below(10) {
        deeds.push((when(dice), Deed::Fault(fault(nodes, dice))));
    }
    for _ in 0..3 {
        let node = dice.below(nodes);
        let pause = dice.throw() % 3_000_000;
        let fault = if dice.percent(30) { Fault::Stop(node, pause) } else { Fault::Crash(node, pause) };
        deeds.push((when(dice), Deed::Fault(fault)));
    }
    grave(nodes, &mut deeds, dice);
    deeds.push((TROUBLED, Deed::Heal));
    deeds
}

/// The faults after which somebody must go back: one of a kind in a run, and not in each.
fn grave(nodes: usize, deeds: &mut Vec<(u64, Deed)>, dice: &mut Dice) {
    let mut put_back = |node: usize, dice: &mut Dice| {
        let ledger =
            *dice.pick(&[LedgerFate::Kept, LedgerFate::PutBack, LedgerFate::Lost]).unwrap_or(&LedgerFate::Kept);
        let taken = dice.throw() % (TROUBLED / 2);
        let again = taken + 1 + dice.throw() % (TROUBLED - taken - 1);
        deeds.push((taken, Deed::Fault(Fault::BackUp(node))));
        deeds.push((again, Deed::Fault(Fault::Restore(node, ledger))));
    };
    if dice.percent(45) {
        put_back(1 + dice.below(nodes - 1), dice);
    }
    match dice.below(100) {
        0..22 => put_back(0, dice),
        22..40 => {
            let at = dice.throw() % TROUBLED;
            let pause = dice.throw() % 12_000_000;
            deeds.push((at, Deed::Fault(Fault::Promote(1 + dice.below(nodes - 1), pause))));
        }
        // A head office that was put back, or took the place of another, may not know who joined meanwhile.
        40..70 => deeds.push((dice.throw() % TROUBLED, Deed::Fault(Fault::Join))),
        _ => {}
    }
    if dice.percent(35) {
        copied(1 + dice.below(nodes - 1), deeds, dice);
    }
}

/// A branch lives twice for a while.
fn copied(node: usize, deeds: &mut Vec<(u64, Deed)>, dice: &mut Dice) {
    let begin = dice.throw() % (TROUBLED / 2);
    let end = begin + 2_000_000 + dice.throw() % (TROUBLED / 2 - 2_000_000);
    deeds.push((begin, Deed::Fault(Fault::Copy(node))));
    for _ in 0..dice.below(6) {
        deeds.push((begin + 1 + dice.throw() % (end - begin), Deed::Fault(Fault::Turn(node))));
    }
    deeds.push((end, Deed::Fault(Fault::OneGoes(node))));
}

/// From 1 to so many.
fn few(dice: &mut Dice, most: usize) -> u32 {
    u32::try_from(1 + dice.below(most)).unwrap_or(1)
}

fn fault(nodes: usize, dice: &mut Dice) -> Fault {
    let branch = 1 + dice.below(nodes - 1);
    let node = dice.below(nodes);
    let pause = 200_000 + dice.throw() % 8_000_000;
    match dice.below(100) {
        0..16 => Fault::Cut(branch, None, pause),
        16..26 => Fault::Cut(branch, Some(dice.percent(50)), pause),
        26..33 => Fault::Slow(branch, pause, dice.throw() % 2_000_000),
        33..41 => Fault::Twice(branch, few(dice, 3)),
        41..49 => Fault::Reorder(branch, few(dice, 3)),
        49..57 => Fault::Crash(node, pause / 2),
        57..85 => {
            let trouble = match dice.below(5) {
                0 => Trouble::DieBefore,
                1 => Trouble::DieAfter,
                2 => Trouble::FailBefore,
                3 => Trouble::FailAfter,
                _ => Trouble::Full(few(dice, 4)),
            };
            Fault::Commit(node, few(dice, 6) - 1, trouble)
        }
        85..93 => {
            // Seconds, minutes, or beyond belief.
            let most = *dice.pick(&[2_000_000, 100_000_000, 2_000_000_000]).unwrap_or(&1);
            let micros = (dice.throw() % most).cast_signed();
            Fault::Clock(node, if dice.percent(50) { micros } else { -micros })
        }
        _ => Fault::BackUp(node),
    }
}
