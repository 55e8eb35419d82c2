//! Whatever happens to a head office and its branch, no number is given twice.

use std::collections::BTreeMap;

use mytism_app::numbers::{LeasePolicy, Ledger};
use proptest::prelude::*;

use super::world::{Copy, Site};
use crate::world::{new, text};

/// Something that can happen.
#[derive(Clone, Debug)]
enum Step {
    /// A save at the head office or the branch makes some bills; perhaps it is refused at once.
    Save { at: usize, bills: usize, refused: bool },
    /// A save at the branch that the head office will refuse.
    SaveInVain,
    /// The two exchange entries, leases, or both.
    Exchange { entries: bool, leases: bool },
    /// A lease is granted and never arrives.
    LoseLease,
    /// The process ends and begins again.
    Restart { at: usize },
    /// A copy of a database is made.
    Copy { at: usize },
    /// The last copy is put back.
    PutBack { at: usize },
    /// The ledger is lost.
    LoseLedger { at: usize },
    /// A line of the ledger is cut off.
    CutLedger { at: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..2usize;
    prop_oneof![
        8 => (at(), 1..6usize, prop::bool::weighted(0.2))
            .prop_map(|(at, bills, refused)| Step::Save { at, bills, refused }),
        2 => Just(Step::SaveInVain),
        4 => (any::<bool>(), any::<bool>()).prop_map(|(entries, leases)| Step::Exchange { entries, leases }),
        1 => Just(Step::LoseLease),
        2 => at().prop_map(|at| Step::Restart { at }),
        2 => at().prop_map(|at| Step::Copy { at }),
        2 => at().prop_map(|at| Step::PutBack { at }),
        1 => at().prop_map(|at| Step::LoseLedger { at }),
        1 => at().prop_map(|at| Step::CutLedger { at }),
    ]
}

struct Play {
    sites: Vec<Site>,
    copies: [Option<Copy>; 2],
    /// Every number that an acknowledged save drew, with the step.
    given: BTreeMap<i64, usize>,
    codes: usize,
}

impl Play {
    fn new() -> Self {
        let head = Site::head_office(LeasePolicy { numbers: 4, ..LeasePolicy::default() });
        let branch = head.branch("berlin");
        head.range("Bills", "hamburg", &[("Min", 1), ("Max", 400)]).unwrap();
        let down = [("Min", 401), ("Max", 800), ("Increment", -1)];
        head.range("Bills", "berlin", &down).unwrap();
        head.exchange(&branch);
        Self { sites: vec![head, branch], copies: [None, None], given: BTreeMap::new(), codes: 0 }
    }

    fn replace(&mut self, at: usize, change: impl FnOnce(Site) -> Site) {
        let site = self.sites.remove(at);
        self.sites.insert(at, change(site));
    }

    fn save(&mut self, at: usize, bills: usize, refused: bool, step: usize) {
        self.codes += 1;
        let code = if refused { "twice".to_owned() } else { format!("c{}", self.codes) };
        let mut changes: Vec<_> = (1..bills).map(|n| new(&format!("n{n}"), "Bill", &[])).collect();
        changes.push(new("last", "Bill", &[("Code", text(&code))]));
        if let Ok(saved) = self.sites[at].save(changes) {
            for (_, id) in saved.ids {
                let number = self.sites[at].row(&format!("select b.Number from Bill b where b = {id}"));
                if let Ok(number) = number.parse() {
                    let before = self.given.insert(number, step);
                    assert_eq!(before, None, "{number} was given in step {before:?} and again in step {step}");
                }
            }
        }
    }

    fn exchange(&self, entries: bool, leases: bool) {
        let [head, branch] = &self.sites[..] else { panic!() };
        // An older copy of a head office needs its branches to send again what it lost, which is not there yet; the
        // numbers go their own way all the same.
        let position = |site: &Site| site.app().view().unwrap().head().unwrap().unwrap();
        let (at_head, at_branch) = (position(head), position(branch));
        let row = head.app().view().unwrap().log_row(at_branch.position.number).unwrap();
        let is_same_history =
            at_head.position >= at_branch.position && row.is_some_and(|row| row.hash == at_branch.hash);
        if entries && is_same_history {
            let _refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| head.exchange_entries(branch)));
        }
        if leases {
            head.lease(branch);
        }
    }

    fn step(&mut self, step: &Step, number: usize) {
        match *step {
            Step::Save { at, bills, refused } => self.save(at, bills, refused, number),
            Step::SaveInVain => {
                let _may_be_there =
                    self.sites[0].make("Bill", &[("Code", text("vain")), ("Number", super::number(-1))]);
                let bill = self.sites[1].make("Bill", &[("Code", text("vain"))]);
                if let Ok(id) = bill {
                    let drawn = self.sites[1].row(&format!("select b.Number from Bill b where b = {id}"));
                    if let Ok(drawn) = drawn.parse::<i64>() {
                        assert_eq!(self.given.insert(drawn, number), None, "{drawn} was given twice");
                    }
                }
            }
            Step::Exchange { entries, leases } => self.exchange(entries, leases),
            Step::LoseLease => {
                let wishes = self.sites[1].app().lease_wishes().unwrap();
                self.sites[0].app().grant_leases(self.sites[1].node(), wishes).unwrap();
            }
            Step::Restart { at } => self.replace(at, Site::restart),
            Step::Copy { at } => self.copies[at] = Some(self.sites[at].copy()),
            Step::PutBack { at } => {
                if let Some(copy) = self.copies[at].take() {
                    self.replace(at, |site| site.put_back(&copy));
                    self.copies[at] = Some(copy);
                }
            }
            Step::LoseLedger { at } => self.replace(at, |site| site.with_ledger(None)),
            Step::CutLedger { at } => self.replace(at, |site| {
                let ledger = site.ledger.read().unwrap().unwrap_or_default();
                let cut = [&ledger[..], b"given 1048577 0"].concat();
                site.with_ledger(Some(&cut))
            }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_number_is_given_twice(steps in prop::collection::vec(step(), 1..40)) {
        let mut play = Play::new();
        // Each of the two may lose one thing, or there would be nothing left that could know.
        let mut lost = [false; 2];
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::PutBack { at } | Step::LoseLedger { at } if lost[*at] => continue,
                Step::LoseLedger { at } => {
                    lost[*at] = true;
                    play.copies[*at] = None;
                }
                _ => {}
            }
            play.step(step, number);
        }
        prop_assert!(play.given.keys().all(|number| (1..=800).contains(number)));
    }
}
